use crate::config::EngineConfig;
use crate::testing::{Scenario, check};

#[test]
fn members_come_and_go() {
    check(
        r#"
        SADD s 1 2 3 3     => :3
          ! new s, sadd s
          > SADD s 1 2 3 3
        SADD s 1           => :0
          ! none
          > nothing
        SISMEMBER s 1      => :1
        SISMEMBER s 9      => :0
        SISMEMBER none 9   => :0
        SMISMEMBER s 1 9 3 => [:1, :0, :1]
        SMISMEMBER none 1  => [:0]
        SCARD s            => :3
        SCARD none         => :0
        SMEMBERS s         => ["1", "2", "3"]
        SMEMBERS none      => []
        SREM s 1 9         => :1
          ! srem s
        SREM s 9           => :0
          > nothing
        SREM none 9        => :0
        SREM s 2 3 4       => :2
          ! srem s, del s
        EXISTS s           => :0
        SADD s b a 1       => :3
        SMEMBERS s         => ["b", "a", "1"]
        SET str x          => +OK
        SADD str 1         => -WRONGTYPE Operation against a key holding the wrong kind of value
        SREM str 1         => -WRONGTYPE Operation against a key holding the wrong kind of value
        SISMEMBER str 1    => -WRONGTYPE Operation against a key holding the wrong kind of value
        SMEMBERS str       => -WRONGTYPE Operation against a key holding the wrong kind of value
        resp3
        SMEMBERS s         => ~["b", "a", "1"]
        SMEMBERS none      => ~[]
        "#,
    );
}

#[test]
fn smove_moves() {
    check(
        r#"
        SADD a 1 2       => :2
        SADD b 2         => :1
        SET str x        => +OK
        SMOVE a b 2      => :1
          ! srem a
          > SMOVE a b 2
        SADD m x y       => :2
        SMOVE m fresh x  => :1
          ! srem m, new fresh, sadd fresh
        DEL m fresh      => :2
        SMOVE a b 9      => :0
          > nothing
        SMOVE a a 1      => :1
          > nothing
        SMOVE a a 7      => :0
        SMOVE a str 1    => -WRONGTYPE Operation against a key holding the wrong kind of value
        SMOVE a str 7    => -WRONGTYPE Operation against a key holding the wrong kind of value
        SMOVE str a 1    => -WRONGTYPE Operation against a key holding the wrong kind of value
        SMOVE none str 1 => :0
        SISMEMBER a 1    => :1
        SMOVE a new 1    => :1
          ! srem a, del a, new new, sadd new
        SMEMBERS new     => ["1"]
        "#,
    );
}

#[test]
fn spop_propagates_what_it_took() {
    check(
        r#"
        SPOP s              => nil
        SPOP s 3            => []
        SADD s 1            => :1
        SPOP s 0            => []
          ! none
          > nothing
        SPOP s              => "1"
          ! spop s, del s
          > SREM s 1
          > nothing
        SADD s 1 2          => :2
        SPOP s 5            => ["1", "2"]
          ! spop s, del s
          > DEL s
          > nothing
        EXISTS s            => :0
        SPOP s -1           => -ERR value is out of range, must be positive
        SPOP s x            => -ERR value is out of range, must be positive
        SPOP s 1 2          => -ERR syntax error
        SET str x           => +OK
        SPOP str            => -WRONGTYPE Operation against a key holding the wrong kind of value
        SPOP str 0          => -WRONGTYPE Operation against a key holding the wrong kind of value
        resp3
        SPOP s              => _
        SPOP s 1            => ~[]
        "#,
    );
    let mut scenario = Scenario::with(EngineConfig { lazy_server_del: true, ..EngineConfig::default() });
    scenario.check("SADD s 1 => :1\n SPOP s 1 => [\"1\"]\n > UNLINK s");
    assert_eq!(scenario.engine.effects.free_later.len(), 1);
}

#[test]
fn spop_of_many_names_them_in_batches() {
    for prefix in ["", "x"] {
        let mut scenario = Scenario::new();
        let members: Vec<String> = (0..3000).map(|n| format!("{prefix}{n}")).collect();
        scenario.line(&format!("SADD s {}", members.join(" ")));
        let reply = scenario.line("SPOP s 2500");
        let effects = &scenario.engine.effects;
        assert!(!effects.propagates_received());
        let commands: Vec<_> = effects.commands().map(|(_, _, argv)| argv.collect::<Vec<_>>()).collect();
        let sizes: Vec<usize> = commands.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1026, 1026, 454]);
        let mut named: Vec<&[u8]> = commands.iter().flat_map(|argv| &argv[2..]).copied().collect();
        for member in &named {
            assert!(reply.contains(&format!("\"{}\"", str::from_utf8(member).expect("text"))));
        }
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), 2500);
        assert_eq!(scenario.line("SCARD s"), ":500");
    }
}

#[test]
fn random_members() {
    let mut scenario = Scenario::new();
    scenario.check(
        r#"
        SRANDMEMBER s                      => nil
        SRANDMEMBER s 2                    => []
        SADD s a                           => :1
        SRANDMEMBER s                      => "a"
        SRANDMEMBER s 0                    => []
        SRANDMEMBER s 5                    => ["a"]
        SRANDMEMBER s -3                   => ["a", "a", "a"]
        SRANDMEMBER s 1 2                  => -ERR syntax error
        SRANDMEMBER s x                    => -ERR value is not an integer or out of range
        SRANDMEMBER s -9223372036854775808 => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        SRANDMEMBER s 9223372036854775807  => ["a"]
        SET str x                          => +OK
        SRANDMEMBER str                    => -WRONGTYPE Operation against a key holding the wrong kind of value
        SRANDMEMBER str 0                  => -WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
    let big = "y".repeat(1 << 20);
    scenario.line(&format!("SADD big {big}"));
    scenario.check("SRANDMEMBER big -4611686018427387905 => -ERR value is out of range");
}

/// Compares with the sets of the standard library, over every encoding.
#[test]
fn operations_agree_with_a_model() {
    use std::collections::BTreeSet;
    let mut scenario = Scenario::new();
    let ranges = [(0, 400, ""), (100, 900, ""), (0, 60, ""), (10, 40, "x"), (0, 700, "x"), (0, 5, ""), (3, 3, "")];
    let mut model: Vec<BTreeSet<String>> = Vec::new();
    for (i, &(from, to, prefix)) in ranges.iter().enumerate() {
        let mut members: BTreeSet<String> = (from..to).map(|n| format!("{prefix}{n}")).collect();
        if prefix == "x" {
            members.extend((0..20).map(|n| n.to_string()));
        }
        for member in &members {
            scenario.line(&format!("SADD s{i} {member}"));
        }
        model.push(members);
    }
    let parse = |reply: String| -> BTreeSet<String> {
        let members: Vec<String> =
            reply.split(['[', ']', ',', ' ', '"']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let set: BTreeSet<String> = members.iter().cloned().collect();
        assert_eq!(set.len(), members.len(), "no member twice");
        set
    };
    let choices = [
        &[0][..],
        &[0, 1],
        &[1, 0],
        &[0, 2],
        &[2, 3],
        &[3, 4],
        &[4, 3],
        &[0, 0],
        &[5, 6],
        &[6, 5],
        &[0, 1, 2, 3],
        &[4, 0, 5, 2, 3, 6],
        &[1, 2, 5, 5, 2, 5, 2, 5, 3, 2],
        &[4, 5, 5, 5, 5, 5, 5, 5],
    ];
    for choice in choices {
        let keys = choice.iter().map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ");
        let first = model[choice[0]].clone();
        let rest = || choice[1..].iter().map(|&i| &model[i]);
        let inter = rest().fold(first.clone(), |acc, other| &acc & other);
        let union = rest().fold(first.clone(), |acc, other| &acc | other);
        let diff = rest().fold(first, |acc, other| &acc - other);
        for (name, expected) in [("SINTER", &inter), ("SUNION", &union), ("SDIFF", &diff)] {
            assert_eq!(&parse(scenario.line(&format!("{name} {keys}"))), expected, "{name} {keys}");
            assert_eq!(scenario.line(&format!("{name}STORE d {keys}")), format!(":{}", expected.len()));
            assert_eq!(&parse(scenario.line("SMEMBERS d")), expected, "{name}STORE d {keys}");
        }
        let n = choice.len();
        assert_eq!(scenario.line(&format!("SINTERCARD {n} {keys}")), format!(":{}", inter.len()));
        assert_eq!(scenario.line(&format!("SUNIONCARD {n} {keys}")), format!(":{}", union.len()));
        assert_eq!(scenario.line(&format!("SUNIONCARD {n} {keys} LIMIT 5")), format!(":{}", union.len().min(5)));
        assert_eq!(scenario.line(&format!("SDIFFCARD {n} {keys}")), format!(":{}", diff.len()));
        assert_eq!(scenario.line(&format!("SINTERCARD {n} {keys} LIMIT 4")), format!(":{}", inter.len().min(4)));
    }
}

#[test]
fn an_intersection_of_too_many_integers_is_a_listpack() {
    // Unless the smallest set is an intset.
    Scenario::with(EngineConfig { set_max_intset_entries: 2, ..EngineConfig::default() }).check(
        r#"
        SADD pack a 1 2 3       => :4
        SREM pack a             => :1
        SINTERSTORE d pack pack => :3
        OBJECT ENCODING d       => "listpack"
        SADD ints 1             => :1
        SADD ints 2             => :1
        SADD ints 3             => :1
        SINTERSTORE d ints      => :3
        OBJECT ENCODING d       => "listpack"
        SDIFFSTORE d pack       => :3
        OBJECT ENCODING d       => "hashtable"
        "#,
    );
}

#[test]
fn operations_check_types_and_report() {
    check(
        r#"
        SET str x               => +OK
        SADD s 1 2 3            => :3
        SADD b 2 3 x            => :3
        SINTER none str         => -WRONGTYPE Operation against a key holding the wrong kind of value
        SUNION none str         => -WRONGTYPE Operation against a key holding the wrong kind of value
        SDIFF none str          => -WRONGTYPE Operation against a key holding the wrong kind of value
        SUNIONSTORE str str     => -WRONGTYPE Operation against a key holding the wrong kind of value
        SINTERCARD 2 none str   => -WRONGTYPE Operation against a key holding the wrong kind of value
        SINTERSTORE d s b       => :2
          ! new d, sinterstore d
          > SINTERSTORE d s b
        OBJECT ENCODING d       => "intset"
        SUNIONSTORE d s b       => :4
          ! sunionstore d
        OBJECT ENCODING d       => "listpack"
        SDIFFSTORE d s b        => :1
          ! sdiffstore d
        SUNIONSTORE s s b       => :4
        SINTERSTORE str s b     => :3
          ! sinterstore str
        SINTERSTORE str s none  => :0
          ! keymiss none, del str
          > SINTERSTORE str s none
        SINTERSTORE str s none  => :0
          ! keymiss none
          > nothing
        SINTERCARD 0 a          => -ERR numkeys should be greater than 0
        SINTERCARD x a          => -ERR numkeys should be greater than 0
        SINTERCARD 2 a          => -ERR Number of keys can't be greater than number of args
        SINTERCARD 1 a LIMIT    => -ERR syntax error
        SINTERCARD 1 a LIMIT -1 => -ERR LIMIT can't be negative
        SINTERCARD 1 a FOO      => -ERR syntax error
        SINTERCARD 1 s LIMIT 0 LIMIT 1 => :1
        resp3
        SINTER s none           => ~[]
        SDIFF b s               => ~[]
        "#,
    );
}

#[test]
fn expired_inputs_are_missing() {
    check(
        r#"
        SADD a 1      => :1
        SADD b 1      => :1
        PEXPIRE b 10  => :1
        SINTER a b    => ["1"]
        wait 11
        SINTER a b    => []
          > DEL b
        "#,
    );
}

#[test]
fn the_size_of_a_union_can_be_estimated() {
    let mut scenario = Scenario::new();
    for i in 0..3000 {
        scenario.line(&format!("SADD a {i}"));
        scenario.line(&format!("SADD b member:{}", i % 1500));
    }
    let estimate = |reply: String| reply.trim_start_matches(':').parse::<i64>().unwrap();
    let found = estimate(scenario.line("SUNIONCARD 3 a b none APPROX"));
    assert!((found - 4500).abs() < 150, "{found} is within three per cent");
    scenario.check(
        r#"
        SUNIONCARD 3 a b none             => :4500
        SUNIONCARD 2 a b LIMIT 5 APPROX   => :5
        SADD few x y z                    => :3
        SUNIONCARD 1 few APPROX           => :3
        SDIFFCARD 2 a b APPROX            => -ERR syntax error
        SINTERCARD 2 a b APPROX           => -ERR syntax error
        "#,
    );
}

#[test]
fn sscan_shows_every_member() {
    let mut scenario = Scenario::new();
    scenario.check(
        r#"
        SADD s 1 2 3            => :3
        SADD l a b              => :2
        SSCAN s 0               => ["0", ["1", "2", "3"]]
        SSCAN l 0 MATCH b*      => ["0", ["b"]]
        SSCAN s 0 MATCH 2 COUNT 1 => ["0", ["2"]]
        SSCAN s 0 COUNT 0       => -ERR syntax error
        SSCAN s 0 COUNT x       => -ERR value is not an integer or out of range
        SSCAN s 0 NOVALUES      => -ERR NOVALUES option can only be used in HSCAN
        SSCAN s x               => -ERR invalid cursor
        SSCAN none x            => -ERR invalid cursor
        SSCAN none 0 FOO        => ["0", []]
        SET str x               => +OK
        SSCAN str 0 FOO         => -WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
    let members: Vec<String> = (0..1000).map(|n| format!("m{n}")).collect();
    scenario.line(&format!("SADD big {}", members.join(" ")));
    let (mut cursor, mut seen) = ("0".to_owned(), std::collections::BTreeSet::new());
    loop {
        let reply = scenario.line(&format!("SSCAN big {cursor} COUNT 50"));
        let mut words = reply.split('"').skip(1).step_by(2).map(str::to_owned);
        cursor = words.next().expect("a cursor");
        seen.extend(words);
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
}

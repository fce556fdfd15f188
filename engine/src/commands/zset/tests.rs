//! Scenarios: replies, keyspace events and propagation of the sorted-set commands, as a Redis 8.0 server answers.

use crate::config::EngineConfig;
use crate::testing::{Scenario, check};

#[test]
fn negative_zero() {
    for entries in [0, 128] {
        let config = EngineConfig { zset_max_listpack_entries: entries, ..EngineConfig::default() };
        let tree = entries == 0;
        let mut scenario = Scenario::with(config);
        scenario.check(
            r#"
            ZADD a -0 x 0 y                                       => :2
            ZADD b 0 x 0 y                                        => :2
            ZUNION 2 a b WITHSCORES                               => ["x", "0", "y", "0"]
            ZUNIONSTORE d 2 a b                                   => :2
            ZRANGE d 0 -1 WITHSCORES                              => ["x", "0", "y", "0"]
            ZUNION 1 b WEIGHTS -1 WITHSCORES                      => ["x", "-0", "y", "-0"]
            ZUNION 2 b a WEIGHTS -1 1 AGGREGATE MAX WITHSCORES    => ["x", "-0", "y", "-0"]
            ZINTER 2 b a WEIGHTS -1 1 AGGREGATE MIN WITHSCORES    => ["x", "-0", "y", "-0"]
            ZUNIONSTORE d 1 b WEIGHTS -1                          => :2
            ZADD b CH -0 x                                        => :0
            ZSCORE b x                                            => "0"
            ZINCRBY b -0 x                                        => "0"
            "#,
        );
        // A listpack keeps the integer.
        assert_eq!(scenario.line("OBJECT ENCODING d"), if tree { "\"skiplist\"" } else { "\"listpack\"" });
        assert_eq!(scenario.line("ZSCORE d x"), if tree { "\"-0\"" } else { "\"0\"" });
        assert_eq!(scenario.line("ZSCORE a x"), if tree { "\"-0\"" } else { "\"0\"" });
    }
}

#[test]
fn negative_zero_in_a_stored_range() {
    let config = EngineConfig { zset_max_listpack_entries: 2, ..EngineConfig::default() };
    let mut scenario = Scenario::with(config);
    scenario.check(
        r#"
        ZADD z -inf a -0 b 3 c 4 d      => :4
        ZRANGESTORE d z 0 -1            => :4
        ZSCORE d b                      => "-0"
        ZRANGESTORE d z -inf +inf BYSCORE      => :4
        ZSCORE d b                      => "0"
        ZRANGESTORE d z - + BYLEX       => :4
        ZSCORE d b                      => "0"
        ZRANGESTORE d z + - BYLEX REV   => :4
        ZSCORE d b                      => "-0"
        ZRANGE d 0 -1                   => ["a", "b", "c", "d"]
        ZRANGESTORE d z + - BYLEX REV LIMIT 1 3   => :3
        ZSCORE d b                      => "0"
        "#,
    );
}

#[test]
fn weights_of_zero_and_infinite_scores() {
    check(
        r#"
            ZADD z inf a 2 b                          => :2
            ZADD y inf a 1 b                          => :2
            ZINTER 2 z y WEIGHTS 0 1 WITHSCORES       => ["b", "1", "a", "inf"]
            ZINTER 2 z y WEIGHTS 1 0 WITHSCORES       => ["a", "0", "b", "2"]
            ZUNION 2 z y WEIGHTS 1 0 WITHSCORES       => ["b", "2", "a", "inf"]
        "#,
    );
}

#[test]
fn replies_events_and_propagation() {
    check(
        r#"
            ZADD z 1 a 2 b 3 c                 => :3
              ! new z, zadd z
              > ZADD z 1 a 2 b 3 c
              > nothing
            ZADD z 1 a                         => :0
              ! none
              > nothing
            ZADD z XX 5 nope                   => :0
              ! none
              > nothing
            ZADD none XX 5 nope                => :0
              ! none
              > nothing
            ZADD z CH 5 a 6 q                  => :2
              ! zadd z
              > ZADD z CH 5 a 6 q
              > nothing
            ZADD z INCR 1 a                    => "6"
              ! zincr z
              > ZADD z INCR 1 a
              > nothing
            ZADD z INCR NX 1 a                 => nil
              ! none
              > nothing
            ZINCRBY z 0 a                      => "6"
              ! none
              > nothing
            ZINCRBY z 2 a                      => "8"
              ! zincr z
              > ZINCRBY z 2 a
              > nothing
            ZREM z nope                        => :0
              ! none
              > nothing
            ZREM z q                           => :1
              ! zrem z
              > ZREM z q
              > nothing
            ZADD z GT 1 a                      => :0
              ! none
              > nothing
            ZPOPMIN z                          => ["b", "2"]
              ! zpopmin z
              > ZPOPMIN z
              > nothing
            ZPOPMAX z 5                        => ["a", "8", "c", "3"]
              ! zpopmax z, del z
              > ZPOPMAX z 5
              > nothing
            ZPOPMAX z 5                        => []
              ! none
              > nothing
            ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i => :9
              ! new z, zadd z
              > ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i
              > nothing
            ZREMRANGEBYRANK z 0 0              => :1
              ! zremrangebyrank z
              > ZREMRANGEBYRANK z 0 0
              > nothing
            ZREMRANGEBYSCORE z 2 2             => :1
              ! zremrangebyscore z
              > ZREMRANGEBYSCORE z 2 2
              > nothing
            ZREMRANGEBYLEX z - +               => :7
              ! zremrangebylex z, del z
              > ZREMRANGEBYLEX z - +
              > nothing
            ZADD z 1 a 2 b 3 c 4 d             => :4
              ! new z, zadd z
              > ZADD z 1 a 2 b 3 c 4 d
              > nothing
            ZPOPMIN z 0                        => []
              ! none
              > nothing
            ZMPOP 2 none z MIN COUNT 2         => ["z", [["a", "1"], ["b", "2"]]]
              ! zpopmin z
              > ZPOPMIN z 2
              > nothing
            BZPOPMAX none z 0                  => ["z", "d", "4"]
              ! zpopmax z
              > ZPOPMAX z
              > nothing
            BZMPOP -1 1 z MAX COUNT 0          => -ERR count should be greater than 0
            BZMPOP 0 1 z MAX COUNT 10          => ["z", [["c", "3"]]]
              ! zpopmax z, del z
              > ZPOPMAX z 1
              > nothing
            ZADD z 1 a 2 b                     => :2
              ! new z, zadd z
              > ZADD z 1 a 2 b
              > nothing
            ZUNIONSTORE d 1 z                  => :2
              ! new d, zunionstore d
              > ZUNIONSTORE d 1 z
              > nothing
            ZINTERSTORE d 1 z                  => :2
              ! zinterstore d
              > ZINTERSTORE d 1 z
              > nothing
            ZDIFFSTORE d 1 z                   => :2
              ! zdiffstore d
              > ZDIFFSTORE d 1 z
              > nothing
            ZRANGESTORE d z 0 -1               => :2
              ! zrangestore d
              > ZRANGESTORE d z 0 -1
              > nothing
            ZUNIONSTORE d 1 none               => :0
              ! keymiss none, del d
              > ZUNIONSTORE d 1 none
              > nothing
            ZUNIONSTORE d 1 none               => :0
              ! keymiss none
              > nothing
            ZRANGESTORE d none 0 -1            => :0
              ! keymiss none
              > nothing
            ZRANGESTORE z none 0 -1            => :0
              ! keymiss none, del z
              > ZRANGESTORE z none 0 -1
              > nothing
            ZADD z 1 a                         => :1
              ! new z, zadd z
              > ZADD z 1 a
              > nothing
            SET s x                            => +OK
              ! new s, set s
              > SET s x
              > nothing
            ZUNIONSTORE s 1 z                  => :1
              ! zunionstore s
              > ZUNIONSTORE s 1 z
              > nothing
            ZREM z a                           => :1
              ! zrem z, del z
              > ZREM z a
              > nothing
            ZSCORE none a                      => nil
              ! keymiss none
              > nothing
            ZUNION 2 none z                    => []
              ! keymiss none, keymiss z
              > nothing
            ZADD z 1 a                         => :1
              ! new z, zadd z
              > ZADD z 1 a
              > nothing
            EXPIRE z 100                       => :1
            ZUNIONSTORE z 1 z                  => :1
              ! zunionstore z
              > ZUNIONSTORE z 1 z
              > nothing
            TTL z                              => :-1
              ! none
              > nothing
            ZINCRBY new 1 m                    => "1"
              ! new new, zincr new
              > ZINCRBY new 1 m
              > nothing
        "#,
    );
}

/// Runs a scenario with listpacks, and again with trees from the first member on.
fn check_both(script: &str) {
    check(script);
    Scenario::with(EngineConfig { zset_max_listpack_entries: 0, ..EngineConfig::default() }).check(script);
}

#[test]
fn pairs_are_nested_in_resp3_where_redis_nests_them() {
    check_both(
        r#"
            resp3
            ZADD z 0.1 a 2 b 1e17 c 3e-7 d 123456789.125 e 1e300 f => :6
            ZRANGE z 0 1 WITHSCORES     => [["d", ,3e-7], ["a", ,0.1]]
            ZPOPMIN z                   => ["d", ,3e-7]
            ZPOPMIN z 1                 => [["a", ,0.1]]
            ZPOPMIN none                => []
            ZMPOP 1 z MIN               => ["z", [["b", ,2]]]
            ZMPOP 1 none MIN            => _
            BZPOPMIN z 0                => ["z", "e", ,123456789.125]
            BZPOPMIN none 0             => _
            ZRANK z f WITHSCORE         => [:1, ,1e+300]
            ZRANK z none WITHSCORE      => _
            ZUNION 1 z WITHSCORES       => [["c", ,100000000000000000], ["f", ,1e+300]]
            ZMSCORE z f none            => [,1e+300, _]
            ZRANDMEMBER none 2          => []
            ZRANDMEMBER none            => _
            ZRANDMEMBER none -9223372036854775807 => []
            ZINCRBY z 1 q               => ,1
            ZADD z NX INCR 1 q          => _
        "#,
    );
}

#[test]
fn ranges_by_every_bound() {
    check_both(
        r#"
            ZADD z 1 a 2 b 3 c 4 d 5 e              => :5
            ZRANGE z 1 -2                           => ["b", "c", "d"]
            ZRANGE z 0 1 REV WITHSCORES             => ["e", "5", "d", "4"]
            ZRANGE z -100 100                       => ["a", "b", "c", "d", "e"]
            ZRANGE z 3 2                            => []
            ZRANGE z (1 4 BYSCORE                   => ["b", "c", "d"]
            ZRANGE z (4 1 BYSCORE REV LIMIT 1 1     => ["b"]
            ZRANGE z -inf +inf BYSCORE LIMIT 3 -1   => ["d", "e"]
            ZRANGE z 1 5 BYSCORE LIMIT 5 1          => []
            ZRANGE z [b (d BYLEX                    => ["b", "c"]
            ZRANGE z + [d BYLEX REV                 => ["e", "d"]
            ZREVRANGEBYSCORE z +inf (3              => ["e", "d"]
            ZRANGEBYLEX z - (b                      => ["a"]
            ZCOUNT z 2 (5                           => :3
            ZLEXCOUNT z - +                         => :5
            ZRANGESTORE y z 0 1 REV                 => :2
            ZRANGE y 0 -1                           => ["d", "e"]
            ZRANGE z a b                            => -ERR value is not an integer or out of range
            ZRANGE z a b BYSCORE                    => -ERR min or max is not a float
            ZRANGE z a b BYLEX                      => -ERR min or max not valid string range item
            ZRANGE z 0 1 LIMIT 0 1                  => -ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
            ZRANGE z - + BYLEX WITHSCORES           => -ERR syntax error, WITHSCORES not supported in combination with BYLEX
            ZCOUNT z nan 1                          => -ERR min or max is not a float
        "#,
    );
}

#[test]
fn scores_that_are_no_numbers_stay_out() {
    check_both(
        r#"
            ZADD z nan a                        => -ERR value is not a valid float
            ZADD z 1 a nan b                    => -ERR value is not a valid float
            EXISTS z                            => :0
            ZADD z inf a                        => :1
            ZINCRBY z -inf a                    => -ERR resulting score is not a number (NaN)
            ZSCORE z a                          => "inf"
            ZUNIONSTORE y 2 z z WEIGHTS 1 -1    => :1
            ZRANGE y 0 -1 WITHSCORES            => ["a", "0"]
            ZUNIONSTORE y 1 z WEIGHTS 0         => :1
            ZRANGE y 0 -1 WITHSCORES            => ["a", "0"]
        "#,
    );
}

#[test]
fn unions_intersections_and_differences() {
    check_both(
        r#"
            ZADD x 1 a 2 b 3 c                                  => :3
            ZADD y 10 b 20 c 30 d                               => :3
            ZUNION 2 x y WITHSCORES                             => ["a", "1", "b", "12", "c", "23", "d", "30"]
            ZUNION 2 x y WEIGHTS 2 0.5 WITHSCORES               => ["a", "2", "b", "9", "d", "15", "c", "16"]
            ZUNION 2 x y AGGREGATE MAX WITHSCORES               => ["a", "1", "b", "10", "c", "20", "d", "30"]
            ZINTER 2 x y AGGREGATE MIN WITHSCORES               => ["b", "2", "c", "3"]
            ZINTER 3 x y none                                   => []
            ZDIFF 2 x y WITHSCORES                              => ["a", "1"]
            ZDIFF 3 x none y                                    => ["a"]
            ZINTERCARD 2 x y                                    => :2
            ZINTERCARD 2 x y LIMIT 1                            => :1
            ZINTERCARD 1 x LIMIT 2                              => :2
            ZUNION 0 x                                          => -ERR at least 1 input key is needed for 'zunion' command
            ZUNION 3 x y                                        => -ERR syntax error
            ZUNION 1 x WEIGHTS a                                => -ERR weight value is not a float
            ZINTERCARD 1 x LIMIT -1                             => -ERR LIMIT can't be negative
            SET s 1                                             => +OK
            ZUNION 2 x s                                        => -WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn random_members_are_members() {
    for limit in [0, 128] {
        let mut scenario = Scenario::with(EngineConfig { zset_max_listpack_entries: limit, ..EngineConfig::default() });
        scenario.check("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j => :10");
        let mut seen = std::collections::BTreeMap::new();
        for count in 1..=12 {
            for _ in 0..200 {
                let reply = scenario.line(&format!("ZRANDMEMBER z {count}"));
                let mut names: Vec<_> = reply.trim_matches(['[', ']']).split(", ").map(str::to_owned).collect();
                assert_eq!(names.len(), count.min(10));
                names.sort();
                names.dedup();
                assert_eq!(names.len(), count.min(10), "no member twice");
                if count == 1 || count == 5 {
                    names.into_iter().for_each(|name| *seen.entry(name).or_insert(0) += 1);
                }
            }
        }
        // 120 expected for each of the ten; the bound is six standard deviations away.
        assert_eq!(seen.len(), 10);
        assert!(seen.values().all(|count| (60..180).contains(count)), "{seen:?}");
        let repeated = scenario.line("ZRANDMEMBER z -50");
        assert_eq!(repeated.split(", ").count(), 50);
        scenario.check("ZRANDMEMBER z -9223372036854775807 => -ERR value is out of range");
    }
}

#[test]
fn a_scan_may_leave_scores_out() {
    check(
        r#"
        ZADD z 1 a 2 b           => :2
        ZSCAN z 0                => ["0", ["a", "1", "b", "2"]]
        ZSCAN z 0 NOSCORES MATCH b => ["0", ["b"]]
        SADD s a                 => :1
        SSCAN s 0 NOSCORES       => -ERR syntax error
        "#,
    );
}

#[test]
fn a_scan_sees_every_member_once() {
    let mut scenario = Scenario::new();
    for n in 0..1000 {
        scenario.line(&format!("ZADD z {n} member:{n}"));
    }
    let (mut cursor, mut names) = ("0".to_owned(), Vec::new());
    loop {
        let reply = scenario.line(&format!("ZSCAN z {cursor} COUNT 7"));
        let (next, rest) = reply.trim_start_matches("[\"").split_once("\", ").unwrap();
        let members = rest.trim_matches(['[', ']']);
        names.extend(members.split(", ").filter(|text| text.contains("member")).map(str::to_owned));
        cursor = next.to_owned();
        if cursor == "0" {
            break;
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 1000);
}

use crate::testing::{Scenario, check};

#[test]
fn ids_are_given_out_in_order() {
    check(
        r#"
        XADD s 007-1 a 1 => "7-1"
          ! new s, xadd s
          > XADD s 007-1 a 1
        XADD s 7-1 a 1 => -ERR The ID specified in XADD is equal or smaller than the target stream top item
        XADD s 0-0 a 1 => -ERR The ID specified in XADD must be greater than 0-0
        XADD s 9-* a 1 => "9-0"
          > XADD s 9-0 a 1
        XADD s 9-* a 1 => "9-1"
        XADD s 5-* a 1 => -ERR The ID specified in XADD is equal or smaller than the target stream top item
        XADD s * a 1 => "1000000000000-0"
          > XADD s 1000000000000-0 a 1
        XADD s * a 1 => "1000000000000-1"
        XADD s 2000000000000-7 a 1 => "2000000000000-7"
        XADD s * a 1 => "2000000000000-8"
        XADD s 18446744073709551615-18446744073709551615 a 1 => "18446744073709551615-18446744073709551615"
        XADD s * a 1 => -ERR The stream has exhausted the last possible ID, unable to add more items
        XADD z 0-* a 1 => "0-1"
        XADD s 18446744073709551616-1 a 1 => -ERR Invalid stream ID specified as stream command argument
        XADD s 5--1 a 1 => -ERR Invalid stream ID specified as stream command argument
        XADD s 0-0 a => -ERR wrong number of arguments for 'xadd' command
        XADD s MAXLEN 3 LIMIT 2 => -ERR syntax error, LIMIT cannot be used without the special ~ option
        XADD s * a => -ERR wrong number of arguments for 'xadd' command
        XADD s * a b c => -ERR wrong number of arguments for 'xadd' command
        XADD t NOMKSTREAM * a b => nil
        EXISTS t => :0
        SET str x => +OK
        XADD str * a b => -WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn cutting_is_propagated_as_it_came_out() {
    check(
        r#"
        XADD t MAXLEN -1 * a b => -ERR The MAXLEN argument must be >= 0.
        XADD t MAXLEN x * a b => -ERR value is not an integer or out of range
        XADD t MAXLEN 10 LIMIT 5 * a b => -ERR syntax error, LIMIT cannot be used without the special ~ option
        XADD t MAXLEN 10 MINID 5 * a b => -ERR syntax error, MAXLEN and MINID options at the same time are not compatible
        XADD t LIMIT 5 * a b => -ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
        XADD t MAXLEN ~ 10 LIMIT 7 1-1 a b => "1-1"
          > XADD t MAXLEN = 1 LIMIT 7 1-1 a b
        XADD t MINID ~ 1-1 1-2 a b => "1-2"
          > XADD t MINID = 1-1 1-2 a b
        XADD t MAXLEN = 2 1-* a b => "1-3"
          ! xadd t, xtrim t
          > XADD t MAXLEN = 2 1-3 a b
        XTRIM t MAXLEN ~ 1 => :0
          > nothing
        XTRIM t MINID 1-3 => :1
          ! xtrim t
          > XTRIM t MINID 1-3
        XTRIM t MAXLEN ~ 0 => :1
          > XTRIM t MAXLEN = 0
        XLEN t => :0
        EXISTS t => :1
        XTRIM t FOO 5 => -ERR syntax error
        XTRIM missing MAXLEN 5 => :0
        "#,
    );
}

#[test]
fn a_cut_at_nodes_keeps_to_its_limit() {
    let mut scenario = Scenario::new();
    scenario.engine.config.stream_node_max_entries = 10;
    for n in 1..=2505 {
        scenario.line(&format!("XADD s {n} a {n}"));
    }
    scenario.check(
        r#"
        XTRIM s MAXLEN ~ 0 => :1000
        XTRIM s MAXLEN ~ 0 LIMIT 15 => :10
        XTRIM s MAXLEN ~ 0 LIMIT 9 => :0
        XTRIM s MINID ~ 1200 => :180
          > XTRIM s MINID = 1191-0
        XTRIM s MAXLEN ~ 3 LIMIT 0 => :1310
        XTRIM s MAXLEN 3 => :2
        "#,
    );
}

#[test]
fn ranges_run_both_ways() {
    check(
        r#"
        XADD s 1-1 a 1 b 2 => "1-1"
        XADD s 1-2 a 3 b 4 => "1-2"
        XADD s 2-0 c 5 => "2-0"
        XRANGE s - + => [["1-1", ["a", "1", "b", "2"]], ["1-2", ["a", "3", "b", "4"]], ["2-0", ["c", "5"]]]
        XREVRANGE s + - COUNT 1 => [["2-0", ["c", "5"]]]
        XRANGE s 1 1 COUNT 1 => [["1-1", ["a", "1", "b", "2"]]]
        XRANGE s (1-1 (2-0 => [["1-2", ["a", "3", "b", "4"]]]
        XRANGE s - + COUNT 0 => nil-array
        XRANGE missing - + COUNT 0 => []
        XRANGE s + - => []
        XRANGE s (18446744073709551615-18446744073709551615 + => -ERR invalid start ID for the interval
        XRANGE s - (0-0 => -ERR invalid end ID for the interval
        XRANGE s (- + => -ERR Invalid stream ID specified as stream command argument
        XRANGE s - + FOO => -ERR syntax error
        XDEL s 1-2 9-9 => :1
          ! xdel s
        XDEL s 1-2 x => -ERR Invalid stream ID specified as stream command argument
        XLEN s => :2
        XREVRANGE s 2-0 1-1 => [["2-0", ["c", "5"]], ["1-1", ["a", "1", "b", "2"]]]
        COPY s t => :1
        XRANGE t 2 + => [["2-0", ["c", "5"]]]
        OBJECT ENCODING t => "stream"
        TYPE t => +stream
        "#,
    );
}

#[test]
fn reading_behind_ids() {
    check(
        r#"
        XADD s 1-1 a 1 => "1-1"
        XADD s 1-2 a 2 => "1-2"
        XREAD STREAMS s 0 => [["s", [["1-1", ["a", "1"]], ["1-2", ["a", "2"]]]]]
        XREAD COUNT 1 STREAMS missing s 0 0 => [["s", [["1-1", ["a", "1"]]]]]
        XREAD STREAMS s $ => nil-array
        XREAD STREAMS s + => [["s", [["1-2", ["a", "2"]]]]]
        XREAD BLOCK 10 STREAMS s $ => nil-array
        XREAD BLOCK -1 STREAMS s 0 => -ERR timeout is negative
        XREAD BLOCK x STREAMS s 0 => -ERR timeout is not an integer or out of range
        XREAD BLOCK 9223372036854775807 STREAMS s $ => -ERR timeout is out of range
        XREAD STREAMS s > => -ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.
        XREAD STREAMS s t 0 => -ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.
        XREADGROUP COUNT 1 COUNT 2 STREAMS s 0 => -ERR Missing GROUP option for XREADGROUP
        SET str x => +OK
        XREAD STREAMS s str 0 0 => -WRONGTYPE Operation against a key holding the wrong kind of value
        resp3
        XREAD STREAMS str s 1-1 x => -WRONGTYPE Operation against a key holding the wrong kind of value
        XREAD STREAMS s str x 1-1 => -ERR Invalid stream ID specified as stream command argument
        XREAD STREAMS s 1--9223372036854775809 => _
        XREAD STREAMS str 18446744073709551615-18446744073709551615 => -WRONGTYPE Operation against a key holding the wrong kind of value
        XREAD STREAMS s 1-1 => {"s": [["1-2", ["a", "2"]]]}
        XREAD STREAMS s 1-2 => _
        "#,
    );
}

#[test]
fn groups_hand_entries_out() {
    check(
        r#"
        XGROUP CREATE s g $ => -ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
        XGROUP CREATE s g $ MKSTREAM => +OK
          ! new s, xgroup-create s
        XGROUP CREATE s g $ => -BUSYGROUP Consumer Group name already exists
        XGROUP create s h 0 FOO => -ERR unknown subcommand or wrong number of arguments for 'create'. Try XGROUP HELP.
        XADD s 1-1 a 1 => "1-1"
        XADD s 1-2 a 2 => "1-2"
        XADD s 1-3 a 3 => "1-3"
        XREADGROUP GROUP g c COUNT 1 STREAMS s > => [["s", [["1-1", ["a", "1"]]]]]
          ! xgroup-createconsumer s
          > XCLAIM s g c 0 1-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1
          > XGROUP SETID s g 1-1 ENTRIESREAD 1
          > nothing
        XREADGROUP GROUP g d COUNT 1 NOACK STREAMS s > => [["s", [["1-2", ["a", "2"]]]]]
          > XGROUP CREATECONSUMER s g d
          > XGROUP SETID s g 1-2 ENTRIESREAD 2
          > nothing
        XREADGROUP GROUP g e STREAMS s 0 => [["s", []]]
          > nothing
        XREADGROUP GROUP g c STREAMS s > => [["s", [["1-3", ["a", "3"]]]]]
        XREADGROUP GROUP g c STREAMS s > => nil-array
          > nothing
        XDEL s 1-1 => :1
        wait 10
        XREADGROUP GROUP g c STREAMS s 0 => [["s", [["1-1", nil-array], ["1-3", ["a", "3"]]]]]
        wait 5
        XPENDING s g - + 10 => [["1-1", "c", :15, :1], ["1-3", "c", :5, :2]]
        XPENDING s g IDLE 6 - + 10 c => [["1-1", "c", :15, :1]]
        XPENDING s g => [:2, "1-1", "1-3", [["c", "2"]]]
        XPENDING s g - + => -ERR syntax error
        XPENDING s nog => -NOGROUP No such key 's' or consumer group 'nog'
        XACK s g 1-1 1-1 5-5 => :1
          ! none
          > XACK s g 1-1 1-1 5-5
        XACK s g 1-1 => :0
          > nothing
        XREADGROUP GROUP g c STREAMS s $ => -ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.
        XREADGROUP GROUP g c STREAMS t > => -NOGROUP No such key 't' or consumer group 'g' in XREADGROUP with GROUP option
        XGROUP CREATE s h $ MKSTREAM MKSTREAM ENTRIESREAD 1 => -ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.
        XGROUP SETID s g $ ENTRIESREAD 1 ENTRIESREAD 1 => -ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.
        XGROUP SETID s g $ ENTRIESREAD x 1 => -ERR value is not an integer or out of range
        XGROUP SETID s nog $ ENTRIESREAD 1 ENTRIESREAD 1 => -NOGROUP No such consumer group 'nog' for key name 's'
        XGROUP SETID t g $ ENTRIESREAD 1 ENTRIESREAD 1 => -ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
        XGROUP CREATE s h - => -ERR Invalid stream ID specified as stream command argument
        XGROUP SETID s g - => +OK
          ! xgroup-setid s
        XREADGROUP GROUP g d STREAMS s > => [["s", [["1-2", ["a", "2"]], ["1-3", ["a", "3"]]]]]
        XPENDING s g => [:2, "1-2", "1-3", [["d", "2"]]]
        XGROUP DELCONSUMER s g d => :2
          ! xgroup-delconsumer s
        XGROUP DELCONSUMER s g d => :0
        XGROUP CREATECONSUMER s g d => :1
        XGROUP CREATECONSUMER s g d => :0
        XPENDING s g => [:0, nil, nil, nil-array]
        XGROUP DESTROY s g => :1
          ! xgroup-destroy s
        XGROUP DESTROY s g => :0
        "#,
    );
}

#[test]
fn entries_are_claimed() {
    check(
        r#"
        XADD s 1-1 a 1 => "1-1"
        XADD s 1-2 a 2 => "1-2"
        XADD s 1-3 a 3 => "1-3"
        XGROUP CREATE s g 0 => +OK
        XREADGROUP GROUP g c STREAMS s > => [["s", [["1-1", ["a", "1"]], ["1-2", ["a", "2"]], ["1-3", ["a", "3"]]]]]
        wait 10
        XCLAIM s g d 11 1-1 => []
          ! xgroup-createconsumer s
          > nothing
        XCLAIM s g d 10 1-1 => [["1-1", ["a", "1"]]]
          > XCLAIM s g d 0 1-1 TIME 1000000000010 RETRYCOUNT 2 FORCE JUSTID LASTID 1-3
          > nothing
        XCLAIM s g d 0 1-1 JUSTID RETRYCOUNT 7 IDLE 4 => ["1-1"]
          > XCLAIM s g d 0 1-1 TIME 1000000000006 RETRYCOUNT 7 FORCE JUSTID LASTID 1-3
        XACK s g 1-1 => :1
        XCLAIM s g d 0 1-1 => []
        XCLAIM s g d 0 1-1 FORCE JUSTID => ["1-1"]
        XCLAIM s g d 0 8-8 FORCE LASTID 9-0 => []
          > XGROUP SETID s g 9-0 ENTRIESREAD 3
          > nothing
        XCLAIM s g d x 1-1 => -ERR Invalid min-idle-time argument for XCLAIM
        XCLAIM s g d 0 1-1 FOO => -ERR Unrecognized XCLAIM option 'FOO'
        XCLAIM s nog d 0 1-1 => -NOGROUP No such key 's' or consumer group 'nog'
        XDEL s 1-2 => :1
        XAUTOCLAIM s g e 0 0 COUNT 1 => ["1-2", [["1-1", ["a", "1"]]], []]
        XAUTOCLAIM s g e 0 1-2 COUNT 2 JUSTID => ["0-0", ["1-3"], ["1-2"]]
          > XCLAIM s g c 0 1-2 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 9-0
          > XCLAIM s g e 0 1-3 TIME 1000000000010 RETRYCOUNT 1 FORCE JUSTID LASTID 9-0
          > nothing
        XAUTOCLAIM s g e 100 0 => ["0-0", [], []]
        XAUTOCLAIM s g e 0 0 COUNT 0 => -ERR COUNT must be > 0
        XAUTOCLAIM missing g e 0 0 => -NOGROUP No such key 'missing' or consumer group 'g'
        "#,
    );
}

#[test]
fn streams_tell_of_themselves() {
    check(
        r#"
        XADD s 1-1 a 1 => "1-1"
        XADD s 1-2 a 2 => "1-2"
        XGROUP CREATE s g 0 => +OK
        XREADGROUP GROUP g c COUNT 1 STREAMS s > => [["s", [["1-1", ["a", "1"]]]]]
        XDEL s 1-1 => :1
        XINFO STREAM s => ["length", :1, "radix-tree-keys", :1, "radix-tree-nodes", :2, "last-generated-id", "1-2", "max-deleted-entry-id", "1-1", "entries-added", :2, "recorded-first-entry-id", "1-2", "groups", :1, "first-entry", ["1-2", ["a", "2"]], "last-entry", ["1-2", ["a", "2"]]]
        wait 3
        XINFO GROUPS s => [["name", "g", "consumers", :1, "pending", :1, "last-delivered-id", "1-1", "entries-read", :1, "lag", :1]]
        XINFO CONSUMERS s g => [["name", "c", "pending", :1, "idle", :3, "inactive", :3]]
        XINFO STREAM s FULL COUNT 1 => ["length", :1, "radix-tree-keys", :1, "radix-tree-nodes", :2, "last-generated-id", "1-2", "max-deleted-entry-id", "1-1", "entries-added", :2, "recorded-first-entry-id", "1-2", "entries", [["1-2", ["a", "2"]]], "groups", [["name", "g", "last-delivered-id", "1-1", "entries-read", :1, "lag", :1, "pel-count", :1, "pending", [["1-1", "c", :1000000000000, :1]], "consumers", [["name", "c", "seen-time", :1000000000000, "active-time", :1000000000000, "pel-count", :1, "pending", [["1-1", :1000000000000, :1]]]]]]]
        XINFO STREAM missing FOO => -ERR no such key
        XINFO STREAM s FOO => -ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.
        XINFO STREAM missing => -ERR no such key
        XINFO CONSUMERS s nog => -NOGROUP No such consumer group 'nog' for key name 's'
        XSETID s 1-1 => -ERR The ID specified in XSETID is smaller than the target stream top item
        XSETID s 1-0 => -ERR The ID specified in XSETID is smaller than current max_deleted_entry_id
        XSETID s 5-5 ENTRIESADDED 0 MAXDELETEDID 1-1 => -ERR The entries_added specified in XSETID is smaller than the target stream length
        XSETID s 5-5 ENTRIESADDED -1 => -ERR entries_added must be positive
        XSETID s 5-5 MAXDELETEDID 9-1 => -ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id
        XSETID s 5-5 ENTRIESADDED 10 MAXDELETEDID 0-1 => +OK
          ! xsetid s
        XSETID missing 1-1 => -ERR no such key
        "#,
    );
}

#[test]
fn deleting_looks_at_references() {
    check(
        r#"
        XADD s 1-0 f v => "1-0"
        XADD s 2-0 f v => "2-0"
        XADD s 3-0 f v => "3-0"
        XGROUP CREATE s g 0 => +OK
        XGROUP CREATE s h 1-0 => +OK
        XREADGROUP GROUP g c COUNT 1 STREAMS s > => [["s", [["1-0", ["f", "v"]]]]]
        XDELEX s ACKED IDS 3 1-0 2-0 9-9 => [:2, :2, :-1]
          ! none
          > nothing
        XACK s g 1-0 => :1
        XDELEX s ACKED IDS 2 1-0 3-0 => [:1, :2]
          ! xdel s
          > XDELEX s ACKED IDS 2 1-0 3-0
        XGROUP DESTROY s h => :1
        XREADGROUP GROUP g c STREAMS s > => [["s", [["2-0", ["f", "v"]], ["3-0", ["f", "v"]]]]]
        XDEL s 2-0 => :1
        XDELEX s IDS 1 2-0 => [:-1]
        XDELEX s DELREF IDS 1 2-0 => [:-1]
          ! none
          > XDELEX s DELREF IDS 1 2-0
        XPENDING s g => [:1, "3-0", "3-0", [["c", "1"]]]
        XDELEX s IDS 1 3-0 KEEPREF => [:1]
        XPENDING s g => [:1, "3-0", "3-0", [["c", "1"]]]
        XDELEX none IDS 2 1 2 => [:-1, :-1]
        XDELEX s IDS 0 1-1 => -ERR Number of IDs must be a positive integer
        XDELEX s IDS x 1-1 => -ERR Number of IDs must be a positive integer
        XDELEX s IDS 9223372036854775807 1-1 => -ERR The `numids` parameter must match the number of arguments
        XDELEX s IDS 1 1-1 2-2 => -ERR syntax error
        XDELEX s KEEPREF ACKED IDS 1 1-1 => -ERR syntax error
        XDELEX s KEEPREF DELREF 1 => -ERR syntax error
        XDELEX s IDS 1 x => -ERR Invalid stream ID specified as stream command argument
        SET str x => +OK
        XDELEX str IDS 1 1-1 => -WRONGTYPE Operation against a key holding the wrong kind of value
        XACKDEL str g IDS 1 1-1 => -WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn acknowledging_can_delete() {
    check(
        r#"
        XADD s 1-0 f v => "1-0"
        XADD s 2-0 f v => "2-0"
        XGROUP CREATE s g 0 => +OK
        XGROUP CREATE s h 0 => +OK
        XREADGROUP GROUP g c STREAMS s > => [["s", [["1-0", ["f", "v"]], ["2-0", ["f", "v"]]]]]
        XREADGROUP GROUP h d STREAMS s > => [["s", [["1-0", ["f", "v"]], ["2-0", ["f", "v"]]]]]
        XACKDEL s g ACKED IDS 1 1-0 => [:2]
          ! none
          > XACKDEL s g ACKED IDS 1 1-0
        XACKDEL s h ACKED IDS 2 1-0 1-0 => [:1, :-1]
          ! xdel s
        XACKDEL s g IDS 1 2-0 => [:1]
        XPENDING s h => [:1, "2-0", "2-0", [["d", "1"]]]
        # Gone from the stream, but pending here.
        XACKDEL s h IDS 1 2-0 => [:1]
        XACKDEL s none IDS 1 2-0 => [:-1]
        XACKDEL none g IDS 1 2-0 => [:-1]
        XLEN s => :0
        XADD s 3-0 f v => "3-0"
        XREADGROUP GROUP g c STREAMS s > => [["s", [["3-0", ["f", "v"]]]]]
        XREADGROUP GROUP h d STREAMS s > => [["s", [["3-0", ["f", "v"]]]]]
        XACKDEL s g DELREF IDS 1 3-0 => [:1]
        XPENDING s h => [:0, nil, nil, nil-array]
        "#,
    );
}

#[test]
fn cutting_looks_at_references() {
    check(
        r#"
        XADD s 1-0 f v => "1-0"
        XADD s 2-0 f v => "2-0"
        XADD s 3-0 f v => "3-0"
        XADD s 4-0 f v => "4-0"
        XTRIM s MAXLEN 4 ACKED => :0
        XGROUP CREATE s g 0 => +OK
        XADD s MAXLEN = 1 ACKED 5-0 f v => "5-0"
        XLEN s => :5
        XREADGROUP GROUP g c COUNT 3 STREAMS s > => [["s", [["1-0", ["f", "v"]], ["2-0", ["f", "v"]], ["3-0", ["f", "v"]]]]]
        XACK s g 1-0 3-0 => :2
        # What is pending stays, what lies behind it goes.
        XTRIM s MAXLEN 1 ACKED => :2
          ! xtrim s
          > XTRIM s MAXLEN 1 ACKED
        XRANGE s - + => [["2-0", ["f", "v"]], ["4-0", ["f", "v"]], ["5-0", ["f", "v"]]]
        XTRIM s MINID 4 ACKED => :0
        XTRIM s MAXLEN ~ 0 ACKED => :0
        XTRIM s MINID 4 DELREF => :1
        XPENDING s g => [:0, nil, nil, nil-array]
        XADD s KEEPREF MAXLEN 1 6-0 f v => "6-0"
        XTRIM s MAXLEN ~ 0 DELREF => :1
          > XTRIM s MAXLEN = 0 DELREF
        XTRIM s MAXLEN 1 DELREF ACKED => -ERR syntax error
        "#,
    );
}

//! Short sessions over the data types, in both protocols.

use tests::{TestServer, check_session, run_session};

#[test]
fn strings() {
    check_session(
        r#"
        SET s hello EX 100         => +OK
        TTL s                      => :100
        APPEND s " world"          => :11
        GETRANGE s 0 -1            => "hello world"
        SETRANGE s 6 redis         => :11
        STRLEN s                   => :11
        INCRBY n 5                 => :5
        INCRBYFLOAT n 0.25         => 5.25
        INCR n                     => -ERR value is not an integer or out of range
        MSET a 1 b 2               => +OK
        MGET a b c                 => [1 2 (nil)]
        GETDEL a                   => 1
        GET a                      => (nil)
        SET b x NX                 => (nil)
        SET b x XX GET             => 2
        OBJECT ENCODING n          => embstr
        "#,
    );
}

#[test]
fn lists() {
    check_session(
        "
        LPUSHX k a                 => :0
        RPUSH k a b c              => :3
        LPUSH k z                  => :4
        LRANGE k 0 -1              => [z a b c]
        LPOS k b                   => :2
        LINSERT k BEFORE b x       => :5
        LREM k 1 z                 => :1
        LMOVE k other LEFT RIGHT   => a
        LMPOP 2 none other LEFT    => [other [a]]
        LPOP k 2                   => [x b]
        OBJECT ENCODING k          => listpack
        RPOP k                     => c
        EXISTS k                   => :0
        SET s v                    => +OK
        LPUSH s a                  => -WRONGTYPE Operation against a key holding the wrong kind of value
        ",
    );
}

#[test]
fn hashes() {
    check_session(
        "
        HSET h f 1 g 2             => :2
        HGETALL h                  => [f 1 g 2]
        HINCRBY h f 9              => :10
        HMGET h f x                => [10 (nil)]
        HSETNX h f 0               => :0
        HDEL h f                   => :1
        HLEN h                     => :1
        HEXPIRE h 100 FIELDS 1 g   => [:1]
        HTTL h FIELDS 1 g          => [:100]
        ",
    );
}

#[test]
fn sets() {
    check_session(
        "
        SADD s 3 1 2               => :3
        OBJECT ENCODING s          => intset
        SADD s x                   => :1
        OBJECT ENCODING s          => listpack
        SISMEMBER s x              => :1
        SADD t 1 2                 => :2
        SINTERCARD 2 s t           => :2
        SDIFFSTORE d t s           => :0
        EXISTS d                   => :0
        SMOVE s t x                => :1
        SMISMEMBER t x y           => [:1 :0]
        ",
    );
}

#[test]
fn sorted_sets() {
    check_session(
        "
        ZADD z 1 a 2 b 3 c         => :3
        ZADD z GT CH 5 a 1 b       => :1
        ZRANGE z 0 -1 WITHSCORES   => [b 2 c 3 a 5]
        ZRANK z a                  => :2
        ZINCRBY z 0.5 b            => 2.5
        ZRANGEBYSCORE z (2.5 +inf  => [c a]
        ZPOPMAX z                  => [a 5]
        ZSCORE z nobody            => (nil)
        ZADD z nan x               => -ERR value is not a valid float
        ",
    );
}

#[test]
fn generic() {
    check_session(
        "
        SET a 1                    => +OK
        COPY a b                   => :1
        RENAMENX a b               => :0
        RENAME a c                 => +OK
        TYPE c                     => +string
        EXPIRE c 100 GT            => :0
        PEXPIRE c 100000           => :1
        PERSIST c                  => :1
        SELECT 1                   => +OK
        DBSIZE                     => :0
        SWAPDB 0 1                 => +OK
        DBSIZE                     => :2
        UNLINK b c nothing         => :2
        NOSUCH x                   => -ERR unknown command 'NOSUCH', with args beginning with: 'x'
        GET                        => -ERR wrong number of arguments for 'get' command
        ",
    );
}

#[test]
fn transactions() {
    check_session(
        "
        MULTI                      => +OK
        INCR n                     => +QUEUED
        LPUSH n x                  => +QUEUED
        EXEC                       => [:1 -WRONGTYPE Operation against a key holding the wrong kind of value]
        MULTI                      => +OK
        NOSUCH                     => -ERR unknown command 'NOSUCH', with args beginning with:
        EXEC                       => -EXECABORT Transaction discarded because of previous errors.
        ",
    );
}

#[test]
fn resp3_types() {
    let server = TestServer::start();
    let mut client = server.client();
    let hello = client.call(&["HELLO", "3"]).to_string();
    assert!(hello.starts_with('{') && hello.contains("proto :3"), "{hello}");
    run_session(
        &mut client,
        "
        HSET h f v                 => :1
        HGETALL h                  => {f v}
        SADD s a                   => :1
        SMEMBERS s                 => ~[a]
        ZADD z 1.5 a               => :1
        ZSCORE z a                 => ,1.5
        ZRANGE z 0 -1 WITHSCORES   => [[a ,1.5]]
        GET none                   => (nil)
        ",
    );
}

#[test]
fn blocked_clients_are_served_in_order() {
    let server = TestServer::start();
    let mut waiting: Vec<_> = (0..3).map(|_| server.client()).collect();
    let mut other = server.client();
    for (i, client) in waiting.iter_mut().enumerate() {
        client.send(b"BLPOP k 20\r\n").unwrap();
        while other.info("blocked_clients") != i as u64 + 1 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    run_session(&mut other, "RPUSH k a b c => :3");
    for (client, expected) in waiting.iter_mut().zip(["[k a]", "[k b]", "[k c]"]) {
        assert_eq!(client.receive().unwrap().to_string(), expected);
    }
}

#[test]
fn the_unix_socket_serves_the_same_data() {
    let server = TestServer::start();
    run_session(&mut server.client(), "SET k v => +OK");
    run_session(&mut server.unix_client(), "GET k => v");
}

#[test]
fn published_messages_arrive() {
    let server = TestServer::start();
    let mut subscriber = server.client();
    assert_eq!(subscriber.call(&["SUBSCRIBE", "news"]).to_string(), "[subscribe news :1]");
    run_session(&mut server.client(), "PUBLISH news hello => :1");
    assert_eq!(subscriber.receive().unwrap().to_string(), "[message news hello]");
}

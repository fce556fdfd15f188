"""A session of redis-py over all five types, in RESP2 and RESP3.

usage: redis_py_session.py PORT
"""

import sys
import threading
import time

import redis

PORT = int(sys.argv[1])
passed = failed = 0


def check(name, got, expected):
    global passed, failed
    if got == expected:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: got {got!r}, expected {expected!r}")


def raises(name, kind, call):
    try:
        got = call()
    except kind:
        got = kind
    check(name, got, kind)


def strings(r):
    check("set", r.set("s", "hello", ex=100), True)
    check("ttl", 95 < r.ttl("s") <= 100, True)
    check("get", r.get("s"), "hello")
    check("set nx", r.set("s", "x", nx=True), None)
    check("set get", r.set("s", "world", get=True), "hello")
    check("append", r.append("s", "!"), 6)
    check("getrange", r.getrange("s", 0, 3), "worl")
    check("mset", r.mset({"a": 1, "b": 2}), True)
    check("mget", r.mget("a", "b", "none"), ["1", "2", None])
    check("incr", r.incr("n", 5), 5)
    check("incrbyfloat", r.incrbyfloat("n", 0.5), 5.5)
    check("getdel", r.getdel("a"), "1")
    check("getex", r.getex("b", px=50000), "2")
    check("lcs", r.execute_command("LCS", "s", "s"), "world!")
    check("strlen", r.strlen("s"), 6)
    raises("incr of text", redis.ResponseError, lambda: r.incr("s"))


def lists(r):
    check("rpush", r.rpush("l", *"abcde"), 5)
    check("lpush", r.lpush("l", "z"), 6)
    check("lrange", r.lrange("l", 0, -1), list("zabcde"))
    check("lpos", r.lpos("l", "c"), 3)
    check("linsert", r.linsert("l", "before", "a", "y"), 7)
    check("lset", r.lset("l", 0, "Z"), True)
    check("lindex", r.lindex("l", 0), "Z")
    check("lrem", r.lrem("l", 0, "y"), 1)
    check("lpop count", r.lpop("l", 2), ["Z", "a"])
    check("lmove", r.lmove("l", "m", "LEFT", "RIGHT"), "b")
    check("lmpop", r.lmpop(2, "none", "m", direction="LEFT"), ["m", ["b"]])
    check("ltrim", r.ltrim("l", 0, 1), True)
    check("llen", r.llen("l"), 2)
    raises("wrong type", redis.ResponseError, lambda: r.get("l"))


def sets(r):
    check("sadd", r.sadd("s1", 1, 2, 3), 3)
    check("sadd 2", r.sadd("s2", 2, 3, "x"), 3)
    check("sinter", set(r.sinter("s1", "s2")), {"2", "3"})
    check("sunion", set(r.sunion("s1", "s2")), {"1", "2", "3", "x"})
    check("sdiff", set(r.sdiff("s1", "s2")), {"1"})
    check("sintercard", r.sintercard(2, ["s1", "s2"], limit=1), 1)
    check("smismember", [int(x) for x in r.smismember("s1", ["1", "9"])], [1, 0])
    check("smove", bool(r.smove("s1", "s2", "1")), True)
    check("srandmember", len(r.srandmember("s2", -10)), 10)
    check("spop", r.spop("s1") in {"2", "3"}, True)
    check("scard", r.scard("s2"), 4)
    many = {f"m{i}" for i in range(3000)}
    r.sadd("big", *many)
    check("sscan_iter", set(r.sscan_iter("big", count=50)), many)


def hashes(r):
    check("hset", r.hset("h", mapping={"f": "1", "g": "2"}), 2)
    check("hgetall", r.hgetall("h"), {"f": "1", "g": "2"})
    check("hincrby", r.hincrby("h", "f", 41), 42)
    check("hincrbyfloat", r.hincrbyfloat("h", "g", 0.25), 2.25)
    check("hmget", r.hmget("h", "f", "none"), ["42", None])
    check("hdel", r.hdel("h", "f", "none"), 1)
    check("hexists", r.hexists("h", "g"), True)
    check("hsetnx", bool(r.hsetnx("h", "g", "0")), False)
    check("hexpire", r.hexpire("h", 100, "g"), [1])
    check("httl", r.httl("h", "g"), [100])
    many = {f"f{i}": str(i) for i in range(3000)}
    r.hset("big", mapping=many)
    check("hscan_iter", dict(r.hscan_iter("big", count=50)), many)
    check("hrandfield", len(r.hrandfield("big", 5, withvalues=False)), 5)


def sorted_sets(r):
    check("zadd", r.zadd("z", {"a": 1, "b": 2, "c": 3.5}), 3)
    check("zadd gt ch", r.zadd("z", {"a": 5, "b": 1}, gt=True, ch=True), 1)
    check("zscore", r.zscore("z", "c"), 3.5)
    check("zrange", r.zrange("z", 0, -1), ["b", "c", "a"])
    check("zrange scores", [tuple(x) for x in r.zrange("z", 0, -1, withscores=True)], [("b", 2.0), ("c", 3.5), ("a", 5.0)])
    check("zrangebyscore", r.zrangebyscore("z", "(2", "+inf"), ["c", "a"])
    check("zrevrank", r.zrevrank("z", "a"), 0)
    check("zincrby", r.zincrby("z", 1.5, "b"), 3.5)
    check("zcount", r.zcount("z", 3, 4), 2)
    check("zmscore", r.zmscore("z", ["a", "none"]), [5.0, None])
    check("zpopmin", [tuple(x) for x in r.zpopmin("z", 1)], [("b", 3.5)])
    r.zadd("y", {"a": 1, "q": 2})
    check("zunionstore", r.zunionstore("u", ["z", "y"]), 3)
    check("zinter", r.zinter(["z", "y"]), ["a"])
    check("zrangebylex", r.zrangebylex("u", "-", "+") != [], True)
    many = {f"m{i}": float(i) for i in range(2000)}
    r.zadd("big", many)
    check("zscan_iter", {k: float(v) for k, v in r.zscan_iter("big", count=50)}, many)


def keys(r):
    r.flushdb()
    names = {f"k:{i}" for i in range(2500)}
    pipe = r.pipeline(transaction=False)
    for name in names:
        pipe.set(name, "v")
    check("pipeline", pipe.execute(), [True] * len(names))
    check("scan_iter", set(r.scan_iter("k:*", count=100)), names)
    check("scan_iter of a type", list(r.scan_iter("k:*", _type="list")), [])
    check("dbsize", r.dbsize(), len(names))
    check("exists", r.exists("k:1", "k:1", "none"), 2)
    check("rename", r.rename("k:1", "new"), True)
    check("copy", bool(r.copy("new", "newer")), True)
    check("type", r.type("new"), "string")
    check("expire", r.expire("new", 100), True)
    check("persist", bool(r.persist("new")), True)
    check("unlink", r.unlink("new", "newer"), 2)
    check("randomkey", r.randomkey() in names, True)
    check("set px", r.set("short", "v", px=30), True)
    time.sleep(0.1)
    check("expired", r.get("short"), None)
    check("object encoding", r.object("ENCODING", "k:2"), "embstr")
    check("sort", r.rpush("nums", 3, 1, 2) and r.sort("nums"), ["1", "2", "3"])
    check("dbsize of another database", redis.Redis(port=PORT, db=3).dbsize(), 0)


def transactions(r):
    with r.pipeline() as pipe:
        pipe.watch("t")
        pipe.multi()
        pipe.set("t", 1).incr("t").get("t")
        check("multi", pipe.execute(), [True, 2, "2"])
    with r.pipeline() as pipe:
        pipe.watch("t")
        r.set("t", "changed")
        pipe.multi()
        pipe.set("t", "mine")
        raises("watch", redis.WatchError, pipe.execute)
    with r.pipeline() as pipe:
        pipe.set("t", "v").lpush("t", "x")
        got = pipe.execute(raise_on_error=False)
        check("error inside", (got[0], type(got[1])), (True, redis.ResponseError))


def blocking(r, make):
    def later(action):
        def act():
            time.sleep(0.1)
            action(make())

        thread = threading.Thread(target=act)
        thread.start()
        return thread

    thread = later(lambda c: c.rpush("q", "job"))
    check("blpop", list(r.blpop("q", timeout=5)), ["q", "job"])
    thread.join()
    thread = later(lambda c: c.zadd("zq", {"a": 1}))
    check("bzpopmin", list(r.bzpopmin("zq", timeout=5)), ["zq", "a", 1.0])
    thread.join()
    thread = later(lambda c: c.rpush("q1", "x"))
    check("blmove", r.blmove("q1", "q2", 5), "x")
    thread.join()
    start = time.monotonic()
    check("blpop times out", r.blpop("q", timeout=1), None)
    check("after its time", 0.9 < time.monotonic() - start < 3, True)


def pubsub(r):
    p = r.pubsub(ignore_subscribe_messages=True)
    p.subscribe("news")
    p.psubscribe("new*")
    for _ in range(2):
        p.get_message(timeout=1)
    check("publish", r.publish("news", "hello"), 2)
    got = [m for m in (p.get_message(timeout=1) for _ in range(4)) if m]
    check("messages", sorted((m["type"], m["data"]) for m in got), [("message", "hello"), ("pmessage", "hello")])
    p.close()


def server(r):
    check("ping", r.ping(), True)
    check("echo", r.echo("x"), "x")
    check("client name", r.client_setname("me") and r.client_getname(), "me")
    check("config", r.config_get("maxmemory"), {"maxmemory": "0"})
    info = r.info()
    check("info version", info["redis_version"].startswith("8.0."), True)
    check("info keyspace", isinstance(r.info("keyspace"), dict), True)
    check("command count", r.command_count() > 100, True)
    check("time", abs(r.time()[0] - time.time()) < 5, True)


def main():
    for protocol in (2, 3):

        def make():
            return redis.Redis(port=PORT, protocol=protocol, decode_responses=True, socket_timeout=20)

        for part in (strings, lists, sets, hashes, sorted_sets, keys, transactions, pubsub, server):
            r = make()
            r.flushall()
            try:
                part(r)
            except Exception as error:  # a part that breaks off must not hide the others
                check(f"RESP{protocol} {part.__name__} comes to its end", repr(error), None)
        r = make()
        r.flushall()
        try:
            blocking(r, make)
        except Exception as error:
            check(f"RESP{protocol} blocking comes to its end", repr(error), None)
    print(f"redis-py {redis.__version__}: {passed} passed, {failed} failed")
    sys.exit(failed != 0)


main()

// A session of ioredis over all five types; in both protocols where ioredis knows RESP3 (from version 6 on).
//
// usage: node ioredis_session.js PORT     (NODE_PATH names the folder with ioredis)
"use strict";

const Redis = require("ioredis");
const { check, end } = require("./score.js");

const port = Number(process.argv[2]);

async function raises(name, promise, pattern) {
  let text = "no error";
  try {
    await promise;
  } catch (error) {
    text = error.message;
  }
  check(name, pattern.test(text) || text, true);
}

async function collect(stream) {
  const all = [];
  for await (const part of stream) all.push(...part);
  return all;
}

const parts = {
  async strings(r) {
    check("set", await r.set("s", "hello", "EX", 100), "OK");
    check("get", await r.get("s"), "hello");
    check("getBuffer", await r.getBuffer("s"), Buffer.from("hello"));
    check("set nx", await r.set("s", "x", "NX"), null);
    check("incrby", await r.incrby("n", 7), 7);
    check("mset", await r.mset({ a: "1", b: "2" }), "OK");
    check("mget", await r.mget("a", "b", "none"), ["1", "2", null]);
    const bytes = Buffer.from([0, 13, 10, 255]);
    check("binary", [await r.set(bytes, bytes), await r.getBuffer(bytes)], ["OK", bytes]);
    await raises("incr of text", r.incr("s"), /not an integer/);
  },
  async lists(r) {
    check("rpush", await r.rpush("l", "a", "b", "c"), 3);
    check("lrange", await r.lrange("l", 0, -1), ["a", "b", "c"]);
    check("lmove", await r.lmove("l", "m", "LEFT", "RIGHT"), "a");
    check("lpop count", await r.lpop("l", 5), ["b", "c"]);
    await raises("wrong type", r.hget("m", "f"), /WRONGTYPE/);
  },
  async sets(r) {
    const members = Array.from({ length: 2000 }, (_, i) => `m${i}`).sort();
    check("sadd", await r.sadd("s", ...members), 2000);
    check("sscanStream", [...new Set(await collect(r.sscanStream("s", { count: 50 })))].sort(), members);
    check("smismember", await r.smismember("s", "m1", "x"), [1, 0]);
  },
  async hashes(r) {
    check("hset", await r.hset("h", { f: 1, g: 2 }), 2);
    check("hgetall", await r.hgetall("h"), { f: "1", g: "2" });
    check("hincrby", await r.hincrby("h", "f", 2), 3);
    check("hdel", await r.hdel("h", "f", "g"), 2);
    check("gone", await r.exists("h"), 0);
  },
  async sortedSets(r) {
    check("zadd", await r.zadd("z", 1, "a", 2.5, "b"), 2);
    check("zrange", await r.zrange("z", 0, -1, "WITHSCORES"), ["a", "1", "b", "2.5"]);
    check("zrevrangebyscore", await r.zrevrangebyscore("z", "+inf", "-inf", "LIMIT", 0, 1), ["b"]);
    check("zpopmax", await r.zpopmax("z"), ["b", "2.5"]);
  },
  async keys(r) {
    const names = Array.from({ length: 2000 }, (_, i) => `k:${i}`).sort();
    const pipe = r.pipeline();
    names.forEach((name) => pipe.set(name, "v"));
    check("pipeline", (await pipe.exec()).every(([error, reply]) => error === null && reply === "OK"), true);
    check("scanStream", [...new Set(await collect(r.scanStream({ match: "k:*", count: 100 })))].sort(), names);
    check("pexpire", await r.pexpire("k:1", 20), 1);
    await new Promise((resolve) => setTimeout(resolve, 80));
    check("expired", await r.exists("k:1"), 0);
    check("unlink", await r.unlink("k:2", "k:3", "none"), 2);
  },
  async transactions(r) {
    check("multi", await r.multi().set("t", 1).incr("t").exec(), [[null, "OK"], [null, 2]]);
    const other = r.duplicate();
    await r.watch("t");
    await other.set("t", "changed");
    check("watch", await r.multi().set("t", "mine").exec(), null);
    other.disconnect();
  },
  async blocking(r) {
    const other = r.duplicate();
    const waiting = r.blpop("q", 5);
    setTimeout(() => other.rpush("q", "job"), 100);
    check("blpop", await waiting, ["q", "job"]);
    check("bzpopmin times out", await r.bzpopmin("none", 0.2), null);
    other.disconnect();
  },
  async pubsub(r) {
    const subscriber = r.duplicate();
    const message = new Promise((resolve) => subscriber.on("message", (...args) => resolve(args)));
    check("subscribe", await subscriber.subscribe("news"), 1);
    check("publish", await r.publish("news", "hello"), 1);
    check("message", await message, ["news", "hello"]);
    subscriber.disconnect();
  },
  async server(r) {
    check("ready check saw INFO", r.serverInfo ? r.serverInfo.redis_mode : "standalone", "standalone");
    check("client setname", [await r.client("SETNAME", "me"), await r.client("GETNAME")], ["OK", "me"]);
    check("many at once", (await Promise.all(Array.from({ length: 5000 }, () => r.incr("many")))).pop(), 5000);
  },
};

const version = require("ioredis/package.json").version;
const protocols = Number(version.split(".")[0]) >= 6 ? [2, 3] : [2];
const runs = protocols.flatMap((protocol) => Object.entries(parts).map(([name, part]) => [protocol, name, part]));

async function main() {
  for (const [protocol, name, part] of runs) {
    const r = new Redis({ port, protocol, maxRetriesPerRequest: 1, commandTimeout: 20000 });
    r.on("error", () => {});
    try {
      await r.flushall();
      await part(r);
    } catch (error) {
      check(`RESP${protocol} ${name} comes to its end`, error.message, null);
    }
    r.disconnect();
  }
  end(`ioredis ${version} (RESP ${protocols.join(" and ")})`);
}

main();

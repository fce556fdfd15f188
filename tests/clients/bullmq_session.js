// Flows of BullMQ (a job queue made of Lua scripts) and Redlock (locks, likewise).
//
// usage: node bullmq_session.js PORT     (NODE_PATH names the folder with bullmq, ioredis and redlock)
"use strict";

const Redis = require("ioredis");
const { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } = require("bullmq");
const Redlock = require("redlock");
const { check, end, fail } = require("./score.js");

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
const WAIT_MS = 20000;

// The outcome of a promise that must come to an end.
function within(promise) {
  let timer;
  const late = new Promise((_, refuse) => {
    timer = setTimeout(() => refuse(new Error("it did not come to an end")), WAIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Runs `f` with a queue, its events and the workers it asks for, and closes all of them.
async function withQueue(name, f) {
  const queue = new Queue(name, { connection });
  const events = new QueueEvents(name, { connection });
  const open = [events, queue];
  const work = (processor, options) => {
    const worker = new Worker(name, processor, { connection, ...options });
    worker.on("error", () => {});
    open.unshift(worker);
    return worker;
  };
  try {
    await within(events.waitUntilReady());
    await f({ queue, events, work });
  } finally {
    for (const one of open) await within(one.close());
  }
}

const parts = {
  add_and_process: () =>
    withQueue("plain", async ({ queue, events, work }) => {
      const jobs = await queue.addBulk([1, 2, 3].map((n) => ({ name: "square", data: { n } })));
      check("count before", await queue.getWaitingCount(), 3);
      work(async (job) => {
        await job.updateProgress(50);
        await job.log("half");
        return job.data.n ** 2;
      });
      const results = await within(Promise.all(jobs.map((job) => job.waitUntilFinished(events))));
      check("results", results, [1, 4, 9]);
      check("completed", await queue.getCompletedCount(), 3);
      check("logs", (await queue.getJobLogs(jobs[0].id)).logs, ["half"]);
      check("progress", (await queue.getJob(jobs[1].id)).progress, 50);
      await queue.obliterate({ force: true });
      check("obliterated", await queue.getJobCounts("completed", "wait"), { completed: 0, wait: 0 });
    }),

  priorities: () =>
    withQueue("priorities", async ({ queue, events, work }) => {
      const jobs = [];
      for (const priority of [3, 1, 2]) jobs.push(await queue.add("job", { priority }, { priority }));
      const order = [];
      work(async (job) => order.push(job.data.priority));
      await within(Promise.all(jobs.map((job) => job.waitUntilFinished(events))));
      check("order", order, [1, 2, 3]);
    }),

  delayed: () =>
    withQueue("delayed", async ({ queue, events, work }) => {
      work(async (job) => Date.now() - job.timestamp);
      const job = await queue.add("later", {}, { delay: 300 });
      check("state", await job.getState(), "delayed");
      const waited = await within(job.waitUntilFinished(events));
      check("waited", waited >= 295, true);
      const promoted = await queue.add("later", {}, { delay: 3600000 });
      await promoted.promote();
      check("promoted", (await within(promoted.waitUntilFinished(events))) < 60000, true);
    }),

  retried_and_failed: () =>
    withQueue("failing", async ({ queue, events, work }) => {
      work(async (job) => {
        if (job.data.hopeless) throw new UnrecoverableError("hopeless");
        if (job.attemptsMade < 2) throw new Error("not yet");
        return job.attemptsMade;
      });
      const job = await queue.add("job", {}, { attempts: 3, backoff: { type: "fixed", delay: 50 } });
      check("third attempt", await within(job.waitUntilFinished(events)), 2);
      const hopeless = await queue.add("job", { hopeless: true }, { attempts: 3 });
      const text = await within(hopeless.waitUntilFinished(events).catch((error) => error.message));
      check("gave up", text, "hopeless");
      check("failed", await queue.getFailedCount(), 1);
    }),

  rate_limited: () =>
    withQueue("limited", async ({ queue, events, work }) => {
      const jobs = await queue.addBulk([1, 2, 3, 4].map((n) => ({ name: "job", data: { n } })));
      const start = Date.now();
      work(async () => Date.now() - start, { limiter: { max: 2, duration: 400 } });
      const times = await within(Promise.all(jobs.map((job) => job.waitUntilFinished(events))));
      times.sort((a, b) => a - b);
      check("the third waits", times[2] >= 350, true);
    }),

  repeatable: () =>
    withQueue("repeating", async ({ queue, work }) => {
      const seen = new Promise((resolve) => {
        let count = 0;
        work(async () => {
          count += 1;
          if (count === 3) resolve(count);
        });
      });
      await queue.upsertJobScheduler("every", { every: 150 }, { name: "tick" });
      check("schedulers", (await queue.getJobSchedulers()).length, 1);
      check("repeated", await within(seen), 3);
      check("removed", await queue.removeJobScheduler("every"), true);
    }),

  flows_with_children: () =>
    withQueue("flow", async ({ events, work }) => {
      work(async (job) => {
        if (job.name !== "sum") return job.data.n;
        return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
      });
      const flows = new FlowProducer({ connection });
      const child = (n) => ({ name: "child", queueName: "flow", data: { n } });
      const inner = { name: "sum", queueName: "flow", children: [child(1), child(2)] };
      const tree = await flows.add({ name: "sum", queueName: "flow", children: [inner, child(4)] });
      check("sum of sums", await within(tree.job.waitUntilFinished(events)), 7);
      check("tree", (await flows.getFlow({ id: tree.job.id, queueName: "flow" })).children.length, 2);
      await flows.close();
    }),

  paused: () =>
    withQueue("paused", async ({ queue, events, work }) => {
      await queue.pause();
      check("is paused", await queue.isPaused(), true);
      work(async () => "done");
      const job = await queue.add("job", {});
      const { paused, waiting } = await queue.getJobCounts("paused", "waiting");
      check("counts", paused + waiting, 1);
      await queue.resume();
      check("resumed", await within(job.waitUntilFinished(events)), "done");
    }),

  async redlock() {
    const client = new Redis(connection);
    const locks = new Redlock([client], { retryCount: 0 });
    const patient = new Redlock([client], { retryCount: 50, retryDelay: 20 });
    const lock = await locks.lock("locks:a", 500);
    check("held", await locks.lock("locks:a", 500).then(() => "taken", (error) => error.name), "LockError");
    const longer = await lock.extend(2000);
    check("extended", (await client.pttl("locks:a")) > 1000, true);
    const waiting = patient.lock("locks:a", 300);
    setTimeout(() => longer.unlock(), 100);
    const next = await within(waiting);
    check("handed on", typeof next.value, "string");
    await next.unlock();
    check("free", await client.exists("locks:a"), 0);
    const both = await locks.lock(["locks:a", "locks:b"], 500);
    check("both", await client.exists("locks:a", "locks:b"), 2);
    check("one of them", await locks.lock("locks:b", 500).then(() => "taken", (error) => error.name), "LockError");
    await both.unlock();
    check("not mine", await both.unlock().then(() => "unlocked", (error) => error.name), "LockError");
    client.disconnect();
  },
};

(async () => {
  for (const [name, part] of Object.entries(parts)) {
    try {
      await part();
    } catch (error) {
      fail(`${name}: ${error.stack}`);
    }
  }
  end("bullmq and redlock");
})();

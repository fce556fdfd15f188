//! redis-benchmark-rs: puts load on a server and tells how fast it answered.
//!
//! `options` reads the command line, `workload` says what is sent, `worker` sends it and takes the time (one thread per
//! worker, an epoll set each), `replies` counts what comes back, `report` prints.

mod cluster;
mod link;
mod options;
mod replies;
mod report;
mod worker;
mod workload;

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use resp::Value;

use crate::args::Stop;
use crate::benchmark::link::Link;
use crate::benchmark::options::{Format, Options};
use crate::benchmark::report::Results;
use crate::benchmark::worker::{Job, Node, Worker};
use crate::benchmark::workload::{Template, Workload};
use crate::connection::{Connection, Error, OpenError, encode, io_text};
use crate::random::Random;
use crate::tls;

/// How often the running figures are renewed.
const REFRESH: Duration = Duration::from_millis(250);

/// Bytes that `-x` reads at most.
const STDIN_MAX: u64 = 1024 * 1024 * 1024;

/// The process: reads the arguments, runs, gives the exit code.
pub fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(Stop::Help) => {
            print!("{}", options::usage());
            return ExitCode::SUCCESS;
        }
        Err(Stop::Version) => {
            println!("redis-benchmark {} (redis-benchmark-rs {})", crate::REDIS_VERSION, env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(Stop::Error(text)) => {
            print!("{text}\n\n{}", options::usage());
            return ExitCode::FAILURE;
        }
        Err(Stop::Complaint(text)) => {
            eprintln!("{text}");
            return ExitCode::FAILURE;
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// A server that can be reached.
struct Target {
    nodes: Vec<Node>,
    /// CONFIG GET save and appendonly, of each server.
    configs: Vec<Option<(String, String)>>,
    /// What each connection begins with, and the replies to it.
    greeting: Vec<u8>,
    greeting_replies: u64,
    tls: Option<tls::Client>,
}

fn run(mut options: Options) -> Result<(), String> {
    let target = if options.cluster { cluster::reach(&options)? } else { reach(&options)? };
    if options.cluster {
        // A thread for each node, unless told otherwise.
        options.threads.get_or_insert(target.nodes.len());
    }
    if options.idle {
        return idle(&options, &target);
    }
    if !options.keep_alive {
        eprintln!(
            "WARNING: Keepalive disabled. Each request opens a connection: the ports of this machine may run out."
        );
    }
    let mut random = Random::new(options.seed);
    let workloads = workloads(&mut options, &mut random)?;
    if options.format == Format::Csv {
        write(report::CSV_HEADING);
    }
    loop {
        for workload in &workloads {
            test(&options, &target, workload, &mut random)?;
        }
        if options.format == Format::Quiet && options.command.is_empty() {
            write("\n");
        }
        if !options.forever {
            return Ok(());
        }
    }
}

/// Writes to standard output at once; a reader that has gone ends the process quietly.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

fn workloads(options: &mut Options, random: &mut Random) -> Result<Vec<Workload>, String> {
    let data = workload::payload(options.data_size, random);
    let keyspace = options.keyspace.unwrap_or(0);
    let replaced = options.keyspace.is_some();
    if !options.mix.is_empty() {
        let parts: Vec<_> =
            options.mix.iter().map(|part| workload::part(part, replaced, &data)).collect::<Result<_, _>>()?;
        return Workload::mix(parts, keyspace).map(|mix| vec![mix]).ok_or("a mix needs a weight".to_owned());
    }
    if options.stdin {
        let mut bytes = Vec::new();
        io::stdin().lock().take(STDIN_MAX).read_to_end(&mut bytes).map_err(|error| io_text(&error))?;
        options.command.push(bytes);
    }
    if options.command.is_empty() {
        return Ok(workload::standard(options.tests.as_deref(), options.keyspace, &data, options.cluster));
    }
    let words = if options.stdin { &options.command[..options.command.len() - 1] } else { &options.command[..] };
    let title: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    Ok(vec![Workload::one(title.join(" "), Template::new(&options.command, replaced), keyspace)])
}

/// Connects once: to say early what is wrong, and to ask what reports tell of the server.
fn reach(options: &Options) -> Result<Target, String> {
    let name = options.endpoint.name();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| io_text(&error))?;
    let config = runtime.block_on(async {
        let opened = Connection::open(&options.endpoint, &options.reach).await;
        let mut connection = opened.map_err(|error| error.tell(&name))?;
        greet(&mut connection, options, &name).await?;
        settings(&mut connection, &name).await
    })?;
    if config.is_none() {
        eprintln!("WARNING: Could not fetch server CONFIG");
    }
    let address = worker::address(&options.endpoint).map_err(|error| OpenError::from(error).tell(&name))?;
    let node = Node { address, name: String::new(), tags: Vec::new() };
    Ok(Target::new(vec![node], vec![config], options))
}

impl Target {
    fn new(nodes: Vec<Node>, configs: Vec<Option<(String, String)>>, options: &Options) -> Target {
        let words = greeting(options);
        let mut greeting = Vec::new();
        words.iter().for_each(|words| encode(&mut greeting, words));
        // It has been made, without error, for the first connection.
        let tls = if options.reach.tls.on { options.reach.tls.client().ok().cloned() } else { None };
        Target { nodes, configs, greeting, greeting_replies: words.len() as u64, tls }
    }
}

/// What every connection begins with, and whether it is accepted.
async fn greet(connection: &mut Connection, options: &Options, name: &str) -> Result<(), String> {
    let failed = |error: Error| format!("Node {name} replied with error:\n{error}");
    for words in greeting(options) {
        if let Value::Error(text) = connection.ask(&words).await.map_err(failed)? {
            return Err(failed(Error::Reply(String::from_utf8_lossy(&text).into_owned())));
        }
    }
    Ok(())
}

/// CONFIG GET save and appendonly; `None` when the server does not tell.
async fn settings(connection: &mut Connection, name: &str) -> Result<Option<(String, String)>, String> {
    let mut settings = Vec::new();
    for parameter in ["save", "appendonly"] {
        let reply = connection.ask(&["CONFIG", "GET", parameter]).await;
        let reply = reply.map_err(|error| format!("Node {name} replied with error:\n{error}"))?;
        let value = reply.into_vec().ok().and_then(|items| items.into_iter().nth(1));
        settings.extend(value.as_ref().and_then(Value::as_str).map(str::to_owned));
    }
    Ok(<[String; 2]>::try_from(settings).ok().map(|[save, appendonly]| (save, appendonly)))
}

/// The commands that every connection begins with.
fn greeting(options: &Options) -> Vec<Vec<Vec<u8>>> {
    let words = |line: &[&[u8]]| line.iter().map(|word| word.to_vec()).collect::<Vec<_>>();
    let mut commands = Vec::new();
    match (&options.user, &options.password) {
        (Some(user), Some(password)) => commands.push(words(&[b"AUTH", user, password])),
        (None, Some(password)) => commands.push(words(&[b"AUTH", password])),
        _ => {}
    }
    if options.tracking {
        // Keys that change are told on the same connection, which needs RESP3.
        commands.push(words(&[b"HELLO", b"3"]));
        commands.push(words(&[b"CLIENT", b"TRACKING", b"on"]));
    } else if options.resp3 {
        commands.push(words(&[b"HELLO", b"3"]));
    }
    if options.db != 0 {
        commands.push(words(&[b"SELECT", options.db.to_string().as_bytes()]));
    }
    commands
}

/// `-I`: holds connections open until interrupted or until the server says something.
fn idle(options: &Options, target: &Target) -> Result<(), String> {
    println!("Creating {} idle connections and waiting forever (Ctrl+C when done)", options.clients);
    let mut links: Vec<Link> = (0..options.clients)
        .map(|index| Link::open(&target.nodes[index % target.nodes.len()].address, target.tls.as_ref()))
        .collect::<io::Result<_>>()
        .map_err(|error| OpenError::from(error).tell(&options.endpoint.name()))?;
    let mut buffer = [0; 4096];
    loop {
        for link in &mut links {
            match link.read(&mut buffer) {
                Ok(0) => return Err("Error: Server closed the connection".to_owned()),
                Ok(count) => {
                    let text = String::from_utf8_lossy(&buffer[..count]).trim_end().to_owned();
                    return Err(format!("Error from server: {}", text.trim_start_matches('-')));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                Err(error) => return Err(format!("Error: {}", io_text(&error))),
            }
        }
        write(&format!("clients: {}\r", links.len()));
        thread::sleep(REFRESH);
    }
}

/// The running figures of a test, on one line that is written over.
struct Running<'a> {
    title: &'a str,
    on: bool,
    begun: Instant,
    printed: usize,
    before: (Instant, u64, u64),
}

impl Running<'_> {
    fn show(&mut self, job: &Job<'_>) {
        if !self.on {
            return;
        }
        let now = Instant::now();
        let (finished, latency) = (job.finished.load(Ordering::Relaxed), job.latency.load(Ordering::Relaxed));
        let (then, finished_before, latency_before) = self.before;
        let rate = |count: u64, since: Instant| count as f64 / (now - since).as_secs_f64().max(1e-9);
        let average = |latency: u64, count: u64| latency as f64 / 1000.0 / count.max(1) as f64;
        let line = format!(
            "{}: rps={:.1} (overall: {:.1}) avg_msec={:.3} (overall: {:.3})\r",
            self.title,
            rate(finished - finished_before, then),
            rate(finished, self.begun),
            average(latency - latency_before, finished - finished_before),
            average(latency, finished),
        );
        self.clear();
        write(&line);
        self.printed = line.len();
        self.before = (now, finished, latency);
    }

    fn clear(&self) {
        if self.on {
            write(&format!("{:1$}\r", "", self.printed.max(1)));
        }
    }
}

/// Runs one test and prints what came of it.
fn test(options: &Options, target: &Target, workload: &Workload, random: &mut Random) -> Result<(), String> {
    let threads = options.threads.unwrap_or(1).min(options.clients);
    let begun = Instant::now();
    let job = Job {
        workload,
        nodes: &target.nodes,
        greeting: &target.greeting,
        greeting_replies: target.greeting_replies,
        tls: target.tls.as_ref(),
        pipeline: options.pipeline,
        keep_alive: options.keep_alive,
        requests: if options.duration.is_some() { u64::MAX } else { options.requests },
        deadline: options.duration.map(|duration| begun + duration),
        rate: options.rate.map(|rate| rate / threads as f64),
        issued: AtomicU64::new(0),
        finished: AtomicU64::new(0),
        latency: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let on = matches!(options.format, Format::Full | Format::Quiet);
    let mut running = Running { title: &workload.title, on, begun, printed: 0, before: (begun, 0, 0) };
    let main = thread::current();
    let running_threads = AtomicUsize::new(threads);
    let (elapsed, latencies) = thread::scope(|scope| {
        let mut workers = Vec::new();
        let mut first = 0;
        for index in 0..threads {
            let (job, main, seed, running_threads) = (&job, main.clone(), random.next(), &running_threads);
            let clients = options.clients / threads + usize::from(index < options.clients % threads);
            let number = first;
            first += clients;
            workers.push(scope.spawn(move || {
                let result = Worker::new(job, number, clients, Random::new(Some(seed)))
                    .map_err(|error| io_text(&error))
                    .and_then(Worker::run);
                if result.is_err() {
                    job.stop.store(true, Ordering::Relaxed);
                }
                // The thread itself ends later than its work.
                running_threads.fetch_sub(1, Ordering::Release);
                main.unpark();
                result
            }));
        }
        let mut next = begun + REFRESH;
        while running_threads.load(Ordering::Acquire) > 0 {
            let now = Instant::now();
            if now >= next {
                running.show(&job);
                next = now + REFRESH;
            }
            thread::park_timeout(next.saturating_duration_since(now).min(REFRESH));
        }
        let elapsed = begun.elapsed();
        let mut all = worker::histogram();
        for worker in workers {
            let one: Histogram<u64> = worker.join().map_err(|_| "a thread failed".to_owned())??;
            all.add(one).map_err(|error| error.to_string())?;
        }
        Ok::<_, String>((elapsed, all))
    })
    .map_err(|text| format!("Error {text}"))?;
    running.clear();
    let results = Results { title: &workload.title, elapsed, latencies: &latencies, servers: &target.configs };
    write(&results.text(options));
    if options.format == Format::Full {
        write("\n");
    }
    Ok(())
}

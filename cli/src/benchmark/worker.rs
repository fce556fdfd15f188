//! The load generator: one thread, an epoll set and its share of the clients.
//!
//! With a closed loop each client sends its next requests when it has the replies to the last. With an open loop
//! (`--rps`) requests are due at fixed times; latency counts from then, so that a server that stalls does not hide the
//! requests that would have come meanwhile.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::ToSocketAddrs;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use socket2::SockAddr;

use crate::args::Endpoint;
use crate::benchmark::link::Link;
use crate::benchmark::replies::ReplyCounter;
use crate::benchmark::workload::{Batch, TAG_SIZE, Workload};
use crate::connection::io_text;
use crate::random::Random;
use crate::tls;

/// Bytes read at once.
const READ_SIZE: usize = 64 * 1024;

/// Events taken at once.
const EVENTS: usize = 256;

/// How often a thread that waits looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// From here on waiting for a due time is done by looking at the clock: sleeping is not exact enough.
const SPIN: Duration = Duration::from_micros(1500);

/// Longest latency that is told apart, in microseconds.
const LATENCY_MAX: u64 = 60_000_000;

/// An empty histogram of latencies in microseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    let bounds = Histogram::new_with_bounds(1, LATENCY_MAX, 3);
    bounds.expect("the bounds are constants that the histogram accepts")
}

/// A server that is put under load.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) address: SockAddr,
    /// What error messages call it; empty outside of clusters.
    pub(crate) name: String,
    /// Tags whose slots the node has.
    pub(crate) tags: Vec<[u8; TAG_SIZE]>,
}

/// What the threads of one test share.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) nodes: &'a [Node],
    /// What a new connection sends first.
    pub(crate) greeting: &'a [u8],
    /// Replies to the greeting.
    pub(crate) greeting_replies: u64,
    pub(crate) tls: Option<&'a tls::Client>,
    pub(crate) pipeline: usize,
    pub(crate) keep_alive: bool,
    /// Requests to send; the rest is not sent.
    pub(crate) requests: u64,
    /// When to stop sending.
    pub(crate) deadline: Option<Instant>,
    /// Requests per second of one thread.
    pub(crate) rate: Option<f64>,
    pub(crate) issued: AtomicU64,
    pub(crate) finished: AtomicU64,
    /// Sum of the latencies of finished requests, in microseconds.
    pub(crate) latency: AtomicU64,
    pub(crate) stop: AtomicBool,
}

impl Job<'_> {
    /// Takes up to a pipeline's worth of the requests that are left.
    fn take(&self, now: Instant) -> usize {
        if self.deadline.is_some_and(|deadline| now >= deadline) || self.stop.load(Ordering::Relaxed) {
            return 0;
        }
        let before = self.issued.fetch_add(self.pipeline as u64, Ordering::Relaxed);
        self.requests.saturating_sub(before).min(self.pipeline as u64) as usize
    }
}

/// Resolves the endpoint.
pub(crate) fn address(endpoint: &Endpoint) -> io::Result<SockAddr> {
    use std::os::unix::ffi::OsStrExt;
    if let Some(path) = &endpoint.socket {
        return SockAddr::unix(std::ffi::OsStr::from_bytes(path));
    }
    let mut found = (endpoint.host.as_str(), endpoint.port).to_socket_addrs()?;
    found.next().map(SockAddr::from).ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no address"))
}

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    /// So many replies to the greeting are awaited.
    Greeting(u64),
    /// So many replies to requests are awaited.
    Waiting(u64),
    Idle,
    Done,
}

struct Client {
    /// Index of the server.
    node: usize,
    link: Link,
    state: State,
    batch: Batch,
    /// Bytes of the greeting or the batch that are sent.
    sent: usize,
    /// When the requests were sent, or due.
    start: Instant,
    replies: ReplyCounter,
    /// The epoll set reports when the socket can be written.
    wants_write: bool,
}

/// One thread's part of a test.
pub(crate) struct Worker<'a> {
    job: &'a Job<'a>,
    epoll: OwnedFd,
    clients: Vec<Client>,
    random: Random,
    latencies: Histogram<u64>,
    /// Clients that are not done.
    active: usize,
    /// Open loop: clients without a request.
    idle: VecDeque<usize>,
    /// Open loop: when the next requests are due.
    due: Instant,
    buffer: Vec<u8>,
}

impl<'a> Worker<'a> {
    /// Opens the connections.
    /// Of all threads' clients those of this one begin with number `first`.
    pub(crate) fn new(job: &'a Job<'a>, first: usize, clients: usize, random: Random) -> io::Result<Worker<'a>> {
        let mut worker = Worker {
            job,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: Vec::new(),
            random,
            latencies: histogram(),
            active: clients,
            idle: VecDeque::new(),
            due: Instant::now(),
            buffer: vec![0; READ_SIZE],
        };
        for index in 0..clients {
            let number = first + index;
            let node = number % job.nodes.len();
            let tags = &job.nodes[node].tags;
            // The same for each test, so that what one has filled is there for the next.
            let tag = tags.get((number / job.nodes.len()) % tags.len().max(1)).copied();
            let client = Client {
                node,
                link: Link::open(&job.nodes[node].address, job.tls)?,
                state: State::Connecting,
                batch: job.workload.batch(job.pipeline, tag),
                sent: 0,
                start: Instant::now(),
                replies: ReplyCounter::default(),
                wants_write: true,
            };
            worker.register(&client.link, index)?;
            worker.clients.push(client);
        }
        Ok(worker)
    }

    fn register(&self, link: &Link, index: usize) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        Ok(epoll::add(&self.epoll, link.socket(), epoll::EventData::new_u64(index as u64), flags)?)
    }

    /// Runs until all requests have their replies. The latencies, in microseconds.
    pub(crate) fn run(mut self) -> Result<Histogram<u64>, String> {
        let mut events = Vec::with_capacity(EVENTS);
        self.due = Instant::now();
        while self.active > 0 {
            let wait = self.dispatch()?;
            let timeout = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io_text(&error.into())),
            }
            for event in events.drain(..) {
                let flags = event.flags;
                self.ready(event.data.u64() as usize, flags)?;
            }
            if self.job.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(self.latencies)
    }

    /// Open loop: gives idle clients the requests that are due. How long to wait for events then.
    fn dispatch(&mut self) -> Result<Duration, String> {
        let Some(rate) = self.job.rate else { return Ok(LOOK) };
        let every = Duration::from_secs_f64(self.job.pipeline as f64 / rate);
        let now = Instant::now();
        if self.is_over(now) {
            while let Some(index) = self.idle.pop_front() {
                self.begin(index, now, now)?;
            }
        }
        while self.due <= now {
            let Some(index) = self.idle.pop_front() else { return Ok(LOOK) };
            let due = self.due;
            self.due += every;
            self.begin(index, due, now)?;
        }
        match self.due - now {
            // Nobody is free: a reply comes before anything can be sent.
            _ if self.idle.is_empty() => Ok(LOOK),
            left if left < SPIN => Ok(Duration::ZERO),
            left => Ok((left - SPIN / 2).min(LOOK)),
        }
    }

    /// Nothing more is to be sent.
    fn is_over(&self, now: Instant) -> bool {
        self.job.issued.load(Ordering::Relaxed) >= self.job.requests
            || self.job.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Gives a client its next requests, or ends it when there are none left.
    fn begin(&mut self, index: usize, start: Instant, now: Instant) -> Result<(), String> {
        let count = self.job.take(now);
        let client = &mut self.clients[index];
        if count == 0 {
            client.state = State::Done;
            self.active -= 1;
            let _ = epoll::delete(&self.epoll, client.link.socket());
            return Ok(());
        }
        self.job.workload.fill(&mut client.batch, count, &mut self.random);
        client.state = State::Waiting(count as u64);
        client.sent = 0;
        client.start = start;
        self.flush(index)
    }

    /// A client that could send now does, or waits for its turn.
    fn next(&mut self, index: usize) -> Result<(), String> {
        let now = Instant::now();
        match self.job.rate {
            Some(_) if !self.is_over(now) => {
                self.clients[index].state = State::Idle;
                self.idle.push_back(index);
                self.flush(index)
            }
            _ => self.begin(index, now, now),
        }
    }

    fn ready(&mut self, index: usize, flags: epoll::EventFlags) -> Result<(), String> {
        let client = &mut self.clients[index];
        if client.state == State::Done {
            return Ok(());
        }
        if client.state == State::Connecting {
            if let Some(error) = client.link.socket().take_error().map_err(|error| io_text(&error))? {
                return Err(io_text(&error));
            }
            if !client.link.handshake().map_err(|error| io_text(&error))? {
                return self.show_interest(index, true);
            }
            client.sent = 0;
            match self.job.greeting_replies {
                0 => return self.next(index),
                replies => client.state = State::Greeting(replies),
            }
            return self.flush(index);
        }
        if flags.contains(epoll::EventFlags::OUT) {
            self.flush(index)?;
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            while self.receive(index)? {}
        }
        Ok(())
    }

    /// Sends what the socket takes.
    fn flush(&mut self, index: usize) -> Result<(), String> {
        let client = &mut self.clients[index];
        let bytes = match client.state {
            State::Greeting(_) => self.job.greeting,
            State::Waiting(_) => client.batch.bytes(),
            _ => &[],
        };
        while client.sent < bytes.len() {
            match client.link.write(&bytes[client.sent..]) {
                Ok(count) => client.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("Writing to socket: {}", io_text(&error))),
            }
        }
        let done = client.sent == bytes.len();
        self.show_interest(index, done)
    }

    /// Has the epoll set report when the socket can be written, if that is waited for: when not all was given to the link, or the link
    /// has not given all to the socket.
    fn show_interest(&mut self, index: usize, done: bool) -> Result<(), String> {
        let client = &mut self.clients[index];
        let wants_write = !client.link.flushed().map_err(|error| io_text(&error))? || !done;
        if wants_write != client.wants_write {
            client.wants_write = wants_write;
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, wants_write);
            epoll::modify(&self.epoll, client.link.socket(), epoll::EventData::new_u64(index as u64), flags)
                .map_err(|error| io_text(&error.into()))?;
        }
        Ok(())
    }

    /// Reads once; whether to read again.
    fn receive(&mut self, index: usize) -> Result<bool, String> {
        let client = &mut self.clients[index];
        let count = match client.link.read(&mut self.buffer) {
            Ok(0) => return Err("Server closed the connection".to_owned()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(false),
            Err(error) => return Err(io_text(&error)),
        };
        let more = client.link.keeps_bytes();
        let complete = client.replies.feed(&self.buffer[..count]).map_err(|error| error.to_string())?;
        if let Some(text) = client.replies.take_error() {
            return Err(match self.job.nodes[client.node].name.as_str() {
                "" => format!("from server: {text}"),
                name => format!("from server {name}: {text}"),
            });
        }
        if complete == 0 {
            return Ok(more);
        }
        if let State::Greeting(left) = client.state {
            let answered = complete.min(left);
            client.state = State::Greeting(left - answered);
            if left > answered {
                return Ok(more);
            }
            self.next(index)?;
            return Ok(more && self.clients[index].state != State::Done);
        }
        let State::Waiting(left) = client.state else { return Err("unexpected reply".to_owned()) };
        let left = left.checked_sub(complete).ok_or("more replies than requests")?;
        let micros = u64::try_from(client.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        client.state = State::Waiting(left);
        self.latencies.saturating_record_n(micros, complete);
        self.job.finished.fetch_add(complete, Ordering::Relaxed);
        self.job.latency.fetch_add(micros.saturating_mul(complete), Ordering::Relaxed);
        if left > 0 {
            return Ok(more);
        }
        if self.job.keep_alive {
            self.next(index)?;
        } else {
            self.reconnect(index)?;
        }
        Ok(more && !matches!(self.clients[index].state, State::Connecting | State::Done))
    }

    /// `-k 0`: a new connection for the next requests.
    fn reconnect(&mut self, index: usize) -> Result<(), String> {
        if self.job.issued.load(Ordering::Relaxed) >= self.job.requests {
            return self.next(index);
        }
        let address = &self.job.nodes[self.clients[index].node].address;
        let link = Link::open(address, self.job.tls).map_err(|error| io_text(&error))?;
        self.register(&link, index).map_err(|error| io_text(&error))?;
        let client = &mut self.clients[index];
        // Closing the old one takes it out of the epoll set.
        client.link = link;
        client.state = State::Connecting;
        client.replies = ReplyCounter::default();
        client.wants_write = true;
        Ok(())
    }
}

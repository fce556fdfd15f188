//! The tick: wait → read → parse every complete request as slices → prefetch the keys across clients → execute in
//! order, replies straight into per-client buffers → expire, wake blocked clients → write all replies → close.

use std::io;
use std::time::Duration;

use resp::request::{Decoded, Limits, Span};
use smallvec::SmallVec;

use crate::exec::Flow;
use crate::net::poll::{Ready, WAKE, Wait};
use crate::server::{CLIENT_TOKEN, Server};
use crate::session::{ClientId, Closing};

/// Requests of one client that are parsed before the others get their turn.
const REQUESTS_PER_TURN: usize = 512;

/// Clients whose requests are parsed together, so that their keys are fetched together.
const CLIENTS_PER_BATCH: usize = 64;

/// How many times what has arrived of a large argument there is room for at most.
const AHEAD: usize = 8;

/// Room for less than this is not worth a read.
const READ_MIN: usize = 4 * 1024;

/// A query buffer that grew for a large request beyond this is not kept.
const KEEP_MAX: usize = 64 * 1024;

/// Requests of one pipeline whose keys are prefetched together: what the processor can have under way, and what still
/// is in the cache when its turn comes.
const PREFETCH_AHEAD: usize = 16;

/// Room for arguments of one turn's requests that is kept for the next: 64 KiB.
const SPANS_KEPT_MAX: usize = 4096;

/// Words of a request that are kept on the stack.
type Argv<'a> = SmallVec<[&'a [u8]; 16]>;

/// A parsed request: its words, relative to the beginning of the client's query buffer.
#[derive(Debug)]
struct Request {
    client: ClientId,
    /// Index of its first word among the batch's spans.
    first: usize,
    /// Number of words.
    count: usize,
    /// Where the next request begins in the query buffer.
    end: usize,
    /// Words of an inline request, which may differ from the bytes received.
    inline: Option<Vec<Vec<u8>>>,
    /// The request breaks the protocol here.
    error: Option<resp::request::ProtocolError>,
}

/// What a tick works with, kept from tick to tick.
#[derive(Debug, Default)]
pub struct Tick {
    ready: Vec<Ready>,
    turn: Vec<ClientId>,
    requests: Vec<Request>,
    spans: Vec<Span>,
}

impl Tick {
    /// Runs until the server is to stop.
    ///
    /// # Errors
    /// When the event loop itself fails.
    pub fn run(&mut self, server: &mut Server) -> io::Result<()> {
        while server.stop.is_none() {
            self.turn(server, server.wait_time())?;
        }
        server.close_aof();
        // The last replies (that of SHUTDOWN's other clients, of a transaction) are sent if the kernel takes them.
        server.flush_all();
        Ok(())
    }

    /// One turn, waiting at most `timeout` for something to do.
    ///
    /// # Errors
    /// When the event loop itself fails.
    pub fn turn(&mut self, server: &mut Server, timeout: Duration) -> io::Result<()> {
        self.ready.clear();
        server.poll.wait(timeout, &mut self.ready)?;
        let start = server.clock.stamp();
        server.clock.advance(start);
        let commands_before = server.stats.commands;
        self.turn.clear();
        // Those who have waited come before those who have just sent something. They stay marked until all is read.
        self.take_resumable(server);
        let waited = self.turn.len();
        self.attend_to_ready(server);
        for &id in &self.turn[..waited] {
            if let Some(client) = server.clients.get_mut(id) {
                client.resume_pending = false;
            }
        }
        server.end_pause_if_due();
        server.time_out_blocked(server.clock.now());
        let known = self.turn.len();
        self.take_resumable(server);
        for &id in &self.turn[known..] {
            if let Some(client) = server.clients.get_mut(id) {
                client.resume_pending = false;
            }
        }
        let turn = std::mem::take(&mut self.turn);
        for batch in turn.chunks(CLIENTS_PER_BATCH) {
            self.run_batch(server, batch);
        }
        self.turn = turn;
        server.before_wait();
        server.flush_all();
        server.close_all();
        server.cron_if_due();
        let end = server.clock.stamp();
        let spent = server.clock.micros(start, end);
        let stats = &mut server.stats;
        stats.cycles += 1;
        stats.cycle_us += spent;
        stats.cycle_us_max = stats.cycle_us_max.max(spent);
        // CONFIG RESETSTAT in this cycle has set the count back.
        let commands = stats.commands.saturating_sub(commands_before);
        stats.commands_per_cycle_max = stats.commands_per_cycle_max.max(commands);
        Ok(())
    }

    /// One turn within a script that takes its time: what is ready is served, nothing is waited for, and neither cron
    /// nor the end of connections is attended to.
    ///
    /// # Errors
    /// When the event loop itself fails.
    pub fn turn_inside(&mut self, server: &mut Server) -> io::Result<()> {
        // Replies of the turn outside may leave here: what they answer for is made durable first.
        server.flush_aof(false);
        self.ready.clear();
        server.poll.wait(Duration::ZERO, &mut self.ready)?;
        self.turn.clear();
        // Those whose requests the turn outside has parsed and not run: they are parsed and run here.
        self.turn.extend(
            server.clients.iter().filter(|client| client.in_batch && !client.in_script).map(|client| client.id),
        );
        self.attend_to_ready(server);
        let mut turn = std::mem::take(&mut self.turn);
        turn.sort_unstable();
        turn.dedup();
        for &id in &turn {
            if let Some(client) = server.clients.get_mut(id)
                && std::mem::take(&mut client.in_batch)
            {
                client.decoder = resp::request::Decoder::default();
            }
        }
        for batch in turn.chunks(CLIENTS_PER_BATCH) {
            self.run_batch(server, batch);
        }
        self.turn = turn;
        server.flush_all();
        Ok(())
    }

    /// Gives those a turn whose requests can go on.
    fn take_resumable(&mut self, server: &mut Server) {
        for id in server.take_resumable() {
            let Some(client) = server.clients.get_mut(id) else { continue };
            if client.in_batch {
                client.resume_pending = false;
                server.resume_later(id);
            } else {
                self.turn.push(id);
            }
        }
    }

    /// Attends to whatever the kernel has reported, in its order.
    fn attend_to_ready(&mut self, server: &mut Server) {
        for i in 0..self.ready.len() {
            let ready = self.ready[i];
            if ready.token == WAKE {
                server.poll.drain_wake();
                server.handle_control_events();
            } else if ready.token & CLIENT_TOKEN != 0 {
                self.client_ready(server, ready);
            } else {
                server.accept_from(ready.token as usize);
            }
        }
    }

    /// Reads from, or writes to, a client whose connection is ready.
    fn client_ready(&mut self, server: &mut Server, ready: Ready) {
        let Some(client) = server.clients.in_slot((ready.token & (CLIENT_TOKEN - 1)) as u32) else { return };
        let (id, waits) = (client.id, client.waits);
        if client.in_script {
            return;
        }
        if ready.writable && matches!(waits, Wait::Write | Wait::ReadWrite) {
            server.flush(id);
        }
        if !ready.readable {
            return;
        }
        if waits == Wait::Nothing {
            // A held-back client is reported only when its connection is broken.
            server.close(id);
        } else if read(server, id) && !server.clients.get_mut(id).is_some_and(|client| client.resume_pending) {
            // One that is to be resumed has its turn already: twice in a turn, its requests would be run twice.
            self.turn.push(id);
        }
    }

    /// Parses and runs the requests of some clients; goes on until each has had what it sent run, or its turn is over.
    fn run_batch(&mut self, server: &mut Server, batch: &[ClientId]) {
        self.requests.clear();
        self.spans.clear();
        if self.spans.capacity() > SPANS_KEPT_MAX {
            self.spans.shrink_to(SPANS_KEPT_MAX);
        }
        for &id in batch {
            self.parse(server, id);
        }
        self.prefetch(server);
        let mut at = 0;
        while at < self.requests.len() {
            let id = self.requests[at].client;
            let end = at + self.requests[at..].iter().take_while(|request| request.client == id).count();
            run_requests(server, id, &mut self.requests[at..end], &self.spans);
            at = end;
        }
    }

    /// Parses the complete requests in a client's query buffer.
    fn parse(&mut self, server: &mut Server, id: ClientId) {
        let limits =
            Limits { bulk_len_max: server.config.proto_max_bulk_len as i64, authenticated: true, ..Limits::default() };
        let Some(client) = server.clients.get_mut(id) else { return };
        if !client.can_run() || client.in_batch {
            return;
        }
        let limits = Limits { authenticated: client.authenticated, ..limits };
        // What AUTH does to the limits must hold for the request behind it: one at a time until then.
        let most = if client.authenticated { REQUESTS_PER_TURN } else { 1 };
        let mut at = 0;
        for _ in 0..most {
            if at == client.query.len() {
                return;
            }
            let first = self.spans.len();
            let mut request = Request { client: id, first, count: 0, end: at, inline: None, error: None };
            match client.decoder.decode(&client.query[at..], &mut self.spans, &limits) {
                Ok(Decoded::Request { consumed }) => {
                    for span in &mut self.spans[first..] {
                        span.shift(at);
                    }
                    at += consumed;
                    request.count = self.spans.len() - first;
                }
                Ok(Decoded::Inline { consumed, words }) => {
                    at += consumed;
                    request.count = words.len();
                    request.inline = Some(words);
                }
                Ok(Decoded::Empty { consumed }) => at += consumed,
                Ok(Decoded::Incomplete { want }) => {
                    // A large argument is on its way: room for it at once, as far as bytes really arrive. Not before
                    // the room there is has been used, or each read would move what the ones before it brought.
                    let (len, capacity) = (client.query.len(), client.query.capacity());
                    // Arguments that are complete do not count, as in Redis, where they have left the buffer.
                    let full = (at + client.decoder.decoded_bytes())
                        .saturating_add(server.config.client_query_buffer_limit as usize);
                    if len > full {
                        return close_for_query(server, id);
                    }
                    if want > capacity && capacity - len < READ_MIN {
                        let room = want.min(len.saturating_mul(AHEAD)).min(full.saturating_add(1));
                        client.query.reserve_exact(room.saturating_sub(len));
                    }
                    return;
                }
                Err(error) => {
                    request.error = Some(error);
                    request.end = client.query.len();
                    client.in_batch = true;
                    self.requests.push(request);
                    return;
                }
            }
            request.end = at;
            client.in_batch = true;
            self.requests.push(request);
        }
        // More may be left: it is run in the next turn.
        server.resume_later(id);
    }

    /// Brings the memory of each client's first key close: first the buckets, then the entries. The keys of a longer
    /// pipeline follow while it runs.
    fn prefetch(&self, server: &Server) {
        if self.requests.len() < 2 {
            return;
        }
        let keys: SmallVec<[(u32, u64); CLIENTS_PER_BATCH]> = self
            .requests
            .chunk_by(|a, b| a.client == b.client)
            .filter_map(|requests| {
                let client = server.clients.get(requests[0].client)?;
                Some((client.db, requests[0].key_hash(&self.spans, &client.query)?))
            })
            .collect();
        for &(db, hash) in &keys {
            server.engine.dbs[db as usize].prefetch_bucket(hash);
        }
        for &(db, hash) in &keys {
            server.engine.dbs[db as usize].prefetch_entry(hash);
        }
    }
}

impl Request {
    /// The hash of the first word behind the name: the key, for most commands.
    fn key_hash(&self, spans: &[Span], query: &[u8]) -> Option<u64> {
        let has_key = self.count > 1 && self.inline.is_none();
        has_key.then(|| engine::ds::hash::hash(spans[self.first + 1].of(query)))
    }
}

/// Brings the memory of the keys of one client's next requests close.
fn prefetch_ahead(server: &Server, db: u32, requests: &[Request], spans: &[Span], query: &[u8]) {
    let db = &server.engine.dbs[db as usize];
    let hashes: SmallVec<[u64; PREFETCH_AHEAD]> =
        requests.iter().take(PREFETCH_AHEAD).filter_map(|request| request.key_hash(spans, query)).collect();
    hashes.iter().for_each(|&hash| db.prefetch_bucket(hash));
    hashes.iter().for_each(|&hash| db.prefetch_entry(hash));
}

/// Reads what has arrived from a client; returns whether there may be something to run.
fn read(server: &mut Server, id: ClientId) -> bool {
    let now = server.clock.now();
    let Some(client) = server.clients.get_mut(id) else { return false };
    if client.closing != Closing::No || client.in_batch {
        return false;
    }
    if client.query.capacity() == 0 {
        client.query = server.pool.take();
    } else if client.query.len() == client.query.capacity() {
        let more = client.query.len().clamp(1024, 1 << 20);
        client.query.reserve(more);
    }
    server.stats.reads += 1;
    match client.socket.read_into(&mut client.query) {
        Ok(0) => {
            server.close(id);
            return false;
        }
        Ok(n) => {
            server.stats.bytes_in += n as u64;
            client.bytes_in += n as u64;
            client.last_interaction = now;
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            if client.query.is_empty() {
                let empty = std::mem::take(&mut client.query);
                server.pool.give(empty);
            }
            return false;
        }
        Err(error) => {
            tracing::debug!("Reading from client: {error}");
            server.close(id);
            return false;
        }
    }
    // What is about to be parsed is judged then.
    if !client.can_run() && client.query.len() > server.config.client_query_buffer_limit as usize {
        close_for_query(server, id);
        return false;
    }
    true
}

/// Closes a client that has sent too much that cannot be run.
fn close_for_query(server: &mut Server, id: ClientId) {
    let line = crate::commands::client::describe(server, id);
    tracing::warn!("Closing client that reached max query buffer length: {line}");
    server.stats.query_limit_disconnections += 1;
    server.close(id);
}

/// Runs a client's parsed requests in order, then drops what was run from its query buffer.
fn run_requests(server: &mut Server, id: ClientId, requests: &mut [Request], spans: &[Span]) {
    // Somebody's script took its time, and they were run meanwhile.
    if !server.clients.running(id).in_batch {
        return;
    }
    // Taken out while slices of it are in use; commands that write to the client's connection do not touch it.
    let mut query = std::mem::take(&mut server.clients.running(id).query);
    let mut done = 0;
    let mut ran = 0;
    for index in 0..requests.len() {
        if !server.clients.running(id).can_run() {
            break;
        }
        if index % PREFETCH_AHEAD == 0 && requests.len() > 1 {
            let db = server.clients.running(id).db;
            prefetch_ahead(server, db, &requests[index..], spans, &query);
        }
        let request = &mut requests[index];
        if let Some(error) = request.error.take() {
            protocol_error(server, id, &error, &query);
            done = query.len();
            break;
        }
        if request.count > 0 {
            server.running_query = (query.len() - done, query.capacity());
            let flow = if let Some(words) = &request.inline {
                let argv: Argv<'_> = words.iter().map(Vec::as_slice).collect();
                server.request(id, &argv)
            } else {
                let words = &spans[request.first..request.first + request.count];
                let argv: Argv<'_> = words.iter().map(|span| span.of(&query)).collect();
                server.request(id, &argv)
            };
            if flow == Flow::Postponed {
                break;
            }
            ran += 1;
        }
        done = request.end;
    }
    server.stats.commands += ran;
    server.clients.running(id).in_batch = false;
    if done == query.len() {
        query.clear();
        if query.capacity() > KEEP_MAX {
            query = Vec::new();
        }
        server.pool.give(query);
    } else {
        query.drain(..done);
        server.clients.running(id).query = query;
        // What is left was parsed already or waits for more bytes; the decoder's state belongs to what waits.
        let client = server.clients.running(id);
        if requests.last().is_some_and(|last| last.end > done) {
            client.decoder = resp::request::Decoder::default();
        }
        let can_run = client.can_run();
        if client.paused {
            server.wait_for(id, Wait::Read);
        } else if can_run && !requests.is_empty() && done > 0 {
            // The client's authentication may have changed, or its turn was over.
            server.resume_if_complete(id);
        }
    }
}

/// Answers bytes that are no request, and ends the connection.
fn protocol_error(server: &mut Server, id: ClientId, error: &resp::request::ProtocolError, query: &[u8]) {
    let shown = &query[..query.len().min(128)];
    tracing::debug!(
        "Protocol error ({error}) from client: {}. Query buffer: {}",
        crate::commands::client::describe(server, id),
        shown.escape_ascii()
    );
    let text = format!("ERR {error}");
    server.stats.count_error(text.as_bytes());
    server.push(id, |out| out.error(&text));
    server.close_after_reply(id);
}

impl Server {
    /// Serves the other clients from inside of a command that takes long: one turn that does not wait. Clients whose
    /// requests are under way in the turn outside, the caller's among them, are left alone. What the running command has put
    /// into its effects does not survive.
    pub fn serve_others(&mut self) {
        let running = self.running.take();
        let running_query = std::mem::take(&mut self.running_query);
        let pushes = std::mem::take(&mut self.pending_push);
        let outer = std::mem::replace(&mut self.suspended, running.map(|id| (id, pushes)));
        // Replies of the turn outside may leave here: what they answer for is made durable first.
        self.flush_aof(false);
        // A turn that fails will fail again outside.
        if let Err(error) = Tick::default().turn(self, Duration::ZERO) {
            tracing::warn!("Error in the event loop: {error}");
        }
        self.engine.effects.begin(0);
        self.running = running;
        self.running_query = running_query;
        self.pending_push = std::mem::replace(&mut self.suspended, outer).map(|(_, pushes)| pushes).unwrap_or_default();
    }

    /// Accepts what waits at a listener, a bounded number at a time.
    fn accept_from(&mut self, listener: usize) {
        let most = self.config.max_new_connections_per_cycle.max(1);
        for _ in 0..most {
            let Some(listener) = self.listeners.get(listener) else { return };
            match listener.accept(self.config.tcp_keepalive) {
                Ok(socket) => self.accept(socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!("Accepting client connection: {error}");
                    return;
                }
            }
        }
    }

    /// Has the requests left in a client's query buffer looked at again, when there is at least one whole.
    fn resume_if_complete(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if !client.query.is_empty() && client.decoder.is_idle() {
            self.resume_later(id);
        }
    }
}

//! The server: sockets, clients, time, and the one door through which every command goes.

pub mod aof;
pub mod bio;
pub mod check_aof;
pub mod check_rdb;
pub mod child;
pub mod clock;
pub mod commands;
pub mod commandstats;
pub mod config;
pub mod control;
pub mod cron;
pub mod digest;
pub mod disk;
pub mod exec;
pub mod info;
pub mod latency;
pub mod log;
pub mod memory;
pub mod net;
pub mod oom;
pub mod pool;
mod progress;
pub mod propagation;
pub mod pubsub;
pub mod scripting;
pub mod server;
pub mod session;
pub mod slowlog;
pub mod snapshot;
pub mod startup;
pub mod stats;
pub mod sys;
pub mod tick;
pub mod title;

#[global_allocator]
static ALLOCATOR: sys::alloc::Counting = sys::alloc::Counting;

/// The version of Redis whose behaviour is offered: clients go by it.
pub const REDIS_VERSION: &str = "8.0.6";

/// Runs a server until it is told to stop.
///
/// # Errors
/// When it cannot start: an address is taken, the system refuses a thread.
pub fn run(config: config::Config, registry: exec::Registry) -> std::io::Result<()> {
    log::set_role(log::Role::Primary);
    startup::show_logo(&config);
    if let Err(reason) = startup::allow_descriptors(&config) {
        tracing::warn!("{reason}: maxclients stays at {}.", config.maxclients);
    }
    let seed = entropy()?;
    engine::ds::hash::set_seed(seed);
    let poll = net::poll::Poll::new()?;
    let control = control::start(poll.waker())?;
    let bio = bio::Bio::start(poll.waker())?;
    let mut listeners = listen_tcp(&config)?;
    if !config.unixsocket.is_empty() {
        listeners.push(net::listener::listen_unix(&config.unixsocket, config.unixsocketperm, config.tcp_backlog)?);
    }
    for (token, listener) in listeners.iter().enumerate() {
        poll.add(listener, token as u64, net::poll::Wait::Read)?;
    }
    tracing::info!("Server initialized");
    memory::note_startup();
    let mut server = server::Server::new(server::Parts { config, registry, listeners, poll, control, bio, seed });
    let mut tick = tick::Tick::default();
    server.load_at_start(&mut tick)?;
    if server.stop.is_some() {
        return Ok(());
    }
    let listeners = &server.listeners;
    let is_tcp = |listener: &net::listener::Listener| matches!(listener, net::listener::Listener::Tcp(_));
    if listeners.iter().any(is_tcp) {
        tracing::info!("Ready to accept connections tcp");
    }
    if !listeners.iter().all(is_tcp) {
        tracing::info!("Ready to accept connections unix");
    }
    tick.run(&mut server)
}

/// Listens on the configured addresses.
fn listen_tcp(config: &config::Config) -> std::io::Result<Vec<net::listener::Listener>> {
    if config.port == 0 {
        return Ok(Vec::new());
    }
    let addresses: Vec<_> = config.bind.iter().map(|word| net::listener::BindAddress::parse(word)).collect();
    net::listener::listen_tcp(&addresses, config.port, config.tcp_backlog).map_err(|(host, error)| {
        let port = config.port;
        tracing::warn!(
            "Warning: Could not create server TCP listening socket {host}:{port}: {}",
            config::parse::error_text(&error)
        );
        tracing::warn!("Failed listening on port {port} (tcp), aborting.");
        error
    })
}

/// Randomness from the system.
fn entropy() -> std::io::Result<[u64; 4]> {
    let mut bytes = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(std::array::from_fn(|i| u64::from_le_bytes(bytes[i * 8..i * 8 + 8].try_into().expect("eight bytes"))))
}

//! The control thread: tokio carries what is not the client data path (signals; later outgoing links, child
//! processes). It hands events to the engine thread through a queue and wakes its epoll set.
//!
//! Why a thread of its own: an epoll set nested in the runtime costs two more system calls a tick, which at one
//! connection without pipelining is five per cent of the request.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::net::poll::Waker;

/// What the control thread has to say.
#[derive(Debug)]
pub enum Event {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

/// Whether a signal has asked for the end and it is being made ready.
static SHUTDOWN: AtomicBool = AtomicBool::new(false);

/// The end that a signal asked for does not come.
pub fn shutdown_is_off() {
    SHUTDOWN.store(false, Ordering::Relaxed);
}

/// Whether a signal has asked for the end.
#[must_use]
pub fn shutdown_is_asked() -> bool {
    SHUTDOWN.load(Ordering::Relaxed)
}

/// Starts the thread; events arrive in the receiver, and the waker is woken for each.
///
/// # Errors
/// When the system refuses a thread or a signal handler.
pub fn start(waker: Waker) -> io::Result<Receiver<Event>> {
    let (events, receiver) = channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = runtime.block_on(async { Signals::install() })?;
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || runtime.block_on(run(signals, &events, &waker)))?;
    Ok(receiver)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Received and ignored: a closed terminal is no reason to stop.
    hangup: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn run(mut signals: Signals, events: &Sender<Event>, waker: &Waker) {
    loop {
        let event = tokio::select! {
            _ = signals.terminate.recv() => Event::Terminate,
            _ = signals.interrupt.recv() => Event::Interrupt,
            _ = signals.hangup.recv() => continue,
        };
        let insists = SHUTDOWN.swap(true, Ordering::Relaxed);
        if insists && matches!(event, Event::Interrupt) {
            // The engine's thread may be in the middle of a long save.
            tracing::warn!("You insist... exiting now.");
            crate::snapshot::remove_temporary();
            crate::sys::fork::exit_now(1);
        }
        if events.send(event).is_err() {
            return;
        }
        waker.wake();
    }
}

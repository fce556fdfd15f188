//! The epoll set of the data path, level-triggered: a socket that was not read dry is reported again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

/// Most events taken from one wait.
const EVENTS_MAX: usize = 1024;

/// What a socket waits for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: it is paused, only errors are reported.
    Nothing,
    /// Input.
    Read,
    /// Input and room for output.
    ReadWrite,
    /// Room for output only.
    Write,
}

impl Wait {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Wait::Nothing => epoll::EventFlags::empty(),
            Wait::Read => epoll::EventFlags::IN,
            Wait::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
            Wait::Write => epoll::EventFlags::OUT,
        }
    }
}

/// What is ready.
#[derive(Copy, Clone, Debug)]
pub struct Ready {
    /// The token given at registration.
    pub token: u64,
    /// Input, an error, or the end.
    pub readable: bool,
    /// Room for output, an error, or the end.
    pub writable: bool,
}

/// An epoll set.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    wake: Arc<OwnedFd>,
}

/// The token of the waker.
pub const WAKE: u64 = u64::MAX;

/// Ends a wait from another thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Ends the wait that goes on or the next one.
    pub fn wake(&self) {
        // The counter cannot overflow in practice; a full one wakes just as well.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

impl Poll {
    /// An empty set with its waker.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let poll = Poll { epoll, events: Vec::with_capacity(EVENTS_MAX), wake };
        poll.add(&*poll.wake, WAKE, Wait::Read)?;
        Ok(poll)
    }

    /// What wakes this set.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }

    /// Takes the wake-ups back, so that the next wait waits.
    pub fn drain_wake(&self) {
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
    }

    /// Registers a descriptor.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add(&self, fd: impl AsFd, token: u64, wait: Wait) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), wait.flags())?)
    }

    /// Changes what a registered descriptor waits for.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn change(&self, fd: impl AsFd, token: u64, wait: Wait) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), wait.flags())?)
    }

    /// Takes a descriptor out.
    pub fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or the time is up, and appends what is ready.
    ///
    /// # Errors
    /// When the kernel refuses; an interrupted wait is no error.
    pub fn wait(&mut self, timeout: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.events.clear();
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().map(|event| {
            // The structure is packed: copy before use.
            let (flags, data) = (event.flags, event.data);
            let broken = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
            Ready {
                token: data.u64(),
                readable: broken || flags.contains(epoll::EventFlags::IN),
                writable: broken || flags.contains(epoll::EventFlags::OUT),
            }
        }));
        Ok(())
    }
}

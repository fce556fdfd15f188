//! A client's connection, TCP or unix.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A non-blocking stream.
#[derive(Debug)]
pub enum Socket {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A unix domain socket.
    Unix(UnixStream),
    /// No connection: a client of our own, whose replies nobody reads. Holds the null device.
    Detached(File),
}

impl Socket {
    /// Prepares an accepted TCP connection: non-blocking, no delay, keepalive every `keepalive_secs` (0: none).
    ///
    /// # Errors
    /// When the kernel refuses, for instance because the peer has gone.
    pub fn from_tcp(stream: TcpStream, keepalive_secs: u32) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        if keepalive_secs > 0 {
            let interval = Duration::from_secs(u64::from(keepalive_secs / 3).max(1));
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(Duration::from_secs(u64::from(keepalive_secs)))
                .with_interval(interval)
                .with_retries(3);
            socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        }
        Ok(Socket::Tcp(stream))
    }

    /// Prepares an accepted unix connection.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn from_unix(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Socket::Unix(stream))
    }

    /// The connection of a client that has none.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn detached() -> io::Result<Self> {
        File::options().read(true).write(true).open("/dev/null").map(Socket::Detached)
    }

    /// Reads what is there into the spare capacity of `buffer`; returns how many bytes came, 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there, or what the kernel says.
    pub fn read_into(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        Ok(rustix::io::read(self, rustix::buffer::spare_capacity(buffer))?)
    }

    /// Writes as much as the kernel takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing, or what the kernel says.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(self, bytes)?)
    }

    /// Ends the connection even if a child process shares it: closing our side would not.
    pub fn shut_down(&self) {
        let _ = match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Both),
            Socket::Detached(_) => Ok(()),
        };
    }

    /// Address of the peer: `ip:port`, `[ip]:port`, or the path with `:0`.
    #[must_use]
    pub fn peer(&self, unix_path: &str) -> String {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().map_or_else(|_| "?:0".to_owned(), format_address),
            Socket::Unix(_) => format!("{unix_path}:0"),
            Socket::Detached(_) => "?:0".to_owned(),
        }
    }

    /// Our own address on this connection.
    #[must_use]
    pub fn local(&self, unix_path: &str) -> String {
        match self {
            Socket::Tcp(stream) => stream.local_addr().map_or_else(|_| "?:0".to_owned(), format_address),
            Socket::Unix(_) => format!("{unix_path}:0"),
            Socket::Detached(_) => "?:0".to_owned(),
        }
    }

    /// Whether the peer is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback()),
            Socket::Unix(_) | Socket::Detached(_) => true,
        }
    }

    /// The descriptor's number, for CLIENT LIST.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// `ip:port`, or `[ip]:port` for IPv6.
fn format_address(address: SocketAddr) -> String {
    address.to_string()
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
            Socket::Detached(null) => null.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&*self, buffer)?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Socket::write(self, bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Listening sockets: TCP on several addresses, and one unix socket.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use socket2::{Domain, Protocol, SockAddr, Type};

use super::socket::Socket;

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix domain socket with its path, removed with it.
    Unix(UnixListener, String),
}

/// One address to bind, as the `bind` parameter writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// `*`, `::*`, an address or a host name, without the leading `-`.
    pub host: String,
    /// A leading `-`: an address that is not available is skipped.
    pub optional: bool,
}

impl BindAddress {
    /// Reads one word of the `bind` parameter.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word.strip_prefix('-') {
            Some(host) => BindAddress { host: host.to_owned(), optional: true },
            None => BindAddress { host: word.to_owned(), optional: false },
        }
    }

    fn resolve(&self, port: u16) -> io::Result<Vec<SocketAddr>> {
        use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs};
        Ok(match self.host.as_str() {
            "*" => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
            "::*" => vec![(Ipv6Addr::UNSPECIFIED, port).into()],
            host => (host, port).to_socket_addrs()?.take(1).collect(),
        })
    }
}

/// Listens on every address. An optional address that the machine does not have is skipped.
///
/// # Errors
/// The address and what the kernel said about it.
pub fn listen_tcp(addresses: &[BindAddress], port: u16, backlog: i32) -> Result<Vec<Listener>, (String, io::Error)> {
    let mut listeners = Vec::new();
    for address in addresses {
        let bound = address.resolve(port).and_then(|sockets| {
            sockets.into_iter().map(|socket| bind_tcp(socket, backlog)).collect::<io::Result<Vec<_>>>()
        });
        match bound {
            Ok(bound) => listeners.extend(bound),
            Err(error) if address.optional && is_unavailable(&error) => {}
            Err(error) => return Err((address.host.clone(), error)),
        }
    }
    Ok(listeners)
}

/// Whether the machine lacks the address or its whole family, as opposed to the port being taken.
fn is_unavailable(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unavailable = [
        Errno::ADDRNOTAVAIL,
        Errno::AFNOSUPPORT,
        Errno::PROTONOSUPPORT,
        Errno::NOPROTOOPT,
        Errno::SOCKTNOSUPPORT,
        Errno::PFNOSUPPORT,
    ];
    error.raw_os_error().is_none_or(|code| unavailable.iter().any(|errno| errno.raw_os_error() == code))
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<Listener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(Listener::Tcp(socket.into()))
}

/// Listens on a unix socket; a stale one at that path is removed first.
///
/// # Errors
/// What the kernel says.
pub fn listen_unix(path: &str, permissions: u32, backlog: i32) -> io::Result<Listener> {
    let _ = std::fs::remove_file(path);
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    if permissions != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))?;
    }
    Ok(Listener::Unix(socket.into(), path.to_owned()))
}

impl Listener {
    /// Accepts one connection that is waiting.
    ///
    /// # Errors
    /// `WouldBlock` when none waits, or what the kernel says.
    pub fn accept(&self, keepalive_secs: u32) -> io::Result<Socket> {
        match self {
            Listener::Tcp(listener) => Socket::from_tcp(listener.accept()?.0, keepalive_secs),
            Listener::Unix(listener, _) => Socket::from_unix(listener.accept()?.0),
        }
    }

    /// Lets go of the socket in a child, which shares it: the path of a unix socket is the parent's.
    pub fn close_in_child(mut self) {
        if let Listener::Unix(_, path) = &mut self {
            path.clear();
        }
    }

    /// The path of a unix socket.
    #[must_use]
    pub fn unix_path(&self) -> Option<&str> {
        match self {
            Listener::Tcp(_) => None,
            Listener::Unix(_, path) => Some(path),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self
            && !path.is_empty()
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener, _) => listener.as_fd(),
        }
    }
}

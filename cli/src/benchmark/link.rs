//! A client's connection: a socket that is never waited for, with or without TLS.

use std::io::{self, ErrorKind, Read, Write};

use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::tls;

/// See the [module](self).
pub(crate) enum Link {
    Plain(Socket),
    Secure(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Link {
    /// Begins to connect.
    pub(crate) fn open(address: &SockAddr, tls: Option<&tls::Client>) -> io::Result<Link> {
        let socket = Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if !address.is_unix() {
            socket.set_tcp_nodelay(true)?;
        }
        match socket.connect(address) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
            _ => match tls {
                None => Ok(Link::Plain(socket)),
                Some(client) => {
                    let session = ClientConnection::new(client.config.clone(), client.name.clone());
                    let session = session.map_err(io::Error::other)?;
                    Ok(Link::Secure(Box::new(StreamOwned::new(session, socket))))
                }
            },
        }
    }

    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Link::Plain(socket) => socket,
            Link::Secure(stream) => &stream.sock,
        }
    }

    /// Whether bytes may have been taken from the socket and not been read yet.
    pub(crate) fn keeps_bytes(&self) -> bool {
        matches!(self, Link::Secure(_))
    }

    /// Goes on with the handshake of a socket that is connected; whether it is done.
    pub(crate) fn handshake(&mut self) -> io::Result<bool> {
        let Link::Secure(stream) = self else { return Ok(true) };
        while stream.conn.is_handshaking() {
            match stream.conn.complete_io(&mut stream.sock) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(io::Error::other(tls::handshake_text(&error))),
            }
        }
        Ok(true)
    }

    /// Sends what encryption has left over; whether nothing waits for the socket now.
    pub(crate) fn flushed(&mut self) -> io::Result<bool> {
        let Link::Secure(stream) = self else { return Ok(true) };
        while stream.conn.wants_write() {
            match stream.conn.write_tls(&mut stream.sock) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(socket) => socket.read(buffer),
            Link::Secure(stream) => match stream.read(buffer) {
                // The end that the server did not announce.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                result => result,
            },
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Link::Plain(socket) => socket.write(bytes),
            Link::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Link::Plain(socket) => socket.flush(),
            Link::Secure(stream) => stream.flush(),
        }
    }
}

//! One connection to a server: open it, send commands, receive replies.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use resp::{DecodeError, ReplyDecoder, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::args::{Endpoint, Family, Reach};
use crate::tls;

/// Bytes asked of the socket at once.
const READ_SIZE: usize = 64 * 1024;

/// Seconds of silence after which the system probes an idle connection.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Why a reply did not come.
#[derive(Debug)]
pub(crate) enum Error {
    /// The server closed the connection, cleanly or half-way through a reply.
    Closed,
    Io(io::Error),
    /// A whole message, to be said as it is.
    Told(String),
    /// The server answered with an error where the client needs an answer.
    Reply(String),
    /// What came is not the protocol; the connection is of no further use.
    Protocol(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Closed => f.write_str("Server closed the connection"),
            Error::Io(error) => f.write_str(&io_text(error)),
            Error::Told(text) | Error::Reply(text) | Error::Protocol(text) => f.write_str(text),
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Error {
        Error::Protocol(match error {
            // What every client of the C library says, and scripts look for.
            DecodeError::UnknownType(byte) => {
                format!("Protocol error, got \"{}\" as reply type byte", byte.escape_ascii())
            }
            error => format!("Protocol error, {error}"),
        })
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.kind() {
            // The end of a TLS session that the server did not announce.
            io::ErrorKind::UnexpectedEof => Error::Closed,
            _ => Error::Io(error),
        }
    }
}

/// The system's own words, without Rust's " (os error N)".
pub(crate) fn io_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum OpenError {
    Io(io::Error),
    /// What the options say of TLS cannot be done: the reason.
    Tls(String),
}

impl OpenError {
    /// The message, which names the server.
    pub(crate) fn tell(&self, server: &str) -> String {
        match self {
            OpenError::Io(error) => format!("Could not connect to Redis at {server}: {}", io_text(error)),
            OpenError::Tls(reason) => format!("Could not negotiate a TLS connection: {reason}"),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

/// A byte stream to a server, whatever carries it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// An open connection.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    decoder: ReplyDecoder,
    /// What reading fills, at once.
    chunk: Box<[u8]>,
}

impl Connection {
    /// Connects, trying each address of the host in turn. The error is the last address's.
    pub(crate) async fn open(endpoint: &Endpoint, reach: &Reach) -> Result<Connection, OpenError> {
        let connecting = connect(endpoint, reach);
        let stream = match reach.timeout {
            None => connecting.await?,
            Some(limit) => match tokio::time::timeout(limit, connecting).await {
                Ok(stream) => stream?,
                Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            },
        };
        Ok(Connection { stream, decoder: ReplyDecoder::default(), chunk: vec![0; READ_SIZE].into_boxed_slice() })
    }

    /// Sends one command.
    pub(crate) async fn send(&mut self, words: &[impl AsRef<[u8]>]) -> Result<(), Error> {
        let mut request = Vec::new();
        encode(&mut request, words);
        self.send_raw(&request).await
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next reply or push message. Dropping the future loses nothing: what was read stays in the decoder.
    pub(crate) async fn receive(&mut self) -> Result<Value, Error> {
        loop {
            if let Some(value) = self.buffered()? {
                return Ok(value);
            }
            self.fill().await?;
        }
    }

    /// The next reply among the bytes already read, without waiting.
    pub(crate) fn buffered(&mut self) -> Result<Option<Value>, Error> {
        self.decoder.next().map_err(Error::from)
    }

    /// Reads once.
    async fn fill(&mut self) -> Result<(), Error> {
        match self.stream.read(&mut self.chunk).await {
            Ok(0) => Err(Error::Closed),
            Ok(count) => {
                self.decoder.push(&self.chunk[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Error::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends and receives the one reply; push messages in between are dropped. For what the client itself asks.
    pub(crate) async fn ask(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        self.send(words).await?;
        self.reply().await
    }

    /// The next reply; push messages before it are dropped.
    pub(crate) async fn reply(&mut self) -> Result<Value, Error> {
        loop {
            match self.receive().await? {
                Value::Push(_) => {}
                value => return Ok(value),
            }
        }
    }

    /// The stream itself, for the modes that send and receive at the same time.
    pub(crate) fn into_parts(self) -> (Box<dyn Stream>, ReplyDecoder) {
        (self.stream, self.decoder)
    }
}

/// Appends one command in the protocol's form.
pub(crate) fn encode(out: &mut Vec<u8>, words: &[impl AsRef<[u8]>]) {
    let mut writer = resp::Writer::new(out, resp::Protocol::Resp2);
    writer.array(words.len());
    words.iter().for_each(|word| writer.bulk(word.as_ref()));
}

async fn connect(endpoint: &Endpoint, reach: &Reach) -> Result<Box<dyn Stream>, OpenError> {
    match &endpoint.socket {
        Some(path) => secure(UnixStream::connect(std::ffi::OsStr::from_bytes(path)).await?, reach).await,
        None => secure(connect_tcp(endpoint, reach.family).await?, reach).await,
    }
}

/// With TLS, if that is wanted.
async fn secure(stream: impl Stream + 'static, reach: &Reach) -> Result<Box<dyn Stream>, OpenError> {
    if !reach.tls.on {
        return Ok(Box::new(stream));
    }
    let client = reach.tls.client().map_err(|reason| OpenError::Tls(reason.to_owned()))?;
    let connector = TlsConnector::from(client.config.clone());
    match connector.connect(client.name.clone(), stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(io::Error::other(tls::handshake_text(&error)).into()),
    }
}

async fn connect_tcp(endpoint: &Endpoint, family: Family) -> io::Result<TcpStream> {
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|error| {
            // "failed to lookup address information: " is Rust's; the rest is the resolver's.
            let text = error.to_string();
            io::Error::other(text.rsplit(": ").next().unwrap_or(&text).to_owned())
        })?
        .collect();
    match family {
        Family::Any => {}
        Family::V4 => addresses.sort_by_key(|address| !address.is_ipv4()),
        Family::V6 => addresses.sort_by_key(|address| !address.is_ipv6()),
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Neither is worth failing for.
                let _ = stream.set_nodelay(true);
                let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
                let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_binary_words() {
        let mut out = Vec::new();
        encode(&mut out, &[&b"SET"[..], b"", b"\r\n"]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n");
    }

    #[test]
    fn system_errors_in_plain_words() {
        assert_eq!(io_text(&io::Error::from_raw_os_error(111)), "Connection refused");
        assert_eq!(io_text(&io::Error::other("plain")), "plain");
    }
}

//! A blocking connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::{Reply, ReplyError};

/// A socket of either family.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix domain.
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buf),
            Stream::Unix(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(buf),
            Stream::Unix(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that keeps what is taken from it.
struct Recorder<'a> {
    reader: &'a mut BufReader<Stream>,
    bytes: &'a mut Vec<u8>,
}

impl Read for Recorder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buf)?;
        self.bytes.extend_from_slice(&buf[..n]);
        Ok(n)
    }
}

impl BufRead for Recorder<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        let buffered = self.reader.buffer();
        self.bytes.extend_from_slice(&buffered[..n.min(buffered.len())]);
        self.reader.consume(n);
    }
}

/// A connection that sends requests and reads replies in order.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<Stream>,
}

impl Client {
    /// No reply may take longer than this.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Self::PATIENCE))?;
        stream.set_write_timeout(Some(Self::PATIENCE))?;
        Ok(Client { reader: BufReader::new(Stream::Tcp(stream)) })
    }

    /// Connects to a unix socket.
    pub fn connect_unix(path: &Path) -> io::Result<Client> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(Self::PATIENCE))?;
        stream.set_write_timeout(Some(Self::PATIENCE))?;
        Ok(Client { reader: BufReader::new(Stream::Unix(stream)) })
    }

    /// A reply that takes longer than this is an error.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        match self.reader.get_ref() {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(patience)),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Reads one reply.
    pub fn receive(&mut self) -> Result<Reply, ReplyError> {
        Reply::read(&mut self.reader)
    }

    /// Reads one reply, and appends its bytes to `bytes`.
    pub fn receive_with_bytes(&mut self, bytes: &mut Vec<u8>) -> Result<Reply, ReplyError> {
        Reply::read(&mut Recorder { reader: &mut self.reader, bytes })
    }

    /// Reads at most `buf.len()` bytes as they come; 0 at the end of the connection.
    pub fn receive_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }

    /// Reads what still comes until the server closes the connection.
    pub fn receive_rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            // A reset is an end, too: the server closed without reading all that was sent.
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(rest),
        }
    }

    /// Sends a request and reads its reply.
    pub fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Reply, ReplyError> {
        self.send(&request(args))?;
        self.receive()
    }

    /// Sends a request and reads its reply. Panics when there is none: for tests in which that is a failure.
    #[track_caller]
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Reply {
        match self.try_call(args) {
            Ok(reply) => reply,
            Err(error) => panic!("{}: {error}", String::from_utf8_lossy(args[0].as_ref())),
        }
    }

    /// A line of INFO as a number, for instance `used_memory`.
    #[track_caller]
    pub fn info(&mut self, field: &str) -> u64 {
        let info = self.call(&["INFO", "everything"]).text().expect("INFO replies with text");
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("INFO has no number {field}"))
    }
}

/// The bytes of a request.
pub fn request<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

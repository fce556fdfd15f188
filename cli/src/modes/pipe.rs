//! `--pipe`: bytes from standard input to the server as they are, the replies counted.
//!
//! How many replies to expect is not known. So an ECHO of random bytes follows the last command; the reply that equals
//! them is the last.

use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;

use resp::{ReplyDecoder, Value};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::connection::{Error, encode, io_text};
use crate::modes::failed;
use crate::progress::Progress;
use crate::session::Session;

/// Bytes read at once, from either side.
const CHUNK: usize = 64 * 1024;

/// Chunks of standard input that wait for the socket.
const CHUNKS_AHEAD: usize = 4;

pub(crate) async fn run(session: Session) -> ExitCode {
    let timeout = match session.options.pipe_timeout {
        0 => None,
        seconds => Some(Duration::from_secs(seconds)),
    };
    let (mut progress, mut sent) = (Progress::new("bytes", session.options.plain), 0);
    let Some(connection) = session.into_connection().await else { return ExitCode::FAILURE };
    let (stream, decoder) = connection.into_parts();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut replies = Replies { decoder, mark: mark(), count: 0, errors: 0 };
    let mut input = read_stdin();
    let mut chunk = vec![0; CHUNK];
    let mut pending: Vec<u8> = Vec::new();
    let mut written = 0;
    // All was written, some of it perhaps into the encryption's buffer only.
    let mut flushed = true;
    // The mark was added to what is to be written.
    let mut ended = false;
    let mut announced = false;
    loop {
        if ended && written == pending.len() && flushed && !announced {
            announced = true;
            progress.clear();
            println!("All data transferred. Waiting for the last reply...");
        }
        let waiting = async {
            match timeout {
                Some(timeout) if announced => tokio::time::sleep(timeout).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            result = reader.read(&mut chunk) => {
                let outcome = match result {
                    Ok(0) => Err(Error::Closed),
                    Ok(count) => replies.take(&chunk[..count]),
                    Err(error) => Err(error.into()),
                };
                match outcome {
                    Ok(false) => {}
                    Ok(true) => {
                        println!("Last reply received from server.");
                        break;
                    }
                    Err(error) => return failed(&error),
                }
            }
            result = write_or_flush(&mut writer, &pending[written..]), if written < pending.len() || !flushed => match result {
                Ok(0) => flushed = true,
                Ok(count) => {
                    written += count;
                    flushed = false;
                    sent += count as u64;
                    progress.show(sent, None);
                }
                Err(error) => return failed(&error.into()),
            },
            next = input.recv(), if written == pending.len() && flushed && !ended => {
                pending.clear();
                written = 0;
                match next {
                    Some(Ok(bytes)) => pending = bytes,
                    Some(Err(error)) => {
                        eprintln!("Error reading from standard input: {}", io_text(&error));
                        return ExitCode::FAILURE;
                    }
                    None => {
                        ended = true;
                        // An inline command without its line end would swallow what follows.
                        pending.extend_from_slice(b"\r\n");
                        encode(&mut pending, &[&b"ECHO"[..], replies.mark.as_bytes()]);
                    }
                }
            }
            () = waiting => {
                eprintln!("No replies for {} seconds: exiting.", timeout.unwrap_or_default().as_secs());
                replies.errors += 1;
                break;
            }
        }
    }
    println!("errors: {}, replies: {}", replies.errors, replies.count);
    if replies.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes some of the bytes; flushes and gives 0 when there are none.
async fn write_or_flush(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(bytes).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

/// Standard input is read on a thread of its own: a pipe cannot always be waited for.
fn read_stdin() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut chunk = vec![0; CHUNK];
            let message = match stdin.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    chunk.truncate(count);
                    Ok(chunk)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let stop = message.is_err();
            if sender.blocking_send(message).is_err() || stop {
                return;
            }
        }
    });
    receiver
}

/// Twenty characters that no reply of the user's is likely to hold.
fn mark() -> String {
    use std::hash::{BuildHasher, RandomState};
    // The keys of a hasher are the randomness that the standard library has.
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:04x}", random(), random() as u16)
}

/// What has come back.
struct Replies {
    decoder: ReplyDecoder,
    mark: String,
    count: u64,
    errors: u64,
}

impl Replies {
    /// Takes in bytes from the server; true when the last reply was among them.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        self.decoder.push(bytes);
        while let Some(reply) = self.decoder.next().map_err(Error::from)? {
            match &reply {
                Value::Push(_) => continue,
                Value::Error(text) => {
                    self.errors += 1;
                    eprintln!("{}", String::from_utf8_lossy(text));
                }
                Value::Bulk(bytes) if bytes.as_ref() == self.mark.as_bytes() => return Ok(true),
                _ => {}
            }
            self.count += 1;
        }
        Ok(false)
    }
}

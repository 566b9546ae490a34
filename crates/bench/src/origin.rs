//! The origin: the server that every subject is asked to reach, made to cost little.
//!
//! One port speaks three ways, told apart by the first byte: TLS, HTTP, and `\0` for a
//! stream that is neither (what a tunnel carries in the bulk mode). One port, because a proxy
//! is told to resolve every name to one address and port.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, AuthorityFiles};
use crate::served::{self, ServedOptions};

/// Names that the origin has a certificate for.
pub(crate) const HOSTS: &str = "*.bench.test";
/// The answer of 1 KiB.
pub(crate) const SMALL_PATH: &str = "/1k";
/// The answer that is a file, read as a plain static server reads it.
pub(crate) const FILE_PATH: &str = "/file";
/// Bytes of the answer at [`SMALL_PATH`].
pub(crate) const SMALL_BYTES: usize = 1024;

const TLS_HANDSHAKE: u8 = 0x16;
/// A head longer than this is refused.
const HEAD_LIMIT: usize = 16 * 1024;
static CHUNK: [u8; 256 * 1024] = [b'x'; 256 * 1024];

/// Options of `consoletap-bench origin`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    served: ServedOptions,
    /// Certificate of the authority that signs for the origin
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Its key
    #[arg(long, value_name = "FILE")]
    ca_key: PathBuf,
    /// The file to serve
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs the origin until its time is over.
pub(crate) fn run(options: Options) -> Result<()> {
    let files = AuthorityFiles { certificate: options.ca, key: options.ca_key };
    let acceptor = acceptor(&Authority::load(&files)?)?;
    let file = options.file.map(Arc::from);
    served::serve(&options.served, |listener| serve(listener, acceptor, file))
}

/// A TLS side for every name of the benchmark.
pub(crate) fn acceptor(authority: &Authority) -> Result<TlsAcceptor> {
    let config = authority.server_config(&[HOSTS, "127.0.0.1"])?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Answers every connection until dropped.
pub(crate) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, file: Option<Arc<Path>>) {
    loop {
        // Out of descriptors or a client gone already: the next accept may do better.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let (acceptor, file) = (acceptor.clone(), file.clone());
        tokio::spawn(async move {
            // A client that goes away in the middle is the end of this connection, no more.
            let _ = connection(stream, acceptor, file.as_deref()).await;
        });
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    file: Option<&Path>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first[0] == TLS_HANDSHAKE {
        answer_all(acceptor.accept(stream).await?, file).await
    } else {
        answer_all(stream, file).await
    }
}

/// Answers request after request on one connection.
async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    file: Option<&Path>,
) -> io::Result<()> {
    let small = small_answer();
    let mut received = Vec::with_capacity(2048);
    while let Some(length) = read_head(&mut stream, &mut received).await? {
        let question = Question::parse(&received[..length]);
        received.drain(..length);
        match question.wanted {
            Wanted::Small => stream.write_all(&small).await?,
            Wanted::Bytes(total) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                write_bytes(&mut stream, total).await?;
            }
            Wanted::BareBytes(total) => write_bytes(&mut stream, total).await?,
            Wanted::File if file.is_some() => {
                if let Some(file) = file {
                    write_file(&mut stream, file).await?;
                }
            }
            Wanted::File | Wanted::Unknown => {
                let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await?;
            }
        }
        stream.flush().await?;
        if question.close {
            break;
        }
    }
    stream.shutdown().await
}

/// Reads until an empty line; the length of the head, or `None` at the end of the connection.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    received: &mut Vec<u8>,
) -> io::Result<Option<usize>> {
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if received.len() > HEAD_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a head beyond 16 KiB"));
        }
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

async fn write_bytes<S: AsyncWrite + Unpin>(stream: &mut S, mut total: u64) -> io::Result<()> {
    while total > 0 {
        let piece = usize::try_from(total).map_or(CHUNK.len(), |left| left.min(CHUNK.len()));
        stream.write_all(&CHUNK[..piece]).await?;
        total -= piece as u64;
    }
    Ok(())
}

/// A file in blocks, read where it is sent: what a simple static server does.
async fn write_file<S: AsyncWrite + Unpin>(stream: &mut S, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.metadata()?.len());
    stream.write_all(head.as_bytes()).await?;
    let mut block = vec![0; CHUNK.len()];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&block[..count]).await?;
    }
}

fn small_answer() -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {SMALL_BYTES}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + SMALL_BYTES, b'x');
    answer
}

/// What one head asks for.
struct Question {
    wanted: Wanted,
    close: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Small,
    Bytes(u64),
    /// The same without an HTTP head: for tunnels.
    BareBytes(u64),
    File,
    Unknown,
}

impl Question {
    fn parse(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let close = lines.any(|line| line.eq_ignore_ascii_case("connection: close"));
        Self { wanted: Wanted::parse(first), close }
    }
}

impl Wanted {
    fn parse(first_line: &str) -> Self {
        if let Some(total) = first_line.strip_prefix("\0bytes ") {
            return total.parse().map_or(Self::Unknown, Self::BareBytes);
        }
        match first_line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) {
            Some(SMALL_PATH) => Self::Small,
            Some(FILE_PATH) => Self::File,
            Some(path) => path
                .strip_prefix("/bytes/")
                .and_then(|total| total.parse().ok())
                .map_or(Self::Unknown, Self::Bytes),
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_head_asks_for() {
        assert_eq!(Wanted::parse("GET /1k HTTP/1.1"), Wanted::Small);
        assert_eq!(Wanted::parse("GET /bytes/7 HTTP/1.1"), Wanted::Bytes(7));
        assert_eq!(Wanted::parse("GET /bytes/x HTTP/1.1"), Wanted::Unknown);
        assert_eq!(Wanted::parse("\0bytes 9"), Wanted::BareBytes(9));
        assert!(Question::parse(b"GET /1k HTTP/1.1\r\nConnection: close\r\n\r\n").close);
        assert!(!Question::parse(b"GET /1k HTTP/1.1\r\nHost: a\r\n\r\n").close);
    }

    proptest::proptest! {
        #[test]
        fn no_head_makes_it_panic(head: Vec<u8>) {
            Question::parse(&head);
        }
    }
}

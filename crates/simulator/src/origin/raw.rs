//! Servers that misbehave: each connection plays a script of bytes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// One act of a script.
///
/// After the last one the server closes its side and reads on until the client has closed too:
/// a connection closed over unread bytes would be reset, and the reset can overtake the answer.
#[derive(Debug, Clone)]
pub enum Act {
    /// Read until a blank line: the head of one request.
    ReadHead,
    /// Read until these bytes have come.
    ReadUntil(Bytes),
    /// Read so many bytes.
    Read(usize),
    /// Send these bytes at once.
    Send(Bytes),
    /// Send these bytes one by one, with a pause before each.
    Trickle(Bytes, Duration),
    /// Say that nothing more will be sent, and go on reading.
    FinishSending,
    /// Read and keep silent until the client closes.
    Hold,
    /// Drop the connection with a TCP reset; acts behind it are not played.
    Reset,
}

/// A listener that plays a script. It stops when this is dropped.
#[derive(Debug)]
pub struct RawOrigin {
    address: SocketAddr,
    received: Received,
    accepting: AbortHandle,
}

type Received = Arc<Mutex<Vec<Vec<u8>>>>;

impl RawOrigin {
    /// Reads one request head, sends these bytes and closes, on every connection.
    ///
    /// # Errors
    /// If no port of loopback can be had.
    pub async fn answer(bytes: impl Into<Bytes>) -> io::Result<Self> {
        Self::play(vec![Act::ReadHead, Act::Send(bytes.into())]).await
    }

    /// Plays one script on every connection.
    ///
    /// # Errors
    /// If no port of loopback can be had.
    pub async fn play(script: Vec<Act>) -> io::Result<Self> {
        Self::play_in_turn(vec![script]).await
    }

    /// Plays the first script on the first connection and so on; the last one repeats.
    ///
    /// # Errors
    /// If no port of loopback can be had.
    pub async fn play_in_turn(scripts: Vec<Vec<Act>>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let received = Received::default();
        let serving = accept(listener, scripts, Arc::clone(&received));
        let accepting = tokio::spawn(serving).abort_handle();
        Ok(Self { address, received, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What each connection has sent so far, in the order in which they were accepted.
    #[must_use]
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RawOrigin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, scripts: Vec<Vec<Act>>, received: Received) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let index = {
            let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
            received.push(Vec::new());
            received.len() - 1
        };
        let script = scripts.get(index).or_else(|| scripts.last()).cloned().unwrap_or_default();
        let conversation =
            Conversation { stream, read: Vec::new(), received: Arc::clone(&received), index };
        open.spawn(conversation.play(script));
        while open.try_join_next().is_some() {}
    }
}

struct Conversation {
    stream: TcpStream,
    /// Bytes that came and no act has asked for yet.
    read: Vec<u8>,
    received: Received,
    index: usize,
}

impl Conversation {
    async fn play(mut self, script: Vec<Act>) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        for act in script {
            match act {
                Act::ReadHead => self.read_until(b"\r\n\r\n").await?,
                Act::ReadUntil(end) => self.read_until(&end).await?,
                Act::Read(count) => {
                    while self.read.len() < count {
                        self.read_some().await?;
                    }
                    self.read.drain(..count);
                }
                Act::Send(bytes) => self.stream.write_all(&bytes).await?,
                Act::Trickle(bytes, pause) => self.trickle(&bytes, pause).await?,
                Act::FinishSending => self.stream.shutdown().await?,
                Act::Hold => while self.read_some().await.is_ok() {},
                Act::Reset => return self.stream.set_zero_linger(),
            }
        }
        self.stream.shutdown().await?;
        while self.read_some().await.is_ok() {}
        Ok(())
    }

    async fn read_until(&mut self, end: &[u8]) -> io::Result<()> {
        loop {
            let found = self.read.windows(end.len().max(1)).position(|window| window == end);
            if let Some(start) = found {
                self.read.drain(..start + end.len());
                return Ok(());
            }
            self.read_some().await?;
        }
    }

    async fn read_some(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&buffer[..count]);
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received[self.index].extend_from_slice(&buffer[..count]);
        Ok(())
    }

    async fn trickle(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes {
            tokio::time::sleep(pause).await;
            self.stream.write_all(&[*byte]).await?;
        }
        Ok(())
    }
}

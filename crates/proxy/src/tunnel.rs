//! A tunnel: octets both ways, unread, counted, with half-closes kept. While nothing moves it
//! holds two descriptors and no buffer.

#[cfg(target_os = "linux")]
mod splice;

use std::io;
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use consoletap_flow::{Failure, Happening, Side, State};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::open_flow::{FlowLog, OpenFlow};

/// What one turn of copying in user space moves; the buffer lives for the turn only.
const TURN: usize = 64 << 10;

/// After so much in one go it is a bulk transfer, and worth a pipe in the kernel.
#[cfg(target_os = "linux")]
const BULK: u64 = 512 << 10;

/// Octets of a server that are looked at for its ServerHello.
const HELLO: usize = 16 << 10;

/// Runs a tunnel to its end. `first` are octets of the client that were read already.
pub(crate) async fn run(mut flow: OpenFlow, client: TcpStream, server: TcpStream, first: BytesMut) {
    let counts = Counts::default();
    let idle = flow.idle_tunnel();
    let result = {
        let log = Mutex::new(&mut flow.log);
        let up = Way {
            from: &client,
            to: &server,
            moved: &counts.up,
            from_client: true,
            counts: &counts,
            log: &log,
        };
        let down = Way {
            from: &server,
            to: &client,
            moved: &counts.down,
            from_client: false,
            counts: &counts,
            log: &log,
        };
        let both = async { tokio::try_join!(up.run(first), down.run(BytesMut::new())) };
        tokio::select! {
            result = both => result.map(|_| ()),
            () = counts.idle(idle) => Err(Broken::Idle(idle)),
            () = flow_stopping(&flow.stopping) => Err(Broken::Stopped),
        }
    };
    flow.request.count(counts.up.load(Ordering::Relaxed));
    flow.response.count(counts.down.load(Ordering::Relaxed));
    match result {
        Ok(()) => flow.finish(State::Complete, None),
        Err(broken) => {
            let (state, failure) = broken.explain();
            flow.finish(state, failure)
        }
    };
}

async fn flow_stopping(stopping: &tokio_util::sync::CancellationToken) {
    stopping.cancelled().await;
}

/// Octets that went each way.
#[derive(Default)]
struct Counts {
    up: AtomicU64,
    down: AtomicU64,
}

impl Counts {
    fn sum(&self) -> u64 {
        self.up.load(Ordering::Relaxed) + self.down.load(Ordering::Relaxed)
    }

    /// Resolves when nothing moved for so long.
    async fn idle(&self, limit: Duration) {
        let mut before = self.sum();
        loop {
            sleep(limit).await;
            let now = self.sum();
            if now == before {
                return;
            }
            before = now;
        }
    }
}

/// Why a tunnel did not end by both sides closing it.
enum Broken {
    /// A side's connection failed.
    Side {
        client: bool,
        error: io::Error,
    },
    Idle(Duration),
    Stopped,
}

impl Broken {
    fn explain(self) -> (State, Option<Failure>) {
        match self {
            // Consoles and servers end tunnels by a reset as often as by a close: TLS inside has
            // its own end, and nothing tells us whether it came.
            Self::Side { client, error } if is_a_close(&error) => {
                let state = if client { State::AbortedByClient } else { State::Complete };
                (state, None)
            }
            Self::Side { client: true, error } => {
                let cause = format!("the client's connection failed: {error}");
                (State::AbortedByClient, Some(Failure::new(Side::Client, cause)))
            }
            Self::Side { client: false, error } => {
                let cause = format!("the server's connection failed: {error}");
                (State::UpstreamError, Some(Failure::new(Side::Upstream, cause)))
            }
            Self::Idle(limit) => {
                let cause = format!("nothing moved for {} minutes", limit.as_secs() / 60);
                (State::Complete, Some(Failure::new(Side::Here, cause)))
            }
            Self::Stopped => {
                let cause = "the proxy was stopped".to_owned();
                (State::AbortedByClient, Some(Failure::new(Side::Here, cause)))
            }
        }
    }
}

fn is_a_close(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
    )
}

/// One direction.
struct Way<'t> {
    from: &'t TcpStream,
    to: &'t TcpStream,
    moved: &'t AtomicU64,
    from_client: bool,
    counts: &'t Counts,
    log: &'t Mutex<&'t mut FlowLog>,
}

impl Way<'_> {
    async fn run(self, first: BytesMut) -> Result<(), Broken> {
        self.write_all(&first).await?;
        drop(first);
        // The server's first octets tell what it chose.
        let mut hello = (!self.from_client).then(BytesMut::new);
        #[cfg(target_os = "linux")]
        let mut burst = 0;
        loop {
            self.readable().await?;
            let mut turn = BytesMut::with_capacity(if hello.is_some() { HELLO } else { TURN });
            match self.from.try_read_buf(&mut turn) {
                Ok(0) => return self.close(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(turn);
                    #[cfg(target_os = "linux")]
                    {
                        burst = 0;
                    }
                    continue;
                }
                Err(error) => return Err(self.read_failed(error)),
            }
            if let Some(seen) = &mut hello {
                seen.extend_from_slice(&turn);
                if self.tell_server_hello(seen) {
                    hello = None;
                }
            }
            self.write_all(&turn).await?;
            #[cfg(target_os = "linux")]
            {
                burst += turn.len() as u64;
                if burst >= BULK {
                    drop(turn);
                    burst = 0;
                    if self.splice().await? {
                        return self.close();
                    }
                }
            }
        }
    }

    /// Waits for octets. The future is small, which is what an idle tunnel consists of.
    async fn readable(&self) -> Result<(), Broken> {
        self.from.readable().await.map_err(|error| self.read_failed(error))
    }

    async fn write_all(&self, mut octets: &[u8]) -> Result<(), Broken> {
        while !octets.is_empty() {
            match self.to.try_write(octets) {
                Ok(count) => {
                    octets = &octets[count..];
                    self.count(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.to.writable().await.map_err(|error| self.write_failed(error))?;
                }
                Err(error) => return Err(self.write_failed(error)),
            }
        }
        Ok(())
    }

    fn count(&self, octets: usize) {
        self.moved.fetch_add(octets as u64, Ordering::Relaxed);
        if let Ok(mut log) = self.log.try_lock() {
            let Counts { up, down } = self.counts;
            log.progress(up.load(Ordering::Relaxed), down.load(Ordering::Relaxed));
        }
    }

    /// Passes the end of one side on, and leaves the other direction open.
    fn close(&self) -> Result<(), Broken> {
        match socket2::SockRef::from(self.to).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => {
                Err(self.write_failed(error))
            }
            _ => Ok(()),
        }
    }

    /// Tells what the server chose, once it can be read; whether there is no need to look further.
    fn tell_server_hello(&self, seen: &[u8]) -> bool {
        if let Some(facts) = consoletap_tls::server_hello(seen) {
            if let Ok(log) = self.log.lock() {
                log.tell(Happening::ServerHello(facts));
            }
            return true;
        }
        let may_become_one = seen.starts_with(&[0x16]) && seen.len() < HELLO;
        !may_become_one
    }

    /// Moves a bulk transfer through the kernel until it pauses; whether it is over.
    #[cfg(target_os = "linux")]
    async fn splice(&self) -> Result<bool, Broken> {
        // Without a pipe (no descriptors left) the copy in user space goes on.
        let Ok(mut pipe) = splice::Pipe::new() else { return Ok(false) };
        loop {
            match pipe.fill(self.from) {
                Ok(0) => return Ok(true),
                Ok(_) => self.drain(&mut pipe).await?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let paused = Instant::now() + splice::PAUSE;
                    match timeout(paused - Instant::now(), self.readable()).await {
                        Ok(readable) => readable?,
                        // The pipe goes, with its two descriptors; it is made again when needed.
                        Err(_) => return Ok(false),
                    }
                }
                Err(error) => return Err(self.read_failed(error)),
            }
        }
    }

    #[cfg(target_os = "linux")]
    async fn drain(&self, pipe: &mut splice::Pipe) -> Result<(), Broken> {
        while !pipe.is_empty() {
            match pipe.drain(self.to) {
                Ok(count) => self.count(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.to.writable().await.map_err(|error| self.write_failed(error))?;
                }
                Err(error) => return Err(self.write_failed(error)),
            }
        }
        Ok(())
    }

    fn read_failed(&self, error: io::Error) -> Broken {
        Broken::Side { client: self.from_client, error }
    }

    fn write_failed(&self, error: io::Error) -> Broken {
        Broken::Side { client: !self.from_client, error }
    }
}

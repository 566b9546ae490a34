//! A tunnel: octets both ways, unread, counted, with half-closes kept. While nothing moves it
//! holds two descriptors and no buffer.

mod broken;
mod shaped;
#[cfg(target_os = "linux")]
mod splice;
mod watch;

use std::io;
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use consoletap_flow::State;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use crate::open_flow::{FlowLog, OpenFlow};
use crate::shape::Shape;
pub(crate) use broken::{Broken, Direction, both};
pub(crate) use shaped::Shapes;
pub(crate) use watch::Watch;
use watch::Watched;

/// What one turn of copying in user space moves; the buffer lives for the turn only.
const TURN: usize = 64 << 10;

/// After so much in one go it is a bulk transfer, and worth a pipe in the kernel.
#[cfg(target_os = "linux")]
const BULK: u64 = 512 << 10;

/// The same while a handshake is looked at.
const HANDSHAKE_TURN: usize = 16 << 10;

/// A tunnel, as long as it stands. Its task holds a pointer to it: what is moved into a future is
/// there twice, and of some thousand idle tunnels that is most of the memory.
pub(crate) struct Tunnel {
    flow: OpenFlow,
    client: TcpStream,
    server: TcpStream,
    counts: Counts,
    /// What rules do to its octets.
    shapes: Option<Box<Shapes>>,
    /// The client's place among those that are connected.
    _place: Option<OwnedSemaphorePermit>,
}

impl Tunnel {
    pub(crate) fn new(
        flow: OpenFlow,
        client: TcpStream,
        server: TcpStream,
        place: Option<OwnedSemaphorePermit>,
        shapes: Option<Box<Shapes>>,
    ) -> Self {
        Self { flow, client, server, counts: Counts::default(), shapes, _place: place }
    }

    /// Runs it to its end. `first` are octets of the client that were read already; what is watched
    /// is read as it passes.
    pub(crate) async fn run(mut self: Box<Self>, first: BytesMut, watch: Watch) {
        let Self { flow, client, server, counts, shapes, .. } = &mut *self;
        let (up_shape, down_shape) = match shapes.take() {
            Some(shapes) => shapes.begin(&flow.log),
            None => (None, None),
        };
        let idle = flow.idle_tunnel();
        let stopping = flow.stopping();
        let result = {
            let log = Mutex::new(&mut flow.log);
            let ends = |from, to, moved, from_client| Way {
                from,
                to,
                moved,
                from_client,
                counts: &*counts,
                log: &log,
            };
            let up = ends(&*client, &*server, &counts.up, true);
            let down = ends(&*server, &*client, &counts.down, false);
            let ways = async {
                tokio::try_join!(
                    up.run(first, watch.client, up_shape),
                    down.run(BytesMut::new(), watch.server, down_shape)
                )
            };
            tokio::select! {
                ways = ways => ways.and_then(both),
                () = counts.idle(idle) => Err(Broken::Idle(idle)),
                () = stopping.cancelled() => Err(Broken::Stopped),
            }
        };
        finish(flow, counts, result);
    }
}

/// Ends the flow of a tunnel.
pub(crate) fn finish(flow: &mut OpenFlow, counts: &Counts, result: Result<(), Broken>) {
    flow.request.count(counts.up.load(Ordering::Relaxed));
    flow.response.count(counts.down.load(Ordering::Relaxed));
    let (state, failure) = result.map_or_else(Broken::explain, |()| (State::Complete, None));
    flow.close(state, failure);
}

/// Octets that went each way.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
}

impl Counts {
    /// Tells how far it is.
    pub(crate) fn tell(&self, log: &Mutex<&mut FlowLog>) {
        if let Ok(mut log) = log.try_lock() {
            log.progress(self.up.load(Ordering::Relaxed), self.down.load(Ordering::Relaxed));
        }
    }

    fn sum(&self) -> u64 {
        self.up.load(Ordering::Relaxed) + self.down.load(Ordering::Relaxed)
    }

    /// Resolves when nothing moved for so long.
    pub(crate) async fn idle(&self, limit: Duration) {
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

/// Which end of a direction failed.
enum Failed {
    Read(io::Error),
    Write(io::Error),
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
    async fn run(self, first: BytesMut, watched: Watched, shape: Option<Box<Shape>>) -> Direction {
        match shape {
            // Boxed: the room for it would be there in every tunnel.
            Some(shape) => Box::pin(self.run_shaped(first, watched, shape)).await,
            None => self.direction(self.copy(first, watched).await),
        }
    }

    /// What became of it, from how passing octets on ended.
    fn direction(&self, ended: Result<(), Failed>) -> Direction {
        match ended {
            Ok(()) => Ok(None),
            Err(Failed::Read(error)) => Err(Broken::Side { client: self.from_client, error }),
            Err(Failed::Write(error)) => {
                Ok(Some(Broken::Side { client: !self.from_client, error }))
            }
        }
    }

    async fn copy(&self, first: BytesMut, mut watched: Watched) -> Result<(), Failed> {
        self.write_all(&first).await?;
        drop(first);
        #[cfg(target_os = "linux")]
        let mut burst = 0;
        loop {
            self.readable().await?;
            let room = if watched.is_over() { TURN } else { HANDSHAKE_TURN };
            let mut turn = BytesMut::with_capacity(room);
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
                Err(error) => return Err(Failed::Read(error)),
            }
            // Passed on first: looking takes its time, and what cannot be passed on was sent, too.
            let written = self.write_all(&turn).await;
            if let (false, Ok(log)) = (watched.is_over(), self.log.lock()) {
                watched.look(&turn, &log);
            }
            written?;
            #[cfg(target_os = "linux")]
            {
                burst += turn.len() as u64;
                if burst >= BULK {
                    drop(turn);
                    burst = 0;
                    // Boxed: the room for it would be there while nothing moves.
                    if Box::pin(self.splice()).await? {
                        return self.close();
                    }
                }
            }
        }
    }

    /// Waits for octets. The future is small, which is what an idle tunnel consists of.
    async fn readable(&self) -> Result<(), Failed> {
        self.from.readable().await.map_err(Failed::Read)
    }

    async fn write_all(&self, mut octets: &[u8]) -> Result<(), Failed> {
        while !octets.is_empty() {
            match self.to.try_write(octets) {
                Ok(count) => {
                    octets = &octets[count..];
                    self.count(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.to.writable().await.map_err(Failed::Write)?;
                }
                Err(error) => return Err(Failed::Write(error)),
            }
        }
        Ok(())
    }

    fn count(&self, octets: usize) {
        self.moved.fetch_add(octets as u64, Ordering::Relaxed);
        self.counts.tell(self.log);
    }

    /// Passes the end of one side on, and leaves the other direction open.
    fn close(&self) -> Result<(), Failed> {
        match socket2::SockRef::from(self.to).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(Failed::Write(error)),
            _ => Ok(()),
        }
    }

    /// Moves a bulk transfer through the kernel until it pauses; whether it is over.
    #[cfg(target_os = "linux")]
    async fn splice(&self) -> Result<bool, Failed> {
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
                Err(error) => return Err(Failed::Read(error)),
            }
        }
    }

    #[cfg(target_os = "linux")]
    async fn drain(&self, pipe: &mut splice::Pipe) -> Result<(), Failed> {
        while !pipe.is_empty() {
            match pipe.drain(self.to) {
                Ok(count) => self.count(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.to.writable().await.map_err(Failed::Write)?;
                }
                Err(error) => return Err(Failed::Write(error)),
            }
        }
        Ok(())
    }
}

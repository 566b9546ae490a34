//! Large files as PS4 and PS5 fetch them: in slices, on several connections, some of which they
//! drop half way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::client::Client;
use super::{Console, Request};
use crate::content::Content;
use crate::error::Error;

/// What to fetch, and how.
#[derive(Debug, Clone)]
pub struct Download {
    /// An `http` URL.
    pub url: String,
    /// What must come.
    pub content: Content,
    /// Length of a slice. A PS4 asks for 16 MiB, a PS5 for 18 MiB.
    pub slice: u64,
    /// Connections at a time.
    pub connections: usize,
    /// Slices, counted from 0, that are dropped half way once and fetched again.
    pub drops: Vec<usize>,
}

/// What a download took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Downloaded {
    /// Bytes received and found right, those of dropped slices included.
    pub bytes: u64,
    /// Answers read to their end.
    pub slices: usize,
    /// Answers dropped half way.
    pub dropped: usize,
    /// Connections opened.
    pub opened: usize,
}

#[derive(Debug, Clone)]
struct Slice {
    range: Range<u64>,
    drop: bool,
}

type Queue = Arc<Mutex<VecDeque<Slice>>>;

impl Download {
    /// Fetches the file through a proxy and checks every byte.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub async fn run(&self, console: &Console, proxy: SocketAddr) -> Result<Downloaded, Error> {
        let slices = slices(self.content.size(), self.slice).enumerate();
        let slices = slices.map(|(n, range)| Slice { range, drop: self.drops.contains(&n) });
        let queue: Queue = Arc::new(Mutex::new(slices.collect()));
        let mut workers = JoinSet::new();
        for _ in 0..self.connections.max(1) {
            let client = console.behind(proxy);
            let agent = console.agent();
            workers.spawn(work(self.clone(), client, agent, Arc::clone(&queue)));
        }
        let mut total = Downloaded::default();
        while let Some(ended) = workers.join_next().await {
            let part = ended.map_err(|error| Error::Connection {
                doing: "downloading",
                source: std::io::Error::other(error),
            })??;
            total.bytes += part.bytes;
            total.slices += part.slices;
            total.dropped += part.dropped;
            total.opened += part.opened;
        }
        Ok(total)
    }
}

/// The ranges that a file is fetched in.
fn slices(size: u64, slice: u64) -> impl Iterator<Item = Range<u64>> {
    let slice = slice.max(1);
    (0..size.div_ceil(slice)).map(move |n| n * slice..((n + 1).saturating_mul(slice)).min(size))
}

async fn work(
    download: Download,
    mut client: Client,
    agent: String,
    queue: Queue,
) -> Result<Downloaded, Error> {
    let mut done = Downloaded::default();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(slice) = next else { break };
        let half = (slice.range.end - slice.range.start) / 2;
        let stop_after = if slice.drop { half } else { u64::MAX };
        done.bytes += fetch(&download, &mut client, &agent, &slice.range, stop_after).await?;
        if slice.drop {
            done.dropped += 1;
            let again = Slice { drop: false, ..slice };
            queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(again);
        } else {
            done.slices += 1;
        }
    }
    done.opened = client.opened();
    Ok(done)
}

/// Fetches one slice, or drops the connection once so many bytes have come.
async fn fetch(
    download: &Download,
    client: &mut Client,
    agent: &str,
    range: &Range<u64>,
    stop_after: u64,
) -> Result<u64, Error> {
    let asked = format!("bytes={}-{}", range.start, range.end - 1);
    let request = Request::get(&download.url).agent(agent).header("Range", &asked);
    let head = client.begin(&request).await?;
    let size = download.content.size();
    let promised = format!("bytes {}-{}/{size}", range.start, range.end - 1);
    if head.status != 206 || head.header("content-range") != Some(&promised) {
        client.drop_connection();
        let got = format!("{} with {:?}", head.status, head.header("content-range"));
        return Err(Error::Unexpected { expected: format!("206 with {promised:?}"), got });
    }
    let mut at = range.start;
    while let Some(part) = client.wire()?.body_part().await? {
        download.content.check(at, &part)?;
        at += part.len() as u64;
        if at - range.start >= stop_after {
            client.drop_connection();
            return Ok(at - range.start);
        }
    }
    if at != range.end {
        let expected = format!("{} bytes", range.end - range.start);
        return Err(Error::Unexpected { expected, got: format!("{}", at - range.start) });
    }
    client.end(&request, &head);
    Ok(at - range.start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ps5_asks_for_18_mib() {
        // A slice of a real log: bytes=2739470336-2758344703.
        let slices: Vec<_> = slices(4 << 30, 18 << 20).collect();
        let last = slices.last().unwrap();
        assert_eq!((last.end, slices[0].end), (4 << 30, 18_874_368));
    }

    proptest! {
        #[test]
        fn slices_cover_the_file_once(size in 0u64..10_000, slice in 0u64..3_000) {
            let mut end = 0;
            for range in slices(size, slice) {
                prop_assert_eq!(range.start, end);
                prop_assert!(range.end > range.start && range.end - range.start <= slice.max(1));
                end = range.end;
            }
            prop_assert_eq!(end, size);
        }
    }
}

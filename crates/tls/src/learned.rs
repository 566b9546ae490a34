//! Which console refuses our certificate for which host. Such a pair is tunnelled for a day, since
//! every refusal costs the console an operation that fails.
//!
//! The list is small and written as a whole whenever it changes; losing it costs one more refusal.
//! Another process may change it, too: `consoletap tls learned --clear` while the proxy runs.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use consoletap_flow::{Host, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a refusal counts: long enough for an evening, short enough for a console that was
/// given the certificate meanwhile.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// How close two likely refusals must be to make a certain one.
const REPEATED: Duration = Duration::from_secs(10 * 60);
/// A LAN has few consoles and a console some dozens of hosts; more is somebody playing.
const MOST: usize = 4096;

/// A refusal of our certificate, with the words for the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The console said that it does not know our authority. Once is enough.
    Certain(String),
    /// It can be that, or a passing trouble; believed when it happens again.
    Likely(String),
}

impl Refusal {
    /// The words for the row.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Certain(reason) | Self::Likely(reason) => reason,
        }
    }
}

/// Why a connection is not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What the console did, in plain words.
    pub text: String,
    /// When it did so.
    pub since: Timestamp,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A client that is not shown our certificate for a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Who refused.
    pub client: IpAddr,
    /// For which host.
    pub host: Host,
    /// How, in plain words.
    pub reason: String,
    /// When.
    pub since: Timestamp,
    /// Until when that counts.
    pub until: Timestamp,
}

/// What was learned of consoles. Shared by all connections.
#[derive(Debug)]
pub struct Learned {
    path: Option<PathBuf>,
    known: Mutex<Known>,
    /// Held while the file is read or written, so that the newest list is the one that stays.
    file: Mutex<Stamp>,
}

/// Which file was read or written last, and when it was looked at.
#[derive(Debug, Default)]
struct Stamp {
    is: Option<(SystemTime, u64)>,
    looked: Option<Instant>,
}

/// How old what is known of the file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    /// Up to [`LOOK_AGAIN`].
    Any,
    Now,
}

/// A file that somebody else changed is noticed within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Known {
    refusals: HashMap<IpAddr, HashMap<Host, Reason>>,
    suspected: HashMap<IpAddr, HashMap<Host, Timestamp>>,
}

/// A refusal in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    client: IpAddr,
    host: Host,
    reason: String,
    since: Timestamp,
}

impl Learned {
    /// Reads the list, where there is one. A broken file is set aside with a warning: it must not
    /// keep the proxy from starting. Without a path nothing is kept on disk.
    #[must_use]
    pub fn load(path: Option<PathBuf>) -> Self {
        let learned = Self { path, known: Mutex::default(), file: Mutex::default() };
        learned.refresh(Age::Any);
        learned
    }

    /// Who is left alone with which host, oldest first.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<Refused> {
        self.refresh(Age::Now);
        let rows = self.known().rows().into_iter();
        let rows = rows.map(|Row { client, host, reason, since }| Refused {
            client,
            host,
            reason,
            since,
            until: Timestamp(since.0.saturating_add(REMEMBERED.as_micros() as i64)),
        });
        rows.filter(|refused| now < refused.until).collect()
    }

    /// Forgets what fits, and tells how much that was.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn clear(&self, fits: impl Fn(IpAddr, &Host) -> bool) -> io::Result<usize> {
        self.refresh(Age::Now);
        let mut cleared = 0;
        {
            let mut known = self.known();
            for (client, hosts) in &mut known.refusals {
                let before = hosts.len();
                hosts.retain(|host, _| !fits(*client, host));
                cleared += before - hosts.len();
            }
        }
        if cleared > 0 {
            self.write()?;
        }
        Ok(cleared)
    }

    /// Why this console must not be shown our certificate for this host, if it must not.
    #[must_use]
    pub fn refuses(&self, client: IpAddr, host: &Host, now: Timestamp) -> Option<Reason> {
        self.refresh(Age::Any);
        let known = self.known();
        let reason = known.refusals.get(&client.to_canonical())?.get(host)?;
        reason.counts(now).then(|| reason.clone())
    }

    /// Takes note of a refusal. True when the pair is tunnelled from now on: at once where the
    /// refusal is certain, the second time in ten minutes where it is only likely.
    pub fn refused(&self, client: IpAddr, host: &Host, refusal: Refusal, now: Timestamp) -> bool {
        match refusal {
            Refusal::Certain(reason) => {
                self.remember(client, host, reason, now);
                true
            }
            Refusal::Likely(reason) => {
                let again = self.known().suspect(client.to_canonical(), host, now);
                if again {
                    self.remember(client, host, reason, now);
                }
                again
            }
        }
    }

    /// Tunnels the pair from now on, for a day.
    pub fn remember(&self, client: IpAddr, host: &Host, reason: String, now: Timestamp) {
        self.refresh(Age::Now);
        {
            let mut known = self.known();
            known.make_room(now);
            known.remember(client, host, Reason { text: reason, since: now });
        }
        self.write_or_warn();
    }

    /// Forgets what was held against the pair; also to be called when a handshake succeeds, so
    /// that two troubles with a success between them are no refusal.
    pub fn forget(&self, client: IpAddr, host: &Host) {
        let client = client.to_canonical();
        let removed = {
            let mut known = self.known();
            known.suspected.get_mut(&client).and_then(|hosts| hosts.remove(host));
            known.refusals.get_mut(&client).and_then(|hosts| hosts.remove(host))
        };
        if removed.is_some() {
            self.write_or_warn();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere leaves a list that is still a list.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file where it is another than before.
    fn refresh(&self, age: Age) {
        let Some(path) = &self.path else { return };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = file.looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN);
        if recent && age == Age::Any {
            return;
        }
        let first = file.looked.replace(Instant::now()).is_none();
        let is = stamp(path);
        if first || is != file.is {
            file.is = is;
            let rows = read(path);
            let mut known = self.known();
            known.refusals.clear();
            for Row { client, host, reason, since } in rows {
                known.remember(client, &host, Reason { text: reason, since });
            }
        }
    }

    fn write(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = self.known().rows();
        replace(path, &rows)?;
        file.is = stamp(path);
        Ok(())
    }

    fn write_or_warn(&self) {
        if let (Err(error), Some(path)) = (self.write(), &self.path) {
            tracing::warn!("{} cannot be written: {error}", path.display());
        }
    }
}

impl Reason {
    /// A stamp from the future (the clock was set back) must not count for ever.
    fn counts(&self, now: Timestamp) -> bool {
        now.since(self.since) < REMEMBERED && self.since.since(now) < REMEMBERED
    }
}

impl Known {
    fn remember(&mut self, client: IpAddr, host: &Host, reason: Reason) {
        let client = client.to_canonical();
        self.suspected.get_mut(&client).and_then(|hosts| hosts.remove(host));
        self.refusals.entry(client).or_default().insert(host.clone(), reason);
    }

    /// Notes a trouble; true when there was one before.
    fn suspect(&mut self, client: IpAddr, host: &Host, now: Timestamp) -> bool {
        if count(&self.suspected) >= MOST {
            self.suspected.clear();
        }
        let before = self.suspected.entry(client).or_default().insert(host.clone(), now);
        before.is_some_and(|before| now.since(before) < REPEATED && before.since(now) < REPEATED)
    }

    fn make_room(&mut self, now: Timestamp) {
        for hosts in self.refusals.values_mut() {
            hosts.retain(|_, reason| reason.counts(now));
        }
        self.refusals.retain(|_, hosts| !hosts.is_empty());
        if count(&self.refusals) >= MOST {
            self.refusals.clear();
        }
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .refusals
            .iter()
            .flat_map(|(&client, hosts)| {
                hosts.iter().map(move |(host, reason)| (client, host, reason))
            })
            .map(|(client, host, reason)| Row {
                client,
                host: host.clone(),
                reason: reason.text.clone(),
                since: reason.since,
            })
            .collect();
        rows.sort_by(|a, b| (a.since, a.client, &a.host).cmp(&(b.since, b.client, &b.host)));
        rows
    }
}

fn count<T>(pairs: &HashMap<IpAddr, HashMap<Host, T>>) -> usize {
    pairs.values().map(HashMap::len).sum()
}

/// What tells a file from the one that was there before it.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let about = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&about);
    #[cfg(not(unix))]
    let number = about.len();
    Some((about.modified().ok()?, number))
}

fn read(path: &Path) -> Vec<Row> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!("{} cannot be read: {error}", path.display());
            return Vec::new();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        let aside = beside(path, "broken");
        tracing::warn!(
            "{} is broken ({error}); it is set aside as {}",
            path.display(),
            aside.display()
        );
        // Where even that fails, the next refusal overwrites it.
        let _ = fs::rename(path, &aside);
        Vec::new()
    })
}

/// Writes the new list beside the old one and puts it in its place, so that a crash leaves one of
/// the two. It tells where a console goes: for the owner's eyes only.
fn replace(path: &Path, rows: &[Row]) -> io::Result<()> {
    let new = beside(path, "new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(rows)?)?;
    file.sync_data()?;
    fs::rename(&new, path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

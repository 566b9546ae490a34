//! What the kernel says of one process (`proc(5)`): CPU time, memory, descriptors. And the
//! limit of descriptors of this one.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// A process that spent no tick for so long has settled …
const SETTLED: Duration = Duration::from_millis(60);
/// … and is not waited for longer than this.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);

/// A process by its id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// User and system time of all its threads, also of those that ended. Steps of a tick
    /// (10 ms as a rule).
    pub(crate) fn cpu_time(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        let ticks = cpu_ticks(&stat).context("/proc/PID/stat should have utime and stime")?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Waits until it spends no time any more: what a start leaves to be done (keys, random bytes) is
    /// no part of what is measured next. A process that goes on is measured as it is.
    pub(crate) fn settle(self) -> Result<()> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        let mut before = self.cpu_time()?;
        while Instant::now() < deadline {
            sleep(SETTLED);
            let now = self.cpu_time()?;
            if now == before {
                break;
            }
            before = now;
        }
        Ok(())
    }

    /// The most memory it ever had resident, in KiB.
    pub(crate) fn peak_memory_kib(self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Whether it came to its end, and waits for its parent to take note.
    pub(crate) fn is_over(self) -> Result<bool> {
        let stat = self.read("stat")?;
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat should have a name")?;
        Ok(matches!(fields.trim_start().as_bytes().first(), Some(b'Z' | b'X')))
    }

    /// The memory it has resident now, in KiB.
    pub(crate) fn memory_kib(self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> Result<usize> {
        let folder = format!("/proc/{}/fd", self.0);
        Ok(fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))?.count())
    }

    fn status(self, key: &str) -> Result<u64> {
        let status = self.read("status")?;
        status_kib(&status, key).with_context(|| format!("/proc/PID/status should have {key}"))
    }

    fn read(self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.0);
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

/// Allows as many descriptors as the system grants; children inherit it. 5,000 tunnels need
/// 10,000 in a proxy, and the usual soft limit is 1,024.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    // Not granted: the mode that needs them will say that it could not open them.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
}

/// Fields 14 and 15 of `stat`, counted after the command name, which may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn status_kib(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_itself() {
        let own = Process(std::process::id());
        assert!(own.descriptors().unwrap() >= 3);
        let now = own.memory_kib().unwrap();
        assert!(now > 0 && own.peak_memory_kib().unwrap() >= now / 2);
        own.cpu_time().unwrap();
    }

    #[test]
    fn a_name_with_a_bracket_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 40 2 0 0 20 0 3 0";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(status_kib("VmHWM:\t   12 kB\nVmRSS:\t 9 kB\n", "VmRSS:"), Some(9));
    }

    proptest::proptest! {
        #[test]
        fn nothing_in_proc_makes_it_panic(text: String) {
            let _ = cpu_ticks(&text);
            let _ = status_kib(&text, "VmRSS:");
        }
    }
}

//! Where things lie in a session, and where sessions lie.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use consoletap_flow::{BodySide, Digest, DigestAlgorithm, FlowId};

pub(crate) const ABOUT: &str = "session.json";
pub(crate) const ABOUT_TEMPORARY: &str = "session.json.tmp";
pub(crate) const LOCK: &str = "lock";
pub(crate) const BODIES: &str = "bodies";
pub(crate) const EXTENSION: &str = "psession";

/// The folder for sessions that are given no place: `$XDG_DATA_HOME/consoletap/sessions`, or
/// `~/.local/share/consoletap/sessions`; without a home it is `consoletap/sessions` right here.
#[must_use]
pub fn default_root() -> PathBuf {
    root_of(std::env::var_os("XDG_DATA_HOME"), std::env::home_dir())
}

fn root_of(data_home: Option<OsString>, home: Option<PathBuf>) -> PathBuf {
    // The XDG base directory specification wants relative paths ignored.
    let data_home = data_home.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.filter(|path| path.is_absolute());
    data_home
        .or_else(|| Some(home?.join(".local/share")))
        .unwrap_or_default()
        .join("consoletap/sessions")
}

/// The path of a segment.
pub(crate) fn segment(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("log-{number:06}.jsonl"))
}

/// The segments of a session, in order.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(segment_number) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log-")?.strip_suffix(".jsonl")?;
    let canonical = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    canonical.then(|| digits.parse().ok())?
}

/// The path of a kept body; `None` for a hash that names no file.
pub(crate) fn body(directory: &Path, digest: &Digest) -> Option<PathBuf> {
    if digest.algorithm != DigestAlgorithm::Sha256 {
        return None;
    }
    let hex = digest.hex();
    Some(directory.join(BODIES).join(&hex[..2]).join(format!("{hex}.bin")))
}

/// The path of a body that is still on its way, or that a crash left there.
pub(crate) fn part(directory: &Path, flow: FlowId, side: BodySide) -> PathBuf {
    let side = match side {
        BodySide::Request => "request",
        BodySide::Response => "response",
    };
    directory.join(BODIES).join(format!("flow-{flow}-{side}.part"))
}

/// Octets of the segments and bodies; what cannot be looked at counts nothing.
pub(crate) fn bytes_below(directory: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |file| file.len());
    let below = |path: &Path| {
        std::fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
    };
    let log = below(directory).filter(|path| path.is_file()).map(|path| size(&path));
    let bodies = below(&directory.join(BODIES))
        .flat_map(|folder| below(&folder).map(|path| size(&path)).collect::<Vec<_>>());
    log.chain(bodies).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_follows_xdg_and_ignores_relative_paths() {
        let root = |data: &str, home: &str| {
            root_of(Some(data.into()).filter(|d: &OsString| !d.is_empty()), Some(home.into()))
        };
        assert_eq!(root("/data", "/home/a"), Path::new("/data/consoletap/sessions"));
        let fallback = Path::new("/home/a/.local/share/consoletap/sessions");
        assert_eq!(root("", "/home/a"), fallback);
        assert_eq!(root("data", "/home/a"), fallback);
        assert_eq!(root_of(None, None), Path::new("consoletap/sessions"));
    }

    #[test]
    fn only_segments_count_as_segments() {
        assert_eq!(segment_number("log-000012.jsonl"), Some(12));
        assert_eq!(segment_number("log-1000000.jsonl"), Some(1_000_000));
        for other in ["log-12.jsonl", "log-+00012.jsonl", "log-000001.jsonl.zst", "lock"] {
            assert_eq!(segment_number(other), None, "{other}");
        }
    }
}

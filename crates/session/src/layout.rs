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

/// A segment of the log, on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentFile {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    /// Whether it is compressed.
    pub(crate) packed: bool,
}

/// What a compressed segment is called beyond its own name.
const PACKED: &str = ".zst";

/// The path of a segment.
pub(crate) fn segment(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("log-{number:06}.jsonl"))
}

/// Where a segment lies once it is compressed.
pub(crate) fn packed(segment: &Path) -> PathBuf {
    let mut path = segment.to_owned().into_os_string();
    path.push(PACKED);
    path.into()
}

/// The segments of a session, in order. Where a crash left one in both forms the plain one counts:
/// it is removed last.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some((number, packed)) = entry.file_name().to_str().and_then(segment_number) {
            found.push(SegmentFile { number, path: entry.path(), packed });
        }
    }
    found.sort_unstable_by_key(|file| (file.number, file.packed));
    found.dedup_by_key(|file| file.number);
    Ok(found)
}

fn segment_number(name: &str) -> Option<(u64, bool)> {
    let (name, packed) = match name.strip_suffix(PACKED) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let digits = name.strip_prefix("log-")?.strip_suffix(".jsonl")?;
    let canonical = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    canonical.then(|| Some((digits.parse().ok()?, packed)))?
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
        assert_eq!(segment_number("log-000012.jsonl"), Some((12, false)));
        assert_eq!(segment_number("log-1000000.jsonl"), Some((1_000_000, false)));
        assert_eq!(segment_number("log-000001.jsonl.zst"), Some((1, true)));
        for other in ["log-12.jsonl", "log-+00012.jsonl", "log-000001.jsonl.zst.tmp", "lock"] {
            assert_eq!(segment_number(other), None, "{other}");
        }
    }
}

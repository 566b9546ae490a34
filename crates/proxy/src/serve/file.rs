//! Files to answer with: opened without ever leaving their folder, and read where they lie.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use consoletap_flow::Headers;
use consoletap_rules::LocalFile;
use rustix::fs::{Mode, OFlags};

use super::{LocalAnswer, LocalBody, Representation, Selected, media, select};
use crate::headers;

/// A file that was opened, as it was then.
#[derive(Debug)]
pub(crate) struct LocalContent {
    file: File,
    /// As a person names it.
    name: String,
    stamp: Stamp,
    etag: String,
    media_type: String,
}

/// What tells whether a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    inode: u64,
    modified: (i64, i64),
}

/// A body out of a file.
#[derive(Debug)]
pub(crate) struct FileBody {
    pub(crate) content: Arc<LocalContent>,
    pub(crate) parts: Vec<Part>,
}

/// A part of such a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// What stands between parts of the file.
    Octets(Bytes),
    /// A part of the file.
    Slice(Range<u64>),
}

/// Why a file cannot be answered with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("there is no file {0}")]
    Missing(String),
    #[error("{0} lies outside of the folder of its rule")]
    Outside(String),
    #[error("{0} is no file, but a folder or a device")]
    NoFile(String),
    #[error("{0} cannot be read: {1}")]
    Other(String, io::Error),
}

/// The file is not what it was when its transfer began.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileChanged {
    #[error("{0} changed while it was sent")]
    Changed(String),
    #[error("{0} became shorter while it was sent")]
    Shorter(String),
    #[error("{0} could not be read any further: {1}")]
    Failed(String, io::Error),
}

impl OpenError {
    /// The status of our answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Missing(_) | Self::NoFile(_) => 404,
            Self::Outside(_) => 403,
            Self::Other(..) => 500,
        }
    }
}

/// Opens a file of a rule. It waits for the disk.
pub(crate) fn open(local: &LocalFile) -> Result<LocalContent, OpenError> {
    let name = match &local.folder {
        Some(folder) => folder.join(&local.path),
        None => local.path.clone(),
    };
    let name = name.display().to_string();
    let opened = match &local.folder {
        Some(folder) => open_beneath(folder, &local.path),
        // The rule names it; whether it is a link is up to whoever wrote the rule.
        None => open_readable(&local.path),
    };
    let (file, metadata) = opened
        .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
        .map_err(|error| explain(&name, error))?;
    if !metadata.is_file() {
        return Err(OpenError::NoFile(name));
    }
    let stamp = Stamp::of(&metadata);
    let media_type = local.content_type.clone();
    let media_type = media_type.unwrap_or_else(|| media::of_name(&name).to_owned());
    Ok(LocalContent { file, name, etag: stamp.etag(), stamp, media_type })
}

fn explain(name: &str, error: io::Error) -> OpenError {
    let name = name.to_owned();
    match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => OpenError::Missing(name),
        Some(rustix::io::Errno::XDEV | rustix::io::Errno::LOOP) => OpenError::Outside(name),
        Some(rustix::io::Errno::NXIO | rustix::io::Errno::ISDIR) => OpenError::NoFile(name),
        _ => OpenError::Other(name, error),
    }
}

/// Never waits for the other end of a pipe.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

fn open_readable(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, FLAGS, Mode::empty())?.into())
}

/// The kernel itself sees to it that no link on the way leads out of the folder, also while
/// somebody changes links.
#[cfg(target_os = "linux")]
fn open_beneath(folder: &Path, path: &Path) -> io::Result<File> {
    use rustix::fs::ResolveFlags;
    use rustix::io::Errno;

    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(folder, directory, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        return match rustix::fs::openat2(&root, path, FLAGS, Mode::empty(), resolve) {
            Ok(file) => Ok(file.into()),
            // Somebody renamed something meanwhile; openat2(2) wants to be asked again.
            Err(Errno::AGAIN | Errno::INTR) => continue,
            // Kernels before 5.6, and containers that forbid what they do not know.
            Err(Errno::NOSYS | Errno::PERM) => open_resolved(folder, path),
            Err(error) => Err(error.into()),
        };
    }
}

#[cfg(not(target_os = "linux"))]
use open_resolved as open_beneath;

/// The same where the kernel does not help: links are followed first, and looked at then.
fn open_resolved(folder: &Path, path: &Path) -> io::Result<File> {
    let folder = folder.canonicalize()?;
    let resolved = folder.join(path).canonicalize()?;
    if !resolved.starts_with(&folder) {
        return Err(rustix::io::Errno::XDEV.into());
    }
    let mut options = File::options();
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits();
    // Flags of open(2) are an int.
    options.read(true).custom_flags(i32::try_from(flags).unwrap_or_default()).open(resolved)
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// A strong tag: whatever changes a file changes its time, its length or its number.
    fn etag(&self) -> String {
        let (seconds, nanoseconds) = self.modified;
        format!("\"{seconds:x}.{nanoseconds:x}-{:x}-{:x}\"", self.length, self.inode)
    }
}

impl LocalContent {
    /// A file that a stand-in opened.
    pub(crate) fn of(file: File, name: String) -> io::Result<Self> {
        let stamp = Stamp::of(&file.metadata()?);
        Ok(Self { file, name, stamp, etag: String::new(), media_type: String::new() })
    }

    /// How long it was when it was opened, in octets.
    pub(crate) fn len(&self) -> u64 {
        self.stamp.length
    }

    /// What a request gets of this file.
    pub(crate) fn answer(
        self: &Arc<Self>,
        method: &str,
        asked: &Headers,
        mut fields: Headers,
    ) -> LocalAnswer {
        let now = SystemTime::now();
        // 8.8.2.1: never later than the answer.
        let modified = self.file.metadata().and_then(|m| m.modified()).ok().map(|m| m.min(now));
        let of = Representation { length: self.stamp.length, etag: Some(&self.etag), modified };
        headers::push(&mut fields, "Date", &httpdate::fmt_http_date(now));
        headers::push(&mut fields, "Accept-Ranges", "bytes");
        headers::push(&mut fields, "ETag", &self.etag);
        if let Some(modified) = modified {
            headers::push(&mut fields, "Last-Modified", &httpdate::fmt_http_date(modified));
        }
        let whole = Part::Slice(0..of.length);
        respond(select(method, asked, &of, now), &of, &self.media_type, fields, method, |parts| {
            let parts = parts.unwrap_or_else(|| vec![whole]);
            LocalBody::File(FileBody { content: Arc::clone(self), parts })
        })
    }

    /// All of the file with another status.
    pub(crate) fn answer_as(
        self: &Arc<Self>,
        status: u16,
        mut fields: Headers,
        to_head: bool,
    ) -> LocalAnswer {
        say_type(&mut fields, &self.media_type);
        let parts = vec![Part::Slice(0..self.stamp.length)];
        let body = LocalBody::File(FileBody { content: Arc::clone(self), parts });
        LocalAnswer::new(status, fields, body, to_head)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Reads octets of the file; it waits for the disk.
    pub(crate) fn read(&self, from: u64, count: usize) -> Result<Bytes, FileChanged> {
        let mut octets = vec![0; count];
        match self.file.read_exact_at(&mut octets, from) {
            Ok(()) => Ok(octets.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.shorter()),
            Err(error) => Err(FileChanged::Failed(self.name.clone(), error)),
        }
    }

    pub(crate) fn shorter(&self) -> FileChanged {
        FileChanged::Shorter(self.name.clone())
    }

    /// Whether the file is still the one that was opened. Asked before the last octets go out, so
    /// that nobody takes a mixture of two files for a whole one.
    pub(crate) fn check(&self) -> Result<(), FileChanged> {
        match self.file.metadata() {
            Ok(metadata) if Stamp::of(&metadata) == self.stamp => Ok(()),
            Ok(metadata) if metadata.len() < self.stamp.length => Err(self.shorter()),
            Ok(_) => Err(FileChanged::Changed(self.name.clone())),
            Err(error) => Err(FileChanged::Failed(self.name.clone(), error)),
        }
    }
}

impl FileBody {
    pub(crate) fn len(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }
}

impl Part {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Octets(octets) => octets.len() as u64,
            Self::Slice(range) => range.end - range.start,
        }
    }
}

/// The answer that was selected. `fields` are those that go with the representation, validators
/// among them; `body` gives its octets, or these parts of them.
pub(crate) fn respond(
    selected: Selected,
    of: &Representation<'_>,
    media_type: &str,
    mut fields: Headers,
    method: &str,
    body: impl FnOnce(Option<Vec<Part>>) -> LocalBody,
) -> LocalAnswer {
    let to_head = method == "HEAD";
    match selected {
        Selected::Whole => {
            say_type(&mut fields, media_type);
            LocalAnswer::new(200, fields, body(None), to_head)
        }
        Selected::Parts(parts) => match parts.as_slice() {
            [part] => {
                say_type(&mut fields, media_type);
                headers::push(&mut fields, "Content-Range", &content_range(part, of.length));
                LocalAnswer::new(206, fields, body(Some(vec![Part::Slice(part.clone())])), to_head)
            }
            parts => {
                let boundary = boundary(of.etag);
                fields.remove("content-type");
                say_type(&mut fields, &format!("multipart/byteranges; boundary={boundary}"));
                let parts = multipart(parts, of.length, media_type, &boundary);
                LocalAnswer::new(206, fields, body(Some(parts)), to_head)
            }
        },
        Selected::NotModified => {
            fields.retain(|field| {
                !["content-type", "accept-ranges", "content-length"].iter().any(|n| field.is(n))
            });
            LocalAnswer::new(304, fields, LocalBody::None, true)
        }
        Selected::PreconditionFailed => {
            let cause = "what is here is not what the request's conditions ask for";
            LocalAnswer::page(412, cause, to_head)
        }
        Selected::Unsatisfiable => {
            let mut fields = Headers::with_capacity(5);
            headers::push(&mut fields, "Content-Range", &format!("bytes */{}", of.length));
            let cause = format!("the range does not lie within these {} bytes", of.length);
            LocalAnswer::page_with(416, &cause, fields, to_head)
        }
    }
}

/// A rule may have said it already.
fn say_type(fields: &mut Headers, media_type: &str) {
    // What a server sent without a type has none here, either.
    if !media_type.is_empty() && !fields.contains("content-type") {
        headers::push(fields, "Content-Type", media_type);
    }
}

fn content_range(part: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start, part.end - 1)
}

/// Something that stands in no file: it depends on this one, and on when.
fn boundary(etag: Option<&str>) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let hash = blake3::hash(format!("{etag:?}{}", now.as_nanos()).as_bytes());
    hash.to_hex()[..32].to_owned()
}

/// RFC 9110 14.6
fn multipart(parts: &[Range<u64>], length: u64, media_type: &str, boundary: &str) -> Vec<Part> {
    let mut body = Vec::with_capacity(2 * parts.len() + 1);
    let mut before = "";
    for part in parts {
        let range = content_range(part, length);
        let media_type = match media_type {
            "" => String::new(),
            media_type => format!("Content-Type: {media_type}\r\n"),
        };
        let head = format!("{before}--{boundary}\r\n{media_type}Content-Range: {range}\r\n\r\n");
        body.push(Part::Octets(head.into()));
        body.push(Part::Slice(part.clone()));
        before = "\r\n";
    }
    body.push(Part::Octets(format!("\r\n--{boundary}--\r\n").into()));
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn below(folder: &Path, path: &str) -> LocalFile {
        LocalFile {
            folder: Some(folder.to_owned()),
            path: path.into(),
            or_net: false,
            content_type: None,
        }
    }

    proptest::proptest! {
        // Each case is a directory look-up, so that this takes seconds and not minutes.
        #![proptest_config(proptest::prelude::ProptestConfig {
            cases: 100_000, failure_persistence: None, ..proptest::prelude::ProptestConfig::default()
        })]
        #[test]
        fn no_url_of_a_hundred_thousand_leads_out_of_the_folder(
            path in "/([./\\\\%:a~]|%2e|%2E|%2f|%5c|%00|%25|\\.\\.|/|sub|up|out|within|secret|etc/passwd|é){0,10}",
        ) {
            use consoletap_filter::Subject;
            use consoletap_flow::{Classification, Target};
            use consoletap_rules::{Context, Here, Rules};

            thread_local!(static WORLD: (tempfile::TempDir, Rules) = {
                let home = tempfile::tempdir().unwrap();
                let root = home.path().join("root");
                fs::create_dir_all(root.join("sub")).unwrap();
                for (file, content) in [("secret", "secret"), ("root/a", "fine"), ("root/sub/a", "fine")] {
                    fs::write(home.path().join(file), content).unwrap();
                }
                symlink("../secret", root.join("out")).unwrap();
                symlink("..", root.join("up")).unwrap();
                symlink("sub/a", root.join("within")).unwrap();
                let rule = "[[rule]]\nname = 'r'\nwhen = '~all'\nmap-local = { folder = 'root', path = '{path}' }";
                let file = home.path().join("rules.toml");
                fs::write(&file, rule).unwrap();
                let rules = Rules::load(&[file.to_str().unwrap().to_owned()]).unwrap();
                (home, rules)
            });
            WORLD.with(|(home, rules)| {
                let target = Target::Url(format!("http://h.test{path}").parse().unwrap());
                let classification = Classification::default();
                let client = [127, 0, 0, 1].into();
                let decision = rules.decide(&Subject::request("GET", &target, &classification, client));
                let context =
                    Context { classification: &classification, target: &target, method: "GET", client };
                let (wanted, _) = decision.from_here(&context);
                let Some(Here::File { file, .. }) = wanted.map(|wanted| wanted.what) else { return };
                if let Ok(content) = open(&file) {
                    assert_eq!(content.read(0, 4).unwrap(), "fine", "{path}");
                }
                // The other way of opening takes ten times as long.
                if !path.len().is_multiple_of(8) {
                    return;
                }
                if let Ok(mut file) = open_resolved(&home.path().join("root"), &file.path) {
                    let mut text = String::new();
                    // A folder can be opened, and not read.
                    let _ = io::Read::read_to_string(&mut file, &mut text);
                    assert!(text.is_empty() || text == "fine", "{path}");
                }
            });
        }
    }

    #[test]
    fn no_link_leads_out_of_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(home.path().join("secret"), "secret").unwrap();
        fs::write(root.join("sub/file"), "file").unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink(home.path().join("secret"), root.join("absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("sub/file", root.join("within")).unwrap();
        let opened = |path: &str| open(&below(&root, path)).map(|content| content.stamp.length);
        let resolved = |path: &str| open_resolved(&root, Path::new(path)).map(|_| ());
        for path in ["out", "absolute", "up/secret", "loop", "../secret", "/etc/passwd"] {
            assert!(
                matches!(opened(path), Err(OpenError::Outside(_))),
                "{path}: {:?}",
                opened(path)
            );
            assert!(resolved(path).is_err(), "{path}");
        }
        for path in ["within", "sub/file"] {
            assert_eq!(opened(path).unwrap(), 4, "{path}");
            resolved(path).unwrap();
        }
        assert!(matches!(opened("sub"), Err(OpenError::NoFile(_))));
        assert!(matches!(opened("nothere"), Err(OpenError::Missing(_))));
        assert!(matches!(opened("sub/file/x"), Err(OpenError::Missing(_))));
    }
}

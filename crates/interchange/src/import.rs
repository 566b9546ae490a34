//! A session from a file of another tool. Which tool it was is told by the content.

mod capture;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod har;
mod message;
mod mitmproxy;
mod spool;
mod tnetstring;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_flow::{BodyCopy, Flow, FlowId, Timestamp};
use consoletap_session::Stats;
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use crate::ImportError;
use crate::recorder::SessionRecorder;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What the file is.
    pub format: &'static str,
    /// How many flows it held.
    pub flows: u64,
    /// What could not be taken over, in words for a person.
    pub remarks: Vec<String>,
}

/// Unpacked, a file may be so large. Beyond it is an attack, or a case for another tool.
const LARGEST: u64 = 16 << 30;

/// So many remarks are kept; the others are counted.
const MOST_REMARKS: usize = 20;

/// Makes a session in a new directory of a HAR file (also packed, as `.zhar` and `.har.gz`), a
/// mitmproxy flow file, or a capture of packets (pcap, pcapng). Flows are classified by the
/// catalog.
///
/// # Errors
/// When the file is none of these, is broken, or no session can be written. What was read before
/// it broke is in the session.
pub fn import(file: &Path, catalog: Arc<Catalog>, out: &Path) -> Result<Imported, ImportError> {
    let read = |source| ImportError::Read { file: file.to_owned(), source };
    let opened = File::open(file).map_err(read)?;
    let is_file = opened.metadata().map_err(read)?.is_file();
    let (mut reader, is_packed) = unpacked(opened).map_err(read)?;
    let Some(format) = Format::of(reader.fill_buf().map_err(read)?) else {
        return Err(ImportError::Unknown { file: file.to_owned() });
    };
    let options = serde_json::json!({ "imported_from": format.name() });
    let recorder = SessionRecorder::create(out, jiff::Timestamp::now().into(), options, false)?;
    let mut keep = |flow, bodies| recorder.flow(flow, bodies);
    let mut import = Import::new(catalog, &mut keep);
    let read = match format {
        // It is read twice, which a file allows that is not packed.
        Format::Har if is_file && !is_packed => {
            File::open(file).map_err(Broken::Io).and_then(|file| har::read(file, &mut import))
        }
        Format::Har => spool::spool(&mut *reader, out).and_then(|spooled| {
            har::read(spooled.file, &mut import)?;
            spooled.cut.map_or(Ok(()), Err)
        }),
        Format::Mitmproxy => mitmproxy::read(reader, &mut import),
        Format::Capture => capture::read(reader, &mut import),
    };
    let mut imported = import.finish(format);
    imported.remarks.extend(missing(&recorder.close()));
    match read {
        Ok(()) => Ok(imported),
        Err(Broken::Io(source)) => Err(ImportError::Read { file: file.to_owned(), source }),
        Err(Broken::Unpack(source)) => Err(ImportError::Unpack { place: out.to_owned(), source }),
        Err(Broken::Content(what)) => {
            let so_far = imported.flows;
            let what = format!("{what}; the {so_far} flows before it are in {}", out.display());
            Err(ImportError::Broken { file: file.to_owned(), format: format.name(), what })
        }
    }
}

/// The content of a file, and whether it was packed.
fn unpacked(file: File) -> io::Result<(Box<dyn BufRead + Send>, bool)> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    Ok(match reader.fill_buf()? {
        [0x1f, 0x8b, ..] => {
            (Box::new(BufReader::new(MultiGzDecoder::new(reader).take(LARGEST))), true)
        }
        // RFC 1950 2.2: the method 8, and the two octets are a multiple of 31.
        &[method, flags, ..]
            if method & 15 == 8 && (u16::from(method) << 8 | u16::from(flags)) % 31 == 0 =>
        {
            (Box::new(BufReader::new(ZlibDecoder::new(reader).take(LARGEST))), true)
        }
        _ => (Box::new(reader), false),
    })
}

/// What the session could not take, in words.
fn missing(stats: &Stats) -> Option<String> {
    let Stats { lost_events, lost_bodies, .. } = stats;
    (lost_events + lost_bodies > 0).then(|| {
        format!(
            "{lost_events} events and {lost_bodies} bodies are missing: the disk did not take them"
        )
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Har,
    Mitmproxy,
    Capture,
}

impl Format {
    fn of(head: &[u8]) -> Option<Self> {
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        // pcapng, and pcap in both orders of octets, with micro- and nanoseconds.
        if let [0x0a, 0x0d, 0x0d, 0x0a, ..]
        | [0xd4 | 0x4d, 0xc3 | 0x3c, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0xc3 | 0x3c, 0xd4 | 0x4d, ..] = head
        {
            return Some(Self::Capture);
        }
        let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match text.first() {
            Some(b'{') => Some(Self::Har),
            Some(b'0'..=b'9') if digits < 13 && head.get(digits) == Some(&b':') => {
                Some(Self::Mitmproxy)
            }
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Har => "HAR",
            Self::Mitmproxy => "a mitmproxy flow file",
            Self::Capture => "a capture of packets",
        }
    }
}

/// Why reading ended early.
#[derive(Debug)]
enum Broken {
    Io(io::Error),
    /// There is no room to unpack it.
    Unpack(io::Error),
    Content(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => Self::Content(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

/// Takes a flow and what is known of its bodies.
type Keep<'k> = &'k mut dyn FnMut(Flow, [Option<BodyCopy>; 2]);

/// A file that is being read.
struct Import<'k> {
    catalog: Arc<Catalog>,
    keep: Keep<'k>,
    flows: u64,
    remarks: Vec<String>,
    more: u64,
}

impl<'k> Import<'k> {
    fn new(catalog: Arc<Catalog>, keep: Keep<'k>) -> Self {
        Self { catalog, keep, flows: 0, remarks: Vec::new(), more: 0 }
    }

    /// Takes a flow; it gets its number here.
    fn flow(&mut self, flow: Flow, bodies: [Option<BodyCopy>; 2]) {
        self.flows += 1;
        (self.keep)(Flow { id: FlowId(self.flows), ..flow }, bodies);
    }

    fn remark(&mut self, remark: String) {
        if self.remarks.len() < MOST_REMARKS {
            self.remarks.push(remark);
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self, format: Format) -> Imported {
        if self.more > 0 {
            self.remarks.push(format!("and {} more of that kind", self.more));
        }
        Imported { format: format.name(), flows: self.flows, remarks: self.remarks }
    }
}

/// A point in time that the calendar has: a file may hold any number.
fn moment(micros: i64) -> Timestamp {
    let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    Timestamp(micros.clamp(first.as_second() * 1_000_000, last.as_second() * 1_000_000))
}

/// Bodies of which everything is there.
fn whole(bodies: [Option<Vec<u8>>; 2]) -> [Option<BodyCopy>; 2] {
    bodies.map(|octets| octets.map(|octets| BodyCopy { octets, whole: true }))
}

//! A session from a file of another tool. Which tool it was is told by the content.

mod capture;
mod har;
mod message;
mod mitmproxy;
mod tnetstring;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_flow::{BodyCopy, Flow, FlowId, Timestamp};
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
    let mut reader = BufReader::with_capacity(1 << 16, File::open(file).map_err(read)?);
    let head = reader.fill_buf().map_err(read)?.to_vec();
    let mut reader: Box<dyn BufRead + Send> = match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(MultiGzDecoder::new(reader).take(LARGEST))),
        // RFC 1950 2.2: the method 8, and the two octets are a multiple of 31.
        [method, flags, ..]
            if method & 15 == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0 =>
        {
            Box::new(BufReader::new(ZlibDecoder::new(reader).take(LARGEST)))
        }
        _ => Box::new(reader),
    };
    let head = reader.fill_buf().map_err(read)?.to_vec();
    let Some(format) = Format::of(&head) else {
        return Err(ImportError::Unknown { file: file.to_owned() });
    };
    let options = serde_json::json!({ "imported_from": format.name() });
    let recorder = SessionRecorder::create(out, Timestamp(0), options, false)?;
    let mut import = Import { catalog, recorder, flows: 0, remarks: Vec::new(), more: 0 };
    let read = match format {
        Format::Har => har::read(reader, &mut import),
        Format::Mitmproxy => mitmproxy::read(reader, &mut import),
        Format::Capture => capture::read(reader, &mut import),
    };
    let imported = import.finish(format);
    match read {
        Ok(()) => imported,
        Err(Broken::Io(source)) => Err(ImportError::Read { file: file.to_owned(), source }),
        Err(Broken::Content(what)) => {
            let so_far = imported.map_or(0, |imported| imported.flows);
            let what = format!("{what}; the {so_far} flows before it are in {}", out.display());
            Err(ImportError::Broken { file: file.to_owned(), format: format.name(), what })
        }
    }
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

/// A session that is being made.
struct Import {
    catalog: Arc<Catalog>,
    recorder: SessionRecorder,
    flows: u64,
    remarks: Vec<String>,
    more: u64,
}

impl Import {
    /// Takes a flow; it gets its number here.
    fn flow(&mut self, flow: Flow, bodies: [Option<Vec<u8>>; 2]) {
        self.flows += 1;
        let flow = Flow { id: FlowId(self.flows), ..flow };
        let copy = |octets: Option<Vec<u8>>| octets.map(|octets| BodyCopy { octets, whole: true });
        self.recorder.flow(flow, bodies.map(copy));
    }

    fn remark(&mut self, remark: String) {
        if self.remarks.len() < MOST_REMARKS {
            self.remarks.push(remark);
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self, format: Format) -> Result<Imported, ImportError> {
        if self.more > 0 {
            self.remarks.push(format!("and {} more of that kind", self.more));
        }
        let stats = self.recorder.close();
        if stats.lost_events > 0 || stats.lost_bodies > 0 {
            self.remarks.push(format!(
                "{} events and {} bodies are missing: the disk did not take them",
                stats.lost_events, stats.lost_bodies
            ));
        }
        Ok(Imported { format: format.name(), flows: self.flows, remarks: self.remarks })
    }
}

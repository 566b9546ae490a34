//! Bodies that a session kept, as a filter asks for them.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use consoletap_filter::Bodies;
use consoletap_flow::{BodySummary, Flow, Headers, Kept};
use consoletap_session::Session;

/// A body that unpacks to more is looked at as far as this.
const LARGEST: u64 = 16 << 20;

/// The bodies of a flow in its session.
#[derive(Debug)]
pub(crate) struct KeptBodies<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) directory: &'a Path,
}

impl Bodies for KeptBodies<'_> {
    fn request(&self) -> Option<Cow<'_, [u8]>> {
        let headers = self.flow.request.as_ref().map(|head| &head.headers);
        self.read(&self.flow.finished.as_ref()?.request_body, headers)
    }

    fn response(&self) -> Option<Cow<'_, [u8]>> {
        let headers = self.flow.response.as_ref().map(|head| &head.headers);
        self.read(&self.flow.finished.as_ref()?.response_body, headers)
    }
}

impl KeptBodies<'_> {
    fn read(&self, body: &BodySummary, headers: Option<&Headers>) -> Option<Cow<'_, [u8]>> {
        let name = match body.kept {
            Kept::Whole => body.digest?,
            Kept::Prefix { digest, .. } => digest,
            Kept::Nothing | Kept::Lost => return None,
        };
        let octets = Session::open(self.directory).ok()?.body(&name).ok()?;
        let coding = headers.and_then(|headers| headers.text("content-encoding"));
        Some(Cow::Owned(match coding.map(str::to_ascii_lowercase).as_deref() {
            Some("gzip" | "x-gzip") => unpacked(flate2::read::MultiGzDecoder::new(&*octets)),
            Some("deflate") => unpacked(flate2::read::ZlibDecoder::new(&*octets)),
            _ => octets,
        }))
    }
}

/// As much as can be unpacked: of a body that was cut, its beginning.
fn unpacked(reader: impl Read) -> Vec<u8> {
    let mut plain = Vec::new();
    let _ = reader.take(LARGEST).read_to_end(&mut plain);
    plain
}

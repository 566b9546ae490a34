//! Bodies without their secrets: their coding undone, looked into as what they are, and coded again.

use std::borrow::Cow;

use consoletap_content::{Coding, End, Kind, decode, encode, kind};
use consoletap_flow::{BodySide, Flow};

use crate::Redactor;
use crate::octets::Octets;
use crate::redactor::Found;
use crate::scan::Scan;

/// A larger body is not looked into, and so not handed on.
const LARGEST_BODY: usize = 16 << 20;

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Redacted {
    /// There is nothing secret in it.
    Same,
    /// Secrets were replaced.
    Changed {
        /// The new octets.
        octets: Vec<u8>,
        /// Whether they are without the coding that the head tells of, which cannot be applied
        /// here.
        uncoded: bool,
    },
    /// It cannot be looked into; and why.
    Withheld(&'static str),
}

impl Redactor {
    pub(crate) fn body_with(
        &self,
        flow: &Flow,
        part: BodySide,
        octets: &[u8],
        found: Found<'_>,
    ) -> Redacted {
        let headers = match part {
            BodySide::Request => flow.request.as_ref().map(|head| &head.headers),
            BodySide::Response => flow.response.as_ref().map(|head| &head.headers),
        };
        let text = |name| headers.and_then(|headers| headers.text(name));
        let coding = text("content-encoding").unwrap_or_default();
        let (Ok(decoded), Ok(codings)) =
            (decode(octets, coding, LARGEST_BODY), Coding::list(coding))
        else {
            return Redacted::Withheld("its coding cannot be undone");
        };
        // A head that tells of a coding which is not there.
        let is_coded = !(decoded.octets.is_empty() && decoded.end == End::Broken);
        let plain = if is_coded { &*decoded.octets } else { octets };
        if decoded.end == End::Capped || plain.len() > LARGEST_BODY {
            return Redacted::Withheld("it is too large to look into");
        }
        let changed = self.content(&mut self.scan(flow, found), text("content-type"), plain);
        // Behind the place where it breaks there may be anything.
        let is_broken = is_coded && decoded.end == End::Broken;
        let Some(changed) = changed.or_else(|| is_broken.then(|| plain.to_vec())) else {
            return Redacted::Same;
        };
        if !is_coded {
            return Redacted::Changed { octets: changed, uncoded: false };
        }
        let coded =
            codings.iter().try_fold(changed.clone(), |octets, &coding| encode(&octets, coding));
        match coded {
            Some(octets) => Redacted::Changed { octets, uncoded: false },
            None => Redacted::Changed { octets: changed, uncoded: true },
        }
    }

    /// Decoded octets without secrets; `None` where there are none.
    fn content(
        &self,
        scan: &mut Scan<'_>,
        content_type: Option<&str>,
        octets: &[u8],
    ) -> Option<Vec<u8>> {
        let kind = kind(content_type, octets);
        let structured = match &kind {
            Kind::Binary | Kind::Image { .. } => self.packed(scan, octets),
            text => {
                let readable = Octets::of(octets);
                match scan.body(text, &readable.text) {
                    Cow::Owned(changed) => Some(readable.back(&changed)),
                    Cow::Borrowed(_) => None,
                }
            }
        };
        let searched = self.known.replace(structured.as_deref().unwrap_or(octets));
        searched.or(structured)
    }

    /// A file that is packed with gzip, whatever its head says.
    fn packed(&self, scan: &mut Scan<'_>, octets: &[u8]) -> Option<Vec<u8>> {
        if !octets.starts_with(&[0x1f, 0x8b]) {
            return None;
        }
        let inner = decode(octets, "gzip", LARGEST_BODY).ok()?;
        // Once is enough: gzip within gzip is looked through by its known values alone.
        if inner.octets.starts_with(&[0x1f, 0x8b]) {
            return None;
        }
        encode(&self.content(scan, None, &inner.octets)?, Coding::Gzip)
    }
}

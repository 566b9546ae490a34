//! The transfers that are under way, as a few lines at the bottom of the terminal.

use std::time::Duration;

use consoletap_flow::{Flow, Headers, Kind, Timestamp};
use consoletap_redact::Redactor;

use crate::amounts::{count, short_duration, size};
use crate::consoles::{Consoles, address as client_of};
use crate::fold::Fold;
use crate::line::address;
use crate::look::{Ink, Look};
use crate::shown::Shown;

/// The lines that the block may have.
const LINES: usize = 5;

/// A line that wraps could not be redrawn: terminals narrower than this get no block.
const NARROW: usize = 60;

/// A transfer gets a line once it took so long; shorter ones would only flicker.
const LONG: Duration = Duration::from_secs(1);

/// A transfer of which nothing was heard for so long is called stalled.
const STALLED: Duration = Duration::from_secs(5);

/// The block as it is now: the oldest transfers, and in its last line what has no room.
pub(crate) fn block(
    fold: &Fold,
    shown: &Shown,
    now: Timestamp,
    redactor: &Redactor,
    look: &Look,
) -> Vec<String> {
    if look.width < NARROW {
        return Vec::new();
    }
    let consoles = fold.totals().consoles();
    let open =
        || fold.open().filter(|flow| shown.fits(flow, &consoles.label(client_of(flow), look)));
    let mut transfers: Vec<_> = open().filter_map(|flow| Transfer::of(flow, now)).collect();
    let tunnels = open().filter(|flow| flow.kind == Kind::Tunnel).count();
    transfers.sort_by_key(|transfer| transfer.flow.id);
    let drawn = if transfers.len() > LINES || tunnels > 0 { LINES - 1 } else { LINES };
    let more = transfers.len().saturating_sub(drawn);
    let mut lines: Vec<_> = transfers
        .iter()
        .take(drawn)
        .map(|transfer| transfer.draw(consoles, redactor, look))
        .collect();
    let mut rest = Vec::new();
    if more > 0 {
        rest.push(count(more as u64, "more transfer", "more transfers"));
    }
    if tunnels > 0 {
        rest.push(count(tunnels as u64, "tunnel open", "tunnels open"));
    }
    if !rest.is_empty() {
        lines.push(look.paint(Ink::Dim, &format!("  {}", rest.join(", "))));
    }
    lines
}

/// A body on its way.
struct Transfer<'a> {
    flow: &'a Flow,
    up: bool,
    bytes: u64,
    total: Option<u64>,
    took: Duration,
    silent: Duration,
}

impl<'a> Transfer<'a> {
    fn of(flow: &'a Flow, now: Timestamp) -> Option<Self> {
        let took = now.since(flow.started);
        if flow.kind != Kind::Http || took < LONG {
            return None;
        }
        let up = flow.response.is_none();
        let (bytes, headers) = match (&flow.response, &flow.request) {
            (Some(response), _) => (flow.response_bytes, &response.headers),
            (None, Some(request)) => (flow.request_bytes, &request.headers),
            (None, None) => return None,
        };
        let total = expected(headers);
        let silent = now.since(flow.latest);
        (bytes > 0).then_some(Self { flow, up, bytes, total, took, silent })
    }

    /// `PS4 host/…path 45% of 27 MB, 3.1 MB/s, 5s left`
    fn draw(&self, consoles: &Consoles, redactor: &Redactor, look: &Look) -> String {
        let client = consoles.label(client_of(self.flow), look);
        let (host, path) = address(&redactor.flow(self.flow));
        let state = self.state();
        // One column stays free: some terminals go to the next line once the last one is filled.
        let room = look.width.saturating_sub(client.chars().count() + state.len() + 5);
        let place = format!("{host}{path}");
        let place = look.shorten(&place, room);
        let arrow = if self.up { look.pick("↑", "^") } else { look.pick("↓", "v") };
        format!(
            "{arrow} {} {place} {}",
            look.paint(Ink::Client, &client),
            look.paint(Ink::Bold, &state)
        )
    }

    fn state(&self) -> String {
        let amount = match self.total {
            Some(total) if total > 0 => {
                format!("{}% of {}", self.bytes.min(total) * 100 / total, size(total))
            }
            _ => size(self.bytes),
        };
        if self.silent >= STALLED {
            return format!("{amount}, stalled for {}", short_duration(self.silent));
        }
        // The average over the whole transfer: steady, and the same for whoever looks.
        let rate = (self.bytes as f64 / self.took.as_secs_f64()) as u64;
        let mut state = format!("{amount}, {}/s", size(rate));
        if let Some(left) = self.total.and_then(|total| total.checked_sub(self.bytes))
            && rate > 0
        {
            let left = short_duration(Duration::from_secs(left.div_ceil(rate)));
            state.push_str(&format!(", {left} left"));
        }
        state
    }
}

/// How many octets a body will have: `Content-Length`, else the span of `Content-Range` (RFC 9110
/// 8.6, 14.4).
fn expected(headers: &Headers) -> Option<u64> {
    if let Some(length) = headers.text("content-length") {
        return length.trim().parse().ok();
    }
    let (span, _) =
        headers.text("content-range")?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use consoletap_flow::{Event, Happening, Opened};
    use insta::assert_snapshot;

    use super::*;
    use crate::escape::Charset;
    use crate::sample::{Sample, masking};

    fn put(fold: &mut Fold, flow: &Flow) {
        let opened = Happening::Opened(Box::new(Opened {
            kind: flow.kind,
            client: flow.client,
            tunnel: flow.tunnel,
            target: flow.target.clone(),
            request: flow.request.clone(),
            classification: flow.classification.clone(),
        }));
        fold.take(Event { flow: flow.id, at: flow.started, happening: opened });
        if let Some(response) = flow.response.clone() {
            let happening = Happening::Response(Box::new(response));
            fold.take(Event { flow: flow.id, at: flow.started, happening });
        }
        let happening = Happening::Progress {
            request_bytes: flow.request_bytes,
            response_bytes: flow.response_bytes,
        };
        fold.take(Event { flow: flow.id, at: flow.latest, happening });
    }

    fn pkg(id: u64, fields: &[(&'static str, &'static str)], bytes: u64) -> Flow {
        Sample::get(
            "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00001_00/EP9000_0.pkg",
        )
        .id(id)
        .platform("ps4")
        .answer(206, fields)
        .lasting(4_000)
        .under_way(bytes)
    }

    fn seconds_in(flow: &Flow, seconds: i64) -> Timestamp {
        Timestamp(flow.started.0 + seconds * 1_000_000)
    }

    #[test]
    fn transfers_tell_percent_rate_and_what_is_left() {
        let mut fold = Fold::default();
        let first = pkg(1, &[("Content-Length", "16777216")], 4_194_304);
        put(&mut fold, &first);
        put(&mut fold, &pkg(2, &[("Content-Range", "bytes 100-1099/5000")], 500));
        put(&mut fold, &pkg(3, &[], 123_456));
        let upload = Sample::new("POST", "http://post.net.playstation.net/post_128", Kind::Http);
        let mut upload = upload.id(4).field("Content-Length", "131072").under_way(0);
        upload.request_bytes = 65_536;
        put(&mut fold, &upload);
        let look = Look { charset: Charset::Unicode, ..Look::PLAIN };
        let block = block(&fold, &Shown::default(), seconds_in(&first, 4), &masking(), &look);
        assert!(block.iter().all(|line| line.chars().count() < 80), "{block:#?}");
        assert_snapshot!(block.join("\n"));
    }

    #[test]
    fn the_block_stays_small() {
        let mut fold = Fold::default();
        for id in 1..=9 {
            put(&mut fold, &pkg(id, &[], 1000 * id));
        }
        for id in 10..=12 {
            put(&mut fold, &Sample::connect("a:443").id(id).under_way(5));
        }
        let now = seconds_in(&pkg(1, &[], 1), 12);
        let block = block(&fold, &Shown::default(), now, &masking(), &Look::PLAIN);
        assert_eq!(block.len(), LINES);
        assert_snapshot!(block.join("\n"));
    }

    #[test]
    fn what_just_began_is_not_shown() {
        let mut fold = Fold::default();
        let flow = pkg(1, &[], 1000);
        put(&mut fold, &flow);
        let shown = Shown::default();
        assert!(block(&fold, &shown, flow.started, &masking(), &Look::PLAIN).is_empty());
    }

    #[test]
    fn lengths_that_make_no_sense_are_no_lengths() {
        let headers =
            |fields| Sample::get("http://a/").answer(206, fields).flow().response.unwrap();
        for fields in [
            &[("Content-Length", "many")][..],
            &[("Content-Range", "bytes 5-1/9")],
            &[("Content-Range", "bytes */9")],
            &[("Content-Range", "bytes 0-18446744073709551615/*")],
        ] {
            assert_eq!(expected(&headers(fields).headers), None, "{fields:?}");
        }
    }
}

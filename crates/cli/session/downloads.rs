//! `consoletap session downloads`: the files that a console fetched in pieces, in a line each.
//! Secrets that stand in their addresses are masked, unless they are asked for.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use consoletap_catalog::Catalog;
use consoletap_flow::{Flow, Target};
use consoletap_interchange::Lessons;
use consoletap_redact::Redactor;
use consoletap_session::{Check, Download, Session};
use serde_json::json;

use crate::amounts::{count, short_duration, size};
use crate::escape::escape;
use crate::look::{Ink, Look};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// One JSON line a download
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the addresses only, for another program to fetch
    #[arg(long, value_name = "PROGRAM", num_args = 0..=1, default_missing_value = "aria2")]
    #[arg(conflicts_with = "json")]
    pub(crate) links: Option<Links>,
    /// With the secrets that stand in addresses
    #[arg(long)]
    pub(crate) raw: bool,
}

/// Whose input file the addresses are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Links {
    /// aria2c -i FILE, with file names and hashes
    Aria2,
    /// wget -i FILE
    Wget,
    /// curl -K FILE
    Curl,
}

/// Whether the row of the catalog that a flow belongs to says that it is a download.
pub(crate) fn is_download(catalog: &Catalog) -> impl Fn(&Flow) -> bool {
    move |flow| {
        let entry = flow.classification.entry.as_ref().and_then(|id| catalog.entry(id));
        entry.is_some_and(|entry| entry.download)
    }
}

/// Lists them; gives what else is to be said of the session.
pub(crate) fn run(
    args: &Args,
    catalog: Arc<Catalog>,
    look: &Look,
    out: &mut dyn Write,
) -> anyhow::Result<String> {
    let session = Session::open(&args.directory)?;
    let (mut downloads, problems) = session.downloads(is_download(&catalog));
    let mut remarks: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    let with_secrets = if args.raw { 0 } else { mask(&session, catalog, &mut downloads) };
    if let Some(links) = args.links {
        let left_out = links.write(&downloads, out)?;
        remarks.push_str(&remark_of_links(with_secrets, left_out));
        return Ok(remarks);
    }
    for download in &downloads {
        let check = session.check(download);
        let text =
            if args.json { line_of_json(download, &check) } else { draw(download, &check, look) };
        out.write_all(text.as_bytes())?;
    }
    if downloads.is_empty() && !args.json {
        writeln!(out, "There is no download in this session.")?;
    }
    Ok(remarks)
}

/// Masks the secrets in what is shown of downloads; gives how many addresses are not whole any more.
fn mask(session: &Session, catalog: Arc<Catalog>, downloads: &mut [Download]) -> usize {
    let mut redactor = Redactor::masking(catalog);
    Lessons::quick(session).take_all(&mut redactor);
    // The first request of each; its row of the catalog says what is secret in the address.
    let mut by_flow: HashMap<_, _> = downloads
        .iter_mut()
        .filter_map(|download| Some((download.slices.first()?.flow, download)))
        .collect();
    let mut masked = 0;
    for flow in session.flows().flatten() {
        let Some(download) = by_flow.remove(&flow.id) else { continue };
        let row = redactor.row(&flow);
        let Some(Target::Url(shown)) = &row.target else { continue };
        let mut shown = shown.to_string();
        if !download.url.contains('?') {
            shown.truncate(shown.find('?').unwrap_or(shown.len()));
        }
        masked += usize::from(shown != download.url);
        download.url = shown;
        for text in [&mut download.etag, &mut download.modified].into_iter().flatten() {
            *text = redactor.text(text).into_owned();
        }
    }
    masked
}

/// The ranges of octets, with both ends in them, as HTTP writes them.
fn spans(ranges: &[Range<u64>]) -> Vec<String> {
    ranges.iter().map(|range| format!("{}-{}", range.start, range.end - 1)).collect()
}

/// More ranges than this are counted.
const SPANS: usize = 8;

/// `0-99, 300-399 and 4 more`
pub(crate) fn few_spans(ranges: &[Range<u64>]) -> String {
    let mut text = spans(&ranges[..ranges.len().min(SPANS)]).join(", ");
    if ranges.len() > SPANS {
        text.push_str(&format!(" and {} more", ranges.len() - SPANS));
    }
    text
}

fn draw(download: &Download, check: &Check, look: &Look) -> String {
    let (covered, total) = (download.covered(), download.total);
    let amount = match total {
        Some(total) if covered >= total => format!("all of {}", size(total)),
        // Rounded down: 100 % is all of it.
        Some(total) if total > 0 => {
            let percent = u128::from(covered) * 100 / u128::from(total);
            format!("{percent}% of {}", size(total))
        }
        _ => size(covered),
    };
    let mut facts = vec![amount, count(download.slices.len() as u64, "request", "requests")];
    if let Some(rate) = download.rate() {
        facts.push(format!("{}/s for {}", size(rate), short_duration(download.active())));
    }
    let again = download.transferred().saturating_sub(covered);
    if again > 0 {
        facts.push(format!("{} of it twice", size(again)));
    }
    let (ink, words) = said(check);
    let mut text = format!(
        "d{}  {}\n    {}\n    {}\n",
        download.number,
        look.paint(Ink::Bold, &escape(&download.url, look.charset)),
        facts.join(", "),
        look.paint(ink, &words),
    );
    let missing = download.missing();
    if !missing.is_empty() {
        text.push_str(&format!("    missing: {}\n", few_spans(&missing)));
    }
    text
}

/// A check in words.
pub(crate) fn said(check: &Check) -> (Ink, String) {
    match check {
        Check::Right(expected) => {
            let Expected { algorithm, by, .. } = Expected::of(expected);
            (Ink::Good, format!("its {algorithm} is the one that flow {by} says"))
        }
        Check::Wrong { expected, found } => {
            let Expected { algorithm, by, hex } = Expected::of(expected);
            let words = format!("it is NOT what flow {by} says: {algorithm} {hex}, found {found}");
            (Ink::Bad, words)
        }
        Check::NoManifest => {
            (Ink::Dim, "not checked: no manifest of this session names it".to_owned())
        }
        Check::Incomplete => (Ink::Dim, "not checked: it is not complete".to_owned()),
        Check::NotKept => {
            let words = "not checked: the session does not hold all of it (--store full keeps it)";
            (Ink::Dim, words.to_owned())
        }
        Check::Unreadable(error) => (Ink::Bad, format!("not checked: {error}")),
    }
}

struct Expected<'a> {
    algorithm: &'a str,
    hex: &'a str,
    by: u64,
}

impl<'a> Expected<'a> {
    fn of(expected: &'a consoletap_session::Expected) -> Self {
        Self { algorithm: expected.algorithm, hex: &expected.hex, by: expected.told_by.0 }
    }
}

fn line_of_json(download: &Download, check: &Check) -> String {
    let word = match check {
        Check::Right(_) => "right",
        Check::Wrong { .. } => "wrong",
        Check::NoManifest => "no-manifest",
        Check::Incomplete => "incomplete",
        Check::NotKept => "not-kept",
        Check::Unreadable(_) => "unreadable",
    };
    let expected = download.expected.as_ref().map(|expected| {
        let Expected { algorithm, hex, by } = Expected::of(expected);
        json!({ "algorithm": algorithm, "hash": hex, "size": expected.size, "flow": by })
    });
    let line = json!({
        "download": download.number,
        "url": download.url,
        "total": download.total,
        "covered": download.covered(),
        "complete": download.is_complete(),
        "missing": spans(&download.missing()),
        "not_kept": spans(&download.not_kept()),
        "transferred": download.transferred(),
        "active_ms": download.active().as_millis(),
        "bytes_per_second": download.rate(),
        "etag": download.etag,
        "last_modified": download.modified,
        "check": word,
        "expected": expected,
        "flows": download.slices.iter().map(|slice| slice.flow.0).collect::<Vec<_>>(),
    });
    format!("{line}\n")
}

impl Links {
    /// Writes the addresses; gives how many cannot be written for this program.
    fn write(self, downloads: &[Download], out: &mut dyn Write) -> io::Result<usize> {
        let mut left_out = 0;
        for download in downloads {
            // A line break in an address would begin another option.
            let url = &download.url;
            if url.contains(|c: char| c.is_control() || c == '"' || c == '\\') {
                left_out += 1;
                continue;
            }
            let name = plain_name(download.file_name());
            match self {
                Self::Aria2 => {
                    writeln!(out, "{url}\n  out={name}")?;
                    if let Some(expected) = &download.expected {
                        let algorithm = expected.algorithm.to_lowercase();
                        writeln!(out, "  checksum={algorithm}={}", expected.hex)?;
                    }
                }
                Self::Wget => writeln!(out, "{url}")?,
                Self::Curl => writeln!(out, "url = \"{url}\"\noutput = \"{name}\"")?,
            }
        }
        Ok(left_out)
    }
}

/// What a reader of the addresses must know of them.
fn remark_of_links(with_secrets: usize, left_out: usize) -> String {
    let mut text = String::new();
    if with_secrets > 0 {
        let addresses = count(with_secrets as u64, "address holds", "addresses hold");
        text.push_str(&format!(
            "{addresses} a secret, which is masked: a server may refuse it like that. --raw prints it.\n"
        ));
    }
    if left_out > 0 {
        let addresses = count(left_out as u64, "address was", "addresses were");
        text.push_str(&format!(
            "{addresses} left out: a control character, quote or backslash cannot be written there.\n"
        ));
    }
    text
}

/// A name that is a file right here and needs no quotes.
fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

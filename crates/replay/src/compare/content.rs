//! Whole bodies, compared by what they say: structure, fields of documents, lines, or octets.

use std::borrow::Cow;

use consoletap_content::{End, decode, kind};
use consoletap_documents::{Document, Field};
use consoletap_flow::{Headers, ResponseHead};
use similar::{DiffOp, TextDiff};

use crate::compare::structure::Flat;
use crate::compare::{Comparison, Difference};
use crate::secret::fits;

/// A larger body is compared octet by octet, without its codings undone.
const LARGEST_DECODED: usize = 16 << 20;

/// Around a place where octets part, so many are shown.
const SHOWN_OCTETS: usize = 24;

/// A body without its codings, where they can be undone.
pub(super) fn uncoded<'a>(headers: &Headers, octets: &'a [u8]) -> Cow<'a, [u8]> {
    let coding = headers.text("content-encoding").unwrap_or_default();
    match decode(octets, coding, LARGEST_DECODED) {
        Ok(decoded) if decoded.end == End::Whole => decoded.octets,
        _ => Cow::Borrowed(octets),
    }
}

/// Whole bodies: by structure, by the fields of a document, line by line, or octet by octet.
pub(super) fn compare(head: &ResponseHead, before: &[u8], after: &[u8], found: &mut Comparison) {
    if before == after {
        return;
    }
    let documents = (Document::recognise(None, before), Document::recognise(None, after));
    if let (Ok(one), Ok(other)) = &documents
        && one.format() == other.format()
    {
        found.document = Some(one.format().description());
    }
    if let (Some(one), Some(other)) = (Flat::of(before), Flat::of(after)) {
        found.differences.extend(one.differences(&other));
        return;
    }
    if let (Ok(one), Ok(other), Some(_)) = (&documents.0, &documents.1, found.document) {
        let fields = Field::all().filter_map(|field| {
            let (old, new) = (values(one, field), values(other, field));
            let same = match (&old, &new) {
                (Some(old), Some(new)) => fits(old, new),
                (old, new) => old == new,
            };
            (!same).then(|| Difference::new(field.name(), old, new))
        });
        let differences: Vec<_> = fields.collect();
        if !differences.is_empty() {
            found.differences.extend(differences);
            return;
        }
    }
    let is_text = kind(head.headers.text("content-type"), before).is_text();
    match (std::str::from_utf8(before), std::str::from_utf8(after)) {
        (Ok(before), Ok(after)) if is_text => lines(before, after, found),
        _ => found.differences.push(octets(before, after)),
    }
}

fn values(document: &Document<'_>, field: Field) -> Option<String> {
    let values = document.values(field);
    (!values.is_empty()).then(|| values.join(", "))
}

fn lines(before: &str, after: &str, found: &mut Comparison) {
    if fits(before, after) {
        return;
    }
    let diff = TextDiff::from_lines(before, after);
    let (old, new) = (diff.old_slices(), diff.new_slices());
    let text = |lines: &[&str]| {
        (!lines.is_empty()).then(|| format!("{:?}", lines.concat().trim_end_matches(['\r', '\n'])))
    };
    for op in diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
        let (old_lines, new_lines) = (&old[op.old_range()], &new[op.new_range()]);
        let number = op.old_range().start + 1;
        if old_lines.len() == new_lines.len() && fits(&old_lines.concat(), &new_lines.concat()) {
            continue;
        }
        let place = format!("body line {number}");
        found.differences.push(Difference::new(place, text(old_lines), text(new_lines)));
    }
}

/// Where two bodies that are no documents part.
pub(super) fn octets(before: &[u8], after: &[u8]) -> Difference {
    let at = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let around = |body: &[u8]| {
        let shown = body[at..(at + SHOWN_OCTETS).min(body.len())].escape_ascii().to_string();
        let more = if at + SHOWN_OCTETS < body.len() { "…" } else { "" };
        Some(format!("\"{shown}\"{more} ({} bytes in all)", body.len()))
    };
    Difference::new(format!("body from byte {at} on"), around(before), around(after))
}

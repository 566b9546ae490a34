//! JA3 and JA4: names for what a client offers, the same for the same TLS library and settings.
//!
//! JA3 is the MD5 of five lists (salesforce/ja3). JA4 is by the specification of FoxIO
//! (technical_details/JA4.md). GREASE is left out of both.

use std::fmt::{Display, Write as _};

use aws_lc_rs::digest;
use md5::{Digest as _, Md5};

use crate::hello::{ClientHello, extension};
use crate::wire::hex;

/// JA3: version, suites, extensions, groups and point formats in decimal.
pub(crate) fn ja3(hello: &ClientHello) -> String {
    let text = format!(
        "{},{},{},{},{}",
        hello.legacy_version,
        joined(&hello.facts.suites),
        joined(&hello.extensions),
        joined(hello.groups.as_deref().unwrap_or_default()),
        joined(hello.point_formats.as_deref().unwrap_or_default()),
    );
    hex(&Md5::digest(text))
}

/// JA4: a readable part, the hash of the suites, the hash of extensions and signature algorithms.
pub(crate) fn ja4(hello: &ClientHello) -> String {
    let facts = &hello.facts;
    let mut suites = facts.suites.clone();
    suites.sort_unstable();
    let has_name = hello.extensions.contains(&extension::SERVER_NAME);
    format!(
        "t{version}{name}{suites:02}{extensions:02}{alpn}_{b}_{c}",
        version = version(facts.versions.iter().copied().max().unwrap_or(0)),
        name = if has_name { 'd' } else { 'i' },
        suites = suites.len().min(99),
        extensions = hello.extensions.len().min(99),
        alpn = alpn(hello.first_alpn.as_deref().unwrap_or_default()),
        b = short_hash(&hex_list(&suites)),
        c = short_hash(&sorted_extensions(hello)),
    )
}

fn version(number: u16) -> &'static str {
    match number {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// First and last character of the first protocol; of its hex form, where either of the two is
/// not alphanumeric.
fn alpn(protocol: &[u8]) -> String {
    match protocol {
        [] => "00".to_owned(),
        [first, .., last] | [first @ last] => {
            if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                [*first, *last].map(char::from).iter().collect()
            } else {
                format!("{:x}{:x}", first >> 4, last & 0x0f)
            }
        }
    }
}

/// The extensions in order of their numbers, without server name and ALPN (they differ from one
/// request of the same client to the next); then the signature algorithms as they were sent.
fn sorted_extensions(hello: &ClientHello) -> String {
    let volatile = [extension::SERVER_NAME, extension::ALPN];
    let mut extensions = hello.extensions.clone();
    extensions.retain(|number| !volatile.contains(number));
    extensions.sort_unstable();
    let mut text = hex_list(&extensions);
    let algorithms = hex_list(hello.signature_algorithms.as_deref().unwrap_or_default());
    if !algorithms.is_empty() {
        text.push('_');
        text.push_str(&algorithms);
    }
    text
}

/// The first twelve hex digits of the SHA-256; zeros for nothing.
fn short_hash(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".to_owned();
    }
    hex(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..6])
}

fn joined<T: Display>(numbers: &[T]) -> String {
    list(numbers, '-', |text, number| write!(text, "{number}"))
}

fn hex_list(numbers: &[u16]) -> String {
    list(numbers, ',', |text, number| write!(text, "{number:04x}"))
}

fn list<T>(
    items: &[T],
    between: char,
    mut write: impl FnMut(&mut String, &T) -> std::fmt::Result,
) -> String {
    let mut text = String::with_capacity(items.len() * 6);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(between);
        }
        // Writing to a String cannot fail.
        let _ = write(&mut text, item);
    }
    text
}

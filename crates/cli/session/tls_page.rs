//! What the page of a flow says of its TLS.

use std::fmt::Write as _;

use consoletap_flow::{
    CertificateFacts, ClientHelloFacts, Flow, ServerHelloFacts, group_name, signature_name,
    suite_name, version_name,
};

use crate::escape::escape;
use crate::look::{Ink, Look};

/// How many names of a certificate, suites or the like stand in a row.
const IN_A_ROW: usize = 24;

/// The part of the page; nothing where there was no TLS to see. Writing to the String cannot fail,
/// so that those results are dropped.
pub(crate) fn draw(flow: &Flow, look: &Look) -> String {
    let mut part = String::new();
    let mut row = |name: &str, value: String| {
        let value = escape(&value, look.charset);
        let _ = writeln!(part, "  {} {value}", look.paint(Ink::Dim, &format!("{name:<9}")));
    };
    if let Some(hello) = &flow.hello {
        offered(hello, &mut row);
    }
    if let Some(hello) = &flow.server_hello {
        row("chosen", chosen(hello));
    }
    if let Some(certificate) = &flow.certificate {
        shown(certificate, &mut row);
    }
    if let Some(verdict) = &flow.policy {
        row("policy", format!("{}: {}", verdict.action, verdict.because));
    }
    if flow.hello.is_some() {
        let opened = match flow.intercepted {
            true => "with our certificate",
            false => "no: passed on as it was",
        };
        row("opened", opened.to_owned());
    }
    if part.is_empty() {
        return part;
    }
    format!("\n{}\n{part}", look.paint(Ink::Bold, "TLS"))
}

fn offered(hello: &ClientHelloFacts, row: &mut impl FnMut(&str, String)) {
    let name = match &hello.sni {
        Some(name) => format!("for {name}"),
        None => "without a server name".to_owned(),
    };
    let mut first = format!("{}, {name}", hello.highest_version());
    if hello.sslv2 {
        first.push_str(", in the form of SSL 2.0");
    }
    if hello.ech {
        first.push_str(", with an encrypted hello: the real name may be another");
    }
    row("offered", first);
    if !hello.alpn.is_empty() {
        row("protocols", listed(&hello.alpn));
    }
    if !hello.suites.is_empty() {
        row("suites", numbers(&hello.suites, suite_name));
    }
    if !hello.groups.is_empty() {
        row("groups", numbers(&hello.groups, group_name));
    }
    if !hello.signature_algorithms.is_empty() {
        row("signs", numbers(&hello.signature_algorithms, signature_name));
    }
    if let Some(resumes) = hello.resumes {
        row("resumes", format!("offers to go on from {resumes}"));
    }
    row("JA3", hello.ja3.clone());
    row("JA4", hello.ja4.clone());
}

fn chosen(hello: &ServerHelloFacts) -> String {
    let mut text =
        format!("{}, {}", number(hello.version, version_name), number(hello.suite, suite_name));
    if let Some(group) = hello.group {
        let _ = write!(text, ", {}", number(group, group_name));
    }
    if let Some(protocol) = &hello.alpn {
        let _ = write!(text, ", {protocol}");
    }
    if hello.resumed == Some(true) {
        text.push_str(", going on from before");
    }
    if hello.retried {
        text.push_str(", after asking for another hello");
    }
    text
}

fn shown(certificate: &CertificateFacts, row: &mut impl FnMut(&str, String)) {
    let names = listed(&certificate.names);
    row("shown", format!("{} ({})", certificate.subject, certificate.key));
    row("signed by", certificate.issuer.clone());
    if !names.is_empty() {
        row("names", names);
    }
    let day = |stamp: consoletap_flow::Timestamp| stamp.calendar().strftime("%Y-%m-%d").to_string();
    let from = day(certificate.not_before);
    row("valid", format!("from {from} to {}", day(certificate.not_after)));
    row("SHA-256", certificate.sha256.clone());
}

fn numbers(numbers: &[u16], name: fn(u16) -> Option<&'static str>) -> String {
    let names: Vec<String> = numbers.iter().map(|&one| number(one, name)).collect();
    listed(&names)
}

fn number(number: u16, name: fn(u16) -> Option<&'static str>) -> String {
    name(number).map_or_else(|| format!("0x{number:04x}"), str::to_owned)
}

fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(IN_A_ROW)].join(", ");
    if names.len() > IN_A_ROW {
        let _ = write!(text, " and {} more", names.len() - IN_A_ROW);
    }
    text
}

//! A request as a command of curl, to be pasted into a shell.

use std::fmt::Write as _;

use consoletap_flow::{Kind, Target, Version};

use crate::Exchange;

/// Fields that curl makes itself, of the connection it makes (RFC 9110 7.6.1) and of the body it
/// sends.
const OWN: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The command for the request of an exchange, with its line end.
///
/// # Errors
/// Why there is none: it is no request, or holds what no command can. Words for a person.
pub fn curl(exchange: &Exchange) -> Result<String, String> {
    let flow = &exchange.flow;
    let (Some(Target::Url(url)), Some(head), Kind::Http) = (&flow.target, &flow.request, flow.kind)
    else {
        return Err("it is no request of HTTP".to_owned());
    };
    let body = &exchange.request_body;
    if let Some(missing) = &body.missing {
        return Err(format!("its body is not there: {missing}"));
    }
    let mut command = "curl".to_owned();
    let mut add = |option: &str, value: &[u8]| -> Result<(), String> {
        // Writing to a String cannot fail.
        let _ = write!(command, " {option} {}", quote(value)?);
        Ok(())
    };
    let version = match head.version {
        Version::Http10 => "--http1.0",
        Version::Http11 => "--http1.1",
        Version::Http2 => "--http2",
    };
    match head.method.as_str() {
        "GET" if body.octets.is_empty() => {}
        "HEAD" => add("--head --url", url.to_string().as_bytes())?,
        method => add("--request", method.as_bytes())?,
    }
    let mut has_agent = false;
    for field in &head.headers {
        has_agent |= field.is("user-agent");
        if OWN.iter().any(|own| field.is(own)) || field.name().starts_with(':') {
            continue;
        }
        // curl takes a field without a value for one to leave out, unless it ends so.
        let end: &[u8] = if field.value().is_empty() { b";" } else { b": " };
        add("--header", &[field.name().as_bytes(), end, field.value()].concat())?;
    }
    if !has_agent {
        add("--header", b"User-Agent:")?;
    }
    if !body.octets.is_empty() {
        if !head.headers.contains("content-type") {
            add("--header", b"Content-Type:")?;
        }
        // `@` at the beginning would name a file; raw does not look for it.
        add("--data-raw", &body.octets).or_else(|_| {
            printf(&body.octets).map(|pipe| {
                command = format!("{pipe} | {command} --data-binary @-");
            })
        })?;
    }
    // `[` and `{` are patterns to curl.
    let tail = format!(" {version} --globoff --path-as-is");
    command.push_str(&tail);
    if head.method != "HEAD" {
        let _ = write!(command, " {}", quote(url.to_string().as_bytes())?);
    }
    command.push('\n');
    Ok(command)
}

/// A word of a POSIX shell for any octets but NUL: within single quotes nothing is special, and a
/// single quote ends them.
fn quote(octets: &[u8]) -> Result<String, String> {
    if octets.contains(&0) {
        return Err("a NUL cannot stand in a command".to_owned());
    }
    let Ok(text) = std::str::from_utf8(octets) else {
        return Err("octets that are no UTF-8 cannot stand in a command".to_owned());
    };
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

/// Octets by `printf`, where no word can hold them.
fn printf(octets: &[u8]) -> Result<String, String> {
    if octets.len() > 64 << 10 {
        return Err(
            "its binary body is too long for a command; export it with --format raw".to_owned()
        );
    }
    let mut text = String::with_capacity(octets.len() * 4 + 16);
    for octet in octets {
        let _ = write!(text, "\\{octet:03o}");
    }
    Ok(format!("printf '%b' '{}'", text.replace('\\', "\\0")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a shell makes of a word.
    fn through_sh(word: &str) -> Vec<u8> {
        let output =
            Command::new("sh").arg("-c").arg(format!("printf '%s' {word}")).output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_gets_through_a_shell_unchanged(text in "[^\0]{0,60}", shell in "['\"$`\\\\!;|&()<>*? \n\t#~-]{0,20}") {
            let text = format!("{text}{shell}");
            let word = quote(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(through_sh(&word), text.as_bytes());
        }

        #[test]
        fn any_octets_get_through_printf(octets in proptest::collection::vec(0_u8.., 1..60)) {
            let output = Command::new("sh").arg("-c").arg(printf(&octets).unwrap()).output().unwrap();
            proptest::prop_assert_eq!(output.stdout, octets);
        }
    }

    #[test]
    fn a_nul_is_refused() {
        assert!(quote(b"a\0b").is_err());
    }
}

//! Secrets are masked wherever flows are shown; the session on disk keeps them (and is readable
//! by its owner alone). Masking is by name, so it is as good as the list below.

use std::borrow::Cow;

/// What stands in the place of a secret.
pub(crate) const MASK: &str = "***";

/// Query keys, form fields and JSON members whose values are secrets or name one console or
/// person: sign-in (`loginid`, `password`, `npsso`), device ids (`sid` of the Vita's update
/// check, `consoleid` of the KDC, `device_id` of the Switch), tickets and OAuth's tokens.
const NAMES: &[&str] = &[
    "access_token",
    "accesstoken",
    "api_key",
    "apikey",
    "auth",
    "auth_code",
    "authorization",
    "client_secret",
    "code",
    "console_id",
    "consoleid",
    "credential",
    "device_auth_token",
    "device_id",
    "deviceid",
    "duid",
    "epassword",
    "id_token",
    "login_id",
    "loginid",
    "npsso",
    "passwd",
    "password",
    "refresh_token",
    "secret",
    "serial",
    "session",
    "session_id",
    "sessionid",
    "sid",
    "sig",
    "signature",
    "ticket",
    "token",
    "user-credential",
    "x-token",
];

/// Header fields whose values are secrets; those that end in `-token` are as well.
const HEADERS: &[&str] =
    &["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-i-5-ticket"];

/// A path with the secret values of its query masked.
pub(crate) fn mask_path(path: &str) -> Cow<'_, str> {
    match path.split_once('?') {
        Some((before, query)) => match mask_pairs(query) {
            Cow::Owned(masked) => Cow::Owned(format!("{before}?{masked}")),
            Cow::Borrowed(_) => Cow::Borrowed(path),
        },
        None => Cow::Borrowed(path),
    }
}

/// `a=b&c=d` (a query, or the body of a form) with the secret values masked.
pub(crate) fn mask_pairs(pairs: &str) -> Cow<'_, str> {
    let secret = |pair: &str| {
        pair.split_once('=').is_some_and(|(name, value)| !value.is_empty() && is_secret(name))
    };
    if !pairs.split(['&', ';']).any(secret) {
        return Cow::Borrowed(pairs);
    }
    let mut masked = String::with_capacity(pairs.len());
    for pair in pairs.split_inclusive(['&', ';']) {
        let bare = pair.trim_end_matches(['&', ';']);
        match bare.split_once('=') {
            Some((name, _)) if secret(bare) => {
                masked.extend([name, "=", MASK, &pair[bare.len()..]]);
            }
            _ => masked.push_str(pair),
        }
    }
    Cow::Owned(masked)
}

/// JSON text with the values of secret members masked. It need not be whole: a prefix of a body
/// is masked as far as it goes, and a value that the prefix cuts off is masked to its end.
pub(crate) fn mask_json(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(open) = text[at..].find('"').map(|found| at + found) {
        let name_end = end_of_string(text, open);
        let name = text.get(open + 1..name_end - 1).unwrap_or_default();
        let rest = text[name_end..].trim_start();
        at = name_end;
        let Some(value) = rest.strip_prefix(':').map(str::trim_start) else { continue };
        if !is_secret(name) || value.starts_with(['{', '[']) {
            continue;
        }
        let start = text.len() - value.len();
        let end = if value.starts_with('"') {
            end_of_string(text, start)
        } else {
            value.find([',', '}', ']', '\n']).map_or(text.len(), |length| start + length)
        };
        masked.extend([&text[copied..start], "\"", MASK, "\""]);
        copied = end;
        at = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[copied..]);
    Cow::Owned(masked)
}

/// Whether the value of this header field is a secret.
pub(crate) fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    HEADERS.contains(&name.as_str()) || name.ends_with("-token") || name.ends_with("-ticket")
}

/// The place behind the string that begins at `open`, or the end of the text.
fn end_of_string(text: &str, open: usize) -> usize {
    let mut escaped = false;
    for (offset, byte) in text.bytes().enumerate().skip(open + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether this is the name of a secret, however it is written (`%73id`, `SID`).
fn is_secret(name: &str) -> bool {
    let name = unpercent(name).to_ascii_lowercase();
    NAMES.binary_search(&name.as_str()).is_ok() || name.ends_with("_token")
}

fn unpercent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut octets = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                at += 3;
            }
            None => {
                octets.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_names_is_in_order_for_the_search() {
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn secret_values_of_a_query_are_masked_and_the_rest_is_kept() {
        assert_eq!(
            mask_path("/u.xml?ver=03730000&sid=0123abc&nd=2"),
            "/u.xml?ver=03730000&sid=***&nd=2"
        );
        assert_eq!(mask_path("/a?%53ID=x;TOKEN=y&sid="), "/a?%53ID=***;TOKEN=***&sid=");
        assert_eq!(mask_path("/sid=5/x"), "/sid=5/x");
        assert!(matches!(mask_path("/a?b=c"), Cow::Borrowed(_)));
    }

    #[test]
    fn secret_members_of_json_are_masked_even_where_the_text_is_cut() {
        assert_eq!(
            mask_json(r#"{"a":"sid","access_token" : "x\"y", "sid":12, "session":{"b":1}}"#),
            r#"{"a":"sid","access_token" : "***", "sid":"***", "session":{"b":1}}"#
        );
        assert_eq!(mask_json(r#"{"token":"abc"#), r#"{"token":"***""#);
        assert_eq!(mask_json("\""), "\"");
        assert_eq!(mask_json("\"\\"), "\"\\");
    }

    #[test]
    fn fields_that_carry_credentials_are_known_in_any_case() {
        assert!(is_secret_header("Authorization"));
        assert!(is_secret_header("X-NP-Access-Token"));
        assert!(!is_secret_header("X-Organization"));
    }
}

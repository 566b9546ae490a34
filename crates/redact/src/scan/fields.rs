//! Header fields.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use consoletap_content::percent_decode;

use super::edit::Edit;
use super::{Scan, and_then};
use crate::known::Weight;
use crate::names::Place;

/// Padding is left out by some clients.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Scan<'_> {
    /// The value of a field.
    pub(crate) fn field<'t>(&mut self, name: &str, value: &'t str) -> Cow<'t, str> {
        match name.to_ascii_lowercase().as_str() {
            "authorization" | "proxy-authorization" => self.credentials(value),
            "cookie" | "cookie2" => self.cookies(value, usize::MAX),
            // What follows the first pair is what the cookie is for (RFC 6265 4.1.1).
            "set-cookie" | "set-cookie2" => self.cookies(value, 1),
            _ if self.is_secret(Place::Header, name) => {
                self.secret(value.as_bytes()).map_or(Cow::Borrowed(value), Cow::Owned)
            }
            _ => {
                let edited = self.nested_field(value);
                and_then(edited, |text| self.shapes(text))
            }
        }
    }

    fn nested_field<'t>(&mut self, value: &'t str) -> Cow<'t, str> {
        if value.contains("://") || value.starts_with('/') {
            self.url(value)
        } else if value.contains('=') {
            self.words(value)
        } else {
            self.nested(value)
        }
    }

    /// `scheme credentials`: the scheme stays.
    fn credentials<'t>(&mut self, value: &'t str) -> Cow<'t, str> {
        let (scheme, rest) = match value.split_once(' ') {
            Some((scheme, rest)) => (Some(scheme), rest.trim_start()),
            None => (None, value),
        };
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
            && let Ok(pair) = BASE64.decode(rest.trim())
        {
            let colon = pair.iter().position(|&byte| byte == b':').unwrap_or(pair.len());
            self.secret(&pair[..colon]);
            self.secret(pair.get(colon + 1..).unwrap_or_default());
        }
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest"))
            && let Some((_, user)) = rest.split_once("username=\"")
        {
            self.secret(user.split('"').next().unwrap_or_default().as_bytes());
        }
        let Some(new) = self.secret(rest.as_bytes()) else { return Cow::Borrowed(value) };
        Cow::Owned(match scheme {
            Some(scheme) => format!("{scheme} {new}"),
            None => new,
        })
    }

    /// `a=b; c=d`: the names stay, and what follows the first `pairs` of them.
    fn cookies<'t>(&mut self, value: &'t str, pairs: usize) -> Cow<'t, str> {
        let mut edit = Edit::of(value);
        let mut at = 0;
        for (number, cookie) in value.split_inclusive(';').enumerate() {
            let bare = cookie.trim_end_matches(';');
            let name = bare.find('=').map_or(0, |equals| equals + 1);
            let content = bare[name..].trim();
            let start = at + name + (bare[name..].len() - bare[name..].trim_start().len());
            at += cookie.len();
            if number >= pairs || content.is_empty() {
                continue;
            }
            let cookie_name = bare[..name].trim().trim_end_matches('=');
            let plain = content.trim_matches('"');
            let weight = if self.is_secret(Place::Pair, cookie_name) {
                Weight::Secret
            } else {
                Weight::Perhaps
            };
            let decoded = percent_decode(plain).into_owned();
            if let Some(new) = self.weighed(&decoded, weight) {
                edit.replace(start..start + content.len(), &new);
            }
        }
        edit.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::masked;

    #[test]
    fn credentials_go_and_what_they_are_for_stays() {
        for (name, value, expected, secrets) in [
            (
                "Authorization",
                "Basic bWU6Z2VoZWlt",
                "Basic ***",
                &["me", "geheim", "bWU6Z2VoZWlt"][..],
            ),
            ("authorization", "Bearer abc", "Bearer ***", &["abc"]),
            ("Proxy-Authorization", "abc", "***", &["abc"]),
            ("Cookie", "a=1; sid=\"x y\";b", "a=***; sid=***;***", &["1", "x y", "b"]),
            ("Set-Cookie", "s=abc; Path=/; Secure", "s=***; Path=/; Secure", &["abc"]),
            ("X-NP-Access-Token", "abc", "***", &["abc"]),
            ("Referer", "http://a/?sid=7&b=1", "http://a/?sid=***&b=1", &["7"]),
            (
                "User-Agent",
                "Download/1.00 libhttp/5.05 (PlayStation 4)",
                "Download/1.00 libhttp/5.05 (PlayStation 4)",
                &[],
            ),
            ("WWW-Authenticate", "Digest realm=\"c7y-basic\"", "Digest realm=\"c7y-basic\"", &[]),
        ] {
            let (text, found) = masked(value, |scan, text| scan.field(name, text));
            assert_eq!(
                (text.as_str(), &*found),
                (expected, &*secrets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
                "{name}"
            );
        }
        let digest = "Digest username=\"c7y-basic04\", realm=\"c7y-basic\", nonce=\"n\"";
        let (text, found) = masked(digest, |scan, text| scan.field("Authorization", text));
        assert_eq!((text.as_str(), found[0].as_str()), ("Digest ***", "c7y-basic04"));
    }
}

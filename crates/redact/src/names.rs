//! Names of secrets: those that the catalog gives for a row, and the usual ones.

use consoletap_catalog::Secrets;
use consoletap_content::percent_decode;

/// Where a name stands; some are secrets in one place and everyday words in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A key of a query or a form.
    Pair,
    /// A header field.
    Header,
    /// A member of JSON, an element or attribute of XML, a word before `=` or `:`.
    Document,
}

/// Names, without case, `_`, `-` and `.`, whose values are secrets or name one console or person:
/// sign-in (`loginid`, `epassword`, `npsso`), tickets (the PS3's profile), device ids (`sid` of
/// the Vita's update check, `consoleid` of the KDC, `device_id` of the Switch, the `xuid` of an
/// Xbox), OAuth's tokens, hardware addresses.
const NAMES: &[&str] = &[
    "accountid",
    "apikey",
    "assertion",
    "authcode",
    "authentication",
    "authheader",
    "authorization",
    "authorizationcode",
    "bssid",
    "clientassertion",
    "clientsecret",
    "codeverifier",
    "consoleid",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "ddptoken",
    "deviceid",
    "deviceuniqueid",
    "duid",
    "email",
    "emailaddress",
    "gamertag",
    "hwaddr",
    "idps",
    "imei",
    "jid",
    "jsessionid",
    "jwt",
    "login",
    "loginid",
    "mac",
    "macaddr",
    "macaddress",
    "machineid",
    "mail",
    "npid",
    "nponlineid",
    "npsso",
    "onlineid",
    "openpsid",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "phpsessid",
    "pin",
    "privatekey",
    "psid",
    "pwd",
    "sasltoken",
    "secret",
    "secretkey",
    "serial",
    "serialno",
    "serialnumber",
    "serveripaddr",
    "session",
    "sessionid",
    "sessionkey",
    "sid",
    "sig",
    "signature",
    "signinid",
    "udid",
    "useragentid",
    "usercredential",
    "userid",
    "username",
    "uuid",
    "xapikey",
    "xi5ticket",
    "xuid",
];

/// Ends of names that say it as well: `X-Np-Access-Token`, `refresh_token`, `epassword`.
const ENDS: &[&str] = &[
    "accesskey",
    "apikey",
    "consoleid",
    "credential",
    "deviceid",
    "npsso",
    "password",
    "secret",
    "sessionid",
    "ticket",
    "token",
];

/// Secrets as keys of a query or a form, where JSON uses them for numbers of errors and the like.
const PAIRS: &[&str] = &["auth", "code", "key", "state"];

/// Header fields whose values are secrets; those of [`NAMES`] and [`ENDS`] are as well.
const HEADERS: &[&str] = &["cookie2", "proxyauthorization", "setcookie", "setcookie2", "xauth"];

/// The names that count for one flow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    /// Those of its row.
    pub(crate) row: Option<&'a Secrets>,
}

impl Names<'_> {
    /// Whether this is the name of a secret, however it is written (`%73id`, `SID`, `Console-Id`).
    pub(crate) fn is_secret(&self, place: Place, name: &str) -> bool {
        let decoded = name.contains(['%', '+']).then(|| percent_decode(name));
        let decoded = decoded.as_ref().map(|name| String::from_utf8_lossy(name));
        let name = decoded.as_deref().unwrap_or(name).trim().trim_end_matches("[]");
        if self.row.is_some_and(|row| names_of(row).any(|secret| secret.eq_ignore_ascii_case(name)))
        {
            return true;
        }
        let mut room = [0; LONGEST];
        let Some(plain) = plain(name, &mut room) else { return false };
        let is_one = |names: &[&str]| names.binary_search(&plain).is_ok();
        is_one(NAMES)
            || ENDS.iter().any(|end| plain.strip_suffix('s').unwrap_or(plain).ends_with(end))
            || match place {
                Place::Pair => is_one(PAIRS),
                Place::Header => is_one(HEADERS),
                Place::Document => false,
            }
    }
}

/// Whether what has this name in a document (a member of JSON, an element or attribute of XML) is a
/// secret, whatever it holds.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    Names::default().is_secret(Place::Document, name)
}

/// No name of a secret is longer.
const LONGEST: usize = 64;

/// The names of a row, wherever they were said to stand: what is secret in a form is no less so
/// in JSON.
fn names_of(row: &Secrets) -> impl Iterator<Item = &String> {
    [&row.query, &row.form, &row.header, &row.json, &row.xml].into_iter().flatten()
}

/// The name without case and signs, in this room: most names are looked at for nothing.
fn plain<'r>(name: &str, room: &'r mut [u8; LONGEST]) -> Option<&'r str> {
    let mut length = 0;
    for byte in name.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' ')) {
        *room.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    std::str::from_utf8(&room[..length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_order_for_the_search() {
        for names in [NAMES, PAIRS, HEADERS] {
            assert!(names.is_sorted());
        }
    }

    #[test]
    fn a_name_counts_however_it_is_written() {
        let names = Names::default();
        for name in ["SID", "%73id", "Console-Id", "console_id", "X-Np-Access-Token", "passwd[]"] {
            assert!(names.is_secret(Place::Document, name), "{name}");
        }
        for name in ["sidx", "X-Organization", "token_type", "expires_in", "code", "id", "ver"] {
            assert!(!names.is_secret(Place::Document, name), "{name}");
        }
        assert!(names.is_secret(Place::Pair, "code"));
        assert!(names.is_secret(Place::Header, "Set-Cookie"));
    }

    #[test]
    fn the_row_adds_its_own() {
        let row = Secrets { json: vec!["np".to_owned()], ..Secrets::default() };
        assert!(Names { row: Some(&row) }.is_secret(Place::Pair, "NP"));
        assert!(!Names::default().is_secret(Place::Pair, "NP"));
    }
}

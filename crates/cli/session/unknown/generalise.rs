//! Hosts, paths and user agents without what names one console, person, file or moment: ids,
//! hashes, numbers and tokens become the fields of the catalog's own patterns (`{title_id}`,
//! `{hash:hex40}`), so that what is left can be shared and pasted into a table.

use std::net::{Ipv4Addr, Ipv6Addr};

use consoletap_flow::Host;

/// The longest path, agent or host that is worth a row.
const LONGEST: usize = 300;

/// Segments behind which somebody's name or number stands.
const OF_SOMEBODY: [&str; 13] = [
    "account", "accounts", "friend", "friends", "member", "members", "player", "players",
    "profile", "profiles", "user", "users", "u",
];

/// A host; what is no public name is left out altogether.
pub(super) fn host(host: &Host) -> String {
    let Some(name) = host.name() else { return "an address".to_owned() };
    let local = [".local", ".lan", ".home", ".internal", ".localdomain", ".home.arpa"];
    if !name.contains('.') || local.iter().any(|suffix| name.ends_with(suffix)) {
        return "a local host".to_owned();
    }
    let name = name.to_ascii_lowercase();
    let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    // The catalog wants two whole labels behind the last field, and a name below them is no secret.
    let named = labels.len().saturating_sub(3);
    let labels = labels.iter().enumerate().map(|(number, label)| match number < named {
        true if segment(&label.to_ascii_uppercase()).contains('{') || long_number(label) => {
            "{id:word}".to_owned()
        }
        _ => (*label).to_owned(),
    });
    labels.collect::<Vec<_>>().join(".")
}

fn long_number(label: &str) -> bool {
    label.bytes().filter(u8::is_ascii_digit).count() >= 4
}

/// A path without its query.
pub(super) fn path(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut out = String::new();
    let mut before = "";
    for (number, part) in path.split('/').enumerate() {
        if number > 0 {
            out.push('/');
        }
        if out.len() > LONGEST {
            out.push('*');
            break;
        }
        let known = OF_SOMEBODY.contains(&before.to_ascii_lowercase().as_str());
        out.push_str(&if known && !part.is_empty() {
            field("name", "segment")
        } else {
            segment(part)
        });
        before = part;
    }
    out
}

/// The names in a query, in order, each once; what is no name is a star.
pub(super) fn query_names(path: &str) -> Vec<String> {
    let query = path.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or(query));
    let mut names = Vec::new();
    for pair in query.unwrap_or_default().split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let name = pair.split_once('=').map(|(name, _)| name);
        let plain = |name: &&str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
            (1..=32).contains(&name.len()) && name.bytes().all(fits) && segment(name) == **name
        };
        let name = name.filter(plain).unwrap_or("*").to_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A user agent.
pub(super) fn agent(agent: &str) -> String {
    let words = agent.split_inclusive([' ', ';', '(', ')', ',', '/']);
    let mut out = String::new();
    for piece in words {
        let word = piece.trim_end_matches([' ', ';', '(', ')', ',', '/']);
        if out.len() + word.len() > LONGEST {
            out.push('*');
            break;
        }
        // `PlayStation 4` names no console of anybody.
        let short = word.len() < 4 && word.bytes().all(|b| b.is_ascii_alphanumeric());
        out.push_str(&if short { word.to_owned() } else { segment(word) });
        out.push_str(&piece[word.len()..]);
    }
    out
}

/// A part between two slashes.
fn segment(part: &str) -> String {
    if part.contains('@') || part.contains("%40") {
        return field("name", "segment");
    }
    if !part.bytes().all(|b| b.is_ascii_graphic() && !b"{}*`|\\\"".contains(&b)) {
        return field("text", "segment");
    }
    if let Some((name, value)) = part.split_once('=') {
        let value = if value.is_empty() { String::new() } else { field("value", "segment") };
        return format!("{}={value}", segment(name));
    }
    if part.parse::<Ipv4Addr>().is_ok() {
        return field("address", "dotted");
    }
    if part.parse::<Ipv6Addr>().is_ok() || is_hardware_address(part) {
        return field("address", "segment");
    }
    if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
        return field("number", "digits");
    }
    let (out, literal) = runs(part);
    let has = |fits: fn(&u8) -> bool| literal.bytes().any(|b| fits(&b));
    // Random text with signs in it falls apart into short runs; together they are still random.
    let random =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let rest_of_token = out.contains("{token:") && literal.len() >= 8;
    if literal.len() >= 24 && random || rest_of_token { field("token", "segment") } else { out }
}

/// `{name:kind}`
fn field(name: &str, kind: &str) -> String {
    format!("{{{name}:{kind}}}")
}

/// Replaces what is an id, a hash or a number; gives what was left as it was, too.
fn runs(part: &str) -> (String, String) {
    let (mut out, mut literal) = (String::new(), String::new());
    let mut at = 0;
    while at < part.len() {
        let rest = &part[at..];
        if let Some((length, placeholder)) = known_id(rest) {
            out.push_str(placeholder);
            at += length;
            continue;
        }
        let run = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (piece, placeholder) = match run {
            0 => (&rest[..1], None),
            // `12.json` is the twelfth of something; `9.00` is a version.
            run if at == 0 && is_numbered_file(rest, run) => {
                (&rest[..run], Some(field("number", "digits")))
            }
            run => (&rest[..run], unknown_id(&rest[..run])),
        };
        match placeholder {
            Some(placeholder) => out.push_str(&placeholder),
            None => {
                out.push_str(piece);
                literal.push_str(piece);
            }
        }
        at += piece.len();
    }
    (out, literal)
}

/// Whether so many digits stand before a point and a letter.
fn is_numbered_file(text: &str, run: usize) -> bool {
    let (number, rest) = text.split_at(run);
    let kind = rest.strip_prefix('.').unwrap_or_default();
    number.bytes().all(|b| b.is_ascii_digit())
        && kind.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Ids that the catalog has a field for: `A` a capital, `9` a digit, `X` either, `h` a hex digit.
fn known_id(text: &str) -> Option<(usize, &'static str)> {
    const SHAPES: [(&str, &str); 4] = [
        ("AA9999-AAAA99999_99-XXXXXXXXXXXXXXXX", "{content_id}"),
        ("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "{id:uuid}"),
        ("AAAA99999_99", "{np_title_id}"),
        ("AAAA99999", "{title_id}"),
    ];
    SHAPES.iter().find_map(|(shape, placeholder)| {
        let start = text.as_bytes().get(..shape.len())?;
        let fits = shape.bytes().zip(start).all(|(shape, &byte)| match shape {
            b'A' => byte.is_ascii_uppercase(),
            b'9' => byte.is_ascii_digit(),
            b'X' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            b'h' => byte.is_ascii_hexdigit(),
            other => byte == other,
        });
        let ends = text.as_bytes().get(shape.len()).is_none_or(|b| !b.is_ascii_alphanumeric());
        (fits && ends).then_some((shape.len(), *placeholder))
    })
}

/// A run of letters and digits that is nobody's word.
fn unknown_id(run: &str) -> Option<String> {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let length = run.len();
    if digits == length && length >= 4 {
        return Some(field("number", "digits"));
    }
    if length >= 12 && digits > 0 && run.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(field("hash", &format!("hex{length}")));
    }
    // Words have few digits, and ids of people and machines many.
    let random = length >= 20 && digits > 0 || length >= 10 && digits * 3 >= length;
    random.then(|| field("token", &format!("alnum{length}")))
}

fn is_hardware_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    parts.len() == 6
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hashes_and_numbers_of_a_path_become_fields() {
        for (given, expected) in [
            ("/a/b.json?x=1", "/a/b.json"),
            ("/a/7.json", "/a/{number:digits}.json"),
            ("/v1/users/somebody/devices/7", "/v1/users/{name:segment}/devices/{number:digits}"),
            (
                "/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json",
                "/tmdb2/{np_title_id}_{hash:hex40}/{np_title_id}.json",
            ),
            (
                "/x/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100_1.pkg",
                "/x/{content_id}-A0107-V0100_1.pkg",
            ),
            ("/t/CUSA00001/2a7d0f5e-1c1b-4d3e-9f10-0123456789ab", "/t/{title_id}/{id:uuid}"),
            ("/s;jsessionid=AB12/x", "/s;jsessionid={value:segment}/x"),
            ("/m/someone@example.org/10.0.0.7", "/m/{name:segment}/{address:dotted}"),
            ("/00:11:22:aa:bb:cc/", "/{address:segment}/"),
            ("/eyJhbGciOiJIUzI1NiJ9.eyJzdWIi-x_Y3", "/{token:segment}"),
            ("/aB3-dE5_gH7-jK9_mN1-pQ3_sT5-vW7", "/{token:segment}"),
            ("/2014_0528/v2/ps4", "/{number:digits}_{number:digits}/v2/ps4"),
            ("/a b/{c}", "/{text:segment}/{text:segment}"),
        ] {
            assert_eq!(path(given), expected);
        }
        assert!(path(&"/word".repeat(1000)).len() < 320);
    }

    #[test]
    fn only_the_names_of_a_query_are_kept() {
        assert_eq!(query_names("/a?lang=en&sid=ab12&lang=de"), ["lang", "sid"]);
        assert_eq!(query_names("/a?&x=1;y="), ["x", "y"]);
        assert_eq!(query_names("/a?0123456789abcdef0123&0123456789abcdef=1"), ["*"]);
        assert_eq!(query_names("/a"), [""; 0]);
    }

    #[test]
    fn agents_keep_their_versions_and_lose_their_ids() {
        for (given, expected) in [
            ("libhttp/9.00 (PlayStation 4)", "libhttp/9.00 (PlayStation 4)"),
            (
                "libcurl (nnDauth; 2a7d0f5e-1c1b-4d3e-9f10-0123456789ab; SDK 3.4.1)",
                "libcurl (nnDauth; {id:uuid}; SDK 3.4.1)",
            ),
            ("App/1.2 serial/0123456789ab", "App/1.2 serial/{hash:hex12}"),
        ] {
            assert_eq!(agent(given), expected);
        }
    }

    #[test]
    fn hosts_at_home_and_ids_in_names_are_left_out() {
        for (given, expected) in [
            ("A.Example.NET", "a.example.net"),
            ("192.168.1.7", "an address"),
            ("[::1]", "an address"),
            ("nas", "a local host"),
            ("nas.local", "a local host"),
            (
                "up9000-pcsa00107-00.auth.np.ac.playstation.net",
                "{id:word}.auth.np.ac.playstation.net",
            ),
            ("f9a1c2d3e4b5a697.cdn.example.net", "{id:word}.cdn.example.net"),
        ] {
            assert_eq!(host(&given.parse().unwrap()), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_looks_like_an_id_gets_through(
            hex in "[0-9a-f]{15}[0-9]", number in "[1-9][0-9]{8}", title in "[A-Z]{4}[0-9]{5}",
        ) {
            let shown = path(&format!("/a/{hex}/b-{number}/{title}-x?{hex}={number}"));
            let agent = agent(&format!("App/1.0 ({hex}; {number})"));
            for secret in [&hex, &number, &title] {
                proptest::prop_assert!(!shown.contains(secret.as_str()), "{}", shown);
                proptest::prop_assert!(!agent.contains(secret.as_str()), "{}", agent);
            }
        }

        #[test]
        fn any_path_and_agent_is_read(text in "\\PC{0,80}") {
            let _ = (path(&text), agent(&text), query_names(&text));
        }
    }
}

//! The store, the image converter, and the small configuration files.

use hyper::StatusCode;

use crate::origin::{Answer, Question};

/// Eight by eight pixels.
const ICON: &[u8] = include_bytes!("icon.png");

/// Hosts that a starting PS4 opens a tunnel to. What they say inside is not documented.
const TUNNELLED: [&str; 9] = [
    "themis.dl.playstation.net",
    "sf.api.np.km.playstation.net",
    "asm.np.community.playstation.net",
    "artcdnsecure.ribob01.net",
    "api-p014.ribob01.net",
    "apicdn-p014.ribob01.net",
    "it-prof.np.community.playstation.net",
    "ps4updptl.eu.np.community.playstation.net",
    "fswitch.dl.playstation.net",
];

pub(super) fn answer(question: &Question<'_>) -> Option<Answer> {
    match (question.host, &question.segments()[..]) {
        ("image.api.np.km.playstation.net", ["images", ""] | ["dis", "images", ""]) => {
            Some(converted_image(question.query))
        }
        (
            "commerce1.api.np.km.playstation.net",
            ["store", "api", "ps4", "00_09_000", "container", _, _, "19", _, "image"],
        ) => Some(Answer::text("image/png", ICON)),
        // The page gives the contents of these two files and not where they lie.
        ("ps4-eb.ww.np.dl.playstation.net", [.., "servicelist.xml"]) => {
            Some(Answer::text("application/xml", SERVICE_LIST))
        }
        ("ps4-eb.ww.np.dl.playstation.net", [.., "applaunchlink.xml"]) => {
            Some(Answer::text("application/xml", APP_LAUNCH_LINK))
        }
        (host, [""]) if TUNNELLED.contains(&host) => {
            Some(Answer::text("text/plain", "The real answer of this server is not documented.\n"))
        }
        _ => None,
    }
}

/// The page: `image` is mandatory, `w` at most 4096, `h` at most 2160.
fn converted_image(query: &str) -> Answer {
    // The inner address stands last and may have an `&` of its own.
    let (options, image) = match query.find("image=") {
        Some(start) => (&query[..start], &query[start + "image=".len()..]),
        None => (query, ""),
    };
    let option = |name: &str| {
        options.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name)
    };
    let beyond = |name, limit: u32| {
        option(name).is_some_and(|(_, v)| v.parse::<u32>().is_ok_and(|v| v > limit))
    };
    if image.is_empty() || beyond("w", 4096) || beyond("h", 2160) {
        return Answer::status(StatusCode::BAD_REQUEST, "text/plain", "");
    }
    if option("format").is_some_and(|(_, format)| format != "png") {
        let explanation = "The simulator converts to PNG only.\n";
        return Answer::status(StatusCode::NOT_IMPLEMENTED, "text/plain", explanation);
    }
    Answer::text("image/png", ICON)
}

const SERVICE_LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<servicelist version="1.0" platform="ps4">
<service name="SNS001" default="allow">
</service>
<service name="SNS002" default="allow">
</service>
<service name="SNS003" default="allow">
</service>
<service name="SNS004" default="allow">
</service>
<service name="SNS005" default="deny">
<allow country="jp"/>
</service>
<service name="SYS001" default="allow">
<deny country="de"/>
</service>
</servicelist>
"#;

const APP_LAUNCH_LINK: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<applaunchlink version="1.0">
<system_info min_system_ver="01.700.000"/>
<title_black_list>
</title_black_list>
</applaunchlink>
"#;

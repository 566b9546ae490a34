//! One entry of a HAR file, also as other tools write it: with missing numbers, `null` for words,
//! fields as pairs `[name, value]`, WebSockets as `wss://`. What each tool does is told where it is
//! met, and tested in `tests/har.rs`.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use consoletap_content::{Coding, encode, percent_encode};
use consoletap_flow::{
    BodyCopy, ClientHelloFacts, Flow, Header, Headers, Timestamp, Timings, Version,
};
use serde_json::Value;

use super::websocket;
use crate::import::Import;
use crate::import::message::{Message, Response, push, version};

/// With and without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The flow of an entry, and its bodies. What could not be taken over is told in its notes.
pub(super) fn flow(
    entry: &Value,
    started: Timestamp,
    import: &Import<'_>,
) -> Result<(Flow, [Option<BodyCopy>; 2]), String> {
    let (request, response) = (&entry["request"], &entry["response"]);
    if !request.is_object() {
        return Err("it has no request".to_owned());
    }
    let mut notes = notes(entry);
    // Any other number is no status (RFC 9110 15): there was no answer, whatever stands there.
    let status = number(&response["status"]).filter(|status| (100.0..1000.0).contains(status));
    let got = status.and_then(|_| got(response, &mut notes));
    let bodies = [sent(request, &mut notes), got];
    let messages = websocket::messages(entry);
    notes.extend(messages.told());
    let (url, is_websocket_url) = url(text(request, "url"), &mut notes);
    let is_websocket = is_websocket_url
        || messages.any()
        || text(entry, "_resourceType") == "websocket"
        || status == Some(101.0);
    let tunnel = &entry["_tunnel"];
    let octets = |side: usize, direction: &str, sizes: [&Value; 2]| match &bodies[side] {
        Some(copy) if copy.whole => copy.octets.len() as u64,
        _ if is_websocket && messages.any() => messages.octets[side],
        copy => {
            let told = number(&tunnel[direction])
                .or_else(|| sizes.into_iter().filter_map(number).find(|&size| size > 0.0));
            let there = copy.as_ref().map_or(0, |copy| copy.octets.len() as u64);
            (told.unwrap_or(0.0) as u64).max(there)
        }
    };
    let request_body = octets(0, "bytesUp", [&request["bodySize"], &request["_content"]["size"]]);
    // Of a body that is not in the file the size on the wire, or what Chrome knows: the decoded one.
    let response_body =
        octets(1, "bytesDown", [&response["bodySize"], &response["content"]["size"]]);
    let mut response_headers = headers(&response["headers"]);
    if bodies[1].as_ref().is_some_and(|copy| copy.whole) {
        describe(&mut response_headers, response_body);
    }
    let error = ["_error", "_errorText"].iter().find_map(|name| {
        let told = entry[*name].as_str().or_else(|| response[*name].as_str());
        told.filter(|told| !told.is_empty()).map(str::to_owned)
    });
    let (connection, server) = connection(entry);
    let message = Message {
        started,
        took_micros: took(entry),
        client: address(text(entry, "_clientAddress"), 0),
        connection,
        server,
        method: Some(text(request, "method")).filter(|m| !m.is_empty()).unwrap_or("GET").to_owned(),
        url,
        version: spoken(request, &mut notes),
        request_headers: headers(&request["headers"]),
        request_body,
        response: status.map(|status| Response {
            // Below 1000.
            status: status as u16,
            reason: text(response, "statusText").to_owned(),
            version: spoken(response, &mut Vec::new()),
            headers: response_headers,
            body: response_body,
        }),
        error,
        timings: timings(&entry["timings"]),
        is_websocket,
    };
    let mut flow = message.into_flow(&import.catalog)?;
    if let (Some(end), Some(target)) = (&mut flow.finished, &flow.target)
        && let Some(server) = end.server.as_mut().filter(|server| server.port() == 0)
    {
        server.set_port(target.authority().port);
    }
    flow.hello = hello(tunnel);
    flow.notes = notes;
    Ok((flow, bodies))
}

/// When an entry began: RFC 3339; without a zone (as some scripts write it) UTC; a number is
/// milliseconds.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    if let Some(millis) = value.as_f64().filter(|millis| (0.0..1e14).contains(millis)) {
        return Some(Timestamp((millis * 1000.0) as i64));
    }
    let text = value.as_str()?.trim();
    let without_zone = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(jiff::tz::Offset::UTC.to_timestamp(civil).ok()?.into())
    };
    text.parse().ok().or_else(without_zone)
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// A number, also as text; less than zero is unknown.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

fn micros(value: &Value) -> Option<u64> {
    // A time that does not fit is no time.
    number(value).map(|millis| (millis * 1000.0) as u64).filter(|&micros| micros < 1 << 50)
}

/// What the file says in words: Insomnia, Fiddler and mitmproxy write a `comment`, we `_notes`.
fn notes(entry: &Value) -> Vec<String> {
    let ours = entry["_notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let comment = Some(text(entry, "comment")).filter(|comment| !comment.is_empty());
    ours.chain(comment).map(str::to_owned).collect()
}

/// The request's body. In `_content` where it is binary (HTTP Toolkit, and we); reqable puts base64
/// into `postData`.
fn sent(request: &Value, notes: &mut Vec<String>) -> Option<BodyCopy> {
    let posted = &request["postData"];
    let octets = octets(&request["_content"], notes).or_else(|| octets(posted, notes));
    let octets = match octets {
        None => form(posted, notes)?,
        Some(octets) => octets,
    };
    Some(coded(octets, &request["headers"]))
}

/// The answer's body; `_bodyState` is ours, and tells of one that is not all of it.
fn got(response: &Value, notes: &mut Vec<String>) -> Option<BodyCopy> {
    let content = &response["content"];
    let octets = octets(content, notes)?;
    if text(content, "_bodyState") != "truncated" {
        return Some(coded(octets, &response["headers"]));
    }
    // The beginning of what was decoded is not the beginning of what was sent.
    let is_coded = headers(&response["headers"]).contains("content-encoding");
    (!is_coded).then_some(BodyCopy { octets, whole: false })
}

fn octets(content: &Value, notes: &mut Vec<String>) -> Option<Vec<u8>> {
    let text = content["text"].as_str().filter(|text| !text.is_empty())?;
    let encoding = content["encoding"].as_str().unwrap_or_default();
    if !encoding.eq_ignore_ascii_case("base64") {
        return Some(text.as_bytes().to_vec());
    }
    // Some tools break its lines.
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let octets = BASE64.decode(packed);
    if octets.is_err() {
        notes.push("a body of it is no base64 in the file, and was left out".to_owned());
    }
    octets.ok()
}

/// A body as it went over the wire, as far as that can be had again: a coding that the head tells of
/// is applied once more, since HAR has it decoded.
fn coded(octets: Vec<u8>, fields: &Value) -> BodyCopy {
    let fields = headers(fields);
    let codings = Coding::list(fields.text("content-encoding").unwrap_or_default());
    let coded = codings.ok().and_then(|codings| {
        codings.iter().try_fold(octets.clone(), |octets, &coding| encode(&octets, coding))
    });
    BodyCopy { octets: coded.unwrap_or(octets), whole: true }
}

/// Makes the head tell of the body that is there: what could not be coded again must not tell of a
/// coding.
fn describe(headers: &mut Headers, bytes: u64) {
    let field = headers.text("content-encoding").unwrap_or_default();
    if !Coding::list(field).is_ok_and(|codings| !codings.contains(&Coding::Brotli)) {
        headers.remove("content-encoding");
    }
    if headers.contains("content-length")
        && let Ok(field) = Header::new("Content-Length", bytes.to_string())
    {
        headers.set(field);
    }
}

/// A form of which the file has the fields alone. The octets between the parts of a multipart form
/// (Insomnia, Firefox) are gone.
fn form(posted: &Value, notes: &mut Vec<String>) -> Option<Vec<u8>> {
    let params = posted["params"].as_array().filter(|params| !params.is_empty())?;
    if text(posted, "mimeType").to_ascii_lowercase().starts_with("multipart/") {
        notes.push("the file has the parts of a form, and not the body that was sent".to_owned());
        return None;
    }
    let encode = |text: &str| percent_encode(text.as_bytes());
    let pair =
        |pair: &Value| format!("{}={}", encode(text(pair, "name")), encode(text(pair, "value")));
    Some(params.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes())
}

/// Fields as objects, or as pairs (as Slack writes them).
fn headers(list: &Value) -> Headers {
    let mut headers = Headers::default();
    for field in list.as_array().into_iter().flatten() {
        let (name, value) = match field {
            Value::Array(pair) => (pair.first(), pair.get(1)),
            field => (field.get("name"), field.get("value")),
        };
        let name = name.and_then(Value::as_str).unwrap_or_default();
        let value = match value {
            Some(Value::String(value)) => value.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        push(&mut headers, name.as_bytes(), value.as_bytes());
    }
    headers
}

/// A URL of the wire. A WebSocket's is that of its request (RFC 6455 3); what only a browser knows
/// of one is taken off: the fragment, which is never sent, and a user name (Insomnia), which was
/// sent as a field.
fn url(text: &str, notes: &mut Vec<String>) -> (String, bool) {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (scheme, is_websocket) = match scheme.to_ascii_lowercase().as_str() {
        "ws" => ("http".to_owned(), true),
        "wss" => ("https".to_owned(), true),
        scheme => (scheme.to_owned(), false),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.len() < authority.len() {
        notes.push("its URL had a user name in the file".to_owned());
    }
    let mut url = if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") };
    for character in path.chars() {
        match character {
            '!'..='~' => url.push(character),
            // Charles and Insomnia show it as it was typed.
            other => url.push_str(&percent_encode(other.encode_utf8(&mut [0; 4]).as_bytes())),
        }
    }
    (url, is_websocket)
}

/// The version that was spoken. A session knows no HTTP/3 (Chrome: `h3`, Firefox: `HTTP/3`), which
/// no proxy sees either; HTTP/2 is the next to it.
fn spoken(message: &Value, notes: &mut Vec<String>) -> Option<Version> {
    let text = text(message, "httpVersion");
    let name = text.to_ascii_lowercase();
    if name.starts_with("h3") || name.starts_with("http/3") || name.contains("quic") {
        notes.push(format!("it was spoken over {text}; shown as HTTP/2"));
        return Some(Version::Http2);
    }
    version(text)
}

/// The milliseconds of `time`, or else of its parts, in microseconds.
fn took(entry: &Value) -> u64 {
    let timings = &entry["timings"];
    let parts = ["blocked", "dns", "connect", "send", "wait", "receive"];
    let sum = || parts.iter().filter_map(|part| micros(&timings[*part])).sum();
    micros(&entry["time"]).unwrap_or_else(sum)
}

fn timings(timings: &Value) -> Timings {
    let tls = micros(&timings["ssl"]);
    Timings {
        dns: micros(&timings["dns"]),
        // `connect` contains `ssl`; where it is less, a tool (mitmproxy) writes them apart.
        connect: micros(&timings["connect"])
            .map(|connect| connect.checked_sub(tls.unwrap_or(0)).unwrap_or(connect)),
        tls,
        wait: micros(&timings["wait"]),
        receive: micros(&timings["receive"]),
    }
}

/// The number of the connection, and the server's address. `connection` is the one or the port:
/// Chrome writes the port there since it has `_connectionId`, Firefox always, Safari and mitmproxy
/// a number, Fiddler `ClientPort:52111;EgressPort:52112`.
fn connection(entry: &Value) -> (u64, Option<SocketAddr>) {
    let integer = |name: &str| {
        let text = text(entry, name);
        let text = text.strip_prefix("ClientPort:").unwrap_or(text);
        text.split(';').next().unwrap_or_default().parse::<u64>().ok()
    };
    let told = integer("connection");
    let own = integer("_connectionId");
    let port = number(&entry["_serverPort"])
        .map(|port| port as u16)
        .or_else(|| own.and(told).and_then(|port| port.try_into().ok()));
    let server = address(text(entry, "serverIPAddress"), port.unwrap_or(0));
    (own.or(told).unwrap_or(0), server)
}

/// What was seen of a tunnel's TLS; of our own files.
fn hello(tunnel: &Value) -> Option<ClientHelloFacts> {
    let ja4 = tunnel["ja4"].as_str()?;
    let alpn = tunnel["alpn"].as_array().into_iter().flatten();
    Some(ClientHelloFacts {
        sni: tunnel["sni"].as_str().map(str::to_owned),
        alpn: alpn.filter_map(Value::as_str).map(str::to_owned).collect(),
        ja3: text(tunnel, "ja3").to_owned(),
        ja4: ja4.to_owned(),
        ..ClientHelloFacts::default()
    })
}

/// An address, perhaps in brackets (Safari), perhaps with its port.
fn address(text: &str, port: u16) -> Option<SocketAddr> {
    let ip = text.trim_start_matches('[').trim_end_matches(']').parse();
    ip.map(|ip| SocketAddr::new(ip, port)).or_else(|_| text.parse()).ok()
}

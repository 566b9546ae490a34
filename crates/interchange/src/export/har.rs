//! HAR 1.2, as its readers really take it: Chrome's importer refuses a file for one missing
//! number, `har-validator` for one `null`. Measured rules stand beside the code they shaped.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use consoletap_content::{End, Kind, kind, percent_decode};
use consoletap_flow::{
    Flow, Headers, Kind as FlowKind, RequestHead, ResponseHead, State, Target, Timestamp, Version,
};
use serde_json::{Map, Value, json};

use crate::{Body, Exchange, Missing};

/// A HAR file that is being written.
#[derive(Debug)]
pub struct Har<W> {
    out: W,
    decoded_cap: usize,
    entries: u64,
}

/// A group of entries. Clients are given as pages, so that viewers group by console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HarPage {
    /// The client.
    pub client: IpAddr,
    /// What it is called.
    pub title: String,
    /// When it was first seen.
    pub started: Timestamp,
}

impl<W: Write> Har<W> {
    /// Begins a file. `decoded_cap` bounds what is written of one decoded body.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(
        mut out: W,
        creator: &str,
        version: &str,
        comment: &str,
        decoded_cap: usize,
    ) -> io::Result<Self> {
        let creator = json!({ "name": creator, "version": version });
        write!(
            out,
            "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"comment\":{},\"entries\":[",
            json!(comment)
        )?;
        Ok(Self { out, decoded_cap, entries: 0 })
    }

    /// Writes an exchange.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn entry(&mut self, exchange: &Exchange) -> io::Result<()> {
        self.out.write_all(if self.entries == 0 { b"\n" } else { b",\n" })?;
        self.entries += 1;
        serde_json::to_writer(&mut self.out, &entry(exchange, self.decoded_cap))?;
        Ok(())
    }

    /// Ends the file. `pages` stand last, and are there even where there are none: Firefox does
    /// not open a file without them (bug 1691240).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self, pages: &[HarPage]) -> io::Result<W> {
        let pages: Vec<Value> = pages
            .iter()
            .map(|page| {
                json!({
                    "startedDateTime": page.started.to_string(),
                    "id": page.client.to_string(),
                    "title": page.title,
                    "pageTimings": {},
                })
            })
            .collect();
        writeln!(self.out, "\n],\"pages\":{}}}}}", Value::from(pages))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn entry(exchange: &Exchange, cap: usize) -> Value {
    let flow = &exchange.flow;
    let (timings, time) = timings(flow);
    let mut entry = json!({
        "pageref": flow.client.address.ip().to_canonical().to_string(),
        "startedDateTime": flow.started.to_string(),
        "time": time,
        "request": request(exchange, cap),
        "response": response(exchange, cap),
        "cache": {},
        "timings": timings,
        "_connectionId": flow.client.connection.0.to_string(),
    });
    let Some(members) = entry.as_object_mut() else { return entry };
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let end = flow.finished.as_ref();
    if let Some(server) = end.and_then(|end| end.server) {
        // A bare literal: `[::1]` and an empty string fail har-validator. DevTools take `connection`
        // for the port, or 80 where there is none; others know `_serverPort`.
        add("serverIPAddress", json!(server.ip().to_canonical().to_string()));
        add("connection", json!(server.port().to_string()));
        add("_serverPort", json!(server.port()));
    }
    if flow.kind == FlowKind::Websocket {
        add("_resourceType", json!("websocket"));
        // Messages are not kept, only counted.
        add("_webSocketMessages", json!([]));
    }
    add("_flow", json!(flow.id));
    add("_kind", json!(flow.kind));
    add("_state", json!(flow.state()));
    add("_clientAddress", json!(flow.client.address.ip().to_canonical().to_string()));
    add("_platform", json!(flow.classification.platform));
    add("_category", json!(flow.classification.category));
    if let Some(row) = &flow.classification.entry {
        add("_entry", json!(row));
    }
    if !flow.rules.is_empty() {
        add("_rules", json!(flow.rules));
    }
    if !flow.notes.is_empty() {
        add("_notes", json!(flow.notes));
    }
    if let Some(failure) = end.and_then(|end| end.failure.as_ref()) {
        add("_error", json!(failure.cause));
    }
    if matches!(flow.kind, FlowKind::Tunnel | FlowKind::TlsFailure | FlowKind::Websocket) {
        let mut tunnel = json!({ "bytesUp": flow.request_bytes, "bytesDown": flow.response_bytes });
        if let (Some(hello), Some(facts)) = (&flow.hello, tunnel.as_object_mut()) {
            facts.insert("sni".to_owned(), json!(hello.sni));
            facts.insert("alpn".to_owned(), json!(hello.alpn));
            facts.insert("ja3".to_owned(), json!(hello.ja3));
            facts.insert("ja4".to_owned(), json!(hello.ja4));
        }
        add("_tunnel", tunnel);
    }
    entry
}

/// The parts in milliseconds, and their sum. `connect` contains `ssl`: DevTools subtracts it, and
/// what writes them apart shows as negative in Charles.
fn timings(flow: &Flow) -> (Value, f64) {
    let parts = flow.finished.as_ref().map(|end| end.timings).unwrap_or_default();
    let millis = |micros: u64| micros as f64 / 1000.0;
    let known = |micros: Option<u64>| micros.map_or(-1.0, millis);
    let connect = match (parts.connect, parts.tls) {
        (None, None) => None,
        (connect, tls) => Some(connect.unwrap_or_default() + tls.unwrap_or_default()),
    };
    let took = flow.latest.since(flow.started).as_micros();
    let told = [parts.dns, connect, parts.wait, parts.receive];
    let sum: u64 = told.into_iter().flatten().sum();
    // Of a tunnel, and of what was read from elsewhere, only the whole is known.
    let rest = u64::try_from(took).unwrap_or(u64::MAX).saturating_sub(sum);
    let receive = if told.iter().all(Option::is_none) { rest } else { parts.receive.unwrap_or(0) };
    let time = millis(sum - parts.receive.unwrap_or(0) + receive);
    let timings = json!({
        "blocked": -1,
        "dns": known(parts.dns),
        "connect": known(connect),
        "ssl": known(parts.tls),
        "send": 0,
        "wait": millis(parts.wait.unwrap_or(0)),
        "receive": millis(receive),
    });
    (timings, time)
}

fn request(exchange: &Exchange, cap: usize) -> Value {
    let flow = &exchange.flow;
    let body = &exchange.request_body;
    let head = flow.request.as_ref();
    let none = Headers::default();
    let headers = head.map_or(&none, |head| &head.headers);
    let is_message = flow.kind == FlowKind::Http;
    let mut request = json!({
        "method": head.map_or("UNKNOWN", |head| head.method.as_str()),
        "url": url(flow),
        "httpVersion": head.map_or("", |head| version(head.version)),
        "cookies": request_cookies(headers),
        "headers": fields(headers),
        "queryString": query(flow),
        "headersSize": head.map_or(-1, request_size),
        "bodySize": if is_message { size(body.bytes) } else { 0 },
    });
    if is_message
        && body.bytes > 0
        && let Some(members) = request.as_object_mut()
    {
        post_data(members, body, headers, cap);
    }
    request
}

/// A text body goes into `postData`. For octets there is no standard place, and base64 in
/// `postData.text` breaks other tools: they go into `_content`, as HTTP Toolkit writes them.
fn post_data(request: &mut Map<String, Value>, body: &Body, headers: &Headers, cap: usize) {
    let media = lossy(headers, "content-type");
    let mut data = json!({ "mimeType": media, "params": [], "text": "" });
    let told = told(body, headers, cap);
    let mut comment = told.comment;
    match &told.text {
        Some(Text::Plain(text)) => {
            data["text"] = json!(text);
            if told.kind == Kind::Form {
                data["params"] = pairs(text);
            }
        }
        Some(Text::Base64(text)) => {
            request.insert(
                "_content".to_owned(),
                json!({ "text": text, "size": told.size, "encoding": "base64" }),
            );
            comment.get_or_insert_with(|| "binary: see _content".to_owned());
        }
        None => {
            request.insert("_requestBodyStatus".to_owned(), json!("discarded:too-large"));
        }
    }
    if let Some(comment) = comment {
        data["comment"] = json!(comment);
    }
    request.insert("postData".to_owned(), data);
}

fn response(exchange: &Exchange, cap: usize) -> Value {
    let flow = &exchange.flow;
    let body = &exchange.response_body;
    let Some(head) = &flow.response else {
        // Without a number in each of these Chrome refuses the whole file.
        let error = flow.finished.as_ref().and_then(|end| end.failure.as_ref());
        let error = match error {
            Some(failure) => failure.cause.clone(),
            None if flow.state() == State::Unfinished => "the recording ends here".to_owned(),
            None => String::new(),
        };
        return json!({
            "status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [],
            "content": { "size": 0, "mimeType": "x-unknown" }, "redirectURL": "",
            "headersSize": -1, "bodySize": -1, "_transferSize": 0, "_error": error,
        });
    };
    let headers = &head.headers;
    let is_message =
        !matches!(flow.kind, FlowKind::Tunnel | FlowKind::TlsFailure | FlowKind::Websocket);
    json!({
        "status": head.status,
        "statusText": &*head.reason,
        "httpVersion": version(head.version),
        "cookies": response_cookies(headers),
        "headers": fields(headers),
        "content": if is_message { content(body, headers, cap) } else {
            json!({ "size": 0, "mimeType": "x-unknown" })
        },
        "redirectURL": lossy(headers, "location"),
        "headersSize": response_size(head),
        "bodySize": if is_message { size(body.bytes) } else { 0 },
        "_transferSize": size(flow.response_bytes),
    })
}

fn content(body: &Body, headers: &Headers, cap: usize) -> Value {
    let media = lossy(headers, "content-type");
    let told = told(body, headers, cap);
    let mut content = json!({
        "size": told.size,
        "mimeType": if media.is_empty() { "x-unknown".into() } else { media },
    });
    if body.missing.is_none() && headers.contains("content-encoding") && told.is_whole {
        content["compression"] = json!(told.size - size(body.bytes));
    }
    match told.text {
        Some(Text::Plain(text)) => content["text"] = json!(text),
        Some(Text::Base64(text)) => {
            content["text"] = json!(text);
            content["encoding"] = json!("base64");
        }
        None => {}
    }
    if let Some(comment) = told.comment {
        content["comment"] = json!(comment);
        content["_bodyState"] =
            json!(if content.get("text").is_some() { "truncated" } else { "omitted" });
    }
    content
}

/// What is told of a body.
struct Told {
    /// Its decoded length, as far as it is known.
    size: i64,
    kind: Kind,
    text: Option<Text>,
    /// Whether the text is all of it.
    is_whole: bool,
    /// Why it is not.
    comment: Option<String>,
}

enum Text {
    Plain(String),
    Base64(String),
}

/// A body decoded: as text where it is UTF-8 (whatever its type says), else as base64.
fn told(body: &Body, headers: &Headers, cap: usize) -> Told {
    let omitted = |comment: String| Told {
        size: size(body.bytes),
        kind: Kind::Binary,
        text: None,
        is_whole: false,
        comment: Some(comment),
    };
    if let Some(Missing::All(why)) = &body.missing {
        return omitted(format!("left out: {why}"));
    }
    let decoded = match body.decoded(Some(headers), cap) {
        Ok(decoded) => decoded,
        Err(unknown) => return omitted(format!("left out: {unknown}")),
    };
    let octets = &*decoded.octets;
    let kind = kind(headers.text("content-type"), octets);
    let is_cut = body.missing == Some(Missing::Rest);
    let mut comment = match decoded.end {
        _ if is_cut => Some(format!("only its beginning was kept; it has {} bytes", body.bytes)),
        End::Whole => None,
        End::Capped => return omitted(format!("left out: decoded it is larger than {cap} bytes")),
        End::Broken => Some("its coding is broken behind this".to_owned()),
    };
    let text = match std::str::from_utf8(octets) {
        // A character that the cut parted.
        Err(error) if is_cut && error.error_len().is_none() => {
            Some(Text::Plain(String::from_utf8_lossy(&octets[..error.valid_up_to()]).into_owned()))
        }
        Ok(text) => Some(Text::Plain(text.to_owned())),
        // The beginning of a package is of no use to a viewer.
        Err(_) if is_cut => None,
        Err(_) => Some(Text::Base64(BASE64.encode(octets))),
    };
    if text.is_none() {
        comment = Some(format!("left out: {}; it has {} bytes", Missing::Rest, body.bytes));
    }
    let is_whole = comment.is_none();
    let size = if is_cut { size(body.bytes) } else { size(octets.len() as u64) };
    Told { size, kind, text, is_whole, comment }
}

fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// HTTP Toolkit refuses any other spelling.
fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        Version::Http2 => "HTTP/2",
    }
}

/// The URL with everything encoded that a URI may not hold (RFC 3986 appendix A).
fn url(flow: &Flow) -> String {
    let text = match &flow.target {
        Some(Target::Url(url)) => url.to_string(),
        Some(Target::Authority(authority)) => format!("https://{authority}/"),
        None => "about:invalid".to_owned(),
    };
    let mut uri = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&octet) {
            uri.push(char::from(octet));
        } else {
            uri.push_str(&consoletap_content::percent_encode(&[octet]));
        }
    }
    uri
}

fn query(flow: &Flow) -> Value {
    let path = flow.target.as_ref().and_then(Target::path).unwrap_or_default();
    path.split_once('?').map_or_else(|| json!([]), |(_, query)| pairs(query))
}

fn pairs(text: &str) -> Value {
    let decoded = |text: &str| String::from_utf8_lossy(&percent_decode(text)).into_owned();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        json!({ "name": decoded(name), "value": decoded(value) })
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn fields(headers: &Headers) -> Value {
    let field = |name: &str, value: &[u8]| json!({ "name": name, "value": latin1(value) });
    headers.iter().map(|header| field(header.name(), header.value())).collect()
}

/// A value as text; what is no UTF-8 is Latin-1, as fields once were (RFC 9110 5.5).
fn latin1(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().map(|&octet| char::from(octet)).collect()),
    }
}

fn lossy(headers: &Headers, name: &str) -> String {
    headers.get(name).map(|value| latin1(value).into_owned()).unwrap_or_default()
}

fn cookie(pair: &str) -> Option<Map<String, Value>> {
    let (name, value) = pair.trim().split_once('=')?;
    json!({ "name": name, "value": value }).as_object().cloned()
}

fn request_cookies(headers: &Headers) -> Value {
    let values = headers.all("cookie").map(|value| latin1(value).into_owned());
    values.flat_map(|value| value.split(';').filter_map(cookie).collect::<Vec<_>>()).collect()
}

/// Without `expires`: a date that is no ISO 8601 fails har-validator, and one that cannot be read
/// makes Chrome refuse the file. The header has it.
fn response_cookies(headers: &Headers) -> Value {
    let one = |value: &[u8]| {
        let text = latin1(value).into_owned();
        let mut parts = text.split(';');
        let mut cookie = cookie(parts.next()?)?;
        for part in parts {
            let part = part.trim();
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.to_ascii_lowercase().as_str() {
                "path" => cookie.insert("path".to_owned(), json!(value)),
                "domain" => cookie.insert("domain".to_owned(), json!(value)),
                "secure" => cookie.insert("secure".to_owned(), json!(true)),
                "httponly" => cookie.insert("httpOnly".to_owned(), json!(true)),
                _ => None,
            };
        }
        Some(Value::Object(cookie))
    };
    headers.all("set-cookie").filter_map(one).collect()
}

/// Octets of a head as it would be in HTTP/1; of HTTP/2 they are not known.
fn request_size(head: &RequestHead) -> i64 {
    let line = head.method.len() + head.target.len() + "  HTTP/1.1\r\n".len();
    head_size(head.version, line, &head.headers)
}

fn response_size(head: &ResponseHead) -> i64 {
    head_size(head.version, head.reason.len() + "HTTP/1.1 200 \r\n".len(), &head.headers)
}

fn head_size(version: Version, line: usize, headers: &Headers) -> i64 {
    if version == Version::Http2 {
        return -1;
    }
    let fields: usize =
        headers.iter().map(|header| header.name().len() + header.value().len() + 4).sum();
    size((line + fields + 2) as u64)
}

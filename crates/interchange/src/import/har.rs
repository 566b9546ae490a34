//! HAR, also as other tools write it: with missing numbers, `null` for words, fields as pairs
//! `[name, value]`, a byte order mark.

use std::io::BufRead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use consoletap_content::{Coding, encode};
use consoletap_flow::{Header, Headers, Timestamp, Timings};
use serde_json::Value;

use super::message::{Message, Response, push, version};
use super::{Broken, Import};

/// One entry with its bodies is not larger than this.
const LARGEST_ENTRY: u64 = 1 << 30;

pub(super) fn read(mut reader: Box<dyn BufRead + Send>, import: &mut Import) -> Result<(), Broken> {
    // Entries are read where they stand. Most tools write them in order; where one does not, the
    // numbers of the flows follow the file.
    let mut entries = Entries::find(&mut reader)?;
    let mut number = 0_u64;
    while let Some(entry) = entries.next()? {
        number += 1;
        let entry: Value = serde_json::from_slice(&entry)
            .map_err(|error| Broken::Content(format!("entry {number}: {error}")))?;
        let bodies = bodies(&entry);
        match message(&entry, &bodies, import) {
            Ok(flow) => import.flow(flow, bodies),
            Err(why) => import.remark(format!("entry {number} was left out: {why}")),
        }
    }
    Ok(())
}

/// Cuts `log.entries` into its elements without reading what stands around them: a file may be
/// larger than memory.
struct Entries<'r> {
    reader: &'r mut dyn BufRead,
    over: bool,
}

impl<'r> Entries<'r> {
    /// Goes to the beginning of the list: the first member `entries` whose value is a list.
    fn find(reader: &'r mut dyn BufRead) -> Result<Self, Broken> {
        let mut entries = Self { reader, over: false };
        let mut depth = 0_u32;
        loop {
            match entries.byte()? {
                None => return Err(Broken::Content("there is no list of entries".to_owned())),
                Some(b'"') => {
                    let word = entries.string()?;
                    if word != b"entries" || depth != 2 {
                        continue;
                    }
                    if entries.peek_solid()? != Some(b':') {
                        continue;
                    }
                    entries.byte()?;
                    if entries.peek_solid()? == Some(b'[') {
                        entries.byte()?;
                        return Ok(entries);
                    }
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth = depth.saturating_sub(1),
                Some(_) => {}
            }
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, Broken> {
        let byte = self.reader.fill_buf()?.first().copied();
        self.reader.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// The next byte that is no white space, without taking it.
    fn peek_solid(&mut self) -> Result<Option<u8>, Broken> {
        loop {
            match self.reader.fill_buf()?.first() {
                Some(byte) if byte.is_ascii_whitespace() => self.reader.consume(1),
                byte => return Ok(byte.copied()),
            }
        }
    }

    /// The rest of a string; of a long one its beginning.
    fn string(&mut self) -> Result<Vec<u8>, Broken> {
        let mut word = Vec::new();
        let mut escaped = false;
        while let Some(byte) = self.byte()? {
            match byte {
                b'"' if !escaped => return Ok(word),
                b'\\' if !escaped => escaped = true,
                _ => escaped = false,
            }
            if word.len() < 64 {
                word.push(byte);
            }
        }
        Err(Broken::Content("it ends within a string".to_owned()))
    }

    /// The octets of the next element.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        if self.over {
            return Ok(None);
        }
        while self.peek_solid()? == Some(b',') {
            self.byte()?;
        }
        match self.peek_solid()? {
            Some(b'{') => {}
            Some(b']') => {
                self.over = true;
                return Ok(None);
            }
            _ => {
                return Err(Broken::Content("an entry is no object, or the file ends here".into()));
            }
        }
        let mut octets = Vec::new();
        let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
        loop {
            let block = self.reader.fill_buf()?;
            if block.is_empty() {
                return Err(Broken::Content("it ends within an entry".to_owned()));
            }
            let mut used = block.len();
            for (at, byte) in block.iter().enumerate() {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    used = at + 1;
                    break;
                }
            }
            octets.extend_from_slice(&block[..used]);
            self.reader.consume(used);
            if depth == 0 {
                return Ok(Some(octets));
            }
            if octets.len() as u64 > LARGEST_ENTRY {
                return Err(Broken::Content("an entry is larger than 1 GiB".to_owned()));
            }
        }
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// A number, also as text; less than zero is unknown.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

fn micros(value: &Value) -> Option<u64> {
    // A time that does not fit is no time.
    number(value).map(|millis| (millis * 1000.0) as u64).filter(|&micros| micros < 1 << 50)
}

/// The bodies as they went over the wire, as far as they can be had again: a coding that the head
/// tells of is applied once more, since HAR has them decoded.
fn bodies(entry: &Value) -> [Option<Vec<u8>>; 2] {
    let octets = |content: &Value| -> Option<Vec<u8>> {
        let text = content["text"].as_str().filter(|text| !text.is_empty())?;
        let is_base64 = text_is_base64(content);
        if is_base64 { BASE64.decode(text).ok() } else { Some(text.as_bytes().to_vec()) }
    };
    let request = &entry["request"];
    let sent = octets(&request["_content"]).or_else(|| octets(&request["postData"]));
    let sent = sent.or_else(|| form(&request["postData"]["params"]));
    let got = octets(&entry["response"]["content"]);
    let recode = |octets: Option<Vec<u8>>, message: &Value| {
        let octets = octets?;
        let headers = headers(&message["headers"]);
        let field = headers.text("content-encoding").unwrap_or_default().to_owned();
        let codings = Coding::list(&field).ok()?;
        codings.iter().try_fold(octets, |octets, &coding| encode(&octets, coding))
    };
    let plain =
        |octets: Option<Vec<u8>>, message: &Value| recode(octets.clone(), message).or(octets);
    [plain(sent, request), plain(got, &entry["response"])]
}

fn text_is_base64(content: &Value) -> bool {
    text(content, "encoding").eq_ignore_ascii_case("base64")
}

fn form(params: &Value) -> Option<Vec<u8>> {
    let encode = |text: &str| consoletap_content::percent_encode(text.as_bytes());
    let pairs: Vec<String> = params
        .as_array()?
        .iter()
        .map(|pair| format!("{}={}", encode(text(pair, "name")), encode(text(pair, "value"))))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join("&").into_bytes())
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

fn message(
    entry: &Value,
    bodies: &[Option<Vec<u8>>; 2],
    import: &Import,
) -> Result<consoletap_flow::Flow, String> {
    let (request, response) = (&entry["request"], &entry["response"]);
    if !request.is_object() {
        return Err("it has no request".to_owned());
    }
    let timings = &entry["timings"];
    let tls = micros(&timings["ssl"]);
    let timings = Timings {
        dns: micros(&timings["dns"]),
        // `connect` contains `ssl`; where a tool wrote less, it did not.
        connect: micros(&timings["connect"])
            .map(|connect| connect.checked_sub(tls.unwrap_or(0)).unwrap_or(connect)),
        tls,
        wait: micros(&timings["wait"]),
        receive: micros(&timings["receive"]),
    };
    let status = number(&response["status"]).unwrap_or(0.0) as u16;
    let length = |octets: &Option<Vec<u8>>, size: &Value| {
        octets.as_ref().map_or_else(|| number(size).unwrap_or(0.0) as u64, |o| o.len() as u64)
    };
    let error = ["_error", "_errorText"].iter().find_map(|name| {
        let told = entry[*name].as_str().or_else(|| response[*name].as_str());
        told.filter(|told| !told.is_empty()).map(str::to_owned)
    });
    let mut response_headers = headers(&response["headers"]);
    // What could not be coded again must not tell of a coding.
    if bodies[1].is_some() && !is_coded(&response_headers) {
        response_headers.remove("content-encoding");
    }
    let got = length(&bodies[1], &response["content"]["size"]);
    if bodies[1].is_some()
        && response_headers.contains("content-length")
        && let Ok(field) = Header::new("Content-Length", got.to_string())
    {
        response_headers.set(field);
    }
    let is_websocket = text(entry, "_resourceType") == "websocket" || status == 101;
    Message {
        started: started(entry),
        took_micros: micros(&entry["time"]).unwrap_or(0),
        client: address(text(entry, "_clientAddress"), 0),
        connection: entry["connection"].as_str().and_then(|id| id.parse().ok()).unwrap_or(0),
        server: address(
            text(entry, "serverIPAddress"),
            number(&entry["_serverPort"]).unwrap_or(0.0) as u16,
        ),
        method: Some(text(request, "method")).filter(|m| !m.is_empty()).unwrap_or("GET").to_owned(),
        url: text(request, "url").to_owned(),
        version: version(text(request, "httpVersion")),
        request_headers: headers(&request["headers"]),
        request_body: length(&bodies[0], &request["bodySize"]),
        response: (status >= 100).then(|| Response {
            status,
            reason: text(response, "statusText").to_owned(),
            version: version(text(response, "httpVersion")),
            headers: response_headers,
            body: got,
        }),
        error,
        timings,
        is_websocket,
    }
    .into_flow(&import.catalog)
}

/// Whether the coding that the head tells of could be applied.
fn is_coded(headers: &Headers) -> bool {
    let field = headers.text("content-encoding").unwrap_or_default();
    Coding::list(field).is_ok_and(|codings| !codings.contains(&Coding::Brotli))
}

fn started(entry: &Value) -> Timestamp {
    text(entry, "startedDateTime").parse().unwrap_or_default()
}

fn address(text: &str, port: u16) -> Option<std::net::SocketAddr> {
    let ip = text.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    Some(std::net::SocketAddr::new(ip, port))
}

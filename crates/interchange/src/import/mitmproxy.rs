//! mitmproxy's flow files (`mitmdump -w`), of versions 3 (flow version 7) to today.

use std::io::BufRead;
use std::net::SocketAddr;

use consoletap_flow::{ClientHelloFacts, Flow, Headers, Timestamp, Timings};

use super::message::{Message, Response, push, version};
use super::tnetstring::{Value, cut, parse};
use super::{Broken, Import, whole};

pub(super) fn read(
    mut reader: Box<dyn BufRead + Send>,
    import: &mut Import<'_>,
) -> Result<(), Broken> {
    let mut buffer = Vec::new();
    let mut number = 0_u64;
    while cut(&mut *reader, &mut buffer)? {
        number += 1;
        let value = parse(&buffer)
            .ok_or_else(|| Broken::Content(format!("flow {number} is broken inside")))?;
        let kind = value.get("type").text().unwrap_or("http");
        if kind != "http" {
            import.remark(format!("flow {number} was left out: it is a flow of {kind}"));
            continue;
        }
        let content = |message: &str| {
            let octets = value.get(message).get("content").octets();
            octets.filter(|octets| !octets.is_empty()).map(<[u8]>::to_vec)
        };
        let answered = status(&value).is_some();
        let bodies = [content("request"), content("response").filter(|_| answered)];
        match flow(&value, &bodies, import) {
            Ok(flow) => import.flow(flow, whole(bodies)),
            Err(why) => import.remark(format!("flow {number} was left out: {why}")),
        }
    }
    Ok(())
}

fn flow(
    value: &Value<'_>,
    bodies: &[Option<Vec<u8>>; 2],
    import: &Import<'_>,
) -> Result<Flow, String> {
    let (request, response) = (value.get("request"), value.get("response"));
    let (client, server) = (value.get("client_conn"), value.get("server_conn"));
    let method = lossy(request.get("method"));
    let scheme = lossy(request.get("scheme"));
    let host = lossy(request.get("host"));
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = request.get("port").number().unwrap_or(0.0);
    let path = lossy(request.get("path"));
    let url = if method.eq_ignore_ascii_case("CONNECT") {
        format!("{host}:{port}")
    } else {
        // Unusual, but seen in files of a transparent mode: no scheme.
        let scheme = if scheme.is_empty() { "http" } else { &scheme };
        format!(
            "{scheme}://{host}:{port}{}",
            if path.starts_with('/') { path } else { format!("/{path}") }
        )
    };
    let started = seconds(request.get("timestamp_start"));
    let ended =
        seconds(response.get("timestamp_end")).or_else(|| seconds(request.get("timestamp_end")));
    let answered = seconds(response.get("timestamp_start"));
    let asked = seconds(request.get("timestamp_end"));
    let between = |from: Option<i64>, to: Option<i64>| u64::try_from(to?.checked_sub(from?)?).ok();
    let length = |octets: &Option<Vec<u8>>| octets.as_ref().map_or(0, |octets| octets.len() as u64);
    let status = status(value);
    let message = Message {
        started: Timestamp(started.unwrap_or(0)),
        took_micros: between(started, ended).unwrap_or(0),
        client: address(client, &["peername", "address"]),
        connection: 0,
        server: address(server, &["peername", "ip_address"]),
        method,
        url,
        version: version(&lossy(request.get("http_version"))),
        request_headers: headers(request),
        request_body: length(&bodies[0]),
        response: status.map(|status| Response {
            status,
            reason: lossy(response.get("reason")),
            version: version(&lossy(response.get("http_version"))),
            headers: headers(response),
            body: length(&bodies[1]),
        }),
        error: value.get("error").get("msg").text().map(str::to_owned),
        timings: Timings {
            wait: between(asked, answered),
            receive: between(answered, seconds(response.get("timestamp_end"))),
            ..Timings::default()
        },
        is_websocket: matches!(value.get("websocket"), Value::Dictionary(_)),
    };
    let mut flow = message.into_flow(&import.catalog)?;
    if let Some(sni) = client.get("sni").text() {
        let alpn = client.get("alpn_offers").list().iter().filter_map(Value::text);
        flow.hello = Some(ClientHelloFacts {
            sni: Some(sni.to_owned()),
            alpn: alpn.map(str::to_owned).collect(),
            ..ClientHelloFacts::default()
        });
    }
    if let Some(comment) = value.get("comment").text().filter(|comment| !comment.is_empty()) {
        flow.notes.push(comment.to_owned());
    }
    Ok(flow)
}

/// The status of the answer, where there is one.
fn status(flow: &Value<'_>) -> Option<u16> {
    let status = flow.get("response").get("status_code").number()?;
    // Between 100 and 999.
    (100.0..1000.0).contains(&status).then_some(status as u16)
}

fn lossy(value: &Value<'_>) -> String {
    String::from_utf8_lossy(value.octets().unwrap_or_default()).into_owned()
}

/// Seconds since 1970 as microseconds.
fn seconds(value: &Value<'_>) -> Option<i64> {
    let seconds = value.number().filter(|seconds| (0.0..1e11).contains(seconds))?;
    Some((seconds * 1e6) as i64)
}

/// `[ip, port]` under the first of these names; old files have it one level deeper.
fn address(connection: &Value<'_>, names: &[&str]) -> Option<SocketAddr> {
    names.iter().find_map(|name| {
        let value = connection.get(name);
        let inner = value.get("address");
        let pair = if inner.list().is_empty() { value } else { inner };
        let port = pair.at(1).number()?;
        Some(SocketAddr::new(pair.at(0).text()?.parse().ok()?, port as u16))
    })
}

fn headers(message: &Value<'_>) -> Headers {
    let mut headers = Headers::default();
    for field in message.get("headers").list() {
        let octets = |index: usize| field.at(index).octets().unwrap_or_default();
        push(&mut headers, octets(0), octets(1));
    }
    headers
}

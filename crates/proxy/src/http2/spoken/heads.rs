//! Heads: hyper's become ours, and ours become hyper's.

use std::collections::VecDeque;

use consoletap_flow::{Header, Headers, RequestHead, ResponseHead, Text, Url, Version};

use super::body::BodyStream;
use crate::headers;

/// A request's head as HTTP/1 would write it: `Host` first, cookies in one field (RFC 9113 8.2.3).
pub(super) fn request_head(parts: &http::request::Parts) -> RequestHead {
    let mut fields = Headers::with_capacity(parts.headers.len() + 1);
    if let Some(authority) = parts.uri.authority().filter(|_| !parts.headers.contains_key("host")) {
        headers::push(&mut fields, "host", authority.as_str());
    }
    let mut cookies: VecDeque<&[u8]> = VecDeque::new();
    for (name, value) in &parts.headers {
        if name == http::header::COOKIE {
            cookies.push_back(value.as_bytes());
        } else if let Ok(field) = Header::new(name.as_str(), value.as_bytes()) {
            fields.push(field);
        }
    }
    if !cookies.is_empty() {
        let joined = cookies.make_contiguous().join(&b"; "[..]);
        if let Ok(field) = Header::new("cookie", joined) {
            fields.push(field);
        }
    }
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    RequestHead {
        method: parts.method.as_str().to_owned().into(),
        target: target.to_owned().into(),
        version: Version::Http2,
        headers: fields,
    }
}

/// A request for a server that speaks HTTP/2; `None` where HTTP/2 cannot say it.
pub(super) fn request(
    method: &str,
    url: &Url,
    fields: &Headers,
    body: BodyStream,
) -> Option<http::Request<BodyStream>> {
    // As the client spelled it; it was made to agree with the URL.
    let authority = fields.text("host").map_or_else(|| url.authority.to_string(), str::to_owned);
    let uri = http::Uri::builder()
        .scheme("https")
        .authority(authority)
        .path_and_query(url.path.as_str())
        .build()
        .ok()?;
    let mut request = http::Request::builder()
        .method(method)
        .uri(uri)
        .version(http::Version::HTTP_2)
        .body(body)
        .ok()?;
    let mut fields = fields.clone();
    fields.remove("host");
    *request.headers_mut() = header_map(&fields);
    Some(request)
}

/// The head of a server's answer.
pub(super) fn answer_head(parts: &http::response::Parts) -> ResponseHead {
    ResponseHead {
        status: parts.status.as_u16(),
        reason: Text::default(),
        version: Version::Http2,
        headers: fields_of(&parts.headers),
    }
}

/// The head of an answer to a client.
pub(super) fn response_head(status: u16, fields: &Headers) -> Option<http::Response<()>> {
    let mut response = http::Response::builder().status(status).body(()).ok()?;
    *response.headers_mut() = header_map(fields);
    Some(response)
}

/// Fields for hyper. What HTTP/2 cannot carry was removed before; anything left over is dropped.
pub(super) fn header_map(fields: &Headers) -> http::HeaderMap {
    let mut map = http::HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = http::HeaderName::from_bytes(field.name().as_bytes());
        let value = http::HeaderValue::from_maybe_shared(field.shared_value());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

pub(super) fn fields_of(map: &http::HeaderMap) -> Headers {
    map.iter()
        .filter_map(|(name, value)| Header::new(name.as_str(), value.as_bytes()).ok())
        .collect()
}

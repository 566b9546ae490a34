//! Sessions on their way out and in: nothing secret leaves, and other tools read what is written.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::fixtures::{copy, fixture};
use super::harness::{Home, json_lines};

/// What is planted, each in a place of its own. No two share more than their beginning.
const SECRETS: [&str; 18] = [
    "PLANTED-query-5d1f",
    "PLANTED-cookie-8e2a",
    "PLANTED-setcookie-91bc",
    "PLANTED-bearer-77aa",
    "PLANTED-user-0c3d",
    "PLANTED-pass-4b5e",
    "PLANTED-xtoken-6f7a",
    "PLANTED-ticket-1a2b",
    "PLANTED-form-3c4d",
    "PLANTED-json-5e6f",
    "PLANTED-xml-7a8b",
    "PLANTED-attribute-9c0d",
    "PLANTED-part-2e3f",
    "PLANTED-gzip-4a5b",
    "PLANTED-answer-6c7d",
    "PLANTED-nested-8e9f",
    "PLANTED-userinfo-0a1b",
    "00:1f:a7:5d:5d:5d",
];

const JWT: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJQTEFOVEVEIn0.c2lnbmF0dXJl";
const CLIENT: &str = "192.168.77.66";

fn entry(url: &str, request: Value, posted: Value, response: Value, content: Value) -> Value {
    json!({
        "startedDateTime": "2026-11-23T20:43:00.000Z", "time": 12.5,
        "_clientAddress": CLIENT, "serverIPAddress": "203.0.113.9", "_serverPort": 8081,
        "request": {
            "method": if posted.is_null() { "GET" } else { "POST" }, "url": url,
            "httpVersion": "HTTP/1.1", "headers": request, "postData": posted,
        },
        "response": { "status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1",
            "headers": response, "content": content },
        "timings": { "connect": 5, "ssl": 2, "send": 0, "wait": 4, "receive": 1 },
    })
}

/// A part of a download.
fn slice(url: &str, request: Value, response: Value) -> Value {
    let content = json!({ "size": 9, "mimeType": "application/octet-stream", "text": "123456789" });
    let mut entry = entry(url, request, Value::Null, response, content);
    entry["response"]["status"] = json!(206);
    entry
}

/// A HAR with every secret in its place, and each of them once more where no name tells of it.
fn planted() -> String {
    let [
        query,
        cookie,
        setcookie,
        bearer,
        user,
        pass,
        xtoken,
        ticket,
        form,
        json_,
        xml,
        attribute,
        part,
        gzip,
        answer,
        nested,
        userinfo,
        mac,
    ] = SECRETS;
    let basic = BASE64.encode(format!("{user}:{pass}"));
    let none = || json!({ "size": 0, "mimeType": "" });
    let post = |media: &str, text: String| json!({ "mimeType": media, "text": text, "params": [] });
    let media = |media: &str| json!([["Content-Type", media], ["Content-Length", "1"]]);
    let again = SECRETS.map(|secret| format!("/{}", secret.replace(':', "%3A"))).concat();
    json!({ "log": { "entries": [
        entry(
            &format!("http://a.example/x?sid={query}&to=http%3A%2F%2Fb%2F%3Ftoken%3D{nested}"),
            json!([
                ["Host", "a.example"], ["Cookie", format!("lang=en; s={cookie}")],
                ["Authorization", format!("Bearer {bearer}")], ["X-Jwt-Like", JWT],
                ["Proxy-Authorization", format!("Basic {basic}")], ["X-Np-Access-Token", xtoken],
                ["X-I-5-Ticket", ticket], ["Referer", format!("http://{userinfo}@c.example/")],
                ["X-Adapter", mac], ["X-Forwarded-For", CLIENT],
            ]),
            Value::Null,
            json!([["Set-Cookie", format!("t={setcookie}; Path=/")]]),
            json!({ "size": 9, "mimeType": "application/json",
                "text": format!("{{\"access_token\":\"{answer}\",\"kept\":\"KEPT\"}}") }),
        ),
        entry("http://a.example/form", media("application/x-www-form-urlencoded"),
            post("application/x-www-form-urlencoded", format!("loginid={form}&KEPT=1")), json!([]), none()),
        entry("http://a.example/json", media("application/json"),
            post("application/json", json!({ "a": [{ "passw\u{6f}rd": json_ }] }).to_string()), json!([]), none()),
        entry("http://a.example/xml", media("text/xml"),
            post("text/xml", format!("<p sid=\"{attribute}\"><ticket>{xml}</ticket></p>")), json!([]), none()),
        entry("http://a.example/parts", media("multipart/form-data; boundary=b"),
            post("multipart/form-data; boundary=b", format!(
                "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{part}\r\n--b--\r\n")),
            json!([]), none()),
        entry("http://a.example/gzip", json!([]), Value::Null,
            json!([["Content-Encoding", "gzip"], ["Content-Type", "application/json"]]),
            json!({ "size": 9, "mimeType": "application/json", "text": format!("{{\"npsso\":\"{gzip}\"}}") })),
        entry(&format!("http://a.example{again}"), json!([["X-Odd", SECRETS.join(" ")]]), Value::Null,
            json!([["Content-Type", "text/plain"]]),
            json!({ "size": 9, "mimeType": "text/plain", "text": format!("{} {JWT} {CLIENT}", SECRETS.join("\n")) })),
        slice(&format!("http://a.example/{part}.pkg?sid={query}&token={nested}"), json!([["User-Agent", format!("Fetch/1.0 ({ticket})")]]),
            json!([["Content-Range", "bytes 0-8/10"], ["ETag", format!("\"{form}\"")]])),
        json!({ "startedDateTime": "2026-11-23T20:43:01Z", "time": 5, "_clientAddress": CLIENT,
            "request": { "method": "CONNECT", "url": "https://d.example:443/", "headers": [] },
            "response": { "status": 200, "headers": [] } }),
        json!({ "startedDateTime": "2026-11-23T20:43:02Z", "_error": format!("no answer for {query}"),
            "request": { "method": "GET", "url": format!("http://e.example/{pass}"), "headers": [] },
            "response": { "status": 0 } }),
    ] } })
    .to_string()
}

pub(crate) async fn session_with_secrets(home: &Home) {
    let har = home.write("planted.har", format!("\u{feff}{}", planted()));
    let ended = home.run(&["session", "import", &har, &home.text("s")]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("10 flows from HAR"), "{}", ended.stderr);
}

#[track_caller]
pub(crate) fn assert_clean(what: &str, octets: &[u8]) {
    let text = String::from_utf8_lossy(octets).to_ascii_lowercase();
    let basic = BASE64.encode("PLANTED-user-0c3d:PLANTED-pass-4b5e");
    for secret in SECRETS.iter().chain([&JWT, &CLIENT, &basic.as_str(), &"PLANTED-"]) {
        let found = text.find(&secret.to_ascii_lowercase());
        // Addresses are shown on the screen, which is for the owner's eyes.
        let is_screen = ["show", "report", "diff"].iter().any(|name| what.starts_with(name));
        if *secret == CLIENT && is_screen {
            continue;
        }
        let around = found.map(|at| &text[at.saturating_sub(80)..(at + 80).min(text.len())]);
        assert!(found.is_none(), "{secret} in {what}: {around:?}");
    }
}

pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn no_planted_secret_comes_out_of_any_command() {
    let home = Home::new();
    session_with_secrets(&home).await;
    let s = home.text("s");
    let mut runs: Vec<Vec<&str>> = vec![
        vec!["session", "show", &s],
        vec!["session", "show", &s, "--json"],
        vec!["session", "show", &s, "--columns", "url,error,path"],
        vec!["session", "report", &s],
        vec!["session", "report", &s, "--json", "--all"],
        vec!["session", "diff", &s, &s, "--all"],
        vec!["session", "downloads", &s],
        vec!["session", "downloads", &s, "--json"],
        vec!["session", "downloads", &s, "--links"],
        vec!["session", "downloads", &s, "--links", "wget"],
        vec!["session", "downloads", &s, "--links", "curl"],
        vec!["session", "unknown", &s],
        vec!["session", "unknown", &s, "--format", "wiki"],
        vec!["session", "unknown", &s, "--format", "json"],
        vec!["session", "unknown", &s, "--format", "toml"],
    ];
    let numbers: Vec<String> = (1..=10).map(|number| number.to_string()).collect();
    runs.extend(numbers.iter().map(|number| vec!["session", "show", &s, number, "--full"]));
    for run in runs {
        let ended = home.run(&run).await;
        assert_eq!(ended.code, Some(0), "{run:?}: {}", ended.stderr);
        let what = format!("{} {:?}", run[1], &run[2..]);
        assert_clean(&what, ended.stdout.as_bytes());
        assert_clean(&what, ended.stderr.as_bytes());
    }
    for format in ["har", "curl", "raw", "jsonl", "warc"] {
        let file = home.text(&format!("out.{format}"));
        let ended = home.run(&["session", "export", &s, "--format", format, "-o", &file]).await;
        assert_eq!(ended.code, Some(0), "{format}: {}", ended.stderr);
        let mut octets = std::fs::read(&file).unwrap();
        if format == "warc" {
            let packed = std::mem::take(&mut octets);
            flate2::read::MultiGzDecoder::new(&*packed).read_to_end(&mut octets).unwrap();
        }
        assert_clean(format, &octets);
        let text = String::from_utf8_lossy(&octets);
        assert!(
            text.contains("redacted-") && (format == "curl" || text.contains("KEPT")),
            "{text}"
        );
    }
    // With the secrets, where they are asked for.
    let ended = home.run(&["session", "export", &s, "--format", "jsonl", "--with-secrets"]).await;
    for secret in SECRETS {
        assert!(ended.stdout.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_redacted_session_is_clean_whole_and_says_so() {
    let home = Home::new();
    session_with_secrets(&home).await;
    let (s, out) = (home.text("s"), home.text("clean"));
    let ended = home.run(&["session", "redact", &s, &out]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let pack = home.text("clean.pack");
    let ended = home.run(&["session", "pack", &out, &pack]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = home.run(&["session", "unpack", &pack, &home.text("again")]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for folder in ["clean", "again"] {
        for file in files_below(&home.path(folder)) {
            let mut octets = std::fs::read(&file).unwrap();
            if octets.starts_with(&[0x1f, 0x8b]) {
                let packed = std::mem::take(&mut octets);
                flate2::read::MultiGzDecoder::new(&*packed).read_to_end(&mut octets).unwrap();
            }
            assert_clean(&file.display().to_string(), &octets);
            assert_ne!(file.file_name().unwrap(), "pseudonyms.key");
        }
        let session = consoletap_session::Session::open(&home.path(folder)).unwrap();
        assert!(session.about().redacted);
        let flows: Vec<_> = session.flows().map(Result::unwrap).collect();
        assert_eq!(flows.len(), 10);
        // Heads are true for the bodies that were changed, and every body is what its name says.
        for flow in flows {
            let (Some(end), Some(response)) = (&flow.finished, &flow.response) else { continue };
            if let (Some(digest), consoletap_flow::Kept::Whole) =
                (end.response_body.digest, end.response_body.kept)
            {
                assert_eq!(session.body(&digest).unwrap().len() as u64, end.response_body.bytes);
            }
            if let Some(length) = response.headers.text("content-length") {
                assert_eq!(length, end.response_body.bytes.to_string());
            }
        }
    }
    let ended = home.run(&["session", "redact", &s, &out]).await;
    assert_eq!(ended.code, Some(1), "the place is taken: {}", ended.stderr);
}

#[tokio::test]
async fn what_is_exported_as_har_comes_back_as_it_was() {
    let home = Home::new();
    session_with_secrets(&home).await;
    let har = home.text("out.har");
    let export = ["session", "export", &home.text("s"), "-f", "har", "-o", &har, "--with-secrets"];
    assert_eq!(home.run(&export).await.code, Some(0));
    let ended = home.run(&["session", "import", &har, &home.text("back")]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let read = |folder: &str| {
        let session = consoletap_session::Session::open(&home.path(folder)).unwrap();
        let flows = session.flows().map(Result::unwrap);
        let told = flows.map(|flow| {
            let end = flow.finished.clone().unwrap();
            let body = |body: consoletap_flow::BodySummary| {
                body.digest.map(|digest| session.body(&digest).unwrap())
            };
            // Where nothing was measured, HAR has zeros all the same.
            let timings = end.timings.connect.map(|_| end.timings);
            (
                flow.target,
                flow.request,
                flow.response,
                body(end.request_body),
                body(end.response_body),
                timings,
            )
        });
        told.collect::<Vec<_>>()
    };
    for (before, after) in read("s").into_iter().zip(read("back")) {
        assert_eq!(before, after);
    }
}

/// Where `.ci/run` installs the tools of others; `None`, loudly, where it did not.
fn tool(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not installed; .ci/run installs it", path.display());
        return None;
    }
    Some(path)
}

async fn exported(home: &Home, format: &str) -> String {
    session_with_secrets(home).await;
    let file = home.text(&format!("out.{format}"));
    let ended = home.run(&["session", "export", &home.text("s"), "-f", format, "-o", &file]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    file
}

#[tokio::test]
async fn har_validator_finds_nothing_wrong() {
    let Some(modules) = tool("node/node_modules") else { return };
    let home = Home::new();
    let har = exported(&home, "har").await;
    let script = "const v = require('har-validator'); \
                  v.har(JSON.parse(require('fs').readFileSync(process.argv[1])))\
                  .then(() => console.log('valid')).catch(e => { console.log(JSON.stringify(e.errors ?? String(e))); process.exit(1) })";
    let output = home
        .program("node")
        .env("NODE_PATH", modules)
        .args(["-e", script, &har])
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

/// Requests as Chrome's developer tools would list them, of a file with planted secrets and of one
/// whose flows came through a proxy.
#[tokio::test]
async fn the_importer_of_chromes_developer_tools_lists_what_we_write() {
    let Some(modules) = tool("node/node_modules/chrome-devtools-frontend") else { return };
    let folder = modules.ancestors().nth(2).unwrap();
    let home = Home::new();
    let planted = exported(&home, "har").await;
    let (recorded, ps4) = (home.text("ps4.har"), home.path("ps4"));
    // The key of its pseudonyms is left in a session that is exported.
    copy(&fixture("ps4"), &ps4);
    let export = ["session", "export", ps4.to_str().unwrap(), "-f", "har", "-o", &recorded];
    assert_eq!(home.run(&export).await.code, Some(0));
    for (file, dir) in [(&planted, home.path("s")), (&recorded, ps4)] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/devtools.mjs");
        let folder = folder.to_str().unwrap();
        let output = home.program("node").args([script, folder, file]).output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let listed = json_lines(&String::from_utf8(output.stdout).unwrap());
        let session = consoletap_session::Session::open(&dir).unwrap();
        let mut flows: Vec<_> = session.flows().map(Result::unwrap).collect();
        // They sort by time as well, and that they keep the order of equals.
        flows.sort_by_key(|flow| flow.started);
        assert_eq!(listed.len(), flows.len());
        for (request, flow) in listed.iter().zip(&flows) {
            assert_listed(request, flow);
        }
    }
}

#[track_caller]
fn assert_listed(request: &Value, flow: &consoletap_flow::Flow) {
    let target = flow.target.as_ref().unwrap();
    let method = &*flow.request.as_ref().unwrap().method;
    assert_eq!(request["method"], method);
    let url = request["url"].as_str().unwrap();
    assert!(url.contains(&target.authority().host.to_string()), "{url} {target}");
    // Secrets of the path have other names.
    assert_eq!(
        url.matches('/').count(),
        match target.path() {
            Some(path) => 2 + path.matches('/').count(),
            None => 3,
        },
        "{url} {target}"
    );
    assert_eq!(request["status"].as_u64(), Some(flow.status().map_or(0, u64::from)));
    let end = flow.finished.as_ref().unwrap();
    if let Some(server) = end.server {
        assert_eq!(request["remote"], server.to_string());
    }
    let started = flow.started.0 as f64 / 1e6;
    assert!((request["started"].as_f64().unwrap() - started).abs() < 0.001, "{request}");
    // Milliseconds from the start; TLS is the last part of connecting.
    let (timing, parts) = (&request["timing"], end.timings);
    let millis = |micros: Option<u64>| micros.map_or(0.0, |micros| micros as f64 / 1000.0);
    let between =
        |from: &str, to: &str| timing[to].as_f64().unwrap() - timing[from].as_f64().unwrap();
    let same =
        |told: f64, part: f64| assert!((told - part).abs() < 0.001, "{told} {part}: {request}");
    if parts.connect.is_some() {
        same(between("connectStart", "connectEnd"), millis(parts.connect) + millis(parts.tls));
    }
    if parts.tls.is_some() {
        same(between("sslStart", "sslEnd"), millis(parts.tls));
    }
    same(between("sendEnd", "receiveHeadersEnd"), millis(parts.wait));
    let took = [parts.dns, parts.connect, parts.tls, parts.wait, parts.receive].map(millis);
    if parts.wait.is_some() {
        let seconds = request["seconds"].as_f64().unwrap();
        assert!((seconds * 1000.0 - took.iter().sum::<f64>()).abs() < 0.01, "{took:?}: {request}");
    }
}

#[tokio::test]
async fn mitmproxy_reads_what_we_write_and_we_read_what_it_writes() {
    let Some(mitmdump) = tool("python/bin/mitmdump") else { return };
    let home = Home::new();
    let har = exported(&home, "har").await;
    let flows = home.text("flows.mitm");
    let output = home
        .program(mitmdump.to_str().unwrap())
        .args(["-n", "-r", &har, "-w", &flows, "--set", "confdir=mitm"])
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("Error"), "{told}");
    let ended = home.run(&["session", "import", &flows, &home.text("back")]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended =
        home.run(&["session", "show", &home.text("back"), "--columns", "method,status,url"]).await;
    assert!(ended.stdout.contains("POST\t200\thttp://a.example/form"), "{}", ended.stdout);
}

#[tokio::test]
async fn warcio_finds_the_digests_right() {
    let Some(warcio) = tool("python/bin/warcio") else { return };
    let home = Home::new();
    let warc = exported(&home, "warc").await;
    let output =
        home.program(warcio.to_str().unwrap()).args(["check", "-v", &warc]).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("digest pass"), "{told}");
    let index = ["index", "-f", "warc-type,warc-target-uri,http:status", &warc];
    let output = home.program(warcio.to_str().unwrap()).args(index).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told.matches("\"response\"").count(), 8, "{told}");
}

#[tokio::test]
async fn other_tools_hars_are_read_with_all_their_oddities() {
    let home = Home::new();
    let odd = r#"{"log":{"comment":"\"entries\":[","creator":{"name":"x"},"browser":{"entries":[1]},"entries":[
        {"request":{"method":"GET","url":"http://a.example/1","headers":[["Host","a.example"]],"bodySize":null}},
        {"startedDateTime":"2026-11-23T03:39:37.405+00:00","time":null,
         "request":{"method":"GET","url":"https://b.example:8443/2","httpVersion":"h2","headers":[{"name":":path","value":"/2"},{"name":"A","value":null}]},
         "response":{"status":"200","statusText":null,"redirectURL":null,"headers":null,
          "content":{"mimeType":null,"text":"AAH/","encoding":"base64"}}},
        {"request":{"method":"GET","url":"chrome-extension://x/y"}},
        {"request":null}
    ],"pages":null}}"#;
    let file = home.write("odd.har", odd);
    let ended = home.run(&["session", "import", &file, &home.text("odd")]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("2 flows") && ended.stderr.contains("entry 3"),
        "{}",
        ended.stderr
    );
    let ended = home.run(&["session", "show", &home.text("odd"), "2"]).await;
    assert!(ended.stdout.contains("00 01 ff"), "{}", ended.stdout);
    // Cut anywhere, a file is an error and no hang; what was before is kept.
    for cut in [1, 40, 200, 300, odd.len() - 3] {
        let file = home.write("cut.har", &odd[..cut]);
        let out = home.text(&format!("cut-{cut}"));
        let ended = home.run(&["session", "import", &file, &out]).await;
        assert!(matches!(ended.code, Some(0 | 1)), "{cut}: {}", ended.stderr);
    }
    let file = home.write("no.bin", b"\x7fELF");
    let ended = home.run(&["session", "import", &file, &home.text("no")]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("none of these") && !home.path("no").exists(),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn the_examples_of_the_documentation_do_what_they_say() {
    let home = Home::new();
    session_with_secrets(&home).await;
    for name in ["DIR", "OLD", "NEW"] {
        let ended =
            home.run(&["session", "import", &home.text("planted.har"), &home.text(name)]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    home.write(
        "flows.mitm",
        include_bytes!("../../crates/interchange/tests/files/mitmproxy-11.flows"),
    );
    // A capture of nothing: the head of its section.
    let section =
        [&b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0"[..], &[0xff; 8], b"\x1c\0\0\0"];
    home.write("router.pcapng", section.concat());
    let text = include_str!("../../docs/exports.md");
    let mut blocks = text.split("```");
    let mut run = 0;
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        for line in block.lines().filter(|line| line.starts_with("consoletap ")) {
            let line = line.split(" | jq").next().unwrap();
            let function = format!(
                "consoletap() {{ '{}' \"$@\"; }}; {line}",
                env!("CARGO_BIN_EXE_consoletap")
            );
            let output = home.program("sh").args(["-c", &function]).output().await.unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{line}: {told}");
            run += 1;
        }
    }
    assert!(run >= 15, "{run}");
    for made in [
        "evening.har",
        "some.har",
        "evening.warc.gz",
        "CLEAN/session.json",
        "COPY/session.json",
        "BACK/session.json",
    ] {
        assert!(home.path(made).exists(), "{made}");
    }
}

//! Captures of packets become flows, and hostile ones become errors.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use consoletap_catalog::Catalog;
use consoletap_flow::{Flow, Kind, State};
use consoletap_interchange::{Imported, import};
use consoletap_session::Session;
use etherparse::PacketBuilder;

const CLIENT: [u8; 4] = [192, 168, 1, 23];
const SERVER: [u8; 4] = [203, 0, 113, 9];

fn catalog() -> Arc<Catalog> {
    static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
    Arc::clone(CATALOG.get_or_init(|| Arc::new(Catalog::builtin())))
}

/// A capture in the making: pcap with microseconds, or pcapng.
struct Capture {
    octets: Vec<u8>,
    is_ng: bool,
    seconds: u32,
}

impl Capture {
    fn pcap() -> Self {
        let mut octets = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        octets.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0]);
        Self { octets, is_ng: false, seconds: 1_795_466_580 }
    }

    fn pcapng() -> Self {
        let mut octets =
            vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0];
        octets.extend([0xff; 8]);
        octets.extend([28, 0, 0, 0]);
        octets.extend([1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0]);
        Self { octets, is_ng: true, seconds: 1_795_466_580 }
    }

    fn packet(&mut self, data: &[u8]) {
        let length = (data.len() as u32).to_le_bytes();
        if self.is_ng {
            let padded = data.len().next_multiple_of(4);
            let block = (32 + padded as u32).to_le_bytes();
            let ticks = u64::from(self.seconds) * 1_000_000;
            self.octets.extend([6, 0, 0, 0]);
            self.octets.extend(block);
            self.octets.extend([0; 4]);
            self.octets.extend(((ticks >> 32) as u32).to_le_bytes());
            self.octets.extend((ticks as u32).to_le_bytes());
            self.octets.extend(length);
            self.octets.extend(length);
            self.octets.extend(data);
            self.octets.extend(vec![0; padded - data.len()]);
            self.octets.extend(block);
        } else {
            self.octets.extend(self.seconds.to_le_bytes());
            self.octets.extend([0; 4]);
            self.octets.extend(length);
            self.octets.extend(length);
            self.octets.extend(data);
        }
        self.seconds += 1;
    }

    /// A segment from the client, or to it.
    fn tcp(&mut self, up: bool, ports: (u16, u16), sequence: u32, flags: &str, data: &[u8]) {
        let (from, to) = if up { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let (source, destination) = if up { ports } else { (ports.1, ports.0) };
        let mut packet = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from, to, 64).tcp(
            source,
            destination,
            sequence,
            65_000,
        );
        if flags.contains('S') {
            packet = packet.syn();
        }
        if flags.contains('A') {
            packet = packet.ack(1);
        }
        if flags.contains('F') {
            packet = packet.fin();
        }
        let mut octets = Vec::new();
        packet.write(&mut octets, data).unwrap();
        self.packet(&octets);
    }

    fn udp(&mut self, port: u16, data: &[u8]) {
        let mut octets = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(CLIENT, SERVER, 64)
            .udp(50_001, port)
            .write(&mut octets, data)
            .unwrap();
        self.packet(&octets);
    }

    /// A handshake, the octets of both sides in segments of this length with the first two
    /// of each side exchanged, and the end.
    fn exchange(&mut self, ports: (u16, u16), up: &[u8], down: &[u8], length: usize) {
        self.tcp(true, ports, 1000, "S", b"");
        self.tcp(false, ports, u32::MAX - 5, "SA", b"");
        for (is_up, octets, first) in [(true, up, 1001_u32), (false, down, u32::MAX - 4)] {
            let mut parts: Vec<_> = octets.chunks(length).enumerate().collect();
            if parts.len() > 1 {
                parts.swap(0, 1);
            }
            for (number, part) in parts {
                let sequence = first.wrapping_add((number * length) as u32);
                self.tcp(is_up, ports, sequence, "A", part);
            }
        }
        self.tcp(true, ports, 1001 + up.len() as u32, "AF", b"");
        self.tcp(false, ports, (u32::MAX - 4).wrapping_add(down.len() as u32), "AF", b"");
    }
}

fn imported(octets: &[u8], folder: &Path) -> (Result<Imported, String>, Vec<Flow>) {
    let (file, out) = (folder.join("capture"), folder.join("session"));
    fs::write(&file, octets).unwrap();
    let told = import(&file, catalog(), &out).map_err(|error| error.to_string());
    let flows = Session::open(&out).map(|s| s.flows().map(Result::unwrap).collect());
    (told, flows.unwrap_or_default())
}

const REQUEST: &[u8] = b"GET /update/ps4/list/us/ps4-updatelist.xml HTTP/1.1\r\n\
    Host: fus01.ps4.update.playstation.net\r\nUser-Agent: Download/1.00 libhttp/5.05 (PlayStation 4)\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
    5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n";

/// A ClientHello of TLS 1.2 with a server name, as small as it can be.
fn hello(name: &str) -> Vec<u8> {
    let sixteen = |number: usize| (number as u16).to_be_bytes();
    let name = name.as_bytes();
    let mut extension = vec![0, 0];
    extension.extend(sixteen(name.len() + 5));
    extension.extend(sixteen(name.len() + 3));
    extension.push(0);
    extension.extend(sixteen(name.len()));
    extension.extend(name);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    body.extend(sixteen(extension.len()));
    body.extend(extension);
    let mut message = vec![1, 0];
    message.extend(sixteen(body.len()));
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(sixteen(message.len()));
    record.extend(message);
    record
}

#[test]
fn exchanges_are_put_together_whatever_the_segments_did() {
    for mut capture in [Capture::pcap(), Capture::pcapng()] {
        let twice = [REQUEST, REQUEST].concat();
        let answers = [ANSWER, b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"].concat();
        capture.exchange((50_000, 80), &twice, &answers, 7);
        let folder = tempfile::tempdir().unwrap();
        let (told, flows) = imported(&capture.octets, folder.path());
        assert_eq!(told.unwrap().flows, 2);
        let [first, second] = flows.as_slice() else { panic!("{flows:?}") };
        assert_eq!((first.status(), second.status()), (Some(200), Some(404)));
        assert_eq!(first.classification.category.as_str(), "fw-updatelist");
        assert_eq!(first.classification.details.firmware.as_deref(), Some("5.05"));
        assert_eq!(first.client.address.to_string(), "192.168.1.23:50000");
        assert!(first.started.to_string().starts_with("2026-11-23T20:43:"), "{}", first.started);
        let session = Session::open(&folder.path().join("session")).unwrap();
        let body = first.finished.as_ref().unwrap().response_body;
        assert_eq!(session.body(&body.digest.unwrap()).unwrap(), b"hello world");
        assert_eq!(second.state(), State::Complete);
    }
}

#[test]
fn a_handshake_shows_its_name_also_behind_a_connect() {
    let mut capture = Capture::pcap();
    capture.exchange(
        (50_000, 443),
        &hello("a.playstation.net"),
        b"\x15\x03\x03\x00\x02\x02\x28",
        40,
    );
    let connect =
        [b"CONNECT b.example:443 HTTP/1.1\r\n\r\n".as_slice(), &hello("b.example")].concat();
    capture.exchange((50_002, 8080), &connect[..34], b"HTTP/1.1 200 OK\r\n\r\n", 100);
    let mut through = Capture::pcap();
    let ports = (50_003, 8080);
    through.tcp(true, ports, 1, "S", b"");
    through.tcp(true, ports, 2, "A", &connect[..34]);
    through.tcp(false, ports, 900, "A", b"HTTP/1.1 200 OK\r\n\r\n");
    through.tcp(true, ports, 36, "A", &connect[34..]);
    capture.octets.extend(&through.octets[24..]);
    let folder = tempfile::tempdir().unwrap();
    let (_, flows) = imported(&capture.octets, folder.path());
    assert!(flows.iter().all(|flow| flow.kind == Kind::Tunnel), "{flows:?}");
    let targets: Vec<_> =
        flows.iter().map(|flow| flow.target.as_ref().unwrap().to_string()).collect();
    assert_eq!(targets, ["a.playstation.net:443", "b.example:443", "b.example:443"]);
    let ja3 = |flow: &Flow| flow.hello.as_ref().map(|hello| hello.ja3.len());
    assert_eq!((ja3(&flows[0]), ja3(&flows[1]), ja3(&flows[2])), (Some(32), None, Some(32)));
}

#[test]
fn everything_else_is_named_by_its_port() {
    let mut capture = Capture::pcapng();
    capture.udp(3478, b"stun");
    capture.udp(3478, b"stun");
    capture.exchange((50_000, 5223), b"\0\x01\x02push", b"\0answer", 100);
    let folder = tempfile::tempdir().unwrap();
    let (_, flows) = imported(&capture.octets, folder.path());
    let udp = flows.iter().find(|flow| flow.notes[0].starts_with("UDP")).unwrap();
    assert!(udp.notes[0].starts_with("UDP, by its port: "), "{:?}", udp.notes);
    assert_eq!(udp.request_bytes, 8);
    let tcp = flows.iter().find(|flow| flow.notes[0].starts_with("TCP")).unwrap();
    assert_eq!((tcp.request_bytes, tcp.response_bytes), (7, 7));
}

#[test]
fn what_is_missing_in_a_capture_is_said() {
    let mut capture = Capture::pcap();
    let ports = (50_000, 80);
    capture.tcp(true, ports, 1, "S", b"");
    capture.tcp(true, ports, 2, "A", REQUEST);
    capture.tcp(false, ports, 1, "A", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234");
    capture.tcp(false, ports, 1 + 39 + 5 + 10, "A", b"56789");
    let folder = tempfile::tempdir().unwrap();
    let (_, flows) = imported(&capture.octets, folder.path());
    assert_eq!(flows[0].notes, ["10 bytes of a body are not in the capture"]);
    assert_eq!(flows[0].response_bytes, 20);
    assert_eq!(flows[0].finished.as_ref().unwrap().response_body.digest, None);
}

#[test]
fn cut_and_flipped_anywhere_a_capture_is_read_or_refused() {
    let mut capture = Capture::pcapng();
    capture.exchange((50_000, 80), REQUEST, ANSWER, 50);
    capture.exchange((50_001, 443), &hello("a.example"), b"", 50);
    let folder = tempfile::tempdir().unwrap();
    for at in (0..capture.octets.len()).step_by(7) {
        let below = folder.path().join(at.to_string());
        fs::create_dir(&below).unwrap();
        let _ = imported(&capture.octets[..at], &below);
        fs::remove_dir_all(&below).unwrap();
        fs::create_dir(&below).unwrap();
        let mut flipped = capture.octets.clone();
        flipped[at] ^= 0x81;
        let _ = imported(&flipped, &below);
        fs::remove_dir_all(&below).unwrap();
    }
}

#[test]
fn a_clock_that_no_calendar_has_is_no_reason_to_lose_a_packet() {
    let folder = tempfile::tempdir().unwrap();
    let mut capture = Capture::pcapng();
    let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    capture.tcp(true, (50000, 80), 100, "PA", request);
    // The option if_tsoffset (pcapng 4.2), in the description of the interface: block 2, at octet 28.
    let mut options = vec![14, 0, 8, 0];
    options.extend(7_000_000_000_000_i64.to_le_bytes());
    options.extend([0; 4]);
    capture.octets.splice(44..44, options);
    for length in [32, 60] {
        capture.octets[length] = 36;
    }
    let file = folder.path().join("far.pcapng");
    fs::write(&file, &capture.octets).unwrap();
    let out = folder.path().join("session");
    import(&file, catalog(), &out).unwrap();
    let flows: Vec<Flow> = Session::open(&out).unwrap().flows().map(Result::unwrap).collect();
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].started.to_string().split('-').next(), Some("9999"));
}

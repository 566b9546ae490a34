//! Clients that are not ours: curl, hyper and rustls. And the plain socket, for what they never
//! send.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::{Home, PATIENCE, Tap};

/// Whether curl is here; says so loudly where it is not.
pub(crate) fn have_curl() -> bool {
    let found = std::process::Command::new("curl").arg("--version").output().is_ok();
    if !found {
        eprintln!("NOT TESTED: there is no curl on this machine");
    }
    found
}

/// What curl got.
#[derive(Debug)]
pub(crate) struct Got {
    /// curl's exit code; 0 is success.
    pub(crate) code: i32,
    /// The status of the last answer; 0 where none came.
    pub(crate) status: u16,
    /// All heads, those of interim answers and of CONNECT included.
    pub(crate) heads: String,
    pub(crate) body: Vec<u8>,
    /// What curl complained about.
    pub(crate) complaint: String,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A field of the last head.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let head = self.heads.trim_end().rsplit("\r\n\r\n").next()?;
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    }
}

/// curl through this proxy.
pub(crate) async fn curl(home: &Home, tap: &Tap, args: &[&str]) -> Got {
    // A folder for each: several may run in one home.
    let folder = tempfile::tempdir_in(home.path("")).unwrap();
    let (heads, body) = (folder.path().join("heads"), folder.path().join("body"));
    let mut command = home.program("curl");
    command.args(["-q", "-sS", "--max-time", "15", "-w", "%{http_code}"]);
    command.arg("-x").arg(format!("http://{}", tap.address()));
    command.arg("-D").arg(&heads).arg("-o").arg(&body).args(args);
    let output = command.output().await.unwrap();
    Got {
        code: output.status.code().unwrap(),
        status: String::from_utf8(output.stdout).unwrap().parse().unwrap(),
        heads: std::fs::read_to_string(heads).unwrap_or_default(),
        body: std::fs::read(body).unwrap_or_default(),
        complaint: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Sends octets, and reads until the other side closes.
pub(crate) async fn speak(address: SocketAddr, octets: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets.as_ref()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end").unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads one head, to its blank line and no further.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(PATIENCE, reading).await.expect("a head");
    String::from_utf8(head).unwrap()
}

/// A tunnel, by CONNECT.
pub(crate) async fn connect(tap: &Tap, authority: &str) -> TcpStream {
    let mut stream = TcpStream::connect(tap.address()).await.unwrap();
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream
}

/// TLS inside a tunnel, for a client that trusts these certificates.
pub(crate) async fn handshake(
    stream: TcpStream,
    host: &str,
    pem: &str,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

//! What it costs to read a handshake as it passes: `cargo bench -p consoletap-tls`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::sync::Arc;

use consoletap_tls::{Alpn, Authority, ClientSide, Interceptor, LeafKey, Peek, ServerSide};
use criterion::{Criterion, criterion_group, criterion_main};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

const HOST: &str = "store.playstation.com";

/// The hello of a client of today, and the answer of a server with TLS 1.2.
fn handshake() -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::load_or_create(folder.path()).expect("an authority");
    let interceptor = Interceptor::new(authority).expect("an interceptor");
    let host = HOST.parse().expect("a host");
    let server =
        interceptor.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).expect("a configuration");
    let hello = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from(HOST).expect("a name");
        let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut octets = Vec::new();
        client.write_tls(&mut octets).expect("memory");
        octets
    };
    let mut server = ServerConnection::new(server).expect("a server");
    server.read_tls(&mut &hello(&[&rustls::version::TLS12])[..]).expect("memory");
    server.process_new_packets().expect("a hello");
    let mut answer = Vec::new();
    server.write_tls(&mut answer).expect("memory");
    (hello(&[&rustls::version::TLS13, &rustls::version::TLS12]), answer)
}

fn benches(criterion: &mut Criterion) {
    let (hello, answer) = handshake();
    criterion.bench_function("client hello in one piece", |bencher| {
        bencher
            .iter(|| assert!(matches!(ClientSide::new().hello(black_box(&hello)), Peek::Hello(_))));
    });
    criterion.bench_function("client hello octet by octet", |bencher| {
        bencher.iter(|| {
            let mut side = ClientSide::new();
            let pieces = black_box(&hello).chunks(1);
            pieces.filter(|piece| matches!(side.hello(piece), Peek::Hello(_))).count()
        });
    });
    criterion.bench_function("server hello and certificate", |bencher| {
        bencher.iter(|| {
            let mut seen = 0;
            ServerSide::new().read(black_box(&answer), |_| seen += 1);
            assert_eq!(seen, 2);
        });
    });
}

criterion_group!(handshakes, benches);
criterion_main!(handshakes);

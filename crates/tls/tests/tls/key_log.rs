//! The secrets of both sides, in a file that only its owner can read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use consoletap_tls::{
    Alpn, Authority, Interceptor, KeyLogFile, LeafKey, Trust, TrustSettings, server_name,
};

use crate::handshakes::handshake;

#[tokio::test]
async fn both_sides_write_their_secrets_and_close_the_file_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.txt");
    // As a browser may have left it.
    fs::write(&path, "# before\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let key_log = Arc::new(KeyLogFile::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let authority = Authority::load_or_create(&folder.path().join("certs")).unwrap();
    let root = folder.path().join("root.pem");
    fs::write(&root, authority.certificate_pem()).unwrap();
    let server = Interceptor::new(authority).unwrap().with_key_log(key_log.clone());
    let host = "a.example".parse().unwrap();
    let server = server.server_config(&host, LeafKey::Ecdsa, Alpn::Http1).unwrap();
    let settings = TrustSettings {
        extra_roots: vec![root.into()],
        key_log: Some(key_log),
        ..TrustSettings::default()
    };
    let client = Trust::new(&settings).unwrap().client_config(&host, Alpn::Http1);
    let (_, connected) = handshake(server, client, server_name(&host).unwrap()).await;
    connected.unwrap();

    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# before\n"), "{text}");
    // One connection with us on both of its sides: each says the same.
    for label in ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"] {
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(label)).collect();
        let [one, other] = lines[..] else { panic!("{text}") };
        assert_eq!(one, other);
        assert_eq!(one.split(' ').map(str::len).nth(1), Some(64), "{one}");
    }
}

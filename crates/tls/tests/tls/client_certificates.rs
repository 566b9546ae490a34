//! Client certificates, in the files that people have.

use std::fs;
use std::process::Command;

use consoletap_tls::{ClientCertificate, ExtraRoots, Trust, TrustSettings};
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};
use rcgen::{CertificateParams, KeyPair};

fn made() -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["console.test".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap(), key)
}

/// Whether the certificate can be used.
fn read(named: &str) -> Result<(), String> {
    let certificate: ClientCertificate = named.parse().map_err(|error| format!("{error}"))?;
    let settings =
        TrustSettings { client_certificates: vec![certificate], ..TrustSettings::default() };
    Trust::new(&settings).map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_pem_holds_both_or_names_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = made();
    fs::write(path("both.pem"), certificate.pem() + &key.serialize_pem()).unwrap();
    fs::write(path("one.pem"), certificate.pem()).unwrap();
    fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(path("locked.pem"), certificate.pem() + encrypted).unwrap();
    let (_, other) = made();
    fs::write(path("other.pem"), other.serialize_pem()).unwrap();

    read(&format!("*.test={}", path("both.pem"))).unwrap();
    read(&format!("*.test={}:{}", path("one.pem"), path("key.pem"))).unwrap();
    for (named, says) in [
        (path("one.pem"), "there is no private key in it"),
        (path("key.pem"), "no BEGIN CERTIFICATE"),
        (path("locked.pem"), "its key is encrypted"),
        (path("none.pem"), "none.pem"),
        (format!("{}:{}", path("one.pem"), path("other.pem")), "one.pem"),
    ] {
        let error = read(&format!("*.test={named}")).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_p12_is_read_in_old_and_new_encryption() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = made();
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new(
        "key",
        PrivateKey::from_der(&key.serialize_der()).unwrap(),
        [Certificate::from_der(certificate.der()).unwrap()],
    );
    store.add_entry("console", KeyStoreEntry::PrivateKeyChain(chain));
    fs::write(path("password"), "geheim\n").unwrap();
    fs::write(path("wrong"), "other").unwrap();
    for algorithm in [
        EncryptionAlgorithm::PbeWithHmacSha256AndAes256,
        EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc,
    ] {
        let octets = store
            .writer("geheim")
            .encryption_algorithm(algorithm)
            .encryption_iterations(10)
            .mac_algorithm(MacAlgorithm::HmacSha1)
            .mac_iterations(10)
            .write()
            .unwrap();
        fs::write(path("console.p12"), octets).unwrap();
        read(&format!("*.test={}:{}", path("console.p12"), path("password"))).unwrap();
        let wrong = read(&format!("*.test={}:{}", path("console.p12"), path("wrong")));
        assert!(wrong.unwrap_err().contains("is the password right?"));
        let none = read(&format!("*.test={}", path("console.p12"))).unwrap_err();
        assert!(none.contains("has it a password?"), "{none}");
    }
    fs::write(path("junk.p12"), [0x30, 0x82, 0xff, 0xff, 1, 2, 3]).unwrap();
    assert!(read(&format!("*.test={}", path("junk.p12"))).unwrap_err().contains("no P12"));
}

#[test]
fn a_p12_of_openssl_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = made();
    fs::write(path("one.pem"), certificate.pem()).unwrap();
    fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    fs::write(path("password"), "geheim").unwrap();
    let made = Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", "pass:geheim"])
        .args(["-in", &path("one.pem"), "-inkey", &path("key.pem"), "-out", &path("one.p12")])
        .output();
    let Ok(made) = made else {
        eprintln!("SKIPPED: openssl is not installed, so its P12 was not read");
        return;
    };
    assert!(made.status.success(), "{made:?}");
    read(&format!("*.test={}:{}", path("one.p12"), path("password"))).unwrap();
}

#[test]
fn files_are_named_with_their_hosts() {
    let one: ClientCertificate = "*.a.test=dir/c.p12:dir/pass".parse().unwrap();
    assert_eq!(one.second.as_deref(), Some("dir/pass".as_ref()));
    assert_eq!(one.to_string(), "*.a.test=dir/c.p12:dir/pass");
    for bad in ["c.p12", "=c.p12", "a.test=", "a.test=x:", "http://a=x"] {
        let error = bad.parse::<ClientCertificate>().unwrap_err().to_string();
        assert!(error.contains("HOST-GLOB=FILE"), "{bad}: {error}");
    }
    let roots = |text: &str| text.parse::<ExtraRoots>().map(|roots| roots.hosts.is_some());
    assert_eq!(roots("root.pem"), Ok(false));
    assert_eq!(roots("*.test=root.pem"), Ok(true));
    assert_eq!(roots("./a=b.pem"), Ok(false));
    assert!(roots("a.test=").is_err() && roots("a b=c").is_err());
}

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consoletap_tls::{Authority, CaError, CertificateForm, Interceptor, P12_PASSWORD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};
use x509_parser::prelude::{FromDer as _, X509Certificate};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn error(dir: &Path) -> CaError {
    Authority::load_or_create(dir).unwrap_err()
}

/// Puts files there as a user would.
fn place(dir: &Path, certificate: &str, key: &str) {
    fs::write(dir.join("ca.pem"), certificate).unwrap();
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(dir.join("ca-key.pem")).unwrap().write_all(key.as_bytes()).unwrap();
}

fn made(is_ca: IsCa, not_after: (i32, u8, u8)) -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = is_ca;
    params.not_after = rcgen::date_time_ymd(not_after.0, not_after.1, not_after.2);
    (params.self_signed(&key).unwrap().pem(), key)
}

#[test]
fn the_first_start_makes_a_ca_and_the_next_one_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("deep/certs");
    let first = Authority::load_or_create(&dir).unwrap();
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("ca-key.pem")), 0o600);
    let second = Authority::load_or_create(&dir).unwrap();
    assert_eq!(first.certificate_der(), second.certificate_der());
    assert_eq!(first.certificate_pem(), fs::read_to_string(dir.join("ca.pem")).unwrap());
    assert_eq!(first.fingerprint(), second.fingerprint());
    assert_eq!(first.fingerprint().len(), 95);
    let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing else stays behind: {names:?}");
    assert!(!first.certificate_pem().contains("PRIVATE"));
    assert!(!format!("{first:?}").contains("PRIVATE"));
}

#[test]
fn the_ca_says_whose_it_is_and_signs_servers_only() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(folder.path()).unwrap();
    let der = authority.certificate_der();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let name = certificate.subject().to_string();
    assert!(name.starts_with("CN=consoletap CA "), "{name}");
    assert!(name.len() <= 3 + 64, "{name}");
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(1));
    assert!(certificate.key_usage().unwrap().unwrap().value.key_cert_sign());
    let validity = certificate.validity();
    let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
    assert_eq!(days, 2 + 3_653);
}

/// Threats T10: a key that others can read is no secret any more.
#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Authority::load_or_create(folder.path()).unwrap();
    let key = folder.path().join("ca-key.pem");
    for lax in [0o644, 0o640, 0o604, 0o620] {
        fs::set_permissions(&key, fs::Permissions::from_mode(lax)).unwrap();
        let error = error(folder.path());
        assert!(matches!(error, CaError::LaxKey { mode, .. } if mode == lax), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert!(error.to_string().contains(key.to_str().unwrap()), "{error}");
    }
}

#[test]
fn two_first_starts_make_one_ca() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("certs");
    let prints: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| Authority::load_or_create(&dir).unwrap().fingerprint()))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(prints.iter().all(|print| *print == prints[0]), "{prints:?}");
}

#[test]
fn a_start_that_died_between_the_two_files_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    Authority::load_or_create(folder.path()).unwrap();
    let key = fs::read(folder.path().join("ca-key.pem")).unwrap();
    fs::remove_file(folder.path().join("ca.pem")).unwrap();
    Authority::load_or_create(folder.path()).unwrap();
    assert_eq!(fs::read(folder.path().join("ca-key.pem")).unwrap(), key);
}

#[test]
fn files_that_are_no_ca_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    let (good, key) = made(ca(), (2060, 1, 1));
    let (other, _) = made(ca(), (2060, 1, 1));
    let (plain, plain_key) = made(IsCa::NoCa, (2060, 1, 1));
    let (old, old_key) = made(ca(), (2001, 1, 1));

    place(dir, &good, &key.serialize_pem());
    Authority::load_or_create(dir).unwrap();

    for (certificate, key, says) in [
        (&*other, key.serialize_pem(), "do not belong together"),
        (&plain, plain_key.serialize_pem(), "may not sign"),
        (&old, old_key.serialize_pem(), "expired"),
        ("", key.serialize_pem(), "PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            key.serialize_pem(),
            "PEM",
        ),
        (&good, String::new(), "ca-key.pem: a private key"),
        (&good, good.clone(), "ca-key.pem: a private key"),
    ] {
        place(dir, certificate, &key);
        let error = error(dir).to_string();
        assert!(error.contains(says), "{error}");
        assert!(error.contains(dir.to_str().unwrap()), "{error} names no file");
        assert_eq!(fs::read_to_string(dir.join("ca.pem")).unwrap(), certificate);
    }

    fs::remove_file(dir.join("ca-key.pem")).unwrap();
    assert!(matches!(error(dir), CaError::MissingKey { .. }));
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = error(&file.join("certs")).to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

/// Text around octets (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// The key inside of PKCS #8: it ends it, in an octet string.
fn inner(pkcs8: &[u8], length: usize) -> &[u8] {
    &pkcs8[pkcs8.len() - length..]
}

/// A CA of the user: its certificate and its key, in every form that a key has.
fn own_ca() -> Vec<(String, String)> {
    let authority = |key: &KeyPair| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_after = rcgen::date_time_ymd(2060, 1, 1);
        params.self_signed(key).unwrap().pem()
    };
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    // RFC 5958: version, algorithm and the head of the octet string take 26 octets.
    let pkcs8 = rsa.serialize_der();
    let pkcs1 = pem("RSA PRIVATE KEY", inner(&pkcs8, pkcs8.len() - 26));
    let p256 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let private = &p256.serialize_der()[36..68];
    // RFC 5915, as openssl writes it: the curve and the public key are in there.
    let mut sec1 = vec![0x30, 0x77, 2, 1, 1, 4, 32];
    sec1.extend(private);
    sec1.extend([0xa0, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 0xa1, 0x44, 3, 0x42, 0]);
    sec1.extend(rcgen::PublicKeyData::der_bytes(&p256));
    let parameters = pem("EC PARAMETERS", &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    let sec1 = parameters + &pem("EC PRIVATE KEY", &sec1);
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    vec![
        (authority(&rsa), rsa.serialize_pem()),
        (authority(&rsa), pkcs1),
        (authority(&p256), p256.serialize_pem()),
        (authority(&p256), sec1),
        (authority(&p384), p384.serialize_pem()),
    ]
}

#[test]
fn a_ca_of_the_users_own_signs_whatever_its_key_is() {
    let folder = tempfile::tempdir().unwrap();
    for (certificate, key) in own_ca() {
        let names = (folder.path().join("ca.pem"), folder.path().join("ca-key.pem"));
        place(folder.path(), &certificate, &key);
        let authority = Authority::load(names.0.clone(), names.1).unwrap();
        assert_eq!(authority.certificate_pem(), certificate);
        // Both in one file, as other programs keep them: what is handed out has no key in it.
        place(folder.path(), &certificate, &(key + &certificate));
        let both = folder.path().join("ca-key.pem");
        let authority = Authority::load(both.clone(), both).unwrap();
        assert!(!authority.certificate_pem().contains("PRIVATE"));
        assert_eq!(authority.certificate_pem().trim(), certificate.trim());
        let host = "h.test".parse().unwrap();
        Interceptor::new(authority)
            .unwrap()
            .server_config(&host, consoletap_tls::LeafKey::Ecdsa, consoletap_tls::Alpn::Http1)
            .unwrap();
    }
}

#[test]
fn what_is_wrong_with_a_ca_of_the_users_own_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let names = || (folder.path().join("ca.pem"), folder.path().join("ca-key.pem"));
    let error = || {
        let (certificate, key) = names();
        Authority::load(certificate, key).unwrap_err().to_string()
    };
    assert!(error().contains("ca-key.pem"), "{}", error());

    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    let (good, key) = made(ca(), (2060, 1, 1));
    let encrypted = pem("ENCRYPTED PRIVATE KEY", &key.serialize_der());
    let (other, _) = made(ca(), (2060, 1, 1));
    let (plain, plain_key) = made(IsCa::NoCa, (2060, 1, 1));
    for (certificate, key, says) in [
        (&*good, encrypted, "it is encrypted; openssl pkey"),
        (&other, key.serialize_pem(), "do not belong together"),
        (&plain, plain_key.serialize_pem(), "may not sign other certificates"),
        (HUDSUCKER, key.serialize_pem(), "the key of the examples of hudsucker"),
    ] {
        place(folder.path(), certificate, &key);
        assert!(error().contains(says), "{}", error());
        assert!(!error().contains("remove ca.pem"), "it is not ours: {}", error());
    }
    place(folder.path(), &good, &key.serialize_pem());
    fs::set_permissions(names().1, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(error().contains("chmod 600"), "{}", error());
    assert!(!error().contains("beside it"), "{}", error());
    fs::set_permissions(names().1, fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(names().0).unwrap();
    assert!(error().contains("ca.pem"), "{}", error());
}

/// What other programs read of our P12: the certificate, and no key.
#[test]
fn openssl_reads_the_p12_form() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(folder.path()).unwrap();
    assert_eq!(authority.export(CertificateForm::Der), &*authority.certificate_der());
    assert_eq!(authority.export(CertificateForm::Pem), authority.certificate_pem().as_bytes());
    let file = folder.path().join("ca.p12");
    fs::write(&file, authority.export(CertificateForm::P12)).unwrap();
    let read = |password: &str| {
        let mut command = std::process::Command::new("openssl");
        command.args(["pkcs12", "-nokeys", "-in"]).arg(&file);
        command.args(["-passin", &format!("pass:{password}")]).output()
    };
    let Ok(output) = read(P12_PASSWORD) else {
        eprintln!("SKIPPED: openssl is not installed, so the P12 was not read");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let body = authority.certificate_pem().lines().nth(1).unwrap();
    assert!(text.contains(body) && text.contains("friendlyName: consoletap"), "{text}");
    assert!(!text.contains("PRIVATE"), "{text}");
    assert!(!read("wrong").unwrap().status.success(), "the checksum is checked");
}

/// A certificate whose key everybody can download (it expired, too).
const HUDSUCKER: &str = "\
-----BEGIN CERTIFICATE-----
MIIDrTCCApWgAwIBAgIUZPeGNPa2aG6J+pnCAIQzrZvIycgwDQYJKoZIhvcNAQEL
BQAwZjELMAkGA1UEBhMCVVMxCzAJBgNVBAgMAk5ZMQwwCgYDVQQHDANOWUMxHTAb
BgNVBAoMFEh1ZHN1Y2tlciBJbmR1c3RyaWVzMR0wGwYDVQQDDBRIdWRzdWNrZXIg
SW5kdXN0cmllczAeFw0yMTA4MzEwMzA2MTBaFw0yNjA4MzAwMzA2MTBaMGYxCzAJ
BgNVBAYTAlVTMQswCQYDVQQIDAJOWTEMMAoGA1UEBwwDTllDMR0wGwYDVQQKDBRI
dWRzdWNrZXIgSW5kdXN0cmllczEdMBsGA1UEAwwUSHVkc3Vja2VyIEluZHVzdHJp
ZXMwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQCaHrZ9VUL7SKqgJdeG
/dciikuummsrDs4Cn+p01J5mURQ/bq62EU5IiWFsM0LgwkO0UlTGE9gU+U1w1GeD
xlDeVqcwitx+sPjup59ybC2l/iNihETjrLuFUaZVFH/eqdXqNgiRf1fBHV/RD27B
lPN6OPo8Z6qTfuRlVAUbpj+IViIkdQtmymgCJDrQabtnnwpPqZA0MQFnsAvmelOr
WyTX1ASjzFAlWWq7JDvFsrYcqPeMv8QaN/teESFN5pMSNDbvYm2guwcRu4jVL75h
Mezqm6StXe5pCbbZOKPHLGqtRUAHnUFHEV1khOEz5HhOsC6m0DvWvKf5QiUvqcYF
YxFZAgMBAAGjUzBRMB0GA1UdDgQWBBQ3opJFRqGBMm5hQfiLs3jfez2A0DAfBgNV
HSMEGDAWgBQ3opJFRqGBMm5hQfiLs3jfez2A0DAPBgNVHRMBAf8EBTADAQH/MA0G
CSqGSIb3DQEBCwUAA4IBAQCChVappw8xyEG7++eDOVV9HQa2wErS0L9MhRXv9u4v
wbKVAQ5NC6EGA2ALny5bGyzxytJm1ZFuG0FwyuF0CM8CJGuqTA8UkjSv7eY9EjsY
5xL78qMH+YxN5d5KrKVtbdDiIb1rAP/McFotz3SlRyRwh5sxl6pv/VjaAM3MqMNR
xVjHXsTMErabgqDPseGOgePwl9+mBjOOp6vRH9mk7twwS8dxBXgb68EPZY1FCyTo
E5cxZVU7N/YeyFL+eqJnOlves+4CqMPDBq9ABk3IDeZ/iezuLAr3KP3egXRgtU+x
egi6k4OYp29Hp/4rEeFZlgz4z6jU9IWK7RjPMPqwxHD9
-----END CERTIFICATE-----
";

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use consoletap_tls::{Authority, CaError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
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
    assert_eq!(constraints.value.path_len_constraint, Some(0));
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

//! The load program as people start it, small: every mode has its figures.
//!
//! consoletap is played by the bare relay behind its command line, so that this test needs no
//! other program and shows that the two of them come out alike.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_consoletap-bench");

fn load(arguments: &[&str]) -> Output {
    Command::new(BENCH)
        .args(["load", "--rounds=1", "--seconds=0.1", "--bulk-mib=3", "--tunnels=40"])
        .args(arguments)
        .output()
        .unwrap()
}

/// A script that takes the options of `consoletap run` and `replay serve` and starts the relay with them.
fn stand_in(folder: &Path) -> PathBuf {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    let ca = folder.display();
    let script = format!(
        r#"#!/bin/sh
case "$1 $2" in
  'run '*) shift ;;
  'replay serve') shift 3 ;;
  *) exit 2 ;;
esac
while [ $# -gt 0 ]; do
  case "$1" in
    --port=*) port=${{1#--port=}} ;;
    --listen-host=127.0.0.1) ;;
    -w) mkdir -p "$2"; shift ;;
    --rules) shift ;;
    --no-session|--store=full) ;;
    --certs) mkdir -p "$2"; cp '{ca}/ca.pem' "$2/ca.pem"; shift ;;
    --upstream-ca) upstream=$2; shift ;;
    '--resolve=*='*) origin=${{1#--resolve=?=}} ;;
    --intercept-all) open="--intercept-cert={ca}/ca.pem --intercept-key={ca}/key.pem" ;;
    *) echo "unexpected: $1" >&2; exit 2 ;;
  esac
  shift
done
exec '{BENCH}' relay --stop-after=60 --listen=127.0.0.1:"$port" --upstream-ca="$upstream" \
  --resolve-all="$origin" $open
"#
    );
    let path = folder.join("consoletap");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Runs `modes` against all of them; gives the measurements and the table.
fn measure(modes: &str) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = stand_in(folder.path());
    let json = folder.path().join("figures.json");
    let modes = format!("--modes={modes}");
    let (program, file) = (program.to_str().unwrap(), json.to_str().unwrap());
    let output = load(&["--consoletap", program, "--json", file, &modes]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    for measurement in report["measurements"].as_array().unwrap() {
        let figures = measurement["figures"].as_object().unwrap();
        assert!(figures.values().all(|figure| figure.as_f64().is_some()), "{measurement}");
        assert_eq!(figures.get("errors").and_then(Value::as_f64).unwrap_or(0.0), 0.0);
    }
    let measurements = report["measurements"].as_array().unwrap().clone();
    (measurements, String::from_utf8(output.stdout).unwrap())
}

/// Every measurement has this figure, and it is more than nothing.
fn all_have(measurements: &[Value], figure: &str) {
    for measurement in measurements {
        let value = measurement["figures"][figure].as_f64();
        assert!(value > Some(0.0), "{figure}: {measurement}");
    }
}

#[test]
fn plain_modes_have_a_rate_for_every_subject() {
    let (measurements, table) =
        measure("map-local,plain-keep-alive,plain-new,plain-bulk,tunnel-bulk");
    // Two of them without a session, too, and two from one.
    assert_eq!(measurements.len(), 5 * 3 + 2 + 2);
    assert!(table.contains("- plain-bulk, peak memory MiB: "), "{table}");
    all_have(&measurements, "rate");
    assert!(table.contains("| plain-bulk | peak memory MiB | – |"), "{table}");
}

#[test]
fn intercepted_modes_have_a_rate_for_every_subject() {
    let (measurements, _) =
        measure("intercept-keep-alive,intercept-new,intercept-first,intercept-bulk");
    // All of them without a session, too.
    assert_eq!(measurements.len(), 4 * 3 + 4);
    all_have(&measurements, "rate");
}

#[test]
fn latency_modes_tell_what_a_proxy_adds() {
    let (measurements, _) = measure("plain-latency,intercept-latency");
    assert_eq!(measurements.len(), 2 * 3);
    all_have(&measurements, "median_us");
    let added = |one: &&Value| one["figures"].get("added_median_us").is_some();
    assert_eq!(measurements.iter().filter(added).count(), 2 * 2);
}

#[test]
fn idle_tunnels_and_the_start_are_measured_for_the_proxies() {
    let (measurements, table) = measure("idle,start");
    // Tunnels without a session, too.
    assert_eq!(measurements.len(), 2 * 2 + 1);
    all_have(&measurements[..3], "rate");
    all_have(&measurements[3..], "first_handshake_ms");
    let row = "| idle | descriptors each | – | 2.00 | 2.00 | 1.00 | 2.00 | 1.00 | ≤ 2 | yes |";
    assert!(table.contains(row), "{table}");
    assert!(table.contains("| idle | share of tunnels open | – | 1.00 | 1.00 |"), "{table}");
}

#[test]
fn a_missing_program_is_named_before_anything_runs() {
    let output = load(&["--consoletap", "/nowhere/consoletap"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("/nowhere/consoletap") && said.contains("--no-consoletap"), "{said}");
}

#[test]
fn a_program_that_does_not_start_is_told_and_the_rest_is_measured() {
    let output = load(&["--consoletap", "/bin/false", "--modes=plain-bulk"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("ended at once") && said.contains("2 measurement(s) failed"), "{said}");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("Failed: plain-bulk against Consoletap"), "{table}");
    assert!(table.contains("| plain-bulk | MB/s |"), "{table}");
}

#[test]
fn a_large_session_is_written_and_every_view_of_it_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("consoletap");
    // It ends well only where the session is whole.
    let script = "#!/bin/sh\n[ \"$1\" = session ] && exec grep -qr '\"flow\":40,' \"$3\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(BENCH)
        .args(["list", "--flows=40", "--rounds=1", "--json", "--consoletap"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let views: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["view"]).collect();
    assert_eq!(views.len(), 5);
    assert_eq!(views[0], "session list");
    assert!(rows[1]["wall_ms"].is_u64() && rows[1]["peak_kib"].is_u64());
}

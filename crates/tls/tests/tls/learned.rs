use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;

use consoletap_flow::{Host, Timestamp};
use consoletap_tls::{Learned, Refusal};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};

const NOON: Timestamp = Timestamp(1_795_000_000_000_000);

fn later(minutes: i64) -> Timestamp {
    Timestamp(NOON.0 + minutes * 60_000_000)
}

fn ps4() -> IpAddr {
    "192.168.1.50".parse().unwrap()
}

fn host() -> Host {
    "auth.api.sonyentertainmentnetwork.com".parse().unwrap()
}

fn certain() -> Refusal {
    Refusal::Certain("the console rejected our certificate (unknown_ca)".to_owned())
}

fn likely() -> Refusal {
    Refusal::Likely("the console hung up".to_owned())
}

#[test]
fn a_certain_refusal_counts_at_once_for_this_pair_and_for_a_day() {
    let learned = Learned::load(None);
    assert_eq!(learned.refuses(ps4(), &host(), NOON), None);
    assert!(learned.refused(ps4(), &host(), certain(), NOON));
    let reason = learned.refuses(ps4(), &host(), later(1)).unwrap();
    assert_eq!((reason.to_string().as_str(), reason.since), (certain().reason(), NOON));
    // The same console by its mapped address.
    assert!(learned.refuses("::ffff:192.168.1.50".parse().unwrap(), &host(), NOON).is_some());
    assert!(learned.refuses("192.168.1.51".parse().unwrap(), &host(), NOON).is_none());
    assert!(learned.refuses(ps4(), &"other.example".parse().unwrap(), NOON).is_none());
    assert!(learned.refuses(ps4(), &host(), later(24 * 60 - 1)).is_some());
    assert!(learned.refuses(ps4(), &host(), later(24 * 60)).is_none());
    // A clock that was a month ahead when it was learned.
    assert!(learned.refuses(ps4(), &host(), later(-30 * 24 * 60)).is_none());
    learned.forget(ps4(), &host());
    assert_eq!(learned.refuses(ps4(), &host(), NOON), None);
}

#[test]
fn a_likely_refusal_counts_when_it_comes_again_soon() {
    let learned = Learned::load(None);
    assert!(!learned.refused(ps4(), &host(), likely(), NOON));
    assert!(learned.refuses(ps4(), &host(), NOON).is_none());
    assert!(!learned.refused(ps4(), &host(), likely(), later(30)), "too long ago");
    learned.forget(ps4(), &host());
    assert!(!learned.refused(ps4(), &host(), likely(), later(31)), "it worked in between");
    assert!(learned.refused(ps4(), &host(), likely(), later(32)));
    assert!(learned.refuses(ps4(), &host(), later(33)).is_some());
}

#[test]
fn it_outlives_the_process_and_only_the_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused.json");
    let learned = Learned::load(Some(path.clone()));
    assert!(!path.exists(), "nothing is written before there is something");
    learned.refused(ps4(), &host(), certain(), NOON);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = Learned::load(Some(path.clone()));
    assert_eq!(again.refuses(ps4(), &host(), NOON), learned.refuses(ps4(), &host(), NOON));
    again.forget(ps4(), &host());
    assert_eq!(Learned::load(Some(path)).refuses(ps4(), &host(), NOON), None);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays behind");
}

#[test]
fn a_broken_file_is_set_aside_and_a_missing_folder_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused.json");
    fs::write(&path, "[{\"client\":").unwrap();
    let learned = Learned::load(Some(path.clone()));
    assert!(learned.refuses(ps4(), &host(), NOON).is_none());
    assert_eq!(fs::read(folder.path().join("refused.json.broken")).unwrap(), b"[{\"client\":");
    learned.refused(ps4(), &host(), certain(), NOON);
    assert!(Learned::load(Some(path)).refuses(ps4(), &host(), NOON).is_some());

    let learned = Learned::load(Some(folder.path().join("gone/refused.json")));
    assert!(learned.refused(ps4(), &host(), certain(), NOON));
    assert!(learned.refuses(ps4(), &host(), NOON).is_some(), "it works without a disk");
}

#[test]
fn many_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused.json");
    let learned = Learned::load(Some(path.clone()));
    let hosts: Vec<Host> = (0..24).map(|n| format!("h{n}.example").parse().unwrap()).collect();
    std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| learned.refused(ps4(), host, certain(), NOON));
        }
    });
    let again = Learned::load(Some(path));
    assert!(hosts.iter().all(|host| again.refuses(ps4(), host, NOON).is_some()));
}

#[test]
fn somebody_who_plays_cannot_fill_the_memory() {
    let learned = Learned::load(None);
    for n in 0..10_000 {
        let host = format!("h{n}.example").parse().unwrap();
        learned.refused(ps4(), &host, certain(), NOON);
        learned.refused(ps4(), &host, likely(), NOON);
    }
    let known = (0..10_000)
        .filter(|n| {
            learned.refuses(ps4(), &format!("h{n}.example").parse().unwrap(), NOON).is_some()
        })
        .count();
    assert!((1..=4096).contains(&known), "{known}");
}

proptest! {
    #[test]
    fn no_file_stops_the_start(bytes in vec(any::<u8>(), 0..200), since in any::<i64>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused.json");
        fs::write(&path, &bytes).unwrap();
        let learned = Learned::load(Some(path));
        prop_assert!(learned.refuses(ps4(), &host(), Timestamp(since)).is_none());
        learned.refused(ps4(), &host(), certain(), Timestamp(since));
        let _ = learned.refuses(ps4(), &host(), NOON);
    }
}

#[test]
fn what_another_process_clears_is_forgotten_here_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refusals.json");
    let proxy = Learned::load(Some(path.clone()));
    let other: Host = "other.example".parse().unwrap();
    assert!(proxy.refused(ps4(), &host(), certain(), NOON));
    assert!(proxy.refused(ps4(), &other, certain(), later(1)));

    let command = Learned::load(Some(path.clone()));
    let listed = command.list(later(2));
    let hosts: Vec<&Host> = listed.iter().map(|refused| &refused.host).collect();
    assert_eq!(hosts, [&host(), &other]);
    assert_eq!(listed[0].until, later(24 * 60));
    assert_eq!(command.clear(|_, cleared| *cleared == host()).unwrap(), 1);
    assert_eq!(command.clear(|client, _| client.is_ipv6()).unwrap(), 0);

    // The proxy looks again before it writes, so that nothing comes back.
    let third: Host = "third.example".parse().unwrap();
    assert!(proxy.refused(ps4(), &third, certain(), later(3)));
    assert!(proxy.refuses(ps4(), &host(), later(3)).is_none());
    assert_eq!(Learned::load(Some(path)).list(later(3)).len(), 2);
}

//! kill -9 in the middle of traffic: what was shown is there, and what a client got in full.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consoletap_flow::State;
use consoletap_simulator::{Console, Request, World};
use rustix::process::Signal;
use tokio::task::JoinSet;

use super::harness::{Home, eventually, json_lines};

const TITLE: &str = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json";
const PIECE: &str = "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/IP9100-CUSA00001_00-PLAYROOM00000000-A0107-V0100.pkg";
const CLIENTS: usize = 8;
const ROUNDS: u64 = 100;

/// Numbers that look like chance and are the same in every run (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A small answer, or a slice of up to 300 kB, whose body is a file of its own.
fn request(chance: &mut Chance, name: &str) -> (String, Request) {
    if chance.below(3) > 0 {
        let url = format!("{TITLE}?{name}");
        let request = Request::get(&url);
        return (url, request);
    }
    let url = format!("{PIECE}?{name}");
    let (first, length) = (chance.below(2_000_000), 1 + chance.below(300_000));
    let range = format!("bytes={first}-{}", first + length - 1);
    let request = Request::get(&url).header("Range", &range);
    (url, request)
}

#[tokio::test]
async fn a_hundred_kills_lose_nothing_that_was_shown_or_that_a_client_got() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let got = Arc::<Mutex<Vec<(u64, String, blake3::Hash)>>>::default();
    // Rounds in which a disk that took long for one write let answers go before their records.
    let mut slow = HashSet::new();
    let mut shown = Vec::new();
    let mut chance = Chance(20_261_127);
    for round in 0..ROUNDS {
        // The session of the round before goes on: a crash needs no repair.
        let tap = home.tap().world(&world).start().await;
        let before = got.lock().unwrap().len();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (proxy, got) = (tap.address(), Arc::clone(&got));
            let mut chance = Chance(chance.below(u64::MAX));
            clients.spawn(async move {
                let mut console = Console::ps4("1.51").behind(proxy);
                for number in 0.. {
                    let (url, request) =
                        request(&mut chance, &format!("{round}.{client}.{number}"));
                    // It ends with the proxy.
                    let Ok(answer) = console.ask(&request).await else { break };
                    assert!(matches!(answer.head.status, 200 | 206));
                    got.lock().unwrap().push((round, url, blake3::hash(&answer.body)));
                }
            });
        }
        let many = usize::try_from(chance.below(20)).unwrap();
        eventually("traffic", || (got.lock().unwrap().len() > before + many).then_some(())).await;
        // Anywhere in an exchange, and not only right behind one.
        tokio::time::sleep(Duration::from_micros(chance.below(3000))).await;
        tap.signal(Signal::KILL);
        let ended = tap.end().await;
        assert_eq!(ended.code, None, "a signal ended it");
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
        // It is told before the first of them goes.
        if ended.stderr.contains("answers go out before they are recorded") {
            slow.insert(round);
        }
        // A line that the kill cut short was not shown.
        let whole = ended.stdout.rfind('\n').map_or("", |end| &ended.stdout[..end]);
        shown.extend(json_lines(whole));
    }

    let flows = home.flows();
    let mut by_url = HashMap::new();
    for flow in &flows {
        let before = by_url.insert(flow.target.as_ref().unwrap().to_string(), flow);
        assert!(before.is_none(), "no flow is there twice");
    }
    let got = got.lock().unwrap().clone();
    assert!(got.len() > 400, "{}", got.len());
    let session = home.session();
    for (round, url, hash) in &got {
        let flow = by_url.get(url);
        if slow.contains(round) && flow.is_none_or(|flow| flow.state() != State::Complete) {
            eprintln!(
                "NOT COUNTED: {url} went out unrecorded, as its proxy said: the disk was slow"
            );
            continue;
        }
        let flow = flow.unwrap_or_else(|| panic!("{url} is not in the session"));
        assert_eq!(flow.state(), State::Complete, "{url}");
        let digest = flow.finished.as_ref().unwrap().response_body.digest.unwrap();
        let body = session.body(&digest).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(blake3::hash(&body), *hash, "{url}: the body that the client got");
    }
    let rows = home.rows(&[]).await;
    let by_id: HashMap<_, _> = rows.iter().map(|row| (row["id"].as_u64().unwrap(), row)).collect();
    assert!(shown.len() > 100, "{}", shown.len());
    for row in &shown {
        assert_eq!(by_id.get(&row["id"].as_u64().unwrap()), Some(&row));
    }
    let overview = home.session().overview();
    assert_eq!((overview.lost_events, overview.problems), (0, 0));
}

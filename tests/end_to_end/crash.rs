//! kill -9 in the middle of traffic: what was shown is there, and what a client got in full.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use consoletap_flow::State;
use consoletap_simulator::{Console, Request, World};
use rustix::process::Signal;
use tokio::task::JoinSet;

use super::harness::{Home, eventually, json_lines};

const TITLE: &str = "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json";
const CLIENTS: usize = 8;

#[tokio::test]
async fn kill_9_loses_nothing_that_was_shown_or_that_a_client_got() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let got = Arc::<Mutex<Vec<String>>>::default();
    let mut shown = Vec::new();
    for round in 0..4 {
        // The session of the round before goes on: a crash needs no repair.
        let tap = home.tap().world(&world).start().await;
        let before = got.lock().unwrap().len();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (proxy, got) = (tap.address(), Arc::clone(&got));
            clients.spawn(async move {
                let mut console = Console::ps4("1.51").behind(proxy);
                for number in 0.. {
                    let url = format!("{TITLE}?{round}.{client}.{number}");
                    // It ends with the proxy.
                    let Ok(answer) = console.ask(&Request::get(&url)).await else { break };
                    assert_eq!(answer.head.status, 200);
                    got.lock().unwrap().push(url);
                }
            });
        }
        let many = 40 + 60 * round;
        eventually("traffic", || (got.lock().unwrap().len() > before + many).then_some(())).await;
        tap.signal(Signal::KILL);
        let ended = tap.end().await;
        assert_eq!(ended.code, None, "a signal ended it");
        while let Some(client) = clients.join_next().await {
            client.unwrap();
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
    for url in &got {
        let flow = by_url.get(url).unwrap_or_else(|| panic!("{url} is not in the session"));
        assert_eq!(flow.state(), State::Complete, "{url}");
        let digest = flow.finished.as_ref().unwrap().response_body.digest.unwrap();
        assert!(home.session().body(&digest).is_ok(), "{url}: its body is there");
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

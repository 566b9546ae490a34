//! `consoletap demo`, and the consoles of the simulator through a proxy of its own.

use std::path::Path;

use consoletap_flow::State;
use consoletap_session::Session;
use consoletap_simulator::{
    Pace, Report, World, ps3_update_check, ps4_start_up, ps5_download, switch_connection_test,
    vita_update_check,
};

use super::harness::Home;

#[tokio::test]
async fn the_demo_ends_by_itself_and_shows_what_it_is_about() {
    let home = Home::new();
    let ended = home.run(&["demo"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(!ended.stderr.contains("Unlike"), "{}", ended.stderr);
    for category in
        ["network-test", "fw-updatelist", "title-metadata", "title-update-pkg", "fw-image"]
    {
        assert!(ended.stderr.contains(category), "{category}: {}", ended.stderr);
    }
    let line = ended.stderr.lines().find_map(|line| line.strip_prefix("Session: ")).unwrap();
    assert!(Path::new(line).starts_with(home.path("data/consoletap/sessions")), "{line}");
    let session = Session::open(Path::new(line)).unwrap();
    let flows: Vec<_> = session.flows().map(Result::unwrap).collect();
    assert!(flows.len() > 20);
    let well = |state| matches!(state, State::Complete | State::AbortedByClient);
    assert!(flows.iter().all(|flow| well(flow.state())));

    let list = home.run(&["session", "list"]).await;
    assert!(list.stdout.contains(&format!("{} flows", flows.len())), "{}", list.stdout);
    let shown = home.run(&["session", "show", line, "~cat", "title-metadata"]).await;
    let requests = shown.stdout.lines().filter(|line| line.contains(" GET "));
    assert_eq!(requests.count(), 2, "{}", shown.stdout);
}

fn as_documented(report: Result<Report, consoletap_simulator::Error>) {
    let report = report.unwrap();
    let surprises: Vec<String> = report.surprises().map(ToString::to_string).collect();
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert!(!report.steps.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_console_gets_what_it_gets_without_a_proxy() {
    let (home, world) = (Home::new(), World::start().await.unwrap());
    let tap = home.tap().world(&world).start().await;
    let proxy = tap.address();
    as_documented(ps4_start_up(proxy, &world, Pace::at_once()).await);
    as_documented(ps3_update_check(proxy).await);
    as_documented(vita_update_check(proxy).await);
    as_documented(ps5_download(proxy, &world, Pace::at_once()).await);
    as_documented(switch_connection_test(proxy).await);
    let ended = tap.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let flows = home.flows();
    let categories = ["network-test", "fw-updatelist", "title-update-pkg", "feature-switch"];
    for category in categories {
        let seen = flows.iter().any(|flow| flow.classification.category.as_str() == category);
        assert!(seen, "{category}");
    }
    let unnamed = flows.iter().find(|flow| flow.classification.entry.is_none());
    assert!(unnamed.is_none(), "a documented request is in no table: {unnamed:#?}");
}

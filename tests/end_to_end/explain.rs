//! `consoletap explain`, fed with every line of the page that names a request.

use tokio::io::AsyncWriteExt as _;

use super::harness::{Home, json_lines};

const VECTORS: &str = include_str!("../../crates/catalog/tests/vectors/seed.tsv");

/// The kinds of vectors that are no requests.
const OTHERS: [&str; 4] = ["body", "marker", "port", "template"];

#[tokio::test]
async fn every_request_of_the_page_is_told_by_platform_and_category_in_order() {
    let vectors: Vec<Vec<&str>> = VECTORS
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect())
        .filter(|cells: &Vec<&str>| !OTHERS.contains(&cells[0]))
        .collect();
    assert_eq!(vectors.len(), 81);
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let lines = vectors.iter().map(|cells| {
        let [kind, method, url, agent] = [cells[0], cells[1], cells[2], cells[3]];
        // `host` is the host alone, as a server name gives it: no request, and so no method.
        let method = if kind == "host" { "" } else { method };
        format!("{}\t{}\t{}\n", or_dash(method), or_dash(url), or_dash(agent))
    });
    // A line that is none in the middle stops nothing.
    let mut lines: Vec<String> = lines.collect();
    let broken = lines.len() / 2;
    lines.insert(broken, "what\tis this\n".to_owned());

    let (code, answers) = explain(&lines.concat()).await;
    assert_eq!(code, Some(1), "one line could not be read");
    assert_eq!(answers.len(), lines.len());
    let mut answers = answers;
    assert!(answers.remove(broken)["error"].is_string());
    for (cells, answer) in vectors.iter().zip(&answers) {
        let told = (answer["platform"].as_str(), answer["category"].as_str());
        assert_eq!(told, (Some(cells[4]), Some(cells[5])), "{cells:?}: {answer}");
        for key in ["entry", "summary", "environment", "nonretail", "documented"] {
            assert!(answer.get(key).is_some(), "{key} is missing: {answer}");
        }
    }
}

#[tokio::test]
async fn a_hostile_line_is_answered_like_any_other() {
    let long = format!("GET\thttp://{}/\t-\n", "a".repeat(100_000));
    let input =
        format!("\n\t\t\t\n{long}GET\thttp://[::1/\t-\n\0\u{feff}\nGET\thttp://a.example/\t-");
    let (code, answers) = explain(&input).await;
    assert_eq!(code, Some(1));
    assert_eq!(answers.len(), input.lines().count());
    assert_eq!(answers.last().unwrap()["category"], "unknown");
}

#[tokio::test]
async fn one_question_is_answered_for_a_person() {
    let ended = Home::new().run(&["explain", "fus01.ps4.update.playstation.net"]).await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("fw-updatelist"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
}

async fn explain(input: &str) -> (Option<i32>, Vec<serde_json::Value>) {
    let home = Home::new();
    let mut command = home.program(env!("CARGO_BIN_EXE_consoletap"));
    command.args(["explain", "--json", "-"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    let output = child.wait_with_output().await.unwrap();
    writing.await.unwrap().unwrap();
    (output.status.code(), json_lines(&String::from_utf8(output.stdout).unwrap()))
}

//! `consoletap explain`: what the catalog says of a request, without sending anything.

use std::io::{self, BufRead, Write};

use consoletap_catalog::{Catalog, Question, QuestionError};
use serde_json::json;

use crate::catalog::TablesArgs;

/// The arguments of `consoletap explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// A URL, HOST, HOST:PORT, :PORT, udp:PORT or /PATH; `-` reads lines of METHOD, URL and USER_AGENT
    /// from standard input, with tabs between and `-` where something is unknown
    #[arg(value_name = "TARGET", required_unless_present_any = ["user_agent", "header", "ja3", "ja4"])]
    target: Option<String>,
    /// The method of the request
    #[arg(short, long)]
    method: Option<String>,
    /// The user agent of the request
    #[arg(short, long)]
    user_agent: Option<String>,
    /// A header field of the request, as `X-Device: NFPS3-1` (repeatable)
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The JA3 of the handshake
    #[arg(long)]
    ja3: Option<String>,
    /// The JA4 of the handshake
    #[arg(long)]
    ja4: Option<String>,
    /// Answer in JSON, one object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tables: TablesArgs,
}

impl ExplainArgs {
    /// The tables to ask.
    pub(crate) fn load(&self) -> anyhow::Result<Catalog> {
        self.tables.load()
    }

    fn question(&self) -> Result<Question, QuestionError> {
        let told_otherwise = !self.header.is_empty() || self.ja3.is_some() || self.ja4.is_some();
        let mut question = match (&self.target, &self.user_agent) {
            (None, None) if told_otherwise => Question::default(),
            (target, agent) => {
                Question::parse(self.method.as_deref(), target.as_deref(), agent.as_deref())?
            }
        };
        for field in &self.header {
            question = question.with_header(field)?;
        }
        if let Some(ja3) = &self.ja3 {
            question = question.with_ja3(ja3);
        }
        if let Some(ja4) = &self.ja4 {
            question = question.with_ja4(ja4);
        }
        Ok(question)
    }
}

/// Answers; false when a question could not be read.
///
/// # Errors
/// When reading or writing fails.
pub(crate) fn run(
    args: ExplainArgs,
    catalog: &Catalog,
    out: &mut dyn Write,
    input: &mut dyn BufRead,
) -> io::Result<bool> {
    if args.target.as_deref() == Some("-") {
        return run_lines(args.json, catalog, out, input);
    }
    answer(args.json, catalog, args.question().map_err(|error| error.to_string()), out)
}

fn run_lines(
    json: bool,
    catalog: &Catalog,
    out: &mut dyn Write,
    input: &mut dyn BufRead,
) -> io::Result<bool> {
    let mut all_read = true;
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        // A line that is no UTF-8 is answered like any other: what is broken in it shows as `\u{fffd}`.
        let text = String::from_utf8_lossy(&line);
        let question = Question::parse_line(&text).map_err(|error| error.to_string());
        all_read &= answer(json, catalog, question, out)?;
        out.flush()?;
        line.clear();
    }
    Ok(all_read)
}

fn answer(
    json: bool,
    catalog: &Catalog,
    question: Result<Question, String>,
    out: &mut dyn Write,
) -> io::Result<bool> {
    match question {
        Ok(question) => {
            let answer = catalog.explain(&question);
            if json {
                serde_json::to_writer(&mut *out, &answer)?;
                writeln!(out)?;
            } else {
                write!(out, "{answer}")?;
            }
            Ok(true)
        }
        Err(error) => {
            if json {
                writeln!(out, "{}", json!({ "error": error }))?;
            } else {
                writeln!(out, "{error}")?;
            }
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: ExplainArgs,
    }

    fn parse(args: &[&str]) -> ExplainArgs {
        Line::parse_from(std::iter::once("explain").chain(args.iter().copied())).args
    }

    #[test]
    fn a_handshake_and_a_header_alone_are_told() {
        let answer = |args: &[&str]| -> serde_json::Value {
            let mut out = Vec::new();
            let args = parse(args);
            assert!(run(args, &Catalog::builtin(), &mut out, &mut io::empty()).unwrap());
            serde_json::from_slice(&out).unwrap()
        };
        let hello = answer(&["--json", "--ja3", "4f193c90be6e0aed1752e8aa0daee95a"]);
        assert_eq!(hello["platform"], "psvita");
        let header = answer(&["--json", "--header", "x-device: NFPS3-7"]);
        assert_eq!(
            (&header["platform"], &header["category"]),
            (&"ps3".into(), &"video-app".into())
        );
    }

    #[test]
    fn lines_are_answered_in_order_and_a_bad_one_stops_nothing() {
        let mut input: &[u8] =
            b"GET\thttp://nothing.example/\t-\nbroken\nCONNECT\tfswitch.dl.playstation.net:443\t-\n";
        let args = parse(&["--json", "-"]);
        let mut out = Vec::new();
        assert!(!run(args, &Catalog::builtin(), &mut out, &mut input).unwrap());
        let lines: Vec<serde_json::Value> = out
            .split(|&b| b == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        assert_eq!(lines[0]["category"], "unknown");
        assert!(lines[1]["error"].is_string());
        assert_eq!(lines[2]["entry"], "ps4-feature-switch");
        assert_eq!(lines[2]["nonretail"], false);
    }
}

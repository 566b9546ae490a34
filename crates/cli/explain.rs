//! `consoletap explain`: what the catalog says of a request, without sending anything.

use std::io::{self, BufRead, Write};

use consoletap_catalog::{Catalog, Question};
use serde_json::json;

/// The arguments of `consoletap explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// A URL, HOST, HOST:PORT, :PORT or /PATH; `-` reads lines of METHOD, URL and USER_AGENT
    /// from standard input, with tabs between and `-` where something is unknown
    #[arg(value_name = "TARGET", required_unless_present = "user_agent")]
    target: Option<String>,
    /// The method of the request
    #[arg(short, long)]
    method: Option<String>,
    /// The user agent of the request
    #[arg(short, long)]
    user_agent: Option<String>,
    /// Answer in JSON, one object a line
    #[arg(long)]
    json: bool,
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
    let question =
        Question::parse(args.method.as_deref(), args.target.as_deref(), args.user_agent.as_deref());
    answer(args.json, catalog, question.map_err(|error| error.to_string()), out)
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
    use super::*;

    #[test]
    fn lines_are_answered_in_order_and_a_bad_one_stops_nothing() {
        let mut input: &[u8] =
            b"GET\thttp://nothing.example/\t-\nbroken\nCONNECT\tfswitch.dl.playstation.net:443\t-\n";
        let args =
            ExplainArgs { target: Some("-".into()), method: None, user_agent: None, json: true };
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

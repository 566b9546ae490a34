//! `consoletap session diff`: what one session asked for that another did not. Titles, regions,
//! hashes and numbers in paths are left out of the comparison: another title is not another
//! question.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use consoletap_catalog::Catalog;
use consoletap_flow::{Flow, Kind, Target};
use consoletap_interchange::Lessons;
use consoletap_redact::Redactor;
use consoletap_session::Session;
use serde_json::{Value, json};

use crate::amounts::count;
use crate::escape::{Charset, escape};
use crate::look::{Ink, Look};
use crate::session::wanted::Wanted;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A session's folder
    pub(crate) before: PathBuf,
    /// The folder of the one to compare it with
    pub(crate) after: PathBuf,
    /// Of which flows: a filter [default: all]
    pub(crate) filter: Vec<String>,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// What both asked for, too
    #[arg(long)]
    pub(crate) all: bool,
}

/// Draws the difference.
pub(crate) fn run(
    args: &Args,
    catalog: Arc<Catalog>,
    look: &Look,
    out: &mut dyn Write,
) -> anyhow::Result<String> {
    let wanted = [Wanted::parse(&args.filter)?, Wanted::parse(&args.filter)?];
    let mut redactor = Redactor::masking(catalog);
    let (before, after) = (Session::open(&args.before)?, Session::open(&args.after)?);
    for session in [&before, &after] {
        Lessons::quick(session).take_all(&mut redactor);
    }
    let [of_before, of_after] = wanted;
    let before = questions(&before, &of_before.of(&before), &redactor);
    let after = questions(&after, &of_after.of(&after), &redactor);
    let difference = Difference::of(before, after);
    if args.json {
        writeln!(out, "{}", difference.json())?;
    } else {
        out.write_all(difference.draw(look, args.all).as_bytes())?;
    }
    Ok(String::new())
}

/// What a session asked for, in a form that can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    category: String,
    method: String,
    host: String,
    path: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Asked {
    flows: u64,
    /// What was really asked for, once.
    example: String,
    firmware: Option<String>,
}

type Questions = BTreeMap<Question, Asked>;

fn questions(session: &Session, wanted: &Wanted, redactor: &Redactor) -> Questions {
    let mut questions = Questions::new();
    for flow in session.flows().flatten().filter(|flow| wanted.fits(flow)) {
        // An opened tunnel is told by the flows inside it.
        if flow.intercepted {
            continue;
        }
        let told = redactor.flow(&flow);
        let Some(question) = question(&told) else { continue };
        let asked = questions.entry(question).or_default();
        asked.flows += 1;
        if asked.example.is_empty() {
            asked.example = told.target.map(|target| target.to_string()).unwrap_or_default();
            asked.firmware = told.classification.details.firmware.map(Into::into);
        }
    }
    questions
}

fn question(flow: &Flow) -> Option<Question> {
    let target = flow.target.as_ref()?;
    let authority = target.authority();
    let method = match flow.kind {
        Kind::Websocket => "WebSocket",
        _ => flow.request.as_ref().map_or("-", |head| head.method.as_str()),
    };
    let host = generalised(&authority.host.to_string(), '.');
    let path = match target {
        Target::Url(url) => {
            let path = generalised(url.path_only(), '/');
            let query = url.path.split_once('?').map_or("", |(_, query)| query);
            let mut keys: Vec<&str> = query
                .split('&')
                .filter_map(|pair| pair.split('=').next())
                .filter(|k| !k.is_empty())
                .collect();
            keys.sort_unstable();
            keys.dedup();
            if keys.is_empty() { path } else { format!("{path}?{}", keys.join("&")) }
        }
        Target::Authority(_) => format!(":{}", authority.port),
    };
    Some(Question {
        category: flow.classification.category.to_string(),
        method: method.to_owned(),
        host,
        path,
    })
}

/// A path or a host with everything replaced that names one title, region, version or file.
fn generalised(text: &str, separator: char) -> String {
    let part = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let hex = part.len() >= 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let region = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic());
        if hex {
            return "<hash>".to_owned();
        }
        if separator == '/' && region {
            return "<cc>".to_owned();
        }
        if separator == '/' && (is_title(part) || digits * 3 > part.len()) {
            // The end says what it is: `.pkg`, `.xml`.
            let end = part.rfind('.').map_or("", |dot| &part[dot..]);
            return format!("<id>{end}");
        }
        part.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
    };
    let mut parts: Vec<String> = text.split(separator).map(part).collect();
    // `#` once for a number of any length.
    for part in &mut parts {
        while part.contains("##") {
            *part = part.replace("##", "#");
        }
    }
    parts.join(&separator.to_string())
}

/// Whether a part of a path begins with a title's id (`CUSA00001`, `NPWR00001`, `EP4389-…`).
fn is_title(part: &str) -> bool {
    let letters = part.bytes().take_while(u8::is_ascii_uppercase).count();
    let digits = part.bytes().skip(letters).take_while(u8::is_ascii_digit).count();
    (letters == 4 && digits == 5) || (letters == 2 && digits == 4 && part[6..].starts_with('-'))
}

struct Difference {
    only_before: Questions,
    only_after: Questions,
    both: BTreeMap<Question, (Asked, Asked)>,
}

impl Difference {
    fn of(before: Questions, mut after: Questions) -> Self {
        let mut difference = Self {
            only_before: Questions::new(),
            only_after: Questions::new(),
            both: BTreeMap::new(),
        };
        for (question, asked) in before {
            match after.remove(&question) {
                Some(other) => {
                    difference.both.insert(question, (asked, other));
                }
                None => {
                    difference.only_before.insert(question, asked);
                }
            }
        }
        difference.only_after = after;
        difference
    }

    fn json(&self) -> Value {
        let one = |question: &Question, asked: &Asked| {
            json!({
                "category": question.category, "method": question.method, "host": question.host,
                "path": question.path, "flows": asked.flows, "example": asked.example,
                "firmware": asked.firmware,
            })
        };
        let list = |questions: &Questions| -> Value {
            questions.iter().map(|(question, asked)| one(question, asked)).collect()
        };
        let both: Value = self
            .both
            .iter()
            .map(|(question, (before, after))| {
                let mut both = one(question, before);
                both["flows_after"] = json!(after.flows);
                both
            })
            .collect();
        json!({ "only_before": list(&self.only_before), "only_after": list(&self.only_after), "both": both })
    }

    fn draw(&self, look: &Look, all: bool) -> String {
        let mut text = String::new();
        let mut section = |title: &str, sign: &str, ink: Ink, questions: &Questions| {
            let number = count(questions.len() as u64, "question", "questions");
            text.push_str(&look.paint(Ink::Bold, &format!("{title}: {number}")));
            text.push('\n');
            let mut category = "";
            for (question, asked) in questions {
                if question.category != category {
                    category = &question.category;
                    let name = escape(category, Charset::Ascii);
                    text.push_str(&look.paint(Ink::Category, &format!("  {name}")));
                    text.push('\n');
                }
                let place = format!("{}{}", question.host, question.path);
                let room = look.width.saturating_sub(18).max(30);
                let place = escape(&place, Charset::Ascii);
                let place = look.shorten(&place, room);
                let times =
                    if asked.flows > 1 { format!(" x{}", asked.flows) } else { String::new() };
                let method = escape(&question.method, Charset::Ascii);
                text.push_str(&look.paint(ink, &format!("  {sign} {method:<4} {place}")));
                text.push_str(&look.paint(Ink::Dim, &times));
                text.push('\n');
            }
        };
        section("Only the first asked", "-", Ink::Bad, &self.only_before);
        section("Only the second asked", "+", Ink::Good, &self.only_after);
        if all {
            let both =
                self.both.iter().map(|(question, (asked, _))| (question.clone(), asked.clone()));
            section("Both asked", "=", Ink::Plain, &both.collect());
        } else {
            let number = count(self.both.len() as u64, "question", "questions");
            text.push_str(&format!("Both asked: {number}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::sample::Sample;
    use crate::session::tests::{list_of, record};

    #[test]
    fn another_title_is_no_other_question() {
        for (path, general) in [
            ("/update/ps4/list/us/ps4-updatelist.xml", "/update/ps#/list/<cc>/ps#-updatelist.xml"),
            ("/gs2/ppkgo/prod/CUSA00001_00/1/f_1/f/a.pkg", "/gs#/ppkgo/prod/<id>/<id>/f_#/f/a.pkg"),
            ("/tpl/np/CUSA00744/CUSA00744-ver.xml", "/tpl/<cc>/<id>/<id>.xml"),
            ("/x/0123456789abcdef0123/y", "/x/<hash>/y"),
            ("/EP4389-CUSA08652_00-CAR0050000000000.json", "/<id>.json"),
        ] {
            assert_eq!(generalised(path, '/'), general);
        }
        assert_eq!(
            generalised("fus01.ps4.update.playstation.net", '.'),
            "fus#.ps#.update.playstation.net"
        );
    }

    #[test]
    fn a_difference_names_what_is_new_and_what_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let get = |id, url: &str| Sample::get(url).id(id).flow();
        record(&one, &[list_of(1).flow(), get(2, "http://a.example/old/1.xml?b=1&a=2")], None);
        record(
            &two,
            &[
                list_of(1).flow(),
                get(2, "http://a.example/new/7?token=geheim"),
                get(3, "http://a.example/new/8?token=geheim"),
            ],
            None,
        );
        let difference = |json| {
            let args = Args {
                before: one.clone(),
                after: two.clone(),
                filter: Vec::new(),
                json,
                all: true,
            };
            let mut out = Vec::new();
            run(&args, Arc::new(Catalog::builtin()), &Look::PLAIN, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_snapshot!(difference(false));
        let json: Value = serde_json::from_str(&difference(true)).unwrap();
        assert_eq!(json["only_after"][0]["example"], "http://a.example/new/7?token=***");
        assert_eq!(json["only_after"][0]["flows"], 2);
    }
}

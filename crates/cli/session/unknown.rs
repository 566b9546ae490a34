//! `consoletap session unknown`: what no row of the catalog explains, grouped and counted, without
//! what names a console or a person: a table to be contributed, or drafts of rows.

mod draft;
mod generalise;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use consoletap_catalog::{Catalog, Query};
use consoletap_flow::{Flow, Platforms, Target};
use consoletap_interchange::Lessons;
use consoletap_redact::Redactor;
use consoletap_session::Session;
use serde::Serialize;

use crate::amounts::count;
use crate::session::wanted::Wanted;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The session's folder
    pub(crate) directory: PathBuf,
    /// Which flows: a filter, as `~console ps4` [default: all]
    pub(crate) filter: Vec<String>,
    /// How to write it: a table in Markdown or wiki markup, JSON, or drafts of rows in TOML
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Read more tables of what is known from this folder (repeatable)
    #[arg(long, value_name = "DIR")]
    pub(crate) catalog: Vec<PathBuf>,
}

#[derive(Debug, Default, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Markdown,
    Wiki,
    Json,
    Toml,
}

/// Writes what is unknown; gives what else is to be said.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<String> {
    let wanted = Wanted::parse(&args.filter)?;
    let catalog = Arc::new(Catalog::load(&args.catalog)?);
    let session = Session::open(&args.directory)?;
    let wanted = wanted.of(&session);
    let mut redactor = Redactor::masking(Arc::clone(&catalog));
    // This leaves the machine: every body is looked into for what may stand in an address.
    Lessons::thorough(&session).take_all(&mut redactor);
    let mut unknown = Unknown::default();
    let mut problems = String::new();
    for flow in session.flows() {
        match flow {
            Ok(flow) if wanted.fits(&flow) => unknown.add(&flow, &redactor.flow(&flow), &catalog),
            Ok(_) => {}
            Err(problem) => problems.push_str(&format!("{problem}\n")),
        }
    }
    let text = match args.format {
        Format::Markdown => table::markdown(&unknown),
        Format::Wiki => table::wiki(&unknown),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&unknown.listed())?),
        Format::Toml => draft::rows(&unknown, &catalog),
    };
    out.write_all(text.as_bytes())?;
    Ok(format!("{}{problems}", unknown.remark()))
}

/// The most groups of a kind; what comes beyond is counted.
const MOST: usize = 10_000;

/// What no row explains.
#[derive(Debug, Default)]
struct Unknown {
    flows: u64,
    unknown: u64,
    left_out: u64,
    requests: BTreeMap<Asked, Seen>,
    agents: BTreeMap<String, Seen>,
    fingerprints: BTreeMap<Fingerprint, Seen>,
}

/// What was asked for, generalised. Of a tunnel there is no path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Asked {
    method: String,
    scheme: Option<&'static str>,
    host: String,
    port: Option<u16>,
    path: Option<String>,
}

/// How a client begins TLS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Fingerprint {
    ja4: String,
    ja3: String,
    version: String,
}

/// How often, and with what.
#[derive(Debug, Default, Serialize)]
struct Seen {
    count: u64,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    platforms: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    hosts: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    query: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    agents: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    answers: BTreeSet<String>,
}

/// A group as JSON has it.
#[derive(Serialize)]
struct Listed<'a, K: Serialize> {
    #[serde(flatten)]
    key: K,
    #[serde(flatten)]
    seen: &'a Seen,
}

#[derive(Serialize)]
struct AgentKey<'a> {
    user_agent: &'a str,
}

#[derive(Serialize)]
struct Listing<'a> {
    requests: Vec<Listed<'a, &'a Asked>>,
    user_agents: Vec<Listed<'a, AgentKey<'a>>>,
    fingerprints: Vec<Listed<'a, &'a Fingerprint>>,
}

impl Unknown {
    /// Adds a flow, of which `shown` is without secrets: what no row explains is asked of the flow
    /// as it was, and told as it is shown.
    fn add(&mut self, flow: &Flow, shown: &Flow, catalog: &Catalog) {
        self.flows += 1;
        let authority = flow.target.as_ref().map(Target::authority);
        let agent = flow.request.as_ref().and_then(|head| head.headers.text("user-agent"));
        let hello = flow.hello.as_ref();
        let by_agent = Query { user_agent: agent, ..Query::default() };
        let by_hello = Query {
            ja3: hello.map(|hello| hello.ja3.as_str()),
            ja4: hello.map(|hello| hello.ja4.as_str()),
            ..Query::default()
        };
        let of_client = Query { user_agent: agent, ..by_hello };
        // Asked anew: the tables may know more today than when the session was recorded.
        let class = catalog.classify(&Query {
            method: flow.request.as_ref().map(|request| request.method.as_str()),
            host: authority.map(|authority| &authority.host),
            port: authority.map(|authority| authority.port),
            path: flow.target.as_ref().and_then(Target::path),
            headers: flow.request.as_ref().map(|request| &request.headers),
            sni: hello.and_then(|hello| hello.sni.as_deref()),
            ..of_client
        });
        let asked = asked(shown);
        let shown_agent = shown.request.as_ref().and_then(|head| head.headers.text("user-agent"));
        let shown_agent = shown_agent.filter(|agent| !agent.is_empty()).map(generalise::agent);
        let mut seen = Seen { count: 1, ..Seen::default() };
        if class.platform != Platforms::default() {
            seen.platforms.insert(class.platform.to_string());
        }
        seen.hosts.extend(asked.as_ref().map(|asked| asked.host.clone()));
        let row = |query: &Query<'_>| catalog.classify(query).entry;
        // Who asks explains no host and no path.
        let explained = class.entry.is_some() && class.entry != row(&of_client);
        self.unknown += u64::from(!explained);
        if let Some(shown) = shown_agent.clone().filter(|_| row(&by_agent).is_none()) {
            self.left_out += merge(&mut self.agents, shown, &seen);
        }
        if explained {
            return;
        }
        if let Some(hello) = hello.filter(|_| row(&by_hello).is_none()) {
            let key = Fingerprint {
                ja4: hello.ja4.clone(),
                ja3: hello.ja3.clone(),
                version: hello.highest_version().to_string(),
            };
            self.left_out += merge(&mut self.fingerprints, key, &seen);
        }
        if let Some(asked) = asked {
            seen.hosts.clear();
            seen.agents.extend(shown_agent);
            let path = shown.target.as_ref().and_then(Target::path).unwrap_or_default();
            seen.query.extend(generalise::query_names(path));
            seen.answers.extend(answer(shown));
            self.left_out += merge(&mut self.requests, asked, &seen);
        }
    }

    fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.agents.is_empty() && self.fingerprints.is_empty()
    }

    fn listed(&self) -> Listing<'_> {
        Listing {
            requests: ordered(&self.requests).map(|(key, seen)| Listed { key, seen }).collect(),
            user_agents: ordered(&self.agents)
                .map(|(agent, seen)| Listed { key: AgentKey { user_agent: agent }, seen })
                .collect(),
            fingerprints: ordered(&self.fingerprints)
                .map(|(key, seen)| Listed { key, seen })
                .collect(),
        }
    }

    fn remark(&self) -> String {
        if self.is_empty() {
            return format!("Every one of {} is explained.\n", count(self.flows, "flow", "flows"));
        }
        let left_out = match self.left_out {
            0 => String::new(),
            more => format!(" {more} more were left out: there are too many different ones."),
        };
        format!(
            "{} of {} not explained. Look through it before you share it: ids, hashes, numbers and \
             the values of queries are gone, names in paths may not be.{left_out}\n",
            self.unknown,
            count(self.flows, "flow is", "flows are"),
        )
    }
}

/// Adds to a group; 1 where there is no room for another one.
fn merge<K: Ord>(groups: &mut BTreeMap<K, Seen>, key: K, more: &Seen) -> u64 {
    if groups.len() >= MOST && !groups.contains_key(&key) {
        return 1;
    }
    let seen = groups.entry(key).or_default();
    seen.count += more.count;
    for (into, from) in [
        (&mut seen.platforms, &more.platforms),
        (&mut seen.hosts, &more.hosts),
        (&mut seen.query, &more.query),
        (&mut seen.agents, &more.agents),
        (&mut seen.answers, &more.answers),
    ] {
        // A few show what there is; all of them would be a log.
        into.extend(from.iter().take(16_usize.saturating_sub(into.len())).cloned());
    }
    0
}

/// The most frequent first, then by name.
fn ordered<K: Ord>(groups: &BTreeMap<K, Seen>) -> impl Iterator<Item = (&K, &Seen)> {
    let mut all: Vec<_> = groups.iter().collect();
    all.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.count));
    all.into_iter()
}

/// What a flow asked for; nothing where that could not be read.
fn asked(flow: &Flow) -> Option<Asked> {
    let target = flow.target.as_ref()?;
    let authority = target.authority();
    let (scheme, path, usual) = match target {
        Target::Url(url) => {
            let scheme = if url.scheme.default_port() == 443 { "https" } else { "http" };
            (Some(scheme), Some(generalise::path(&url.path)), url.scheme.default_port())
        }
        Target::Authority(_) => (None, None, 443),
    };
    Some(Asked {
        method: flow
            .request
            .as_ref()
            .map_or("CONNECT", |request| request.method.as_str())
            .to_owned(),
        scheme,
        host: generalise::host(&authority.host),
        port: (authority.port != usual).then_some(authority.port),
        path,
    })
}

/// `200 application/json`
fn answer(flow: &Flow) -> Option<String> {
    let response = flow.response.as_ref()?;
    let kind = response.headers.text("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let plain =
        kind.len() <= 60 && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"/.+-".contains(&b));
    let kind = if plain { kind } else { "" };
    Some(format!("{} {kind}", response.status).trim_end().to_owned())
}

impl Asked {
    /// `http://a.example/list/{title_id}`, or `a.example:443` of a tunnel.
    fn url(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match (self.scheme, &self.path) {
            (Some(scheme), Some(path)) => format!("{scheme}://{}{port}{path}", self.host),
            _ => format!("{}:{}", self.host, self.port.unwrap_or(443)),
        }
    }
}

#[cfg(test)]
mod tests {
    use consoletap_flow::ClientHelloFacts;
    use insta::assert_snapshot;

    use super::*;
    use crate::sample::Sample;
    use crate::session::tests::record;

    fn sample() -> Vec<Flow> {
        let tunnel = |id| {
            Sample::connect("push.game.example:5223").id(id).change(|flow| {
                flow.hello = Some(ClientHelloFacts {
                    versions: vec![0x0303],
                    ja3: "0d4ef5c8ea1bbd5e13ab4a1d3f15a5c0".to_owned(),
                    ja4: "t12d020500_0d4ef5c8ea1b_13ab4a1d3f15".to_owned(),
                    ..ClientHelloFacts::default()
                });
            })
        };
        let news = |id, title, page| {
            let url =
                format!("http://news.game.example/v1/{title}/{page}.json?lang=en&token=geheim{id}");
            Sample::get(&url)
                .id(id)
                .field("User-Agent", "GameNews/1.0 (2a7d0f5e-1c1b-4d3e-9f10-0123456789ab)")
                .answer(200, &[("Content-Type", "application/json; charset=utf-8")])
        };
        let known = "http://fus01.ps4.update.playstation.net/update/ps4/list/us/ps4-updatelist.xml";
        vec![
            Sample::get(known).id(1).status(200).flow(),
            news(2, "CUSA00001", 12).flow(),
            news(3, "CUSA00002", 4711).flow(),
            tunnel(4).flow(),
            Sample::get("http://192.168.1.9:8000/users/somebody|x/a`b").id(5).status(404).flow(),
        ]
    }

    fn written(flows: &[Flow], format: Format) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), flows, None);
        let args = Args { directory: folder.path().to_owned(), format, ..Args::default() };
        let mut out = Vec::new();
        let remark = run(&args, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), remark)
    }

    #[test]
    fn what_no_row_explains_is_a_table() {
        let (text, remark) = written(&sample(), Format::Markdown);
        assert_snapshot!(format!("{text}---\n{remark}"));
    }

    #[test]
    fn the_same_in_wiki_markup() {
        assert_snapshot!(written(&sample(), Format::Wiki).0);
    }

    #[test]
    fn the_same_in_json() {
        assert_snapshot!(written(&sample(), Format::Json).0);
    }

    #[test]
    fn drafts_are_rows_that_the_catalog_takes_and_that_explain_what_was_seen() {
        let (text, _) = written(&sample(), Format::Toml);
        assert_snapshot!(text);
        let drafted = Catalog::from_text("draft.toml", &text).unwrap();
        assert_eq!(drafted.check(), []);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("draft.toml"), &text).unwrap();
        let catalog = Catalog::load(&[folder.path().to_owned()]).unwrap();
        let mut left = Unknown::default();
        sample().iter().for_each(|flow| left.add(flow, flow, &catalog));
        // An address in somebody's home gets no row.
        let left: Vec<_> = left.requests.keys().map(|asked| asked.host.as_str()).collect();
        assert_eq!(left, ["an address"]);
    }

    #[test]
    fn nothing_secret_is_in_any_of_them() {
        for format in [Format::Markdown, Format::Wiki, Format::Json, Format::Toml] {
            let (text, _) = written(&sample(), format);
            for secret in ["geheim", "somebody", "192.168", "CUSA0000", "2a7d0f5e", "4711"] {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }

    #[test]
    fn a_session_without_riddles_says_so() {
        let known = sample().remove(0);
        let (text, remark) = written(&[known], Format::Markdown);
        assert_eq!((text.as_str(), remark.as_str()), ("", "Every one of 1 flow is explained.\n"));
    }
}

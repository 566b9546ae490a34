//! `consoletap rules test`: what rules would do, without doing it.

use std::fmt::Write as _;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use consoletap_catalog::{Catalog, Query};
use consoletap_filter::{Bodies as _, NamedClient, Subject};
use consoletap_flow::{BodySide, Classification, Flow, Header, Headers, Target};
use consoletap_redact::Redactor;
use consoletap_rules::{Context, Here, Rules};
use consoletap_session::Session;

use crate::amounts::count;
use crate::bodies::KeptBodies;
use crate::escape::escape;
use crate::exit::Usage;
use crate::look::{Ink, Look};
use crate::rules::diff;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Packs by name, or files
    #[arg(required = true, value_name = "RULES")]
    rules: Vec<String>,
    /// Try them on the flows of this session
    #[arg(long, value_name = "DIR", required_unless_present = "url", conflicts_with = "url")]
    session: Option<PathBuf>,
    /// Try them on a request for this URL, or on a CONNECT to HOST:PORT
    #[arg(long)]
    url: Option<String>,
    /// The user agent of that request
    #[arg(long, requires = "url")]
    user_agent: Option<String>,
    /// Its method
    #[arg(long, requires = "url", default_value = "GET")]
    method: String,
    /// The console's address
    #[arg(long, requires = "url", value_name = "ADDRESS", default_value = "127.0.0.1")]
    client: IpAddr,
    /// A name that the settings give a client (repeatable)
    #[arg(long, value_name = "NAME=ADDRESS")]
    name_client: Vec<NamedClient>,
    /// A file with the body that the server would answer with
    #[arg(long, requires = "url", value_name = "FILE")]
    body: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, look: &Look, out: &mut dyn Write) -> anyhow::Result<()> {
    let rules = Rules::load_naming(&args.rules, &args.name_client).map_err(Usage::new)?;
    match (&args.url, &args.session) {
        (Some(url), _) => one(args, url, &rules, look, out),
        (None, Some(directory)) => all(&Session::open(directory)?, &rules, look, out),
        // clap asks for one of them.
        (None, None) => Ok(()),
    }
}

/// A request that is made up.
fn one(
    args: &Args,
    url: &str,
    rules: &Rules,
    look: &Look,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let target = match url.contains("://") {
        true => url.parse().map(Target::Url),
        false => url.parse().map(Target::Authority),
    };
    let target = target.map_err(|error| Usage::new(format!("--url {url}: {error}")))?;
    let method = match target {
        Target::Url(_) => &*args.method,
        Target::Authority(_) => "CONNECT",
    };
    let agent = args.user_agent.as_deref();
    let fields = agent.map(|agent| Header::new("User-Agent", agent)).transpose();
    let headers: Headers = fields.map_err(Usage::new)?.into_iter().collect();
    let classification = Catalog::builtin().classify(&Query {
        method: Some(method),
        host: Some(&target.authority().host),
        port: Some(target.authority().port),
        path: target.path(),
        user_agent: agent,
        headers: Some(&headers),
        ..Query::default()
    });
    let body = args
        .body
        .as_ref()
        .map(|file| std::fs::read(file).with_context(|| format!("cannot read {}", file.display())));
    let request = Request {
        method,
        target: &target,
        classification: &classification,
        client: args.client,
        headers: &headers,
    };
    let trial = request.draw(rules, body.transpose()?.as_deref(), true, look);
    out.write_all(trial.text.as_bytes())?;
    Ok(())
}

/// The flows that a session holds, without their secrets.
fn all(session: &Session, rules: &Rules, look: &Look, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut redactor = Redactor::masking(Arc::new(Catalog::builtin()));
    let (mut flows, mut touched) = (0, 0);
    for flow in session.flows().flatten() {
        flows += 1;
        let Some(request) = Request::of(&flow) else { continue };
        let bodies = KeptBodies { flow: &flow, directory: session.directory() };
        let body = (flow.status() == Some(200)).then(|| bodies.response()).flatten();
        let trial = request.draw(rules, body.as_deref(), false, look);
        if trial.touched {
            touched += 1;
            redactor.learn(&flow);
            if let Some(body) = &body {
                redactor.learn_body(&flow, BodySide::Response, body);
            }
            let number = look.paint(Ink::Dim, &format!("#{}", flow.id));
            writeln!(out, "{number} {}", redactor.text(&trial.text))?;
        }
    }
    writeln!(out, "Rules would act on {touched} of {}.", count(flows, "flow", "flows"))?;
    Ok(())
}

/// What a rule decides about.
struct Request<'a> {
    method: &'a str,
    target: &'a Target,
    classification: &'a Classification,
    client: IpAddr,
    headers: &'a Headers,
}

struct Trial {
    text: String,
    touched: bool,
}

impl<'a> Request<'a> {
    fn of(flow: &'a Flow) -> Option<Self> {
        let head = flow.request.as_ref()?;
        Some(Self {
            method: &head.method,
            target: flow.target.as_ref()?,
            classification: &flow.classification,
            client: flow.client.address.ip(),
            headers: &head.headers,
        })
    }

    /// What would become of it. `thorough` names the rules that do not fit, too.
    fn draw(&self, rules: &Rules, body: Option<&[u8]>, thorough: bool, look: &Look) -> Trial {
        let Self { method, target, classification, client, headers } = *self;
        let subject = Subject::request(method, target, classification, client);
        let subject = subject.with_headers(headers);
        let decision = rules.decide(&subject);
        let acting: Vec<&str> = decision.names().collect();
        let plain = |text: &str| escape(text, look.charset).into_owned();

        let url = plain(&target.to_string());
        let mut text = look.paint(Ink::Bold, &format!("{method} {url}"));
        let Classification { platform, category, .. } = classification;
        let _ = writeln!(text, "  ({platform}, {category})");
        for rule in rules.explain(&subject).iter().filter(|rule| thorough || rule.fits) {
            let what = match (rule.fits, acting.contains(&rule.rule)) {
                (true, true) => rule.action.clone(),
                (true, false) => {
                    "fits, but a rule before it does the same kind of thing".to_owned()
                }
                (false, _) => format!("does not fit: {}", rule.when),
            };
            let _ = writeln!(text, "  {} ({}): {}", rule.rule, plain(rule.place), plain(&what));
        }
        let context = Context { classification, target, method, client };
        let (from_here, notes) = decision.from_here(&context);
        let mut told: Vec<String> = notes;
        if let Some(answer) = &from_here {
            told.push(format!("the console is {}", answer.hit.did));
            if let Here::Answer { headers, body, .. } = &answer.what {
                told.extend(headers.iter().map(|header| format!("  {header:?}")));
                let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
                let is_text = !start.chars().any(|c| c.is_control() && !c.is_whitespace());
                told.extend(is_text.then(|| format!("  {start}")));
            }
        }
        match decision.map_remote(&context) {
            Ok(Some((_, _, hit))) if from_here.is_none() => told.push(hit.did),
            Ok(_) => {}
            Err(problem) => told.push(problem),
        }
        for line in told {
            let _ = writeln!(text, "  {} {}", look.pick("→", "->"), plain(&line));
        }
        if decision.rewrites() && from_here.is_none() {
            text.push_str(&rewritten(&decision, body, &context, look));
        }
        Trial { text, touched: !decision.is_pass() }
    }
}

/// What would become of a body.
fn rewritten(
    decision: &consoletap_rules::Decision<'_>,
    body: Option<&[u8]>,
    context: &Context<'_>,
    look: &Look,
) -> String {
    let arrow = look.pick("→", "->");
    let Some(body) = body else {
        return format!("  {arrow} what it changes in the body shows with a body (--body FILE)\n");
    };
    let rewritten = decision.rewrite(body, context);
    let mut text = String::new();
    for told in rewritten.hits.iter().map(|hit| &hit.did).chain(&rewritten.notes) {
        let _ = writeln!(text, "  {arrow} {}", escape(told, look.charset));
    }
    if let Some(new) = &rewritten.body {
        text.push_str(&diff::draw(body, new, look));
    }
    text
}

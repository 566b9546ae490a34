//! What is to be done with one flow.

use std::net::IpAddr;
use std::time::Duration;

use consoletap_flow::{Classification, Effect, Headers, RuleHit, Target, Url};

use crate::action::{Action, Fault, FromHere, Here, Kind, Message, Store, Throttle, Tls};
use crate::file::Rule;
use crate::template::{Captured, Values};

/// The rules that act on a flow: of those that fit the first of each kind, in their order.
#[derive(Debug, Clone, Default)]
pub struct Decision<'a> {
    rules: Vec<&'a Rule>,
}

/// What an action may want to know of the flow.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the catalog says of it.
    pub classification: &'a Classification,
    /// What was asked for.
    pub target: &'a Target,
    /// The method.
    pub method: &'a str,
    /// The console.
    pub client: IpAddr,
}

/// What rules did, for the row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acted {
    /// The rules that acted.
    pub hits: Vec<RuleHit>,
    /// What a person should know, as why a rule could not act.
    pub notes: Vec<String>,
}

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewritten {
    /// The new body; `None` where the old one passes as it is.
    pub body: Option<Vec<u8>>,
    /// The rules that acted.
    pub hits: Vec<RuleHit>,
    /// What a person should know, as why a body was passed on unchanged.
    pub notes: Vec<String>,
}

/// What a rule wants, with its name for the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By<'a, T> {
    /// The name of the rule.
    pub rule: &'a str,
    /// What it wants.
    pub what: T,
}

impl<T> By<'_, T> {
    /// What is told in the row.
    #[must_use]
    pub fn hit(&self, effect: Effect, did: impl Into<String>) -> RuleHit {
        RuleHit { name: self.rule.to_owned(), did: did.into(), effect }
    }
}

impl<'a> Decision<'a> {
    /// The decision from the rules that fit, in their order.
    pub(crate) fn of(fitting: impl Iterator<Item = &'a Rule>) -> Self {
        let mut rules: Vec<&Rule> = Vec::new();
        for rule in fitting {
            let kind = rule.action.kind();
            if rules.iter().all(|other| other.action.kind() != kind) {
                rules.push(rule);
            }
        }
        Self { rules }
    }

    /// Whether the flow passes as it is: no rule fits.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.rules.is_empty()
    }

    /// The names of the rules that act.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// The words that the row is tagged with.
    #[must_use]
    pub fn tags(&self) -> Option<RuleHit> {
        let Some((rule, Action::Tag(tags))) = self.action(Kind::Tag) else { return None };
        let by = By { rule: &rule.name, what: () };
        Some(by.hit(Effect::Noted, format!("tagged {}", tags.join(", "))))
    }

    /// How much of the flow the session keeps.
    #[must_use]
    pub fn store(&self) -> Option<By<'a, Store>> {
        let Some((rule, Action::Store(store))) = self.action(Kind::Store) else { return None };
        Some(By { rule: &rule.name, what: *store })
    }

    /// How long the request waits here.
    #[must_use]
    pub fn delay(&self) -> Option<By<'a, Duration>> {
        let Some((rule, Action::Delay(time))) = self.action(Kind::Delay) else { return None };
        Some(By { rule: &rule.name, what: time.0 })
    }

    /// How fast the bodies may go.
    #[must_use]
    pub fn throttle(&self) -> Option<By<'a, Throttle>> {
        let Some((rule, Action::Throttle(throttle))) = self.action(Kind::Throttle) else {
            return None;
        };
        Some(By { rule: &rule.name, what: *throttle })
    }

    /// What goes wrong with the answer.
    #[must_use]
    pub fn fault(&self) -> Option<By<'a, Fault>> {
        let Some((rule, Action::Fault(fault))) = self.action(Kind::Fault) else { return None };
        Some(By { rule: &rule.name, what: *fault })
    }

    /// What becomes of the TLS in a tunnel; only for a CONNECT.
    #[must_use]
    pub fn tls(&self) -> Option<By<'a, Tls>> {
        let Some((rule, Action::Tls(tls))) = self.action(Kind::Tls) else { return None };
        Some(By { rule: &rule.name, what: *tls })
    }

    /// What the client gets from here, where anything: the first of `block`, `answer` and
    /// `map-local`. A CONNECT can be blocked and not answered. What could not be done is in the
    /// notes, and the request goes on.
    #[must_use]
    pub fn from_here(&self, context: &Context<'_>) -> (Option<FromHere>, Vec<String>) {
        let mut notes = Vec::new();
        for rule in &self.rules {
            let filled = match &rule.action {
                Action::Block(block) => {
                    let did = block.0.did();
                    let hit = RuleHit { name: rule.name.clone(), did, effect: Effect::Blocked };
                    return (Some(FromHere { what: Here::Block(block.0), hit }), notes);
                }
                Action::Answer(_) | Action::MapLocal(_)
                    if matches!(context.target, Target::Authority(_)) =>
                {
                    continue;
                }
                Action::Answer(answer) => rule.with_values(context, |values| answer.fill(values)),
                Action::MapLocal(files) => rule.with_values(context, |values| files.fill(values)),
                _ => continue,
            };
            match filled {
                Ok((what, did)) => {
                    let hit = RuleHit { name: rule.name.clone(), did, effect: Effect::Mapped };
                    return (Some(FromHere { what, hit }), notes);
                }
                Err(problem) => notes.push(format!("rule {}: {problem}", rule.name)),
            }
        }
        (None, notes)
    }

    /// Where the request goes instead, and whether `Host` still says what was asked for.
    ///
    /// # Errors
    /// When a place of the rule cannot be filled in here; then the request goes where it wanted.
    pub fn map_remote(
        &self,
        context: &Context<'_>,
    ) -> Result<Option<(Url, bool, RuleHit)>, String> {
        let (Some((rule, Action::MapRemote(remote))), Target::Url(url)) =
            (self.action(Kind::MapRemote), context.target)
        else {
            return Ok(None);
        };
        let mapped = rule.with_values(context, |values| remote.map(url, values));
        let mapped = mapped.map_err(|problem| format!("rule {}: {problem}", rule.name))?;
        let by = By { rule: &rule.name, what: () };
        let hit = by.hit(Effect::Rewritten, format!("asked {mapped} instead"));
        Ok(Some((mapped, remote.keep_host, hit)))
    }

    /// Whether heads of requests, or of answers, may be changed.
    #[must_use]
    pub fn edits_headers(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.action, Action::Header(_)))
    }

    /// Changes the head of the request on its way to the server.
    pub fn edit_request(&self, headers: &mut Headers, context: &Context<'_>) -> Acted {
        self.edit_headers(Message::Request, headers, context)
    }

    /// Changes the head of the answer on its way to the client.
    pub fn edit_answer(&self, headers: &mut Headers, context: &Context<'_>) -> Acted {
        self.edit_headers(Message::Response, headers, context)
    }

    fn edit_headers(
        &self,
        message: Message,
        headers: &mut Headers,
        context: &Context<'_>,
    ) -> Acted {
        let mut acted = Acted::default();
        // What is renamed or removed can be set anew.
        for kind in [Kind::RenameHeader, Kind::RemoveHeader, Kind::SetHeader] {
            let Some((rule, Action::Header(edit))) = self.action(kind) else { continue };
            let (hit, notes) = rule
                .with_values(context, |values| edit.apply(&rule.name, message, headers, values));
            acted.hits.extend(hit);
            acted.notes.extend(notes);
        }
        acted
    }

    /// Whether the body of the answer must be held and given to [`Decision::rewrite`].
    #[must_use]
    pub fn rewrites(&self) -> bool {
        self.action(Kind::Rewrite).is_some()
    }

    /// The body of a 200 answer, whole and decoded, as the rule changes it. A rule whose document
    /// this is not leaves it as it is.
    #[must_use]
    pub fn rewrite(&self, body: &[u8], context: &Context<'_>) -> Rewritten {
        self.rewritten(Kind::Rewrite, body, context)
    }

    /// Whether the body of the request must be held and given to [`Decision::rewrite_request`].
    #[must_use]
    pub fn rewrites_request(&self) -> bool {
        self.action(Kind::RewriteRequest).is_some()
    }

    /// The body of the request, whole and decoded, as the rule changes it.
    #[must_use]
    pub fn rewrite_request(&self, body: &[u8], context: &Context<'_>) -> Rewritten {
        self.rewritten(Kind::RewriteRequest, body, context)
    }

    fn rewritten(&self, kind: Kind, body: &[u8], context: &Context<'_>) -> Rewritten {
        let mut result = Rewritten::default();
        let Some((rule, Action::Rewrite(rewrite) | Action::RewriteRequest(rewrite))) =
            self.action(kind)
        else {
            return result;
        };
        match rule.with_values(context, |values| rewrite.apply(body, values)) {
            Ok(outcome) => {
                result.body = outcome.body;
                result.notes = outcome.notes;
                let (name, did) = (rule.name.clone(), outcome.did);
                result.hits.push(RuleHit { name, did, effect: outcome.effect });
            }
            Err(problem) => result
                .notes
                .push(format!("rule {}: the body is {problem}; passed unchanged", rule.name)),
        }
        result
    }

    fn action(&self, kind: Kind) -> Option<(&'a Rule, &'a Action)> {
        let rule = *self.rules.iter().find(|rule| rule.action.kind() == kind)?;
        Some((rule, &rule.action))
    }
}

impl Rule {
    /// Runs an action with what its places are filled with.
    fn with_values<T>(&self, context: &Context<'_>, act: impl FnOnce(&Values<'_>) -> T) -> T {
        let url = self.url.as_ref().and_then(|regex| {
            Captured::of(regex, &crate::file::url_of(context.target, context.classification))
        });
        act(&Values { context, value: None, url: url.as_ref() })
    }
}

//! From a request to its row, and what the request itself tells.

use std::sync::Arc;

use consoletap_flow::{Classification, Details, Environment, Host, Platform, Platforms};

use crate::catalog::{Catalog, Matcher, Query};
use crate::hosts::{self, HostMatch};
use crate::pattern::{Captures, Pattern};
use crate::table::{HashRule, Row};
use crate::{agents, environment, path, title};

/// A row that fits, with what its patterns held.
struct Found<'c, 't> {
    matcher: &'c Matcher,
    host: Captures<'t>,
    path: Captures<'t>,
}

impl Catalog {
    /// What is known of a request. Unknown things are `unknown`, never a guess.
    #[must_use]
    pub fn classify(&self, query: &Query<'_>) -> Classification {
        let sni =
            if query.host.is_none() { query.sni.and_then(|sni| sni.parse().ok()) } else { None };
        let host: Option<&Host> = query.host.or(sni.as_ref());
        let name = host.and_then(Host::name);
        let path = query.path.map(path::normalise);
        let path = path.as_deref();
        let label =
            name.and_then(environment::of_host).or_else(|| path.and_then(environment::of_path));
        let retail = name.zip(label).map(|(name, label)| environment::retail_host(name, label));

        let agent = query.user_agent.and_then(|value| self.agents.find(value));
        let asked = Asked { query, path, label };
        let mut found = name.and_then(|name| self.find_by_host(name, &asked));
        if let Some(retail) = retail.as_deref() {
            let other = self.find_by_host(retail, &asked);
            if other.as_ref().map(|o| o.matcher.rank) > found.as_ref().map(|f| f.matcher.rank) {
                found = other;
            }
        }
        if host.is_none() {
            found = found.or_else(|| self.find_by_path(&asked));
        }
        let Some(row) =
            found.as_ref().map(|f| f.matcher.row).or_else(|| agent.as_ref().map(|(a, _)| a.row))
        else {
            let mut unknown = self.unknown.clone();
            unknown.environment = environment::named(label);
            return unknown;
        };
        self.describe(&self.rows[row], found.as_ref(), agent, &asked)
    }

    fn find_by_host<'t>(&self, host: &'t str, asked: &Asked<'_, 't>) -> Option<Found<'_, 't>> {
        let mut best: Option<Found<'_, 't>> = None;
        for key in hosts::suffixes(host) {
            let Some(list) = self.by_host.get(key) else { continue };
            let beaten = best.as_ref().map_or(0, |best| best.matcher.rank);
            let found = list
                .iter()
                .take_while(|matcher| matcher.rank > beaten)
                .find_map(|matcher| self.try_matcher(matcher, Some((host, key)), asked));
            best = found.or(best);
        }
        best
    }

    fn find_by_path<'t>(&self, asked: &Asked<'_, 't>) -> Option<Found<'_, 't>> {
        self.by_path.iter().find_map(|matcher| self.try_matcher(matcher, None, asked))
    }

    fn try_matcher<'c, 't>(
        &'c self,
        matcher: &'c Matcher,
        host: Option<(&'t str, &str)>,
        asked: &Asked<'_, 't>,
    ) -> Option<Found<'c, 't>> {
        let host = match (&matcher.host, host) {
            (None, _) => Captures::default(),
            (Some(HostMatch::Exact), Some((host, key))) if host.len() == key.len() => {
                Captures::default()
            }
            (Some(HostMatch::Below), Some((host, key))) if host.len() > key.len() => {
                Captures::default()
            }
            (Some(HostMatch::Pattern(pattern)), Some((host, _))) => pattern.read(host)?,
            _ => return None,
        };
        let path = match (&matcher.path, asked.path) {
            (None, _) => Captures::default(),
            (Some(pattern), Some(path)) => pattern.read(path)?,
            (Some(_), None) => return None,
        };
        self.rows[matcher.row].allows(asked).then_some(Found { matcher, host, path })
    }

    fn describe(
        &self,
        row: &Row,
        found: Option<&Found<'_, '_>>,
        agent: Option<(&agents::Agent, Captures<'_>)>,
        asked: &Asked<'_, '_>,
    ) -> Classification {
        // Most rows with fields have four to six; one allocation holds them.
        let mut details = Details { fields: Vec::with_capacity(6), ..Details::default() };
        let mut platform = Platforms::UNKNOWN;
        if let Some((agent, captures)) = &agent {
            let row = &self.rows[agent.row];
            platform = row.entry.platform;
            if let Some(product) = asked.query.user_agent.and_then(first_product) {
                details.fields.push((Arc::clone(&self.agent_field), product.to_owned()));
            }
            row.fields.iter().for_each(|(name, value)| tell(&mut details, name, value.clone()));
            tell_all(&mut details, &agent.pattern, captures);
        }
        if let Some(found) = found {
            row.fields.iter().for_each(|(name, value)| tell(&mut details, name, value.clone()));
            if let Some(HostMatch::Pattern(pattern)) = &found.matcher.host {
                tell_all(&mut details, pattern, &found.host);
            }
            if let Some(pattern) = &found.matcher.path {
                tell_all(&mut details, pattern, &found.path);
            }
        }
        if !row.query.is_empty() {
            for (key, value) in path::pairs(asked.query.path.unwrap_or_default()) {
                if let Some(name) = row.query.iter().find(|name| &***name == key) {
                    tell(&mut details, name, value.to_owned());
                }
            }
        }
        derive_ids(&mut details);
        if let Some(rule) = &row.hash {
            details.hash_ok = self.hash_fits(rule, &details);
        }
        if platform.is_unknown() {
            platform = row.entry.platform;
        }
        // A title tells more than "unknown" or "some PlayStation", and less than anything else.
        if let Some(titled) = details.title_platform
            && (platform.is_unknown() || platform == Platform::PlayStation.into())
        {
            platform = titled;
        }
        Classification {
            platform,
            category: row.entry.category.clone(),
            entry: Some(row.entry.id.clone()),
            summary: Some(Arc::clone(&row.entry.summary)),
            environment: asked
                .label
                .map_or(Environment::Retail, |label| environment::named(Some(label))),
            documented: row.entry.documented,
            download: row.entry.download,
            details,
        }
    }

    fn hash_fits(&self, rule: &HashRule, details: &Details) -> Option<bool> {
        let key = self.keys.get(&rule.key)?;
        let hash = told(details, &rule.field)?;
        let mut parts = Vec::with_capacity(4);
        let mut rest = rule.of.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            parts.push(before);
            parts.push(told(details, name)?);
            rest = after;
        }
        parts.push(rest);
        Some(key.fits(&parts, hash))
    }
}

/// A request, made ready for the patterns.
struct Asked<'q, 't> {
    query: &'q Query<'q>,
    path: Option<&'t str>,
    label: Option<&'t str>,
}

impl Row {
    /// Whether the request fits what the row asks for besides host and path.
    fn allows(&self, asked: &Asked<'_, '_>) -> bool {
        let query = asked.query;
        let agent = || {
            query.user_agent.is_some_and(|value| {
                self.agents
                    .iter()
                    .any(|pattern| pattern.read(value.trim_matches([' ', '\t'])).is_some())
            })
        };
        self.method.as_deref().is_none_or(|method| query.method == Some(method))
            && self.port.is_none_or(|port| query.port == Some(port))
            && self.environment.as_deref().is_none_or(|label| asked.label == Some(label))
            && (self.agents.is_empty() || agent())
    }
}

/// The first `name/version` of a user agent (RFC 9110 10.1.5).
fn first_product(value: &str) -> Option<&str> {
    value.trim_start().split(' ').next().filter(|product| product.contains('/'))
}

fn tell_all(details: &mut Details, pattern: &Pattern, captures: &Captures<'_>) {
    pattern.fields(captures).for_each(|(name, value)| tell(details, name, value));
}

/// Puts a field where it belongs; the later word stands.
fn tell(details: &mut Details, name: &Arc<str>, value: String) {
    match &**name {
        "title_id" => details.title_id = Some(value),
        "np_title_id" => details.np_title_id = Some(value),
        "content_id" => details.content_id = Some(value),
        "firmware" => details.firmware = Some(value),
        "region" => details.region = Some(value),
        _ => match details.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => details.fields.push((Arc::clone(name), value)),
        },
    }
}

fn told<'d>(details: &'d Details, name: &str) -> Option<&'d str> {
    match name {
        "title_id" => details.title_id.as_deref(),
        "np_title_id" => details.np_title_id.as_deref(),
        "content_id" => details.content_id.as_deref(),
        _ => details.fields.iter().find(|(known, _)| &**known == name).map(|(_, value)| &**value),
    }
}

/// An id holds the shorter ones: content, NP title, title.
fn derive_ids(details: &mut Details) {
    if details.np_title_id.is_none()
        && let Some(np_title_id) = details.content_id.as_deref().and_then(|id| id.get(7..19))
    {
        details.np_title_id = Some(np_title_id.to_owned());
    }
    if details.title_id.is_none()
        && let Some(title_id) = details.np_title_id.as_deref().and_then(|id| id.get(..9))
    {
        details.title_id = Some(title_id.to_owned());
    }
    details.title_platform = details.title_id.as_deref().and_then(title::platform);
}

//! Which flows a command is about: one by its number, those of a filter, or all.

use std::path::PathBuf;

use consoletap_filter::{Filter, Subject};
use consoletap_flow::{Flow, FlowId, Timestamp};
use consoletap_session::Session;

use crate::bodies::KeptBodies;
use crate::consoles::{Consoles, address};
use crate::exit::Usage;
use crate::look::Look;
use crate::settings::Settings;

/// What is asked of a session.
pub(crate) enum Wanted {
    One(FlowId),
    Some(Box<Chosen>),
    All,
}

/// A filter, with what it may ask of the session around a flow.
pub(crate) struct Chosen {
    filter: Filter,
    /// When it is asked; `~since` counts from here.
    now: Timestamp,
    /// Whether it asks what clients are called …
    asks_names: bool,
    /// … which all flows of the session tell together.
    consoles: Consoles,
    /// Where kept bodies are.
    directory: PathBuf,
}

impl Wanted {
    /// A number is a flow, everything else a filter; its words need no quotes.
    pub(crate) fn parse(words: &[String]) -> anyhow::Result<Self> {
        match words {
            [] => Ok(Self::All),
            [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => number
                .parse()
                .map(|id| Self::One(FlowId(id)))
                .map_err(|_| Usage::new(format!("{number} is no number of a flow")).into()),
            words => {
                let expression = words.join(" ");
                let filter = Filter::parse(&expression)
                    .map_err(|error| Usage::new(format!("the filter cannot be read: {error}")))?;
                let asks_names = expression.contains("~client");
                let named = if asks_names { Settings::named_clients()? } else { Vec::new() };
                Ok(Self::Some(Box::new(Chosen {
                    filter: filter.naming_clients(&named),
                    now: jiff::Timestamp::now().into(),
                    asks_names,
                    consoles: Consoles::default(),
                    directory: PathBuf::new(),
                })))
            }
        }
    }

    /// The same for the flows of this session. Where a filter asks for names, its flows are read
    /// once more than the command does itself.
    pub(crate) fn of(mut self, session: &Session) -> Self {
        if let Self::Some(chosen) = &mut self {
            if chosen.asks_names {
                session.flows().flatten().for_each(|flow| chosen.consoles.learn(&flow));
            }
            session.directory().clone_into(&mut chosen.directory);
        }
        self
    }

    /// Whether the flow is one of them.
    pub(crate) fn fits(&self, flow: &Flow) -> bool {
        match self {
            Self::All => true,
            Self::One(id) => flow.id == *id,
            Self::Some(chosen) => {
                let Chosen { filter, now, consoles, directory, .. } = &**chosen;
                let called = consoles.label(address(flow), &Look::PLAIN);
                let bodies = KeptBodies { flow, directory };
                let subject = Subject::from(flow).as_it_stands().called(&called);
                filter.matches(&subject.with_bodies(&bodies).at(*now))
            }
        }
    }
}

//! What a filter cannot fit without.

use std::net::IpAddr;

use consoletap_flow::{HostGlob, Platform};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use crate::expression::Expression;
use crate::number::Comparison;
use crate::operator::{Client, Console, Operator};
use crate::pattern::{Names, Pattern};

/// One fact of a flow that can be looked up. Texts are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Demand {
    Category(Box<str>),
    Title(Box<str>),
    Client(IpAddr),
    /// A console or a family; `None` is one that is not known.
    Console(Option<Platform>),
    Port(u16),
    /// In the method.
    Method(Box<str>),
    /// In the URL, or in `host:port` of a tunnel.
    Text(Box<str>),
}

impl Demand {
    /// How many flows it lets through, roughly.
    fn weight(&self) -> usize {
        match self {
            Self::Title(_) => 1,
            Self::Text(text) if text.len() >= 16 => 2,
            Self::Category(_) => 4,
            Self::Text(text) if text.len() >= 8 => 6,
            Self::Client(_) | Self::Port(_) => 8,
            Self::Text(_) => 12,
            Self::Console(_) => 16,
            Self::Method(_) => 24,
        }
    }
}

/// What a filter demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Demands {
    /// Nothing that can be looked up.
    Nothing,
    One(Demand),
    /// Each of these.
    All(Vec<Self>),
    /// One of these at least.
    Any(Vec<Self>),
}

/// What one regex demands at most; with more texts than that it is better asked itself.
const MOST_TEXTS: usize = 16;
/// Shorter texts are found everywhere.
const SHORTEST: usize = 3;

impl Demands {
    pub(super) fn of(expression: &Expression) -> Self {
        match expression {
            Expression::Operator(operator, _) => Self::of_operator(operator),
            Expression::Not(_) => Self::Nothing,
            Expression::And(parts) => Self::All(parts.iter().map(Self::of).collect()),
            Expression::Or(parts) => Self::Any(parts.iter().map(Self::of).collect()),
        }
    }

    /// Calls with every demand.
    pub(super) fn each<'d>(&'d self, call: &mut impl FnMut(&'d Demand)) {
        match self {
            Self::Nothing => {}
            Self::One(demand) => call(demand),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each(call)),
        }
    }

    /// The demands of which one must be met, chosen so that few flows meet one and few other
    /// filters stand under it, with the measure of that; `askers` says how many name a demand.
    /// `None` where nothing can be looked up.
    pub(super) fn rarest(
        &self,
        askers: &impl Fn(&Demand) -> usize,
    ) -> Option<(usize, Vec<&Demand>)> {
        match self {
            Self::Nothing => None,
            Self::One(demand) => Some((demand.weight() * askers(demand), vec![demand])),
            Self::All(parts) => {
                parts.iter().filter_map(|part| part.rarest(askers)).min_by_key(|(cost, _)| *cost)
            }
            Self::Any(parts) => parts.iter().try_fold((0, Vec::new()), |(sum, mut all), part| {
                let (cost, demands) = part.rarest(askers)?;
                all.extend(demands);
                Some((sum + cost, all))
            }),
        }
    }

    fn of_operator(operator: &Operator) -> Self {
        match operator {
            // One of none: it never fits.
            Operator::Never => Self::Any(Vec::new()),
            Operator::Category(names) => Self::whole(names, Demand::Category),
            Operator::Title(names) => Self::whole(names, Demand::Title),
            Operator::Host(pattern) | Operator::Url(pattern) => {
                Self::in_regex(pattern, Demand::Text)
            }
            Operator::Method(pattern) => Self::in_regex(pattern, Demand::Method),
            Operator::Domain(glob) => Self::in_glob(glob),
            Operator::Client(clients) => Self::any(clients, |client| match client {
                Client::Address(ip) => Self::One(Demand::Client(*ip)),
                Client::Network(_) | Client::Named(_) => Self::Nothing,
            }),
            Operator::Console(consoles) => Self::any(consoles, |console| {
                Self::One(Demand::Console(match console {
                    Console::Is(platform) => Some(*platform),
                    Console::Unknown => None,
                }))
            }),
            Operator::Port(ports) => Self::any(ports, |port| match port {
                (Comparison::Equal, port) => Self::One(Demand::Port(*port)),
                _ => Self::Nothing,
            }),
            _ => Self::Nothing,
        }
    }

    fn any<T>(values: &[T], demand: impl Fn(&T) -> Self) -> Self {
        Self::Any(values.iter().map(demand).collect())
    }

    fn whole(names: &Names, demand: fn(Box<str>) -> Demand) -> Self {
        Self::Any(
            names
                .iter()
                .map(|name| match name.is_stem {
                    true => Self::Nothing,
                    false => Self::One(demand(name.text.clone())),
                })
                .collect(),
        )
    }

    /// The text between the stars of a host pattern.
    fn in_glob(glob: &HostGlob) -> Self {
        let text = glob.to_string();
        let pieces = text.split(['*', '?']).filter(|piece| piece.len() >= SHORTEST);
        Self::All(pieces.map(|piece| Self::One(Demand::Text(piece.into()))).collect())
    }

    /// Texts without which the regex does not match.
    fn in_regex(pattern: &Pattern, demand: fn(Box<str>) -> Demand) -> Self {
        let parsed = ParserBuilder::new().nest_limit(50).build().parse(pattern.as_str());
        parsed.map_or(Self::Nothing, |hir| Self::in_hir(&hir, demand))
    }

    fn in_hir(hir: &Hir, demand: fn(Box<str>) -> Demand) -> Self {
        match hir.kind() {
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) if text.is_ascii() && text.len() >= SHORTEST => {
                    Self::One(demand(text.to_ascii_lowercase().into()))
                }
                _ => Self::Nothing,
            },
            HirKind::Capture(capture) => Self::in_hir(&capture.sub, demand),
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                Self::in_hir(&repetition.sub, demand)
            }
            HirKind::Concat(parts) => {
                Self::All(parts.iter().map(|part| Self::in_hir(part, demand)).collect())
            }
            HirKind::Alternation(parts) if parts.len() <= MOST_TEXTS => {
                Self::Any(parts.iter().map(|part| Self::in_hir(part, demand)).collect())
            }
            _ => Self::Nothing,
        }
    }
}

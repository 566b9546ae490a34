//! When an operator can be answered.

use super::{Client, Operator, Side};
use crate::expression::Stage;

/// The answers that are possible at a stage, beside "not yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Possible {
    pub(crate) yes: bool,
    pub(crate) no: bool,
}

impl Operator {
    /// From when on it is always answered.
    pub(crate) fn needs(&self) -> Stage {
        match self {
            Self::All
            | Self::Never
            | Self::Http
            | Self::Tunnel
            | Self::Live
            | Self::Unanswered
            | Self::Category(_)
            | Self::Console(_)
            | Self::Destination(_)
            | Self::Domain(_)
            | Self::Host(_)
            | Self::Meta(_)
            | Self::Method(_)
            | Self::Port(_)
            | Self::Scheme(_)
            | Self::Since(_)
            | Self::Source(_)
            | Self::Title(_)
            | Self::Url(_) => Stage::Request,
            // Names that the settings do not have are given by whoever looks at flows that are over.
            Self::Client(clients) => {
                let named = clients.iter().any(|client| matches!(client, Client::Named(_)));
                if named { Stage::Finished } else { Stage::Request }
            }
            Self::ContentType(side, _) | Self::HasHeader(side, _) | Self::Header(side, _) => {
                match side {
                    Side::Request => Stage::Request,
                    Side::Response | Side::Either => Stage::Response,
                }
            }
            Self::Sni(_) | Self::Ja3(_) | Self::Ja4(_) | Self::Tls(..) => Stage::Hello,
            Self::Answered
            | Self::Asset
            | Self::MediaType(_)
            | Self::Status(_)
            | Self::Websocket => Stage::Response,
            Self::Body(..)
            | Self::Comment(_)
            | Self::Duration(..)
            | Self::Error
            | Self::Ip(_)
            | Self::Rule(_)
            | Self::Size(..)
            | Self::TlsFailure => Stage::Finished,
        }
    }

    /// The name behind `~client` that no address is known of.
    pub(crate) fn unnamed_client(&self) -> Option<&str> {
        let Self::Client(clients) = self else { return None };
        clients.iter().find_map(|client| match client {
            Client::Named(name) => Some(&*name.text),
            Client::Address(_) | Client::Network(_) => None,
        })
    }

    /// What can be answered at a stage. A header of "either side" that the request has is there
    /// before the answer is; one that it does not have may still come.
    pub(crate) fn possible(&self, stage: Stage) -> Possible {
        let known = self.needs() <= stage;
        let half = matches!(
            self,
            Self::ContentType(Side::Either, _)
                | Self::HasHeader(Side::Either, _)
                | Self::Header(Side::Either, _)
        );
        Possible { yes: known || half, no: known }
    }
}

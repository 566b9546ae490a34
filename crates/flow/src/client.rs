//! Who opened a connection.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ConnectionId;

/// The client of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The address and port that it came from.
    #[serde(serialize_with = "crate::address::serialize")]
    pub address: SocketAddr,
    /// The connection that the flow came on.
    pub connection: ConnectionId,
}

//! Who asks: whose share of the service a query takes, by which limits, and over which protocol it came.
//!
//! A client is the holder of an API key, a user with a password, or the network that an address lies in: a /24 of IPv4, a
//! /56 of IPv6, which is what one household or office is given. Behind a reverse proxy the listener finds the address; here
//! it is only an address.

use std::net::IpAddr;
use std::sync::Arc;

use meetnet_model::network::Network;

use crate::keys::{ApiKey, KeyLimits};

#[cfg(test)]
mod tests;

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// From this process itself: a command, a page.
    Internal,
    /// HTTP.
    Http,
    /// PostgreSQL's protocol.
    Postgres,
    /// Arrow Flight SQL.
    Flight,
}

impl Protocol {
    /// Returns its name, for the audit log and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Http => "http",
            Self::Postgres => "postgres",
            Self::Flight => "flight",
        }
    }
}

/// Who asks, and how; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    protocol: Protocol,
    who: Who,
}

#[derive(Clone, Debug)]
enum Who {
    /// This process.
    Own,
    /// Somebody whose address is not known. All of them are one client.
    Unknown,
    Network(Network),
    User(Arc<str>),
    Key(Arc<ApiKey>),
}

/// What queries are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Share {
    Own,
    Unknown,
    Network(Network),
    User(Arc<str>),
    Key(Arc<str>),
}

impl Client {
    /// This process itself: it takes no share of others, and is not in the audit log.
    pub fn own() -> Self {
        Self {
            protocol: Protocol::Internal,
            who: Who::Own,
        }
    }

    /// Somebody at an address; None: an address that is not known.
    pub fn of_address(protocol: Protocol, address: Option<IpAddr>) -> Self {
        let who = address.map_or(Who::Unknown, |address| Who::Network(Network::of(address)));
        Self { protocol, who }
    }

    /// The holder of a key, wherever it is used from.
    pub fn of_key(protocol: Protocol, key: Arc<ApiKey>) -> Self {
        let who = Who::Key(key);
        Self { protocol, who }
    }

    /// A user who has logged in with a password.
    pub fn of_user(protocol: Protocol, name: &str) -> Self {
        let who = Who::User(name.into());
        Self { protocol, who }
    }

    /// Returns how the query came.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Returns the name of the client's key.
    pub fn key_name(&self) -> Option<&str> {
        match &self.who {
            Who::Key(key) => Some(&key.name),
            _ => None,
        }
    }

    /// Returns what the client is counted as, in words: a network, a user, a key. It is personal data where it is a network
    /// or a user, and nothing keeps it but under a pseudonym.
    pub fn identity(&self) -> String {
        match &self.who {
            Who::Own => "own".to_owned(),
            Who::Unknown => "unknown".to_owned(),
            Who::Network(network) => format!("network {network}"),
            Who::User(name) => format!("user {name}"),
            Who::Key(key) => format!("key {}", key.name),
        }
    }

    /// Returns true for this process itself.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.who, Who::Own)
    }

    pub(crate) fn share(&self) -> Share {
        match &self.who {
            Who::Own => Share::Own,
            Who::Unknown => Share::Unknown,
            Who::Network(network) => Share::Network(*network),
            Who::User(name) => Share::User(Arc::clone(name)),
            Who::Key(key) => Share::Key(Arc::clone(&key.name)),
        }
    }

    /// Returns the limits of the client's key: what it sets stands in the place of the service's own.
    pub(crate) fn limits(&self) -> Option<&KeyLimits> {
        match &self.who {
            Who::Key(key) => Some(&key.limits),
            _ => None,
        }
    }
}

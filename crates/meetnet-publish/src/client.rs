//! Who sends a request: the holder of an API key, or who is at an address; behind a trusted proxy, at the one that it names.
//!
//! ```text
//! Authorization: Bearer KEY ─▶ known? ─▶ that key's client, else 401
//! no key ─▶ the connection comes from a trusted proxy? ─▶ the last address in its header that is no proxy's
//!                                                   no ─▶ the address of the connection
//! ```
//!
//! A header of anybody else says nothing: it would let everybody be a new client with each request.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Once;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use meetnet_model::network::ClientAddress;
use meetnet_query::{ApiKeys, Client, Protocol, QueryService};
use tracing::warn;

use crate::limits;
use crate::problem::{Problem, ProblemKind};
use crate::state::PublishState;

#[cfg(test)]
mod tests;

/// What most proxies say the address of a client in.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme of keys.
const BEARER: &[u8] = b"bearer";
/// Said once: anybody can send such a header.
static NOT_TRUSTED: Once = Once::new();

/// How clients are told apart.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    /// Keys with limits of their own.
    pub keys: ApiKeys,
    /// Reverse proxies: what their header says of a client's address is believed.
    pub proxies: Vec<AddressRange>,
    /// The header in which they say it, such as `X-Forwarded-For`: addresses with commas between them, the last one put
    /// there by the proxy that is asked first.
    pub header: Option<HeaderName>,
}

impl ClientSettings {
    /// Returns true for the address of a trusted proxy.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|range| range.contains(address))
    }

    /// Returns the address that a request comes from: that of the connection, or what a trusted proxy says; None where it
    /// says nothing that can be read.
    pub(crate) fn address(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if self.is_proxy(peer) {
            // Without a header to believe, a proxy is one client.
            let header = self.header.as_ref();
            return header.map_or(Some(peer), |header| self.forwarded(peer, headers, header));
        }
        if headers.contains_key(FORWARDED_FOR) {
            NOT_TRUSTED.call_once(not_trusted);
        }
        Some(peer)
    }

    /// Returns the client of a request from an address.
    ///
    /// # Errors
    /// `Unauthorized` for a key that nobody has.
    fn client(&self, address: Option<IpAddr>, headers: &HeaderMap) -> Result<Client, Problem> {
        if let Some(key) = bearer(headers) {
            let known = self.keys.find(key);
            return known.map(|key| Client::of_key(Protocol::Http, key)).ok_or_else(|| {
                Problem::new(
                    ProblemKind::Unauthorized,
                    "nobody has this API key; correct it, or leave the header Authorization out",
                )
            });
        }
        Ok(Client::of_address(Protocol::Http, address))
    }

    /// Returns the address that trusted proxies name; None where they name none that can be read.
    fn forwarded(&self, peer: IpAddr, headers: &HeaderMap, header: &HeaderName) -> Option<IpAddr> {
        // Bytes, not texts: a client may have written anything before what its proxy says.
        let values = headers.get_all(header).iter().rev();
        let named = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        for text in named {
            let text = std::str::from_utf8(text).ok()?;
            let address = address(text.trim())?;
            if !self.is_proxy(address) {
                return Some(address);
            }
        }
        Some(peer)
    }
}

fn not_trusted() {
    warn!(
        "a request says whom it is forwarded for, and its sender is not in trusted_proxies: if that is a reverse proxy \
         of yours, all its clients are one client until it is named there"
    );
}

/// Reads an address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let of_socket = || text.parse::<std::net::SocketAddr>().ok();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| of_socket().map(|address| address.ip()))
}

/// Returns the key in the header `Authorization`; None where there is none, or of another scheme. One that is empty or
/// cannot be read is nobody's, and not left out: who forgot to fill it in would wonder about the limits.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(BEARER.len())?;
    let is_bearer =
        scheme.eq_ignore_ascii_case(BEARER) && key.first().is_none_or(|byte| *byte == b' ');
    is_bearer.then(|| std::str::from_utf8(key).map_or("", str::trim))
}

/// Addresses that begin alike: `10.0.0.0/8`, `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    bits: u32,
}

/// A text that is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRange;

impl fmt::Display for NoRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write an address such as 127.0.0.1, or a range such as 10.0.0.0/8 or fd00::/8")
    }
}

impl std::error::Error for NoRange {}

impl FromStr for AddressRange {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<Self, NoRange> {
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| NoRange)?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| NoRange)?,
            None => all,
        };
        if bits > all {
            return Err(NoRange);
        }
        Ok(Self { first, bits })
    }
}

impl AddressRange {
    /// Returns true for an address in the range. An IPv4 address that is written as IPv6 is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        // A shift by all bits leaves nothing that could differ.
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The query service of who sends a request; in its extensions.
#[derive(Clone, Debug)]
struct Asker(QueryService);

/// Finds out who sends a request, and says in the answer how many queries are taken of it.
pub(crate) async fn identify(
    State(state): State<PublishState>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = request.extensions().get::<ClientAddress>();
    let address = address.and_then(|address| address.0);
    let client = match state.settings.clients.client(address, request.headers()) {
        Ok(client) => client,
        Err(problem) => return problem.into_response(),
    };
    let query = state.query.for_client(client);
    request.extensions_mut().insert(Asker(query.clone()));
    let mut response = next.run(request).await;
    limits::add_fields(query.places(), response.headers_mut());
    response
}

/// The state as a handler takes it: its query service is that of who asks.
pub(crate) struct OfClient(pub(crate) PublishState);

impl FromRequestParts<PublishState> for OfClient {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &PublishState,
    ) -> Result<Self, Infallible> {
        let mut state = state.clone();
        state.query = match parts.extensions.get::<Asker>() {
            Some(Asker(query)) => query.clone(),
            None => {
                let unknown = Client::of_address(Protocol::Http, None);
                state.query.for_client(unknown)
            }
        };
        Ok(Self(state))
    }
}

//! `[flight]`: the Flight SQL listener, who may use it, and its TLS.

use std::net::SocketAddr;
use std::path::Path;

use meetnet_flight::FlightLimits;

use super::access::{self, AccessConfig};
use super::document::Document;
use super::raw;
use super::sections::{address, bytes, duration};

/// `[flight]`: the Flight SQL listener, read only.
#[derive(Clone, Debug)]
pub(crate) struct FlightConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: FlightLimits,
    pub(crate) access: AccessConfig,
}

pub(super) fn read(
    document: &mut Document<'_>,
    raw: raw::Flight,
    folder: &Path,
) -> Option<FlightConfig> {
    let defaults = FlightLimits::default();
    let limits = FlightLimits {
        connections_max: raw
            .connections_max
            .map_or(defaults.connections_max, usize::from),
        connections_per_client_max: raw
            .connections_per_client_max
            .map_or(defaults.connections_per_client_max, usize::from),
        login_time_max: duration(raw.login_time_max, defaults.login_time_max),
        connection_time_max: duration(raw.connection_time_max, defaults.connection_time_max),
        calls_max: raw.calls_max.map_or(defaults.calls_max, u32::from),
        request_bytes_max: bytes(
            document,
            raw.request_bytes_max,
            defaults.request_bytes_max,
            1 << 14,
        ),
        message_bytes_max: bytes(
            document,
            raw.message_bytes_max,
            defaults.message_bytes_max,
            1 << 14,
        ),
        statements_max: raw
            .statements_max
            .map_or(defaults.statements_max, usize::from),
        statement_bytes_max: bytes(
            document,
            raw.statement_bytes_max,
            defaults.statement_bytes_max,
            1 << 20,
        ),
        statement_time_max: duration(raw.statement_time_max, defaults.statement_time_max),
        token_time_max: duration(raw.token_time_max, defaults.token_time_max),
        ..defaults
    };
    let written = access::Written {
        anonymous: raw.anonymous.as_ref(),
        users: raw.users.as_deref(),
        tls_cert: raw.tls_cert.as_ref(),
        tls_key: raw.tls_key.as_ref(),
    };
    let access = access::read(document, &written, folder);
    let listen = address(document, &raw.listen)?;
    // Flight has no login that keeps a password to itself.
    if !access.users.is_empty() && raw.tls_cert.is_none() && !listen.ip().is_loopback() {
        let message = "passwords would cross the network as they are; add `tls_cert` and `tls_key`, or listen on \
                       127.0.0.1 behind a proxy that encrypts";
        document.problem(raw.listen.span(), message);
    }
    Some(FlightConfig {
        listen,
        limits,
        access,
    })
}

//! `[pg]`: the PostgreSQL listener, who may use it, and its TLS.

use std::net::SocketAddr;
use std::path::Path;

use meetnet_pg::PgLimits;

use super::access::{self, AccessConfig};
use super::document::Document;
use super::raw;
use super::sections::{address, bytes, duration};

/// `[pg]`: the PostgreSQL listener, read only.
#[derive(Clone, Debug)]
pub(crate) struct PgConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: PgLimits,
    pub(crate) access: AccessConfig,
    pub(crate) tls_required: bool,
}

pub(super) fn read(document: &mut Document<'_>, raw: raw::Pg, folder: &Path) -> Option<PgConfig> {
    let defaults = PgLimits::default();
    let limits = PgLimits {
        connections_max: raw
            .connections_max
            .map_or(defaults.connections_max, usize::from),
        connections_per_client_max: raw
            .connections_per_client_max
            .map_or(defaults.connections_per_client_max, usize::from),
        login_time_max: duration(raw.login_time_max, defaults.login_time_max),
        idle_time_max: duration(raw.idle_time_max, defaults.idle_time_max),
        stall_time_max: duration(raw.stall_time_max, defaults.stall_time_max),
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
            1 << 14,
        ),
        portals_max: raw.portals_max.map_or(defaults.portals_max, usize::from),
        ..defaults
    };
    let written = access::Written {
        anonymous: raw.anonymous.as_ref(),
        users: raw.users.as_deref(),
        tls_cert: raw.tls_cert.as_ref(),
        tls_key: raw.tls_key.as_ref(),
    };
    let access = access::read(document, &written, folder);
    let tls_required = raw.tls_required.as_ref();
    if let Some(required) = tls_required
        && *required.get_ref()
        && raw.tls_cert.is_none()
    {
        let message = "TLS needs a certificate; add `tls_cert` and `tls_key`";
        document.problem(required.span(), message);
    }
    Some(PgConfig {
        listen: address(document, &raw.listen)?,
        limits,
        access,
        tls_required: tls_required.is_some_and(|required| *required.get_ref()),
    })
}

//! `[pg]`: the PostgreSQL listener, who may use it, and its TLS.

use std::net::SocketAddr;
use std::path::Path;

use meetnet_model::source::SecretRef;
use meetnet_pg::PgLimits;

use super::document::Document;
use super::sections::{address, bytes, duration};
use super::source::tls_pair;
use super::{Located, raw};

/// `[pg]`: the PostgreSQL listener, read only.
#[derive(Clone, Debug)]
pub(crate) struct PgConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: PgLimits,
    /// Anybody may read as `public`.
    pub(crate) anonymous: bool,
    /// Names, and where their passwords are.
    pub(crate) users: Vec<(String, Located<SecretRef>)>,
    /// The certificates, PEM, and where the private key is.
    pub(crate) tls: Option<(Vec<u8>, Located<SecretRef>)>,
    pub(crate) tls_required: bool,
}

/// Who anybody is: no user with a password may be called so.
const ANONYMOUS: &str = "public";

pub(super) fn read(document: &mut Document<'_>, raw: raw::Pg, folder: &Path) -> Option<PgConfig> {
    let defaults = PgLimits::default();
    let limits = PgLimits {
        connections_max: raw
            .connections_max
            .map_or(defaults.connections_max, usize::from),
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
    let users = users(document, raw.users.as_deref().unwrap_or_default());
    if let Some(anonymous) = &raw.anonymous
        && !anonymous.get_ref()
        && users.is_empty()
    {
        let message = "nobody could log in; add `users`, or let anybody read as `public`";
        document.problem(anonymous.span(), message);
    }
    let tls = tls_pair(
        document,
        raw.tls_cert.as_ref(),
        raw.tls_key.as_ref(),
        folder,
    );
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
        anonymous: raw.anonymous.is_none_or(|anonymous| *anonymous.get_ref()),
        users,
        tls,
        tls_required: tls_required.is_some_and(|required| *required.get_ref()),
    })
}

fn users(
    document: &mut Document<'_>,
    written: &[raw::PgUser],
) -> Vec<(String, Located<SecretRef>)> {
    let mut users: Vec<(String, Located<SecretRef>)> = Vec::new();
    for user in written {
        let name = user.name.get_ref();
        if name.is_empty() || name == ANONYMOUS {
            let message = format!(
                "`{name}` is no name for a user with a password: `{ANONYMOUS}` is anybody; choose another"
            );
            document.problem(user.name.span(), message);
        } else if users.iter().any(|(known, _)| known == name) {
            let message = format!("there is a user `{name}` already; give each a name of its own");
            document.problem(user.name.span(), message);
        }
        let password = document.secret(&user.password);
        users.push((name.clone(), password));
    }
    users
}

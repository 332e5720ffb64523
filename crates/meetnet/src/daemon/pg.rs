//! What the PostgreSQL listener offers, from the configuration and its secrets.

use std::time::Duration;

use anyhow::Context;
use meetnet_pg::{PgLimits, PgOptions, PgUser, tls_server};

use crate::config::{PgConfig, Secrets};
use crate::failure::Failure;

/// # Errors
/// `Usage` where certificate and key do not make TLS.
pub(super) fn options(
    config: &PgConfig,
    secrets: &Secrets,
    drain_time_max: Duration,
) -> Result<PgOptions, Failure> {
    let users = config.users.iter().filter_map(|(name, _)| {
        Some(PgUser {
            name: name.clone(),
            password: secrets.pg_passwords.get(name)?.clone(),
        })
    });
    let tls = match &config.tls {
        None => None,
        Some((certificates, _)) => {
            let key = secrets.pg_tls_key.as_deref().unwrap_or_default();
            let config = tls_server(certificates, key).context("[pg] cannot be served with TLS");
            Some(config.map_err(Failure::Usage)?)
        }
    };
    Ok(PgOptions {
        limits: PgLimits {
            drain_time_max,
            ..config.limits
        },
        anonymous: config.anonymous,
        users: users.collect(),
        tls,
        tls_required: config.tls_required,
    })
}

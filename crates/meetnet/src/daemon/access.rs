//! What the listeners offer whose protocols have users, from the configuration and its secrets.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use meetnet_access::{Access, User, tls_server};
use meetnet_flight::{FlightLimits, FlightOptions};
use meetnet_pg::{PgLimits, PgOptions};
use meetnet_publish::OtherListener;
use meetnet_query::ApiKeys;

use crate::config::{AccessConfig, AccessSecrets, FlightConfig, PgConfig, Secrets};
use crate::failure::Failure;

/// # Errors
/// `Usage` where certificate and key do not make TLS.
pub(super) fn pg_options(
    config: &PgConfig,
    keys: ApiKeys,
    secrets: &Secrets,
    drain_time_max: Duration,
) -> Result<PgOptions, Failure> {
    Ok(PgOptions {
        limits: PgLimits {
            drain_time_max,
            ..config.limits
        },
        access: access("[pg]", &config.access, &secrets.pg)?,
        keys,
        tls_required: config.tls_required,
    })
}

/// # Errors
/// As [`pg_options`].
pub(super) fn flight_options(
    config: &FlightConfig,
    keys: ApiKeys,
    secrets: &Secrets,
    drain_time_max: Duration,
) -> Result<FlightOptions, Failure> {
    Ok(FlightOptions {
        limits: FlightLimits {
            drain_time_max,
            ..config.limits
        },
        access: access("[flight]", &config.access, &secrets.flight)?,
        keys,
    })
}

fn access(
    section: &str,
    config: &AccessConfig,
    secrets: &AccessSecrets,
) -> Result<Access, Failure> {
    let users = config.users.iter().filter_map(|(name, _)| {
        Some(User {
            name: name.clone(),
            password: secrets.passwords.get(name)?.clone(),
        })
    });
    let tls = match &config.tls {
        None => None,
        Some((certificates, _)) => {
            let key = secrets.tls_key.as_deref().unwrap_or_default();
            let config = tls_server(certificates, key)
                .with_context(|| format!("{section} cannot be served with TLS"));
            Some(config.map_err(Failure::Usage)?)
        }
    };
    Ok(Access {
        anonymous: config.anonymous,
        users: users.collect(),
        tls,
    })
}

/// Tells the portal of a listener where anybody may ask.
pub(super) fn told_of(
    address: Option<SocketAddr>,
    access: Option<&AccessConfig>,
) -> Option<OtherListener> {
    let access = access.filter(|access| access.anonymous)?;
    Some(OtherListener {
        address: address?,
        has_tls: access.tls.is_some(),
    })
}

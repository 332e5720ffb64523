//! How many files the process may have open, which connections are, too. Shells and service managers give 1024 and allow
//! far more: the process takes what it is allowed. A limit that is still below what is configured is said at the start,
//! where whoever starts the process can raise it; met later, it looks like a fault of the network.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{debug, warn};

use super::Role;
use crate::config::Config;

#[cfg(test)]
mod tests;

/// Beside connections: journal, table files that are read, written and merged, what queries spill, libraries.
const FILES_BESIDE: u64 = 512;

/// Takes what the process is allowed, and says where that is lower than what is configured.
pub(super) fn raise(config: &Config, role: Role) {
    let limit = match raise_limit() {
        Ok(limit) => limit,
        Err(error) => {
            debug!(%error, "the limit of open files stays as it is");
            return;
        }
    };
    let wanted = wanted(config, role);
    if limit < wanted {
        warn!(
            limit,
            wanted,
            "the process may have fewer files open than its listeners take connections; raise the hard limit \
             (LimitNOFILE= of systemd, `ulimit -Hn`), or lower connections_max"
        );
    }
}

/// Sets the soft limit, which is the one in force, to the hard one; returns what is in force then.
fn raise_limit() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// Returns how many files may be open at a time when every listener is full.
fn wanted(config: &Config, role: Role) -> u64 {
    let http = config.http.as_ref().map(|http| http.limits.connections_max);
    let pg = config.pg.as_ref().map(|pg| pg.limits.connections_max);
    let flight = config.flight.as_ref();
    let flight = flight.map(|flight| flight.limits.connections_max);
    let ingest = config.ingest_http.as_ref();
    let ingest = ingest.map(|ingest| ingest.connections.connections_max);
    let admin = config.admin.as_ref();
    let admin = admin.map(|admin| admin.limits.connections_max);
    let of_readers = [http, pg, flight].map(|of| of.filter(|_| role.reads()));
    let connections = of_readers
        .into_iter()
        .chain([ingest.filter(|_| role.writes()), admin])
        .flatten();
    connections.map(|count| count as u64).sum::<u64>() + FILES_BESIDE
}

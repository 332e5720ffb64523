//! How many files the process may have open, which connections are, too. A limit below what is configured is said at the
//! start, where it can still be raised by whoever starts the process; met later, it looks like a fault of the network.

use tracing::warn;

use super::Role;
use crate::config::Config;

#[cfg(test)]
mod tests;

/// Beside connections: journal, table files that are read, written and merged, what queries spill, libraries.
const FILES_BESIDE: u64 = 512;
/// Where Linux says it.
const LIMITS: &str = "/proc/self/limits";

/// Says where the limit is lower than what is configured. Where it cannot be read, nothing is known.
pub(super) fn check(config: &Config, role: Role) {
    let limits = std::fs::read_to_string(LIMITS).unwrap_or_default();
    let Some(limit) = limit_of(&limits) else {
        return;
    };
    let wanted = wanted(config, role);
    if limit < wanted {
        warn!(
            limit,
            wanted,
            "the process may have fewer files open than its listeners take connections; raise the limit (LimitNOFILE= of \
             systemd, `ulimit -n`), or lower connections_max"
        );
    }
}

/// Returns how many files may be open: the soft limit, which is the one in force.
fn limit_of(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Returns how many files may be open at a time when every listener is full.
fn wanted(config: &Config, role: Role) -> u64 {
    let http = config.http.as_ref().map(|http| http.limits.connections_max);
    let pg = config.pg.as_ref().map(|pg| pg.limits.connections_max);
    let flight = config.flight.as_ref();
    let flight = flight.map(|flight| flight.limits.connections_max);
    let ingest = config.ingest_http.as_ref();
    let ingest = ingest.map(|ingest| ingest.limits.connections_max);
    let admin = config.admin.as_ref();
    let admin = admin.map(|admin| admin.limits.connections_max);
    let of_readers = [http, pg, flight].map(|of| of.filter(|_| role.reads()));
    let connections = of_readers
        .into_iter()
        .chain([ingest.filter(|_| role.writes()), admin])
        .flatten();
    connections.map(|count| count as u64).sum::<u64>() + FILES_BESIDE
}

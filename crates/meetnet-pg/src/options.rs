//! Limits of the listener and who may use it. Every limit has a name and a unit.

use std::time::Duration;

use meetnet_access::Access;
use meetnet_query::ApiKeys;

/// Limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct PgLimits {
    /// Most connections at once; further ones are told so and closed.
    pub connections_max: usize,
    /// Most connections of one client.
    pub connections_per_client_max: usize,
    /// How long TLS, startup and password may take together.
    pub login_time_max: Duration,
    /// How long a connection may be silent between two statements.
    pub idle_time_max: Duration,
    /// How long a client may take nothing of its answer.
    pub stall_time_max: Duration,
    /// How long running statements may go on after the shutdown signal.
    pub drain_time_max: Duration,
    /// Length of one message of a client in bytes.
    pub message_bytes_max: usize,
    /// Prepared statements of one connection.
    pub statements_max: usize,
    /// Bytes of their names, texts, columns and parameters.
    pub statement_bytes_max: usize,
    /// Portals and cursors of one connection: a large answer that waits in one takes a place among running queries.
    pub portals_max: usize,
}

impl Default for PgLimits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            connections_per_client_max: 64,
            login_time_max: Duration::from_secs(15),
            idle_time_max: Duration::from_secs(30 * 60),
            stall_time_max: Duration::from_secs(60),
            drain_time_max: Duration::from_secs(10),
            message_bytes_max: 1024 * 1024,
            statements_max: 512,
            statement_bytes_max: 2 * 1024 * 1024,
            portals_max: 16,
        }
    }
}

/// What one listener offers.
#[derive(Clone, Debug, Default)]
pub struct PgOptions {
    /// Its limits.
    pub limits: PgLimits,
    /// Who may use it, and its TLS.
    pub access: Access,
    /// Holders of API keys: users of the key's name, with the key as password, and the limits of the key.
    pub keys: ApiKeys,
    /// Connections without TLS are refused.
    pub tls_required: bool,
}

//! Limits of the listener and who may use it. Every limit has a name and a unit.

use std::time::Duration;

use meetnet_access::Access;
use meetnet_query::ApiKeys;

/// Limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct FlightLimits {
    /// Most connections at once; further ones wait in the listener's backlog.
    pub connections_max: usize,
    /// Most connections of one client; further ones are closed.
    pub connections_per_client_max: usize,
    /// How long a new connection may take until a first call of it is let in, TLS and HTTP/2's preface included.
    pub login_time_max: Duration,
    /// How long a connection lives: then it is closed when its calls have ended, and clients open another by themselves.
    pub connection_time_max: Duration,
    /// Calls of one connection at a time; further ones wait in the client.
    pub calls_max: u32,
    /// How long running calls may go on after the shutdown signal.
    pub drain_time_max: Duration,
    /// Length of one message of a client in bytes.
    pub request_bytes_max: usize,
    /// How long the values of a prepared statement may take to arrive.
    pub request_time_max: Duration,
    /// Length that messages with rows are cut to, in bytes. Clients take 4 MiB, unless they are told to take more.
    pub message_bytes_max: usize,
    /// Prepared statements of all clients without a login, and as many of users, and as many tickets each. Where there are
    /// more, the one goes that was made, or used, first.
    pub statements_max: usize,
    /// Bytes of their texts, columns, parameters and values.
    pub statement_bytes_max: usize,
    /// How long a ticket is good, and a prepared statement that nobody uses.
    pub statement_time_max: Duration,
    /// How long a login is good.
    pub token_time_max: Duration,
}

impl Default for FlightLimits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            connections_per_client_max: 64,
            login_time_max: Duration::from_secs(15),
            connection_time_max: Duration::from_secs(60 * 60),
            calls_max: 16,
            drain_time_max: Duration::from_secs(10),
            request_bytes_max: 1024 * 1024,
            request_time_max: Duration::from_secs(30),
            message_bytes_max: 2 * 1024 * 1024,
            statements_max: 4096,
            statement_bytes_max: 32 * 1024 * 1024,
            statement_time_max: Duration::from_secs(10 * 60),
            token_time_max: Duration::from_secs(12 * 60 * 60),
        }
    }
}

/// What one listener offers.
#[derive(Clone, Debug, Default)]
pub struct FlightOptions {
    /// Its limits.
    pub limits: FlightLimits,
    /// Who may use it, and its TLS: with a certificate, every connection is encrypted.
    pub access: Access,
    /// Holders of API keys: by the key as a bearer token, or as the password of the key's name.
    pub keys: ApiKeys,
}

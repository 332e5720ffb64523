//! The PostgreSQL wire protocol, version 3.0: psql, drivers and BI tools query the datasets as they would a database.
//!
//! ```text
//! client ─▶ server (limits, TLS) ─▶ login (anonymous or SCRAM) ─▶ connection (messages) ─▶ session ─▶ meetnet-query
//!        ◀───────────────── values (text or binary) ◀── batches ◀──────────────────────────────┘
//! ```
//!
//! Every statement, simple or prepared, described or run, goes through `QueryService` in a public session: its guard,
//! limits and admission are the only ones. What is sent is written by the message types of `pgwire`; what comes in is
//! read by `frontend`, which trusts no length, because `pgwire` reads past the end of a short message and panics.
//! *Knows nothing of HTTP, names no DataFusion.*

mod options;
mod server;

mod cancel;
mod login;
mod scram;

mod connection;
mod portal;
mod session;

mod command;
mod copy;
mod error;
mod frontend;
mod parameter;
mod values;
mod wire;

pub use options::{PgLimits, PgOptions};
pub use server::serve;

#[cfg(test)]
mod tests;

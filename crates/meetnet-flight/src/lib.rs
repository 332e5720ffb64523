//! Arrow Flight SQL: the open datasets for ADBC, JDBC and notebooks, as record batches over gRPC.
//!
//! ```text
//! client ─▶ server (limits, TLS) ─▶ gate (who is it?) ─▶ service ── GetFlightInfo: planned ─▶ ticket ─┐
//!        ◀── messages below 4 MiB ◀── stream ◀── batches ◀── meetnet-query ◀── DoGet: run ◀───────────┘
//! ```
//!
//! Every statement, prepared or not, described or run, goes through `QueryService` in a public session: its guard,
//! limits and admission are the only ones. A ticket is a random number for a statement that was planned and not yet run;
//! nothing of it is in the client's hands but that number. *Knows nothing of HTTP's routes, names no DataFusion.*

mod options;
mod server;

mod connection;
mod gate;
mod handles;
mod login;

mod answer;
mod catalogue;
mod command;
mod error;
mod fit;
mod info;
mod parameters;
mod scope;
mod service;
mod session;
mod statements;

pub use options::{FlightLimits, FlightOptions};
pub use server::serve;

#[cfg(test)]
mod tests;

//! The HTTP service: SQL over HTTP, the dataset API, downloads, the catalogue, the portal's pages, health, and the
//! operations page.
//!
//! ```text
//! client -> serve (limits) -> public_router -> sql ------> meetnet-query -> body (stream)
//!                                           -> rows -----> meetnet-query -> page, link to the next
//!                                           -> datasets -> overview -> lake snapshot
//!                                           -> files ----> lake snapshot -> bytes of a file
//!                                           -> dcat -----> overview, as a catalogue for harvesters
//!                                           -> figures --> committed rows of the dataset that judges others
//!                                           -> portal ---> overview; of one dataset with its newest rows
//! operator -> serve -> admin_router -> /metrics, operations page
//! any problem -> problem -> application/problem+json, or a page for browsers
//! ```
//!
//! It reads the lake through snapshots and queries only; it writes nothing and knows nothing of MQTT or Parquet.

mod router;
mod state;

mod datasets;
mod dcat;
mod figures;
mod files;
mod queries;
mod rows;
mod sql;

mod portal;

mod admin;
mod health;

mod serve;

mod arrivals;
mod assets;
mod body;
mod client;
mod coding;
mod conditional;
mod cursor;
mod head;
mod limits;
mod links;
mod negotiate;
mod openapi;
mod overview;
mod parameters;
mod problem;
mod process;
mod proof;
mod readable;
mod respond;
mod results;
mod security;
mod stall;
mod telemetry;

#[cfg(test)]
mod fixture;

pub use admin::{
    AdminState, BackfillRow, DiskStatus, FailingRow, JournalStatus, LeftSessionRow,
    OperationsStatus, RejectRow, RetentionRow, SourceRow, UnclaimedRow, admin_router,
};
pub use client::{AddressRange, ClientSettings, NoRange};
pub use figures::FiguresCache;
pub use health::{BrokerReport, Readiness, ReadinessReport, ReplayReport, SUBSCRIBE_WAIT};
pub use problem::{Problem, ProblemKind};
pub use router::public_router;
pub use serve::{ServeLimits, serve, serve_behind, serve_with};
pub use state::{OtherListener, PublishSettings, PublishState, SavedQuery, SharedDeclarations};

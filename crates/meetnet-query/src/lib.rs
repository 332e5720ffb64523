//! SQL over the lake: one consistent snapshot per query, read only, within limits.
//!
//! ```text
//! lake snapshot ─▶ catalog ─▶ table provider ─▶ DataFusion (own runtime) ─▶ answer (bounded channel) ─▶ encoder
//!                  public      files − masks     guard, limits, timeout       through, stable_time       json, csv, …
//!                  tables      + hot rows,
//!                              now, as of, history
//! ```
//!
//! Whoever asks, over whichever protocol, is a [`Client`]: admission, limits and audit are here, once for all listeners.
//!
//! It knows nothing of HTTP, writes nothing but temporary files, and never runs work on its caller's runtime.

mod admission;
mod answer;
mod as_of;
mod audit;
mod calls_apart;
mod catalog;
mod client;
mod connections;
mod cooperative;
mod described_columns;
mod each_batch;
pub mod encode;
mod error;
mod giving_way;
mod guard;
mod held_rows;
mod hints;
mod in_turn;
mod keys;
mod latest;
mod licences;
mod looked_up;
mod memory;
mod options;
mod outer_constants;
mod page;
mod parameters;
mod parse;
mod placeholders;
mod planning;
pub mod postgres;
mod reach;
mod room;
mod runs;
mod runtime_end;
mod serial;
mod service;
mod session;
mod spill;
mod state;
mod stop;
mod stopping;
mod summary;
mod table;
mod times_first;
mod turns;
mod unread;
mod wide_rows;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod slt;

pub use admission::Places;
pub use answer::{AnswerStream, QueryAnswer, Tally};
pub use audit::{Audit, AuditEntry};
pub use catalog::{CATALOG, HISTORY_SUFFIX, SCHEMA, TableDescription, TableKind};
pub use client::{Client, Protocol};
pub use connections::accepted;
pub use encode::{Format, RowWriter, RowsEnd, TableStyle, encode, encode_page};
pub use error::{QueryError, QueryErrorKind, SharedLimit, StatementFault, nearest};
pub use hints::closed_values;
pub use keys::{ApiKey, ApiKeys, KeyDigest, KeyLimits, NoDigest};
pub use licences::licences;
pub use options::{Dialect, QueryOptions, QueryRequest, SessionKind};
pub use page::{
    BucketAggregate, Every, Page, PageArea, PageBuckets, PageCondition, PageRequest, PageTest,
    PageValue, PlaceBounds, bounds_of, places_of,
};
pub use parameters::{ParameterValue, Parameters, positional};
pub use planning::{StatementDescription, refused_statements};
pub use runtime_end::end_elsewhere;
pub use service::QueryService;
pub use state::AnswerState;
pub use summary::{DatasetSummary, dataset_summary};
pub use table::schema::{IRI_KEY, UNIT_KEY, public_schema};

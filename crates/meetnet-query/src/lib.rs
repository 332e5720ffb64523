//! SQL over the lake: one consistent snapshot per query, read only, within limits.
//!
//! ```text
//! lake snapshot ─▶ catalog ─▶ table provider ─▶ DataFusion (own runtime) ─▶ answer (bounded channel) ─▶ encoder
//!                  public      files − masks     guard, limits, timeout       through, stable_time       json, csv, …
//!                  tables      + hot rows,
//!                              now, as of, history
//! ```
//!
//! It knows nothing of HTTP, writes nothing, and never runs work on its caller's runtime.

mod admission;
mod answer;
mod as_of;
mod catalog;
mod cooperative_joins;
pub mod encode;
mod error;
mod functions;
mod guard;
mod latest;
mod options;
mod page;
mod parameters;
mod parse;
mod planning;
pub mod postgres;
mod reach;
mod runs;
mod service;
mod session;
mod state;
mod summary;
mod table;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod slt;

pub use answer::{AnswerStream, QueryAnswer, Tally};
pub use encode::{Format, RowWriter, RowsEnd, TableStyle, encode, encode_page};
pub use error::{QueryError, QueryErrorKind};
pub use options::{Dialect, QueryOptions, QueryRequest, SessionKind};
pub use page::{
    BucketAggregate, Every, Page, PageArea, PageBuckets, PageCondition, PageRequest, PageTest,
    PageValue, places_of,
};
pub use parameters::{ParameterValue, Parameters, positional};
pub use planning::StatementDescription;
pub use service::QueryService;
pub use state::AnswerState;
pub use summary::{DatasetSummary, dataset_summary};
pub use table::schema::{IRI_KEY, UNIT_KEY, public_schema};

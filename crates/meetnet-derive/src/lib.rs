//! Derived datasets: hourly and daily values, indices and exceedances, computed from committed rows.
//!
//! ```text
//! table logs ─▶ what was recorded since, what became due ─▶ spans ─▶ rows in key order ─▶ fold ─▶ chunks ─▶ pipeline
//! ```
//!
//! `gather` brings rows of several datasets together by place. `assess` makes figures about how good the observed datasets
//! are, in the same way.
//!
//! docs/decisions/0005-derived-datasets.md says why it is exact, and what it costs. A derived row is a function of the
//! current rows of its series and bucket; `plan` holds the function, `fold` applies it, `due` says which rows are to be
//! computed, `deriver` goes from one committed state of the inputs to the next. It knows nothing of HTTP, MQTT or
//! DataFusion; whoever takes the chunks implements [`DerivedTables`].

mod assess;
mod compute;
mod deriver;
mod due;
mod error;
mod fold;
mod gather;
mod input;
mod outbox;
mod passed;
mod plan;
mod position;
mod reached;
mod reference;
#[cfg(test)]
mod testing;

pub use deriver::{DerivedChunk, DerivedTables, Deriver, Round};
pub use due::{Span, Wanted};
pub use error::DeriveError;
pub use fold::{Finished, Fold};
pub use plan::{Plan, Series};

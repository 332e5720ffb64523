//! Quality flags of rows about to be inserted: the IOOS QARTOD primary level and the tests that did not pass.
//!
//! `decoded rows -> key look-up -> [quality] -> hot rows`. Values are never changed here, and nothing is dropped.
//! Tests of rows look backwards only; [`settle`] and [`neighbour`] are for the settle pass. docs/quality.md says what each
//! test does and where it differs from `ioos_qc`. It knows no wire format and does no I/O.

pub mod backward;
pub mod batch;
pub mod history;
mod names;
pub mod neighbour;
#[cfg(test)]
mod plain;
mod rules;
pub mod series;
pub mod settle;
pub mod value;

pub use self::rules::{QualityRules, RowFacts, as_floats, with_series_flags};

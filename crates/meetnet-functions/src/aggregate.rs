//! Aggregates over the observations of a series: the first and the last one, an average by time, and how many came.

mod coverage;
mod edge;
mod weighted;

pub(crate) use coverage::{COVERAGE, Coverage};
pub(crate) use edge::{Edge, FIRST, FirstOrLast, LAST};
pub(crate) use weighted::{TIME_WEIGHTED_AVG, TimeWeighted};

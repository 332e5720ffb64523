//! Aggregates over the observations of a series: the first and the last one, the most frequent, an average by time, and how many
//! came.

mod coverage;
mod edge;
mod mode;
mod percentiles;
mod weighted;

pub(crate) use coverage::{COVERAGE, Coverage};
pub(crate) use edge::{Edge, FIRST, FirstOrLast, LAST};
pub(crate) use mode::{MODE, Mode};
pub(crate) use percentiles::{APPROX_PERCENTILE_CONT, MEDIAN, PERCENTILE_CONT, PERCENTILE_DISC};
pub(crate) use weighted::{TIME_WEIGHTED_AVG, TimeWeighted};

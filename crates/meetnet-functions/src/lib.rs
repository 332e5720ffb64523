//! SQL functions for analysts of sensors: time by the clocks of a zone, gaps, places, units and indices.
//!
//! ```text
//! meetnet-model (buckets, grids, units, indices) ─▶ functions over Arrow arrays ─▶ session of meetnet-query
//! ```
//!
//! What is computed stands in `meetnet-model` wherever others need it too; here it meets DataFusion: types of arguments,
//! whole columns at once, order and ranges for the planner, limits. It knows no dataset, no snapshot and no file. Unless
//! a description says otherwise, NULL in is NULL out.

mod aggregate;
mod call;
mod described;
mod measure;
mod number;
mod place;
mod scalar;
mod time;
mod window;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub use described::{FunctionDescription, FunctionKind};
pub use time::{GRID_BUCKETS_MAX, justified};

use aggregate::{Coverage, Edge, FirstOrLast, Mode, TimeWeighted};
use scalar::{ScalarFunction, ScalarSpec};
use time::{DateTrunc, LongParts, PARTS, Spans, TimeBucket, TimeGrid, TimePart};
use window::{Interpolate, Locf};

/// Metadata key of a field's UCUM unit.
pub const UNIT_KEY: &str = "unit";

/// Every scalar function but `time_bucket`, which tells the planner more.
fn scalars() -> impl Iterator<Item = &'static ScalarSpec> {
    let of_values = measure::SCALARS.iter().chain(number::SCALARS);
    let of_places = place::SCALARS.iter();
    of_places.chain(of_values).chain(time::SCALARS).copied()
}

/// Adds the functions to a session.
///
/// # Errors
/// Where the session takes no functions.
pub fn register(state: &mut SessionState) -> Result<()> {
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(TimeBucket::new())))?;
    // Takes the place of DataFusion's.
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(DateTrunc::default())))?;
    for part in PARTS {
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(TimePart::new(part))))?;
    }
    state.register_function_rewrite(Arc::new(Spans::new()))?;
    state.register_function_rewrite(Arc::new(LongParts::new()))?;
    for spec in scalars() {
        let function = ScalarFunction::new(spec);
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    for edge in [Edge::First, Edge::Last] {
        let function = FirstOrLast::new(edge);
        state.register_udaf(Arc::new(AggregateUDF::new_from_impl(function)))?;
    }
    state.register_udaf(Arc::new(AggregateUDF::new_from_impl(TimeWeighted::new())))?;
    state.register_udaf(Arc::new(AggregateUDF::new_from_impl(Coverage::new())))?;
    state.register_udaf(Arc::new(AggregateUDF::new_from_impl(Mode::new())))?;
    state.register_udwf(Arc::new(WindowUDF::new_from_impl(Locf::new())))?;
    state.register_udwf(Arc::new(WindowUDF::new_from_impl(Interpolate::new())))?;
    state.register_udtf(time::GRID.name, Arc::new(TimeGrid));
    Ok(())
}

/// Returns what the functions are, in the order to read about them.
pub fn descriptions() -> impl Iterator<Item = &'static FunctionDescription> {
    let of_series = [
        &time::BUCKET,
        &time::GRID,
        &window::LOCF,
        &window::INTERPOLATE,
        &aggregate::FIRST,
        &aggregate::LAST,
        &aggregate::TIME_WEIGHTED_AVG,
        &aggregate::COVERAGE,
        &aggregate::MODE,
        &aggregate::PERCENTILE_CONT,
        &aggregate::PERCENTILE_DISC,
        &aggregate::APPROX_PERCENTILE_CONT,
        &aggregate::MEDIAN,
    ];
    of_series
        .into_iter()
        .chain(scalars().map(|spec| spec.description))
}

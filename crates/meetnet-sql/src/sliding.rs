//! Sums, means and variances of floats over frames that move, where nothing is ever taken back out.
//!
//! ```text
//! leaves ◀─ front: summaries, each of a value and all behind it in front ┊ back: values ◀─ enters
//! ```
//!
//! DataFusion 55.2 takes what leaves a frame off what it has added up, and floats keep what was lost on the way: `1e17 + 1 - 1e17`
//! is 0, the mean of nothing but zeros came out below 0 behind other values, a variance too, and one infinity made all that came
//! after it NaN. A queue of two stacks needs no subtraction: values enter at the back, and whenever the front is empty all of
//! them become summaries there. Each value is moved once, so that a row costs the same however long its frame is.
//!
//! What cannot be taken back out of at all is computed anew for each row, of so many rows: [`recomputed`].
//!
//! Variances, correlations and regressions of whole groups, and of frames that begin with their partition and only grow, are made of
//! the same summaries: [`whole`]. Everything else is what it was: other types, and sums and means of whole groups.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};

use recomputed::Recomputing;
use whole::Whole;

use crate::aggregates::{Overrides, column_of, override_function};

mod recomputed;
#[cfg(test)]
mod tests;
mod whole;

/// Functions that take values back out of floats.
const FUNCTIONS: [&str; 17] = [
    "sum",
    "avg",
    "var",
    "var_pop",
    "stddev",
    "stddev_pop",
    "covar_samp",
    "covar_pop",
    "corr",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
    "regr_avgx",
    "regr_avgy",
    "regr_sxx",
    "regr_syy",
    "regr_sxy",
];

/// Puts functions over frames in the place of those of a session.
///
/// # Errors
/// Where the session has not one of them.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    // First, so that what stands around them asks them.
    for name in whole::FUNCTIONS {
        override_function(state, name, Whole)?;
    }
    for name in FUNCTIONS {
        override_function(state, name, Sliding)?;
    }
    for name in recomputed::FUNCTIONS {
        override_function(state, name, Recomputing)?;
    }
    Ok(())
}

/// Adds up floats over frames in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sliding;

impl Overrides for Sliding {
    fn create_sliding_accumulator(
        self,
        inner: &Arc<AggregateUDF>,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        let mut inputs = args.expr_fields.iter().map(|field| field.data_type());
        let is_of_floats = *args.return_type() == DataType::Float64
            && inputs.all(|input| *input == DataType::Float64);
        if is_of_floats
            && !args.is_distinct
            && let Some(accumulator) = over_frames(inner.name())
        {
            return Ok(accumulator);
        }
        inner.create_sliding_accumulator(args)
    }
}

/// What a function answers of a summary, and of how many values it is one; None is NULL.
#[derive(Clone, Copy)]
enum Answer {
    Total(fn(f64, usize) -> Option<f64>),
    Variance(fn(Moments, usize) -> Option<f64>),
    Regression(fn(Pairs, usize) -> Option<f64>),
}

/// Returns what a function of floats answers; None for a function that nothing here knows.
fn answer_of(function: &str) -> Option<Answer> {
    use Answer::{Regression, Total, Variance};
    Some(match function {
        "sum" => Total(|sum, values| (values > 0).then_some(sum)),
        "avg" => Total(|sum, values| (values > 0).then_some(sum / values as f64)),
        "var" => Variance(|moments, _| moments.sample()),
        "var_pop" => Variance(|moments, _| moments.population()),
        "stddev" => Variance(|moments, _| moments.sample().map(f64::sqrt)),
        "stddev_pop" => Variance(|moments, _| moments.population().map(f64::sqrt)),
        "covar_samp" => {
            Regression(|pairs, values| (values > 1).then_some(pairs.product / (pairs.count - 1.0)))
        }
        "covar_pop" => {
            Regression(|pairs, values| (values > 0).then_some(pairs.product / pairs.count))
        }
        "corr" => Regression(|pairs, _| pairs.correlation()),
        "regr_slope" => Regression(|pairs, _| pairs.slope()),
        "regr_intercept" => Regression(|pairs, _| pairs.intercept()),
        "regr_r2" => Regression(|pairs, _| pairs.determination()),
        "regr_avgx" => Regression(|pairs, values| (values > 0).then_some(pairs.mean[X])),
        "regr_avgy" => Regression(|pairs, values| (values > 0).then_some(pairs.mean[Y])),
        "regr_sxx" => Regression(|pairs, values| (values > 0).then_some(pairs.squares[X])),
        "regr_syy" => Regression(|pairs, values| (values > 0).then_some(pairs.squares[Y])),
        "regr_sxy" => Regression(|pairs, values| (values > 0).then_some(pairs.product)),
        _ => return None,
    })
}

/// Returns what computes a function of floats over frames; None for a function that nothing here knows.
fn over_frames(function: &str) -> Option<Box<dyn Accumulator>> {
    Some(match answer_of(function)? {
        Answer::Total(answer) => over(answer),
        Answer::Variance(answer) => over(answer),
        Answer::Regression(answer) => over(answer),
    })
}

/// Returns what answers a summary and how many values it is of.
fn over<S: Summary>(answer: fn(S, usize) -> Option<f64>) -> Box<dyn Accumulator> {
    Box::new(OverFrames {
        frame: Frame::new(),
        answer,
    })
}

/// What is known of values that follow each other.
trait Summary: Copy + Debug + Send + Sync + 'static {
    /// What a row gives.
    type Value: Copy + Debug + Send + Sync;
    /// Of no value at all.
    const NONE: Self;

    /// Returns that of one value.
    fn of(value: Self::Value) -> Self;

    /// Returns that of these values and `later` ones.
    fn and(self, later: Self) -> Self;

    /// Calls `each` with the positions and the values of rows that have one.
    fn each(columns: &[ArrayRef], each: impl FnMut(usize, Self::Value)) -> Result<()>;
}

/// Returns a column of arguments.
fn floats(columns: &[ArrayRef], position: usize) -> Result<&Float64Array> {
    column_of::<Float64Type>(columns, position, "a function over frames")
}

/// The sum of values.
impl Summary for f64 {
    type Value = f64;
    const NONE: Self = 0.0;

    fn of(value: f64) -> Self {
        value
    }

    fn and(self, later: Self) -> Self {
        self + later
    }

    fn each(columns: &[ArrayRef], mut each: impl FnMut(usize, f64)) -> Result<()> {
        let column = floats(columns, 0)?;
        if column.null_count() == 0 {
            for (row, value) in column.values().iter().enumerate() {
                each(row, *value);
            }
            return Ok(());
        }
        for (row, value) in column.iter().enumerate() {
            if let Some(value) = value {
                each(row, value);
            }
        }
        Ok(())
    }
}

/// How many values there are, their mean, and the squares of their distances from it, added up.
#[derive(Clone, Copy, Debug)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

/// Returns how far a value is from the mean of itself alone: NaN where it is not finite, as in PostgreSQL.
#[inline]
fn apart_from_itself(value: f64) -> f64 {
    if value.is_finite() { 0.0 } else { f64::NAN }
}

/// Returns the mean of all values, of which those behind the first are such a share.
#[inline]
fn mean_of(first: f64, later: f64, share: f64) -> f64 {
    let apart = later - first;
    if apart.is_finite() {
        // Equal means stay what they are.
        first + apart * share
    } else {
        // Of an infinity and what is finite it is that infinity.
        first * (1.0 - share) + later * share
    }
}

impl Summary for Moments {
    type Value = f64;
    const NONE: Self = Self {
        count: 0.0,
        mean: 0.0,
        squares: 0.0,
    };

    #[inline]
    fn of(value: f64) -> Self {
        Self {
            count: 1.0,
            mean: value,
            squares: apart_from_itself(value),
        }
    }

    /// After Chan, Golub and LeVeque (1979): no term is negative.
    #[inline]
    fn and(self, later: Self) -> Self {
        if self.count == 0.0 {
            return later;
        }
        if later.count == 0.0 {
            return self;
        }
        let count = self.count + later.count;
        let share = later.count / count;
        let apart = later.mean - self.mean;
        Self {
            count,
            mean: mean_of(self.mean, later.mean, share),
            squares: self.squares + later.squares + apart * apart * self.count * share,
        }
    }

    fn each(columns: &[ArrayRef], each: impl FnMut(usize, f64)) -> Result<()> {
        <f64 as Summary>::each(columns, each)
    }
}

impl Moments {
    fn sample(self) -> Option<f64> {
        (self.count > 1.0).then_some(self.squares / (self.count - 1.0))
    }

    fn population(self) -> Option<f64> {
        (self.count > 0.0).then_some(self.squares / self.count)
    }
}

/// Where the dependent value of a pair stands, which is the first argument.
const Y: usize = 0;
/// Where the independent one stands.
const X: usize = 1;

/// The same of pairs of values, and the products of their distances.
#[derive(Clone, Copy, Debug)]
struct Pairs {
    count: f64,
    mean: [f64; 2],
    squares: [f64; 2],
    product: f64,
}

impl Summary for Pairs {
    type Value = [f64; 2];
    const NONE: Self = Self {
        count: 0.0,
        mean: [0.0; 2],
        squares: [0.0; 2],
        product: 0.0,
    };

    #[inline]
    fn of(pair: [f64; 2]) -> Self {
        let squares = pair.map(apart_from_itself);
        Self {
            count: 1.0,
            mean: pair,
            squares,
            product: squares[Y] + squares[X],
        }
    }

    #[inline]
    fn and(self, later: Self) -> Self {
        if self.count == 0.0 {
            return later;
        }
        if later.count == 0.0 {
            return self;
        }
        let count = self.count + later.count;
        let share = later.count / count;
        let apart = [Y, X].map(|at| later.mean[at] - self.mean[at]);
        let weight = self.count * share;
        Self {
            count,
            mean: [Y, X].map(|at| mean_of(self.mean[at], later.mean[at], share)),
            squares: [Y, X]
                .map(|at| self.squares[at] + later.squares[at] + apart[at] * apart[at] * weight),
            product: self.product + later.product + apart[Y] * apart[X] * weight,
        }
    }

    fn each(columns: &[ArrayRef], mut each: impl FnMut(usize, [f64; 2])) -> Result<()> {
        let (first, second) = (floats(columns, Y)?, floats(columns, X)?);
        if first.null_count() == 0 && second.null_count() == 0 {
            let pairs = first.values().iter().zip(second.values());
            for (row, (first, second)) in pairs.enumerate() {
                each(row, [*first, *second]);
            }
            return Ok(());
        }
        for (row, pair) in first.iter().zip(second).enumerate() {
            if let (Some(first), Some(second)) = pair {
                each(row, [first, second]);
            }
        }
        Ok(())
    }
}

/// As PostgreSQL has them: where `x` does not vary there is no line, and what is not finite makes NaN.
impl Pairs {
    /// NULL where one of both does not vary.
    fn correlation(self) -> Option<f64> {
        if self.count == 0.0 || self.squares.contains(&0.0) {
            return None;
        }
        let [of_y, of_x] = self.squares;
        let both = (of_y * of_x).sqrt();
        // A product of what is very large or very small does not fit.
        Some(if both.is_normal() {
            self.product / both
        } else {
            self.product / of_y.sqrt() / of_x.sqrt()
        })
    }

    fn slope(self) -> Option<f64> {
        let has_slope = self.count > 0.0 && self.squares[X] != 0.0;
        has_slope.then_some(self.product / self.squares[X])
    }

    fn intercept(self) -> Option<f64> {
        let slope = self.slope()?;
        Some(self.mean[Y] - slope * self.mean[X])
    }

    /// 1 where `y` does not vary: the line goes through all of it.
    fn determination(self) -> Option<f64> {
        let slope = self.slope()?;
        Some(match self.squares[Y] {
            0.0 => 1.0,
            of_y => slope * (self.product / of_y),
        })
    }
}

/// The values of a frame: what comes first leaves first.
#[derive(Debug)]
struct Frame<S: Summary> {
    /// For each of the values that came first, the summary of it and of those behind it in here; the oldest is last.
    front: Vec<S>,
    /// The values that came later, in order.
    back: Vec<S::Value>,
    /// The summary of these.
    back_summary: S,
}

impl<S: Summary> Frame<S> {
    fn new() -> Self {
        Self {
            front: Vec::new(),
            back: Vec::new(),
            back_summary: S::NONE,
        }
    }

    fn push(&mut self, value: S::Value) {
        self.back.push(value);
        self.back_summary = self.back_summary.and(S::of(value));
    }

    fn pop(&mut self) {
        if self.front.is_empty() {
            // Exactly as much as there is: memory is charged by the row (`held_rows`).
            self.front.reserve_exact(self.back.len());
            let mut summary = S::NONE;
            for value in self.back.drain(..).rev() {
                summary = S::of(value).and(summary);
                self.front.push(summary);
            }
            self.back_summary = S::NONE;
        }
        self.front.pop();
    }

    fn len(&self) -> usize {
        self.front.len() + self.back.len()
    }

    fn summary(&self) -> S {
        let front = self.front.last().copied().unwrap_or(S::NONE);
        front.and(self.back_summary)
    }
}

/// A function over a frame that moves.
#[derive(Debug)]
struct OverFrames<S: Summary> {
    frame: Frame<S>,
    answer: fn(S, usize) -> Option<f64>,
}

impl<S: Summary> Accumulator for OverFrames<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        S::each(values, |_, value| self.frame.push(value))
    }

    /// What leaves is what came first: only how many there are is asked for.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        S::each(values, |_, _| self.frame.pop())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answer = (self.answer)(self.frame.summary(), self.frame.len());
        Ok(ScalarValue::Float64(answer))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(undivided())
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(undivided())
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.frame.front.capacity() * size_of::<S>()
            + self.frame.back.capacity() * size_of::<S::Value>()
    }
}

/// The error of what no plan does: a window is computed in one place.
fn undivided() -> DataFusionError {
    let message = "a function over frames has no partial results";
    DataFusionError::Internal(message.to_owned())
}

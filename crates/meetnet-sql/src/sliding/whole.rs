//! Variances, correlations and regressions of whole groups, made of the same summaries as those over frames.
//!
//! DataFusion 55.2 adds up squares for `corr` of groups, of which a column that does not vary, or hardly, leaves what was rounded:
//! a correlation of something with nothing. Partial means that are weighted have such rests, too. And where PostgreSQL answers
//! NULL, 1 or NaN, of columns that do not vary or are not finite, it answers something else, now this and now that.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator};

use super::{Answer, Moments, Pairs, Summary, X, Y, answer_of, floats};
use crate::aggregates::Overrides;

/// Functions that are made of such summaries.
pub(super) const FUNCTIONS: [&str; 15] = [
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

/// Computes a function of floats over whole groups in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Whole;

impl Overrides for Whole {
    fn accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        match computed(inner, args.is_distinct) {
            Some(Answer::Variance(answer)) => Ok(Box::new(OfGroup::new(answer))),
            Some(Answer::Regression(answer)) => Ok(Box::new(OfGroup::new(answer))),
            _ => inner.accumulator(args),
        }
    }

    fn state_fields(
        self,
        inner: &dyn AggregateUDFImpl,
        args: StateFieldsArgs,
    ) -> Result<Vec<FieldRef>> {
        match computed(inner, args.is_distinct) {
            Some(Answer::Variance(_)) => Ok(fields::<Moments>(args.name)),
            Some(Answer::Regression(_)) => Ok(fields::<Pairs>(args.name)),
            _ => inner.state_fields(args),
        }
    }

    /// Also of those that DataFusion computes with an accumulator for each group.
    fn groups_accumulator_supported(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> bool {
        computed(inner, args.is_distinct).is_some() || inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match computed(inner, args.is_distinct) {
            Some(Answer::Variance(answer)) => Ok(Box::new(OfGroups::new(answer))),
            Some(Answer::Regression(answer)) => Ok(Box::new(OfGroups::new(answer))),
            _ => inner.create_groups_accumulator(args),
        }
    }
}

/// Returns what a function answers that is computed here; None for one of DISTINCT values, which DataFusion gathers.
fn computed(inner: &dyn AggregateUDFImpl, is_distinct: bool) -> Option<Answer> {
    match is_distinct {
        true => None,
        false => answer_of(inner.name()),
    }
}

/// A summary that is kept and handed on in parts, each of them a float.
trait Kept: Summary {
    /// What the parts are called; the first is how many values there are.
    const PARTS: &'static [&'static str];

    /// Returns one of the parts.
    fn part(&self, at: usize) -> f64;

    /// Returns the summary of these parts.
    fn of_parts(part: impl Fn(usize) -> f64) -> Self;

    /// Returns how many values it is of.
    fn values(&self) -> usize {
        self.part(0) as usize
    }
}

impl Kept for Moments {
    const PARTS: &'static [&'static str] = &["count", "mean", "squares"];

    fn part(&self, at: usize) -> f64 {
        [self.count, self.mean, self.squares][at]
    }

    fn of_parts(part: impl Fn(usize) -> f64) -> Self {
        Self {
            count: part(0),
            mean: part(1),
            squares: part(2),
        }
    }
}

impl Kept for Pairs {
    const PARTS: &'static [&'static str] = &[
        "count",
        "mean_y",
        "mean_x",
        "squares_y",
        "squares_x",
        "product",
    ];

    fn part(&self, at: usize) -> f64 {
        [
            self.count,
            self.mean[Y],
            self.mean[X],
            self.squares[Y],
            self.squares[X],
            self.product,
        ][at]
    }

    fn of_parts(part: impl Fn(usize) -> f64) -> Self {
        Self {
            count: part(0),
            mean: [part(1), part(2)],
            squares: [part(3), part(4)],
            product: part(5),
        }
    }
}

/// Returns the fields of a summary that is handed on.
fn fields<S: Kept>(name: &str) -> Vec<FieldRef> {
    let fields = S::PARTS.iter().map(|part| {
        let field = Field::new(format_state_name(name, part), DataType::Float64, true);
        Arc::new(field)
    });
    fields.collect()
}

/// Returns summaries as the columns of [`fields`].
fn columns_of<S: Kept>(summaries: &[S]) -> Vec<ArrayRef> {
    let columns = (0..S::PARTS.len()).map(|at| {
        let parts = summaries.iter().map(|summary| summary.part(at));
        Arc::new(Float64Array::from_iter_values(parts)) as ArrayRef
    });
    columns.collect()
}

/// Calls `each` with the positions and the summaries in such columns.
fn each_summary<S: Kept>(columns: &[ArrayRef], mut each: impl FnMut(usize, S)) -> Result<()> {
    let parts = (0..S::PARTS.len()).map(|at| floats(columns, at));
    let parts: Vec<&Float64Array> = parts.collect::<Result<_>>()?;
    let rows = parts.first().map_or(0, |part| part.len());
    for row in 0..rows {
        each(row, S::of_parts(|at| parts[at].value(row)));
    }
    Ok(())
}

/// Returns true for a row that a FILTER lets through.
fn is_taken(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// A function of all that it is given.
#[derive(Debug)]
struct OfGroup<S: Kept> {
    summary: S,
    answer: fn(S, usize) -> Option<f64>,
}

impl<S: Kept> OfGroup<S> {
    fn new(answer: fn(S, usize) -> Option<f64>) -> Self {
        Self {
            summary: S::NONE,
            answer,
        }
    }
}

impl<S: Kept> Accumulator for OfGroup<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        S::each(values, |_, value| {
            self.summary = self.summary.and(S::of(value));
        })
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        each_summary(states, |_, summary| {
            self.summary = self.summary.and(summary);
        })
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let parts = (0..S::PARTS.len()).map(|at| ScalarValue::from(self.summary.part(at)));
        Ok(parts.collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answer = (self.answer)(self.summary, self.summary.values());
        Ok(ScalarValue::Float64(answer))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// A function of many groups.
#[derive(Debug)]
struct OfGroups<S: Kept> {
    summaries: Vec<S>,
    answer: fn(S, usize) -> Option<f64>,
}

impl<S: Kept> OfGroups<S> {
    fn new(answer: fn(S, usize) -> Option<f64>) -> Self {
        Self {
            summaries: Vec::new(),
            answer,
        }
    }
}

impl<S: Kept> GroupsAccumulator for OfGroups<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.summaries.resize(total_num_groups, S::NONE);
        S::each(values, |row, value| {
            if is_taken(opt_filter, row) {
                let summary = &mut self.summaries[group_indices[row]];
                *summary = summary.and(S::of(value));
            }
        })
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.summaries.resize(total_num_groups, S::NONE);
        each_summary(values, |row, later| {
            let summary = &mut self.summaries[group_indices[row]];
            *summary = summary.and(later);
        })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let summaries = emit_to.take_needed(&mut self.summaries);
        let answers = summaries
            .iter()
            .map(|summary| (self.answer)(*summary, summary.values()));
        Ok(Arc::new(answers.collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let summaries = emit_to.take_needed(&mut self.summaries);
        Ok(columns_of(&summaries))
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut summaries = vec![S::NONE; rows];
        S::each(values, |row, value| {
            if is_taken(opt_filter, row) {
                summaries[row] = S::of(value);
            }
        })?;
        Ok(columns_of(&summaries))
    }

    fn size(&self) -> usize {
        self.summaries.capacity() * size_of::<S>()
    }
}

//! One of several spans of time, chosen by how long they are, and answered as it is written.
//!
//! `least(INTERVAL '30 days', INTERVAL '2 months')` is `30 days`, not the month that they are compared as. Of two that are as long
//! the first is answered, and NULL is none, as in PostgreSQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{as_justified, uncalled};
use crate::rewrite;

/// Which of its arguments a function answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    Greatest,
    Least,
    /// The first of two, where they differ.
    Other,
}

impl Choice {
    /// Returns what a function of this name chooses; None for all that compare nothing.
    pub(super) fn of(function: &str) -> Option<Self> {
        match function {
            "greatest" => Some(Self::Greatest),
            "least" => Some(Self::Least),
            "nullif" => Some(Self::Other),
            _ => None,
        }
    }

    /// Returns the call that chooses among intervals.
    pub(super) fn call(self, among: Vec<Expr>) -> Expr {
        let function = ScalarUDF::new_from_impl(ChosenInterval {
            choice: self,
            signature: Signature::variadic_any(Volatility::Immutable),
        });
        function.call(among)
    }

    /// Returns the interval that is chosen of one row.
    ///
    /// # Errors
    /// Where one has more months than there are.
    fn among(
        self,
        spans: impl IntoIterator<Item = Option<IntervalMonthDayNano>>,
    ) -> Result<Option<IntervalMonthDayNano>> {
        // What it is compared as, and what it is.
        let mut chosen: Option<(IntervalMonthDayNano, IntervalMonthDayNano)> = None;
        for (position, span) in spans.into_iter().enumerate() {
            let Some(span) = span else {
                if self == Self::Other && position == 0 {
                    return Ok(None);
                }
                continue;
            };
            let length = as_justified(span)?;
            let Some((other, _)) = chosen else {
                chosen = Some((length, span));
                continue;
            };
            match self {
                Self::Greatest if length > other => chosen = Some((length, span)),
                Self::Least if length < other => chosen = Some((length, span)),
                Self::Other if length == other => return Ok(None),
                _ => {}
            }
        }
        Ok(chosen.map(|(_, span)| span))
    }
}

/// The function that a [`Choice`] becomes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ChosenInterval {
    choice: Choice,
    signature: Signature,
}

impl ScalarUDFImpl for ChosenInterval {
    fn name(&self) -> &str {
        match self.choice {
            Choice::Greatest => "greatest",
            Choice::Least => "least",
            Choice::Other => "nullif",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    /// Any interval: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let columns = columns.iter().map(|column| {
            let spans = column.as_primitive_opt::<IntervalMonthDayNanoType>();
            spans.ok_or_else(uncalled)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let rows = columns.first().map_or(0, |first| first.len());
        let chosen = (0..rows).map(|row| {
            let spans = columns
                .iter()
                .map(|spans| spans.is_valid(row).then(|| spans.value(row)));
            self.choice.among(spans)
        });
        let chosen = chosen.collect::<Result<IntervalMonthDayNanoArray>>()?;
        let chosen: ArrayRef = Arc::new(chosen);
        rewrite::column_or_constant(&args.args, chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_chosen_as_it_is() {
        const HOUR: i64 = 3_600_000_000_000;
        let month = Some(IntervalMonthDayNano::new(1, 0, 0));
        let days = Some(IntervalMonthDayNano::new(0, 30, 0));
        let hours = Some(IntervalMonthDayNano::new(0, 0, 31 * 24 * HOUR));
        let check = |choice: Choice,
                     among: &[Option<IntervalMonthDayNano>],
                     expect: Option<IntervalMonthDayNano>| {
            let chosen = choice.among(among.iter().copied()).expect("a span");
            assert_eq!(chosen, expect, "{choice:?} {among:?}");
        };
        check(Choice::Least, &[days, month, hours], days);
        check(Choice::Least, &[hours, month, days], month);
        check(Choice::Greatest, &[days, month, hours], hours);
        check(Choice::Greatest, &[days, None, month], days);
        check(Choice::Greatest, &[None, month, days], month);
        check(Choice::Least, &[None, None], None);
        check(Choice::Other, &[days, month], None);
        check(Choice::Other, &[hours, month], hours);
        check(Choice::Other, &[hours, None], hours);
        check(Choice::Other, &[None, hours], None);
    }
}

//! Which times filters leave, and how much of a file that is.

use datafusion::common::{ScalarValue, Statistics};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Times, both ends included, µs since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeRange {
    first: i64,
    last: i64,
}

impl TimeRange {
    /// Returns the times of `column` that filters leave; None where they bound none. A bound that is excluded counts as
    /// included: this is for estimates.
    pub(super) fn of(filters: &[Expr], column: &str) -> Option<Self> {
        let whole = Self {
            first: i64::MIN,
            last: i64::MAX,
        };
        let mut range = whole;
        for condition in filters.iter().flat_map(split_conjunction) {
            let Some((operator, time)) = bound(condition, column) else {
                continue;
            };
            if matches!(operator, Operator::Eq | Operator::Gt | Operator::GtEq) {
                range.first = range.first.max(time);
            }
            if matches!(operator, Operator::Eq | Operator::Lt | Operator::LtEq) {
                range.last = range.last.min(time);
            }
        }
        (range != whole).then_some(range)
    }

    /// Returns false where no row of a file can be within the range.
    pub(super) fn meets(&self, statistics: &Statistics, column: usize) -> bool {
        bounds(statistics, column)
            .is_none_or(|(first, last)| first <= self.last && self.first <= last)
    }

    /// Returns about which share of the rows of a file is within the range, as if they lay evenly between its first and its
    /// last time. `column` is the position of the times in its statistics; where these do not know them, all rows may be.
    pub(super) fn share(&self, statistics: &Statistics, column: usize) -> f64 {
        let Some((first, last)) = bounds(statistics, column) else {
            return 1.0;
        };
        if !self.meets(statistics, column) {
            return 0.0;
        }
        let span = last.saturating_sub(first);
        if span == 0 {
            return 1.0;
        }
        let wanted = self.last.min(last).saturating_sub(self.first.max(first));
        (wanted.max(0) as f64 / span as f64).min(1.0)
    }
}

/// Returns how a condition compares the column with a time: `time < 5`, and also `5 > time`.
fn bound(condition: &Expr, column: &str) -> Option<(Operator, i64)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else {
        return None;
    };
    let (compared, operator, value) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(compared), Expr::Literal(value, _)) => (compared, *op, value),
        (Expr::Literal(value, _), Expr::Column(compared)) => (compared, op.swap()?, value),
        _ => return None,
    };
    match value {
        ScalarValue::TimestampMicrosecond(Some(time), _) if compared.name == column => {
            Some((operator, *time))
        }
        _ => None,
    }
}

/// Returns the first and the last time of a file.
fn bounds(statistics: &Statistics, column: usize) -> Option<(i64, i64)> {
    let known = statistics.column_statistics.get(column)?;
    let time = |value: &ScalarValue| match value {
        ScalarValue::TimestampMicrosecond(time, _) => *time,
        _ => None,
    };
    let first = time(known.min_value.get_value()?)?;
    let last = time(known.max_value.get_value()?)?;
    Some((first, last))
}

#[cfg(test)]
mod tests;

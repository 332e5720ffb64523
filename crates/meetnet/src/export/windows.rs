//! Rows per step of time become windows that are asked for one by one.

#[cfg(test)]
mod tests;

/// How fine rows are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Day,
    Hour,
    Minute,
    Second,
}

impl Step {
    /// Returns the name that `date_trunc` knows.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    /// Returns the next finer one.
    pub(super) fn finer(self) -> Option<Self> {
        match self {
            Self::Day => Some(Self::Hour),
            Self::Hour => Some(Self::Minute),
            Self::Minute => Some(Self::Second),
            Self::Second => None,
        }
    }

    fn micros(self) -> i64 {
        let seconds = match self {
            Self::Day => 86_400,
            Self::Hour => 3_600,
            Self::Minute => 60,
            Self::Second => 1,
        };
        seconds * 1_000_000
    }
}

/// A stretch of time, µs since 1970 UTC; without bounds: all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Option<i64>,
    /// The first time behind it.
    pub(super) to: Option<i64>,
    /// Rows in it.
    pub(super) rows: u64,
}

/// Joins steps (their begin, their rows; in order) to windows of at most `rows_max` rows. A step with more is a window of
/// its own.
pub(super) fn divide(counts: &[(i64, u64)], step: Step, rows_max: u64) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for (begin, rows) in counts {
        let end = Some(begin.saturating_add(step.micros()));
        match windows.last_mut() {
            Some(last) if last.rows.saturating_add(*rows) <= rows_max => {
                last.to = end;
                last.rows += rows;
            }
            _ => windows.push(Window {
                from: Some(*begin),
                to: end,
                rows: *rows,
            }),
        }
    }
    windows
}

//! Rows per subject, and per step of time where one subject has too many, become windows that are asked for one by one.
//!
//! Files lie in the order of subject and time, so a window of some subjects reads its part of each file, and no part is read
//! for two windows. Windows of some time would each read a little of every subject.

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

/// What a row is about: a sensor, a station, a segment. The order is that of SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Number(i64),
    Text(String),
}

/// Rows of some subjects and of a stretch of time; without bounds: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// The first subject.
    pub(super) first: Option<Subject>,
    /// The first subject behind it.
    pub(super) behind: Option<Subject>,
    /// The first time, µs since 1970 UTC.
    pub(super) from: Option<i64>,
    /// The first time behind it.
    pub(super) to: Option<i64>,
    /// Rows in it.
    pub(super) rows: u64,
}

/// Joins subjects (with their rows; in order) to windows of at most `rows_max` rows. One with more is a window of its own.
/// Together they hold every subject, those that were not counted, too: rows of one are noticed then.
pub(super) fn divide_subjects(counts: Vec<(Subject, u64)>, rows_max: u64) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for (subject, rows) in counts {
        match windows.last_mut() {
            Some(last) if last.rows.saturating_add(rows) <= rows_max => last.rows += rows,
            Some(last) => {
                last.behind = Some(subject.clone());
                windows.push(Window {
                    first: Some(subject),
                    rows,
                    ..Window::default()
                });
            }
            None => windows.push(Window {
                rows,
                ..Window::default()
            }),
        }
    }
    windows
}

/// Joins steps of time in a window (their begin, their rows; in order) to windows of at most `rows_max` rows. A step with
/// more is a window of its own.
pub(super) fn divide_time(
    window: &Window,
    counts: &[(i64, u64)],
    step: Step,
    rows_max: u64,
) -> Vec<Window> {
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
                ..window.clone()
            }),
        }
    }
    windows
}

//! Which versions of a dataset's rows a table shows, and how it shows their times.
//!
//! ```text
//! NAME            what is the answer now        files − masked rows, live hot rows
//! NAME_as_of(t)   what was the answer at t      both partitions and all hot rows: recorded by t, not replaced by t
//! NAME_history    every version of every row    both partitions and all hot rows
//! ```
//!
//! A version is recorded once and replaced at most once, and the lake keeps both times. So every view is a filter over
//! what is stored; none merges anything. What came after the instant of a view does not shine through: a later
//! `superseded_at` is shown as null.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue};
use datafusion::logical_expr::{Expr, col, lit, when};
use meetnet_lake::snapshot::{HotBatch, Mask};
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT, SUPERSEDED_AT};

use super::prepared::PreparedFile;
use super::statistics::time_statistics;

/// Which versions of its rows a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The instant whose knowledge is shown, µs since 1970 UTC; None: the snapshot's.
    pub(crate) as_of: Option<i64>,
    /// Replaced versions too; `recorded_at` is filled in then.
    pub(crate) history: bool,
}

/// What a view must do to the rows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileRows {
    /// Current rows, all recorded by the view's instant.
    AllCurrent,
    /// Current rows, some recorded later than the view's instant.
    SomeCurrent,
    /// Replaced rows.
    Superseded,
}

impl FileRows {
    pub(crate) const ALL: [Self; 3] = [Self::AllCurrent, Self::SomeCurrent, Self::Superseded];
}

impl View {
    /// What is the answer now.
    pub(crate) const CURRENT: Self = Self {
        as_of: None,
        history: false,
    };

    /// Returns true for what had happened by the view's instant.
    fn had_happened(self, at: i64) -> bool {
        self.as_of.is_none_or(|as_of| at <= as_of)
    }

    /// Returns the rows of a mask that the view knows to be replaced, in file order, with the times they were.
    pub(crate) fn replaced(self, mask: &Mask) -> impl Iterator<Item = (u32, i64)> {
        mask.rows
            .iter()
            .map(|(row, at)| (*row, *at))
            .filter(move |(_, at)| self.had_happened(*at))
    }

    /// Returns what the view must do to a file's rows; None where it shows none of them.
    pub(crate) fn rows_of(self, file: &PreparedFile) -> Option<FileRows> {
        let later =
            |bounds: Option<(i64, i64)>| bounds.is_some_and(|(first, _)| !self.had_happened(first));
        if later(file.recorded) {
            return None;
        }
        if file.live.superseded {
            let all_replaced = match self.as_of {
                None => true,
                Some(_) => file
                    .superseded
                    .is_some_and(|(_, last)| self.had_happened(last)),
            };
            return (self.history || !all_replaced).then_some(FileRows::Superseded);
        }
        let all_known = self.as_of.is_none()
            || file
                .recorded
                .is_some_and(|(_, last)| self.had_happened(last));
        Some(if all_known {
            FileRows::AllCurrent
        } else {
            FileRows::SomeCurrent
        })
    }

    /// Returns the condition that a file's rows must meet; None where all of them do.
    pub(crate) fn condition(self, rows: FileRows) -> Option<Expr> {
        let as_of = time(self.as_of?);
        // Written so that pruning understands it, which it does not for `coalesce`.
        let is_known = col(RECORDED_AT).lt_eq(as_of.clone()).or(col(RECORDED_AT)
            .is_null()
            .and(col(RECEIVED_AT).lt_eq(as_of.clone())));
        match rows {
            FileRows::AllCurrent => None,
            FileRows::SomeCurrent => Some(is_known),
            FileRows::Superseded if self.history => Some(is_known),
            FileRows::Superseded => Some(is_known.and(is_later(as_of))),
        }
    }

    /// Returns how the view shows a column of a file; None: as it is stored.
    pub(crate) fn shown(
        self,
        rows: FileRows,
        column: &str,
    ) -> datafusion::error::Result<Option<Expr>> {
        match column {
            RECORDED_AT if self.history => {
                when(col(RECORDED_AT).is_null(), col(RECEIVED_AT)).otherwise(col(RECORDED_AT))
            }
            // Not a plain null where all rows are replaced later: DataFusion counts that as one distinct value.
            SUPERSEDED_AT if rows == FileRows::Superseded => match self.as_of {
                None => return Ok(None),
                Some(as_of) => when(col(SUPERSEDED_AT).gt(time(as_of)), lit(null_time()))
                    .otherwise(col(SUPERSEDED_AT)),
            },
            _ => return Ok(None),
        }
        .map(Some)
    }

    /// Returns the statistics of a column of a file where the view does not show it as it is stored.
    pub(crate) fn shown_statistics(
        self,
        file: &PreparedFile,
        column: &str,
    ) -> Option<ColumnStatistics> {
        match column {
            RECORDED_AT if self.history => Some(time_statistics(file.recorded)),
            SUPERSEDED_AT if file.live.superseded && self.as_of.is_some() => {
                Some(if self.history {
                    ColumnStatistics::new_unknown()
                } else {
                    ColumnStatistics {
                        null_count: Precision::Exact(file.live.rows as usize),
                        ..ColumnStatistics::new_unknown()
                    }
                })
            }
            _ => None,
        }
    }

    /// Returns which rows of a hot batch the view shows; None: all.
    pub(crate) fn shows(self, hot: &HotBatch) -> Option<BooleanArray> {
        if self.as_of.is_none() && (self.history || hot.superseded.is_none()) {
            return None;
        }
        let times = HotTimes::of(&hot.batch);
        let is_live = |row: usize| match &hot.superseded {
            Some(marks) => marks[row] == HotBatch::LIVE || !self.had_happened(marks[row]),
            None => true,
        };
        let is_known = |row: usize| {
            self.as_of.is_none() || times.recorded(row).is_none_or(|at| self.had_happened(at))
        };
        let shown = BooleanBuffer::collect_bool(hot.batch.num_rows(), |row| {
            is_known(row) && (self.history || is_live(row))
        });
        Some(BooleanArray::new(shown, None))
    }

    /// Returns when the newest of the current rows of a hot batch was recorded.
    pub(crate) fn last_recorded(hot: &HotBatch) -> Option<i64> {
        let times = HotTimes::of(&hot.batch);
        let marks = hot.superseded.as_deref();
        let is_live = |row: usize| marks.is_none_or(|marks| marks[row] == HotBatch::LIVE);
        (0..hot.batch.num_rows())
            .filter(|row| is_live(*row))
            .filter_map(|row| times.recorded(row))
            .max()
    }

    /// Returns the rows of a hot batch that the view shows, with its times.
    pub(crate) fn of_hot(self, hot: &HotBatch) -> Result<RecordBatch, ArrowError> {
        let batch = if self.history {
            self.with_times(hot)?
        } else {
            hot.batch.clone()
        };
        match self.shows(hot) {
            Some(shown) => filter_record_batch(&batch, &shown),
            None => Ok(batch),
        }
    }

    fn with_times(self, hot: &HotBatch) -> Result<RecordBatch, ArrowError> {
        let schema = hot.batch.schema();
        let mut columns = hot.batch.columns().to_vec();
        if let Some(marks) = &hot.superseded {
            let at = marks
                .iter()
                .map(|mark| (*mark != HotBatch::LIVE && self.had_happened(*mark)).then_some(*mark));
            columns[schema.index_of(SUPERSEDED_AT)?] = times(at);
        }
        let recorded = schema.index_of(RECORDED_AT)?;
        let received = schema.index_of(RECEIVED_AT)?;
        columns[recorded] = recorded_or_received(&columns[recorded], &columns[received]);
        RecordBatch::try_new(schema, columns)
    }
}

/// Returns times as a column.
pub(crate) fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
}

/// Returns `coalesce(recorded_at, received_at)`.
pub(crate) fn recorded_or_received(recorded: &ArrayRef, received: &ArrayRef) -> ArrayRef {
    if recorded.null_count() == recorded.len() {
        return Arc::clone(received);
    }
    let recorded = recorded.as_primitive::<TimestampMicrosecondType>();
    let received = received.as_primitive::<TimestampMicrosecondType>();
    times(
        recorded
            .iter()
            .zip(received)
            .map(|(recorded, received)| recorded.or(received)),
    )
}

/// When the rows of a hot batch were recorded.
struct HotTimes<'a> {
    recorded: Option<&'a TimestampMicrosecondArray>,
    received: Option<&'a TimestampMicrosecondArray>,
}

impl<'a> HotTimes<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
        };
        Self {
            recorded: column(RECORDED_AT),
            received: column(RECEIVED_AT),
        }
    }

    fn recorded(&self, row: usize) -> Option<i64> {
        [self.recorded, self.received]
            .into_iter()
            .flatten()
            .find_map(|times| times.is_valid(row).then(|| times.value(row)))
    }
}

fn null_time() -> ScalarValue {
    ScalarValue::TimestampMicrosecond(None, Some(Arc::from("UTC")))
}

fn time(at: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(
        Some(at),
        Some(Arc::from("UTC")),
    ))
}

fn is_later(as_of: Expr) -> Expr {
    col(SUPERSEDED_AT)
        .is_null()
        .or(col(SUPERSEDED_AT).gt(as_of))
}

#[cfg(test)]
mod tests;

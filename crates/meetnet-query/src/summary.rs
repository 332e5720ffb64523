//! What the dataset pages say about a table, from statistics and hot rows alone: no file is opened.

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_lake::snapshot::{ColumnStatistics, HotBatch, StatisticsValue, TableSnapshot};
use meetnet_model::common::RECEIVED_AT;
use meetnet_model::ids::Sequence;

use crate::table::hot::hot_rows;
use crate::table::view::View;

/// Size and reach of the current view of one dataset. Times are microseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSummary {
    /// Current rows: committed ones without the masked, and live hot ones.
    pub rows: u64,
    /// Of those, rows not yet committed.
    pub hot_rows: u64,
    /// Least time of the rows (`time`, for places `valid_from`).
    pub time_min: Option<i64>,
    /// Greatest time of the rows.
    pub time_max: Option<i64>,
    /// False where a masked row may have held one of the bounds.
    pub bounds_exact: bool,
    /// When the newest row was received; imported rows say when their file had them, or when they were observed.
    pub last_received: Option<i64>,
    /// When the newest of its rows, or the newest version of one, was recorded: what came since is later.
    pub last_changed: Option<i64>,
    /// Committed files of the current view.
    pub files: usize,
    /// Their length in bytes.
    pub bytes: u64,
    /// Every frame up to this sequence is in the answers.
    pub through: Sequence,
    /// `recorded_at` of `through`.
    pub stable_time: i64,
}

/// Returns the summary of a table.
pub fn dataset_summary(table: &TableSnapshot) -> DatasetSummary {
    let hot_rows = hot_rows(View::CURRENT, &table.hot) as u64;
    let mut summary = DatasetSummary {
        rows: hot_rows,
        hot_rows,
        time_min: None,
        time_max: None,
        bounds_exact: true,
        last_received: None,
        last_changed: None,
        files: 0,
        bytes: 0,
        through: table.through,
        stable_time: table.stable_time,
    };
    let time = table.declaration.time_column();
    for file in table.files.iter().filter(|file| !file.superseded) {
        let masked = table
            .masks
            .get(&file.path)
            .map_or(0, |mask| mask.rows.len() as u64);
        summary.rows += file.rows.saturating_sub(masked);
        summary.files += 1;
        summary.bytes += file.bytes;
        if masked >= file.rows {
            continue;
        }
        summary.bounds_exact &= masked == 0;
        let (min, max) = bounds(file.statistics.get(time));
        summary.time_min = least(summary.time_min, min);
        summary.time_max = summary.time_max.max(max);
        summary.last_received = summary
            .last_received
            .max(bounds(file.statistics.get(RECEIVED_AT)).1);
        let recorded = file.recorded_bounds().map(|(_, last)| last);
        // Of a file without such statistics it is known when it was written.
        let recorded = recorded.unwrap_or(file.committed_at_ms.saturating_mul(1000));
        summary.last_changed = summary.last_changed.max(Some(recorded));
    }
    for hot in table.hot.iter() {
        if let Some((min, max)) = hot_bounds(hot, time) {
            summary.time_min = least(summary.time_min, Some(min));
            summary.time_max = summary.time_max.max(Some(max));
        }
        summary.last_received = summary
            .last_received
            .max(hot_bounds(hot, RECEIVED_AT).map(|(_, max)| max));
        summary.last_changed = summary.last_changed.max(View::last_recorded(hot));
    }
    // Rows that say that they were received later than anything was recorded were imported so.
    summary.last_changed = summary.last_changed.map(|at| at.min(table.stable_time));
    summary
}

/// `None` is less than every `Some`, which suits a maximum but not a minimum.
fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn bounds(statistics: Option<&ColumnStatistics>) -> (Option<i64>, Option<i64>) {
    let value = |value: Option<&StatisticsValue>| match value {
        Some(StatisticsValue::Int(value)) => Some(*value),
        _ => None,
    };
    (
        value(statistics.and_then(|column| column.min.as_ref())),
        value(statistics.and_then(|column| column.max.as_ref())),
    )
}

fn hot_bounds(hot: &HotBatch, column: &str) -> Option<(i64, i64)> {
    let times = hot.batch.column_by_name(column)?;
    let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
    let live = |row: usize| {
        hot.superseded
            .as_ref()
            .is_none_or(|marks| marks[row] == HotBatch::LIVE)
    };
    (0..times.len())
        .filter(|row| live(*row) && times.is_valid(*row))
        .map(|row| times.value(row))
        .fold(None, |range, time| match range {
            None => Some((time, time)),
            Some((min, max)) => Some((time.min(min), time.max(max))),
        })
}

#[cfg(test)]
mod tests;

//! Which files are past a retention: asked by who drops them, and by who says beforehand what would go. And from when on a table
//! is whole once they are dropped.

use std::sync::Arc;
use std::time::Duration;

use meetnet_model::calendar;
use meetnet_model::dataset::Grain;

use super::upkeep::millis;
use crate::actor::DroppedPeriods;
use crate::snapshot::LiveFile;

/// Returns the files of periods that ended longer than `kept` before `now_ms`, milliseconds since 1970. The period that
/// holds the oldest time to keep stays whole.
pub fn past_retention(
    files: &[Arc<LiveFile>],
    grain: Grain,
    kept: Duration,
    now_ms: i64,
) -> impl Iterator<Item = &Arc<LiveFile>> {
    let oldest_us = (now_ms - millis(kept)) * 1_000;
    // Names of periods have the order of time.
    let oldest = calendar::period(oldest_us, grain);
    files.iter().filter(move |file| *file.period < *oldest)
}

/// Returns what is to be noted when `old` go of `files`, the times of which a retention has dropped everything before
/// `noted` already; none where it is noted, or where there is nothing in the table that says how far a retention can have come.
pub(super) fn dropped_periods(
    files: &[Arc<LiveFile>],
    old: &[Arc<LiveFile>],
    grain: Grain,
    (kept, now_ms): (Duration, i64),
    noted: Option<i64>,
) -> Option<DroppedPeriods> {
    if files.is_empty() {
        return None;
    }
    let bounds = |file: &Arc<LiveFile>| calendar::period_bounds(&file.period, grain);
    let oldest_us = now_ms.saturating_sub(millis(kept)).saturating_mul(1_000);
    let mut before = calendar::period_start(oldest_us, grain);
    if old.len() == files.len() {
        // By a clock that is far ahead everything is old: what comes later is not, once it is set right.
        let ends = old.iter().filter_map(bounds).map(|(_, end)| end);
        before = ends.max().map_or(before, |end| end.min(before));
    }
    if old.is_empty() && noted.is_some_and(|noted| noted >= before) {
        return None;
    }
    let is_late = |file: &&Arc<LiveFile>| {
        let start = bounds(file).map(|(start, _)| start);
        !file.superseded && start.zip(noted).is_some_and(|(start, noted)| start < noted)
    };
    let late = old.iter().filter(is_late);
    Some(DroppedPeriods {
        // What was dropped by a shorter retention stays dropped.
        before: noted.map_or(before, |noted| noted.max(before)),
        late_rows: late.map(|file| file.rows).sum(),
    })
}

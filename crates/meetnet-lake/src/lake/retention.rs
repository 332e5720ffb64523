//! Which files are past a retention: asked by who drops them, and by who says beforehand what would go.

use std::sync::Arc;
use std::time::Duration;

use meetnet_model::calendar;
use meetnet_model::dataset::Grain;

use super::upkeep::millis;
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

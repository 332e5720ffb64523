//! Where a commit stops: before the frame with which it would touch one file or partition too many.
//!
//! A message may hold rows of ten years, and a person may revise as many: without a limit one commit would write any
//! number of files, and hold up the dataset for as long.

use std::collections::HashMap;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_model::calendar;
use meetnet_model::common;
use meetnet_model::ids::Sequence;

use super::DatasetActor;

/// What one commit may touch at most, unless one frame alone touches more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitLimits {
    /// Files that are written again for replaced rows.
    pub(crate) revised_files_max: usize,
    /// Partitions that rows are written into.
    pub(crate) partitions_max: usize,
}

impl DatasetActor {
    /// Returns the barrier before the frame that would touch one too many, and up to when everything recorded is within
    /// it; None where everything may be committed.
    pub(super) fn lower_barrier(&self, limits: CommitLimits) -> Option<(Sequence, i64)> {
        let files = self.masks.values();
        let files = files.filter_map(|mask| mask.by.values().min().copied());
        let files = before_one_too_many(files.collect(), limits.revised_files_max);
        let partitions = before_one_too_many(self.partitions_touched(), limits.partitions_max);
        let barrier = files.into_iter().chain(partitions).min()?;
        // The frames behind the barrier begin with one that has a hot row.
        let recorded_after = self.hot.recorded_after(barrier)?;
        Some((Sequence(barrier), recorded_after - 1))
    }

    /// Returns, for each partition that a commit of everything would write into, the first frame that asks for it.
    fn partitions_touched(&self) -> Vec<u64> {
        type Partition<'a> = (&'a str, i64, bool);
        let grain = self.declaration.grain;
        let mut first: HashMap<Partition<'_>, u64> = HashMap::new();
        let mut touch = |partition, frame: u64| {
            let known = first.entry(partition).or_insert(frame);
            *known = frame.min(*known);
        };
        for chunk in self.hot.chunks() {
            let column = |name: &str| {
                let column = chunk.batch.column_by_name(name);
                column.expect("the row schema has a licence and the declared time")
            };
            let licences = column(common::LICENCE).as_string::<i32>();
            let times = column(self.declaration.time_column());
            let times = times.as_primitive::<TimestampMicrosecondType>();
            // Rows stay with one source and in one period for long runs.
            let mut last = ("", i64::MAX, i64::MIN);
            for (row, frame) in chunk.sequences.iter().enumerate() {
                let (licence, time) = (licences.value(row), times.value(row));
                let is_same = licence == last.0 && last.1 <= time && time < last.2;
                if !is_same {
                    let (start, end) = (
                        calendar::period_start(time, grain),
                        calendar::period_end(time, grain),
                    );
                    last = (licence, start, end);
                    touch((licence, start, false), *frame);
                }
                if let Some(by) = chunk.marks.as_ref().map(|marks| marks.by[row])
                    && by > 0
                {
                    touch((licence, last.1, true), by);
                }
            }
        }
        if !self.masks.is_empty() {
            for file in self.files.iter() {
                let mask = self.masks.get(&file.path);
                let by = mask.and_then(|mask| mask.by.values().min());
                let bounds = calendar::period_bounds(&file.period, grain);
                if let (Some(by), Some((start, _))) = (by, bounds) {
                    touch((file.licence.as_str(), start, true), *by);
                }
            }
        }
        first.into_values().collect()
    }
}

/// Returns the last frame before that which touches one more than `max`; `first` has, for each thing touched, the first
/// frame that does. The very first of all may touch more alone.
fn before_one_too_many(mut first: Vec<u64>, max: usize) -> Option<u64> {
    if first.len() <= max {
        return None;
    }
    first.sort_unstable();
    let least = *first.first()?;
    Some(least.max(first.get(max)?.saturating_sub(1)))
}

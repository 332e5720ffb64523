//! How far each source has come: the newest time that an observation of it ends at, taken where rows are applied.
//!
//! A connection that stands says little: a gateway may pass on, now, what was measured yesterday.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use meetnet_lake::Lineage;
use meetnet_model::calendar::SECOND_US;
use meetnet_model::dataset::DatasetKind;
use meetnet_model::ids::SourceId;
use meetnet_model::rows::DatasetRows;

use crate::dup_window::lock;

/// The newest observation of each source since the start; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct NewestTimes {
    times: Arc<Mutex<BTreeMap<SourceId, i64>>>,
}

impl NewestTimes {
    /// Returns by source when its newest observation ended, µs since 1970 UTC; sources without one since the start are not
    /// there.
    pub fn read(&self) -> BTreeMap<SourceId, i64> {
        lock(&self.times).clone()
    }

    /// Notes the rows of one dataset whose envelopes are those of `lineage`; rows of others were imported, and say nothing of
    /// how a source gets on. One comparison per row, and a few per message.
    pub(super) fn note(&self, rows: &DatasetRows, lineage: &[Lineage]) {
        // Where something stands, and what was refused, is no observation.
        if !matches!(rows.declaration.kind, DatasetKind::Wide | DatasetKind::Long) {
            return;
        }
        let column = |name: &str| rows.batch.column_by_name(name);
        let times = column(rows.declaration.time_column())
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        let Some(times) = times else { return };
        let intervals =
            column("interval_s").and_then(|array| array.as_primitive_opt::<Int64Type>());
        let mut newest: BTreeMap<&SourceId, i64> = BTreeMap::new();
        let mut first = 0;
        // Rows of an envelope lie side by side.
        for of_envelope in rows.envelopes.chunk_by(|a, b| a == b) {
            let of_rows = first..first + of_envelope.len();
            first = of_rows.end;
            let Some(row) = of_rows.max_by_key(|row| times.values()[*row]) else {
                continue;
            };
            let interval = intervals.filter(|intervals| intervals.is_valid(row));
            let length = interval.map_or(0, |intervals| {
                intervals.value(row).saturating_mul(SECOND_US)
            });
            let Some(lineage) = lineage.get(of_envelope[0] as usize) else {
                continue;
            };
            // A clock that is ahead must not hide that nothing comes any more.
            let end = times.values()[row]
                .saturating_add(length)
                .min(lineage.received_at);
            let known = newest.entry(&lineage.source).or_insert(end);
            *known = end.max(*known);
        }
        let mut times = lock(&self.times);
        for (source, end) in newest {
            match times.get_mut(source) {
                Some(known) => *known = end.max(*known),
                None => drop(times.insert(source.clone(), end)),
            }
        }
    }
}

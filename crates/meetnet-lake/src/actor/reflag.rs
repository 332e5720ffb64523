//! New flags of stored rows: the exception to "equal values change nothing".
//!
//! ```text
//! key, version that was judged, flags -> committed row of the key -> the same version still? -> revision + 1
//! ```
//!
//! The new version has the values, source and receive time of the old one, so that its place in the order of versions is the
//! same: what arrives later still wins, and what arrives with the same values still changes nothing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int8Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int8Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::Rows;
use meetnet_model::common;
use meetnet_model::ids::{DatasetId, Sequence};

use super::DatasetActor;
use super::write::with_licence;
use crate::error::LakeError;
use crate::hot::take_rows;
use crate::snapshot::LiveFile;
use crate::table::lookup::{FileRows, WantedKey};

/// Flags for stored rows, each list by row.
#[derive(Clone, Debug)]
pub struct NewFlags {
    /// The dataset.
    pub dataset: DatasetId,
    /// The key columns, in key order; each key once.
    pub keys: RecordBatch,
    /// Revision of the version that was judged.
    pub revisions: Vec<i64>,
    /// When that version was recorded, µs since 1970 UTC.
    pub recorded_at: Vec<i64>,
    /// The column `quality`.
    pub quality: Vec<i8>,
    /// The column `quality_tests`.
    pub quality_tests: Vec<i64>,
}

/// What became of new flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reflagged {
    /// Rows that have a new version with these flags.
    pub revised: u64,
    /// Rows that had these flags.
    pub unchanged: u64,
    /// Rows of which another version has come since, or none is left: they were not judged.
    pub outdated: u64,
}

impl std::ops::AddAssign for Reflagged {
    fn add_assign(&mut self, other: Self) {
        self.revised += other.revised;
        self.unchanged += other.unchanged;
        self.outdated += other.outdated;
    }
}

/// Rows of one file in their new versions.
struct Revised {
    file: Arc<LiveFile>,
    /// Positions of the old versions in the file.
    rows: Vec<u32>,
    /// The new ones, in the row schema.
    batch: RecordBatch,
}

impl DatasetActor {
    /// Gives committed rows new flags, as of the frame `sequence`, which was recorded at `recorded_at` (µs). Where that fails,
    /// nothing has changed.
    pub(crate) fn reflag(
        &mut self,
        flags: &NewFlags,
        sequence: Sequence,
        recorded_at: i64,
    ) -> Result<Reflagged, LakeError> {
        let keys = self
            .codec
            .keys_of(flags.keys.columns())
            .map_err(self.arrow("encode keys of"))?;
        let (wanted, of_wanted) = self.wanted_keys(&flags.keys, &keys);
        let files = Arc::clone(&self.files);
        let current = files.iter().filter(|file| !file.superseded);
        let found = self.reader.find(&wanted, current)?;
        let mut counts = Reflagged::default();
        let mut revised = Vec::new();
        for mut found in found.files {
            let FileRows { file, rows } = &mut found;
            rows.retain(|(row, _)| !self.is_masked(file, *row));
            if rows.is_empty() {
                continue;
            }
            let positions = found.positions();
            let FileRows { file, rows } = found;
            let stored = self.reader.read_rows(&file, &positions)?;
            let stored = with_licence(&stored, &self.declaration, &file.licence)
                .map_err(self.arrow("read"))?;
            // Position in `stored` and among the new flags.
            let mut chosen: Vec<(u32, usize)> = Vec::new();
            for (at, (_, index)) in rows.iter().enumerate() {
                let of = of_wanted[*index];
                let version = self.version_of(&stored, at);
                let judged = (flags.revisions[of], flags.recorded_at[of]);
                if (version.revision, version.recorded_at) != judged {
                    continue;
                }
                if flags_of(&stored, at) == Some((flags.quality[of], flags.quality_tests[of])) {
                    counts.unchanged += 1;
                } else {
                    chosen.push((at as u32, of));
                }
            }
            if chosen.is_empty() {
                continue;
            }
            counts.revised += chosen.len() as u64;
            let of_stored: Vec<u32> = chosen.iter().map(|(at, _)| *at).collect();
            let batch = take_rows(&stored, &of_stored)
                .and_then(|rows| with_flags(&rows, flags, &chosen, recorded_at))
                .map_err(self.arrow("assemble"))?;
            revised.push(Revised {
                file,
                rows: of_stored.iter().map(|at| positions[*at as usize]).collect(),
                batch,
            });
        }
        let judged = flags.keys.num_rows() as u64;
        counts.outdated = judged - counts.revised - counts.unchanged;
        for rows in revised {
            self.replace_by(rows, sequence, recorded_at)?;
        }
        Ok(counts)
    }

    /// Makes new versions hot, and masks the old ones.
    fn replace_by(
        &mut self,
        revised: Revised,
        sequence: Sequence,
        recorded_at: i64,
    ) -> Result<(), LakeError> {
        let Revised { file, rows, batch } = revised;
        let keys = self
            .codec
            .keys(&batch)
            .map_err(self.arrow("encode keys of"))?;
        let base = self.hot.next_row();
        let sequences = vec![sequence.0; rows.len()];
        self.hot
            .push(batch, sequences)
            .map_err(self.arrow("append"))?;
        for (number, (key, row)) in (base..).zip(keys.iter().zip(rows)) {
            self.hot.set_current(key.data(), number);
            self.mask(&file.path, row, recorded_at, sequence.0);
        }
        self.dirty = true;
        Ok(())
    }

    /// Returns keys as they are looked up, ascending, and their positions.
    fn wanted_keys<'k>(
        &self,
        columns: &RecordBatch,
        keys: &'k Rows,
    ) -> (Vec<WantedKey<'k>>, Vec<usize>) {
        let times = columns
            .column_by_name(self.declaration.time_column())
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        let key = |row: usize| keys.row(row).data();
        let mut order: Vec<usize> = (0..columns.num_rows()).collect();
        order.sort_unstable_by(|a, b| key(*a).cmp(key(*b)));
        order.dedup_by(|a, b| key(*a) == key(*b));
        let wanted = order.iter().map(|row| WantedKey {
            key: key(*row),
            time: times.map_or(0, |times| times.value(*row)),
            seeks_newest: false,
        });
        (wanted.collect(), order)
    }
}

/// Returns the flags of a stored row.
fn flags_of(rows: &RecordBatch, row: usize) -> Option<(i8, i64)> {
    let quality = rows.column_by_name(common::QUALITY)?;
    let tests = rows.column_by_name(common::QUALITY_TESTS)?;
    let quality = quality.as_primitive_opt::<Int8Type>()?;
    Some((
        quality.value(row),
        tests.as_primitive_opt::<Int64Type>()?.value(row),
    ))
}

/// Returns the next versions of rows (row schema); `chosen` says for each which of the new flags it gets.
fn with_flags(
    rows: &RecordBatch,
    flags: &NewFlags,
    chosen: &[(u32, usize)],
    recorded_at: i64,
) -> Result<RecordBatch, ArrowError> {
    let chosen = || chosen.iter().map(|(_, of)| *of);
    let revisions = chosen().map(|of| flags.revisions[of] + 1);
    let recorded: TimestampMicrosecondArray =
        std::iter::repeat_n(Some(recorded_at), rows.num_rows()).collect();
    let set: [(&str, ArrayRef); 4] = [
        (
            common::QUALITY,
            Arc::new(Int8Array::from_iter_values(
                chosen().map(|of| flags.quality[of]),
            )),
        ),
        (
            common::QUALITY_TESTS,
            Arc::new(Int64Array::from_iter_values(
                chosen().map(|of| flags.quality_tests[of]),
            )),
        ),
        (common::RECORDED_AT, Arc::new(recorded.with_timezone("UTC"))),
        (
            common::REVISION,
            Arc::new(Int64Array::from_iter_values(revisions)),
        ),
    ];
    let mut columns = rows.columns().to_vec();
    for (name, column) in set {
        columns[rows.schema_ref().index_of(name)?] = column;
    }
    RecordBatch::try_new(rows.schema(), columns)
}

//! Verifying the rows of one sound file: their number, order, bounds, period, and when they were replaced.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use meetnet_model::calendar;
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT, REVISION, SUPERSEDED_AT};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::readable::counted;

use super::bounds::Bounds;
use super::report::{FindingKind, Place, Report};
use crate::compact::MergeInput;
use crate::error::LakeError;
use crate::keys::KeyCodec;
use crate::snapshot::{LiveFile, StatisticsValue};
use crate::storage::TableFolder;
use crate::table::read::read_file;

/// Rows in memory.
const BATCH_ROWS: usize = 8_192;

/// The keys that a file begins and ends with.
pub(super) struct Ends {
    pub(super) first: Box<[u8]>,
    pub(super) last: Box<[u8]>,
}

/// Returns the columns that a check reads: the key's, and those that place a version.
pub(super) fn checked_schema(declaration: &DatasetDeclaration) -> Result<SchemaRef, LakeError> {
    key_schema(
        declaration,
        &[RECEIVED_AT, RECORDED_AT, SUPERSEDED_AT, REVISION],
    )
}

/// Returns the schema of the key columns and some others of a file.
pub(crate) fn key_schema(
    declaration: &DatasetDeclaration,
    others: &[&str],
) -> Result<SchemaRef, LakeError> {
    let schema = declaration.file_schema();
    let fields = schema.fields().iter().enumerate();
    let indices: Vec<usize> = fields
        .filter(|(_, field)| {
            let name = field.name();
            others.contains(&name.as_str()) || declaration.key.contains(name)
        })
        .map(|(index, _)| index)
        .collect();
    schema
        .project(&indices)
        .map(Arc::new)
        .map_err(LakeError::arrow("read", &declaration.id))
}

/// Where the versions of a batch stand in time.
pub(super) struct Versions {
    received_at: Vec<i64>,
    recorded_at: Vec<Option<i64>>,
    superseded_at: Vec<Option<i64>>,
    revision: Vec<i64>,
}

impl Versions {
    /// Reads them from a batch of the checked schema.
    pub(super) fn of(batch: &RecordBatch) -> Self {
        let times = |name: &str| -> Vec<Option<i64>> {
            batch
                .column_by_name(name)
                .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>())
                .map_or_else(Vec::new, |array| array.iter().collect())
        };
        let received_at = times(RECEIVED_AT);
        Self {
            received_at: received_at
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect(),
            recorded_at: times(RECORDED_AT),
            superseded_at: times(SUPERSEDED_AT),
            revision: batch
                .column_by_name(REVISION)
                .and_then(|array| array.as_primitive_opt::<Int64Type>())
                .map_or_else(Vec::new, |array| array.values().to_vec()),
        }
    }

    /// When a row was recorded, µs.
    pub(super) fn recorded_at(&self, row: usize) -> i64 {
        self.recorded_at[row].unwrap_or(self.received_at[row])
    }

    /// When a row was replaced, µs; None while it is current.
    pub(super) fn superseded_at(&self, row: usize) -> Option<i64> {
        self.superseded_at[row]
    }

    /// The number of a row's version.
    pub(super) fn revision(&self, row: usize) -> i64 {
        self.revision[row]
    }
}

/// What the rows of a file are found to be.
#[derive(Default)]
struct Seen {
    rows: u64,
    /// First row that comes before the one above it.
    disorder: Option<u64>,
    /// First row with an impossible `superseded_at`.
    odd_superseded: Option<u64>,
    bounds: Bounds,
    ends: Option<Ends>,
}

/// Reads a file and reports what its rows contradict; returns its first and last key.
pub(super) fn check(
    folder: &TableFolder,
    declaration: &DatasetDeclaration,
    codec: &KeyCodec,
    file: &Arc<LiveFile>,
    report: &mut Report,
) -> Result<Option<Ends>, LakeError> {
    let seen = read(folder, declaration, codec, file)?;
    let mut add = |kind, what: String, to_do: &str| {
        report.add(
            kind,
            Place::table(&declaration.id, Some(&file.path)),
            what,
            to_do,
        );
    };
    if seen.rows != file.rows {
        add(
            FindingKind::FileStatistics,
            format!(
                "it has {}, its log entry says {}",
                counted(seen.rows, "row"),
                file.rows
            ),
            "report it: counts that are answered from the log are wrong",
        );
    }
    for name in seen.bounds.differing(&file.statistics) {
        add(
            FindingKind::FileStatistics,
            format!("the least or greatest `{name}` of its rows is not that of its log entry"),
            "report it: queries may skip rows of this file that they should return",
        );
    }
    if let Some(row) = seen.disorder {
        add(
            FindingKind::FileOrder,
            format!("row {row} comes before the row above it"),
            "report it: look-ups by key may miss rows of this file; `meetnet compact` does not mend it",
        );
    }
    if let Some(row) = seen.odd_superseded {
        let what = if file.superseded {
            format!("row {row} was replaced at no time, or before it was recorded")
        } else {
            format!("row {row} says when it was replaced, but is among the current rows")
        };
        add(
            FindingKind::SupersededAt,
            what,
            "report it: answers as of earlier times may be wrong",
        );
    }
    if let Some((least, greatest)) = seen.bounds.get(declaration.time_column()) {
        let period = calendar::period_bounds(&file.period, declaration.grain);
        let is_within = period.is_some_and(|(start, end)| {
            *least >= StatisticsValue::Int(start) && *greatest < StatisticsValue::Int(end)
        });
        if !is_within {
            add(
                FindingKind::WrongPartition,
                format!("it has rows of other times than {}", file.period),
                "report it: queries by time may miss rows of this file",
            );
        }
    }
    Ok(seen.ends)
}

fn read(
    folder: &TableFolder,
    declaration: &DatasetDeclaration,
    codec: &KeyCodec,
    file: &Arc<LiveFile>,
) -> Result<Seen, LakeError> {
    let input = MergeInput {
        folder,
        declaration,
        codec,
        schema: checked_schema(declaration)?,
        verify: false,
    };
    let mut seen = Seen::default();
    for batch in read_file(folder, declaration, file, &input.schema, BATCH_ROWS)? {
        let batch = batch?;
        let keys = input.keys(&batch)?;
        let versions = Versions::of(&batch);
        for row in 0..batch.num_rows() {
            let key = keys.row(row).data();
            let before = match row.checked_sub(1) {
                Some(before) => Some(keys.row(before).data()),
                None => seen.ends.as_ref().map(|ends| &*ends.last),
            };
            let number = seen.rows + row as u64;
            if before.is_some_and(|before| key < before) {
                seen.disorder.get_or_insert(number);
            }
            let is_right = match versions.superseded_at(row) {
                Some(at) => file.superseded && at >= versions.recorded_at(row),
                None => !file.superseded,
            };
            if !is_right {
                seen.odd_superseded.get_or_insert(number);
            }
        }
        seen.rows += batch.num_rows() as u64;
        if let Some(last) = batch.num_rows().checked_sub(1) {
            let last = keys.row(last).data().into();
            match &mut seen.ends {
                Some(ends) => ends.last = last,
                None => {
                    let first = keys.row(0).data().into();
                    seen.ends = Some(Ends { first, last });
                }
            }
        }
        let columns = declaration.key.iter().map(String::as_str);
        seen.bounds.add(&batch, columns.chain([RECEIVED_AT]));
    }
    Ok(seen)
}

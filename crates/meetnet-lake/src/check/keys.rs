//! Verifying what holds across the files of a period, over all licences: each key is current once, and its versions
//! have an order.
//!
//! ```text
//! sorted runs of the period -> merge (a batch of key columns per run in memory) -> equal keys stand together
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_model::calendar;
use meetnet_model::column::ColumnType;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::readable::counted;

use super::report::{FindingKind, Place, Report};
use super::rows::{Versions, checked_schema};
use crate::compact::{Merge, MergeInput, files_by_run};
use crate::error::LakeError;
use crate::keys::{self, KeyCodec};
use crate::snapshot::{LiveFile, StatisticsValue};
use crate::storage::TableFolder;
use crate::table::files::Partition;
use crate::table::lookup::{FileRows, KeyReader, WantedKey};

/// Runs that are merged at once: each has a file open and a batch in memory. A period of more is merged pair by pair
/// of such halves.
const RUNS_MAX: usize = if cfg!(test) { 8 } else { 128 };
/// Keys per period that are looked up again to name the files they are in.
const NAMED_MAX: usize = 100;

/// Verifies the files of one table (sorted by partition) that are sound.
pub(super) fn check(
    folder: &TableFolder,
    declaration: &Arc<DatasetDeclaration>,
    codec: &Arc<KeyCodec>,
    files: &[Arc<LiveFile>],
    report: &mut Report,
) -> Result<(), LakeError> {
    let mut periods: BTreeMap<&str, Vec<Vec<Arc<LiveFile>>>> = BTreeMap::new();
    for files in files.chunk_by(|a, b| Partition::of(a) == Partition::of(b)) {
        let runs = periods.entry(&files[0].period).or_default();
        runs.extend(files_by_run(files));
    }
    for (period, runs) in periods {
        let mut seen = Seen::default();
        let halves: Vec<&[Vec<Arc<LiveFile>>]> = runs.chunks(RUNS_MAX / 2).collect();
        let mut merge = |runs: &[Vec<Arc<LiveFile>>], sees_all: bool| {
            let input = MergeInput {
                folder,
                declaration,
                codec,
                schema: checked_schema(declaration)?,
                verify: false,
            };
            seen.merge(input, runs, sees_all)
        };
        if halves.len() <= 2 {
            merge(&runs, true)?;
        } else {
            for (at, first) in halves.iter().enumerate() {
                for second in &halves[at + 1..] {
                    merge(&[*first, *second].concat(), false)?;
                }
            }
        }
        let current: Vec<Arc<LiveFile>> = runs
            .iter()
            .flatten()
            .filter(|file| !file.superseded)
            .cloned()
            .collect();
        let reader = KeyReader::new(folder.clone(), Arc::clone(declaration), Arc::clone(codec));
        seen.report(declaration, period, reader, &current, report)?;
    }
    Ok(())
}

/// One version of a key: when it was replaced (µs; the greatest number while it is current), and its number.
type Version = (i64, i64);

/// What the merge of a period has met.
#[derive(Default)]
struct Seen {
    /// Keys that are current more than once, the first of them.
    twice: BTreeMap<Box<[u8]>, CheckedKey>,
    /// How many there are.
    twice_count: u64,
    /// Keys whose versions are out of order, and the first as text.
    disordered: (u64, Option<String>),
}

/// A key that the merge has met.
struct CheckedKey {
    key: Box<[u8]>,
    /// Its columns, in key order.
    columns: Vec<StatisticsValue>,
    /// Its partition time, µs.
    time: i64,
}

/// The versions of the key that the merge is at.
struct Group {
    key: CheckedKey,
    versions: Vec<Version>,
}

impl Seen {
    fn merge(
        &mut self,
        input: MergeInput<'_>,
        runs: &[Vec<Arc<LiveFile>>],
        sees_all: bool,
    ) -> Result<(), LakeError> {
        let declaration = input.declaration;
        let encode = MergeInput {
            schema: Arc::clone(&input.schema),
            ..input
        };
        let mut merge = Merge::new(input, runs)?;
        let mut group: Option<Group> = None;
        while let Some(batch) = merge.next_batch()? {
            let keys = encode.keys(&batch)?;
            let versions = Versions::of(&batch);
            for row in 0..batch.num_rows() {
                let key = keys.row(row).data();
                let at = versions.superseded_at(row).unwrap_or(i64::MAX);
                let version = (at, versions.revision(row));
                match &mut group {
                    Some(group) if *group.key.key == *key => group.versions.push(version),
                    _ => {
                        self.close(group.take(), declaration, sees_all);
                        group = Some(Group {
                            key: checked_key(declaration, &batch, row, key),
                            versions: vec![version],
                        });
                    }
                }
            }
        }
        self.close(group, declaration, sees_all);
        Ok(())
    }

    fn close(&mut self, group: Option<Group>, declaration: &DatasetDeclaration, sees_all: bool) {
        let Some(mut group) = group.filter(|group| group.versions.len() > 1) else {
            return;
        };
        group.versions.sort_unstable();
        // A number falls only where numbering began anew: the rows before had been taken out by a repair.
        let falls = |pair: &[Version]| pair[1].1 < pair[0].1 && pair[1].1 != 0;
        if sees_all && group.versions.windows(2).any(falls) {
            self.disordered.0 += 1;
            self.disordered
                .1
                .get_or_insert_with(|| key_text(declaration, &group.key.columns));
        }
        let current = group
            .versions
            .iter()
            .filter(|version| version.0 == i64::MAX);
        if current.count() > 1 && !self.twice.contains_key(&group.key.key) {
            self.twice_count += 1;
            if self.twice.len() < NAMED_MAX {
                self.twice.insert(group.key.key.clone(), group.key);
            }
        }
    }

    fn report(
        self,
        declaration: &DatasetDeclaration,
        period: &str,
        mut reader: KeyReader,
        current: &[Arc<LiveFile>],
        report: &mut Report,
    ) -> Result<(), LakeError> {
        if let (keys, Some(example)) = self.disordered {
            report.add(
                FindingKind::RevisionOrder,
                Place::table(&declaration.id, None),
                format!(
                    "{} of {period} with revisions that fall, for example {example}",
                    counted(keys, "key")
                ),
                "report it: their history may be answered in the wrong order",
            );
        }
        let wanted = self.twice.values().map(|checked| WantedKey {
            key: &checked.key,
            time: checked.time,
            seeks_newest: false,
        });
        let wanted: Vec<WantedKey<'_>> = wanted.collect();
        let found = reader.find(&wanted, current.iter())?;
        let mut files_of: Vec<BTreeSet<Arc<str>>> = vec![BTreeSet::new(); wanted.len()];
        for FileRows { file, rows } in found.files {
            for (_, index) in rows {
                files_of[index].insert(Arc::clone(&file.path));
            }
        }
        let mut by_files: BTreeMap<BTreeSet<Arc<str>>, (u64, String)> = BTreeMap::new();
        for (checked, files) in self.twice.values().zip(files_of) {
            let entry = by_files
                .entry(files)
                .or_insert_with(|| (0, key_text(declaration, &checked.columns)));
            entry.0 += 1;
        }
        let unnamed = self.twice_count - wanted.len() as u64;
        for (files, (keys, example)) in by_files {
            let mut what = format!(
                "{} current more than once, for example {example}",
                counted(keys, "key")
            );
            for file in files.iter().skip(1) {
                let _ = write!(what, ", also in {file}");
            }
            if unnamed > 0 {
                let _ = write!(
                    what,
                    "; {} of {period} as well, in these files or others",
                    counted(unnamed, "further key")
                );
            }
            report.add(
                FindingKind::KeyTwice,
                Place::table(&declaration.id, files.first().map(|file| &**file)),
                what,
                "report it: queries return both rows; which is right, the one recorded last, says NAME_history",
            );
        }
        Ok(())
    }
}

/// Returns the key of a row.
fn checked_key(
    declaration: &DatasetDeclaration,
    batch: &RecordBatch,
    row: usize,
    key: &[u8],
) -> CheckedKey {
    let column = |name: &str| batch.column_by_name(name);
    let columns = declaration.key.iter();
    CheckedKey {
        key: key.into(),
        columns: columns
            .filter_map(|name| keys::key_value(column(name)?.as_ref(), row))
            .collect(),
        time: column(declaration.time_column())
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>())
            .map_or(0, |array| array.value(row)),
    }
}

/// Returns a key for people: `sensor_id=…, time=…`.
pub(crate) fn key_text(declaration: &DatasetDeclaration, columns: &[StatisticsValue]) -> String {
    let named = declaration.key.iter().zip(columns);
    let named =
        named.map(|(name, value)| format!("{name}={}", value_text(declaration, name, value)));
    named.collect::<Vec<_>>().join(", ")
}

/// Returns the value of a column for people.
pub(crate) fn value_text(
    declaration: &DatasetDeclaration,
    column: &str,
    value: &StatisticsValue,
) -> String {
    let is_time = declaration
        .column_index(column)
        .is_some_and(|index| declaration.columns[index].column_type == ColumnType::Timestamp);
    match value {
        StatisticsValue::Int(value) if is_time => calendar::format_rfc3339(*value),
        StatisticsValue::Int(value) => value.to_string(),
        StatisticsValue::Float(value) => value.to_string(),
        StatisticsValue::Text(value) => value.to_string(),
    }
}

//! Applying decoded rows: the upsert.
//!
//! ```text
//! no stored row           -> insert, revision 0
//! declared values equal   -> drop, count `unchanged`
//! earlier in the order    -> keep as history (unless history holds it)
//! later in the order      -> insert, revision + 1; the old row is marked (hot) or masked (committed)
//! ```
//!
//! Order of versions = (declared precedence, received_at, sequence).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::row::Rows;
use meetnet_model::common;
use meetnet_model::ids::SourceId;
use meetnet_model::rows::DatasetRows;

use super::{Applied, DatasetActor, Flag, Lineage};
use crate::error::LakeError;
use crate::hot::take_rows;
use crate::keys;
use crate::snapshot::LiveFile;
use crate::table::lookup::{WantedKey, conform};

/// What of a version decides its place in the order, and what a successor needs.
#[derive(Clone, Copy, Debug)]
struct Version {
    precedence: i32,
    received_at: i64,
    recorded_at: i64,
    revision: i64,
}

/// A current version in a committed file.
#[derive(Clone, Debug)]
struct Stored {
    file: Arc<LiveFile>,
    row: u32,
    values: Box<[u8]>,
    /// None where every incoming row of the key has the same values.
    version: Option<Version>,
}

/// Rows of one file that hold wanted keys: position in the file, and of the key among the wanted.
struct FileRows {
    file: Arc<LiveFile>,
    rows: Vec<(u32, usize)>,
}

/// A row that will be inserted.
struct Accepted {
    /// Position in the incoming batch.
    row: u32,
    revision: i64,
    /// When it was replaced, for versions that arrive as history.
    superseded_at: Option<i64>,
}

/// A hot row that an incoming one replaces.
struct Marked {
    row: u64,
    at: i64,
    by: u64,
}

/// The rows being applied; their values are encoded when the first comparison asks for them.
struct Incoming<'a> {
    declared: &'a RecordBatch,
    keys: &'a Rows,
    envelopes: &'a [u32],
    lineage: &'a [Lineage],
    values: Option<Rows>,
}

impl<'a> Incoming<'a> {
    fn lineage(&self, row: usize) -> &'a Lineage {
        &self.lineage[self.envelopes[row] as usize]
    }

    fn key(&self, row: usize) -> &'a [u8] {
        self.keys.row(row).data()
    }

    fn version(&self, row: usize, revision: i64) -> Version {
        let lineage = self.lineage(row);
        Version {
            precedence: lineage.precedence,
            received_at: lineage.received_at,
            recorded_at: lineage.recorded_at,
            revision,
        }
    }

    fn values(&mut self, actor: &DatasetActor) -> Result<&Rows, LakeError> {
        if self.values.is_none() {
            let values = actor
                .codec
                .values(self.declared)
                .map_err(actor.arrow("encode"))?;
            self.values = Some(values);
        }
        Ok(self.values.as_ref().expect("set above"))
    }
}

impl DatasetActor {
    /// Applies decoded rows in order. `lineage` is by envelope position. With `skip_applied`, rows whose frame the
    /// table has taken in already are skipped: they are met again after a restart.
    pub(crate) fn apply(
        &mut self,
        rows: &DatasetRows,
        lineage: &[Lineage],
        skip_applied: bool,
        flag: &mut Flag<'_>,
    ) -> Result<Applied, LakeError> {
        let mut counts = Applied::default();
        let declared = conform(&rows.batch, &self.declaration.declared_schema())
            .map_err(self.arrow("read"))?;
        let keys = self
            .codec
            .keys(&declared)
            .map_err(self.arrow("encode keys of"))?;
        let mut incoming = Incoming {
            declared: &declared,
            keys: &keys,
            envelopes: &rows.envelopes,
            lineage,
            values: None,
        };
        let total = declared.num_rows();
        let first = (0..total)
            .position(|row| !skip_applied || incoming.lineage(row).sequence > self.applied)
            .unwrap_or(total);
        counts.skipped += first as u64;
        if first == total {
            return Ok(counts);
        }
        let stored = self.look_up(&mut incoming, first)?;
        let base = self.hot.next_row();
        let mut accepted: Vec<Accepted> = Vec::with_capacity(total - first);
        let mut marked: Vec<Marked> = Vec::new();
        for row in first..total {
            let key = incoming.key(row);
            let number = base + accepted.len() as u64;
            let hot = self.hot.current(key);
            let committed = if hot.is_none() { stored.get(key) } else { None };
            // The version that the row replaces or comes before; none where it says the same.
            let current = match (hot, committed) {
                (None, None) => {
                    self.hot.set_current(key, number);
                    accepted.push(Accepted {
                        row: row as u32,
                        revision: 0,
                        superseded_at: None,
                    });
                    counts.inserted += 1;
                    continue;
                }
                (Some(at), _) if at >= base => {
                    let other = &accepted[(at - base) as usize];
                    let version = incoming.version(other.row as usize, other.revision);
                    let values = incoming.values(self)?;
                    (values.row(other.row as usize) != values.row(row)).then_some(version)
                }
                (Some(at), _) => {
                    let (version, values) = self.hot_version(at)?;
                    (values.row(0).data() != incoming.values(self)?.row(row).data())
                        .then_some(version)
                }
                (None, Some(stored)) => {
                    let equal = *stored.values == *incoming.values(self)?.row(row).data();
                    stored.version.filter(|_| !equal)
                }
            };
            let Some(current) = current else {
                counts.unchanged += 1;
                continue;
            };
            let own = incoming.version(row, current.revision + 1);
            if (own.precedence, own.received_at) < (current.precedence, current.received_at) {
                if self.history_holds(&mut incoming, row, &accepted, base)? {
                    counts.unchanged += 1;
                    continue;
                }
                self.hot.add_history(key, number);
                accepted.push(Accepted {
                    row: row as u32,
                    // It was never the answer: it carries the number of the version that was.
                    revision: current.revision,
                    superseded_at: Some(own.recorded_at.max(current.recorded_at)),
                });
                counts.history += 1;
                continue;
            }
            let by = incoming.lineage(row).sequence.0;
            match (hot, committed) {
                (Some(at), _) => {
                    marked.push(Marked {
                        row: at,
                        at: own.recorded_at,
                        by,
                    });
                    self.hot.add_history(key, at);
                }
                (None, Some(stored)) => {
                    self.mask(&stored.file.path, stored.row, own.recorded_at, by);
                }
                (None, None) => {}
            }
            self.hot.set_current(key, number);
            accepted.push(Accepted {
                row: row as u32,
                revision: own.revision,
                superseded_at: None,
            });
            counts.revised += 1;
        }
        self.insert(&incoming, &accepted, marked, flag)?;
        Ok(counts)
    }

    /// Appends the accepted rows as hot rows and sets the marks that they cause.
    fn insert(
        &mut self,
        incoming: &Incoming<'_>,
        accepted: &[Accepted],
        mut marked: Vec<Marked>,
        flag: &mut Flag<'_>,
    ) -> Result<(), LakeError> {
        if accepted.is_empty() {
            return Ok(());
        }
        let base = self.hot.next_row();
        let positions: Vec<u32> = accepted.iter().map(|a| a.row).collect();
        let declared_rows =
            take_rows(incoming.declared, &positions).map_err(self.arrow("select"))?;
        let (quality, tests) = flag(&self.declaration, &declared_rows, &positions);
        let lineage = || accepted.iter().map(|a| incoming.lineage(a.row as usize));
        let micros = |values: TimestampMicrosecondArray| -> ArrayRef {
            Arc::new(values.with_timezone("UTC"))
        };
        let mut columns = declared_rows.columns().to_vec();
        columns.push(Arc::new(quality));
        columns.push(Arc::new(tests));
        columns.push(Arc::new(StringArray::from_iter_values(
            lineage().map(|l| l.source.as_str()),
        )));
        columns.push(Arc::new(StringArray::from_iter_values(
            lineage().map(|l| l.licence.as_str()),
        )));
        columns.push(micros(lineage().map(|l| Some(l.received_at)).collect()));
        columns.push(micros(
            lineage()
                .map(|l| (l.recorded_at != l.received_at).then_some(l.recorded_at))
                .collect(),
        ));
        columns.push(micros(
            std::iter::repeat_n(None::<i64>, accepted.len()).collect(),
        ));
        columns.push(Arc::new(Int64Array::from_iter_values(
            accepted.iter().map(|a| a.revision),
        )));
        let batch = RecordBatch::try_new(self.declaration.row_schema(), columns)
            .map_err(self.arrow("assemble"))?;
        let sequences: Vec<u64> = lineage().map(|l| l.sequence.0).collect();
        self.raise_frontier(incoming, accepted, base);
        for (index, row) in accepted.iter().enumerate() {
            if let Some(at) = row.superseded_at {
                marked.push(Marked {
                    row: base + index as u64,
                    at,
                    by: sequences[index],
                });
            }
        }
        self.hot
            .push(batch, sequences)
            .map_err(self.arrow("append"))?;
        for Marked { row, at, by } in marked {
            self.hot.mark(row, at, by);
        }
        self.dirty = true;
        Ok(())
    }

    fn raise_frontier(&mut self, incoming: &Incoming<'_>, accepted: &[Accepted], base: u64) {
        let Some(times) = self
            .times(incoming.declared)
            .filter(|_| self.codec.has_series)
        else {
            return;
        };
        for row in accepted {
            let row = row.row as usize;
            let series = self.codec.series(incoming.key(row));
            self.frontier.inserted(series, times.value(row), base);
        }
    }

    /// The partition time column of a batch that starts with the declared columns.
    fn times<'a>(&self, declared: &'a RecordBatch) -> Option<&'a TimestampMicrosecondArray> {
        let index = self
            .declaration
            .column_index(self.declaration.time_column())?;
        declared
            .column(index)
            .as_primitive_opt::<TimestampMicrosecondType>()
    }

    fn wanted(&self, incoming: &Incoming<'_>, row: usize, time: i64) -> WantedKey {
        let declared = incoming.declared;
        let columns = self
            .codec
            .key_columns
            .iter()
            .filter_map(|index| keys::key_value(declared.column(*index).as_ref(), row))
            .collect();
        WantedKey {
            key: incoming.key(row).into(),
            columns,
            time,
        }
    }

    /// Finds the committed versions of incoming keys that are neither hot nor newer than everything of their series.
    fn look_up(
        &mut self,
        incoming: &mut Incoming<'_>,
        first: usize,
    ) -> Result<HashMap<Box<[u8]>, Stored>, LakeError> {
        if self.is_keyed_by_frame() {
            return Ok(HashMap::new());
        }
        let times = self.times(incoming.declared);
        let mut wanted: Vec<WantedKey> = Vec::new();
        for row in first..incoming.declared.num_rows() {
            let key = incoming.key(row);
            let time = times.map_or(0, |times| times.value(row));
            let past = self.codec.has_series && self.frontier.is_past(self.codec.series(key), time);
            if !past && self.hot.current(key).is_none() {
                wanted.push(self.wanted(incoming, row, time));
            }
        }
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        wanted.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        wanted.dedup_by(|a, b| a.key == b.key);
        let current: Vec<Arc<LiveFile>> = self
            .files
            .iter()
            .filter(|file| !file.superseded)
            .cloned()
            .collect();
        let found = self.reader.find(&wanted, &current)?;
        let oldest_hot = self.hot.oldest_row();
        let mut by_file: HashMap<Arc<str>, FileRows> = HashMap::new();
        for (index, found) in found.iter().enumerate() {
            if let Some(newest) = found.newest.filter(|_| self.codec.has_series) {
                let series = self.codec.series(&wanted[index].key);
                self.frontier.looked_up(series, newest, oldest_hot);
            }
            for (file, row) in &found.rows {
                if self
                    .masks
                    .get(&file.path)
                    .is_some_and(|mask| mask.by.contains_key(row))
                {
                    continue;
                }
                by_file
                    .entry(Arc::clone(&file.path))
                    .or_insert_with(|| FileRows {
                        file: Arc::clone(file),
                        rows: Vec::new(),
                    })
                    .rows
                    .push((*row, index));
            }
        }
        self.read_stored(incoming, first, &wanted, by_file.into_values())
    }

    /// Reads the committed versions that were found: their values, and what places them in the order of versions where
    /// an incoming row has other values. Most rows that are met again have the same.
    fn read_stored(
        &mut self,
        incoming: &mut Incoming<'_>,
        first: usize,
        wanted: &[WantedKey],
        found: impl Iterator<Item = FileRows>,
    ) -> Result<HashMap<Box<[u8]>, Stored>, LakeError> {
        let mut stored = HashMap::new();
        let mut files = Vec::new();
        let declared = self.declaration.declared_schema();
        let value_schema = Arc::new(
            declared
                .project(&self.codec.value_columns)
                .map_err(self.arrow("read"))?,
        );
        for FileRows { file, mut rows } in found {
            rows.sort_unstable();
            let positions: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
            let batch = self.reader.read_columns(&file, &positions, &value_schema)?;
            let values = self
                .codec
                .values_of(batch.columns())
                .map_err(self.arrow("encode"))?;
            for (at, (row, index)) in rows.iter().enumerate() {
                let found = Stored {
                    file: Arc::clone(&file),
                    row: *row,
                    values: values.row(at).data().into(),
                    version: None,
                };
                stored.insert(wanted[*index].key.clone(), found);
            }
            files.push(FileRows { file, rows });
        }
        let mut differs: HashSet<&[u8]> = HashSet::new();
        for row in first..incoming.declared.num_rows() {
            let key = incoming.key(row);
            if let Some(found) = stored.get(key)
                && *found.values != *incoming.values(self)?.row(row).data()
            {
                differs.insert(key);
            }
        }
        let version_schema = Arc::new(
            self.declaration
                .file_schema()
                .project(&self.version_columns())
                .map_err(self.arrow("read"))?,
        );
        for FileRows { file, mut rows } in files {
            rows.retain(|(_, index)| differs.contains(&*wanted[*index].key));
            if rows.is_empty() {
                continue;
            }
            let positions: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
            let batch = self
                .reader
                .read_columns(&file, &positions, &version_schema)?;
            for (at, (_, index)) in rows.into_iter().enumerate() {
                if let Some(found) = stored.get_mut(&wanted[index].key) {
                    found.version = Some(self.version_of(&batch, at));
                }
            }
        }
        Ok(stored)
    }

    /// Positions in the file schema of the columns that [`DatasetActor::version_of`] reads.
    fn version_columns(&self) -> Vec<usize> {
        let schema = self.declaration.file_schema();
        let names = [
            common::SOURCE,
            common::RECEIVED_AT,
            common::RECORDED_AT,
            common::REVISION,
        ];
        let found = names.iter().filter_map(|name| schema.index_of(name).ok());
        found.collect()
    }

    /// Returns the version and the values of a hot row.
    fn hot_version(&self, number: u64) -> Result<(Version, Rows), LakeError> {
        let (chunk, position) = self.hot.locate(number).ok_or_else(|| {
            LakeError::Usage(format!(
                "hot row {number} of `{}` is gone",
                self.declaration.id
            ))
        })?;
        let row = chunk.batch.slice(position, 1);
        let values = self.codec.values(&row).map_err(self.arrow("encode"))?;
        Ok((self.version_of(&row, 0), values))
    }

    /// Reads a version from the common columns of a row or file batch.
    fn version_of(&self, batch: &RecordBatch, row: usize) -> Version {
        let micros = |name: &str| {
            let array = batch
                .column_by_name(name)?
                .as_primitive_opt::<TimestampMicrosecondType>()?;
            (!array.is_null(row)).then(|| array.value(row))
        };
        let received_at = micros(common::RECEIVED_AT).unwrap_or(0);
        let precedence = if self.precedences.is_empty() {
            0
        } else {
            batch
                .column_by_name(common::SOURCE)
                .and_then(|array| array.as_string_opt::<i32>())
                .and_then(|array| self.precedences.get(&SourceId::new(array.value(row))))
                .copied()
                .unwrap_or(0)
        };
        Version {
            precedence,
            received_at,
            recorded_at: micros(common::RECORDED_AT).unwrap_or(received_at),
            revision: batch
                .column_by_name(common::REVISION)
                .and_then(|array| array.as_primitive_opt::<Int64Type>())
                .map_or(0, |array| array.value(row)),
        }
    }

    /// Returns true where history holds a version with these values and this receive time already.
    fn history_holds(
        &mut self,
        incoming: &mut Incoming<'_>,
        row: usize,
        accepted: &[Accepted],
        base: u64,
    ) -> Result<bool, LakeError> {
        let key = incoming.key(row);
        let received_at = incoming.lineage(row).received_at;
        for number in self.hot.history(key).to_vec() {
            let same = if number >= base {
                let other = accepted[(number - base) as usize].row as usize;
                let values = incoming.values(self)?;
                let equal = values.row(other) == values.row(row);
                equal && incoming.lineage(other).received_at == received_at
            } else {
                let (version, other) = self.hot_version(number)?;
                version.received_at == received_at
                    && other.row(0).data() == incoming.values(self)?.row(row).data()
            };
            if same {
                return Ok(true);
            }
        }
        let time = self
            .times(incoming.declared)
            .map_or(0, |times| times.value(row));
        let wanted = [self.wanted(incoming, row, time)];
        let files = Arc::clone(&self.files);
        let found = self.reader.find(&wanted, &files)?;
        for (file, position) in found.into_iter().flat_map(|found| found.rows) {
            let batch = self.reader.read_rows(&file, &[position])?;
            let other = self.codec.values(&batch).map_err(self.arrow("encode"))?;
            if self.version_of(&batch, 0).received_at == received_at
                && other.row(0).data() == incoming.values(self)?.row(row).data()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns a function that wraps an Arrow error with its operation and this dataset.
    pub(super) fn arrow(
        &self,
        operation: &'static str,
    ) -> impl FnOnce(arrow::error::ArrowError) -> LakeError + use<> {
        LakeError::arrow(operation, &self.declaration.id)
    }
}

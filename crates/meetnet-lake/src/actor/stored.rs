//! What is stored of the keys of incoming rows: read from files and hot rows before anything is decided.
//!
//! `incoming keys -> current version of each; past versions, where a row may come before the current one -> apply`
//!
//! It changes nothing but the frontier, which may know more after every look-up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::row::Rows;
use meetnet_model::common;
use meetnet_model::ids::SourceId;

use super::{DatasetActor, Lineage};
use crate::error::LakeError;
use crate::keys;
use crate::snapshot::{LiveFile, StatisticsValue};
use crate::table::lookup::{FoundKey, WantedKey};

/// What places a version in the order: precedence of its source, then receive time, µs.
pub(super) type Place = (i32, i64);

/// What of a version decides its place in the order, and what a successor needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub(super) precedence: i32,
    pub(super) received_at: i64,
    pub(super) recorded_at: i64,
    pub(super) revision: i64,
}

/// A current version in a committed file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) file: Arc<LiveFile>,
    pub(super) row: u32,
    pub(super) values: Box<[u8]>,
    /// None where every incoming row of the key has the same values.
    pub(super) version: Option<Version>,
}

/// A version in a committed file, current or not.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) received_at: i64,
    pub(super) values: Box<[u8]>,
}

/// Rows of one file that hold wanted keys: position in the file, and of the key among the wanted.
pub(super) struct FileRows {
    pub(super) file: Arc<LiveFile>,
    pub(super) rows: Vec<(u32, usize)>,
}

/// The rows being applied; their values are encoded when the first comparison asks for them.
pub(super) struct Incoming<'a> {
    pub(super) declared: &'a RecordBatch,
    pub(super) keys: &'a Rows,
    pub(super) envelopes: &'a [u32],
    /// Which of the rows that were to be applied each comes from; none: each is the one at its position.
    pub(super) origins: Option<&'a [u32]>,
    pub(super) lineage: &'a [Lineage],
    pub(super) values: Option<Rows>,
}

impl<'a> Incoming<'a> {
    pub(super) fn lineage(&self, row: usize) -> &'a Lineage {
        &self.lineage[self.envelopes[row] as usize]
    }

    pub(super) fn key(&self, row: usize) -> &'a [u8] {
        self.keys.row(row).data()
    }

    /// What places a row in the order of the versions of its key; its sequence decides between equals.
    fn place(&self, row: usize) -> Place {
        let lineage = self.lineage(row);
        (lineage.precedence, lineage.received_at)
    }

    pub(super) fn version(&self, row: usize, revision: i64) -> Version {
        let lineage = self.lineage(row);
        Version {
            precedence: lineage.precedence,
            received_at: lineage.received_at,
            recorded_at: lineage.recorded_at,
            revision,
        }
    }

    pub(super) fn values(&mut self, actor: &DatasetActor) -> Result<&Rows, LakeError> {
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

    /// Returns true where the key of a reject is the position of its own frame, which nothing stored can have. A replayed
    /// message keeps the position that it had first.
    fn is_keyed_by_its_frame(&self, incoming: &Incoming<'_>, row: usize) -> bool {
        let first = self.codec.key_columns.first();
        self.is_keyed_by_frame()
            && first.is_some_and(|index| {
                let value = keys::key_value(incoming.declared.column(*index).as_ref(), row);
                let sequence = incoming.lineage(row).sequence.0 as i64;
                value == Some(StatisticsValue::Int(sequence))
            })
    }

    /// Finds the committed versions of incoming keys that are neither hot nor newer than everything of their series.
    pub(super) fn look_up(
        &mut self,
        incoming: &mut Incoming<'_>,
        first: usize,
    ) -> Result<HashMap<Box<[u8]>, Stored>, LakeError> {
        let times = self.times(incoming.declared);
        let mut wanted: Vec<WantedKey> = Vec::new();
        for row in first..incoming.declared.num_rows() {
            if self.is_keyed_by_its_frame(incoming, row) {
                continue;
            }
            let key = incoming.key(row);
            let time = times.map_or(0, |times| times.value(row));
            // What arrives as it is measured is newer than every file: nothing has to be known of its series then.
            let past = self.codec.has_series
                && (self.newest_stored.is_none_or(|newest| time > newest)
                    || self.frontier.is_past(self.codec.series(key), time));
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
        for (wanted, found) in wanted.iter().zip(&found) {
            if let Some(newest) = found.newest.filter(|_| self.codec.has_series) {
                let series = self.codec.series(&wanted.key);
                self.frontier.looked_up(series, newest, oldest_hot);
            }
        }
        let found = by_file(&found, |file, row| !self.is_masked(file, row));
        self.read_stored(incoming, first, &wanted, found)
    }

    /// Returns true where a hot row has replaced a row of a file.
    pub(super) fn is_masked(&self, file: &LiveFile, row: u32) -> bool {
        let mask = self.masks.get(&file.path);
        mask.is_some_and(|mask| mask.by.contains_key(&row))
    }

    /// Finds every committed version of the keys of which an incoming row may come before the current version: history
    /// may hold that row already.
    pub(super) fn look_up_history(
        &mut self,
        incoming: &Incoming<'_>,
        first: usize,
        stored: &HashMap<Box<[u8]>, Stored>,
    ) -> Result<HashMap<Box<[u8]>, Vec<Past>>, LakeError> {
        let times = self.times(incoming.declared);
        let mut wanted: Vec<WantedKey> = self
            .late_rows(incoming, first, stored)
            .into_iter()
            .map(|row| self.wanted(incoming, row, times.map_or(0, |times| times.value(row))))
            .collect();
        let mut history: HashMap<Box<[u8]>, Vec<Past>> = HashMap::new();
        if wanted.is_empty() {
            return Ok(history);
        }
        wanted.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        wanted.dedup_by(|a, b| a.key == b.key);
        let files = Arc::clone(&self.files);
        let found = self.reader.find(&wanted, &files)?;
        let schema = self.declaration.file_schema();
        let mut columns = self.codec.value_columns.clone();
        columns.extend(schema.index_of(common::RECEIVED_AT).ok());
        let schema = Arc::new(schema.project(&columns).map_err(self.arrow("read"))?);
        for FileRows { file, rows } in by_file(&found, |_, _| true) {
            let positions: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
            let batch = self.reader.read_columns(&file, &positions, &schema)?;
            let values = self
                .codec
                .values_of(&batch.columns()[..self.codec.value_columns.len()])
                .map_err(self.arrow("encode"))?;
            for (at, (_, index)) in rows.into_iter().enumerate() {
                let past = Past {
                    received_at: micros(&batch, common::RECEIVED_AT, at).unwrap_or(0),
                    values: values.row(at).data().into(),
                };
                let of_key = history.entry(wanted[index].key.clone());
                of_key.or_default().push(past);
            }
        }
        Ok(history)
    }

    /// Returns the incoming rows that may come before the current version of their key, whatever becomes of the rows
    /// before them: more than do, never fewer.
    fn late_rows(
        &self,
        incoming: &Incoming<'_>,
        first: usize,
        stored: &HashMap<Box<[u8]>, Stored>,
    ) -> Vec<usize> {
        let rows = first..incoming.declared.num_rows();
        // Messages as they arrive are in order among themselves: only what is stored can be later then.
        let in_order = rows.clone().is_sorted_by_key(|row| incoming.place(row));
        let mut latest: HashMap<&[u8], Place> = HashMap::new();
        let mut late = Vec::new();
        for row in rows {
            let (key, own) = (incoming.key(row), incoming.place(row));
            let known = match latest.get(key) {
                Some(place) => Some(*place),
                None => self.place_of_current(key, stored),
            };
            if known.is_some_and(|known| own < known) {
                late.push(row);
            } else if !in_order {
                latest.insert(key, own);
            }
        }
        late
    }

    /// The place of the current version, hot or committed; None where there is none or it says the same as every
    /// incoming row of the key.
    fn place_of_current(&self, key: &[u8], stored: &HashMap<Box<[u8]>, Stored>) -> Option<Place> {
        let version = match self.hot.current(key) {
            Some(number) => {
                let (chunk, position) = self.hot.locate(number)?;
                self.version_of(&chunk.batch, position)
            }
            None => stored.get(key)?.version?,
        };
        Some((version.precedence, version.received_at))
    }

    /// Reads the committed versions that were found: their values, and what places them in the order of versions where
    /// an incoming row has other values. Most rows that are met again have the same.
    fn read_stored(
        &mut self,
        incoming: &mut Incoming<'_>,
        first: usize,
        wanted: &[WantedKey],
        found: Vec<FileRows>,
    ) -> Result<HashMap<Box<[u8]>, Stored>, LakeError> {
        let mut stored = HashMap::new();
        let mut files = Vec::new();
        let declared = self.declaration.declared_schema();
        let value_schema = Arc::new(
            declared
                .project(&self.codec.value_columns)
                .map_err(self.arrow("read"))?,
        );
        for FileRows { file, rows } in found {
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
    pub(super) fn hot_version(&self, number: u64) -> Result<(Version, Rows), LakeError> {
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
    pub(super) fn version_of(&self, batch: &RecordBatch, row: usize) -> Version {
        let received_at = micros(batch, common::RECEIVED_AT, row).unwrap_or(0);
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
            recorded_at: micros(batch, common::RECORDED_AT, row).unwrap_or(received_at),
            revision: batch
                .column_by_name(common::REVISION)
                .and_then(|array| array.as_primitive_opt::<Int64Type>())
                .map_or(0, |array| array.value(row)),
        }
    }
}

/// Returns a time of one row, µs; None where it is null.
fn micros(batch: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let array = batch
        .column_by_name(name)?
        .as_primitive_opt::<TimestampMicrosecondType>()?;
    (!array.is_null(row)).then(|| array.value(row))
}

/// Groups what was found by file, ascending by row, leaving out what `keep` does not want.
pub(super) fn by_file(found: &[FoundKey], keep: impl Fn(&LiveFile, u32) -> bool) -> Vec<FileRows> {
    let mut by_file: HashMap<&str, FileRows> = HashMap::new();
    for (index, found) in found.iter().enumerate() {
        for (file, row) in found.rows.iter().filter(|(file, row)| keep(file, *row)) {
            let of_file = by_file.entry(&file.path).or_insert_with(|| FileRows {
                file: Arc::clone(file),
                rows: Vec::new(),
            });
            of_file.rows.push((*row, index));
        }
    }
    let mut files: Vec<FileRows> = by_file.into_values().collect();
    for file in &mut files {
        file.rows.sort_unstable();
    }
    files
}

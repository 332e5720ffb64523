//! What is stored of the keys of incoming rows: read from files and hot rows before anything is decided.
//!
//! `incoming keys -> current version of each; past versions, where a row may come before the current one -> apply`
//!
//! It changes nothing but the frontier, which may know more after every look-up. Most rows that are met again say what is
//! stored: they are compared column by column, and nothing is kept of them but that.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::Rows;
use hashbrown::HashMap;
use meetnet_model::common;
use meetnet_model::ids::SourceId;

use super::order::{may_repeat, sort_by_key};
use super::{DatasetActor, Lineage};
use crate::error::LakeError;
use crate::keys::{self, KeyCodec};
use crate::snapshot::{LiveFile, StatisticsValue};
use crate::table::lookup::{FileRows, WantedKey};

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

impl Version {
    pub(super) fn place(&self) -> Place {
        (self.precedence, self.received_at)
    }
}

/// A current version in a committed file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) file: Arc<LiveFile>,
    pub(super) row: u32,
    /// None where every incoming row of the key says the same, and none can take its place all the same.
    pub(super) version: Option<Version>,
}

/// The current versions of incoming keys that stand in committed files.
#[derive(Debug, Default)]
pub(super) struct StoredRows {
    versions: Vec<Stored>,
    /// By incoming row; empty where nothing was found.
    of_row: Vec<Option<StoredOf>>,
}

/// What is stored of the key of one incoming row.
#[derive(Clone, Copy, Debug)]
struct StoredOf {
    /// Place among the versions.
    version: u32,
    /// Whether it says the same as the row.
    is_equal: bool,
}

impl StoredRows {
    /// Returns true where nothing is stored of any incoming row's key.
    fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Returns the version of an incoming row's key, and whether it says the same.
    pub(super) fn of(&self, row: usize) -> Option<(&Stored, bool)> {
        let of_row = (*self.of_row.get(row)?)?;
        Some((&self.versions[of_row.version as usize], of_row.is_equal))
    }
}

/// Incoming rows to look up, in the order of their keys.
struct LookUp {
    /// The rows; those of one key follow each other.
    rows: Vec<u32>,
    /// By key: its rows, by their places.
    of_key: Vec<Range<usize>>,
}

impl LookUp {
    /// Returns what `rows` of the incoming ones look for; each comes with whether the newest time of its series is sought.
    fn new<'a>(
        codec: &KeyCodec,
        incoming: &Incoming<'a>,
        times: Option<&TimestampMicrosecondArray>,
        rows: Vec<(u32, bool)>,
    ) -> (Self, Vec<WantedKey<'a>>) {
        let key = |row: u32| incoming.key(row as usize);
        let rows = sort_by_key(codec, incoming.keys, rows);
        // Few keys come twice.
        let mut look_up = Self {
            rows: Vec::with_capacity(rows.len()),
            of_key: Vec::with_capacity(rows.len()),
        };
        let mut wanted: Vec<WantedKey<'a>> = Vec::with_capacity(rows.len());
        for (place, (row, seeks_newest)) in rows.into_iter().enumerate() {
            look_up.rows.push(row);
            match (wanted.last(), look_up.of_key.last_mut()) {
                (Some(last), Some(rows)) if last.key == key(row) => rows.end = place + 1,
                _ => {
                    look_up.of_key.push(place..place + 1);
                    wanted.push(WantedKey {
                        key: key(row),
                        time: times.map_or(0, |times| times.value(row as usize)),
                        seeks_newest,
                    });
                }
            }
        }
        (look_up, wanted)
    }

    /// The incoming rows of a key.
    fn rows_of(&self, key: usize) -> &[u32] {
        &self.rows[self.of_key[key].clone()]
    }
}

/// A version in a committed file, current or not.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) received_at: i64,
    pub(super) values: Box<[u8]>,
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

    /// Returns true for a row that was replayed or imported: its envelope may have been told before.
    pub(super) fn is_told_late(&self, row: usize) -> bool {
        let lineage = self.lineage(row);
        lineage.recorded_at != lineage.received_at
    }

    /// Returns for each row the last one of its envelope that has its key; mostly that is the row itself.
    pub(super) fn last_rows(&self) -> Vec<usize> {
        let mut last_of_key: HashMap<&[u8], usize> = HashMap::new();
        let mut last_rows = vec![0; self.envelopes.len()];
        for (row, found) in last_rows.iter_mut().enumerate().rev() {
            let last = last_of_key.entry(self.key(row)).or_insert(row);
            if self.envelopes[*last] != self.envelopes[row] {
                *last = row;
            }
            *found = *last;
        }
        last_rows
    }

    /// What places a row in the order of the versions of its key; its sequence decides between equals.
    pub(super) fn place(&self, row: usize) -> Place {
        let lineage = self.lineage(row);
        (lineage.precedence, lineage.received_at)
    }

    /// Returns true where a row is of a source that counts for more than that of a version.
    pub(super) fn outranks(&self, row: usize, version: &Version) -> bool {
        self.lineage(row).precedence > version.precedence
    }

    /// Returns true where a row takes the place of a version, even if it says the same.
    pub(super) fn takes_over(&self, row: usize, version: &Version) -> bool {
        let confirms = self.lineage(row).confirms;
        self.outranks(row, version) || (confirms && self.place(row) > version.place())
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
        Ok(self
            .values
            .as_ref()
            .expect("they are set above where there are none"))
    }
}

impl DatasetActor {
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
        incoming: &Incoming<'_>,
        first: usize,
    ) -> Result<StoredRows, LakeError> {
        let times = self.times(incoming.declared);
        let mut rows: Vec<(u32, bool)> = Vec::new();
        // Rows of one series follow each other, or most do: what is known of it is asked once.
        let mut known: Option<(&[u8], Option<i64>)> = None;
        for row in first..incoming.declared.num_rows() {
            if self.is_keyed_by_its_frame(incoming, row) {
                continue;
            }
            let key = incoming.key(row);
            let mut seeks_newest = false;
            if self.codec.has_series {
                let time = times.map_or(0, |times| times.value(row));
                // What arrives as it is measured is newer than every file: nothing has to be known of its series then.
                if self.newest_stored.is_none_or(|newest| time > newest) {
                    continue;
                }
                let series = self.codec.series(key);
                let newest = match known {
                    Some((same, newest)) if same == series => newest,
                    _ => self.frontier.newest(series),
                };
                known = Some((series, newest));
                if newest.is_some_and(|newest| time > newest) {
                    continue;
                }
                seeks_newest = newest.is_none();
            }
            if self.hot.current(key).is_none() {
                rows.push((row as u32, seeks_newest));
            }
        }
        if rows.is_empty() {
            return Ok(StoredRows::default());
        }
        let (look_up, wanted) = LookUp::new(&self.codec, incoming, times, rows);
        let files = Arc::clone(&self.files);
        let current = files.iter().filter(|file| !file.superseded);
        let mut found = self.reader.find(&wanted, current)?;
        let oldest_hot = self.hot.oldest_row();
        for (wanted, newest) in wanted.iter().zip(&found.newest) {
            if let Some(newest) = newest {
                let series = self.codec.series(wanted.key);
                self.frontier.looked_up(series, *newest, oldest_hot);
            }
        }
        for FileRows { file, rows } in &mut found.files {
            rows.retain(|(row, _)| !self.is_masked(file, *row));
        }
        self.read_stored(incoming, &look_up, found.files)
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
        stored: &StoredRows,
    ) -> Result<HashMap<Box<[u8]>, Vec<Past>>, LakeError> {
        let late = self.late_rows(incoming, first, stored);
        let mut history: HashMap<Box<[u8]>, Vec<Past>> = HashMap::new();
        if late.is_empty() {
            return Ok(history);
        }
        let rows = late.into_iter().map(|row| (row as u32, false)).collect();
        let times = self.times(incoming.declared);
        let (_, wanted) = LookUp::new(&self.codec, incoming, times, rows);
        let files = Arc::clone(&self.files);
        let found = self.reader.find(&wanted, files.iter())?;
        let schema = self.declaration.file_schema();
        let mut columns = self.codec.value_columns.clone();
        columns.extend(schema.index_of(common::RECEIVED_AT).ok());
        let schema = Arc::new(schema.project(&columns).map_err(self.arrow("read"))?);
        for found in found.files {
            let batch = self
                .reader
                .read_columns(&found.file, &found.positions(), &schema)?;
            let values = self
                .codec
                .values_of(&batch.columns()[..self.codec.value_columns.len()])
                .map_err(self.arrow("encode"))?;
            for (at, (_, index)) in found.rows.into_iter().enumerate() {
                let past = Past {
                    received_at: micros(&batch, common::RECEIVED_AT, at).unwrap_or(0),
                    values: values.row(at).data().into(),
                };
                let of_key = history.entry(wanted[index].key.into());
                of_key.or_default().push(past);
            }
        }
        Ok(history)
    }

    /// Returns the incoming rows that may come before the current version of their key, whatever becomes of the rows
    /// before them: more than do, never fewer.
    fn late_rows(&self, incoming: &Incoming<'_>, first: usize, stored: &StoredRows) -> Vec<usize> {
        let rows = first..incoming.declared.num_rows();
        // Messages as they arrive are in order among themselves: only what is stored can be later then.
        let in_order = rows.clone().is_sorted_by_key(|row| incoming.place(row));
        // And what is hot has been received before: no key has to be looked for.
        if in_order
            && stored.is_empty()
            && self.precedences.is_empty()
            && incoming.place(first) >= (0, self.hot.received_max())
        {
            return Vec::new();
        }
        let repeats = match in_order {
            true => vec![false; rows.len()],
            false => may_repeat(&self.codec, rows.clone().map(|row| incoming.key(row))),
        };
        let mut latest: HashMap<&[u8], Place> = HashMap::new();
        let mut late = Vec::new();
        for (row, may_repeat) in rows.zip(repeats) {
            let (key, own) = (incoming.key(row), incoming.place(row));
            let before = match may_repeat {
                true => latest.get(key).copied(),
                false => None,
            };
            let known = before.or_else(|| self.place_of_current(incoming, row, stored));
            if known.is_some_and(|known| own < known) {
                late.push(row);
            } else if may_repeat {
                latest.insert(key, own);
            }
        }
        late
    }

    /// The place of the current version, hot or committed; None where there is none or it says the same as every
    /// incoming row of the key.
    fn place_of_current(
        &self,
        incoming: &Incoming<'_>,
        row: usize,
        stored: &StoredRows,
    ) -> Option<Place> {
        let version = match self.hot.current(incoming.key(row)) {
            Some(number) => {
                let (chunk, position) = self.hot.locate(number)?;
                self.version_of(&chunk.batch, position)
            }
            None => stored.of(row)?.0.version?,
        };
        Some((version.precedence, version.received_at))
    }

    /// Compares incoming rows with the committed versions that were found of their keys, and reads what places those in the
    /// order of versions where a row says something else.
    fn read_stored(
        &mut self,
        incoming: &Incoming<'_>,
        look_up: &LookUp,
        found: Vec<FileRows>,
    ) -> Result<StoredRows, LakeError> {
        let mut stored = StoredRows::default();
        let file_schema = self.declaration.file_schema();
        let schema_of =
            |columns: &[usize]| file_schema.project(columns).map_err(self.arrow("read"));
        let value_schema = Arc::new(schema_of(&self.codec.value_columns)?);
        let version_schema = Arc::new(schema_of(&self.version_columns())?);
        // Of a stored row, whatever its source: it has 0 where nothing is declared.
        let lowest = self.precedences.values().copied().min().unwrap_or(0).min(0);
        for found in found.into_iter().filter(|found| !found.rows.is_empty()) {
            stored.of_row.resize(incoming.declared.num_rows(), None);
            let parts = self
                .reader
                .read_on(&found.file, &found.positions(), &value_schema)?;
            let mut compared = Vec::with_capacity(found.rows.len());
            let mut not_compared = found.rows.as_slice();
            for part in &parts {
                let (rows, behind) = not_compared.split_at(part.num_rows());
                let columns = &self.codec.value_columns;
                let equal = compare(columns, incoming, look_up, rows, part)
                    .map_err(self.arrow("compare rows of"))?;
                compared.extend(equal.iter());
                not_compared = behind;
            }
            // Rows of the file that an incoming row differs from, or may count for more than; the places of their versions.
            let mut asked_for: Vec<(u32, usize)> = Vec::new();
            let mut compared = compared.into_iter();
            for (row, key) in found.rows {
                let place = stored.versions.len();
                let mut is_asked_for = false;
                for (row, is_equal) in look_up.rows_of(key).iter().zip(&mut compared) {
                    let lineage = incoming.lineage(*row as usize);
                    is_asked_for |= !is_equal || lineage.confirms || lineage.precedence > lowest;
                    stored.of_row[*row as usize] = Some(StoredOf {
                        version: place as u32,
                        is_equal,
                    });
                }
                stored.versions.push(Stored {
                    file: Arc::clone(&found.file),
                    row,
                    version: None,
                });
                if is_asked_for {
                    asked_for.push((row, place));
                }
            }
            if asked_for.is_empty() {
                continue;
            }
            let positions: Vec<u32> = asked_for.iter().map(|(row, _)| *row).collect();
            let batch = self
                .reader
                .read_columns(&found.file, &positions, &version_schema)?;
            for (at, (_, place)) in asked_for.into_iter().enumerate() {
                stored.versions[place].version = Some(self.version_of(&batch, at));
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

/// Returns for each incoming row of the found keys, one key after the other, whether it says the same as the stored row;
/// `stored` has the value columns of the rows in `found`, which come with their keys.
fn compare(
    value_columns: &[usize],
    incoming: &Incoming<'_>,
    look_up: &LookUp,
    found: &[(u32, usize)],
    stored: &RecordBatch,
) -> Result<BooleanBuffer, ArrowError> {
    let (mut of_stored, mut of_incoming) = (Vec::new(), Vec::new());
    for (at, (_, key)) in found.iter().enumerate() {
        for row in look_up.rows_of(*key) {
            of_stored.push(at as u32);
            of_incoming.push(*row);
        }
    }
    let declared = incoming.declared;
    let declared: Vec<ArrayRef> = value_columns
        .iter()
        .map(|column| Arc::clone(declared.column(*column)))
        .collect();
    let rows = of_incoming.len();
    let stored = take_columns(stored.columns(), of_stored)?;
    let incoming = take_columns(&declared, of_incoming)?;
    keys::equal_rows(rows, &stored, &incoming)
}

/// Takes rows of columns; those that follow each other are a slice.
fn take_columns(columns: &[ArrayRef], rows: Vec<u32>) -> Result<Vec<ArrayRef>, ArrowError> {
    let Some(first) = rows.first().copied() else {
        return Ok(columns.iter().map(|column| column.slice(0, 0)).collect());
    };
    if rows.iter().copied().eq(first..first + rows.len() as u32) {
        let slice = |column: &ArrayRef| column.slice(first as usize, rows.len());
        return Ok(columns.iter().map(slice).collect());
    }
    let rows = UInt32Array::from(rows);
    columns
        .iter()
        .map(|column| take(column, &rows, None))
        .collect()
}

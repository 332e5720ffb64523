//! What a broken file held: row by row where it can still be read, by its statistics where not.
//!
//! Damaged bytes can decode to anything. Rows count as read only where the keys of a whole row group are in order and
//! have the bounds that the footer states, and the footer says what the log says.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_model::calendar;
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT, SOURCE};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::time::parse_rfc3339;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::check::{Bounds, agrees, key_schema, value_text};
use crate::compact::MergeInput;
use crate::damage::Damage;
use crate::error::LakeError;
use crate::keys::{self, KeyCodec};
use crate::snapshot::{LiveFile, StatisticsValue};
use crate::storage::{Access, FileChunks, TableFolder};
use crate::table::parquet_file::{FileStatistics, statistics_of};
use crate::table::read::{columns_of, conform, load_footer};

/// Parts that are told apart per file; the rows of more are one part by their bounds.
const PARTS_MAX: usize = 10_000;
/// 9999-12-31T23:59:59.999999Z: later than any time that a row can have.
const LAST_TIME: i64 = 253_402_300_799_999_999;
/// Rows in memory.
const BATCH_ROWS: usize = 8_192;

/// Rows that a file held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPart {
    /// How many.
    pub rows: u64,
    /// True: they were read, all are of one series and one source. False: only bounds are known.
    pub is_read: bool,
    /// Their keys by column, in key order.
    pub keys: Vec<KeyRange>,
    /// Their sources.
    pub sources: SourceRange,
    /// When their messages were received.
    pub received_at: TimeRange,
    /// When they were recorded.
    pub recorded_at: TimeRange,
}

/// Least and greatest value of a key column, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// The column.
    pub column: String,
    /// Least value; of a long text perhaps only the beginning.
    pub least: String,
    /// Greatest value.
    pub greatest: String,
}

/// Sources from one name to another; one source where they are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceRange {
    /// Least name.
    pub least: String,
    /// Greatest name.
    pub greatest: String,
}

/// A span of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// First instant, µs since 1970 UTC.
    #[serde(with = "rfc3339")]
    pub first: i64,
    /// Last instant, µs since 1970 UTC.
    #[serde(with = "rfc3339")]
    pub last: i64,
}

mod rfc3339 {
    use super::{Deserialize, Deserializer, Serializer, calendar, parse_rfc3339};
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(micros: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&calendar::format_rfc3339(*micros))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text = String::deserialize(from)?;
        parse_rfc3339(&text).map_err(D::Error::custom)
    }
}

impl TimeRange {
    /// Returns the span that covers both.
    pub fn union(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// Says what `file` held.
pub(super) fn read(
    folder: &TableFolder,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
    damage: Damage,
) -> Vec<HeldPart> {
    let whole = || vec![by_statistics(declaration, file.rows, &file.statistics)];
    if damage == Damage::Missing {
        return whole();
    }
    // The reader is made for what was written; of bytes that were not, it may make anything.
    let opened = catch_unwind(AssertUnwindSafe(|| open(folder, declaration, file)));
    let Ok(Some((input, footer))) = opened else {
        return whole();
    };
    let mut parts = Vec::new();
    for (index, group) in footer.metadata().row_groups().iter().enumerate() {
        let statistics = statistics_of(std::slice::from_ref(group));
        let rows = group.num_rows().unsigned_abs();
        let read = catch_unwind(AssertUnwindSafe(|| {
            read_group(folder, declaration, &input, &footer, index)
        }));
        match read {
            Ok(Ok(group)) if group.rows == rows && group.is_sound(&statistics) => {
                parts.extend(group.parts());
            }
            _ => parts.push(by_statistics(declaration, rows, &statistics)),
        }
    }
    joined(parts, || {
        by_statistics(declaration, file.rows, &file.statistics)
    })
}

fn open(
    folder: &TableFolder,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
) -> Option<(FileChunks, ArrowReaderMetadata)> {
    let input = folder.open(file, Access::Whole).ok()?;
    let footer = load_footer(&input).ok()?;
    agrees(footer.metadata(), declaration, file).then_some((input, footer))
}

/// Joins the parts of one series and source that lie in several row groups; past [`PARTS_MAX`] all are one.
fn joined(parts: Vec<HeldPart>, whole: impl FnOnce() -> HeldPart) -> Vec<HeldPart> {
    let mut joined: Vec<HeldPart> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if last.is_read && part.is_read && last.is_same_series(&part) => {
                last.rows += part.rows;
                if let (Some(time), Some(later)) = (last.keys.last_mut(), part.keys.last()) {
                    time.greatest.clone_from(&later.greatest);
                }
                last.received_at = last.received_at.union(part.received_at);
                last.recorded_at = last.recorded_at.union(part.recorded_at);
            }
            _ => joined.push(part),
        }
    }
    if joined.len() > PARTS_MAX {
        return vec![whole()];
    }
    joined
}

impl HeldPart {
    fn is_same_series(&self, other: &Self) -> bool {
        let series = |part: &Self| part.keys.split_last().map(|(_, series)| series.to_vec());
        self.sources == other.sources && series(self) == series(other)
    }
}

/// What statistics say of rows.
fn by_statistics(
    declaration: &DatasetDeclaration,
    rows: u64,
    statistics: &FileStatistics,
) -> HeldPart {
    let bounds = |name: &str| {
        let column = statistics.get(name)?;
        Some((column.min.clone()?, column.max.clone()?))
    };
    let times = |name: &str| match bounds(name)? {
        (StatisticsValue::Int(first), StatisticsValue::Int(last)) => {
            Some(TimeRange { first, last })
        }
        _ => None,
    };
    let received_at = times(RECEIVED_AT).unwrap_or(TimeRange {
        first: 0,
        last: LAST_TIME,
    });
    // Without a time of its own a row was recorded when it was received.
    let has_own = statistics.get(RECORDED_AT).and_then(|column| column.nulls) == Some(0);
    let recorded_at = match times(RECORDED_AT) {
        Some(own) if has_own => own,
        Some(own) => own.union(received_at),
        None => received_at,
    };
    let sources = match bounds(SOURCE) {
        Some((StatisticsValue::Text(least), StatisticsValue::Text(greatest))) => SourceRange {
            least: least.to_string(),
            greatest: greatest.to_string(),
        },
        _ => SourceRange {
            least: String::new(),
            greatest: char::MAX.to_string(),
        },
    };
    let key = declaration.key.iter().filter_map(|name| {
        let (least, greatest) = bounds(name)?;
        Some(KeyRange {
            column: name.clone(),
            least: value_text(declaration, name, &least),
            greatest: value_text(declaration, name, &greatest),
        })
    });
    HeldPart {
        rows,
        is_read: false,
        keys: key.collect(),
        sources,
        received_at,
        recorded_at,
    }
}

/// The rows of one row group that were read.
struct ReadGroup<'a> {
    declaration: &'a DatasetDeclaration,
    rows: u64,
    is_in_order: bool,
    last_key: Option<Box<[u8]>>,
    bounds: Bounds,
    /// By series and source.
    series: BTreeMap<(Box<[u8]>, String), Series>,
}

/// Rows of one series and source.
struct Series {
    rows: u64,
    first: Vec<StatisticsValue>,
    last: Vec<StatisticsValue>,
    received_at: TimeRange,
    recorded_at: TimeRange,
}

fn read_group<'a>(
    folder: &'a TableFolder,
    declaration: &'a DatasetDeclaration,
    input: &FileChunks,
    footer: &ArrowReaderMetadata,
    index: usize,
) -> Result<ReadGroup<'a>, LakeError> {
    let codec = KeyCodec::new(declaration)?;
    let encode = MergeInput {
        folder,
        declaration,
        codec: &codec,
        schema: key_schema(declaration, &[SOURCE, RECEIVED_AT, RECORDED_AT])?,
        verify: false,
    };
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input.clone(), footer.clone());
    let mask = columns_of(&builder, &encode.schema);
    let reader = builder
        .with_projection(mask)
        .with_row_groups(vec![index])
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(LakeError::parquet("read", &folder.shown("")))?;
    let mut group = ReadGroup {
        declaration,
        rows: 0,
        is_in_order: true,
        last_key: None,
        bounds: Bounds::default(),
        series: BTreeMap::new(),
    };
    for batch in reader {
        let batch = batch
            .and_then(|batch| conform(&batch, &encode.schema))
            .map_err(LakeError::arrow("read", &declaration.id))?;
        group.add(&encode, &batch)?;
    }
    Ok(group)
}

impl ReadGroup<'_> {
    fn add(&mut self, encode: &MergeInput<'_>, batch: &RecordBatch) -> Result<(), LakeError> {
        let names = self.declaration.key.iter().map(String::as_str);
        self.bounds.add(batch, names.chain([SOURCE, RECEIVED_AT]));
        let keys = encode.keys(batch)?;
        let time = |name: &str, row: usize| {
            let array = batch.column_by_name(name)?;
            let array = array.as_primitive_opt::<TimestampMicrosecondType>()?;
            (!array.is_null(row)).then(|| array.value(row))
        };
        let sources = batch.column_by_name(SOURCE);
        let sources = sources.and_then(|array| array.as_string_opt::<i32>());
        for row in 0..batch.num_rows() {
            let key = keys.row(row).data();
            self.is_in_order &= self.last_key.as_ref().is_none_or(|last| **last <= *key);
            self.last_key = Some(key.into());
            let source = sources.map_or("", |sources| sources.value(row));
            let columns = self.declaration.key.iter();
            let columns: Vec<StatisticsValue> = columns
                .filter_map(|name| keys::key_value(batch.column_by_name(name)?.as_ref(), row))
                .collect();
            let received_at = time(RECEIVED_AT, row).unwrap_or_default();
            let recorded_at = time(RECORDED_AT, row).unwrap_or(received_at);
            let [received_at, recorded_at] = [received_at, recorded_at].map(|at| TimeRange {
                first: at,
                last: at,
            });
            let series = (encode.codec.series(key).into(), source.to_owned());
            match self.series.get_mut(&series) {
                Some(series) => {
                    series.rows += 1;
                    series.last = columns;
                    series.received_at = series.received_at.union(received_at);
                    series.recorded_at = series.recorded_at.union(recorded_at);
                }
                None => {
                    let of_row = Series {
                        rows: 1,
                        first: columns.clone(),
                        last: columns,
                        received_at,
                        recorded_at,
                    };
                    self.series.insert(series, of_row);
                }
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn is_sound(&self, statistics: &FileStatistics) -> bool {
        self.is_in_order && self.bounds.differing(statistics).is_empty()
    }

    fn parts(self) -> impl Iterator<Item = HeldPart> {
        let declaration = self.declaration;
        self.series.into_iter().map(move |((_, source), series)| {
            let columns = declaration
                .key
                .iter()
                .zip(series.first.iter().zip(&series.last));
            HeldPart {
                rows: series.rows,
                is_read: true,
                keys: columns
                    .map(|(name, (least, greatest))| KeyRange {
                        column: name.clone(),
                        least: value_text(declaration, name, least),
                        greatest: value_text(declaration, name, greatest),
                    })
                    .collect(),
                sources: SourceRange {
                    least: source.clone(),
                    greatest: source,
                },
                received_at: series.received_at,
                recorded_at: series.recorded_at,
            }
        })
    }
}

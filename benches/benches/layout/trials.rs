//! The trials: the files of a table, encoded again with one setting changed at a time.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use bytes::Bytes;
use meetnet_benches::table::mix;
use meetnet_lake::lake::LakeReader;
use meetnet_lake::storage::FolderStorage;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

/// Rows looked up one by one in each trial.
const LOOKUPS: usize = 200;
/// Rows handed to the writer at once.
const SLICE_ROWS: usize = 32_768;
/// Columns of the key, which are the first of each dataset tried.
const KEY_COLUMNS: usize = 3;
/// Columns that say the same in nearly every row.
const STEADY: [&str; 6] = [
    "quality",
    "quality_tests",
    "source",
    "revision",
    "recorded_at",
    "superseded_at",
];

/// What one trial changes.
struct Trial {
    name: &'static str,
    group_rows: usize,
    /// Rows of a page of a key column, and of another.
    page_rows: (usize, usize),
    change: fn(WriterPropertiesBuilder, &SchemaRef) -> WriterPropertiesBuilder,
}

/// The settings that the trials start from, and that most keep.
const START: Trial = Trial {
    name: "start",
    group_rows: 262_144,
    page_rows: (5_000, 5_000),
    change: |b, _| b,
};

fn trials() -> Vec<Trial> {
    let mut trials = vec![START];
    let pages = |name, keys, others| Trial {
        name,
        page_rows: (keys, others),
        ..START
    };
    trials.extend([
        pages("pages of 1,000 rows", 1_000, 1_000),
        pages("pages of 20,000 rows", 20_000, 20_000),
        pages("pages of 100,000 rows", 100_000, 100_000),
        pages("pages of 5,000 (key), 20,000 rows", 5_000, 20_000),
        pages("pages of 5,000 (key), 50,000 rows", 5_000, 50_000),
        pages("pages of 5,000 (key), 100,000 rows", 5_000, 100_000),
    ]);
    let groups = |name, group_rows| Trial {
        name,
        group_rows,
        ..START
    };
    trials.extend([
        groups("groups of 65,536 rows", 65_536),
        groups("groups of 131,072 rows", 131_072),
        groups("groups of 1,048,576 rows", 1 << 20),
    ]);
    let change = |name, change| Trial {
        name,
        change,
        ..START
    };
    trials.extend([
        change("zstd 1", |b, _| b.set_compression(zstd(1))),
        change("zstd 6", |b, _| b.set_compression(zstd(6))),
        change("zstd 9", |b, _| b.set_compression(zstd(9))),
        change("time: dictionary", |b, _| dictionary(b, &["time"])),
        change("time: plain", |b, _| encoded(b, &["time"], Encoding::PLAIN)),
        change("received_at: dictionary", |b, _| {
            dictionary(b, &["received_at"])
        }),
        change("received_at: plain", |b, _| received_plain(b)),
        change("received_at: byte stream split", |b, _| {
            encoded(b, &["received_at"], Encoding::BYTE_STREAM_SPLIT)
        }),
        change("floats: plain", |b, s| floats(b, s, Encoding::PLAIN)),
        change("floats: byte stream split", |b, s| {
            floats(b, s, Encoding::BYTE_STREAM_SPLIT)
        }),
        change("integers: delta", |b, s| {
            encoded(
                b,
                &of_type(s, &DataType::Int64),
                Encoding::DELTA_BINARY_PACKED,
            )
        }),
        change("texts: delta byte array", |b, s| {
            encoded(b, &of_type(s, &DataType::Utf8), Encoding::DELTA_BYTE_ARRAY)
        }),
        change("steady columns: no page statistics", |b, _| {
            STEADY.into_iter().fold(b, |b, name| {
                b.set_column_statistics_enabled(name.into(), EnabledStatistics::Chunk)
            })
        }),
        change("steady times: dictionary", |b, _| {
            dictionary(b, &["recorded_at", "superseded_at"])
        }),
        change("data pages of version 2", |b, _| {
            b.set_writer_version(WriterVersion::PARQUET_2_0)
        }),
        change("bloom filter on the first key column", |b, s| {
            let column = ColumnPath::from(s.field(0).name().as_str());
            b.set_column_bloom_filter_enabled(column, true)
        }),
    ]);
    let together = |name, others, change| Trial {
        name,
        page_rows: (5_000, others),
        change,
        ..START
    };
    trials.extend([
        together("5,000/20,000, received_at plain", 20_000, |b, _| {
            received_plain(b)
        }),
        together("5,000/50,000, received_at plain", 50_000, |b, _| {
            received_plain(b)
        }),
        together("5,000/100,000, received_at plain", 100_000, |b, _| {
            received_plain(b)
        }),
        together("5,000/100,000, floats plain", 100_000, |b, s| {
            floats(b, s, Encoding::PLAIN)
        }),
        together(
            "5,000/100,000, received_at and floats plain",
            100_000,
            |b, s| floats(received_plain(b), s, Encoding::PLAIN),
        ),
    ]);
    trials
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).expect("a zstd level"))
}

fn encoded(
    builder: WriterPropertiesBuilder,
    columns: &[&str],
    encoding: Encoding,
) -> WriterPropertiesBuilder {
    columns.iter().fold(builder, |builder, column| {
        without_dictionary(builder, ColumnPath::from(*column), encoding)
    })
}

fn without_dictionary(
    builder: WriterPropertiesBuilder,
    column: ColumnPath,
    encoding: Encoding,
) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_encoding(column, encoding)
}

fn dictionary(builder: WriterPropertiesBuilder, columns: &[&str]) -> WriterPropertiesBuilder {
    columns.iter().fold(builder, |builder, column| {
        builder.set_column_dictionary_enabled(ColumnPath::from(*column), true)
    })
}

fn received_plain(builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    encoded(builder, &["received_at"], Encoding::PLAIN)
}

fn floats(
    builder: WriterPropertiesBuilder,
    schema: &SchemaRef,
    encoding: Encoding,
) -> WriterPropertiesBuilder {
    let fields = schema.fields().iter();
    let paths = fields.filter_map(|field| match field.data_type() {
        DataType::Float64 => Some(ColumnPath::from(field.name().as_str())),
        DataType::List(element) => Some(ColumnPath::new(vec![
            field.name().clone(),
            "list".to_owned(),
            element.name().clone(),
        ])),
        _ => None,
    });
    paths.fold(builder, |builder, path| {
        without_dictionary(builder, path, encoding)
    })
}

fn of_type<'a>(schema: &'a SchemaRef, data_type: &DataType) -> Vec<&'a str> {
    let fields = schema.fields().iter();
    fields
        .filter(|field| field.data_type() == data_type)
        .map(|field| field.name().as_str())
        .collect()
}

fn properties(trial: &Trial, schema: &SchemaRef, page_rows: usize) -> WriterProperties {
    let builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(zstd(3))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(1_024);
    let fields = schema.fields().iter();
    let times: Vec<&str> = fields
        .filter(|field| matches!(field.data_type(), DataType::Timestamp(..)))
        .map(|field| field.name().as_str())
        .collect();
    let builder = encoded(builder, &times, Encoding::DELTA_BINARY_PACKED);
    (trial.change)(builder, schema).build()
}

/// Runs every trial on the current files of a table.
pub(crate) fn run(table: &Path) -> Result<()> {
    let files = live_files(table)?;
    let mut content = Vec::new();
    let mut stored = 0;
    for file in &files {
        let bytes = Bytes::from(std::fs::read(file)?);
        stored += bytes.len();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
        let rows = reader.with_batch_size(SLICE_ROWS).build()?;
        content.push(rows.collect::<Result<Vec<RecordBatch>, _>>()?);
    }
    let rows: usize = content.iter().flatten().map(RecordBatch::num_rows).sum();
    let schema = content
        .first()
        .and_then(|batches| batches.first())
        .context("no rows")?
        .schema();
    println!(
        "   {rows} rows in {} files, {:.3} bytes per row as stored",
        files.len(),
        stored as f64 / rows as f64
    );
    println!(
        "   {:<44} {:>9} {:>6} {:>8} {:>8} {:>10}",
        "trial", "bytes/row", "ratio", "encode s", "read s", "look-up us"
    );
    let mut base = None;
    let mut per_column = BTreeMap::new();
    for trial in trials() {
        let measured = measure(&content, &schema, &trial)?;
        let per_row = measured.bytes as f64 / rows as f64;
        let base = *base.get_or_insert(per_row);
        println!(
            "   {:<44} {per_row:>9.3} {:>6.3} {:>8.3} {:>8.3} {:>10.1}",
            trial.name,
            per_row / base,
            measured.encode.as_secs_f64(),
            measured.read.as_secs_f64(),
            measured.look_up.as_secs_f64() * 1e6,
        );
        per_column.insert(trial.name, measured.columns);
    }
    print_columns(&content, rows, &per_column);
    Ok(())
}

/// Returns the live files of a table that hold current rows.
fn live_files(table: &Path) -> Result<Vec<PathBuf>> {
    let root = table.parent().context("a table lies in a lake")?;
    let name = table.file_name().and_then(|name| name.to_str());
    let mut reader = LakeReader::open(Arc::new(FolderStorage::new(root)))?;
    let snapshot = reader.refresh()?;
    let tables = snapshot.tables.iter();
    let files = tables
        .filter(|(id, _)| Some(id.as_str()) == name)
        .flat_map(|(_, table)| table.files.iter());
    Ok(files
        .filter(|file| !file.superseded)
        .map(|file| table.join(&*file.path))
        .collect())
}

/// Prints the columns that take most, with the share of distinct values of floats: what decides about dictionaries.
fn print_columns(
    content: &[Vec<RecordBatch>],
    rows: usize,
    per_column: &BTreeMap<&str, BTreeMap<String, i64>>,
) {
    let trials = [
        "start",
        "floats: plain",
        "received_at: plain",
        "5,000/100,000, received_at and floats plain",
    ];
    let of = |trial: &str, column: &str| {
        let bytes = per_column
            .get(trial)
            .and_then(|columns| columns.get(column));
        bytes.copied().unwrap_or(0) as f64 / rows as f64
    };
    let Some(start) = per_column.get(trials[0]) else {
        return;
    };
    let mut columns: Vec<(&String, &i64)> = start.iter().collect();
    columns.sort_by_key(|(_, bytes)| -**bytes);
    println!(
        "   {:<30} {:>8}   bytes per row under: {}",
        "column",
        "distinct",
        trials.join(" | ")
    );
    for (column, _) in columns.into_iter().take(24) {
        let distinct =
            distinct_share(content, column).map_or_else(String::new, |share| format!("{share:.3}"));
        let sizes: Vec<String> = trials
            .iter()
            .map(|trial| format!("{:.3}", of(trial, column)))
            .collect();
        println!("   {column:<30} {distinct:>8}   {}", sizes.join(" | "));
    }
}

/// Returns distinct values per value of a float column, the mean over the files; None for other columns.
fn distinct_share(content: &[Vec<RecordBatch>], column: &str) -> Option<f64> {
    let name = column.split('.').next()?;
    let (mut distinct, mut values) = (0, 0);
    for batches in content {
        let mut seen = HashSet::new();
        for batch in batches {
            let array = batch.column_by_name(name)?;
            let array = match array.as_list_opt::<i32>() {
                Some(lists) => lists.values().as_primitive_opt::<Float64Type>()?.clone(),
                None => array.as_primitive_opt::<Float64Type>()?.clone(),
            };
            values += array.len() - array.null_count();
            seen.extend(array.iter().flatten().map(f64::to_bits));
        }
        distinct += seen.len();
    }
    (values > 0).then(|| distinct as f64 / values as f64)
}

struct Measured {
    bytes: usize,
    columns: BTreeMap<String, i64>,
    encode: Duration,
    read: Duration,
    look_up: Duration,
}

fn measure(content: &[Vec<RecordBatch>], schema: &SchemaRef, trial: &Trial) -> Result<Measured> {
    let began = Instant::now();
    let encoded = content
        .iter()
        .map(|batches| encode(batches, schema, trial))
        .collect::<Result<Vec<Bytes>>>()?;
    let encode = began.elapsed();
    let began = Instant::now();
    let mut columns: BTreeMap<String, i64> = BTreeMap::new();
    for file in &encoded {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone())?;
        for column in reader
            .metadata()
            .row_groups()
            .iter()
            .flat_map(|group| group.columns())
        {
            *columns.entry(column.column_path().string()).or_default() += column.compressed_size();
        }
        for batch in reader.with_batch_size(8_192).build()? {
            batch?;
        }
    }
    let read = began.elapsed();
    let largest = encoded.iter().max_by_key(|file| file.len());
    Ok(Measured {
        look_up: look_up(largest.context("no file")?)?,
        bytes: encoded.iter().map(Bytes::len).sum(),
        columns,
        encode,
        read,
    })
}

/// Encodes one file; key columns may have other pages than the rest.
fn encode(batches: &[RecordBatch], schema: &SchemaRef, trial: &Trial) -> Result<Bytes> {
    let (key_rows, other_rows) = trial.page_rows;
    let (mut file, others) = factory(Vec::new(), schema, properties(trial, schema, other_rows))?;
    let (_, keys) = factory(std::io::sink(), schema, properties(trial, schema, key_rows))?;
    let mut pending = batches.iter().cloned();
    let mut rest: Option<RecordBatch> = None;
    loop {
        let mut columns = keys.create_column_writers(0)?;
        columns.truncate(KEY_COLUMNS);
        columns.extend(
            others
                .create_column_writers(0)?
                .into_iter()
                .skip(KEY_COLUMNS),
        );
        let mut rows = 0;
        while rows < trial.group_rows
            && let Some(batch) = rest.take().or_else(|| pending.next())
        {
            let length = batch.num_rows().min(trial.group_rows - rows);
            if length < batch.num_rows() {
                rest = Some(batch.slice(length, batch.num_rows() - length));
            }
            let batch = batch.slice(0, length);
            let mut leaves = columns.iter_mut();
            for (field, array) in schema.fields().iter().zip(batch.columns()) {
                for (leaf, column) in compute_leaves(field, array)?.iter().zip(&mut leaves) {
                    column.write(leaf)?;
                }
            }
            rows += length;
        }
        if rows == 0 {
            break;
        }
        let mut group = file.next_row_group()?;
        for column in columns {
            column.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
    }
    Ok(Bytes::from(file.into_inner()?))
}

fn factory<W: std::io::Write + Send>(
    sink: W,
    schema: &SchemaRef,
    properties: WriterProperties,
) -> Result<(SerializedFileWriter<W>, ArrowRowGroupWriterFactory)> {
    let writer = ArrowWriter::try_new(sink, Arc::clone(schema), Some(properties))?;
    Ok(writer.into_serialized_writer()?)
}

/// Reads the key of single rows; returns the mean time of one.
fn look_up(file: &Bytes) -> Result<Duration> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let footer = ArrowReaderMetadata::load(file, options)?;
    let rows = footer.metadata().file_metadata().num_rows() as u64;
    let began = Instant::now();
    for number in 0..LOOKUPS {
        let row = (mix(number as u64) % rows) as usize;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), footer.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), 0..KEY_COLUMNS);
        let one =
            RowSelection::from_consecutive_ranges(std::iter::once(row..row + 1), rows as usize);
        for batch in builder
            .with_projection(mask)
            .with_row_selection(one)
            .build()?
        {
            batch?;
        }
    }
    Ok(began.elapsed() / LOOKUPS as u32)
}

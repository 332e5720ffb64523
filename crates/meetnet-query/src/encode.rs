//! Answers as bytes: json, ndjson, csv, arrow, parquet, geojson, table. Streams in constant memory; knows nothing of HTTP.
//!
//! What comes after the first byte cannot be unsaid: an error later ends the stream with `Err`, and whoever sends the
//! bytes must break the connection instead of ending it well.

mod arrow_stream;
pub(crate) mod cell;
mod csv;
mod geojson;
mod geometry;
mod json;
mod parquet_file;
mod streamed;
mod table;
mod writer;

use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use meetnet_model::ids::Sequence;
use meetnet_model::licence::Rights;

use crate::answer::QueryAnswer;
use crate::error::{QueryError, QueryErrorKind, shortened};
use crate::page::Page;

pub use meetnet_sql::time_text::{format_date, format_time};
pub use table::TableStyle;
pub use writer::{RowWriter, RowsEnd};

/// The formats an answer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One object: `columns`, `rows` as arrays, `row_count`, `through`, `stable_time`, `truncated`; `licences`,
    /// `attributions`, `as_of`, `hints` and `next` where there are such.
    Json,
    /// One object per line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
    /// Arrow IPC stream.
    Arrow,
    /// One Parquet file, zstd.
    Parquet,
    /// A GeoJSON feature per row, for answers with a column `geometry`, or `lon` and `lat`.
    Geojson,
    /// Text for terminals.
    Table,
}

impl Format {
    /// Every format, in the order in which messages list them.
    pub const ALL: [Self; 7] = [
        Self::Json,
        Self::Ndjson,
        Self::Csv,
        Self::Arrow,
        Self::Parquet,
        Self::Geojson,
        Self::Table,
    ];

    /// Returns the name in URLs and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
            Self::Geojson => "geojson",
            Self::Table => "table",
        }
    }

    /// Returns the media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Geojson => "application/geo+json",
            Self::Table => "text/plain; charset=utf-8",
        }
    }

    /// Returns true where the bytes themselves say whether the row limit cut the answer. In the others a cut answer
    /// would look whole, so it ends with an error instead.
    pub fn states_cut(self) -> bool {
        matches!(
            self,
            Self::Json | Self::Geojson | Self::Table | Self::Parquet
        )
    }

    /// Returns true where the bytes themselves say `through`, `stable_time` and whether the answer was cut.
    pub fn states_reach(self) -> bool {
        matches!(self, Self::Json | Self::Geojson | Self::Table)
    }
}

impl FromStr for Format {
    type Err = QueryError;

    fn from_str(name: &str) -> Result<Self, QueryError> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::as_str).join(", ");
                QueryError::new(
                    QueryErrorKind::BadRequest,
                    format!(
                        "there is no format `{}`; there are {names}",
                        shortened(name.to_owned(), 100)
                    ),
                )
            })
    }
}

/// Under what Arrow and Parquet answers state licences in their metadata, as files of tables do.
const LICENCE: &str = meetnet_model::common::LICENCE;
/// Under what they state whom to name.
const ATTRIBUTION: &str = "attribution";

/// Returns a schema whose metadata states licences and whom to name, where there are such: `licence`, `attribution`.
pub fn with_rights(schema: &Schema, rights: &Rights) -> Schema {
    let mut schema = schema.clone();
    for (key, text) in [
        (LICENCE, rights.licence_text()),
        (ATTRIBUTION, rights.attribution_text()),
    ] {
        if !text.is_empty() {
            schema.metadata.insert(key.to_owned(), text);
        }
    }
    schema
}

/// What is known before the first row.
struct Header<'a> {
    schema: &'a SchemaRef,
    units: &'a [Option<String>],
    rights: &'a Rights,
}

/// What is known after the last row.
struct Footer<'a> {
    through: Sequence,
    stable_time: i64,
    as_of: Option<i64>,
    truncated: bool,
    rows: u64,
    rights: &'a Rights,
    /// What to tell whoever asked.
    hints: &'a [String],
    /// Where the answer goes on.
    next: Option<&'a str>,
}

/// Writes one format; each step appends to `out` what is ready.
trait Encoder: Send {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError>;
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError>;
    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError>;
}

fn encoder(format: Format) -> Box<dyn Encoder> {
    match format {
        Format::Json => Box::new(json::Json::default()),
        Format::Ndjson => Box::new(json::Ndjson::default()),
        Format::Csv => Box::new(csv::Csv),
        Format::Arrow => Box::new(arrow_stream::ArrowStream::default()),
        Format::Parquet => Box::new(parquet_file::ParquetFile::default()),
        Format::Geojson => Box::new(geojson::Geojson::default()),
        Format::Table => Box::new(table::Table::default()),
    }
}

enum Stage {
    Begin,
    Rows,
    Done,
}

/// Encodes an answer while it is read. Dropping the stream stops the query.
pub fn encode(
    answer: QueryAnswer,
    format: Format,
) -> BoxStream<'static, Result<Bytes, QueryError>> {
    let state = (answer, encoder(format), Stage::Begin, 0u64);
    stream::try_unfold(
        state,
        move |(mut answer, mut encoder, mut stage, mut rows)| async move {
            let mut out = Vec::new();
            // Rounds without bytes (a Parquet writer that still gathers) are not chunks.
            while out.is_empty() {
                match stage {
                    Stage::Begin => {
                        let header = Header {
                            schema: &answer.schema,
                            units: &answer.units,
                            rights: &answer.rights,
                        };
                        encoder.begin(&header, &mut out)?;
                        stage = Stage::Rows;
                    }
                    Stage::Rows => match answer.next_batch().await {
                        Some(batch) => {
                            let batch = batch?;
                            rows += batch.num_rows() as u64;
                            encoder.batch(&batch, &mut out)?;
                        }
                        None if answer.truncated() && !format.states_cut() => {
                            return Err(QueryError::new(
                                QueryErrorKind::TooLarge,
                                format!(
                                    "the answer has more than the {rows} rows that one answer may have, and {} \
                                     cannot say that it was cut; narrow the query, or ask for {rows} rows by LIMIT",
                                    format.as_str()
                                ),
                            ));
                        }
                        None => {
                            let footer = Footer {
                                through: answer.through,
                                stable_time: answer.stable_time,
                                as_of: answer.as_of,
                                truncated: answer.truncated(),
                                rows,
                                rights: &answer.rights,
                                hints: &answer.hints,
                                next: None,
                            };
                            encoder.end(&footer, &mut out)?;
                            stage = Stage::Done;
                        }
                    },
                    Stage::Done => return Ok(None),
                }
            }
            Ok(Some((Bytes::from(out), (answer, encoder, stage, rows))))
        },
    )
    .boxed()
}

/// Encodes a page; `next` is where it goes on, if it does. A page is no cut answer, so every format takes it whole.
///
/// # Errors
/// `Internal` only.
pub fn encode_page(page: &Page, format: Format, next: Option<&str>) -> Result<Bytes, QueryError> {
    let mut encoder = encoder(format);
    let mut out = Vec::new();
    let header = Header {
        schema: &page.schema,
        units: &page.units,
        rights: &page.rights,
    };
    encoder.begin(&header, &mut out)?;
    let mut rows = 0;
    for batch in &page.batches {
        rows += batch.num_rows() as u64;
        encoder.batch(batch, &mut out)?;
    }
    let footer = Footer {
        through: page.through,
        stable_time: page.stable_time,
        as_of: Some(page.as_of),
        truncated: page.next.is_some(),
        rows,
        rights: &page.rights,
        hints: &page.hints,
        next,
    };
    encoder.end(&footer, &mut out)?;
    Ok(Bytes::from(out))
}

/// Returns the name of a type in answers and in the information schema.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Float32 => "float32".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        DataType::List(field) | DataType::LargeList(field) | DataType::ListView(field) => {
            format!("list<{}>", type_name(field.data_type()))
        }
        DataType::Dictionary(_, values) => type_name(values),
        other => other.to_string().to_lowercase(),
    }
}

fn failed(operation: &str, error: impl std::error::Error + Send + Sync + 'static) -> QueryError {
    QueryError::internal(operation, error)
}

#[cfg(test)]
mod tests;

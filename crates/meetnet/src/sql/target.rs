//! Questions to whoever answers, and the answers: as bytes of a format, as rows, or small and whole.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use meetnet_model::common::LICENCE;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId, Sequence};
use meetnet_model::licence::Rights;
use meetnet_model::time::parse_rfc3339;
use meetnet_query::{Format, QueryAnswer, QueryRequest, QueryService, RowsEnd, encode};
use serde::Deserialize;

use super::access::ServiceAccess;
use super::place::{Place, PlaceOptions};
use super::service::{BROKEN_OFF, describe, send};
use super::{Question, query_failure, query_service};
use crate::config::Environment;
use crate::failure::Failure;

/// Under what Arrow answers state whom to name.
const ATTRIBUTION: &str = "attribution";
const NO_ARROW: &str = "the answer is not what /api/v1/sql of this version gives";

/// Who answers.
#[derive(Debug)]
pub(crate) enum Target {
    /// A service: public tables, hot rows included.
    Service(ServiceAccess),
    /// Committed files: every table, rejects included; with what their configuration declares.
    Files(QueryService, Arc<Declarations>),
}

/// An answer in a format.
pub(super) struct Bytewise {
    /// What to tell whoever asked for what no row can be.
    pub(super) hints: Vec<String>,
    pub(super) chunks: Chunks,
}

/// An answer as it comes.
pub(super) type Chunks = BoxStream<'static, Result<Bytes, Failure>>;

impl Target {
    /// Finds out who answers.
    ///
    /// # Errors
    /// `Usage` where the configuration or the API key is wrong, `Work` where there is no lake.
    pub(crate) async fn open(
        options: &PlaceOptions,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        Ok(match options.open(environment).await? {
            Place::Service(service) => Self::Service(service),
            Place::Files { config, snapshot } => {
                let declarations = Arc::clone(&config.declarations);
                let service = query_service(&config, snapshot, options.declares())?;
                Self::Files(service, declarations)
            }
        })
    }

    /// Returns the names of the properties that are declared for a dataset. The configuration that stands for a lake of
    /// somebody else declares the built-in ones only.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(crate) async fn properties(&self, dataset: &DatasetId) -> Result<Vec<String>, Failure> {
        match self {
            Self::Service(service) => {
                let described = describe(service, dataset).await?;
                Ok(described.properties())
            }
            Self::Files(_, declarations) => {
                let declared = declarations.properties_of(dataset);
                Ok(declared.map(|property| property.name.clone()).collect())
            }
        }
    }

    /// Returns the columns of a dataset's key, in the order in which its files are sorted; none where nobody says.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(crate) async fn key(&self, dataset: &DatasetId) -> Result<Vec<String>, Failure> {
        match self {
            Self::Service(service) => Ok(describe(service, dataset).await?.key),
            // Of the lake, which may hold what this configuration does not declare.
            Self::Files(service, _) => {
                let snapshot = service.snapshot().load();
                let table = snapshot.tables.get(dataset);
                Ok(table.map_or_else(Vec::new, |table| table.declaration.key.clone()))
            }
        }
    }

    /// Returns the zone by whose clocks the rows of a dataset are days, months or years, and a day of it begins; none: UTC.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(crate) async fn zone(&self, dataset: &DatasetId) -> Result<Option<String>, Failure> {
        match self {
            Self::Service(service) => Ok(describe(service, dataset).await?.zone),
            Self::Files(_, declarations) => {
                let declared = declarations.datasets.get(dataset);
                let zone = declared.and_then(|declaration| declaration.zone());
                Ok(zone.map(str::to_owned))
            }
        }
    }

    /// Returns the answer in a format.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) async fn bytes(
        &self,
        question: &Question,
        format: Format,
    ) -> Result<Bytewise, Failure> {
        match self {
            Self::Service(service) => {
                let response = send(service, question, format).await?;
                Ok(Bytewise {
                    hints: hints(&response),
                    chunks: body(response),
                })
            }
            Self::Files(service, _) => {
                let answer = ask(service, question).await?;
                let hints = answer.hints.clone();
                let chunks = encode(answer, format);
                let chunks = chunks.map(|chunk| chunk.map_err(query_failure)).boxed();
                Ok(Bytewise { hints, chunks })
            }
        }
    }

    /// Returns the answer as rows.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) async fn rows(&self, question: &Question) -> Result<Rows, Failure> {
        match self {
            Self::Files(service, _) => {
                let answer = ask(service, question).await?;
                Ok(Rows {
                    schema: answer.schema.clone(),
                    rights: answer.rights.clone(),
                    hints: answer.hints.clone(),
                    through: answer.through,
                    stable_time: answer.stable_time,
                    as_of: answer.as_of,
                    source: Source::Files(Box::new(answer)),
                })
            }
            Self::Service(service) => {
                let response = send(service, question, Format::Arrow).await?;
                let header = |name: &str| {
                    let value = response.headers().get(name)?;
                    value.to_str().ok().map(str::to_owned)
                };
                let through = header("meetnet-through").and_then(|text| text.parse().ok());
                let stable_time = header("meetnet-stable-time");
                let stable_time = stable_time.and_then(|text| parse_rfc3339(&text).ok());
                let hints = hints(&response);
                let mut arrow = ArrowRows {
                    body: body(response),
                    decoder: StreamDecoder::new(),
                    buffer: Buffer::from_vec(Vec::<u8>::new()),
                    first: None,
                };
                let schema = arrow.schema().await?;
                let stated = |key: &str| schema.metadata.get(key);
                let licences = stated(LICENCE)
                    .into_iter()
                    .flat_map(|text| text.split(", "));
                let rights = Rights {
                    licences: licences.map(LicenceId::new).collect(),
                    attributions: stated(ATTRIBUTION).cloned().into_iter().collect(),
                };
                Ok(Rows {
                    rights,
                    hints,
                    through: Sequence(through.unwrap_or_default()),
                    stable_time: stable_time.ok_or_else(|| Failure::Work(anyhow!(NO_ARROW)))?,
                    as_of: question.as_of,
                    source: Source::Service(Box::new(arrow)),
                    schema,
                })
            }
        }
    }

    /// Returns an answer that is small, as a whole.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) async fn whole(&self, question: &Question) -> Result<WholeAnswer, Failure> {
        let mut chunks = self.bytes(question, Format::Json).await?.chunks;
        let mut json = Vec::new();
        while let Some(chunk) = chunks.next().await {
            json.extend_from_slice(&chunk?);
        }
        serde_json::from_slice(&json)
            .context(NO_ARROW)
            .map_err(Failure::Work)
    }
}

async fn ask(service: &QueryService, question: &Question) -> Result<QueryAnswer, Failure> {
    let licences = &question.licences;
    let request = QueryRequest {
        as_of: question.as_of,
        licences: (!licences.is_empty()).then(|| licences.iter().cloned().collect()),
        ..QueryRequest::private(question.statement.as_str())
    };
    service.query(request).await.map_err(query_failure)
}

/// Returns what a service tells whoever has asked: one text, percent-encoded.
fn hints(response: &reqwest::Response) -> Vec<String> {
    let header = response.headers().get("meetnet-hint");
    let text = header.and_then(|value| value.to_str().ok());
    text.map(percent_decoded).into_iter().collect()
}

fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match byte {
            Some(_) => &after[2..],
            None => after,
        };
        decoded.push(byte.unwrap_or(*first));
    }
    // It goes to a terminal, and says what somebody has written.
    String::from_utf8_lossy(&decoded).replace(char::is_control, " ")
}

fn body(response: reqwest::Response) -> Chunks {
    let chunks = response.bytes_stream();
    let chunks = chunks.map(|chunk| chunk.context(BROKEN_OFF).map_err(Failure::Work));
    chunks.boxed()
}

/// An answer in JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct WholeAnswer {
    pub(crate) rows: Vec<Vec<serde_json::Value>>,
    /// RFC 3339.
    pub(crate) stable_time: String,
    #[serde(default)]
    pub(crate) licences: Vec<LicenceId>,
    #[serde(default)]
    pub(crate) attributions: Vec<String>,
}

impl WholeAnswer {
    /// Returns a column of texts; cells without one are left out.
    pub(crate) fn texts(&self, column: usize) -> impl Iterator<Item = &str> {
        let cells = self.rows.iter().filter_map(move |row| row.get(column));
        cells.filter_map(serde_json::Value::as_str)
    }
}

/// An answer as rows.
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    pub(crate) rights: Rights,
    /// What to tell whoever asked for what no row can be.
    pub(super) hints: Vec<String>,
    through: Sequence,
    stable_time: i64,
    as_of: Option<i64>,
    source: Source,
}

enum Source {
    Files(Box<QueryAnswer>),
    Service(Box<ArrowRows>),
}

impl Rows {
    /// Returns the next rows; None after the last.
    ///
    /// # Errors
    /// Where the answer breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        match &mut self.source {
            Source::Files(answer) => {
                let batch = answer.next_batch().await;
                batch.transpose().map_err(query_failure)
            }
            Source::Service(arrow) => arrow.next().await,
        }
    }

    /// Returns what is known after the last rows.
    pub(crate) fn end(&self) -> RowsEnd {
        RowsEnd {
            through: self.through,
            stable_time: self.stable_time,
            as_of: self.as_of,
            truncated: match &self.source {
                Source::Files(answer) => answer.truncated(),
                // An Arrow answer that was cut ends with an error.
                Source::Service(_) => false,
            },
        }
    }
}

/// Rows of an Arrow stream.
struct ArrowRows {
    body: Chunks,
    decoder: StreamDecoder,
    buffer: Buffer,
    /// Read with the schema.
    first: Option<RecordBatch>,
}

impl ArrowRows {
    async fn schema(&mut self) -> Result<SchemaRef, Failure> {
        self.first = self.read(true).await?;
        let schema = self.decoder.schema();
        schema.ok_or_else(|| Failure::Work(anyhow!(NO_ARROW)))
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        match self.first.take() {
            Some(batch) => Ok(Some(batch)),
            None => self.read(false).await,
        }
    }

    /// Reads up to the next rows, or up to the schema: rows may be long in coming.
    async fn read(&mut self, is_schema_enough: bool) -> Result<Option<RecordBatch>, Failure> {
        loop {
            let batch = self.decoder.decode(&mut self.buffer);
            let batch = batch.context(NO_ARROW).map_err(Failure::Work)?;
            if batch.is_some() || (is_schema_enough && self.decoder.schema().is_some()) {
                return Ok(batch);
            }
            match self.body.next().await {
                Some(chunk) => self.buffer = Buffer::from(chunk?),
                None => {
                    let end = self.decoder.finish();
                    end.context(BROKEN_OFF).map_err(Failure::Work)?;
                    return Ok(None);
                }
            }
        }
    }
}

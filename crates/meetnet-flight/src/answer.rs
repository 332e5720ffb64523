//! One answer as a stream of messages: schema, rows, and with the last of them that it is complete.
//!
//! The next batch is taken when the client has room for it, so an answer of any size takes the memory of a few. Its end is
//! the end of the work: the stream is dropped where the client goes away, and with it the query.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::FlightData;
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoder, FlightDataEncoderBuilder};
use arrow_flight::error::FlightError;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use meetnet_query::encode::{format_time, with_rights};
use meetnet_query::{
    QueryAnswer, QueryError, QueryRequest, QueryService, StatementDescription, Tally,
};
use tokio::sync::watch;
use tonic::Status;

use crate::error::{cancelled, count, internal, of_query, of_stream};
use crate::fit::{converted, fitted, is_as_promised, wire_schema};
use crate::login::Principal;

/// Messages of one answer.
pub(crate) type FlightStream = BoxStream<'static, Result<FlightData, Status>>;

/// What metadata of schemas is called that tells whoever asked for what no row can be: sentences, each on a line of its own.
const HINTS: &str = "meetnet.hints";
/// What metadata of schemas is called that says how far an answer reaches, as in Parquet answers.
const THROUGH: &str = "meetnet.through";
const STABLE_TIME: &str = "meetnet.stable_time";
const AS_OF: &str = "meetnet.as_of";

/// A statement that was planned: what a ticket stands for.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Whose it is.
    pub(crate) owner: Principal,
    request: QueryRequest,
    /// The columns that were promised.
    schema: SchemaRef,
    /// Set once: whatever runs stops, and nothing runs any more.
    cancelled: watch::Sender<bool>,
}

impl Offer {
    /// Returns the offer to answer a statement, and the schema that clients are told.
    pub(crate) fn new(
        owner: Principal,
        request: QueryRequest,
        described: &StatementDescription,
    ) -> (Self, Schema) {
        let schema = wire_schema(&described.schema);
        let told = with_rights(&schema, &described.rights);
        let (through, stable_time) = (described.through.0, described.stable_time);
        let told = reaching(told, through, stable_time, request.as_of);
        let told = with_hints(told, &described.hints);
        let offer = Self {
            owner,
            request,
            schema: Arc::new(schema),
            cancelled: watch::Sender::new(false),
        };
        (offer, told)
    }

    /// Returns how many bytes its columns take: of a short statement they may be many.
    pub(crate) fn schema_bytes(&self) -> usize {
        self.schema.fields().size()
    }

    /// Stops what runs for it.
    pub(crate) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Runs the statement; returns with the first rows, the end, or the error before them.
    ///
    /// # Errors
    /// As [`QueryService::query`]; `Cancelled`; `Aborted` where it has other columns than when it was planned.
    pub(crate) async fn answer(
        self: Arc<Self>,
        service: &QueryService,
        message_bytes_max: usize,
    ) -> Result<FlightStream, Status> {
        let mut stop = self.cancelled.subscribe();
        let answer = tokio::select! {
            answer = service.query(self.request.clone()) => answer.map_err(of_query)?,
            () = told(&mut stop) => return Err(cancelled()),
        };
        if !is_as_promised(&answer.schema, &self.schema) {
            return Err(Status::aborted(
                "the columns of the answer are not those that were planned; ask again",
            ));
        }
        let schema = with_rights(&self.schema, &answer.rights);
        let (through, stable_time) = (answer.through.0, answer.stable_time);
        let schema = reaching(schema, through, stable_time, answer.as_of);
        let schema = Arc::new(with_hints(schema, &answer.hints));
        let tally = answer.tally();
        let rows = Rows {
            answer,
            _offer: self,
            stop,
            schema: Arc::clone(&schema),
            message_bytes_max,
            row_limit: service.row_limit(),
            ready: VecDeque::new(),
        };
        let batches = stream::try_unfold(rows, Rows::next).map_err(FlightError::from);
        Ok(with_proof(encoder(schema).build(batches), tally))
    }
}

/// Returns the answer to a question about the catalogue, which has one batch.
pub(crate) fn one_batch(
    batch: RecordBatch,
    message_bytes_max: usize,
) -> Result<FlightStream, Status> {
    let schema = batch.schema();
    let pieces = fitted(batch, message_bytes_max);
    let pieces = pieces.map_err(|error| internal("cutting rows to size", error))?;
    let batches = stream::iter(pieces.into_iter().map(Ok));
    Ok(encoder(schema).build(batches).map_err(of_stream).boxed())
}

fn encoder(schema: SchemaRef) -> FlightDataEncoderBuilder {
    FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_dictionary_handling(DictionaryHandling::Resend)
        // Batches come in their size. It would cut slices again, by the size of what they are slices of.
        .with_max_flight_data_size(usize::MAX)
}

/// Ends when the statement is cancelled.
async fn told(stop: &mut watch::Receiver<bool>) {
    let is_left_alone = stop.wait_for(|is_cancelled| *is_cancelled).await.is_err();
    if is_left_alone {
        // Nobody is left who could cancel it.
        std::future::pending::<()>().await;
    }
}

fn reaching(mut schema: Schema, through: u64, stable_time: i64, as_of: Option<i64>) -> Schema {
    let stated = [
        (THROUGH, Some(through.to_string())),
        (STABLE_TIME, Some(format_time(stable_time))),
        (AS_OF, as_of.map(format_time)),
    ];
    let stated = stated
        .into_iter()
        .filter_map(|(key, text)| Some((key.to_owned(), text?)));
    schema.metadata.extend(stated);
    schema
}

fn with_hints(mut schema: Schema, hints: &[String]) -> Schema {
    if !hints.is_empty() {
        schema.metadata.insert(HINTS.to_owned(), hints.join("\n"));
    }
    schema
}

/// The rows of one answer, as they are taken.
struct Rows {
    answer: QueryAnswer,
    /// Keeps alive who could cancel it.
    _offer: Arc<Offer>,
    stop: watch::Receiver<bool>,
    schema: SchemaRef,
    message_bytes_max: usize,
    row_limit: usize,
    /// Pieces of a batch that is too large for one message.
    ready: VecDeque<RecordBatch>,
}

impl Rows {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>, Status> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some((batch, self)));
            }
            let batch = tokio::select! {
                batch = self.answer.next_batch() => batch,
                () = told(&mut self.stop) => return Err(cancelled()),
            };
            match batch {
                Some(batch) => {
                    let batch = batch.map_err(of_query)?;
                    let pieces = converted(&batch, &self.schema)
                        .and_then(|batch| fitted(batch, self.message_bytes_max));
                    let pieces = pieces.map_err(|error| internal("writing Arrow", error))?;
                    self.ready.extend(pieces);
                }
                // A short answer would look whole.
                None if self.answer.truncated() => {
                    return Err(of_query(QueryError::cut(self.row_limit)));
                }
                None => return Ok(None),
            }
        }
    }
}

/// Writes into the last message that it is the last, and how many rows there were. It is held back until the next one is
/// there, since an answer without rows ends with its schema.
fn with_proof(messages: FlightDataEncoder, tally: Tally) -> FlightStream {
    let messages = Box::pin(messages.peekable());
    stream::unfold((messages, tally), |(mut messages, tally)| async move {
        let message = messages.next().await?;
        let message = match message {
            Ok(mut message) => {
                if messages.as_mut().peek().await.is_none() {
                    let proof = format!("{{\"rows\":{},\"truncated\":false}}", tally.rows());
                    message.app_metadata = proof.into_bytes().into();
                }
                Ok(message)
            }
            Err(error) => {
                let status = of_stream(error);
                count(&status);
                Err(status)
            }
        };
        Some((message, (messages, tally)))
    })
    .boxed()
}

//! The answer to one query: what is known before the first row, then batches through a bounded channel.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt};
use meetnet_model::ids::Sequence;
use meetnet_model::licence::Rights;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use crate::error::{QueryError, QueryErrorKind};
use crate::reach::Reach;
use crate::service::QueryService;
use crate::state::AnswerState;
use crate::stop::StopFlag;
use crate::unread::Unread;

/// What is known before the first row.
#[derive(Clone, Debug)]
pub(crate) struct AnswerHeader {
    pub(crate) schema: SchemaRef,
    pub(crate) units: Vec<Option<String>>,
    pub(crate) as_of: Option<i64>,
    pub(crate) reach: Reach,
    pub(crate) hints: Vec<String>,
}

/// How a query ended, written by its task and read by its answer.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) truncated: AtomicBool,
    /// Rows that the answer's reader has got.
    rows: AtomicU64,
    pub(crate) unread: Unread,
    /// Set before the channel closes; a channel that closes without it belongs to a task that died.
    pub(crate) end: OnceLock<Result<(), QueryError>>,
}

/// What an answer has come to, for whoever only sees its bytes; final after the last of them.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Outcome>);

impl Tally {
    /// Returns the number of rows that have been read.
    pub fn rows(&self) -> u64 {
        self.0.rows.load(Ordering::Acquire)
    }

    /// Returns true once the row limit has cut the answer.
    pub fn truncated(&self) -> bool {
        self.0.truncated.load(Ordering::Acquire)
    }
}

/// Stops the query's task when the answer or the caller's future goes away.
#[derive(Debug)]
pub(crate) struct StopOnDrop {
    task: AbortHandle,
    /// For functions that work on one batch for long.
    flag: StopFlag,
    /// The runtime the task runs on must outlive the answer, also when the last handle of the service does not.
    _service: QueryService,
}

impl StopOnDrop {
    pub(crate) fn new(task: AbortHandle, flag: StopFlag, service: QueryService) -> Self {
        Self {
            task,
            flag,
            _service: service,
        }
    }

    fn stop(&self) {
        self.flag.raise();
        self.task.abort();
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One answer; dropping it stops the work.
#[derive(Debug)]
pub struct QueryAnswer {
    /// Columns of every batch; plain columns of datasets carry unit and property IRI in their metadata.
    pub schema: SchemaRef,
    /// UCUM unit per column: known for plain columns of wide datasets.
    pub units: Vec<Option<String>>,
    /// Every frame up to this sequence had arrived in the tables it reads: the least of them.
    pub through: Sequence,
    /// `recorded_at` of `through`, microseconds since 1970 UTC: the least of the tables it reads.
    pub stable_time: i64,
    /// The time that the whole statement is answered as of, microseconds since 1970 UTC, where one was asked for.
    pub as_of: Option<i64>,
    /// Everything it reads it reads as of a time, and it calls nothing like `now()`: asked again later, it is the same.
    pub is_settled: bool,
    /// Licences and attributions of the tables it reads, of those licences that were asked for. Each row of a dataset says
    /// which licence is its own.
    pub rights: Rights,
    /// What it was made from, where the same question to the same state has the same answer; None where it calls something
    /// like `now()`, or says what the server does.
    pub state: Option<AnswerState>,
    /// What to tell whoever asked for what no row can be, such as a misspelt property: sentences.
    pub hints: Vec<String>,
    batches: AnswerStream,
}

impl QueryAnswer {
    pub(crate) fn new(header: AnswerHeader, batches: AnswerStream) -> Self {
        let AnswerHeader {
            schema,
            units,
            as_of,
            reach,
            hints,
        } = header;
        Self {
            schema,
            units,
            through: reach.through,
            stable_time: reach.stable_time,
            as_of,
            is_settled: reach.is_settled,
            rights: reach.rights,
            state: reach.state,
            hints,
            batches,
        }
    }

    /// Returns true once the row limit has cut the answer; final after the last batch.
    pub fn truncated(&self) -> bool {
        self.tally().truncated()
    }

    /// Returns what the answer comes to while it is read.
    pub fn tally(&self) -> Tally {
        Tally(Arc::clone(&self.batches.outcome))
    }

    /// Returns the next batch; None after the last. Needs a tokio runtime with time.
    pub async fn next_batch(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.batches.next().await
    }

    /// Reads the whole answer into memory.
    ///
    /// # Errors
    /// The first that ends the answer: of a limit, of a file, or of the work itself.
    pub async fn collect(&mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.batches.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

/// The batches of one answer, in order. After an error it ends.
#[derive(Debug)]
pub struct AnswerStream {
    /// Says that there is another batch among those that are unread.
    receiver: mpsc::Receiver<()>,
    outcome: Arc<Outcome>,
    stop: StopOnDrop,
    /// How long this side waits for one batch before it gives the task up: a task that never returns to the
    /// scheduler does not see its own time limit.
    patience: Duration,
    watchdog: Option<Pin<Box<Sleep>>>,
    finished: bool,
}

impl AnswerStream {
    pub(crate) fn new(
        receiver: mpsc::Receiver<()>,
        outcome: Arc<Outcome>,
        stop: StopOnDrop,
        patience: Duration,
    ) -> Self {
        Self {
            receiver,
            outcome,
            stop,
            patience,
            watchdog: None,
            finished: false,
        }
    }

    fn ended(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.finished = true;
        match self.outcome.end.get() {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(Err(error.clone())),
            None => Some(Err(QueryError::new(
                QueryErrorKind::Internal,
                "the query died inside the server; the server's log has the cause",
            ))),
        }
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        // First of all, so that the task does not take an answer that was left for one that was read.
        self.stop.stop();
        // Others may still know how it ended.
        self.outcome.unread.close();
    }
}

impl Stream for AnswerStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.finished {
            return Poll::Ready(None);
        }
        // Who asks for the next batch is done with the last one.
        this.outcome.unread.release();
        loop {
            match this.receiver.poll_recv(context) {
                Poll::Ready(Some(())) => {
                    this.watchdog = None;
                    // None: it was given up, and the end says why.
                    if let Some(batch) = this.outcome.unread.take() {
                        let rows = batch.num_rows() as u64;
                        this.outcome.rows.fetch_add(rows, Ordering::AcqRel);
                        return Poll::Ready(Some(Ok(batch)));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(this.ended()),
                Poll::Pending => {
                    let patience = this.patience;
                    let watchdog = this
                        .watchdog
                        .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                    if watchdog.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    this.finished = true;
                    this.stop.stop();
                    return Poll::Ready(Some(Err(timeout_error(patience))));
                }
            }
        }
    }
}

/// The error of a query over its time limit.
pub(crate) fn timeout_error(limit: Duration) -> QueryError {
    QueryError::new(
        QueryErrorKind::Timeout,
        format!(
            "the query took longer than {} s; narrow it by time or key, or aggregate less",
            limit.as_secs_f64()
        ),
    )
}

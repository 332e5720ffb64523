//! Asking running pollers for their past: `meetnet backfill` on one side, the source's task on the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use meetnet_model::ids::SourceId;
use tokio::sync::{mpsc, oneshot, watch};

use super::plan::Window;
use crate::dup_window::lock;

/// Backfills of one source that wait for the one before.
const WAITING_MAX: usize = 4;
/// What a source's task has not heard yet while it waits for an answer: backfills, and that they be cancelled.
const UNHEARD_MAX: usize = 2 * (WAITING_MAX + 1);

/// How a backfill stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackfillProgress {
    /// Whether it has begun; another one of the source comes first.
    pub begun: bool,
    /// Windows asked for.
    pub windows_done: u64,
    /// Windows still to ask for; an API that gives less than a window at once makes them more.
    pub windows_left: u64,
    /// Rows, features or readings in the answers.
    pub items: u64,
    /// When it will be done at its pace and within what the host allows in a day, µs since 1970 UTC; None where that
    /// cannot be said.
    pub expected_end: Option<i64>,
    /// What was asked for last: target and window.
    pub last: Option<String>,
    /// What went wrong last, while it is tried again.
    pub trouble: Option<String>,
    /// Windows that were refused, the first few with the reason.
    pub refused: Vec<String>,
    /// How many were refused.
    pub refused_total: u64,
    /// Set at its end.
    pub ended: Option<BackfillEnd>,
}

/// How a backfill ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackfillEnd {
    /// Every window was asked for.
    Done,
    /// The API fails, for this reason.
    GivenUp(String),
    /// Somebody has taken it back.
    Cancelled,
    /// The source has stopped; it goes on where it stood when the source runs again.
    Interrupted,
}

/// What a source's task is asked.
#[derive(Debug)]
pub(crate) struct BackfillRequest {
    pub(crate) span: Window,
    pub(crate) progress: watch::Sender<BackfillProgress>,
}

/// What a source's task is told.
#[derive(Debug)]
pub(crate) enum BackfillCommand {
    /// Do this when those before are done.
    Begin(BackfillRequest),
    /// Forget all of them, and say how many there were.
    CancelAll(oneshot::Sender<usize>),
}

/// Why a backfill cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// Not a polled source, or not running.
    #[error("source `{0}` is not polled here; name one of the polled sources")]
    NotPolled(SourceId),
    /// Too many wait already.
    #[error("source `{0}` has {WAITING_MAX} backfills waiting; ask again when one is done")]
    TooMany(SourceId),
}

/// A backfill that is not at its end.
#[derive(Clone, Debug)]
pub struct OpenBackfill {
    /// Of which source.
    pub source: SourceId,
    /// What was asked for.
    pub span: Window,
    /// How it stands.
    pub progress: BackfillProgress,
}

/// The backfills of one source.
#[derive(Debug)]
struct OfSource {
    commands: mpsc::Sender<BackfillCommand>,
    /// In the order in which they are done; what has ended goes when the next one comes.
    asked: Vec<(Window, watch::Receiver<BackfillProgress>)>,
}

/// The pollers that can be asked; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Backfills {
    sources: Arc<Mutex<BTreeMap<SourceId, OfSource>>>,
}

impl Backfills {
    /// Asks a source for a span of its past. Dropping the receiver does not stop it, nor does the end of the process: it
    /// goes on with the source. Whoever asks for a span that is being asked for already is shown how that gets on.
    ///
    /// # Errors
    /// [`BackfillError`] where nobody can do it.
    pub fn request(
        &self,
        source: &SourceId,
        span: Window,
    ) -> Result<watch::Receiver<BackfillProgress>, BackfillError> {
        let mut sources = lock(&self.sources);
        let of_source = sources
            .get_mut(source)
            .filter(|of| !of.commands.is_closed());
        let of_source = of_source.ok_or_else(|| BackfillError::NotPolled(source.clone()))?;
        of_source.asked.retain(|(_, progress)| is_open(progress));
        let mut asked = of_source.asked.iter();
        if let Some((_, progress)) = asked.find(|(known, _)| *known == span) {
            return Ok(progress.clone());
        }
        if of_source.asked.len() > WAITING_MAX {
            return Err(BackfillError::TooMany(source.clone()));
        }
        let (progress, receiver) = watch::channel(BackfillProgress::default());
        let command = BackfillCommand::Begin(BackfillRequest { span, progress });
        tell(source, &of_source.commands, command)?;
        of_source.asked.push((span, receiver.clone()));
        Ok(receiver)
    }

    /// Takes back all backfills of a source. The receiver is told how many those were, once they are forgotten.
    ///
    /// # Errors
    /// [`BackfillError`] where nobody does any.
    pub fn cancel(&self, source: &SourceId) -> Result<oneshot::Receiver<usize>, BackfillError> {
        let sources = lock(&self.sources);
        let of_source = sources.get(source);
        let of_source = of_source.ok_or_else(|| BackfillError::NotPolled(source.clone()))?;
        let (answer, receiver) = oneshot::channel();
        let command = BackfillCommand::CancelAll(answer);
        tell(source, &of_source.commands, command)?;
        Ok(receiver)
    }

    /// Returns the backfills that are not at their end, by source, in the order in which they are done.
    pub fn open(&self) -> Vec<OpenBackfill> {
        let sources = lock(&self.sources);
        let asked = sources.iter().flat_map(|(source, of_source)| {
            let open = of_source.asked.iter();
            open.map(move |(span, progress)| (source, span, progress))
        });
        asked
            .filter(|(.., progress)| is_open(progress))
            .map(|(source, span, progress)| OpenBackfill {
                source: source.clone(),
                span: *span,
                progress: progress.borrow().clone(),
            })
            .collect()
    }

    /// Notes a source that can be asked, and what it goes on with.
    pub(crate) fn register(
        &self,
        source: &SourceId,
        asked: Vec<(Window, watch::Receiver<BackfillProgress>)>,
    ) -> mpsc::Receiver<BackfillCommand> {
        let (commands, receiver) = mpsc::channel(UNHEARD_MAX);
        lock(&self.sources).insert(source.clone(), OfSource { commands, asked });
        receiver
    }
}

/// Whether whoever does it is there, and not done.
fn is_open(progress: &watch::Receiver<BackfillProgress>) -> bool {
    progress.has_changed().is_ok() && progress.borrow().ended.is_none()
}

fn tell(
    source: &SourceId,
    commands: &mpsc::Sender<BackfillCommand>,
    command: BackfillCommand,
) -> Result<(), BackfillError> {
    commands.try_send(command).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => BackfillError::TooMany(source.clone()),
        mpsc::error::TrySendError::Closed(_) => BackfillError::NotPolled(source.clone()),
    })
}

//! Asking running pollers for their past: `meetnet backfill` on one side, the source's task on the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use meetnet_model::ids::SourceId;
use tokio::sync::{mpsc, watch};

use super::plan::Window;
use crate::dup_window::lock;

/// Backfills of one source that wait for the one before.
const WAITING_MAX: usize = 4;

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
    /// What was asked for last: target and window.
    pub last: Option<String>,
    /// What went wrong last, while it is tried again.
    pub trouble: Option<String>,
    /// Windows that were refused, the first few with the reason.
    pub refused: Vec<String>,
    /// How many were refused.
    pub refused_total: u64,
    /// Set at its end: nothing, or why it was given up.
    pub ended: Option<Result<(), String>>,
}

/// What a source's task is asked.
#[derive(Debug)]
pub(crate) struct BackfillRequest {
    pub(crate) span: Window,
    pub(crate) progress: watch::Sender<BackfillProgress>,
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

/// The pollers that can be asked; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Backfills {
    sources: Arc<Mutex<BTreeMap<SourceId, mpsc::Sender<BackfillRequest>>>>,
}

impl Backfills {
    /// Asks a source for a span of its past. Dropping the receiver does not stop it.
    ///
    /// # Errors
    /// [`BackfillError`] where nobody can do it.
    pub fn request(
        &self,
        source: &SourceId,
        span: Window,
    ) -> Result<watch::Receiver<BackfillProgress>, BackfillError> {
        let sender = lock(&self.sources).get(source).cloned();
        let sender = sender.ok_or_else(|| BackfillError::NotPolled(source.clone()))?;
        let (progress, receiver) = watch::channel(BackfillProgress::default());
        sender
            .try_send(BackfillRequest { span, progress })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => BackfillError::TooMany(source.clone()),
                mpsc::error::TrySendError::Closed(_) => BackfillError::NotPolled(source.clone()),
            })?;
        Ok(receiver)
    }

    pub(crate) fn register(&self, source: &SourceId) -> mpsc::Receiver<BackfillRequest> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        lock(&self.sources).insert(source.clone(), sender);
        receiver
    }
}

//! The write side on its way: journal and lake are opened and the journal is replayed on a thread, while the rest of the
//! daemon runs.
//!
//! ```text
//! Found: lock, tables ─▶ servers ─▶ [thread: journal ─▶ lake ─▶ replay] ─▶ sources ─▶ ready
//!          └ answers: what is committed ──▶ and what has been replayed of the rest ──▶ all of it
//!                       pushes: 503, commands wait, the configuration is read again later
//! ```
//!
//! **A stop** ends the replay between two groups of frames; what was not applied is replayed by the next start. Nothing is
//! committed or trimmed for it, so it takes no longer than the commit that is under way. **A failure** ends the daemon as
//! it would have at the start. Sources start last, so nothing is acknowledged before.

use std::io;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, anyhow};
use meetnet_ingest::http::EarlyPush;
use meetnet_ingest::pipeline::{NewestTimes, PipelineError, RejectCounts, ReplayWatch};
use meetnet_ingest::poll::Backfills;
use meetnet_lake::journal::Journal;
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_publish::RetentionRow;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tracing::{error, info};

use super::retention::Retention;
use super::space::{self, Measured};
use super::write_side::{Found, Opened};
use super::{Daemon, StopSignal, retention, settle, stopped_by_itself};
use crate::commands::Context;
use crate::config::Config;
use crate::failure::Failure;

impl Daemon {
    /// Waits until the write side is open, if there is one, then starts the sources: from here on messages are taken.
    /// False where `signal` came first; [`Daemon::stop`] then ends the replay where it is.
    ///
    /// # Errors
    /// `Usage` where the lake belongs to another journal, or a source cannot work; `Work` where recovery or replay fail, or
    /// a listener has ended.
    pub(crate) async fn open(&mut self, signal: &StopSignal) -> Result<bool, Failure> {
        let Some(mut opening) = self.opening.take() else {
            return Ok(true);
        };
        let opened = tokio::select! {
            opened = opening.opened() => opened.map(Some),
            () = signal.stopped() => Ok(None),
            Some(ended) = self.servers.join_next() => {
                error!(?ended, "a listener ended");
                Err(stopped_by_itself())
            }
        };
        match opened {
            Ok(Some(opened)) => {
                self.start_sources(opened, &mut opening.waiting).await?;
                Ok(true)
            }
            unopened => {
                // Its thread may still be at it.
                self.opening = Some(opening);
                unopened.map(|_| false)
            }
        }
    }

    async fn start_sources(
        &mut self,
        opened: Opened,
        waiting: &mut Waiting,
    ) -> Result<(), Failure> {
        let config = self.config.load_full();
        let context = Context::new(Arc::clone(&self.config), &opened);
        let push_listener = waiting.hand_over(&opened).await?;
        let now = jiff::Timestamp::now().as_microsecond();
        self.left_sessions.known(opened.left_sessions.clone(), now);
        let writing = opened.start_sources(
            &config,
            &self.secrets,
            push_listener,
            &self.statuses,
            &self.stop_intake,
        )?;
        self.watchers.push(retention::start(
            writing.retention.clone(),
            writing.pipeline.commands(),
            writing.pipeline.shared(),
        ));
        self.writing = Some(writing);
        self.readiness.journal_replayed();
        waiting.contexts.send_replace(Some(context.clone()));
        let disks = waiting.disks.clone();
        self.watchers.push(settle::start(context));
        self.watchers
            .push(space::start(&config, disks, self.readiness.clone()));
        Ok(())
    }
}

/// What watches the write side from the start of the process on finds it here, once it is open.
#[derive(Clone, Default)]
pub(super) struct WriteSideView(Arc<OnceLock<Shown>>);

struct Shown {
    journal: Journal,
    rejects: RejectCounts,
    newest: NewestTimes,
    backfills: Backfills,
    retention: Retention,
    snapshot: SharedSnapshot,
}

impl WriteSideView {
    pub(super) fn journal(&self) -> Option<&Journal> {
        self.0.get().map(|shown| &shown.journal)
    }

    pub(super) fn rejects(&self) -> Option<&RejectCounts> {
        self.0.get().map(|shown| &shown.rejects)
    }

    pub(super) fn newest(&self) -> Option<&NewestTimes> {
        self.0.get().map(|shown| &shown.newest)
    }

    pub(super) fn backfills(&self) -> Option<&Backfills> {
        self.0.get().map(|shown| &shown.backfills)
    }

    /// Returns the retentions that wait, with what is stored now.
    pub(super) fn retentions(&self) -> Vec<RetentionRow> {
        let shown = self.0.get();
        let rows = shown.map(|shown| shown.retention.rows(&shown.snapshot.load()));
        rows.unwrap_or_default()
    }

    fn show(&self, opened: &Opened) {
        let shown = Shown {
            journal: opened.journal.clone(),
            rejects: opened.pipeline.rejects(),
            newest: opened.pipeline.newest(),
            backfills: opened.parts.backfills.clone(),
            retention: opened.retention.clone(),
            snapshot: opened.pipeline.shared(),
        };
        // A process opens its write side once.
        let _ = self.0.set(shown);
    }
}

/// What is handed over where the write side is open.
pub(super) struct Waiting {
    /// The listener of pushes, which answers 503 until then.
    pub(super) push: Option<EarlyPush>,
    /// Makes known what commands on the admin socket wait for.
    pub(super) contexts: watch::Sender<Option<Context>>,
    pub(super) view: WriteSideView,
    pub(super) disks: Measured,
}

impl Waiting {
    /// Shows the write side to those who watch it, and returns the listener of pushes.
    ///
    /// # Errors
    /// Where the system does not give the listener back.
    pub(super) async fn hand_over(
        &mut self,
        opened: &Opened,
    ) -> Result<Option<TcpListener>, Failure> {
        self.view.show(opened);
        let listener = self.end_push().await;
        listener
            .context("failed to take the listener of pushes back")
            .map_err(Failure::Work)
    }

    async fn end_push(&mut self) -> io::Result<Option<TcpListener>> {
        match self.push.take() {
            Some(push) => push.end().await.map(Some),
            None => Ok(None),
        }
    }
}

/// A write side that is being opened. Dropped, it ends the replay.
pub(super) struct Opening {
    /// None once it has ended.
    thread: Option<JoinHandle<Result<Opened, Failure>>>,
    replay: ReplayWatch,
    pub(super) waiting: Waiting,
}

impl Opening {
    pub(super) fn start(
        found: Found,
        config: Config,
        replay: ReplayWatch,
        waiting: Waiting,
    ) -> Self {
        let watch = replay.clone();
        let open = move || found.open(&config, &watch, true);
        Self {
            thread: Some(tokio::task::spawn_blocking(open)),
            replay,
            waiting,
        }
    }

    /// Waits until the write side is open. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`Found::open`]; then there is nothing more to wait for.
    pub(super) async fn opened(&mut self) -> Result<Opened, Failure> {
        let Some(thread) = &mut self.thread else {
            return Err(Failure::Work(anyhow!("the write side has failed to open")));
        };
        let ended = thread.await;
        self.thread = None;
        flat(ended)
    }

    /// Ends the replay where it is, and frees the folder.
    ///
    /// # Errors
    /// Where the write side failed by itself, or was open already and does not stop in good order.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        self.replay.stop();
        // Its socket goes with the process at the latest.
        drop(self.waiting.end_push().await);
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        match flat(thread.await) {
            Ok(opened) => opened.stop().await,
            Err(failure) if is_interrupted(&failure) => {
                info!("ended the replay of the journal: the next start begins it anew");
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        // The process could not end before its threads do.
        self.replay.stop();
    }
}

fn flat(ended: Result<Result<Opened, Failure>, JoinError>) -> Result<Opened, Failure> {
    ended
        .context("a thread ended abnormally")
        .map_err(Failure::Work)?
}

fn is_interrupted(failure: &Failure) -> bool {
    let error = failure.error().downcast_ref::<PipelineError>();
    matches!(error, Some(PipelineError::Interrupted))
}

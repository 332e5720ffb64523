//! The write side: folder locked, tables read, journal and pipeline opened, then the sources that feed them.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use arc_swap::ArcSwap;
use meetnet_decode::with_pseudonyms;
use meetnet_ingest::http::PushState;
use meetnet_ingest::outcomes::OutcomeRegistry;
use meetnet_ingest::pipeline::{Pipeline, PipelineError, PipelineOptions, ReplayWatch};
use meetnet_ingest::poll::{self, Backfills, Hosts, PollHandle, Polling};
use meetnet_ingest::status::Statuses;
use meetnet_ingest::{DupWindows, Handles, Intake, PushServer, announce_devices};
use meetnet_lake::LakeError;
use meetnet_lake::journal::{FolderLock, Journal, JournalError, has_journal};
use meetnet_lake::known::KnownTables;
use meetnet_lake::lake::{DeclaredTables, LakeOptions, LakeReader};
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::LakeStorage;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::SourceId;
use meetnet_model::privacy::PrivacyKey;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::derive::Deriving;
use super::retention::Retention;
use super::session_note::SessionNote;
use super::sources::{CURSORS_DIR, SourceParts};
use super::{blocking, journal, licences, privacy_key, push, sessions, sources};
use crate::allocator;
use crate::check;
use crate::config::{Config, LakePlace, Secrets};
use crate::failure::Failure;

/// The folder is ours, and its tables allow the configuration; the journal has not been read.
pub(super) struct Found {
    pub(super) storage: Arc<dyn LakeStorage>,
    /// What readers load: what is committed, and later what has been applied beside it.
    pub(super) shared: SharedSnapshot,
    lock: FolderLock,
    key: PrivacyKey,
    tables: DeclaredTables,
}

/// Journal and pipeline, before sources.
pub(crate) struct Opened {
    pub(crate) storage: Arc<dyn LakeStorage>,
    pub(crate) journal: Journal,
    pub(crate) pipeline: Pipeline,
    pub(crate) parts: SourceParts,
    pub(super) retention: Retention,
    /// The declarations as they are in the journal.
    pub(super) declarations: Arc<Declarations>,
    /// Sessions at brokers that no source asks for any more: the source that did, and the client id.
    pub(super) left_sessions: Vec<(SourceId, String)>,
}

/// The running write side.
pub(super) struct Writing {
    pub(super) journal: Journal,
    pub(super) pipeline: Pipeline,
    pub(super) deriving: Deriving,
    pub(super) sources: Handles,
    pub(super) parts: SourceParts,
    pub(super) retention: Retention,
    /// The declarations as they are in the journal.
    pub(super) in_force: Arc<Declarations>,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Found {
    /// Takes the folder, and reads what is committed in it; off the async threads.
    ///
    /// # Errors
    /// See [`Daemon::start`](super::Daemon::start).
    pub(super) async fn look(config: &Config, secrets: &Secrets) -> Result<Self, Failure> {
        let config = config.clone();
        let privacy = secrets.privacy.clone();
        let storage = config.lake.storage(secrets, Handle::current());
        let storage = storage.map_err(Failure::Usage)?;
        blocking(move || look_blocking(&config, privacy, storage)).await?
    }

    /// Opens journal and lake and replays what is not committed yet; blocking, for as long as it takes. `waits`: on a full
    /// disk without a reserve, until somebody has made room.
    ///
    /// # Errors
    /// See [`Daemon::open`](super::Daemon::open); [`PipelineError::Interrupted`] where `replay` has been stopped.
    pub(super) fn open(
        self,
        config: &Config,
        replay: &ReplayWatch,
        waits: bool,
    ) -> Result<Opened, Failure> {
        open_blocking(self, config, replay, waits)
    }
}

impl Opened {
    /// Takes the folder, opens journal and lake and replays what is not committed yet; off the async threads.
    ///
    /// # Errors
    /// See [`Daemon::start`](super::Daemon::start) and [`Daemon::open`](super::Daemon::open).
    pub(crate) async fn open(config: &Config, secrets: &Secrets) -> Result<Self, Failure> {
        let found = Found::look(config, secrets).await?;
        let config = config.clone();
        // Whoever gave a command is to hear of a full disk.
        blocking(move || found.open(&config, &ReplayWatch::default(), false)).await?
    }

    /// Commits everything, trims, and frees the folder: for who never had sources.
    ///
    /// # Errors
    /// Why the pipeline failed, or what could not be written any more.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let Self {
            journal, pipeline, ..
        } = self;
        let committed = stop_pipeline(pipeline).await;
        committed.and(stop_journal(journal).await)
    }

    /// Starts the poller of one source, which asks for nothing but backfills; None where the source is not polled.
    ///
    /// # Errors
    /// Where it cannot work.
    pub(crate) fn poll_for_backfill(
        &self,
        config: &Config,
        secrets: &Secrets,
        source: &SourceId,
        stop: &CancellationToken,
    ) -> Result<Option<PollHandle>, Failure> {
        let sources = sources::all(config, secrets, &self.parts, &Statuses::default());
        let mut polls = sources.polls.into_iter();
        let poll = polls.find(|poll| poll.id == *source);
        let spawn = |poll| poll::spawn(poll, Polling::BackfillsOnly, stop.clone());
        poll.map(spawn).transpose().map_err(Failure::usage)
    }

    /// Starts the sources: from here on messages are taken.
    ///
    /// # Errors
    /// Where one cannot work; then none is started.
    pub(super) fn start_sources(
        self,
        config: &Config,
        secrets: &Secrets,
        push_listener: Option<TcpListener>,
        statuses: &Statuses,
        stop: &CancellationToken,
    ) -> Result<Writing, Failure> {
        // Before anything that they measure.
        tell_of_devices(&self.parts.intake, &config.declarations);
        for source in &config.sources {
            let declaration = &source.declaration;
            statuses.expect(&declaration.id, declaration.kind, source.silent_after);
        }
        let Opened {
            storage,
            journal,
            pipeline,
            parts,
            retention,
            declarations,
            left_sessions: _,
        } = self;
        let sources = sources::all(config, secrets, &parts, statuses);
        let push = config
            .ingest_http
            .as_ref()
            .zip(push_listener)
            .map(|(ingest, listener)| PushServer {
                listener,
                server: push::server(ingest, config.limits.stop_time_max),
                state: PushState::new(
                    sources.push.clone(),
                    ingest.limits,
                    parts.intake.clone(),
                    parts.outcomes.clone(),
                    statuses,
                    parts.key.clone(),
                ),
            });
        let handles = meetnet_ingest::start(sources, push, stop).map_err(Failure::usage)?;
        let stopped = pipeline.watch_stopped();
        let deriving = Deriving::start(storage, pipeline.shared(), pipeline.commands())
            .map_err(Failure::Work)?;
        Ok(Writing {
            journal,
            pipeline,
            deriving,
            sources: handles,
            in_force: declarations,
            parts,
            retention,
            stopped,
        })
    }
}

fn look_blocking(
    config: &Config,
    privacy: Option<String>,
    storage: Arc<dyn LakeStorage>,
) -> Result<Found, Failure> {
    // Nobody else commits from here on: what is read of the tables stays so, and so does what the journal knows of them.
    let lock = FolderLock::take(&journal::options(&config.journal)).map_err(journal_failure)?;
    // A bucket knows its writer otherwise.
    let lock = match &config.lake.place {
        LakePlace::Folder(root) => lock.with_lake(root).map_err(journal_failure)?,
        LakePlace::S3(_) => lock,
    };
    // Before the journal is opened: what it keeps of the declarations names no hardware id.
    let is_written = || has_written(config, &storage);
    let key = privacy_key::find(privacy, &config.journal.dir, is_written);
    let key = key.map_err(Failure::place)?;
    let declarations = with_pseudonyms(&config.declarations, &key);
    let tables = declared_tables(&storage, declarations)?;
    // Nothing has been written yet, and the journal has not been opened.
    let known = KnownTables::read(&check::place(config)).map_err(journal_failure)?;
    if let Some(known) = known {
        tables.check_known(&known).map_err(lake_failure)?;
    }
    let committed = tables.committed().map_err(lake_failure)?;
    Ok(Found {
        storage,
        shared: Arc::new(ArcSwap::from_pointee(committed)),
        lock,
        key,
        tables,
    })
}

/// Whether there is a journal, or a folder with tables. A bucket with tables of another journal is refused by its mark.
fn has_written(config: &Config, storage: &Arc<dyn LakeStorage>) -> anyhow::Result<bool> {
    let place = check::place(config);
    if has_journal(place.files.as_ref(), &place.dir)? {
        return Ok(true);
    }
    let LakePlace::Folder(_) = &config.lake.place else {
        return Ok(false);
    };
    let committed = LakeReader::open(Arc::clone(storage))?.refresh()?;
    Ok(!committed.tables.is_empty())
}

fn open_blocking(
    found: Found,
    config: &Config,
    replay: &ReplayWatch,
    waits: bool,
) -> Result<Opened, Failure> {
    let Found {
        storage,
        shared,
        lock,
        key,
        tables,
    } = found;
    let declarations = Arc::clone(tables.declarations());
    let options = journal::options(&config.journal);
    let waits = || waits && !replay.is_stopped();
    let opened = Journal::open_locked(options, lock, &declarations.to_bytes(), &waits);
    let (journal, recovery) = match opened {
        // It was waited for room, and nothing has been opened.
        Err(error) if error.is_disk_full() && replay.is_stopped() => {
            return Err(Failure::work(PipelineError::Interrupted));
        }
        opened => opened.map_err(journal_failure)?,
    };
    journal::report(&recovery);
    let kept = config.lake.retention.clone();
    // The newest time that was written before this start: declarations that have changed are in the journal by the clock of now.
    let seen_us = recovery
        .checkpoint
        .as_ref()
        .map_or(recovery.last_recorded_at, |noted| noted.last_recorded_at);
    let grace = config.lake.retention_grace;
    let retention = Retention::open(&config.journal.dir, kept, grace, seen_us);
    let journal_id = journal.id().to_string();
    let left_sessions = sources::warn_of_left_sessions(config, &recovery.declarations, &journal_id);
    let lake = LakeOptions {
        openings: Some(journal.openings()),
        limits: config.lake.limits,
        retention: retention.in_force(),
        shared: Some(shared),
        give_back: allocator::give_back,
        ..LakeOptions::new(journal.id())
    };
    let options = PipelineOptions {
        lake,
        limits: config.limits.pipeline,
        replay: replay.clone(),
    };
    let outcomes = OutcomeRegistry::new(config.limits.pushes_waiting_max);
    let dup_windows = DupWindows::default();
    // Before the journal is read, and before a source connects.
    let last = recovery.last_sequence;
    let noted = SessionNote::open(&config.journal.dir, &journal_id, last);
    let history = noted.take_up(&sessions::configured(config, &journal_id), last);
    dup_windows.begin_with(&history);
    let started = Instant::now();
    let (pipeline, replayed) = Pipeline::start(
        options,
        journal.clone(),
        &recovery,
        tables,
        key.clone(),
        outcomes.clone(),
        dup_windows.clone(),
    )
    .map_err(pipeline_failure)?;
    info!(
        frames = replayed.frames,
        inserted = replayed.applied.inserted,
        skipped = replayed.applied.skipped,
        elapsed_ms = started.elapsed().as_millis() as u64,
        "replayed the journal"
    );
    let parts = SourceParts {
        journal_id,
        intake: Intake::from_journal(&journal),
        outcomes,
        dup_windows,
        sessions: noted,
        hosts: Hosts::default(),
        backfills: Backfills::default(),
        cursors_dir: config.journal.dir.join(CURSORS_DIR),
        key,
    };
    Ok(Opened {
        storage,
        journal,
        pipeline,
        parts,
        retention,
        declarations,
        left_sessions,
    })
}

/// Reads the tables for what is configured; their declarations name former sources, too, whose rows lie there.
///
/// # Errors
/// Where a table forbids a change, stored rows do not allow the licences that are declared, or a log is broken.
pub(super) fn declared_tables(
    storage: &Arc<dyn LakeStorage>,
    declarations: Arc<Declarations>,
) -> Result<DeclaredTables, Failure> {
    let read = |declarations| {
        DeclaredTables::read(Arc::clone(storage), declarations).map_err(lake_failure)
    };
    let tables = read(Arc::clone(&declarations))?;
    let stored = tables.stored_licences().map_err(lake_failure)?;
    licences::allow(&declarations, &stored).map_err(Failure::Usage)?;
    let named = tables.with_former_names().map_err(lake_failure)?;
    if Arc::ptr_eq(&named, &declarations) {
        return Ok(tables);
    }
    read(named)
}

/// Journals where declared devices stand.
pub(super) fn tell_of_devices(intake: &Intake, declarations: &Declarations) {
    if let Err(error) = announce_devices(intake, declarations) {
        let error: &dyn std::error::Error = &error;
        warn!(
            error,
            "the places of declared devices are told at the next start"
        );
    }
}

/// Commits everything and trims.
pub(super) async fn stop_pipeline(pipeline: Pipeline) -> Result<(), Failure> {
    blocking(move || pipeline.shutdown())
        .await
        .and_then(|ended| ended.map_err(Failure::work))
}

/// Writes what is pending and frees the folder.
pub(super) async fn stop_journal(journal: Journal) -> Result<(), Failure> {
    blocking(move || journal.shutdown())
        .await
        .and_then(|ended| {
            ended
                .context("failed to stop the journal")
                .map_err(Failure::Work)
        })
}

/// A folder that is held or cannot be written is for the operator to correct; damage is not.
fn journal_failure(error: JournalError) -> Failure {
    match error {
        JournalError::Locked { .. }
        | JournalError::LakeLocked { .. }
        | JournalError::Restoring { .. }
        | JournalError::Io { .. } => Failure::place(error),
        error => Failure::work(error),
    }
}

/// What stands before an error of a bucket that says who asks may not.
const BUCKET_REFUSES: &str = "the bucket refuses who asks: the credentials in [s3], their rights, or the clock of this machine";

/// A lake that refuses is for the operator to correct, as a place that cannot be used; damage is not, nor a bucket that does
/// not answer: the next try of a service manager may be after an outage.
pub(super) fn lake_failure(error: LakeError) -> Failure {
    match error {
        LakeError::Io { .. } if error.is_of_object_store() => {
            let is_refused = error.is_refused_access();
            let error = anyhow::Error::from(error);
            Failure::Work(match is_refused {
                true => error.context(BUCKET_REFUSES),
                false => error,
            })
        }
        LakeError::ForbiddenChange { .. }
        | LakeError::OtherWriter { .. }
        | LakeError::OtherCopy { .. }
        | LakeError::NoConditionalWrites { .. }
        | LakeError::MissingEntry { .. }
        | LakeError::LostTables { .. }
        | LakeError::Io { .. } => Failure::place(error),
        LakeError::Journal(error) => journal_failure(error),
        error => Failure::work(error),
    }
}

fn pipeline_failure(error: PipelineError) -> Failure {
    match error {
        PipelineError::Lake(error) => lake_failure(error),
        error @ PipelineError::Setup { .. } => Failure::usage(error),
        error => Failure::work(error),
    }
}

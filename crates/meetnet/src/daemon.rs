//! The daemon: every part put together in one process, from bound listeners to a clean end.
//!
//! ```text
//! bind ─▶ lock, tables ─▶ commands ─▶ query ─▶ http ─▶ … ─▶ stop in reverse
//!                                        └▶ journal (recovery) ─▶ pipeline (replay) ─▶ sources
//! ```
//!
//! Listeners are bound first: a taken port must not cost a recovery. Where one is, and another process has the folder, the
//! second daemon of a configuration is told of that. Only the admin socket waits for the lock of the folder, which says that
//! nobody else answers on it. What is committed is answered before the journal is read, and while
//! it is replayed (`opening`). Sources start last and stop first, so that nothing is acknowledged that the rest is not there
//! to take. What may change meanwhile is exchanged by `reload`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use meetnet_ingest::pipeline::{PipelineCommands, ReplayWatch};
use meetnet_ingest::status::Statuses;
use meetnet_lake::scrub::{Scrub, ScrubOptions};
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::LakeStorage;
use meetnet_model::privacy::PrivacyKey;
use meetnet_publish::{
    AdminState, FiguresCache, Readiness, ServeLimits, SharedDeclarations, admin_router, serve_with,
};
use meetnet_query::{Audit, QueryOptions, QueryService};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::allocator::give_back_at_rest;
use crate::commands::{AdminSocket, AwaitedContext};
use crate::config::{Config, Environment, Secrets, SharedConfig};
use crate::failure::Failure;

mod access;
mod answering;
mod audit;
mod changes;
mod derive;
mod follow;
mod journal;
mod licences;
mod listeners;
mod monitor;
mod open_files;
mod opening;
mod priority;
mod privacy_key;
mod protocols;
mod push;
mod reload;
mod retention;
mod session_note;
mod sessions;
mod settle;
mod signals;
mod sources;
mod space;
mod watch;
mod write_side;

pub(crate) use listeners::{Addresses, Listeners};
pub(crate) use privacy_key::FILE as PRIVACY_KEY_FILE;
pub(crate) use session_note::FILE as SESSIONS_FILE;
pub(crate) use signals::StopSignal;
pub(crate) use write_side::Opened;

use answering::Answering;
use audit::AuditLog;
use follow::Follower;
use opening::{Opening, Waiting, WriteSideView};
use protocols::Protocols;
use sessions::LeftSessions;
use watch::ConfigWatch;
use write_side::{Found, Writing, stop_journal, stop_pipeline};

/// Which part of the daemon a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    Run,
    /// The write side: sources, journal, lake.
    Ingest,
    /// The read side: queries and HTTP over committed files.
    Serve,
}

impl Role {
    /// Returns the name of the command that it is started by.
    fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Ingest => "ingest",
            Self::Serve => "serve",
        }
    }

    fn writes(self) -> bool {
        matches!(self, Self::Run | Self::Ingest)
    }

    fn reads(self) -> bool {
        matches!(self, Self::Run | Self::Serve)
    }
}

/// What a daemon starts with.
pub(crate) struct Start {
    pub(crate) role: Role,
    pub(crate) config: Config,
    pub(crate) secrets: Secrets,
    pub(crate) metrics: PrometheusHandle,
    /// True where a history follows: `/readyz` waits for [`Daemon::history_loaded`].
    pub(crate) awaits_history: bool,
}

/// A running daemon.
pub(crate) struct Daemon {
    role: Role,
    /// In force now.
    config: SharedConfig,
    secrets: Secrets,
    /// What pages tell of properties.
    declarations: SharedDeclarations,
    storage: Arc<dyn LakeStorage>,
    statuses: Statuses,
    /// What sources that are gone have left at brokers.
    left_sessions: LeftSessions,
    /// Why the configuration on disk is not in force.
    refused: Option<String>,
    addresses: Addresses,
    readiness: Readiness,
    /// Until the write side is open.
    opening: Option<Opening>,
    writing: Option<Writing>,
    follower: Option<Follower>,
    scrub: Scrub,
    servers: JoinSet<std::io::Result<()>>,
    /// Runs those of the read side, until they have ended.
    _answering: Answering,
    /// Tasks that only watch.
    watchers: Vec<JoinHandle<()>>,
    stop_intake: CancellationToken,
    stop_serving: CancellationToken,
    stop_time_max: Duration,
}

impl Daemon {
    /// Starts every part but the sources, and begins to open the write side: what is committed is answered once this
    /// returns. [`Daemon::open`] comes next.
    ///
    /// # Errors
    /// `Usage` where an address is taken, a folder cannot be used or is held by another process, or a table does not
    /// allow its new declaration.
    pub(crate) async fn start(start: Start) -> Result<Self, Failure> {
        let Start {
            role,
            config,
            secrets,
            metrics,
            awaits_history,
        } = start;
        check_serves(role, &config)?;
        let bound = Listeners::bind(&config, role).await;
        let mut listeners = bound.map_err(|error| listeners::refused(error, &config, role))?;
        let addresses = listeners.addresses();
        let stop_intake = CancellationToken::new();
        let stop_serving = CancellationToken::new();
        let statuses = Statuses::default();
        let left_sessions = LeftSessions::default();
        let readiness = readiness(role, &config, awaits_history);
        if role.writes() {
            sources::tell_where_none(&config, &readiness);
        }
        if role == Role::Run {
            sources::tell_where_unheard(&config);
        }

        let (mut found, mut follower) = (None, None);
        let (storage, snapshot) = if role.writes() {
            let write_side = Found::look(&config, &secrets).await?;
            let of_lake = (
                Arc::clone(&write_side.storage),
                Arc::clone(&write_side.shared),
            );
            found = Some(write_side);
            of_lake
        } else {
            let (storage, followed) = follow::start(&config, &secrets, readiness.clone()).await?;
            let snapshot = followed.shared();
            follower = Some(followed);
            // There is nothing to replay, and no source.
            readiness.journal_replayed();
            (storage, snapshot)
        };

        // Every process that answers or writes: what one has found, another one does not know.
        let scrub = scrub(&config, &snapshot)?;
        let declarations = Arc::new(ArcSwap::new(Arc::clone(&config.declarations)));
        let shared_config: SharedConfig = Arc::new(ArcSwap::from_pointee(config.clone()));
        metrics::gauge!("meetnet_config_refused").set(0.0);
        let rates = monitor::Rates::default();
        let mut servers = JoinSet::new();
        let disks = space::Measured::default();
        let view = WriteSideView::default();
        let replay = ReplayWatch::default();
        let (contexts, awaited) = AwaitedContext::new(replay.clone());
        if role.writes() {
            let socket = AdminSocket::bind(&config.socket)
                .await
                .map_err(Failure::Usage)?;
            servers.spawn(socket.serve(awaited, stop_serving.clone()));
        }
        let answering = Answering::start(role.writes() && listeners.take_queries())?;
        let answers = answering.handle();
        // One for all protocols: its limits are of the machine, not of a listener.
        let query = if listeners.take_queries() {
            Some(query_service(role, &config, &snapshot, &declarations)?)
        } else {
            None
        };
        let figures = match &query {
            Some(query) => {
                let protocols = Protocols {
                    config: &config,
                    secrets: &secrets,
                    declarations: &declarations,
                    readiness: &readiness,
                    addresses: &addresses,
                    query,
                    stop: &stop_serving,
                };
                protocols.serve(&mut listeners, &mut servers, &answers)?
            }
            None => FiguresCache::default(),
        };
        if let (Some(admin), Some(listener)) = (&config.admin, listeners.admin.take()) {
            let state = AdminState {
                metrics: metrics.clone(),
                snapshot: Arc::clone(&snapshot),
                readiness: readiness.clone(),
                status: role.writes().then(|| {
                    monitor::operations(&statuses, &disks, &view, &left_sessions, rates.clone())
                }),
                figures,
                scrub: scrub.watch(),
            };
            let stop = stop_serving.clone().cancelled_owned();
            let limits = ServeLimits {
                drain_time_max: config.limits.stop_time_max,
                ..admin.limits
            };
            servers.spawn(serve_with(listener, admin_router(state), limits, stop));
        }

        let monitor = monitor::start(
            metrics,
            statuses.clone(),
            readiness.clone(),
            (view.clone(), replay.clone()),
            rates,
        );
        let mut runtimes = vec![Handle::current()];
        runtimes.extend(answering.own_handle());
        runtimes.extend(query.as_ref().map(QueryService::runtime_handle));
        let mut opening = None;
        if let Some(found) = found {
            let push = push::early(&config, listeners.ingest_http.take())?;
            let waiting = Waiting {
                push,
                contexts,
                view,
                disks,
            };
            info!(
                "opening the journal: what is committed is answered, messages are taken afterwards"
            );
            opening = Some(Opening::start(found, config.clone(), replay, waiting));
        }
        Ok(Self {
            role,
            stop_time_max: config.limits.stop_time_max,
            config: shared_config,
            secrets,
            declarations,
            storage,
            statuses,
            left_sessions,
            refused: None,
            addresses,
            readiness,
            opening,
            writing: None,
            follower,
            scrub,
            servers,
            _answering: answering,
            watchers: vec![monitor, give_back_at_rest(runtimes)],
            stop_intake,
            stop_serving,
        })
    }

    /// Where it listens; port 0 replaced by the one that the system gave.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Commands to the pipeline; none in a process that only reads, or before [`Daemon::open`].
    pub(crate) fn commands(&self) -> Option<PipelineCommands> {
        self.writing
            .as_ref()
            .map(|writing| writing.pipeline.commands())
    }

    /// The key under which hardware ids become pseudonyms; none in a process that only reads, or before [`Daemon::open`].
    pub(crate) fn privacy_key(&self) -> Option<PrivacyKey> {
        self.writing
            .as_ref()
            .map(|writing| writing.parts.key.clone())
    }

    /// Says that the history to load at the start is there.
    pub(crate) fn history_loaded(&self) {
        self.readiness.history_loaded();
    }

    /// Waits until a part has failed that the daemon cannot go on without.
    pub(crate) async fn failed(&mut self) {
        let pipeline = async {
            match &mut self.writing {
                // A closed channel means the pipeline's thread is gone.
                Some(writing) => drop(writing.stopped.wait_for(|stopped| *stopped).await),
                None => std::future::pending().await,
            }
        };
        let servers = async {
            match self.servers.join_next().await {
                Some(ended) => error!(?ended, "a listener ended"),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pipeline => {}
            () = servers => {}
        }
    }

    /// Stops intake, commits everything, trims, answers the last requests, and frees the folder. A write side that is not
    /// open yet commits nothing.
    ///
    /// # Errors
    /// Why the pipeline failed, or what could not be written any more.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.stop_intake.cancel();
        let mut result = Ok(());
        let mut journal = None;
        if let Some(opening) = self.opening.take() {
            result = opening.end().await;
        }
        if let Some(writing) = self.writing.take() {
            if tokio::time::timeout(self.stop_time_max, writing.sources.stopped())
                .await
                .is_err()
            {
                warn!(
                    "sources did not stop in time: what they still hold is sent again by its senders"
                );
            }
            writing.deriving.stop().await;
            result = stop_pipeline(writing.pipeline).await;
            journal = Some(writing.journal);
        }
        self.stop_serving.cancel();
        // Each cuts its own connections off in time.
        while self.servers.join_next().await.is_some() {}
        self.watchers.iter().for_each(JoinHandle::abort);
        // It may wait for a bucket that does not answer, and changes nothing.
        let scrub = self.scrub;
        let ended = tokio::task::spawn_blocking(move || scrub.stop());
        drop(tokio::time::timeout(self.stop_time_max, ended).await);
        if let Some(follower) = self.follower.take() {
            follower.stop(self.stop_time_max).await;
        }
        if let Some(journal) = journal {
            result = result.and(stop_journal(journal).await);
        }
        if result.is_ok() {
            info!("stopped");
        }
        result
    }
}

/// Runs a daemon until it is told to stop or fails; its configuration is read again where it changes, or at SIGHUP.
/// `environment` overrides and completes it as at the start.
pub(crate) async fn run(
    start: Start,
    environment: &Environment,
    signal: StopSignal,
) -> Result<(), Failure> {
    let role = start.role;
    open_files::raise(&start.config, role);
    // Before recovery, which may take minutes: what changes meanwhile counts, too, once the sources have been started.
    let mut watch = ConfigWatch::start(&start.config).map_err(Failure::Work)?;
    let mut daemon = Daemon::start(start).await?;
    match daemon.open(&signal).await {
        Ok(true) => {}
        Ok(false) => {
            info!("stopping");
            return daemon.stop().await;
        }
        Err(failure) => {
            if let Err(other) = daemon.stop().await {
                let error = format!("{:#}", other.error());
                warn!(error, "the daemon did not stop in good order");
            }
            return Err(failure);
        }
    }
    let addresses = daemon.addresses();
    info!(
        role = role.as_str(),
        http = addresses.http.map(tracing::field::display),
        ingest_http = addresses.ingest_http.map(tracing::field::display),
        admin = addresses.admin.map(tracing::field::display),
        pg = addresses.pg.map(tracing::field::display),
        flight = addresses.flight.map(tracing::field::display),
        "meetnet is running"
    );
    let failed = loop {
        let cause = tokio::select! {
            () = signal.stopped() => break false,
            () = daemon.failed() => break true,
            cause = watch.changed() => cause,
        };
        // A further change waits until this one is done; a stop does not.
        tokio::select! {
            () = daemon.reload(cause, environment, &mut watch) => {}
            () = signal.stopped() => break false,
        }
    };
    info!("stopping");
    daemon.stop().await?;
    if failed {
        return Err(stopped_by_itself());
    }
    Ok(())
}

fn stopped_by_itself() -> Failure {
    Failure::Work(anyhow!("the daemon stopped by itself; the log says why"))
}

/// Refuses to serve where nothing listens.
fn check_serves(role: Role, config: &Config) -> Result<(), Failure> {
    let serves = config.http.is_some() || config.pg.is_some() || config.flight.is_some();
    if role == Role::Serve && !serves {
        return Err(Failure::Usage(anyhow!(
            "there is nothing to serve: add [http] listen, [pg] listen or [flight] listen to {}",
            config.file.display()
        )));
    }
    Ok(())
}

/// Returns what is ready before anything has been opened.
fn readiness(role: Role, config: &Config, awaits_history: bool) -> Readiness {
    let brokers = if role.writes() {
        sources::brokers(config)
    } else {
        Vec::new()
    };
    let readiness = Readiness::new(brokers);
    if !awaits_history {
        readiness.history_loaded();
    }
    readiness
}

/// Starts to compare files with their hashes.
fn scrub(config: &Config, snapshot: &SharedSnapshot) -> Result<Scrub, Failure> {
    let options = ScrubOptions {
        every: config.lake.scrub_every,
        ..ScrubOptions::default()
    };
    Scrub::start(Arc::clone(snapshot), options)
        .context("failed to start a thread")
        .map_err(Failure::Work)
}

fn query_service(
    role: Role,
    config: &Config,
    snapshot: &SharedSnapshot,
    declarations: &SharedDeclarations,
) -> Result<QueryService, Failure> {
    let audit = config.audit.as_ref().map(AuditLog::start).transpose();
    let audit = audit
        .context("failed to start the audit log")
        .map_err(Failure::Usage)?;
    let options = QueryOptions {
        audit: audit.map(|log| Arc::new(log) as Arc<dyn Audit>),
        declarations: Some(Arc::clone(declarations)),
        // Beside a write side, what is asked waits for what arrives.
        on_thread_start: role.writes().then_some(priority::lower as fn()),
        ..config.query.clone()
    };
    QueryService::new(options, Arc::clone(snapshot))
        .context("failed to start the query service")
        .map_err(Failure::Work)
}

/// Runs blocking work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a thread ended abnormally")
        .map_err(Failure::Work)
}

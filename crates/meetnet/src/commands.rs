//! Commands on what is stored: the daemon that holds the folder carries them out, or the command itself where none runs.
//!
//! ```text
//! meetnet compact ─▶ Request ─┬─ a daemon answers on the admin socket ─▶ execute, in the daemon
//!                             └─ nobody does ─▶ lock, journal, pipeline ─▶ execute, here ─▶ commit, trim, stop
//! ```
//!
//! Both ways lead to one [`execute`] over journal and pipeline, so a command cannot do anything else while a daemon
//! runs. A new command is a variant of [`Request`] and an arm of [`execute`]. One is carried out at a time, but for
//! backfills. While a daemon replays its journal, requests wait, and are told how far it is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use anyhow::anyhow;
use arc_swap::ArcSwap;
use meetnet_ingest::pipeline::{PipelineCommands, ReplayWatch};
use meetnet_ingest::poll::{Backfills, Window};
use meetnet_lake::journal::{Journal, JournalError};
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::LakeStorage;
use meetnet_model::ids::{DatasetId, SourceId};
use meetnet_model::privacy::PrivacyKey;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::{QUIET, print};
use crate::config::{Config, Environment, SharedConfig};
use crate::daemon::{Opened, StopSignal};
use crate::failure::Failure;
use crate::telemetry;

mod backfill;
mod backup;
mod client;
mod erase;
mod import;
mod quality;
pub(crate) mod rejects;
mod socket;
#[cfg(test)]
mod tests;
mod upkeep;
mod wire;

pub(crate) use backup::restore;
pub(crate) use erase::Named;
pub(crate) use import::Importing;
pub(crate) use quality::Rerunning;
pub(crate) use socket::AdminSocket;

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Merge the files of each partition of a dataset, or of all.
    Compact {
        /// None: all.
        dataset: Option<DatasetId>,
    },
    /// Remove files that nothing needs any more.
    Vacuum,
    /// Copy lake and journal.
    Backup {
        /// Where to: absolute, for the daemon has a folder of its own to be in.
        dir: PathBuf,
        /// Whether the raw archive is copied too.
        with_archive: bool,
    },
    /// Take broken files out of the tables.
    Repair {
        /// Whether contents are not read: only length and footer tell.
        quick: bool,
    },
    /// Take sensors and segments out of every file.
    Erase(Named),
    /// Bring files into the tables.
    Import(Importing),
    /// Flag stored rows again.
    Quality(Rerunning),
    /// List what could not become a row.
    Rejects(rejects::Listing),
    /// Decode messages again by the declarations now in force.
    Replay(rejects::Replaying),
    /// Close rejects without rows.
    DropRejects(rejects::Selection),
    /// Ask a polled API for its past.
    Backfill {
        /// Which source.
        source: SourceId,
        /// From when, µs since 1970 UTC.
        from: i64,
        /// Until when, µs since 1970 UTC; itself not.
        to: i64,
    },
    /// Take back what a polled API is asked for of its past.
    CancelBackfills {
        /// Which source.
        source: SourceId,
    },
}

impl Request {
    /// Name of the command.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Compact { .. } => "compact",
            Self::Vacuum => "vacuum",
            Self::Backup { .. } => "backup",
            Self::Repair { .. } => "repair",
            Self::Erase(_) => "erase",
            Self::Import(_) => "import",
            Self::Quality(rerunning) if rerunning.only_changed => "quality settle",
            Self::Quality(_) => "quality rerun",
            Self::Rejects(_) => "rejects list",
            Self::Replay(_) => "rejects replay",
            Self::DropRejects(_) => "rejects drop",
            Self::Backfill { .. } => "backfill",
            Self::CancelBackfills { .. } => "backfill --cancel",
        }
    }

    /// Whether its report says what was done, in some lines, so that it belongs into the log. A list is for who asked:
    /// it has any number of lines, with excerpts of messages that an erasure would not find in a log.
    fn is_logged_whole(&self) -> bool {
        !matches!(self, Self::Rejects(_))
    }

    /// Whether it changes or copies what is stored, and so must be alone. A backfill only takes messages in, as a daemon
    /// does all the time, and can take days; a list only reads.
    fn takes_turn(&self) -> bool {
        !matches!(
            self,
            Self::Backfill { .. } | Self::CancelBackfills { .. } | Self::Rejects(_)
        )
    }
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// For the person who asked.
    pub(crate) report: String,
    /// What that person should know beside the report, which may go to a file for a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remark: Option<String>,
    /// Why it has failed all the same (exit code 1): everything was carried out, and nothing came of it, or not all that was
    /// asked for. A script must not take that for success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) in_vain: Option<String>,
}

impl Outcome {
    /// Takes a report that says it all.
    fn of(report: String) -> Self {
        Self {
            report,
            remark: None,
            in_vain: None,
        }
    }

    /// Prints the report to stdout, and the remark to stderr.
    ///
    /// # Errors
    /// Where nothing came of it.
    fn print(&self) -> Result<(), Failure> {
        print(self.report.trim_end())?;
        if let Some(remark) = &self.remark {
            eprintln!("{remark}");
        }
        match &self.in_vain {
            Some(why) => Err(Failure::Work(anyhow!(why.clone()))),
            None => Ok(()),
        }
    }
}

/// What commands work with; clones share one turn.
#[derive(Clone)]
pub(crate) struct Context {
    /// As it is when a command begins; see [`Context::config`].
    config: SharedConfig,
    pub(crate) storage: Arc<dyn LakeStorage>,
    pub(crate) journal: Journal,
    pub(crate) pipeline: PipelineCommands,
    pub(crate) shared: SharedSnapshot,
    /// Makes pseudonyms of hardware ids.
    pub(crate) key: PrivacyKey,
    pub(crate) backfills: Backfills,
    /// Held by the command that is carried out: a backup must not see a vacuum remove what it copies.
    turn: Arc<Mutex<()>>,
}

impl Context {
    pub(crate) fn new(config: SharedConfig, opened: &Opened) -> Self {
        Self {
            config,
            storage: Arc::clone(&opened.storage),
            journal: opened.journal.clone(),
            pipeline: opened.pipeline.commands(),
            shared: opened.pipeline.shared(),
            key: opened.parts.key.clone(),
            backfills: opened.parts.backfills.clone(),
            turn: Arc::default(),
        }
    }

    /// Returns the configuration now in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }
}

/// The [`Context`] of a daemon, which has none before its journal is replayed.
#[derive(Clone)]
pub(crate) struct AwaitedContext {
    context: watch::Receiver<Option<Context>>,
    replay: ReplayWatch,
}

impl AwaitedContext {
    /// Returns it, and what makes it known; until then it says how far `replay` has come.
    pub(crate) fn new(replay: ReplayWatch) -> (watch::Sender<Option<Context>>, Self) {
        let (known, context) = watch::channel(None);
        (known, Self { context, replay })
    }

    /// Waits until it is there; None where the daemon ends before.
    async fn wait(&mut self) -> Option<Context> {
        let known = self.context.wait_for(Option::is_some).await.ok()?;
        known.as_ref().cloned()
    }

    /// Says what is waited for.
    fn progress(&self) -> String {
        match self.replay.progress() {
            Some(replay) => format!(
                "waiting until the journal is replayed: {} of {} frames",
                replay.frames, replay.frames_total
            ),
            None => "waiting until the journal is read".to_owned(),
        }
    }
}

/// Told how a command gets on, one line at a time.
pub(crate) type Progress<'a> = dyn FnMut(String) + 'a;

/// Carries a request out; blocking, for as long as it takes.
///
/// # Errors
/// `Usage` where what was asked for does not exist or cannot be, `Work` where it failed.
pub(crate) fn execute(
    request: &Request,
    context: &Context,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let _turn = request.takes_turn().then(|| match context.turn.try_lock() {
        Ok(turn) => turn,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            progress("waiting until another command is done".to_owned());
            context.turn.lock().unwrap_or_else(PoisonError::into_inner)
        }
    });
    match request {
        Request::Compact { dataset } => upkeep::compact(context, dataset.as_ref(), progress),
        Request::Vacuum => upkeep::vacuum(context, progress),
        Request::Backup { dir, with_archive } => {
            backup::write(context, dir, *with_archive, progress)
        }
        Request::Repair { quick } => upkeep::repair(context, *quick, progress),
        Request::Erase(named) => erase::erase(context, named, progress),
        Request::Import(importing) => import::import(context, importing, progress),
        Request::Quality(rerunning) => quality::rerun(context, rerunning, progress),
        Request::Rejects(listing) => rejects::list(context, listing),
        Request::Replay(replaying) => rejects::replay_chosen(context, replaying, progress),
        Request::DropRejects(selection) => rejects::drop_chosen(context, selection, progress),
        Request::Backfill { source, from, to } => {
            let (from, to) = (*from, *to);
            backfill::run(context, source, Window { from, to }, progress)
        }
        Request::CancelBackfills { source } => backfill::cancel(context, source),
    }
}

/// Has a request carried out by whoever can, and prints what it did.
///
/// # Errors
/// As [`execute`], and where neither a daemon answers nor the folder can be opened.
pub(crate) async fn run(
    request: Request,
    file: &Path,
    environment: &Environment,
) -> Result<(), Failure> {
    let config = Config::load(file, environment).map_err(Failure::usage)?;
    let signal = StopSignal::listen().map_err(Failure::Work)?;
    let outcome = match client::connect(&config.socket).await? {
        Some(daemon) => client::ask(daemon, &request, &signal).await?,
        None => alone(request, &config, environment, &signal).await?,
    };
    client::end_bar();
    outcome.print()
}

/// Has a request carried out by the daemon; None where none answers.
///
/// # Errors
/// As [`execute`].
pub(crate) async fn ask_daemon(
    request: &Request,
    config: &Config,
) -> Result<Option<Outcome>, Failure> {
    let signal = StopSignal::listen().map_err(Failure::Work)?;
    match client::connect(&config.socket).await? {
        Some(daemon) => client::ask(daemon, request, &signal).await.map(Some),
        None => Ok(None),
    }
}

/// Opens the folder as a daemon would, without sources, and carries the request out here.
async fn alone(
    request: Request,
    config: &Config,
    environment: &Environment,
    signal: &StopSignal,
) -> Result<Outcome, Failure> {
    let secrets = config.secrets(environment).map_err(Failure::usage)?;
    telemetry::start_logging(&config.log, environment, "warn", &QUIET).map_err(Failure::Usage)?;
    let opened = Opened::open(config, &secrets)
        .await
        .map_err(|failure| explain_lock(failure, &config.socket))?;
    let shared = Arc::new(ArcSwap::from_pointee(config.clone()));
    let context = Context::new(shared, &opened);
    let name = request.name();
    let stop = CancellationToken::new();
    let poller = match &request {
        Request::Backfill { source, .. } | Request::CancelBackfills { source } => {
            opened.poll_for_backfill(config, &secrets, source, &stop)?
        }
        _ => None,
    };
    let work = tokio::task::spawn_blocking(move || execute(&request, &context, &mut client::show));
    let outcome = tokio::select! {
        ended = work => ended.unwrap_or_else(|error| Err(Failure::work(error))),
        () = signal.stopped() => Err(Failure::Work(anyhow!(
            "`{name}` was interrupted; what it has finished stays, and it can be asked for again"
        ))),
    };
    stop.cancel();
    if let Some(poller) = poller {
        poller.join().await;
    }
    // Also after a failure: what was replayed is committed, and the folder is free again.
    let stopped = opened.stop().await;
    let outcome = outcome?;
    stopped.map(|()| outcome)
}

/// Says more where another process holds the folder although nobody answered.
pub(crate) fn explain_lock(failure: Failure, socket: &Path) -> Failure {
    let is_locked = matches!(
        failure.error().downcast_ref::<JournalError>(),
        Some(JournalError::Locked { .. })
    );
    match failure {
        Failure::Usage(error) if is_locked => Failure::Usage(error.context(format!(
            "nobody answers on the admin socket {} (a daemon that is still starting does not yet)",
            socket.display()
        ))),
        failure => failure,
    }
}

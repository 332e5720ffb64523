//! The pipeline: from the durable journal to hot rows and commits.
//!
//! `journal -> [decode -> quality -> apply -> publish] -> lake`, and back: checkpoint, trim.
//!
//! One thread; while it replays, others decode ahead of it (`ahead`). It reads the journal whether the frames are a second or a
//! restart old, so live operation and recovery are one path and the tables are a function of the journal. Readers see both as
//! they go: a restart shows what is committed, then more and more of what is not. Where hot rows are full it stops reading; the
//! journal fills, and at its limit the sources withhold their acknowledgements.

mod ahead;
mod bare;
mod checkpoint;
mod confirmed;
mod erase;
mod group;
mod idle;
mod import;
mod imported;
mod newest;
mod replaying;
mod run;
mod uncommitted;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use meetnet_decode::DecodeSetupError;
use meetnet_lake::check::Depth;
use meetnet_lake::journal::{AppendError, Journal, JournalError, Recovery};
use meetnet_lake::lake::{Compacted, DeclaredTables, Lake, LakeOptions, UpkeepRequest, Vacuumed};
use meetnet_lake::repair::Repaired;
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::{Applied, LakeError, Lineage, NewFlags, Reflagged, Standing};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId, Sequence, SourceId};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::rows::DatasetRows;
use tokio::sync::watch;

pub(crate) use self::confirmed::{ByKey, ConfirmedRows, MessageComparer, MetRow};
pub use self::erase::{EraseReport, EraseRequest};
pub use self::group::{RejectCounts, RejectTally};
pub(crate) use self::imported::ImportedPiece;
pub use self::newest::NewestTimes;
pub use self::replaying::{ReplayProgress, ReplayWatch};
use self::run::FULL_PAUSE;
pub use self::run::{Runner, Step};
use crate::dup_window::DupWindows;
use crate::outcomes::OutcomeRegistry;

#[cfg(test)]
mod tests;

/// Threads that decode ahead in a replay, where there are processors: applying in order does not keep up with more.
const REPLAY_THREADS_MAX: usize = 3;

/// What the pipeline works with.
pub struct PipelineOptions {
    /// Whose the tables are, and when they commit.
    pub lake: LakeOptions,
    /// Its own limits.
    pub limits: PipelineLimits,
    /// Sees how far the replay of a start has come, and can end it.
    pub replay: ReplayWatch,
}

/// How much the pipeline takes at once, and how often it looks around.
#[derive(Clone, Copy, Debug)]
pub struct PipelineLimits {
    /// Bytes of frames that are decoded and made visible together, at most.
    pub group_bytes_max: usize,
    /// After this long without a frame a tick frame moves the stable time on.
    pub idle_tick: Duration,
    /// Shortest time between two checkpoints.
    pub checkpoint_pause: Duration,
    /// What quality tests remember is written by the pipeline itself up to so many bytes; beyond, beside it.
    pub history_inline_bytes_max: usize,
    /// Threads that decode beside the pipeline's own while it replays the journal, at most. Each adds two groups, and what is
    /// decoded of them, to what is in memory; of large messages fewer wait.
    pub replay_threads_max: usize,
}

impl PipelineOptions {
    /// Returns the defaults for a lake.
    pub fn new(lake: LakeOptions) -> Self {
        Self {
            lake,
            limits: PipelineLimits::default(),
            replay: ReplayWatch::default(),
        }
    }
}

impl Default for PipelineLimits {
    fn default() -> Self {
        Self {
            group_bytes_max: 1 << 20,
            idle_tick: Duration::from_secs(1),
            checkpoint_pause: Duration::from_secs(5),
            history_inline_bytes_max: 1 << 20,
            replay_threads_max: other_processors().min(REPLAY_THREADS_MAX),
        }
    }
}

/// Processors beside the one that the pipeline has.
fn other_processors() -> usize {
    std::thread::available_parallelism().map_or(0, |processors| processors.get() - 1)
}

/// Why the pipeline cannot start, or had to stop. After a stop only a restart helps: it rebuilds from journal and lake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The journal cannot be read or written.
    #[error("journal")]
    Journal(#[from] JournalError),
    /// The tables cannot be read or written.
    #[error("lake")]
    Lake(#[from] LakeError),
    /// The decoders of a declarations frame cannot be built.
    #[error("the declarations at sequence {sequence} cannot be decoded by")]
    Setup {
        /// The frame.
        sequence: Sequence,
        /// What is wrong with them.
        #[source]
        source: DecodeSetupError,
    },
    /// A declarations frame is not readable.
    #[error("the declarations at sequence {sequence} are not readable")]
    Declarations {
        /// The frame.
        sequence: Sequence,
        /// What is wrong with them.
        #[source]
        source: serde_json::Error,
    },
    /// An erase frame is not readable.
    #[error("the request to erase at sequence {sequence} is not readable; run a newer version")]
    EraseRequest {
        /// The frame.
        sequence: Sequence,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// An erase frame was made with another privacy secret: by this one, what is to go has another name.
    #[error(
        "the request to erase at sequence {sequence} was made with another privacy secret: start with that one until it is \
         done"
    )]
    EraseSecret {
        /// The frame.
        sequence: Sequence,
    },
    /// An erasure was not completed. What is behind it is not applied before it is.
    #[error(
        "the erasure asked for at sequence {sequence} is not complete, and is tried again until it is"
    )]
    Erase {
        /// The frame.
        sequence: Sequence,
        /// What it failed at.
        #[source]
        source: Box<PipelineError>,
    },
    /// A request names a source that is not declared.
    #[error("source `{source_id}` is not declared")]
    UnknownSource {
        /// The source.
        source_id: SourceId,
    },
    /// The journal takes nothing more for now.
    #[error("failed to journal the request")]
    NotTaken(#[from] AppendError),
    /// Somebody has ended the replay: see [`ReplayWatch::stop`].
    #[error("the replay of the journal was ended before it was done")]
    Interrupted,
    /// The thread is gone.
    #[error("the pipeline has stopped")]
    Stopped,
}

/// One chunk of an import.
pub struct ImportChunk {
    /// Identifies the import: the same content under the same id changes nothing the second time.
    pub import_id: String,
    /// Rows of the import consumed after this chunk.
    pub consumed: u64,
    /// The rows; their envelope positions are not used.
    pub rows: DatasetRows,
    /// Source of the rows.
    pub source: SourceId,
    /// Its licence.
    pub licence: LicenceId,
    /// Per row: when it was received (µs), or nothing where its own time stands for that.
    pub received_at: Option<Vec<i64>>,
}

enum Command {
    Import(Box<ImportChunk>, Sender<Result<Applied, LakeError>>),
    Derived(Box<ImportChunk>, u64, Sender<Result<Applied, LakeError>>),
    Erasures(Sender<u64>),
    ImportPosition(DatasetId, String, Sender<Option<u64>>),
    Standing(
        Vec<DatasetRows>,
        Arc<[Lineage]>,
        Sender<Result<Vec<Vec<Standing>>, LakeError>>,
    ),
    Repairs(DatasetId, Sender<u64>),
    Reflag(Box<NewFlags>, Sender<Result<Reflagged, LakeError>>),
    CommitAll(Sender<Result<(), LakeError>>),
    TakeReplayed(Sender<ReplayedRows>),
    Upkeep(UpkeepRequest, Sender<Result<UpkeepReport, LakeError>>),
    Repair(Depth, Sender<Repaired>),
    Erase(EraseRequest, Sender<Result<EraseReport, PipelineError>>),
    Prepare(Arc<Declarations>, Sender<Result<(), LakeError>>),
    Retain(BTreeMap<DatasetId, Duration>),
    Shutdown,
}

/// What became of the rows of messages that were replayed; what became of their rejects, the table of those says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayedRows {
    /// By dataset.
    pub applied: BTreeMap<DatasetId, Applied>,
    /// Datasets some of whose rows wait for a file that cannot be read, and are not counted.
    pub waiting: BTreeSet<DatasetId>,
}

impl ReplayedRows {
    fn note(&mut self, dataset: &DatasetId, applied: Applied, waits: bool) {
        *self.applied.entry(dataset.clone()).or_default() += applied;
        if waits {
            self.waiting.insert(dataset.clone());
        }
    }
}

/// What has been done for a request to look after the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpkeepReport {
    /// Merged files.
    pub compacted: Compacted,
    /// Removed files.
    pub vacuumed: Vacuumed,
}

/// The running pipeline.
pub struct Pipeline {
    commands: Sender<Command>,
    thread: JoinHandle<Result<(), PipelineError>>,
    shared: SharedSnapshot,
    rejects: RejectCounts,
    newest: NewestTimes,
    stopped: watch::Receiver<bool>,
}

/// What a start found and did, before sources connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replayed {
    /// Frames after the checkpoint.
    pub frames: u64,
    /// What became of their rows.
    pub applied: Applied,
}

impl Pipeline {
    /// Opens the lake, replays the journal after the checkpoint on this thread, then goes on in one of its own. Readers see
    /// meanwhile what is committed, and what has been applied of the rest ([`LakeOptions::shared`]). The declarations of
    /// `tables` are those in force from the end of the recovered journal on.
    ///
    /// # Errors
    /// Where tables, journal or declarations do not allow a start; [`PipelineError::Interrupted`] where
    /// [`ReplayWatch::stop`] asked for it.
    pub fn start(
        options: PipelineOptions,
        journal: Journal,
        recovery: &Recovery,
        tables: DeclaredTables,
        key: PrivacyKey,
        outcomes: OutcomeRegistry,
        dup_windows: DupWindows,
    ) -> Result<(Self, Replayed), PipelineError> {
        let watch = options.replay.clone();
        if watch.is_stopped() {
            return Err(PipelineError::Interrupted);
        }
        let mut runner = Runner::open(
            options,
            journal,
            recovery,
            tables,
            key,
            outcomes,
            dup_windows,
        )?;
        let (shared, rejects) = (runner.lake().shared(), runner.rejects());
        let newest = runner.newest();
        watch.begin(runner.reader.position(), recovery.last_sequence);
        let between = |lake: &mut Lake, step: Step| {
            watch.reach(lake.through());
            if watch.is_stopped() {
                return Err(PipelineError::Interrupted);
            }
            if step == Step::Full {
                std::thread::sleep(FULL_PAUSE);
            }
            Ok(())
        };
        let replayed = runner.replay(recovery, between)?;
        let (commands, inbox) = bounded(16);
        let (announce, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("pipeline".to_owned())
            .spawn(move || {
                let result = runner.run(&inbox);
                announce.send_replace(true);
                result
            })
            .map_err(|error| {
                LakeError::Usage(format!("failed to start the pipeline thread: {error}"))
            })?;
        Ok((
            Self {
                commands,
                thread,
                shared,
                rejects,
                newest,
                stopped,
            },
            replayed,
        ))
    }

    /// What readers load.
    pub fn shared(&self) -> SharedSnapshot {
        Arc::clone(&self.shared)
    }

    /// Rejects counted since the start, by source and reason.
    pub fn rejects(&self) -> RejectCounts {
        self.rejects.clone()
    }

    /// Returns how far each source has come.
    pub fn newest(&self) -> NewestTimes {
        self.newest.clone()
    }

    /// Turns true when the pipeline has stopped, whether it was asked to or failed.
    pub fn watch_stopped(&self) -> watch::Receiver<bool> {
        self.stopped.clone()
    }

    /// Returns a handle for commands that can be used from other threads.
    pub fn commands(&self) -> PipelineCommands {
        PipelineCommands {
            commands: self.commands.clone(),
        }
    }

    /// Applies what the journal holds, commits everything, trims, and ends. Sources must have stopped.
    ///
    /// # Errors
    /// Why the pipeline stopped, if not because of this call.
    pub fn shutdown(self) -> Result<(), PipelineError> {
        // Where the thread is gone already, its result says why.
        let _ = self.commands.send(Command::Shutdown);
        self.thread.join().map_err(|_| PipelineError::Stopped)?
    }
}

/// Commands to a running pipeline; blocking.
#[derive(Clone)]
pub struct PipelineCommands {
    commands: Sender<Command>,
}

impl PipelineCommands {
    /// Takes one chunk of an import past the journal.
    ///
    /// # Errors
    /// Where the tables cannot take it, or the pipeline has stopped.
    pub fn import(&self, chunk: ImportChunk) -> Result<Applied, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Import(Box::new(chunk), reply), &answer)?
            .map_err(PipelineError::Lake)
    }

    /// Takes one chunk of rows that were made of others: see [`Runner::derived`].
    ///
    /// # Errors
    /// As [`PipelineCommands::import`], and where more has been erased than `erasures`.
    pub fn derived(&self, chunk: ImportChunk, erasures: u64) -> Result<Applied, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Derived(Box::new(chunk), erasures, reply), &answer)?
            .map_err(PipelineError::Lake)
    }

    /// Returns how many erasures have been carried out since the start.
    ///
    /// # Errors
    /// Where the pipeline has stopped.
    pub fn erasures(&self) -> Result<u64, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Erasures(reply), &answer)
    }

    /// How often a repair has taken files out of a dataset: see [`Lake::repairs_of`](meetnet_lake::lake::Lake::repairs_of).
    ///
    /// # Errors
    /// Where the pipeline has stopped.
    pub fn repairs(&self, dataset: &DatasetId) -> Result<u64, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Repairs(dataset.clone(), reply), &answer)
    }

    /// How far an import has come: rows consumed; None where it never began.
    ///
    /// # Errors
    /// Where the pipeline has stopped.
    pub fn import_position(
        &self,
        dataset: &DatasetId,
        import_id: &str,
    ) -> Result<Option<u64>, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(
            Command::ImportPosition(dataset.clone(), import_id.to_owned(), reply),
            &answer,
        )
    }

    /// Returns where decoded rows stand to what is stored, by dataset and row, behind everything that is durable now: see
    /// [`Lake::standing`].
    ///
    /// # Errors
    /// Where a table cannot tell, or the pipeline has stopped.
    pub(crate) fn standing(
        &self,
        rows: Vec<DatasetRows>,
        lineage: Arc<[Lineage]>,
    ) -> Result<Vec<Vec<Standing>>, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Standing(rows, lineage, reply), &answer)?
            .map_err(PipelineError::Lake)
    }

    /// Gives stored rows new flags, as new versions, and waits until they are committed.
    ///
    /// # Errors
    /// As [`PipelineCommands::import`].
    pub fn reflag(&self, flags: NewFlags) -> Result<Reflagged, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Reflag(Box::new(flags), reply), &answer)?
            .map_err(PipelineError::Lake)
    }

    /// Commits everything applied so far and waits for it.
    ///
    /// # Errors
    /// Where a commit failed, or the pipeline has stopped.
    pub fn commit_all(&self) -> Result<(), PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::CommitAll(reply), &answer)?
            .map_err(PipelineError::Lake)
    }

    /// Returns what became of the rows of messages that were replayed since this was asked last, or the start, as far as
    /// their frames have been applied: [`PipelineCommands::commit_all`] applies all of them.
    ///
    /// # Errors
    /// Where the pipeline has stopped.
    pub fn take_replayed(&self) -> Result<ReplayedRows, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::TakeReplayed(reply), &answer)
    }

    /// Merges files, or removes those that nothing needs, and waits for it; messages are taken in meanwhile.
    ///
    /// # Errors
    /// Where the request names a dataset that there is not, or the pipeline has stopped.
    pub fn tend(&self, request: UpkeepRequest) -> Result<UpkeepReport, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Upkeep(request, reply), &answer)?
            .map_err(PipelineError::Lake)
    }

    /// Takes broken files out of the tables and waits for it; messages are taken in meanwhile. What raw messages there
    /// are for their rows is not looked up: [`Repaired::find_raw`] does, on the caller's thread.
    ///
    /// # Errors
    /// Where the pipeline has stopped.
    pub fn repair(&self, depth: Depth) -> Result<Repaired, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Repair(depth, reply), &answer)
    }

    /// Erases sensors and segments from every file, and waits for it; messages are journalled meanwhile, and applied
    /// afterwards. What of them arrives later is stored.
    ///
    /// # Errors
    /// Where the request is not journalled, or an attempt failed ([`PipelineError::Erase`]: it is tried again by itself),
    /// or the pipeline has stopped (after a restart it goes on with a request that has been journalled).
    pub fn erase(&self, request: EraseRequest) -> Result<EraseReport, PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Erase(request, reply), &answer)?
    }

    /// Makes the tables ready for declarations whose frame comes next, and waits for it: see [`Lake::prepare`].
    ///
    /// # Errors
    /// Where a table does not allow them or is not to be had now, so that the frame must not come; or the pipeline has
    /// stopped.
    pub fn prepare(&self, declarations: Arc<Declarations>) -> Result<(), PipelineError> {
        let (reply, answer) = bounded(1);
        self.ask(Command::Prepare(declarations, reply), &answer)?
            .map_err(PipelineError::Lake)
    }

    /// Takes another retention of datasets.
    ///
    /// # Errors
    /// Where the pipeline has stopped.
    pub fn retain(&self, retention: BTreeMap<DatasetId, Duration>) -> Result<(), PipelineError> {
        let sent = self.commands.send(Command::Retain(retention));
        sent.map_err(|_| PipelineError::Stopped)
    }

    fn ask<T>(&self, command: Command, answer: &Receiver<T>) -> Result<T, PipelineError> {
        self.commands
            .send(command)
            .map_err(|_| PipelineError::Stopped)?;
        answer.recv().map_err(|_| PipelineError::Stopped)
    }
}

/// Set by the journal's writer, so that the pipeline wakes when frames are durable.
#[derive(Clone, Debug)]
struct Wake {
    is_set: Arc<AtomicBool>,
    bell: Sender<()>,
}

impl Wake {
    fn new() -> (Self, Receiver<()>) {
        let (bell, heard) = bounded(1);
        (
            Self {
                is_set: Arc::default(),
                bell,
            },
            heard,
        )
    }

    fn ring(&self) {
        if !self.is_set.swap(true, Ordering::AcqRel) {
            // Full means it rings already.
            let _ = self.bell.try_send(());
        }
    }

    fn clear(&self) {
        self.is_set.store(false, Ordering::Release);
    }
}

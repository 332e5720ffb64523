//! Deriving datasets while the daemon runs: a thread that looks at the inputs after their commits, and hands the rows to the
//! pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use meetnet_derive::{DerivedChunk, DerivedTables, Deriver};
use meetnet_ingest::pipeline::{ImportChunk, PipelineCommands, PipelineError};
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::LakeStorage;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, SourceId};
use tracing::{info, warn};

use crate::allocator::give_back;

/// How often it looks whether an input has been committed.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after a round, which is as long as the round was: deriving takes half a core at most.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The thread that derives.
pub(super) struct Deriving {
    /// Dropped to stop the thread.
    stop: Sender<()>,
    /// Set to stop a pass that is under way.
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Deriving {
    /// Starts it.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn start(
        storage: Arc<dyn LakeStorage>,
        shared: SharedSnapshot,
        commands: PipelineCommands,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = channel();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let work = Work {
            deriver: Deriver::new(storage),
            shared,
            tables: Tables(commands),
            seen: BTreeMap::new(),
            is_failing: false,
            has_worked: false,
            is_stopping: Arc::clone(&is_stopping),
        };
        let thread = std::thread::Builder::new()
            .name("derive".to_owned())
            .spawn(move || work.run(&stopped))
            .context("failed to start a thread")?;
        Ok(Self {
            stop,
            is_stopping,
            thread,
        })
    }

    /// Stops it, before the pipeline stops: a chunk that is on its way is still taken.
    pub(super) async fn stop(self) {
        let Self {
            stop,
            is_stopping,
            thread,
        } = self;
        is_stopping.store(true, Ordering::Relaxed);
        drop(stop);
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            warn!("the thread that derives ended abnormally");
        }
    }
}

/// What the thread has.
struct Work {
    deriver: Deriver,
    shared: SharedSnapshot,
    tables: Tables,
    /// Versions of the tables that were looked at last.
    seen: BTreeMap<DatasetId, u64>,
    is_failing: bool,
    /// There was a round since memory was given back.
    has_worked: bool,
    is_stopping: Arc<AtomicBool>,
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut pause = LOOK_PAUSE;
        while matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
            pause = LOOK_PAUSE;
            let Look {
                derived,
                versions,
                now,
            } = look(&self.shared);
            if derived.is_empty() {
                continue;
            }
            let is_ready = self.deriver.ready_at().is_some_and(|at| at <= now);
            if versions == self.seen && !is_ready {
                // What a round has freed is kept by this thread: nobody else can.
                if std::mem::take(&mut self.has_worked) {
                    give_back();
                }
                continue;
            }
            let began = Instant::now();
            self.has_worked = true;
            if self.round(&derived, now) {
                self.seen = versions;
            }
            pause = pause_after(began.elapsed());
        }
    }

    /// Derives what has changed; false where it has to be tried again.
    fn round(&mut self, derived: &[Arc<DatasetDeclaration>], now: i64) -> bool {
        let round = self
            .deriver
            .round(derived, &self.tables, now, &self.is_stopping);
        metrics::gauge!("meetnet_derive_waiting").set(self.deriver.waiting() as f64);
        let (rows, failed) = match round {
            Ok(round) => (round.rows, round.failed),
            Err(error) => (BTreeMap::new(), vec![error]),
        };
        for (dataset, rows) in rows {
            info!(%dataset, rows, "derived");
        }
        // One line per episode.
        if !self.is_failing {
            for error in &failed {
                let error: &dyn std::error::Error = error;
                warn!(error, "a dataset could not be derived: trying again");
            }
        } else if failed.is_empty() {
            info!("datasets are derived again");
        }
        self.is_failing = !failed.is_empty();
        metrics::gauge!("meetnet_derive_failing").set(if self.is_failing { 1.0 } else { 0.0 });
        !self.is_failing
    }
}

/// What a round goes by.
struct Look {
    derived: Vec<Arc<DatasetDeclaration>>,
    /// Versions of all tables, derived ones among them: others are made of those. A round that finds nothing commits nothing.
    versions: BTreeMap<DatasetId, u64>,
    /// The clock that rows are recorded by: it goes on where nothing is committed, too.
    now: i64,
}

/// Looks at the tables. Nothing of what it returns holds the snapshot: a round takes as long as it takes, and hot rows that are
/// committed meanwhile would stay in memory until its end, which no limit counts.
fn look(shared: &SharedSnapshot) -> Look {
    let snapshot = shared.load_full();
    let tables = || snapshot.tables.values();
    let declarations = tables().map(|table| &table.declaration);
    let derived = declarations.filter(|declaration| declaration.is_made());
    let versions = snapshot.tables.iter();
    let versions = versions.map(|(id, table)| (id.clone(), table.version));
    Look {
        derived: derived.cloned().collect(),
        versions: versions.collect(),
        now: tables().map(|table| table.stable_time).max().unwrap_or(0),
    }
}

/// Returns how long to wait after a round that took `length`.
fn pause_after(length: Duration) -> Duration {
    length.clamp(LOOK_PAUSE, PAUSE_MAX)
}

/// The tables, as the pipeline changes them.
struct Tables(PipelineCommands);

impl DerivedTables for Tables {
    type Error = PipelineError;

    fn erasures(&self) -> Result<u64, PipelineError> {
        self.0.erasures()
    }

    fn position(
        &self,
        dataset: &DatasetId,
        position_id: &str,
    ) -> Result<Option<u64>, PipelineError> {
        self.0.import_position(dataset, position_id)
    }

    fn take(&self, chunk: DerivedChunk) -> Result<(), PipelineError> {
        let rows = chunk.rows.batch.num_rows();
        let import = ImportChunk {
            import_id: chunk.position_id,
            consumed: chunk.position,
            rows: chunk.rows,
            // What a row is made of, and up to when. No source can have that name: an erasure looks for the messages of
            // a row by its source and receive time.
            source: SourceId::new(format!("derived:{}", chunk.input)),
            licence: chunk.licence,
            received_at: Some(vec![chunk.through; rows]),
        };
        self.0.derived(import, chunk.erasures).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_does_not_hold_the_snapshot_that_it_goes_by() {
        let shared = SharedSnapshot::default();
        let snapshot = shared.load_full();
        let seen = look(&shared);
        assert_eq!((seen.derived.len(), seen.versions.len()), (0, 0));
        assert_eq!(Arc::strong_count(&snapshot), 2, "the shared one, and this");
    }

    #[test]
    fn derivation_takes_half_a_core_at_most() {
        let check = |length_ms: u64, expect_ms: u64| {
            let pause = pause_after(Duration::from_millis(length_ms));
            assert_eq!(pause, Duration::from_millis(expect_ms), "{length_ms} ms");
        };
        check(0, 1_000);
        check(100, 1_000);
        check(2_000, 2_000);
        check(3_600_000, 60_000);
    }
}

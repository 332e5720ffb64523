//! One schedule: lives of the daemon on one machine, and what each of them finds.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meetnet_ingest::pipeline::{PipelineError, Step};
use meetnet_lake::LakeError;
use meetnet_lake::files::Files;
use meetnet_lake::journal::FrameKind;
use meetnet_lake::lake::LakeLimits;
use meetnet_lake::snapshot::LakeSnapshot;
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_testkit::clock::ManualClock;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};
use meetnet_testkit::objects::StoreFault;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::model::{Event, Fold};
use super::reading::Cache;
use super::scene::{Life, Machine, Place, declarations};

/// 2026-01-31T23:00:00Z: an hour before a month ends, so that rows cross partitions.
pub(super) const START: i64 = 1_769_900_400_000_000;
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
/// 2025-11-01T00:00:00Z: retention drops the month before it some time in the schedule.
const OLD: i64 = 1_761_955_200_000_000;
/// So often a schedule reads the lake's clock at most: one that comes to no end fails, and prints what it has done.
const CLOCK_READINGS_MAX: u64 = 5_000_000;
/// In a replay a reader looks after the first of so many groups of frames,
const SHOWN_EVERY: u32 = 6;
/// and so often at most.
const SHOWN_MAX: usize = 3;
/// How long replaced files stay.
pub(super) const VACUUM_AFTER: Duration = Duration::from_secs(900);

/// What the schedules have done, so that nobody trusts a run that reached nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Did {
    pub(super) versions: usize,
    pub(super) failed_operations: u64,
    pub(super) lives: u64,
    pub(super) merges: u64,
    pub(super) merges_given_up: u64,
    pub(super) vacuumed: u64,
    pub(super) orphans: u64,
    pub(super) log_files: u64,
    pub(super) imports: u64,
    pub(super) failed_imports: u64,
    pub(super) times: u64,
}

impl std::ops::AddAssign for Did {
    fn add_assign(&mut self, other: Self) {
        self.versions += other.versions;
        self.failed_operations += other.failed_operations;
        self.lives += other.lives;
        self.merges += other.merges;
        self.merges_given_up += other.merges_given_up;
        self.vacuumed += other.vacuumed;
        self.orphans += other.orphans;
        self.log_files += other.log_files;
        self.imports += other.imports;
        self.failed_imports += other.failed_imports;
        self.times += other.times;
    }
}

impl Did {
    pub(super) fn reached_everything(&self) -> bool {
        let counts = [
            self.failed_operations,
            self.merges,
            self.merges_given_up,
            self.vacuumed,
            self.orphans,
            self.log_files,
            self.imports,
            self.failed_imports,
            self.times,
        ];
        counts.iter().all(|count| *count > 0)
    }
}

/// What a frame of the journal must hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    pub(super) recorded_at: i64,
    pub(super) payload: Vec<u8>,
    /// What it changes; a tick changes nothing.
    pub(super) event: Option<Event>,
}

impl Frame {
    pub(super) fn tick(recorded_at: i64) -> Self {
        Self {
            kind: FrameKind::Tick,
            recorded_at,
            payload: Vec::new(),
            event: None,
        }
    }
}

/// The events of one import chunk, and the frame they come after.
#[derive(Clone, Debug)]
pub(super) struct Imported {
    pub(super) after: u64,
    pub(super) dataset: DatasetId,
    pub(super) id: String,
    pub(super) consumed: u64,
    pub(super) events: Vec<Event>,
}

pub(super) struct Schedule {
    pub(super) rng: StdRng,
    pub(super) machine: Machine,
    pub(super) precedence: i32,
    /// Frames that were acknowledged, or seen after a restart.
    pub(super) durable: BTreeMap<u64, Frame>,
    /// Frames of this life that nobody was told of.
    pub(super) appended: BTreeMap<u64, Frame>,
    pub(super) imported: Vec<Imported>,
    /// Imports that were reported as failed: only a restart tells, and only once nothing is on its way any more.
    pub(super) failed_imports: Vec<Imported>,
    pub(super) numbered: u64,
    /// The rows up to `folded_through`.
    pub(super) fold: Fold,
    pub(super) folded_through: u64,
    /// What readers have seen, by dataset: `through` and stable time; in this life, and before it.
    pub(super) seen: BTreeMap<DatasetId, (u64, i64)>,
    pub(super) seen_before: BTreeMap<DatasetId, (u64, i64)>,
    /// The same of a separate `serve`; forgotten with the machine's power.
    pub(super) served: BTreeMap<DatasetId, (u64, i64)>,
    pub(super) last_checked: Option<Arc<LakeSnapshot>>,
    /// How long commits may have waited by now, µs of the lake's clock.
    pub(super) waited: i64,
    /// Snapshots that readers hold, and when they were taken, ms.
    pub(super) held: Vec<(i64, Arc<LakeSnapshot>)>,
    pub(super) cache: Cache,
    log: String,
    pub(super) did: Did,
}

impl Schedule {
    pub(super) fn new(seed: u64, place: Place) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let files = FaultyFiles::new();
        files.make_dir("/data".as_ref());
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_micros() as i64;
        let lake_clock = ManualClock::new(now);
        lake_clock.limit_readings(CLOCK_READINGS_MAX);
        let reached = rng.random_range(-20..5) * HOUR;
        let kept = Duration::from_micros((now - OLD - reached) as u64);
        let machine = Machine {
            files,
            place,
            journal_clock: ManualClock::new(START + 3 * HOUR),
            lake_clock,
            retention: BTreeMap::from([(DatasetId::new("heat"), kept)]),
        };
        Self {
            rng,
            machine,
            precedence: 1,
            durable: BTreeMap::new(),
            appended: BTreeMap::new(),
            imported: Vec::new(),
            failed_imports: Vec::new(),
            numbered: 0,
            fold: Fold::default(),
            folded_through: 0,
            seen: BTreeMap::new(),
            seen_before: BTreeMap::new(),
            served: BTreeMap::new(),
            last_checked: None,
            waited: 0,
            held: Vec::new(),
            cache: Cache::new(),
            log: String::new(),
            did: Did::default(),
        }
    }

    pub(super) fn did(&self) -> Did {
        self.did
    }

    /// Everything that was done, a step a line, with the operations of the disk and requests to the store so far.
    pub(super) fn log(&self) -> String {
        self.log.clone()
    }

    pub(super) fn note(&mut self, what: impl std::fmt::Display) {
        let (operations, requests) = self.machine.operations();
        let _ = writeln!(self.log, "{operations:>6} {requests:>6} {what}");
    }

    pub(super) fn run(&mut self) {
        for _ in 0..self.rng.random_range(2..6) {
            self.life();
        }
        self.end();
        self.did.versions = self.fold.count();
    }

    /// One process, until the schedule ends it or a fault does.
    fn life(&mut self) {
        self.plan_faults();
        if let Some(mut life) = self.open() {
            let steps = self.rng.random_range(5..45);
            let mut went_on = true;
            for _ in 0..steps {
                went_on = self.step(&mut life) && !self.machine.is_off();
                if !went_on {
                    break;
                }
            }
            if went_on && self.rng.random_bool(0.3) {
                self.settle(&mut life);
            }
            self.take_leave(&mut life);
            // The machine goes first: what the process does when it is dropped reaches nothing.
            let crash = self.choose_crash();
            self.down(crash);
        } else {
            let crash = self.choose_crash();
            self.down(crash);
        }
    }

    fn plan_faults(&mut self) {
        let (operations, requests) = self.machine.operations();
        let horizon = *[60, 300, 1_200].choose(&mut self.rng).unwrap();
        for _ in 0..self.rng.random_range(0..5) {
            let after = self.rng.random_range(0..horizon);
            let store = match &self.machine.place {
                Place::Store(store) if self.rng.random_bool(0.7) => Some(store.clone()),
                _ => None,
            };
            if let Some(store) = store {
                let late = StoreFault::Late {
                    requests: self.rng.random_range(0..100),
                };
                let faults = [
                    StoreFault::Refused,
                    StoreFault::AnswerLost,
                    late,
                    StoreFault::Off,
                ];
                let fault = *faults.choose(&mut self.rng).unwrap();
                store.fail_at(requests + after, fault);
                self.note(format!(
                    "planned: {fault:?} at request {}",
                    requests + after
                ));
                continue;
            }
            let short = Fault::ShortWrite {
                bytes: self.rng.random_range(0..3_000),
            };
            let faults = [
                short,
                Fault::FailedSync,
                Fault::FailedSync,
                Fault::DiskFull,
                Fault::LateError,
                Fault::PowerLoss,
            ];
            let fault = *faults.choose(&mut self.rng).unwrap();
            self.machine.files.fail_at(operations + after, fault);
            self.note(format!(
                "planned: {fault:?} at operation {}",
                operations + after
            ));
        }
    }

    fn choose_crash(&mut self) -> Crash {
        if self.rng.random_bool(0.5) {
            let seed = self.rng.random();
            Crash::PowerLoss { seed }
        } else {
            Crash::Kill
        }
    }

    /// The process is gone; what the machine keeps decides the crash.
    fn down(&mut self, crash: Crash) {
        self.did.failed_operations += self.machine.failed();
        self.did.lives += 1;
        self.note(format!("{crash:?}"));
        self.machine.restart(crash);
        self.last_checked = None;
        self.seen_before.append(&mut self.seen);
        self.cache.clear();
        self.held.clear();
        if matches!(crash, Crash::PowerLoss { .. }) {
            self.served.clear();
        }
        if self.rng.random_bool(0.3) {
            let by = self.rng.random_range(0..HOUR);
            self.machine.lake_clock.advance(by);
        }
    }

    /// Counts what a life has done before it goes.
    fn take_leave(&mut self, life: &mut Life) {
        self.acknowledge(life);
        let (compacted, vacuumed) = (
            life.runner.lake().compacted(),
            life.runner.lake().vacuumed(),
        );
        self.did.merges += compacted.merges;
        self.did.merges_given_up += compacted.given_up;
        self.did.vacuumed += vacuumed.replaced_files;
        self.did.orphans += vacuumed.orphans;
        self.did.log_files += vacuumed.log_files;
    }

    /// Moves the frames that are durable by now: their senders may have been told.
    pub(super) fn acknowledge(&mut self, life: &Life) {
        let (durable, _) = life.journal.durable();
        let behind = self.appended.split_off(&(durable.0 + 1));
        let acknowledged = std::mem::replace(&mut self.appended, behind);
        self.durable.extend(acknowledged);
    }

    /// Opens journal and lake, learns what survived, and replays it.
    pub(super) fn open(&mut self) -> Option<Life> {
        for _ in 0..8 {
            let step = self.rng.random_range(-100 * SECOND..200 * SECOND);
            self.machine.journal_clock.step(step);
            if self.rng.random_bool(0.2) {
                self.precedence = -self.precedence;
            }
            let limits = LakeLimits {
                commit_age_max: Duration::from_secs(60),
                commit_rows_max: self.rng.random_range(20..200),
                hot_bytes_max: *[64 << 10, 16 << 20].choose(&mut self.rng).unwrap(),
                stable_age_max: Duration::from_secs(300),
                revised_files_max: self.rng.random_range(1..6),
                commit_partitions_max: self.rng.random_range(1..6),
                compaction: self.rng.random_bool(0.7),
                vacuum_after: VACUUM_AFTER,
            };
            self.note(format!("open, precedence {}", self.precedence));
            let awaits_puts = self.machine.awaits_puts();
            match Life::open(&self.machine, limits, self.precedence) {
                // Also where it opened: that setting up the journal's reserve failed is only logged.
                Ok(_) if self.machine.is_off() => return None,
                Ok(mut life) => {
                    self.learn(&mut life, awaits_puts);
                    let machine = &self.machine;
                    let (shared, mut shown) = (Arc::clone(&life.shared), Vec::new());
                    let mut groups = 0;
                    let replayed = life.runner.replay(&life.recovery, |lake, step| {
                        if step == Step::Took {
                            groups += 1;
                            if groups % SHOWN_EVERY == 1 && shown.len() < SHOWN_MAX {
                                lake.publish();
                                shown.push(shared.load_full());
                            }
                            return Ok(());
                        }
                        lake.run_commit_job();
                        // What has failed is tried again after a while.
                        machine.lake_clock.advance(SECOND);
                        match machine.is_off() {
                            true => Err(PipelineError::Stopped),
                            false => Ok(()),
                        }
                    });
                    match replayed {
                        Ok(replayed) => {
                            self.note(format!("replayed {} frames", replayed.frames));
                            self.check_replay(&life, &shown);
                            self.check(&mut life);
                            return Some(life);
                        }
                        Err(error) => self.refuse("replay", &error),
                    }
                }
                Err(error) => self.refuse("open", &error),
            }
            if self.machine.is_off() {
                return None;
            }
        }
        panic!("it does not start, though few operations fail");
    }

    /// An error is right only where an operation of the disk has failed.
    pub(super) fn refuse(&mut self, what: &str, error: &dyn std::error::Error) {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let _ = write!(text, ": {error}");
            source = error.source();
        }
        let failed = self.machine.failed();
        assert!(failed > 0, "{what} failed though nothing was amiss: {text}");
        self.note(format!("{what} failed"));
    }

    /// Reads the journal as it was found: everything acknowledged must be there; of the rest, what is there counts. An
    /// import that is not there may still come where puts were on their way before the tables were opened.
    fn learn(&mut self, life: &mut Life, awaits_puts: bool) {
        let trimmed = life
            .recovery
            .checkpoint
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.trimmed_through.0);
        let mut reader = life.journal.reader(Sequence(trimmed));
        let mut found = BTreeMap::new();
        while let Some(group) = reader.read_group(10_000).unwrap() {
            for frame in group.frames() {
                let sequence = frame.sequence.0;
                // Whose sender was not told may be gone, and another one have its sequence, with the same content even.
                let is_found = |known: &&Frame| {
                    (known.kind, known.recorded_at, &*known.payload)
                        == (frame.kind, frame.recorded_at, frame.payload)
                };
                if let Some(durable) = self.durable.get(&sequence) {
                    assert!(is_found(&durable), "frame {sequence} has changed");
                    found.insert(sequence, durable.clone());
                    continue;
                }
                let sent = self.appended.get(&sequence).filter(is_found);
                let learned = match (sent, frame.kind) {
                    (Some(sent), _) => sent.clone(),
                    // Opening the journal and importing write frames of their own.
                    (None, FrameKind::Declarations) => declared(frame.payload, frame.recorded_at),
                    (None, FrameKind::Tick) => Frame::tick(frame.recorded_at),
                    (None, kind) => panic!("frame {sequence} ({kind:?}) was never sent"),
                };
                found.insert(sequence, learned);
            }
        }
        let lost: Vec<u64> = self
            .durable
            .range(trimmed + 1..)
            .map(|(sequence, _)| *sequence)
            .filter(|sequence| !found.contains_key(sequence))
            .collect();
        assert!(lost.is_empty(), "acknowledged frames are lost: {lost:?}");
        self.durable.extend(found);
        self.appended.clear();
        for failed in std::mem::take(&mut self.failed_imports) {
            let position = life
                .runner
                .lake()
                .import_position(&failed.dataset, &failed.id);
            if position == Some(failed.consumed) {
                self.note(format!("{} had been taken", failed.id));
                self.imported.push(failed);
            } else if awaits_puts {
                self.failed_imports.push(failed);
            }
        }
        self.imported.sort_by_key(|imported| imported.after);
        self.forget_fold();
    }

    /// Makes the model take the rows in again: an import has come between, or frames are gone.
    pub(super) fn forget_fold(&mut self) {
        self.folded_through = 0;
    }

    /// Without faults: everything durable, applied, committed; then merged, vacuumed and opened again.
    fn end(&mut self) {
        self.note("no more faults");
        let mut life = self.open().unwrap();
        if !self.settle(&mut life) {
            // What processes before had sent came late, and is there now.
            self.take_leave(&mut life);
            self.down(Crash::Kill);
            life = self.open().unwrap();
            assert!(self.settle(&mut life), "nothing is on its way any more");
        }
        self.check_served();
        let snapshot = life.shared.load_full();
        self.check_times(&snapshot, 20);
        self.tend_all(&mut life);
        let snapshot = life.shared.load_full();
        self.check_times(&snapshot, 5);
        self.check_listing(&snapshot);
        self.take_leave(&mut life);
        life.runner.finish().unwrap();
        drop(life);
        self.down(Crash::PowerLoss { seed: 0 });
        self.check_set_back();
        let mut life = self.open().unwrap();
        self.check(&mut life);
        let snapshot = life.shared.load_full();
        self.check_times(&snapshot, 5);
    }
}

impl Schedule {
    /// On copies of the disk, sets each table back behind what the journal knows of it: nothing starts there.
    fn check_set_back(&self) {
        if self.machine.is_store() {
            return;
        }
        let open = |files: FaultyFiles| {
            let machine = Machine {
                files,
                place: Place::Folder,
                journal_clock: self.machine.journal_clock.clone(),
                lake_clock: self.machine.lake_clock.clone(),
                retention: self.machine.retention.clone(),
            };
            Life::open(&machine, LakeLimits::default(), self.precedence)
        };
        let copy = || self.machine.files.copy_after(Crash::Kill);
        let checkpoint = open(copy()).unwrap().recovery.checkpoint.unwrap();
        for (dataset, (known, _)) in checkpoint.datasets {
            let files = copy();
            let log = PathBuf::from(format!("/data/lake/{dataset}/_delta_log"));
            let mut behind = Vec::new();
            for path in files.paths() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.parent() == Some(&*log)
                    && let Some((version, kind)) = name.split_once('.')
                    && version.parse::<u64>().is_ok_and(|version| version >= known)
                {
                    behind.push((path, kind.to_owned()));
                }
            }
            // What a checkpoint of the table log says is whole without its entry.
            if known == 0 || behind.iter().any(|(_, kind)| kind == "checkpoint.parquet") {
                continue;
            }
            for (path, _) in behind {
                files.remove(&path).unwrap();
            }
            let opened = open(files);
            let is_refused = matches!(
                &opened,
                Err(PipelineError::Lake(LakeError::LostTables { .. }))
            );
            let error = opened.err();
            assert!(is_refused, "`{dataset}` is behind {known}: {error:?}");
        }
    }
}

/// Reads a declarations frame that opening the journal wrote.
fn declared(payload: &[u8], recorded_at: i64) -> Frame {
    let precedence = [1, -1]
        .into_iter()
        .find(|precedence| declarations(*precedence).to_bytes() == payload)
        .expect("declarations of this schedule");
    Frame {
        kind: FrameKind::Declarations,
        recorded_at,
        payload: payload.to_vec(),
        event: Some(Event::Precedences {
            recorded_at,
            of: BTreeMap::from([("official", precedence)]),
        }),
    }
}

//! One schedule: lives of the daemon on one machine, and the comparison with the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meetnet_lake::journal::FrameKind;
use meetnet_lake::lake::{LakeLimits, LakeReader};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::calendar;
use meetnet_model::dataset::Grain;
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_testkit::clock::ManualClock;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};
use meetnet_testkit::objects::StoreFault;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::model::{Event, Fold, Version};
use super::reading::{self, Cache};
use super::scene::{Life, Machine, Place, declarations};

/// 2026-01-31T23:00:00Z: an hour before a month ends, so that rows cross partitions.
pub(super) const START: i64 = 1_769_900_400_000_000;
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
/// 2025-11-01T00:00:00Z: retention drops the month before it some time in the schedule.
const OLD: i64 = 1_761_955_200_000_000;
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
    pub(super) payload: Vec<u8>,
    /// What it changes; a tick changes nothing.
    pub(super) event: Option<Event>,
}

impl Frame {
    pub(super) fn tick() -> Self {
        Self {
            kind: FrameKind::Tick,
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

/// What nobody can know of imports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// Those right after the last frame have been taken: a table says how far it has come in the journal alone.
    pub(super) at_end: bool,
    /// One that was reported as failed has been taken all the same.
    pub(super) failed: bool,
}

impl Doubt {
    /// What was reported is so.
    pub(super) const NONE: Self = Self {
        at_end: true,
        failed: false,
    };
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
    /// Imports of this life that were reported as failed: only a restart tells.
    pub(super) failed_imports: Vec<Imported>,
    pub(super) numbered: u64,
    /// The rows up to `folded_through`.
    fold: Fold,
    folded_through: u64,
    /// What readers have seen, by dataset: `through` and stable time; in this life, and before it.
    seen: BTreeMap<DatasetId, (u64, i64)>,
    seen_before: BTreeMap<DatasetId, (u64, i64)>,
    /// The same of a separate `serve`; forgotten with the machine's power.
    served: BTreeMap<DatasetId, (u64, i64)>,
    last_checked: Option<Arc<LakeSnapshot>>,
    /// How long commits may have waited by now, µs of the lake's clock.
    pub(super) waited: i64,
    /// Snapshots that readers hold, and when they were taken, ms.
    pub(super) held: Vec<(i64, Arc<LakeSnapshot>)>,
    cache: Cache,
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
        let reached = rng.random_range(-20..5) * HOUR;
        let kept = Duration::from_micros((now - OLD - reached) as u64);
        let machine = Machine {
            files,
            place,
            journal_clock: ManualClock::new(START + 3 * HOUR),
            lake_clock: ManualClock::new(now),
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
        self.did.versions = self.fold.all().len();
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
            match Life::open(&self.machine, limits, self.precedence) {
                // Also where it opened: that setting up the journal's reserve failed is only logged.
                Ok(_) if self.machine.is_off() => return None,
                Ok(mut life) => {
                    self.learn(&mut life);
                    match life.runner.replay(&life.recovery, |lake| {
                        lake.run_commit_job();
                    }) {
                        Ok(replayed) => {
                            self.note(format!("replayed {} frames", replayed.frames));
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

    /// Reads the journal as it was found: everything acknowledged must be there; of the rest, what is there counts.
    fn learn(&mut self, life: &mut Life) {
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
                if let Some(durable) = self.durable.get(&sequence) {
                    assert_eq!(
                        (durable.kind, &*durable.payload),
                        (frame.kind, frame.payload),
                        "frame {sequence} has changed"
                    );
                    found.insert(sequence, durable.clone());
                    continue;
                }
                let sent = self.appended.get(&sequence);
                let sent = sent.filter(|sent| sent.payload == frame.payload);
                let learned = match (sent, frame.kind) {
                    (Some(sent), _) => sent.clone(),
                    // Opening the journal and importing write frames of their own.
                    (None, FrameKind::Declarations) => declared(frame.payload, frame.recorded_at),
                    (None, FrameKind::Tick) => Frame::tick(),
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
            }
        }
        self.imported.sort_by_key(|imported| imported.after);
        self.fold = Fold::default();
        self.folded_through = 0;
    }

    /// Events of frames up to `through`, and of imports taken by then.
    pub(super) fn events(&self, through: u64, doubt: Doubt) -> Vec<&Event> {
        let mut imports: Vec<&Imported> = self.imported.iter().collect();
        if doubt.failed {
            imports.extend(&self.failed_imports);
        }
        imports.sort_by_key(|imported| imported.after);
        let mut imports = imports.into_iter().peekable();
        let mut events = Vec::new();
        for (sequence, frame) in self.durable.range(..=through) {
            while let Some(import) = imports.next_if(|import| import.after < *sequence) {
                events.extend(&import.events);
            }
            events.extend(&frame.event);
        }
        let is_in =
            |import: &&Imported| import.after < through || import.after == through && doubt.at_end;
        while let Some(import) = imports.next_if(is_in) {
            events.extend(&import.events);
        }
        events
    }

    /// Compares what readers of this process see with the model.
    pub(super) fn check(&mut self, life: &mut Life) {
        self.acknowledge(life);
        let snapshot = life.shared.load_full();
        let is_new = self
            .last_checked
            .as_ref()
            .is_none_or(|last| !Arc::ptr_eq(last, &snapshot));
        if snapshot.tables.is_empty() || !is_new || self.machine.is_off() {
            return;
        }
        let (last, _) = life.journal.durable();
        let applied = life.runner.lake().through();
        for (id, table) in &snapshot.tables {
            let position = (table.through.0, table.stable_time);
            let seen = self.seen.entry(id.clone()).or_default();
            let before = self.seen_before.get(id).copied().unwrap_or_default();
            // After a start, rows of a dataset may wait for a file that cannot be read now; it says so then.
            let waits = table.through < applied;
            assert!(
                waits || position.0 >= before.0 && position.1 >= before.1,
                "readers went back from {before:?} to {position:?} in {id} by a restart"
            );
            assert!(
                position.0 >= seen.0 && position.1 >= seen.1,
                "readers went back from {seen:?} to {position:?} in {id}"
            );
            *seen = position;
            assert!(
                position.0 <= last.0,
                "readers see frames that are not durable"
            );
            if position.0 != self.folded_through || self.folded_through == 0 {
                self.fold = Fold::of(self.events(position.0, Doubt::NONE));
                self.folded_through = position.0;
            }
            let shown = self.read(table);
            let perhaps = || {
                let failed = Doubt {
                    failed: true,
                    ..Doubt::NONE
                };
                self.of(id, Fold::of(self.events(position.0, failed)).all())
            };
            if self.failed_imports.is_empty() || shown != perhaps() {
                same("rows", &shown, &self.of(id, self.fold.all()));
            }
        }
        self.last_checked = Some(snapshot);
    }

    /// Makes the model take the rows in again: an import has come between.
    pub(super) fn forget_fold(&mut self) {
        self.folded_through = 0;
    }

    fn read(&mut self, table: &TableSnapshot) -> BTreeSet<Version> {
        let storage = self.machine.stored();
        let versions = reading::read(table, storage.as_ref(), &mut self.cache);
        self.kept(versions)
    }

    /// Leaves out what retention may have dropped.
    fn kept(&self, mut versions: BTreeSet<Version>) -> BTreeSet<Version> {
        let kept = self.machine.retention[&DatasetId::new("heat")].as_micros() as i64;
        let oldest = self.machine.lake_clock.now() - kept;
        let from = calendar::period_start(oldest, Grain::Month);
        versions.retain(|version| version.key.dataset != "heat" || version.key.time >= from);
        versions
    }

    /// Compares what a separate `serve` sees with the model.
    pub(super) fn check_served(&mut self) {
        let Ok(mut reader) = LakeReader::open(self.machine.stored()) else {
            assert!(self.machine.is_off());
            return;
        };
        let snapshot = reader.refresh().unwrap();
        for (id, table) in &snapshot.tables {
            let position = (table.through.0, table.stable_time);
            let seen = self.served.entry(id.clone()).or_default();
            assert!(
                position.0 >= seen.0 && position.1 >= seen.1,
                "serve went back from {seen:?} to {position:?} in {id}"
            );
            *seen = position;
            let shown = self.read(table);
            let at = self.rng.random_range(START..=table.stable_time.max(START));
            let doubts = [(true, false), (false, false), (true, true), (false, true)];
            let candidates = doubts.map(|(at_end, failed)| {
                let events = self.events(table.through.0, Doubt { at_end, failed });
                (
                    self.of(id, Fold::of(events.iter().copied()).all()),
                    self.of(id, Fold::as_of(events, at).current.into_values().collect()),
                )
            });
            let shown_at = visible(&shown, at);
            let fits = |(all, as_of): &(BTreeSet<Version>, BTreeSet<Version>)| {
                *all == shown && visible(as_of, at) == shown_at
            };
            if !candidates.iter().any(fits) {
                same("rows of serve", &shown, &candidates[0].0);
                same(
                    "rows of serve AS OF",
                    &shown_at,
                    &visible(&candidates[0].1, at),
                );
            }
        }
    }

    fn of(&self, id: &DatasetId, mut versions: BTreeSet<Version>) -> BTreeSet<Version> {
        versions.retain(|version| version.key.dataset == id.as_str());
        self.kept(versions)
    }

    /// Compares AS OF at random times up to the stable time with what had been recorded by then.
    fn check_times(&mut self, snapshot: &LakeSnapshot, times: usize) {
        let stable = snapshot.tables.values();
        let (through, stable_time) = stable
            .map(|table| (table.through.0, table.stable_time))
            .min()
            .unwrap();
        let mut shown = BTreeSet::new();
        for table in snapshot.tables.values() {
            shown.append(&mut self.read(table));
        }
        let recorded: Vec<i64> = shown.iter().map(|version| version.recorded_at).collect();
        for _ in 0..times {
            // Mostly right at, or right before, something recorded.
            let at = match recorded.choose(&mut self.rng) {
                Some(at) if self.rng.random_bool(0.7) => at - self.rng.random_range(0..2),
                _ => self.rng.random_range(START + 2 * HOUR..=stable_time),
            };
            let at = at.min(stable_time);
            let shown_at = visible(&shown, at);
            let owed = |doubt| {
                let events = self.events(through, doubt);
                let owed = Fold::as_of(events, at).current.into_values().collect();
                visible(&self.kept(owed), at)
            };
            let failed = Doubt {
                failed: true,
                ..Doubt::NONE
            };
            if self.failed_imports.is_empty() || shown_at != owed(failed) {
                same(&format!("rows AS OF {at}"), &shown_at, &owed(Doubt::NONE));
            }
            self.did.times += 1;
        }
    }

    /// Without faults: everything durable, applied, committed; then merged, vacuumed and opened again.
    fn end(&mut self) {
        self.note("no more faults");
        let mut life = self.open().unwrap();
        assert!(self.settle(&mut life));
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
        let mut life = self.open().unwrap();
        self.check(&mut life);
        let snapshot = life.shared.load_full();
        self.check_times(&snapshot, 5);
    }

    /// Of data files only live ones are there: a day later vacuum has found what crashes left.
    fn check_listing(&mut self, snapshot: &LakeSnapshot) {
        let storage = self.machine.stored();
        let listed: BTreeSet<String> = storage
            .list("")
            .unwrap()
            .into_iter()
            .map(|object| object.path)
            .filter(|path| path.contains("/licence=") || path.ends_with(".tmp"))
            .collect();
        let mut live = BTreeSet::new();
        for (id, table) in &snapshot.tables {
            live.extend(table.files.iter().map(|file| format!("{id}/{}", file.path)));
        }
        assert_eq!(listed, live, "files on the disk, and live files");
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
        payload: payload.to_vec(),
        event: Some(Event::Precedences {
            recorded_at,
            of: BTreeMap::from([("official", precedence)]),
        }),
    }
}

/// The rows that were current at `at`, without what says how long.
fn visible(versions: &BTreeSet<Version>, at: i64) -> BTreeSet<Version> {
    let visible = versions.iter().filter(|version| {
        version.recorded_at <= at && version.superseded_at.is_none_or(|until| until > at)
    });
    visible
        .cloned()
        .map(|version| Version {
            superseded_at: None,
            ..version
        })
        .collect()
}

fn same(what: &str, shown: &BTreeSet<Version>, owed: &BTreeSet<Version>) {
    if shown != owed {
        let missing: Vec<&Version> = owed.difference(shown).take(5).collect();
        let wrong: Vec<&Version> = shown.difference(owed).take(5).collect();
        panic!("{what}: missing {missing:#?}\nnot owed {wrong:#?}");
    }
}

//! The scrub: compares every live file with the SHA-256 that the table log has for it, slowly and for ever.
//!
//! ```text
//! round:     newest snapshot ─▶ table by table, file by file ─┐
//! suspected: whoever found a file broken ─────────────────────┼▶ compare ─▶ damaged: its rows are not answered any more
//! known:     damaged files, once a minute ────────────────────┘    │    └▶ whole again: it is read as before
//!              ▲                                                   ▼
//!              └──────── at the start ◀──────────────────── a note in the lake
//! ```
//!
//! A bit that changes in a page of values is decoded like any other: footers, lengths and undecodable pages show damage at
//! once, this only the hash of the whole file. It reads a snapshot pointer and files; it writes nothing but notes of what is
//! damaged, knows no table log and repairs nothing.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meetnet_model::ids::DatasetId;
use tracing::{debug, error, info, warn};

use crate::damage::{self, Damage};
use crate::error::LakeError;
use crate::snapshot::{LakeSnapshot, LiveFile, SharedSnapshot, TableSnapshot};
use crate::storage::{Access, TableFolder};

mod report;

pub use report::{ScrubReport, ScrubWatch};

/// The first round begins this much later than the start at the latest, when less is asked of the disk.
const FIRST_ROUND_MAX: Duration = Duration::from_secs(60);
/// Between two looks whether anything is to be done.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Between two looks at the files that are known to be damaged: whoever puts one back waits this long.
const RECHECK_PERIOD: Duration = Duration::from_secs(60);
/// A look at many of them is followed by this many times its length for the round.
const RECHECK_SHARE: u32 = 9;
/// What a damaged file means, and what people can do about it.
const WHAT_TO_DO: &str =
    "its rows are not answered; put the same file back, or run `meetnet check --repair`";
/// Files that could not be read and are tried again before the next round, and of those, how many are named in the log.
const UNREAD_MAX: usize = 256;
const UNREAD_NAMED_MAX: usize = 16;

/// How often and how fast files are compared.
#[derive(Clone, Copy, Debug)]
pub struct ScrubOptions {
    /// From the beginning of a round to that of the next; None: no rounds, only what somebody has found broken is compared.
    pub every: Option<Duration>,
    /// Bytes read per second, at most.
    pub bytes_per_second: u64,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self {
            every: Some(Duration::from_secs(7 * 24 * 3_600)),
            bytes_per_second: 32 << 20,
        }
    }
}

/// The thread that compares.
#[derive(Debug)]
pub struct Scrub {
    watch: ScrubWatch,
    /// Dropped to stop the thread.
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Scrub {
    /// Starts the thread over the newest snapshot there is; it ends when this is dropped.
    ///
    /// # Errors
    /// Where there is no room for a thread.
    pub fn start(snapshot: SharedSnapshot, options: ScrubOptions) -> io::Result<Self> {
        let mut scrubber = Scrubber::new(snapshot, options.every, Instant::now());
        let watch = scrubber.watch();
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("lake-scrub".to_owned())
            .spawn(move || scrubber.run(&stopped, options.bytes_per_second.max(1)))?;
        Ok(Self {
            watch,
            stop,
            thread,
        })
    }

    /// Returns what reads its report.
    pub fn watch(&self) -> ScrubWatch {
        self.watch.clone()
    }

    /// Ends the thread after the bytes that it is reading, and waits for it.
    pub fn stop(self) {
        let Self { stop, thread, .. } = self;
        drop(stop);
        // A panic has been reported by the panic hook, and nothing depends on the thread.
        let _ = thread.join();
    }
}

/// A file to compare.
#[derive(Clone, Debug)]
struct Target {
    dataset: DatasetId,
    folder: TableFolder,
    file: Arc<LiveFile>,
}

impl Target {
    fn key(&self) -> Key {
        (self.dataset.clone(), Arc::clone(&self.file.path))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.folder.shown(&self.file.path).display())
    }
}

type Key = (DatasetId, Arc<str>);

/// A file that is not as it should be.
#[derive(Debug)]
struct Known {
    target: Target,
    state: State,
    /// Whether it was said that the damage could not be noted for the next start.
    is_unnoted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The storage did not give its bytes: that says nothing about it.
    Unread,
    /// It was not there. The snapshot of a process that follows the tables may be older than its removal.
    Absent,
    /// Told to people; what is in it is not answered any more.
    Damaged,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A file was compared.
    Compared,
    /// There is nothing to do now.
    Idle,
    /// It was told to stop.
    Stopped,
}

/// Under way through all tables. Files that are written meanwhile were hashed as they were written, and belong to the next.
#[derive(Debug)]
struct Round {
    tables: VecDeque<DatasetId>,
    at: Option<AtTable>,
}

/// The table that a round is at.
#[derive(Debug)]
struct AtTable {
    dataset: DatasetId,
    folder: TableFolder,
    files: Arc<Vec<Arc<LiveFile>>>,
    /// How many of them are compared.
    done: usize,
}

/// What is compared next; owns no clock, so that a test decides every step.
#[derive(Debug)]
pub(crate) struct Scrubber {
    snapshot: SharedSnapshot,
    every: Option<Duration>,
    /// None: never.
    next_round: Option<Instant>,
    round: Option<Round>,
    /// Before those of the round.
    due: VecDeque<Target>,
    known: BTreeMap<Key, Known>,
    /// Whether what earlier processes have noted was taken in.
    has_recalled: bool,
    next_recheck: Instant,
    /// When the look at the known ones began that is under way.
    rechecking: Option<Instant>,
    watch: ScrubWatch,
}

impl Scrubber {
    pub(crate) fn new(snapshot: SharedSnapshot, every: Option<Duration>, now: Instant) -> Self {
        let watch = ScrubWatch::default();
        watch.change(|report| report.has_rounds = every.is_some());
        metrics::gauge!("meetnet_damaged_files").set(0.0);
        Self {
            snapshot,
            every,
            next_round: every.map(|every| now + every.min(FIRST_ROUND_MAX)),
            round: None,
            due: VecDeque::new(),
            known: BTreeMap::new(),
            has_recalled: false,
            next_recheck: now + RECHECK_PERIOD,
            rechecking: None,
            watch,
        }
    }

    /// Returns what reads the report.
    pub(crate) fn watch(&self) -> ScrubWatch {
        self.watch.clone()
    }

    /// Works until the other end of `stopped` is dropped.
    fn run(&mut self, stopped: &Receiver<()>, bytes_per_second: u64) {
        let waits = |time: Duration| stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        let mut go_on = |bytes: u64| {
            waits(Duration::from_secs_f64(
                bytes as f64 / bytes_per_second as f64,
            ))
        };
        loop {
            let goes_on = match self.step(Instant::now(), &mut go_on) {
                Step::Compared => waits(Duration::ZERO),
                Step::Idle => waits(LOOK_PERIOD),
                Step::Stopped => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Compares the next file, if one is due.
    pub(crate) fn step(&mut self, now: Instant, go_on: &mut dyn FnMut(u64) -> bool) -> Step {
        if !self.has_recalled {
            self.has_recalled = self.recall();
        }
        self.take_suspected();
        self.begin_recheck(now);
        let target = match self.due.pop_front() {
            Some(target) => Some(target),
            None => {
                self.end_recheck(now);
                self.next_of_round(now)
            }
        };
        match target {
            Some(target) => self.compare(target, go_on),
            None => Step::Idle,
        }
    }

    /// Takes in what the notes in the lake name and is not known here: it is damaged until it has been compared again. Returns
    /// false where there is no table yet.
    fn recall(&mut self) -> bool {
        let snapshot = self.snapshot.load_full();
        // Tables of one lake share what is known of its files.
        let Some(first) = snapshot.tables.values().next() else {
            return false;
        };
        for path in first.folder.noted_damage() {
            // Nobody reads a table here that is not declared.
            let Some((dataset, table, of_table)) = table_of(&snapshot, &path) else {
                continue;
            };
            let Some(target) = target_of(dataset, table, of_table) else {
                forget_if_gone(&table.folder, of_table);
                continue;
            };
            if self.known.contains_key(&target.key()) {
                continue;
            }
            let Some(damage) = table.folder.damage_of(of_table) else {
                // Somebody has compared it since.
                self.due.push_back(target);
                continue;
            };
            let rows = target.file.rows;
            error!(%dataset, file = %target, %damage, rows, "a file was found damaged before this start: {WHAT_TO_DO}");
            let known = Known {
                target: target.clone(),
                state: State::Damaged,
                is_unnoted: false,
            };
            self.known.insert(target.key(), known);
        }
        self.report_damaged();
        true
    }

    /// Puts what somebody has found broken first.
    fn take_suspected(&mut self) {
        let snapshot = self.snapshot.load();
        // Tables of one lake share what is known of its files.
        let Some(first) = snapshot.tables.values().next() else {
            return;
        };
        for path in first.folder.take_suspected() {
            let of_table = table_of(&snapshot, &path);
            let found = of_table.and_then(|(id, table, of_table)| target_of(id, table, of_table));
            let new = found.filter(|target| !self.known.contains_key(&target.key()));
            self.due.extend(new);
        }
    }

    /// Looks at the files again that were not as they should be: somebody may have put them back, or taken them out.
    fn begin_recheck(&mut self, now: Instant) {
        if now < self.next_recheck || self.rechecking.is_some() || !self.due.is_empty() {
            return;
        }
        // Of tables that are declared since, and of files that are gone since.
        self.recall();
        let keys: Vec<Key> = self.known.keys().cloned().collect();
        for key in keys {
            if !self.is_live(&key) {
                self.forget_removed(&key);
            }
        }
        let known = self.known.values();
        self.due.extend(known.map(|known| known.target.clone()));
        self.rechecking = Some(now);
    }

    fn end_recheck(&mut self, now: Instant) {
        if let Some(begun) = self.rechecking.take() {
            let taken = now.saturating_duration_since(begun);
            self.next_recheck = now + RECHECK_PERIOD.max(taken * RECHECK_SHARE);
        }
    }

    /// Returns the next file of the round, beginning one where it is time to.
    fn next_of_round(&mut self, now: Instant) -> Option<Target> {
        loop {
            if self.round.is_none() {
                if now < self.next_round? {
                    return None;
                }
                self.next_round = self.every.map(|every| now + every);
                let tables = self.snapshot.load().tables.keys().cloned().collect();
                self.round = Some(Round { tables, at: None });
            }
            let round = self.round.as_mut()?;
            if let Some(at) = &mut round.at {
                if let Some(file) = at.files.get(at.done).cloned() {
                    at.done += 1;
                    return Some(Target {
                        dataset: at.dataset.clone(),
                        folder: at.folder.clone(),
                        file,
                    });
                }
                round.at = None;
            }
            match round.tables.pop_front() {
                Some(id) => {
                    let snapshot = self.snapshot.load();
                    round.at = snapshot.tables.get(&id).map(|table| AtTable {
                        dataset: id.clone(),
                        folder: table.folder.clone(),
                        files: Arc::clone(&table.files),
                        done: 0,
                    });
                }
                None => {
                    self.round = None;
                    self.round_ended();
                }
            }
        }
    }

    fn round_ended(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let at_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        self.watch
            .change(|report| report.round_ended_at_ms = Some(at_ms));
        metrics::gauge!("meetnet_scrub_round_end_seconds").set(now.as_secs_f64());
        let ScrubReport {
            files,
            bytes,
            damaged,
            ..
        } = self.watch.read();
        info!(
            files,
            bytes, damaged, "every file has been compared with its hash"
        );
    }

    fn compare(&mut self, target: Target, go_on: &mut dyn FnMut(u64) -> bool) -> Step {
        let (mut bytes, mut is_stopped) = (0, false);
        let mut read = || {
            damage::compare(&target.folder, &target.file, &mut |more| {
                bytes += more;
                is_stopped = !go_on(more);
                !is_stopped
            })
        };
        let found = match read() {
            // A disk or a network may give other bytes once: only what is read twice takes rows out of answers.
            Ok(Some(Damage::WrongChecksum | Damage::WrongLength { .. })) => read(),
            found => found,
        };
        metrics::counter!("meetnet_scrub_bytes_total").increment(bytes);
        self.watch.change(|report| report.bytes += bytes);
        if is_stopped {
            return Step::Stopped;
        }
        match found {
            Ok(None) => self.found_sound(&target),
            Ok(Some(damage)) => self.found_damaged(target, damage),
            Err(error) => self.found_unread(target, &error),
        }
        Step::Compared
    }

    fn count(&self) {
        metrics::counter!("meetnet_scrub_files_total").increment(1);
        self.watch.change(|report| report.files += 1);
    }

    fn found_sound(&mut self, target: &Target) {
        self.count();
        target.folder.forget_damage(&target.file.path);
        self.forget(&target.key(), "a damaged file is as it was written again");
    }

    fn found_damaged(&mut self, target: Target, damage: Damage) {
        self.count();
        let key = target.key();
        if !self.is_live(&key) {
            // Removed meanwhile, by a vacuum or an erasure.
            self.forget_removed(&key);
            return;
        }
        let known = self.known.get(&key);
        let before = known.map(|known| known.state);
        let mut is_unnoted = known.is_some_and(|known| known.is_unnoted);
        let state = match before {
            None | Some(State::Unread) if damage == Damage::Missing => State::Absent,
            _ => State::Damaged,
        };
        if state == State::Damaged {
            // One that is missing cannot be opened anyway, and can as soon as its volume is there again.
            if damage != Damage::Missing {
                is_unnoted = !self.remember(&target, damage, is_unnoted);
            }
            if before != Some(State::Damaged) {
                let (dataset, rows) = (&target.dataset, target.file.rows);
                error!(%dataset, file = %target, %damage, rows, "a file is damaged: {WHAT_TO_DO}");
            }
        }
        let known = Known {
            target,
            state,
            is_unnoted,
        };
        self.known.insert(key, known);
        self.report_damaged();
    }

    /// Notes damage for this process and the next start; returns whether it is noted for the latter. Where it is not, it is
    /// tried again whenever the file is compared.
    fn remember(&self, target: &Target, damage: Damage, was_said: bool) -> bool {
        let noted = target.folder.remember_damage(&target.file.path, damage);
        if let Err(error) = &noted
            && !was_said
        {
            warn!(
                dataset = %target.dataset,
                file = %target,
                error = error as &dyn std::error::Error,
                "the damage of a file cannot be noted in the lake: after a restart its rows are answered until it is found again"
            );
        }
        noted.is_ok()
    }

    /// The storage does not answer, or not for this file: that is no damage, and no proof that there is none.
    fn found_unread(&mut self, target: Target, error: &LakeError) {
        metrics::counter!("meetnet_scrub_unread_total").increment(1);
        self.watch.change(|report| report.unread += 1);
        let key = target.key();
        if self.known.contains_key(&key) || !self.is_live(&key) {
            return;
        }
        let states = self.known.values().map(|known| known.state);
        let unread = states.filter(|state| *state == State::Unread).count();
        let error: &dyn std::error::Error = error;
        let (dataset, file) = (&target.dataset, &target);
        if unread < UNREAD_NAMED_MAX {
            warn!(%dataset, %file, error, "a file cannot be compared with its hash, trying again");
        } else {
            debug!(%dataset, %file, error, "a file cannot be compared with its hash");
        }
        if unread < UNREAD_MAX {
            let known = Known {
                target,
                state: State::Unread,
                is_unnoted: false,
            };
            self.known.insert(key, known);
        }
    }

    /// Takes a file from those that are not as they should be.
    fn forget(&mut self, key: &Key, why: &'static str) {
        let Some(known) = self.known.remove(key) else {
            return;
        };
        if known.state == State::Damaged {
            info!(dataset = %key.0, file = %known.target, "{why}");
        }
        self.report_damaged();
    }

    /// The same of one that is not of its table any more.
    fn forget_removed(&mut self, key: &Key) {
        if let Some(known) = self.known.get(key) {
            forget_if_gone(&known.target.folder, &key.1);
        }
        self.forget(key, "a damaged file is not of its table any more");
    }

    fn report_damaged(&self) {
        let states = self.known.values().map(|known| known.state);
        let damaged = states.filter(|state| *state == State::Damaged).count() as u64;
        self.watch.change(|report| report.damaged = damaged);
        metrics::gauge!("meetnet_damaged_files").set(damaged as f64);
    }

    /// Returns whether the newest snapshot has a file.
    fn is_live(&self, (dataset, path): &Key) -> bool {
        let snapshot = self.snapshot.load();
        let table = snapshot.tables.get(dataset);
        table.is_some_and(|table| table.files.iter().any(|file| file.path == *path))
    }
}

/// Finds the table of a file by its path in the lake; and the path in the table's folder.
fn table_of<'a>(
    snapshot: &'a LakeSnapshot,
    path: &'a str,
) -> Option<(&'a DatasetId, &'a TableSnapshot, &'a str)> {
    snapshot.tables.iter().find_map(|(id, table)| {
        let of_table = path.strip_prefix(table.folder.name())?;
        Some((id, &**table, of_table.strip_prefix('/')?))
    })
}

/// Finds a live file of a table.
fn target_of(dataset: &DatasetId, table: &TableSnapshot, path: &str) -> Option<Target> {
    let file = table.files.iter().find(|file| *file.path == *path)?;
    Some(Target {
        dataset: dataset.clone(),
        folder: table.folder.clone(),
        file: Arc::clone(file),
    })
}

/// Forgets the damage of a file that is live no longer, where it is removed: until then downloads may ask for it.
fn forget_if_gone(folder: &TableFolder, path: &str) {
    if let Ok(None) = folder.open_if_there(path, Access::Pages) {
        folder.forget_damage(path);
    }
}

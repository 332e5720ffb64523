//! The comparison of what readers see with the model: rows now, rows as of a time, and the files below them.

use std::collections::BTreeSet;
use std::sync::Arc;

use meetnet_lake::lake::LakeReader;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_lake::storage::Access;
use meetnet_model::calendar;
use meetnet_model::dataset::Grain;
use meetnet_model::ids::{DatasetId, Sequence};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::model::{Event, Fold, Version};
use super::reading;
use super::run::{HOUR, Imported, START, Schedule, VACUUM_AFTER};
use super::scene::Life;

/// What nobody can know of imports.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// Those right after the last frame have been taken: a table says how far it has come in the journal alone.
    at_end: bool,
    /// One that was reported as failed has been taken all the same.
    failed: bool,
}

impl Doubt {
    /// What was reported is so.
    const NONE: Self = Self::new(true, false);
    /// Of readers of the process that imports: they see at once what it has taken.
    const OF_THE_PROCESS: [Self; 2] = [Self::NONE, Self::new(true, true)];
    /// Of readers of the tables alone.
    const OF_OTHERS: [Self; 4] = [
        Self::NONE,
        Self::new(false, false),
        Self::new(true, true),
        Self::new(false, true),
    ];

    const fn new(at_end: bool, failed: bool) -> Self {
        Self { at_end, failed }
    }
}

impl Schedule {
    /// Events of frames up to `through`, and of imports taken by then.
    fn events(&self, through: u64, doubt: Doubt) -> Vec<&Event> {
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

    /// Compares sets of versions, each with its name, with what is owed of the events up to the frame `through`. All of
    /// them must be right under one and the same of `doubts`, the first of which is [`Doubt::NONE`].
    fn compare<const N: usize>(
        &self,
        shown: [(&str, &BTreeSet<Version>); N],
        through: u64,
        doubts: &[Doubt],
        owed: impl Fn(Vec<&Event>) -> [BTreeSet<Version>; N],
    ) {
        let is_owed = |doubt: &Doubt| {
            let owed = owed(self.events(through, *doubt));
            (shown.iter().zip(&owed)).all(|((_, shown), owed)| *shown == owed)
        };
        if doubts.iter().any(is_owed) {
            return;
        }
        let owed = owed(self.events(through, Doubt::NONE));
        for ((what, shown), owed) in shown.into_iter().zip(owed) {
            let missing: Vec<&Version> = owed.difference(shown).take(5).collect();
            let wrong: Vec<&Version> = shown.difference(&owed).take(5).collect();
            assert!(
                missing.is_empty() && wrong.is_empty(),
                "{what}: missing {missing:#?}\nnot owed {wrong:#?}"
            );
        }
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
        self.check_snapshot(&snapshot, last, applied);
        self.last_checked = Some(snapshot);
    }

    /// Compares what readers saw while the journal was replayed, in order.
    pub(super) fn check_replay(&mut self, life: &Life, shown: &[Arc<LakeSnapshot>]) {
        if self.machine.is_off() {
            return;
        }
        let (last, _) = life.journal.durable();
        for snapshot in shown {
            // Every table may be behind what was shown before the restart, and says so.
            self.check_snapshot(snapshot, last, Sequence(u64::MAX));
        }
    }

    /// Compares one snapshot; tables that have not come to `applied` may say less than before the restart.
    fn check_snapshot(&mut self, snapshot: &LakeSnapshot, last: Sequence, applied: Sequence) {
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
            // Almost always nothing is in doubt, and the rows are folded once for all tables.
            if shown != self.kept(self.fold.versions(id)) {
                let owed = |events: Vec<&Event>| [self.kept(Fold::of(events).versions(id))];
                let doubts = &Doubt::OF_THE_PROCESS;
                self.compare([("rows", &shown)], position.0, doubts, owed);
            }
        }
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
            let shown_at = visible(&shown, at);
            let owed = |events: Vec<&Event>| {
                let at_time = Fold::as_of(events.iter().copied(), at).versions(id);
                let all = Fold::of(events).versions(id);
                [self.kept(all), visible(&self.kept(at_time), at)]
            };
            let as_of = format!("rows of serve AS OF {at}");
            let shown = [("rows of serve", &shown), (as_of.as_str(), &shown_at)];
            self.compare(shown, position.0, &Doubt::OF_OTHERS, owed);
        }
    }

    /// Compares AS OF at random times up to the stable time with what had been recorded by then.
    pub(super) fn check_times(&mut self, snapshot: &LakeSnapshot, times: usize) {
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
            let owed = |events: Vec<&Event>| {
                let fold = Fold::as_of(events, at);
                let tables = snapshot.tables.keys();
                let at_time = tables.flat_map(|id| fold.versions(id)).collect();
                [visible(&self.kept(at_time), at)]
            };
            let as_of = format!("rows AS OF {at}");
            let shown = [(as_of.as_str(), &shown_at)];
            self.compare(shown, through, &Doubt::OF_THE_PROCESS, owed);
            self.did.times += 1;
        }
    }

    /// Files of a snapshot that a reader holds stay for as long as vacuum has to wait.
    pub(super) fn check_held(&mut self) {
        if self.machine.is_off() {
            return;
        }
        let now_ms = self.machine.lake_clock.now() / 1_000;
        // A file is marked as removed when its commit begins, which may be a little before the snapshot was taken.
        let young = VACUUM_AFTER.as_millis() as i64 - 200_000;
        self.held.retain(|(taken, _)| now_ms - taken < young);
        let storage = self.machine.stored();
        for (_, snapshot) in &self.held {
            for (id, table) in &snapshot.tables {
                for file in table.files.iter() {
                    let path = format!("{id}/{}", file.path);
                    let opened = storage.open(&path, Access::Pages);
                    assert!(opened.is_ok(), "{path} is gone under a reader");
                }
            }
        }
    }

    /// Of data files only live ones are there: a day later vacuum has found what crashes left.
    pub(super) fn check_listing(&mut self, snapshot: &LakeSnapshot) {
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

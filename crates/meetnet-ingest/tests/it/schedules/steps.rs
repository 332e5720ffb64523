//! The steps of a schedule: what people, sensors, clocks and threads do.

use std::collections::BTreeMap;
use std::sync::Arc;

use meetnet_ingest::pipeline::{ImportChunk, Step};
use meetnet_lake::LakeError;
use meetnet_lake::journal::{AppendError, FrameKind, NewEnvelope, Original};
use meetnet_lake::lake::UpkeepRequest;
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::rows::RowsBuilder;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::model::{Event, Key};
use super::run::{Frame, HOUR, Imported, MINUTE, SECOND, START, Schedule};
use super::scene::{Life, SOURCES, declarations};

/// Sequences of messages that are replayed: no schedule gives out as many.
const LONG_AGO: u64 = 1 << 32;
/// Name of the meta pair in which a replay says what it confirms.
const CONFIRMS: &str = "meetnet-confirms";
/// Values: few, so that messages repeat each other. All have an exact decimal form.
const VALUES: [f64; 4] = [1.5, 2.0, 20.25, -3.0];

impl Schedule {
    /// Does something; false where the process has to end.
    pub(super) fn step(&mut self, life: &mut Life) -> bool {
        let went_on = match self.rng.random_range(0..100) {
            0..=24 => self.send(life),
            25..=44 => self.write(life),
            45..=64 => self.pipeline(life),
            65..=71 => self.run_commits(life),
            72..=76 => {
                let ran = life.runner.lake().run_upkeep_job();
                self.note(format!("upkeep job: {ran}"));
                true
            }
            77..=81 => self.let_time_go_by(life),
            82..=83 => self.step_clock(),
            84..=86 => self.ask_for_upkeep(life),
            87..=89 => self.commit_all(life),
            90..=92 => self.import(life),
            93 => self.tick(life),
            94 => self.declare(life),
            95 => self.trickle(life),
            96 => self.hold(life),
            97 => self.fill_disk(),
            _ => {
                self.note("serve");
                self.check_served();
                true
            }
        };
        if went_on {
            self.check(life);
            self.check_held();
        }
        went_on
    }

    fn random_time(&mut self) -> i64 {
        match self.rng.random_range(0..100) {
            // October 2025, which retention drops, and December.
            0..=4 => START - 100 * 24 * HOUR + self.rng.random_range(0..3) * MINUTE,
            5..=9 => START - 40 * 24 * HOUR + self.rng.random_range(0..5) * MINUTE,
            // Around the end of January, mostly in time order.
            10..=39 => START + self.rng.random_range(0..90) * MINUTE,
            _ => START + (self.numbered as i64 / 3 % 90) * MINUTE,
        }
    }

    /// Appends messages; nobody is told before they are durable.
    fn send(&mut self, life: &mut Life) -> bool {
        let count = self.rng.random_range(1..12);
        for sent in 0..count {
            self.numbered += 1;
            self.machine
                .journal_clock
                .advance(self.rng.random_range(1..400_000));
            if let Err(error) = self.send_one(life) {
                self.refuse("taking a message", &error);
                self.note(format!("sent {sent} messages"));
                return true;
            }
        }
        self.note(format!("sent {count} messages"));
        true
    }

    fn send_one(&mut self, life: &mut Life) -> Result<(), AppendError> {
        let (source, licence) = *SOURCES.choose(&mut self.rng).unwrap();
        let device = format!("d{}", self.rng.random_range(0..5));
        let topic = format!("{source}/{device}");
        let time = self.random_time();
        let heat = *VALUES.choose(&mut self.rng).unwrap();
        let air = self
            .rng
            .random_bool(0.4)
            .then(|| *VALUES.choose(&mut self.rng).unwrap());
        let is_broken = self.rng.random_bool(0.05);
        let mut payload = format!(
            "{{\"n\":{},\"ts\":{},\"t\":{heat:?}",
            self.numbered,
            time / 1_000
        );
        if let Some(air) = air {
            payload.push_str(&format!(",\"c\":{air:?}"));
        }
        if !is_broken {
            payload.push('}');
        }
        let replayed = (self.rng.random_bool(0.15)).then(|| Original {
            // Of a message long ago: rejects keep its number.
            sequence: Sequence(LONG_AGO + self.numbered),
            received_at: self.machine.journal_clock.now() - self.rng.random_range(1..600 * SECOND),
            clock_step: false,
        });
        // Some are there for what they confirm alone.
        let confirmed = replayed.and(match self.numbered % 4 {
            0 => Some("heat:0-0"),
            1 => Some("air:0-0;heat:0-0"),
            _ => None,
        });
        let meta: Vec<(&str, &str)> = confirmed.map(|rows| (CONFIRMS, rows)).into_iter().collect();
        let envelope = NewEnvelope {
            source,
            topic: &topic,
            meta: &meta,
            payload: payload.as_bytes(),
            ..NewEnvelope::default()
        };
        let (kind, appended) = match replayed {
            Some(original) => (
                FrameKind::Replay,
                life.journal.append_replay(original, &envelope),
            ),
            None => (FrameKind::Envelope, life.journal.append(&envelope)),
        };
        let appended = appended?;
        let received_at = replayed.map_or(appended.recorded_at, |original| original.received_at);
        let sequence = appended.sequence.0;
        let mut rows: Vec<(Key, Option<u64>)> = if is_broken {
            let key = Key {
                dataset: "rejects",
                name: format!(
                    "{}|0",
                    replayed.map_or(sequence, |original| original.sequence.0)
                ),
                time: received_at,
            };
            vec![(key, None)]
        } else {
            let (namespace, time) = match source {
                "timeless" => ("t", received_at),
                _ => ("g", time),
            };
            let key = |dataset, property: &str| Key {
                dataset,
                name: format!("{namespace}-{device}|{property}"),
                time,
            };
            let heat = (key("heat", "air_temperature"), Some(heat.to_bits()));
            let air = air.map(|air| (key("air", "co2"), Some(air.to_bits())));
            std::iter::once(heat).chain(air).collect()
        };
        if let Some(confirmed) = confirmed {
            rows.retain(|(key, _)| confirmed.contains(key.dataset));
        }
        let frame = Frame {
            kind,
            recorded_at: appended.recorded_at,
            payload: payload.into_bytes(),
            event: Some(Event::Rows {
                source,
                licence,
                received_at,
                recorded_at: appended.recorded_at,
                confirms: confirmed.is_some(),
                rows,
            }),
        };
        let replaced = self.appended.insert(sequence, frame);
        assert!(replaced.is_none(), "sequence {sequence} is given out twice");
        Ok(())
    }

    /// The journal's writer: a group becomes durable, or not.
    fn write(&mut self, life: &mut Life) -> bool {
        let written = life.journal.write_group();
        match &written {
            Ok(written) => self.note(format!("wrote a group: {written}")),
            Err(error) => self.refuse("writing a group", error),
        }
        true
    }

    fn pipeline(&mut self, life: &mut Life) -> bool {
        for _ in 0..self.rng.random_range(1..6) {
            match life.runner.step() {
                Ok(step) => self.note(format!("pipeline: {step:?}")),
                Err(error) => {
                    self.refuse("the pipeline", &error);
                    return false;
                }
            }
            self.check(life);
        }
        true
    }

    fn run_commits(&mut self, life: &mut Life) -> bool {
        let mut ran = 0;
        let most = self.rng.random_range(1..4);
        while ran < most && life.runner.lake().run_commit_job() {
            ran += 1;
        }
        self.note(format!("{ran} commit jobs"));
        true
    }

    fn let_time_go_by(&mut self, life: &mut Life) -> bool {
        let by = match self.rng.random_range(0..10) {
            0..=6 => self.rng.random_range(SECOND..100 * SECOND),
            7..=8 => self.rng.random_range(MINUTE..20 * MINUTE),
            _ => self.rng.random_range(HOUR..2 * HOUR),
        };
        // A job takes seconds, not hours.
        self.waited += by;
        if self.waited > 150 * SECOND {
            while life.runner.lake().run_commit_job() {}
            self.waited = 0;
        }
        self.machine.lake_clock.advance(by);
        self.machine.journal_clock.advance(by);
        self.note(format!("{} s go by", by / SECOND));
        true
    }

    fn step_clock(&mut self) -> bool {
        let by = self.rng.random_range(-200 * SECOND..200 * SECOND);
        self.machine.journal_clock.step(by);
        self.note(format!("clock set by {} s", by / SECOND));
        true
    }

    fn ask_for_upkeep(&mut self, life: &mut Life) -> bool {
        let requests = [
            UpkeepRequest::Compact(None),
            UpkeepRequest::Compact(Some(DatasetId::new("heat"))),
            UpkeepRequest::Vacuum,
        ];
        let request = requests.choose(&mut self.rng).unwrap().clone();
        self.note(format!("asked for {request:?}"));
        life.runner.lake().request(request).unwrap();
        true
    }

    fn commit_all(&mut self, life: &mut Life) -> bool {
        match life.runner.commit_all() {
            Ok(Ok(())) => self.note("committed all"),
            Ok(Err(error)) => self.refuse("committing all", &error),
            Err(error) => {
                self.refuse("the pipeline", &error);
                return false;
            }
        }
        true
    }

    /// One chunk; no other where one failed, and nobody knows what has become of it.
    fn import(&mut self, life: &mut Life) -> bool {
        if !self.failed_imports.is_empty() {
            return true;
        }
        let (source, licence) = *SOURCES[..2].choose(&mut self.rng).unwrap();
        let dataset = *["heat", "air"].choose(&mut self.rng).unwrap();
        let property = if dataset == "heat" {
            "air_temperature"
        } else {
            "co2"
        };
        let declarations = declarations(self.precedence);
        let declaration = Arc::clone(&declarations.datasets[&DatasetId::new(dataset)]);
        let index = |name: &str| declaration.column_index(name).unwrap();
        let columns = ["sensor_id", "property", "time", "value"].map(index);
        let mut builder = RowsBuilder::new(declaration);
        let count = self.rng.random_range(1..30);
        let mut rows = BTreeMap::new();
        for _ in 0..count {
            let device = self.rng.random_range(0..5);
            let key = Key {
                dataset,
                name: format!("g-d{device}|{property}"),
                time: self.random_time(),
            };
            let value = *VALUES.choose(&mut self.rng).unwrap();
            rows.insert(key, (device, value));
        }
        for (key, (device, value)) in &rows {
            builder.set_text(columns[0], &format!("g-d{device}"));
            builder.set_text(columns[1], property);
            builder.set_int(columns[2], key.time);
            builder.set_float(columns[3], *value);
            builder.finish_row(0).unwrap();
        }
        // Mostly a row's own time stands for its receive time; else it is newer than many live ones.
        let received_at: Option<Vec<i64>> = self.rng.random_bool(0.3).then(|| {
            let now = self.machine.journal_clock.now();
            vec![now - self.rng.random_range(0..300 * SECOND); rows.len()]
        });
        self.numbered += 1;
        let id = format!("import {}", self.numbered);
        let consumed = rows.len() as u64;
        let chunk = ImportChunk {
            import_id: id.clone(),
            consumed,
            rows: builder.take(),
            source: source.into(),
            licence: licence.into(),
            received_at: received_at.clone(),
        };
        let before = life.journal.durable().0;
        let taken = life.runner.import(chunk);
        self.acknowledge(life);
        // The frame that the import wrote says when it was recorded.
        let (tick, recorded_at) = life.journal.durable();
        if tick > before {
            let frame = self.durable.entry(tick.0);
            frame.or_insert_with(|| Frame::tick(recorded_at));
        }
        let events = rows
            .into_iter()
            .enumerate()
            .map(|(row, (key, (_, value)))| {
                let received_at = received_at.as_ref().map_or(key.time, |times| times[row]);
                Event::Rows {
                    source,
                    licence,
                    received_at,
                    recorded_at,
                    confirms: false,
                    rows: vec![(key, Some(value.to_bits()))],
                }
            });
        let imported = Imported {
            after: life.runner.lake().through().0,
            dataset: DatasetId::new(dataset),
            id,
            consumed,
            events: events.collect(),
        };
        self.forget_fold();
        match taken {
            Ok(Ok(applied)) => {
                self.note(format!(
                    "imported {consumed} rows of {dataset}: {applied:?}"
                ));
                self.imported.push(imported);
                self.did.imports += 1;
                true
            }
            Ok(Err(error)) => {
                self.refuse("importing", &error);
                self.failed_imports.push(imported);
                self.did.failed_imports += 1;
                true
            }
            Err(error) => {
                self.refuse("importing", &error);
                self.failed_imports.push(imported);
                false
            }
        }
    }

    fn tick(&mut self, life: &mut Life) -> bool {
        self.machine.journal_clock.advance(SECOND);
        match life.journal.append_tick() {
            Ok(appended) => {
                let frame = Frame::tick(appended.recorded_at);
                self.appended.insert(appended.sequence.0, frame);
                self.note("tick");
            }
            Err(error) => self.refuse("a tick", &error),
        }
        true
    }

    /// A reload of the configuration, in which a source gets another precedence.
    fn declare(&mut self, life: &mut Life) -> bool {
        let payload = declarations(-self.precedence).to_bytes();
        let appended = match life.journal.append_declarations(&payload) {
            Ok(appended) => appended,
            Err(error) => {
                self.refuse("declaring", &error);
                return true;
            }
        };
        self.precedence = -self.precedence;
        let frame = Frame {
            kind: FrameKind::Declarations,
            recorded_at: appended.recorded_at,
            payload,
            event: Some(Event::Precedences {
                recorded_at: appended.recorded_at,
                of: BTreeMap::from([("official", self.precedence)]),
            }),
        };
        self.appended.insert(appended.sequence.0, frame);
        self.note(format!("declared precedence {}", self.precedence));
        true
    }

    /// Many small commits, so that the table log is checkpointed and cut.
    fn trickle(&mut self, life: &mut Life) -> bool {
        let commits = self.rng.random_range(10..60);
        self.note(format!("{commits} commits of nothing"));
        for _ in 0..commits {
            let went_on = self.tick(life) && self.write(life) && self.commit_all(life);
            if !went_on || self.machine.is_off() {
                return false;
            }
        }
        true
    }

    /// A reader takes a snapshot and keeps it.
    fn hold(&mut self, life: &mut Life) -> bool {
        self.note("a reader holds a snapshot");
        let now_ms = self.machine.lake_clock.now() / 1_000;
        self.held.push((now_ms, life.shared.load_full()));
        true
    }

    /// The disk is full, or has room again.
    fn fill_disk(&mut self) -> bool {
        let full = self.rng.random_bool(0.5);
        self.note(format!("the disk is full: {full}"));
        self.machine.files.set_bytes_max(full.then_some(0));
        true
    }

    /// Nothing fails any more, space is there: everything becomes durable, applied and committed without a restart.
    /// False where a fault of before ends the process.
    pub(super) fn settle(&mut self, life: &mut Life) -> bool {
        self.note("settle");
        self.machine.heal();
        self.machine.lake_clock.advance(2 * MINUTE);
        while life.journal.write_group().unwrap() {}
        self.tick(life);
        for _ in 0..200 {
            while life.journal.write_group().unwrap() {}
            self.acknowledge(life);
            match life.runner.step() {
                Ok(Step::Idle) => break,
                Ok(Step::Took | Step::Full) => while life.runner.lake().run_commit_job() {},
                Err(error) => {
                    self.refuse("the pipeline", &error);
                    return false;
                }
            }
            self.check(life);
        }
        loop {
            let stopped = match life.runner.commit_all() {
                Ok(Ok(())) => break,
                // What a process before had sent took the version: once more, or the next step asks for a restart.
                Ok(Err(LakeError::Conflict { .. })) if self.machine.is_store() => {
                    life.runner.step().map(drop)
                }
                Ok(Err(error)) => panic!("not committed: {error}"),
                Err(error) => Err(error),
            };
            if let Err(error) = stopped {
                self.refuse("the pipeline", &error);
                return false;
            }
        }
        self.check(life);
        let snapshot = life.shared.load_full();
        let (last, _) = life.journal.durable();
        for (id, table) in &snapshot.tables {
            assert_eq!(table.through, last, "everything is applied to {id}");
            assert!(table.hot.is_empty(), "everything of {id} is committed");
        }
        self.note("settled");
        true
    }

    /// Merges whatever can be merged; a day later vacuum finds everything that nothing needs.
    pub(super) fn tend_all(&mut self, life: &mut Life) {
        let ask = |life: &mut Life, request| life.runner.lake().request(request).unwrap();
        ask(life, UpkeepRequest::Compact(None));
        self.let_it_tend(life);
        self.machine.lake_clock.advance(25 * HOUR);
        self.let_it_tend(life);
        // What has just been replaced has to stay a little.
        self.machine.lake_clock.advance(20 * MINUTE);
        ask(life, UpkeepRequest::Vacuum);
        self.let_it_tend(life);
        let (compacted, vacuumed) = (
            life.runner.lake().compacted(),
            life.runner.lake().vacuumed(),
        );
        self.note(format!("{compacted:?} {vacuumed:?}"));
    }

    fn let_it_tend(&mut self, life: &mut Life) {
        for _ in 0..1_000 {
            life.runner.step().unwrap();
            self.check(life);
            let lake = life.runner.lake();
            let ran = lake.run_upkeep_job() | lake.run_commit_job();
            if !ran && !lake.is_tending() {
                return;
            }
            if !ran {
                // It may wait for the end of a pause.
                self.machine.lake_clock.advance(10 * SECOND);
            }
        }
        panic!("the upkeep comes to no end");
    }
}

//! Passes over a real lake in a folder, driven step by step; what they must come to is computed here, without plan and fold.

mod assess;
mod erase;
mod gather;
mod licences;
mod retention;
mod so_far;
mod waiting;

use std::cell::{Cell, RefCell};

use meetnet_lake::Lineage;
use meetnet_lake::committed::RowRange;
use meetnet_lake::lake::{DeclaredTables, Lake, LakeOptions, UpkeepRequest};
use meetnet_lake::storage::FolderStorage;
use meetnet_model::ids::Sequence;
use meetnet_model::rows::RowsBuilder;
use meetnet_testkit::garden::flag;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::*;
use crate::testing::{
    CELLS, HOUR, HOURS_AND_DAYS, LEVELS, MINUTE, START, WAVES_AND_GAPS, declaration, declared, text,
};

/// A lake of `heat`, its hours and its days, and time that passes by frames.
struct Scene {
    lake: RefCell<Lake>,
    storage: Arc<dyn LakeStorage>,
    datasets: Vec<Arc<DatasetDeclaration>>,
    heat: Arc<DatasetDeclaration>,
    sequence: Cell<u64>,
    now: Cell<i64>,
    erasures: Cell<u64>,
    /// Chunks that are still taken before one fails; none: all.
    fails_after: Cell<Option<u32>>,
    taken: Cell<u64>,
}

static NO_STOP: AtomicBool = AtomicBool::new(false);

/// What the table must answer: value by sensor and time.
type Stored = BTreeMap<(String, i64), f64>;

impl Scene {
    /// Returns a deriver that knows no position, and keeps a few pairs or as many as it does.
    fn deriver(&self, pairs_max: Option<usize>) -> Deriver {
        let mut deriver = Deriver::new(Arc::clone(&self.storage));
        deriver.pairs_max = pairs_max.unwrap_or(PAIRS_MAX);
        deriver
    }

    fn open(folder: &std::path::Path) -> Self {
        Self::of(folder, &["heat", "heat_days", "heat_hours"])
    }

    fn of(folder: &std::path::Path, ids: &[&str]) -> Self {
        Self::with(folder, ids, |_| {})
    }

    fn with(folder: &std::path::Path, ids: &[&str], change: impl FnOnce(&mut LakeOptions)) -> Self {
        let [hours, days] = HOURS_AND_DAYS;
        let [runs, gaps] = WAVES_AND_GAPS;
        let schemas = declared(&[hours, days, runs, gaps, CELLS, LEVELS]);
        let datasets: Vec<_> = ids.iter().map(|id| declaration(&schemas, id)).collect();
        let mut declarations = schemas.into_declarations([]);
        declarations
            .datasets
            .retain(|id, _| ids.contains(&id.as_str()));
        let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::new(folder.join("lake")));
        let tables = DeclaredTables::read(Arc::clone(&storage), Arc::new(declarations)).unwrap();
        let mut options = LakeOptions::new(Uuid::nil());
        options.limits.compaction = false;
        change(&mut options);
        Self {
            lake: RefCell::new(Lake::open(options, tables, Sequence::ZERO).unwrap()),
            storage,
            heat: Arc::clone(&datasets[0]),
            datasets,
            sequence: Cell::new(0),
            now: Cell::new(START + 3 * 24 * HOUR),
            erasures: Cell::new(0),
            fails_after: Cell::new(None),
            taken: Cell::new(0),
        }
    }

    /// The next frame: its sequence and when it is recorded.
    fn frame(&self) -> (Sequence, i64) {
        self.sequence.set(self.sequence.get() + 1);
        self.now.set(self.now.get() + 1);
        (Sequence(self.sequence.get()), self.now.get())
    }

    fn lineage(frame: (Sequence, i64), received_at: i64) -> Lineage {
        Lineage {
            sequence: frame.0,
            received_at,
            recorded_at: frame.1,
            source: "garden".into(),
            licence: "CC0-1.0".into(),
            precedence: 0,
            confirms: false,
        }
    }

    /// Applies one message of one sensor, at most once by its time.
    fn say(&self, sensor: &str, time: i64, value: f64) {
        self.say_under("CC0-1.0", sensor, time, value);
    }

    /// The same under a licence.
    fn say_under(&self, licence: &str, sensor: &str, time: i64, value: f64) {
        let mut builder = RowsBuilder::new(Arc::clone(&self.heat));
        let column = |name: &str| self.heat.column_index(name).unwrap();
        builder.set_text(column("sensor_id"), sensor);
        builder.set_text(column("property"), "air_temperature");
        builder.set_int(column("time"), time);
        builder.set_float(column("value"), value);
        builder.finish_row(0).unwrap();
        let frame = self.frame();
        let mut lake = self.lake.borrow_mut();
        let lineage = [Lineage {
            licence: licence.into(),
            ..Self::lineage(frame, frame.1)
        }];
        lake.apply(&builder.take(), &lineage, &mut flag).unwrap();
        lake.advance(frame.0, frame.1);
    }

    /// Lets time pass without a message.
    fn pass_time(&self, until: i64) {
        self.now.set(until.max(self.now.get()));
        let frame = self.frame();
        self.lake.borrow_mut().advance(frame.0, frame.1);
    }

    fn commit(&self) {
        self.lake.borrow_mut().commit_all().unwrap();
    }

    fn compact(&self) {
        let mut lake = self.lake.borrow_mut();
        lake.request(UpkeepRequest::Compact(None)).unwrap();
        while lake.is_tending() {
            lake.tick().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn round(&self, deriver: &mut Deriver) -> Round {
        deriver
            .round(&self.datasets, self, self.now.get(), &NO_STOP)
            .unwrap()
    }

    /// Derives until nothing is left but what waits.
    fn settle(&self, deriver: &mut Deriver) {
        for _ in 0..4 {
            let round = self.round(deriver);
            assert!(round.failed.is_empty(), "{:?}", round.failed);
        }
        assert!(self.round(deriver).rows.is_empty());
    }

    /// Committed current rows of a table as text.
    fn rows(&self, dataset: &str, columns: &[&str]) -> Vec<String> {
        let mut reader = LakeReader::open(Arc::clone(&self.storage)).unwrap();
        let snapshot = reader.refresh().unwrap();
        let committed = CommittedRows::new(&snapshot.tables[&DatasetId::new(dataset)]).unwrap();
        let range = RowRange {
            from: i64::MIN,
            to: i64::MAX,
            leading: None,
        };
        let mut rows = committed.in_range(columns, range).unwrap();
        let mut found = Vec::new();
        while let Some(batch) = rows.next_batch().unwrap() {
            found.extend(text(&batch));
        }
        found
    }

    /// How many rows of a table have been replaced.
    fn superseded(&self, dataset: &str) -> u64 {
        let mut reader = LakeReader::open(Arc::clone(&self.storage)).unwrap();
        let snapshot = reader.refresh().unwrap();
        let files = snapshot.tables[&DatasetId::new(dataset)].files.iter();
        files
            .filter(|file| file.superseded)
            .map(|file| file.rows)
            .sum()
    }

    fn hours(&self) -> Vec<String> {
        self.rows("heat_hours", &["n", "coverage", "mean", "min", "max"])
    }

    fn days(&self) -> Vec<String> {
        self.rows(
            "heat_days",
            &["coverage", "min", "mean", "mean_8h", "tropical"],
        )
    }
}

impl DerivedTables for Scene {
    type Error = LakeError;

    fn erasures(&self) -> Result<u64, LakeError> {
        Ok(self.erasures.get())
    }

    fn position(&self, dataset: &DatasetId, position_id: &str) -> Result<Option<u64>, LakeError> {
        Ok(self.lake.borrow().import_position(dataset, position_id))
    }

    fn take(&self, chunk: DerivedChunk) -> Result<(), LakeError> {
        match self.fails_after.get() {
            Some(0) => return Err(LakeError::Usage("the disk is full".to_owned())),
            Some(left) => self.fails_after.set(Some(left - 1)),
            None => {}
        }
        assert_eq!(chunk.erasures, self.erasures.get());
        let frame = self.frame();
        let mut lake = self.lake.borrow_mut();
        lake.advance(frame.0, frame.1);
        let mut rows = chunk.rows;
        let count = rows.batch.num_rows();
        rows.envelopes = (0..count as u32).collect();
        let lineage = Lineage {
            licence: chunk.licence.clone(),
            ..Self::lineage(frame, chunk.through)
        };
        let lineage = vec![lineage; count];
        lake.import(
            &chunk.position_id,
            chunk.position,
            &rows,
            &lineage,
            &mut flag,
        )?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(())
    }
}

/// Returns the rows that hours must have.
fn expected_hours(stored: &Stored) -> Vec<String> {
    let mut hours: BTreeMap<(&str, i64), Vec<(i64, f64)>> = BTreeMap::new();
    for ((sensor, time), value) in stored {
        let start = time.div_euclid(HOUR) * HOUR;
        hours
            .entry((sensor.as_str(), start))
            .or_default()
            .push((time - start, *value));
    }
    let lines = hours.iter().map(|((sensor, start), values)| {
        let thirds: std::collections::BTreeSet<i64> =
            values.iter().map(|(at, _)| at / (20 * MINUTE)).collect();
        let sum = values.iter().fold(0.0, |sum, (_, value)| sum + value);
        let extreme = |join: fn(f64, f64) -> f64| {
            values.iter().map(|(_, value)| *value).reduce(join).unwrap()
        };
        format!(
            "{sensor} {}h {} {:?} {:?} {:?} {:?} CC0-1.0",
            (start - START) / HOUR,
            values.len(),
            thirds.len() as f64 / 3.0,
            sum / values.len() as f64,
            extreme(f64::min),
            extreme(f64::max),
        )
    });
    lines.collect()
}

/// Returns the rows that days must have. In January local days begin at 23:00Z.
fn expected_days(stored: &Stored) -> Vec<String> {
    /// Whether it counts, mean, least.
    type Hour = (bool, f64, f64);
    let mut hours: BTreeMap<(String, i64), Hour> = BTreeMap::new();
    for line in expected_hours(stored) {
        let cells: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| cells[at].parse::<f64>().unwrap();
        let hour: i64 = cells[1].trim_end_matches('h').parse().unwrap();
        hours.insert(
            (cells[0].to_owned(), hour),
            (number(3) >= 0.5, number(4), number(5)),
        );
    }
    let mut days: BTreeMap<(String, i64), Vec<Hour>> = BTreeMap::new();
    for ((sensor, hour), values) in &hours {
        let day = (hour + 1).div_euclid(24) * 24 - 1;
        days.entry((sensor.clone(), day)).or_default().push(*values);
    }
    let lines = days.iter().map(|((sensor, day), all)| {
        let counting: Vec<_> = all.iter().filter(|(counts, ..)| *counts).collect();
        let least = counting.iter().map(|(.., min)| *min).reduce(f64::min);
        let sum = counting.iter().fold(0.0, |sum, (_, mean, _)| sum + mean);
        let mean = (!counting.is_empty()).then(|| sum / counting.len() as f64);
        let running = (day + 1..=day + 24).filter_map(|end| {
            let of_hours = hours.range((sensor.clone(), end - 8)..(sensor.clone(), end));
            let means: Vec<f64> = of_hours
                .filter(|(_, (counts, ..))| *counts)
                .map(|(_, (_, mean, _))| *mean)
                .collect();
            (means.len() >= 6)
                .then(|| means.iter().fold(0.0, |sum, mean| sum + mean) / means.len() as f64)
        });
        let float = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:?}"));
        format!(
            "{sensor} {day}h {:?} {} {} {} {} CC0-1.0",
            counting.len() as f64 / 24.0,
            float(least),
            float(mean),
            float(running.reduce(f64::max)),
            least.map_or("-".to_owned(), |least| (least >= 20.0).to_string()),
        )
    });
    lines.collect()
}

/// Returns the rows that runs of days must have: a day with 24.6 or more lies in one where a stretch of two or three such days
/// with 24.8 among them holds it.
fn expected_runs(stored: &Stored) -> Vec<String> {
    let mut greatest: BTreeMap<(String, i64), f64> = BTreeMap::new();
    for ((sensor, time), value) in stored {
        let day = (time - START + HOUR).div_euclid(24 * HOUR);
        let of_day = greatest.entry((sensor.clone(), day)).or_insert(*value);
        *of_day = of_day.max(*value);
    }
    let lines = greatest.iter().map(|((sensor, day), value)| {
        let is_run = |from: i64, days: i64| {
            let of_days = (from..from + days).map(|day| greatest.get(&(sensor.clone(), day)));
            let of_days: Option<Vec<f64>> = of_days.map(Option::<&f64>::copied).collect();
            of_days.is_some_and(|values| {
                values.iter().all(|value| *value >= 24.6)
                    && values.iter().any(|value| *value >= 24.8)
            })
        };
        let lies_in = |days: i64| (day - days + 1..=*day).any(|from| is_run(from, days));
        format!(
            "{sensor} {}h {value:?} {} CC0-1.0",
            day * 24 - 1,
            lies_in(2) || lies_in(3)
        )
    });
    lines.collect()
}

/// Returns the rows that differences to sensor `a` must have.
fn expected_gaps(stored: &Stored) -> Vec<String> {
    let means: BTreeMap<(String, String), f64> = expected_hours(stored)
        .iter()
        .map(|line| {
            let cells: Vec<&str> = line.split(' ').collect();
            let key = (cells[0].to_owned(), cells[1].to_owned());
            (key, cells[4].parse().unwrap())
        })
        .collect();
    let lines = expected_hours(stored).into_iter().map(|line| {
        let cells: Vec<&str> = line.split(' ').collect();
        let key = |sensor: &str| (sensor.to_owned(), cells[1].to_owned());
        let mean = means[&key(cells[0])];
        let gap = means
            .get(&key("a"))
            .map_or("-".to_owned(), |of_a| format!("{:?}", mean - of_a));
        format!("{} {} {mean:?} {gap} CC0-1.0", cells[0], cells[1])
    });
    lines.collect()
}

/// Late and revised rows, commits, merges, passes, failures and restarts in any order come to what the rows say.
fn schedule(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let ids = [
        "heat",
        "heat_days",
        "heat_gaps",
        "heat_hours",
        "heat_levels",
        "heat_runs",
    ];
    let scene = Scene::of(folder.path(), &ids);
    // Some have no room for what waits.
    let pairs_max = seed.is_multiple_of(3).then_some(2);
    let mut deriver = scene.deriver(pairs_max);
    let mut stored = Stored::new();
    for _ in 0..400 {
        match random.random_range(0..100) {
            0..70 => {
                let sensor = ["a", "b", "c"][random.random_range(0..3)];
                let late = if random.random_bool(0.8) { 20 } else { 600 };
                let at = scene.now.get() - random.random_range(0..late) * 5 * MINUTE;
                let time = at.div_euclid(5 * MINUTE) * 5 * MINUTE;
                let value = f64::from(random.random_range(150_i32..250)) / 10.0;
                scene.say(sensor, time, value);
                stored.insert((sensor.to_owned(), time), value);
                scene
                    .now
                    .set(scene.now.get() + random.random_range(0..15) * MINUTE);
            }
            70..82 => scene.commit(),
            82..84 => scene.compact(),
            84..86 => deriver = scene.deriver(pairs_max),
            86..90 => {
                scene.fails_after.set(Some(random.random_range(0..2)));
                scene.round(&mut deriver);
                scene.fails_after.set(None);
            }
            _ => {
                let round = scene.round(&mut deriver);
                assert!(round.failed.is_empty(), "seed {seed}: {:?}", round.failed);
            }
        }
    }
    scene.pass_time(scene.now.get() + 3 * 24 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    assert_eq!(scene.hours(), expected_hours(&stored), "seed {seed}");
    // Days follow what was committed of the hours.
    scene.pass_time(scene.now.get() + 3 * 24 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    assert_eq!(scene.days(), expected_days(&stored), "seed {seed}");
    let runs = scene.rows("heat_runs", &["max", "wave"]);
    assert_eq!(runs, expected_runs(&stored), "seed {seed}");
    let gaps = scene.rows("heat_gaps", &["mean", "gap"]);
    assert_eq!(gaps, expected_gaps(&stored), "seed {seed}");
    assert_eq!(
        scene.levels(),
        so_far::expected_levels(&stored),
        "seed {seed}"
    );
    // Somebody who knows nothing but the tables finds nothing to add.
    let versions = scene.superseded("heat_hours");
    scene.settle(&mut Deriver::new(Arc::clone(&scene.storage)));
    assert_eq!(scene.hours(), expected_hours(&stored), "seed {seed}");
    assert_eq!(scene.superseded("heat_hours"), versions, "seed {seed}");
}

#[test]
fn every_schedule_comes_to_what_a_rebuild_would() {
    for seed in 0..12 {
        schedule(seed);
    }
}

#[test]
fn a_row_appears_after_its_interval_and_grace_and_is_revised_by_what_is_late() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::open(folder.path());
    let mut deriver = Deriver::new(Arc::clone(&scene.storage));
    let hour = START + 72 * HOUR;
    scene.say("a", hour, 20.0);
    scene.say("a", hour + 30 * MINUTE, 22.0);
    scene.pass_time(hour + HOUR + 9 * MINUTE);
    scene.commit();
    scene.settle(&mut deriver);
    assert!(scene.hours().is_empty());
    scene.pass_time(hour + HOUR + 10 * MINUTE);
    scene.commit();
    scene.settle(&mut deriver);
    assert_eq!(
        scene.hours(),
        ["a 72h 2 0.6666666666666666 21.0 20.0 22.0 CC0-1.0"]
    );
    // Late: the same row again, as a revision.
    scene.say("a", hour + 50 * MINUTE, 27.0);
    scene.pass_time(0);
    scene.commit();
    assert!(scene.round(&mut deriver).rows.is_empty(), "it waits");
    scene.now.set(scene.now.get() + MINUTE);
    assert_eq!(
        scene.round(&mut deriver).rows,
        BTreeMap::from([(DatasetId::new("heat_hours"), 1)])
    );
    assert_eq!(scene.hours(), ["a 72h 3 1.0 23.0 20.0 27.0 CC0-1.0"]);
    assert_eq!(
        scene.superseded("heat_hours"),
        1,
        "the row that was the answer is kept"
    );
    // A merge, and a message that says what is known, are nothing.
    let taken = scene.taken.get();
    scene.compact();
    scene.say("a", hour, 20.0);
    scene.commit();
    scene.settle(&mut deriver);
    assert_eq!(scene.taken.get(), taken);
}

#[test]
fn another_rule_is_another_position_and_only_what_differs_is_revised() {
    let folder = tempfile::tempdir().unwrap();
    let mut scene = Scene::open(folder.path());
    let mut deriver = Deriver::new(Arc::clone(&scene.storage));
    for hour in 60..72 {
        scene.say("a", START + hour * HOUR, 20.0);
    }
    scene.say("b", START + 70 * HOUR, 21.0);
    scene.say("b", START + 70 * HOUR + 10 * MINUTE, 22.0);
    scene.pass_time(START + 80 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    let hours = Arc::make_mut(&mut scene.datasets[2]);
    let rules = &mut hours.derive.as_mut().unwrap().columns;
    rules.insert(
        "max".to_owned(),
        meetnet_model::derivation::ColumnRule::Min("value".to_owned()),
    );
    let round = scene.round(&mut deriver);
    let computed = BTreeMap::from([(DatasetId::new("heat_hours"), 13)]);
    assert_eq!(round.rows, computed, "every hour is computed again");
    scene.settle(&mut deriver);
    assert_eq!(
        scene.superseded("heat_hours"),
        1,
        "one of them has another value"
    );
    assert!(
        scene
            .hours()
            .contains(&"b 70h 2 0.3333333333333333 21.5 21.0 21.0 CC0-1.0".to_owned())
    );
}

#[test]
fn a_rule_that_is_taken_back_is_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut scene = Scene::open(folder.path());
    let mut deriver = Deriver::new(Arc::clone(&scene.storage));
    scene.say("a", START + 60 * HOUR, 20.0);
    scene.say("a", START + 60 * HOUR + MINUTE, 22.0);
    scene.pass_time(START + 80 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    let max_of = |rule: fn(String) -> meetnet_model::derivation::ColumnRule, scene: &mut Scene| {
        let hours = Arc::make_mut(&mut scene.datasets[2]);
        let rules = &mut hours.derive.as_mut().unwrap().columns;
        rules.insert("max".to_owned(), rule("value".to_owned()));
    };
    let max = |scene: &Scene| scene.rows("heat_hours", &["max"]);
    let (by_max, by_min) = ("a 60h 22.0 CC0-1.0", "a 60h 20.0 CC0-1.0");
    assert_eq!(max(&scene), [by_max]);
    for restarts in [false, true] {
        let mut next = |scene: &Scene| {
            if restarts {
                deriver = Deriver::new(Arc::clone(&scene.storage));
            }
            scene.settle(&mut deriver);
        };
        max_of(meetnet_model::derivation::ColumnRule::Min, &mut scene);
        next(&scene);
        assert_eq!(max(&scene), [by_min], "restarts: {restarts}");
        max_of(meetnet_model::derivation::ColumnRule::Max, &mut scene);
        next(&scene);
        assert_eq!(max(&scene), [by_max], "restarts: {restarts}");
    }
}

#[test]
fn a_pass_that_is_told_to_stop_takes_up_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::open(folder.path());
    let mut deriver = Deriver::new(Arc::clone(&scene.storage));
    scene.say("a", START + 60 * HOUR, 20.0);
    scene.pass_time(START + 80 * HOUR);
    scene.commit();
    let stop = AtomicBool::new(true);
    let round = deriver
        .round(&scene.datasets, &scene, scene.now.get(), &stop)
        .unwrap();
    assert!(round.rows.is_empty() && round.failed.is_empty());
    scene.settle(&mut deriver);
    assert_eq!(scene.hours().len(), 1);
}

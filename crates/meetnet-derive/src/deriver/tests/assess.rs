//! Figures about `heat` after any schedule; what they must be is computed here from what was said, without plan and fold.

use std::collections::BTreeSet;

use super::*;

const DAY: i64 = 24 * HOUR;
/// As `data_quality` declares them: after six hours, with the seven days before.
const GRACE: i64 = 6 * HOUR;
const ACTIVE_DAYS: i64 = 7;

const COLUMNS: [&str; 14] = [
    "rows",
    "passed",
    "suspect",
    "revisions",
    "slots",
    "slots_expected",
    "completeness",
    "timed",
    "lateness_p50_s",
    "lateness_p90_s",
    "lateness_p99_s",
    "sensors",
    "silent",
    "days",
];

/// What is stored of a key.
#[derive(Clone, Copy)]
struct Said {
    value: f64,
    received_at: i64,
    revisions: i64,
}

type History = BTreeMap<(String, i64), Said>;

/// What must be said of one day.
#[derive(Default)]
struct Expected {
    rows: i64,
    revisions: i64,
    slots: i64,
    slots_expected: i64,
    late: Vec<i64>,
    sensors: i64,
    silent: i64,
    days: i64,
}

impl Expected {
    fn of_day(history: &History, day: i64) -> Self {
        let in_days = |days: std::ops::RangeInclusive<i64>| {
            history
                .iter()
                .filter(move |((_, time), _)| days.contains(&time.div_euclid(DAY)))
        };
        let sensors = |days: std::ops::RangeInclusive<i64>| -> BTreeSet<&str> {
            in_days(days)
                .map(|((sensor, _), _)| sensor.as_str())
                .collect()
        };
        let hours: BTreeSet<(&str, i64)> = in_days(day..=day)
            .map(|((sensor, time), _)| (sensor.as_str(), time.div_euclid(HOUR)))
            .collect();
        let present = sensors(day..=day);
        let known = sensors(day - ACTIVE_DAYS..=day);
        Self {
            rows: in_days(day..=day).count() as i64,
            revisions: in_days(day..=day).map(|(_, said)| said.revisions).sum(),
            slots: hours.len() as i64,
            slots_expected: 24 * known.len() as i64,
            late: in_days(day..=day)
                .map(|((_, time), said)| said.received_at - time)
                .filter(|late| *late != 0)
                .collect(),
            sensors: present.len() as i64,
            silent: known.difference(&present).count() as i64,
            days: 1,
        }
    }

    fn add(&mut self, day: &Self) {
        self.rows += day.rows;
        self.revisions += day.revisions;
        self.slots += day.slots;
        self.slots_expected += day.slots_expected;
        self.late.extend(&day.late);
        self.sensors = self.sensors.max(day.sensors);
        self.silent = day.silent;
        self.days += day.days;
    }

    fn text(&self, period: &str, time: i64) -> String {
        let mut late = self.late.clone();
        late.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (late.len() * percent).div_ceil(100);
            let exact = late.get(rank.checked_sub(1)?)?;
            let exact = *exact as f64 / 1e6;
            (0..97)
                .map(|class| (f64::from(class) / 4.0).exp2())
                .find(|bound| *bound >= exact)
        };
        let float = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:?}"));
        let completeness =
            (self.slots_expected > 0).then(|| self.slots as f64 / self.slots_expected as f64);
        format!(
            "heat {period} {}h {rows} {rows} 0 {} {} {} {} {} {} {} {} {} {} {} CC0-1.0",
            (time - START) / HOUR,
            self.revisions,
            self.slots,
            self.slots_expected,
            float(completeness),
            late.len(),
            float(percentile(50)),
            float(percentile(90)),
            float(percentile(99)),
            self.sensors,
            self.silent,
            self.days,
            rows = self.rows,
        )
    }
}

/// Returns the rows that there must be, in the order of the key.
fn expected(history: &History, through: i64) -> Vec<String> {
    let days_of = history.keys().map(|(_, time)| time.div_euclid(DAY));
    let (first, last) = (days_of.clone().min().unwrap(), days_of.max().unwrap());
    let days: BTreeMap<i64, Expected> = (first..=last + ACTIVE_DAYS)
        .filter(|day| (day + 1) * DAY + GRACE <= through)
        .map(|day| (day, Expected::of_day(history, day)))
        .filter(|(_, day)| day.rows > 0 || day.silent > 0)
        .collect();
    let mut all = Expected::default();
    // January 2026 ends 31 days after the start, February 28 days later.
    let mut months = [Expected::default(), Expected::default()];
    for (day, expected) in &days {
        all.add(expected);
        months[usize::from(day * DAY >= START + 31 * DAY)].add(expected);
    }
    let mut lines = vec![all.text("all", 0)];
    lines.extend(
        days.iter()
            .map(|(day, of_day)| of_day.text("day", day * DAY)),
    );
    for (month, start) in months.iter().zip([START, START + 31 * DAY]) {
        if month.days > 0 {
            lines.push(month.text("month", start));
        }
    }
    lines
}

fn schedule(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::of(folder.path(), &["heat", "data_quality"]);
    scene.now.set(START + 28 * DAY);
    let mut deriver = Deriver::new(Arc::clone(&scene.storage));
    let mut history = History::new();
    for _ in 0..300 {
        match random.random_range(0..100) {
            0..70 => {
                // A few come days late, of sensors that those days did not expect.
                let (sensors, late) = match random.random_range(0..100) {
                    0..78 => (["a", "b", "c", "d"], 20),
                    78..97 => (["a", "b", "c", "d"], 600),
                    _ => (["e", "f", "g", "h"], 3_000),
                };
                let sensor = sensors[random.random_range(0..4)];
                let at = scene.now.get() - random.random_range(0..late) * 5 * MINUTE;
                let time = at.div_euclid(5 * MINUTE) * 5 * MINUTE;
                let value = f64::from(random.random_range(0_i32..3));
                scene.say(sensor, time, value);
                let new = Said {
                    value,
                    received_at: scene.now.get(),
                    revisions: 0,
                };
                history
                    .entry((sensor.to_owned(), time))
                    .and_modify(|said| {
                        if said.value != value {
                            let revisions = said.revisions + 1;
                            *said = Said { revisions, ..new };
                        }
                    })
                    .or_insert(new);
                let minutes = random.random_range(0..30);
                scene.now.set(scene.now.get() + minutes * MINUTE);
            }
            70..72 => scene.now.set(scene.now.get() + DAY),
            72..84 => scene.commit(),
            84..86 => deriver = Deriver::new(Arc::clone(&scene.storage)),
            86..90 => {
                scene.fails_after.set(Some(0));
                scene.round(&mut deriver);
                scene.fails_after.set(None);
            }
            _ => {
                let round = scene.round(&mut deriver);
                assert!(round.failed.is_empty(), "seed {seed}: {:?}", round.failed);
            }
        }
    }
    scene.pass_time(scene.now.get() + 3 * DAY);
    let through = scene.now.get();
    scene.commit();
    scene.settle(&mut deriver);
    let rows = || scene.rows("data_quality", &COLUMNS);
    assert_eq!(rows(), expected(&history, through), "seed {seed}");
    // Somebody who knows nothing but the tables finds nothing to add.
    let versions = scene.superseded("data_quality");
    scene.settle(&mut Deriver::new(Arc::clone(&scene.storage)));
    assert_eq!(rows(), expected(&history, through), "seed {seed}");
    assert_eq!(scene.superseded("data_quality"), versions, "seed {seed}");
}

#[test]
fn figures_of_every_schedule_are_those_of_what_is_stored() {
    for seed in 0..8 {
        schedule(seed);
    }
}

#[test]
fn a_day_is_said_when_it_is_over_and_again_when_something_comes_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::of(folder.path(), &["heat", "data_quality"]);
    let mut deriver = Deriver::new(Arc::clone(&scene.storage));
    let day = START + 3 * DAY;
    scene.now.set(day + HOUR);
    scene.say("a", day, 20.0);
    scene.say("b", day - DAY, 20.0);
    let rows_at = |at: i64, deriver: &mut Deriver| {
        scene.pass_time(at);
        scene.commit();
        scene.settle(deriver);
        let rows = scene.rows("data_quality", &["rows", "sensors", "silent"]);
        let of_days = rows.into_iter().filter(|row| row.contains(" day "));
        of_days.collect::<Vec<_>>()
    };
    let before = "heat day 48h 1 1 0 CC0-1.0".to_owned();
    let figures = rows_at(day + DAY + 5 * HOUR, &mut deriver);
    assert_eq!(figures, std::slice::from_ref(&before));
    let said = "heat day 72h 1 1 1 CC0-1.0".to_owned();
    assert_eq!(
        rows_at(day + DAY + 7 * HOUR, &mut deriver),
        [before.clone(), said.clone()]
    );
    // What is late counts, but not before an hour has passed since the last look.
    scene.say("b", day + HOUR, 20.0);
    assert_eq!(
        rows_at(day + DAY + 7 * HOUR + 30 * MINUTE, &mut deriver),
        [before.clone(), said]
    );
    let late = "heat day 72h 2 2 0 CC0-1.0".to_owned();
    assert_eq!(rows_at(day + DAY + 9 * HOUR, &mut deriver), [before, late]);
}

#[test]
fn a_late_row_reaches_the_days_behind_it_only_where_they_did_not_expect_its_sensor() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::of(folder.path(), &["heat", "data_quality"]);
    let mut deriver = Deriver::new(Arc::clone(&scene.storage));
    let day = START + 3 * DAY;
    scene.now.set(day + 4 * DAY);
    for late in 0..4 {
        scene.say("a", day + late * DAY, 20.0);
    }
    scene.pass_time(day + 4 * DAY + 7 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    let mut made = |sensor: &str, time: i64| {
        scene.say(sensor, time, 20.0);
        scene.pass_time(scene.now.get() + 2 * HOUR);
        scene.commit();
        let round = scene.round(&mut deriver);
        round.rows.get(&DatasetId::new("data_quality")).copied()
    };
    // Beside the days, always its month and all.
    assert_eq!(made("a", day + HOUR), Some(1 + 2));
    assert_eq!(made("b", day + HOUR), Some(4 + 2));
    assert_eq!(made("b", day + 2 * HOUR), Some(1 + 2));
    // That they expect it for another day is not asked.
    assert_eq!(made("b", day + 2 * DAY), Some(2 + 2));
}

#[test]
fn after_much_has_come_its_days_do_not_wait_for_the_hour() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::of(folder.path(), &["heat", "data_quality"]);
    let mut deriver = Deriver::new(Arc::clone(&scene.storage));
    scene.now.set(START + 20 * DAY);
    let days = |deriver: &mut Deriver| {
        let round = scene.round(deriver);
        assert!(round.failed.is_empty(), "{:?}", round.failed);
        scene.commit();
        let rows = scene.rows("data_quality", &["rows"]);
        let days = rows.iter().filter(|row| row.starts_with("heat day "));
        days.filter(|row| !row.contains(" 0 CC0-1.0")).count()
    };
    // The first of an import: it is looked at at once.
    (0..120).for_each(|slot| scene.say("a", START + slot * 5 * MINUTE, 1.0));
    scene.pass_time(scene.now.get() + MINUTE);
    scene.commit();
    assert_eq!(days(&mut deriver), 1);
    // A row is no reason to look again, many are.
    scene.say("a", START + DAY, 1.0);
    scene.pass_time(scene.now.get() + 2 * MINUTE);
    scene.commit();
    assert_eq!(days(&mut deriver), 1);
    (0..120).for_each(|slot| scene.say("a", START + 2 * DAY + slot * 5 * MINUTE, 1.0));
    scene.pass_time(scene.now.get() + 2 * MINUTE);
    scene.commit();
    assert_eq!(days(&mut deriver), 3);
    // Nobody who has just begun knows what came meanwhile.
    scene.say("a", START + 3 * DAY, 1.0);
    scene.pass_time(scene.now.get() + 2 * MINUTE);
    scene.commit();
    assert_eq!(days(&mut deriver), 3);
    assert_eq!(days(&mut Deriver::new(Arc::clone(&scene.storage))), 4);
}

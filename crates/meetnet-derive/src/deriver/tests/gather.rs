//! Cells of `heat` and its hours after any schedule, moves of sensors among it; what they must be is computed here from what was
//! said, without plan and cells.

use arrow::array::{AsArray, RecordBatch};

use super::*;

const IDS: [&str; 4] = ["heat", "heat_cells", "heat_hours", "stations"];
/// A row without values.
const BLANK: &str = " 0 - - CC0-1.0";

/// Where a sensor stands: until when, and in which cell, by its id and from when.
type Stands = BTreeMap<(String, i64), (i64, Option<i64>)>;

fn cell_of(places: &Stands, sensor: &str, time: i64) -> Option<i64> {
    let before = places.range((sensor.to_owned(), i64::MIN)..=(sensor.to_owned(), time));
    let (_, (until, cell)) = before.last()?;
    cell.filter(|_| time < *until)
}

impl Scene {
    pub(super) fn say_place(&self, sensor: &str, from: i64, until: i64, cell: Option<i64>) {
        let stations = &self.datasets[3];
        assert_eq!(stations.id.as_str(), "stations");
        let column = |name: &str| stations.column_index(name).unwrap();
        let mut builder = RowsBuilder::new(Arc::clone(stations));
        builder.set_text(column("id"), sensor);
        builder.set_int(column("valid_from"), from);
        builder.set_int(column("valid_to"), until);
        if let Some(cell) = cell {
            builder.set_int(column("h3_r9"), cell);
        }
        builder.finish_row(0).unwrap();
        let frame = self.frame();
        let mut lake = self.lake.borrow_mut();
        let lineage = [Self::lineage(frame, frame.1)];
        lake.apply(&builder.take(), &lineage, &mut flag).unwrap();
        lake.advance(frame.0, frame.1);
    }

    pub(super) fn cells(&self) -> Vec<String> {
        self.rows("heat_cells", &["sensors", "mean", "max"])
    }
}

/// Returns the rows that there must be, but for those that have lost their input.
fn expected(stored: &Stored, places: &Stands) -> Vec<String> {
    let mut means: BTreeMap<(i64, i64), Vec<f64>> = BTreeMap::new();
    for line in expected_hours(stored) {
        let cells: Vec<&str> = line.split(' ').collect();
        let hour: i64 = cells[1].trim_end_matches('h').parse().unwrap();
        let coverage: f64 = cells[3].parse().unwrap();
        if let Some(cell) = cell_of(places, cells[0], START + hour * HOUR)
            && coverage >= 0.5
        {
            let of_cell = means.entry((cell, hour)).or_default();
            of_cell.push(cells[4].parse().unwrap());
        }
    }
    let mut greatest: BTreeMap<(i64, i64), f64> = BTreeMap::new();
    for ((sensor, time), value) in stored {
        if let Some(cell) = cell_of(places, sensor, *time) {
            let hour = (time - START).div_euclid(HOUR);
            let of_cell = greatest.entry((cell, hour)).or_insert(*value);
            *of_cell = of_cell.max(*value);
        }
    }
    let keys: std::collections::BTreeSet<&(i64, i64)> =
        means.keys().chain(greatest.keys()).collect();
    let float = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:?}"));
    keys.into_iter()
        .map(|key| {
            let (cell, hour) = key;
            let of_cell = means.get(key).map_or(&[][..], Vec::as_slice);
            let sum = of_cell.iter().fold(0.0, |sum, mean| sum + mean);
            let mean = (!of_cell.is_empty()).then(|| sum / of_cell.len() as f64);
            let max = greatest.get(key).copied();
            let count = of_cell.len();
            format!(
                "{cell} {hour}h {count} {} {} CC0-1.0",
                float(mean),
                float(max)
            )
        })
        .collect()
}

fn check(scene: &Scene, stored: &Stored, places: &Stands, what: &str) {
    let rows = scene.cells().into_iter();
    let with_values: Vec<String> = rows.filter(|row| !row.ends_with(BLANK)).collect();
    assert_eq!(with_values, expected(stored, places), "{what}");
}

fn schedule(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::of(folder.path(), &IDS);
    let pairs_max = seed.is_multiple_of(3).then_some(2);
    let mut deriver = scene.deriver(pairs_max);
    let (mut stored, mut places) = (Stored::new(), Stands::new());
    for _ in 0..300 {
        let sensor = ["a", "b", "c"][random.random_range(0..3)];
        match random.random_range(0..100) {
            0..62 => {
                let late = if random.random_bool(0.8) { 20 } else { 600 };
                let at = scene.now.get() - random.random_range(0..late) * 5 * MINUTE;
                let time = at.div_euclid(5 * MINUTE) * 5 * MINUTE;
                let value = f64::from(random.random_range(150_i32..250)) / 10.0;
                scene.say(sensor, time, value);
                stored.insert((sensor.to_owned(), time), value);
                let minutes = random.random_range(0..15);
                scene.now.set(scene.now.get() + minutes * MINUTE);
            }
            62..70 => {
                let from = START + [0, 60, 75, 90][random.random_range(0..4)] * HOUR;
                let until = from + [10, 500][random.random_range(0..2)] * HOUR;
                let cell = [Some(1), Some(2), None][random.random_range(0..3)];
                scene.say_place(sensor, from, until, cell);
                places.insert((sensor.to_owned(), from), (until, cell));
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
    for _ in 0..2 {
        scene.pass_time(scene.now.get() + 3 * 24 * HOUR);
        scene.commit();
        scene.settle(&mut deriver);
    }
    check(&scene, &stored, &places, &format!("seed {seed}"));
    // Somebody who knows nothing but the tables finds nothing to add.
    let versions = scene.superseded("heat_cells");
    scene.settle(&mut Deriver::new(Arc::clone(&scene.storage)));
    check(&scene, &stored, &places, &format!("seed {seed}, anew"));
    assert_eq!(scene.superseded("heat_cells"), versions, "seed {seed}");
}

#[test]
fn cells_of_every_schedule_are_what_stood_in_them() {
    for seed in 0..8 {
        schedule(seed);
    }
}

/// A scene with two sensors in one cell, each with a whole hour, of which one says what nobody may sell.
fn two_in_a_cell(folder: &std::path::Path) -> (Scene, Deriver) {
    let scene = Scene::of(folder, &IDS);
    let deriver = Deriver::new(Arc::clone(&scene.storage));
    let hour = START + 70 * HOUR;
    for sensor in ["a", "b"] {
        scene.say_place(sensor, START, START + 999 * HOUR, Some(7));
    }
    for minute in [0, 20, 40] {
        scene.say_under("CC-BY-4.0", "a", hour + minute * MINUTE, 20.0);
        scene.say_under("CC-BY-NC-4.0", "b", hour + minute * MINUTE, 24.0);
    }
    (scene, deriver)
}

fn settle_all(scene: &Scene, deriver: &mut Deriver) {
    for _ in 0..2 {
        scene.pass_time(scene.now.get() + 12 * HOUR);
        scene.commit();
        scene.settle(deriver);
    }
}

#[test]
fn what_nobody_may_sell_counts_by_an_agreement_only() {
    let folder = tempfile::tempdir().unwrap();
    let (mut scene, mut deriver) = two_in_a_cell(folder.path());
    settle_all(&scene, &mut deriver);
    assert_eq!(scene.cells(), ["7 70h 1 20.0 20.0 CC-BY-4.0"]);
    let cells = Arc::make_mut(&mut scene.datasets[1]);
    cells.gather.as_mut().unwrap().permission = Some("letter of 2026-03-01".to_owned());
    settle_all(&scene, &mut deriver);
    assert_eq!(scene.cells(), ["7 70h 2 22.0 24.0 CC-BY-NC-4.0"]);
    // What was made by the agreement goes with it.
    let cells = Arc::make_mut(&mut scene.datasets[1]);
    cells.gather.as_mut().unwrap().permission = None;
    settle_all(&scene, &mut deriver);
    assert_eq!(scene.cells(), ["7 70h 1 20.0 20.0 CC-BY-4.0"]);
}

#[test]
fn a_sensor_that_moves_takes_its_hours_along_and_leaves_no_value_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, mut deriver) = two_in_a_cell(folder.path());
    settle_all(&scene, &mut deriver);
    // It never stood there: the place of that time was wrong.
    scene.say_place("a", START, START + 999 * HOUR, Some(8));
    settle_all(&scene, &mut deriver);
    assert_eq!(
        scene.cells(),
        ["7 70h 0 - - CC-BY-4.0", "8 70h 1 20.0 20.0 CC-BY-4.0"]
    );
}

#[test]
fn a_place_that_changes_has_its_two_cells_gathered_and_no_others() {
    for is_restarted in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (scene, mut deriver) = two_in_a_cell(folder.path());
        scene.say("c", START + 70 * HOUR, 10.0);
        scene.say_place("c", START, START + 999 * HOUR, Some(9));
        settle_all(&scene, &mut deriver);
        if is_restarted {
            deriver = scene.deriver(None);
        }
        scene.say_place("a", START, START + 999 * HOUR, Some(8));
        scene.pass_time(0);
        scene.commit();
        let round = scene.round(&mut deriver);
        let gathered = round.rows.get(&DatasetId::new("heat_cells")).copied();
        // After a restart nobody knows where it stood: that of `c` is gathered, too.
        let expect = if is_restarted { 3 } else { 2 };
        assert_eq!(gathered, Some(expect), "{is_restarted}");
        let cells = [
            "7 70h 0 - - CC-BY-4.0",
            "8 70h 1 20.0 20.0 CC-BY-4.0",
            "9 70h 0 - 10.0 CC0-1.0",
        ];
        assert_eq!(scene.cells(), cells, "{is_restarted}");
    }
}

#[test]
fn after_an_erasure_everything_is_gathered_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, mut deriver) = two_in_a_cell(folder.path());
    scene.say("c", START + 71 * HOUR, 10.0);
    scene.say_place("c", START, START + 999 * HOUR, Some(9));
    settle_all(&scene, &mut deriver);
    let with_c = ["7 70h 1 20.0 20.0 CC-BY-4.0", "9 71h 0 - 10.0 CC0-1.0"];
    assert_eq!(scene.cells(), with_c);
    {
        let mut lake = scene.lake.borrow_mut();
        lake.settle().unwrap();
        for (dataset, column) in [
            ("heat_cells", "h3_r9"),
            ("heat_hours", "sensor_id"),
            ("heat", "sensor_id"),
        ] {
            let select = &mut |rows: &RecordBatch| -> Vec<bool> {
                let ids = rows.column_by_name("sensor_id");
                let ids = ids.map(|ids| ids.as_string::<i32>());
                let is_gone = |row: usize| ids.is_none_or(|ids| ids.value(row) == "a");
                (0..rows.num_rows()).map(is_gone).collect()
            };
            let dataset = DatasetId::new(dataset);
            let found = lake.find_rows(&dataset, &[column], select).unwrap();
            let erased = lake.erase_rows(&found, &[column], select);
            assert!(erased.unwrap().unwrap().rows > 0, "{dataset}");
        }
    }
    scene.erasures.set(1);
    settle_all(&scene, &mut deriver);
    assert_eq!(scene.cells(), with_c[1..]);
}

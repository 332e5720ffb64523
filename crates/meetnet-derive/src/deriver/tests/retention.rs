//! What a retention has dropped of an input: rows that were made of it stay, whatever comes late.

use std::time::{Duration, Instant};

use meetnet_lake::journal::system_monotonic_clock;
use meetnet_lake::lake::LakeClock;
use meetnet_model::derivation::ColumnRule;

use super::*;

const DAY: i64 = 24 * HOUR;
/// The clock of the lake: 2026-03-02.
const TODAY: i64 = START + 60 * DAY;

impl Scene {
    /// Names of the periods that a table has files of.
    fn periods(&self, dataset: &str) -> Vec<String> {
        let mut reader = LakeReader::open(Arc::clone(&self.storage)).unwrap();
        let snapshot = reader.refresh().unwrap();
        let files = snapshot.tables[&DatasetId::new(dataset)].files.iter();
        let periods: std::collections::BTreeSet<String> =
            files.map(|file| file.period.to_string()).collect();
        periods.into_iter().collect()
    }

    /// Keeps the observations of this month and the one before, and waits until January is gone.
    fn drop_january(&self) {
        let kept = Duration::from_micros((TODAY - (START + 32 * DAY)) as u64);
        let retention = [(DatasetId::new("heat"), kept)].into();
        self.lake.borrow_mut().retain(retention);
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.periods("heat") != ["2026-02"] {
            assert!(Instant::now() < deadline, "January goes");
            self.lake.borrow_mut().tick().unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Three observations of an hour: all that are expected.
    fn say_hour(&self, hour: i64) {
        for (minute, value) in [(0, 20.0), (20, 21.0), (40, 22.0)] {
            self.say("a", START + hour * HOUR + minute * MINUTE, value);
        }
    }

    /// Lets an hour pass, and derives.
    fn go_on(&self, deriver: &mut Deriver) {
        for _ in 0..3 {
            self.pass_time(self.now.get() + HOUR);
            self.commit();
            self.settle(deriver);
        }
    }
}

/// Returns a scene in which an hour of January and one of February have been said.
fn said(folder: &std::path::Path, ids: &[&str]) -> Scene {
    let scene = Scene::with(folder, ids, |options| {
        options.clock = LakeClock::new(Arc::new(|| TODAY), system_monotonic_clock());
    });
    scene.pass_time(START + 40 * DAY);
    scene.say_hour(20 * 24 + 10);
    scene.say_hour(33 * 24 + 10);
    scene.commit();
    scene
}

/// Returns one in which they are derived, and their days.
fn two_months(folder: &std::path::Path) -> (Scene, Deriver) {
    let scene = said(folder, &["heat", "heat_days", "heat_hours"]);
    let mut deriver = scene.deriver(None);
    scene.go_on(&mut deriver);
    assert_eq!(
        scene.hours(),
        [JANUARY, "a 802h 3 1.0 21.0 20.0 22.0 CC0-1.0"]
    );
    assert_eq!(scene.days().len(), 2);
    (scene, deriver)
}

const JANUARY: &str = "a 490h 3 1.0 21.0 20.0 22.0 CC0-1.0";

#[test]
fn a_late_row_of_a_dropped_period_replaces_nothing_that_was_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, mut deriver) = two_months(folder.path());
    let days = scene.days();
    scene.drop_january();
    for restarts in [false, true] {
        if restarts {
            deriver = scene.deriver(None);
        }
        let minute = if restarts { 10 } else { 5 };
        let value = if restarts { 50.0 } else { 49.0 };
        for hour in [490, 802] {
            scene.say("a", START + hour * HOUR + minute * MINUTE, value);
        }
        scene.commit();
        assert_eq!(scene.periods("heat"), ["2026-01", "2026-02"]);
        scene.go_on(&mut deriver);
        let february = if restarts {
            "a 802h 5 1.0 32.4 20.0 50.0 CC0-1.0"
        } else {
            "a 802h 4 1.0 28.0 20.0 49.0 CC0-1.0"
        };
        assert_eq!(scene.hours(), [JANUARY, february]);
        assert_eq!(scene.days()[0], days[0]);
        assert_ne!(scene.days()[1], days[1]);
    }
}

#[test]
fn a_rebuild_leaves_what_was_made_of_a_dropped_period() {
    let folder = tempfile::tempdir().unwrap();
    let (mut scene, mut deriver) = two_months(folder.path());
    scene.drop_january();
    scene.say("a", START + 490 * HOUR + 5 * MINUTE, 49.0);
    let hours = Arc::make_mut(&mut scene.datasets[2]);
    let rules = &mut hours.derive.as_mut().unwrap().columns;
    rules.insert("max".to_owned(), ColumnRule::Min("value".to_owned()));
    scene.commit();
    scene.go_on(&mut deriver);
    assert_eq!(
        scene.rows("heat_hours", &["max"]),
        ["a 490h 22.0 CC0-1.0", "a 802h 20.0 CC0-1.0"]
    );
}

#[test]
fn a_longer_retention_brings_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, mut deriver) = two_months(folder.path());
    scene.drop_january();
    scene.lake.borrow_mut().retain(BTreeMap::new());
    scene.lake.borrow_mut().tick().unwrap();
    scene.say("a", START + 490 * HOUR + 5 * MINUTE, 49.0);
    scene.commit();
    scene.go_on(&mut deriver);
    assert_eq!(scene.hours()[0], JANUARY);
}

#[test]
fn a_place_that_changed_leaves_the_cells_of_dropped_hours() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ["heat", "heat_cells", "heat_hours", "stations"];
    let scene = said(folder.path(), &ids);
    let mut deriver = scene.deriver(None);
    let until = START + 100 * DAY;
    scene.say_place("a", START, until, Some(1));
    scene.go_on(&mut deriver);
    let january = "1 490h 1 21.0 22.0 CC0-1.0";
    assert_eq!(scene.cells(), [january, "1 802h 1 21.0 22.0 CC0-1.0"]);
    scene.drop_january();
    scene.say("a", START + 490 * HOUR + 5 * MINUTE, 49.0);
    scene.say_place("a", START, until, Some(2));
    scene.go_on(&mut deriver);
    let february = ["1 802h 0 - - CC0-1.0", "2 802h 1 21.0 22.0 CC0-1.0"];
    assert_eq!(scene.cells(), [january, february[0], february[1]]);
}

#[test]
fn figures_of_a_dropped_day_stay() {
    let folder = tempfile::tempdir().unwrap();
    let scene = said(folder.path(), &["heat", "data_quality"]);
    let mut deriver = scene.deriver(None);
    let figures = |day: i64| -> Vec<String> {
        let rows = scene.rows("data_quality", &["rows", "sensors", "silent"]);
        let start = format!("heat day {}h ", 24 * day);
        let of_day = rows.into_iter().filter(|row| row.starts_with(&start));
        of_day.collect()
    };
    scene.go_on(&mut deriver);
    assert_eq!(figures(20), ["heat day 480h 3 1 0 CC0-1.0"]);
    assert_eq!(figures(33), ["heat day 792h 3 1 0 CC0-1.0"]);
    scene.drop_january();
    for hour in [490, 802] {
        scene.say("a", START + hour * HOUR + 5 * MINUTE, 49.0);
    }
    scene.go_on(&mut deriver);
    assert_eq!(figures(20), ["heat day 480h 3 1 0 CC0-1.0"]);
    assert_eq!(figures(33), ["heat day 792h 4 1 0 CC0-1.0"]);
}

//! Rows that say how far their day has come.

use super::*;

impl Scene {
    /// Committed current rows of `heat_levels` as text.
    pub(super) fn levels(&self) -> Vec<String> {
        self.rows(
            "heat_levels",
            &["n", "so_far", "warm", "warm_mean", "allowed", "too_warm"],
        )
    }
}

/// Returns the rows that days so far must have: of three days those count that have four values, and the day itself.
pub(super) fn expected_levels(stored: &Stored) -> Vec<String> {
    let mut days: BTreeMap<(String, i64), Vec<(i64, f64)>> = BTreeMap::new();
    for ((sensor, time), value) in stored {
        let since = time - START + HOUR;
        let day = (sensor.clone(), since.div_euclid(24 * HOUR));
        let of_day = days.entry(day).or_default();
        of_day.push((since.rem_euclid(24 * HOUR), *value));
    }
    let warm = |values: &[(i64, f64)]| values.iter().filter(|(_, value)| *value > 20.0).count();
    let lines = days.iter().map(|((sensor, day), values)| {
        let hours: std::collections::BTreeSet<i64> =
            values.iter().map(|(at, _)| at / HOUR).collect();
        let so_far = hours.len() as f64 / (hours.last().unwrap() + 1) as f64;
        let counting = (day - 2..=*day).filter_map(|at| {
            let values = days.get(&(sensor.clone(), at))?;
            (at == *day || values.len() >= 4).then(|| warm(values))
        });
        let counting: Vec<usize> = counting.collect();
        let mean = counting.iter().sum::<usize>() as f64 / counting.len() as f64;
        format!(
            "{sensor} air_temperature {}h {} {so_far:?} {} {mean:?} 2 {} CC0-1.0",
            day * 24 - 1,
            values.len(),
            warm(values),
            mean > 2.0
        )
    });
    lines.collect()
}

#[test]
fn a_row_that_says_how_far_its_day_has_come_does_not_wait_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::of(folder.path(), &["heat", "heat_levels"]);
    let mut deriver = scene.deriver(None);
    // The day begins at 71 h.
    let noon = START + 83 * HOUR;
    scene.say("a", noon, 21.0);
    scene.pass_time(noon + MINUTE);
    scene.commit();
    scene.settle(&mut deriver);
    let first = "a air_temperature 71h 1 0.07692307692307693 1 1.0 2 false CC0-1.0";
    assert_eq!(scene.levels(), [first]);
    for (hour, value) in [(1, 22.0), (2, 23.0)] {
        scene.say("a", noon + hour * HOUR, value);
    }
    scene.pass_time(noon + 3 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    let second = "a air_temperature 71h 3 0.2 3 3.0 2 true CC0-1.0";
    assert_eq!(scene.levels(), [second]);
    assert_eq!(scene.superseded("heat_levels"), 1);
    // Its end is nothing new.
    let taken = scene.taken.get();
    scene.pass_time(START + 99 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    assert_eq!(scene.taken.get(), taken);
    // What is late counts in the days that look back to it, too.
    scene.say("a", noon + 26 * HOUR, 21.0);
    for hour in [3, 4, 5] {
        scene.say("a", noon + hour * HOUR, 24.0);
    }
    scene.pass_time(noon + 27 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    let third = [
        "a air_temperature 71h 6 0.3333333333333333 6 6.0 2 true CC0-1.0",
        "a air_temperature 95h 1 0.06666666666666667 1 3.5 2 true CC0-1.0",
    ];
    assert_eq!(scene.levels(), third);
}

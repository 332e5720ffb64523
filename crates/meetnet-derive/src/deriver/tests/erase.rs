//! What is left of differences when their reference is erased.

use arrow::array::{AsArray, RecordBatch};

use super::*;

/// Erases rows of a table: all of them, or those of one sensor.
fn erase(scene: &Scene, dataset: &str, sensor: Option<&str>) {
    let columns = ["sensor_id"];
    let select = &mut |rows: &RecordBatch| -> Vec<bool> {
        let ids = rows.column_by_name("sensor_id").unwrap();
        let ids = ids.as_string::<i32>();
        let is_gone = |row: usize| sensor.is_none_or(|sensor| ids.value(row) == sensor);
        (0..rows.num_rows()).map(is_gone).collect()
    };
    let mut lake = scene.lake.borrow_mut();
    let found = lake
        .find_rows(&DatasetId::new(dataset), &columns, select)
        .unwrap();
    let erased = lake.erase_rows(&found, &columns, select).unwrap().unwrap();
    assert!(erased.rows > 0, "{dataset}");
}

#[test]
fn rows_that_went_with_their_reference_are_derived_anew_without_it() {
    let settle = |scene: &Scene, deriver: &mut Deriver| {
        for _ in 0..2 {
            scene.pass_time(scene.now.get() + 12 * HOUR);
            scene.commit();
            scene.settle(deriver);
        }
    };
    for is_restarted in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let scene = Scene::of(folder.path(), &["heat", "heat_gaps", "heat_hours"]);
        let mut deriver = Deriver::new(Arc::clone(&scene.storage));
        for (sensor, value) in [("a", 20.0), ("b", 21.5)] {
            scene.say(sensor, START + 70 * HOUR, value);
        }
        settle(&scene, &mut deriver);
        let gaps = || scene.rows("heat_gaps", &["mean", "gap"]);
        let with_a = ["a 70h 20.0 0.0 CC0-1.0", "b 70h 21.5 1.5 CC0-1.0"];
        assert_eq!(gaps(), with_a, "{is_restarted}");
        // With a later hour, what the first was made of was recorded before the position that the table has.
        scene.say("b", START + 95 * HOUR, 22.0);
        settle(&scene, &mut deriver);
        let later = "b 95h 22.0 - CC0-1.0";
        assert_eq!(gaps(), [with_a[0], with_a[1], later], "{is_restarted}");
        scene.lake.borrow_mut().settle().unwrap();
        erase(&scene, "heat_gaps", None);
        erase(&scene, "heat_hours", Some("a"));
        erase(&scene, "heat", Some("a"));
        scene.erasures.set(1);
        if is_restarted {
            deriver = Deriver::new(Arc::clone(&scene.storage));
        }
        settle(&scene, &mut deriver);
        let without_a = ["b 70h 21.5 - CC0-1.0", later];
        assert_eq!(gaps(), without_a, "{is_restarted}");
    }
}

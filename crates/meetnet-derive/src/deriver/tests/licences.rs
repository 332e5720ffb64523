//! Rows whose input comes under licences that do not go together.

use super::*;

#[test]
fn a_row_that_is_withheld_later_loses_its_values() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::open(folder.path());
    let mut deriver = scene.deriver(None);
    for sensor in ["a", "b"] {
        scene.say_under("CC-BY-NC-4.0", sensor, START + 60 * HOUR, 20.0);
    }
    scene.say_under("CC-BY-NC-4.0", "a", START + 61 * HOUR, 20.0);
    scene.pass_time(START + 80 * HOUR);
    scene.commit();
    scene.settle(&mut deriver);
    let others = [
        "a 61h 1 0.3333333333333333 20.0 20.0 20.0 CC-BY-NC-4.0",
        "b 60h 1 0.3333333333333333 20.0 20.0 20.0 CC-BY-NC-4.0",
    ];
    assert_eq!(scene.hours()[1..], others);
    // Nobody may hand on both together.
    scene.say_under("ODbL-1.0", "a", START + 60 * HOUR + MINUTE, 22.0);
    for is_restarted in [false, true] {
        if is_restarted {
            deriver = scene.deriver(None);
        }
        scene.pass_time(scene.now.get() + HOUR);
        scene.commit();
        scene.settle(&mut deriver);
        let hours = scene.hours();
        assert_eq!(hours[0], "a 60h 0 0.0 - - - CC-BY-NC-4.0");
        assert_eq!(hours[1..], others);
    }
    assert_eq!(scene.superseded("heat_hours"), 1);
}

use super::*;

/// A collection of one area of this geometry.
fn collection(name: &str, geometry: &str) -> String {
    format!(
        r#"{{"type": "FeatureCollection", "features": [
            {{"type": "Feature", "properties": {{"name": "{name}"}}, "geometry": {geometry}}}]}}"#
    )
}

#[test]
fn a_place_lies_in_an_area_but_not_in_its_hole() {
    let square = |from: f64, to: f64| {
        format!(
            "[[{from}, {from}], [{to}, {from}], [{to}, {to}], [{from}, {to}], [{from}, {from}]]"
        )
    };
    let (outer, hole, far) = (square(0.0, 10.0), square(4.0, 6.0), square(20.0, 21.0));
    let polygon = format!(r#"{{"type": "Polygon", "coordinates": [{outer}, {hole}]}}"#);
    let parts =
        format!(r#"{{"type": "MultiPolygon", "coordinates": [[{outer}, {hole}], [{far}]]}}"#);
    for (geometry, has_far) in [(polygon, false), (parts, true)] {
        let areas = read(&collection("Leuven", &geometry)).unwrap();
        assert_eq!(areas[0].name, "Leuven");
        for ((lon, lat), expect) in [
            ((1.0, 1.0), true),
            ((9.5, 5.0), true),
            ((5.0, 9.5), true),
            ((5.0, 5.0), false),
            ((-1.0, 5.0), false),
            ((11.0, 5.0), false),
            ((5.0, 11.0), false),
            ((20.5, 20.5), has_far),
        ] {
            assert_eq!(areas[0].holds(lon, lat), expect, "{lon} {lat}");
        }
    }
    // A triangle: the slanted edge counts, not the box around it.
    let triangle = r#"{"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]}"#;
    let areas = read(&collection("Herent", triangle)).unwrap();
    assert!(areas[0].holds(4.0, 4.0) && !areas[0].holds(6.0, 6.0));
}

#[test]
fn places_on_a_border_are_in_one_of_two_neighbours() {
    let square = |from: f64| {
        let to = from + 1.0;
        format!(
            r#"{{"type": "Polygon", "coordinates": [[[{from}, 0], [{to}, 0], [{to}, 1], [{from}, 1], [{from}, 0]]]}}"#
        )
    };
    let [west, east] =
        [square(0.0), square(1.0)].map(|square| read(&collection("x", &square)).unwrap());
    for step in 0..10 {
        let lat = f64::from(step) / 10.0;
        assert!(west[0].holds(1.0, lat) != east[0].holds(1.0, lat), "{lat}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let check = |text: &str, expect: &str| {
        let said = read(text).unwrap_err();
        assert!(said.starts_with(expect), "{said}");
    };
    check("{", "it is no JSON: ");
    check("[]", "it has no `features`");
    check(r#"{"features": []}"#, "it has no features");
    check(
        &collection(" ", "null"),
        "feature 1 of 1 has no property `name`",
    );
    let point = r#"{"type": "Point", "coordinates": [4.7, 50.88]}"#;
    check(
        &collection("x", point),
        "feature 1 of 1 is no Polygon or MultiPolygon",
    );
    let metres = r#"{"type": "Polygon", "coordinates": [[[173000, 174000], [173001, 174000], [173001, 174001]]]}"#;
    check(
        &collection("x", metres),
        "feature 1 of 1 has corners that are no degrees",
    );
    let corners = vec!["[4.7, 50.88]"; CORNERS_MAX + 1].join(",");
    let many = format!(r#"{{"type": "Polygon", "coordinates": [[{corners}]]}}"#);
    check(&collection("x", &many), "20001 corners are more than 20000");
}

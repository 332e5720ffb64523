use super::*;

fn check(polygon: &str, inside: &[(f64, f64)], outside: &[(f64, f64)]) {
    let parsed = Polygon::parse(polygon).unwrap();
    for (lon, lat) in inside {
        assert!(parsed.contains(*lon, *lat), "{lon} {lat} in {polygon}");
    }
    for (lon, lat) in outside {
        assert!(!parsed.contains(*lon, *lat), "{lon} {lat} not in {polygon}");
    }
}

#[test]
fn places_lie_in_polygons_or_not() {
    let square = "POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))";
    check(
        square,
        &[(1.0, 1.0), (3.9, 3.9)],
        &[(5.0, 1.0), (-1.0, 1.0), (1.0, 4.5), (f64::NAN, 1.0)],
    );
    let holed = "polygon ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 3 1, 3 3, 1 3, 1 1))";
    check(holed, &[(0.5, 2.0), (3.5, 2.0)], &[(2.0, 2.0)]);
    let two = "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 1, 0 0)), ((2 0, 3 0, 3 1, 2 1, 2 0)))";
    check(two, &[(0.5, 0.5), (2.5, 0.5)], &[(1.5, 0.5)]);
    let horseshoe = "POLYGON((0 0, 5 0, 5 5, 4 5, 4 1, 1 1, 1 5, 0 5, 0 0))";
    check(
        horseshoe,
        &[(0.5, 4.0), (4.5, 4.0), (2.0, 0.5)],
        &[(2.0, 4.0)],
    );
    let json =
        r#"{"type": "Polygon", "coordinates": [[[0, 0], [4, 0, 17], [4, 4], [0, 4], [0, 0]]]}"#;
    check(json, &[(1.0, 1.0)], &[(5.0, 1.0)]);
    let feature = r#"{"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon",
        "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]], [[[2, 0], [3, 0], [3, 1], [2, 0]]]]}}"#;
    check(feature, &[(0.9, 0.5), (2.9, 0.5)], &[(1.9, 0.5)]);
}

#[test]
fn a_place_on_an_edge_lies_in_one_of_its_neighbours() {
    let west = Polygon::parse("POLYGON((0 0, 2 0, 2 2, 0 2, 0 0))").unwrap();
    let east = Polygon::parse("POLYGON((2 0, 4 0, 4 2, 2 2, 2 0))").unwrap();
    for lat in [0.5, 1.0, 1.5] {
        assert!(west.contains(2.0, lat) != east.contains(2.0, lat), "{lat}");
    }
}

#[test]
fn what_is_no_polygon_is_refused() {
    for (text, expected) in [
        ("", "no polygon"),
        ("POINT(1 1)", "no polygon"),
        ("POLYGON", "four corners"),
        ("POLYGON()", "four corners"),
        ("POLYGON((0 0, 1 0, 1 1, 0 0)", "parentheses"),
        ("POLYGON((0 0, 1 0, 1 1, 0 0)))", "parentheses"),
        ("POLYGON((0 0, 1 0, 1 1, 0 0)) x", "parentheses"),
        ("POLYGON(((0 0, 1 0, 1 1, 0 0)))", "parentheses"),
        ("MULTIPOLYGON((0 0, 1 0, 1 1, 0 0))", "between rings"),
        ("POLYGON((0 0, 1 0, 0 0))", "four corners"),
        ("POLYGON((0 0, 1, 1 1, 0 0))", "lon lat"),
        ("POLYGON((0 0 0, 1 0 0, 1 1 0, 0 0 0))", "lon lat"),
        ("POLYGON((0 0, 1 0, 1 inf, 0 0))", "finite"),
        ("{", "GeoJSON"),
        (r#"{"type": "Point", "coordinates": [1, 1]}"#, "GeoJSON"),
        (
            r#"{"type": "Polygon", "coordinates": [[[0, 0], [1], [1, 1], [0, 0]]]}"#,
            "GeoJSON",
        ),
    ] {
        let error = Polygon::parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let corners = vec!["0 0"; CORNERS_MAX + 1].join(", ");
    let error = Polygon::parse(&format!("POLYGON(({corners}))")).unwrap_err();
    assert!(error.contains("at most 10000"), "{error}");
}

use meetnet_sql::json::geojson;

use super::*;

const SQUARE: &str =
    "POLYGON((4 50,5 50,5 51,4 51,4 50),(4.4 50.4,4.6 50.4,4.6 50.6,4.4 50.6,4.4 50.4))";

#[test]
fn wkb_becomes_geojson() {
    let check = |wkt: &str, digits: usize, expect: &str| {
        let geometry = Geometry::from_wkt(wkt).unwrap_or_else(|| panic!("no geometry: {wkt}"));
        let found = geojson(&geometry.wkb(), digits);
        assert_eq!(found.as_deref(), Some(expect), "{wkt}");
    };
    check(
        "POINT (4.7 50.1234567891)",
        9,
        r#"{"type":"Point","coordinates":[4.7,50.123456789]}"#,
    );
    check(
        "LINESTRING (4 50, -0.001 51.25)",
        2,
        r#"{"type":"LineString","coordinates":[[4,50],[0,51.25]]}"#,
    );
    check(
        "POLYGON ((4 50, 5 50, 5 51, 4 50))",
        9,
        r#"{"type":"Polygon","coordinates":[[[4,50],[5,50],[5,51],[4,50]]]}"#,
    );
    check(
        "MULTIPOINT (1 2, 3 4)",
        0,
        r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#,
    );
    check(
        "MULTILINESTRING ((1 2, 3 4), (5 6, 7 8))",
        9,
        r#"{"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[[5,6],[7,8]]]}"#,
    );
    check(
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
        9,
        r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}"#,
    );
    assert_eq!(geojson(&[1, 2, 3], 9), None);
}

#[test]
fn wkt_becomes_wkb_and_back() {
    let check = |wkt: &str, expect: &str| {
        let geometry = Geometry::from_wkt(wkt).unwrap_or_else(|| panic!("no geometry: {wkt}"));
        assert_eq!(geometry.wkt(200).as_deref(), Some(expect), "{wkt}");
        let wkb = geometry.wkb();
        assert_eq!(Geometry::from_wkb(&wkb), Some(geometry), "{wkt}");
        // What is cut off is none, and what follows belongs to nothing.
        for length in 0..wkb.len() {
            assert_eq!(Geometry::from_wkb(&wkb[..length]), None, "{wkt}: {length}");
        }
        let longer = [wkb.as_slice(), &[0]].concat();
        assert_eq!(Geometry::from_wkb(&longer), None, "{wkt}");
    };
    check("POINT (4.7 50.88)", "POINT(4.7 50.88)");
    check("POINT Z (4.7 50.88 12)", "POINT(4.7 50.88)");
    check(
        " linestring(4 50, 4.5 50.5,5 51 ) ",
        "LINESTRING(4 50,4.5 50.5,5 51)",
    );
    check(SQUARE, SQUARE);
    for points in ["MULTIPOINT(1 2, 3 4)", "MULTIPOINT((1 2), (3 4))"] {
        check(points, "MULTIPOINT((1 2),(3 4))");
    }
    check(
        "MULTILINESTRING((1 2, 3 4), (5 6, 7 8))",
        "MULTILINESTRING((1 2,3 4),(5 6,7 8))",
    );
    check(
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)), ((2 2,3 2,3 3,2 2)))",
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((2 2,3 2,3 3,2 2)))",
    );
}

#[test]
fn what_is_no_geometry_is_none() {
    for wkt in [
        "",
        "POINT",
        "POINT EMPTY",
        "POINT()",
        "POINT(1)",
        "POINT(1 2",
        "POINT(1 2, 3 4)",
        "POINT((1 2))",
        "POINT(1 2) x",
        "POINT(1 NaN)",
        "POINT(1 2 3 4)",
        "LINESTRING()",
        "POLYGON(0 0, 1 1)",
        "POLYGON((0 0,1 0,1 1,0 0)",
        "CIRCLE(1 2)",
        "GEOMETRYCOLLECTION(POINT(1 2))",
        "((((((((",
    ] {
        assert_eq!(Geometry::from_wkt(wkt), None, "{wkt}");
    }
    // Another order of bytes, kinds that are not here, and more places than there are bytes.
    let headed =
        |order: u8, kind: u32, rest: &[u8]| [&[order][..], &kind.to_le_bytes(), rest].concat();
    for wkb in [
        Vec::new(),
        headed(0, 1, &[0; 16]),
        headed(1, 0, &[0; 16]),
        headed(1, 7, &[0; 16]),
        headed(1, u32::MAX, &[0; 16]),
        headed(1, 2, &[0xff; 4]),
        headed(1, 3, &[0xff; 20]),
        headed(1, 6, &[0xff; 4]),
        headed(1, 6, &[0; 4]),
        headed(1, 3, &[1, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(Geometry::from_wkb(&wkb), None, "{wkb:?}");
        // Of the column itself only the head is read.
        let is_kind = wkb.len() > 5 && wkb[0] == 1 && (1..=6).contains(&wkb[1]) && wkb[2] == 0;
        assert_eq!(ewkb(&wkb).is_some(), is_kind, "{wkb:?}");
    }
}

#[test]
fn geometries_meet_boxes() {
    let check = |wkt: &str, [west, south, east, north]: [f64; 4], bounds_meet: bool, meet: bool| {
        let geometry = Geometry::from_wkt(wkt).expect("a geometry");
        let wanted = Bounds {
            west,
            south,
            east,
            north,
        };
        let bounds = geometry.bounds().expect("places");
        assert_eq!(bounds.meet(&wanted), bounds_meet, "{wkt}: {wanted:?}");
        assert_eq!(geometry.meets(&wanted), meet, "{wkt}: {wanted:?}");
    };
    let around = [4.0, 50.0, 5.0, 51.0];
    check("POINT(4.7 50.88)", around, true, true);
    check("POINT(5 51)", around, true, true);
    check("POINT(5.1 51)", around, false, false);
    // Through the box, past its corner within its own bounds, along its edge.
    check("LINESTRING(3 50.5, 6 50.6)", around, true, true);
    check("LINESTRING(3 50.9, 4.2 52)", around, true, false);
    check("LINESTRING(3 50, 6 50)", around, true, true);
    check("LINESTRING(3 49, 6 49.9)", around, false, false);
    // The box lies within the polygon, or within its hole.
    check(SQUARE, [4.1, 50.1, 4.2, 50.2], true, true);
    check(SQUARE, [4.45, 50.45, 4.55, 50.55], true, false);
    check(SQUARE, [3.0, 49.0, 6.0, 52.0], true, true);
    check(
        "MULTIPOINT((3 3), (4.5 50.5))",
        [4.4, 50.4, 4.6, 50.6],
        true,
        true,
    );
    check(
        "MULTIPOINT((4 50), (5 51))",
        [4.4, 50.4, 4.6, 50.6],
        true,
        false,
    );
}

/// A few bytes of WKB can be a long text: it ends where the limit is, and not when all of it is there.
#[test]
fn a_text_has_a_limit() {
    let places = vec![[5e-324, -1e308]; 1_000];
    let line = Geometry {
        kind: LINE_KIND,
        parts: vec![vec![places]],
    };
    assert_eq!(line.wkb().len(), 9 + 16 * 1_000);
    assert_eq!(line.wkt(100_000), None);
    let whole = line.wkt(1 << 20).expect("a text");
    assert!(whole.len() > 600_000, "{}", whole.len());
    assert_eq!(Geometry::from_wkt(&whole), Some(line));
}

use super::{from_wgs84, to_wgs84};

/// Points over Belgium as PROJ 9 converts them (longitude, latitude, x, y).
const POINTS: [(f64, f64, f64, f64); 6] = [
    (4.7005, 50.8798, 673_346.02, 674_437.177),
    (4.3517, 50.8467, 648_798.695, 670_699.95),
    (2.592, 51.09, 525_527.212, 699_238.893),
    (6.13, 50.327, 775_402.624, 614_395.363),
    (5.79, 49.55, 752_864.19, 527_466.499),
    (4.4025, 51.2194, 652_352.129, 712_162.334),
];

#[test]
fn points_are_where_proj_finds_them() {
    for (lon, lat, x, y) in POINTS {
        let (found_x, found_y) = from_wgs84(lon, lat).unwrap();
        assert!((found_x - x).abs() < 0.002, "{lon} {lat}: {found_x}");
        assert!((found_y - y).abs() < 0.002, "{lon} {lat}: {found_y}");
        let (found_lon, found_lat) = to_wgs84(x, y).unwrap();
        assert!((found_lon - lon).abs() < 3e-8, "{x} {y}: {found_lon}");
        assert!((found_lat - lat).abs() < 3e-8, "{x} {y}: {found_lat}");
    }
}

#[test]
fn the_false_origin_is_the_origin() {
    let (x, y) = from_wgs84(4.359_215_833_333_333, 50.797_815).unwrap();
    assert!(
        (x - 649_328.0).abs() < 1e-6 && (y - 665_262.0).abs() < 1e-6,
        "{x} {y}"
    );
}

#[test]
fn what_is_not_in_belgium_is_nowhere() {
    for (x, y) in [
        (4.7, 50.88),
        (235_166.0, 148_974.0),
        (f64::NAN, 665_262.0),
        (649_328.0, f64::INFINITY),
    ] {
        assert_eq!(to_wgs84(x, y), None, "{x} {y}");
    }
    for (lon, lat) in [(50.88, 4.7), (0.0, 0.0), (f64::NAN, 50.0), (13.4, 52.5)] {
        assert_eq!(from_wgs84(lon, lat), None, "{lon} {lat}");
    }
}

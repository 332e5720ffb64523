use super::{GRID, from_wgs84, to_wgs84};

fn check(x: f64, y: f64, lat: f64, lon: f64) {
    let (found_lon, found_lat) = to_wgs84(x, y).unwrap();
    // 1e-5 degrees are 1.1 m of latitude and 0.7 m of longitude.
    assert!((found_lat - lat).abs() < 1e-5, "{found_lat}");
    assert!((found_lon - lon).abs() < 1e-5, "{found_lon}");
}

#[test]
fn a_known_point_is_found() {
    check(235_166.0, 148_974.0, 50.645_18, 5.572_94);
}

/// The example of EPSG guidance note 7-2 for Lambert conic conformal (2SP Belgium), which is the same projection told with
/// another meridian: degrees, minutes and seconds on BD 72. Its northing is 5 cm less, by the rounding of its parallels.
#[test]
fn the_projection_is_the_one_of_the_guidance_note() {
    let degrees = |d: f64, m: f64, s: f64| (d + m / 60.0 + s / 3_600.0).to_radians();
    let (x, y) = GRID.project(degrees(5.0, 48.0, 26.533), degrees(50.0, 40.0, 46.461));
    assert!((x - 251_763.20).abs() < 0.06, "{x}");
    assert!((y - 153_034.13).abs() < 0.06, "{y}");
}

/// Points over Belgium as PROJ 9 converts them by EPSG:15929 (longitude, latitude, x, y).
const POINTS: [(f64, f64, f64, f64); 6] = [
    (4.7005, 50.8798, 173_347.05, 174_434.02),
    (4.3517, 50.8467, 148_799.082, 170_699.688),
    (2.592, 51.09, 25_530.021, 199_253.546),
    (6.13, 50.327, 275_397.331, 114_379.553),
    (5.79, 49.55, 252_848.344, 27_452.66),
    (4.4025, 51.2194, 152_357.483, 212_161.981),
];

#[test]
fn points_are_where_proj_finds_them() {
    for (lon, lat, x, y) in POINTS {
        let (found_x, found_y) = from_wgs84(lon, lat).unwrap();
        assert!((found_x - x).abs() < 0.01, "{lon} {lat}: {found_x}");
        assert!((found_y - y).abs() < 0.01, "{lon} {lat}: {found_y}");
    }
}

#[test]
fn there_and_back_is_the_same_point() {
    for (lon, lat, ..) in POINTS {
        let (x, y) = from_wgs84(lon, lat).unwrap();
        let (back_lon, back_lat) = to_wgs84(x, y).unwrap();
        assert!((back_lon - lon).abs() < 1e-8, "{lon} {lat}: {back_lon}");
        assert!((back_lat - lat).abs() < 1e-8, "{lon} {lat}: {back_lat}");
    }
}

/// Metres between two points, on a sphere of the mean radius of curvature at 50.5° N.
fn metres(a: (f64, f64), b: (f64, f64)) -> f64 {
    const RADIUS_M: f64 = 6_382_100.0;
    let mean = ((a.1 + b.1) / 2.0).to_radians();
    let east = (b.0 - a.0).to_radians() * mean.cos();
    let north = (b.1 - a.1).to_radians();
    RADIUS_M * east.hypot(north)
}

#[test]
fn a_kilometre_of_the_grid_is_a_kilometre_on_the_ground() {
    for x in (30_000..300_000).step_by(30_000).map(f64::from) {
        for y in (30_000..250_000).step_by(20_000).map(f64::from) {
            let here = to_wgs84(x, y).unwrap();
            for (dx, dy) in [(1_000.0, 0.0), (0.0, 1_000.0), (707.107, -707.107)] {
                let there = to_wgs84(x + dx, y + dy).unwrap();
                let ground = metres(here, there);
                assert!(
                    (ground - 1_000.0).abs() < 3.0,
                    "{x} {y} {dx} {dy}: {ground}"
                );
            }
        }
    }
}

#[test]
fn what_is_not_in_the_grid_is_nowhere() {
    for (x, y) in [
        (4.7, 50.88),
        (50.88, 4.7),
        (0.0, 0.0),
        (f64::NAN, 148_974.0),
        (235_166.0, f64::INFINITY),
        (235_166.0, 5_400_088.0),
        (651_000.0, 665_000.0),
    ] {
        assert_eq!(to_wgs84(x, y), None, "{x} {y}");
    }
    for (lon, lat) in [(50.88, 4.7), (0.0, 0.0), (f64::NAN, 50.0), (13.4, 52.5)] {
        assert_eq!(from_wgs84(lon, lat), None, "{lon} {lat}");
    }
}

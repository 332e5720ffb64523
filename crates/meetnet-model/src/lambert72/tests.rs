use super::to_wgs84;

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
}

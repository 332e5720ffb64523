use super::*;

#[test]
fn water_is_taken_off_by_kappa_koehler_theory() {
    let correction = Correction {
        of: "pm2_5".to_owned(),
        method: CorrectionMethod::KappaKoehler,
        humidity: CorrectionInput {
            dataset: DatasetId::new("heat"),
            property: "relative_humidity".to_owned(),
        },
        kappa: 0.33,
        density: 1.65,
        humidity_max: 95.0,
    };
    let check = |humidity: f64, expect: Option<f64>| {
        let found = correction.apply(30.0, humidity);
        match (found, expect) {
            (Some(found), Some(expect)) => {
                assert!((found - expect).abs() < 1e-9, "{humidity}: {found}")
            }
            _ => assert_eq!(found, expect, "{humidity}"),
        }
    };
    check(0.0, Some(30.0));
    // As much water as 0.2 of the dry mass at 50 %, four times as much at 80 %.
    check(50.0, Some(25.0));
    check(80.0, Some(30.0 / 1.8));
    check(95.0, Some(30.0 / 4.8));
    check(95.1, None);
    check(100.0, None);
    check(-1.0, None);
    check(f64::NAN, None);
}

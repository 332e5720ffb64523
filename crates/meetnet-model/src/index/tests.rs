use super::{AirIndex, BELAQI, EAQI, find};
use crate::schemas;

fn check(index: &AirIndex, property: &str, values: &[(f64, i64)]) {
    let scale = index.scale(property).unwrap();
    for (value, class) in values {
        let found = scale.class(*value);
        assert_eq!(found, Some(*class), "{} {property} {value}", index.name);
    }
}

#[test]
fn bounds_belong_to_the_class_below_them() {
    let pm2_5 = [
        (-0.4, 1),
        (0.0, 1),
        (5.0, 1),
        (5.1, 2),
        (15.0, 2),
        (90.5, 5),
        (140.0, 5),
        (140.1, 6),
    ];
    check(&EAQI, "pm2_5", &pm2_5);
    check(
        &EAQI,
        "pm10",
        &[
            (15.0, 1),
            (45.0, 2),
            (120.0, 3),
            (195.0, 4),
            (270.0, 5),
            (1e9, 6),
        ],
    );
    check(
        &EAQI,
        "no2",
        &[
            (10.0, 1),
            (25.0, 2),
            (60.0, 3),
            (100.0, 4),
            (150.0, 5),
            (151.0, 6),
        ],
    );
    check(
        &EAQI,
        "o3",
        &[
            (60.0, 1),
            (100.0, 2),
            (120.0, 3),
            (160.0, 4),
            (180.0, 5),
            (181.0, 6),
        ],
    );
    check(
        &EAQI,
        "so2",
        &[
            (20.0, 1),
            (40.0, 2),
            (125.0, 3),
            (190.0, 4),
            (275.0, 5),
            (276.0, 6),
        ],
    );
    check(
        &BELAQI,
        "pm2_5",
        &[(3.5, 1), (3.6, 2), (35.0, 6), (75.0, 9), (75.1, 10)],
    );
    check(
        &BELAQI,
        "pm10",
        &[(10.0, 1), (60.0, 5), (140.0, 9), (f64::INFINITY, 10)],
    );
    check(
        &BELAQI,
        "no2",
        &[(10.0, 1), (45.0, 6), (75.0, 9), (75.5, 10)],
    );
    check(
        &BELAQI,
        "o3",
        &[(30.0, 1), (110.0, 5), (240.0, 9), (241.0, 10)],
    );
}

/// Upper limits of the classes as they are published, written down a second time: the EEA's bands of 2024, IRCEL-CELINE's hourly
/// scale of November 2022.
static PUBLISHED: [(&AirIndex, &str, &[f64]); 9] = [
    (&EAQI, "pm2_5", &[5.0, 15.0, 50.0, 90.0, 140.0]),
    (&EAQI, "pm10", &[15.0, 45.0, 120.0, 195.0, 270.0]),
    (&EAQI, "no2", &[10.0, 25.0, 60.0, 100.0, 150.0]),
    (&EAQI, "o3", &[60.0, 100.0, 120.0, 160.0, 180.0]),
    (&EAQI, "so2", &[20.0, 40.0, 125.0, 190.0, 275.0]),
    (
        &BELAQI,
        "pm2_5",
        &[3.5, 7.5, 10.0, 15.0, 20.0, 35.0, 50.0, 60.0, 75.0],
    ),
    (
        &BELAQI,
        "pm10",
        &[10.0, 20.0, 35.0, 45.0, 60.0, 80.0, 95.0, 110.0, 140.0],
    ),
    (
        &BELAQI,
        "no2",
        &[10.0, 15.0, 20.0, 30.0, 40.0, 45.0, 50.0, 60.0, 75.0],
    ),
    (
        &BELAQI,
        "o3",
        &[30.0, 65.0, 75.0, 90.0, 110.0, 150.0, 180.0, 210.0, 240.0],
    ),
];

#[test]
fn every_class_ends_with_its_published_limit() {
    for (index, property, limits) in PUBLISHED {
        for (class, limit) in (1..).zip(limits) {
            check(
                index,
                property,
                &[
                    (limit.next_down(), class),
                    (*limit, class),
                    (limit.next_up(), class + 1),
                ],
            );
        }
    }
    for index in [&EAQI, &BELAQI] {
        let published = PUBLISHED.iter().filter(|(of, ..)| of.name == index.name);
        assert_eq!(
            published.count(),
            index.properties().count(),
            "{}",
            index.name
        );
    }
}

#[test]
fn indices_are_found_by_their_names() {
    assert_eq!(find("eaqi"), Some(&EAQI));
    assert_eq!(find("belaqi"), Some(&BELAQI));
    assert_eq!(find("aqi"), None);
}

#[test]
fn what_is_no_number_or_not_in_the_index_has_no_class() {
    assert_eq!(EAQI.scale("no2").unwrap().class(f64::NAN), None);
    assert_eq!(EAQI.scale("pm1"), None);
    assert_eq!(BELAQI.scale("so2"), None);
}

#[test]
fn properties_are_declared_in_the_unit_of_the_bounds() {
    let declared = schemas::builtin().properties;
    for index in [&EAQI, &BELAQI] {
        for name in index.properties() {
            let property = declared
                .iter()
                .find(|property| property.name == name)
                .unwrap();
            assert_eq!(property.unit, "ug/m3", "{name}");
        }
    }
}

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};

use super::*;

const LIMITS: Neighbour = Neighbour {
    radius_m: 1_000,
    neighbours_min: 3,
    deviation_min: 0.5,
    suspect: 4.0,
    fail: None,
};

/// A property with sensors of one value each, at places north of each other: distance (m), value, from when until when.
fn property(sensors: &[(f64, f32, Range<i64>)]) -> Property {
    let mut property = Property::default();
    for (number, (north_m, value, period)) in sensors.iter().enumerate() {
        let sensor = property.sensor(&format!("s{number}"), 2);
        property.slots[sensor][1] = *value;
        property.places_of[sensor].push(property.places.len());
        property.places.push(Place {
            sensor,
            lon: 4.7,
            lat: 50.88 + (north_m / EARTH_RADIUS_M).to_degrees(),
            period: period.clone(),
            near: Vec::new(),
        });
    }
    property.find_near(f64::from(LIMITS.radius_m));
    property
}

/// What is said of the first sensor's value in the second slot.
fn check(sensors: &[(f64, f32, Range<i64>)], expect: Quality) {
    let property = property(sensors);
    let near = Near {
        begin: 0,
        property: &property,
        sensor: Some(0),
    };
    let now = Observation {
        time: SLOT_US + 1,
        value: f64::from(sensors[0].1),
    };
    assert_eq!(near.test(now, LIMITS), expect, "{sensors:?}");
}

#[test]
fn a_value_is_compared_with_the_sensors_around_it_at_that_time() {
    let ever = 0..i64::MAX;
    let near = |value| (500.0, value, ever.clone());
    check(
        &[
            (0.0, 20.0, ever.clone()),
            near(20.0),
            near(20.5),
            near(21.0),
        ],
        Quality::Pass,
    );
    check(
        &[
            (0.0, 30.0, ever.clone()),
            near(20.0),
            near(20.5),
            near(21.0),
        ],
        Quality::Suspect,
    );
    // One too far away, one without a value, one that had left: too few.
    for third in [
        (1_001.0, 21.0, ever.clone()),
        (500.0, f32::NAN, ever.clone()),
        (500.0, 21.0, 0..SLOT_US),
    ] {
        check(
            &[(0.0, 30.0, ever.clone()), near(20.0), near(20.5), third],
            Quality::NotEvaluated,
        );
    }
    // It had not come yet itself.
    check(
        &[
            (0.0, 30.0, 2 * SLOT_US..i64::MAX),
            near(20.0),
            near(20.5),
            near(21.0),
        ],
        Quality::NotEvaluated,
    );
}

#[test]
fn the_nearest_count() {
    let ever = 0..i64::MAX;
    // More than are compared with, all near, agree; farther ones say something else.
    let mut sensors = vec![(0.0, 20.0, ever.clone())];
    sensors.extend((1..=NEIGHBOURS_MAX).map(|at| (at as f64, 20.0, ever.clone())));
    sensors.extend((1..=2 * NEIGHBOURS_MAX).map(|at| (500.0 + at as f64, 90.0, ever.clone())));
    check(&sensors, Quality::Pass);
}

#[test]
fn a_sensor_that_stands_nowhere_takes_no_memory() {
    let columns: [(&str, ArrayRef); 4] = [
        (
            "sensor_id",
            Arc::new(StringArray::from(vec!["a", "b", "a"])),
        ),
        ("property", Arc::new(StringArray::from(vec!["t", "t", "u"]))),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from(vec![0, 0, 0])),
        ),
        ("value", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut neighbours = Neighbours {
        begin: 0,
        properties: HashMap::new(),
        none: Property::default(),
    };
    let limits = HashMap::from([("t".to_owned(), LIMITS)]);
    let placed: HashSet<Box<str>> = HashSet::from(["a".into()]);
    neighbours.take(&rows, &limits, &placed, &(0..DAY_US));
    let found: Vec<(&str, usize)> = neighbours
        .properties
        .iter()
        .map(|(name, property)| (name.as_str(), property.slots.len()))
        .collect();
    assert_eq!(found, [("t", 1)]);
    assert!(neighbours.of("t", "a").sensor.is_some());
    assert!(neighbours.of("t", "b").sensor.is_none());
}

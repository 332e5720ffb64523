use std::collections::HashSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use meetnet_model::privacy::{PrivacyKey, snap};
use meetnet_model::schemas;

use super::*;
use crate::city::City;

/// 2026-11-22 02:00 UTC.
const END_US: i64 = 1_795_312_800_000_000;

fn places() -> (History, Vec<HistoryChunk>) {
    let declarations = schemas::builtin().into_declarations([]);
    let key = PrivacyKey::new("a secret for tests");
    let history = History::new(Arc::new(City::new(1)), &declarations, &key, END_US, 30).unwrap();
    let places = history.places(&declarations).unwrap();
    (history, places)
}

#[test]
fn every_sensor_has_a_place_and_no_row_comes_from_before_it() {
    let (history, places) = places();
    let sizes: Vec<_> = places
        .iter()
        .map(|c| {
            (
                c.declaration.id.to_string(),
                c.source.to_string(),
                c.batch.num_rows(),
            )
        })
        .collect();
    let size = |dataset: &str, source: &str, rows| (dataset.to_owned(), source.to_owned(), rows);
    assert_eq!(
        sizes,
        [
            size("segments", "telraam", 60),
            size("stations", "airrohr", 80),
            size("stations", "lora", 40),
            size("stations", "balcony", 20),
        ]
    );

    let air = &places[1].batch;
    let ids = air["id"].as_string::<i32>();
    let from = air["valid_from"].as_primitive::<TimestampMicrosecondType>();
    for chunk in history.chunks_of(DemoSource::Airrohr) {
        let sensors = chunk.batch["sensor_id"].as_string::<i32>();
        let times = chunk.batch["time"].as_primitive::<TimestampMicrosecondType>();
        for row in (0..chunk.batch.num_rows()).step_by(31) {
            let place = ids
                .iter()
                .position(|id| id == Some(sensors.value(row)))
                .unwrap();
            assert!(from.value(place) <= times.value(row));
        }
    }
}

#[test]
fn positions_are_snapped_and_hardware_ids_hidden() {
    let (_, places) = places();
    let city = City::new(1);
    let raw: HashSet<&str> = city
        .air_sensors
        .iter()
        .map(|s| s.chip_id.as_str())
        .collect();
    for chunk in &places {
        let lon = chunk.batch["lon"].as_primitive::<Float64Type>();
        let lat = chunk.batch["lat"].as_primitive::<Float64Type>();
        for row in 0..chunk.batch.num_rows() {
            let place = (lon.value(row), lat.value(row));
            assert_eq!(snap(place.0, place.1), place);
            assert!((4.64..4.76).contains(&place.0) && (50.84..50.92).contains(&place.1));
        }
        if chunk.source.as_str() == "airrohr" {
            let ids = chunk.batch["id"].as_string::<i32>();
            assert!(
                ids.iter()
                    .flatten()
                    .all(|id| raw.iter().all(|raw| !id.contains(raw)))
            );
        }
    }
    let lines = places[0].batch["geometry"].as_string::<i32>();
    assert!(
        lines.value(0).starts_with("LINESTRING (4."),
        "{}",
        lines.value(0)
    );
    assert_eq!(lines.null_count(), 0);
}

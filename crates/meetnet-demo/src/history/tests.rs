use std::collections::BTreeMap;
use std::time::Instant;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_model::schemas;

use super::*;
use crate::sensors::WeatherStation;

/// 2026-11-22 02:30 UTC.
const END_US: i64 = 1_795_314_600_000_000;

fn key() -> PrivacyKey {
    PrivacyKey::new("a secret for tests")
}

fn history(seed: u64, days: u32) -> History {
    let declarations = schemas::builtin().into_declarations([]);
    History::new(
        Arc::new(City::new(seed)),
        &declarations,
        &key(),
        END_US,
        days,
    )
    .unwrap()
}

fn times(batch: &RecordBatch) -> &[i64] {
    batch["time"]
        .as_primitive::<TimestampMicrosecondType>()
        .values()
}

#[test]
fn a_year_has_two_million_rows_and_is_made_in_seconds() {
    let started = Instant::now();
    let history = history(1, DEFAULT_DAYS);
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for source in DemoSource::ALL {
        for chunk in history.chunks_of(source) {
            assert!((1..=CHUNK_ROWS_MAX).contains(&chunk.batch.num_rows()));
            *rows.entry(source.id()).or_default() += chunk.batch.num_rows();
        }
    }
    let total: usize = rows.values().sum();
    println!("{total} rows in {:?}: {rows:?}", started.elapsed());
    assert!((2_000_000..3_200_000).contains(&total), "{rows:?}");
}

#[test]
fn chunks_are_sorted_by_key_and_lie_in_one_month_of_the_span() {
    let history = history(1, 40);
    assert_eq!(
        history.end_us(),
        1_795_312_800_000_000,
        "the last full hour"
    );
    let mut months = 0;
    for chunk in history.chunks() {
        let batch = &chunk.batch;
        assert_eq!(batch.schema(), chunk.declaration.declared_schema());
        let key: Vec<_> = chunk
            .declaration
            .key_indices()
            .iter()
            .map(|at| batch.column(*at).clone())
            .collect();
        let fields = key
            .iter()
            .map(|c| arrow::row::SortField::new(c.data_type().clone()))
            .collect();
        let converted = arrow::row::RowConverter::new(fields)
            .unwrap()
            .convert_columns(&key)
            .unwrap();
        assert!(
            converted
                .iter()
                .zip(converted.iter().skip(1))
                .all(|(a, b)| a < b),
            "{} of {} is not sorted, or repeats a key",
            chunk.declaration.id,
            chunk.source
        );
        let times = times(batch);
        let whole = history.start_s * US_PER_S..history.end_us();
        assert!(times.iter().all(|t| whole.contains(t)));
        let month = |t: &i64| {
            Timestamp::from_microsecond(*t)
                .unwrap()
                .strftime("%Y-%m")
                .to_string()
        };
        assert!(times.iter().all(|t| month(t) == month(&times[0])));
        months += 1;
    }
    assert_eq!(months, 4 * 3 - 4, "October and November, from four sources");
}

#[test]
fn the_same_arguments_make_the_same_rows() {
    let (one, again) = (history(3, 20), history(3, 20));
    let rows = |history: &History| {
        history
            .chunks()
            .map(|chunk| chunk.batch)
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(&one), rows(&again));
    assert_ne!(rows(&one), rows(&history(4, 20)));
    // The order of asking changes nothing.
    let mut backwards: Vec<_> = DemoSource::ALL
        .into_iter()
        .rev()
        .map(|s| one.chunks_of(s).collect::<Vec<_>>())
        .collect();
    backwards.reverse();
    let backwards: Vec<_> = backwards
        .into_iter()
        .flatten()
        .map(|chunk| chunk.batch)
        .collect();
    assert_eq!(backwards, rows(&one));
}

#[test]
fn a_row_is_what_the_live_feed_would_have_sent() {
    let history = history(1, 30);
    let city = City::new(1);
    let stations: BTreeMap<&str, &WeatherStation> = history
        .names
        .lora
        .iter()
        .map(|(name, at)| (name.as_str(), &city.stations[*at]))
        .collect();
    let mut compared = 0;
    for chunk in history.chunks_of(DemoSource::Lora) {
        let batch = &chunk.batch;
        let ids = batch["sensor_id"].as_string::<i32>();
        let properties = batch["property"].as_string::<i32>();
        let values = batch["value"].as_primitive::<Float64Type>();
        for row in (0..batch.num_rows()).step_by(97) {
            let live = stations[ids.value(row)].read(&city.sky(times(batch)[row] / US_PER_S));
            let expected = match properties.value(row) {
                "air_temperature" => Some(live.temperature),
                "relative_humidity" => Some(live.humidity),
                "wind_speed" => live.wind_speed,
                "rain_rate" => live.rain_rate,
                other => panic!("unknown property {other}"),
            };
            assert_eq!(expected, Some(values.value(row)));
            compared += 1;
        }
    }
    assert!(compared > 500);
}

#[test]
fn a_reading_stands_for_its_hour() {
    let history = history(1, 3);
    for source in [DemoSource::Airrohr, DemoSource::Lora, DemoSource::Balcony] {
        for chunk in history.chunks_of(source) {
            let intervals = chunk.batch["interval_s"].as_primitive::<Int64Type>();
            assert_eq!(intervals.null_count(), 0);
            assert!(intervals.values().iter().all(|s| *s == 3_600));
        }
    }
}

#[test]
fn a_counter_without_uptime_has_no_counts() {
    let history = history(1, 3);
    let mut down = 0;
    for chunk in history.chunks_of(DemoSource::Telraam) {
        let batch = &chunk.batch;
        let uptime = batch["uptime"].as_primitive::<Float64Type>();
        assert!(
            batch["interval_s"]
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .all(|s| *s == 3_600)
        );
        for row in 0..batch.num_rows() {
            let is_down = uptime.value(row) == 0.0;
            assert_eq!(batch["car"].is_null(row), is_down);
            assert_eq!(batch["pedestrian_lft"].is_null(row), is_down);
            down += usize::from(is_down);
        }
    }
    assert!(down > 100, "V1 counters sleep at night");
}

#[test]
fn impossible_histories_are_refused() {
    let declarations = schemas::builtin().into_declarations([]);
    let make = |end_us, days, declarations: &Declarations| {
        History::new(Arc::new(City::new(1)), declarations, &key(), end_us, days).unwrap_err()
    };
    for (end_us, days) in [
        (END_US, 0),
        (END_US, DAYS_MAX + 1),
        (i64::MAX, 1),
        (i64::MIN, 1),
    ] {
        assert!(matches!(
            make(end_us, days, &declarations),
            HistoryError::Span { .. }
        ));
    }
    let mut poorer = declarations.clone();
    poorer.datasets.remove(&DatasetId::new("heat"));
    assert!(matches!(
        make(END_US, 1, &poorer),
        HistoryError::MissingDataset { dataset: "heat" }
    ));

    let mut other = declarations.clone();
    let traffic = other.datasets.get_mut(&DatasetId::new("traffic")).unwrap();
    Arc::make_mut(traffic)
        .columns
        .iter_mut()
        .for_each(|column| column.required = true);
    assert!(matches!(
        make(END_US, 1, &other),
        HistoryError::UnknownRequired { .. }
    ));
    let mut other = declarations;
    let air = other.datasets.get_mut(&DatasetId::new("air")).unwrap();
    Arc::make_mut(air)
        .columns
        .retain(|column| column.name != "value");
    assert!(matches!(
        make(END_US, 1, &other),
        HistoryError::MissingColumn {
            column: "value",
            ..
        }
    ));
}

use super::*;
use crate::fixture::{self, MINUTE, NOW, SECOND};

fn heat_table(rows: &[(&str, &str, i64, f64)], received_at: &[i64]) -> TableSnapshot {
    let declarations = fixture::declarations();
    let heat = declarations.dataset("heat").expect("a built-in dataset");
    let rows = fixture::long_rows(heat, rows);
    fixture::table(heat, Some((rows, received_at.to_vec())), 1)
}

#[test]
fn what_one_station_measured_at_one_time_is_one_arrival() {
    let rows = [
        ("a", "air_temperature", NOW, 3.5),
        ("a", "relative_humidity", NOW, 80.0),
        ("b", "air_temperature", NOW, 4.0),
    ];
    let table = heat_table(&rows, &[NOW, NOW, NOW + SECOND]);
    let arrivals = newest([&table].into_iter(), &[]);
    let shown: Vec<_> = arrivals
        .iter()
        .map(|a| (a.place.as_str(), a.readings.len()))
        .collect();
    assert_eq!(shown, [("b", 1), ("a", 2)], "newest first");
    assert_eq!(
        arrivals[1].readings[0].name, "air_temperature",
        "in the order they were sent"
    );
}

#[test]
fn a_wide_row_shows_what_was_observed_without_its_parts() {
    let declarations = fixture::declarations();
    let traffic = declarations.dataset("traffic").expect("a built-in dataset");
    let rows = fixture::traffic_rows(traffic, &[(9_000_001_463, NOW, 12.0, 3.0)]);
    let table = fixture::table(traffic, Some((rows, vec![NOW])), 3);
    let arrivals = newest([&table].into_iter(), &[]);
    assert_eq!(arrivals[0].place, "9000001463");
    assert_eq!(arrivals[0].quality, 3);
    let names: Vec<_> = arrivals[0]
        .readings
        .iter()
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(names, ["car", "bike"]);
    assert!(!measured_columns(traffic).contains(&"car_lft"));
    assert!(!measured_columns(traffic).contains(&"uptime"));
}

#[test]
fn superseded_rows_are_not_shown() {
    let mut table = heat_table(
        &[
            ("a", "air_temperature", NOW, 3.5),
            ("b", "air_temperature", NOW, 4.0),
        ],
        &[NOW, NOW],
    );
    let mut hot = table.hot[0].clone();
    hot.superseded = Some(Arc::new(vec![NOW, HotBatch::LIVE]));
    table.hot = Arc::new(vec![hot]);
    let arrivals = newest([&table].into_iter(), &[]);
    assert_eq!(
        arrivals
            .iter()
            .map(|a| a.place.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
}

#[test]
fn a_commit_that_empties_the_hot_rows_does_not_empty_the_page() {
    let table = heat_table(&[("a", "air_temperature", NOW, 3.5)], &[NOW]);
    let before = newest([&table].into_iter(), &[]);
    let mut committed = table.clone();
    committed.hot = Arc::default();
    assert_eq!(newest([&committed].into_iter(), &before).len(), 1);
    assert_eq!(
        newest([&table].into_iter(), &before).len(),
        1,
        "known ones are not doubled"
    );
}

#[test]
fn a_busy_dataset_does_not_push_the_others_out() {
    let sensors: Vec<String> = (0..100).map(|i| format!("s{i}")).collect();
    let rows: Vec<_> = sensors
        .iter()
        .map(|s| (s.as_str(), "air_temperature", NOW, 1.0))
        .collect();
    let busy = heat_table(&rows, &vec![NOW; rows.len()]);
    let declarations = fixture::declarations();
    let traffic = declarations.dataset("traffic").expect("a built-in dataset");
    let rows = fixture::traffic_rows(traffic, &[(1, NOW, 12.0, 3.0)]);
    let quiet = fixture::table(traffic, Some((rows, vec![NOW - 10 * MINUTE])), 1);
    let arrivals = newest([&busy, &quiet].into_iter(), &[]);
    assert_eq!(arrivals.len(), ARRIVALS_MAX);
    assert_eq!(
        arrivals[ARRIVALS_MAX - 1].place,
        "1",
        "the oldest comes last"
    );
}

#[test]
fn what_is_counted_in_an_hour_is_not_joined_with_what_is_counted_in_its_first_quarter() {
    let declarations = fixture::declarations();
    let traffic = declarations.dataset("traffic").expect("a built-in dataset");
    let of_interval = |interval_s: i64| {
        let rows = fixture::traffic_rows(traffic, &[(1, NOW, 12.0, 3.0)]);
        let mut table = fixture::table(traffic, Some((rows, vec![NOW])), 1);
        let mut hot = table.hot[0].clone();
        let at = hot.batch.schema().index_of("interval_s").expect("a column");
        let mut columns = hot.batch.columns().to_vec();
        columns[at] = Arc::new(Int64Array::from(vec![interval_s]));
        hot.batch = RecordBatch::try_new(hot.batch.schema(), columns).expect("the same columns");
        table.hot = Arc::new(vec![hot]);
        table
    };
    let tables = [of_interval(3_600), of_interval(900)];
    let arrivals = newest(tables.iter(), &[]);
    let intervals: Vec<_> = arrivals.iter().map(|a| a.interval_s).collect();
    assert_eq!(intervals, [Some(3_600), Some(900)]);
    // A dataset whose rows do not say it.
    let table = heat_table(&[("a", "air_temperature", NOW, 3.5)], &[NOW]);
    assert_eq!(newest([&table].into_iter(), &[])[0].interval_s, None);
}

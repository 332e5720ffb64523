use std::sync::Arc;

use proptest::prelude::*;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::*;
use crate::ids::DatasetId;
use crate::schemas;

fn builder(dataset: &str) -> RowsBuilder {
    RowsBuilder::new(Arc::clone(
        &schemas::builtin().datasets[&DatasetId::new(dataset)],
    ))
}

fn air_row(rows: &mut RowsBuilder, sensor: &str, value: Option<f64>) {
    rows.set_text(0, sensor);
    rows.set_text(1, "pm2_5");
    rows.set_int(2, 1_000_000);
    if let Some(value) = value {
        rows.set_float(4, value);
    }
}

#[test]
fn rows_become_the_declared_columns() {
    let mut rows = builder("air");
    assert!(rows.is_empty());
    air_row(&mut rows, "a", Some(1.5));
    assert_eq!(rows.finish_row(3), Ok(()));
    air_row(&mut rows, "bé", None);
    rows.set_int(3, 60);
    assert_eq!(rows.finish_row(3), Ok(()));
    air_row(&mut rows, "c", Some(f64::NAN));
    assert_eq!(rows.finish_row(7), Ok(()));
    assert_eq!(rows.len(), 3);

    let taken = rows.take();
    assert!(rows.is_empty());
    assert_eq!(taken.envelopes, [3, 3, 7]);
    assert_eq!(taken.batch.schema(), taken.declaration.declared_schema());
    let sensors: Vec<_> = taken
        .batch
        .column(0)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(sensors, ["a", "bé", "c"]);
    let times = taken
        .batch
        .column(2)
        .as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.values(), &[1_000_000; 3]);
    let intervals: Vec<_> = taken
        .batch
        .column(3)
        .as_primitive::<Int64Type>()
        .iter()
        .collect();
    assert_eq!(intervals, [None, Some(60), None]);
    // A NaN is a missing value.
    let values: Vec<_> = taken
        .batch
        .column(4)
        .as_primitive::<Float64Type>()
        .iter()
        .collect();
    assert_eq!(values, [Some(1.5), None, None]);
}

#[test]
fn a_zero_has_no_sign_whichever_way_it_comes() {
    let bits = |mut rows: RowsBuilder, column: usize| -> Vec<u64> {
        let batch = rows.take().batch;
        let column = batch.column(column);
        let values = match column.as_list_opt::<i32>() {
            Some(lists) => Arc::clone(lists.values()),
            None => Arc::clone(column),
        };
        let values = values.as_primitive::<Float64Type>();
        values
            .values()
            .iter()
            .map(|value| value.to_bits())
            .collect()
    };
    // What is next to zero stays what it is.
    let sent = [-0.0, 0.0, -5e-324, -1.5];
    let expect = [0.0, 0.0, -5e-324, -1.5_f64].map(f64::to_bits);

    let mut by_hand = builder("air");
    for value in sent {
        air_row(&mut by_hand, "a", Some(value));
        by_hand.finish_row(0).unwrap();
    }
    assert_eq!(bits(by_hand, 4), expect);

    let (usual, other) = (
        LongColumns::new(0, 1, 2, 4, Some(3)),
        LongColumns::new(0, 1, 2, 4, None),
    );
    for columns in [usual, other] {
        let mut at_once = builder("air");
        for value in sent {
            let row = LongRow {
                sensor_id: "a",
                property: "pm10",
                time: 1,
                is_receive_time: false,
                value,
                interval_s: None,
            };
            at_once.push_long(&columns, &row, 0).unwrap();
        }
        assert_eq!(bits(at_once, 4), expect);
    }

    let series = LongSeries {
        sensor_id: "a",
        property: "pm10",
        interval_s: None,
    };
    let mut together = builder("air");
    together.push_series(&usual, &series, &sent.map(|value| (1, value)), 0);
    assert_eq!(bits(together, 4), expect);

    let mut lists = builder("traffic");
    let declaration = Arc::clone(lists.declaration());
    let column = |name: &str| declaration.column_index(name).unwrap();
    for name in ["segment_id", "interval_s", "time"] {
        lists.set_int(column(name), 1);
    }
    lists.set_list(column("speed_hist"), &sent);
    lists.finish_row(0).unwrap();
    assert_eq!(bits(lists, column("speed_hist")), expect);
}

#[test]
fn a_row_is_taken_whole_or_not_at_all() {
    let mut rows = builder("air");
    rows.set_text(0, "a");
    rows.set_float(4, 1.0);
    assert_eq!(rows.finish_row(0), Err("property"));
    // A value of another type than declared.
    air_row(&mut rows, "a", None);
    rows.set_int(4, 1);
    assert_eq!(rows.finish_row(0), Err("value"));
    // What the refused drafts held is gone.
    air_row(&mut rows, "b", None);
    assert_eq!(rows.finish_row(1), Ok(()));
    air_row(&mut rows, "c", Some(1.0));
    rows.discard_row();
    assert_eq!(rows.finish_row(1), Err("sensor_id"));
    let taken = rows.take();
    assert_eq!(taken.batch.num_rows(), 1);
    assert_eq!(taken.batch.column(0).as_string::<i32>().value(0), "b");
    assert!(taken.batch.column(4).is_null(0));
}

#[test]
fn lists_keep_their_length() {
    let mut rows = builder("traffic");
    let declaration = Arc::clone(rows.declaration());
    let column = |name: &str| declaration.column_index(name).unwrap();
    for (time, histogram) in [
        (1, Some(&[0.0, 100.0][..])),
        (2, None),
        (3, Some(&[])),
        (4, Some(&[7.0])),
    ] {
        rows.set_int(column("segment_id"), 1);
        rows.set_int(column("interval_s"), 3600);
        rows.set_int(column("time"), time);
        if let Some(histogram) = histogram {
            rows.set_list(column("speed_hist"), histogram);
        }
        assert_eq!(rows.finish_row(0), Ok(()));
    }
    let taken = rows.take();
    let lists = taken.batch.column(column("speed_hist")).as_list::<i32>();
    let lengths: Vec<_> = lists
        .iter()
        .map(|list| list.map(|values| values.len()))
        .collect();
    assert_eq!(lengths, [Some(2), None, Some(0), Some(1)]);
    assert!(taken.batch.column(column("car")).is_null(0));
    // The next group starts empty.
    assert_eq!(rows.take().batch.num_rows(), 0);
}

#[test]
fn a_row_that_has_only_its_receive_time_says_so() {
    let mut rows = builder("air");
    let mut finish = |has_own_time: bool| {
        air_row(&mut rows, "a", Some(1.5));
        if !has_own_time {
            rows.set_receive_time(2, 2_000_000);
        }
        rows.finish_row(0).unwrap();
    };
    finish(true);
    finish(false);
    finish(true);
    // What was said of a draft that is no row is said of no other.
    rows.set_receive_time(2, 2_000_000);
    rows.discard_row();
    air_row(&mut rows, "b", Some(1.5));
    rows.finish_row(1).unwrap();
    let taken = rows.take();
    assert_eq!(taken.timeless, [false, true, false, false]);
    let times = taken.batch.column(2);
    let times = times.as_primitive::<TimestampMicrosecondType>();
    assert_eq!(
        times.values(),
        &[1_000_000, 2_000_000, 1_000_000, 1_000_000]
    );
    assert!(rows.take().timeless.is_empty());
}

#[test]
fn rows_take_no_more_memory_than_they_need() {
    let mut rows = builder("air");
    let bytes_of = |rows: &mut RowsBuilder, count: usize| {
        for _ in 0..count {
            air_row(rows, "a", Some(1.5));
            rows.finish_row(0).unwrap();
        }
        rows.take().batch.get_array_memory_size()
    };
    let one = bytes_of(&mut rows, 1);
    // Of a large group only the room for its like is left, and it is not part of what the next ones become.
    let many = bytes_of(&mut rows, 1000);
    assert!(many < 1000 * 64 + one, "{many} bytes for 1000 rows");
    assert_eq!(bytes_of(&mut rows, 1), one);
}

/// A row of `air`, as its values are set one by one.
fn set_long(rows: &mut RowsBuilder, row: &LongRow<'_>, envelope: u32) {
    rows.set_text(0, row.sensor_id);
    rows.set_text(1, row.property);
    if row.is_receive_time {
        rows.set_receive_time(2, row.time);
    } else {
        rows.set_int(2, row.time);
    }
    if let Some(interval_s) = row.interval_s {
        rows.set_int(3, interval_s);
    }
    rows.set_float(4, row.value);
    rows.finish_row(envelope).unwrap();
}

proptest! {
    /// Rows that are appended at once, alone or as a series, are those whose values are set one by one.
    #[test]
    fn long_rows_are_the_same_whichever_way_they_come(
        parts in prop::collection::vec(
            (
                prop::sample::select(vec!["a", "station-1", "é", ""]),
                prop::sample::select(vec!["pm2_5", "pm10"]),
                prop::option::of(1_i64..4000),
                any::<bool>(),
                prop::collection::vec(
                    (0_i64..9, prop::sample::select(vec![0.0, -1.5, 1e300, f64::NAN, f64::INFINITY])),
                    0..5,
                ),
            ),
            0..6,
        ),
        usual in any::<bool>(),
    ) {
        // The position of the interval in another order is not the usual one, but what it says is the same.
        let columns = if usual {
            LongColumns::new(0, 1, 2, 4, Some(3))
        } else {
            LongColumns::new(0, 1, 2, 4, None)
        };
        let (mut by_hand, mut at_once) = (builder("air"), builder("air"));
        for (envelope, (sensor_id, property, interval_s, is_receive_time, points)) in (0..).zip(&parts) {
            let series = LongSeries {
                sensor_id,
                property,
                interval_s: interval_s.filter(|_| usual),
            };
            let mut waiting = Vec::new();
            for (time, value) in points {
                let row = LongRow {
                    sensor_id,
                    property,
                    time: *time,
                    is_receive_time: *is_receive_time,
                    value: *value,
                    interval_s: series.interval_s,
                };
                set_long(&mut by_hand, &row, envelope);
                if value.is_finite() && !is_receive_time {
                    waiting.push((*time, *value));
                } else {
                    at_once.push_series(&columns, &series, &waiting, envelope);
                    waiting.clear();
                    prop_assert_eq!(at_once.push_long(&columns, &row, envelope), Ok(()));
                }
            }
            prop_assert!(at_once.takes_series(&columns));
            at_once.push_series(&columns, &series, &waiting, envelope);
        }
        let (expect, found) = (by_hand.take(), at_once.take());
        prop_assert_eq!(&found.batch, &expect.batch);
        prop_assert_eq!(&found.envelopes, &expect.envelopes);
        prop_assert_eq!(&found.timeless, &expect.timeless);
        // Nothing is left for the next group.
        prop_assert_eq!(at_once.take().batch.num_rows(), 0);
    }
}

#[test]
fn a_long_row_of_another_dataset_is_refused_as_a_whole() {
    let mut rows = builder("traffic");
    let columns = LongColumns::new(0, 1, 2, 4, Some(3));
    assert!(!rows.takes_series(&columns));
    let row = LongRow {
        sensor_id: "a",
        property: "pm10",
        time: 1,
        is_receive_time: false,
        value: 1.0,
        interval_s: None,
    };
    assert!(rows.push_long(&columns, &row, 0).is_err());
    let series = LongSeries {
        sensor_id: "a",
        property: "pm10",
        interval_s: None,
    };
    rows.push_series(&columns, &series, &[(1, 1.0)], 0);
    assert!(rows.is_empty());
}

#[test]
fn a_column_beyond_the_first_64_is_filled_and_missing_like_any_other() {
    let mut declaration = DatasetDeclaration::clone(builder("air").declaration());
    let last = declaration.columns[4].clone();
    for number in 0..100 {
        let mut column = last.clone();
        column.name = format!("column_{number}");
        column.required = number == 99;
        declaration.columns.push(column);
    }
    let required = declaration.columns.len() - 1;
    let mut rows = RowsBuilder::new(Arc::new(declaration));
    air_row(&mut rows, "a", Some(1.0));
    assert_eq!(rows.finish_row(0), Err("column_99"));
    for (row, value) in [(0, Some(2.0)), (1, None)] {
        air_row(&mut rows, "a", value);
        rows.set_float(required, f64::from(row));
        if row == 1 {
            rows.set_float(70, 7.0);
        }
        assert_eq!(rows.finish_row(row as u32), Ok(()));
    }
    let columns = LongColumns::new(0, 1, 2, 4, Some(3));
    assert!(!rows.takes_series(&columns));
    let batch = rows.take().batch;
    let values = |column: usize| -> Vec<Option<f64>> {
        batch
            .column(column)
            .as_primitive::<Float64Type>()
            .iter()
            .collect()
    };
    assert_eq!(values(4), [Some(2.0), None]);
    assert_eq!(values(70), [None, Some(7.0)]);
    assert_eq!(values(required), [Some(0.0), Some(1.0)]);
}

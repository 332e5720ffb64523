use std::sync::Arc;

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

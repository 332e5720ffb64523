use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;

use super::*;
use crate::testing::{HOUR, MINUTE, START, declared};

const DAY: i64 = 24 * HOUR;

/// A row of `traffic`: segment, interval in seconds, time, received so many seconds after that, flag, revision.
type Row = (i64, i64, i64, i64, i8, i64);

fn plan() -> AssessPlan {
    let schemas = declared(&[]);
    let of = |id: &str| -> Arc<DatasetDeclaration> {
        Arc::clone(&schemas.datasets[&DatasetId::new(id)])
    };
    let own = of("data_quality");
    let assessment = own.assess.clone().unwrap();
    AssessPlan::new(&own, &assessment, &of("traffic"))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let ints = |of: fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let times = |of: fn(&Row) -> i64| -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(of));
        Arc::new(times.with_timezone("UTC"))
    };
    let quality: ArrayRef = Arc::new(Int8Array::from_iter_values(rows.iter().map(|row| row.4)));
    let columns: [(&str, ArrayRef); 6] = [
        ("segment_id", ints(|row| row.0)),
        ("interval_s", ints(|row| row.1)),
        ("time", times(|row| row.2)),
        ("quality", quality),
        ("received_at", times(|row| row.2 + row.3 * SECOND_US)),
        ("revision", ints(|row| row.5)),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| {
            let data_type: DataType = column.data_type().clone();
            Field::new(*name, data_type, false)
        })
        .collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Returns the figures of days from the start on, folded in one go and row by row.
fn figures(days: i64, rows: &[Row]) -> Vec<Figures> {
    let plan = plan();
    let first = START.div_euclid(DAY);
    let days = first..first + days;
    let whole = batch(rows);
    let mut fold = DayFold::new(&plan, &days, None);
    fold.push(&whole).unwrap();
    let found = fold.finish();
    let mut by_row = DayFold::new(&plan, &days, None);
    for row in 0..whole.num_rows() {
        by_row.push(&whole.slice(row, 1)).unwrap();
    }
    assert_eq!(by_row.finish(), found);
    found.into_iter().map(|day| day.figures).collect()
}

#[test]
fn a_row_is_late_from_the_end_of_its_interval() {
    let rows = [
        // An hour that came two seconds after its end, and one that came at its start: nobody else said when that was.
        (7, 3_600, START, 3_602, 1, 0),
        (7, 3_600, START + HOUR, 0, 1, 0),
        (7, 3_600, START + 2 * HOUR, 3_600, 1, 0),
    ];
    let found = figures(1, &rows);
    // Classes 0 (up to one second) and 4 (up to two).
    assert_eq!(found[0].lateness, [1, 0, 0, 0, 1]);
}

#[test]
fn a_series_is_expected_for_a_week_and_its_intervals_cover_what_they_say() {
    let rows = [
        // Quarters of an hour on the day before, and two of one hour.
        (7, 900, START - DAY, 900, 1, 0),
        (7, 900, START + 5 * MINUTE, 900, 3, 2),
        (7, 900, START + 20 * MINUTE, 900, 4, 0),
        // Six hours from 22:00 on: what lies behind midnight is the next day's to say.
        (7, 21_600, START + 22 * HOUR, 0, 1, 1),
        // Nobody has counted: the segment is there, the observation is not.
        (8, 3_600, START + 3 * HOUR, 0, 9, 0),
        // Seen a week ago, and eight days ago.
        (9, 3_600, START - 7 * DAY, 0, 1, 0),
        (10, 3_600, START - 8 * DAY, 0, 1, 0),
    ];
    let rows: Vec<Row> = rows.to_vec();
    let found = figures(2, &rows);
    let day = &found[0];
    assert_eq!(day.flags, [1, 0, 1, 1, 1]);
    assert_eq!(day.revisions, 3);
    // One hour of the quarters, two of the six hours.
    assert_eq!((day.slots, day.slots_expected), (3, 4 * 24));
    assert_eq!((day.sensors, day.silent, day.days), (2, 1, 1));
    // The day after: three series of two segments, and nobody expects the other two any more.
    let day = &found[1];
    assert_eq!(day.flags, [0; 5]);
    assert_eq!((day.slots, day.slots_expected), (0, 3 * 24));
    assert_eq!((day.sensors, day.silent, day.days), (0, 2, 1));
}

use arrow::datatypes::Float64Type;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::lake::UpkeepRequest;
use crate::testing::{City, MINUTE, START};

/// A row: sensor, time, value.
type Read = (String, i64, f64);

fn read(batch: &RecordBatch) -> Vec<Read> {
    let sensors = batch["sensor_id"].as_string::<i32>();
    let times = batch["time"].as_primitive::<TimestampMicrosecondType>();
    let values = batch["value"].as_primitive::<Float64Type>();
    let rows = 0..batch.num_rows();
    rows.map(|row| {
        (
            sensors.value(row).to_owned(),
            times.value(row),
            values.value(row),
        )
    })
    .collect()
}

fn in_range(table: &TableSnapshot, range: RowRange) -> Vec<Read> {
    let rows = CommittedRows::new(table).unwrap();
    let mut sorted = rows.in_range(&["value"], range).unwrap();
    let mut found = Vec::new();
    while let Some(batch) = sorted.next_batch().unwrap() {
        assert_eq!(batch.schema().fields().last().unwrap().name(), LICENCE);
        let licences = batch[LICENCE].as_string::<i32>();
        assert!(licences.iter().all(|licence| licence == Some("CC0-1.0")));
        found.extend(read(&batch));
    }
    found
}

fn recorded_from(table: &TableSnapshot, from: i64) -> Vec<Read> {
    let rows = CommittedRows::new(table).unwrap();
    let batches = rows.recorded_from(from, &["value"], &[]).unwrap();
    let mut found: Vec<Read> = batches.flat_map(|batch| read(&batch.unwrap())).collect();
    found.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    found
}

const EVERYTHING: RowRange = RowRange {
    from: i64::MIN,
    to: i64::MAX,
    leading: None,
};

#[test]
fn rows_of_some_series_and_times_come_in_the_order_of_the_key() {
    for seed in 0..3 {
        ranges_of_a_city(seed);
    }
}

fn ranges_of_a_city(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut city = City::open(folder.path(), |_| {});
    for minute in 0..40 {
        city.take(7, START + minute * MINUTE, minute as f64);
        if minute % 3 == 0 {
            city.take(
                3,
                START + random.random_range(0..=minute) * MINUTE,
                100.0 + minute as f64,
            );
        }
        if minute % 4 == 3 {
            city.commit();
        }
        if minute == 20 {
            city.commit();
            city.tend(UpkeepRequest::Compact(None));
        }
    }
    city.commit();
    let table = city.snapshot();
    let all = in_range(&table, EVERYTHING);
    assert_eq!(all.len(), 7 * 40);
    assert!(all.is_sorted_by(|a, b| (&a.0, a.1) < (&b.0, b.1)));
    let rows = CommittedRows::new(&table).unwrap();
    assert_eq!(rows.time_bounds(), Some((START, START + 39 * MINUTE)));
    let sensors: Vec<String> = (0..9).map(meetnet_testkit::garden::sensor).collect();
    for _ in 0..200 {
        let from = START + random.random_range(-2..42) * MINUTE;
        let to = from + random.random_range(0..20) * MINUTE;
        let leading: Option<Vec<KeyPart>> = random.random_bool(0.7).then(|| {
            let chosen = sensors.iter().filter(|_| random.random_bool(0.3));
            chosen
                .map(|sensor| KeyPart::Text(sensor.as_str().into()))
                .collect()
        });
        let range = RowRange { from, to, leading };
        let is_wanted = |(sensor, time, _): &&Read| {
            let part = KeyPart::Text(sensor.as_str().into());
            (from..to).contains(time)
                && range
                    .leading
                    .as_ref()
                    .is_none_or(|leading| leading.contains(&part))
        };
        let expect: Vec<Read> = all.iter().filter(is_wanted).cloned().collect();
        assert_eq!(
            in_range(&table, range.clone()),
            expect,
            "seed {seed}: {range:?}"
        );
    }
}

#[test]
fn what_was_recorded_since_is_what_changed_whatever_files_it_lies_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut city = City::open(folder.path(), |_| {});
    for minute in 0..6 {
        city.take(4, START + minute * MINUTE, 1.0);
        city.commit();
    }
    let before = city.journal.durable().1;
    let all = recorded_from(&city.snapshot(), 0);
    assert_eq!(all.len(), 4 * 6);
    // A merge, and a row that says what is known, change nothing.
    city.tend(UpkeepRequest::Compact(None));
    city.take(4, START, 1.0);
    city.commit();
    let changed = recorded_from(&city.snapshot(), before + 1);
    assert!(changed.is_empty(), "{changed:?}");
    // A new row, a revision of two sensors, and hot rows, which are not committed.
    city.take(1, START + 10 * MINUTE, 5.0);
    city.take(2, START + MINUTE, 7.0);
    city.commit();
    city.take(1, START + 11 * MINUTE, 9.0);
    let sensor = meetnet_testkit::garden::sensor;
    let changed = [
        (sensor(0), START + MINUTE, 7.0),
        (sensor(0), START + 10 * MINUTE, 5.0),
        (sensor(1), START + MINUTE, 8.0),
    ];
    assert_eq!(recorded_from(&city.snapshot(), before + 1), changed);
    city.tend(UpkeepRequest::Compact(None));
    let merged = city.snapshot();
    let is_old = |file: &&Arc<LiveFile>| {
        file.recorded_bounds()
            .is_some_and(|(_, last)| last < before)
    };
    assert_eq!(
        merged
            .files
            .iter()
            .filter(|file| !file.superseded)
            .filter(is_old)
            .count(),
        0
    );
    assert_eq!(recorded_from(&merged, before + 1), changed);
    // What somebody has seen is left out, file by file.
    let rows = CommittedRows::new(&merged).unwrap();
    let seen = rows.recorded_from(0, &[], &merged.files).unwrap();
    assert_eq!(seen.count(), 0);
    // The time itself counts as since.
    let last = recorded_from(&merged, before);
    assert_eq!(last.len(), changed.len() + 4, "{last:?}");
}

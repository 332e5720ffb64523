use arrow::datatypes::Float64Type;
use meetnet_model::dataset::DatasetKind;

use super::*;
use crate::fixture::{Row, batch, declaration};

/// Numbers that look as if they were by chance, and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: i64) -> i64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % limit
    }
}

/// Segment -> time and cars.
fn by_segment(rows: &RecordBatch) -> BTreeMap<i64, (i64, Option<f64>)> {
    let segments = rows.column(0).as_primitive::<Int64Type>();
    let times = rows.column(1).as_primitive::<TimestampMicrosecondType>();
    let cars = rows.column(2).as_primitive::<Float64Type>();
    let row = |row: usize| {
        let cars = cars.is_valid(row).then(|| cars.value(row));
        (segments.value(row), (times.value(row), cars))
    };
    (0..rows.num_rows()).map(row).collect()
}

#[test]
fn what_comes_bit_by_bit_is_as_if_it_came_at_once() {
    let key_of = |columns: &[&str]| {
        let mut declared = DatasetDeclaration::clone(&declaration("counts", DatasetKind::Wide));
        let columns = columns.iter().chain(&["time"]);
        declared.key = columns.map(|name| (*name).to_owned()).collect();
        declared
    };
    // By number, by text ("segment-10" is before "segment-2"), by both.
    let keys: [&[&str]; 4] = [
        &["segment_id"],
        &["place"],
        &["place", "segment_id"],
        &["segment_id", "place"],
    ];
    for series in keys {
        let declared = key_of(series);
        let schema = batch(&declared, "CC0-1.0", &[]).schema();
        let mut chance = Chance(series.len() as u64);
        let mut known: Option<RecordBatch> = None;
        let mut all: Vec<RecordBatch> = Vec::new();
        let mut expect: BTreeMap<i64, (i64, Option<f64>)> = BTreeMap::new();
        for step in 0..80 {
            let mut came = Vec::new();
            for _ in 0..chance.below(4) {
                let mut rows: Vec<Row> = Vec::new();
                for _ in 0..chance.below(6) {
                    // Few hours, so that some are the same.
                    let car = chance.below(5);
                    let car = (car > 0).then_some(car as f64);
                    rows.push((chance.below(30) - 3, chance.below(20) + step / 4, car));
                }
                came.push(batch(&declared, "CC0-1.0", &rows));
            }
            for batch in &came {
                let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
                for row in 0..batch.num_rows() {
                    let one = by_segment(&batch.slice(row, 1));
                    let time = times.value(row);
                    for (segment, of_row) in one {
                        if expect
                            .get(&segment)
                            .is_none_or(|(newest, _)| time >= *newest)
                        {
                            expect.insert(segment, of_row);
                        }
                    }
                }
            }
            let merged = newest(known.as_ref(), &came, &declared, &schema).unwrap();
            all.extend(came);
            let at_once = newest(None, &all, &declared, &schema).unwrap();
            assert_eq!(merged, at_once, "{series:?}, step {step}");
            assert_eq!(by_segment(&merged), expect, "{series:?}, step {step}");
            known = Some(merged);
        }
        assert!(expect.len() > 20, "{series:?}: {}", expect.len());
    }
}

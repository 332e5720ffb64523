//! Comparing columns all at once against comparing values one by one.

use arrow::array::{Float64Array, Float64Builder, ListBuilder};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

type List = Option<Vec<Option<f64>>>;

/// Lists as a column that begins in the middle of another one.
fn column(lists: &[List]) -> ArrayRef {
    let mut builder = ListBuilder::new(Float64Builder::new());
    builder.append_value([Some(7.0), None]);
    for list in lists {
        builder.append_option(list.clone());
    }
    Arc::new(builder.finish().slice(1, lists.len()))
}

fn some_lists(rng: &mut StdRng, count: usize) -> Vec<List> {
    let value = |rng: &mut StdRng| match rng.random_range(0..8) {
        0 => None,
        1 => Some(f64::NAN),
        2 => Some(-0.0),
        3 => Some(0.0),
        _ => Some(f64::from(rng.random_range(0..3_u8))),
    };
    (0..count)
        .map(|_| {
            let length = rng.random_range(0..4_usize);
            let list = (0..length).map(|_| value(rng)).collect();
            rng.random_bool(0.8).then_some(list)
        })
        .collect()
}

#[test]
fn lists_are_equal_where_each_of_their_values_is() {
    for seed in 0..300 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let left = some_lists(rng, 20);
        let mut right = left.clone();
        for list in &mut right {
            match rng.random_range(0..6) {
                // As long as the other one, or not.
                0 => {
                    if let Some(value) = list.as_mut().and_then(|list| list.first_mut()) {
                        *value = Some(9.0);
                    }
                }
                1 if seed % 3 == 0 => *list = some_lists(rng, 1).remove(0),
                2 if seed % 3 == 1 => *list = None,
                _ => {}
            }
        }
        let bits = |list: &List| -> Option<Vec<Option<u64>>> {
            let list = list.as_ref()?.iter();
            Some(list.map(|value| value.map(f64::to_bits)).collect())
        };
        let expected: Vec<bool> = left
            .iter()
            .zip(&right)
            .map(|(left, right)| bits(left) == bits(right))
            .collect();
        let equal = equal_rows(20, &[column(&left)], &[column(&right)]).unwrap();
        assert_eq!(equal.iter().collect::<Vec<_>>(), expected, "seed {seed}");
    }
}

/// One row of each kind of column that a comparison looks at.
type Row = (Option<f64>, Option<i64>, Option<String>, List);

/// Rows as columns that begin in the middle of others.
fn columns(rows: &[Row]) -> Vec<ArrayRef> {
    let count = rows.len();
    let one_before = |column: ArrayRef| column.slice(1, count);
    let floats = rows.iter().map(|row| row.0);
    let ints = rows.iter().map(|row| row.1);
    let texts = rows.iter().map(|row| row.2.clone());
    let lists: Vec<List> = rows.iter().map(|row| row.3.clone()).collect();
    vec![
        one_before(Arc::new(
            std::iter::once(Some(0.5))
                .chain(floats)
                .collect::<Float64Array>(),
        )),
        one_before(Arc::new(
            std::iter::once(Some(5)).chain(ints).collect::<Int64Array>(),
        )),
        one_before(Arc::new(
            std::iter::once(Some("x".to_owned()))
                .chain(texts)
                .collect::<StringArray>(),
        )),
        column(&lists),
    ]
}

#[test]
fn rows_are_equal_where_each_of_their_values_is() {
    for seed in 0..500 {
        let rng = &mut StdRng::seed_from_u64(seed);
        // Columns of which nothing is known, as of devices that do not measure it, on one side or on both.
        let has_values: [[bool; 4]; 2] = [(); 2].map(|()| [(); 4].map(|()| rng.random_bool(0.6)));
        let row = |rng: &mut StdRng, has: &[bool; 4]| -> Row {
            let floats = [None, Some(f64::NAN), Some(-0.0), Some(0.0), Some(1.0)];
            let float = floats[rng.random_range(0..floats.len())];
            let int = rng.random_bool(0.7).then(|| rng.random_range(0..2));
            let text = rng.random_bool(0.7).then(|| "a".to_owned());
            let list = some_lists(rng, 1).remove(0);
            (
                float.filter(|_| has[0]),
                int.filter(|_| has[1]),
                text.filter(|_| has[2]),
                list.filter(|_| has[3]),
            )
        };
        let count = rng.random_range(0..30_usize);
        let left: Vec<Row> = (0..count).map(|_| row(rng, &has_values[0])).collect();
        let right: Vec<Row> = left
            .iter()
            .map(|left| match rng.random_bool(0.7) {
                true => left.clone(),
                false => row(rng, &has_values[1]),
            })
            .collect();
        let bits = |row: &Row| {
            let of_list = |list: &Vec<Option<f64>>| -> Vec<Option<u64>> {
                list.iter().map(|value| value.map(f64::to_bits)).collect()
            };
            let (float, int, text, list) = row;
            let list = list.as_ref().map(of_list);
            (float.map(f64::to_bits), *int, text.clone(), list)
        };
        let pairs = left.iter().zip(&right);
        let expected: Vec<bool> = pairs
            .map(|(left, right)| bits(left) == bits(right))
            .collect();
        let equal = equal_rows(count, &columns(&left), &columns(&right)).unwrap();
        assert_eq!(equal.iter().collect::<Vec<_>>(), expected, "seed {seed}");
    }
}

#[test]
fn numbers_are_compared_by_their_values_and_by_their_bits() {
    let nan = |payload: u64| f64::from_bits(f64::NAN.to_bits() | payload);
    let floats = |values: Vec<f64>, nulls: Option<Vec<bool>>| -> ArrayRef {
        Arc::new(Float64Array::new(
            values.into(),
            nulls.map(NullBuffer::from),
        ))
    };
    let check = |left: &ArrayRef, right: &ArrayRef, expected: &[bool]| {
        // As whole columns, and as the middle of others.
        for (start, rows) in [(0, expected.len()), (1, expected.len() - 1)] {
            let part = |column: &ArrayRef| [column.slice(start, rows)];
            let equal = equal_rows(rows, &part(left), &part(right)).unwrap();
            let equal: Vec<bool> = equal.iter().collect();
            assert_eq!(equal, &expected[start..], "{left:?} {right:?}");
            let equal = equal_rows(rows, &part(right), &part(left)).unwrap();
            let equal: Vec<bool> = equal.iter().collect();
            assert_eq!(equal, &expected[start..], "{right:?} {left:?}");
        }
    };
    let some = || floats(vec![1.0, -0.0, nan(0), 4.0], None);
    check(&some(), &some(), &[true; 4]);
    let other = floats(vec![1.0, 0.0, nan(0), 4.0], None);
    check(&some(), &other, &[true, false, true, true]);
    let other = floats(vec![1.0, -0.0, nan(1), 4.0], None);
    check(&some(), &other, &[true, true, false, true]);
    // The same bytes, of which one side does not know the last ones.
    let known = Some(vec![true, true, true, false]);
    check(
        &some(),
        &floats(vec![1.0, -0.0, nan(0), 4.0], known.clone()),
        &[true, true, true, false],
    );
    let all = floats(vec![1.0, -0.0, nan(0), 4.0], Some(vec![true; 4]));
    check(&some(), &all, &[true; 4]);
    // Below a null stands something else.
    check(
        &floats(vec![1.0, -0.0, nan(0), 4.0], known.clone()),
        &floats(vec![1.0, -0.0, nan(0), 5.0], known),
        &[true; 4],
    );
    let ints = |values: [i64; 3]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    check(&ints([1, 2, 3]), &ints([1, 2, 4]), &[true, true, false]);
    let times = |values: [i64; 3]| -> ArrayRef {
        let times = TimestampMicrosecondArray::from(values.to_vec());
        Arc::new(times.with_timezone("UTC"))
    };
    check(&times([1, 2, 3]), &times([1, 2, 3]), &[true; 3]);
    check(&times([1, 2, 3]), &times([1, 0, 3]), &[true, false, true]);
}

//! Comparing lists all at once against comparing them one by one.

use arrow::array::{Float64Builder, ListBuilder};
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

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

#[test]
fn every_key_answers_its_last_row_whatever_the_order_of_times() {
    // Spans of times beside and beyond what is moved, so that all three ways are taken.
    for (seed, span) in [(1, 40), (2, 400), (3, 4_000)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut index = HotIndex::default();
        let mut expected: BTreeMap<(u8, u64), u64> = BTreeMap::new();
        let mut boundary = 0;
        for row in 0..6_000_u64 {
            let series = rng.random_range(0..3_u8);
            let time = row.saturating_sub(rng.random_range(0..span));
            let known = expected.insert((series, time), row);
            assert_eq!(index.get(&[series], time), known, "seed {seed}, row {row}");
            index.set(&[series], time, row);
            if row % 1_500 == 1_499 {
                boundary = row - rng.random_range(0..1_000);
                index.forget_below(boundary);
                expected.retain(|_, row| *row >= boundary);
            }
        }
        assert!(boundary > 0 && !expected.is_empty());
        assert_eq!(index.keys, expected.len(), "seed {seed}");
        for series in 0..3 {
            for time in 0..6_000 {
                let found = index.get(&[series], time);
                let known = expected.get(&(series, time)).copied();
                assert_eq!(found, known, "seed {seed}, series {series}, time {time}");
            }
        }
        index.forget_below(6_000);
        assert_eq!((index.keys, index.bytes()), (0, 0));
    }
}

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const ROWS: u64 = 4_000;

#[test]
fn every_key_answers_its_last_row_whatever_the_order_of_times() {
    // Times that lie as far apart as entries are moved, and farther.
    for (seed, span) in [(1, 40), (2, 400), (3, 4_000)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut index = HotIndex::default();
        let mut expected: BTreeMap<(u8, u64), u64> = BTreeMap::new();
        for row in 0..ROWS {
            let series = rng.random_range(0..3_u8);
            let time = row.saturating_sub(rng.random_range(0..span));
            let known = expected.insert((series, time), row);
            assert_eq!(index.get(&[series], time), known, "seed {seed}, row {row}");
            index.set(&[series], time, row);
            if row % 250 == 249 {
                // Few rows stay, perhaps only some that came late.
                let kept = [0, 1, 3, 10, 200][rng.random_range(0..5_usize)];
                index.forget_below(row + 1 - kept);
                expected.retain(|_, of| *of > row - kept);
            }
            if row % 125 == 124 {
                check(&index, &expected, seed);
            }
        }
        index.forget_below(ROWS);
        assert_eq!((index.keys, index.bytes()), (0, 0));
    }
}

fn check(index: &HotIndex, expected: &BTreeMap<(u8, u64), u64>, seed: u64) {
    assert_eq!(index.keys, expected.len(), "seed {seed}");
    for series in 0..3 {
        for time in 0..ROWS {
            let known = expected.get(&(series, time)).copied();
            let found = index.get(&[series], time);
            assert_eq!(found, known, "seed {seed}, series {series}, time {time}");
        }
    }
}

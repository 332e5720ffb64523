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
            if rng.random_bool(0.5) {
                let (found, number) = index.get_or_set(&[series], time, row);
                assert_eq!(found, known, "seed {seed}, row {row}");
                assert!(number < index.series());
                assert_eq!(index.get_or_set(&[series], time, row + 1).1, number);
            }
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

#[test]
fn a_late_time_is_noted_once_though_all_later_ones_are_forgotten() {
    let mut index = HotIndex::default();
    for row in 0..200 {
        index.set(b"s", 100 + row, row);
    }
    index.set(b"s", 50, 200);
    index.forget_below(200);
    assert_eq!((index.get(b"s", 50), index.keys), (Some(200), 1));
    index.set(b"s", 50, 201);
    assert_eq!((index.get(b"s", 50), index.keys), (Some(201), 1));
    index.set(b"s", 40, 202);
    let found = [40, 50].map(|time| index.get(b"s", time));
    assert_eq!((found, index.keys), ([Some(202), Some(201)], 2));
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

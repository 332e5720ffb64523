//! Schedules of groups, commits, merges, crashes and restarts, compared with the oracle: key -> versions in order.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// The model: what the rules say about a sequence of rows.
#[derive(Default)]
struct Oracle {
    current: BTreeMap<(String, String, i64), Answer>,
    order: BTreeMap<(String, String, i64), (i64, i64)>,
    history: BTreeSet<Answer>,
}

impl Oracle {
    fn apply(&mut self, row: &Row) {
        let value = row.value.map(f64::to_bits);
        let answer = |revision| (row.key.clone(), value, revision, row.received_at, None);
        let Some(stored) = self.current.get(&row.key).cloned() else {
            self.current.insert(row.key.clone(), answer(0));
            self.order
                .insert(row.key.clone(), (row.received_at, row.recorded_at));
            return;
        };
        let (received_at, recorded_at) = self.order[&row.key];
        if stored.1 == value {
            return;
        }
        if row.received_at < received_at {
            let known = self
                .history
                .iter()
                .any(|h| h.0 == row.key && h.1 == value && h.3 == row.received_at);
            if !known {
                let at = row.recorded_at.max(recorded_at);
                self.history
                    .insert((row.key.clone(), value, stored.2, row.received_at, Some(at)));
            }
            return;
        }
        self.history.insert((
            stored.0,
            stored.1,
            stored.2,
            stored.3,
            Some(row.recorded_at),
        ));
        self.current.insert(row.key.clone(), answer(stored.2 + 1));
        self.order
            .insert(row.key.clone(), (row.received_at, row.recorded_at));
    }
}

fn random_row(random: &mut StdRng, sequence: u64) -> Row {
    let recorded_at = START + 2 * 3600 * 1_000_000 + sequence as i64 * 1_000;
    let replayed = random.random_bool(0.15);
    Row {
        sequence,
        received_at: if replayed {
            recorded_at - random.random_range(1..40_000)
        } else {
            recorded_at
        },
        recorded_at,
        licence: if random.random_bool(0.2) {
            "ODbL-1.0"
        } else {
            "CC0-1.0"
        },
        key: (
            format!("s{}", random.random_range(0..6)),
            ["pm10", "pm2_5"][random.random_range(0..2)].to_owned(),
            // Mostly in time order, some late, around the end of a month.
            START
                + MINUTE * (sequence as i64 / 4)
                + MINUTE
                    * if random.random_bool(0.3) {
                        -random.random_range(0..30)
                    } else {
                        0
                    },
        ),
        value: [None, Some(1.0), Some(2.5), Some(-0.5)][random.random_range(0..4)],
    }
}

fn schedule(seed: u64) {
    let random = &mut StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    let mut oracle = Oracle::default();
    let mut frames: Vec<Row> = Vec::new();
    let mut job: Option<CommitJob> = None;
    let mut outcome: Option<CommitOutcome> = None;
    let mut merge: Option<MergeOutcome> = None;
    let mut trimmed = 0;
    for _ in 0..60 {
        match random.random_range(0..12) {
            0..=4 => {
                let group: Vec<Row> = (0..random.random_range(1..25))
                    .map(|index| random_row(random, frames.len() as u64 + index + 1))
                    .collect();
                apply(&mut actor, &group);
                group.iter().for_each(|row| oracle.apply(row));
                frames.extend(group);
            }
            5 | 6 => {
                if job.is_none() && outcome.is_none() {
                    let through = Sequence(frames.len() as u64);
                    // Often fewer files and partitions than are touched: then the barrier is lower.
                    let limits = CommitLimits {
                        revised_files_max: random.random_range(1..6),
                        partitions_max: random.random_range(1..6),
                    };
                    job = actor.freeze(through, 0, limits, 0);
                    assert!(job.is_some());
                }
            }
            7 => outcome = job.take().map(CommitJob::run).or(outcome),
            8 => {
                if let Some(outcome) = outcome.take() {
                    assert!(matches!(actor.admit(outcome), Ok(Admitted::Done)));
                }
                let oldest = actor
                    .oldest_uncommitted()
                    .map_or(frames.len() as u64, |s| s.0 - 1);
                trimmed = oldest.max(trimmed);
            }
            9 => {
                if let Some(merge) = merge.take() {
                    merge.discard();
                }
                let effort = [Effort::Steady, Effort::Full][random.random_range(0..2)];
                merge = merge_job(&actor, effort).map(MergeJob::run);
            }
            10 => merge = merge.and_then(|merge| place(&mut actor, merge)),
            _ => {
                // A crash: what is in memory is gone; a job that ran has committed, one that did not has not.
                job = None;
                outcome = None;
                merge = None;
                actor = open(&root, trimmed);
                apply(&mut actor, &frames[trimmed as usize..]);
            }
        }
        let snapshot = actor.snapshot(Sequence(frames.len() as u64), 0);
        let (current, history) = read(&snapshot);
        let expected: BTreeSet<Answer> = oracle.current.values().cloned().collect();
        assert_eq!(current, expected, "seed {seed}: current rows");
        assert_eq!(history, oracle.history, "seed {seed}: history");
    }
}

#[test]
fn schedules_equal_the_oracle() {
    let (first, count) = match std::env::var("MEETNET_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
    {
        Some(seed) => (seed, 1),
        None => (0, 60),
    };
    for seed in first..first + count {
        eprintln!("MEETNET_SEED={seed}");
        schedule(seed);
    }
}

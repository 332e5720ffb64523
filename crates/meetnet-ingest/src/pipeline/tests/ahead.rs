//! A replay by several threads against one by a single thread.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use meetnet_lake::journal::DupEntry;
use meetnet_lake::snapshot::HotBatch;
use meetnet_model::reject::RejectReason;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// Messages of one journal.
const MESSAGES: usize = 600;
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 3_600);

/// What a replay leaves: all that a reader, an operator or a broker can tell it by.
#[derive(Debug, PartialEq)]
struct Left {
    /// Hot rows in the order in which they were applied, and when each was replaced.
    rows: BTreeMap<DatasetId, (RecordBatch, Vec<i64>)>,
    rejects: BTreeMap<(SourceId, RejectReason), RejectTally>,
    dup_windows: BTreeMap<SourceId, Vec<DupEntry>>,
    frames: u64,
    applied: Applied,
}

fn hot_rows(snapshot: &LakeSnapshot) -> BTreeMap<DatasetId, (RecordBatch, Vec<i64>)> {
    let mut rows = BTreeMap::new();
    for (id, table) in &snapshot.tables {
        let batches: Vec<RecordBatch> = table.hot.iter().map(|hot| hot.batch.clone()).collect();
        let Some(first) = batches.first() else {
            continue;
        };
        let all = concat_batches(&first.schema(), &batches).unwrap();
        let replaced = table.hot.iter().flat_map(|hot| match &hot.superseded {
            Some(replaced) => replaced.to_vec(),
            None => vec![HotBatch::LIVE; hot.batch.num_rows()],
        });
        rows.insert(id.clone(), (all, replaced.collect()));
    }
    rows
}

/// Messages as they come: values, the same again, others for the same time, what cannot be decoded, under ids that repeat; in
/// the middle the declarations change once or twice, and what was a value becomes a reject.
fn fill(daemon: &Daemon, rng: &mut StdRng) -> Sequence {
    let first_ms = now_ms() - 3_600_000;
    let changes = [
        (MESSAGES / 2, "/temp"),
        (rng.random_range(0..MESSAGES), "/t"),
    ];
    let mut last = Sequence::ZERO;
    for number in 0..MESSAGES {
        for (_, pointer) in changes.iter().filter(|(at, _)| *at == number) {
            let declarations = declarations_reading(pointer).to_bytes();
            daemon.journal.append_declarations(&declarations).unwrap();
        }
        let ts = first_ms + 60_000 * rng.random_range(0..40_i64);
        let value = rng.random_range(0..5_i64);
        let (source, body) = match rng.random_range(0..10) {
            0 => ("timed", "{\"ts\":".to_owned()),
            1 => ("timed", format!("{{\"t\":{value}}}")),
            2 => ("gone", format!("{{\"t\":{value}}}")),
            3 => ("timeless", format!("{{\"t\":{}}}", value * 1_000)),
            4 => ("timed", format!("{{\"ts\":{ts},\"temp\":{value}}}")),
            5 => ("timeless", format!("{{\"t\":{value},\"h\":50}}")),
            _ => ("timed", format!("{{\"ts\":{ts},\"t\":{value},\"h\":50}}")),
        };
        let topic = format!("{source}/garden-{}", rng.random_range(0..3));
        let envelope = NewEnvelope {
            source,
            topic: &topic,
            packet_id: rng.random_range(0..50),
            epoch: 2,
            payload: body.as_bytes(),
            ..NewEnvelope::default()
        };
        let appended = if rng.random_bool(0.05) && last > Sequence::ZERO {
            let original = Original {
                sequence: last,
                received_at: ts * 1_000,
                clock_step: false,
            };
            daemon.journal.append_replay(original, &envelope).unwrap()
        } else {
            daemon.journal.append(&envelope).unwrap()
        };
        last = appended.sequence;
    }
    last
}

/// Replays what a crash left, on a copy of it.
fn replayed(folder: &Path, threads: usize, group_bytes: usize) -> Left {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, copy.path());
    let declarations = declarations_reading("/temp");
    let daemon = start_as(
        copy.path(),
        &declarations,
        |_| {},
        |options| {
            options.lake.limits.commit_age_max = NEVER;
            options.limits.replay_threads_max = threads;
            options.limits.group_bytes_max = group_bytes;
        },
    );
    let left = Left {
        rows: hot_rows(&daemon.pipeline.shared().load_full()),
        rejects: daemon.pipeline.rejects().read(),
        dup_windows: daemon.windows.snapshot(Sequence(u64::MAX)),
        frames: daemon.replayed.frames,
        applied: daemon.replayed.applied,
    };
    drop(daemon);
    left
}

#[test]
fn a_replay_by_several_threads_leaves_what_one_thread_leaves() {
    for seed in 0..3 {
        println!("seed {seed}");
        let rng = &mut StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        // No commit moves rows while the disk is copied, or hot ones are read, however slow the machine is.
        let without_commits =
            |options: &mut PipelineOptions| options.lake.limits.commit_age_max = NEVER;
        let daemon = start_as(folder.path(), &declarations(), |_| {}, without_commits);
        let last = fill(&daemon, rng);
        daemon.wait(last);
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        drop(daemon);

        // One frame, some frames, all of them at once.
        for group_bytes in [1, rng.random_range(500..4_000), 1 << 20] {
            let serial = replayed(copy.path(), 0, group_bytes);
            assert!(serial.frames >= MESSAGES as u64);
            let Applied {
                inserted,
                revised,
                unchanged,
                ..
            } = serial.applied;
            assert!(inserted > 0 && revised > 0 && unchanged > 0, "{serial:?}");
            assert!(serial.rejects.len() > 2 && !serial.dup_windows.is_empty());
            for threads in [1, 3] {
                let parallel = replayed(copy.path(), threads, group_bytes);
                assert_eq!(
                    parallel, serial,
                    "{threads} threads, groups of {group_bytes} bytes"
                );
            }
        }
    }
}

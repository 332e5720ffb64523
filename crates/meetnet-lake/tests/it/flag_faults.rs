//! New flags of stored rows on a disk that fails: whatever fails at whatever step, they are there whole or not at all, and
//! once.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int8Type, Int64Type};
use meetnet_lake::lake::Lake;
use meetnet_lake::{LakeError, NewFlags, Reflagged};
use meetnet_model::ids::Sequence;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};
use meetnet_testkit::garden::{self, START};

use crate::city::{answers, apply, heat, open, recorded_at};

/// `quality` and revision of the rows of three sensors: as recorded, and with two new flags.
const OLD: [(i8, i64); 3] = [(1, 0), (1, 0), (1, 0)];
const NEW: [(i8, i64); 3] = [(4, 1), (1, 0), (3, 1)];

/// A lake with a row of each sensor, committed, and a frame behind it.
fn before_the_fault() -> (FaultyFiles, Lake) {
    let files = FaultyFiles::new();
    let mut lake = open(&files, 0, |_| {}).expect("opens");
    apply(&mut lake, 1, &[(1, 0, 1.0), (2, 0, 2.0), (3, 0, 3.0)]).expect("applied");
    lake.commit_all().expect("committed");
    apply(&mut lake, 2, &[]).expect("applied");
    (files, lake)
}

/// Flags the rows as judged by frame 1; the first and the third get other flags.
fn reflag(lake: &mut Lake, sequence: u64) -> Result<Reflagged, LakeError> {
    let sensors = [1, 2, 3].map(garden::sensor);
    let times = TimestampMicrosecondArray::from(vec![START; 3]).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 3] = [
        ("sensor_id", Arc::new(StringArray::from(sensors.to_vec()))),
        (
            "property",
            Arc::new(StringArray::from(vec!["air_temperature"; 3])),
        ),
        ("time", Arc::new(times)),
    ];
    let flags = NewFlags {
        dataset: garden::heat(),
        keys: RecordBatch::try_from_iter(columns).expect("columns of one length"),
        revisions: vec![0; 3],
        recorded_at: vec![recorded_at(1); 3],
        quality: vec![4, 1, 3],
        quality_tests: vec![1, 0, 256],
    };
    lake.reflag(&flags, Sequence(sequence), recorded_at(sequence))
}

/// Reads `quality` and revision of the committed rows, by sensor.
fn flags(lake: &mut Lake) -> Vec<(i8, i64)> {
    let mut flags = Vec::new();
    let mut visit = |rows: &RecordBatch| {
        let column = |name: &str| rows.column_by_name(name).expect("a column");
        let quality = column("quality").as_primitive::<Int8Type>().values().iter();
        let revisions = column("revision")
            .as_primitive::<Int64Type>()
            .values()
            .iter();
        flags.extend(quality.copied().zip(revisions.copied()));
        Ok::<(), LakeError>(())
    };
    heat(lake)
        .visit_sorted(&["quality", "revision"], i64::MIN..i64::MAX, &mut visit)
        .expect("readable");
    flags
}

#[test]
fn new_flags_that_fail_at_any_step_are_given_once() {
    let (files, mut lake) = before_the_fault();
    let start = files.operations();
    let done = reflag(&mut lake, 2).expect("reflagged");
    assert_eq!((done.revised, done.unchanged, done.outdated), (2, 1, 0));
    assert_eq!(flags(&mut lake), NEW);
    let steps = files.operations() - start;
    assert!(steps > 10, "{steps} steps");
    let faults = [
        Fault::ShortWrite { bytes: 7 },
        Fault::FailedSync,
        Fault::DiskFull,
        Fault::LateError,
    ];
    let mut failed = 0;
    for fault in faults {
        for step in 0..steps {
            let (files, mut lake) = before_the_fault();
            files.fail_at(files.operations() + step, fault);
            let attempt = reflag(&mut lake, 2);
            failed += u64::from(attempt.is_err());
            let what = format!("{fault:?} at step {step}");
            for crash in [Crash::Kill, Crash::PowerLoss { seed: step }] {
                let files = files.copy_after(crash);
                let mut lake = open(&files, 1, |_| {}).expect("opens");
                let found = flags(&mut lake);
                let is_whole = found == NEW || (found == OLD && attempt.is_err());
                assert!(is_whole, "{what}: {crash:?}: {found:?}");
                apply(&mut lake, 3, &[]).expect("applied");
                reflag(&mut lake, 3).expect("reflagged");
                assert_eq!(flags(&mut lake), NEW, "{what}: {crash:?}");
                let (current, replaced) = answers(&files, &mut lake);
                assert_eq!((current.len(), replaced.len()), (3, 2), "{what}: {crash:?}");
            }
            // In the process that met the fault.
            apply(&mut lake, 3, &[]).expect("applied");
            let again = reflag(&mut lake, 3);
            again.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(flags(&mut lake), NEW, "{what}");
            let (current, replaced) = answers(&files, &mut lake);
            assert_eq!((current.len(), replaced.len()), (3, 2), "{what}");
        }
    }
    assert!(failed > steps, "{failed} attempts failed");
}

use std::sync::Arc;

use meetnet_lake::snapshot::{HotBatch, TableSnapshot};
use meetnet_model::dataset::DatasetKind;
use meetnet_model::ids::Sequence;

use super::{DatasetSummary, dataset_summary};
use crate::fixture::{self, HOUR, START, Version, hot, versions};

#[test]
fn a_summary_needs_no_file() {
    let lake = fixture::lake();
    let table = lake.snapshot.load().tables[&"counts".into()].clone();
    let bytes = table.files[..3].iter().map(|file| file.bytes).sum();
    drop(lake);
    assert_eq!(
        dataset_summary(&table),
        DatasetSummary {
            rows: 611,
            hot_rows: 2,
            time_min: Some(START),
            time_max: Some(START + 1430 * HOUR),
            bounds_exact: false,
            last_received: Some(START + 715 * HOUR + 1_000_000),
            last_changed: Some(START + 715 * HOUR + 1_000_000),
            files: 3,
            bytes,
            through: Sequence(7),
            stable_time: START + 1000 * HOUR,
        }
    );
}

/// What was received long ago, as it says, has changed the dataset when it was recorded, in files and in hot rows.
#[test]
fn a_dataset_changes_when_rows_are_recorded() {
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let version = |hour: i64, recorded: Option<i64>| Version {
        segment: 1,
        hour,
        car: Some(1.0),
        received_at: START + hour * HOUR,
        recorded_at: recorded.map(|recorded| START + recorded * HOUR),
        superseded_at: None,
        revision: 0,
    };
    let check = |stored: &[Version], hot_rows: &[Version], marks: Option<Vec<i64>>, hours: i64| {
        let partition = ("CC0-1.0", false, "2026-01");
        let stored = (!stored.is_empty())
            .then(|| lake.versions_file(&counts, partition, stored, 64))
            .into_iter();
        let batch = hot(versions(&counts, "CC0-1.0", hot_rows), marks);
        let summary = dataset_summary(&TableSnapshot {
            files: Arc::new(stored.collect()),
            hot: Arc::new(vec![batch]),
            ..lake.table(&counts)
        });
        assert_eq!(summary.last_changed, Some(START + hours * HOUR));
    };
    let imported = version(3, Some(500));
    check(&[imported], &[], None, 500);
    check(&[version(3, None)], &[], None, 3);
    check(&[imported, version(4, None)], &[], None, 500);
    check(&[imported], &[version(510, None)], None, 510);
    check(&[], &[imported, version(5, None)], None, 500);
    // A replaced row is no answer; that which replaced it is later.
    let replaced = Some(vec![START + 600 * HOUR, HotBatch::LIVE]);
    check(&[], &[imported, version(600, None)], replaced, 600);
    // A time that nothing was recorded at yet is that of a file.
    check(&[version(3000, None), imported], &[], None, 1000);
}

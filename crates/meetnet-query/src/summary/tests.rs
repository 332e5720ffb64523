use meetnet_model::ids::Sequence;

use super::{DatasetSummary, dataset_summary};
use crate::fixture::{self, HOUR, START};

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
            files: 3,
            bytes,
            through: Sequence(7),
            stable_time: START + 1000 * HOUR,
        }
    );
}

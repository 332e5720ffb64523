use std::cell::Cell;

use super::*;
use crate::fixture::{self, MINUTE, NOW, SECOND};

#[test]
fn public_datasets_have_rows_times_and_licences() {
    let overview = Overview::of(&fixture::lake(&fixture::declarations()), &[]);
    assert!(
        overview.dataset("rejects").is_none(),
        "private datasets are not shown"
    );
    let heat = overview.dataset("heat").expect("a built-in dataset");
    assert_eq!(heat.rows, 2);
    assert_eq!(heat.time_range, Some((NOW - MINUTE, NOW - MINUTE)));
    assert_eq!(heat.last_update, Some(NOW - 30 * SECOND));
    assert_eq!(
        heat.licences
            .iter()
            .map(LicenceId::as_str)
            .collect::<Vec<_>>(),
        ["CC-BY-4.0"]
    );
    let air = overview.dataset("air").expect("a built-in dataset");
    assert_eq!((air.rows, air.last_update), (0, None));
}

#[test]
fn one_computation_serves_all_readers_within_its_age() {
    let computed = Cell::new(0);
    let snapshot = || {
        computed.set(computed.get() + 1);
        Arc::new(LakeSnapshot::default())
    };
    let cache = OverviewCache::new(Duration::from_secs(3600));
    cache.get(snapshot);
    cache.get(snapshot);
    assert_eq!(computed.get(), 1);
    let cache = OverviewCache::new(Duration::ZERO);
    cache.get(snapshot);
    cache.get(snapshot);
    assert_eq!(computed.get(), 3);
}

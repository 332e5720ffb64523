use meetnet_lake::snapshot::{ColumnStatistics, LiveFile};
use meetnet_model::ids::LicenceId;

use super::*;
use crate::fixture::{self, MINUTE, NOW, SECOND};

/// A file that says when its newest row was received, and nothing else that is looked at.
fn file(received_at: i64, superseded: bool) -> Arc<LiveFile> {
    let received = ColumnStatistics {
        min: None,
        max: Some(StatisticsValue::Int(received_at)),
        nulls: None,
    };
    Arc::new(LiveFile {
        path: "a.parquet".into(),
        run: "run".into(),
        part: 0,
        bytes: 1,
        rows: 1,
        licence: LicenceId::new("CC0-1.0"),
        superseded,
        period: "2026".into(),
        sha256: "".into(),
        committed_at_ms: 0,
        statistics: BTreeMap::from([(common::RECEIVED_AT.into(), received)]),
    })
}

#[test]
fn what_came_last_is_asked_for_and_nothing_where_nothing_is_committed() {
    let declarations = fixture::declarations();
    let traffic = declarations.dataset("traffic").expect("a built-in dataset");
    let mut table = fixture::table(traffic, None, 1);
    assert_eq!(request(&table), None);
    table.files = Arc::new(vec![file(NOW + MINUTE, true)]);
    assert_eq!(request(&table), None, "only rows that were replaced");
    table.files = Arc::new(vec![file(NOW - MINUTE, false), file(NOW, false)]);
    let asked = request(&table).expect("rows are committed");
    assert_eq!(
        asked.conditions[0].test,
        PageTest::AtLeast(PageValue::Time(NOW - 10 * MINUTE))
    );
    let columns: Vec<&str> = asked.columns.iter().map(String::as_str).collect();
    assert!(
        columns.starts_with(&["segment_id", "interval_s", "time", "car"]),
        "{columns:?}"
    );
    assert!(
        columns.ends_with(&["quality", "received_at"]),
        "{columns:?}"
    );
}

/// The rows of a page come newest first; an arrival has its readings in the order of the key.
#[tokio::test]
async fn rows_of_a_page_become_arrivals() {
    let snapshot = fixture::snapshot();
    let state = fixture::state_over(Arc::clone(&snapshot));
    let lake = snapshot.load_full();
    for (id, place, names, interval_s) in [
        (
            "heat",
            "z2m-balcony",
            ["air_temperature", "relative_humidity"],
            None,
        ),
        ("traffic", "9000001463", ["car", "bike"], Some(3_600)),
    ] {
        let mut table = TableSnapshot::clone(&lake.tables[&DatasetId::new(id)]);
        table.files = Arc::new(vec![file(NOW, false)]);
        // The fixture's rows are hot: a page has them as it has committed ones.
        let asked = request(&table).expect("there is a file");
        let page = state.query.page(asked).await.expect("a page");
        let arrivals = of_page(&table.declaration, &page.batches);
        assert_eq!(arrivals.len(), 1, "{id}");
        assert_eq!(arrivals[0].place, place);
        assert_eq!(arrivals[0].interval_s, interval_s, "{id}");
        let found: Vec<_> = arrivals[0].readings.iter().map(|r| &*r.name).collect();
        assert_eq!(found, names);
    }
}

#[tokio::test]
async fn each_version_is_read_once_and_one_page_at_a_time_reads() {
    let snapshot = fixture::snapshot();
    let state = fixture::state_over(Arc::clone(&snapshot));
    let cache = CommittedArrivals::default();
    let mut lake = LakeSnapshot::clone(&snapshot.load_full());
    let observed = |tables: &[Arc<TableSnapshot>]| -> Vec<String> {
        let ids = tables.iter().map(|table| table.declaration.id.to_string());
        ids.collect()
    };
    assert_eq!(
        observed(&cache.unread(&lake)),
        ["air", "heat", "noise", "traffic"]
    );
    assert!(cache.unread(&lake).is_empty(), "somebody is reading");
    cache.known().begun = None;
    let hot: [Arrival; 0] = [];
    let shown = cache.join(&hot, &lake, &state.query).await;
    assert!(shown.is_empty(), "no file has rows");
    assert!(cache.unread(&lake).is_empty(), "all of it is known");

    // A commit: the rows are in a file now, and a page has them.
    let id = DatasetId::new("heat");
    let heat = lake.tables.get_mut(&id).expect("a built-in dataset");
    let heat = Arc::make_mut(heat);
    heat.version += 1;
    heat.files = Arc::new(vec![file(NOW - 30 * SECOND, false)]);
    let shown = cache.join(&hot, &lake, &state.query).await;
    let places: Vec<_> = shown.iter().map(|arrival| &*arrival.place).collect();
    assert_eq!(places, ["z2m-balcony"]);
    // Known as a hot row as well, it is shown once; and a table that is gone is not shown.
    assert_eq!(cache.join(&shown, &lake, &state.query).await.len(), 1);
    lake.tables.remove(&id);
    assert!(cache.join(&hot, &lake, &state.query).await.is_empty());
}

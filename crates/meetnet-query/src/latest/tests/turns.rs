//! At whose place rows are read, who waits meanwhile, and what is told where that fails.

use std::sync::Arc;
use std::time::Duration;

use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::ids::DatasetId;

use super::{all_places_of, at, one_place_each, service_at};
use crate::error::QueryErrorKind;
use crate::fixture::Database;
use crate::options::{QueryOptions, QueryRequest};

/// Whoever causes the reading does so at a place of its own; what has been read costs nobody one.
#[tokio::test(flavor = "multi_thread")]
async fn the_rows_are_read_at_the_place_of_who_asks() {
    let database = Database::new();
    let greedy = service_at(&database, one_place_each(), "192.0.2.1");
    let other = greedy.for_client(at("198.51.100.1"));
    let running = all_places_of(&greedy).await;
    let dataset = DatasetId::new("counts");
    let error = greedy.latest(&dataset, &[], &[]).await;
    let error = error.expect_err("it has all places that it may have");
    assert_eq!(error.kind, QueryErrorKind::OverShare, "{error}");
    // That says nothing of the rows: others read them, and from then on they are there for everybody.
    let page = other.latest(&dataset, &[], &[]).await;
    assert_eq!(page.expect("a page").batches[0].num_rows(), 5);
    let page = greedy.latest(&dataset, &[], &[]).await;
    assert_eq!(page.expect("a page").batches[0].num_rows(), 5);
    running.abort();
}

/// Where rows are is read anew for who asks for it, also where the rows are known.
#[tokio::test(flavor = "multi_thread")]
async fn places_are_read_at_the_place_of_who_asks() {
    let database = Database::new();
    let declarations = meetnet_model::schemas::builtin().into_declarations([]);
    let segments = declarations.dataset("segments");
    let segments = database.lake.table(segments.expect("a built-in dataset"));
    database.lake.publish(segments);
    let greedy = service_at(&database, one_place_each(), "192.0.2.1");
    let other = greedy.for_client(at("198.51.100.1"));
    let dataset = DatasetId::new("counts");
    let columns = ["segment_id", "lon", "lat"].map(str::to_owned);
    let page = other.latest(&dataset, &columns, &[]).await;
    assert_eq!(page.expect("a page").batches[0].num_rows(), 5);
    let running = all_places_of(&greedy).await;
    let page = greedy.latest(&dataset, &[], &[]).await;
    assert_eq!(page.expect("a page").batches[0].num_rows(), 5);
    let error = greedy.latest(&dataset, &columns, &[]).await;
    let error = error.expect_err("it has all places that it may have");
    assert_eq!(error.kind, QueryErrorKind::OverShare, "{error}");
    running.abort();
}

/// A failure is told to all who ask until it is tried again, and the pause doubles.
#[tokio::test]
async fn what_could_not_be_read_is_not_read_by_everybody_who_asks() {
    let database = Database::new();
    let options = QueryOptions {
        row_limit: 2,
        running_max: 1,
        queue_time_max: Duration::from_secs(2),
        ..QueryOptions::default()
    };
    let service = service_at(&database, options, "192.0.2.1");
    let dataset = DatasetId::new("counts");
    let refused = async || {
        let refused = service.latest(&dataset, &[], &[]).await;
        let error = refused.expect_err("five series are more than two rows");
        assert_eq!(error.kind, QueryErrorKind::Busy, "{error}");
        assert!(error.message.contains("more series"), "{error}");
        error.retry_after_s()
    };
    assert_eq!(refused().await, Some(5));
    // Nobody reads again: there would be no place to do so.
    let endless = QueryRequest::public("SELECT count(*) FROM generate_series(1, 1000000000000)");
    let asking = service.clone();
    let running = tokio::spawn(async move { asking.query(endless).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(refused().await.is_some_and(|seconds| seconds <= 5));
    running.abort();
    let end_pause = async || {
        let held = service.latest_cache().held(&dataset, Duration::ZERO).await;
        held.expect("nobody is at work").end_pause();
    };
    end_pause().await;
    assert_eq!(refused().await, Some(10));
    // One series is left, and once it has been read nothing is remembered of the failures.
    let all = TableSnapshot::clone(&database.lake.snapshot.load().tables[&dataset]);
    let of_nine = all
        .files
        .iter()
        .filter(|file| file.licence.as_str() != "CC0-1.0");
    database.lake.publish(TableSnapshot {
        version: all.version + 1,
        files: Arc::new(of_nine.cloned().collect()),
        hot: Arc::default(),
        masks: Arc::default(),
        ..all.clone()
    });
    assert!(
        service.latest(&dataset, &[], &[]).await.is_err(),
        "the pause lasts"
    );
    end_pause().await;
    let page = service.latest(&dataset, &[], &[]).await.expect("a page");
    assert_eq!(page.batches[0].num_rows(), 1);
    database.lake.publish(TableSnapshot {
        version: all.version + 2,
        ..all
    });
    assert_eq!(
        refused().await,
        Some(5),
        "the first of a new row of failures"
    );
}

/// Who waits while somebody else reads does not wait for longer than for a turn.
#[tokio::test]
async fn who_waits_for_the_reading_of_another_is_not_kept_for_long() {
    let database = Database::new();
    let options = QueryOptions {
        queue_time_max: Duration::from_millis(50),
        ..QueryOptions::default()
    };
    let service = service_at(&database, options, "192.0.2.1");
    let dataset = DatasetId::new("counts");
    let reading = service.latest_cache().held(&dataset, Duration::ZERO).await;
    let error = service.latest(&dataset, &[], &[]).await;
    let error = error.expect_err("somebody is reading");
    assert_eq!(error.kind, QueryErrorKind::Busy, "{error}");
    drop(reading);
    assert!(service.latest(&dataset, &[], &[]).await.is_ok());
}

//! What comes between two requests: the rows are those that a query finds, and no more is read than has to be.

use std::sync::Arc;

use meetnet_lake::damage::Damage;
use meetnet_lake::snapshot::{HotBatch, TableSnapshot};
use meetnet_model::ids::DatasetId;

use super::{all_places_of, at, change, latest, latest_of, one_place_each, service_at};
use crate::error::QueryErrorKind;
use crate::fixture::{Database, HOUR, Row, START, Version, batch, hot};

/// Hot rows, a commit, a revision, an erasure: after each the rows are those that a query finds.
#[tokio::test]
async fn the_rows_follow_the_table() {
    let database = Database::new();
    let counts = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()].declaration);
    let check = async |what: &str, expect: &[&str]| {
        assert_eq!(latest(&database, "counts").await, expect, "{what}");
    };
    let (one, two, three) = (
        "1 2026-02-05T03:00:00Z 10.0",
        "2 2026-02-05T03:00:00Z 20.0",
        "3 2026-02-05T03:00:00Z 30.0",
    );
    let (four, nine) = ("4 2026-03-01T14:00:00Z 40.0", "9 2026-03-01T09:00:00Z ");
    check("at first", &[one, two, three, four, nine]).await;

    let push = |table: &mut TableSnapshot, row: Row, superseded: Option<i64>| {
        let mut hot_rows: Vec<HotBatch> = table.hot.to_vec();
        let marks = superseded.map(|at| vec![at]);
        hot_rows.push(hot(batch(&counts, "CC0-1.0", &[row]), marks));
        table.hot = Arc::new(hot_rows);
    };
    // Received at half the hour, between the stable times before and after.
    change(&database, |table| push(table, (1, 2100, Some(1.0)), None));
    let first = "1 2026-03-29T12:00:00Z 1.0";
    check("a newer hot row", &[first, two, three, four, nine]).await;
    change(&database, |table| push(table, (2, 7, Some(7.0)), None));
    check("an older one", &[first, two, three, four, nine]).await;
    change(&database, |table| {
        let now = table.stable_time;
        push(table, (3, 2900, Some(3.0)), Some(now));
    });
    check("a replaced one", &[first, two, three, four, nine]).await;

    // A commit of all hot rows, and rows that came and were committed since somebody asked.
    let live = [
        (4, 1430, Some(40.0)),
        (1, 5, Some(500.0)),
        (1, 2100, Some(1.0)),
        (2, 7, Some(7.0)),
    ];
    let came = [(5, 3300, Some(5.0)), (2, 3310, None)];
    let lost = [(3, 2900, 3.0), (1, 5, 400.0)].map(|(segment, hour, car)| Version {
        segment,
        hour,
        car: Some(car),
        received_at: START + hour * HOUR / 2 + 1_000_000,
        recorded_at: None,
        superseded_at: Some(START + 1600 * HOUR),
        revision: 0,
    });
    let rows = [&live[..], &came[..]].concat();
    let lake = &database.lake;
    let committed = [
        lake.file(&counts, ("CC0-1.0", false, "2026-03"), &rows, 64),
        lake.versions_file(&counts, ("CC0-1.0", true, "2026-03"), &lost, 64),
    ];
    change(&database, |table| {
        table.version += 1;
        table.hot = Arc::default();
        let files = table.files.iter().chain(&committed).cloned().collect();
        table.files = Arc::new(files);
    });
    let (second, fifth) = ("2 2026-05-18T22:00:00Z ", "5 2026-05-18T12:00:00Z 5.0");
    check("a commit", &[first, second, three, four, fifth, nine]).await;

    // The licence of segment 9 goes, as an erasure or the retention takes files.
    change(&database, |table| {
        table.version += 1;
        let kept = table
            .files
            .iter()
            .filter(|file| file.licence.as_str() == "CC0-1.0");
        table.files = Arc::new(kept.cloned().collect());
    });
    check("an erasure", &[first, second, three, four, fifth]).await;
}

/// What was read of a file is not answered once that is known to be damaged.
#[tokio::test]
async fn rows_of_a_damaged_file_are_not_kept() {
    let database = Database::new();
    latest(&database, "counts").await;
    let table = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    for file in table.files.iter() {
        let damage = Some(Damage::WrongChecksum);
        table.folder.note_damage(&file.path, damage);
    }
    let counts = DatasetId::new("counts");
    let page = database.service.latest(&counts, &[], &[]).await;
    assert!(page.is_err(), "the rows are of damaged files");
}

/// Rows that came may lie in one batch with those before them, and those may have been replaced since.
#[tokio::test]
async fn hot_rows_that_were_joined_are_looked_at_once() {
    let database = Database::new();
    let counts = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()].declaration);
    let known = latest(&database, "counts").await;
    let publish = |rows: &[Row], replaced: &[usize]| {
        change(&database, |table| {
            let marks = (0..rows.len()).map(|row| {
                let is_replaced = replaced.contains(&row);
                if is_replaced {
                    table.stable_time
                } else {
                    HotBatch::LIVE
                }
            });
            let joined = hot(batch(&counts, "CC0-1.0", rows), Some(marks.collect()));
            let first = table.hot.iter().take(2).cloned();
            table.hot = Arc::new(first.chain([joined]).collect());
        });
    };
    let (one, other) = ("1 2026-03-29T12:00:00Z 1.0", "1 2026-03-29T12:00:00Z 7.0");
    let rows = [
        (1, 2100, Some(1.0)),
        (1, 2090, Some(2.0)),
        (1, 2100, Some(7.0)),
    ];
    let mut expect = known;
    publish(&rows[..1], &[]);
    expect[0] = one.to_owned();
    assert_eq!(latest(&database, "counts").await, expect);
    publish(&rows[..2], &[]);
    assert_eq!(latest(&database, "counts").await, expect);
    publish(&rows, &[0]);
    expect[0] = other.to_owned();
    assert_eq!(latest(&database, "counts").await, expect);

    // Fewer than were known: which of them are is not known, either.
    let mut table = TableSnapshot::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    let newer = batch(&counts, "CC0-1.0", &[(1, 2110, Some(8.0))]);
    table.hot = Arc::new(vec![hot(newer, None)]);
    database.lake.publish(table);
    expect[0] = "1 2026-03-29T22:00:00Z 8.0".to_owned();
    assert_eq!(latest(&database, "counts").await, expect);
}

/// What is known needs no query where it becomes files; what is only there does.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_rows_that_are_known_takes_no_place() {
    let database = Database::new();
    let counts = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()].declaration);
    let service = service_at(&database, one_place_each(), "192.0.2.1");
    let coming = |row: Row| hot(batch(&counts, "CC0-1.0", &[row]), None);
    latest_of(&service, "counts").await.expect("rows");
    // Received at half the hour.
    change(&database, |table| {
        let known = table.hot.iter().cloned();
        table.hot = Arc::new(known.chain([coming((1, 2100, Some(1.0)))]).collect());
    });
    let (first, three) = ("1 2026-03-29T12:00:00Z 1.0", "3 2026-02-05T03:00:00Z 30.0");
    let (four, nine) = ("4 2026-03-01T14:00:00Z 40.0", "9 2026-03-01T09:00:00Z ");
    let found = latest_of(&service, "counts").await.expect("rows");
    let second = "2 2026-02-05T03:00:00Z 20.0";
    assert_eq!(found, [first, second, three, four, nine]);

    let running = all_places_of(&service).await;
    let lake = &database.lake;
    let live = [
        (1, 5, Some(500.0)),
        (4, 1430, Some(40.0)),
        (1, 2100, Some(1.0)),
    ];
    let replaced = Version {
        segment: 1,
        hour: 5,
        car: Some(400.0),
        received_at: START + 5 * HOUR / 2 + 1_000_000,
        recorded_at: None,
        superseded_at: Some(START + 5 * HOUR),
        revision: 0,
    };
    let committed = [
        lake.file(&counts, ("CC0-1.0", false, "2026-03"), &live, 64),
        lake.versions_file(&counts, ("CC0-1.0", true, "2026-01"), &[replaced], 64),
    ];
    change(&database, |table| {
        table.version += 1;
        table.hot = Arc::new(vec![coming((2, 2500, Some(5.0)))]);
        let files = table.files.iter().chain(&committed).cloned().collect();
        table.files = Arc::new(files);
    });
    let second = "2 2026-04-15T04:00:00Z 5.0";
    let found = latest_of(&service, "counts").await.expect("rows");
    assert_eq!(found, [first, second, three, four, nine]);

    // As many rows have gone as have come and been committed since: there are as many as before, and others.
    let rows: Vec<Row> = (3000..3010).map(|hour| (5, hour, Some(6.0))).collect();
    let came = lake.file(&counts, ("CC0-1.0", false, "2026-05"), &rows, 64);
    change(&database, |table| {
        table.version += 1;
        let kept = table
            .files
            .iter()
            .filter(|file| file.licence.as_str() == "CC0-1.0");
        table.files = Arc::new(kept.chain([&came]).cloned().collect());
    });
    let error = latest_of(&service, "counts").await;
    let error = error.expect_err("it has all places that it may have");
    assert_eq!(error.kind, QueryErrorKind::OverShare, "{error}");
    let other = service.for_client(at("198.51.100.1"));
    let found = latest_of(&other, "counts").await.expect("rows");
    let fifth = "5 2026-05-06T09:00:00Z 6.0";
    assert_eq!(found, [first, second, three, four, fifth]);
    running.abort();
}

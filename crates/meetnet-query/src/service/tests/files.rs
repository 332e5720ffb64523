//! Files that are broken or gone: an answer names them, or does without them.

use std::sync::Arc;

use meetnet_lake::damage::Damage;
use meetnet_lake::snapshot::TableSnapshot;

use super::{service, text};
use crate::error::QueryErrorKind;
use crate::fixture;
use crate::options::QueryRequest;
use crate::service::QueryService;

/// A file that is damaged, or lost for good, is named; files that vacuum removes are not in the newest snapshot.
#[tokio::test]
async fn a_broken_file_is_named_and_other_files_answer() {
    let lake = fixture::lake();
    let service = service(&lake);
    let sql = "SELECT sum(car) FROM counts WHERE time BETWEEN '2026-02-01T00:00:00Z' AND '2026-02-28T00:00:00Z'";
    let before = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    let february = Arc::clone(&before.files[1]);
    let path = lake.folder.path().join("counts").join(&*february.path);
    let whole = std::fs::read(&path).expect("a file");
    let check = async |service: &QueryService, what: &str| {
        let error = text(service, QueryRequest::public(sql)).await;
        let error = error.expect_err("the file is broken");
        assert_eq!(error.kind, QueryErrorKind::Internal, "{error}");
        for part in [&*february.path, what, "meetnet check"] {
            assert!(error.message.contains(part), "{error} should say {part}");
        }
        assert!(
            !error
                .message
                .contains(&*lake.folder.path().to_string_lossy())
        );
        let other = "SELECT sum(car) FROM counts WHERE time < '2026-02-01T00:00:00Z'";
        text(service, QueryRequest::public(other))
            .await
            .expect("the rows of other files");
    };
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[4..middle].fill(0xff);
    std::fs::write(&path, damaged).expect("written");
    check(&service, "has other bytes than were written").await;
    std::fs::remove_file(&path).expect("removed");
    check(&service, "is missing").await;
}

/// A changed bit in a page of values is decoded all the same: what the hash has shown must be enough.
#[tokio::test]
async fn a_file_that_is_known_to_be_damaged_is_not_read() {
    let lake = fixture::lake();
    let service = service(&lake);
    let february = "SELECT sum(car) FROM counts WHERE time BETWEEN '2026-02-01T00:00:00Z' AND '2026-02-28T00:00:00Z'";
    let january = "SELECT sum(car) FROM counts WHERE time < '2026-02-01T00:00:00Z'";
    let ask = async |sql: &str| text(&service, QueryRequest::public(sql)).await;
    let first = ask(february).await.expect("an answer");
    let table = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    let path = Arc::clone(&table.files[1].path);

    // Its footer is kept since the first question.
    let damage = Some(Damage::WrongChecksum);
    table.folder.note_damage(&path, damage);
    for _ in 0..2 {
        let error = ask(february).await.expect_err("the file is damaged");
        assert_eq!(error.kind, QueryErrorKind::Internal, "{error}");
        for part in [&*path, "has other bytes than were written", "meetnet check"] {
            assert!(error.message.contains(part), "{error} should say {part}");
        }
        ask(january).await.expect("the rows of other files");
    }
    table.folder.note_damage(&path, None);
    assert_eq!(ask(february).await.expect("an answer"), first);

    // Taken out of the table while a query began: the newest snapshot does without it.
    table.folder.note_damage(&path, damage);
    let mut left = table.files.to_vec();
    left.remove(1);
    lake.publish(TableSnapshot {
        files: Arc::new(left),
        ..TableSnapshot::clone(&table)
    });
    let after = ask(february).await.expect("an answer without it");
    assert_ne!(after, first);
}

/// Vacuum removes a file that an old snapshot names.
#[tokio::test]
async fn a_file_that_the_newest_snapshot_does_not_name_may_be_gone() {
    let lake = fixture::lake();
    let service = service(&lake);
    let sql = "SELECT sum(car) FROM counts WHERE segment_id = 2";
    let before = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    let february = Arc::clone(&before.files[1]);
    std::fs::remove_file(lake.folder.path().join("counts").join(&*february.path)).expect("removed");

    let kept = before
        .files
        .iter()
        .filter(|file| file.path != february.path)
        .cloned()
        .collect();
    lake.publish(TableSnapshot {
        files: Arc::new(kept),
        ..TableSnapshot::clone(&before)
    });
    let answer = text(&service, QueryRequest::public(sql))
        .await
        .expect("the new snapshot");
    assert!(answer.contains("2000.0"), "{answer}");
}

/// Limits and retries hold on every way to the files.
#[tokio::test]
async fn a_file_gone_under_a_view_is_noticed() {
    let lake = fixture::lake();
    let service = service(&lake);
    let table = Arc::clone(&lake.snapshot.load().tables[&"revised".into()]);
    for file in table.files.iter() {
        std::fs::remove_file(lake.folder.path().join("revised").join(&*file.path))
            .expect("removed");
    }
    for sql in [
        "SELECT sum(car) FROM revised_as_of('2026-01-01T12:00:00Z')",
        "SELECT sum(car) FROM revised_history WHERE superseded_at IS NULL",
        "SELECT sum(car) FROM revised_history WHERE segment_id = 1 AND superseded_at > '2026-01-01T08:00:00Z'",
    ] {
        let error = text(&service, QueryRequest::public(sql)).await;
        let error = error.expect_err("the files are gone");
        assert!(error.message.contains("is missing"), "{sql}: {error}");
    }
}

/// DataFusion asks for footers alone, and would read the index of the pages in each query.
#[tokio::test]
async fn the_index_of_pages_is_kept_where_filters_skip_pages() {
    let lake = fixture::lake();
    let service = service(&lake);
    let kept = || {
        let cache = service.inner.shared.sessions.metadata_cache();
        let entries = cache.list_entries().into_values();
        let has_pages = entries.map(|entry| {
            let about = entry.value.file_metadata.extra_info();
            about.get("page_index").is_some_and(|has| has == "true")
        });
        let mut has_pages: Vec<bool> = has_pages.collect();
        has_pages.sort_unstable();
        has_pages
    };
    let ask = async |sql: &str| {
        let rows = text(&service, QueryRequest::public(sql)).await;
        rows.expect("rows");
    };
    ask("SELECT avg(car) FROM counts").await;
    assert_eq!(kept(), [false; 3], "no page can be skipped");
    ask("SELECT avg(car) FROM counts WHERE licence <> 'ODbL-1.0'").await;
    assert_eq!(kept(), [false; 3], "all rows of a file have the same");
    ask("SELECT car FROM counts WHERE segment_id = 3 AND time = '2026-01-03T12:00:00Z'").await;
    assert_eq!(kept(), [false, false, true], "that of one file");
    ask("SELECT avg(car) FROM counts").await;
    assert_eq!(kept(), [false, false, true]);
}

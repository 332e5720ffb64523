use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use meetnet_lake::snapshot::{LakeSnapshot, SharedSnapshot, TableSnapshot};

use super::{ResultCache, Taken};
use crate::fixture::{self, MINUTE, NOW};
use crate::public_router;

/// Changes the table of `heat`.
fn publish(snapshot: &SharedSnapshot, change: impl FnOnce(&mut TableSnapshot)) {
    let mut next = LakeSnapshot::clone(&snapshot.load());
    let heat = next.tables.get_mut(&"heat".into()).expect("a dataset");
    change(Arc::make_mut(heat));
    snapshot.store(Arc::new(next));
}

/// A message that changed nothing: `through` says which answers are made anew.
fn message(table: &mut TableSnapshot) {
    table.through.0 += 1;
    table.stable_time += 1;
}

#[tokio::test]
async fn an_answer_is_kept_until_the_tables_change() {
    let snapshot = fixture::snapshot();
    let router = public_router(fixture::state_over(Arc::clone(&snapshot)));
    let check = async |path: &str, through: &str, rows: &str| {
        let answer = fixture::get(router.clone(), path).await;
        assert_eq!(answer.header("meetnet-through"), through, "{path}");
        assert_eq!(answer.header("meetnet-rows"), rows, "{path}");
        answer
    };
    let path = "/api/v1/sql?q=SELECT+value+FROM+heat+ORDER+BY+value";
    let now = "/api/v1/sql?q=SELECT+value+FROM+heat+WHERE+now()+IS+NOT+NULL";
    let first = check(path, "42", "2").await;
    check(now, "42", "2").await;
    publish(&snapshot, message);
    let kept = check(path, "42", "2").await;
    assert_eq!(kept.body, first.body);
    assert_eq!(kept.header("etag"), first.header("etag"));
    assert_eq!(kept.header("repr-digest"), first.header("repr-digest"));
    check(now, "43", "2").await;
    check(&format!("{path}&format=csv"), "43", "2").await;
    check(&format!("{path}&licence=CC0-1.0"), "43", "0").await;

    publish(&snapshot, |table| {
        let row = [("z2m-balcony", "air_temperature", NOW - 2 * MINUTE, 4.5)];
        let rows = fixture::long_rows(&table.declaration, &row);
        let more = fixture::table(&table.declaration, Some((rows, vec![NOW])), 1);
        let hot = table.hot.iter().chain(more.hot.iter()).cloned().collect();
        table.hot = Arc::new(hot);
    });
    let changed = check(path, "43", "3").await;
    assert_ne!(changed.header("etag"), first.header("etag"));
    check(path, "43", "3").await;

    publish(&snapshot, |table| table.version += 1);
    publish(&snapshot, message);
    check(path, "44", "3").await;
}

/// Derived days change once an hour; who looks at them all day has them already.
#[tokio::test]
async fn a_commit_that_brings_no_rows_ends_no_answer() {
    let snapshot = fixture::snapshot();
    publish(&snapshot, |table| table.hot = Arc::default());
    let router = public_router(fixture::state_over(Arc::clone(&snapshot)));
    let path = "/api/v1/sql?q=SELECT+value+FROM+heat+ORDER+BY+value";
    let ask = async |format: &str, known: &str| {
        let path = format!("{path}&format={format}");
        fixture::get_with(router.clone(), &path, &[("if-none-match", known)]).await
    };
    let kept = ask("json", "").await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.body);
    publish(&snapshot, |table| table.version += 1);
    publish(&snapshot, message);
    let again = ask("json", "").await;
    assert_eq!(again.header("meetnet-through"), "42", "it is kept");
    let known = ask("json", kept.header("etag")).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);

    // As after a restart, which keeps no answer: CSV does not say how far it reaches.
    let first = ask("csv", "").await;
    publish(&snapshot, |table| table.version += 1);
    let restarted = public_router(fixture::state_over(Arc::clone(&snapshot)));
    let path = format!("{path}&format=csv");
    let known = [("if-none-match", first.header("etag"))];
    let answer = fixture::get_with(restarted, &path, &known).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
}

/// Nor where other rows have come in as many as have gone, and nor as of a time before.
#[tokio::test]
async fn an_answer_of_before_an_erasure_holds_no_more() {
    let snapshot = fixture::snapshot();
    let router = public_router(fixture::state_over(Arc::clone(&snapshot)));
    let question = "/api/v1/sql?q=SELECT+value+FROM+heat+ORDER+BY+value&format=csv";
    let paths = [
        question.to_owned(),
        format!("{question}&as_of=2026-11-22T02:46:00Z"),
    ];
    let mut tags = Vec::new();
    for path in &paths {
        let answer = fixture::get(router.clone(), path).await;
        assert!(answer.body.contains("-3.25"), "{path}: {answer:?}");
        let tag = answer.header("etag").to_owned();
        let known = [("if-none-match", tag.as_str())];
        let again = fixture::get_with(router.clone(), path, &known).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path}");
        tags.push(tag);
    }
    publish(&snapshot, |table| {
        let rows = [
            ("z2m-garden", "air_temperature", NOW - MINUTE, 4.5),
            ("z2m-garden", "relative_humidity", NOW - MINUTE, 70.0),
        ];
        let rows = fixture::long_rows(&table.declaration, &rows);
        let received_at = vec![NOW - MINUTE / 2; 2];
        table.hot = fixture::table(&table.declaration, Some((rows, received_at)), 1).hot;
        // What an erasure leaves is a new version.
        table.version += 1;
    });
    for (path, tag) in paths.iter().zip(&tags) {
        let known = [("if-none-match", tag.as_str())];
        let answer = fixture::get_with(router.clone(), path, &known).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.body.contains("4.5"), "{path}: {answer:?}");
        assert!(!answer.body.contains("-3.25"), "{path}: {answer:?}");
        assert_ne!(answer.header("etag"), tag, "{path}");
    }
}

#[tokio::test]
async fn the_least_recently_used_answers_go_first() {
    let snapshot = fixture::snapshot();
    let mut state = fixture::state_over(Arc::clone(&snapshot));
    // Four answers of some hundred bytes, each with what its entry takes.
    state.results = Arc::new(ResultCache::new(10_000));
    let router = public_router(state);
    let through = async |question: u32| {
        let path = format!("/api/v1/sql?q=SELECT+value,+{question}+FROM+heat");
        let answer = fixture::get(router.clone(), &path).await;
        answer.header("meetnet-through").to_owned()
    };
    for question in [1, 2, 3, 4, 1, 5] {
        assert_eq!(through(question).await, "42");
    }
    publish(&snapshot, message);
    assert_eq!(through(1).await, "42", "used again");
    assert_eq!(through(5).await, "42", "the newest");
    assert_eq!(through(2).await, "43", "the least recently used");
}

#[tokio::test]
async fn an_answer_that_would_empty_the_cache_is_not_kept() {
    let snapshot = fixture::snapshot();
    let mut state = fixture::state_over(Arc::clone(&snapshot));
    state.results = Arc::new(ResultCache::new(10_000));
    let router = public_router(state);
    let path = "/api/v1/sql?q=SELECT+repeat('x',+2000)+FROM+heat";
    fixture::get(router.clone(), path).await;
    publish(&snapshot, message);
    let answer = fixture::get(router, path).await;
    assert_eq!(answer.header("meetnet-through"), "43");
}

#[tokio::test]
async fn answers_under_way_take_no_more_than_may_be_kept() {
    let snapshot = fixture::snapshot();
    let results = Arc::new(ResultCache::new(10_000));
    let mut state = fixture::state_over(Arc::clone(&snapshot));
    state.results = Arc::clone(&results);
    let router = public_router(state);
    let path = "/api/v1/sql?q=SELECT+value+FROM+heat";
    // Of slow clients.
    let mut others = Taken {
        cache: Arc::clone(&results),
        bytes: 0,
    };
    assert!(others.grow(10_000));
    fixture::get(router.clone(), path).await;
    publish(&snapshot, message);
    let answer = fixture::get(router.clone(), path).await;
    assert_eq!(answer.header("meetnet-through"), "43", "it was not kept");
    drop(others);
    fixture::get(router.clone(), path).await;
    publish(&snapshot, message);
    let answer = fixture::get(router, path).await;
    assert_eq!(answer.header("meetnet-through"), "43", "it was kept");
    assert_eq!(results.recorded.load(Ordering::Relaxed), 0);
}

use std::sync::Arc;

use crate::error::QueryErrorKind;
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

/// Windows over much more than their memory: what has to be held is refused, what goes by is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_holds_no_more_than_its_query_may() {
    let lake = fixture::lake();
    let options = QueryOptions {
        memory_bytes_max: 48 << 20,
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let over = |window: &str, rows: u64| {
        format!(
            "SELECT count(s) FROM (SELECT sum(value) OVER ({window}) AS s FROM generate_series(1, {rows}))"
        )
    };
    for (window, rows, is_answered) in [
        ("", 10_000, true),
        ("", 5_000_000, false),
        (
            "ORDER BY value ROWS BETWEEN 3 PRECEDING AND CURRENT ROW",
            1_000_000,
            true,
        ),
        ("ORDER BY value", 1_000_000, true),
        (
            "ORDER BY value ROWS BETWEEN CURRENT ROW AND 900000 FOLLOWING",
            5_000_000,
            false,
        ),
        (
            "ORDER BY value RANGE BETWEEN 3000000 PRECEDING AND CURRENT ROW",
            5_000_000,
            false,
        ),
        ("PARTITION BY value % 7", 5_000_000, false),
    ] {
        let sql = over(window, rows);
        let answer = service.query(QueryRequest::public(sql.as_str())).await;
        let answer = match answer {
            Ok(mut answer) => answer.collect().await.map(|_| ()),
            Err(error) => Err(error),
        };
        match answer {
            Ok(()) => assert!(is_answered, "{sql}"),
            Err(error) => {
                assert!(!is_answered, "{sql}: {error}");
                assert_eq!(error.kind, QueryErrorKind::TooLarge, "{sql}: {error}");
            }
        }
    }
}

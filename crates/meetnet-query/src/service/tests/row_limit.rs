//! Rows of one answer: where there are more, it is cut and says so, or is refused.

use std::sync::Arc;

use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::dataset::DatasetKind;

use super::service;
use crate::error::QueryErrorKind;
use crate::fixture;
use crate::options::QueryRequest;

#[tokio::test]
async fn the_row_limit_cuts_and_says_so() {
    let lake = fixture::lake();
    let service = service(&lake);
    for (row_limit, sql, rows, cut) in [
        (5, "SELECT * FROM counts", 5, true),
        (5, "SELECT * FROM counts LIMIT 5", 5, false),
        (0, "SELECT * FROM counts", 0, true),
        (611, "SELECT * FROM counts", 611, false),
        (610, "SELECT * FROM counts ORDER BY time", 610, true),
        (20_000, "SELECT 1 FROM counts a, counts b", 20_000, true),
    ] {
        let request = QueryRequest {
            row_limit: Some(row_limit),
            ..QueryRequest::public(sql)
        };
        let mut answer = service.query(request).await.expect("an answer");
        let batches = answer.collect().await.expect("rows");
        assert_eq!(
            batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
            rows,
            "{sql}"
        );
        assert_eq!(answer.truncated(), cut, "{sql}");
    }
}

/// Whoever cannot be told that rows are left out learns it before the first row, where that is known.
#[tokio::test]
async fn a_limit_that_would_be_broken_is_refused_at_planning() {
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let rows: Vec<fixture::Row> = (0..5).map(|hour| (1, hour, Some(1.0))).collect();
    lake.publish(TableSnapshot {
        hot: Arc::new(vec![fixture::hot(
            fixture::batch(&counts, "CC0-1.0", &rows),
            None,
        )]),
        ..lake.table(&counts)
    });
    check_refused(
        &lake,
        &[
            ("SELECT * FROM counts", true, 4, true),
            ("SELECT * FROM counts", true, 5, false),
            ("SELECT * FROM counts", false, 4, false),
            ("SELECT * FROM counts LIMIT 5", true, 4, true),
            ("SELECT * FROM counts LIMIT 4", true, 4, false),
            ("SELECT count(*) FROM counts", true, 4, false),
            ("SELECT * FROM counts WHERE car > 0", true, 4, false),
        ],
    )
    .await;
}

/// A scan of files that stops after so many rows counts all rows of its files.
#[tokio::test]
async fn what_asks_for_few_rows_of_a_large_file_is_not_refused() {
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let rows: Vec<fixture::Row> = (0..9).map(|hour| (1, hour, Some(1.0))).collect();
    let file = lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 64);
    lake.publish(TableSnapshot {
        files: Arc::new(vec![file]),
        ..lake.table(&counts)
    });
    check_refused(
        &lake,
        &[
            ("SELECT * FROM counts", true, 4, true),
            ("SELECT * FROM counts", true, 9, false),
            ("SELECT * FROM counts LIMIT 3", true, 4, false),
            ("SELECT time FROM counts LIMIT 4", true, 4, false),
            ("SELECT * FROM counts LIMIT 2 OFFSET 1", true, 4, false),
            (
                "SELECT * FROM (SELECT * FROM counts LIMIT 3) AS c",
                true,
                4,
                false,
            ),
            (
                "SELECT time, (SELECT max(time) FROM counts) AS newest FROM counts LIMIT 3",
                true,
                4,
                false,
            ),
            (
                "SELECT * FROM (SELECT * FROM counts LIMIT 2) AS a UNION ALL SELECT * FROM (SELECT * FROM counts LIMIT 2) AS b",
                true,
                4,
                false,
            ),
            // Each of two makes few rows, and both make more.
            (
                "SELECT * FROM (SELECT * FROM counts LIMIT 3) AS a UNION ALL SELECT * FROM (SELECT * FROM counts LIMIT 3) AS b",
                true,
                4,
                true,
            ),
            (
                "SELECT * FROM counts UNION ALL SELECT * FROM (SELECT * FROM counts LIMIT 3) AS b",
                true,
                4,
                true,
            ),
        ],
    )
    .await;
}

/// Asks each statement, wholly or not, within its row limit, and says which are refused.
async fn check_refused(lake: &fixture::Lake, statements: &[(&str, bool, usize, bool)]) {
    let service = service(lake);
    for &(sql, whole, row_limit, refused) in statements {
        let request = QueryRequest {
            whole,
            row_limit: Some(row_limit),
            ..QueryRequest::public(sql)
        };
        match service.query(request).await {
            Ok(_) => assert!(!refused, "{sql} of {row_limit} rows"),
            Err(error) => {
                assert!(refused, "{sql} of {row_limit} rows: {error}");
                assert_eq!(error.kind, QueryErrorKind::TooLarge);
                assert!(error.message.contains("more than the 4 rows"), "{error}");
            }
        }
    }
}

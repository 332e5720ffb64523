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

/// What stops after so many rows counts as many and no more, wherever it stands in a statement; of what leaves rows out nobody
/// knows how many there are.
#[tokio::test]
async fn only_what_certainly_has_more_rows_is_refused_at_planning() {
    const ONE: &str = "(SELECT * FROM counts LIMIT 1) AS b";
    const TWO: &str =
        "((SELECT time FROM counts LIMIT 1) UNION ALL (SELECT time FROM counts LIMIT 1)) AS b";
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let rows: Vec<fixture::Row> = (0..9).map(|hour| (1, hour, Some(1.0))).collect();
    let file = lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 64);
    lake.publish(TableSnapshot {
        files: Arc::new(vec![file]),
        ..lake.table(&counts)
    });
    let cross = |of: &str| format!("SELECT a.time FROM counts AS a CROSS JOIN {of}");
    let join =
        |kind: &str| format!("SELECT a.time FROM counts AS a {kind} JOIN {ONE} USING (time)");
    let on =
        |kind: &str| format!("SELECT a.car FROM counts AS a {kind} JOIN {ONE} ON a.time = b.time");
    let cases = [
        (cross(ONE), 8, true),
        (cross(ONE), 9, false),
        (format!("{} LIMIT 4", cross(ONE)), 4, false),
        (format!("{} OFFSET 5", cross(ONE)), 4, false),
        (format!("{} OFFSET 4", cross(ONE)), 4, true),
        (cross("(SELECT * FROM counts LIMIT 2) AS b"), 17, true),
        (cross("(SELECT * FROM counts LIMIT 2) AS b"), 18, false),
        (
            cross("(SELECT * FROM counts LIMIT 9 OFFSET 7) AS b"),
            18,
            false,
        ),
        (
            cross("(SELECT * FROM counts ORDER BY car LIMIT 1) AS b"),
            9,
            false,
        ),
        (
            cross("(SELECT * FROM counts WHERE car > 0 LIMIT 1) AS b"),
            9,
            false,
        ),
        (cross("(SELECT * FROM counts WHERE car > 5) AS b"), 4, false),
        (cross("(SELECT DISTINCT car FROM counts) AS b"), 9, false),
        (
            cross("(SELECT car, avg(car) FROM counts GROUP BY car) AS b"),
            9,
            false,
        ),
        (cross("(SELECT avg(car) FROM counts) AS b"), 8, true),
        (cross("(SELECT avg(car) FROM counts) AS b"), 9, false),
        (
            cross("(SELECT avg(car) FROM counts LIMIT 0) AS b"),
            4,
            false,
        ),
        (cross(TWO), 17, true),
        (cross(TWO), 18, false),
        (join("INNER"), 4, false),
        (join("LEFT"), 9, false),
        (on("RIGHT"), 4, false),
        (on("FULL"), 9, false),
        (on("LEFT SEMI").replace("a.car", "*"), 4, false),
        (on("LEFT ANTI").replace("a.car", "*"), 9, false),
        (
            "SELECT car FROM counts WHERE time IN (SELECT time FROM counts LIMIT 1)".to_owned(),
            4,
            false,
        ),
        ("SELECT DISTINCT car FROM counts".to_owned(), 4, false),
        ("SELECT car FROM counts GROUP BY car".to_owned(), 4, false),
        (
            "SELECT unnest([car]) FROM counts LIMIT 3".to_owned(),
            4,
            false,
        ),
        ("SELECT * FROM counts OFFSET 5".to_owned(), 4, false),
        ("SELECT * FROM counts OFFSET 4".to_owned(), 4, true),
        ("SELECT * FROM counts OFFSET 20".to_owned(), 4, false),
        (
            "SELECT * FROM counts ORDER BY car, time LIMIT 3".to_owned(),
            4,
            false,
        ),
        ("SELECT sum(car) OVER () FROM counts".to_owned(), 4, true),
        (
            "SELECT sum(car) OVER () FROM counts LIMIT 4".to_owned(),
            4,
            false,
        ),
        (
            "SELECT sum(car) OVER () FROM (SELECT * FROM counts LIMIT 4) AS c".to_owned(),
            4,
            false,
        ),
    ];
    let cases: Vec<(&str, bool, usize, bool)> = cases
        .iter()
        .map(|(sql, row_limit, refused)| (sql.as_str(), true, *row_limit, *refused))
        .collect();
    check_refused(&lake, &cases).await;
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
                let more = format!("more than the {row_limit} rows");
                assert!(error.message.contains(&more), "{error}");
            }
        }
    }
}

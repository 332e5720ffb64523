use std::sync::Arc;

use meetnet_lake::snapshot::TableSnapshot;

use crate::fixture::{self, Database};

fn without_hot_rows_and_masks(database: &Database) {
    let table = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    database.lake.publish(TableSnapshot {
        hot: Arc::default(),
        masks: Arc::default(),
        ..TableSnapshot::clone(&table)
    });
}

#[tokio::test]
async fn the_current_view_is_files_without_masked_rows_and_live_hot_rows() {
    let database = Database::new();
    for (sql, expect) in [
        ("SELECT count(*) FROM counts", "611"),
        (
            "SELECT count(*), count(car), sum(car) FROM counts",
            "611|601|12530.0",
        ),
        (
            "SELECT count(*), max(car) FROM counts WHERE segment_id = 1 AND time < '2026-01-02'",
            "24|500.0",
        ),
        (
            "SELECT car FROM counts WHERE segment_id = 1 AND time = '2026-01-01T05:00:00Z'",
            "500.0",
        ),
        (
            "SELECT min(time), max(time) FROM counts",
            "2026-01-01T00:00:00Z|2026-03-01T14:00:00Z",
        ),
        (
            "SELECT count(*) FROM counts WHERE licence = 'ODbL-1.0'",
            "10",
        ),
        (
            "SELECT count(*) FROM counts WHERE licence <> 'ODbL-1.0'",
            "601",
        ),
        ("SELECT count(DISTINCT segment_id) FROM counts", "5"),
        (
            "SELECT count(*) FROM counts WHERE superseded_at IS NOT NULL",
            "0",
        ),
        (
            "SELECT speed_hist[1] FROM counts WHERE segment_id = 4",
            "40.0",
        ),
        (
            "SELECT count(*) FROM (SELECT DISTINCT segment_id, time FROM counts)",
            "611",
        ),
        ("SELECT count(*) FROM (SELECT * FROM counts LIMIT 7)", "7"),
        (
            "SELECT count(*) FROM (SELECT * FROM counts LIMIT 605)",
            "605",
        ),
        (
            "SELECT place, source, licence FROM counts WHERE segment_id = 9 LIMIT 1",
            "segment-9|test|ODbL-1.0",
        ),
    ] {
        assert_eq!(database.row(sql).await, expect, "{sql}");
    }
}

#[tokio::test]
async fn counts_and_bounds_come_from_statistics() {
    let database = Database::new();
    let check = async |sql: &str, reads: bool| {
        let plan = database.text(&format!("EXPLAIN {sql}")).await;
        assert_eq!(plan.contains("DataSourceExec"), reads, "{sql}\n{plan}");
    };
    // The number of rows is exact in spite of the mask, bounds are not.
    check("SELECT count(*) FROM counts", false).await;
    check("SELECT min(time) FROM counts", true).await;
    check("SELECT count(car) FROM counts", true).await;
    without_hot_rows_and_masks(&database);
    check(
        "SELECT count(*), min(time), max(time), max(segment_id) FROM counts",
        false,
    )
    .await;
    check("SELECT count(car) FROM counts", false).await;
    // Texts may be cut and floats leave NaN out.
    check("SELECT max(place) FROM counts", true).await;
    check("SELECT max(car) FROM counts", true).await;
    let bounds = "SELECT min(time), max(time) FROM counts";
    assert_eq!(
        database.row(bounds).await,
        "2026-01-01T00:00:00Z|2026-03-01T09:00:00Z"
    );
}

#[tokio::test]
async fn files_are_skipped_by_statistics_and_partition_values() {
    let database = Database::new();
    let check = async |filter: &str, files: &[&str]| {
        let plan = database
            .text(&format!("EXPLAIN SELECT car FROM counts WHERE {filter}"))
            .await;
        for month in ["2026-01", "2026-02", "2026-03"] {
            let read = plan.contains(&format!("superseded=false/month={month}/"));
            assert_eq!(read, files.contains(&month), "{filter}: {month}\n{plan}");
        }
        assert!(!plan.contains("superseded=true"), "{plan}");
        assert!(
            !plan.contains(&*database.lake.folder.path().to_string_lossy()),
            "{plan}"
        );
    };
    check("time >= '2026-02-01' AND time < '2026-03-01'", &["2026-02"]).await;
    check("time > '2026-02-10'", &["2026-03"]).await;
    check("segment_id = 2", &["2026-01", "2026-02"]).await;
    check("place = 'segment-9'", &["2026-03"]).await;
    check("licence = 'ODbL-1.0'", &["2026-03"]).await;
    check("licence = 'ODbL-1.0' AND segment_id = 1", &[]).await;
    check(
        "segment_id IN (9, 10) OR time < '2026-01-02'",
        &["2026-01", "2026-03"],
    )
    .await;
    check("car IS NULL", &["2026-03"]).await;
    check("superseded_at IS NOT NULL", &[]).await;
    // A bucket is a range of time.
    let month = "time_bucket(INTERVAL '1 month', time)";
    check(&format!("{month} = '2026-02-01'"), &["2026-02"]).await;
    check(&format!("{month} < '2026-02-01'"), &["2026-01"]).await;
    check(&format!("{month} = '2026-02-02'"), &[]).await;
    check(
        "time_bucket(INTERVAL '1 day', time, 'Europe/Brussels') >= '2026-02-15'",
        &["2026-03"],
    )
    .await;
}

/// Row groups of 64 rows and pages of 32: one series in one file touches few of them, masks or not.
#[tokio::test]
async fn row_groups_and_pages_are_skipped() {
    let database = Database::new();
    let sql = "SELECT car FROM counts WHERE segment_id = 3 AND time = '2026-01-03T12:00:00Z'";
    let plan = database.text(&format!("EXPLAIN ANALYZE {sql}")).await;
    let metric = |name: &str| {
        let start = plan
            .find(name)
            .unwrap_or_else(|| panic!("no {name}\n{plan}"))
            + name.len();
        plan[start..]
            .split([',', ']'])
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    assert_eq!(
        metric("row_groups_pruned_statistics="),
        "5 total → 2 matched",
        "{plan}"
    );
    assert!(
        metric("page_index_rows_pruned=").contains("108 total → 64 matched"),
        "{plan}"
    );
    assert_eq!(database.row(sql).await, "30.0");
}

/// Some hours of all series are asked while the file is decoded, before anything else is, and once.
#[tokio::test]
async fn a_short_range_of_times_is_decoded_first() {
    let database = Database::new();
    let check = async |filter: &str, expect: Option<&str>| {
        let sql = format!("EXPLAIN ANALYZE SELECT place FROM counts WHERE {filter}");
        let plan = database.text(&sql).await;
        let filters = plan.contains("pushdown_rows_matched=") && !plan.contains("FilterExec");
        assert_eq!(filters, expect.is_some(), "{filter}\n{plan}");
        if let Some(expect) = expect {
            let asked = format!("predicate=({expect}) AND ");
            assert!(plan.contains(&asked), "{filter}: {asked}\n{plan}");
            assert!(plan.contains("page_index_pages_pruned="), "{plan}");
        }
    };
    without_hot_rows_and_masks(&database);
    // Hours 20 to 30 of 100, in January, 1,767,225,600 s after 1970.
    let range = "time >= '2026-01-01T20:00:00Z' AND time < '2026-01-02T06:00:00Z'";
    let once = "time@1 >= 1767297600000000 AND time@1 < 1767333600000000 OR time@1 IS NULL";
    check(&format!("car > 5 AND {range}"), Some(once)).await;
    check(&format!("{range} AND place <> 'segment-2'"), Some(once)).await;
    // Pages are left out by it as by two: of four row groups of 64 rows, five pages of 32.
    let sql = format!("EXPLAIN ANALYZE SELECT place FROM counts WHERE car > 5 AND {range}");
    let plan = database.text(&sql).await;
    let skipped = plan.contains("page_index_rows_pruned=256 total → 160 matched");
    assert!(skipped, "{plan}");
    // Most of the hours.
    let range = "time >= '2026-01-01T20:00:00Z' AND time < '2026-01-20'";
    check(&format!("car > 5 AND {range}"), None).await;
    check("car > 5", None).await;
    // What takes long is asked of batches, between which a query can be stopped.
    let range = "time >= '2026-01-01T20:00:00Z' AND time < '2026-01-02T06:00:00Z'";
    check(&format!("place LIKE '%-2' AND {range}"), None).await;
    check(&format!("abs(car) > 5 AND {range}"), None).await;
    let many = (0..40).map(|least| format!("car > {least}.5 AND segment_id > {least}"));
    let many: Vec<String> = many.collect();
    check(&format!("({}) AND {range}", many.join(" OR ")), None).await;
    let of_columns = "revision IN (1, segment_id, quality_tests, 7)";
    check(&format!("{of_columns} AND {range}"), None).await;
}

/// The same rows, whether a condition is asked while files are decoded or of what comes out of them.
#[tokio::test]
async fn conditions_leave_the_same_rows_wherever_they_are_asked() {
    let database = Database::new();
    let ranges = [
        "time >= '2026-01-01T04:00:00Z' AND time < '2026-01-01T07:00:00Z'",
        "time > '2026-01-01T05:00:00Z' AND time <= '2026-01-01T06:00:00Z'",
        "time >= '2026-01-03' AND time < '2026-02-02'",
        "time >= '2026-02-28'",
        "time < '2026-01-01T05:00:00Z' AND time < '2026-01-01T09:00:00Z'",
        "time BETWEEN '2026-01-01T05:00:00Z' AND '2026-01-01T05:00:00Z'",
        "time > '2026-01-02' AND time < '2026-01-01'",
        "time < '2027-01-01'",
    ];
    let others = [
        "true",
        "segment_id = 1",
        "segment_id IN (1, 2, 3, 4, 9)",
        "car > 15",
        "car IS NULL",
        "place <> 'segment-2' AND car < 450",
        "NOT (segment_id = 2 OR car = 30)",
        "licence = 'ODbL-1.0'",
    ];
    for table in ["counts", "counts_history", "revised_history"] {
        for range in ranges {
            for other in others {
                let condition = format!("{other} AND {range}");
                let asked = format!(
                    "SELECT count(*), sum(car), min(time), max(place) FROM {table} WHERE {condition}"
                );
                let each = ["count(*)", "sum(car)", "min(time)", "max(place)"];
                let each = each.map(|each| format!("{each} FILTER (WHERE {condition})"));
                let whole = format!("SELECT {} FROM {table}", each.join(", "));
                let expect = database.row(&whole).await;
                assert_eq!(database.row(&asked).await, expect, "{asked}");
            }
        }
    }
}

#[tokio::test]
async fn the_key_order_of_the_files_saves_the_sort() {
    let database = Database::new();
    let check = async |sql: &str, sorts: bool| {
        let plan = database.text(&format!("EXPLAIN {sql}")).await;
        assert_eq!(plan.contains("SortExec"), sorts, "{sql}\n{plan}");
    };
    check(
        "SELECT segment_id, time, car FROM counts ORDER BY segment_id, time",
        false,
    )
    .await;
    check("SELECT car FROM counts ORDER BY segment_id, time", false).await;
    check(
        "SELECT time, car FROM counts WHERE segment_id = 2 ORDER BY time",
        false,
    )
    .await;
    check("SELECT car FROM counts ORDER BY car", true).await;
    let sql = "SELECT segment_id, time FROM counts ORDER BY segment_id, time";
    let rows: Vec<String> = database
        .text(sql)
        .await
        .lines()
        .map(str::to_owned)
        .collect();
    let body = &rows[3..rows.len() - 1];
    assert_eq!(body.len(), 611);
    assert!(body.is_sorted(), "rows are in key order");
    without_hot_rows_and_masks(&database);
    check(
        "SELECT segment_id, time, car FROM counts ORDER BY segment_id, time",
        false,
    )
    .await;
    let january = "SELECT car FROM counts WHERE time < '2026-01-20' ORDER BY segment_id, time";
    check(january, false).await;
}

/// What no sort needs is not bound to the key's order: idle partitions may take work.
#[tokio::test]
async fn scans_without_order_are_free() {
    let database = Database::new();
    let plan = database
        .text("EXPLAIN SELECT car, count(*) FROM counts GROUP BY car")
        .await;
    assert!(!plan.contains("output_ordering"), "{plan}");
    assert!(plan.contains("sorted=false"), "{plan}");
}

/// Every subset of a file's rows can be masked.
#[tokio::test]
async fn masks_hide_any_rows() {
    let database = Database::new();
    let table = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    let march = &table.files[2];
    for masked in [
        vec![],
        vec![0],
        vec![9],
        vec![0, 1, 2],
        vec![3, 5, 9],
        (0..10).collect(),
    ] {
        database.lake.publish(TableSnapshot {
            masks: fixture::masks(&[(march, &masked)]),
            ..TableSnapshot::clone(&table)
        });
        let left = 10 - masked.len();
        for sql in [
            "SELECT count(*) FROM counts WHERE segment_id = 9",
            "SELECT count(place) FROM counts WHERE licence = 'ODbL-1.0'",
            "SELECT count(DISTINCT time) FROM counts WHERE segment_id = 9",
        ] {
            assert_eq!(
                database.row(sql).await,
                left.to_string(),
                "{masked:?} {sql}"
            );
        }
        let all = 300 + 300 + left + 2;
        assert_eq!(
            database.row("SELECT count(*) FROM counts").await,
            all.to_string()
        );
    }
}

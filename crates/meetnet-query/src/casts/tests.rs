use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::dataset::DatasetKind;

use super::is_misread;
use crate::fixture::{self, Lake, Row};
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

#[test]
fn casts_that_keep_order_stay_casts() {
    let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let decimal = DataType::Decimal128;
    let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Int64));
    for (from, to, is_try, expected) in [
        (utc(), DataType::Time64(TimeUnit::Nanosecond), false, true),
        (utc(), DataType::Time32(TimeUnit::Second), false, true),
        (utc(), DataType::Date32, false, false),
        (utc(), DataType::Int64, false, false),
        (
            utc(),
            DataType::Timestamp(TimeUnit::Second, None),
            false,
            false,
        ),
        (DataType::Int64, DataType::Boolean, false, true),
        (DataType::Float64, DataType::Boolean, false, true),
        (words, DataType::Boolean, false, true),
        (DataType::Boolean, DataType::Int64, false, false),
        (DataType::Int64, DataType::Binary, false, true),
        (
            DataType::Int64,
            DataType::Interval(IntervalUnit::DayTime),
            false,
            true,
        ),
        (DataType::Int64, DataType::Int32, false, false),
        (DataType::Int64, DataType::Int32, true, true),
        (DataType::Utf8, DataType::Int32, true, false),
        (DataType::Float64, DataType::Int64, false, false),
        (DataType::Float64, decimal(5, 2), false, false),
        (decimal(5, 2), decimal(5, 1), false, true),
        (decimal(5, 2), decimal(9, 3), false, false),
        (decimal(5, 2), DataType::Int32, false, true),
        (decimal(5, 2), DataType::Float64, false, false),
    ] {
        let found = is_misread(&from, &to, is_try);
        assert_eq!(found, expected, "{from} to {to}");
    }
}

/// Returns what a count over files of segments -5 to 0 and 1 to 1,000 is.
async fn counted(condition: &str) -> String {
    let lake = Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let below: Vec<Row> = (-5..=0).map(|segment| (segment, 0, Some(1.25))).collect();
    let above: Vec<Row> = (1..=1_000)
        .map(|segment| (segment, 1, Some(1.75)))
        .collect();
    let files =
        [below, above].map(|rows| lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 2_000));
    lake.publish(TableSnapshot {
        files: Arc::new(files.into()),
        ..lake.table(&counts)
    });
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    let sql = format!("SELECT count(*) FROM counts WHERE {condition}");
    let answer = service.query(QueryRequest::public(sql)).await;
    let mut answer = answer.expect(condition);
    let batches = answer.collect().await.expect(condition);
    let shown = batches.iter().map(fixture::shown);
    let shown: Vec<_> = shown.map(|cells| cells.expect("cells")).collect();
    let cell = shown.into_iter().flatten().flatten().next();
    cell.flatten().unwrap_or_default()
}

/// Each condition is true of as many rows as it would be if no file had statistics.
#[tokio::test]
async fn no_file_is_skipped_for_a_cast_that_loses_order() {
    for (condition, expected) in [
        ("CAST(segment_id AS BOOLEAN) >= true", "1005"),
        ("CAST(segment_id AS BOOLEAN) < true", "1"),
        (
            "TRY_CAST(segment_id AS TINYINT) IS NOT DISTINCT FROM NULL",
            "873",
        ),
        ("TRY_CAST(segment_id AS TINYINT) = 100", "1"),
        ("CAST(CAST(car AS DECIMAL(5, 2)) AS INT) = 1", "1006"),
        (
            "CAST(CAST(car AS DECIMAL(5, 2)) AS DECIMAL(5, 1)) = 1.3",
            "6",
        ),
        ("CAST(car AS INT) = 1", "1006"),
        ("CAST(segment_id AS INT) < 0", "5"),
        ("CAST(time AS DATE) = '2026-01-01'", "1006"),
    ] {
        assert_eq!(counted(condition).await, expected, "{condition}");
    }
}

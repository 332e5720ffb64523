use datafusion::execution::memory_pool::GreedyMemoryPool;
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::dataset::DatasetKind;

use super::*;
use crate::error::{QueryError, QueryErrorKind};
use crate::fixture::{self, Row, shown};
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

#[test]
fn what_is_charged_is_given_back_with_the_last_byte() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
    let room = Arc::new(ScanRoom::new(&pool, 100));
    let first = room.charge(20).expect("a part of a quarter");
    let sort = MemoryConsumer::new("sort").register(&pool);
    sort.try_grow(80).expect("all that is left");
    let sure = room.charge(5).expect("the rest of a quarter, in any case");
    assert_eq!(pool.reserved(), 105);
    let error = room.charge(10).expect_err("more than a quarter");
    let error = error.to_string();
    assert!(error.contains("what is read at once of files"), "{error}");
    assert_eq!(pool.reserved(), 105);
    drop((sort, sure));
    assert_eq!(pool.reserved(), 20);
    let more = room.charge(70).expect("there is room again");
    assert_eq!(pool.reserved(), 90);
    drop(more);

    let fetched = vec![Bytes::from_static(b"abc"), Bytes::from_static(b"defg")];
    let fetched = counted(fetched, first);
    assert_eq!(fetched, [&b"abc"[..], &b"defg"[..]]);
    let page = fetched[1].slice(1..3);
    drop(fetched);
    assert_eq!(pool.reserved(), 20);
    drop(page);
    assert_eq!(pool.reserved(), 0);
    assert_eq!(room.held.load(Ordering::Relaxed), 0);
}

/// Two files of 40,000 rows in one group of rows each. No number of cars comes twice.
fn large() -> fixture::Lake {
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let files = (0..2).map(|part| {
        let rows = (0..400).flat_map(|segment| {
            (part * 100..(part + 1) * 100)
                .map(move |hour| (segment, hour, Some((segment * 1_000 + hour) as f64)))
        });
        let rows: Vec<Row> = rows.collect();
        lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 40_000)
    });
    let files = Arc::new(files.collect());
    lake.publish(TableSnapshot {
        files,
        ..lake.table(&counts)
    });
    lake
}

async fn first_row(
    lake: &fixture::Lake,
    memory_bytes_max: usize,
    sql: &str,
) -> Result<Vec<Option<String>>, QueryError> {
    let options = QueryOptions {
        threads: 2,
        serial_rows_max: 0,
        memory_bytes_max,
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let mut answer = service.query(QueryRequest::public(sql)).await?;
    let batches = answer.collect().await?;
    Ok(shown(&batches[0])?.swap_remove(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_read_are_memory_of_their_query() {
    let lake = large();
    let all = "SELECT * FROM counts";
    let error = first_row(&lake, 400_000, all).await;
    let error = error.expect_err("two batches are more");
    assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error}");
    let words = "what is read at once of files";
    assert!(error.message.contains(words), "{error}");
    // Batches have room, and what they are decoded from has not.
    let values = "SELECT sum(car) FROM counts";
    let error = first_row(&lake, 150_000, values).await;
    let error = error.expect_err("two groups of rows are more");
    assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error}");
    assert!(error.message.contains(words), "{error}");
    first_row(&lake, 16 << 20, all).await.expect("all rows");
    first_row(&lake, 16 << 20, values).await.expect("a sum");
}

/// Sixteen scans of a megabyte in each of two threads would be twice as much.
#[tokio::test(flavor = "multi_thread")]
async fn a_union_of_many_scans_is_answered_within_its_memory() {
    let lake = large();
    let scans = (0..16).map(|cars| format!("SELECT * FROM counts WHERE car <> {cars}"));
    let scans: Vec<String> = scans.collect();
    let sql = format!(
        "SELECT count(*), count(car), count(speed_hist[1]) FROM ({})",
        scans.join(" UNION ALL ")
    );
    let row = first_row(&lake, 16 << 20, &sql).await.expect("a row");
    let row: Vec<&str> = row.iter().flatten().map(String::as_str).collect();
    assert_eq!(row, ["1279984"; 3]);
}

//! Tables of many rows, and of many series.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use meetnet_lake::snapshot::{HotBatch, TableSnapshot};
use meetnet_model::dataset::DatasetKind;
use meetnet_model::ids::DatasetId;

use crate::fixture::{self, Database, Row, batch, hot};
use crate::options::QueryOptions;
use crate::service::QueryService;

/// Of a table that is larger than the memory of a query, what is held are the series, however many rows each has.
#[tokio::test]
async fn a_table_larger_than_the_memory_of_a_query_has_newest_rows() {
    const SERIES: i64 = 400;
    const HOURS: i64 = 600;
    const MEMORY: usize = 16 << 20;
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let mut files = Vec::new();
    let mut bytes = 0;
    for part in 0..4 {
        let rows = (0..SERIES).flat_map(|segment| {
            (part * HOURS / 4..(part + 1) * HOURS / 4).map(move |hour| (segment, hour, Some(1.0)))
        });
        let rows: Vec<Row> = rows.collect();
        bytes += batch(&counts, "CC0-1.0", &rows).get_array_memory_size();
        files.push(lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 16_384));
    }
    assert!(bytes > MEMORY + MEMORY / 4, "{bytes}");
    lake.publish(TableSnapshot {
        files: Arc::new(files),
        ..lake.table(&counts)
    });
    let options = QueryOptions {
        threads: 2,
        memory_bytes_max: MEMORY,
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let page = service.latest(&DatasetId::new("counts"), &[], &[]).await;
    let page = page.expect("a page");
    let rows: usize = page.batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, SERIES as usize);
}

/// All of ten thousand series, again and again, and with a new row each time.
#[tokio::test]
async fn ten_thousand_series_take_no_time() {
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let rows: Vec<Row> = (0..10_000).map(|segment| (segment, 1, Some(1.0))).collect();
    let file = lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 4096);
    let table = |hot_rows: Vec<HotBatch>| TableSnapshot {
        files: Arc::new(vec![Arc::clone(&file)]),
        hot: Arc::new(hot_rows),
        ..lake.table(&counts)
    };
    lake.publish(table(Vec::new()));
    let lake_of = |rows: i64| {
        let rows: Vec<Row> = (0..rows).map(|row| (row, 2 + row, Some(2.0))).collect();
        table(vec![hot(batch(&counts, "CC0-1.0", &rows), None)])
    };
    let tables: Vec<TableSnapshot> = (1..20).map(lake_of).collect();
    let database = Database::over(lake);
    let id = DatasetId::new("counts");
    let mut least = Duration::MAX;
    for table in std::iter::once(None).chain(tables.into_iter().map(Some)) {
        if let Some(table) = table {
            database.lake.publish(table);
        }
        let started = Instant::now();
        let page = database
            .service
            .latest(&id, &[], &[])
            .await
            .expect("a page");
        least = least.min(started.elapsed());
        assert_eq!(page.batches[0].num_rows(), 10_000);
    }
    println!("newest rows of 10,000 series in {least:?}");
    assert!(least < Duration::from_millis(20), "{least:?}");
}

use std::sync::Arc;

use crate::fixture::{self, Database};
use crate::options::QueryOptions;
use crate::service::QueryService;

/// Makes a service of two threads over the fixture lake.
fn database(serial_rows_max: usize) -> Database {
    let lake = fixture::lake();
    let options = QueryOptions {
        threads: 2,
        serial_rows_max,
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    Database { lake, service }
}

async fn check(sql: &str, serial_rows_max: usize, is_serial: bool) {
    let database = database(serial_rows_max);
    let plan = database.text(&format!("EXPLAIN {sql}")).await;
    let files = if is_serial { "={1 group" } else { "={2 groups" };
    assert!(
        plan.contains(&format!("file_groups{files}")),
        "{sql}, up to {serial_rows_max}\n{plan}"
    );
    let spreads = plan.contains("RepartitionExec");
    assert!(!(is_serial && spreads), "{sql}\n{plan}");
}

/// `counts` has 610 rows in three files, and three in memory.
#[tokio::test]
async fn few_rows_are_read_by_one_thread() {
    let all = "SELECT place, avg(car) AS cars FROM counts GROUP BY 1 ORDER BY 2 DESC LIMIT 3";
    check(all, 613, true).await;
    check(all, 612, false).await;
    check(all, 0, false).await;
    // 9 rows of January and 73 of February, as the bounds of these files tell.
    let range = "SELECT place, max(car) FROM counts WHERE time >= '2026-01-05' AND time < '2026-02-02' GROUP BY 1";
    check(range, 100, true).await;
    check(range, 70, false).await;
    check("SELECT car FROM counts WHERE car > 15", 100, false).await;
    let twice = "SELECT avg(car) FROM (SELECT car FROM counts UNION ALL SELECT car FROM counts)";
    check(twice, 2000, false).await;
}

/// Few rows can become many.
#[tokio::test]
async fn joins_are_for_all_threads() {
    let joined = "SELECT count(*) FROM counts AS a JOIN counts AS b ON a.car < b.car";
    check(joined, 1_000_000, false).await;
    let subquery = "SELECT sum(car) FROM counts WHERE car > (SELECT avg(car) FROM counts)";
    check(subquery, 1_000_000, false).await;
}

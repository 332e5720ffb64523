use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::fixture::Database;

fn union(selects: impl Iterator<Item = String>) -> String {
    selects.collect::<Vec<_>>().join(" UNION ALL ")
}

/// Twenty inputs.
fn twenty(select: impl Fn(usize) -> String) -> String {
    union((0..20).map(select))
}

#[tokio::test]
async fn unions_of_many_are_read_in_turn() {
    let database = Database::new();
    let check = async |sql: String, expect: bool| {
        let plan = database.text(&format!("EXPLAIN {sql}")).await;
        let is_in_turn = plan.contains("UnionInTurnExec: at_once=2");
        assert_eq!(is_in_turn, expect, "{sql}\n{plan}");
    };
    let scan = |cars: usize| format!("SELECT time, car FROM counts WHERE car <> {cars}");
    check(twenty(scan), true).await;
    check(union((0..8).map(scan)), false).await;
    check(union((0..9).map(scan)), true).await;
}

#[tokio::test]
async fn every_row_of_every_input_comes_once() {
    let database = Database::new();
    // `counts` has 611 rows, 601 of them with cars.
    for (of_each, expect) in [
        ("SELECT 1 AS n, car FROM counts", "12220|250600.0"),
        ("SELECT 1 AS n, car FROM counts WHERE car < 0", "NULL|NULL"),
        (
            "SELECT count(*) AS n, sum(car) AS car FROM counts",
            "12220|250600.0",
        ),
        // What several threads group for each other.
        (
            "SELECT count(*) AS n, sum(car) AS car FROM counts GROUP BY place",
            "12220|250600.0",
        ),
        // A hash join whose partitions wait for each other before they read what they join with.
        (
            "SELECT 1 AS n, a.car FROM counts a JOIN counts b USING (segment_id, time)",
            "12220|250600.0",
        ),
        (
            "SELECT 1 AS n, a.car FROM counts a JOIN (SELECT DISTINCT segment_id, time FROM counts) b \
             USING (segment_id, time)",
            "12220|250600.0",
        ),
    ] {
        let inputs = twenty(|_| of_each.to_owned());
        let sql = format!("SELECT sum(n), sum(car) FROM ({inputs})");
        let row = database.row(&sql).await;
        // Tables show nothing where there is nothing.
        let expect = expect.replace("NULL", "");
        assert_eq!(row, expect, "{of_each}");
    }
}

#[tokio::test]
async fn rows_are_in_the_order_that_is_asked_for() {
    let database = Database::new();
    let inputs = twenty(|at| format!("SELECT {} AS number, car FROM counts", (at * 7) % 20));
    let sql = format!("SELECT number FROM ({inputs}) ORDER BY number");
    let batches = database.batches(&sql).await;
    let columns = batches.iter().map(|batch| batch.column(0));
    let numbers = columns.flat_map(|column| column.as_primitive::<Int64Type>().values().to_vec());
    let numbers: Vec<i64> = numbers.collect();
    assert_eq!(numbers.len(), 20 * 611);
    assert!(numbers.is_sorted());
}

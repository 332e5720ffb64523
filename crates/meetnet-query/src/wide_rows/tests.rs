use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SQLOptions, SessionContext};

use super::checked;
use crate::error::QueryErrorKind;
use crate::fixture::{self, all_rows, check_size, service_within};
use crate::options::QueryOptions;
use crate::service::QueryService;

/// Rows of `kib` KiB, so many of them, each with every one of so many others.
fn joined(kib: u64, rows: u64, others: u64) -> String {
    let bytes = kib << 10;
    format!(
        "SELECT max(a.t || b.value) FROM (SELECT repeat('x', CAST({bytes} + value AS INT)) AS t \
         FROM generate_series(1, {rows})) a, generate_series(1, {others}) b"
    )
}

/// What a join makes of wide rows is memory of its query: few rows are answered however wide they are, many are not.
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_wide_rows_are_memory_of_their_query() {
    let service = service_within(32 << 20);
    let list = |rows: u64| {
        format!(
            "SELECT max(cardinality(l)) FROM (SELECT array_agg(value) AS l FROM generate_series(1, 6000)) a, \
             generate_series(1, {rows}) b"
        )
    };
    let unnested = |bytes: u64| {
        format!(
            "SELECT count(x), max(length(t)) FROM (SELECT unnest(l) AS x, t FROM (SELECT array_agg(value) \
             FILTER (WHERE value <= 8000) AS l, string_agg('abcdefg', ',') AS t FROM generate_series(1, {})))",
            bytes / 8
        )
    };
    for (sql, refused) in [
        (joined(60, 3, 4), None),
        (joined(20, 10, 100_000), Some("a join of rows of 20 KiB")),
        // Outlines of streets beside their counts are in smaller batches.
        (joined(4, 10, 20_000), Some("a join of rows of 4 KiB")),
        (
            joined(4, 10, 20_000)
                .replace("AS t", "AS geometry")
                .replace("a.t", "a.geometry"),
            None,
        ),
        (list(20), None),
        (list(100_000), Some("a join of rows of 4")),
        (
            "SELECT max(value + length((SELECT string_agg('abcdefg', ',') FROM generate_series(1, 2000)))) \
             FROM generate_series(1, 10)"
                .to_owned(),
            Some("a subquery whose value has 15 KiB"),
        ),
        (unnested(1_000), None),
        (unnested(20_000), Some("`unnest` makes batches")),
        // Less than 8,192 elements, beside a text of which 8,000 are gigabytes.
        (unnested(800_000), Some("of one row")),
    ] {
        let error = check_size(&service, &sql, refused.is_none()).await;
        if let (Some(error), Some(why)) = (error, refused) {
            assert!(error.message.contains(why), "{sql}: {error}");
        }
    }
    // What was charged has been given back.
    for _ in 0..20 {
        let answer = all_rows(&service, &joined(60, 3, 4)).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

/// What a join gathers is memory of its query, also where nothing is asked of its rows but how many there are: DataFusion
/// counts the columns of what it gathers, and two million batches of two rows without a column are none.
#[tokio::test(flavor = "multi_thread")]
async fn rows_without_columns_that_a_join_gathers_are_memory_of_their_query() {
    let service = service_within(32 << 20);
    let batches = |rows: u64| {
        format!(
            "(SELECT 1 FROM generate_series(1, {rows}) a, generate_series(1, {rows}) b, generate_series(1, 2) c) l"
        )
    };
    let others = [
        ", generate_series(1, 2) d",
        " LEFT JOIN generate_series(1, 2) d ON random() < 0.5",
    ];
    for join in others {
        for (rows, is_answered) in [(100, true), (1_500, false)] {
            let sql = format!("SELECT count(*) FROM {}{join}", batches(rows));
            if let Some(error) = check_size(&service, &sql, is_answered).await {
                assert!(error.message.contains("a join gathers"), "{sql}: {error}");
            }
        }
    }
}

/// A nested loop join whose first side is too large for its memory is refused: DataFusion would execute that once more, where
/// rows divided among partitions make it panic, and a LEFT JOIN would give rows of it in each partition.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_nested_loop_join_gathers_is_memory_of_its_query() {
    let service = service_within(32 << 20);
    for (join, rows, met) in [
        ("LEFT JOIN", 2_000, Some(2_000)),
        ("JOIN", 2_000, Some(0)),
        ("LEFT JOIN", 100_000, None),
        ("JOIN", 100_000, None),
    ] {
        let sql = format!(
            "SELECT count(*), sum(length(t)) FROM (SELECT value AS v, rpad('a' || value, 900, 'x') AS t \
             FROM generate_series(1, {rows})) l {join} generate_series(1, 8300) r ON l.v < -r.value"
        );
        match all_rows(&service, &sql).await {
            Ok(batches) => {
                let counted = batches[0].column(0).as_primitive::<Int64Type>();
                assert_eq!(Some(counted.value(0)), met, "{sql}");
            }
            Err(error) => {
                assert_eq!(met, None, "{sql}: {error}");
                assert_eq!(error.kind, QueryErrorKind::TooLarge, "{sql}: {error}");
                assert!(error.message.contains("a join gathers"), "{sql}: {error}");
            }
        }
    }
}

/// A batch of rows of 900 numbers has 8 MiB, and one of rows of ten has all its rows.
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_many_columns_have_fewer_rows() {
    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    let check = async |columns: usize, of_column: &str, filter: &str, expect: Range<usize>| {
        let names =
            (0..columns).map(|at| format!("{} AS c{at}", of_column.replace("AT", &at.to_string())));
        let names: Vec<String> = names.collect();
        let sql = format!(
            "SELECT {} FROM generate_series(1, 30000) {filter}",
            names.join(", ")
        );
        let batches = all_rows(&service, &sql).await.expect("rows");
        let rows = batches.iter().map(|batch| batch.num_rows()).max();
        let rows = rows.expect("a batch");
        assert!(
            expect.contains(&rows),
            "{columns} of {of_column} {filter}: {rows}"
        );
    };
    check(900, "value + AT", "", 1_000..1_166).await;
    check(900, "value + AT", "WHERE value % 3 <> 0", 1_000..1_166).await;
    check(900, "AT", "WHERE value % 3 <> 0", 1_000..1_166).await;
    check(900, "value", "", 1_000..1_166).await;
    check(10, "value + AT", "", 8_000..8_193).await;
    check(10, "value + AT", "WHERE value % 3 <> 0", 4_000..8_193).await;
}

/// A CUBE of two columns makes four groups of each row, so it gets a quarter of a batch at a time: memory for the groups is
/// asked for behind each batch.
#[tokio::test]
async fn who_groups_each_row_often_gets_fewer_at_a_time() {
    let context = SessionContext::new();
    let batch_rows = context.state().config().batch_size();
    for (group_by, sets) in [
        ("a, b", 1),
        ("ROLLUP (a, b)", 3),
        ("CUBE (a, b)", 4),
        ("GROUPING SETS ((a), (b))", 2),
    ] {
        let sql = format!(
            "SELECT count(*) FROM (SELECT value % 3 AS a, value % 5 AS b FROM generate_series(1, 20000)) \
             GROUP BY {group_by}"
        );
        let rows = context.sql_with_options(&sql, SQLOptions::new()).await;
        let plan = rows.expect("a statement").create_physical_plan().await;
        let plan = plan.expect("a plan").transform_up(checked);
        let plan = plan.expect("a plan").data;
        // The deepest aggregate is the one that reads the rows.
        let mut input = None;
        plan.apply(|node| {
            if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
                input = Some(Arc::clone(aggregate.input()));
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .expect("a plan");
        let batches = collect(input.expect("an aggregate"), context.task_ctx()).await;
        let batches = batches.expect("rows");
        let most = batches.iter().map(RecordBatch::num_rows).max();
        assert_eq!(most, Some(batch_rows / sets), "{group_by}");
        let all: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(all, 20_000, "{group_by}");
    }
}

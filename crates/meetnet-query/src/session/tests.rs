use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;

use super::{FIRST_TO_ASK, FIRST_TO_HAND_DOWN, PlannedSorts, config, physical_rules};
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

/// Filters that become known while a query runs are those of joins and of the first rows of an order.
#[tokio::test]
async fn aggregates_do_not_filter_what_they_read() {
    let config = config(&QueryOptions::default());
    let optimizer = &config.options().optimizer;
    assert!(!optimizer.enable_aggregate_dynamic_filter_pushdown);
    assert!(optimizer.enable_topk_dynamic_filter_pushdown);
    assert!(optimizer.enable_join_dynamic_filter_pushdown);

    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    for aggregates in ["min(car), max(car)", "min(car), max(-car)"] {
        let sql = format!("EXPLAIN SELECT {aggregates} FROM counts WHERE segment_id < 9");
        let answer = service.query(QueryRequest::public(sql)).await;
        let mut answer = answer.expect(aggregates);
        let batches = answer.collect().await.expect(aggregates);
        let shown = batches.iter().map(fixture::shown);
        let shown: Vec<_> = shown.map(|cells| cells.expect("cells")).collect();
        let shown = format!("{shown:?}");
        assert!(shown.contains("AggregateExec"), "{shown}");
        assert!(!shown.contains("DynamicFilter"), "{aggregates}: {shown}");
    }
}

#[test]
fn sorts_are_dropped_after_filters_are_guarded_and_operators_replaced_at_the_end() {
    let rules = physical_rules();
    let names: Vec<&str> = rules.iter().map(|rule| rule.name()).collect();
    let asked = names.iter().position(|name| *name == FIRST_TO_ASK);
    let (before, behind) = names.split_at(asked.expect("a rule of DataFusion"));
    assert!(before.contains(&"FilterPushdown"), "{names:?}");
    let handed_down = before.iter().position(|name| *name == FIRST_TO_HAND_DOWN);
    let (not_yet, _) = before.split_at(handed_down.expect("a rule of DataFusion"));
    assert!(not_yet.ends_with(&["named_twice"]), "{names:?}");
    let before_it = ["unions_in_turn", "certain_constants", "outer_constants"];
    assert!(before.ends_with(&before_it), "{names:?}");
    let at_the_end = [
        "SanityCheckPlan",
        "times_first",
        "grouped_runs",
        "balanced_conditions",
        "cooperative",
    ];
    assert!(behind.ends_with(&at_the_end), "{names:?}");
}

/// Makes a sort of so many parts by all of its columns.
fn sort(columns: &[DataType], parts: usize, fetch: Option<usize>) -> Arc<dyn ExecutionPlan> {
    let fields = columns.iter().enumerate();
    let fields =
        fields.map(|(at, data_type)| Field::new(format!("c{at}"), data_type.clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let input = Arc::new(EmptyExec::new(schema).with_partitions(parts));
    let order = (0..columns.len()).map(|at| {
        let column = Column::new(&format!("c{at}"), at);
        PhysicalSortExpr::new_default(Arc::new(column))
    });
    let sort = SortExec::new(LexOrdering::new(order).expect("a column"), input);
    Arc::new(sort.with_preserve_partitioning(true).with_fetch(fetch))
}

/// All parts of all sorts leave half of the memory for rows, or more.
#[test]
fn what_sorts_have_ready_is_a_part_of_their_memory() {
    let check = |plan: &Arc<dyn ExecutionPlan>, memory_bytes_max: usize, expect: usize| {
        let ready = PlannedSorts::of(plan.as_ref()).ready_bytes(memory_bytes_max);
        assert_eq!(ready, expect, "of {memory_bytes_max}");
    };
    let number = [DataType::Int64];
    check(&sort(&number, 2, None), 256 << 20, 10 << 20);
    check(&sort(&number, 2, None), 16 << 20, 2 << 20);
    check(&sort(&number, 1, None), 16 << 20, 4 << 20);
    check(&sort(&number, 64, None), 256 << 20, 1 << 20);
    // The first rows of an order are never put together.
    check(&sort(&number, 8, Some(5)), 16 << 20, 4 << 20);
    let both = UnionExec::try_new(vec![sort(&number, 2, None), sort(&number, 6, None)]);
    check(&both.expect("a union"), 16 << 20, 512 << 10);
    // Keys of 26 bytes, rows of 16: 10 more than twice the row, which is asked for.
    let pair = sort(&[DataType::Int64, DataType::Int64], 2, None);
    check(&pair, 256 << 20, (256 << 20) * 10 / 42 / 2);
    // Keys of 12 bytes, rows of 2.
    let narrow = sort(&[DataType::Int8, DataType::Int8], 2, None);
    check(&narrow, 256 << 20, 64 << 20);
    check(&narrow, 16 << 20, 4 << 20);
}

/// What a sort reads of its files at a time leaves half of the memory to who puts its parts together.
#[test]
fn files_of_sorted_rows_are_read_some_at_a_time() {
    let check = |plan: &Arc<dyn ExecutionPlan>, memory_bytes_max: usize, expect: usize| {
        let files = PlannedSorts::of(plan.as_ref()).files_at_a_time(memory_bytes_max, 8192);
        assert_eq!(files, expect, "of {memory_bytes_max}");
    };
    let four = [const { DataType::Int64 }; 4];
    // A file of rows of 32 bytes takes a mebibyte.
    check(&sort(&four, 2, None), 16 << 20, 4);
    check(&sort(&four, 2, None), 256 << 20, 64);
    check(&sort(&four, 64, None), 16 << 20, 2);
    let both = UnionExec::try_new(vec![sort(&four, 2, None), sort(&four, 6, None)]);
    check(&both.expect("a union"), 256 << 20, 16);
    // As many as there are: of other operators nobody knows the rows.
    check(&sort(&four, 2, Some(5)), 16 << 20, 0);
}

/// Each part of a sort has some batches at a time, however many parts there are.
#[test]
fn batches_of_many_parts_have_fewer_rows() {
    let check = |plan: &Arc<dyn ExecutionPlan>, memory_bytes_max: usize, expect: usize| {
        let rows = PlannedSorts::of(plan.as_ref()).batch_rows(memory_bytes_max, 8192);
        assert_eq!(rows, expect, "of {memory_bytes_max}");
    };
    let four = [const { DataType::Int64 }; 4];
    // Of a mebibyte: so many times 14 rows of 32 bytes.
    check(&sort(&four, 14, None), 16 << 20, 2340);
    check(&sort(&four, 14, None), 256 << 20, 8192);
    check(&sort(&four, 64, None), 6 << 20, 256);
    check(&sort(&four, 14, Some(5)), 16 << 20, 8192);
}

/// Its sort would have 10 MiB ready before its first row.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_little_memory_sorts() {
    let service = fixture::service_within(6 << 20);
    let sql = "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY value % 7, value) AS n FROM generate_series(1, 10000))";
    let answer = service.query(QueryRequest::public(sql)).await;
    let mut answer = answer.expect("an answer");
    let batches = answer.collect().await.expect("rows");
    let shown: Vec<_> = batches
        .iter()
        .flat_map(|batch| fixture::shown(batch).expect("cells"))
        .collect();
    assert_eq!(shown, [[Some("10000".to_owned())]]);
}

/// Each part would take all memory for reading its files, and leave none for putting the parts together; and batches of many parts
/// would be more than there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_little_memory_sorts_by_several_numbers() {
    let service = fixture::service_within(16 << 20);
    let of = |from: u32, to: u32| {
        format!(
            "SELECT value * 7919 % 1000003 AS a, value + 1 AS b, value + 2 AS c, value + 3 AS d FROM generate_series({from}, {to})"
        )
    };
    let parts = (0..8).map(|part| of(part * 60_000 + 1, (part + 1) * 60_000));
    let parts: Vec<String> = parts.collect();
    for (rows_of, expect) in [
        (of(1, 500_000), 500_000),
        (parts.join(" UNION ALL "), 480_000),
    ] {
        let sql = format!("SELECT * FROM ({rows_of}) ORDER BY a, b, c, d");
        let batches = fixture::all_rows(&service, &sql).await;
        let batches = batches.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, expect, "{sql}");
    }
}

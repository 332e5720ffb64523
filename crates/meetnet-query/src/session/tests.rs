use std::sync::Arc;

use super::{FIRST_TO_ASK, FIRST_TO_HAND_DOWN, config, physical_rules};
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
    let before_it = ["unions_in_turn", "certain_constants"];
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

/// Each of two parts wanted 10 MiB before its first row, and there are 16.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_little_memory_sorts_in_several_parts() {
    let service = fixture::service_within(16 << 20);
    let sql = "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY part, rows) AS n FROM (SELECT value % 7 AS part, \
               count(*) AS rows FROM generate_series(1, 20000) GROUP BY 1, value))";
    let answer = service.query(QueryRequest::public(sql)).await;
    let mut answer = answer.expect("an answer");
    let batches = answer.collect().await.expect("rows");
    let shown: Vec<_> = batches
        .iter()
        .flat_map(|batch| fixture::shown(batch).expect("cells"))
        .collect();
    assert_eq!(shown, [[Some("20000".to_owned())]]);
}

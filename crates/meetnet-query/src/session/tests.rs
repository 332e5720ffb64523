use std::sync::Arc;

use super::config;
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

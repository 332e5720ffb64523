use std::sync::Arc;

use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

#[tokio::test]
async fn rows_are_looked_up_by_the_parts_that_are_compared() {
    let lake = fixture::lake();
    let service =
        QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot)).expect("a service");
    for sql in [
        "EXPLAIN SELECT car FROM counts WHERE (segment_id, car) IN (SELECT segment_id, car FROM counts WHERE segment_id > 1)",
        "EXPLAIN SELECT car FROM counts WHERE (segment_id, time) NOT IN (SELECT segment_id, time FROM counts WHERE car > 1)",
        // What is below NOT and may be NULL is compared by the other part.
        "EXPLAIN SELECT car FROM counts WHERE (segment_id, time) NOT IN (SELECT segment_id, max(time) FROM counts GROUP BY 1)",
    ] {
        let mut answer = service.query(QueryRequest::public(sql)).await.expect(sql);
        let mut plan = String::new();
        for batch in answer.collect().await.expect(sql) {
            for cells in fixture::shown(&batch).expect(sql) {
                plan.extend(cells.into_iter().flatten());
            }
        }
        assert!(plan.contains("HashJoinExec"), "{sql}: {plan}");
        for slow in ["NestedLoopJoinExec", "CrossJoinExec"] {
            assert!(!plan.contains(slow), "{sql}: {plan}");
        }
    }
}

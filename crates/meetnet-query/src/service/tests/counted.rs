//! How statements end, as `/metrics` counts them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::service;
use crate::fixture;
use crate::options::QueryRequest;

/// Counts queries by their result, and nothing else.
#[derive(Default)]
struct Results(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Results {
    fn counted(&self) -> Vec<(String, u64)> {
        let results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = results
            .iter()
            .map(|(result, count)| (result.clone(), count.load(Ordering::Relaxed)));
        counted.collect()
    }
}

impl Recorder for Results {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() != "meetnet_queries_total" {
            return Counter::noop();
        }
        let result: String = key.labels().map(|label| label.value().to_owned()).collect();
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Counter::from_arc(Arc::clone(results.entry(result).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Clients of PostgreSQL and Flight SQL have a statement described before they ask it: what is refused then is never asked.
#[test]
fn what_is_refused_while_it_is_described_is_counted() {
    let lake = fixture::lake();
    let service = service(&lake);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let results = Results::default();
    metrics::with_local_recorder(&results, || {
        for (sql, is_right) in [
            ("SELECT time FROM counts", true),
            ("SELECT nothing FROM counts", false),
            ("SELECT time FROM nothing", false),
        ] {
            let described = service.describe(QueryRequest::public(sql), Vec::new());
            let described = runtime.block_on(described);
            assert_eq!(described.is_ok(), is_right, "{sql}");
        }
    });
    let expected = [("bad_request", 1_u64), ("not_found", 1)];
    let expected = expected.map(|(result, count)| (result.to_owned(), count));
    assert_eq!(results.counted(), expected);
}

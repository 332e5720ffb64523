//! What the tests of this crate share: a small lake in memory, a state over it, and requests to a router.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use arrow::array::{
    ArrayRef, Int8Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use meetnet_lake::snapshot::{HotBatch, LakeSnapshot, SharedSnapshot, TableSnapshot};
use meetnet_lake::storage::{FolderStorage, TableFolder};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::Sequence;
use meetnet_model::rows::{DatasetRows, RowsBuilder};
use meetnet_model::schemas;
use meetnet_query::{QueryOptions, QueryService};
use tower::ServiceExt;

use crate::health::Readiness;
use crate::state::{PublishSettings, PublishState};

/// 22 November 2026, 02:46:20 UTC.
pub(crate) const NOW: i64 = 1_795_315_580_000_000;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;

/// The built-in declarations, without sources; rows of `heat` come under one licence with a name.
pub(crate) fn declarations() -> Arc<Declarations> {
    let mut declarations = schemas::builtin().into_declarations([]);
    let heat = declarations.datasets.get_mut(&"heat".into());
    let heat = Arc::make_mut(heat.expect("a built-in dataset"));
    heat.source_licences = BTreeMap::from([("CC-BY-4.0".into(), vec!["100 % café".to_owned()])]);
    Arc::new(declarations)
}

/// A table without files that holds `rows` as hot rows, received at the given times.
pub(crate) fn table(
    declaration: &Arc<DatasetDeclaration>,
    rows: Option<(DatasetRows, Vec<i64>)>,
    quality: i8,
) -> TableSnapshot {
    let hot = rows.map(|(rows, received_at)| HotBatch {
        batch: with_common_columns(&rows, received_at, quality),
        superseded: None,
    });
    TableSnapshot {
        declaration: Arc::clone(declaration),
        folder: TableFolder::new(
            Arc::new(FolderStorage::new("/nowhere")),
            declaration.id.as_str(),
        ),
        version: 3,
        through: Sequence(42),
        stable_time: NOW,
        files: Arc::default(),
        masks: Arc::new(HashMap::new()),
        hot: Arc::new(hot.into_iter().collect()),
    }
}

fn with_common_columns(rows: &DatasetRows, received_at: Vec<i64>, quality: i8) -> RecordBatch {
    let count = rows.batch.num_rows();
    let times = |values: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
    };
    let mut columns = rows.batch.columns().to_vec();
    columns.push(Arc::new(Int8Array::from(vec![quality; count])));
    columns.push(Arc::new(Int64Array::from(vec![0; count])));
    columns.push(Arc::new(StringArray::from(vec!["balcony"; count])));
    columns.push(Arc::new(StringArray::from(vec!["CC-BY-4.0"; count])));
    columns.push(times(received_at.into_iter().map(Some).collect()));
    columns.push(times(vec![None; count]));
    columns.push(times(vec![None; count]));
    columns.push(Arc::new(Int64Array::from(vec![0; count])));
    RecordBatch::try_new(rows.declaration.row_schema(), columns).expect("the columns of a row")
}

/// Rows of a long dataset: (sensor, property, time, value).
pub(crate) fn long_rows(
    declaration: &Arc<DatasetDeclaration>,
    rows: &[(&str, &str, i64, f64)],
) -> DatasetRows {
    let mut builder = RowsBuilder::new(Arc::clone(declaration));
    let column = |name| {
        declaration
            .column_index(name)
            .expect("a column of long datasets")
    };
    for (sensor, property, time, value) in rows {
        builder.set_text(column("sensor_id"), sensor);
        builder.set_text(column("property"), property);
        builder.set_int(column("time"), *time);
        builder.set_float(column("value"), *value);
        builder.finish_row(0).expect("a whole row");
    }
    builder.take()
}

/// Rows of `traffic`: (segment, time, cars, bikes).
pub(crate) fn traffic_rows(
    declaration: &Arc<DatasetDeclaration>,
    rows: &[(i64, i64, f64, f64)],
) -> DatasetRows {
    let mut builder = RowsBuilder::new(Arc::clone(declaration));
    let column = |name| declaration.column_index(name).expect("a column of traffic");
    for (segment, time, cars, bikes) in rows {
        builder.set_int(column("segment_id"), *segment);
        builder.set_int(column("interval_s"), 3600);
        builder.set_int(column("time"), *time);
        builder.set_float(column("car"), *cars);
        builder.set_float(column("bike"), *bikes);
        builder.finish_row(0).expect("a whole row");
    }
    builder.take()
}

/// A lake of every built-in dataset, with two rows of `heat` and one of `traffic`.
pub(crate) fn lake(declarations: &Declarations) -> LakeSnapshot {
    let mut tables = BTreeMap::new();
    for (id, declaration) in &declarations.datasets {
        let rows = match id.as_str() {
            "heat" => {
                let rows = [
                    ("z2m-balcony", "air_temperature", NOW - MINUTE, -3.25),
                    ("z2m-balcony", "relative_humidity", NOW - MINUTE, 81.0),
                ];
                Some((long_rows(declaration, &rows), vec![NOW - 30 * SECOND; 2]))
            }
            "traffic" => {
                let rows = [(9_000_001_463, NOW - 60 * MINUTE, 1_234.0, 56.5)];
                Some((traffic_rows(declaration, &rows), vec![NOW - 20 * SECOND]))
            }
            _ => None,
        };
        tables.insert(id.clone(), Arc::new(table(declaration, rows, 1)));
    }
    assert!(
        declarations
            .datasets
            .values()
            .any(|d| d.kind == DatasetKind::Private)
    );
    LakeSnapshot { tables }
}

/// A shared snapshot of [`lake`].
pub(crate) fn snapshot() -> SharedSnapshot {
    Arc::new(ArcSwap::from_pointee(lake(&declarations())))
}

/// A state over `snapshot`, with settings that make waiting short.
pub(crate) fn state_over(snapshot: SharedSnapshot) -> PublishState {
    let options = QueryOptions {
        declarations: Some(Arc::new(ArcSwap::new(declarations()))),
        ..QueryOptions::default()
    };
    let query =
        QueryService::new(options, snapshot).expect("a query service over a lake in memory");
    let settings = PublishSettings {
        body_bytes_max: 4096,
        body_time_max: Duration::from_millis(100),
        overview_age_max: Duration::ZERO,
        ..PublishSettings::default()
    };
    PublishState::new(
        query,
        Arc::new(ArcSwap::new(declarations())),
        Readiness::new([]),
        settings,
    )
}

/// The public router over [`lake`].
pub(crate) fn router() -> Router {
    crate::public_router(state_over(snapshot()))
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// A header as text, empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// Sends a request to a router.
pub(crate) async fn send(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.expect("routers do not fail");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole body");
    let body = String::from_utf8(body.to_vec()).expect("a text body");
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

/// Sends a GET.
pub(crate) async fn get(router: Router, path: &str) -> Answer {
    get_with(router, path, &[]).await
}

/// Sends a GET with headers.
pub(crate) async fn get_with(router: Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(router, request("GET", path, headers, Body::empty())).await
}

/// Builds a request.
pub(crate) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).expect("a request")
}

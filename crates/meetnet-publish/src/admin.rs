//! The admin listener: `/metrics` for Prometheus and one page that says how the daemon is.
//!
//! It knows of sources and the journal only what a closure tells it, so that publishing does not depend on ingest.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use meetnet_lake::snapshot::{SharedSnapshot, TableSnapshot};
use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceKind;
use meetnet_model::time::format_rfc3339;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing::error;

use crate::assets;
use crate::negotiate::Language;
use crate::problem::{Problem, ProblemKind};
use crate::readable;
use crate::router::around;

#[cfg(test)]
mod tests;

/// The state of the admin routes; cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    /// Renders the metrics of the process.
    pub metrics: PrometheusHandle,
    /// The lake.
    pub snapshot: SharedSnapshot,
    /// Says how the write side is; called once per page. None where the process only reads.
    pub status: Option<Arc<dyn Fn() -> OperationsStatus + Send + Sync>>,
}

/// How the write side is.
#[derive(Clone, Debug, Default)]
pub struct OperationsStatus {
    /// Every configured source.
    pub sources: Vec<SourceRow>,
    /// The journal.
    pub journal: JournalStatus,
    /// Rejects since the start, by reason.
    pub rejects: Vec<RejectCount>,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// Its id.
    pub id: SourceId,
    /// How its messages arrive.
    pub kind: SourceKind,
    /// Whether it can deliver now; None where nothing is to be connected (a push endpoint).
    pub connected: Option<bool>,
    /// Messages since the start.
    pub messages_total: u64,
    /// When the last one was received, µs since 1970 UTC.
    pub last_message_at: Option<i64>,
    /// Rejects since the start.
    pub rejects_total: u64,
    /// The last error of the connection, without credentials.
    pub last_error: Option<String>,
}

/// The journal.
#[derive(Clone, Copy, Debug, Default)]
pub struct JournalStatus {
    /// Bytes of the segments that are not trimmed.
    pub bytes: u64,
    /// The last sequence that was given.
    pub last: Sequence,
    /// Every frame up to this sequence is on disk.
    pub durable: Sequence,
}

/// Rejects of one reason.
#[derive(Clone, Copy, Debug)]
pub struct RejectCount {
    /// The reason.
    pub reason: RejectReason,
    /// How many since the start.
    pub total: u64,
}

/// Returns the routes of the admin listener.
pub fn admin_router(state: AdminState) -> Router {
    let router = Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/assets/{name}", get(assets::serve))
        .with_state(state);
    around(router)
}

async fn metrics(State(state): State<AdminState>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, state.metrics.render()).into_response()
}

async fn page(State(state): State<AdminState>) -> Result<Response, Problem> {
    let snapshot = state.snapshot.load_full();
    let page = OperationsPage {
        style_path: assets::STYLE.path(),
        icon_path: assets::ICON.path(),
        now: format_rfc3339(whole_seconds(Timestamp::now().as_microsecond())),
        write_side: state.status.map(|status| write_side_text(&status())),
        tables: snapshot
            .tables
            .values()
            .map(|table| table_text(table))
            .collect(),
    };
    let html = page.render().map_err(|error| {
        error!(%error, "failed to render the operations page");
        Problem::new(ProblemKind::Internal, "the page could not be written")
    })?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, html).into_response())
}

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    style_path: String,
    icon_path: String,
    now: String,
    write_side: Option<WriteSideText>,
    tables: Vec<TableText>,
}

struct WriteSideText {
    journal: JournalText,
    sources: Vec<SourceText>,
    rejects: Vec<RejectText>,
}

struct JournalText {
    last: String,
    durable: String,
    bytes: String,
}

struct SourceText {
    id: String,
    kind: &'static str,
    state: &'static str,
    state_class: &'static str,
    messages: String,
    last_message: String,
    rejects: String,
    last_error: String,
}

struct TableText {
    id: String,
    version: u64,
    files: String,
    bytes: String,
    rows: String,
    masked: String,
    hot: String,
    through: String,
    stable_time: String,
}

struct RejectText {
    reason: &'static str,
    total: String,
}

fn write_side_text(status: &OperationsStatus) -> WriteSideText {
    WriteSideText {
        journal: JournalText {
            last: count(status.journal.last.0),
            durable: count(status.journal.durable.0),
            bytes: count(status.journal.bytes),
        },
        sources: status.sources.iter().map(source_text).collect(),
        rejects: status
            .rejects
            .iter()
            .filter(|reject| reject.total > 0)
            .map(|reject| RejectText {
                reason: reject.reason.as_str(),
                total: count(reject.total),
            })
            .collect(),
    }
}

fn source_text(source: &SourceRow) -> SourceText {
    let (state, state_class) = match (source.kind, source.connected) {
        (SourceKind::Poll, Some(true)) => ("answering", "pass"),
        (SourceKind::Poll, _) => ("not answering", "fail"),
        (_, Some(true)) => ("connected", "pass"),
        (_, Some(false)) => ("not connected", "fail"),
        (_, None) => ("listening", "plain"),
    };
    SourceText {
        id: source.id.to_string(),
        kind: match source.kind {
            SourceKind::Mqtt => "mqtt",
            SourceKind::Http => "http",
            SourceKind::Poll => "poll",
        },
        state,
        state_class,
        messages: count(source.messages_total),
        last_message: source
            .last_message_at
            .map_or_else(|| "–".into(), |at| format_rfc3339(whole_seconds(at))),
        rejects: count(source.rejects_total),
        last_error: source.last_error.clone().unwrap_or_else(|| "–".into()),
    }
}

fn table_text(table: &TableSnapshot) -> TableText {
    let masked: usize = table.masks.values().map(|mask| mask.rows.len()).sum();
    let hot: usize = table.hot.iter().map(|hot| hot.batch.num_rows()).sum();
    TableText {
        id: table.declaration.id.to_string(),
        version: table.version,
        files: count(table.files.len() as u64),
        bytes: count(table.files.iter().map(|file| file.bytes).sum()),
        rows: count(table.files.iter().map(|file| file.rows).sum()),
        masked: count(masked as u64),
        hot: count(hot as u64),
        through: count(table.through.0),
        stable_time: format_rfc3339(whole_seconds(table.stable_time)),
    }
}

fn count(value: u64) -> String {
    readable::count(value, Language::En)
}

fn whole_seconds(micros: i64) -> i64 {
    const SECOND_US: i64 = 1_000_000;
    micros.div_euclid(SECOND_US) * SECOND_US
}

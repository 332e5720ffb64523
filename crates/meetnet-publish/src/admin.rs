//! The admin listener: `/metrics` for Prometheus, `/healthz` and `/readyz`, and one page that says how the daemon is.
//!
//! It knows of sources and the journal only what a closure tells it, so that publishing does not depend on ingest.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use meetnet_lake::scrub::{ScrubReport, ScrubWatch};
use meetnet_lake::snapshot::{LakeSnapshot, SharedSnapshot, TableSnapshot};
use meetnet_model::ids::Sequence;
use meetnet_model::source::SourceKind;
use meetnet_model::time::format_rfc3339;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing::error;

use crate::assets;
use crate::figures::{AllFigures, Figures, FiguresCache};
use crate::health::{self, Readiness, ReplayReport};
use crate::negotiate::Language;
use crate::problem::page::Site;
use crate::problem::{Problem, ProblemKind};
use crate::process;
use crate::readable;
use crate::router::around;

mod status;
#[cfg(test)]
mod tests;

pub use status::{
    BackfillRow, DiskStatus, FailingRow, JournalStatus, LeftSessionRow, OperationsStatus,
    RejectRow, RetentionRow, SourceRow, UnclaimedRow,
};

/// The state of the admin routes; cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    /// Renders the metrics of the process.
    pub metrics: PrometheusHandle,
    /// The lake.
    pub snapshot: SharedSnapshot,
    /// Knows how far the start has come, and whether the configuration on disk is in force.
    pub readiness: Readiness,
    /// Says how the write side is; called once per page. None where the process only reads.
    pub status: Option<Arc<dyn Fn() -> OperationsStatus + Send + Sync>>,
    /// What is known of the datasets' quality.
    pub figures: FiguresCache,
    /// Says how far files have been compared with their hashes.
    pub scrub: ScrubWatch,
}

/// Returns the routes of the admin listener.
pub fn admin_router(state: AdminState) -> Router {
    let router = Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/assets/{name}", get(assets::serve))
        .with_state(state);
    around(router, Site::operations())
}

async fn metrics(State(state): State<AdminState>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    let mut text = state.metrics.render();
    process::render(&mut text);
    (headers, text).into_response()
}

async fn page(State(state): State<AdminState>) -> Result<Response, Problem> {
    let snapshot = state.snapshot.load_full();
    // What went wrong is in the log; the rest of the page is needed all the more.
    let figures = state.figures.get(&snapshot).await.ok();
    let readiness = state.readiness.report();
    let now = Timestamp::now().as_microsecond();
    let page = OperationsPage {
        style_path: assets::STYLE.path(),
        icon_path: assets::ICON.path(),
        now: format_rfc3339(whole_seconds(now)),
        starting: (!readiness.journal_replayed).then(|| starting_text(readiness.replaying)),
        config_error: state.readiness.read_config_error(),
        write_side: state
            .status
            .map(|status| write_side_text(&status(), applied_through(&snapshot), now)),
        tables: snapshot
            .tables
            .values()
            .map(|table| table_text(table))
            .collect(),
        figures: figures.map(|figures| figures_texts(&figures)),
        scrub: scrub_text(&state.scrub.read()),
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
    /// What is not done before messages are taken; None once they are.
    starting: Option<String>,
    config_error: Option<String>,
    write_side: Option<WriteSideText>,
    tables: Vec<TableText>,
    /// None where they cannot be read.
    figures: Option<Vec<FiguresText>>,
    scrub: ScrubText,
}

struct ScrubText {
    done: String,
    /// Of files that are known to be damaged; None where none is.
    trouble: Option<String>,
}

struct WriteSideText {
    journal: JournalText,
    disks: Vec<DiskText>,
    sources: Vec<SourceText>,
    failing: Vec<FailingText>,
    left_sessions: Vec<LeftSessionText>,
    unclaimed: Vec<UnclaimedText>,
    backfills: Vec<BackfillText>,
    retentions: Vec<RetentionText>,
    rejects: Vec<RejectText>,
}

struct JournalText {
    durable: String,
    behind: String,
    bytes: String,
    troubles: Vec<&'static str>,
}

struct DiskText {
    folder: &'static str,
    free: String,
    state: &'static str,
    state_class: &'static str,
}

struct SourceText {
    id: String,
    kind: &'static str,
    state: &'static str,
    state_class: &'static str,
    messages: String,
    per_minute: String,
    unacked: String,
    last_message: String,
    lag: String,
    rejects: String,
    last_error: String,
}

struct FailingText {
    source: String,
    target: String,
    asked_for: Cow<'static, str>,
    since: String,
    failures: String,
    again_at: String,
    message: String,
}

struct LeftSessionText {
    source: String,
    client_id: String,
    broker: String,
    state: &'static str,
    state_class: &'static str,
    since: String,
    command: Option<String>,
}

struct UnclaimedText {
    path: String,
    total: String,
    last: String,
    reason: String,
}

struct BackfillText {
    source: String,
    span: String,
    windows: String,
    items: String,
    remaining: String,
    state: String,
    state_class: &'static str,
}

struct RetentionText {
    dataset: String,
    kept: String,
    rows: String,
    rows_class: &'static str,
    periods: String,
    at: String,
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

/// A day, a month or all of a dataset.
struct FiguresText {
    dataset: String,
    period: String,
    completeness: String,
    completeness_class: &'static str,
    late_half: String,
    late_most: String,
    rows: String,
    passed: String,
    suspect: String,
    failed: String,
    missing: String,
    revisions: String,
    sensors: String,
    silent: String,
    silent_class: &'static str,
}

struct RejectText {
    source: String,
    reason: &'static str,
    total: String,
    sequence: u64,
    message: String,
    excerpt: String,
}

fn starting_text(replay: Option<ReplayReport>) -> String {
    let done = replay.map_or_else(
        || "The journal is being read".to_owned(),
        |replay| {
            let (frames, total) = (count(replay.frames), count(replay.frames_total));
            format!("The journal is being replayed, {frames} of {total} frames")
        },
    );
    format!(
        "{done}. What is committed is answered, with more and more of the rest; messages are taken afterwards."
    )
}

/// The position that every table has reached.
fn applied_through(snapshot: &LakeSnapshot) -> Option<Sequence> {
    snapshot.tables.values().map(|table| table.through).min()
}

fn write_side_text(
    status: &OperationsStatus,
    applied: Option<Sequence>,
    now: i64,
) -> WriteSideText {
    let journal = &status.journal;
    let behind = applied.map_or(0, |applied| journal.durable.0.saturating_sub(applied.0));
    let mut troubles = Vec::new();
    if journal.disk_full {
        troubles.push("The disk is full: nothing is taken in until somebody makes room.");
    }
    if journal.clock_step {
        troubles.push("The clock was set: rows without a time of their own are suspect until it can be believed.");
    }
    WriteSideText {
        journal: JournalText {
            durable: count(journal.durable.0),
            behind: count(behind),
            bytes: count(journal.bytes),
            troubles,
        },
        disks: status.disks.iter().map(disk_text).collect(),
        sources: status
            .sources
            .iter()
            .map(|source| source_text(source, now))
            .collect(),
        failing: status.failing.iter().map(failing_text).collect(),
        left_sessions: status.left_sessions.iter().map(left_session_text).collect(),
        unclaimed: status.unclaimed.iter().map(unclaimed_text).collect(),
        backfills: status
            .backfills
            .iter()
            .map(|backfill| backfill_text(backfill, now))
            .collect(),
        retentions: status.retentions.iter().map(retention_text).collect(),
        rejects: status
            .rejects
            .iter()
            .map(|reject| RejectText {
                source: reject.source.to_string(),
                reason: reject.reason.as_str(),
                total: count(reject.total),
                sequence: reject.sequence.0,
                message: reject.message.clone(),
                excerpt: reject.excerpt.clone(),
            })
            .collect(),
    }
}

fn disk_text(disk: &DiskStatus) -> DiskText {
    let (state, state_class) = match (disk.free_bytes, disk.is_low) {
        (_, true) => ("little space left", "fail"),
        (Some(_), false) => ("enough space", "pass"),
        (None, false) => ("unknown", "plain"),
    };
    DiskText {
        folder: disk.folder,
        free: disk.free_bytes.map_or_else(|| "–".into(), count),
        state,
        state_class,
    }
}

fn source_text(source: &SourceRow, now: i64) -> SourceText {
    let (state, state_class) = match (source.kind, source.connected) {
        (SourceKind::Files, _) => ("by import", "plain"),
        (SourceKind::Poll, Some(false)) => ("not answering", "fail"),
        (_, Some(false)) => ("not connected", "fail"),
        _ if source.silent => ("silent", "suspect"),
        (SourceKind::Poll, None) => ("not asked yet", "plain"),
        (SourceKind::Poll, Some(true)) => ("answering", "pass"),
        (_, Some(true)) => ("connected", "pass"),
        (_, None) => ("listening", "plain"),
    };
    SourceText {
        id: source.id.to_string(),
        kind: match source.kind {
            SourceKind::Mqtt => "mqtt",
            SourceKind::Http => "http",
            SourceKind::Poll => "poll",
            SourceKind::Files => "files",
        },
        state,
        state_class,
        messages: count(source.messages_total),
        per_minute: source
            .messages_per_minute
            .map_or_else(|| "–".into(), |rate| count(rate.round() as u64)),
        unacked: count(source.unacked),
        last_message: source
            .last_message_at
            .map_or_else(|| "–".into(), |at| format_rfc3339(whole_seconds(at))),
        lag: duration(source.newest_at.map(|at| seconds_between(at, now))),
        rejects: count(source.rejects_total),
        last_error: source.last_error.clone().unwrap_or_else(|| "–".into()),
    }
}

fn failing_text(failing: &FailingRow) -> FailingText {
    FailingText {
        source: failing.source.to_string(),
        target: failing.target.clone(),
        asked_for: match &failing.gaps {
            Some(gaps) => format!("what was passed over: {gaps}").into(),
            None if failing.of_past => "its past".into(),
            None => "what is new".into(),
        },
        since: format_rfc3339(whole_seconds(failing.since)),
        failures: count(failing.failures),
        again_at: format_rfc3339(whole_seconds(failing.again_at)),
        message: failing.message.clone(),
    }
}

fn left_session_text(left: &LeftSessionRow) -> LeftSessionText {
    let (state, state_class) = if left.collects {
        ("goes on collecting", "fail")
    } else {
        ("no subscriptions", "suspect")
    };
    LeftSessionText {
        source: left.source.to_string(),
        client_id: left.client_id.clone(),
        broker: left.broker.clone().unwrap_or_else(|| "–".into()),
        state,
        state_class,
        since: format_rfc3339(whole_seconds(left.since)),
        command: left.command.clone(),
    }
}

fn unclaimed_text(pushes: &UnclaimedRow) -> UnclaimedText {
    UnclaimedText {
        path: pushes
            .path
            .clone()
            .unwrap_or_else(|| "further paths".into()),
        total: count(pushes.total),
        last: format_rfc3339(whole_seconds(pushes.last_at)),
        reason: pushes.reason.clone(),
    }
}

fn backfill_text(backfill: &BackfillRow, now: i64) -> BackfillText {
    let (state, state_class) = match &backfill.trouble {
        _ if !backfill.begun => ("waits for the one before".to_owned(), "plain"),
        Some(trouble) => (trouble.clone(), "suspect"),
        None => ("goes on".to_owned(), "pass"),
    };
    let all = backfill.windows_done.saturating_add(backfill.windows_left);
    let windows = if backfill.begun {
        format!("{} of {}", count(backfill.windows_done), count(all))
    } else {
        "–".to_owned()
    };
    let remaining = backfill.expected_end.map(|end| seconds_between(now, end));
    BackfillText {
        source: backfill.source.to_string(),
        span: backfill.span.clone(),
        windows,
        items: count(backfill.items),
        remaining: duration(remaining),
        state,
        state_class,
    }
}

fn retention_text(waiting: &RetentionRow) -> RetentionText {
    let (rows_class, periods) = match waiting.rows {
        0 => ("plain", "–".to_owned()),
        _ => ("suspect", waiting.periods.clone()),
    };
    RetentionText {
        dataset: waiting.dataset.to_string(),
        kept: waiting.kept.clone(),
        rows: count(waiting.rows),
        rows_class,
        periods,
        at: format_rfc3339(whole_seconds(waiting.at)),
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

fn scrub_text(report: &ScrubReport) -> ScrubText {
    let round = match (report.has_rounds, report.round_ended_at_ms) {
        (_, Some(at_ms)) => {
            let at = format_rfc3339(whole_seconds(at_ms.saturating_mul(1_000)));
            format!("the last whole round ended at {at}")
        }
        (true, None) => "the first round is not at its end".to_owned(),
        (false, None) => "there are no rounds (scrub_every)".to_owned(),
    };
    let (files, bytes) = (count(report.files), count(report.bytes));
    let trouble = (report.damaged > 0).then(|| {
        let damaged = count(report.damaged);
        let files = if report.damaged == 1 {
            "file is"
        } else {
            "files are"
        };
        format!("{damaged} {files} damaged: the log names them, and their rows are not answered.")
    });
    ScrubText {
        done: format!(
            "Compared with their hashes since the start: {files} files, {bytes} bytes; {round}."
        ),
        trouble,
    }
}

/// Returns the newest day and month of each dataset, and all of it.
fn figures_texts(figures: &AllFigures) -> Vec<FiguresText> {
    let mut texts = Vec::new();
    for (dataset, of_dataset) in figures {
        let newest = [
            of_dataset.days.first().map(|day| (10, day)),
            of_dataset.months.first().map(|month| (7, month)),
            of_dataset.all.as_ref().map(|all| (0, all)),
        ];
        for (length, figures) in newest.into_iter().flatten() {
            // 2026-11-27 of a day, 2026-11 of a month.
            let start = figures.start.as_deref();
            let period = start.and_then(|start| start.get(..length)).unwrap_or("all");
            // In each row: on a narrow screen every row is a card of its own, and it is read out with its head.
            texts.push(figures_text(dataset, period, figures));
        }
    }
    texts
}

fn figures_text(dataset: &str, period: &str, figures: &Figures) -> FiguresText {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "–".into(), |share| format!("{:.1} %", share * 100.0))
    };
    let whole = |value: i64| count(u64::try_from(value).unwrap_or(0));
    let completeness_class = match figures.completeness {
        Some(share) if share < 0.75 => "suspect",
        Some(_) => "pass",
        None => "plain",
    };
    FiguresText {
        dataset: dataset.to_owned(),
        period: period.to_owned(),
        completeness: percent(figures.completeness),
        completeness_class,
        late_half: duration(figures.lateness.p50_s),
        late_most: duration(figures.lateness.p90_s),
        rows: whole(figures.rows),
        passed: percent(figures.flags.passed.share),
        suspect: percent(figures.flags.suspect.share),
        failed: percent(figures.flags.failed.share),
        missing: percent(figures.flags.missing.share),
        revisions: whole(figures.revisions),
        sensors: whole(figures.sensors),
        silent: whole(figures.silent),
        silent_class: if figures.silent > 0 {
            "suspect"
        } else {
            "plain"
        },
    }
}

/// Returns a duration in the unit that suits it, rounded up as the figure is.
fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return "–".into();
    };
    let units = [
        (120.0, 1.0, "s"),
        (7_200.0, 60.0, "min"),
        (172_800.0, 3_600.0, "h"),
    ];
    let (in_unit, unit) = units
        .into_iter()
        .find(|(below, ..)| seconds < *below)
        .map_or((86_400.0, "d"), |(_, in_unit, unit)| (in_unit, unit));
    format!("{:.0} {unit}", (seconds / in_unit).ceil())
}

/// Returns the seconds from one instant to a later one, both in µs; none of them where it is an earlier one.
fn seconds_between(from: i64, to: i64) -> f64 {
    to.saturating_sub(from).max(0) as f64 / 1e6
}

fn count(value: u64) -> String {
    readable::count(value, Language::En)
}

fn whole_seconds(micros: i64) -> i64 {
    const SECOND_US: i64 = 1_000_000;
    micros.div_euclid(SECOND_US) * SECOND_US
}

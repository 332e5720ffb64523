use axum::http::StatusCode;
use meetnet_model::ids::{DatasetId, SourceId};
use meetnet_model::reject::RejectReason;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use crate::fixture::{self, NOW};

fn router(status: Option<OperationsStatus>) -> Router {
    router_with(status, Readiness::new([]))
}

fn router_with(status: Option<OperationsStatus>, readiness: Readiness) -> Router {
    // A recorder of its own: the global one belongs to the process.
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("meetnet_envelopes_total").increment(7);
    });
    admin_router(AdminState {
        metrics: handle,
        snapshot: fixture::snapshot(),
        readiness,
        status: status.map(
            |status| -> Arc<dyn Fn() -> OperationsStatus + Send + Sync> {
                Arc::new(move || status.clone())
            },
        ),
        figures: FiguresCache::default(),
        scrub: ScrubWatch::default(),
    })
}

#[tokio::test]
async fn a_process_that_only_writes_says_whether_it_is_ready() {
    let readiness = Readiness::new([]);
    let ready = || async {
        let router = router_with(None, readiness.clone());
        fixture::get(router, "/readyz").await.status
    };
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    readiness.journal_replayed();
    readiness.history_loaded();
    assert_eq!(ready().await, StatusCode::OK);
    let alive = fixture::get(router(None), "/healthz").await;
    assert_eq!(alive.status, StatusCode::OK);
}

fn status() -> OperationsStatus {
    OperationsStatus {
        sources: vec![
            SourceRow {
                id: SourceId::new("lora"),
                kind: SourceKind::Mqtt,
                connected: Some(false),
                silent: true,
                messages_total: 12_345,
                messages_per_minute: Some(678.4),
                unacked: 91,
                last_message_at: Some(NOW),
                newest_at: Some(Timestamp::now().as_microsecond() - 5_341_000_000),
                rejects_total: 3,
                last_error: Some("connection <refused>".into()),
            },
            SourceRow {
                id: SourceId::new("desk"),
                kind: SourceKind::Http,
                connected: None,
                silent: true,
                messages_total: 0,
                messages_per_minute: None,
                unacked: 0,
                last_message_at: None,
                newest_at: None,
                rejects_total: 0,
                last_error: None,
            },
            SourceRow {
                id: SourceId::new("archive"),
                kind: SourceKind::Files,
                connected: None,
                silent: false,
                messages_total: 0,
                messages_per_minute: None,
                unacked: 0,
                last_message_at: None,
                newest_at: None,
                rejects_total: 0,
                last_error: None,
            },
        ],
        failing: vec![
            FailingRow {
                source: SourceId::new("streets"),
                target: "9000001463".into(),
                of_past: false,
                gaps: None,
                since: NOW,
                failures: 4_321,
                again_at: NOW + 3_600_000_000,
                message: "the answer is <broken>".into(),
            },
            FailingRow {
                source: SourceId::new("streets"),
                target: "9000001464".into(),
                of_past: true,
                gaps: None,
                since: NOW,
                failures: 1,
                again_at: NOW,
                message: "the API failed".into(),
            },
            FailingRow {
                source: SourceId::new("streets"),
                target: "9000001465".into(),
                of_past: false,
                gaps: Some("2026-03-01T00:00:00Z/2026-03-02T00:00:00Z and 2 more".into()),
                since: NOW,
                failures: 5,
                again_at: NOW,
                message: "the API failed".into(),
            },
        ],
        left_sessions: vec![
            LeftSessionRow {
                source: SourceId::new("old-name"),
                client_id: "meetnet-<1>-old-name".into(),
                broker: Some("mqtt://broker.example:1883".into()),
                collects: true,
                since: NOW,
                command: Some("mosquitto_sub -i '<1>'".into()),
            },
            LeftSessionRow {
                source: SourceId::new("quiet"),
                client_id: "meetnet-1-quiet".into(),
                broker: None,
                collects: false,
                since: NOW,
                command: None,
            },
        ],
        unclaimed: vec![
            UnclaimedRow {
                path: Some("/data/<report>".into()),
                total: 5_432,
                last_at: NOW,
                reason: "no source has the format".into(),
            },
            UnclaimedRow {
                path: None,
                total: 77,
                last_at: NOW,
                reason: "another reason".into(),
            },
        ],
        backfills: vec![
            BackfillRow {
                source: SourceId::new("streets"),
                span: "2026-01-01T00:00:00Z/..".into(),
                begun: true,
                windows_done: 1_234,
                windows_left: 66,
                items: 98_765,
                // Long over by the clock: there is no less than nothing left.
                expected_end: Some(NOW),
                trouble: Some("the API failed: <500>".into()),
            },
            BackfillRow {
                source: SourceId::new("streets"),
                span: "2025-01-01T00:00:00Z/2026-01-01T00:00:00Z".into(),
                begun: false,
                windows_done: 0,
                windows_left: 0,
                items: 0,
                expected_end: None,
                trouble: None,
            },
        ],
        retentions: vec![
            RetentionRow {
                dataset: DatasetId::new("heat"),
                kept: "30d".into(),
                rows: 8_765_432,
                periods: "2020-09 to 2021-02".into(),
                at: NOW,
            },
            RetentionRow {
                dataset: DatasetId::new("noise"),
                kept: "400d".into(),
                rows: 0,
                periods: String::new(),
                at: NOW,
            },
        ],
        journal: JournalStatus {
            bytes: 1_000_000,
            durable: Sequence(1_000_042),
            disk_full: true,
            clock_step: false,
        },
        disks: vec![
            DiskStatus {
                folder: "journal",
                free_bytes: Some(1_234_567),
                is_low: true,
            },
            DiskStatus {
                folder: "lake",
                free_bytes: Some(7_000_000_000),
                is_low: false,
            },
        ],
        rejects: vec![RejectRow {
            source: SourceId::new("lora"),
            reason: RejectReason::BadTime,
            total: 3,
            sequence: Sequence(4_711),
            message: "no time".into(),
            excerpt: "{\"a\": <1>".into(),
        }],
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let answer = fixture::get(router(None), "/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        answer.body.contains("meetnet_envelopes_total 7"),
        "{}",
        answer.body
    );
    for of_process in [
        "# TYPE process_cpu_seconds_total counter\n",
        "# HELP process_resident_memory_bytes ",
        "\nprocess_open_fds ",
    ] {
        assert!(answer.body.contains(of_process), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_page_says_how_the_daemon_is() {
    let answer = fixture::get(router(Some(status())), "/").await;
    assert_eq!(answer.status, StatusCode::OK);
    for text in [
        "lora",
        "not connected",
        "by import",
        ">silent<",
        "12,345",
        ">678<",
        ">91<",
        ">90 min<",
        "The disk is full",
        "message 4711: no time",
        "2026-11-22T02:46:20Z",
        "1,000,000",
        "1,234,567",
        "little space left",
        "7,000,000,000",
        "enough space",
        "bad_time",
        "2026-01-01T00:00:00Z/..",
        "1,234 of 1,300",
        "98,765",
        ">0 s<",
        "the API failed:",
        "waits for the one before",
        "Targets that do not answer",
        ">9000001463<",
        ">what is new<",
        ">its past<",
        ">what was passed over: 2026-03-01T00:00:00Z/2026-03-02T00:00:00Z and 2 more<",
        ">4,321<",
        "2026-11-22T03:46:20Z",
        "Sessions left at brokers",
        "meetnet-1-quiet",
        "mqtt://broker.example:1883",
        ">goes on collecting<",
        ">no subscriptions<",
        "<code>mosquitto_sub -i ",
        "Retentions that wait",
        ">30d<",
        "<span class=\"quality suspect\">8,765,432</span>",
        ">2020-09 to 2021-02<",
        ">400d<",
        "<span class=\"quality plain\">0</span>",
        "Pushes that no source claims",
        ">5,432<",
        "no source has the format",
        "further paths",
        "heat",
        "rejects", // private tables too: this page is the operator's
    ] {
        assert!(
            answer.body.contains(text),
            "the page should contain {text:?}"
        );
    }
    for foreign in ["<refused>", "<1>", "<500>", "<report>", "<broken>"] {
        assert!(!answer.body.contains(foreign), "foreign text is escaped");
    }
    assert!(!answer.body.contains("The clock was set"));
    // Most days nobody asks for the past, and every push has its source.
    let quiet = OperationsStatus {
        backfills: Vec::new(),
        failing: Vec::new(),
        left_sessions: Vec::new(),
        retentions: Vec::new(),
        unclaimed: Vec::new(),
        ..status()
    };
    let answer = fixture::get(router(Some(quiet)), "/").await;
    for absent in [
        "Backfills",
        "no source claims",
        "that do not answer",
        "left at brokers",
        "that wait",
    ] {
        assert!(!answer.body.contains(absent), "the page says {absent:?}");
    }
}

#[tokio::test]
async fn the_page_of_a_process_that_only_reads_says_so() {
    let answer = fixture::get(router(None), "/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("only reads") && answer.body.contains("heat"));
    // Zeros would read as an empty journal.
    for absent in [
        "durable through",
        "No source is configured",
        "Nothing was rejected",
    ] {
        assert!(!answer.body.contains(absent), "the page says {absent:?}");
    }
}

#[tokio::test]
async fn the_page_says_how_far_the_start_has_come() {
    let readiness = Readiness::new([]);
    let page = async || {
        let opening = OperationsStatus::default();
        let router = router_with(Some(opening), readiness.clone());
        fixture::get(router, "/").await.body
    };
    let check = |page: String, expect: &[&str], absent: &[&str]| {
        for text in expect {
            assert!(page.contains(text), "{text:?} is not in {page}");
        }
        for text in absent {
            assert!(!page.contains(text), "{text:?} is in {page}");
        }
    };
    let sources = "Sources are started once";
    check(
        page().await,
        &["The journal is being read.", sources],
        &["No source is configured"],
    );
    readiness.replaying(ReplayReport {
        frames: 1_234,
        frames_total: 99_999,
    });
    let progress = "replayed, 1,234 of 99,999 frames.";
    check(page().await, &[progress, sources], &[]);
    readiness.journal_replayed();
    check(
        page().await,
        &["No source is configured"],
        &["The journal is being", sources],
    );
}

#[tokio::test]
async fn the_page_says_why_the_configuration_on_disk_is_refused() {
    let readiness = Readiness::new([]);
    let page = async || {
        let router = router_with(None, readiness.clone());
        fixture::get(router, "/").await.body
    };
    assert!(!page().await.contains("refused"));
    let error = "1 problem:\n  meetnet.toml:7: unknown key `<listen>`";
    readiness.config_error(Some(error.to_owned()));
    let refused = page().await;
    assert!(
        refused.contains("The one before stays in force."),
        "{refused}"
    );
    assert!(refused.contains("meetnet.toml:7: unknown key"), "{refused}");
    assert!(!refused.contains("<listen>"), "foreign text is escaped");
    readiness.config_error(None);
    assert!(!page().await.contains("refused"));
}

#[test]
fn figures_are_shown_by_dataset_newest_period_first() {
    use crate::figures::{Flags, Lateness, OfDataset, Share};
    let figures = |start: Option<&str>, completeness: Option<f64>, silent: i64| {
        let share = |share: f64| Share {
            rows: 1,
            share: Some(share),
        };
        Figures {
            start: start.map(str::to_owned),
            days: 1,
            rows: 12_345,
            flags: Flags {
                passed: share(0.905),
                not_evaluated: share(0.0),
                suspect: share(0.05),
                failed: share(0.025),
                missing: share(0.02),
            },
            revisions: 3,
            completeness,
            lateness: Lateness {
                rows: 1,
                p50_s: Some(64.0),
                p90_s: Some(7_201.0),
                p99_s: None,
            },
            sensors: 9,
            silent,
        }
    };
    let of_air = OfDataset {
        days: vec![
            figures(Some("2026-11-27T00:00:00Z"), Some(0.7), 2),
            figures(Some("2026-11-26T00:00:00Z"), Some(1.0), 0),
        ],
        months: vec![figures(Some("2026-11-01T00:00:00Z"), None, 0)],
        all: Some(figures(None, Some(0.999), 0)),
    };
    let texts = figures_texts(&AllFigures::from([("air".to_owned(), of_air)]));
    let shown: Vec<[&str; 5]> = texts
        .iter()
        .map(|text| {
            [
                text.dataset.as_str(),
                text.period.as_str(),
                text.completeness.as_str(),
                text.completeness_class,
                text.silent_class,
            ]
        })
        .collect();
    assert_eq!(
        shown,
        [
            ["air", "2026-11-27", "70.0 %", "suspect", "suspect"],
            ["air", "2026-11", "–", "plain", "plain"],
            ["air", "all", "99.9 %", "pass", "plain"],
        ]
    );
    assert_eq!(
        (texts[0].late_half.as_str(), texts[0].late_most.as_str()),
        ("64 s", "3 h")
    );
    assert_eq!(duration(Some(120.0)), "2 min");
    assert_eq!(duration(Some(172_801.0)), "3 d");
    assert_eq!(duration(None), "–");
}

#[tokio::test]
async fn the_page_has_a_place_for_quality() {
    let answer = fixture::get(router(None), "/").await;
    assert!(
        answer.body.contains("a day is looked at when it is over"),
        "{}",
        answer.body
    );
}

#[test]
fn the_scrub_says_how_far_it_is_and_what_is_damaged() {
    let check = |report: ScrubReport, expect: &str, trouble: Option<&str>| {
        let text = scrub_text(&report);
        assert!(text.done.contains(expect), "{}", text.done);
        assert_eq!(text.trouble.is_some(), trouble.is_some());
        if let (Some(text), Some(expect)) = (text.trouble, trouble) {
            assert!(text.starts_with(expect), "{text}");
        }
    };
    let off = ScrubReport::default();
    check(off, "there are no rounds", None);
    let begun = ScrubReport {
        has_rounds: true,
        files: 7,
        bytes: 900,
        damaged: 1,
        ..off
    };
    check(
        begun,
        "7 files, 900 bytes; the first round",
        Some("1 file is damaged"),
    );
    let ended = ScrubReport {
        damaged: 2,
        round_ended_at_ms: Some(NOW / 1_000),
        ..begun
    };
    let at = format_rfc3339(whole_seconds(NOW));
    check(ended, &at, Some("2 files are damaged"));
}

#[test]
fn a_source_is_said_to_be_as_it_is() {
    let row = |kind: SourceKind, connected: Option<bool>, silent: bool| SourceRow {
        kind,
        connected,
        silent,
        ..status().sources.remove(0)
    };
    let check = |kind: SourceKind, connected: Option<bool>, silent: bool, expect: &str| {
        let text = source_text(&row(kind, connected, silent), NOW);
        assert_eq!(text.state, expect, "{kind:?}, {connected:?}, {silent}");
    };
    check(SourceKind::Poll, None, false, "not asked yet");
    check(SourceKind::Poll, None, true, "silent");
    check(SourceKind::Poll, Some(false), false, "not answering");
    check(SourceKind::Poll, Some(false), true, "not answering");
    check(SourceKind::Poll, Some(true), false, "answering");
    check(SourceKind::Mqtt, Some(false), true, "not connected");
    check(SourceKind::Mqtt, Some(true), false, "connected");
    check(SourceKind::Http, None, false, "listening");
    check(SourceKind::Files, None, true, "by import");
}

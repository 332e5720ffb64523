use meetnet_ingest::status::Statuses;

use super::*;

#[test]
fn a_rate_is_that_of_the_last_minute() {
    let rates = Rates::default();
    let id = SourceId::new("lora");
    let statuses = Statuses::default();
    statuses.expect(&id, SourceKind::Mqtt, None);
    let mut status = statuses.read();
    let start = Instant::now();
    assert_eq!(rates.per_minute(&id), None);
    let mut note = |second: u64, messages: u64| {
        status[0].messages_total = messages;
        rates.note(&status, start + Duration::from_secs(second));
        rates.per_minute(&id)
    };
    assert_eq!(note(0, 100), None);
    assert_eq!(note(30, 400), Some(600.0));
    assert_eq!(note(60, 700), Some(600.0));
    // Two minutes of silence later the rush is forgotten.
    assert_eq!(note(120, 700), Some(0.0));
    assert_eq!(note(180, 700), Some(0.0));
}

#[test]
fn silence_is_reported_until_it_ends() {
    let readiness = Readiness::new([]);
    let statuses = Statuses::default();
    let (quiet, other) = (SourceId::new("quiet"), SourceId::new("other"));
    statuses.expect(&quiet, SourceKind::Http, Some(Duration::from_secs(60)));
    statuses.expect(&other, SourceKind::Http, None);
    let mut read = statuses.read();
    let mut check = |is_silent: bool, before: Vec<SourceId>| {
        for status in read.iter_mut().filter(|status| status.source == quiet) {
            status.silent = is_silent;
        }
        let silent = report_silence(&read, before, &readiness);
        assert_eq!(readiness.report().silent_sources, silent);
        silent
    };
    let silent = check(false, Vec::new());
    assert!(silent.is_empty());
    let silent = check(true, silent);
    assert_eq!(silent, std::slice::from_ref(&quiet));
    let silent = check(true, silent);
    let silent = check(false, silent);
    assert!(silent.is_empty());
    // A source that is taken out is not silent.
    let silent = check(true, silent);
    assert!(report_silence(&[], silent, &readiness).is_empty());
    assert!(readiness.report().silent_sources.is_empty());
}

#[test]
fn targets_that_fail_are_counted_until_they_answer() {
    let readiness = Readiness::new([]);
    let statuses = Statuses::default();
    for source in ["streets", "stations"] {
        statuses.expect(&SourceId::new(source), SourceKind::Poll, None);
    }
    let mut read = statuses.read();
    let mut check = |streets: u64, before: BTreeMap<SourceId, u64>, expect: &[u64]| {
        for status in &mut read {
            let is_streets = status.source == SourceId::new("streets");
            status.targets_failing = if is_streets { streets } else { 0 };
        }
        let failing = report_failing(&read, before, &readiness);
        let reported = readiness.report().failing_targets;
        assert_eq!(reported, failing);
        assert!(reported.values().eq(expect), "{reported:?}");
        failing
    };
    let failing = check(0, BTreeMap::new(), &[]);
    let failing = check(2, failing, &[2]);
    let failing = check(1, failing, &[1]);
    let failing = check(0, failing, &[]);
    assert!(failing.is_empty());
}

#[test]
fn a_lag_is_told_until_its_source_is_gone() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let statuses = Statuses::default();
    for source in ["behind", "ahead", "new"] {
        statuses.expect(&SourceId::new(source), SourceKind::Http, None);
    }
    let newest = BTreeMap::from([
        (SourceId::new("behind"), 8_500_000),
        // The clock was set back since.
        (SourceId::new("ahead"), 11_000_000),
    ]);
    let gauges = || -> Vec<String> {
        let rendered = rendered.render();
        let lines = rendered.lines().filter(|line| line.starts_with("meetnet"));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let known = metrics::with_local_recorder(&recorder, || {
        report_lags(&statuses.read(), &newest, 10_000_000, Vec::new())
    });
    assert_eq!(
        gauges(),
        [
            "meetnet_source_lag_seconds{source=\"ahead\"} 0",
            "meetnet_source_lag_seconds{source=\"behind\"} 1.5",
        ]
    );
    statuses.forget(&SourceId::new("behind"));
    let known = metrics::with_local_recorder(&recorder, || {
        report_lags(&statuses.read(), &newest, 12_000_000, known)
    });
    assert_eq!(known, [SourceId::new("ahead")]);
    assert_eq!(
        gauges(),
        [
            "meetnet_source_lag_seconds{source=\"ahead\"} 1",
            "meetnet_source_lag_seconds{source=\"behind\"} NaN",
        ]
    );
}

#[test]
fn a_broker_source_that_is_taken_out_is_no_detail_any_more() {
    let readiness = Readiness::new([]);
    let statuses = Statuses::default();
    let (gone, kept) = (SourceId::new("gone"), SourceId::new("kept"));
    for source in [&gone, &kept] {
        statuses.expect(source, SourceKind::Mqtt, None);
        readiness.subscribed(source);
    }
    let brokers = report_gone(&statuses.read(), Vec::new(), &readiness);
    assert_eq!(readiness.report().sources.len(), 2);
    statuses.forget(&gone);
    let brokers = report_gone(&statuses.read(), brokers, &readiness);
    assert_eq!(brokers, std::slice::from_ref(&kept));
    assert!(readiness.report().sources.keys().eq([&kept]));
}

#[test]
fn an_api_that_was_not_asked_yet_is_neither_answering_nor_not() {
    let statuses = Statuses::default();
    let check = |kind: SourceKind, change: fn(&mut SourceStatus), expect: Option<bool>| {
        statuses.expect(&SourceId::new("source"), kind, None);
        let mut status = statuses.read().remove(0);
        change(&mut status);
        assert_eq!(connected(&status), expect, "{kind:?}");
        statuses.forget(&SourceId::new("source"));
    };
    check(SourceKind::Poll, |_| {}, None);
    // The first question is on its way.
    check(SourceKind::Poll, |status| status.polls_total = 1, None);
    check(
        SourceKind::Poll,
        |status| status.poll_failures_total = 1,
        Some(false),
    );
    check(
        SourceKind::Poll,
        |status| status.connected = true,
        Some(true),
    );
    check(SourceKind::Mqtt, |_| {}, Some(false));
    check(SourceKind::Http, |status| status.connected = true, None);
    check(SourceKind::Files, |_| {}, None);
}

use std::collections::BTreeSet;
use std::path::Path;

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use crate::config::Environment;

/// Calls that name a metric, and where it is described.
const CALLS: [(&str, &[(&str, &str)]); 5] = [
    ("counter!(", COUNTERS),
    ("tally(", COUNTERS),
    ("gauge!(", GAUGES),
    ("gauge(", GAUGES),
    ("histogram!(", HISTOGRAMS),
];

/// Finds the metrics that the files of a folder name, with what they are described by.
fn named(folder: &Path, found: &mut BTreeSet<(String, &'static str)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default();
        if name == "tests" || name == "tests.rs" {
            continue;
        }
        if path.is_dir() {
            named(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a file");
            for (call, _) in CALLS {
                for (at, _) in text.match_indices(call) {
                    let argument = text[at + call.len()..].trim_start();
                    let name = argument
                        .strip_prefix('"')
                        .and_then(|rest| rest.split('"').next());
                    if let Some(name) = name.filter(|name| name.starts_with("meetnet_")) {
                        found.insert((name.to_owned(), call));
                    }
                }
            }
        }
    }
}

#[test]
fn every_metric_is_described_and_each_description_is_of_one() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    named(&crates, &mut found);
    assert!(found.len() > 60, "{found:?}");
    for (name, call) in &found {
        let tables = CALLS.iter().find(|(known, _)| known == call);
        let table = tables.expect("a call").1;
        assert!(
            table.iter().any(|(known, _)| known == name),
            "{call}\"{name}\") is not described"
        );
    }
    for (name, help) in [COUNTERS, GAUGES, HISTOGRAMS].concat() {
        assert!(
            found.iter().any(|(known, _)| known == name),
            "there is no {name}"
        );
        assert!(
            help.starts_with(|c: char| c.is_uppercase()) && !help.ends_with('.'),
            "{name}: {help}"
        );
    }
    for (name, ..) in [WRITING, READING].concat() {
        assert!(COUNTERS.iter().any(|(known, _)| *known == name), "{name}");
    }
}

/// What `/metrics` shows of a process that has just started.
fn rendered(role: Role) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let config = Config::parse(Path::new("meetnet.toml"), "", &Environment::default());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    metrics::with_local_recorder(&recorder, || describe(role, &config));
    handle.render()
}

#[test]
fn counters_are_there_before_their_first_event() {
    let whole = rendered(Role::Run);
    for expected in [
        "# HELP meetnet_journal_full_total Messages that the journal refused",
        "# TYPE meetnet_journal_full_total counter",
        "meetnet_journal_full_total{limit=\"disk\"} 0\n",
        "meetnet_journal_write_failures_total 0\n",
        "meetnet_commit_failures_total{dataset=\"heat\"} 0\n",
        "meetnet_pg_connections_total{result=\"refused\"} 0\n",
        "meetnet_audit_lines_left_out_total{reason=\"file_full\"} 0\n",
        "# TYPE meetnet_build_info gauge",
        concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""),
    ] {
        assert!(whole.contains(expected), "no {expected} in\n{whole}");
    }
    // Each process tells of itself.
    let (writes, reads) = (rendered(Role::Ingest), rendered(Role::Serve));
    assert!(!writes.contains("meetnet_pg_") && writes.contains("meetnet_journal_"));
    assert!(!reads.contains("meetnet_journal_") && reads.contains("meetnet_pg_"));
}

use std::sync::{Arc, Mutex};

use super::*;

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs one event of each form; returns the lines.
fn logged(format: LogFormat, ansi: bool) -> String {
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || Redacted(sink.clone()));
    let log = || {
        let topic = "application/1/device/70b3d57ed005abcd/event/up";
        let error: &dyn std::error::Error =
            &io::Error::other("refused mqtt://an:hunter2@broker:1883");
        tracing::warn!(
            source = "lora",
            topic,
            error,
            token = "s3cret",
            "mail an@example.org"
        );
        tracing::info!(
            dataset = "heat",
            sensor = "lora-3f1c0a9e5b7d2468",
            rows = 3,
            "committed"
        );
    };
    match format {
        LogFormat::Json => tracing::subscriber::with_default(subscriber.json().finish(), log),
        LogFormat::Text => {
            tracing::subscriber::with_default(subscriber.with_ansi(ansi).finish(), log);
        }
    }
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_log_line_says_what_happened_and_nothing_of_persons() {
    for (format, ansi) in [
        (LogFormat::Text, false),
        (LogFormat::Text, true),
        (LogFormat::Json, false),
    ] {
        let text = logged(format, ansi);
        for leak in ["70b3d57ed005abcd", "hunter2", "s3cret", "an@example.org"] {
            assert!(!text.contains(leak), "{leak}: {text}");
        }
        for kept in [
            "application/1/device/",
            "lora-3f1c0a9e5b7d2468",
            "@broker:1883",
            "committed",
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert_eq!(text.lines().count(), 2, "{text}");
        if format == LogFormat::Json {
            for line in text.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}

/// Logs what the client of a broker says, under the filter `declared`; returns the lines.
fn logged_of_a_library(declared: Option<&str>, environment: &Environment) -> String {
    let log = LogConfig {
        format: LogFormat::Text,
        filter: declared.map(str::to_owned),
    };
    let filter = filter(&log, environment, "info", &crate::cli::QUIET).unwrap();
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Redacted(sink.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(target: "rumqttc::state", "the answer to a probe");
        tracing::error!(target: "rumqttc::state", "a broken packet");
        tracing::warn!(target: "meetnet_ingest::mqtt", "our own words");
    });
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_broker_that_answers_every_probe_does_not_fill_the_log() {
    let quiet = Environment::default();
    let mut asked = Environment::default();
    asked.set("MEETNET_LOG", "warn,rumqttc=debug");
    for (declared, environment, is_told) in [
        (None, &quiet, false),
        (Some("info"), &quiet, false),
        (Some("debug"), &quiet, false),
        // Who names the library wants to hear it.
        (Some("info,rumqttc=warn"), &quiet, true),
        (Some("info"), &asked, true),
    ] {
        let text = logged_of_a_library(declared, environment);
        let told = text.contains("the answer to a probe");
        assert_eq!(told, is_told, "{declared:?}: {text}");
        assert!(text.contains("a broken packet"), "{declared:?}: {text}");
        assert!(text.contains("our own words"), "{declared:?}: {text}");
    }
}

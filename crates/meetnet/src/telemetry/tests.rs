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

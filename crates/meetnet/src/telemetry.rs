//! Logs and metrics of the process, set up once before anything else starts.
//!
//! `MEETNET_LOG`, then `RUST_LOG`, then `[log] filter` decide what is logged; logs go to stderr, answers to stdout. Every
//! line passes [`Redacted`], whoever wrote it: a topic in an error of a library may hold a DevEUI, a URL a password.

mod described;

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use meetnet_model::redact::redact_text;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Environment, LogConfig, LogFormat};
use crate::daemon::Role;

/// Bounds of duration histograms in seconds: from a cached look-up to the longest query.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0,
];

/// Starts logging. `default` is used where neither environment nor configuration say what to log; `directives` are
/// added to whatever they say, but for those of libraries that they name.
///
/// # Errors
/// Where the filter in the environment cannot be read.
pub(crate) fn start_logging(
    log: &LogConfig,
    environment: &Environment,
    default: &str,
    directives: &[&str],
) -> anyhow::Result<()> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(log, environment, default, directives)?)
        .with_writer(|| Redacted(io::stderr()));
    let started = match log.format {
        LogFormat::Json => lines.json().try_init(),
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("failed to start logging: {error}"))
}

/// Returns what is logged; see [`start_logging`].
fn filter(
    log: &LogConfig,
    environment: &Environment,
    default: &str,
    directives: &[&str],
) -> anyhow::Result<EnvFilter> {
    let from_environment = ["MEETNET_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| Some((name, environment.get(name).filter(|text| !text.is_empty())?)));
    let (text, mut filter) = match from_environment {
        Some((name, text)) => {
            let filter = EnvFilter::try_new(text).with_context(|| {
                format!("{name}={text} is no log filter; write info or meetnet_ingest=debug")
            })?;
            (text, filter)
        }
        None => {
            let text = log.filter.as_deref().unwrap_or(default);
            let filter =
                EnvFilter::try_new(text).context("the log filter in [log] cannot be read")?;
            (text, filter)
        }
    };
    for directive in directives {
        let library = directive.split('=').next().unwrap_or(directive);
        if !text.contains(library) {
            filter = filter.add_directive(directive.parse().context("a built-in log directive")?);
        }
    }
    Ok(filter)
}

/// Passes log lines on without the personal data and credentials in them.
struct Redacted<W>(W);

impl<W: Write> Write for Redacted<W> {
    /// Takes whole events, as the subscriber writes them: half of an id would not be recognised.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.0.write_all(redact_text(&text).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Installs the metrics recorder, with what its metrics mean; what registers metrics must come later.
///
/// # Errors
/// Where there is a recorder already.
pub(crate) fn start_metrics(role: Role, config: &Config) -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.install_recorder())
        .context("failed to install the metrics recorder")?;
    described::describe(role, config);
    Ok(handle)
}

#[cfg(test)]
mod tests;

//! `meetnet simulate`: the load generator, and the check of what it sent.
//!
//! ```text
//! options ─▶ Load ─▶ drive (a schedule that waits for nobody) ─┬─ MQTT ─▶ broker ─▶ meetnet
//!                       │                                      └─ HTTP ───────────▶ meetnet
//!                       └─ acknowledgements ─▶ Tally ─▶ summary, expectation file
//! expectation file ─▶ verify ─▶ /api/v1/sql ─▶ equal, or a table of differences
//! ```
//!
//! It is a client like any other: nothing of the daemon is used, and what must be in the answers comes from
//! `meetnet_demo::load`, which knows no decoder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use meetnet_demo::FaultShares;
use meetnet_demo::load::expect::Expectation;
use meetnet_demo::load::lane::{Lane, LoadFormat, Transport};
use meetnet_demo::load::mqtt::{Publisher, Target};
use meetnet_demo::load::sources::{Wiring, config_toml};
use meetnet_demo::load::{Load, LoadPlan};
use meetnet_ingest::mqtt::{TlsRoots, Url, tls_client};
use meetnet_model::quantity::parse_duration;

use crate::cli;
use crate::config::Environment;
use crate::daemon::StopSignal;
use crate::failure::Failure;
use crate::sql::ServiceAccess;

mod http;
mod pace;
mod report;
mod send;
mod text;
mod verify;

use http::HttpSender;
use pace::Pace;
use send::Senders;

const BROKER_DEFAULT: &str = "mqtt://127.0.0.1:1883";
const MESSAGES_DEFAULT: u64 = 1_000;
/// Messages on their way per place of a transport: enough that one transport does not wait for the other.
const OUTSTANDING_PER_PLACE: usize = 4;
/// Most readings in all messages on their way, about 200 bytes each with what must become of them.
const READINGS_OUTSTANDING_MAX: usize = 500_000;

/// The options of `meetnet simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateOptions {
    /// Publishes to this broker: mqtt://HOST:PORT or mqtts://HOST:PORT
    #[arg(long, value_name = "URL")]
    mqtt: Option<String>,

    /// Pushes to this meetnet: the address that its `ingest_http` listens on
    #[arg(long, value_name = "URL")]
    http: Option<String>,

    /// Sends nothing, and checks at this meetnet (where its `http` listens) what a run has written to --expect
    #[arg(long, value_name = "URL", conflicts_with_all = ["mqtt", "http", "print_config"])]
    verify: Option<String>,

    /// Has --verify ask with the API key in this file; without it with the one in MEETNET_API_KEY, if that is set
    #[arg(long, value_name = "FILE", requires = "verify")]
    api_key_file: Option<PathBuf>,

    /// Sends nothing, and prints a configuration with which a meetnet takes the messages
    #[arg(long)]
    print_config: bool,

    /// What must be in the answers: written by a run, read by --verify
    #[arg(long, value_name = "FILE", default_value = "meetnet-simulate.json")]
    expect: PathBuf,

    /// How long --verify waits for what is still on its way
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait: Duration,

    /// Every message follows from this number and --until; left out: drawn, and printed
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// The time that readings lead up to, or the begin of a day (UTC); now where it is left out. With --seed it repeats a run
    #[arg(long, value_name = "TIME", value_parser = cli::day_or_time)]
    until: Option<i64>,

    /// What to speak, separated by commas; left out: everything
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = format)]
    formats: Vec<LoadFormat>,

    /// Devices per format and transport
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    devices: u32,

    /// Messages in all, second copies not counted; left out: what --rate and --duration make, or 1000
    #[arg(long, value_name = "NUMBER")]
    messages: Option<u64>,

    /// How long to send; needs --rate
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "rate")]
    duration: Option<Duration>,

    /// Messages per second; left out: as fast as they are acknowledged
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    rate: Option<f64>,

    /// Readings in each message of csv, ndjson and influx
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    batch: u32,

    /// Pushes those compressed
    #[arg(long)]
    gzip: bool,

    /// Share of messages that are sent twice, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    duplicates: f64,

    /// Share of messages that are more than a day late
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    late: f64,

    /// Share of messages whose end is missing
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    truncated: f64,

    /// Share of messages with a value that cannot be
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    out_of_range: f64,

    /// Connections of the HTTP client: requests at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,

    /// Most MQTT messages without an acknowledgement
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..))]
    inflight: u16,

    /// What the ids of the sources begin with
    #[arg(long, value_name = "TEXT", default_value = "sim")]
    prefix: String,

    /// User name at the broker
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// Environment variable with the password at the broker
    #[arg(long, value_name = "NAME", requires = "username")]
    password_env: Option<String>,

    /// File with the authority that signed the broker's certificate, for mqtts; left out: the system's
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Environment variable with the token of the push sources
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok();
    rate.filter(|rate| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "write a number above 0".to_owned())
}

fn format(text: &str) -> Result<LoadFormat, String> {
    LoadFormat::from_name(text).ok_or_else(|| {
        let known = LoadFormat::ALL.map(LoadFormat::as_str);
        format!(
            "there is no format `{text}`; there are {}",
            known.join(", ")
        )
    })
}

/// Sends, verifies or prints.
///
/// # Errors
/// `Usage` where the options or the expectation are wrong; `Work` where the run was ended by who takes the messages, or
/// where answers differ.
pub(crate) async fn run(
    options: SimulateOptions,
    environment: &Environment,
) -> Result<(), Failure> {
    if let Some(url) = &options.verify {
        let expectation = read_expectation(&options.expect)?;
        let key = options.api_key_file.as_deref();
        let service = ServiceAccess::new(url, key, environment)?;
        return verify::run(&service, &expectation, options.wait).await;
    }
    let lanes = lanes(&options)?;
    if options.print_config {
        let load = Load::new(plan(&options, lanes, None)).map_err(Failure::usage)?;
        let wiring = Wiring {
            broker: options.mqtt.unwrap_or_else(|| BROKER_DEFAULT.to_owned()),
            username: options.username,
            password_env: options.password_env,
            tls_ca: options.tls_ca.map(|file| file.display().to_string()),
            token_env: options.token_env,
        };
        let config = config_toml(load.lanes(), &options.prefix, &wiring);
        return cli::print(config.trim_end());
    }
    simulate(&options, lanes, environment).await
}

/// Sends a run and says what it was.
async fn simulate(
    options: &SimulateOptions,
    lanes: Vec<Lane>,
    environment: &Environment,
) -> Result<(), Failure> {
    let token = variable(options.token_env.as_deref(), environment)?;
    let load = Load::new(plan(options, lanes, token.clone())).map_err(Failure::usage)?;
    check_writable(&options.expect)?;
    let senders = Arc::new(senders(options, &load, token, environment).await?);
    cli::print(&report::heading(&load, options.rate))?;
    let signal = StopSignal::listen().map_err(Failure::Work)?;
    let pace = Pace {
        per_second: options.rate,
        outstanding_max: outstanding_max(senders.places(), options.batch),
    };
    let outcome = pace::drive(&load, &senders, pace, &signal).await;
    let expectation = outcome.tally.expectation(&load, &outcome.sent);
    write_expectation(&options.expect, &expectation)?;
    cli::print(&report::summary(&expectation, &outcome, &options.expect))?;
    if let Some(senders) = Arc::into_inner(senders) {
        senders.close().await;
    }
    match outcome.stopped {
        None => Ok(()),
        Some(why) => Err(Failure::Work(anyhow!("the run has ended early: {why}"))),
    }
}

/// Returns how many messages may be on their way: memory is bounded whatever their size.
fn outstanding_max(places: usize, batch: u32) -> usize {
    let by_memory = READINGS_OUTSTANDING_MAX / (batch.max(1) as usize);
    (places * OUTSTANDING_PER_PLACE).min(by_memory).max(1)
}

/// Returns what the options plan.
fn plan(options: &SimulateOptions, lanes: Vec<Lane>, password: Option<String>) -> LoadPlan {
    let now = jiff::Timestamp::now().as_microsecond();
    let scheduled = options.duration.zip(options.rate);
    // As many as become due; a rate is far from what a number of 64 bits cannot count.
    let scheduled = scheduled.map(|(time, rate)| (time.as_secs_f64() * rate).ceil() as u64);
    let messages = match (options.messages, scheduled) {
        (Some(messages), Some(scheduled)) => messages.min(scheduled),
        (messages, scheduled) => messages.or(scheduled).unwrap_or(MESSAGES_DEFAULT),
    };
    LoadPlan {
        seed: options.seed.unwrap_or(now.unsigned_abs() % 1_000_000),
        until_s: options.until.unwrap_or(now).div_euclid(1_000_000),
        lanes,
        devices: options.devices,
        messages,
        batch: options.batch,
        faults: FaultShares {
            duplicate: options.duplicates,
            late: options.late,
            truncated: options.truncated,
            out_of_range: options.out_of_range,
            ..FaultShares::NONE
        },
        prefix: options.prefix.clone(),
        password,
    }
}

/// Connects to what the options name.
async fn senders(
    options: &SimulateOptions,
    load: &Load,
    token: Option<String>,
    environment: &Environment,
) -> Result<Senders, Failure> {
    let http = match &options.http {
        None => None,
        Some(url) => Some(HttpSender::new(
            url,
            token,
            options.gzip,
            options.connections.into(),
        )?),
    };
    let publisher = match &options.mqtt {
        None => None,
        Some(url) => {
            let target = target(url, options, load, environment)?;
            Some(Publisher::connect(target).await.map_err(Failure::work)?)
        }
    };
    Ok(Senders::new(publisher, options.inflight.into(), http))
}

fn target(
    url: &str,
    options: &SimulateOptions,
    load: &Load,
    environment: &Environment,
) -> Result<Target, Failure> {
    let url: Url = url.parse().map_err(Failure::usage)?;
    let roots = match &options.tls_ca {
        None => TlsRoots::System,
        Some(file) => {
            let pem = std::fs::read(file)
                .with_context(|| format!("cannot read `{}`", file.display()))
                .map_err(Failure::Usage)?;
            TlsRoots::Pem(pem)
        }
    };
    let tls = url.tls.then(|| tls_client(&roots)).transpose();
    let password = variable(options.password_env.as_deref(), environment)?;
    let credentials = options
        .username
        .clone()
        .map(|name| (name, password.unwrap_or_default()));
    Ok(Target {
        host: url.host,
        port: url.port,
        client_id: format!("meetnet-simulate-{}", load.tag()),
        credentials,
        tls: tls.map_err(Failure::usage)?,
        inflight_max: options.inflight,
    })
}

/// Returns the secret in an environment variable.
fn variable(name: Option<&str>, environment: &Environment) -> Result<Option<String>, Failure> {
    let Some(name) = name else { return Ok(None) };
    match environment.get(name) {
        Some(value) if !value.is_empty() => Ok(Some(value.to_owned())),
        _ => Err(Failure::Usage(anyhow!(
            "the environment variable {name} is not set; set it, or leave the option out that names it"
        ))),
    }
}

/// Looks before a long run whether its outcome can be written. What an earlier run has written stays until then.
fn check_writable(file: &Path) -> Result<(), Failure> {
    let opened = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file);
    opened
        .map(drop)
        .with_context(|| format!("cannot write `{}`", file.display()))
        .map_err(Failure::place)
}

fn write_expectation(file: &Path, expectation: &Expectation) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(expectation)
        .context("failed to word the expectation")
        .map_err(Failure::Work)?;
    std::fs::write(file, text + "\n")
        .with_context(|| format!("cannot write `{}`", file.display()))
        .map_err(Failure::place)
}

fn read_expectation(file: &Path) -> Result<Expectation, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| {
            format!("cannot read `{name}`; --expect names the file that a run has written")
        })
        .map_err(Failure::Usage)?;
    let expectation: Expectation = serde_json::from_str(&text)
        .with_context(|| format!("`{name}` is no expectation of `meetnet simulate`"))
        .map_err(Failure::Usage)?;
    if !expectation.is_known() {
        return Err(Failure::Usage(anyhow!(
            "`{name}` was written by another version of meetnet; run the simulation again"
        )));
    }
    Ok(expectation)
}

/// Returns the lanes that the options ask for: with --mqtt and --http those transports, to print a configuration
/// without either both.
fn lanes(options: &SimulateOptions) -> Result<Vec<Lane>, Failure> {
    let given = Transport::ALL
        .into_iter()
        .filter(|transport| match transport {
            Transport::Mqtt => options.mqtt.is_some(),
            Transport::Http => options.http.is_some(),
        });
    let mut transports: Vec<Transport> = given.collect();
    if transports.is_empty() {
        if !options.print_config {
            return Err(Failure::Usage(anyhow!(
                "say where to: --mqtt mqtt://HOST:PORT for a broker, --http http://HOST:PORT for the push endpoint of a \
                 meetnet, or both; --print-config shows the sources that take the messages"
            )));
        }
        transports.extend(Transport::ALL);
    }
    let all = LoadFormat::ALL;
    let formats: &[LoadFormat] = if options.formats.is_empty() {
        &all
    } else {
        &options.formats
    };
    Ok(Lane::of(&transports, formats))
}

#[cfg(test)]
mod tests;

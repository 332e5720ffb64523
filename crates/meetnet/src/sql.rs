//! `meetnet sql`: one query to a running service, or straight to the committed files.
//!
//! ```text
//! --url ────────────────────────▶ POST /api/v1/sql ─▶ stdout
//! --config ─▶ daemon runs? ─ yes ─▶ the same
//!                         └─ no ──▶ LakeReader ─▶ QueryService (private session: rejects too) ─▶ stdout
//! ```
//!
//! Through a service only public tables can be asked, and hot rows are in the answer; without one it is the other way
//! round.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use clap::Args;
use futures::StreamExt;
use meetnet_lake::journal::FolderLock;
use meetnet_lake::lake::LakeReader;
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::LakeLocation;
use meetnet_model::ids::LicenceId;
use meetnet_model::licence::Licence;
use meetnet_model::time::format_rfc3339;
use meetnet_query::{Format, QueryErrorKind, QueryOptions, QueryRequest, QueryService, encode};
use serde::Deserialize;
use tokio::runtime::Handle;

use crate::cli;
use crate::config::{Config, Environment, Secrets};
use crate::failure::Failure;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of an error answer that are looked at.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// The options of `meetnet sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlOptions {
    /// The query: one SELECT
    #[arg(value_name = "SQL")]
    statement: String,

    /// table, csv, json, ndjson, arrow, parquet or geojson; without it table on a terminal and csv otherwise
    #[arg(long, value_parser = parse_format)]
    format: Option<Format>,

    /// Answers as of this time, RFC 3339: what was known then, for example 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = cli::instant)]
    as_of: Option<i64>,

    /// Only rows under this licence: an SPDX id, or an IRI; may be repeated
    #[arg(long, value_name = "LICENCE", value_parser = parse_licence)]
    licence: Vec<LicenceId>,

    /// Reads the storage of this configuration, or asks the daemon that has it open
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,

    /// Asks the service at this address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

fn parse_format(text: &str) -> Result<Format, String> {
    text.parse()
        .map_err(|error: meetnet_query::QueryError| error.message)
}

fn parse_licence(text: &str) -> Result<LicenceId, String> {
    Licence::read(text).ok_or_else(|| {
        "write an SPDX id such as CC-BY-4.0, or the IRI of a known licence".to_owned()
    })
}

/// Answers the query on stdout.
///
/// # Errors
/// `Usage` where the configuration is wrong or the format is not for a terminal, `Work` where there is no answer.
pub(crate) async fn run(options: SqlOptions, environment: &Environment) -> Result<(), Failure> {
    let on_terminal = io::stdout().is_terminal();
    let default = if on_terminal {
        Format::Table
    } else {
        Format::Csv
    };
    let format = options.format.unwrap_or(default);
    if on_terminal && matches!(format, Format::Arrow | Format::Parquet) {
        return Err(Failure::Usage(anyhow!(
            "{} is not for a terminal; redirect it to a file with `> answer.{}`",
            format.as_str(),
            format.as_str()
        )));
    }
    let question = Question {
        statement: options.statement,
        as_of: options.as_of,
        licences: options.licence,
        format,
    };
    let Some(file) = &options.config else {
        return ask(&options.url, &question).await;
    };
    let config = Config::load(file, environment).map_err(Failure::usage)?;
    if let Some(address) = daemon_address(&config) {
        return ask(&format!("http://{address}"), &question).await;
    }
    let secrets = config.lake_secrets(environment).map_err(Failure::usage)?;
    read(&config, &secrets, question).await
}

/// What is asked, whoever answers.
struct Question {
    statement: String,
    /// µs since 1970 UTC.
    as_of: Option<i64>,
    /// Empty: all.
    licences: Vec<LicenceId>,
    format: Format,
}

/// Returns where a daemon that has the journal open answers queries.
fn daemon_address(config: &Config) -> Option<SocketAddr> {
    let mut address = config.http.as_ref()?.listen;
    // Without a fixed port nobody but the daemon knows it: then the committed files must do.
    if address.port() == 0 || FolderLock::holder(&config.journal.dir).is_none() {
        return None;
    }
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(address)
}

/// Asks a service and passes its answer on.
async fn ask(url: &str, question: &Question) -> Result<(), Failure> {
    let mut body = send(url, question).await?.bytes_stream();
    let mut stdout = Output::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.context(BROKEN_OFF).map_err(Failure::Work)?;
        if !stdout.write(&chunk)? {
            return Ok(());
        }
    }
    stdout.finish()
}

/// Asks a service for an answer in JSON that a command reads itself, and that is small.
///
/// # Errors
/// Where there is none.
pub(crate) async fn ask_json(url: &str, statement: String) -> Result<Vec<u8>, Failure> {
    let question = Question {
        statement,
        as_of: None,
        licences: Vec::new(),
        format: Format::Json,
    };
    let answer = send(url, &question).await?.bytes().await;
    let answer = answer.context(BROKEN_OFF).map_err(Failure::Work)?;
    Ok(answer.to_vec())
}

const BROKEN_OFF: &str =
    "the answer broke off: the service met an error, or the connection was lost";

/// Sends a query to a service and returns the answer that it begins.
async fn send(url: &str, question: &Question) -> Result<reqwest::Response, Failure> {
    let endpoint = format!("{}/api/v1/sql", url.trim_end_matches('/'));
    let endpoint = reqwest::Url::parse(&endpoint)
        .with_context(|| format!("`{url}` is no URL; write for example http://127.0.0.1:8080"))
        .map_err(Failure::Usage)?;
    let as_of = question.as_of.map(format_rfc3339);
    let mut form = vec![
        ("q", question.statement.as_str()),
        ("format", question.format.as_str()),
    ];
    form.extend(as_of.as_deref().map(|as_of| ("as_of", as_of)));
    let licences = question.licences.iter();
    form.extend(licences.map(|licence| ("licence", licence.as_str())));
    let response = client(&endpoint)?
        .post(endpoint)
        .form(&form)
        .send()
        .await
        .with_context(|| format!("no answer from {url}; does it run?"))
        .map_err(Failure::Work)?;
    if !response.status().is_success() {
        return Err(Failure::Work(problem(response).await));
    }
    Ok(response)
}

/// Returns a client for the service at an address.
///
/// # Errors
/// Where TLS cannot be set up.
pub(crate) fn client(address: &reqwest::Url) -> Result<reqwest::Client, Failure> {
    let mut client = reqwest::Client::builder().connect_timeout(CONNECT_TIME_MAX);
    if address.host_str().is_some_and(is_loopback) {
        // A proxy has no way to this machine's own ports.
        client = client.no_proxy();
    }
    client
        .build()
        .context("failed to start the HTTP client")
        .map_err(Failure::Work)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// The parts of an RFC 9457 answer that a person reads.
#[derive(Deserialize)]
struct ProblemBody {
    title: Option<String>,
    detail: Option<String>,
}

async fn problem(response: reqwest::Response) -> anyhow::Error {
    let status = response.status();
    let body = head_of(response).await;
    let said = serde_json::from_slice::<ProblemBody>(&body).ok();
    match said.and_then(|problem| problem.detail.or(problem.title)) {
        Some(text) => anyhow!(text),
        None => anyhow!("the service answered {status}; is this the address of a meetnet?"),
    }
}

/// Returns the body of a short answer, as far as it comes; of a long one its beginning.
pub(crate) async fn head_of(response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        body.extend_from_slice(&chunk);
        if body.len() > PROBLEM_BYTES_MAX {
            break;
        }
    }
    body
}

/// Reads the tables as they are committed.
///
/// # Errors
/// Where there is no lake, or it cannot be read.
pub(crate) async fn committed(
    config: &Config,
    secrets: &Secrets,
) -> Result<SharedSnapshot, Failure> {
    let storage = config
        .lake
        .storage(secrets, Handle::current())
        .map_err(Failure::Usage)?;
    let location = storage.location();
    let lake = location.name();
    let snapshot = tokio::task::spawn_blocking(move || {
        LakeReader::open(storage).and_then(|mut reader| reader.refresh())
    })
    .await
    .context("a thread ended abnormally")
    .and_then(|read| read.context("failed to read the tables"))
    .map_err(Failure::Work)?;
    // A folder without tables is an empty lake; a store has no folders.
    let is_missing = match &location {
        LakeLocation::Folder(folder) => !folder.is_dir(),
        LakeLocation::Objects { .. } => snapshot.tables.is_empty(),
    };
    if is_missing {
        return Err(Failure::Work(anyhow!(
            "there is no lake in {lake}: nothing has been committed yet"
        )));
    }
    Ok(Arc::new(ArcSwap::from_pointee(snapshot)))
}

/// Answers from committed files, rejects included.
async fn read(config: &Config, secrets: &Secrets, question: Question) -> Result<(), Failure> {
    let snapshot = committed(config, secrets).await?;
    // Nobody else waits for this answer, so only memory limits it.
    let options = QueryOptions {
        row_limit: ROW_LIMIT_NONE,
        query_time_max: TIME_LIMIT_NONE,
        ..config.query.clone()
    };
    let service = QueryService::new(options, snapshot)
        .context("failed to start the query service")
        .map_err(Failure::Work)?;
    let request = QueryRequest {
        as_of: question.as_of,
        licences: (!question.licences.is_empty()).then(|| question.licences.into_iter().collect()),
        ..QueryRequest::private(question.statement)
    };
    let answer = service.query(request).await.map_err(query_failure)?;
    let mut stdout = Output::new();
    let mut chunks = encode(answer, question.format);
    while let Some(chunk) = chunks.next().await {
        if !stdout.write(&chunk.map_err(query_failure)?)? {
            return Ok(());
        }
    }
    stdout.finish()
}

/// More rows than any file system holds, and far from overflowing.
const ROW_LIMIT_NONE: usize = 1 << 40;
/// A month.
const TIME_LIMIT_NONE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Says why there is no answer.
pub(crate) fn query_failure(error: meetnet_query::QueryError) -> Failure {
    // For a wrong statement the message says it all; for a defect the cause is wanted.
    if error.kind == QueryErrorKind::Internal {
        Failure::work(error)
    } else {
        Failure::Work(anyhow!(error.message))
    }
}

/// Writes bytes to stdout as they are. Who closed the pipe has read enough.
///
/// # Errors
/// Where they cannot be written.
pub(crate) fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = Output::new();
    stdout.write(bytes)?;
    stdout.finish()
}

/// Stdout, for answers of any size.
struct Output(io::StdoutLock<'static>);

impl Output {
    fn new() -> Self {
        Self(io::stdout().lock())
    }

    /// Writes; false: the reader has closed the pipe, having read enough.
    fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        went_out(self.0.write_all(bytes))
    }

    fn finish(mut self) -> Result<(), Failure> {
        went_out(self.0.flush()).map(drop)
    }
}

fn went_out(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Work(
            anyhow::Error::new(error).context("failed to write to stdout"),
        )),
    }
}

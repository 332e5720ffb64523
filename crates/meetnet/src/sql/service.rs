//! Questions to a running service: `POST /api/v1/sql`.

use std::time::Duration;

use anyhow::{Context, anyhow};
use futures::StreamExt;
use meetnet_model::ids::DatasetId;
use meetnet_model::time::format_rfc3339;
use meetnet_query::Format;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use serde::Deserialize;

use super::Question;
use super::access::{ServiceAccess, ServiceKey};
use crate::failure::Failure;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of an error answer that are looked at.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;
/// Why an answer ends in the middle.
pub(super) const BROKEN_OFF: &str =
    "the answer broke off: the service met an error, or the connection was lost";

/// Asks a service for an answer in JSON that a command reads itself, and that is small.
///
/// # Errors
/// Where there is none.
pub(crate) async fn ask_json(
    service: &ServiceAccess,
    statement: String,
) -> Result<Vec<u8>, Failure> {
    let answer = send(service, &Question::new(statement), Format::Json).await?;
    let answer = answer.bytes().await;
    let answer = answer.context(BROKEN_OFF).map_err(Failure::Work)?;
    Ok(answer.to_vec())
}

/// Sends a query to a service and returns the answer that it begins.
///
/// # Errors
/// `Usage` where the address is none, `Work` where nobody answers or the answer is no.
pub(super) async fn send(
    service: &ServiceAccess,
    question: &Question,
    format: Format,
) -> Result<reqwest::Response, Failure> {
    let endpoint = service.address("/api/v1/sql")?;
    let as_of = question.as_of.map(format_rfc3339);
    let mut form = vec![
        ("q", question.statement.as_str()),
        ("format", format.as_str()),
    ];
    form.extend(as_of.as_deref().map(|as_of| ("as_of", as_of)));
    let licences = question.licences.iter();
    form.extend(licences.map(|licence| ("licence", licence.as_str())));
    let client = client(&endpoint, service.key.as_ref())?;
    let request = client.post(endpoint).form(&form);
    answered(&service.url, request).await
}

/// The part of a dataset's description that is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    /// Names of the columns that identify a row, in order.
    #[serde(default)]
    pub(super) key: Vec<String>,
    #[serde(default)]
    properties: Vec<Property>,
    /// By whose clocks its rows are days; absent: UTC.
    pub(super) zone: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Property {
    name: String,
}

impl Described {
    /// Returns the names of the properties that are declared for it.
    pub(super) fn properties(self) -> Vec<String> {
        let properties = self.properties.into_iter();
        properties.map(|property| property.name).collect()
    }
}

/// Asks a service what it says of a dataset.
///
/// # Errors
/// As [`send`].
pub(super) async fn describe(
    service: &ServiceAccess,
    dataset: &DatasetId,
) -> Result<Described, Failure> {
    let address = service.address(&format!("/api/v1/datasets/{dataset}"))?;
    let request = client(&address, service.key.as_ref())?.get(address);
    let answer = answered(&service.url, request).await?;
    answer
        .json()
        .await
        .context("the description of the dataset is not what a meetnet of this version gives")
        .map_err(Failure::Work)
}

/// Sends a request to the service at `url` and returns the answer that it begins.
///
/// # Errors
/// `Work` where nobody answers, or the answer is no.
pub(crate) async fn answered(
    url: &str,
    request: reqwest::RequestBuilder,
) -> Result<reqwest::Response, Failure> {
    let response = sent(url, request).await?;
    if !response.status().is_success() {
        return Err(Failure::Work(problem(response).await));
    }
    Ok(response)
}

/// Does what [`answered`] does with a request about what somebody has named on the command line.
///
/// # Errors
/// As [`answered`], and `Usage` where the service says that there is nothing of that name.
pub(crate) async fn answered_of_named(
    url: &str,
    request: reqwest::RequestBuilder,
) -> Result<reqwest::Response, Failure> {
    let response = sent(url, request).await?;
    if response.status().is_success() {
        return Ok(response);
    }
    // Another server than a meetnet has none of its paths.
    let is_unknown = response.status() == StatusCode::NOT_FOUND && is_problem(&response);
    let problem = problem(response).await;
    Err(if is_unknown {
        Failure::Usage(problem)
    } else {
        Failure::Work(problem)
    })
}

async fn sent(url: &str, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
    let response = request.send().await;
    response
        .with_context(|| format!("no answer from {url}; does it run?"))
        .map_err(Failure::Work)
}

/// Returns true where an answer that is no says why as a meetnet does, RFC 9457.
fn is_problem(response: &reqwest::Response) -> bool {
    let media_type = response.headers().get(CONTENT_TYPE);
    media_type.is_some_and(|text| text.as_bytes().starts_with(b"application/problem+json"))
}

/// Returns a client for the service at an address. It sends the key with every request, and not to another host that the
/// service leads to.
///
/// # Errors
/// Where TLS cannot be set up.
pub(crate) fn client(
    address: &reqwest::Url,
    key: Option<&ServiceKey>,
) -> Result<reqwest::Client, Failure> {
    let mut client = reqwest::Client::builder().connect_timeout(CONNECT_TIME_MAX);
    if let Some(key) = key {
        client = client.default_headers(HeaderMap::from_iter([(AUTHORIZATION, key.header())]));
    }
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

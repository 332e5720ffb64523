//! One request over HTTP: sent, answered within a time and a size, or a failure that names no credentials.

use std::error::Error as _;
use std::time::Duration;

use meetnet_model::calendar::SECOND_US;
use meetnet_model::privacy::redact;
use meetnet_model::time::parse_rfc3339;
use reqwest::header::{
    CONTENT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, RETRY_AFTER,
};
use reqwest::{Client, Method, Url, redirect};

use super::verdict::{Failure, FailureKind};

/// Time to connect, part of the time of a request.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long an idle connection is kept for the next request.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest validator that is kept.
const VALIDATOR_BYTES_MAX: usize = 512;

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) url: Url,
    /// None: GET. Else POST with this JSON.
    pub(crate) json: Option<String>,
}

/// A credential and the header that carries it. Not `Debug`: no log line can hold it.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) header: HeaderName,
    pub(crate) value: HeaderValue,
}

/// What came back, its body within the limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// How many seconds the API asks to wait.
    pub(crate) retry_after_s: Option<i64>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum NoAnswer {
    /// It is larger than allowed.
    TooLarge,
    /// It did not come, or not whole.
    Failed(Failure),
}

/// The HTTP client of one source.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client,
    body_bytes_max: usize,
    time_max: Duration,
}

impl Fetcher {
    /// Makes a client; TLS is checked against the system's authorities.
    ///
    /// # Errors
    /// Where TLS cannot be set up on this machine.
    pub(crate) fn new(
        user_agent: &str,
        body_bytes_max: usize,
        time_max: Duration,
    ) -> reqwest::Result<Self> {
        let client = Client::builder()
            .user_agent(user_agent)
            .connect_timeout(CONNECT_TIME_MAX.min(time_max))
            .pool_idle_timeout(IDLE_TIME_MAX)
            // Headers are sent along to wherever a redirect leads, the API key among them.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()?;
        Ok(Self {
            client,
            body_bytes_max,
            time_max,
        })
    }

    /// Sends a request and reads its answer to the end, or to a limit.
    pub(crate) async fn fetch(
        &self,
        request: &Request,
        credential: Option<&Credential>,
        etag: Option<&str>,
        last_modified: Option<&str>,
        now: i64,
    ) -> Result<Answer, NoAnswer> {
        let method = if request.json.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let mut sending = self.client.request(method, request.url.clone());
        if let Some(json) = &request.json {
            let json_type = HeaderValue::from_static("application/json");
            sending = sending
                .header(reqwest::header::CONTENT_TYPE, json_type)
                .body(json.clone());
        }
        if let Some(credential) = credential {
            sending = sending.header(&credential.header, &credential.value);
        }
        for (name, validator) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
            if let Some(validator) = validator {
                sending = sending.header(name, validator);
            }
        }
        let exchange = async {
            let response = sending.send().await.map_err(failure)?;
            self.read(response, now).await
        };
        match tokio::time::timeout(self.time_max, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(NoAnswer::Failed(Failure::new(
                FailureKind::Fault,
                format!(
                    "no whole answer within {} ms (request_time_max); asked again later",
                    self.time_max.as_millis()
                ),
            ))),
        }
    }

    async fn read(&self, mut response: reqwest::Response, now: i64) -> Result<Answer, NoAnswer> {
        let headers = response.headers();
        let mut answer = Answer {
            status: response.status().as_u16(),
            etag: validator(headers, &ETAG),
            last_modified: validator(headers, &LAST_MODIFIED),
            retry_after_s: retry_after_s(headers, now),
            body: Vec::new(),
        };
        let encoding = headers.get(CONTENT_ENCODING);
        let encoding = encoding.filter(|encoding| *encoding != "identity");
        if let Some(encoding) = encoding.filter(|_| response.status().is_success()) {
            let message = format!(
                "the answer is compressed ({}), and nobody asked for that; asked again later",
                redact(encoding.as_bytes())
            );
            return Err(NoAnswer::Failed(Failure::new(FailureKind::Fault, message)));
        }
        let announced = response.content_length().unwrap_or(0);
        if announced > self.body_bytes_max as u64 {
            return Err(NoAnswer::TooLarge);
        }
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if answer.body.len() + chunk.len() > self.body_bytes_max {
                return Err(NoAnswer::TooLarge);
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

fn validator(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= VALIDATOR_BYTES_MAX).then(|| value.to_owned())
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after_s(headers: &HeaderMap, now: i64) -> Option<i64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(i64::from(seconds));
    }
    let at = parse_http_date(value)?;
    Some(at.saturating_sub(now).max(0) / SECOND_US)
}

/// Reads the date form that HTTP/1.1 writes (`Sun, 06 Nov 1994 08:49:37 GMT`), µs since 1970 UTC.
fn parse_http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut parts = text.split_once(", ")?.1.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let (time, zone) = (parts.next()?, parts.next()?);
    if zone != "GMT" || parts.next().is_some() {
        return None;
    }
    parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

/// Says what failed without the URL, which can carry a signature, and with the cause, which reqwest keeps apart.
fn failure(error: reqwest::Error) -> NoAnswer {
    let error = error.without_url();
    let what = if error.is_connect() {
        "cannot connect"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request failed"
    };
    let mut message = what.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message.push_str("; asked again later");
    NoAnswer::Failed(Failure::new(FailureKind::Fault, message))
}

#[cfg(test)]
mod tests {
    use super::parse_http_date;

    #[test]
    fn the_date_of_retry_after() {
        for (text, expect) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777_000_000)),
            ("Sat, 28 Nov 2026 00:00:00 GMT", Some(1_795_824_000_000_000)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("soon", None),
        ] {
            assert_eq!(parse_http_date(text), expect, "{text}");
        }
    }
}

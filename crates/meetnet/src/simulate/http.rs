//! Pushing: one request per message, and what its answer means.
//!
//! 2xx means stored. So does 400 where the answer says that the body is kept and parts of it are no rows. Whoever
//! answers 401 or 404 would answer every message so.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use meetnet_demo::load::Outgoing;
use meetnet_demo::load::lane::Lane;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::send::Delivery;
use crate::failure::Failure;
use crate::sql;

/// Longer than a meetnet waits for its journal: what is not answered by then is in doubt.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Characters of an answer that are repeated.
const SAID_CHARS_MAX: usize = 200;

/// A push endpoint.
pub(super) struct HttpSender {
    client: Client,
    /// Without a slash at its end.
    base: String,
    token: Option<String>,
    gzip: bool,
    places: Semaphore,
    places_max: usize,
    /// Whether anybody has ever answered.
    is_there: AtomicBool,
}

impl HttpSender {
    /// Prepares for requests to `url`, `places_max` at a time.
    ///
    /// # Errors
    /// Where that is no URL.
    pub(super) fn new(
        url: &str,
        token: Option<String>,
        gzip: bool,
        places_max: usize,
    ) -> Result<Self, Failure> {
        let parsed = Url::parse(url)
            .with_context(|| format!("`{url}` is no URL; write for example http://127.0.0.1:8081"))
            .map_err(Failure::Usage)?;
        Ok(Self {
            // What is pushed comes with the token of its source, not with an API key.
            client: sql::client(&parsed, None)?,
            base: url.trim_end_matches('/').to_owned(),
            token,
            gzip,
            places: Semaphore::new(places_max),
            places_max,
            is_there: AtomicBool::new(false),
        })
    }

    /// Returns how many requests there can be at a time.
    pub(super) fn places(&self) -> usize {
        self.places_max
    }

    /// Sends one message and waits for the answer.
    pub(super) async fn send(&self, lane: Lane, outgoing: &Outgoing) -> Delivery {
        let Ok(_place) = self.places.acquire().await else {
            return Delivery::Refused("not sent: the run has ended".to_owned());
        };
        match self.request(lane, outgoing).send().await {
            Ok(response) => {
                self.is_there.store(true, Ordering::Relaxed);
                let status = response.status();
                if status.is_success() {
                    return Delivery::Acknowledged;
                }
                judged(status, &sql::head_of(response).await)
            }
            Err(error) if error.is_connect() => {
                let why = format!("nobody answers at {}", self.base);
                if self.is_there.load(Ordering::Relaxed) {
                    Delivery::Refused(why)
                } else {
                    Delivery::Denied(format!("{why}; is it the address of [ingest_http]?"))
                }
            }
            Err(error) if error.is_builder() => Delivery::Denied(error.to_string()),
            Err(_) => Delivery::InDoubt("no answer came".to_owned()),
        }
    }

    fn request(&self, lane: Lane, outgoing: &Outgoing) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.base, outgoing.place);
        let mut request = if outgoing.is_get {
            self.client.get(url)
        } else {
            self.client.post(url)
        };
        request = request.timeout(ANSWER_TIME_MAX);
        for (name, value) in &outgoing.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if self.gzip && lane.format.is_table() {
            request
                .header("content-encoding", "gzip")
                .body(compressed(&outgoing.payload))
        } else {
            request.body(outgoing.payload.clone())
        }
    }
}

fn compressed(payload: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(payload)
        .expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

/// Returns what an answer that is not 2xx means.
fn judged(status: StatusCode, body: &[u8]) -> Delivery {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let said = said(answer.as_ref(), body);
    let words = format!("the server answers {status}: {said}");
    match status {
        StatusCode::BAD_REQUEST if is_kept(answer.as_ref(), &said) => Delivery::Acknowledged,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Delivery::Denied(format!(
            "{words}; name the variable with the source's token as --token-env"
        )),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Delivery::Denied(format!(
            "{words}; `meetnet simulate --print-config` prints the sources that the server needs"
        )),
        // It may have been journalled all the same.
        StatusCode::REQUEST_TIMEOUT => Delivery::InDoubt(words),
        status if status.is_server_error() => Delivery::InDoubt(words),
        _ => Delivery::Refused(words),
    }
}

/// Returns what an answer says to a person, shortened.
fn said(answer: Option<&Value>, body: &[u8]) -> String {
    let named = ["detail", "message", "error", "title"];
    let text = answer.and_then(|answer| named.iter().find_map(|name| answer.get(name)?.as_str()));
    let text = match text {
        Some(text) => text.to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    };
    text.trim().chars().take(SAID_CHARS_MAX).collect()
}

/// Returns whether an answer says that the body is stored and parts of it are no rows: as meetnet says it, InfluxDB, or
/// a server of SensorThings.
fn is_kept(answer: Option<&Value>, said: &str) -> bool {
    answer.is_some_and(|answer| answer.get("rejected").is_some())
        || said.starts_with("partial write")
        || said.starts_with("unable to parse")
        || answer.is_some_and(|answer| {
            let message = answer.get("message").and_then(Value::as_str);
            message.is_some_and(|message| message.contains("(kept as message "))
        })
}

#[cfg(test)]
mod tests;

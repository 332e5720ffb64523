//! One push source as requests meet it, and the one way from a request into the journal, which every endpoint takes.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use meetnet_lake::journal::{AppendError, NewEnvelope};
use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::network::{ClientAddress, ClientCounts};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::WireFormat;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer::Answer;
use super::body::{self, BodyMemory, Share};
use super::credentials;
use super::limits::{PushLimits, RateLimit};
use super::push::PushSource;
use crate::dup_window::lock;
use crate::intake::Intake;
use crate::outcomes::OutcomeRegistry;
use crate::status::{SourceState, Statuses, now_us};

/// Headers that decoding may need; no others are journalled, above all no credentials and no cookies.
/// `x-sensor` names the device at sensor.community's endpoints, `x-pin` its channel; `ngsiv2-attrsformat` says how a
/// context broker writes attributes.
const JOURNALLED_HEADERS: [&str; 4] = ["content-type", "x-sensor", "x-pin", "ngsiv2-attrsformat"];
/// Longest wait for the decode where nobody heeds it: The Things Stack gives a webhook ten seconds for everything, and
/// takes a slower answer for an outage.
pub(super) const UNHEEDED_WAIT_MAX: Duration = Duration::from_secs(2);
/// What stands for the format in the metric of pushes to a path that is not of one format.
const NO_FORMAT: &str = "none";
/// Longest header value journalled.
const HEADER_BYTES_MAX: usize = 1024;

/// The sources of one configuration, by id.
pub(super) type Endpoints = BTreeMap<String, Arc<Endpoint>>;

/// What the endpoints work with.
pub(super) struct Inner {
    /// Exchanged as a whole, where the configuration changes.
    pub(super) endpoints: Mutex<Arc<Endpoints>>,
    pub(super) statuses: Statuses,
    pub(super) is_listening: AtomicBool,
    pub(super) limits: PushLimits,
    pub(super) intake: Intake,
    pub(super) outcomes: OutcomeRegistry,
    pub(super) requests: Semaphore,
    /// Bodies that are on their way, of each client: who sends slowly has no more places than its share.
    pub(super) arriving: ClientCounts,
    pub(super) memory: BodyMemory,
    /// For hardware ids that must not be journalled, because they are credentials too.
    pub(super) key: PrivacyKey,
}

/// One push source.
pub(super) struct Endpoint {
    /// As it was configured: the same is not exchanged.
    pub(super) configured: PushSource,
    /// Held shared while an envelope is appended; false once nothing may be.
    pub(super) is_open: RwLock<bool>,
    pub(super) id: SourceId,
    pub(super) format: WireFormat,
    /// Any of them opens the source; none where it takes everyone.
    pub(super) tokens: Option<Vec<String>>,
    /// What requests to a path that is not its own call it: a database or bucket, a station id.
    pub(super) name: Option<String>,
    /// A path of its own beside `/ingest/v1/{id}`.
    pub(super) own_path: Option<String>,
    /// `/ingest/v1/{id}`
    pub(super) path: String,
    pub(super) rate: RateLimit,
    pub(super) status: Arc<SourceState>,
}

/// How the source of a request is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// By the id in its path.
    Source(&'a str),
    /// By a path that one source has declared.
    OwnPath(&'a str),
    /// By its credential, on a path that devices of one format have built in.
    Format(WireFormat),
}

impl Inner {
    /// Returns the sources as they are now.
    pub(super) fn endpoints(&self) -> Arc<Endpoints> {
        Arc::clone(&lock(&self.endpoints))
    }

    /// Takes the place of one request at a time, until the permit is dropped.
    pub(super) fn place(&self) -> Result<SemaphorePermit<'_>, Answer> {
        self.requests.try_acquire().map_err(|_| Answer::Busy {
            retry_after_s: 1,
            detail: "more requests at a time than allowed",
        })
    }

    /// Returns the source that a request is for.
    ///
    /// On a path of a format that is the source whose token is `credential`; a source without a token takes requests
    /// there only where it is the only one that they can be for. With a `name`, sources of another name are out.
    pub(super) fn choose(
        &self,
        wanted: Wanted<'_>,
        name: Option<&str>,
        credential: Option<&str>,
    ) -> Result<Arc<Endpoint>, Answer> {
        let endpoints = self.endpoints();
        let format = match wanted {
            Wanted::Source(id) => {
                let found = endpoints.get(id).cloned();
                return found.ok_or(Answer::UnknownSource);
            }
            Wanted::OwnPath(path) => {
                let mut sources = endpoints.values();
                let owner = sources.find(|source| source.own_path.as_deref() == Some(path));
                return owner.cloned().ok_or(Answer::UnknownSource);
            }
            Wanted::Format(format) => format,
        };
        let of_format: Vec<&Arc<Endpoint>> = endpoints
            .values()
            .filter(|source| source.format == format)
            .collect();
        if of_format.is_empty() {
            return Err(Answer::NoSourceOfFormat(format.as_str()));
        }
        let named: Vec<&Arc<Endpoint>> = of_format
            .into_iter()
            .filter(|source| match (&source.name, name) {
                (Some(own), Some(name)) => own == name,
                (Some(_), None) => false,
                (None, _) => true,
            })
            .collect();
        if named.is_empty() {
            return Err(Answer::UnknownName);
        }
        let opened = named
            .iter()
            .find(|source| source.tokens.is_some() && source.takes(credential));
        match (opened, named.as_slice()) {
            (Some(source), _) => Ok(Arc::clone(source)),
            (None, [only]) if only.tokens.is_none() => Ok(Arc::clone(only)),
            _ => Err(Answer::Unauthorised),
        }
    }

    /// Does the same for a push to `path`, and counts it where no source takes it: nobody else could.
    pub(super) fn claim(
        &self,
        wanted: Wanted<'_>,
        name: Option<&str>,
        credential: Option<&str>,
        path: &str,
    ) -> Result<Arc<Endpoint>, Answer> {
        let chosen = self.choose(wanted, name, credential);
        if let Err(refusal) = &chosen {
            self.unclaimed(wanted, refusal, path);
        }
        chosen
    }

    /// Counts a push that no source takes.
    pub(super) fn unclaimed(&self, wanted: Wanted<'_>, answer: &Answer, path: &str) {
        let format = match wanted {
            Wanted::Format(format) => format.as_str(),
            Wanted::Source(_) | Wanted::OwnPath(_) => NO_FORMAT,
        };
        metrics::counter!("meetnet_pushes_unclaimed_total", "format" => format).increment(1);
        let reason = answer.refusal().map_or_else(String::new, |refusal| {
            if refusal.status == StatusCode::UNAUTHORIZED {
                // What there is to say to the sender is longer.
                refusal.title.to_owned()
            } else {
                refusal.detail
            }
        });
        self.statuses.note_unclaimed(path, reason);
    }

    /// Refuses before the body is read what no source takes, whatever is in it: none has the format or the path, or the
    /// credential of the head opens none of those that have. Without a credential it may be in the body.
    pub(super) fn expects(
        &self,
        wanted: Wanted<'_>,
        credential: Option<&str>,
    ) -> Result<(), Answer> {
        let endpoints = self.endpoints();
        let mut candidates = endpoints
            .values()
            .filter(|source| source.is_wanted(wanted))
            .peekable();
        if candidates.peek().is_none() {
            return Err(match wanted {
                Wanted::Format(format) => Answer::NoSourceOfFormat(format.as_str()),
                Wanted::Source(_) | Wanted::OwnPath(_) => Answer::UnknownSource,
            });
        }
        if credential.is_none() || candidates.any(|source| source.takes(credential)) {
            Ok(())
        } else {
            Err(Answer::Unauthorised)
        }
    }

    /// Reads and inflates a body; its memory is given back with the share.
    pub(super) async fn read_body(
        &self,
        parts: &Parts,
        body: axum::body::Body,
    ) -> Result<(Vec<u8>, Share), Answer> {
        let address = parts.extensions.get::<ClientAddress>();
        let address = address.and_then(|address| address.0);
        let Some(_arriving) = self.arriving.enter(address) else {
            return Err(Answer::Busy {
                retry_after_s: 1,
                detail: "more bodies are on their way from your network than one client may have at a time \
                         (requests_per_client_max)",
            });
        };
        let mut share = self.memory.share(self.limits.bodies_bytes_max);
        let payload = body::read(&parts.headers, body, &self.limits, &mut share)
            .await
            .map_err(Answer::Body)?;
        Ok((payload, share))
    }

    /// Journals a body, waits for the sync, then for what became of it. `topic` is the path without credentials. A body that
    /// is given away is held no longer than until it is journalled: many wait for a disk at the same time.
    pub(super) async fn journal(
        &self,
        endpoint: &Endpoint,
        topic: &str,
        meta: &[(&str, &str)],
        payload: impl AsRef<[u8]>,
    ) -> Result<Answer, Answer> {
        let journalled = self.journal_numbered(endpoint, topic, meta, payload);
        journalled.await.map(|(_, answer)| answer)
    }

    /// Does the same and returns the sequence, too, for answers that name what was created.
    pub(super) async fn journal_numbered(
        &self,
        endpoint: &Endpoint,
        topic: &str,
        meta: &[(&str, &str)],
        payload: impl AsRef<[u8]>,
    ) -> Result<(Sequence, Answer), Answer> {
        let registered = {
            let payload = payload.as_ref();
            endpoint.status.message(payload.len(), now_us());
            let envelope = NewEnvelope {
                source: endpoint.id.as_str(),
                topic,
                meta,
                payload,
                ..NewEnvelope::default()
            };
            // Held until it is appended: behind a closed gate come the declarations of another configuration.
            let is_open = endpoint.is_open.read();
            let is_open = is_open.unwrap_or_else(PoisonError::into_inner);
            if !*is_open {
                return Err(Answer::Busy {
                    retry_after_s: 1,
                    detail: "the configuration of the source is being changed",
                });
            }
            self.outcomes.register_with(|| {
                let appended = self.intake.append(&envelope);
                appended.map(|appended| appended.sequence)
            })
        };
        drop(payload);
        let appended = registered.map_err(|_| Answer::Busy {
            retry_after_s: 1,
            detail: "too many pushes wait for their answer",
        })?;
        let mut waiter = appended.map_err(|error| match error {
            AppendError::FieldTooLong { .. } => Answer::Unjournallable(error.to_string()),
            error => Answer::NotJournalled {
                detail: error.to_string(),
            },
        })?;

        let synced = self.intake.wait_durable(waiter.sequence());
        if !matches!(
            tokio::time::timeout(self.limits.sync_wait, synced).await,
            Ok(true)
        ) {
            let detail = "the journal was not synced in time: send it again".to_owned();
            return Err(Answer::NotJournalled { detail });
        }
        // Stored from here on, whatever the decode says.
        let outcome_wait = if endpoint.is_relay() {
            self.limits.outcome_wait.min(UNHEEDED_WAIT_MAX)
        } else {
            self.limits.outcome_wait
        };
        let outcome = tokio::time::timeout(outcome_wait, waiter.outcome()).await;
        let answer = outcome
            .ok()
            .flatten()
            .map_or(Answer::Pending, Answer::Decoded);
        Ok((waiter.sequence(), answer))
    }
}

impl Endpoint {
    pub(super) fn is_open(&self) -> bool {
        *self.is_open.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing more. What was taken before is in the journal when this returns.
    pub(super) fn close(&self) {
        *self.is_open.write().unwrap_or_else(PoisonError::into_inner) = false;
        self.status.set_disconnected();
    }

    /// Marks the source as listening.
    pub(super) fn listening(&self) {
        self.status.set_connected("http", false);
        self.status.set_subscribed();
    }

    /// Checks the credential, then the rate: a stranger cannot use up what the source may send.
    pub(super) fn admit(&self, token: Option<&str>) -> Result<(), Answer> {
        if !self.takes(token) {
            return Err(Answer::Unauthorised);
        }
        self.rate.take(Instant::now()).map_err(|wait| Answer::Busy {
            retry_after_s: wait.as_secs() + 1,
            detail: "more requests per second than this source may send",
        })
    }

    /// Returns whether a request may be for this source, by its path alone.
    fn is_wanted(&self, wanted: Wanted<'_>) -> bool {
        match wanted {
            Wanted::Source(id) => self.id.as_str() == id,
            Wanted::OwnPath(path) => self.own_path.as_deref() == Some(path),
            Wanted::Format(format) => self.format == format,
        }
    }

    /// Returns whether a credential opens the source.
    pub(super) fn takes(&self, token: Option<&str>) -> bool {
        let Some(tokens) = &self.tokens else {
            return true;
        };
        let is_token = |given| tokens.iter().any(|token| credentials::equal(given, token));
        token.is_some_and(is_token)
    }

    /// Returns true where servers send in this format what devices or entities said. They can correct nothing, and take
    /// anything but success for an outage: The Things Stack switches a webhook off after a few in a row, and with it
    /// every other device of the application.
    fn is_relay(&self) -> bool {
        matches!(
            self.format,
            WireFormat::TtsV3 | WireFormat::ChirpstackV4 | WireFormat::Ngsi
        )
    }

    /// Words an answer for who sends in this format.
    pub(super) fn worded(&self, answer: Answer) -> Answer {
        match answer {
            Answer::Decoded(outcome) if self.is_relay() => Answer::Kept(outcome),
            answer => answer,
        }
    }

    /// Counts what a request of this source was answered.
    pub(super) fn settle(&self, result: Result<Answer, Answer>) -> Answer {
        let answer = result.unwrap_or_else(|refusal| refusal);
        match &answer {
            Answer::Decoded(_) | Answer::Pending => self.status.acked.add(1),
            Answer::NotJournalled { detail } => self.status.note_error(detail.as_str()),
            _ => {
                self.status.refused.add(1);
                if let Some(refusal) = answer.refusal() {
                    let status = refusal.status.as_u16();
                    let note = format!("a push was turned away: {status}, {}", refusal.title);
                    self.status.note_error(note);
                }
            }
        }
        answer
    }
}

/// Returns the headers that decoding may need.
pub(super) fn journalled_headers(headers: &HeaderMap) -> Vec<(&'static str, &str)> {
    let mut meta = Vec::with_capacity(JOURNALLED_HEADERS.len() + 1);
    for name in JOURNALLED_HEADERS {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(value) = value.filter(|value| value.len() <= HEADER_BYTES_MAX) {
            meta.push((name, value));
        }
    }
    meta
}

//! Sessions at brokers that no configured source asks for any more: what such a session holds is not fetched, and one with
//! subscriptions goes on collecting.
//!
//! ```text
//! start:  declarations that were in force ─┐
//! reload: sources that ran before ─────────┴▶ nobody has their client id now ─▶ log, operations page
//! ```
//!
//! A broker knows a session by its client id. None is ended here: it may hold messages that somebody wants. What is left is
//! known until the next start, or until a source has the client id again.

use std::sync::{Arc, Mutex, PoisonError};

use meetnet_ingest::Sources;
use meetnet_ingest::mqtt::{MqttOptions, Url};
use meetnet_ingest::status::SourceStatus;
use meetnet_model::ids::SourceId;
use meetnet_publish::LeftSessionRow;
use tracing::warn;

use crate::config::{Config, Transport};

/// Left sessions that are kept in mind; of more, those that were left last.
const LEFT_MAX: usize = 64;
/// What nobody publishes, to subscribe to for the moment that ends a session.
const NO_TOPIC: &str = "meetnet/none";

/// A session that a source has, or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    source: SourceId,
    client_id: String,
    broker: Url,
}

impl Session {
    /// Returns its source, its broker and its client id.
    pub(super) fn facts(&self) -> (&SourceId, &Url, &str) {
        (&self.source, &self.broker, &self.client_id)
    }
}

/// A session that no source has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Left {
    source: SourceId,
    client_id: String,
    /// None: it was left before this start, and nobody knows where it is.
    broker: Option<Url>,
    /// Whether its subscriptions were not ended.
    collects: bool,
    /// When it was found left, µs since 1970 UTC.
    since: i64,
}

/// The sessions that were left since the start, or before it; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftSessions(Arc<Mutex<Vec<Left>>>);

/// Returns the sessions of broker sources.
pub(super) fn of(sources: &Sources) -> Vec<Session> {
    let mqtt = sources.mqtt.iter();
    mqtt.map(|source| session(&source.id, &source.options))
        .collect()
}

/// Returns the sessions of the broker sources of a configuration, in a process with this journal.
pub(super) fn configured(config: &Config, journal_id: &str) -> Vec<Session> {
    let sources = config.sources.iter().filter_map(|source| {
        let Transport::Mqtt(mqtt) = &source.transport else {
            return None;
        };
        let id = &source.declaration.id;
        let mut session = session(id, &mqtt.options);
        if session.client_id.is_empty() {
            session.client_id = MqttOptions::default_client_id(journal_id, id);
        }
        Some(session)
    });
    sources.collect()
}

/// Returns the session of a source.
pub(super) fn session(source: &SourceId, options: &MqttOptions) -> Session {
    Session {
        source: source.clone(),
        client_id: options.client_id.clone(),
        broker: options.url.clone(),
    }
}

impl LeftSessions {
    /// Takes those that were left before this start, which have been said: source and client id.
    pub(super) fn known(&self, left: Vec<(SourceId, String)>, now: i64) {
        let left = left.into_iter().map(|(source, client_id)| Left {
            source,
            client_id,
            broker: None,
            collects: true,
            since: now,
        });
        self.change(|all| all.extend(left));
    }

    /// Takes the exchange of sources, and says which sessions it has left. `statuses` are those of before it: a source that
    /// was connected has ended its subscriptions.
    pub(super) fn exchanged(
        &self,
        before: &[Session],
        after: &[Session],
        statuses: &[SourceStatus],
        now: i64,
    ) {
        let connected = |source: &SourceId| {
            let mut statuses = statuses.iter();
            statuses.any(|status| status.source == *source && status.connected)
        };
        let left = left(before, after, connected, now);
        left.iter().for_each(tell);
        self.change(|all| {
            all.retain(|known| !is_taken(&known.client_id, known.broker.as_ref(), after));
            all.extend(left);
        });
    }

    /// Returns what the operations page says of them.
    pub(super) fn rows(&self) -> Vec<LeftSessionRow> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = all.iter().map(|left| LeftSessionRow {
            source: left.source.clone(),
            client_id: left.client_id.clone(),
            broker: left.broker.as_ref().map(ToString::to_string),
            collects: left.collects,
            since: left.since,
            command: command(left),
        });
        rows.collect()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Left>)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut all);
        let too_many = all.len().saturating_sub(LEFT_MAX);
        all.drain(..too_many);
    }
}

/// Returns the sessions of `before` that nobody has in `after`.
fn left(
    before: &[Session],
    after: &[Session],
    is_connected: impl Fn(&SourceId) -> bool,
    now: i64,
) -> Vec<Left> {
    let left = before
        .iter()
        .filter(|session| !is_taken(&session.client_id, Some(&session.broker), after));
    left.map(|session| Left {
        source: session.source.clone(),
        client_id: session.client_id.clone(),
        broker: Some(session.broker.clone()),
        collects: !is_connected(&session.source),
        since: now,
    })
    .collect()
}

/// Returns whether a source has a session. A broker is told by its host: over TLS it has another port, and the same sessions.
fn is_taken(client_id: &str, broker: Option<&Url>, by: &[Session]) -> bool {
    by.iter().any(|session| {
        let is_there = broker.is_none_or(|broker| broker.host == session.broker.host);
        is_there && session.client_id == client_id
    })
}

fn tell(left: &Left) {
    let Left {
        source, client_id, ..
    } = left;
    let broker = left.broker.as_ref().map(ToString::to_string);
    let command = command(left);
    if left.collects {
        warn!(
            %source,
            %client_id,
            broker,
            command,
            "a broker's source is gone from the configuration, or has another client id, and was not connected: its session at \
             the broker goes on collecting, and what it holds is not fetched; to fetch it, give a source this `client_id`; to \
             end it, connect once with this client id and a clean session"
        );
    } else {
        warn!(
            %source,
            %client_id,
            broker,
            command,
            "a broker's source is gone from the configuration, or has another client id: its session at the broker has no \
             subscriptions any more, but what it held is not fetched, and what came before another session had subscribed \
             came to nobody; to fetch it, give a source this `client_id`; to end it, connect once with this client id and a \
             clean session; to rename a source without a gap, give it this `client_id` in the same change"
        );
    }
}

/// Returns a command that ends a session, what it holds included; None where it is not known where, or where the tool does
/// not reach it. Credentials are for who runs it to add.
fn command(left: &Left) -> Option<String> {
    let broker = left.broker.as_ref()?;
    if broker.websocket.is_some() {
        return None;
    }
    // Brackets belong to URLs.
    let host = broker.host.trim_start_matches('[').trim_end_matches(']');
    let (host, client_id) = (quoted(host), quoted(&left.client_id));
    let port = broker.port;
    let certificates = if broker.tls {
        " --tls-use-os-certs"
    } else {
        ""
    };
    Some(format!(
        "mosquitto_sub -h {host} -p {port}{certificates} -i {client_id} -t {NO_TOPIC} -E"
    ))
}

/// Returns a word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;

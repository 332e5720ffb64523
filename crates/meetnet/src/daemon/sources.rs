//! From configured sources to what ingest starts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use meetnet_ingest::http::PushSource;
use meetnet_ingest::mqtt::{MqttOptions, MqttSource, TlsIdentity};
use meetnet_ingest::outcomes::OutcomeRegistry;
use meetnet_ingest::poll::{Backfills, Hosts, PollSource};
use meetnet_ingest::status::Statuses;
use meetnet_ingest::{DupWindows, Intake, Sources};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::SourceId;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::SourceKind;
use meetnet_publish::Readiness;
use tracing::warn;

use super::session_note::SessionNote;
use crate::config::{Config, MqttTransport, Secrets, Transport};

/// Folder of the cursors of polled sources, in the journal's.
pub(super) const CURSORS_DIR: &str = "polled";
/// Folder of what brokers were asked for, in the journal's.
const SUBSCRIBED_DIR: &str = "subscribed";

/// What the sources of every configuration work with; cheap to clone.
#[derive(Clone)]
pub(crate) struct SourceParts {
    pub(super) journal_id: String,
    pub(super) intake: Intake,
    pub(super) outcomes: OutcomeRegistry,
    pub(super) dup_windows: DupWindows,
    pub(super) sessions: SessionNote,
    pub(super) hosts: Hosts,
    pub(crate) backfills: Backfills,
    pub(super) cursors_dir: PathBuf,
    pub(crate) key: PrivacyKey,
}

/// Returns the ids of the broker subscriptions, which `/readyz` waits for.
pub(super) fn brokers(config: &Config) -> Vec<SourceId> {
    let sources = config.sources.iter();
    let brokers = sources.filter(|source| matches!(source.transport, Transport::Mqtt(_)));
    brokers
        .map(|source| source.declaration.id.clone())
        .collect()
}

/// Says where there is no source, which looks like a daemon that is well. It goes on: what is stored is answered, and a
/// source can be added while it runs, without a restart that a refused start would ask for.
pub(super) fn tell_where_none(config: &Config, readiness: &Readiness) {
    let none = config.sources.is_empty();
    readiness.no_sources(none);
    if none {
        warn!(
            file = %config.file.display(),
            "no source is configured: nothing is taken in; add [[source]] with id, kind, format and licence (`meetnet source \
             learn` proposes one), and it is taken over while the daemon runs"
        );
    }
}

/// Says where nobody can ask for what is stored: that takes a restart.
pub(super) fn tell_where_unheard(config: &Config) {
    if config.http.is_none() && config.pg.is_none() && config.flight.is_none() {
        warn!(
            file = %config.file.display(),
            "nothing listens for queries: add [http] with listen = \"127.0.0.1:8080\", [pg] or [flight], and restart"
        );
    }
}

/// Warns of sessions at a broker that no configured source asks for any more, though a source did before this start:
/// what such a session holds is not fetched. `before` are the declarations that were in force. Returns them: source and
/// client id, as [`left_sessions`] does. Those that a change leaves while the daemon runs are told by `sessions`.
pub(super) fn warn_of_left_sessions(
    config: &Config,
    before: &[u8],
    journal_id: &str,
) -> Vec<(SourceId, String)> {
    // Those of a new journal are empty; of others the pipeline says what is wrong.
    let Ok(before) = Declarations::from_bytes(before) else {
        return Vec::new();
    };
    let brokers = config.sources.iter().filter_map(|source| {
        let Transport::Mqtt(mqtt) = &source.transport else {
            return None;
        };
        Some((&source.declaration.id, mqtt.options.client_id.as_str()))
    });
    let left = left_sessions(&before, &brokers.collect(), journal_id);
    for (source, client_id) in &left {
        warn!(
            %source,
            %client_id,
            "a broker's source is gone from the configuration, and what its session at the broker holds is not fetched: if \
             it has another id now, stop, and give it this `client_id`, or the one that was configured for it; if it is \
             gone for good, end the session at the broker"
        );
    }
    left
}

/// Returns the sources with a broker's session that are not among `brokers` (client ids by source, empty where none is
/// configured), each with its client id unless it was configured; without those whose client id another one has now.
fn left_sessions(
    before: &Declarations,
    brokers: &BTreeMap<&SourceId, &str>,
    journal_id: &str,
) -> Vec<(SourceId, String)> {
    let sources = before.sources.iter();
    let gone =
        sources.filter(|(id, source)| source.kind == SourceKind::Mqtt && !brokers.contains_key(id));
    let sessions = gone.map(|(id, _)| {
        let client_id = MqttOptions::default_client_id(journal_id, id);
        (id.clone(), client_id)
    });
    sessions
        .filter(|(_, client_id)| !brokers.values().any(|taken| taken == client_id))
        .collect()
}

/// Returns the sources with their passwords, tokens, keys and client ids.
pub(super) fn all(
    config: &Config,
    secrets: &Secrets,
    parts: &SourceParts,
    statuses: &Statuses,
) -> Sources {
    let mut sources = Sources {
        mqtt: Vec::new(),
        polls: Vec::new(),
        push: Vec::new(),
    };
    for source in &config.sources {
        let id = source.declaration.id.clone();
        let credential = secrets.credential(&id);
        match &source.transport {
            Transport::Mqtt(mqtt) => sources.mqtt.push(MqttSource {
                options: mqtt_options(mqtt, &id, secrets, &parts.journal_id),
                id,
                intake: parts.intake.clone(),
                windows: parts.dup_windows.clone(),
                statuses: statuses.clone(),
                noted_in: Some(config.journal.dir.join(SUBSCRIBED_DIR)),
            }),
            Transport::Poll(poll) => sources.polls.push(PollSource {
                id,
                options: poll.options.clone(),
                api_key: credential,
                intake: parts.intake.clone(),
                statuses: statuses.clone(),
                hosts: parts.hosts.clone(),
                backfills: parts.backfills.clone(),
                cursors_dir: parts.cursors_dir.clone(),
                journal_id: parts.journal_id.clone(),
            }),
            // Whoever imports them brings them.
            Transport::Files => {}
            Transport::Http(http) => sources.push.push(PushSource {
                id,
                format: source.declaration.format,
                token: credential,
                name: http.name.clone(),
                path: http.path.clone(),
                requests_per_second_max: http.requests_per_second_max,
            }),
        }
    }
    sources
}

/// Returns the options of a broker subscription with its secrets and its client id.
fn mqtt_options(
    mqtt: &MqttTransport,
    id: &SourceId,
    secrets: &Secrets,
    journal_id: &str,
) -> MqttOptions {
    let mut options = mqtt.options.clone();
    options.password = secrets.credential(id);
    let identity = mqtt.identity.as_ref().zip(secrets.tls_key(id));
    options.tls_identity = identity.map(|((certificates, _), key)| TlsIdentity {
        certificates: certificates.clone(),
        key: key.into_bytes(),
    });
    if options.client_id.is_empty() {
        options.client_id = MqttOptions::default_client_id(journal_id, id);
    }
    options
}

#[cfg(test)]
mod tests;

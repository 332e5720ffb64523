//! From configured sources to what ingest starts.

use meetnet_ingest::http::{PushLimits, PushSource, PushState};
use meetnet_ingest::mqtt::{MqttOptions, MqttSource, TlsIdentity};
use meetnet_ingest::poll::PollSource;
use meetnet_ingest::status::Statuses;
use meetnet_model::ids::SourceId;

use super::write_side::Opened;
use crate::config::{Config, Secrets, Transport};

/// Folder of the cursors of polled sources, in the journal's.
const CURSORS_DIR: &str = "polled";

/// Returns the ids of the broker subscriptions, which `/readyz` waits for.
pub(super) fn brokers(config: &Config) -> Vec<SourceId> {
    let sources = config.sources.iter();
    let brokers = sources.filter(|source| matches!(source.transport, Transport::Mqtt(_)));
    brokers
        .map(|source| source.declaration.id.clone())
        .collect()
}

/// Returns the broker subscriptions with their passwords and client ids.
pub(super) fn mqtt(
    config: &Config,
    secrets: &Secrets,
    opened: &Opened,
    statuses: &Statuses,
) -> Vec<MqttSource> {
    let journal_id = opened.journal.id().to_string();
    let mut sources = Vec::new();
    for source in &config.sources {
        let Transport::Mqtt(mqtt) = &source.transport else {
            continue;
        };
        let id = source.declaration.id.clone();
        let mut options = mqtt.options.clone();
        options.password = secrets.credential(&id);
        options.tls_identity =
            mqtt.identity
                .as_ref()
                .zip(secrets.tls_key(&id))
                .map(|((certificates, _), key)| TlsIdentity {
                    certificates: certificates.clone(),
                    key: key.into_bytes(),
                });
        if options.client_id.is_empty() {
            options.client_id = MqttOptions::default_client_id(&journal_id, &id);
        }
        sources.push(MqttSource {
            id,
            options,
            intake: opened.intake.clone(),
            windows: opened.dup_windows.clone(),
            statuses: statuses.clone(),
        });
    }
    sources
}

/// Returns the polled APIs with their keys.
pub(super) fn polls(
    config: &Config,
    secrets: &Secrets,
    opened: &Opened,
    statuses: &Statuses,
) -> Vec<PollSource> {
    let mut sources = Vec::new();
    for source in &config.sources {
        let Transport::Poll(poll) = &source.transport else {
            continue;
        };
        sources.push(PollSource {
            id: source.declaration.id.clone(),
            options: poll.options.clone(),
            api_key: secrets.credential(&source.declaration.id),
            intake: opened.intake.clone(),
            statuses: statuses.clone(),
            hosts: opened.hosts.clone(),
            backfills: opened.backfills.clone(),
            cursors_dir: config.journal.dir.join(CURSORS_DIR),
            journal_id: opened.journal.id().to_string(),
        });
    }
    sources
}

/// Returns the push endpoint with its tokens.
pub(super) fn push(
    config: &Config,
    secrets: &Secrets,
    limits: PushLimits,
    opened: &Opened,
    statuses: &Statuses,
) -> PushState {
    let mut sources = Vec::new();
    for source in &config.sources {
        let Transport::Http(http) = &source.transport else {
            continue;
        };
        sources.push(PushSource {
            id: source.declaration.id.clone(),
            format: source.declaration.format,
            token: secrets.credential(&source.declaration.id),
            name: http.name.clone(),
            path: http.path.clone(),
            requests_per_second_max: http.requests_per_second_max,
        });
    }
    PushState::new(
        sources,
        limits,
        opened.intake.clone(),
        opened.outcomes.clone(),
        statuses,
        opened.key.clone(),
    )
}

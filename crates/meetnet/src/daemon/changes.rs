//! What differs between two configurations, of that which can change while the daemon runs.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use meetnet_ingest::Sources;
use meetnet_ingest::http::PushSource;
use meetnet_ingest::mqtt::MqttOptions;
use meetnet_ingest::poll::PollOptions;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, SourceId};
use meetnet_model::property::PropertyDeclaration;
use meetnet_model::source::SourceDeclaration;
use tracing::info;

use crate::config::Config;

/// What a configuration declares and connects, with the values of its secrets.
pub(super) struct Facts {
    sources: BTreeMap<SourceId, SourceFacts>,
    datasets: BTreeMap<DatasetId, (Arc<DatasetDeclaration>, Option<Duration>)>,
    properties: BTreeMap<String, Arc<PropertyDeclaration>>,
}

/// What makes a source another one: what its messages mean, how it is connected, when it counts as silent.
#[derive(PartialEq)]
struct SourceFacts {
    declaration: SourceDeclaration,
    silent_after: Option<Duration>,
    connection: Option<Connection>,
}

#[derive(PartialEq)]
enum Connection {
    Mqtt(Box<MqttOptions>),
    Poll(Box<PollOptions>, Option<String>),
    Push(PushSource),
}

impl Facts {
    /// Returns those of a configuration; `sources` are its connections, or none in a process that only reads.
    pub(super) fn of(config: &Config, sources: &Sources) -> Self {
        let mqtt = sources.mqtt.iter().map(|source| {
            let options = Box::new(source.options.clone());
            (source.id.clone(), Connection::Mqtt(options))
        });
        let polls = sources.polls.iter().map(|source| {
            let options = Box::new(source.options.clone());
            let connection = Connection::Poll(options, source.api_key.clone());
            (source.id.clone(), connection)
        });
        let push = sources.push.iter();
        let push = push.map(|source| (source.id.clone(), Connection::Push(source.clone())));
        let mut connections: BTreeMap<_, _> = mqtt.chain(polls).chain(push).collect();
        let sources = config.sources.iter().map(|source| {
            let id = source.declaration.id.clone();
            let facts = SourceFacts {
                connection: connections.remove(&id),
                declaration: source.declaration.clone(),
                silent_after: source.silent_after,
            };
            (id, facts)
        });
        let declarations = &config.declarations;
        let datasets = declarations.datasets.iter().map(|(id, declaration)| {
            let retention = config.lake.retention.get(id).copied();
            (id.clone(), (Arc::clone(declaration), retention))
        });
        let properties = declarations.properties.iter().map(|property| {
            let name = format!("{}/{}", property.dataset, property.name);
            (name, Arc::clone(property))
        });
        Self {
            sources: sources.collect(),
            datasets: datasets.collect(),
            properties: properties.collect(),
        }
    }
}

/// What is different, by name; the rest is as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) sources: Difference,
    pub(super) datasets: Difference,
    pub(super) properties: Difference,
}

/// What is different among things of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Changes {
    pub(super) fn between(before: &Facts, after: &Facts) -> Self {
        Self {
            sources: Difference::between(&before.sources, &after.sources),
            datasets: Difference::between(&before.datasets, &after.datasets),
            properties: Difference::between(&before.properties, &after.properties),
        }
    }

    /// Returns true where nothing is different.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Says what is in force from here on.
    pub(super) fn log(&self) {
        let Self {
            sources,
            datasets,
            properties,
        } = self;
        info!(
            sources_added = names(&sources.added),
            sources_changed = names(&sources.changed),
            sources_removed = names(&sources.removed),
            datasets_added = names(&datasets.added),
            datasets_changed = names(&datasets.changed),
            datasets_removed = names(&datasets.removed),
            properties_added = names(&properties.added),
            properties_changed = names(&properties.changed),
            properties_removed = names(&properties.removed),
            "configuration loaded"
        );
    }
}

/// Returns names as one field of a log line; none where there are none. A list as Rust prints it is no list to who reads JSON.
fn names(of: &[String]) -> Option<String> {
    (!of.is_empty()).then(|| of.join(", "))
}

impl Difference {
    fn between<K: Ord + Display, V: PartialEq>(
        before: &BTreeMap<K, V>,
        after: &BTreeMap<K, V>,
    ) -> Self {
        let mut difference = Self::default();
        for (name, value) in after {
            match before.get(name) {
                None => difference.added.push(name.to_string()),
                Some(known) if known != value => difference.changed.push(name.to_string()),
                Some(_) => {}
            }
        }
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        difference.removed = gone.map(ToString::to_string).collect();
        difference
    }
}

#[cfg(test)]
mod tests;

//! A proposal that fits the configuration to which it is added: its id is free, its datasets and properties are those that are
//! declared there, and what that configuration asks of such a source stands in it. What nobody can fill in for it is said.

use std::path::Path;

use anyhow::Context;
use meetnet_decode::{NewSource, TopicPattern};
use meetnet_model::schemas;

use crate::config::{Config, Environment, Transport};
use crate::failure::Failure;

/// The port that examples push to.
const PUSH_PORT: u16 = 8081;

/// Proposes a source for messages, received under `topic` where that is known.
///
/// # Errors
/// `Usage` where nothing can be learned.
pub(super) fn propose(samples: &[&[u8]], topic: Option<&str>) -> Result<String, Failure> {
    let new = NewSource {
        topic: topic.map(str::to_owned),
        ..NewSource::default()
    };
    let declarations = schemas::builtin().into_declarations([]);
    meetnet_decode::learn(samples, &new, &declarations).map_err(Failure::usage)
}

/// Proposes what can be added to the end of the configuration in `file`.
///
/// # Errors
/// `Usage` where that is wrong itself, or nothing can be learned.
pub(super) fn propose_for(
    samples: &[&[u8]],
    topic: Option<&str>,
    file: &Path,
    environment: &Environment,
) -> Result<String, Failure> {
    let config = Config::load(file, environment).map_err(Failure::usage)?;
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read {}", file.display()))
        .map_err(Failure::Usage)?;
    let id = free_id(&config);
    let listener = config.ingest_http.as_ref();
    let is_open = listener.is_some_and(|listener| !listener.listen.ip().is_loopback());
    let mut new = NewSource {
        token: is_open.then(|| format!("{}_TOKEN", id.to_uppercase().replace('-', "_"))),
        id,
        topic: topic.map(str::to_owned),
        config: file.display().to_string(),
        ..NewSource::default()
    };
    if let Some(broker) = broker(&config) {
        new.broker = broker;
    }
    let proposal = meetnet_decode::learn(samples, &new, &config.declarations);
    let proposal = proposal.map_err(Failure::usage)?;
    // An empty line parts it from what stands before, also where that does not end with a line end.
    let mut added = String::from(if text.ends_with('\n') { "\n" } else { "\n\n" });
    for (source, pattern) in topic.into_iter().flat_map(|topic| takers(&config, topic)) {
        added.push_str(&format!(
            "# Source `{source}` takes this topic already (`{pattern}`): of one broker each message would come in by both.\n"
        ));
    }
    if listener.is_none() && is_pushed(&proposal) {
        added.push_str(&format!(
            "[ingest_http]\nlisten = \"127.0.0.1:{}\"  # where devices push to\n\n",
            free_port(&config)
        ));
    }
    added.push_str(proposal.trim_end());
    added.push('\n');
    let problems = match Config::parse(file, &format!("{text}{added}"), environment) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems,
    };
    if !problems.is_empty() {
        added.push_str("# `meetnet config check` asks for more:\n");
    }
    for problem in problems {
        // A message has one line, and a comment must not end before it does.
        let problem = problem.to_string().replace(['\n', '\r'], " ");
        added.push_str(&format!("#   {problem}\n"));
    }
    Ok(added)
}

/// Returns an id that no source has, and no sensor of one.
fn free_id(config: &Config) -> String {
    let is_taken = |id: &str| {
        let mut declared = config.sources.iter().map(|source| &source.declaration);
        declared.any(|source| source.id.as_str() == id || source.namespace == id)
    };
    let first = NewSource::default().id;
    let mut id = first.clone();
    let mut number = 1;
    while is_taken(&id) {
        number += 1;
        id = format!("{first}-{number}");
    }
    id
}

/// Returns a port that no listener has.
fn free_port(config: &Config) -> u16 {
    let http = config.http.as_ref().map(|http| http.listen);
    let admin = config.admin.as_ref();
    let listeners = [
        http,
        admin.map(|admin| admin.listen),
        admin.and_then(|admin| admin.serve_listen),
        config.pg.as_ref().map(|pg| pg.listen),
        config.flight.as_ref().map(|flight| flight.listen),
    ];
    let is_taken = |port: &u16| {
        let mut listeners = listeners.iter().flatten();
        listeners.any(|listener| listener.port() == *port)
    };
    // One of more ports than there are listeners is free.
    (PUSH_PORT..)
        .find(|port| !is_taken(port))
        .unwrap_or(PUSH_PORT)
}

/// Returns the broker of the sources that are there, and whose it is; None where there is none, or more than one.
fn broker(config: &Config) -> Option<(String, String)> {
    let mut brokers = config.sources.iter().filter_map(|source| {
        let Transport::Mqtt(mqtt) = &source.transport else {
            return None;
        };
        Some((mqtt.options.url.to_string(), &source.declaration.id))
    });
    let (url, source) = brokers.next()?;
    let is_one = brokers.all(|(other, _)| other == url);
    is_one.then(|| {
        let note =
            format!("as source `{source}` has it: copy its user, password and certificates too");
        (url, note)
    })
}

/// Returns the sources that subscribe to a topic, each with its pattern.
fn takers<'c>(config: &'c Config, topic: &str) -> Vec<(&'c str, &'c str)> {
    let sources = config.sources.iter();
    let subscribed = sources.filter(|source| matches!(source.transport, Transport::Mqtt(_)));
    let taking = subscribed.filter_map(|source| {
        let mut patterns = source.declaration.topics.iter();
        let pattern = patterns.find(|pattern| {
            TopicPattern::parse(pattern).is_ok_and(|pattern| pattern.takes(topic))
        })?;
        Some((source.declaration.id.as_str(), pattern.as_str()))
    });
    taking.collect()
}

/// Returns true where a proposed source is pushed.
fn is_pushed(proposal: &str) -> bool {
    let table: Option<toml::Table> = toml::from_str(proposal).ok();
    let kind = table.as_ref().and_then(|table| {
        let source = table.get("source")?.as_array()?.first()?;
        source.get("kind")?.as_str()
    });
    kind == Some("http")
}

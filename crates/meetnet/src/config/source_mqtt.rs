//! `[[source]]` of `kind = "mqtt"`: the broker, how it is spoken to, and by which certificates.

use std::ops::Range;
use std::path::Path;

use meetnet_decode::TopicPattern;
use meetnet_ingest::mqtt::{
    MqttOptions, OptionsError, ProtocolChoice, Qos, Retained, TlsRoots, Url, tls_client,
};
use meetnet_model::source::SecretRef;
use toml::Spanned;

use super::document::Document;
use super::sections::bytes;
use super::{Located, raw};

/// The broker connection, without its password and key.
#[derive(Clone, Debug)]
pub(crate) struct MqttTransport {
    /// The client id is empty where it follows from the journal.
    pub(crate) options: MqttOptions,
    pub(crate) password: Option<Located<SecretRef>>,
    /// The client's certificate (PEM), and where its key is found.
    pub(crate) identity: Option<(Vec<u8>, Located<SecretRef>)>,
}

/// Reads what belongs to a subscription.
pub(super) fn read(
    document: &mut Document<'_>,
    raw: &raw::Source,
    folder: &Path,
    section: &Range<usize>,
) -> Option<MqttTransport> {
    let (Some(url), Some(topics)) = (&raw.url, &raw.topics) else {
        let missing = if raw.url.is_none() { "url" } else { "topics" };
        document.problem(
            section.clone(),
            format!("the key `{missing}` is missing; add it"),
        );
        return None;
    };
    let parsed = match url.get_ref().parse::<Url>() {
        Ok(parsed) => parsed,
        Err(error) => {
            document.problem(url.span(), error.to_string());
            return None;
        }
    };
    let client_id = raw.client_id.as_ref().map_or("", |id| id.get_ref());
    if let Some(id) = &raw.client_id
        && id.get_ref().is_empty()
    {
        document.problem(
            id.span(),
            "an empty client id has no session; leave it out or name one",
        );
    }
    let mut options = MqttOptions::new(parsed, client_id, topics.get_ref().clone());
    options.username.clone_from(&raw.username);
    if let Some(written) = &raw.protocol {
        options.protocol = protocol(document, written).unwrap_or(options.protocol);
    }
    if let Some(written) = &raw.qos {
        options.qos = qos(document, written).unwrap_or(options.qos);
    }
    read_limits(document, raw, &mut options);
    if let Some(declared) = &raw.retained {
        options.retained = retained(document, declared, topics.get_ref());
    }
    options.watch_broker_drops = raw.watch_broker_drops.unwrap_or(options.watch_broker_drops);
    if let Some(path) = &raw.tls_ca
        && let Some(pem) = read_file(document, path, folder)
    {
        options.tls_roots = TlsRoots::Pem(pem);
        if let Err(error) = tls_client(&options.tls_roots) {
            document.problem(path.span(), error.to_string());
        }
    }
    let identity = identity(document, raw, folder);
    for (key, span) in [
        ("tls_ca", raw.tls_ca.as_ref().map(Spanned::span)),
        ("tls_cert", raw.tls_cert.as_ref().map(Spanned::span)),
    ] {
        if let Some(span) = span
            && !options.url.tls
        {
            let message = format!(
                "`{key}` has no meaning for this url; write mqtts:// or wss://, or remove it"
            );
            document.problem(span, message);
        }
    }
    if let Err(error) = options.filters() {
        let is_topic = matches!(error, OptionsError::Topic(_) | OptionsError::NoTopics);
        let span = if is_topic {
            topics.span()
        } else {
            section.clone()
        };
        document.problem(span, error.to_string());
        // Its decoder would say the same of the topics once more.
        return None;
    }
    let password = raw.password.as_ref();
    Some(MqttTransport {
        options,
        password: password.map(|secret| document.secret(secret)),
        identity,
    })
}

/// Reads the version of the protocol; none, and a problem, where there is no such.
fn protocol(document: &mut Document<'_>, written: &Spanned<String>) -> Option<ProtocolChoice> {
    match written.get_ref().as_str() {
        "auto" => Some(ProtocolChoice::FiveOrThree),
        "5" => Some(ProtocolChoice::Five),
        "3.1.1" => Some(ProtocolChoice::Three),
        _ => {
            let message = "write \"auto\" (5, else 3.1.1), \"5\" or \"3.1.1\"";
            document.problem(written.span(), message);
            None
        }
    }
}

/// Reads the quality of service; none, and a problem, where there is no such.
fn qos(document: &mut Document<'_>, written: &Spanned<u8>) -> Option<Qos> {
    match written.get_ref() {
        0 => Some(Qos::AtMostOnce),
        1 => Some(Qos::AtLeastOnce),
        _ => {
            let message = "write 1 (acknowledged after the sync) or 0; with 1 nothing is lost or doubled, so there is no 2";
            document.problem(written.span(), message);
            None
        }
    }
}

/// Reads how much there may be of messages at a time, and how long what belongs to the connection may take.
fn read_limits(document: &mut Document<'_>, raw: &raw::Source, options: &mut MqttOptions) {
    if let Some(inflight_max) = raw.inflight_max {
        options.inflight_max = inflight_max.get();
    }
    if let Some(size) = raw.envelope_bytes_max {
        options.envelope_bytes_max = usize::try_from(size.0).unwrap_or(usize::MAX);
    }
    if let Some(size) = &raw.packet_bytes_max {
        options.packet_bytes_max = u32::try_from(size.get_ref().0).unwrap_or(u32::MAX);
    }
    if let Some(size) = &raw.held_bytes_max {
        let size = Some(Spanned::new(size.span(), *size.get_ref()));
        options.held_bytes_max = bytes(document, size, options.held_bytes_max, 1 << 16);
    }
    for (from, to) in [
        (raw.keep_alive, &mut options.keep_alive),
        (raw.session_expiry, &mut options.session_expiry),
        (raw.backoff_max, &mut options.backoff_max),
    ] {
        if let Some(text) = from {
            *to = text.0;
        }
    }
}

/// Reads which retained messages are taken, of those that `subscribed` brings.
fn retained(
    document: &mut Document<'_>,
    declared: &Spanned<raw::Retained>,
    subscribed: &[String],
) -> Retained {
    let topics = match declared.get_ref() {
        raw::Retained::Any(true) => return Retained::All,
        raw::Retained::Any(false) => return Retained::None,
        raw::Retained::Of(topics) => topics,
    };
    if topics.is_empty() {
        let message = "`retained` names no topic; write false where no retained message is taken";
        document.problem(declared.span(), message);
    }
    // What is wrong with a subscription is said of `topics`.
    let subscriptions = subscribed.iter().map(|topic| TopicPattern::parse(topic));
    let subscriptions: Option<Vec<TopicPattern>> = subscriptions.map(Result::ok).collect();
    let mut patterns = Vec::with_capacity(topics.len());
    for topic in topics {
        match TopicPattern::parse(topic) {
            Ok(pattern) => {
                let why = subscriptions
                    .as_deref()
                    .and_then(|all| never(&pattern, all));
                if let Some(why) = why {
                    let message = format!("`retained` names `{topic}`, {why}");
                    document.problem(declared.span(), message);
                }
                patterns.push(pattern);
            }
            Err(problem) => document.problem(declared.span(), problem.to_string()),
        }
    }
    Retained::Of(patterns)
}

/// Says why none of the subscriptions can bring a retained message of the pattern; none where one can.
fn never(pattern: &TopicPattern, subscriptions: &[TopicPattern]) -> Option<String> {
    let mut of_topic = subscriptions
        .iter()
        .filter(|subscription| subscription.may_bring(pattern))
        .peekable();
    if of_topic.peek().is_none() {
        let names: Vec<String> = subscriptions
            .iter()
            .map(|subscription| format!("`{}`", subscription.as_str()))
            .collect();
        return Some(format!(
            "which none of `topics` can bring ({}); name topics that are subscribed to, or add it to `topics`",
            names.join(", ")
        ));
    }
    of_topic.all(TopicPattern::is_shared).then(|| {
        "which `topics` has as `$share/…` only, and brokers send no retained messages to a group; subscribe to it \
         without `$share/…`, or remove it"
            .to_owned()
    })
}

/// Reads the certificate by which the broker knows us; its key is a secret and read later.
fn identity(
    document: &mut Document<'_>,
    raw: &raw::Source,
    folder: &Path,
) -> Option<(Vec<u8>, Located<SecretRef>)> {
    tls_pair(
        document,
        raw.tls_cert.as_ref(),
        raw.tls_key.as_ref(),
        folder,
    )
}

/// Reads a certificate file (PEM), and where its private key is: each needs the other.
pub(super) fn tls_pair(
    document: &mut Document<'_>,
    cert: Option<&Spanned<String>>,
    key: Option<&Spanned<raw::Secret>>,
    folder: &Path,
) -> Option<(Vec<u8>, Located<SecretRef>)> {
    match (cert, key) {
        (None, None) => None,
        (Some(path), Some(key)) => {
            let key = document.secret(key);
            Some((read_file(document, path, folder)?, key))
        }
        (Some(path), None) => {
            let message = "`tls_cert` needs its key; add `tls_key = { file = \"…\" }`";
            document.problem(path.span(), message);
            None
        }
        (None, Some(key)) => {
            let message = "`tls_key` needs its certificate; add `tls_cert = \"…\"`";
            document.problem(key.span(), message);
            None
        }
    }
}

fn read_file(
    document: &mut Document<'_>,
    path: &Spanned<String>,
    folder: &Path,
) -> Option<Vec<u8>> {
    document.note_file(path.get_ref());
    let file = folder.join(path.get_ref());
    std::fs::read(&file)
        .inspect_err(|error| {
            document.problem(
                path.span(),
                format!("cannot read {}: {error}", file.display()),
            );
        })
        .ok()
}

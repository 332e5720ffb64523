//! Decoding by a configured source, as the pipeline would, into nothing.

use anyhow::{Context, bail};
use meetnet_decode::{Decoded, Decoders, EnvelopeRef, TopicPattern};
use meetnet_ingest::import;
use meetnet_model::ids::SourceId;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceKind;
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::answer::Answer;
use crate::config::{Config, Transport};

/// What one message became.
pub(super) struct Tried {
    /// Its rows and rejects.
    pub(super) decoded: Decoded,
    /// Messages in it that carry no observation by their kind: a device's join or status.
    pub(super) ignored: u64,
}

/// The decoders of a configuration, and one source of it.
pub(super) struct Trial {
    decoders: Decoders,
    source: SourceId,
    subscribes: bool,
    /// What the paths of its files end in, where it is one of files.
    patterns: Vec<TopicPattern>,
    has_hardware_ids: bool,
}

impl Trial {
    /// Returns the trial of a source.
    ///
    /// # Errors
    /// Where the configuration has no such source.
    pub(super) fn new(config: &Config, source: &str) -> anyhow::Result<Self> {
        let id = SourceId::new(source);
        let Some(declaration) = config.declarations.sources.get(&id) else {
            let known: Vec<&str> = config
                .declarations
                .sources
                .keys()
                .map(|known| known.as_str())
                .collect();
            bail!(
                "{} has no source `{source}`; it has {}",
                config.file.display(),
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            );
        };
        // The city's own key is not needed to see what a message becomes, and need not be read for it.
        let mut secret = [0_u8; 32];
        OsRng
            .try_fill_bytes(&mut secret)
            .context("the system gives no random bytes")?;
        let key = PrivacyKey::new(secret);
        let decoders = if declaration.kind == SourceKind::Files {
            import::decoders(&config.declarations, declaration, &key)
        } else {
            Decoders::new(&config.declarations, &key)
        };
        let decoders = decoders.context("the declarations cannot be decoded by")?;
        let subscribes = config.sources.iter().any(|source| {
            source.declaration.id == id && matches!(source.transport, Transport::Mqtt(_))
        });
        Ok(Self {
            subscribes,
            patterns: import::path_patterns(declaration),
            has_hardware_ids: !declaration.hardware_kinds().is_empty(),
            source: id,
            decoders,
        })
    }

    /// Returns what one message becomes, and what its format leaves out of it by kind.
    pub(super) fn decode(
        &self,
        topic: &str,
        headers: &[(Box<str>, Box<str>)],
        payload: &[u8],
        received_at: i64,
    ) -> Tried {
        let envelope = EnvelopeRef {
            sequence: 1,
            source: self.source.as_str(),
            topic,
            meta: headers,
            payload,
            received_at,
            truncated: false,
        };
        let mut group = self.decoders.group();
        self.decoders.decode(0, &envelope, &mut group);
        Tried {
            ignored: group.ignored(),
            decoded: group.take(),
        }
    }

    /// Returns the topic under which the messages of a file arrive: what a source of files takes of its path.
    pub(super) fn topic_of<'n>(&self, path: &'n str) -> &'n str {
        let mut ends = self
            .patterns
            .iter()
            .filter_map(|pattern| pattern.end_of(path));
        ends.next().unwrap_or("")
    }

    /// Returns what a person may have forgotten of a message under `topic`.
    pub(super) fn topic_note(&self, topic: &str) -> Option<&'static str> {
        (self.subscribes && topic.is_empty()).then_some(
            "the source subscribes to topics: --topic says under which one messages arrive",
        )
    }

    /// Returns what the map names and no message had; None where there is nothing, or where no message became a row.
    pub(super) fn missing_note(&self, answer: &Answer) -> Option<String> {
        let declaration = self.decoders.declarations().sources.get(&self.source)?;
        let entries = declaration.map.iter();
        let missing = entries.filter_map(|entry| {
            let name = entry.property.as_ref().or(entry.column.as_ref())?;
            let is_missing = !answer.has(entry.dataset.as_str(), name);
            is_missing.then_some(name.as_str())
        });
        let missing: Vec<&str> = missing.collect();
        (answer.has_rows() && !missing.is_empty()).then(|| {
            format!(
                "no message had a value that became {}: is its place in `map` still the right one?",
                missing.join(", ")
            )
        })
    }

    /// Returns what a person must know to read the answer.
    pub(super) fn note(&self) -> Option<&'static str> {
        self.has_hardware_ids.then_some(
            "sensor ids are HMACs of hardware ids under a key for this test: stored rows have others",
        )
    }
}

/// Returns what helps where messages are too old, or too early, for the time at which they are taken to be received.
pub(super) fn window_note(decoded: &Decoded, received_at: Option<i64>) -> Option<&'static str> {
    let mut rejects = decoded.rejects.iter();
    let is_outside = rejects.any(|reject| reject.reason == RejectReason::TimeOutOfWindow);
    (is_outside && received_at.is_none()).then_some(
        "messages are taken to be received now: --received-at says when recorded ones came",
    )
}

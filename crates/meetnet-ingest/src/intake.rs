//! The door to the journal: every source appends its envelopes here and learns when they are on disk.
//!
//! `mqtt, http -> [intake] -> journal`
//!
//! It adds nothing to the journal but a second implementation for tests and benches ([`EnvelopeSink`]) and the
//! durable position as a [`watch`] channel, which tasks can await. It is not a queue: `append` never waits.

use std::sync::Arc;

use meetnet_lake::journal::{AppendError, Appended, Journal, NewEnvelope};
use meetnet_model::ids::Sequence;
use tokio::sync::watch;

#[cfg(test)]
pub(crate) mod memory;

/// Where sources put their envelopes: the journal, or memory in tests.
pub trait EnvelopeSink: Send + Sync + 'static {
    /// Takes one envelope without waiting for the disk; durability is reported separately.
    ///
    /// # Errors
    /// [`AppendError`] when the envelope was not taken: the sender must not be acknowledged.
    fn append(&self, envelope: &NewEnvelope<'_>) -> Result<Appended, AppendError>;
}

impl EnvelopeSink for Journal {
    fn append(&self, envelope: &NewEnvelope<'_>) -> Result<Appended, AppendError> {
        Journal::append(self, envelope)
    }
}

/// A sink together with its durable position.
#[derive(Clone)]
pub struct Intake {
    sink: Arc<dyn EnvelopeSink>,
    durable: watch::Receiver<Sequence>,
}

impl Intake {
    /// Joins a sink and the channel on which its durable position is published.
    pub fn new(sink: Arc<dyn EnvelopeSink>, durable: watch::Receiver<Sequence>) -> Self {
        Self { sink, durable }
    }

    /// Bridges the journal's call-back, which runs on its writer thread, to a channel for tasks.
    pub fn from_journal(journal: &Journal) -> Self {
        let (sender, receiver) = watch::channel(Sequence::ZERO);
        let publish = {
            let sender = sender.clone();
            move |durable: Sequence| {
                sender.send_if_modified(|known| {
                    let moved = durable > *known;
                    *known = durable.max(*known);
                    moved
                });
            }
        };
        let on_sync = publish.clone();
        journal.on_durable(Box::new(move |sequence, _recorded_at| on_sync(sequence)));
        // Registered first, read second: a sync between the two is seen by one of them.
        publish(journal.durable().0);
        Self::new(Arc::new(journal.clone()), receiver)
    }

    /// Appends one envelope; see [`EnvelopeSink::append`].
    ///
    /// # Errors
    /// [`AppendError`] when the envelope was not taken.
    pub fn append(&self, envelope: &NewEnvelope<'_>) -> Result<Appended, AppendError> {
        self.sink.append(envelope)
    }

    /// Returns the last sequence that is on disk.
    pub fn durable(&self) -> Sequence {
        *self.durable.borrow()
    }

    /// Returns a channel of its own on which the durable position moves.
    pub fn watch_durable(&self) -> watch::Receiver<Sequence> {
        self.durable.clone()
    }

    /// Waits until `sequence` is on disk; returns false when the journal is gone.
    pub async fn wait_durable(&self, sequence: Sequence) -> bool {
        self.durable
            .clone()
            .wait_for(|durable| *durable >= sequence)
            .await
            .is_ok()
    }
}

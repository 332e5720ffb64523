//! A sink in memory whose limit and durable position a test sets by hand.

use std::sync::{Arc, Mutex};

use meetnet_lake::journal::{AppendError, Appended, FullLimit, NewEnvelope};
use meetnet_model::ids::Sequence;
use tokio::sync::watch;

use super::{EnvelopeSink, Intake};

/// One envelope as the sink took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) sequence: Sequence,
    pub(crate) source: String,
    pub(crate) topic: String,
    pub(crate) meta: Vec<(String, String)>,
    pub(crate) packet_id: u16,
    pub(crate) dup: bool,
    pub(crate) truncated: bool,
    pub(crate) epoch: u32,
    pub(crate) payload: Vec<u8>,
}

/// The sink; `auto` syncs at once.
pub(crate) struct MemorySink {
    state: Mutex<State>,
    durable: watch::Sender<Sequence>,
}

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    full: bool,
    auto: bool,
}

impl MemorySink {
    pub(crate) fn new(auto: bool) -> (Arc<Self>, Intake) {
        let (durable, receiver) = watch::channel(Sequence::ZERO);
        let state = Mutex::new(State {
            auto,
            ..State::default()
        });
        let sink = Arc::new(Self { state, durable });
        let intake = Intake::new(Arc::<Self>::clone(&sink), receiver);
        (sink, intake)
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap().taken.clone()
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.state.lock().unwrap().full = full;
    }

    /// Syncs everything taken so far.
    pub(crate) fn sync(&self) {
        let last = self.state.lock().unwrap().taken.len() as u64;
        self.durable.send_replace(Sequence(last));
    }
}

impl EnvelopeSink for MemorySink {
    fn append(&self, envelope: &NewEnvelope<'_>) -> Result<Appended, AppendError> {
        let mut state = self.state.lock().unwrap();
        if state.full {
            return Err(AppendError::Full {
                limit: FullLimit::JournalBytes,
                bytes: 1,
                bytes_max: 0,
            });
        }
        let sequence = Sequence(state.taken.len() as u64 + 1);
        let own = |text: &str| text.to_owned();
        state.taken.push(Taken {
            sequence,
            source: own(envelope.source),
            topic: own(envelope.topic),
            meta: envelope
                .meta
                .iter()
                .map(|(name, value)| (own(name), own(value)))
                .collect(),
            packet_id: envelope.packet_id,
            dup: envelope.dup,
            truncated: envelope.truncated,
            epoch: envelope.epoch,
            payload: envelope.payload.to_vec(),
        });
        if state.auto {
            self.durable.send_replace(sequence);
        }
        Ok(Appended {
            sequence,
            recorded_at: sequence.0 as i64,
        })
    }
}

impl MemorySink {
    /// Puts an envelope back as a journal that was opened again holds it.
    pub(crate) fn replay(&self, taken: Taken) {
        self.state.lock().unwrap().taken.push(taken);
    }
}

//! What happens to one connection's publishes: journalled, recognised, held or ignored; and which acknowledgements are
//! due. Pure bookkeeping over the intake: the poll task feeds it, the acknowledgement task empties it.
//!
//! Invariants:
//! - A publish of QoS 1 gets its place in `unacked` in receive order, whatever became of it.
//! - It is due once its sequence is durable *and* everything before it is: acknowledgements leave in receive order.
//! - What the journal does not take is held, and everything after it waits behind it.
//! - A new connection forgets unacked and held publishes: the broker sends them again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use meetnet_lake::journal::{AppendError, NewEnvelope};
use meetnet_model::ids::{Sequence, SourceId};

use super::options::{MqttOptions, OVERSIZED_HEAD_BYTES, Retained};
use crate::dup_window::{DupWindow, Match, Question, lock, payload_hash};
use crate::epoch::Epoch;
use crate::intake::Intake;
use crate::status::{SourceState, now_us};

#[cfg(test)]
mod tests;

/// Longest topic kept where the journal refuses a longer one.
const TOPIC_BYTES_KEPT: usize = 1024;

/// A publish as the broker sent it.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    /// 0 for QoS 0.
    pub(crate) packet_id: u16,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
}

/// What to do after a publish was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Nothing now: the next sync makes its acknowledgement due.
    Taken,
    /// Something may be due at once.
    AckMayBeDue,
    /// The journal is full: the publish is held.
    Held,
    /// More is held than the limits allow: drop the connection and come back when there is room.
    Overrun,
    /// The source is stopping: the publish stays with the broker.
    Stopping,
}

struct Unacked {
    packet_id: u16,
    /// Due once this is durable; zero where nothing was journalled.
    sequence: Sequence,
}

/// The state of one source's current connection.
pub(crate) struct Flow {
    source: SourceId,
    intake: Intake,
    window: Arc<Mutex<DupWindow>>,
    status: Arc<SourceState>,
    epoch: Epoch,
    envelope_bytes_max: usize,
    held_bytes_max: usize,
    retained: Retained,
    unacked: VecDeque<Unacked>,
    held: VecDeque<Publish>,
    held_bytes: usize,
    /// Acknowledgements handed out on this connection and not yet written.
    acks_on_their_way: usize,
    stopping: bool,
}

impl Flow {
    pub(crate) fn new(
        source: SourceId,
        options: &MqttOptions,
        intake: Intake,
        window: Arc<Mutex<DupWindow>>,
        status: Arc<SourceState>,
    ) -> Self {
        Self {
            source,
            intake,
            window,
            status,
            epoch: Epoch::start(),
            envelope_bytes_max: options.envelope_bytes_max,
            held_bytes_max: options.held_bytes_max,
            retained: options.retained.clone(),
            unacked: VecDeque::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            acks_on_their_way: 0,
            stopping: false,
        }
    }

    /// Starts a connection.
    pub(crate) fn connected(&mut self, session_present: bool) {
        self.epoch = self.epoch.next(session_present);
        self.forget();
        lock(&self.window).connected(session_present);
    }

    /// Ends a connection: what is not acknowledged comes again.
    pub(crate) fn disconnected(&mut self) {
        self.forget();
    }

    /// Takes nothing more; what was appended can still be acknowledged.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.held.clear();
        self.held_bytes = 0;
    }

    /// Takes one publish from the broker.
    pub(crate) fn receive(&mut self, publish: Publish) -> Received {
        if self.stopping {
            return Received::Stopping;
        }
        self.status.message(publish.payload.len(), now_us());
        if self.held.is_empty() {
            match self.admit(&publish) {
                Ok(received) => return received,
                Err(AppendError::Stopped) => return Received::Stopping,
                Err(error) => self.status.note_error(error.to_string()),
            }
        }
        self.hold(publish)
    }

    /// Tries to append what is held; returns whether nothing is held any more.
    pub(crate) fn retry_held(&mut self) -> bool {
        while let Some(publish) = self.held.pop_front() {
            if self.admit(&publish).is_err() {
                self.held.push_front(publish);
                return false;
            }
            self.held_bytes -= held_size(&publish);
        }
        true
    }

    /// Moves the packet ids whose acknowledgement is due to `due`, in receive order.
    pub(crate) fn take_due(&mut self, durable: Sequence, due: &mut Vec<u16>) {
        while let Some(first) = self.unacked.front()
            && first.sequence <= durable
        {
            due.push(first.packet_id);
            self.unacked.pop_front();
        }
        self.acks_on_their_way += due.len();
        self.status.acked.add(due.len() as u64);
        self.status
            .set_unacked(self.unacked.len() + self.held.len());
    }

    /// Whether the acknowledgement of everything that was appended has been handed out.
    pub(crate) fn is_drained(&self) -> bool {
        self.unacked.is_empty()
    }

    /// Whether the broker is known to have every acknowledgement handed out.
    pub(crate) fn is_proven(&self) -> bool {
        self.acks_on_their_way == 0 && lock(&self.window).unproven() == 0
    }

    /// Returns how many acknowledgements a probe would prove; none while one is on its way.
    pub(crate) fn probe_worth(&self) -> usize {
        let window = lock(&self.window);
        if window.is_probing() {
            0
        } else {
            window.unproven() + self.acks_on_their_way
        }
    }

    /// Whether a probe is on its way: the answer to another one could not be told from its own.
    pub(crate) fn is_probing(&self) -> bool {
        lock(&self.window).is_probing()
    }

    /// Returns how many publishes wait for their acknowledgement.
    pub(crate) fn unacked(&self) -> usize {
        self.unacked.len()
    }

    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    pub(crate) fn ack_left(&mut self, packet_id: u16) {
        self.acks_on_their_way = self.acks_on_their_way.saturating_sub(1);
        lock(&self.window).ack_left(packet_id);
    }

    pub(crate) fn question_left(&self, question: Question) {
        lock(&self.window).question_left(question);
    }

    pub(crate) fn question_answered(&self, question: Question) {
        lock(&self.window).question_answered(question);
    }

    fn forget(&mut self) {
        self.acks_on_their_way = 0;
        self.unacked.clear();
        self.held.clear();
        self.held_bytes = 0;
    }

    fn hold(&mut self, publish: Publish) -> Received {
        let bytes = held_size(&publish);
        if self.held_bytes + bytes <= self.held_bytes_max {
            self.held_bytes += bytes;
            self.held.push_back(publish);
            return Received::Held;
        }
        if publish.packet_id == 0 {
            // Nobody will send it again.
            self.status.lost.add(1);
            return Received::Held;
        }
        Received::Overrun
    }

    /// Journals, recognises or ignores one publish. On an error nothing has changed but a run that ended.
    fn admit(&mut self, publish: &Publish) -> Result<Received, AppendError> {
        let topic = String::from_utf8_lossy(&publish.topic);
        if publish.retain && !self.retained.takes(&topic) {
            self.status.retained_ignored.add(1);
            return Ok(self.acknowledge(publish.packet_id, Sequence::ZERO));
        }
        let truncated = publish.payload.len() > self.envelope_bytes_max;
        let kept = if truncated {
            OVERSIZED_HEAD_BYTES.min(self.envelope_bytes_max)
        } else {
            publish.payload.len()
        };
        let payload = &publish.payload[..kept];
        // QoS 0 has no acknowledgement, so no redelivery to recognise.
        let hash = if publish.packet_id == 0 {
            [0; 16]
        } else {
            payload_hash(payload)
        };

        if publish.dup && publish.packet_id != 0 {
            let found = lock(&self.window).find(publish.packet_id, &topic, hash);
            match found {
                Some(Match::Redelivered(sequence)) => {
                    self.status.duplicates_dropped.add(1);
                    return Ok(self.acknowledge(publish.packet_id, sequence));
                }
                Some(Match::Repeated(sequence)) => {
                    self.status.duplicates_dropped.add(1);
                    let waiting = self
                        .unacked
                        .iter()
                        .any(|first| first.packet_id == publish.packet_id);
                    return Ok(if waiting {
                        Received::Taken
                    } else {
                        self.acknowledge(publish.packet_id, sequence)
                    });
                }
                None => {}
            }
        }

        let envelope = NewEnvelope {
            source: self.source.as_str(),
            topic: &topic,
            meta: &[],
            packet_id: publish.packet_id,
            dup: publish.dup,
            retain: publish.retain,
            truncated,
            epoch: self.epoch.number(),
            payload,
        };
        let (sequence, topic) = match self.intake.append(&envelope) {
            Ok(appended) => (appended.sequence, &*topic),
            // It can never be taken as it is, and would come again for ever: keep what fits.
            Err(AppendError::FieldTooLong { .. }) => {
                let topic = &topic[..topic.floor_char_boundary(TOPIC_BYTES_KEPT)];
                let payload = &payload[..payload.len().min(OVERSIZED_HEAD_BYTES)];
                let cut = NewEnvelope {
                    topic,
                    payload,
                    truncated: true,
                    ..envelope
                };
                (self.intake.append(&cut)?.sequence, topic)
            }
            Err(error) => return Err(error),
        };
        if truncated {
            self.status.oversized.add(1);
        }
        if publish.packet_id == 0 {
            return Ok(Received::Taken);
        }
        if publish.dup {
            self.status.redelivered.add(1);
        }
        lock(&self.window).journalled(publish.packet_id, topic, hash, sequence);
        self.unacked.push_back(Unacked {
            packet_id: publish.packet_id,
            sequence,
        });
        Ok(Received::Taken)
    }

    fn acknowledge(&mut self, packet_id: u16, sequence: Sequence) -> Received {
        if packet_id == 0 {
            return Received::Taken;
        }
        self.unacked.push_back(Unacked {
            packet_id,
            sequence,
        });
        Received::AckMayBeDue
    }
}

/// Bytes that a held publish keeps in memory, at least.
fn held_size(publish: &Publish) -> usize {
    publish.topic.len() + publish.payload.len() + size_of::<Publish>()
}

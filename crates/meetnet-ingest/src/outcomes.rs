//! What became of a pushed body: the pipeline tells, the request that waits answers with it.
//!
//! `http -> [outcomes] <- pipeline`
//!
//! The body is decoded once, behind the journal; the answer is that decode's result. Nobody waits for most envelopes,
//! so the pipeline first asks [`OutcomeRegistry::is_awaited`], which costs one atomic load while no request waits.
//! Results of MQTT envelopes are never kept here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use meetnet_model::ids::Sequence;
use meetnet_model::reject::RejectReason;
use tokio::sync::oneshot;

use crate::dup_window::lock;

#[cfg(test)]
mod tests;

/// What one envelope became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows taken, those equal to stored ones included.
    pub accepted: u64,
    /// Why the rest is no row.
    pub rejects: Vec<OutcomeReject>,
    /// Rejects beyond those listed.
    pub unlisted: u64,
}

impl Outcome {
    /// Returns the number of rejects, those that are not listed included.
    pub fn rejected(&self) -> u64 {
        self.rejects.len() as u64 + self.unlisted
    }
}

/// Why a part of an envelope is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeReject {
    /// Why.
    pub reason: RejectReason,
    /// What was wrong, where and what to do.
    pub message: String,
    /// The position of the message that it is about, where the body has several.
    pub item: Option<u32>,
}

/// The requests that wait for an outcome.
#[derive(Clone, Debug)]
pub struct OutcomeRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    waiting_max: usize,
    /// Counted up before a frame is appended, so that the pipeline cannot meet the frame and miss the waiter.
    waiting: AtomicUsize,
    waiters: Mutex<HashMap<Sequence, oneshot::Sender<Outcome>>>,
}

/// One request's place; dropping it gives the place up.
#[derive(Debug)]
pub struct Waiter {
    inner: Arc<Inner>,
    sequence: Sequence,
    receiver: oneshot::Receiver<Outcome>,
}

/// More requests wait than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {waiting_max} pushes wait for their answer")]
pub struct TooManyWaiting {
    /// The limit.
    pub waiting_max: usize,
}

impl OutcomeRegistry {
    /// Makes a registry for at most `waiting_max` requests at a time.
    pub fn new(waiting_max: usize) -> Self {
        let inner = Inner {
            waiting_max,
            waiting: AtomicUsize::new(0),
            waiters: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Runs `append` and registers for the sequence it returns. Both happen under the registry's lock: the pipeline may
    /// decode the frame the moment it is appended, and its report then waits for the registration. `append` must
    /// therefore not wait for anything, which the journal's does not.
    ///
    /// # Errors
    /// The outer error when too many requests wait already (nothing was appended), the inner one when `append` failed.
    pub fn register_with<E>(
        &self,
        append: impl FnOnce() -> Result<Sequence, E>,
    ) -> Result<Result<Waiter, E>, TooManyWaiting> {
        let mut waiters = lock(&self.inner.waiters);
        if waiters.len() >= self.inner.waiting_max {
            return Err(TooManyWaiting {
                waiting_max: self.inner.waiting_max,
            });
        }
        self.inner.waiting.fetch_add(1, Ordering::SeqCst);
        let sequence = match append() {
            Ok(sequence) => sequence,
            Err(error) => {
                self.inner.waiting.fetch_sub(1, Ordering::SeqCst);
                return Ok(Err(error));
            }
        };
        let (sender, receiver) = oneshot::channel();
        waiters.insert(sequence, sender);
        Ok(Ok(Waiter {
            inner: Arc::clone(&self.inner),
            sequence,
            receiver,
        }))
    }

    /// Whether a request waits for this envelope; the pipeline asks before it builds an [`Outcome`].
    pub fn is_awaited(&self, sequence: Sequence) -> bool {
        self.inner.waiting.load(Ordering::SeqCst) > 0
            && lock(&self.inner.waiters).contains_key(&sequence)
    }

    /// Hands an outcome to whoever waits for it; drops it otherwise.
    pub fn report(&self, sequence: Sequence, outcome: Outcome) {
        if let Some(waiter) = self.inner.take(sequence) {
            // The request may have gone away meanwhile.
            drop(waiter.send(outcome));
        }
    }
}

impl Inner {
    fn take(&self, sequence: Sequence) -> Option<oneshot::Sender<Outcome>> {
        let waiter = lock(&self.waiters).remove(&sequence)?;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        Some(waiter)
    }
}

impl Waiter {
    /// Returns the sequence waited for.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Waits for the outcome; none if the registry is gone.
    pub async fn outcome(&mut self) -> Option<Outcome> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        drop(self.inner.take(self.sequence));
    }
}

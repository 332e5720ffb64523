//! Who may run now: a bounded number of running queries, a bounded queue before them, and a fair share for each client.
//!
//! ```text
//! query ─▶ place free, and the client has not all of its own? ─▶ runs
//!          else waits behind its own ─▶ clients with waiting queries take turns ─▶ runs, or gives up after a while
//!          its own queue is full ─▶ OverShare (429)   the queue of all is full ─▶ Busy (503)
//! ```
//!
//! A client that asks much waits behind itself, not before others: whoever comes with one query is next but for those
//! whose turn is before. A place is held until the work has really ended, not until somebody has lost interest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::client::{Client, Share};
use crate::error::{QueryError, QueryErrorKind};
use crate::options::QueryOptions;

#[cfg(test)]
mod tests;

/// Admits queries; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    running_max: usize,
    queued_max: usize,
    queue_time_max: Duration,
    client_running_max: usize,
    client_queued_max: usize,
}

/// How many queries a client may have, running or waiting, and how many more would be taken of it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// At most, at a time.
    pub most: usize,
    /// More, now.
    pub left: usize,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
    shares: HashMap<Share, OfShare>,
    /// Clients with waiting queries; the first of them that may run one more is next.
    turns: VecDeque<Share>,
    last_ticket: u64,
}

#[derive(Debug, Default)]
struct OfShare {
    running: usize,
    running_max: usize,
    waiting: VecDeque<Ticket>,
}

#[derive(Debug)]
struct Ticket {
    number: u64,
    turn: oneshot::Sender<()>,
}

impl Limits {
    /// Returns how many queries of a client may run, and wait.
    fn of(&self, client: &Client) -> (usize, usize) {
        if client.is_own() {
            return (usize::MAX, usize::MAX);
        }
        let own = client.limits();
        let running = own.and_then(|limits| limits.running_max);
        let queued = own.and_then(|limits| limits.queued_max);
        (
            running.unwrap_or(self.client_running_max).max(1),
            queued.unwrap_or(self.client_queued_max),
        )
    }
}

impl State {
    /// Forgets a client of whom there is nothing.
    fn forget(&mut self, share: &Share) {
        let of_share = self.shares.get(share);
        if of_share.is_some_and(|share| share.running == 0 && share.waiting.is_empty()) {
            self.shares.remove(share);
        }
    }

    /// Takes a query out of the queue; false: its turn has come meanwhile.
    fn leave(&mut self, share: &Share, number: u64) -> bool {
        let Some(of_share) = self.shares.get_mut(share) else {
            return false;
        };
        let mut waiting = of_share.waiting.iter();
        let Some(at) = waiting.position(|ticket| ticket.number == number) else {
            return false;
        };
        of_share.waiting.remove(at);
        self.waiting -= 1;
        if of_share.waiting.is_empty() {
            self.turns.retain(|waiting| waiting != share);
        }
        self.forget(share);
        true
    }

    /// Gives a place back, and on to who is next.
    fn release(&mut self, share: &Share, running_max: usize) {
        self.running -= 1;
        if let Some(of_share) = self.shares.get_mut(share) {
            of_share.running -= 1;
        }
        self.forget(share);
        self.grant(running_max);
    }

    fn grant(&mut self, running_max: usize) {
        while self.running < running_max {
            let mut turns = self.turns.iter();
            let next = turns.position(|share| {
                let of_share = self.shares.get(share);
                of_share.is_some_and(|share| share.running < share.running_max)
            });
            let Some(share) = next.and_then(|at| self.turns.remove(at)) else {
                return;
            };
            let Some(of_share) = self.shares.get_mut(&share) else {
                continue;
            };
            let Some(ticket) = of_share.waiting.pop_front() else {
                continue;
            };
            of_share.running += 1;
            self.running += 1;
            self.waiting -= 1;
            if !of_share.waiting.is_empty() {
                self.turns.push_back(share);
            }
            // Who has left meanwhile finds out that it has a place, and gives it back: see `Waiting`.
            let _ = ticket.turn.send(());
        }
    }
}

/// A place among the running queries, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Admission,
    share: Share,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let running_max = self.admission.0.limits.running_max;
        self.admission.state().release(&self.share, running_max);
    }
}

/// A waiting query. Where it is dropped, it leaves the queue, or gives back the place that it has just been given.
struct Waiting {
    admission: Admission,
    share: Share,
    number: u64,
    is_over: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let running_max = self.admission.0.limits.running_max;
        let mut state = self.admission.state();
        if !state.leave(&self.share, self.number) {
            state.release(&self.share, running_max);
        }
    }
}

/// What came of asking for a place.
enum Entered {
    Runs(Permit),
    Waits(Waiting, oneshot::Receiver<()>),
}

impl Admission {
    pub(crate) fn new(options: &QueryOptions) -> Self {
        let limits = Limits {
            running_max: options.running_max.max(1),
            queued_max: options.queued_max,
            queue_time_max: options.queue_time_max,
            client_running_max: options.client_running_max,
            client_queued_max: options.client_queued_max,
        };
        Self(Arc::new(Inner {
            limits,
            state: Mutex::default(),
        }))
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves the counts usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many queries a client may have now.
    pub(crate) fn places(&self, client: &Client) -> Places {
        let limits = &self.0.limits;
        let (running_max, queued_max) = limits.of(client);
        let state = self.state();
        let (running, waiting) = state
            .shares
            .get(&client.share())
            .map_or((0, 0), |share| (share.running, share.waiting.len()));
        let most = limits.running_max.saturating_add(limits.queued_max);
        let left = most.saturating_sub(state.running + state.waiting);
        let own_most = running_max.saturating_add(queued_max);
        Places {
            most: most.min(own_most),
            left: left.min(own_most.saturating_sub(running + waiting)),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// `OverShare` where the client has all the places that it may have, `Busy` where others have them; at once where the
    /// queue is full, else after `queue_time_max`.
    pub(crate) async fn admit(&self, client: &Client) -> Result<Permit, QueryError> {
        let (mut waiting, turn) = match self.enter(client)? {
            Entered::Runs(permit) => return Ok(permit),
            Entered::Waits(waiting, turn) => (waiting, turn),
        };
        match tokio::time::timeout(self.0.limits.queue_time_max, turn).await {
            Ok(Ok(())) => {
                waiting.is_over = true;
                Ok(self.permit(waiting.share.clone()))
            }
            Ok(Err(closed)) => Err(QueryError::internal("admission", closed)),
            Err(_elapsed) => Err(self.gave_up(&waiting.share)),
        }
    }

    fn permit(&self, share: Share) -> Permit {
        Permit {
            admission: self.clone(),
            share,
        }
    }

    fn enter(&self, client: &Client) -> Result<Entered, QueryError> {
        let limits = &self.0.limits;
        let (running_max, queued_max) = limits.of(client);
        let share = client.share();
        let mut guard = self.state();
        let state = &mut *guard;
        let of_share = state.shares.entry(share.clone()).or_default();
        of_share.running_max = running_max;
        let is_next = of_share.waiting.is_empty() && of_share.running < running_max;
        if is_next && state.running < limits.running_max {
            of_share.running += 1;
            state.running += 1;
            return Ok(Entered::Runs(self.permit(share)));
        }
        if of_share.waiting.len() >= queued_max {
            state.forget(&share);
            // It may run one more: others are in its way, and it may not wait for them.
            return Err(match is_next {
                true => busy("as many queries run as can, and none of yours may wait"),
                false => over_share("wait already"),
            });
        }
        if state.waiting >= limits.queued_max {
            state.forget(&share);
            return Err(busy("too many queries are waiting already"));
        }
        state.last_ticket += 1;
        let number = state.last_ticket;
        let (sender, turn) = oneshot::channel();
        if of_share.waiting.is_empty() {
            state.turns.push_back(share.clone());
        }
        of_share.waiting.push_back(Ticket {
            number,
            turn: sender,
        });
        state.waiting += 1;
        let waiting = Waiting {
            admission: self.clone(),
            share,
            number,
            is_over: false,
        };
        Ok(Entered::Waits(waiting, turn))
    }

    /// Says who is in the way of somebody who has waited for too long: itself, or others.
    fn gave_up(&self, share: &Share) -> QueryError {
        let state = self.state();
        let of_share = state.shares.get(share);
        if of_share.is_some_and(|share| share.running >= share.running_max) {
            return over_share("run, and none of them ended in time");
        }
        busy("no running query ended in time")
    }
}

fn busy(why: &str) -> QueryError {
    QueryError::new(
        QueryErrorKind::Busy,
        format!("the service is busy: {why}; try again later"),
    )
}

fn over_share(why: &str) -> QueryError {
    QueryError::new(
        QueryErrorKind::OverShare,
        format!("as many queries of yours as one client may have {why}; wait for one to end"),
    )
}

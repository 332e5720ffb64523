//! Who may run now: a bounded number of running queries, a bounded queue before them, and a fair share for each client.
//!
//! ```text
//! query ─▶ place free, and the client has not all of its own? ─▶ runs
//!          else waits behind its own ─▶ clients with waiting queries take turns ─▶ runs, or gives up after a while
//!          its own queue is full ─▶ OverShare (429)   the queue of all is full ─▶ Busy (503)
//! ```
//!
//! A client that asks much waits behind itself, not before others: whoever comes with one query is next but for those
//! whose turn is before. A place is held until the work has really ended, not until somebody has lost interest; but a query
//! that waits for its reader does no work, and is parked: [`Place`].

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
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
    parked_max: usize,
    again_time_max: Duration,
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
    parked: usize,
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
    parked: usize,
}

impl OfShare {
    fn is_nothing(&self) -> bool {
        self.running == 0 && self.waiting.is_empty() && self.parked == 0
    }
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
        if self.shares.get(share).is_some_and(OfShare::is_nothing) {
            self.shares.remove(share);
        }
    }

    /// Puts a query into the queue of its client: at the end, or at the start where it has run before.
    fn wait(&mut self, share: &Share, is_again: bool) -> (u64, oneshot::Receiver<()>) {
        self.last_ticket += 1;
        let number = self.last_ticket;
        let (sender, turn) = oneshot::channel();
        let ticket = Ticket {
            number,
            turn: sender,
        };
        let of_share = self.shares.entry(share.clone()).or_default();
        if of_share.waiting.is_empty() {
            self.turns.push_back(share.clone());
        }
        match is_again {
            true => of_share.waiting.push_front(ticket),
            false => of_share.waiting.push_back(ticket),
        }
        self.waiting += 1;
        (number, turn)
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

/// A query without a place, which waits for its reader, until it is dropped.
#[derive(Debug)]
pub(crate) struct Parked {
    admission: Admission,
    share: Share,
}

impl Drop for Parked {
    fn drop(&mut self) {
        let mut guard = self.admission.state();
        let state = &mut *guard;
        state.parked -= 1;
        if let Some(of_share) = state.shares.get_mut(&self.share) {
            of_share.parked -= 1;
        }
        state.forget(&self.share);
    }
}

/// The place of a query that has been admitted: it goes to others while the query waits for its reader.
///
/// Otherwise a few readers that take a kilobyte now and then would have all places for as long as an answer may take.
#[derive(Debug)]
pub(crate) enum Place {
    /// It is there.
    Taken(Permit),
    /// Somebody else may have it.
    Given(Parked),
}

impl Place {
    /// Waits for what is no work. After `patience` the place goes to others: [`Self::take`] it again before work goes on.
    ///
    /// # Errors
    /// `Timeout` where others wait for the place, and as many queries are parked as may be.
    pub(crate) async fn wait<T>(
        &mut self,
        patience: Duration,
        waiting: impl Future<Output = T>,
    ) -> Result<T, QueryError> {
        let mut waiting = pin!(waiting);
        while let Self::Taken(permit) = self {
            if let Ok(done) = tokio::time::timeout(patience, waiting.as_mut()).await {
                return Ok(done);
            }
            let Permit { admission, share } = &*permit;
            if admission.park(share) {
                let (admission, share) = (admission.clone(), share.clone());
                // The permit goes back after the query has been counted as parked, so that its client is not forgotten.
                *self = Self::Given(Parked { admission, share });
            } else if admission.is_wanted() {
                return Err(QueryError::new(
                    QueryErrorKind::Timeout,
                    "the answer is read more slowly than the service can wait while others want to ask; ask for less at a \
                     time, or read faster",
                ));
            }
        }
        Ok(waiting.await)
    }

    /// Takes a place again where it was given away.
    ///
    /// # Errors
    /// As [`Admission::admit`], where none is free in time. There is more of that than for who has just come: half an answer
    /// is nothing, and whatever runs now has ended by then.
    pub(crate) async fn take(&mut self) -> Result<(), QueryError> {
        if let Self::Given(Parked { admission, share }) = self {
            let entered = admission.enter_again(share);
            let patience = admission.0.limits.again_time_max;
            let permit = admission.turn(entered, patience).await?;
            *self = Self::Taken(permit);
        }
        Ok(())
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
            parked_max: options.parked_max,
            again_time_max: options.again_time_max(),
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
        let entered = self.enter(client)?;
        self.turn(entered, self.0.limits.queue_time_max).await
    }

    async fn turn(&self, entered: Entered, patience: Duration) -> Result<Permit, QueryError> {
        let (mut waiting, turn) = match entered {
            Entered::Runs(permit) => return Ok(permit),
            Entered::Waits(waiting, turn) => (waiting, turn),
        };
        match tokio::time::timeout(patience, turn).await {
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
                false => over_share(queued_max, "wait already"),
            });
        }
        if state.waiting >= limits.queued_max {
            state.forget(&share);
            let waiting = state.waiting;
            return Err(busy(&format!(
                "as many queries as may ({waiting}) are waiting already"
            )));
        }
        let (number, turn) = state.wait(&share, false);
        Ok(Entered::Waits(self.waiting(share, number), turn))
    }

    fn waiting(&self, share: Share, number: u64) -> Waiting {
        Waiting {
            admission: self.clone(),
            share,
            number,
            is_over: false,
        }
    }

    /// Asks for a place for a parked query. It waits whatever waits already: of these there are few.
    fn enter_again(&self, share: &Share) -> Entered {
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(of_share) = state.shares.get_mut(share)
            && of_share.waiting.is_empty()
            && of_share.running < of_share.running_max
            && state.running < self.0.limits.running_max
        {
            of_share.running += 1;
            state.running += 1;
            return Entered::Runs(self.permit(share.clone()));
        }
        let (number, turn) = state.wait(share, true);
        Entered::Waits(self.waiting(share.clone(), number), turn)
    }

    /// Counts a query as parked; false where there is no room for it.
    fn park(&self, share: &Share) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(of_share) = state.shares.get_mut(share) else {
            return false;
        };
        let has_room =
            state.parked < self.0.limits.parked_max && of_share.parked < of_share.running_max;
        if has_room {
            of_share.parked += 1;
            state.parked += 1;
        }
        has_room
    }

    /// Returns true where somebody waits for a place.
    fn is_wanted(&self) -> bool {
        self.state().waiting > 0
    }

    /// Says who is in the way of somebody who has waited for too long: itself, or others.
    fn gave_up(&self, share: &Share) -> QueryError {
        let state = self.state();
        let of_share = state.shares.get(share);
        if let Some(of_share) = of_share.filter(|share| share.running >= share.running_max) {
            return over_share(of_share.running, "run, and none of them ended in time");
        }
        let running = state.running;
        busy(&format!(
            "none of the {running} running queries ended in time"
        ))
    }
}

fn busy(why: &str) -> QueryError {
    QueryError::new(
        QueryErrorKind::Busy,
        format!("the service is busy: {why}; try again later"),
    )
}

fn over_share(queries: usize, why: &str) -> QueryError {
    QueryError::new(
        QueryErrorKind::OverShare,
        format!(
            "as many queries of yours as one client may have ({queries}) {why}; wait for one to end. The limits are \
             client_running_max and client_queued_max of the service, or running_max and queued_max of your API key"
        ),
    )
}

//! Which task of which query is at work next: those of young queries at once, those of long ones in the order of how little
//! their clients have had.
//!
//! ```text
//! task is woken ─▶ its query is young                       ─▶ at work
//!                  its query is long, a place is free       ─▶ at work, then on to who waits
//!                                     none is               ─▶ waits; clients that have had least go first
//! ```
//!
//! The scheduler of an async runtime takes tasks in the order in which they were woken, and each works until it gives way: a
//! batch through a deep filter can be a second. Six statements of one client then stood before each of the many steps of a
//! small question of another. So there are more threads than places for the tasks of long queries: a young query finds a
//! thread, and the system shares the processors out between that and the long ones.
//!
//! What a query works is counted whole, tasks that DataFusion starts for it included: it lets a hook wrap them.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use futures::future::BoxFuture;
use meetnet_lake::journal::step_aside;

use self::waiting::WaitingTasks;
use crate::client::{Client, Share};

#[cfg(test)]
mod tests;
mod waiting;

/// Work up to which a query is young. What pages and dashboards ask is done by then.
const YOUNG_TIME: Duration = Duration::from_millis(250);

/// The most threads beside those of long queries.
const SPARE_THREADS_MAX: usize = 4;

thread_local! {
    /// The query whose task this thread is at.
    static CURRENT: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

/// Who is at work, and who waits; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Tasks of long queries that may be at work at a time.
    places: usize,
    young_time: Duration,
    last_ticket: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Places that are taken, those of tasks that have been told to go on included. Somebody waits only where all are.
    taken: usize,
    waiting: WaitingTasks,
    /// Tasks that have been told to go on, and have not yet.
    told: HashSet<u64>,
    shares: HashMap<Share, OfShare>,
}

/// A client with queries.
#[derive(Debug)]
struct OfShare {
    queries: usize,
    /// What they have worked, ns, counted from what others had worked when the first of them came: who was away has saved
    /// nothing up.
    worked_ns: Arc<AtomicU64>,
}

impl OfShare {
    fn worked_ns(&self) -> u64 {
        self.worked_ns.load(Ordering::Relaxed)
    }
}

impl State {
    /// Gives a place on to who is next; returns how to tell, which is done without the lock.
    fn give_on(&mut self) -> Option<Waker> {
        let of_share = |share: &Share| self.shares.get(share).map(OfShare::worked_ns);
        let next = self.waiting.next(of_share);
        let next = next.and_then(|ticket| Some((ticket, self.waiting.remove(ticket)?)));
        let Some((ticket, waker)) = next else {
            self.taken -= 1;
            return None;
        };
        self.told.insert(ticket);
        Some(waker)
    }
}

impl Turns {
    /// Lets the tasks of long queries have `places` places.
    pub(crate) fn new(places: usize) -> Self {
        Self::with_young_time(places, YOUNG_TIME)
    }

    fn with_young_time(places: usize, young_time: Duration) -> Self {
        Self(Arc::new(Inner {
            places: places.max(1),
            young_time,
            last_ticket: AtomicU64::new(0),
            state: Mutex::default(),
        }))
    }

    /// Returns how many threads queries need, so that some are left beside those of long ones.
    pub(crate) fn threads(&self) -> usize {
        self.0.places + self.0.places.min(SPARE_THREADS_MAX)
    }

    /// Begins a query of a client.
    pub(crate) fn of(&self, client: &Client) -> Turn {
        let share = client.share();
        let mut state = self.state();
        let least = state.shares.values().map(OfShare::worked_ns).min();
        let of_share = state.shares.entry(share.clone());
        let of_share = of_share.or_insert_with(|| OfShare {
            queries: 0,
            worked_ns: Arc::new(AtomicU64::new(least.unwrap_or_default())),
        });
        of_share.queries += 1;
        let share_worked_ns = Arc::clone(&of_share.worked_ns);
        drop(state);
        Turn(Arc::new(OfQuery {
            turns: self.clone(),
            share,
            worked_ns: AtomicU64::new(0),
            share_worked_ns,
        }))
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves the counts usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a task; false: it has to wait, and will be woken.
    fn enter(&self, ticket: u64, turn: &Turn, waker: &Waker) -> bool {
        let mut state = self.state();
        if state.told.remove(&ticket) {
            return true;
        }
        if let Some(known) = state.waiting.waker_mut(ticket) {
            known.clone_from(waker);
            return false;
        }
        if state.taken < self.0.places {
            state.taken += 1;
            return true;
        }
        let worked = turn.0.worked();
        state.waiting.push(ticket, &turn.0.share, worked, waker);
        false
    }

    /// Gives the place of a task on.
    fn leave(&self) {
        Self::give_on(self.state());
    }

    /// Forgets a task that ends, whether or not it waits.
    fn forget(&self, ticket: u64) {
        let mut state = self.state();
        // Dropped without the lock, as wakers are told: a task may go with its last one, and is then forgotten itself.
        let _waker = state.waiting.remove(ticket);
        let was_told = state.told.remove(&ticket);
        // It has been told to go on, and will not.
        if was_told {
            Self::give_on(state);
        } else {
            drop(state);
        }
    }

    /// Gives a place on to who is next, who is told without the lock.
    fn give_on(mut state: MutexGuard<'_, State>) {
        let next = state.give_on();
        drop(state);
        if let Some(next) = next {
            next.wake();
        }
    }
}

/// One query; clones are of the same.
#[derive(Clone, Debug)]
pub(crate) struct Turn(Arc<OfQuery>);

#[derive(Debug)]
struct OfQuery {
    turns: Turns,
    share: Share,
    worked_ns: AtomicU64,
    /// What all queries of its client have worked.
    share_worked_ns: Arc<AtomicU64>,
}

impl OfQuery {
    fn worked(&self) -> Duration {
        Duration::from_nanos(self.worked_ns.load(Ordering::Relaxed))
    }
}

impl Drop for OfQuery {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        if let Some(of_share) = state.shares.get_mut(&self.share) {
            of_share.queries -= 1;
            if of_share.queries == 0 {
                state.shares.remove(&self.share);
            }
        }
    }
}

impl Turn {
    /// Makes a task of the query take turns with those of others.
    pub(crate) fn run<F: Future>(&self, work: F) -> InTurn<F> {
        InTurn {
            ticket: self.0.turns.0.last_ticket.fetch_add(1, Ordering::Relaxed),
            turn: self.clone(),
            work: Box::pin(work),
        }
    }
}

/// A task of a query, which works when it is its turn.
#[derive(Debug)]
pub(crate) struct InTurn<F> {
    ticket: u64,
    turn: Turn,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let task = &mut *self;
        let turns = &task.turn.0.turns;
        let is_long = task.turn.0.worked() >= turns.0.young_time;
        if is_long {
            step_aside();
            if !turns.enter(task.ticket, &task.turn, context.waker()) {
                return Poll::Pending;
            }
        }
        let _working = Working {
            turn: &task.turn,
            has_place: is_long,
            since: Instant::now(),
            before: CURRENT.replace(Some(task.turn.clone())),
        };
        task.work.as_mut().poll(context)
    }
}

impl<F> Drop for InTurn<F> {
    fn drop(&mut self) {
        self.turn.0.turns.forget(self.ticket);
    }
}

/// A piece of work, until it is dropped: also where it panics.
struct Working<'a> {
    turn: &'a Turn,
    has_place: bool,
    since: Instant,
    before: Option<Turn>,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
        // No query works for centuries.
        let worked_ns = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let of_query = &self.turn.0;
        for worked in [&of_query.worked_ns, &of_query.share_worked_ns] {
            worked.fetch_add(worked_ns, Ordering::Relaxed);
        }
        if self.has_place {
            of_query.turns.leave();
        }
    }
}

/// Wraps the tasks that DataFusion starts for a query.
struct Started;

impl JoinSetTracer for Started {
    fn trace_future(
        &self,
        work: BoxFuture<'static, Box<dyn Any + Send>>,
    ) -> BoxFuture<'static, Box<dyn Any + Send>> {
        match CURRENT.with_borrow(Clone::clone) {
            Some(turn) => Box::pin(turn.run(work)),
            None => work,
        }
    }

    /// What blocks has threads of its own.
    fn trace_block(
        &self,
        work: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>,
    ) -> Box<dyn FnOnce() -> Box<dyn Any + Send> + Send> {
        work
    }
}

/// Makes the tasks that DataFusion starts for a query take turns, too; for all of the process, once.
pub(crate) fn hook() {
    static STARTED: Started = Started;
    // It is there where the process has another service.
    let _ = set_join_set_tracer(&STARTED);
}

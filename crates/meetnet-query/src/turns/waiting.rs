//! Tasks that wait for a place, in the order in which they get one.
//!
//! A sort of some million rows starts thousands of tasks. None of them may look at all the others when it waits, is told to go on or
//! ends: together they would work for seconds at nothing else, also after their query was cancelled.

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;
use std::time::Duration;

use crate::client::Share;

/// Tasks that wait: of each client those first whose query has worked least, and of equals those that came first.
#[derive(Debug, Default)]
pub(super) struct WaitingTasks {
    by_share: HashMap<Share, BTreeMap<Rank, Waiting>>,
    /// Where each is, by its ticket.
    ranks: HashMap<u64, (Share, Rank)>,
    /// Tasks that have waited up to now.
    pushed: u64,
}

/// What the query of a task has worked, and which of all tasks that ever waited it is.
type Rank = (Duration, u64);

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    waker: Waker,
}

impl WaitingTasks {
    /// Adds a task that does not wait yet.
    pub(super) fn push(&mut self, ticket: u64, share: &Share, worked: Duration, waker: &Waker) {
        self.pushed += 1;
        let rank = (worked, self.pushed);
        self.ranks.insert(ticket, (share.clone(), rank));
        let of_share = self.by_share.entry(share.clone()).or_default();
        let waker = waker.clone();
        of_share.insert(rank, Waiting { ticket, waker });
    }

    /// Returns the waker of a task that waits.
    pub(super) fn waker_mut(&mut self, ticket: u64) -> Option<&mut Waker> {
        let (share, rank) = self.ranks.get(&ticket)?;
        let waiting = self.by_share.get_mut(share)?.get_mut(rank)?;
        Some(&mut waiting.waker)
    }

    /// Returns the ticket of who is next, by what each client has had. It looks at one task of each client: clients are as few as
    /// queries that run, and what they have had changes while their tasks wait.
    pub(super) fn next<Had: Ord>(&self, had: impl Fn(&Share) -> Had) -> Option<u64> {
        let first_of_each = self.by_share.iter().filter_map(|(share, tasks)| {
            let (rank, first) = tasks.first_key_value()?;
            Some((had(share), *rank, first.ticket))
        });
        first_of_each.min().map(|(_, _, ticket)| ticket)
    }

    /// Takes a task out, if it waits; returns how to wake it, which is to be dropped without a lock.
    pub(super) fn remove(&mut self, ticket: u64) -> Option<Waker> {
        let (share, rank) = self.ranks.remove(&ticket)?;
        let of_share = self.by_share.get_mut(&share)?;
        let waiting = of_share.remove(&rank);
        if of_share.is_empty() {
            self.by_share.remove(&share);
        }
        waiting.map(|waiting| waiting.waker)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_share.is_empty() && self.ranks.is_empty()
    }
}

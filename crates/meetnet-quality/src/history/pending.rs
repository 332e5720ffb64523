//! The changes by rows that may not be committed yet, oldest first, as small as they can be: of each row there is one until
//! its commit, and a commit may fail for an hour.

use std::collections::VecDeque;

use meetnet_model::ids::Sequence;

use crate::backward::Observation;
use crate::series::{Change, PackedEffect};

/// Changes in a block: 128 KiB.
pub(super) const BLOCK: usize = 4_096;
/// Blocks without changes that a dataset keeps at most beside its newest one: what one group of messages needs would else be
/// given back, and faulted in again page by page for the next.
pub(super) const SPARE_MAX: usize = 3;

/// A change by a row that may not be committed yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    sequence: Sequence,
    // The parts of a [`Change`], so that nothing lies between them.
    lost: Observation,
    interval_s: u32,
    /// Position in the list of series.
    series: u16,
    at: u8,
    effect: PackedEffect,
}

const _: () = assert!(size_of::<Pending>() == 32, "docs/decisions/0004 says so");

impl Pending {
    #[inline]
    pub(super) fn new(sequence: Sequence, series: u32, change: Change) -> Self {
        Self {
            sequence,
            lost: change.lost,
            interval_s: change.interval_s,
            series: series as u16,
            at: change.at,
            effect: change.effect,
        }
    }

    /// The same change of a series that has moved.
    pub(super) fn of_series(self, series: u32) -> Self {
        Self {
            series: series as u16,
            ..self
        }
    }

    /// The position of its series.
    pub(super) fn series(&self) -> usize {
        usize::from(self.series)
    }

    /// What has to be taken back.
    pub(super) fn change(&self) -> Change {
        Change {
            lost: self.lost,
            interval_s: self.interval_s,
            at: self.at,
            effect: self.effect,
        }
    }
}

/// Pending changes, ascending by sequence. They lie in blocks, so that they never move while they become more, and a burst
/// or a commit that failed for an hour does not hold its memory for good.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingChanges {
    /// Those before the newest one, of [`BLOCK`] changes each.
    full: VecDeque<Vec<Pending>>,
    /// The one that is being filled. Not the last of a list: to find it there would cost as much as to write a change.
    newest: Vec<Pending>,
    /// How many of the first block are settled.
    settled: usize,
    /// Empty ones, [`SPARE_MAX`] at most.
    spare: Vec<Vec<Pending>>,
}

impl PendingChanges {
    /// Adds the newest. A block for it is made first: so nothing but the block ever holds it, and its parts are written where they
    /// stay. To copy what has just been written in parts would wait until it is written.
    #[inline]
    pub(super) fn push(&mut self, pending: Pending) {
        if self.newest.len().is_multiple_of(BLOCK) {
            self.begin_block();
        }
        self.newest.push(pending);
    }

    /// Begins a block where the newest is full, or not there yet.
    #[cold]
    fn begin_block(&mut self) {
        if self.newest.len() >= BLOCK {
            self.full.push_back(std::mem::take(&mut self.newest));
        }
        if self.newest.capacity() < BLOCK {
            let spare = self.spare.pop();
            self.newest = spare.unwrap_or_else(|| Vec::with_capacity(BLOCK));
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.full.len() * BLOCK + self.newest.len() - self.settled
    }

    /// Returns the one at a position below [`PendingChanges::len`], counted from the oldest.
    pub(super) fn get(&self, at: usize) -> &Pending {
        let at = at + self.settled;
        let block = self.full.get(at / BLOCK).unwrap_or(&self.newest);
        &block[at % BLOCK]
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        let blocks = self.full.iter().chain([&self.newest]);
        blocks.flatten().skip(self.settled)
    }

    /// Drops those up to a sequence.
    pub(super) fn settle(&mut self, through: Sequence) {
        let is_settled = |pending: &Pending| pending.sequence <= through;
        let newest_of = |block: &Vec<Pending>| block.last().copied();
        while let Some(newest) = self.full.front().and_then(newest_of)
            && is_settled(&newest)
            && let Some(mut block) = self.full.pop_front()
        {
            self.settled = 0;
            if self.spare.len() < SPARE_MAX {
                block.clear();
                self.spare.push(block);
            }
        }
        let first = self.full.front().unwrap_or(&self.newest);
        let settled = first.partition_point(is_settled);
        if settled < first.len() {
            // What is settled stays so.
            self.settled = self.settled.max(settled);
        } else {
            // It is the newest: full ones that are settled as a whole are gone.
            self.newest.clear();
            self.settled = 0;
        }
    }

    /// Places that it has.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        let blocks = self.full.iter().chain([&self.newest]).chain(&self.spare);
        blocks.map(Vec::capacity).sum()
    }
}

//! The changes by rows that may not be committed yet, oldest first, as small as they can be: of each row there is one until
//! its commit, and a commit may fail for an hour.

use std::collections::VecDeque;

use meetnet_model::ids::Sequence;

use crate::backward::Observation;
use crate::series::{Change, PackedEffect};

/// Changes in a block: 128 KiB.
pub(super) const BLOCK: usize = 4_096;
/// Blocks without changes that a dataset keeps at most: what one group of messages needs would else be given back, and faulted
/// in again page by page for the next.
pub(super) const SPARE_MAX: usize = 4;

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
    /// Each full but the last.
    blocks: VecDeque<Vec<Pending>>,
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
        if self.blocks.back().is_none_or(|block| block.len() >= BLOCK) {
            self.begin_block();
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push(pending);
        }
    }

    #[cold]
    fn begin_block(&mut self) {
        let spare = self.spare.pop();
        let block = spare.unwrap_or_else(|| Vec::with_capacity(BLOCK));
        self.blocks.push_back(block);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let all: usize = self.blocks.iter().map(Vec::len).sum();
        all - self.settled
    }

    /// Returns the one at a position below [`PendingChanges::len`], counted from the oldest.
    pub(super) fn get(&self, at: usize) -> &Pending {
        let at = at + self.settled;
        &self.blocks[at / BLOCK][at % BLOCK]
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.blocks.iter().flatten().skip(self.settled)
    }

    /// Drops those up to a sequence.
    pub(super) fn settle(&mut self, through: Sequence) {
        let is_settled = |pending: &Pending| pending.sequence <= through;
        let newest_of = |block: &Vec<Pending>| block.last().copied();
        while let Some(newest) = self.blocks.front().and_then(newest_of)
            && is_settled(&newest)
            && let Some(mut block) = self.blocks.pop_front()
        {
            self.settled = 0;
            if self.spare.len() < SPARE_MAX {
                block.clear();
                self.spare.push(block);
            }
        }
        if let Some(first) = self.blocks.front() {
            let settled = first.partition_point(is_settled);
            // What is settled stays so.
            self.settled = self.settled.max(settled);
        }
    }

    /// Places that it has.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        let blocks = self.blocks.iter().chain(&self.spare);
        blocks.map(Vec::capacity).sum()
    }
}

//! The changes by rows that may not be committed yet, oldest first, as small as they can be: of each row there is one until
//! its commit, and a commit may fail for an hour.

use std::collections::VecDeque;

use meetnet_model::ids::Sequence;

use crate::backward::Observation;
use crate::series::{Change, PackedEffect};

/// Changes in a block, of which a dataset keeps one: 128 KiB.
pub(super) const BLOCK: usize = 4_096;

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
}

impl PendingChanges {
    pub(super) fn push(&mut self, pending: Pending) {
        match self.blocks.back_mut() {
            Some(block) if block.len() < BLOCK => block.push(pending),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(pending);
                self.blocks.push_back(block);
            }
        }
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
        let is_settled = |block: &Vec<Pending>| {
            let newest = block.last();
            newest.is_some_and(|newest| newest.sequence <= through)
        };
        while self.blocks.front().is_some_and(is_settled) {
            self.settled = 0;
            if self.blocks.len() > 1 {
                self.blocks.pop_front();
            } else {
                // The next ones find room.
                self.blocks[0].clear();
            }
        }
        if let Some(first) = self.blocks.front() {
            self.settled = first.partition_point(|pending| pending.sequence <= through);
        }
    }

    /// Places that it has.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.blocks.iter().map(Vec::capacity).sum()
    }
}

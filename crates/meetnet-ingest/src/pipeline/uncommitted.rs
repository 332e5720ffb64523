//! When memory is full, and how much the quality tests keep of rows that are not committed: for each, what takes its effect on the
//! history back.
//!
//! `rows applied -> [noted, by position] -> T passes it: settled`
//!
//! It is memory of a row that no table has, and holds back whoever fills it as hot rows do. One dataset that commits seldom
//! would else hold what rows of all others have changed: T stands at its oldest row.
//!
//! While a merge runs, what it holds has a part of the same limit: both at their greatest would be the most memory that there is,
//! and who waits for a commit leaves the processor to it and to the merge.

use std::collections::VecDeque;

use meetnet_lake::LakeError;
use meetnet_model::ids::Sequence;

use super::run::Runner;

/// Memory that one row costs there: a change.
const ROW_BYTES: usize = 32;

/// The share of `hot_bytes_max` that a merge has at most: one in so many. Commits begin at half, and what comes while they run needs
/// room, too.
const MERGE_SHARE: usize = 4;

/// Rows in the history of the quality tests that T has not passed.
#[derive(Debug, Default)]
pub(super) struct UncommittedRows {
    /// By position of the last frame of a group: rows. Ascending.
    groups: VecDeque<(Sequence, usize)>,
    rows: usize,
}

impl UncommittedRows {
    /// Notes rows of frames up to `sequence`.
    pub(super) fn note(&mut self, sequence: Sequence, rows: usize) {
        if rows == 0 {
            return;
        }
        match self.groups.back_mut() {
            Some((last, of_group)) if *last == sequence => *of_group += rows,
            _ => self.groups.push_back((sequence, rows)),
        }
        self.rows += rows;
    }

    /// Forgets the rows of frames up to `through`.
    pub(super) fn settle(&mut self, through: Sequence) {
        while let Some((_, rows)) = self.groups.pop_front_if(|(last, _)| *last <= through) {
            self.rows -= rows;
        }
    }

    /// Memory of the rows, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.rows * ROW_BYTES
    }
}

impl Runner {
    /// Returns true where no more may be decoded until rows are committed or applied. What a merge has is not added to rows that
    /// wait for a file: below half nothing commits because of its memory, and only the end of the merge would make room.
    pub(super) fn is_full(&self) -> bool {
        let bytes_max = self.options.lake.limits.hot_bytes_max;
        let of_merge = self.lake.merge_bytes().min(bytes_max / MERGE_SHARE);
        self.bytes_to_commit() + self.waiting.bytes().max(of_merge) >= bytes_max
    }

    /// Returns true where rows alone fill the memory.
    pub(super) fn is_full_of_rows(&self) -> bool {
        self.bytes_to_commit() + self.waiting.bytes() >= self.options.lake.limits.hot_bytes_max
    }

    /// Memory that commits make room of, bytes: from half of the limit on one is under way.
    fn bytes_to_commit(&self) -> usize {
        self.lake.hot_bytes() + self.kept_beside()
    }

    /// Memory that is kept for rows until they are committed, beside hot ones. It does not count where rows wait for a file: they
    /// hold T back, and no commit of other datasets, which go on, would change that.
    pub(super) fn kept_beside(&self) -> usize {
        match self.waiting.bytes() {
            0 => self.uncommitted.bytes(),
            _ => 0,
        }
    }

    /// Admits and starts commits; returns how many were admitted.
    pub(super) fn tick_lake(&mut self) -> Result<usize, LakeError> {
        self.settle();
        let admitted = self.lake.tick()?;
        self.settle();
        Ok(admitted)
    }
}

#[cfg(test)]
mod tests;

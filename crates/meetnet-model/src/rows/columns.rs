//! Which columns have a value: in the draft, and row by row.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::NullBuffer;

use crate::rows::values::Values;

/// 64 columns of a dataset, one bit for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    /// Those that there are.
    pub(super) all: u64,
    /// Those that must have a value.
    pub(super) required: u64,
    /// Those in which the draft has a value: the last one there.
    pub(super) set: u64,
    /// Those in which the draft was given a value of another type than declared, which is not kept.
    pub(super) wrong: u64,
    /// Those in which the last rows have a value, and how many rows that holds for: one row is mostly like the one
    /// before it.
    run: (u64, usize),
    /// The same of the rows before.
    runs: Vec<(u64, usize)>,
}

impl Columns {
    /// Takes back what the draft has in the column of `bit`, whose values are `values`.
    pub(super) fn take_back(&mut self, bit: u64, values: &mut Values) {
        if self.set & bit != 0 {
            values.pop();
        }
        self.set &= !bit;
        self.wrong &= !bit;
    }

    /// Notes of so many rows which columns have a value, and starts the next draft.
    #[inline]
    pub(super) fn finish(&mut self, rows: usize) {
        if self.run.0 != self.set {
            self.runs.push(self.run);
            self.run = (self.set, 0);
        }
        self.run.1 += rows;
        self.set = 0;
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self) {
        self.run = (0, 0);
        self.runs.clear();
    }

    /// Returns the rows that have no value in the column of `bit`; none where all have one.
    pub(super) fn nulls(&self, bit: u64) -> Option<NullBuffer> {
        let runs = || self.runs.iter().chain([&self.run]);
        if runs().all(|(set, rows)| set & bit != 0 || *rows == 0) {
            return None;
        }
        let mut bitmap = BooleanBufferBuilder::new(runs().map(|(_, rows)| rows).sum());
        for (set, rows) in runs() {
            bitmap.append_n(*rows, set & bit != 0);
        }
        Some(NullBuffer::new(bitmap.finish()))
    }
}

/// Calls `each` with the numbers of the columns in `bits`, in ascending order.
#[inline(always)]
pub(super) fn each_column(word: usize, mut bits: u64, mut each: impl FnMut(usize)) {
    while bits != 0 {
        each(word * 64 + bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

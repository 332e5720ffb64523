//! Which hot row is the current version of a key.
//!
//! ```text
//! series ─▶ (time, row), ascending by time     what arrives about in the order of its times
//!        └▶ time ─▶ row                        what comes long after later times
//! ```
//!
//! The times of a series lie together. Most keys are the newest of their series, so most cost one look at the end of a
//! list, and 16 bytes there instead of a key of their own. A dataset without series has a list per key.

use std::collections::BTreeMap;

use hashbrown::HashMap;

/// Entries that are moved to put one before them; more cost more than a place in the tree.
const MOVED_MAX: usize = 64;
/// Memory of a series without its rows: its bytes, their allocation, its slot, two empty lists.
const SERIES_BYTES: usize = 160;
/// Memory of a key: an entry of a list that may have twice the room, or of a tree.
const KEY_BYTES: usize = 32;

/// Rows by series and time.
#[derive(Debug, Default)]
pub(super) struct HotIndex {
    /// Series -> position in `rows`.
    series: HashMap<Box<[u8]>, usize>,
    rows: Vec<SeriesRows>,
    keys: usize,
}

#[derive(Debug, Default)]
struct SeriesRows {
    in_order: Vec<(u64, u64)>,
    /// Times that are not in `in_order`.
    late: BTreeMap<u64, u64>,
}

impl HotIndex {
    /// Approximate memory, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.series.len() * SERIES_BYTES + self.keys * KEY_BYTES
    }

    /// Returns the row that is noted for a key.
    pub(super) fn get(&self, series: &[u8], time: u64) -> Option<u64> {
        let position = *self.series.get(series)?;
        self.rows[position].get(time)
    }

    /// Notes the row of a key.
    pub(super) fn set(&mut self, series: &[u8], time: u64, row: u64) {
        let position = self.position_of(series);
        self.keys += usize::from(self.rows[position].set(time, row));
    }

    /// Returns the row that is noted for a key; where there is none, notes `row`. Also returns the number of the series, less
    /// than [`HotIndex::series`], which it has until rows are forgotten.
    pub(super) fn get_or_set(
        &mut self,
        series: &[u8],
        time: u64,
        row: u64,
    ) -> (Option<u64>, usize) {
        let position = self.position_of(series);
        let of_series = &mut self.rows[position];
        let known = of_series.get(time);
        if known.is_none() {
            self.keys += usize::from(of_series.set(time, row));
        }
        (known, position)
    }

    /// Number of series.
    pub(super) fn series(&self) -> usize {
        self.rows.len()
    }

    /// Returns the position of a series, a new one where it has none.
    fn position_of(&mut self, series: &[u8]) -> usize {
        if let Some(position) = self.series.get(series) {
            return *position;
        }
        self.series.insert(series.into(), self.rows.len());
        self.rows.push(SeriesRows::default());
        self.rows.len() - 1
    }

    /// Forgets the rows below `boundary`.
    pub(super) fn forget_below(&mut self, boundary: u64) {
        let (rows, keys) = (&mut self.rows, &mut self.keys);
        let mut kept = Vec::new();
        *keys = 0;
        self.series.retain(|_, position| {
            let mut of_series = std::mem::take(&mut rows[*position]);
            of_series.forget_below(boundary);
            if of_series.len() == 0 {
                return false;
            }
            *keys += of_series.len();
            *position = kept.len();
            kept.push(of_series);
            true
        });
        self.rows = kept;
        if self.series.capacity() > 4 * self.series.len() + 1_024 {
            self.series.shrink_to_fit();
        }
    }
}

impl SeriesRows {
    fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    fn get(&self, time: u64) -> Option<u64> {
        match self.position(time) {
            Ok(at) => Some(self.in_order[at].1),
            Err(_) => self.late.get(&time).copied(),
        }
    }

    /// Notes a row; returns true where its time was not noted.
    fn set(&mut self, time: u64, row: u64) -> bool {
        match self.position(time) {
            Ok(at) => {
                self.in_order[at].1 = row;
                false
            }
            // Also at the end: what was there may have been forgotten, and the time be known as late.
            Err(at) if self.in_order.len() - at <= MOVED_MAX && !self.late.contains_key(&time) => {
                self.in_order.insert(at, (time, row));
                true
            }
            Err(_) => self.late.insert(time, row).is_none(),
        }
    }

    /// Returns where a time stands in `in_order`, or where it would.
    fn position(&self, time: u64) -> Result<usize, usize> {
        // Doubling steps from the end: batches that overtook each other are a few entries apart, in memory that was
        // touched just now.
        let (mut start, mut end, mut step) = (self.in_order.len(), self.in_order.len(), 4);
        while start > 0 && self.in_order[start - 1].0 >= time {
            (end, start) = (start, start.saturating_sub(step));
            step *= 2;
        }
        let found = self.in_order[start..end].binary_search_by_key(&time, |entry| entry.0);
        found.map(|at| start + at).map_err(|at| start + at)
    }

    fn forget_below(&mut self, boundary: u64) {
        self.in_order.retain(|(_, row)| *row >= boundary);
        self.late.retain(|_, row| *row >= boundary);
        if self.in_order.capacity() > 4 * self.in_order.len() + 16 {
            self.in_order.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests;

//! The frontier: per series, the newest time that the table or the hot rows hold, so that a row in time order needs no
//! look-up.
//!
//! Invariant: a *known* entry is at least as new as every stored row of its series. It becomes known only by a look-up
//! that read every file that could hold a later row; from then on each insert raises it. A miss means: look up.

use hashbrown::HashMap;

/// Series that are remembered: about 100 bytes each; past it the map is emptied and refills by look-ups.
pub(super) const SERIES_MAX: usize = if cfg!(test) { 1_000 } else { 500_000 };

#[derive(Clone, Copy, Debug)]
struct Newest {
    time: i64,
    /// Whether committed files have been taken into account.
    known: bool,
}

/// Newest times by series.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    series: HashMap<Box<[u8]>, Newest>,
    /// Rows below this number were hot when the map was emptied: until they are committed, a look-up in files alone
    /// would not see them.
    forgotten_below: u64,
}

impl Frontier {
    /// Returns the newest time of a series, µs: no row of it after that is stored. None where that is not known.
    pub(super) fn newest(&self, series: &[u8]) -> Option<i64> {
        let newest = self.series.get(series)?;
        newest.known.then_some(newest.time)
    }

    /// Forgets everything, and gives its memory back; `next_row` is the number that the next row gets.
    pub(super) fn forget(&mut self, next_row: u64) {
        self.series = HashMap::new();
        self.forgotten_below = next_row;
    }

    /// Gives the room back that entries do not fill.
    pub(super) fn give_back(&mut self) {
        self.series.shrink_to_fit();
    }

    /// Takes an inserted row into account; `next_row` is the number behind all that are inserted with it.
    pub(super) fn inserted(&mut self, series: &[u8], time: i64, next_row: u64) {
        if let Some(newest) = self.series.get_mut(series) {
            newest.time = newest.time.max(time);
            return;
        }
        if self.series.len() >= SERIES_MAX {
            self.forget(next_row);
        }
        self.series
            .insert(series.into(), Newest { time, known: false });
    }

    /// Takes a complete look-up in committed files into account; `oldest_hot` is the number of the oldest hot row.
    pub(super) fn looked_up(&mut self, series: &[u8], newest: i64, oldest_hot: u64) {
        if oldest_hot < self.forgotten_below {
            return;
        }
        if let Some(entry) = self.series.get_mut(series) {
            *entry = Newest {
                time: entry.time.max(newest),
                known: true,
            };
            return;
        }
        // Where the map is full, the next row of a series that is not in it empties it.
        if self.series.len() < SERIES_MAX {
            let newest = Newest {
                time: newest,
                known: true,
            };
            self.series.insert(series.into(), newest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_series_are_remembered_than_there_is_room_for() {
        let mut frontier = Frontier::default();
        for number in 0..3 * SERIES_MAX as u64 {
            let series = number.to_be_bytes();
            // First as a sensor that only repeats itself, then with a row.
            frontier.looked_up(&series, 1, number);
            assert!(frontier.series.len() <= SERIES_MAX, "{number}");
            frontier.inserted(&series, 2, number + 1);
            assert!(frontier.series.len() <= SERIES_MAX, "{number}");
        }
    }

    #[test]
    fn nothing_is_known_after_it_was_forgotten_until_all_rows_of_then_are_committed() {
        let mut frontier = Frontier::default();
        frontier.looked_up(b"s", 10, 0);
        assert_eq!(frontier.newest(b"s"), Some(10));
        frontier.forget(5);
        assert_eq!(frontier.newest(b"s"), None);
        assert_eq!(frontier.series.capacity(), 0);
        // Row 4 may be of this series, and in no file yet.
        frontier.looked_up(b"s", 7, 4);
        assert_eq!(frontier.newest(b"s"), None);
        frontier.looked_up(b"s", 7, 5);
        assert_eq!(frontier.newest(b"s"), Some(7));
        frontier.give_back();
        assert_eq!(frontier.newest(b"s"), Some(7));
    }
}

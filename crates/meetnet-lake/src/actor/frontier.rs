//! The frontier: per series, the newest time that the table or the hot rows hold, so that a row in time order needs no
//! look-up.
//!
//! Invariant: a *known* entry is at least as new as every stored row of its series. It becomes known only by a look-up
//! that read every file that could hold a later row; from then on each insert raises it. A miss means: look up.

use hashbrown::HashMap;

/// Series that are remembered: about 100 bytes each; past it the map is emptied and refills by look-ups.
const SERIES_MAX: usize = 500_000;

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

    /// Takes an inserted row into account; `row` is its number.
    pub(super) fn inserted(&mut self, series: &[u8], time: i64, row: u64) {
        if let Some(newest) = self.series.get_mut(series) {
            newest.time = newest.time.max(time);
            return;
        }
        if self.series.len() >= SERIES_MAX {
            self.series.clear();
            self.forgotten_below = row;
        }
        self.series
            .insert(series.into(), Newest { time, known: false });
    }

    /// Takes a complete look-up in committed files into account; `oldest_hot` is the number of the oldest hot row.
    pub(super) fn looked_up(&mut self, series: &[u8], newest: i64, oldest_hot: u64) {
        if oldest_hot < self.forgotten_below {
            return;
        }
        match self.series.get_mut(series) {
            Some(entry) => {
                *entry = Newest {
                    time: entry.time.max(newest),
                    known: true,
                }
            }
            None => {
                self.series.insert(
                    series.into(),
                    Newest {
                        time: newest,
                        known: true,
                    },
                );
            }
        }
    }
}

//! Under which licences the rows of a series came, and when: what a row says of the time around its bucket is under those, too.

use meetnet_model::ids::LicenceId;

/// The licences of one series' rows, in the order of time.
#[derive(Debug, Default)]
pub(super) struct LicenceTrail {
    stretches: Vec<Stretch>,
}

/// Rows that follow each other under one licence.
#[derive(Debug)]
struct Stretch {
    licence: LicenceId,
    /// Times of the first and the last row, µs since 1970 UTC.
    first: i64,
    last: i64,
}

impl LicenceTrail {
    pub(super) fn clear(&mut self) {
        self.stretches.clear();
    }

    /// Adds a row, which is not earlier than the last one.
    pub(super) fn add(&mut self, time: i64, licence: &str) {
        match self.stretches.last_mut() {
            Some(last) if last.licence.as_str() == licence => last.last = time,
            _ => self.stretches.push(Stretch {
                licence: LicenceId::new(licence),
                first: time,
                last: time,
            }),
        }
    }

    /// Returns the licences of the rows from `from` to before `to`. Some row must lie there: a stretch is told by its ends.
    pub(super) fn within(&self, from: i64, to: i64) -> impl Iterator<Item = &LicenceId> + Clone {
        let stretches = self.stretches.iter();
        stretches
            .filter(move |stretch| stretch.first < to && stretch.last >= from)
            .map(|stretch| &stretch.licence)
    }
}

//! Runs of buckets: values of neighbouring buckets of one series, and which of them lie in a run.

use crate::plan::RunRule;

/// The values of one series' buckets, in the order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    met: Vec<Met>,
}

/// A bucket with at least one value.
#[derive(Clone, Copy, Debug)]
struct Met {
    start: i64,
    end: i64,
    greatest: f64,
}

impl Buckets {
    pub(super) fn clear(&mut self) {
        self.met.clear();
    }

    /// Adds a value of the bucket from `start` to `end`, which is the last one or follows it.
    pub(super) fn add(&mut self, start: i64, end: i64, value: f64) {
        match self.met.last_mut() {
            Some(last) if last.start == start => last.greatest = last.greatest.max(value),
            _ => self.met.push(Met {
                start,
                end,
                greatest: value,
            }),
        }
    }

    /// Returns whether a bucket lies in a run; none where it has no value.
    pub(super) fn is_in_run(&self, rule: &RunRule, start: i64) -> Option<bool> {
        let met = &self.met;
        let at = met.binary_search_by_key(&start, |met| met.start).ok()?;
        let reach = rule.length_max.saturating_sub(1);
        let holds = |met: &Met| met.greatest >= rule.at_least;
        if !holds(&met[at]) {
            return Some(false);
        }
        let mut first = at;
        while first > 0
            && at - first < reach
            && holds(&met[first - 1])
            && met[first - 1].end == met[first].start
        {
            first -= 1;
        }
        let mut last = at;
        while last + 1 < met.len()
            && last - at < reach
            && holds(&met[last + 1])
            && met[last].end == met[last + 1].start
        {
            last += 1;
        }
        // A longer stretch holds the peaks of a shorter one, so only the longest are looked at.
        let length = (last - first + 1).min(rule.length_max);
        if length < rule.length_min {
            return Some(false);
        }
        let earliest = first.max((at + 1).saturating_sub(length));
        let latest = at.min(last + 1 - length);
        let is_run = (earliest..=latest).any(|from| {
            let stretch = &met[from..from + length];
            let peaks = stretch.iter().filter(|met| met.greatest >= rule.peak);
            peaks.count() >= rule.peaks_min
        });
        Some(is_run)
    }
}

#[cfg(test)]
mod tests;

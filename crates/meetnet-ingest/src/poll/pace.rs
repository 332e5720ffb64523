//! How fast: what a host allows, over all sources that ask it, and the pauses after failures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::ids::SourceId;

use super::plan::HOUR_US;
use crate::dup_window::lock;

#[cfg(test)]
mod tests;

/// The first pause after a failure.
const PAUSE_US_FIRST: i64 = 5 * SECOND_US;
/// The longest pause after failures in a row.
pub(crate) const PAUSE_US_MAX: i64 = HOUR_US;

/// Returns the pause after the `failures`-th failure in a row: doubling, capped, times `jitter` (0.5 to 1).
pub(crate) fn backoff(failures: u32, jitter: f64) -> i64 {
    let doublings = failures.saturating_sub(1).min(16);
    let step = (PAUSE_US_FIRST << doublings).min(PAUSE_US_MAX);
    (step as f64 * jitter.clamp(0.5, 1.0)) as i64
}

/// Returns `micros` so many times over, as far as numbers go.
fn times(micros: i64, count: u64) -> i64 {
    micros.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX))
}

/// How fast a host may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Shortest time from one request to the next.
    pub pause: Duration,
    /// Most requests in a day (UTC); none: as many as the pause allows.
    pub requests_per_day_max: Option<u32>,
}

/// Requests of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The day: days since 1970, UTC.
    pub(crate) day: i64,
    /// Requests in it.
    pub(crate) count: u32,
}

/// The hosts that are asked, shared by all sources.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    hosts: Arc<Mutex<BTreeMap<String, Host>>>,
}

#[derive(Debug)]
struct Host {
    /// What each source says of it.
    limits: BTreeMap<SourceId, HostLimits>,
    next_at: i64,
    asked: Asked,
}

impl Host {
    /// Returns the strictest of what its sources say: the host sees one city.
    fn strictest(&self) -> HostLimits {
        let limits = self.limits.values();
        let pauses = limits.clone().map(|limits| limits.pause);
        let per_day = limits.filter_map(|limits| limits.requests_per_day_max);
        HostLimits {
            pause: pauses.max().unwrap_or_default(),
            requests_per_day_max: per_day.min(),
        }
    }
}

impl Hosts {
    /// Notes what a source says of a host, and how often it was asked as far as the source remembers. Of several sources
    /// the strictest limits hold.
    pub(crate) fn declare(&self, source: &SourceId, host: &str, limits: HostLimits, asked: Asked) {
        let mut hosts = lock(&self.hosts);
        let known = hosts.entry(host.to_owned()).or_insert(Host {
            limits: BTreeMap::new(),
            next_at: i64::MIN,
            asked,
        });
        known.limits.insert(source.clone(), limits);
        // Each source remembers the requests of all: the largest is the newest.
        if (asked.day, asked.count) > (known.asked.day, known.asked.count) {
            known.asked = asked;
        }
    }

    /// Returns when the last of `requests` would be answered, µs since 1970 UTC, where each takes `each_us` and nothing
    /// else is asked of the host.
    pub(crate) fn expected_end(&self, host: &str, requests: u64, now: i64, each_us: i64) -> i64 {
        let hosts = lock(&self.hosts);
        let Some(host) = hosts.get(host) else {
            return now.saturating_add(times(each_us, requests));
        };
        let limits = host.strictest();
        let pause = i64::try_from(limits.pause.as_micros()).unwrap_or(DAY_US);
        let each_us = each_us.max(pause);
        let at_this_pace = now.saturating_add(times(each_us, requests));
        let today = now.div_euclid(DAY_US);
        let spent = if host.asked.day == today {
            u64::from(host.asked.count)
        } else {
            0
        };
        let Some(per_day) = limits.requests_per_day_max.map(u64::from) else {
            return at_this_pace;
        };
        let left_today = per_day.saturating_sub(spent);
        if requests <= left_today {
            return at_this_pace;
        }
        let later = requests - left_today;
        let whole_days = (later - 1) / per_day.max(1);
        let on_last_day = later - whole_days * per_day;
        times(DAY_US, whole_days)
            .saturating_add((today + 1) * DAY_US)
            .saturating_add(times(each_us, on_last_day))
            .max(at_this_pace)
    }

    /// Forgets what a source says of hosts; how often they were asked stays known.
    pub(crate) fn withdraw(&self, source: &SourceId) {
        for host in lock(&self.hosts).values_mut() {
            host.limits.remove(source);
        }
    }

    /// Takes one request of what the host allows.
    ///
    /// # Errors
    /// When it can be asked again, µs since 1970 UTC; nothing was taken.
    pub(crate) fn take(&self, host: &str, now: i64) -> Result<Asked, i64> {
        let mut hosts = lock(&self.hosts);
        let Some(host) = hosts.get_mut(host) else {
            return Ok(Asked::default());
        };
        let limits = host.strictest();
        let pause = i64::try_from(limits.pause.as_micros()).unwrap_or(DAY_US);
        // A clock that was set back: the pause counts from now.
        host.next_at = host.next_at.min(now.saturating_add(pause));
        if host.next_at > now {
            return Err(host.next_at);
        }
        let day = now.div_euclid(DAY_US);
        if host.asked.day != day {
            host.asked = Asked { day, count: 0 };
        }
        if let Some(most) = limits.requests_per_day_max
            && host.asked.count >= most
        {
            return Err((day + 1) * DAY_US);
        }
        host.asked.count += 1;
        host.next_at = now.saturating_add(pause);
        Ok(host.asked)
    }
}

//! Which filters the broker has granted, which are asked for, and when to ask again. One SUBSCRIBE is outstanding at
//! a time, so that an answer needs no packet id to be understood.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Pause before refused filters are asked for again.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Longest wait for a SUBACK.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How many publishes Mosquitto has dropped, for all its clients together.
pub(crate) const BROKER_DROPS_TOPIC: &str = "$SYS/broker/publish/messages/dropped";

/// The subscriptions of one source, across its connections.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    filters: Vec<String>,
    granted: Vec<bool>,
    asked: Option<Asked>,
    retry_at: Option<Instant>,
    /// Whether every filter was granted once in this process.
    complete_once: bool,
    drops: DropsWatch,
}

#[derive(Debug)]
struct Asked {
    at: Instant,
    /// Positions in `filters`; none for the drops topic.
    positions: Vec<usize>,
}

/// The optional subscription to the broker's drop counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DropsWatch {
    /// Not wanted, refused, or answered by a closed connection.
    Off,
    Wanted,
    /// Asked for on the current connection.
    Asked,
    Granted,
}

/// What to ask the broker for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// These filters, with the source's quality of service.
    Filters(Vec<String>),
    /// The drop counter, with QoS 0.
    Drops,
}

/// What an answer means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Refused filters with the broker's reason.
    pub(crate) refused: Vec<(String, String)>,
    /// Every filter is granted now.
    pub(crate) complete: bool,
}

impl Subscriptions {
    pub(crate) fn new(filters: Vec<String>, watch_drops: bool) -> Self {
        let granted = vec![false; filters.len()];
        // A source that asks for $SYS itself wants those messages as data.
        let own = filters
            .iter()
            .any(|filter| filter.starts_with('$') && !filter.starts_with("$share/"));
        let drops = if watch_drops && !own {
            DropsWatch::Wanted
        } else {
            DropsWatch::Off
        };
        Self {
            filters,
            granted,
            asked: None,
            retry_at: None,
            complete_once: false,
            drops,
        }
    }

    /// Starts a connection. A resumed session keeps its subscriptions, but the first connection of a process asks all
    /// the same: the configuration may have changed since.
    pub(crate) fn connected(&mut self, session_present: bool) {
        self.asked = None;
        self.retry_at = None;
        if !session_present || !self.complete_once {
            self.granted.fill(false);
        }
        if !session_present && self.drops == DropsWatch::Granted {
            self.drops = DropsWatch::Wanted;
        }
    }

    /// Ends a connection. Some brokers close it when a topic is not allowed: the optional one is not asked for again.
    pub(crate) fn disconnected(&mut self) {
        if self.drops == DropsWatch::Asked {
            self.drops = DropsWatch::Off;
        }
    }

    /// Returns what to ask for now, if anything; the caller sends it.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Ask> {
        if let Some(asked) = &self.asked
            && now < asked.at + ANSWER_WITHIN
        {
            return None;
        }
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        let positions: Vec<usize> = (0..self.filters.len())
            .filter(|at| !self.granted[*at])
            .collect();
        if positions.is_empty() {
            if self.drops != DropsWatch::Wanted {
                return None;
            }
            self.drops = DropsWatch::Asked;
            self.asked = Some(Asked { at: now, positions });
            return Some(Ask::Drops);
        }
        let filters = positions
            .iter()
            .map(|at| self.filters[*at].clone())
            .collect();
        self.asked = Some(Asked { at: now, positions });
        Some(Ask::Filters(filters))
    }

    /// Takes the broker's answer: per filter asked for, the refusal if there was one.
    pub(crate) fn answered(&mut self, refusals: &[Option<String>], now: Instant) -> Answer {
        let Some(asked) = self.asked.take() else {
            return Answer::default();
        };
        if asked.positions.is_empty() {
            let granted = refusals.iter().all(Option::is_none);
            self.drops = if granted {
                DropsWatch::Granted
            } else {
                DropsWatch::Off
            };
            return Answer::default();
        }
        let mut answer = Answer::default();
        for (position, refusal) in asked.positions.into_iter().zip(refusals) {
            match refusal {
                None => self.granted[position] = true,
                Some(reason) => {
                    answer
                        .refused
                        .push((self.filters[position].clone(), reason.clone()));
                }
            }
        }
        answer.complete = self.granted.iter().all(|granted| *granted);
        self.complete_once |= answer.complete;
        self.retry_at = (!answer.complete).then(|| now + RETRY_AFTER);
        answer
    }
}

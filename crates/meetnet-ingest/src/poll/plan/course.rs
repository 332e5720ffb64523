//! Where one target of a plan stands: when it is asked, for what, and how it fails.

use meetnet_model::calendar::DAY_US;

use super::{Ask, Target, Window, WindowRule};
use crate::poll::state::Cursor;
use crate::poll::verdict::{Failure, FailureKind};

/// Failures in a row of one window after which the newest periods are asked for meanwhile: an answer that one row breaks must
/// not keep away all that come after it.
const STUCK_FAILURES: u32 = 3;

/// How a target fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// When the first of them was, µs since 1970 UTC.
    pub(crate) since: i64,
    /// When it is asked again at the earliest, µs since 1970 UTC.
    pub(crate) again_at: i64,
    /// What went wrong last.
    pub(crate) message: String,
    pub(super) is_refused: bool,
    /// How many questions of its source had been answered before the first.
    pub(super) answers_before: u64,
}

#[derive(Debug)]
pub(super) struct Course {
    pub(super) target: Target,
    pub(super) cursor: Cursor,
    pub(super) due: i64,
    /// How it fails when it is asked for what is new, and for its past: one can work without the other.
    pub(super) trouble: Option<Trouble>,
    pub(super) past_trouble: Option<Trouble>,
    /// What is left of the pass that is under way, and whether it re-asks.
    pub(super) pass: Option<(Window, bool)>,
    /// When the newest periods are asked for again, where the pass is stuck.
    pub(super) newest_due: i64,
    pub(super) chunk_max: i64,
}

impl Course {
    pub(super) fn trouble_mut(&mut self, ask: &Ask) -> &mut Option<Trouble> {
        if ask.is_backfill {
            &mut self.past_trouble
        } else {
            &mut self.trouble
        }
    }

    /// Whether the window that is next keeps failing, and there may be newer ones behind it.
    pub(super) fn is_stuck(&self) -> bool {
        let trouble = self.trouble.as_ref();
        self.target.windows.is_some()
            && trouble.is_some_and(|of| of.failures >= STUCK_FAILURES && !of.is_refused)
    }

    /// Returns the newest periods; none where there are none behind the window that is next.
    fn newest(&self, rule: WindowRule, next: Window, now: i64) -> Option<Window> {
        let to = rule.closed_until(now);
        let newest = Window {
            from: to - rule.overlap.min(self.chunk_max),
            to,
        };
        let is_another = newest.from > next.from && !newest.is_empty();
        is_another.then_some(newest)
    }

    /// Whether a question is for the newest periods, and not for what is next.
    pub(super) fn is_newest(&self, ask: &Ask) -> bool {
        let (Some((left, _)), Some(window)) = (self.pass, ask.window) else {
            return false;
        };
        !ask.is_backfill && window.from != left.from
    }

    /// Notes when the newest periods are asked for again; what is next may come before.
    pub(super) fn ask_newest_at(&mut self, at: i64) {
        self.newest_due = at;
        let again_at = self.trouble.as_ref().map_or(at, |of| of.again_at);
        self.due = at.min(again_at);
    }

    /// Whether it answered when it was asked last.
    pub(super) fn is_well(&self) -> bool {
        self.cursor.polled_at.is_some() && self.trouble.is_none() && self.past_trouble.is_none()
    }

    /// Notes a failure; `pause` says how long it waits after so many in a row. Returns when it is asked again.
    pub(super) fn note(
        &mut self,
        ask: &Ask,
        failure: &Failure,
        answers: u64,
        now: i64,
        pause: impl FnOnce(u32) -> i64,
    ) -> i64 {
        let trouble = self.trouble_mut(ask).get_or_insert_with(|| Trouble {
            failures: 0,
            since: now,
            again_at: now,
            message: String::new(),
            is_refused: false,
            answers_before: answers,
        });
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.again_at = now.saturating_add(pause(trouble.failures));
        trouble.message.clone_from(&failure.message);
        trouble.is_refused = failure.kind == FailureKind::Refused;
        trouble.again_at
    }

    /// Returns the question that is due; none where no period has been closed yet, or where all that are closed are in a
    /// window that keeps failing and is not to be tried yet.
    pub(super) fn ask(&mut self, target: usize, now: i64) -> Option<Ask> {
        let window = match self.target.windows {
            None => None,
            Some(rule) => {
                let (left, _) = *self.pass.get_or_insert_with(|| self.cursor.pass(rule, now));
                if left.is_empty() {
                    self.pass = None;
                    self.due = now.saturating_add(rule.align);
                    return None;
                }
                let next = self.chunk(left);
                let again_at = self.trouble.as_ref().map_or(now, |of| of.again_at);
                // Before what keeps failing: its failure may make the source wait for as long as it does itself.
                let newest = if self.is_stuck() && self.newest_due <= now {
                    self.newest(rule, next, now)
                } else {
                    None
                };
                if newest.is_none() && self.is_stuck() && again_at > now {
                    self.due = again_at;
                    return None;
                }
                newest.or(Some(next))
            }
        };
        Some(Ask {
            target,
            window,
            is_backfill: false,
        })
    }

    /// Returns the question for the begin of a window of a backfill; `target` is its own position.
    pub(super) fn ask_past(&self, target: usize, window: Window) -> Ask {
        Ask {
            target,
            window: Some(self.chunk(window)),
            is_backfill: true,
        }
    }

    fn chunk(&self, window: Window) -> Window {
        Window {
            to: window.to.min(window.from.saturating_add(self.chunk_max)),
            ..window
        }
    }

    pub(super) fn chunks(&self, window: Window) -> u64 {
        let chunk = self.chunk_max.max(1);
        u64::try_from((window.length() + chunk - 1) / chunk).unwrap_or(0)
    }
}

impl Cursor {
    /// Returns the pass that is due now, and whether it asks again for what was answered days ago.
    fn pass(&self, rule: WindowRule, now: i64) -> (Window, bool) {
        let to = rule.closed_until(now);
        let Some(through) = self.through else {
            let from = rule
                .since
                .map_or(to - rule.reask, |since| rule.floor(since));
            return (Window { from, to }, true);
        };
        let reasks = self
            .reasked_at
            .is_none_or(|at| now.saturating_sub(at) >= DAY_US || at > now);
        let back = if reasks { rule.reask } else { rule.overlap };
        let from = rule.floor(through.min(to - back));
        (Window { from, to }, reasks)
    }
}

//! Where one target of a plan stands: when it is asked, for what, and how it fails.

use meetnet_model::calendar::DAY_US;

use super::{Ask, HOUR_US, Purpose, Target, Window, WindowRule};
use crate::poll::state::{Cursor, Gap};
use crate::poll::verdict::{Failure, FailureKind};

/// Failures in a row of one window after which the newest periods are asked for meanwhile: an answer that one row breaks must
/// not keep away all that come after it.
const STUCK_FAILURES: u32 = 3;

/// A gap that failed is asked for again after this: as often as what else keeps failing is in the end.
const GAP_PAUSE_US: i64 = HOUR_US;

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
    /// Where the newest periods begin that were answered when they were asked for last; none: they have not been.
    pub(super) newer_from: Option<i64>,
}

/// Which part of a target fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailingPart<'p> {
    /// What is new.
    New,
    /// Its past, which a backfill asks for.
    Past,
    /// What live polling has passed over.
    Gaps(&'p [Gap]),
}

#[derive(Debug)]
pub(super) struct Course {
    pub(super) target: Target,
    pub(super) cursor: Cursor,
    pub(super) due: i64,
    /// How it fails when it is asked for what is new, and for its past: one can work without the other.
    pub(super) trouble: Option<Trouble>,
    pub(super) past_trouble: Option<Trouble>,
    /// How its gaps fail; none where it has none.
    pub(super) gap_trouble: Option<Trouble>,
    /// Where the gaps begin that have their turn before those that failed last.
    pub(super) gap_from: i64,
    /// What is left of the pass that is under way, and whether it re-asks.
    pub(super) pass: Option<(Window, bool)>,
    /// When the newest periods are asked for again, where the pass is stuck.
    pub(super) newest_due: i64,
    pub(super) chunk_max: i64,
}

impl Course {
    pub(super) fn trouble_mut(&mut self, ask: &Ask) -> &mut Option<Trouble> {
        match ask.purpose {
            Purpose::New => &mut self.trouble,
            Purpose::Past => &mut self.past_trouble,
            Purpose::Gap => &mut self.gap_trouble,
        }
    }

    /// Returns what fails.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (FailingPart<'_>, &Trouble)> {
        let new = self.trouble.as_ref();
        let past = self.past_trouble.as_ref();
        let gaps = self.gap_trouble.as_ref();
        let all = [
            (FailingPart::New, new),
            (FailingPart::Past, past),
            (FailingPart::Gaps(&self.cursor.gaps), gaps),
        ];
        all.into_iter()
            .filter_map(|(part, trouble)| Some((part, trouble?)))
    }

    /// Whether the window that is next keeps failing, or is refused, and there may be newer ones behind it.
    pub(super) fn is_stuck(&self) -> bool {
        let trouble = self.trouble.as_ref();
        self.target.windows.is_some()
            && trouble.is_some_and(|of| of.failures >= STUCK_FAILURES || of.is_refused)
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
        ask.purpose == Purpose::New && window.from != left.from
    }

    /// Takes up the gaps that an earlier process has passed over, on the periods that are asked for today.
    pub(super) fn take_up_gaps(&mut self) {
        let gaps = std::mem::take(&mut self.cursor.gaps);
        let Some(rule) = self.target.windows else {
            return;
        };
        for Gap { window, since } in gaps {
            let window = Window {
                from: rule.floor(window.from),
                to: rule.ceil(window.to),
            };
            if !window.is_empty() {
                self.cursor.add_gap(Gap { window, since });
            }
        }
    }

    /// Shows the gaps as failing, although this process has not asked for them yet.
    pub(super) fn show_gaps(&mut self) {
        let since = self.cursor.gaps.iter().map(|gap| gap.since).min();
        self.gap_trouble = since.map(|since| Trouble {
            failures: 0,
            since,
            // At once.
            again_at: since,
            message: "it failed before the start, and is asked for again".to_owned(),
            is_refused: false,
            answers_before: 0,
            newer_from: None,
        });
    }

    /// Makes a gap of the window that keeps failing, where newer periods are answered, so that the pass goes on behind it.
    /// Returns whether it did.
    pub(super) fn pass_over(&mut self, ask: &Ask, now: i64) -> bool {
        let (Some((left, reasks)), Some(window)) = (self.pass, ask.window) else {
            return false;
        };
        if !self.is_stuck() {
            return false;
        }
        let Some(trouble) = &self.trouble else {
            return false;
        };
        let Some(newer_from) = trouble.newer_from else {
            return false;
        };
        // What was answered is none of it.
        let gap = Gap {
            window: Window {
                from: window.from,
                to: window.to.min(newer_from),
            },
            since: trouble.since,
        };
        if gap.window.is_empty() || !self.cursor.add_gap(gap) {
            return false;
        }
        let before = self.gap_trouble.take();
        self.gap_trouble = self.trouble.take().map(|trouble| Trouble {
            since: before.map_or(trouble.since, |before| before.since.min(trouble.since)),
            again_at: now.saturating_add(GAP_PAUSE_US),
            ..trouble
        });
        let left = Window {
            from: gap.window.to,
            ..left
        };
        self.cursor.through = self.cursor.through.max(Some(left.from));
        self.pass = Some((left, reasks));
        if left.is_empty() {
            self.end_pass(now);
        }
        // Whether the next one is broken, too, the newest periods tell again.
        self.newest_due = now;
        self.due = now;
        true
    }

    /// Ends the pass that is under way.
    pub(super) fn end_pass(&mut self, now: i64) {
        if let Some((_, true)) = self.pass.take() {
            self.cursor.reasked_at = Some(now);
        }
    }

    /// Takes out of the gaps what was answered, whoever has asked for it; the rest has its turn at once.
    pub(super) fn close_gaps(&mut self, answered: Window, now: i64) {
        if self.cursor.gaps.is_empty() {
            return;
        }
        let before = self.cursor.gaps.clone();
        self.cursor.close(answered);
        if self.cursor.gaps.is_empty() {
            self.gap_trouble = None;
        } else if self.cursor.gaps != before
            && let Some(trouble) = &mut self.gap_trouble
        {
            trouble.again_at = now;
        }
    }

    /// Returns when a gap has its turn; none where there is none, or where not even what is new is answered.
    pub(super) fn gap_due(&mut self, latest: i64) -> Option<i64> {
        if self.cursor.gaps.is_empty() || self.trouble.is_some() {
            return None;
        }
        let Some(trouble) = &mut self.gap_trouble else {
            return Some(i64::MIN);
        };
        trouble.again_at = trouble.again_at.min(latest);
        Some(trouble.again_at)
    }

    /// Returns the question for a part of a gap; of those that fail each has its turn.
    pub(super) fn ask_gap(&self, target: usize) -> Option<Ask> {
        let behind = |gap: &Gap| Window {
            from: gap.window.from.max(self.gap_from),
            ..gap.window
        };
        let gaps = &self.cursor.gaps;
        let next = gaps.iter().map(behind).find(|window| !window.is_empty());
        let window = next.or_else(|| gaps.first().map(|gap| gap.window))?;
        Some(Ask {
            target,
            window: Some(self.chunk(window)),
            purpose: Purpose::Gap,
        })
    }

    /// Notes that a gap still fails; `pause` is how long its source waits.
    pub(super) fn gap_failed(
        &mut self,
        ask: &Ask,
        failure: &Failure,
        answers: u64,
        now: i64,
        pause: i64,
    ) {
        self.note(ask, failure, answers, now, |_| pause.max(GAP_PAUSE_US));
        self.gap_from = ask.window.map_or(i64::MIN, |window| window.to);
    }

    /// Notes when the newest periods are asked for again; what is next may come before.
    pub(super) fn ask_newest_at(&mut self, at: i64) {
        self.newest_due = at;
        let again_at = self.trouble.as_ref().map_or(at, |of| of.again_at);
        self.due = at.min(again_at);
    }

    /// Notes that the newest periods fail as well, so that nobody knows whether it is the window alone that is next.
    pub(super) fn newest_failed(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.newer_from = None;
        }
    }

    /// Notes that the newest periods are refused. Where what is next was refused, too, it is likely the target that is, and both
    /// have their turn: together they are asked for no more often than one of them would be.
    pub(super) fn newest_refused(&mut self, now: i64, pause: i64) {
        self.newest_failed();
        let mut again_at = now.saturating_add(pause);
        if let Some(trouble) = &mut self.trouble
            && trouble.is_refused
        {
            trouble.again_at = trouble.again_at.max(again_at);
            again_at = again_at.saturating_add(pause);
        }
        self.ask_newest_at(again_at);
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
            newer_from: None,
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
                let (left, reasks) = *self.pass.get_or_insert_with(|| self.cursor.pass(rule, now));
                if left.is_empty() {
                    self.pass = None;
                    self.due = now.saturating_add(rule.align);
                    return None;
                }
                // What is known to be broken is asked for by itself.
                let beside = self.cursor.beside_gaps(left);
                if beside.is_empty() {
                    self.end_pass(now);
                    let interval = self.target.interval.unwrap_or(DAY_US);
                    self.due = now.saturating_add(interval);
                    return None;
                }
                let left = Window {
                    from: beside.from,
                    ..left
                };
                self.pass = Some((left, reasks));
                let next = self.chunk(beside);
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
            purpose: Purpose::New,
        })
    }

    /// Returns the question for the begin of a window of a backfill; `target` is its own position.
    pub(super) fn ask_past(&self, target: usize, window: Window) -> Ask {
        Ask {
            target,
            window: Some(self.chunk(window)),
            purpose: Purpose::Past,
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

//! What a polled source asks next: a function of its rules, its cursors and the time.
//!
//! A source has *targets* that are asked one by one: a road segment, a time series, a filter. A target without windows
//! is asked for what it says now; one with windows for spans of time that are closed. Live polling of a windowed target
//! is a *pass*: from a little before its cursor, or once in a while from days before, up to the newest closed period,
//! in chunks that the API allows. A backfill asks for older windows of every target whenever nothing is due.
//!
//! A target whose answers stay broken stands in nobody's way: it is asked less and less, its windows are kept until it
//! answers, and meanwhile those of the others, and the rest of its own, go on in turn. A window that keeps failing while the
//! newest periods of its target are answered becomes a *gap* of the cursor: the pass goes on behind it, and the gap is asked
//! for again by itself until it is answered.
//!
//! Times are µs since 1970, UTC. It owns no clock and no randomness: the caller passes both.

use std::collections::BTreeSet;

use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::time::format_rfc3339;

use super::pace::backoff;
use super::state::Cursor;
use super::verdict::{Failure, FailureKind};

mod course;
mod past;
#[cfg(test)]
mod tests;

use course::Course;
pub(crate) use course::{FailingPart, Trouble};
use past::Backfill;
pub(crate) use past::BackfillState;

pub(crate) const HOUR_US: i64 = 3_600 * SECOND_US;

/// As long as a target that answered lately is there to be asked, the pause after failures of others ends when it is due,
/// or after this: it tells whether the API is down.
const PROOF_PAUSE_US: i64 = 60 * SECOND_US;
/// A target that was refused (unknown, no rights) is asked again after this at the earliest: somebody has to act.
const REFUSED_PAUSE_US: i64 = HOUR_US;
/// Longest pause that an API can ask for with `Retry-After`.
const RETRY_AFTER_US_MAX: i64 = DAY_US;

/// A span of time, `[from, to)`, µs since 1970 UTC; up to now where it ends with [`i64::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first instant.
    pub from: i64,
    /// The first instant after it.
    pub to: i64,
}

impl Window {
    pub(crate) fn is_empty(self) -> bool {
        self.from >= self.to
    }

    pub(crate) fn is_open_ended(self) -> bool {
        self.to == i64::MAX
    }

    fn length(self) -> i64 {
        self.to.saturating_sub(self.from)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = format_rfc3339(self.from);
        if self.is_open_ended() {
            return write!(f, "{from}/..");
        }
        write!(f, "{from}/{}", format_rfc3339(self.to))
    }
}

/// How a target with windows is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowRule {
    /// Windows begin and end on multiples of this.
    pub(crate) align: i64,
    /// A period is asked for this long after its end: earlier it would be incomplete.
    pub(crate) closed_after: i64,
    /// How much before its cursor a pass begins: periods that were late.
    pub(crate) overlap: i64,
    /// How far back the first pass of a day begins: values that were corrected.
    pub(crate) reask: i64,
    /// Where the first pass of all begins; none: `reask` before its end.
    pub(crate) since: Option<i64>,
    /// Longest window of one request.
    pub(crate) chunk_max: i64,
}

impl WindowRule {
    fn floor(self, at: i64) -> i64 {
        at.div_euclid(self.align) * self.align
    }

    fn ceil(self, at: i64) -> i64 {
        self.floor(at.saturating_add(self.align - 1))
    }

    /// Returns the end of the newest closed period.
    fn closed_until(self, now: i64) -> i64 {
        self.floor(now - self.closed_after)
    }
}

/// One thing that is asked for by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name within the source; cursors are kept by it.
    pub(crate) name: String,
    /// How often it is asked; none: for backfills only.
    pub(crate) interval: Option<i64>,
    /// None: it is asked for what it says now.
    pub(crate) windows: Option<WindowRule>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The position of its target.
    pub(crate) target: usize,
    /// The span asked for, where the target has windows.
    pub(crate) window: Option<Window>,
    /// What it is asked for.
    pub(crate) purpose: Purpose,
}

impl Ask {
    /// Whether it belongs to a backfill.
    pub(crate) fn is_backfill(&self) -> bool {
        self.purpose == Purpose::Past
    }
}

/// What a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Live polling: what is new, or corrected.
    New,
    /// A backfill.
    Past,
    /// Something that live polling has passed over.
    Gap,
}

/// What the plan says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask this now.
    Ask(Ask),
    /// There is nothing to ask before this time.
    Wait(i64),
}

/// The plan of one source.
#[derive(Debug)]
pub(crate) struct Plan {
    courses: Vec<Course>,
    is_live: bool,
    paused_until: i64,
    /// The targets that have failed since anybody answered.
    failing: BTreeSet<usize>,
    /// Questions that have failed since anybody answered.
    failures: u32,
    /// Questions that were answered.
    answers: u64,
    /// Failures in a row of what backfills ask, of whichever targets.
    backfill_failures: u32,
    backfill: Option<Backfill>,
}

impl Plan {
    /// Makes a plan; `cursor` gives what is known of a target, `is_live` whether anything but backfills is asked.
    pub(crate) fn new(
        targets: Vec<Target>,
        mut cursor: impl FnMut(&str) -> Cursor,
        is_live: bool,
    ) -> Self {
        let course = |target: Target| {
            let cursor = cursor(&target.name);
            // Asked at once where it never was, else when its time has come.
            let due = match (cursor.polled_at, target.interval) {
                (Some(polled_at), Some(interval)) => polled_at.saturating_add(interval),
                _ => i64::MIN,
            };
            let mut course = Course {
                chunk_max: target.windows.map_or(0, |rule| rule.chunk_max),
                target,
                cursor,
                due,
                trouble: None,
                past_trouble: None,
                gap_trouble: None,
                gap_from: i64::MIN,
                pass: None,
                newest_due: i64::MIN,
            };
            course.take_up_gaps();
            // Who asks for backfills only leaves the gaps to live polling.
            if is_live {
                course.show_gaps();
            }
            course
        };
        Self {
            courses: targets.into_iter().map(course).collect(),
            is_live,
            paused_until: i64::MIN,
            failing: BTreeSet::new(),
            failures: 0,
            answers: 0,
            backfill_failures: 0,
            backfill: None,
        }
    }

    pub(crate) fn target(&self, ask: &Ask) -> &Target {
        &self.courses[ask.target].target
    }

    pub(crate) fn cursor(&self, ask: &Ask) -> &Cursor {
        &self.courses[ask.target].cursor
    }

    /// Returns every target's name with its cursor, to be saved.
    pub(crate) fn cursors(&self) -> impl Iterator<Item = (&str, &Cursor)> {
        self.courses
            .iter()
            .map(|course| (course.target.name.as_str(), &course.cursor))
    }

    /// Says what to ask, or until when to wait.
    pub(crate) fn next(&mut self, now: i64) -> Next {
        // A clock that was set back must not make anything wait for longer than it ever would.
        self.paused_until = self
            .paused_until
            .min(now.saturating_add(RETRY_AFTER_US_MAX));
        if self.paused_until > now {
            return Next::Wait(self.paused_until);
        }
        let mut soonest = i64::MAX;
        // Whether it is the API that fails: those that answered lately tell, so they come first.
        let needs_proof = !self.failing.is_empty();
        if self.is_live {
            let mut order: Vec<(bool, i64, usize)> = Vec::with_capacity(self.courses.len());
            for (at, course) in self.courses.iter_mut().enumerate() {
                if let Some(interval) = course.target.interval {
                    let latest = now.saturating_add(interval.max(RETRY_AFTER_US_MAX));
                    course.due = course.due.min(latest);
                    course.newest_due = course.newest_due.min(latest);
                    if let Some(trouble) = &mut course.trouble {
                        trouble.again_at = trouble.again_at.min(latest);
                    }
                    order.push((needs_proof && !course.is_well(), course.due, at));
                }
            }
            order.sort_unstable();
            for (_, due, at) in order {
                if due > now {
                    soonest = soonest.min(due);
                    continue;
                }
                if needs_proof
                    && !self.courses[at].is_well()
                    && let Some(ask) = self.past_due_before(due)
                {
                    return Next::Ask(ask);
                }
                if let Some(ask) = self.courses[at].ask(at, now) {
                    return Next::Ask(ask);
                }
                soonest = soonest.min(self.courses[at].due);
            }
        }
        let under_way = self.backfill.as_ref();
        let under_way = under_way.filter(|backfill| !backfill.state.is_over());
        let left = || under_way.into_iter().flat_map(|backfill| &backfill.left);
        if needs_proof
            && let Some(&(target, window)) = left().find(|(at, _)| self.courses[*at].is_well())
        {
            return Next::Ask(self.courses[target].ask_past(target, window));
        }
        // The one that has waited longest, so that each has its turn.
        let mut gap: Option<(i64, usize)> = None;
        if self.is_live {
            let latest = now.saturating_add(RETRY_AFTER_US_MAX);
            for (at, course) in self.courses.iter_mut().enumerate() {
                if let Some(due) = course.gap_due(latest)
                    && gap.is_none_or(|(first, _)| due < first)
                {
                    gap = Some((due, at));
                }
            }
        }
        match gap {
            Some((due, at)) if due <= now => {
                if let Some(ask) = self.courses[at].ask_gap(at) {
                    return Next::Ask(ask);
                }
            }
            Some((due, _)) => soonest = soonest.min(due),
            None => {}
        }
        for &(target, window) in left() {
            let course = &mut self.courses[target];
            let again_at = course.past_trouble.as_mut().map_or(i64::MIN, |trouble| {
                let latest = now.saturating_add(RETRY_AFTER_US_MAX);
                trouble.again_at = trouble.again_at.min(latest);
                trouble.again_at
            });
            if again_at <= now {
                return Next::Ask(course.ask_past(target, window));
            }
            soonest = soonest.min(again_at);
        }
        Next::Wait(soonest)
    }

    /// Whether all that the backfill has left waits for targets that fail, and nothing else.
    pub(crate) fn is_held_up(&self, now: i64) -> bool {
        let waits = |(target, _): &(usize, Window)| {
            let trouble = self.courses[*target].past_trouble.as_ref();
            trouble.is_some_and(|trouble| trouble.again_at > now)
        };
        self.paused_until <= now
            && self.backfill.as_ref().is_some_and(|backfill| {
                !backfill.state.is_over() && backfill.left.iter().all(waits)
            })
    }

    /// Returns the targets that fail, which part of them, and how.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = (&str, FailingPart<'_>, &Trouble)> {
        self.courses.iter().flat_map(|course| {
            let name = course.target.name.as_str();
            let troubles = course.troubles();
            troubles.map(move |(part, trouble)| (name, part, trouble))
        })
    }

    /// Whether the target of a question still fails when it is asked for such.
    pub(crate) fn is_failing(&self, ask: &Ask) -> bool {
        let course = &self.courses[ask.target];
        let trouble = match ask.purpose {
            Purpose::New => &course.trouble,
            Purpose::Past => &course.past_trouble,
            Purpose::Gap => &course.gap_trouble,
        };
        trouble.is_some()
    }

    /// Whether others have been answered since the target of a question began to fail: then it is not the API that
    /// fails. So it was with every gap, which an earlier process may have passed over.
    pub(crate) fn fails_alone(&self, ask: &Ask) -> bool {
        let is_gap = ask.purpose == Purpose::Gap;
        let mut troubles = self.courses[ask.target].troubles();
        is_gap || troubles.any(|(_, trouble)| self.answers > trouble.answers_before)
    }

    /// The answer is in the journal, on disk, or said nothing new.
    pub(crate) fn taken(&mut self, ask: &Ask, now: i64) {
        self.answered(ask, now);
        if let Some(window) = ask.window {
            self.courses[ask.target].close_gaps(window, now);
        }
        if ask.is_backfill() {
            return self.backfill_goes_on(ask, None);
        }
        if ask.purpose == Purpose::Gap {
            return;
        }
        let course = &mut self.courses[ask.target];
        let interval = course.target.interval.unwrap_or(DAY_US);
        let Some(window) = ask.window else {
            course.cursor.polled_at = Some(now);
            course.due = now.saturating_add(interval);
            return;
        };
        if course.is_newest(ask) {
            // The pass waits where it is, and so does the cursor, until what is next fails once more: then it is that.
            course.cursor.polled_at = Some(now);
            if let Some(trouble) = &mut course.trouble {
                trouble.newer_from = Some(window.from);
            }
            return course.ask_newest_at(now.saturating_add(interval));
        }
        course.cursor.through = course.cursor.through.max(Some(window.to));
        let Some((left, _)) = &mut course.pass else {
            return;
        };
        left.from = window.to;
        if left.is_empty() {
            course.cursor.polled_at = Some(now);
            course.end_pass(now);
            course.due = now.saturating_add(interval);
        }
    }

    /// Notes that a target answers. Where it had failed, what was wrong with it may have been wrong with those that began
    /// to fail with it or later: they are asked now, and not only when their pauses end. Whoever had failed before it is
    /// none of them: a target that falters now and then must not have broken ones asked each time.
    fn answered(&mut self, ask: &Ask, now: i64) {
        self.failing.clear();
        self.failures = 0;
        self.answers += 1;
        let course = &mut self.courses[ask.target];
        // What waits is another window, or may have more of its kind behind it.
        if course.is_newest(ask) || ask.purpose == Purpose::Gap {
            return;
        }
        let Some(mended) = course.trouble_mut(ask).take() else {
            return;
        };
        let began_with = mended.answers_before;
        for course in &mut self.courses {
            let Course {
                due,
                trouble,
                past_trouble,
                ..
            } = course;
            let trouble = trouble.as_mut().filter(|of| !of.is_refused);
            if let Some(trouble) = trouble.filter(|of| of.answers_before >= began_with) {
                trouble.again_at = trouble.again_at.min(now);
                *due = (*due).min(now);
            }
            let past_trouble = past_trouble.as_mut();
            if let Some(trouble) = past_trouble.filter(|of| of.answers_before >= began_with) {
                trouble.again_at = trouble.again_at.min(now);
            }
        }
    }

    /// Notes the validators of an answer: the next request asks only for what has changed since.
    pub(crate) fn validators(
        &mut self,
        ask: &Ask,
        etag: Option<String>,
        last_modified: Option<String>,
    ) {
        let cursor = &mut self.courses[ask.target].cursor;
        cursor.etag = etag;
        cursor.last_modified = last_modified;
    }

    /// The question failed; `jitter` between 0.5 and 1 keeps sources from coming back in step.
    pub(crate) fn failed(&mut self, ask: &Ask, failure: &Failure, now: i64, jitter: f64) {
        let asked_for = failure
            .retry_after
            .unwrap_or(0)
            .clamp(0, RETRY_AFTER_US_MAX);
        let answers = self.answers;
        if failure.kind == FailureKind::Refused {
            // It is about this target or window alone; the others go on.
            self.failing.clear();
            self.failures = 0;
            if ask.is_backfill() {
                self.courses[ask.target].past_trouble = None;
                return self.backfill_goes_on(ask, Some(&failure.message));
            }
            let course = &mut self.courses[ask.target];
            let interval = course.target.interval.unwrap_or(DAY_US);
            let pause = interval.max(REFUSED_PAUSE_US).max(asked_for);
            if ask.purpose == Purpose::Gap {
                return course.gap_failed(ask, failure, answers, now, pause);
            }
            if course.is_newest(ask) {
                return course.newest_refused(now, pause);
            }
            let again_at = course.note(ask, failure, answers, now, |_| pause);
            if !course.pass_over(ask, now) {
                course.pass = None;
                course.due = again_at;
            }
            return;
        }
        // Targets count, not failures: one that is broken must not make the others wait longer each time that it is
        // tried. Where there are no others to wait, the API is down, and asked less and less by all of them together.
        self.failing.insert(ask.target);
        self.failures = self.failures.saturating_add(1);
        let mut failing = u32::try_from(self.failing.len()).unwrap_or(u32::MAX);
        if self.nobody_answers() {
            failing = failing.max(self.failures);
        }
        let mut pause = backoff(failing, jitter).max(asked_for);
        if failure.kind == FailureKind::Fault && asked_for == 0 {
            pause = pause.min(self.until_proof(ask, now).max(PROOF_PAUSE_US));
        }
        self.paused_until = now.saturating_add(pause);
        let course = &mut self.courses[ask.target];
        if course.is_newest(ask) {
            // Where they fail as well, nobody says that the API answers: no more often than what is next.
            course.newest_failed();
            let failures = course.trouble.as_ref().map_or(0, |of| of.failures);
            let interval = course.target.interval.unwrap_or(DAY_US);
            let pause = interval.max(pause).max(backoff(failures, jitter));
            return course.ask_newest_at(now.saturating_add(pause));
        }
        if ask.purpose == Purpose::Gap {
            return course.gap_failed(ask, failure, answers, now, pause);
        }
        // Behind the others: one target whose answers are broken must not stand in their way.
        let pause_of_target = |failures| pause.max(backoff(failures, jitter));
        let again_at = course.note(ask, failure, answers, now, pause_of_target);
        if ask.is_backfill() {
            self.backfill_waits(ask, &failure.message);
        } else if failure.kind == FailureKind::Fault && course.pass_over(ask, now) {
            // Now it is the turn of what lies behind.
        } else if course.is_stuck() {
            course.due = again_at.min(course.newest_due.max(now.saturating_add(pause)));
        } else {
            course.due = again_at;
        }
    }

    /// Returns a window of the backfill that failed and was due again before `due`: of what fails each has its turn.
    fn past_due_before(&self, due: i64) -> Option<Ask> {
        let backfill = self.backfill.as_ref();
        let backfill = backfill.filter(|backfill| !backfill.state.is_over())?;
        let is_before = |(at, _): &&(usize, Window)| {
            let trouble = self.courses[*at].past_trouble.as_ref();
            trouble.is_some_and(|trouble| trouble.again_at < due)
        };
        let &(target, window) = backfill.left.iter().find(is_before)?;
        Some(self.courses[target].ask_past(target, window))
    }

    /// Whether all that is asked fails.
    fn nobody_answers(&self) -> bool {
        let mut left = self.backfill.iter().flat_map(|backfill| &backfill.left);
        let mut live = self
            .courses
            .iter()
            .filter(|course| self.is_live && course.target.interval.is_some());
        left.all(|(at, _)| self.courses[*at].past_trouble.is_some())
            && live.all(|course| course.trouble.is_some())
    }

    /// Returns how long it is until a target can be asked that answered lately, beside that of `ask`; the longest time where
    /// there is none.
    fn until_proof(&self, ask: &Ask, now: i64) -> i64 {
        let is_proof = |at: usize| at != ask.target && self.courses[at].is_well();
        let mut left = self.backfill.iter().flat_map(|backfill| &backfill.left);
        if left.any(|(at, _)| is_proof(*at)) {
            return 0;
        }
        let courses = self.courses.iter().enumerate();
        let asked = courses.filter(|(at, course)| {
            self.is_live && course.target.interval.is_some() && is_proof(*at)
        });
        let waits = asked.map(|(_, course)| course.due.saturating_sub(now));
        waits.min().unwrap_or(i64::MAX)
    }

    /// The answer would be too large: asks for half of the window from now on. False where it cannot be halved.
    pub(crate) fn split(&mut self, ask: &Ask) -> bool {
        let course = &mut self.courses[ask.target];
        let (Some(rule), Some(window)) = (course.target.windows, ask.window) else {
            return false;
        };
        let half = rule.floor(window.length() / 2);
        if half < rule.align {
            return false;
        }
        course.chunk_max = half;
        true
    }

    /// Forgets how targets fail when they are asked for their past: nobody asks any more.
    pub(crate) fn forget_past_troubles(&mut self) {
        for course in &mut self.courses {
            course.past_trouble = None;
        }
    }
}

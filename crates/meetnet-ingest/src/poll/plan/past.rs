//! The backfill of a plan: older windows of every target, those that fail behind the others.

use std::collections::VecDeque;

use super::{Ask, Plan, Window};

/// Failures in a row after which a backfill gives up that a command without a daemon waits for.
pub(super) const BACKFILL_FAILURES_MAX: u32 = 8;

/// How a backfill stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BackfillState {
    pub(crate) windows_done: u64,
    pub(crate) windows_left: u64,
    /// What was refused, and why: the first few.
    pub(crate) refused: Vec<String>,
    pub(crate) refused_total: u64,
    /// Why it was given up, where somebody waits for it; its windows are kept.
    pub(crate) given_up: Option<String>,
}

impl BackfillState {
    pub(crate) fn is_over(&self) -> bool {
        self.windows_left == 0 || self.given_up.is_some()
    }
}

/// Refusals that are told one by one.
const REFUSED_LISTED_MAX: usize = 5;

#[derive(Debug)]
pub(super) struct Backfill {
    /// Positions of targets, with what is left of the span.
    pub(super) left: VecDeque<(usize, Window)>,
    pub(super) state: BackfillState,
}

impl Plan {
    /// Begins to ask for `span` of every target with windows, one target after the other. Returns the number of windows.
    ///
    /// A backfill that is under way is replaced: the caller has one at a time.
    pub(crate) fn begin_backfill(&mut self, span: Window, now: i64) -> u64 {
        let mut left = VecDeque::new();
        let mut windows = 0;
        for (at, course) in self.courses.iter().enumerate() {
            let Some(rule) = course.target.windows else {
                continue;
            };
            let window = Window {
                from: rule.floor(span.from),
                to: rule.ceil(span.to).min(rule.closed_until(now)),
            };
            if !window.is_empty() {
                windows += course.chunks(window);
                left.push_back((at, window));
            }
        }
        self.backfill = Some(Backfill {
            left,
            state: BackfillState {
                windows_left: windows,
                ..BackfillState::default()
            },
        });
        windows
    }

    /// Goes on with a backfill that stood at `state` and had `left` to ask for, by names of targets. Those that are no
    /// longer asked are passed over. Returns the number of windows.
    pub(crate) fn resume_backfill(
        &mut self,
        left: &[(String, Window)],
        state: BackfillState,
    ) -> u64 {
        let mut windows = 0;
        let mut known = VecDeque::with_capacity(left.len());
        for (name, window) in left {
            let mut courses = self.courses.iter().enumerate();
            let Some((at, course)) = courses.find(|(_, course)| course.target.name == *name) else {
                continue;
            };
            let Some(rule) = course.target.windows else {
                continue;
            };
            // The rule may be another one than when they were cut.
            let window = Window {
                from: rule.floor(window.from),
                to: rule.ceil(window.to),
            };
            if !window.is_empty() {
                windows += course.chunks(window);
                known.push_back((at, window));
            }
        }
        self.backfill = Some(Backfill {
            left: known,
            state: BackfillState {
                windows_left: windows,
                ..state
            },
        });
        windows
    }

    /// Returns what the backfill has left to ask for, by names of targets.
    pub(crate) fn backfill_left(&self) -> Vec<(String, Window)> {
        let left = self.backfill.iter().flat_map(|backfill| &backfill.left);
        left.map(|(at, window)| (self.courses[*at].target.name.clone(), *window))
            .collect()
    }

    /// How the backfill stands; none where none is under way.
    pub(crate) fn backfill(&self) -> Option<&BackfillState> {
        self.backfill.as_ref().map(|backfill| &backfill.state)
    }

    /// Why some of what the backfill has left is asked for later; none where nothing is.
    pub(crate) fn backfill_trouble(&self) -> Option<String> {
        let mut left = self.backfill.iter().flat_map(|backfill| &backfill.left);
        left.find_map(|(target, _)| {
            let course = &self.courses[*target];
            let trouble = course.past_trouble.as_ref()?;
            Some(format!("{}: {}", course.target.name, trouble.message))
        })
    }

    /// Forgets the backfill; how its targets fail stays known.
    pub(crate) fn end_backfill(&mut self) {
        self.backfill = None;
    }

    /// Puts the window that failed behind the others.
    pub(super) fn backfill_waits(&mut self, ask: &Ask, message: &str) {
        let (Some(backfill), Some(window)) = (&mut self.backfill, ask.window) else {
            return;
        };
        backfill.pass_over(ask.target, window);
        backfill.put_behind(ask.target, window);
        self.backfill_failures += 1;
        // Whoever waits is told; else nobody is waited for, and what is left is kept until it is answered.
        if !self.is_live && self.backfill_failures >= BACKFILL_FAILURES_MAX {
            self.backfill_failures = 0;
            backfill.state.given_up = Some(message.to_owned());
        }
    }

    pub(super) fn backfill_goes_on(&mut self, ask: &Ask, refused: Option<&str>) {
        let (Some(backfill), Some(window)) = (&mut self.backfill, ask.window) else {
            return;
        };
        self.backfill_failures = 0;
        backfill.state.windows_done += 1;
        if let Some(why) = refused {
            backfill.state.refused_total += 1;
            if backfill.state.refused.len() < REFUSED_LISTED_MAX {
                let name = &self.courses[ask.target].target.name;
                backfill
                    .state
                    .refused
                    .push(format!("{name} {window}: {why}"));
            }
        }
        backfill.pass_over(ask.target, window);
        let chunks = |(target, window): &(usize, Window)| self.courses[*target].chunks(*window);
        backfill.state.windows_left = backfill.left.iter().map(chunks).sum();
    }
}

impl Backfill {
    /// Takes a window out of what is left: the begin of an entry of its target.
    fn pass_over(&mut self, target: usize, window: Window) {
        let mut left = self.left.iter();
        let at = left.position(|(of, left)| *of == target && left.from == window.from);
        let Some(at) = at else { return };
        let (_, entry) = &mut self.left[at];
        entry.from = window.to;
        if entry.is_empty() {
            self.left.remove(at);
        }
    }

    /// Puts a window that failed behind the others. Windows of a target that failed one after the other are one entry
    /// again, whatever failed between them: hundreds of targets with a year of days each must not become an entry a day.
    fn put_behind(&mut self, target: usize, window: Window) {
        let mut left = self.left.iter();
        let at = left.position(|(of, left)| *of == target && left.to == window.from);
        match at {
            Some(at) => self.left[at].1.to = window.to,
            None => self.left.push_back((target, window)),
        }
    }
}

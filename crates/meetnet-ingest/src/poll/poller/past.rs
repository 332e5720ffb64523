//! Backfills of a source: one after the other, where they stand saved with the cursors, so that a restart goes on.

use meetnet_model::ids::SourceId;
use tokio::sync::watch;
use tracing::{info, warn};

use super::Poller;
use crate::poll::backfill::{BackfillCommand, BackfillEnd, BackfillProgress, BackfillRequest};
use crate::poll::pace::Hosts;
use crate::poll::plan::{Ask, BackfillState, Next, Plan, Purpose, Window};
use crate::poll::state::{BackfillCursor, Left};

/// A backfill that is not at its end.
#[derive(Debug)]
pub(super) struct Open {
    /// Where it stood when it was saved last; as it was asked for, where it never has.
    cursor: BackfillCursor,
    progress: watch::Sender<BackfillProgress>,
    /// Answers since this process goes on with it, and how long they took, µs.
    answers: u64,
    answers_us: i64,
}

impl Open {
    fn asked_for(request: BackfillRequest) -> Self {
        let cursor = BackfillCursor {
            span: request.span,
            left: None,
            windows_done: 0,
            items: 0,
            refused: Vec::new(),
            refused_total: 0,
        };
        Self::going_on(cursor, request.progress)
    }

    /// Takes up what stands at `cursor`, and tells `progress`.
    fn going_on(cursor: BackfillCursor, progress: watch::Sender<BackfillProgress>) -> Self {
        progress.send_modify(|progress| {
            progress.windows_done = cursor.windows_done;
            progress.items = cursor.items;
            progress.refused.clone_from(&cursor.refused);
            progress.refused_total = cursor.refused_total;
        });
        Self {
            cursor,
            progress,
            answers: 0,
            answers_us: 0,
        }
    }

    /// Takes up what an earlier process had begun, or had been asked.
    pub(super) fn remembered(cursor: BackfillCursor) -> Self {
        Self::going_on(cursor, watch::Sender::new(BackfillProgress::default()))
    }

    /// Returns what whoever asks for it again is shown.
    pub(super) fn watched(&self) -> (Window, watch::Receiver<BackfillProgress>) {
        (self.cursor.span, self.progress.subscribe())
    }

    /// Begins, or goes on. Returns the number of windows.
    fn begin(&self, plan: &mut Plan, now: i64) -> u64 {
        let BackfillCursor {
            span,
            left,
            windows_done,
            items: _,
            refused,
            refused_total,
        } = &self.cursor;
        let Some(left) = left else {
            return plan.begin_backfill(*span, now);
        };
        let left: Vec<_> = left
            .iter()
            .map(|left| (left.target.clone(), left.window))
            .collect();
        let state = BackfillState {
            windows_done: *windows_done,
            refused: refused.clone(),
            refused_total: *refused_total,
            ..BackfillState::default()
        };
        plan.resume_backfill(&left, state)
    }

    /// Notes where it stands in the plan.
    fn note(&mut self, plan: &Plan) {
        let Some(state) = plan.backfill() else { return };
        let left = plan.backfill_left().into_iter();
        self.cursor.left = Some(
            left.map(|(target, window)| Left { target, window })
                .collect(),
        );
        self.cursor.windows_done = state.windows_done;
        self.cursor.refused.clone_from(&state.refused);
        self.cursor.refused_total = state.refused_total;
    }

    /// Returns when it will be done at the pace of its answers so far; None before the first.
    fn expected_end(&self, hosts: &Hosts, host: &str, windows_left: u64, now: i64) -> Option<i64> {
        let answers = i64::try_from(self.answers)
            .ok()
            .filter(|count| *count > 0)?;
        Some(hosts.expected_end(host, windows_left, now, self.answers_us / answers))
    }

    fn tell_end(self, source: &SourceId, end: BackfillEnd) {
        let (span, windows) = (self.cursor.span, self.cursor.windows_done);
        let (items, refused) = (self.cursor.items, self.cursor.refused_total);
        match &end {
            BackfillEnd::Done => info!(%source, %span, windows, items, refused, "backfill done"),
            BackfillEnd::GivenUp(error) => {
                warn!(%source, %span, windows, error, "backfill given up")
            }
            BackfillEnd::Cancelled => info!(%source, %span, windows, items, "backfill cancelled"),
            BackfillEnd::Interrupted => {
                info!(%source, %span, windows, items, "backfill interrupted; it goes on with the source");
            }
        }
        self.progress
            .send_modify(|progress| progress.ended = Some(end));
    }
}

impl Poller {
    /// Returns where each backfill stands, to be saved.
    pub(super) fn backfill_cursors(&self) -> Vec<BackfillCursor> {
        let open = self.backfills.iter().map(|open| &open.cursor);
        open.chain(&self.left_over).cloned().collect()
    }

    /// Returns what is asked next, or until when to wait. A backfill that waits for targets that fail lets the next one
    /// go before it; where all wait, it is another one's turn each time, as one may be broken where another is not.
    pub(super) fn next_question(&mut self, now: i64) -> Next {
        let mut wait = i64::MAX;
        for _ in 1..self.backfills.len() {
            match self.plan.next(now) {
                Next::Ask(ask) => return Next::Ask(ask),
                Next::Wait(until) => wait = wait.min(until),
            }
            if !self.plan.is_held_up(now) {
                return Next::Wait(wait);
            }
            self.plan.end_backfill();
            self.backfills.rotate_left(1);
            self.begin_next();
        }
        match self.plan.next(now) {
            Next::Ask(ask) => Next::Ask(ask),
            Next::Wait(until) => Next::Wait(wait.min(until)),
        }
    }

    /// Goes on with what an earlier process had begun.
    pub(super) async fn resume_backfills(&mut self) {
        self.begin_next();
        if !self.ended.is_empty() {
            self.save().await;
            self.tell_ends();
        }
    }

    /// Does what it is told, and answers once that outlives the process.
    pub(crate) async fn take(&mut self, command: BackfillCommand) {
        match command {
            BackfillCommand::Begin(request) => {
                let mut left_over = self.left_over.iter();
                let known = left_over.position(|cursor| cursor.span == request.span);
                self.backfills.push_back(match known {
                    Some(at) => Open::going_on(self.left_over.remove(at), request.progress),
                    None => Open::asked_for(request),
                });
                self.begin_next();
                self.save().await;
                self.tell_ends();
            }
            BackfillCommand::CancelAll(answer) => {
                self.plan.end_backfill();
                self.forget_past_troubles();
                self.left_over.clear();
                let cancelled = self.backfills.drain(..);
                let cancelled = cancelled.map(|open| (open, BackfillEnd::Cancelled));
                self.ended.extend(cancelled);
                let count = self.ended.len();
                self.save().await;
                self.tell_ends();
                // Nobody waits for it any more: it is done all the same.
                let _ = answer.send(count);
            }
        }
    }

    /// Begins the next backfill unless one is under way; those without anything to ask for are done at once.
    pub(super) fn begin_next(&mut self) {
        while self.plan.backfill().is_none()
            && let Some(open) = self.backfills.front_mut()
        {
            let goes_on = open.cursor.left.is_some();
            let windows = open.begin(&mut self.plan, (self.clock)());
            let span = open.cursor.span;
            if !open.progress.borrow().begun {
                info!(source = %self.id, %span, windows, goes_on, "backfill begins");
            }
            open.note(&self.plan);
            open.progress.send_modify(|progress| {
                progress.begun = true;
                progress.windows_left = windows;
            });
            if windows == 0 {
                self.end_backfill(BackfillEnd::Done);
            }
        }
    }

    /// Notes what came of a question of the backfill that is under way, which took `took_us`, and shows it.
    pub(super) fn account(
        &mut self,
        ask: &Ask,
        host: &str,
        settled: Result<u64, String>,
        took_us: i64,
    ) {
        let (Some(state), Some(open)) = (self.plan.backfill(), self.backfills.front_mut()) else {
            return;
        };
        let state = state.clone();
        let trouble = match settled {
            Ok(items) => {
                open.cursor.items += items;
                open.answers += 1;
                open.answers_us = open.answers_us.saturating_add(took_us.max(0));
                None
            }
            Err(message) => Some(message),
        };
        // What waits for another target is held up all the same.
        let trouble = trouble.or_else(|| self.plan.backfill_trouble());
        open.note(&self.plan);
        let window = ask.window.map(|window| format!(" {window}"));
        let last = format!(
            "{}{}",
            self.plan.target(ask).name,
            window.unwrap_or_default()
        );
        let now = (self.clock)();
        let expected_end = open.expected_end(&self.hosts, host, state.windows_left, now);
        let items = open.cursor.items;
        open.progress.send_modify(|progress| {
            progress.windows_done = state.windows_done;
            progress.windows_left = state.windows_left;
            progress.items = items;
            // How long something fails nobody knows.
            progress.expected_end = expected_end.filter(|_| trouble.is_none());
            progress.last = Some(last);
            progress.trouble = trouble;
            progress.refused.clone_from(&state.refused);
            progress.refused_total = state.refused_total;
        });
        if state.is_over() {
            let end = state
                .given_up
                .map_or(BackfillEnd::Done, BackfillEnd::GivenUp);
            self.end_backfill(end);
        }
    }

    /// Says why the backfill that is under way waits for its host.
    pub(super) fn trouble(&self, host: &str, trouble: String) {
        let (Some(state), Some(open)) = (self.plan.backfill(), self.backfills.front()) else {
            return;
        };
        let now = (self.clock)();
        // An estimate from before a restart is not there: the pause that the host asks for is known.
        let expected_end = open
            .expected_end(&self.hosts, host, state.windows_left, now)
            .unwrap_or_else(|| self.hosts.expected_end(host, state.windows_left, now, 0));
        open.progress.send_modify(|progress| {
            progress.expected_end = Some(expected_end);
            progress.trouble = Some(trouble);
        });
    }

    /// Takes the backfill that is under way out; it is told once it is forgotten on disk, too. What is left of one that
    /// is given up stays there.
    fn end_backfill(&mut self, end: BackfillEnd) {
        self.plan.end_backfill();
        let Some(open) = self.backfills.pop_front() else {
            return;
        };
        if let BackfillEnd::GivenUp(error) = &end {
            let span = open.cursor.span;
            self.status
                .note_error(format!("the backfill of {span} was given up: {error}"));
            self.left_over.push(open.cursor.clone());
        }
        self.ended.push((open, end));
        if self.backfills.is_empty() {
            self.forget_past_troubles();
        }
    }

    /// Forgets which targets fail when they are asked for their past: nobody asks any more, and whoever does later is told
    /// anew.
    fn forget_past_troubles(&mut self) {
        self.plan.forget_past_troubles();
        self.told_failing
            .retain(|(_, purpose)| *purpose != Purpose::Past);
        self.show_failing();
    }

    /// Tells whoever waits that backfills have ended. A command without a daemon ends with it, so what is saved must not
    /// have them any more.
    pub(super) fn tell_ends(&mut self) {
        for (open, end) in self.ended.drain(..) {
            open.tell_end(&self.id, end);
        }
    }

    /// Tells whoever waits that the source has stopped.
    pub(super) fn interrupt_backfills(&mut self) {
        self.tell_ends();
        for open in self.backfills.drain(..) {
            open.tell_end(&self.id, BackfillEnd::Interrupted);
        }
    }
}

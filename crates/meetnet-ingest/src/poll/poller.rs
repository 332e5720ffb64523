//! The rim of a polled source: its plan is asked, requests are sent, bodies journalled, cursors saved.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use meetnet_lake::journal::{AppendError, NewEnvelope};
use meetnet_model::calendar::SECOND_US;
use meetnet_model::ids::SourceId;
use meetnet_model::source::SourceKind;
use meetnet_model::time::format_rfc3339;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Url;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::backfill::{BackfillCommand, BackfillEnd, Backfills};
use super::fetch::{Credential, Fetcher, NoAnswer, Request};
use super::options::{PollOptions, PollOptionsError, host_of};
use super::pace::{Asked, Hosts};
use super::plan::{Ask, FailingPart, Next, Plan, Purpose, Target};
use super::scrub;
use super::state::{BackfillCursor, Gap, Remembered, StateFile};
use super::verdict::{Failure, FailureKind, Verdict};
use crate::intake::Intake;
use crate::status::{FailingTarget, SourceState, Statuses, now_us};

mod past;
#[cfg(test)]
mod tests;

use past::Open;

/// Longest sleep: a clock that was set is noticed after it.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A backfill that waits longer than this says so.
const TOLD_WAIT_US: i64 = 60 * SECOND_US;

/// What a source's task needs.
pub struct PollSource {
    /// The source.
    pub id: SourceId,
    /// How it is polled.
    pub options: PollOptions,
    /// Its API key, resolved; none where the API asks for none.
    pub api_key: Option<String>,
    /// The journal.
    pub intake: Intake,
    /// Where its state is shown.
    pub statuses: Statuses,
    /// The hosts and what they allow, shared by all sources.
    pub hosts: Hosts,
    /// Where it can be asked for backfills.
    pub backfills: Backfills,
    /// Folder of the cursor files.
    pub cursors_dir: PathBuf,
    /// Id of the journal: cursors of another one do not count.
    pub journal_id: String,
}

impl PollSource {
    /// Checks what can be wrong with it; nothing is started, and nobody is told of it.
    pub(crate) fn check(&self) -> Result<(), PollOptionsError> {
        self.options.check()?;
        let key = self.api_key.as_ref();
        key.map(|key| self.options.api.credential(key))
            .transpose()?;
        Ok(())
    }
}

/// What is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polling {
    /// What is new, and backfills.
    Live,
    /// Backfills only: for a command without a daemon.
    BackfillsOnly,
}

/// A running source.
#[derive(Debug)]
pub struct PollHandle {
    task: JoinHandle<()>,
}

impl PollHandle {
    /// Waits until the source has stopped.
    pub async fn join(self) {
        if let Err(error) = self.task.await {
            error!(%error, "a polled source ended abnormally");
        }
    }
}

/// A source that can be polled: everything that can be wrong with it has been looked at.
pub(crate) struct Prepared {
    poller: Poller,
    commands: mpsc::Receiver<BackfillCommand>,
}

impl Prepared {
    pub(crate) fn new(source: PollSource, polling: Polling) -> Result<Self, PollOptionsError> {
        let (id, backfills) = (source.id.clone(), source.backfills.clone());
        let clock: Clock = Arc::new(now_us);
        let poller = Poller::new(source, polling, clock)?;
        let going_on = poller.backfills.iter().map(Open::watched).collect();
        let commands = backfills.register(&id, going_on);
        Ok(Self { poller, commands })
    }

    pub(crate) fn spawn(self, shutdown: CancellationToken) -> PollHandle {
        let task = tokio::spawn(run(self.poller, self.commands, shutdown));
        PollHandle { task }
    }
}

/// Starts polling; it runs until `shutdown` is cancelled.
///
/// # Errors
/// [`PollOptionsError`] when it cannot work; then nothing runs.
pub fn spawn(
    source: PollSource,
    polling: Polling,
    shutdown: CancellationToken,
) -> Result<PollHandle, PollOptionsError> {
    Prepared::new(source, polling).map(|prepared| prepared.spawn(shutdown))
}

async fn run(
    mut poller: Poller,
    mut commands: mpsc::Receiver<BackfillCommand>,
    shutdown: CancellationToken,
) {
    poller.resume_backfills().await;
    loop {
        while let Ok(command) = commands.try_recv() {
            poller.take(command).await;
        }
        let turn = tokio::select! {
            // What is in the journal and has no cursor yet is asked for again after the next start.
            () = shutdown.cancelled() => break,
            turn = poller.turn() => turn,
        };
        let Turn::Wait(until) = turn else { continue };
        let wait = until.saturating_sub((poller.clock)()).max(0);
        let wait = Duration::from_micros(wait.unsigned_abs()).min(SLEEP_MAX);
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
            Some(command) = commands.recv() => poller.take(command).await,
        }
    }
    // What was asked for while it stopped is kept for the next start.
    commands.close();
    while let Ok(command) = commands.try_recv() {
        poller.take(command).await;
    }
    poller.stopped();
}

/// Returns the first gap, and how many there are beside it.
fn gaps_text(gaps: &[Gap]) -> String {
    match gaps {
        [] => String::new(),
        [gap] => gap.window.to_string(),
        [gap, others @ ..] => format!("{} and {} more", gap.window, others.len()),
    }
}

type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something was asked.
    Asked,
    /// There is nothing to do before this time, µs since 1970 UTC.
    Wait(i64),
}

/// One polled source; whoever holds it decides when its turns are.
pub(crate) struct Poller {
    id: SourceId,
    options: PollOptions,
    credential: Option<Credential>,
    intake: Intake,
    hosts: Hosts,
    host: String,
    status: Arc<SourceState>,
    fetcher: Fetcher,
    plan: Plan,
    state_file: StateFile,
    asked: Asked,
    clock: Clock,
    jitter: StdRng,
    /// In the order in which they are done; the first is under way.
    backfills: VecDeque<Open>,
    /// What has ended and is not told yet.
    ended: Vec<(Open, BackfillEnd)>,
    /// What was given up and is saved, for whoever asks for it again or goes on with the source.
    left_over: Vec<BackfillCursor>,
    is_failing: bool,
    /// The targets whose failing alone was logged, and what they were asked for.
    told_failing: BTreeSet<(usize, Purpose)>,
}

/// Why a question has no answer in the journal.
enum Unanswered {
    Failed(Failure),
    /// The answer was too large: a smaller window is asked next.
    AskForLess,
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Poller {
    pub(crate) fn new(
        source: PollSource,
        polling: Polling,
        clock: Clock,
    ) -> Result<Self, PollOptionsError> {
        let PollSource {
            id,
            options,
            api_key,
            intake,
            statuses,
            hosts,
            backfills: _,
            cursors_dir,
            journal_id,
        } = source;
        options.check()?;
        let credential = api_key
            .map(|key| options.api.credential(&key))
            .transpose()?;
        let fetcher = Fetcher::new(
            &options.user_agent(),
            options.body_bytes_max,
            options.request_time_max,
        )
        .map_err(|error| {
            PollOptionsError::Value(format!("cannot start the HTTP client: {error}"))
        })?;
        let state_file = StateFile::new(&cursors_dir, &id, &journal_id);
        let mut remembered = state_file.load().unwrap_or_else(|message| {
            warn!(source = %id, error = message, "cursors do not count: what they covered is asked for again");
            Default::default()
        });
        let host = host_of(&options.url);
        hosts.declare(&id, &host, options.limits, remembered.asked);
        if let Some(second) = options.api.second_host() {
            hosts.declare(&id, &second, options.limits, Asked::default());
        }
        let plan = Plan::new(
            options.api.targets(&options),
            |target| remembered.targets.remove(target).unwrap_or_default(),
            polling == Polling::Live,
        );
        let backfills = remembered.backfills.into_iter();
        let backfills = backfills.map(Open::remembered).collect();
        let status = statuses.register(&id, SourceKind::Poll);
        // An API that is down must not keep the daemon from being ready.
        status.set_subscribed();
        let poller = Self {
            id,
            options,
            credential,
            intake,
            hosts,
            host,
            status,
            fetcher,
            plan,
            state_file,
            asked: remembered.asked,
            clock,
            jitter: StdRng::from_os_rng(),
            backfills,
            ended: Vec::new(),
            left_over: Vec::new(),
            is_failing: false,
            told_failing: BTreeSet::new(),
        };
        poller.show_failing();
        Ok(poller)
    }

    /// Asks the next question if it is time for one, and does what its answer takes.
    pub(crate) async fn turn(&mut self) -> Turn {
        let now = (self.clock)();
        let next = self.next_question(now);
        if !self.ended.is_empty() {
            // One that was begun and had nothing to ask.
            self.save().await;
            self.tell_ends();
        }
        let ask = match next {
            Next::Ask(ask) => ask,
            Next::Wait(until) => return Turn::Wait(until),
        };
        let request = self.request(&ask);
        let host = host_of(&request.url);
        match self.hosts.take(&host, now) {
            Ok(asked) if host == self.host => self.asked = asked,
            Ok(_) => {}
            Err(until) => {
                if ask.is_backfill() && until.saturating_sub(now) > TOLD_WAIT_US {
                    let until = format_rfc3339(until);
                    let trouble = format!("the host may not be asked again before {until}");
                    self.trouble(&host, trouble);
                }
                return Turn::Wait(until);
            }
        }
        let gaps = self.plan.cursor(&ask).gaps.clone();
        let settled = match self.ask(&ask, &request, now).await {
            Ok(items) => {
                self.plan.taken(&ask, (self.clock)());
                self.succeeded(&ask);
                Ok(items)
            }
            Err(Unanswered::Failed(failure)) => {
                let jitter = self.jitter.random_range(0.5..=1.0);
                self.plan.failed(&ask, &failure, (self.clock)(), jitter);
                self.failed(&ask, &failure);
                Err(failure.message)
            }
            Err(Unanswered::AskForLess) => Ok(0),
        };
        self.tell_gaps(&ask, &gaps);
        self.show_failing();
        if ask.is_backfill() {
            let took_us = (self.clock)().saturating_sub(now);
            self.account(&ask, &host, settled, took_us);
            self.begin_next();
        }
        self.save().await;
        self.tell_ends();
        Turn::Asked
    }

    /// Sends one question and journals its answer. Returns how much it lists.
    async fn ask(&mut self, ask: &Ask, request: &Request, now: i64) -> Result<u64, Unanswered> {
        self.status.polls.add(1);
        let target = self.plan.target(ask).clone();
        let cursor = self.plan.cursor(ask).clone();
        let topic = request.url.path().to_owned();
        let fetched = self
            .fetcher
            .fetch(
                request,
                self.credential.as_ref(),
                cursor.etag.as_deref(),
                cursor.last_modified.as_deref(),
                now,
            )
            .await;
        let mut answer = match fetched {
            Ok(answer) => answer,
            Err(no_answer) => return Err(self.no_answer(ask, no_answer)),
        };
        let mut verdict = self.options.api.read(&target, &answer);
        if let Verdict::Follow(url) = &verdict {
            let request = self.follow(url)?;
            // Whoever keeps the content there is not the API: it gets no key.
            let followed = self.fetcher.fetch(&request, None, None, None, now).await;
            answer = followed.map_err(|no_answer| self.no_answer(ask, no_answer))?;
            verdict = self.options.api.read(&target, &answer);
        }
        match verdict {
            Verdict::Take { items } => {
                if items > 0 {
                    let body =
                        scrub::without_members(&answer.body, self.options.api.personal_members())
                            .map_err(|error| {
                            let message =
                                format!("the answer is broken: {error}; asked again later");
                            Failure::new(FailureKind::Fault, message)
                        })?;
                    self.journal(&topic, &target, ask, &body).await?;
                }
                if ask.window.is_none() {
                    self.plan.validators(ask, answer.etag, answer.last_modified);
                }
                Ok(items)
            }
            Verdict::Unchanged if cursor.etag.is_none() && cursor.last_modified.is_none() => {
                // Nothing was asked for that would be as it was: what this stands for never came.
                let message = "answered with 304, not modified, and was asked for everything; asked again later";
                Err(Failure::new(FailureKind::Fault, message).into())
            }
            Verdict::Unchanged => Ok(0),
            Verdict::Split if self.plan.split(ask) => Err(Unanswered::AskForLess),
            Verdict::Split => {
                let message = "the answer would be larger than the API allows, and cannot be asked for in parts";
                Err(Failure::new(FailureKind::Refused, message).into())
            }
            Verdict::Failed(failure) => Err(failure.into()),
            Verdict::Follow(_) => {
                let message =
                    "the content lies behind more than one other address; asked again later";
                Err(Failure::new(FailureKind::Fault, message).into())
            }
        }
    }

    fn request(&self, ask: &Ask) -> Request {
        let target = self.plan.target(ask);
        self.options.api.request(&self.options, target, ask.window)
    }

    fn no_answer(&mut self, ask: &Ask, no_answer: NoAnswer) -> Unanswered {
        match no_answer {
            NoAnswer::Failed(failure) => failure.into(),
            NoAnswer::TooLarge if self.plan.split(ask) => Unanswered::AskForLess,
            NoAnswer::TooLarge => {
                let message = format!(
                    "the answer is larger than {} bytes and cannot be asked for in parts; raise answer_bytes_max",
                    self.options.body_bytes_max
                );
                Failure::new(FailureKind::Refused, message).into()
            }
        }
    }

    fn follow(&self, url: &str) -> Result<Request, Failure> {
        let parsed = Url::parse(url).ok().filter(|url| {
            // Never from a protected connection to an open one.
            url.scheme() == "https" || url.scheme() == self.options.url.scheme()
        });
        match parsed {
            Some(url) => Ok(Request { url, json: None }),
            None => {
                let message = "the content is said to lie at an address that is no https:// URL";
                Err(Failure::new(FailureKind::Fault, message))
            }
        }
    }

    /// Appends a body and waits until it is on disk.
    async fn journal(
        &self,
        topic: &str,
        target: &Target,
        ask: &Ask,
        body: &[u8],
    ) -> Result<(), Failure> {
        self.status.message(body.len(), (self.clock)());
        let window = ask.window.map(|window| window.to_string());
        let of_target = self.options.api.meta(target);
        let mut meta = vec![("target", target.name.as_str())];
        meta.extend(
            of_target
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        if let Some(window) = &window {
            meta.push(("window", window));
        }
        let envelope = NewEnvelope {
            source: self.id.as_str(),
            topic,
            meta: &meta,
            payload: body,
            ..NewEnvelope::default()
        };
        let appended = self.intake.append(&envelope).map_err(|error| {
            let kind = match error {
                AppendError::FieldTooLong { .. } => FailureKind::Refused,
                _ => FailureKind::Journal,
            };
            Failure::new(kind, format!("not journalled: {error}"))
        })?;
        if self.intake.wait_durable(appended.sequence).await {
            self.status.acked.add(1);
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::Journal,
            "the journal has stopped",
        ))
    }

    fn succeeded(&mut self, ask: &Ask) {
        let fails_no_more = !self.plan.is_failing(ask);
        if fails_no_more && self.told_failing.remove(&(ask.target, ask.purpose)) {
            let target = &self.plan.target(ask).name;
            info!(source = %self.id, asked = target, "a target answers again");
        }
        let is_protected = self.options.url.scheme() == "https";
        self.status
            .reached(if is_protected { "https" } else { "http" });
        if std::mem::take(&mut self.is_failing) {
            info!(source = %self.id, "the API answers again");
        }
    }

    fn failed(&mut self, ask: &Ask, failure: &Failure) {
        let target = &self.plan.target(ask).name;
        self.status
            .note_error(format!("{target}: {}", failure.message));
        self.status.poll_failures.add(1);
        let error = failure.message.as_str();
        if failure.kind == FailureKind::Refused {
            self.status.refused.add(1);
            self.status.not_reached();
            warn!(source = %self.id, asked = target, error, "a question is refused");
            return;
        }
        if failure.kind != FailureKind::Journal && self.plan.fails_alone(ask) {
            // The API answers others: it is not down.
            self.status.not_reached();
            if self.told_failing.insert((ask.target, ask.purpose)) {
                warn!(source = %self.id, asked = target, error, "a target fails and others do not; it is tried again with growing pauses");
            } else {
                debug!(source = %self.id, asked = target, error, "a target fails");
            }
            return;
        }
        if failure.kind == FailureKind::Journal {
            self.status.not_reached();
        } else {
            self.status.set_disconnected();
        }
        // Once per outage; the rest is in the status and its counters.
        if self.is_failing {
            debug!(source = %self.id, asked = target, error, "polling fails");
        } else {
            self.is_failing = true;
            warn!(source = %self.id, asked = target, error, "polling fails; tried again with growing pauses");
        }
    }

    /// Logs what a question has changed of the gaps of its target, which were `before`.
    fn tell_gaps(&self, ask: &Ask, before: &[Gap]) {
        let gaps = &self.plan.cursor(ask).gaps;
        if gaps[..] == *before {
            return;
        }
        let target = &self.plan.target(ask).name;
        if gaps.is_empty() {
            info!(source = %self.id, asked = target, "what was passed over is answered");
        } else if ask.purpose == Purpose::New {
            let gaps = gaps_text(gaps);
            warn!(source = %self.id, asked = target, gaps = gaps.as_str(), "a window keeps failing and is passed over; it is asked for again every hour");
        }
    }

    /// Shows which targets fail.
    fn show_failing(&self) {
        let failing = self.plan.troubles().map(|(target, part, trouble)| {
            let shown = move || FailingTarget {
                target: target.to_owned(),
                of_past: part == FailingPart::Past,
                gaps: match part {
                    FailingPart::Gaps(gaps) => Some(gaps_text(gaps)),
                    FailingPart::New | FailingPart::Past => None,
                },
                since: trouble.since,
                failures: u64::from(trouble.failures),
                again_at: trouble.again_at,
                message: trouble.message.clone(),
            };
            (target, shown)
        });
        self.status.set_failing(failing);
    }

    /// Writes the cursors, and where backfills stand; on disk when this returns.
    async fn save(&self) {
        let file = self.state_file.clone();
        let cursors = self.plan.cursors();
        let remembered = Remembered {
            asked: self.asked,
            targets: cursors
                .map(|(name, cursor)| (name.to_owned(), cursor.clone()))
                .collect(),
            backfills: self.backfill_cursors(),
        };
        let saving = tokio::task::spawn_blocking(move || file.save(remembered));
        let saved = saving.await.map_err(std::io::Error::other).flatten();
        if let Err(error) = saved {
            let message =
                format!("cannot save the cursors: {error}; after a restart more is asked again");
            self.status.note_error(message);
            warn!(source = %self.id, %error, "cannot save the cursors");
        }
    }

    fn stopped(mut self) {
        self.interrupt_backfills();
        // Whether the API answers is no news: who goes on with the source has not asked yet.
        self.hosts.withdraw(&self.id);
    }
}

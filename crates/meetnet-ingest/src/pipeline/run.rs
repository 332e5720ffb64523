//! The pipeline's loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use meetnet_lake::journal::{FrameGroup, FrameKind, FrameRef, Journal, JournalReader, Recovery};
use meetnet_lake::lake::{DeclaredTables, Lake};
use meetnet_lake::{Applied, LakeError};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::redact::PersonalKind;
use meetnet_quality::history::QualityHistory;
use tracing::{error, info, warn};

use super::ahead::{DecodedGroup, is_observed};
use super::bare::BareIds;
use super::checkpoint::{StateWriting, read_history};
use super::erase::EARLIER;
use super::group::{GroupDecoder, REJECTS, RejectCounts, TOLD_EARLY_ROWS, Taken, count_applied};
use super::newest::NewestTimes;
use super::uncommitted::UncommittedRows;
use super::waiting::{DecodedRows, WaitingRows};
use super::{Command, PipelineError, PipelineOptions, ReplayedRows, UpkeepReport, Wake, erase};
use crate::dup_window::DupWindows;
use crate::outcomes::OutcomeRegistry;

/// How long the loop sleeps at most: commits that come due by age are noticed this late.
const LOOP_PAUSE: Duration = Duration::from_millis(100);
/// Pause while hot rows are full and a commit is under way.
pub(super) const FULL_PAUSE: Duration = Duration::from_millis(5);

/// The pipeline without its thread: whoever has it makes each step. [`Pipeline`](super::Pipeline) does so in a loop; a
/// test decides what comes between two of them.
pub struct Runner {
    pub(super) options: PipelineOptions,
    pub(super) journal: Journal,
    pub(super) reader: JournalReader,
    /// In force behind everything that was recovered, or since.
    pub(super) declarations: Arc<Declarations>,
    pub(super) lake: Lake,
    pub(super) decoder: GroupDecoder,
    pub(super) waiting: WaitingRows,
    /// What tests by earlier rows remember, behind everything that was decoded.
    pub(super) history: QualityHistory,
    /// Rows that it can take back: those that T has not passed.
    pub(super) uncommitted: UncommittedRows,
    /// Bytes of it that the last checkpoint wrote.
    pub(super) history_bytes: usize,
    /// The state of a checkpoint that has begun.
    pub(super) state_writing: Option<StateWriting>,
    pub(super) key: PrivacyKey,
    pub(super) outcomes: OutcomeRegistry,
    pub(super) untold: Vec<Taken>,
    pub(super) dup_windows: DupWindows,
    rejects: RejectCounts,
    /// Of messages that were replayed since somebody asked last.
    replayed_rows: ReplayedRows,
    newest: NewestTimes,
    bare_ids: BareIds,
    wake: Wake,
    heard: Receiver<()>,
    pub(super) trimmed_through: Sequence,
    pub(super) last_checkpoint: Instant,
    pub(super) last_frame: Instant,
    /// When rows were applied or committed, or a command was carried out.
    pub(super) last_work: Instant,
    /// Memory has been given back since.
    pub(super) rests: bool,
    pub(super) replaying: bool,
    tending: Vec<Tending>,
    /// Who waits for the repair.
    repairing: Vec<Sender<meetnet_lake::repair::Repaired>>,
    /// Who waits for an erasure, by its frame.
    pub(super) erasing: BTreeMap<Sequence, erase::Waiting>,
    /// When the erase frame that comes next is tried again, after it failed.
    pub(super) erase_retry_at: Option<Instant>,
    /// Erasures that have been carried out since the start.
    pub(super) erasures: u64,
}

/// What a step of the pipeline did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A group of frames was applied.
    Took,
    /// Hot rows are full: nothing is taken until a commit ends.
    Full,
    /// The journal has nothing more.
    Idle,
}

/// Who waits for the upkeep, and what had been done before.
struct Tending {
    reply: Sender<Result<UpkeepReport, LakeError>>,
    before: UpkeepReport,
}

impl Runner {
    /// Opens the lake and stands before the first frame after the checkpoint; [`Runner::replay`] comes next. The
    /// declarations of `tables` are those in force from the end of the recovered journal on.
    ///
    /// # Errors
    /// Where tables or declarations do not allow a start.
    pub fn open(
        mut options: PipelineOptions,
        journal: Journal,
        recovery: &Recovery,
        tables: DeclaredTables,
        key: PrivacyKey,
        outcomes: OutcomeRegistry,
        dup_windows: DupWindows,
    ) -> Result<Self, PipelineError> {
        let trimmed_through = recovery
            .checkpoint
            .as_ref()
            .map_or(Sequence::ZERO, |c| c.trimmed_through);
        let declarations = Arc::clone(tables.declarations());
        options.lake.known = meetnet_lake::known::KnownTables::found(recovery, journal.id());
        let mut lake = Lake::open(options.lake.clone(), tables, trimmed_through)?;
        journal.raise_sequence_floor(lake.sequence_floor());
        // As it was then, not as it is declared today: the frames between the two say when it changed.
        let in_force = if recovery.declarations.is_empty() {
            Arc::clone(&declarations)
        } else {
            read_declarations(&recovery.declarations, trimmed_through)?
        };
        let rejects = RejectCounts::default();
        let decoder = new_decoder(&in_force, &key, trimmed_through)?;
        lake.open_missing(&in_force)?;
        let history = read_history(&journal, trimmed_through)?;
        if let Some(checkpoint) = &recovery.checkpoint {
            dup_windows.restore(checkpoint.dup_windows.clone());
        }
        let (wake, heard) = Wake::new();
        let ring = wake.clone();
        journal.on_durable(Box::new(move |_, _| ring.ring()));
        Ok(Self {
            reader: journal.reader(trimmed_through),
            declarations,
            options,
            journal,
            lake,
            decoder,
            waiting: WaitingRows::default(),
            history,
            uncommitted: UncommittedRows::default(),
            history_bytes: 0,
            state_writing: None,
            key,
            outcomes,
            untold: Vec::new(),
            dup_windows,
            rejects,
            replayed_rows: ReplayedRows::default(),
            newest: NewestTimes::default(),
            bare_ids: BareIds::default(),
            wake,
            heard,
            trimmed_through,
            last_checkpoint: Instant::now(),
            last_frame: Instant::now(),
            last_work: Instant::now(),
            rests: false,
            replaying: true,
            tending: Vec::new(),
            repairing: Vec::new(),
            erasing: BTreeMap::new(),
            erase_retry_at: None,
            erasures: 0,
        })
    }

    /// The lake that it drives.
    pub fn lake(&mut self) -> &mut Lake {
        &mut self.lake
    }

    /// Rejects counted since the start, by source and reason.
    pub fn rejects(&self) -> RejectCounts {
        self.rejects.clone()
    }

    /// How far each source has come.
    pub fn newest(&self) -> NewestTimes {
        self.newest.clone()
    }

    pub(super) fn run(mut self, inbox: &Receiver<Command>) -> Result<(), PipelineError> {
        let result = self.run_until_shutdown(inbox);
        if let Err(error) = &result {
            error!(
                error = error as &dyn std::error::Error,
                "pipeline failed, restart the daemon"
            );
        }
        result
    }

    fn run_until_shutdown(&mut self, inbox: &Receiver<Command>) -> Result<(), PipelineError> {
        loop {
            while let Ok(command) = inbox.try_recv() {
                if self.obey(command)? {
                    return self.finish();
                }
            }
            match self.step()? {
                Step::Took => {}
                Step::Full => std::thread::sleep(FULL_PAUSE),
                Step::Idle => {
                    select! {
                        recv(self.heard) -> _ => {}
                        recv(inbox) -> command => {
                            // A closed channel means that the owner is gone without a word: stop as if asked to.
                            if self.obey(command.unwrap_or(Command::Shutdown))? {
                                return self.finish();
                            }
                        }
                        default(LOOP_PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Admits and starts commits, and takes the next group of frames, without waiting for anything.
    ///
    /// # Errors
    /// Where journal or tables cannot be read, or a commit left a state that only a restart can tell apart.
    pub fn step(&mut self) -> Result<Step, PipelineError> {
        let admitted = self.tick_lake()?;
        self.give_reserve();
        self.end_checkpoint();
        if admitted > 0 {
            self.note_work();
            self.lake.publish();
            self.checkpoint();
        }
        if self.retry_waiting()? {
            self.note_work();
            self.lake.publish();
        }
        self.answer_tended();
        if self.is_full() {
            return Ok(Step::Full);
        }
        self.wake.clear();
        let next = if self.waits_to_erase() {
            None
        } else {
            self.reader
                .read_group(self.options.limits.group_bytes_max)?
        };
        let Some(group) = next else {
            self.tick_if_idle()?;
            self.rest_if_idle();
            return Ok(Step::Idle);
        };
        self.last_frame = Instant::now();
        // A tick frame is no work.
        if self.take_group(&group)? != Applied::default() {
            self.note_work();
        }
        self.publish();
        Ok(Step::Took)
    }

    /// Carries a command out; true means: finish.
    fn obey(&mut self, command: Command) -> Result<bool, PipelineError> {
        // Two that only ask come again and again.
        if !matches!(command, Command::Erasures(_) | Command::ImportPosition(..)) {
            self.note_work();
        }
        // A caller that has gone away does not want its answer.
        match command {
            Command::Import(chunk, reply) => {
                let _ = reply.send(self.import(*chunk)?);
            }
            Command::Derived(chunk, erasures, reply) => {
                let _ = reply.send(self.derived(*chunk, erasures)?);
            }
            Command::Erasures(reply) => drop(reply.send(self.erasures)),
            Command::ImportPosition(dataset, import_id, reply) => {
                let _ = reply.send(self.lake.import_position(&dataset, &import_id));
            }
            Command::Standing(rows, lineage, reply) => {
                let _ = reply.send(self.standing(&rows, &lineage)?);
            }
            Command::Repairs(dataset, reply) => drop(reply.send(self.lake.repairs_of(&dataset))),
            Command::Reflag(flags, reply) => {
                let _ = reply.send(self.reflag(&flags)?);
            }
            Command::CommitAll(reply) => {
                let committed = self.commit_all()?;
                // The loop does so behind commits that it has begun itself, and where such commands come fast there are none.
                self.checkpoint();
                let _ = reply.send(committed);
            }
            Command::TakeReplayed(reply) => {
                drop(reply.send(std::mem::take(&mut self.replayed_rows)));
            }
            Command::Upkeep(request, reply) => {
                let before = self.tended();
                match self.lake.request(request) {
                    Ok(()) => self.tending.push(Tending { reply, before }),
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
            Command::Repair(depth, reply) => {
                self.lake.request_repair(depth);
                self.repairing.push(reply);
            }
            Command::Erase(request, reply) => self.request_erasure(&request, reply),
            Command::Prepare(declarations, reply) => {
                let prepared = self.lake.prepare(&declarations);
                self.lake.publish();
                let _ = reply.send(prepared);
            }
            Command::Retain(retention) => self.lake.retain(retention),
            Command::Shutdown => return Ok(true),
        }
        Ok(false)
    }

    fn tended(&self) -> UpkeepReport {
        UpkeepReport {
            compacted: self.lake.compacted(),
            vacuumed: self.lake.vacuumed(),
        }
    }

    /// Tells those who wait for the upkeep or a repair what has been done, once it is.
    fn answer_tended(&mut self) {
        if let Some(repaired) = self.lake.take_repaired() {
            for reply in self.repairing.drain(..) {
                let _ = reply.send(repaired.clone());
            }
        }
        if self.tending.is_empty() || self.lake.is_tending() {
            return;
        }
        let now = self.tended();
        for Tending { reply, before } in self.tending.drain(..) {
            let report = UpkeepReport {
                compacted: now.compacted - before.compacted,
                vacuumed: now.vacuumed - before.vacuumed,
            };
            let _ = reply.send(Ok(report));
        }
    }

    /// Applies everything up to `through` that is durable now. The outer error is the pipeline's; the inner one says
    /// that hot rows are full and cannot be committed now, or that an erasure on the way failed.
    pub(super) fn drain(
        &mut self,
        through: Sequence,
    ) -> Result<Result<(), LakeError>, PipelineError> {
        let bytes_max = self.options.limits.group_bytes_max;
        while self.reader.position() < through {
            self.settle();
            if self.waits_to_erase() {
                return Ok(Err(LakeError::Usage(EARLIER.to_owned())));
            }
            if self.is_full_of_rows() {
                if let Err(error) = self.lake.commit_all() {
                    return Ok(Err(error));
                }
                self.settle();
                if self.is_full_of_rows() {
                    let message =
                        "rows that wait for a file fill the memory: the log names the file";
                    return Ok(Err(LakeError::Usage(message.to_owned())));
                }
            }
            let Some(group) = self.reader.read_group_through(through, bytes_max)? else {
                break;
            };
            self.take_group(&group)?;
            self.publish();
        }
        Ok(Ok(()))
    }

    /// Applies and commits everything that is durable now. The outer error is the pipeline's, the inner one the commit's.
    ///
    /// # Errors
    /// As [`Runner::step`].
    pub fn commit_all(&mut self) -> Result<Result<(), LakeError>, PipelineError> {
        let drained = self.drain(self.journal.durable().0)?;
        Ok(drained.and_then(|()| self.lake.commit_all()))
    }

    /// Applies what the journal holds, commits everything and trims: a clean end.
    ///
    /// # Errors
    /// As [`Runner::step`], and where the commit fails.
    pub fn finish(&mut self) -> Result<(), PipelineError> {
        // What cannot be applied or committed now stays in the journal for the next start. An erasure gets its last chance.
        self.erase_retry_at = None;
        let drained = self.drain(self.journal.durable().0)?;
        let mut committed = self.lake.commit_all();
        if committed.as_ref().is_err_and(LakeError::is_disk_full) {
            self.give_reserve();
            committed = self.lake.commit_all();
        }
        self.lake.tell_commits();
        if self.lake.trim_point() > self.trimmed_through {
            self.try_checkpoint();
        }
        Ok(drained.and(committed)?)
    }

    /// Decodes and applies a group; a declarations frame divides it. An erasure that fails ends it: its frame and those
    /// behind it are read again.
    pub(super) fn take_group(&mut self, group: &FrameGroup) -> Result<Applied, PipelineError> {
        let mut applied = Applied::default();
        let mut before = None;
        // Whether what has been decoded and not applied is of messages that were replayed.
        let mut is_replay = false;
        for frame in group.frames() {
            match frame.kind {
                FrameKind::Envelope | FrameKind::Replay => {
                    if self.replaying {
                        self.observe_recovered(&frame);
                    } else if is_replay != (frame.kind == FrameKind::Replay) {
                        // Who replays is told of these rows alone, whatever arrives meanwhile.
                        applied += self.apply_decoded(is_replay)?;
                        is_replay = !is_replay;
                    }
                    self.decoder.decode(&frame);
                }
                FrameKind::Declarations => {
                    applied += self.apply_decoded(is_replay)?;
                    let declarations = read_declarations(frame.payload, frame.sequence)?;
                    self.decoder = new_decoder(&declarations, &self.key, frame.sequence)?;
                    if self.replaying {
                        // The tables have the newest form of their declarations already.
                        self.lake.open_missing(&declarations)?;
                    } else {
                        // Rows of this group, too, belong to what is committed in the old form.
                        if let Some((sequence, recorded_at)) = before {
                            self.lake.advance(sequence, recorded_at);
                        }
                        self.lake.redeclare(&declarations)?;
                        self.declarations = Arc::clone(&declarations);
                    }
                }
                FrameKind::Tick => {}
                FrameKind::Erase => {
                    applied += self.apply_decoded(is_replay)?;
                    // Everything recorded before it has been applied.
                    let position = Sequence(frame.sequence.0 - 1);
                    self.lake.advance(position, frame.recorded_at - 1);
                    if !self.carry_out_erasure(&frame)? {
                        self.reader = self.journal.reader(position);
                        return Ok(applied);
                    }
                    self.erasures += 1;
                }
            }
            before = Some((frame.sequence, frame.recorded_at));
        }
        applied += self.apply_decoded(is_replay)?;
        self.lake
            .advance(group.last_sequence(), group.last_recorded_at());
        Ok(applied)
    }

    /// Applies a recovered group that has been decoded before its turn, by the declarations in force now.
    pub(super) fn take_decoded(
        &mut self,
        group: &FrameGroup,
        decoded: &DecodedGroup,
    ) -> Result<Applied, PipelineError> {
        let observed = group.frames().filter(is_observed);
        for (frame, hash) in observed.zip(&decoded.payload_hashes) {
            self.dup_windows.observe_hashed(
                &SourceId::new(frame.source),
                frame.epoch,
                frame.packet_id,
                frame.topic,
                *hash,
                frame.sequence,
            );
        }
        let applied = self.apply_taken(&decoded.taken, false)?;
        self.lake
            .advance(group.last_sequence(), group.last_recorded_at());
        Ok(applied)
    }

    pub(super) fn observe_recovered(&self, frame: &FrameRef<'_>) {
        if frame.kind == FrameKind::Envelope {
            self.dup_windows.observe_recovered(
                &SourceId::new(frame.source),
                frame.epoch,
                frame.packet_id,
                frame.topic,
                frame.payload,
                frame.sequence,
            );
        }
    }

    fn apply_decoded(&mut self, is_replay: bool) -> Result<Applied, PipelineError> {
        let taken = self.decoder.take();
        let applied = self.apply_taken(&taken, is_replay)?;
        self.untold.push(taken);
        Ok(applied)
    }

    /// Applies what the decoders in force have made of envelopes; `is_replay`: of such that were replayed, all of them.
    fn apply_taken(&mut self, taken: &Taken, is_replay: bool) -> Result<Applied, PipelineError> {
        taken.count_rejects(&self.rejects);
        // What was decoded is journalled, and says all that the answer says. Senders make their next messages while the tables
        // take these, where they would else all wait for the slower half, and it for them.
        let rows = taken.rows.iter().map(|rows| rows.envelopes.len());
        let is_told_early = rows.sum::<usize>() >= TOLD_EARLY_ROWS;
        if is_told_early {
            taken.report(&self.outcomes);
        }
        let mut applied = Applied::default();
        let last = taken.lineage[..taken.envelopes].last();
        for rows in &taken.rows {
            self.newest.note(rows, &taken.lineage[..taken.envelopes]);
            let declared = &self.declarations.sources;
            tell_bare(&self.bare_ids.note(rows, &taken.lineage, declared));
            let sequence_of = |envelope: u32| taken.lineage[envelope as usize].sequence;
            let rules = &self.decoder.rules;
            let decoded = DecodedRows {
                clock_steps: taken.clock_steps_of(rows),
                series: self.history.observe(rules, rows, sequence_of),
                rows: rows.clone(),
                lineage: Arc::clone(&taken.lineage),
                rules: Arc::clone(rules),
                precedences: Arc::clone(&self.decoder.precedences),
            };
            if let Some(last) = last {
                self.uncommitted.note(last.sequence, decoded.series.len());
            }
            let of_dataset = self.waiting.apply(&mut self.lake, decoded)?;
            let id = &rows.declaration.id;
            count_applied(id, of_dataset);
            if is_replay && id.as_str() != REJECTS {
                let waits = self.waiting.holds(id);
                self.replayed_rows.note(id, of_dataset, waits);
            }
            applied += of_dataset;
        }
        Ok(applied)
    }

    /// Tries rows again that wait for a file; returns whether some have been applied.
    pub(super) fn retry_waiting(&mut self) -> Result<bool, PipelineError> {
        let applied = self.waiting.retry(&mut self.lake)?;
        for (dataset, applied) in &applied {
            count_applied(dataset, *applied);
        }
        Ok(!applied.is_empty())
    }

    /// Gives the journal's reserve to a commit that found no space: rows in files make room in memory, and the journal
    /// can be trimmed.
    pub(super) fn give_reserve(&mut self) {
        if !self.lake.take_short_of_space() {
            return;
        }
        match self.journal.release_reserve() {
            Ok(true) => info!(
                "gave the journal's reserve to the tables: messages are refused until there is room"
            ),
            Ok(false) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "failed to release the journal's reserve");
            }
        }
    }
}

/// Warns of sources whose sensor ids are published and look like hardware's. The ids stand in no log.
fn tell_bare(found: &[(SourceId, PersonalKind)]) {
    for (source, kind) in found {
        warn!(%source, kind = kind.as_str(), "a sensor id looks like that of hardware and is published as it is: declare hardware_id = true, see docs/privacy.md");
        metrics::gauge!("meetnet_source_hardware_ids_bare", "source" => source.to_string())
            .set(1.0);
    }
}

fn read_declarations(bytes: &[u8], sequence: Sequence) -> Result<Arc<Declarations>, PipelineError> {
    Declarations::from_bytes(bytes)
        .map(Arc::new)
        .map_err(|source| PipelineError::Declarations { sequence, source })
}

fn new_decoder(
    declarations: &Arc<Declarations>,
    key: &PrivacyKey,
    sequence: Sequence,
) -> Result<GroupDecoder, PipelineError> {
    GroupDecoder::new(declarations, key).map_err(|source| PipelineError::Setup { sequence, source })
}

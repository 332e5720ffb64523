//! The writing half: appends fill the pending group in memory; one writer brings it to the disk, group by group.
//!
//! ```text
//! append ─▶ pending group ─(swap)─▶ group in flight: one write, one fdatasync ─▶ catalogue, callbacks
//!            forms meanwhile          failed: a fresh segment, the same bytes again
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use meetnet_model::declarations::DECODER_VERSION;
use meetnet_model::ids::Sequence;

use super::begun;
use super::clock::{ClockStep, ClockWatch};
use super::error::{AppendError, FullLimit};
use super::frame::{self, FRAME_BYTES_MAX, FrameKind, NewEnvelope, Original, Stamp};
use super::overdue;
use super::segment::{self, Header, InForce, Segment, SegmentName};
use super::shared::{Appended, Phase, Shared, locked};
use super::spare;
use crate::files::{FileHandle, is_no_space};

const BACK_OFF_MIN: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// Memory for the bytes of a group that is not given back.
const GROUP_BYTES_KEPT: usize = 1 << 18;

/// Frames that become durable together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    bytes: Vec<u8>,
    pub(crate) frames: u64,
    first: Sequence,
    first_recorded_at: i64,
    last: Sequence,
    last_recorded_at: i64,
    /// The last declarations in it.
    declared: Option<InForce>,
    /// It begins a segment: what is before it is wanted in one that nothing is appended to any more.
    begins_segment: bool,
}

/// What appends change, under one lock.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) group: Group,
    /// Bytes of the group that is being written.
    in_flight_bytes: usize,
    /// Last sequence given out (or the raised floor).
    pub(crate) last_sequence: Sequence,
    pub(crate) last_recorded_at: i64,
    clock: ClockWatch,
    /// How the clock was off when the last frame was stamped.
    pub(crate) clock_step: Option<ClockStep>,
    pub(crate) phase: Phase,
    writer_waits: bool,
}

impl Pending {
    /// Starts at the end of the recovered journal; the clocks are read as [`Pending::stamp_time`] does.
    pub(crate) fn new(
        (last_sequence, last_recorded_at): (Sequence, i64),
        now: i64,
        monotonic: i64,
    ) -> Self {
        metrics::gauge!("meetnet_clock_step").set(0.0);
        let mut pending = Self {
            group: Group::default(),
            in_flight_bytes: 0,
            last_sequence,
            last_recorded_at,
            clock: ClockWatch::default(),
            clock_step: None,
            phase: Phase::Open,
            writer_waits: false,
        };
        pending.watch_clock(now, monotonic);
        pending
    }

    /// Returns the `recorded_at` of the next frame.
    fn stamp_time(&mut self, now: i64, monotonic: i64) -> i64 {
        self.watch_clock(now, monotonic);
        self.last_recorded_at = now.max(self.last_recorded_at + 1);
        self.last_recorded_at
    }

    fn watch_clock(&mut self, now: i64, monotonic: i64) {
        let clock_step = self.clock.look(now, monotonic, self.last_recorded_at);
        if clock_step != self.clock_step {
            self.clock_step = clock_step;
            report_clock(clock_step, now.saturating_sub(self.last_recorded_at));
        }
    }
}

/// Raises the alarm of a clock that is off, or ends it. `since_last_us`: time since the last frame by that clock.
fn report_clock(clock_step: Option<ClockStep>, since_last_us: i64) {
    metrics::gauge!("meetnet_clock_step").set(f64::from(u8::from(clock_step.is_some())));
    let Some(direction) = clock_step.map(ClockStep::as_str) else {
        tracing::info!("the clock is believed again");
        return;
    };
    metrics::counter!("meetnet_clock_steps_total", "direction" => direction).increment(1);
    tracing::error!(
        direction,
        since_last_us,
        "the clock stepped by more than a minute: check the time service of this machine; rows without a time of \
         their own are flagged until it can be believed again"
    );
}

impl Shared {
    /// Encodes one frame into the pending group. Never waits for the disk.
    pub(crate) fn append(
        &self,
        kind: FrameKind,
        original: Option<Original>,
        envelope: &NewEnvelope<'_>,
    ) -> Result<Appended, AppendError> {
        let bytes = frame::encoded_bytes(kind, envelope)?;
        let bytes_max = self.options.pending_bytes_max.min(FRAME_BYTES_MAX);
        if bytes > bytes_max {
            return Err(AppendError::FieldTooLong {
                field: "frame",
                bytes,
                bytes_max,
            });
        }
        let mut pending = locked(&self.pending);
        if pending.phase != Phase::Open {
            return Err(AppendError::Stopped);
        }
        if self.is_disk_full() {
            metrics::counter!("meetnet_journal_full_total", "limit" => "disk").increment(1);
            return Err(AppendError::DiskFull);
        }
        let unsynced = (pending.group.bytes.len() + pending.in_flight_bytes + bytes) as u64;
        let full = |limit, bytes, bytes_max| {
            metrics::counter!("meetnet_journal_full_total", "limit" => match limit {
                FullLimit::PendingBytes => "pending_bytes_max",
                FullLimit::JournalBytes => "journal_bytes_max",
            })
            .increment(1);
            Err(AppendError::Full {
                limit,
                bytes,
                bytes_max,
            })
        };
        if unsynced > self.options.pending_bytes_max as u64 {
            return full(
                FullLimit::PendingBytes,
                unsynced,
                self.options.pending_bytes_max as u64,
            );
        }
        let stored = self.stored_bytes.load(Ordering::Relaxed) + unsynced;
        let seals = kind == FrameKind::Tick && pending.group.begins_segment;
        if stored > self.options.journal_bytes_max && !seals {
            return full(
                FullLimit::JournalBytes,
                stored,
                self.options.journal_bytes_max,
            );
        }
        let recorded_at =
            pending.stamp_time((self.options.clock)(), (self.options.monotonic_clock)());
        let sequence = pending.last_sequence.next();
        pending.last_sequence = sequence;
        let stamp = Stamp {
            kind,
            head: false,
            sequence,
            recorded_at,
            clock_step: pending.clock_step.is_some(),
            erased: false,
            decoder_version: DECODER_VERSION,
            in_group: u32::try_from(pending.group.frames).unwrap_or(u32::MAX),
            original,
        };
        let group = &mut pending.group;
        frame::encode(&mut group.bytes, self.key, &stamp, envelope);
        if group.frames == 0 {
            group.first = sequence;
            group.first_recorded_at = recorded_at;
        }
        group.frames += 1;
        group.last = sequence;
        group.last_recorded_at = recorded_at;
        if kind == FrameKind::Declarations {
            group.declared = Some(InForce {
                sequence,
                recorded_at,
                decoder_version: DECODER_VERSION,
                declarations: envelope.payload.into(),
            });
        }
        let wake = std::mem::take(&mut pending.writer_waits);
        drop(pending);
        if wake {
            self.pending_changed.notify_all();
        }
        Ok(Appended {
            sequence,
            recorded_at,
        })
    }

    /// Lets the frames that are pending, or else the next one, begin a segment.
    pub(crate) fn begin_segment(&self) {
        locked(&self.pending).group.begins_segment = true;
    }

    /// Takes the pending group, leaving `spare` to be filled; none where nothing is pending.
    fn take_group(&self, spare: &mut Vec<u8>) -> Option<Group> {
        let mut pending = locked(&self.pending);
        if pending.group.frames == 0 {
            return None;
        }
        let next = Group {
            bytes: std::mem::take(spare),
            ..Group::default()
        };
        let group = std::mem::replace(&mut pending.group, next);
        pending.in_flight_bytes = group.bytes.len();
        Some(group)
    }

    /// Waits until something is pending. Returns false where the journal is being stopped and nothing is.
    fn wait_pending(&self) -> bool {
        let mut pending = locked(&self.pending);
        loop {
            if pending.group.frames > 0 {
                return true;
            }
            if self.is_disk_full() {
                drop(pending);
                return self.wait_for_space();
            }
            if pending.phase != Phase::Open {
                return false;
            }
            pending.writer_waits = true;
            pending = self
                .pending_changed
                .wait(pending)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// Waits out a delay. Returns false where the journal is being stopped.
    fn back_off(&self, delay: Duration) -> bool {
        let (pending, _) = self
            .pending_changed
            .wait_timeout_while(locked(&self.pending), delay, |pending| {
                pending.phase == Phase::Open
            })
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        pending.phase == Phase::Open
    }
}

/// Brings groups to the disk.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// The segment that takes the next group; none: a fresh one is needed.
    active: Option<Active>,
    /// Declarations in force at the durable end.
    in_force: InForce,
    /// Number of the next segment.
    number: u64,
    /// A group that the disk has refused: it goes before everything pending.
    refused: Option<Group>,
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Active {
    handle: Arc<dyn FileHandle>,
    bytes: u64,
    holds_frames: bool,
    /// It is written over a spare, of which something may be left behind its end.
    is_over_spare: bool,
    /// The spare for the next one has been asked for.
    has_asked: bool,
}

impl Active {
    /// Cuts off what is left of the spare. What of it stays or comes back is passed over (`scan`), or judged void.
    fn cut_rest(&self) {
        if self.is_over_spare {
            let _ = self.handle.truncate(self.bytes);
        }
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, newest: &Segment, in_force: InForce) -> Self {
        let active = Active {
            handle: Arc::clone(&newest.handle),
            bytes: newest.stored_bytes,
            holds_frames: !newest.is_empty(),
            is_over_spare: false,
            has_asked: false,
        };
        let number = newest.name.number + 1;
        Self {
            shared,
            active: Some(active),
            in_force,
            number,
            refused: None,
            spare: Vec::new(),
        }
    }

    /// Writes groups until the journal is stopped.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        // Also when a callback panics: appends must fail then, not pile up.
        let _ended = MarkStopped(&shared);
        let mut failures = 0_u32;
        while self.refused.is_some() || shared.wait_pending() {
            match self.write_group() {
                Ok(_) => {
                    if failures > 0 {
                        tracing::info!(failures, "writing to the journal works again");
                    }
                    failures = 0;
                }
                Err(error) => {
                    // A full disk has its own alarm.
                    if failures == 0 && !is_no_space(&error) {
                        tracing::error!(
                            dir = %shared.options.dir.display(),
                            error = &error as &dyn std::error::Error,
                            "failed to write a group to the journal: retrying, nothing is acknowledged"
                        );
                    }
                    let delay = BACK_OFF_MIN * 2_u32.saturating_pow(failures.min(10));
                    failures += 1;
                    if !shared.back_off(delay.min(BACK_OFF_MAX)) && failures > 1 {
                        let pending = locked(&shared.pending).group.frames;
                        let refused = self.refused.as_ref().map_or(0, |group| group.frames);
                        *locked(&shared.unwritten) = Some((pending + refused, error));
                        break;
                    }
                }
            }
        }
        if let Some(active) = &self.active {
            active.cut_rest();
        }
    }

    /// Makes one attempt at the refused or else the pending group. Returns false where there is none. On a full disk,
    /// room is looked for once nothing waits any more.
    pub(crate) fn write_group(&mut self) -> io::Result<bool> {
        let group = match self.refused.take() {
            Some(group) => group,
            None => match self.shared.take_group(&mut self.spare) {
                Some(group) => group,
                None => {
                    self.shared.look_for_space();
                    return Ok(false);
                }
            },
        };
        let started = Instant::now();
        if let Err(error) = self.store(&group) {
            metrics::counter!("meetnet_journal_write_failures_total").increment(1);
            self.shared.note_write_error(&error);
            self.refused = Some(group);
            return Err(error);
        }
        metrics::histogram!("meetnet_journal_sync_seconds").record(started.elapsed().as_secs_f64());
        metrics::counter!("meetnet_journal_frames_total").increment(group.frames);
        metrics::counter!("meetnet_journal_written_bytes_total")
            .increment(group.bytes.len() as u64);
        let pending_bytes = {
            let mut pending = locked(&self.shared.pending);
            pending.in_flight_bytes = 0;
            pending.group.bytes.len()
        };
        metrics::gauge!("meetnet_journal_pending_bytes").set(pending_bytes as f64);
        if let Some(declared) = group.declared {
            self.in_force = declared;
        }
        self.shared.publish(group.last, group.last_recorded_at);
        self.spare = emptied(group.bytes);
        if pending_bytes == 0 {
            self.shared.look_for_space();
        }
        Ok(true)
    }

    fn store(&mut self, group: &Group) -> io::Result<()> {
        let bytes = group.bytes.len() as u64;
        // A group is never split; a segment takes at least one.
        let bytes_max = self.shared.options.segment_bytes_max;
        let active = self.active.take_if(|active| {
            let fits = active.bytes + bytes <= bytes_max && !group.begins_segment;
            fits || !active.holds_frames
        });
        let Some(mut active) = active else {
            if let Some(sealed) = &self.active {
                sealed.cut_rest();
            }
            self.active = Some(self.start_segment(group)?);
            return Ok(());
        };
        let written = active
            .handle
            .append(&group.bytes)
            .and_then(|()| overdue::timed(|| active.handle.sync_data()));
        if let Err(error) = written {
            // What of it is on the disk nobody knows. The file is left behind for good; cutting it only saves space.
            let _ = active.handle.truncate(active.bytes);
            return Err(error);
        }
        active.bytes += bytes;
        active.holds_frames = true;
        if !active.has_asked && active.bytes >= spare::asked_at(bytes_max) {
            active.has_asked = true;
            self.shared.spare.ask();
        }
        self.shared
            .update_newest(|newest| extend(newest, group, active.bytes));
        self.active = Some(active);
        Ok(())
    }

    fn start_segment(&mut self, group: &Group) -> io::Result<Active> {
        let shared = &self.shared;
        let name = SegmentName {
            number: self.number,
            first: group.first,
        };
        // A number is used once, even where creating the file fails half-way.
        self.number += 1;
        let (follows, recorded_after) = shared.newest_end();
        let header = Header {
            identity: shared.identity,
            number: name.number,
            follows,
            first: group.first,
            recorded_after,
        };
        let mut start = Vec::new();
        segment::encode_start(&mut start, &header, &self.in_force);
        let files = &shared.options.files;
        let path = shared.options.dir.join(name.to_string());
        let is_over_spare = shared.spare.is_ready();
        let write = || {
            let handle = match is_over_spare {
                true => shared.begin_over_spare(&path)?,
                false => files.create(&path)?,
            };
            handle.append(&start)?;
            handle.append(&group.bytes)?;
            overdue::timed(|| handle.sync_data())?;
            files.sync_dir(&shared.options.dir)?;
            Ok(handle)
        };
        let handle: Arc<dyn FileHandle> = write().inspect_err(|_: &io::Error| {
            // Its start would be overridden by the next attempt anyway; a full disk needs the space.
            let _ = files.remove(&path);
        })?;
        begun::note(files.as_ref(), &shared.options.dir, name);
        let bytes = (start.len() + group.bytes.len()) as u64;
        let mut segment = Segment {
            name,
            path,
            handle: Arc::clone(&handle),
            follows,
            last: follows,
            first_recorded_at: 0,
            last_recorded_at: recorded_after,
            readable_bytes: 0,
            stored_bytes: 0,
        };
        extend(&mut segment, group, bytes);
        shared.put_segment(segment);
        Ok(Active {
            handle,
            bytes,
            holds_frames: true,
            is_over_spare,
            has_asked: false,
        })
    }
}

fn extend(segment: &mut Segment, group: &Group, bytes: u64) {
    segment.extend(group.first, group.first_recorded_at);
    segment.extend(group.last, group.last_recorded_at);
    segment.readable_bytes = bytes;
    segment.stored_bytes = bytes;
}

struct MarkStopped<'a>(&'a Shared);

impl Drop for MarkStopped<'_> {
    fn drop(&mut self) {
        self.0.mark_stopped();
    }
}

/// Returns the memory of a group for the next one. What a burst took, or a disk that stood still, is given back.
fn emptied(mut bytes: Vec<u8>) -> Vec<u8> {
    let kept = bytes.len().max(GROUP_BYTES_KEPT);
    bytes.clear();
    if bytes.capacity() > 4 * kept {
        bytes.shrink_to(2 * kept);
    }
    bytes
}

#[cfg(test)]
mod tests;

//! The journal: the durable log of raw envelopes and declarations. What is in it may be acknowledged; everything behind
//! it is a deterministic function of it.
//!
//! ```text
//! sources ─append─▶ [pending group ─one write, one fdatasync─▶ segments] ─reader─▶ decode ─▶ … ─▶ commit
//!                                                                 │                                 │
//!                                              private archive ◀──trim──────── checkpoint {T, …} ◀──┘
//! ```
//!
//! It knows nothing of formats and datasets, and of no protocol.
//!
//! # Files
//!
//! | in the journal folder | what it is |
//! |---|---|
//! | `lock` | locked (flock) by the process that it names |
//! | `identity` | id of the journal, and the private salt that keys its checksums |
//! | `<number>-<first sequence>.journal` | segments: header, head frame, frames |
//! | `<number>-<first sequence>.begun` | empty: that segment was begun last; see `begun` |
//! | `checkpoint` | T and what is needed to go on from it; JSON with a checksum |
//! | `reserve` | zeros: space for commit, checkpoint and trim on a full disk; see `space` |
//! | `openings` | under which numbers the lake was opened, where it lies in an object store; see `openings` |
//! | `spare.tmp` | zeros, of which the next segment is made; see `spare` |
//! | `restoring` | there while a backup is restored into the folder: it cannot be opened |
//! | `aside/` | copies of damaged regions, for a repair by hand; at most `aside_bytes_max`, the oldest go first |
//! | `*.tmp` | not completed; removed when the journal is opened |
//!
//! Integers are little-endian, times are µs since 1970 UTC.
//!
//! ```text
//! segment   header 88 bytes: magic "meetnetJ" | format version u32 = 1 | header bytes u32 | journal id 16 | salt 16
//!             | number u64 | follows u64 | first sequence u64 | recorded after i64 | 0 u32 | CRC-32C u32
//!           head frame: a copy of the declarations in force at `follows`; readers of frames do not see it
//!           frames, each: magic u32 | length u32 | CRC-32C u32 | body (see `frame`)
//! ```
//!
//! Frames are of the kinds envelope, declarations, replay, tick and erase; an envelope whose content was erased is a tick
//! (`erase` says how). Each names its sequence, its recorded_at,
//! whether the clock was off then (`clock` says when it is), and the decoder version of the binary that wrote it.
//!
//! # Invariants
//!
//! 1. Sequences and recorded_at rise strictly, through restarts and whatever the clock does:
//!    recorded_at = max(now, last + 1 µs), stamped under the append lock.
//! 2. [`Journal::durable`] is moved only after fdatasync on the segment and, for a new one, fsync on its folder have
//!    returned. Readers never see a frame behind it.
//! 3. A segment is appended to only while every write and sync on it succeeded. After a failed or short one the file is
//!    left for good, and the unacknowledged group goes from memory, in order, byte for byte, into a fresh segment: a
//!    failed fdatasync may have dropped the pages, and a second one on the same file would report success.
//! 4. **Override**: a segment's header says where the journal ended when it was started (`follows`). Frames of earlier
//!    segments with a later sequence are void. A segment is started only when nothing after `follows` has been
//!    acknowledged (writer), or when its copy of it is complete and synced before its name appears (recovery), so an
//!    override never hides an acknowledged frame.
//! 5. Whole segments leave by rename into the archive once T covers them; the newest stays. While a copy is made
//!    (`hold`), all stay.
//! 6. A segment is written over zeros that were on disk before, where a spare was ready: behind its last frame there may
//!    be more of them, until it is sealed.
//! 7. Everything has a limit: `pending_bytes_max`, `journal_bytes_max`, [`FRAME_BYTES_MAX`], `archive_bytes_max`,
//!    `aside_bytes_max`.
//!
//! # Recovery
//!
//! Segments are walked in order of their number, checking every frame.
//!
//! 1. Bytes that are no frame, with a valid frame in force behind them, in the same segment or by the next segment's
//!    `follows`, are **skipped**, reported ([`Recovery::skipped`]) and copied to `aside/`. Frames whose segment is
//!    missing altogether are reported too, those of the newest by the note that it was begun (`begun`). Damage where only
//!    void frames were, or frames up to T, is nobody's loss. Damage in the group that was written last is told apart: a
//!    power loss may keep a later sector of an unsynced write and lose an earlier one. Its intact frames stay all the
//!    same, for nobody knows whether the group was synced.
//! 2. Only bytes behind which no valid frame follows, in the last segment, are **cut**: the group that was being written,
//!    and the zeros behind it.
//! 3. An intact frame or header of a newer version stops the opening: what this version cannot read it must not cut.
//! 4. A damaged header costs nothing but its 88 bytes: identity, number and start are also elsewhere. Its first frame is the
//!    one that the name says; where none before it is missing, damage in earlier segments is nobody's loss either.
//! 5. The journal goes on in a fresh segment. It starts with the **tail**, the frames after T of the last segment,
//!    written again and synced: after a process died on a failed fdatasync they may have been read from memory only.
//!    Then the old segment is cut before them. Where the disk has no room for it, `room` makes some.
//! 6. Where the declarations differ from those in force, a declarations frame follows.
//! 7. Next sequence = max(end of the journal, T, last sequence of the checkpoint, raised floor) + 1.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use meetnet_model::ids::Sequence;
use uuid::Uuid;

pub(crate) mod archive;
mod aside;
pub(crate) mod begun;
pub(crate) mod checkpoint;
mod clock;
mod erase;
pub(crate) mod error;
pub(crate) mod frame;
pub(crate) mod hold;
mod messages;
pub(crate) mod opening;
mod openings;
mod options;
mod overdue;
mod reader;
mod recovery;
mod reserve;
mod room;
pub(crate) mod scan;
pub(crate) mod segment;
mod shared;
mod space;
mod spare;
pub(crate) mod state;
pub(crate) mod stored;
mod writer;

pub use archive::ArchiveStep;
pub use checkpoint::{Checkpoint, DupEntry};
pub use clock::ClockStep;
pub use erase::{ErasedFrames, FoundFrames, Judge};
pub use error::{AppendError, FullLimit, JournalError};
pub use frame::{FRAME_BYTES_MAX, FrameKind, FrameRef, Meta, NewEnvelope, Original, fuzz_frame};
pub use messages::{Sequences, visit_messages};
pub use opening::{FolderLock, has_journal};
pub use openings::Openings;
pub use options::{Clock, JournalOptions, system_clock, system_monotonic_clock};
pub use overdue::step_aside;
pub use reader::{FrameGroup, JournalReader};
pub use recovery::{OlderDecoderTail, Recovery, SkippedRegion};
pub use shared::{Appended, DurableCallback};
pub use stored::JournalPlace;

use archive::Archive;
use checkpoint::{CHECKPOINT, Sealed};
use error::IoContext;
use room::Room;
use shared::{Shared, locked};
use writer::Writer;

/// How often the archive is looked after when nothing is trimmed: raw messages must go when their time is up.
const ARCHIVE_PERIOD: Duration = Duration::from_secs(3600);

/// What trimming moved out of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Segments archived.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An open journal: a handle that is cheap to clone. The last one dropped (or [`Journal::shutdown`]) writes what is
/// pending and frees the folder; a durable callback must therefore not hold one.
#[derive(Clone, Debug)]
pub struct Journal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    archive: Archive,
    /// One checkpoint at a time; the lock is freed on shutdown.
    folder: Mutex<Option<FolderLock>>,
    /// The writer where no thread runs it.
    writer: Mutex<Option<Writer>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    wake_archivist: Mutex<Option<Sender<()>>>,
    stop_archivist: Arc<AtomicBool>,
}

impl Journal {
    /// Opens (or makes) the journal: takes the folder lock, recovers, and journals `declarations` where they differ
    /// from those in force. They are in force for every append from here on.
    ///
    /// # Errors
    /// Where another process holds the folder, a file operation fails, or files are of a newer version or of another
    /// journal. Damage is no error: it is reported in [`Recovery`].
    pub fn open(
        options: JournalOptions,
        declarations: &[u8],
    ) -> Result<(Self, Recovery), JournalError> {
        let folder = FolderLock::take(&options)?;
        Self::open_locked(options, folder, declarations, &|| false)
    }

    /// As [`Journal::open`], by whoever has taken the lock of its folder already. Where the disk has no room and the
    /// reserve has none to give, it waits for some as long as `waits` returns true.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_locked(
        mut options: JournalOptions,
        folder: FolderLock,
        declarations: &[u8],
        waits: &dyn Fn() -> bool,
    ) -> Result<(Self, Recovery), JournalError> {
        options.segment_bytes_max = options.segment_bytes_max.min(options.journal_bytes_max / 4);
        let envelope = NewEnvelope {
            payload: declarations,
            ..NewEnvelope::default()
        };
        frame::encoded_bytes(FrameKind::Declarations, &envelope)
            .map_err(|source| JournalError::Declarations { source })?;
        let files = Arc::clone(&options.files);
        let files = files.as_ref();
        let dir = options.dir.as_path();
        let names = recovery::segment_names(files, dir)?;
        let identity = opening::identity(files, dir, &names)?;
        let mut checkpoint_damaged = None;
        let checkpoint = match checkpoint::read_sealed::<Checkpoint>(files, dir, CHECKPOINT)? {
            Sealed::Valid(checkpoint) => Some(checkpoint),
            Sealed::Missing => None,
            Sealed::Damaged => {
                let kept = recovery::keep_damaged_checkpoint(files, dir)?;
                tracing::error!(kept = %kept.display(), "the journal's checkpoint is damaged: replaying all of it");
                checkpoint_damaged = Some(kept);
                None
            }
        };
        let aside_bytes_max = options.aside_bytes_max;
        let mut scan = recovery::scan(files, dir, &identity, &names, checkpoint, aside_bytes_max)?;
        scan.report.checkpoint_damaged = checkpoint_damaged;
        let gone = begun::find_gone(files, dir, &names, &mut scan)?;
        if let Some(gone) = gone {
            begun::keep_aside(files, dir, gone)?;
        }
        let last = names.last().copied().max(gone);
        let number = last.map_or(1, |name| name.number + 1);
        let now = (options.clock)();
        let archive = Archive::new(&options);
        let mut room = Room::new(&options, &archive, waits);
        let started =
            opening::start_segment(&mut room, &identity, number, &mut scan, declarations, now)?;
        let was_short = room.was_short;
        begun::note(files, dir, started.segment.name);
        let report = scan.report;
        opening::report(&report);
        let mut segments: Vec<_> = scan
            .segments
            .into_iter()
            .map(|scanned| scanned.segment)
            .collect();
        segments.push(started.segment.clone());
        let trimmed = report
            .checkpoint
            .as_ref()
            .map_or(Sequence::ZERO, |c| c.trimmed_through);
        let trimmed = trimmed.min(segments[0].follows);
        let durable = (report.last_sequence, report.last_recorded_at);
        let background = options.background;
        let shared = Arc::new(Shared::new(options, identity, segments, durable, trimmed));
        shared.begin_with_reserve(was_short);
        let writer = Writer::new(Arc::clone(&shared), &started.segment, started.in_force);
        let journal = Self {
            inner: Arc::new(Inner {
                shared,
                archive,
                folder: Mutex::new(Some(folder)),
                writer: Mutex::new(Some(writer)),
                threads: Mutex::default(),
                wake_archivist: Mutex::default(),
                stop_archivist: Arc::default(),
            }),
        };
        if background {
            journal.inner.start_threads()?;
        }
        Ok((journal, report))
    }

    /// Takes an envelope: stamps and encodes it, and leaves it to be synced. Never waits for the disk; it is durable,
    /// and may be acknowledged, once [`Journal::durable`] has reached its sequence.
    ///
    /// # Errors
    /// [`AppendError`]: nothing of it is taken, and its sender must not be acknowledged.
    pub fn append(&self, envelope: &NewEnvelope<'_>) -> Result<Appended, AppendError> {
        self.inner
            .shared
            .append(FrameKind::Envelope, None, envelope)
    }

    /// Takes an earlier envelope again.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_replay(
        &self,
        original: Original,
        envelope: &NewEnvelope<'_>,
    ) -> Result<Appended, AppendError> {
        self.inner
            .shared
            .append(FrameKind::Replay, Some(original), envelope)
    }

    /// Puts declarations in force for every frame behind this one.
    ///
    /// # Errors
    /// As [`Journal::append`]: those of before stay in force.
    pub fn append_declarations(&self, declarations: &[u8]) -> Result<Appended, AppendError> {
        let envelope = NewEnvelope {
            payload: declarations,
            ..NewEnvelope::default()
        };
        self.inner
            .shared
            .append(FrameKind::Declarations, None, &envelope)
    }

    /// Records that time went on.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_tick(&self) -> Result<Appended, AppendError> {
        self.inner
            .shared
            .append(FrameKind::Tick, None, &NewEnvelope::default())
    }

    /// Records a request to erase; it is carried out when its frame is met ([`Journal::begin_erasure`]).
    ///
    /// # Errors
    /// As [`Journal::append`]: nothing is erased.
    pub fn append_erase(&self, request: &[u8]) -> Result<Appended, AppendError> {
        let envelope = NewEnvelope {
            payload: request,
            ..NewEnvelope::default()
        };
        self.inner.shared.append(FrameKind::Erase, None, &envelope)
    }

    /// Lets sequences go on after `floor` at least: the highest that a table has already applied.
    pub fn raise_sequence_floor(&self, floor: Sequence) {
        let mut pending = locked(&self.inner.shared.pending);
        pending.last_sequence = pending.last_sequence.max(floor);
    }

    /// Returns the durable position: sequence and `recorded_at` of the last frame that is synced.
    pub fn durable(&self) -> (Sequence, i64) {
        self.inner.shared.durable()
    }

    /// Returns the position of the last frame that was taken; it may not be durable yet.
    pub fn last_sequence(&self) -> Sequence {
        locked(&self.inner.shared.pending).last_sequence
    }

    /// Calls `callback` after each sync with the durable position. It runs on the writer's thread: the next group waits
    /// for it, so it only passes the news on.
    pub fn on_durable(&self, callback: DurableCallback) {
        self.inner.shared.add_callback(callback);
    }

    /// Waits until `sequence` is durable: for tests and tools.
    ///
    /// # Errors
    /// As [`Journal::wait_durable_for`].
    pub fn wait_durable(&self, sequence: Sequence) -> Result<(), JournalError> {
        self.wait_durable_for(sequence, Duration::MAX).map(drop)
    }

    /// The same, but no longer than `wait_max`: false where it is not durable then.
    ///
    /// # Errors
    /// [`JournalError::Stopped`] where it will never be; without background threads also those of [`Journal::write_group`].
    pub fn wait_durable_for(
        &self,
        sequence: Sequence,
        wait_max: Duration,
    ) -> Result<bool, JournalError> {
        // Where no thread writes, the caller does.
        while self.durable().0 < sequence && locked(&self.inner.writer).is_some() {
            self.write_group()?;
        }
        self.inner.shared.wait_durable(sequence, wait_max)
    }

    /// Returns a reader of the frames after `after`.
    pub fn reader(&self, after: Sequence) -> JournalReader {
        JournalReader::new(Arc::clone(&self.inner.shared), after)
    }

    /// Makes `checkpoint` durable, then archives every whole segment up to its T.
    ///
    /// # Errors
    /// Where a file operation fails; [`JournalError::Stopped`] behind [`Journal::shutdown`].
    pub fn checkpoint_and_trim(&self, checkpoint: &Checkpoint) -> Result<Trimmed, JournalError> {
        self.inner.checkpoint_and_trim(checkpoint)
    }

    /// Returns the bytes of untrimmed segments, which `journal_bytes_max` bounds.
    pub fn bytes(&self) -> u64 {
        self.inner.shared.stored_bytes.load(Ordering::Relaxed)
    }

    /// Returns the id of this journal: it names it in the transactions of table logs.
    pub fn id(&self) -> Uuid {
        self.inner.shared.identity.id
    }

    /// Returns what this journal remembers of opening its lake.
    pub fn openings(&self) -> Openings {
        let options = &self.inner.shared.options;
        Openings::new(Arc::clone(&options.files), options.dir.clone())
    }

    /// Returns how the clock was off when the last frame was taken; none where it was to be believed. Frames say it of
    /// themselves ([`FrameRef::clock_step`]).
    pub fn clock_step(&self) -> Option<ClockStep> {
        locked(&self.inner.shared.pending).clock_step
    }

    /// Returns true while the disk is full: appends are refused with [`AppendError::DiskFull`].
    pub fn is_disk_full(&self) -> bool {
        self.inner.shared.is_disk_full()
    }

    /// Gives the space of the reserve file to a commit that found none: appends are refused until it has been filled
    /// again. Returns whether there was one.
    ///
    /// # Errors
    /// Where a file operation fails.
    pub fn release_reserve(&self) -> Result<bool, JournalError> {
        let shared = &self.inner.shared;
        shared
            .release_reserve()
            .context("release the reserve in", &shared.options.dir)
    }

    /// Without background threads: makes one attempt to write the pending group. Returns false where nothing was
    /// pending.
    ///
    /// # Errors
    /// Where the disk refuses it, and the same group is tried again by the next call; [`JournalError::Stopped`] behind
    /// [`Journal::shutdown`].
    pub fn write_group(&self) -> Result<bool, JournalError> {
        let mut writer = locked(&self.inner.writer);
        let Some(writer) = writer.as_mut() else {
            return Err(JournalError::Stopped);
        };
        writer
            .write_group()
            .context("write a group to", &self.inner.shared.options.dir)
    }

    /// Does one thing that is due in the archive: removes what is too old or too much, or compresses a segment.
    /// Returns none where nothing is due.
    ///
    /// # Errors
    /// Where a file operation fails; it is due again then.
    pub fn tend_archive(&self) -> Result<Option<ArchiveStep>, JournalError> {
        self.inner.archive.step(&|| true)
    }

    /// Takes nothing more, writes what is pending and frees the folder, for all handles.
    ///
    /// # Errors
    /// [`JournalError::Unwritten`] where the disk refused the last groups: their senders were not acknowledged.
    pub fn shutdown(self) -> Result<(), JournalError> {
        self.inner.shared.stop();
        let writer = locked(&self.inner.writer).take();
        if let Some(writer) = writer {
            writer.run();
        }
        self.inner.end()
    }
}

impl Inner {
    fn start_threads(&self) -> Result<(), JournalError> {
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new()
                .name(name.to_owned())
                .spawn(run)
                .context("start the threads of", &self.shared.options.dir)?;
            locked(&self.threads).push(thread);
            Ok::<(), JournalError>(())
        };
        if let Some(writer) = locked(&self.writer).take() {
            spawn("journal-writer", Box::new(move || writer.run()))?;
        }
        let (wake, woken) = crossbeam_channel::bounded::<()>(1);
        let (archive, stop) = (self.archive.clone(), Arc::clone(&self.stop_archivist));
        spawn(
            "journal-archive",
            Box::new(move || {
                let go_on = || !stop.load(Ordering::Relaxed);
                loop {
                    while go_on() {
                        match archive.step(&go_on) {
                            Ok(Some(step)) => tracing::debug!(?step, "tended the raw archive"),
                            Ok(None) => break,
                            Err(error) => {
                                let error: &dyn std::error::Error = &error;
                                tracing::warn!(
                                    error,
                                    "failed to tend the raw archive: trying later"
                                );
                                break;
                            }
                        }
                    }
                    match woken.recv_timeout(ARCHIVE_PERIOD) {
                        Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            }),
        )?;
        *locked(&self.wake_archivist) = Some(wake);
        let (shared, stop) = (Arc::clone(&self.shared), Arc::clone(&self.stop_archivist));
        let asked = shared.spare.asked();
        let make = move || spare::make(&shared, &asked, &stop);
        spawn("journal-spare", Box::new(make))
    }

    fn checkpoint_and_trim(&self, checkpoint: &Checkpoint) -> Result<Trimmed, JournalError> {
        let folder = locked(&self.folder);
        if folder.is_none() {
            return Err(JournalError::Stopped);
        }
        let options = &self.shared.options;
        let files = options.files.as_ref();
        let write = || checkpoint::write_sealed(files, &options.dir, CHECKPOINT, checkpoint);
        match write() {
            Err(error) if error.is_disk_full() => {
                self.shared
                    .release_reserve()
                    .context("release the reserve in", &options.dir)?;
                write()?;
            }
            written => written?,
        }
        let mut trimmed = Trimmed::default();
        for segment in self.shared.trimmable(checkpoint.trimmed_through) {
            if segment.is_empty() {
                files
                    .remove(&segment.path)
                    .context("remove the empty segment", &segment.path)?;
            } else {
                self.archive.admit(&segment)?;
                trimmed.segments += 1;
                trimmed.bytes += segment.stored_bytes;
            }
            self.shared.forget_segment(segment.name.number);
        }
        if trimmed.segments > 0 {
            files
                .sync_dir(&options.archive_dir)
                .context("sync", &options.archive_dir)?;
            files.sync_dir(&options.dir).context("sync", &options.dir)?;
            if let Some(wake) = &*locked(&self.wake_archivist) {
                // Full: it is awake already.
                let _ = wake.try_send(());
            }
        }
        self.shared.restore_reserve_if_due();
        Ok(trimmed)
    }

    /// Ends the threads and frees the folder.
    fn end(&self) -> Result<(), JournalError> {
        self.shared.stop();
        self.stop_archivist.store(true, Ordering::Relaxed);
        drop(locked(&self.wake_archivist).take());
        self.shared.spare.end();
        for thread in std::mem::take(&mut *locked(&self.threads)) {
            // The last handle may be dropped by a callback, on the writer's own thread.
            if thread.thread().id() != thread::current().id() {
                // A panic in a callback has been reported by the panic hook.
                let _ = thread.join();
            }
        }
        self.shared.mark_stopped();
        drop(locked(&self.folder).take());
        match locked(&self.shared.unwritten).take() {
            Some((frames, source)) => Err(JournalError::Unwritten { frames, source }),
            None => Ok(()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "the journal was dropped with unwritten frames");
        }
    }
}

#[cfg(test)]
mod tests;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use meetnet_testkit::clock::ManualClock;
use tempfile::TempDir;

use super::*;
use crate::files::{DiskFiles, Files};

const NOW: i64 = 1_700_000_000_000_000;
const SECOND_US: i64 = 1_000_000;

fn options(folder: &TempDir, clock: &ManualClock) -> JournalOptions {
    JournalOptions {
        reserve_bytes: 4096,
        clock: clock.function(),
        monotonic_clock: clock.monotonic_function(),
        ..JournalOptions::new(folder.path().join("journal"), folder.path().join("archive"))
    }
}

fn envelope<'a>(topic: &'a str, payload: &'a [u8]) -> NewEnvelope<'a> {
    NewEnvelope {
        source: "balcony",
        topic,
        payload,
        ..NewEnvelope::default()
    }
}

fn read_all(reader: &mut JournalReader) -> Vec<(u64, FrameKind, Vec<u8>)> {
    let mut read = Vec::new();
    while let Some(group) = reader.read_group(200).expect("readable") {
        read.extend(
            group
                .frames()
                .map(|f| (f.sequence.0, f.kind, f.payload.to_vec())),
        );
    }
    read
}

fn file_names(dir: &Path) -> Vec<String> {
    DiskFiles::PRIVATE
        .list(dir)
        .expect("a folder")
        .into_iter()
        .map(|listed| listed.name)
        .collect()
}

#[test]
fn frames_of_all_kinds_are_read_back_live_and_after_a_restart() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let (journal, recovery) = Journal::open(options(&folder, &clock), b"one").expect("opens");
    let id = journal.id();
    assert_eq!(
        (recovery.declarations.as_slice(), recovery.last_sequence),
        (&b""[..], Sequence(1))
    );
    let original = journal.append(&envelope("t", b"a")).expect("taken");
    assert_eq!(
        original,
        Appended {
            sequence: Sequence(2),
            recorded_at: NOW + 1
        }
    );
    let first = Original {
        sequence: original.sequence,
        received_at: NOW - 5,
        clock_step: false,
    };
    journal
        .append_replay(first, &envelope("t", b"a"))
        .expect("taken");
    journal.append_declarations(b"two").expect("taken");
    journal.append_tick().expect("taken");
    let last = journal.append_erase(b"sensor x").expect("taken");
    journal.wait_durable(last.sequence).expect("durable");
    assert_eq!(journal.durable(), (last.sequence, last.recorded_at));
    let expect = vec![
        (1, FrameKind::Declarations, b"one".to_vec()),
        (2, FrameKind::Envelope, b"a".to_vec()),
        (3, FrameKind::Replay, b"a".to_vec()),
        (4, FrameKind::Declarations, b"two".to_vec()),
        (5, FrameKind::Tick, vec![]),
        (6, FrameKind::Erase, b"sensor x".to_vec()),
    ];
    assert_eq!(read_all(&mut journal.reader(Sequence::ZERO)), expect);
    journal.shutdown().expect("all written");

    let (journal, recovery) = Journal::open(options(&folder, &clock), b"two").expect("opens");
    assert_eq!(journal.id(), id);
    assert_eq!(
        recovery.last_sequence, last.sequence,
        "the same declarations are not written again"
    );
    assert_eq!((recovery.cut_bytes, recovery.skipped.len()), (0, 0));
    assert_eq!(read_all(&mut journal.reader(Sequence::ZERO)), expect);
    assert_eq!(read_all(&mut journal.reader(Sequence(5))), expect[5..]);
    let group = journal
        .reader(Sequence(2))
        .read_group(1)
        .expect("readable")
        .expect("durable");
    let frame = group.frames().next().expect("at least one");
    assert_eq!(
        (frame.received_at, frame.original_sequence),
        (NOW - 5, Some(Sequence(2)))
    );
    assert_eq!(
        group.len(),
        1,
        "one frame even where it is longer than the limit"
    );
}

#[test]
fn a_second_process_is_told_who_has_the_folder() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let (journal, _) = Journal::open(options(&folder, &clock), b"").expect("opens");
    let error = Journal::open(options(&folder, &clock), b"").expect_err("taken");
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    let other = journal.clone();
    drop(journal);
    Journal::open(options(&folder, &clock), b"").expect_err("a handle is left");
    other.shutdown().expect("all written");
    Journal::open(options(&folder, &clock), b"").expect("free again");
}

#[test]
fn a_torn_header_is_judged_by_the_name_of_its_segment() {
    // `damage` is done to the segment before; `expect`: whether a region of it is reported.
    let check = |damage: fn(&mut Vec<u8>), expect: bool| {
        let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
        let options = || JournalOptions {
            background: false,
            ..options(&folder, &clock)
        };
        let (journal, _) = Journal::open(options(), b"one").expect("opens");
        journal.append(&envelope("t", b"a")).expect("taken");
        journal.write_group().expect("written");
        journal.inner.shared.begin_segment();
        for payload in [b"b", b"c"] {
            journal.append(&envelope("t", payload)).expect("taken");
        }
        journal.write_group().expect("written");
        journal.shutdown().expect("all written");

        let dir = folder.path().join("journal");
        let segments = recovery::segment_names(&DiskFiles::PRIVATE, &dir).expect("a folder");
        let [.., before, last] = &segments[..] else {
            panic!("two segments: {segments:?}");
        };
        let [before, last] = [before, last].map(|name| dir.join(name.to_string()));
        let change = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
            let mut content = std::fs::read(path).expect("a segment");
            change(&mut content);
            std::fs::write(path, content).expect("written");
        };
        change(&before, &damage);
        change(&last, &|content| content[..segment::HEADER_BYTES].fill(0));

        let (_, recovery) = Journal::open(options(), b"one").expect("opens");
        let skipped = &recovery.skipped;
        let header = skipped.last().expect("the header is reported");
        // Where a frame is lost before it, nobody knows any more which of the two held it.
        assert_eq!((&header.segment, header.last_group), (&last, !expect));
        let earlier: Vec<_> = skipped.iter().filter(|one| one.segment == before).collect();
        assert_eq!(!earlier.is_empty(), expect, "{skipped:?}");
        assert!(earlier.iter().all(|one| !one.last_group), "{skipped:?}");
    };
    // The remains of a group whose write failed, and which stands in the next one.
    check(
        |content| content.extend_from_slice(b"mnjf and no more"),
        false,
    );
    // The last byte of the last frame: that frame is lost.
    check(|content| *content.last_mut().expect("bytes") ^= 1, true);
}

#[test]
fn a_lake_has_one_writer_whatever_journals_there_are() {
    let folder = TempDir::new().expect("a folder");
    let lake = folder.path().join("lake");
    let take = |name: &str| {
        let journal = folder.path().join(name);
        FolderLock::take(&JournalOptions::new(&journal, journal.join("archive")))
            .and_then(|lock| lock.with_lake(&lake))
    };
    let first = take("one").expect("free");
    let error = take("two").expect_err("taken");
    assert!(matches!(error, JournalError::LakeLocked { .. }), "{error}");
    assert_eq!(file_names(&lake), [""; 0], "nothing is left in it");
    drop(first);
    take("two").expect("free again");
}

#[test]
fn recorded_at_rises_strictly_whatever_the_clock_does() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let (journal, _) = Journal::open(options(&folder, &clock), b"").expect("opens");
    let back = Some(ClockStep::Back);
    let check = |now: i64, expect: i64, clock_step: Option<ClockStep>| {
        clock.set(now);
        assert_eq!(journal.append_tick().expect("taken").recorded_at, expect);
        assert_eq!(journal.clock_step(), clock_step, "at {now}");
    };
    check(NOW, NOW, None);
    check(NOW, NOW + 1, None);
    check(NOW - 59 * SECOND_US, NOW + 2, None);
    check(NOW - 120 * SECOND_US, NOW + 3, back);
    check(NOW - 10 * SECOND_US, NOW + 4, None);
    check(NOW + SECOND_US, NOW + SECOND_US, None);
    journal.shutdown().expect("all written");
    clock.set(NOW - 100 * SECOND_US);
    let (journal, recovery) = Journal::open(options(&folder, &clock), b"").expect("opens");
    assert_eq!(recovery.last_recorded_at, NOW + SECOND_US);
    assert_eq!(
        journal.append_tick().expect("taken").recorded_at,
        NOW + SECOND_US + 1
    );
    assert_eq!(journal.clock_step(), back);
}

#[test]
fn frames_say_whether_the_clock_was_off_and_replays_what_their_original_said() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let (journal, _) = Journal::open(options(&folder, &clock), b"d").expect("opens");
    let append = || journal.append(&envelope("t", b"a")).expect("taken");
    let replay = |sequence: u64, clock_step: bool| {
        let original = Original {
            sequence: Sequence(sequence),
            received_at: NOW,
            clock_step,
        };
        let taken = journal.append_replay(original, &envelope("t", b"a"));
        taken.expect("taken")
    };
    append();
    clock.advance(SECOND_US);
    clock.step(7200 * SECOND_US);
    append();
    assert_eq!(journal.clock_step(), Some(ClockStep::Ahead));
    replay(2, false);
    replay(3, true);
    // Set right again: behind what was recorded meanwhile, then past it.
    clock.step(-7200 * SECOND_US);
    append();
    assert_eq!(journal.clock_step(), Some(ClockStep::Back));
    clock.advance(7200 * SECOND_US);
    append();
    let last = replay(3, true);
    assert_eq!(journal.clock_step(), None);
    journal.wait_durable(last.sequence).expect("durable");
    let expect = vec![
        (2, false),
        (3, true),
        (4, false),
        (5, true),
        (6, true),
        (7, false),
        (8, true),
    ];
    let flags = |journal: &Journal| -> Vec<(u64, bool)> {
        let mut reader = journal.reader(Sequence(1));
        let group = reader.read_group(1 << 20).expect("readable");
        let group = group.expect("durable");
        group
            .frames()
            .map(|f| (f.sequence.0, f.clock_step))
            .collect()
    };
    assert_eq!(flags(&journal), expect);
    journal.shutdown().expect("all written");
    // A restart copies the tail into a fresh segment, and begins to watch the clock anew.
    clock.step(7200 * SECOND_US);
    let (journal, _) = Journal::open(options(&folder, &clock), b"d").expect("opens");
    assert_eq!(flags(&journal), expect);
    assert_eq!(journal.clock_step(), None);
}

#[test]
fn trimming_archives_whole_segments_and_the_archive_keeps_its_limits() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let options = JournalOptions {
        segment_bytes_max: 500,
        background: false,
        ..options(&folder, &clock)
    };
    let archive = folder.path().join("archive");
    let (journal, _) = Journal::open(options.clone(), b"declared").expect("opens");
    for payload in 0..20_u8 {
        clock.advance(SECOND_US);
        journal
            .append(&envelope("t", &[payload; 100]))
            .expect("taken");
        assert!(journal.write_group().expect("written"));
    }
    let (bytes, mut slow) = (journal.bytes(), journal.reader(Sequence::ZERO));
    assert_eq!(
        slow.read_group(1)
            .expect("readable")
            .expect("durable")
            .last_sequence(),
        Sequence(1)
    );
    let checkpoint = Checkpoint {
        trimmed_through: Sequence(11),
        ..Checkpoint::default()
    };
    let trimmed = journal.checkpoint_and_trim(&checkpoint).expect("trimmed");
    assert!(
        trimmed.segments > 0 && journal.bytes() == bytes - trimmed.bytes,
        "{trimmed:?}"
    );
    let archived = file_names(&archive);
    assert_eq!(archived.len() as u64, trimmed.segments);
    let mode = |name: &str| {
        let metadata = std::fs::metadata(archive.join(name)).expect("a file");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&archived[0]), 0o600);

    // Reading goes on from T, but a reader that is behind it is told.
    let after: Vec<u64> = read_all(&mut journal.reader(Sequence(11)))
        .iter()
        .map(|f| f.0)
        .collect();
    assert_eq!(after, (12..=21).collect::<Vec<_>>());
    let mut behind = journal.reader(Sequence(1));
    assert!(matches!(
        behind.read_group(1 << 20),
        Err(JournalError::Trimmed { .. })
    ));
    // The segment in which the slow one stands is still open to it; the one after is gone.
    while let Ok(Some(_)) = slow.read_group(1 << 20) {}
    assert!(matches!(
        slow.read_group(1 << 20),
        Err(JournalError::Trimmed { .. })
    ));

    let raw = std::fs::read(archive.join(&archived[0])).expect("readable");
    let step = journal
        .tend_archive()
        .expect("compressed")
        .expect("something was due");
    let ArchiveStep::Compressed(path) = step else {
        panic!("{step:?}")
    };
    let packed = std::fs::File::open(&path).expect("readable");
    assert_eq!(zstd::decode_all(packed).expect("valid"), raw);
    while journal.tend_archive().expect("tended").is_some() {}
    let names = file_names(&archive);
    assert!(names.iter().all(|name| name.ends_with(".zst")), "{names:?}");
    assert_eq!((names.len(), mode(&names[0])), (archived.len(), 0o600));

    journal.shutdown().expect("all written");
    let small = JournalOptions {
        archive_bytes_max: 300,
        ..options
    };
    let (journal, recovery) = Journal::open(small, b"declared").expect("opens");
    assert_eq!(recovery.checkpoint, Some(checkpoint));
    assert_eq!(recovery.declarations, b"declared");
    assert!(matches!(
        journal.tend_archive(),
        Ok(Some(ArchiveStep::DroppedOldest(_)))
    ));
    while journal.tend_archive().expect("tended").is_some() {}
    let left = file_names(&archive);
    assert!(
        !left.is_empty() && left.len() < names.len() && names.ends_with(&left),
        "{left:?}"
    );
    clock.advance(31 * 24 * 3600 * SECOND_US);
    assert!(matches!(
        journal.tend_archive(),
        Ok(Some(ArchiveStep::Expired(_)))
    ));
    while journal.tend_archive().expect("tended").is_some() {}
    assert_eq!(file_names(&archive), Vec::<String>::new());
}

#[test]
fn at_its_limits_the_journal_takes_nothing_more_until_there_is_room() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let options = JournalOptions {
        journal_bytes_max: 4000,
        pending_bytes_max: 1000,
        background: false,
        ..options(&folder, &clock)
    };
    let (journal, _) = Journal::open(options, b"").expect("opens");
    let payload = [7; 300];
    let limit = |result: Result<Appended, AppendError>| match result {
        Ok(_) => None,
        Err(AppendError::Full { limit, .. }) => Some(limit),
        Err(error) => panic!("{error}"),
    };
    let append = || limit(journal.append(&envelope("t", &payload)));
    assert_eq!([append(), append()], [None, None]);
    assert_eq!(append(), Some(FullLimit::PendingBytes));
    assert!(journal.write_group().expect("written"));
    let mut taken = 2;
    loop {
        match append() {
            None => taken += 1,
            Some(limit) => {
                assert_eq!(limit, FullLimit::JournalBytes);
                break;
            }
        }
        assert!(journal.write_group().expect("written"));
    }
    assert!((6..=9).contains(&taken), "{taken}");
    let (trimmed_through, _) = journal.durable();
    let checkpoint = Checkpoint {
        trimmed_through,
        ..Checkpoint::default()
    };
    assert!(
        journal
            .checkpoint_and_trim(&checkpoint)
            .expect("trimmed")
            .segments
            >= 2
    );
    assert_eq!(append(), None);
    let large = [0; 1000];
    let refused = journal
        .append(&envelope("t", &large))
        .expect_err("never fits");
    assert!(
        matches!(refused, AppendError::FieldTooLong { field: "frame", .. }),
        "{refused}"
    );
}

#[test]
fn a_thread_makes_the_spare_of_a_segment_that_fills() {
    const SEGMENT_BYTES: u64 = 2 << 20;
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let options = JournalOptions {
        segment_bytes_max: SEGMENT_BYTES,
        ..options(&folder, &clock)
    };
    let (journal, _) = Journal::open(options.clone(), b"d").expect("opens");
    let is_over_spare = || {
        let listed = DiskFiles::PRIVATE.list(&options.dir).expect("a folder");
        let mut segments = listed
            .iter()
            .filter(|file| file.name.ends_with(segment::EXTENSION));
        segments.any(|file| file.bytes == SEGMENT_BYTES)
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut frames = 1;
    while !is_over_spare() {
        assert!(std::time::Instant::now() < deadline, "{frames} frames");
        let taken = journal.append(&envelope("t", &[7; 60_000]));
        let sequence = taken.expect("taken").sequence;
        journal.wait_durable(sequence).expect("durable");
        frames += 1;
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(read_all(&mut journal.reader(Sequence::ZERO)).len(), frames);
    journal.shutdown().expect("all written");
    assert!(!is_over_spare(), "cut at the end");
    let (journal, recovery) = Journal::open(options.clone(), b"d").expect("opens");
    assert_eq!((recovery.cut_bytes, recovery.skipped.len()), (0, 0));
    assert_eq!(read_all(&mut journal.reader(Sequence::ZERO)).len(), frames);
}

#[test]
fn threads_append_and_a_reader_sees_only_what_is_durable() {
    const THREADS: u64 = 2;
    const EACH: u64 = 3000;
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let options = JournalOptions {
        segment_bytes_max: 100_000,
        ..options(&folder, &clock)
    };
    let (journal, _) = Journal::open(options, b"").expect("opens");
    let told = Arc::new(AtomicU64::new(0));
    let telling = Arc::clone(&told);
    journal.on_durable(Box::new(move |sequence, _| {
        telling.fetch_max(sequence.0, Ordering::SeqCst);
    }));
    let mut frames = Vec::new();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let journal = &journal;
            scope.spawn(move || {
                let topic = number.to_string();
                for value in 0..EACH {
                    let payload = value.to_le_bytes();
                    let appended = journal.append(&envelope(&topic, &payload)).expect("taken");
                    if value % 500 == 0 {
                        journal.wait_durable(appended.sequence).expect("durable");
                    }
                }
            });
        }
        let mut reader = journal.reader(Sequence::ZERO);
        while (frames.len() as u64) < THREADS * EACH {
            let Some(group) = reader.read_group(10_000).expect("readable") else {
                thread::yield_now();
                continue;
            };
            assert!(group.last_sequence() <= journal.durable().0);
            let values = group
                .frames()
                .map(|f| (f.sequence.0, f.recorded_at, f.topic.to_owned()));
            frames.extend(values);
        }
    });
    assert!(
        frames
            .windows(2)
            .all(|pair| pair[0].0 + 1 == pair[1].0 && pair[0].1 < pair[1].1)
    );
    let of_first = frames.iter().filter(|(_, _, topic)| topic == "0").count() as u64;
    assert_eq!((frames.len() as u64, of_first), (THREADS * EACH, EACH));
    journal.clone().shutdown().expect("all written");
    assert_eq!(told.load(Ordering::SeqCst), THREADS * EACH);
    assert_eq!(journal.append_tick(), Err(AppendError::Stopped));
    assert!(matches!(
        journal.wait_durable(Sequence(u64::MAX)),
        Err(JournalError::Stopped)
    ));
}

#[test]
fn the_sequence_floor_leaves_a_gap_that_is_no_damage() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let (journal, _) = Journal::open(options(&folder, &clock), b"d").expect("opens");
    journal.raise_sequence_floor(Sequence(100));
    assert_eq!(
        journal.append_tick().expect("taken").sequence,
        Sequence(101)
    );
    journal.shutdown().expect("all written");
    let (journal, recovery) = Journal::open(options(&folder, &clock), b"d").expect("opens");
    assert_eq!(
        (recovery.last_sequence, recovery.skipped.len()),
        (Sequence(101), 0)
    );
    let read: Vec<u64> = read_all(&mut journal.reader(Sequence::ZERO))
        .iter()
        .map(|f| f.0)
        .collect();
    assert_eq!(read, [1, 101]);
    // A checkpoint that is ahead of the journal (its last segments were lost) raises the floor as well.
    let checkpoint = Checkpoint {
        trimmed_through: Sequence(500),
        ..Checkpoint::default()
    };
    journal.checkpoint_and_trim(&checkpoint).expect("trimmed");
    journal.shutdown().expect("all written");
    let (journal, recovery) = Journal::open(options(&folder, &clock), b"d").expect("opens");
    assert_eq!(
        (recovery.last_sequence, recovery.skipped.len()),
        (Sequence(500), 0)
    );
    assert_eq!(
        journal.append_tick().expect("taken").sequence,
        Sequence(501)
    );
}

#[test]
fn the_reserve_gives_its_space_back() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let options = JournalOptions {
        background: false,
        ..options(&folder, &clock)
    };
    let (journal, _) = Journal::open(options, b"").expect("opens");
    let reserve = folder.path().join("journal/reserve");
    assert_eq!(std::fs::metadata(&reserve).expect("a file").len(), 4096);
    assert!(journal.release_reserve().expect("released"));
    assert!(!reserve.exists() && !journal.release_reserve().expect("none left"));
    // The space is not for new messages.
    assert_eq!(journal.append_tick(), Err(AppendError::DiskFull));
    journal.write_group().expect("looked for room");
    assert_eq!(std::fs::metadata(&reserve).expect("a file").len(), 4096);
    journal.append_tick().expect("taken");
}

#[test]
fn a_segment_of_another_journal_is_refused() {
    let (ours, theirs) = (
        TempDir::new().expect("a folder"),
        TempDir::new().expect("a folder"),
    );
    let clock = ManualClock::new(NOW);
    for folder in [&ours, &theirs] {
        let (journal, _) = Journal::open(options(folder, &clock), b"d").expect("opens");
        journal.shutdown().expect("all written");
    }
    let segment = "0000000001-00000000000000000001.journal";
    let from = theirs.path().join("journal").join(segment);
    let to = ours
        .path()
        .join("journal/0000000007-00000000000000000009.journal");
    std::fs::copy(from, to).expect("copied");
    let error = Journal::open(options(&ours, &clock), b"d").expect_err("foreign");
    assert!(matches!(error, JournalError::Foreign { .. }), "{error}");
}

#[test]
fn a_segment_with_the_name_of_another_one_is_refused_and_stays() {
    let folder = TempDir::new().expect("a folder");
    let clock = ManualClock::new(NOW);
    let (journal, _) = Journal::open(options(&folder, &clock), b"d").expect("opens");
    let last = journal.append_tick().expect("taken").sequence;
    journal.shutdown().expect("all written");
    let own = "0000000001-00000000000000000001.journal";
    let place = |name: &str| folder.path().join("journal").join(name);
    let other = place("0000000007-00000000000000000009.journal");
    std::fs::rename(place(own), &other).expect("renamed");
    let error = Journal::open(options(&folder, &clock), b"d").expect_err("misnamed");
    let is_named = matches!(&error, JournalError::Misnamed { name, .. } if name == own);
    assert!(is_named, "{error}");
    std::fs::rename(&other, place(own)).expect("renamed back");
    let (_, recovery) = Journal::open(options(&folder, &clock), b"d").expect("opens");
    assert_eq!(recovery.last_sequence, last);
}

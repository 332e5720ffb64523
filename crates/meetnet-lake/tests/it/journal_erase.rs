//! Erasing messages from the journal: gone from every file, nothing else changed, whenever the power fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meetnet_lake::journal::{
    AppendError, ArchiveStep, Checkpoint, ErasedFrames, FoundFrames, FrameGroup, FrameKind,
    Journal, JournalOptions, NewEnvelope, Recovery,
};
use meetnet_model::ids::Sequence;
use meetnet_testkit::clock::ManualClock;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};

const SECRET: &[u8] = b"esp8266-4711";

fn options(files: &FaultyFiles) -> JournalOptions {
    let clock = ManualClock::new(1_700_000_000_000_000);
    JournalOptions {
        files: Arc::new(files.clone()),
        clock: clock.function(),
        monotonic_clock: clock.monotonic_function(),
        reserve_bytes: 0,
        segment_bytes_max: 700,
        background: false,
        ..JournalOptions::new("/j", "/a")
    }
}

fn open(files: &FaultyFiles) -> (Journal, Recovery) {
    Journal::open(options(files), b"declared").expect("opens")
}

/// One message; every third is of the sensor that goes.
fn append(journal: &Journal, number: u64) {
    let is_wanted = number.is_multiple_of(3);
    let topic = if is_wanted {
        "air/esp8266-4711"
    } else {
        "air/other"
    };
    let payload = format!("{topic} says {number}");
    let envelope = NewEnvelope {
        source: "air",
        topic,
        meta: &[("x-sensor", topic)],
        packet_id: 7,
        payload: payload.as_bytes(),
        ..NewEnvelope::default()
    };
    journal.append(&envelope).expect("taken");
    assert!(journal.write_group().expect("written"));
}

/// A journal with 30 messages in all places: compressed, archived, in sealed segments, and in the newest one.
fn fill(files: &FaultyFiles) -> Journal {
    let (journal, _) = open(files);
    for number in 1..=30 {
        append(&journal, number);
        if number == 10 || number == 20 {
            let checkpoint = Checkpoint {
                trimmed_through: Sequence(number),
                last_sequence: Sequence(number + 1),
                ..Checkpoint::default()
            };
            assert!(
                journal
                    .checkpoint_and_trim(&checkpoint)
                    .expect("trimmed")
                    .segments
                    > 0
            );
        }
        if number == 10 {
            while let Some(step) = journal.tend_archive().expect("tended") {
                assert!(matches!(step, ArchiveStep::Compressed(_)), "{step:?}");
            }
        }
    }
    journal
}

fn judge(group: &FrameGroup) -> Vec<Sequence> {
    let mentions = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET);
    let wanted = group.frames().filter(|frame| mentions(frame.payload));
    wanted.map(|frame| frame.sequence).collect()
}

fn seal(journal: &Journal) {
    let sealed = journal.seal().expect("taken");
    assert!(journal.write_group().expect("written"));
    assert!(journal.durable().0 >= sealed.sequence);
}

fn find(journal: &Journal, through: u64) -> FoundFrames {
    journal
        .find_frames(Sequence(through), &mut |group| judge(group))
        .expect("found")
}

/// Files whose content, decompressed, holds the sensor.
fn tainted(files: &FaultyFiles) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let mut content = files.content(path).expect("a file");
        if path.extension().is_some_and(|extension| extension == "zst") {
            content = zstd::decode_all(content.as_slice()).expect("valid");
        }
        content.windows(SECRET.len()).any(|window| window == SECRET)
    };
    files.paths().into_iter().filter(holds).collect()
}

/// What a reader sees after `after`: sequence, time, kind, erased, source and payload.
type Seen = Vec<(u64, i64, FrameKind, bool, String, Vec<u8>)>;

fn seen(journal: &Journal, after: u64) -> Seen {
    let mut seen = Seen::new();
    let mut reader = journal.reader(Sequence(after));
    while let Some(group) = reader.read_group(300).expect("readable") {
        seen.extend(group.frames().map(|frame| {
            assert!(!frame.erased || (frame.topic.is_empty() && frame.meta.is_empty()));
            let (source, payload) = (frame.source.to_owned(), frame.payload.to_vec());
            let (at, kind) = (frame.recorded_at, frame.kind);
            (frame.sequence.0, at, kind, frame.erased, source, payload)
        }));
    }
    seen
}

/// What is left of it when the sensor's messages up to `through` are gone.
fn without(mut seen: Seen, through: u64) -> Seen {
    for (sequence, _, kind, erased, _, payload) in &mut seen {
        if *sequence <= through && payload.starts_with(b"air/esp8266-4711") {
            (*kind, *erased, *payload) = (FrameKind::Tick, true, Vec::new());
        }
    }
    seen
}

#[test]
fn erased_messages_are_in_no_file_and_the_others_stay_as_they_are() {
    let files = FaultyFiles::new();
    let journal = fill(&files);
    assert!(tainted(&files).len() > 4, "{:?}", tainted(&files));
    let before = seen(&journal, 20);
    let mut slow = journal.reader(Sequence(20));
    let first = slow.read_group(1).expect("readable").expect("durable");
    assert_eq!(first.last_sequence(), Sequence(21));
    seal(&journal);
    // The one of sequence 31 arrived after the request.
    let found = find(&journal, 30);
    let expect: Vec<Sequence> = (1..=9).map(|third| Sequence(3 * third + 1)).collect();
    assert_eq!(found.sequences().into_iter().collect::<Vec<_>>(), expect);
    let bytes = journal.bytes();
    let erased = journal.erase_frames(&found).expect("erased");
    assert_eq!(
        (erased.frames, erased.damaged_regions),
        (9, 0),
        "{erased:?}"
    );
    assert!(journal.bytes() < bytes);
    let last = tainted(&files);
    assert_eq!(last.len(), 1, "{last:?}");

    let tick = seen(&journal, 31);
    let expect: Seen = without(before, 30).into_iter().chain(tick).collect();
    assert_eq!(seen(&journal, 20), expect);
    // A reader that stood in a segment that was written again goes on behind what it had read.
    let mut sequences = Vec::new();
    while let Some(group) = slow.read_group(1 << 20).expect("readable") {
        sequences.extend(group.frames().map(|frame| frame.sequence.0));
    }
    let behind: Vec<u64> = expect.iter().map(|frame| frame.0).skip(1).collect();
    assert_eq!(sequences, behind);

    // Again changes nothing; the rest goes too; a restart finds a whole journal.
    assert_eq!(
        journal.erase_frames(&find(&journal, 30)).expect("erased"),
        ErasedFrames::default()
    );
    let erased = journal.erase_frames(&find(&journal, 31)).expect("erased");
    assert_eq!((erased.frames, erased.segments), (1, 1), "{erased:?}");
    assert_eq!(tainted(&files), Vec::<PathBuf>::new());
    let expect = without(expect, 31);
    assert_eq!(seen(&journal, 20), expect);
    journal.shutdown().expect("all written");
    let (journal, recovery) = open(&files);
    assert_eq!(
        (recovery.skipped.len(), recovery.cut_bytes),
        (0, 0),
        "{recovery:?}"
    );
    assert_eq!(seen(&journal, 20), expect);
}

#[test]
fn a_full_journal_can_be_sealed_for_an_erasure() {
    let files = FaultyFiles::new();
    let options = JournalOptions {
        journal_bytes_max: 3_000,
        segment_bytes_max: 1 << 20,
        ..options(&files)
    };
    let (journal, _) = Journal::open(options, b"declared").expect("opens");
    let mut last = Sequence::ZERO;
    let refused = loop {
        match journal.append_tick() {
            Ok(appended) => last = appended.sequence,
            Err(error) => break error,
        }
        assert!(journal.write_group().expect("written"));
    };
    assert!(matches!(refused, AppendError::Full { .. }), "{refused}");
    assert!(!journal.is_sealed(last));
    seal(&journal);
    assert!(journal.is_sealed(last));
    assert!(journal.append_tick().is_err(), "it is as full as before");
}

#[test]
fn what_nobody_can_read_goes_as_well_and_is_still_reported() {
    let files = FaultyFiles::new();
    fill(&files).shutdown().expect("all written");
    let path = |part: &str, ending: &str, index: usize| -> PathBuf {
        let of =
            |path: &PathBuf| path.starts_with(part) && path.to_string_lossy().ends_with(ending);
        files
            .paths()
            .into_iter()
            .filter(of)
            .nth(index)
            .expect("a file")
    };
    // One bit of the sensor's first message in a segment, an archived one, and a whole compressed one.
    for path in [path("/j", ".journal", 1), path("/a", ".journal", 0)] {
        let mut content = files.content(&path).expect("a file");
        let at = content
            .windows(SECRET.len())
            .position(|window| window == SECRET);
        content[at.expect("the sensor is in it") - 1] ^= 1;
        files.put(&path, content);
    }
    let compressed = path("/a", ".zst", 0);
    files.put(&compressed, b"no zstd".to_vec());
    files.put(Path::new("/j/aside/checkpoint.damaged"), SECRET.to_vec());
    files.put(Path::new("/j/aside/notes"), b"of a repair".to_vec());

    let (journal, recovery) = open(&files);
    let damage = |recovery: &Recovery| -> Vec<(u64, u64, u64)> {
        let regions = recovery.skipped.iter();
        regions
            .map(|region| (region.offset, region.after.0, region.resumes_at.0))
            .collect()
    };
    assert_eq!(recovery.skipped.len(), 1);
    seal(&journal);
    let erased = journal.erase_frames(&find(&journal, 100)).expect("erased");
    let expect = ErasedFrames {
        damaged_regions: 2,
        unreadable_files: 3,
        ..erased
    };
    assert_eq!(erased, expect);
    assert_eq!(tainted(&files), Vec::<PathBuf>::new());
    assert!(files.content(&compressed).is_none());
    assert!(files.content(Path::new("/j/aside/notes")).is_some());
    assert_eq!(
        journal.erase_frames(&find(&journal, 100)).expect("erased"),
        ErasedFrames::default()
    );
    journal.shutdown().expect("all written");
    let (_journal, again) = open(&files);
    assert_eq!(damage(&again), damage(&recovery));
}

#[test]
fn a_power_loss_at_any_moment_of_it_is_made_good_by_doing_it_again() {
    let filled = FaultyFiles::new();
    let journal = fill(&filled);
    seal(&journal);
    let expect = without(seen(&journal, 20), 31);
    drop(journal);
    let mut operation = 0;
    loop {
        let files = filled.restart(Crash::Kill);
        let (journal, _) = open(&files);
        seal(&journal);
        let found = find(&journal, 31);
        files.fail_at(files.operations() + operation, Fault::PowerLoss);
        let done = journal.erase_frames(&found).is_ok();
        drop(journal);
        let files = files.restart(Crash::PowerLoss { seed: operation });
        let (journal, recovery) = open(&files);
        assert_eq!(
            (recovery.skipped.len(), recovery.cut_bytes),
            (0, 0),
            "operation {operation}"
        );
        if done {
            assert_eq!(tainted(&files), Vec::<PathBuf>::new());
        }
        seal(&journal);
        journal.erase_frames(&find(&journal, 31)).expect("erased");
        assert_eq!(
            tainted(&files),
            Vec::<PathBuf>::new(),
            "operation {operation}"
        );
        let got = seen(&journal, 20);
        assert_eq!(got[..expect.len()], expect, "operation {operation}");
        let is_unfinished = |path: &PathBuf| path.to_string_lossy().ends_with(".tmp");
        assert!(
            !files.paths().iter().any(is_unfinished),
            "operation {operation}"
        );
        if done {
            break;
        }
        operation += 1;
    }
    assert!(operation > 20, "only {operation} operations");
}

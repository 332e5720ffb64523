//! Groups in their turn, and threads that do not do their work.

use meetnet_lake::journal::{Journal, JournalOptions, NewEnvelope};
use meetnet_model::ids::Sequence;
use meetnet_model::source::{MapEntry, SourceDeclaration, SourceKind, ValueRef, WireFormat};

use super::*;

const GROUPS: usize = 40;

fn declarations() -> Arc<Declarations> {
    let source = SourceDeclaration {
        topics: vec!["garden/{device}".to_owned()],
        sensor_id: Some(ValueRef::Template("{device}".to_owned())),
        map: vec![
            MapEntry::property("heat", "air_temperature")
                .at_pointer("/t")
                .in_unit("Cel"),
        ],
        ..SourceDeclaration::new("garden", SourceKind::Mqtt, WireFormat::Json, "CC0-1.0")
    };
    Arc::new(meetnet_model::schemas::builtin().into_declarations([source]))
}

/// Groups of one message each, behind that of the declarations.
fn groups(folder: &tempfile::TempDir, declarations: &Declarations) -> Vec<FrameGroup> {
    let options = JournalOptions {
        reserve_bytes: 0,
        ..JournalOptions::new(folder.path().join("journal"), folder.path().join("archive"))
    };
    let (journal, _) = Journal::open(options, &declarations.to_bytes()).unwrap();
    let mut last = Sequence::ZERO;
    for _ in 0..GROUPS {
        let envelope = NewEnvelope {
            source: "garden",
            topic: "garden/1",
            packet_id: 1,
            payload: b"no JSON",
            ..NewEnvelope::default()
        };
        last = journal.append(&envelope).unwrap().sequence;
    }
    journal.wait_durable(last).unwrap();
    let mut reader = journal.reader(Sequence::ZERO);
    let mut groups = Vec::new();
    while let Some(group) = reader.read_group(1).unwrap() {
        groups.push(group);
    }
    journal.shutdown().unwrap();
    groups
}

/// Takes all groups, and sees that they come in order; `disturb` is called before each turn.
fn take_all(threads_max: usize, mut disturb: impl FnMut(&mut DecodeAhead)) {
    let folder = tempfile::tempdir().unwrap();
    let declarations = declarations();
    let key = PrivacyKey::new("a key for tests");
    let mut own = GroupDecoder::new(&declarations, &key).unwrap();
    let mut ahead = DecodeAhead::new(threads_max, &declarations, &key);
    let mut groups = groups(&folder, &declarations).into_iter().peekable();
    let mut taken: Vec<Sequence> = Vec::new();
    loop {
        while ahead.has_room()
            && let Some(group) = groups.next()
        {
            ahead.push(group);
        }
        assert!(ahead.waiting.len() <= groups_max(threads_max));
        disturb(&mut ahead);
        match ahead.next_turn(&mut own) {
            Some(Turn::Decoded(group, decoded)) => {
                let sequence = group.last_sequence();
                assert_eq!(decoded.taken.lineage[0].sequence, sequence);
                assert_eq!(decoded.taken.rejects.len(), 1);
                assert_eq!(decoded.payload_hashes, [payload_hash(b"no JSON")]);
                taken.push(sequence);
            }
            Some(Turn::Alone(group)) => {
                assert_eq!(taken, [], "the declarations come first");
                taken.push(group.last_sequence());
            }
            None => break,
        }
    }
    assert!(groups.peek().is_none());
    assert_eq!(taken.len(), GROUPS + 1);
    assert!(taken.is_sorted(), "{taken:?}");
}

#[test]
fn groups_come_in_the_order_of_the_journal_whoever_decodes_them() {
    for threads_max in [0, 1, 3] {
        take_all(threads_max, |_| {});
        // Somebody takes a group and never delivers it.
        take_all(threads_max, |ahead| drop(ahead.open_jobs.try_recv()));
    }
}

#[test]
fn few_large_groups_wait() {
    let folder = tempfile::tempdir().unwrap();
    let declarations = declarations();
    let key = PrivacyKey::new("a key for tests");
    let mut own = GroupDecoder::new(&declarations, &key).unwrap();
    let mut ahead = DecodeAhead::new(3, &declarations, &key);
    // Behind the declarations they are of one length.
    let mut groups = groups(&folder, &declarations).into_iter().skip(1);
    let first = groups.next().unwrap();
    ahead.waiting_bytes_max = 2 * first.bytes();
    ahead.push(first);
    let mut turns = 0;
    loop {
        while ahead.has_room()
            && let Some(group) = groups.next()
        {
            ahead.push(group);
        }
        assert!(ahead.waiting.len() <= 2, "after {turns} turns");
        if ahead.next_turn(&mut own).is_none() {
            break;
        }
        turns += 1;
    }
    assert_eq!((turns, ahead.waiting_bytes), (GROUPS, 0));
    // One that is larger than all may be waits by itself.
    ahead.waiting_bytes_max = 1;
    assert!(ahead.has_room());
}

#[test]
fn a_replay_that_ends_in_the_middle_leaves_no_thread() {
    let folder = tempfile::tempdir().unwrap();
    let declarations = declarations();
    let mut ahead = DecodeAhead::new(2, &declarations, &PrivacyKey::new("a key for tests"));
    for group in groups(&folder, &declarations).into_iter().skip(1) {
        if ahead.has_room() {
            ahead.push(group);
        }
    }
    let open_jobs = ahead.open_jobs.clone();
    assert_eq!(ahead.threads.len(), 2);
    drop(ahead);
    // Dropping waits for them, and nobody could send anything more.
    assert!(matches!(
        open_jobs.try_recv(),
        Err(TryRecvError::Disconnected)
    ));
}

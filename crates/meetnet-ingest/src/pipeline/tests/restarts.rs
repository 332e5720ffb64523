//! What a restart must know besides the rows, and what happens where more comes than memory may hold.

use super::*;
use crate::dup_window::{Match, SessionHistory, lock, payload_hash};
use crate::mqtt::Url;

impl Daemon {
    /// Ends in good order.
    fn stop(self) {
        self.pipeline.shutdown().unwrap();
        let journal = self.journal.clone();
        drop(self.journal);
        journal.shutdown().unwrap();
    }

    /// Takes a publish, as its source does.
    fn publish(&self, packet_id: u16, body: &str) -> Sequence {
        self.publish_of("timeless", packet_id, body)
    }

    fn publish_of(&self, source: &str, packet_id: u16, body: &str) -> Sequence {
        let topic = "timeless/garden";
        let envelope = NewEnvelope {
            source,
            topic,
            packet_id,
            epoch: 2,
            payload: body.as_bytes(),
            ..NewEnvelope::default()
        };
        let sequence = self.journal.append(&envelope).unwrap().sequence;
        let window = self.windows.window(&source.into());
        let hash = payload_hash(body.as_bytes());
        lock(&window).journalled(packet_id, topic, hash, sequence);
        sequence
    }

    /// What the broker's redelivery of a publish is taken for.
    fn find(&self, packet_id: u16, body: &str) -> Option<Match> {
        let window = self.windows.window(&"timeless".into());
        let mut window = lock(&window);
        window.find(packet_id, "timeless/garden", payload_hash(body.as_bytes()))
    }
}

#[test]
fn what_a_broker_may_send_again_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let bodies = ["{\"t\":1}", "{\"t\":2}"];
    // One publish is in the checkpoint of a clean end, the other one is not.
    let daemon = start(folder.path());
    let first = daemon.publish(1, bodies[0]);
    daemon.wait(first);
    daemon.stop();
    let daemon = start(folder.path());
    let second = daemon.publish(2, bodies[1]);
    daemon.wait(second);
    // A crash, seen on a copy of the disk.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    let daemon = start(copy.path());
    lock(&daemon.windows.window(&"timeless".into())).connected(true);
    assert_eq!(daemon.find(1, bodies[0]), Some(Match::Redelivered(first)));
    assert_eq!(daemon.find(2, bodies[1]), Some(Match::Redelivered(second)));
    assert_eq!(daemon.find(3, bodies[1]), None);
}

#[test]
fn what_a_broker_may_send_a_renamed_source_again_is_known_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let bodies = ["{\"t\":1}", "{\"t\":2}", "{\"t\":3}"];
    // One publish is in the checkpoint of a clean end, one in the journal behind it.
    let daemon = start(folder.path());
    let first = daemon.publish(1, bodies[0]);
    daemon.wait(first);
    daemon.stop();
    let daemon = start(folder.path());
    let second = daemon.publish(2, bodies[1]);
    // Another source goes on with the session while the daemon runs.
    let (before, after) = (SourceId::new("timeless"), SourceId::new("renamed"));
    let broker: Url = "mqtt://broker.example".parse().unwrap();
    let mut history = SessionHistory::default();
    history.take_up([(&before, &broker, "c")], Sequence::ZERO);
    history.take_up([(&after, &broker, "c")], daemon.journal.last_sequence());
    daemon.windows.exchange_by(&history);
    daemon.windows.hand_over(&[(before.clone(), after.clone())]);
    let third = daemon.publish_of("renamed", 3, bodies[2]);
    daemon.wait(third);
    // A crash, seen on a copy of the disk.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    let (journal, recovery, tables) = journal_by_hand(copy.path());
    let windows = DupWindows::default();
    windows.begin_with(&history);
    let mut lake = LakeOptions::new(journal.id());
    lake.background = false;
    let mut runner = Runner::open(
        PipelineOptions::new(lake),
        journal,
        &recovery,
        tables,
        PrivacyKey::new("a key for tests"),
        OutcomeRegistry::new(1),
        windows.clone(),
    )
    .unwrap();
    runner.replay(&recovery, |_, _| Ok(())).unwrap();
    let window = windows.window(&after);
    let mut window = lock(&window);
    window.connected(true);
    for (packet_id, (body, sequence)) in (1..).zip(bodies.iter().zip([first, second, third])) {
        let found = window.find(packet_id, "timeless/garden", payload_hash(body.as_bytes()));
        assert_eq!(found, Some(Match::Redelivered(sequence)), "{body}");
    }
}

#[test]
fn a_journal_that_is_behind_its_tables_goes_on_behind_what_they_have_taken() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let mut last = Sequence::ZERO;
    for value in 0..20 {
        last = daemon.append("timeless", &format!("{{\"t\":{value}}}"));
    }
    daemon.wait(last);
    daemon.pipeline.commands().commit_all().unwrap();
    // The disk of the journal is lost but for its identity, seen on a copy.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    let journal = copy.path().join("journal");
    for entry in std::fs::read_dir(&journal).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "identity" {
            std::fs::remove_file(path).unwrap();
        }
    }
    let daemon = start(copy.path());
    let next = daemon.append("timeless", "{\"t\":20}");
    assert!(next > last, "{next} is behind {last}");
    assert_eq!(rows(&daemon.wait(next), "heat"), (1, 20));
}

/// A journal and a pipeline without threads, just started.
fn by_hand(folder: &Path, change: impl FnOnce(&mut PipelineOptions)) -> (Journal, Runner) {
    let (journal, recovery, mut runner) = opened_by_hand(folder, change);
    runner.replay(&recovery, |_, _| Ok(())).unwrap();
    (journal, runner)
}

/// A journal without threads, what was found in it, and the tables that belong to it.
pub(super) fn journal_by_hand(folder: &Path) -> (Journal, Recovery, DeclaredTables) {
    let journal_options = JournalOptions {
        reserve_bytes: 0,
        background: false,
        ..JournalOptions::new(folder.join("journal"), folder.join("archive"))
    };
    let storage = Arc::new(FolderStorage::new(folder.join("lake")));
    let tables = DeclaredTables::read(storage, declarations()).unwrap();
    let declared = declarations().to_bytes();
    let (journal, recovery) = Journal::open(journal_options, &declared).unwrap();
    (journal, recovery, tables)
}

/// The same with a pipeline, before anything is replayed.
pub(super) fn opened_by_hand(
    folder: &Path,
    change: impl FnOnce(&mut PipelineOptions),
) -> (Journal, Recovery, Runner) {
    let (journal, recovery, tables) = journal_by_hand(folder);
    let mut lake = LakeOptions::new(journal.id());
    lake.background = false;
    let mut options = PipelineOptions::new(lake);
    change(&mut options);
    let runner = Runner::open(
        options,
        journal.clone(),
        &recovery,
        tables,
        PrivacyKey::new("a key for tests"),
        OutcomeRegistry::new(1),
        DupWindows::default(),
    )
    .unwrap();
    (journal, recovery, runner)
}

fn append(journal: &Journal, body: &str) {
    let envelope = NewEnvelope {
        source: "timeless",
        topic: "timeless/garden",
        payload: body.as_bytes(),
        ..NewEnvelope::default()
    };
    journal.append(&envelope).unwrap();
}

#[test]
fn messages_on_both_sides_of_a_reload_are_taken_from_one_group() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut runner) = by_hand(folder.path(), |_| {});
    append(&journal, "{\"t\":1}");
    let reloaded = declarations().to_bytes();
    journal.append_declarations(&reloaded).unwrap();
    append(&journal, "{\"t\":2}");
    while journal.write_group().unwrap() {}
    assert_eq!(runner.step().unwrap(), Step::Took);
    let snapshot = runner.lake().shared().load_full();
    assert_eq!(rows(&snapshot, "heat"), (2, 0));
    assert_eq!(
        snapshot.tables[&DatasetId::new("heat")].through,
        journal.durable().0
    );
}

#[test]
fn at_hot_bytes_max_nothing_is_taken_until_a_commit_ends() {
    const HOT_BYTES_MAX: usize = 64 << 10;
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut runner) = by_hand(folder.path(), |options| {
        options.lake.limits.hot_bytes_max = HOT_BYTES_MAX;
        options.limits.group_bytes_max = 1;
    });
    let messages = 2_000;
    for _ in 0..messages {
        append(&journal, "{\"t\":1}");
    }
    while journal.write_group().unwrap() {}
    let (mut took, mut full) = (0, 0);
    loop {
        match runner.step().unwrap() {
            Step::Took => took += 1,
            Step::Full => {
                full += 1;
                // No commit has ended: asking again changes nothing.
                assert_eq!(runner.step().unwrap(), Step::Full);
                assert!(runner.lake().run_commit_job());
            }
            Step::Idle => break,
        }
        let held = runner.lake().hot_bytes() + runner.uncommitted.bytes();
        assert!(held < 2 * HOT_BYTES_MAX, "{held} after {took}");
    }
    assert!(full > 2, "full {full} times, {took} frames");
    assert_eq!(took, messages, "each is taken all the same");
}

#[test]
fn while_a_merge_runs_rows_may_hold_less_and_commits_begin_all_the_same() {
    const HOT_BYTES_MAX: usize = 256 << 10;
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut runner) = by_hand(folder.path(), |options| {
        options.lake.limits.hot_bytes_max = HOT_BYTES_MAX;
        options.lake.limits.compaction = false;
        options.limits.group_bytes_max = 1;
    });
    // Two runs to merge.
    for _ in 0..2 {
        append(&journal, "{\"t\":1}");
        while journal.write_group().unwrap() {}
        runner.commit_all().unwrap().unwrap();
    }
    for _ in 0..20_000 {
        append(&journal, "{\"t\":1}");
    }
    while journal.write_group().unwrap() {}
    // Takes messages until no more are taken; returns how much is held then.
    let fill = |runner: &mut Runner| {
        loop {
            match runner.step().unwrap() {
                Step::Took => {}
                Step::Full => return runner.lake().hot_bytes() + runner.uncommitted.bytes(),
                Step::Idle => panic!("there are too few messages"),
            }
        }
    };
    let beside_a_merge = 3 * HOT_BYTES_MAX / 4..HOT_BYTES_MAX;
    let heat = DatasetId::new("heat");
    let compact = UpkeepRequest::Compact(Some(heat));
    runner.lake().request(compact).unwrap();
    for _ in 0..3 {
        let held = fill(&mut runner);
        assert!(beside_a_merge.contains(&held), "{held} beside a merge");
        // A commit is under way, whose end makes room.
        assert!(runner.lake().run_commit_job());
    }
    assert!(runner.lake().run_upkeep_job());
    let held = fill(&mut runner);
    assert!(held >= HOT_BYTES_MAX, "{held} without one");
}

#[test]
fn a_dataset_that_cannot_commit_holds_all_back_at_the_limit_and_no_longer_than_it_cannot() {
    const HOT_BYTES_MAX: usize = 64 << 10;
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut runner) = by_hand(folder.path(), |options| {
        options.lake.limits.hot_bytes_max = HOT_BYTES_MAX;
        options.limits.group_bytes_max = 1;
    });
    // One reject, and a file where its folder is to be.
    let in_the_way = folder.path().join("lake/rejects/licence=CC0-1.0");
    std::fs::write(&in_the_way, "no folder").unwrap();
    append(&journal, "{\"t\":");
    let messages = 3_000;
    for _ in 0..messages {
        append(&journal, "{\"t\":1}");
    }
    while journal.write_group().unwrap() {}
    let deadline = Instant::now() + Duration::from_secs(60);
    let (mut took, mut taken_with_it) = (0, None);
    loop {
        match runner.step().unwrap() {
            Step::Took => took += 1,
            Step::Idle => break,
            Step::Full if runner.lake().run_commit_job() => {}
            Step::Full => {
                // What could be committed is: only the reject is left, until it is tried again.
                if taken_with_it.is_none() {
                    taken_with_it = Some(took);
                    std::fs::remove_file(&in_the_way).unwrap();
                }
                assert!(Instant::now() < deadline, "{took} taken");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let held = runner.lake().hot_bytes() + runner.uncommitted.bytes();
        assert!(held < 2 * HOT_BYTES_MAX, "{held} after {took}");
    }
    assert!(
        taken_with_it.is_some_and(|taken| taken <= messages),
        "{taken_with_it:?}"
    );
    assert_eq!(took, messages + 1);
}

#[test]
fn memory_is_given_back_once_after_work_has_ended_and_ticks_are_none() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static GIVEN_BACK: AtomicU32 = AtomicU32::new(0);
    let given_back = || GIVEN_BACK.load(Ordering::SeqCst);
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut runner) = by_hand(folder.path(), |options| {
        options.limits.idle_tick = Duration::MAX;
        options.lake.give_back = || {
            GIVEN_BACK.fetch_add(1, Ordering::SeqCst);
        };
    });
    let take = |runner: &mut Runner| {
        while journal.write_group().unwrap() {}
        while runner.step().unwrap() == Step::Took {}
    };
    append(&journal, "{\"t\":1}");
    take(&mut runner);
    assert_eq!(given_back(), 0, "a message may follow");
    runner.last_work -= crate::pipeline::idle::REST_AFTER;
    take(&mut runner);
    take(&mut runner);
    assert_eq!(given_back(), 1);
    journal.append_tick().unwrap();
    take(&mut runner);
    assert_eq!(given_back(), 1);
    append(&journal, "{\"t\":2}");
    take(&mut runner);
    assert_eq!(given_back(), 1);
    runner.last_work -= crate::pipeline::idle::REST_AFTER;
    take(&mut runner);
    assert_eq!(given_back(), 2);
}

#[test]
fn what_commits_cover_does_not_wait_for_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut runner) = by_hand(folder.path(), |options| {
        options.limits.checkpoint_pause = Duration::from_secs(3_600);
        options.lake.limits.commit_age_max = Duration::ZERO;
    });
    append(&journal, "{\"t\":1}");
    while journal.write_group().unwrap() {}
    assert_eq!(runner.step().unwrap(), Step::Took);
    let settled = |runner: &Runner| runner.history.to_bytes().len();
    let before = settled(&runner);
    // One step starts the commit, another one admits it.
    runner.step().unwrap();
    assert!(runner.lake().run_commit_job());
    runner.step().unwrap();
    assert!(settled(&runner) > before);
}

#[test]
fn what_quality_tests_could_take_back_counts_until_it_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut runner) = by_hand(folder.path(), |options| {
        options.lake.limits.commit_age_max = Duration::ZERO;
    });
    append(&journal, "{\"t\":1}");
    while journal.write_group().unwrap() {}
    assert_eq!(runner.step().unwrap(), Step::Took);
    assert!(runner.uncommitted.bytes() > 0);
    // One step starts the commit, another one admits it.
    runner.step().unwrap();
    assert!(runner.uncommitted.bytes() > 0);
    assert!(runner.lake().run_commit_job());
    runner.step().unwrap();
    assert_eq!(runner.uncommitted.bytes(), 0);
}

/// Takes a message and commits it, so that a checkpoint begins; returns the position of the one before.
fn commit(journal: &Journal, runner: &mut Runner, body: &str) -> Sequence {
    append(journal, body);
    while journal.write_group().unwrap() {}
    assert_eq!(runner.step().unwrap(), Step::Took);
    runner.step().unwrap();
    assert!(runner.lake().run_commit_job());
    let before = runner.trimmed_through;
    runner.step().unwrap();
    assert!(runner.state_writing.is_some());
    before
}

#[test]
fn a_large_history_is_written_beside_the_pipeline() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut runner) = by_hand(folder.path(), |options| {
        options.limits.checkpoint_pause = Duration::ZERO;
        options.limits.history_inline_bytes_max = 0;
        options.lake.limits.commit_age_max = Duration::ZERO;
    });
    let before = commit(&journal, &mut runner, "{\"t\":1}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while runner.trimmed_through == before {
        assert!(Instant::now() < deadline, "no checkpoint");
        std::thread::sleep(Duration::from_millis(1));
        runner.step().unwrap();
    }
    let state = journal.read_state(runner.trimmed_through).unwrap();
    assert_eq!(state, Some(runner.history.to_bytes()));
    // A checkpoint that cannot wait, as that of an erasure, leaves nothing of one that was on its way.
    commit(&journal, &mut runner, "{\"t\":2}");
    runner.save_checkpoint().unwrap();
    let files = std::fs::read_dir(folder.path().join("journal")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let states: Vec<String> = names.filter(|name| name.contains("state")).collect();
    assert_eq!(states.len(), 1, "{states:?}");
}

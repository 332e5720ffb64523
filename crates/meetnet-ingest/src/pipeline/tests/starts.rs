//! What readers see while a journal is replayed, and a replay that is told to stop.

use meetnet_lake::lake::LakeClock;
use meetnet_lake::snapshot::{HotBatch, TableSnapshot};

use super::restarts::{journal_by_hand, opened_by_hand};
use super::*;

/// Rows that are committed, each of which the tail of the journal revises.
const COMMITTED: u64 = 20;
/// Rows that the tail adds behind those.
const ADDED: u64 = 10;
/// Clock between two frames of a replay, µs.
const STEP_US: i64 = 60_000;

/// What a crash leaves.
struct Crashed {
    folder: tempfile::TempDir,
    /// Frames of the tail: revisions, then new rows.
    tail: Vec<Sequence>,
}

impl Crashed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now_ms = now_ms();
        let daemon = start(folder.path());
        let append = |minute: u64, value: u64| {
            let time = now_ms - 60_000 * minute as i64;
            daemon.append("timed", &format!("{{\"ts\":{time},\"t\":{value}}}"))
        };
        let before: Vec<Sequence> = (0..COMMITTED).map(|minute| append(minute, 1)).collect();
        daemon.wait(*before.last().unwrap());
        daemon.pipeline.commands().commit_all().unwrap();
        let tail: Vec<Sequence> = (0..COMMITTED + ADDED)
            .map(|minute| append(minute, 2))
            .collect();
        daemon.wait(*tail.last().unwrap());
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        Self { folder: copy, tail }
    }

    /// How many frames of the tail a table holds that has come to `through`: revisions and new rows.
    fn held(&self, through: Sequence) -> (u64, u64) {
        let (revisions, added) = self.tail.split_at(COMMITTED as usize);
        let held = |frames: &[Sequence]| frames.iter().filter(|frame| **frame <= through).count();
        (held(revisions) as u64, held(added) as u64)
    }
}

fn heat(snapshot: &LakeSnapshot) -> &TableSnapshot {
    &snapshot.tables[&DatasetId::new("heat")]
}

/// Current rows of `heat`, and how many of those in files are masked.
fn current(snapshot: &LakeSnapshot) -> (u64, u64) {
    let heat = heat(snapshot);
    let files = heat.files.iter().filter(|file| !file.superseded);
    let in_files: u64 = files.map(|file| file.rows).sum();
    let masked = heat.masks.values().map(|mask| mask.rows.len() as u64);
    let masked: u64 = masked.sum();
    let live = heat.hot.iter().map(|hot| match &hot.superseded {
        Some(superseded) => superseded
            .iter()
            .filter(|at| **at == HotBatch::LIVE)
            .count(),
        None => hot.batch.num_rows(),
    });
    let live: usize = live.sum();
    (in_files - masked + live as u64, masked)
}

#[test]
fn readers_see_what_is_committed_and_then_the_replay_as_it_goes() {
    let crashed = Crashed::new();
    let clock = ManualClock::new(now_ms() * 1_000);
    let (journal, recovery, mut runner) = opened_by_hand(crashed.folder.path(), |options| {
        options.limits.group_bytes_max = 1;
        options.lake.clock = LakeClock::new(clock.function(), clock.monotonic_function());
    });
    let shared = runner.lake().shared();
    let mut shown: Vec<Arc<LakeSnapshot>> = Vec::new();
    let mut steps = 0;
    let replayed = runner.replay(&recovery, |_, step| {
        assert_eq!(step, Step::Took);
        steps += 1;
        let snapshot = shared.load_full();
        if shown
            .last()
            .is_none_or(|last| !Arc::ptr_eq(last, &snapshot))
        {
            shown.push(snapshot);
        }
        clock.advance(STEP_US);
        Ok(())
    });
    assert_eq!(replayed.unwrap().frames, steps);
    // About every other frame of the tail, by the clock: each may cost a copy of the masks.
    let seen = shown.len() as u64;
    let most = 2 + (steps - COMMITTED) * 2 / 3;
    assert!(seen > COMMITTED / 2 && seen < most, "{seen} of {steps}");
    assert_eq!(
        current(&shown[0]),
        (COMMITTED, 0),
        "what is committed comes first"
    );
    assert!(heat(&shown[0]).through < crashed.tail[0]);
    assert!(heat(&shown[0]).stable_time > 0);
    shown.push(shared.load_full());
    for (earlier, later) in shown.iter().zip(&shown[1..]) {
        for (id, table) in &later.tables {
            let before = &earlier.tables[id];
            let went_on =
                table.through >= before.through && table.stable_time >= before.stable_time;
            assert!(went_on, "{id} went back");
        }
    }
    for snapshot in &shown {
        let (revised, added) = crashed.held(heat(snapshot).through);
        assert_eq!(current(snapshot), (COMMITTED + added, revised));
    }
    let last = shown.last().unwrap();
    assert_eq!(current(last), (COMMITTED + ADDED, COMMITTED));
    assert_eq!(heat(last).through, recovery.last_sequence);
    drop(runner);
    journal.shutdown().unwrap();
}

/// Starts a pipeline on what a crash left; it cannot commit, and holds next to nothing.
fn start_stuck(folder: &Path, watch: ReplayWatch) -> Result<Replayed, PipelineError> {
    let (journal, recovery, tables) = journal_by_hand(folder);
    let mut options = PipelineOptions::new(LakeOptions::new(journal.id()));
    options.lake.background = false;
    options.lake.limits.hot_bytes_max = 1;
    options.limits.group_bytes_max = 1;
    options.replay = watch;
    let started = Pipeline::start(
        options,
        journal.clone(),
        &recovery,
        tables,
        PrivacyKey::new("a key for tests"),
        OutcomeRegistry::new(1),
        DupWindows::default(),
    );
    journal.shutdown().unwrap();
    started.map(|(_, replayed)| replayed)
}

#[test]
fn a_replay_that_is_told_to_stop_ends_and_the_next_one_does_all_of_it() {
    let crashed = Crashed::new();
    let folder = crashed.folder.path().to_path_buf();
    let check = |ended: Result<Replayed, PipelineError>| {
        assert!(
            matches!(ended, Err(PipelineError::Interrupted)),
            "{ended:?}"
        );
    };
    // Before it has begun.
    let watch = ReplayWatch::default();
    watch.stop();
    check(start_stuck(&folder, watch.clone()));
    assert_eq!(watch.progress(), None);
    // While it waits for a commit that does not come.
    let watch = ReplayWatch::default();
    let stuck = {
        let (folder, watch) = (folder.clone(), watch.clone());
        std::thread::spawn(move || start_stuck(&folder, watch))
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    let progress = loop {
        match watch.progress() {
            Some(progress) if progress.frames > COMMITTED => break progress,
            _ => assert!(Instant::now() < deadline, "{:?}", watch.progress()),
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(progress.frames < progress.frames_total, "{progress:?}");
    assert!(
        progress.frames_total >= 2 * COMMITTED + ADDED,
        "{progress:?}"
    );
    watch.stop();
    check(stuck.join().unwrap());
    let daemon = start(&folder);
    let snapshot = daemon.wait(*crashed.tail.last().unwrap());
    assert_eq!(current(&snapshot), (COMMITTED + ADDED, COMMITTED));
}

#[test]
fn a_replay_commits_and_leaves_merges_for_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start_as(
        folder.path(),
        &declarations(),
        |_| {},
        |options| options.lake.limits.compaction = false,
    );
    let first_ms = now_ms() - 3_600_000;
    let mut last = Sequence::ZERO;
    // As many commits as are merged, all of one month, and a tail that is not committed.
    for number in 0..12 {
        let time = first_ms + number;
        last = daemon.append("timed", &format!("{{\"ts\":{time},\"t\":1}}"));
        if number < 8 {
            daemon.wait(last);
            daemon.pipeline.commands().commit_all().unwrap();
        }
    }
    daemon.wait(last);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);

    let (journal, recovery, mut runner) = opened_by_hand(copy.path(), |options| {
        options.lake.background = false;
        options.lake.limits.commit_rows_max = 1;
        options.limits.group_bytes_max = 1;
    });
    let (mut commits, mut merges) = (0, 0);
    let replayed = runner.replay(&recovery, |lake, _| {
        commits += usize::from(lake.run_commit_job());
        merges += usize::from(lake.run_upkeep_job());
        Ok(())
    });
    assert!(replayed.unwrap().frames >= 4, "the tail");
    assert!(commits > 0, "no commit in the replay");
    assert_eq!(merges, 0);
    for _ in 0..20 {
        runner.step().unwrap();
        merges += usize::from(runner.lake().run_upkeep_job());
        runner.lake().run_commit_job();
    }
    assert_eq!(merges, 1);
    let files = heat(&runner.lake().shared().load_full()).files.len();
    assert!(files < 8, "{files} files");
    drop(runner);
    journal.shutdown().unwrap();
}

//! One city that has been through everything is clean; each kind of damage to a copy of it is found, and nothing else.

mod damage;
mod rare;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::actor::live_files;
use crate::journal::stored;
use crate::lake::UpkeepRequest;
use crate::snapshot::{LiveFile, TableSnapshot};
use crate::table::actions::Action;
use crate::table::files::{Partition, add_action, remove_action};
use crate::table::log::{Committed, TableLog, commit_info};
use crate::testing::{City, Folders, MINUTE, START, declaration, seasoned};

fn city() -> &'static Folders {
    static CITY: OnceLock<(tempfile::TempDir, Folders)> = OnceLock::new();
    let (_, folders) = CITY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let folders = seasoned(folder.path());
        (folder, folders)
    });
    folders
}

#[test]
fn a_city_that_has_been_through_everything_is_clean() {
    for depth in [Depth::Quick, Depth::Full] {
        let before = city().content();
        let report = city().check(depth);
        assert_eq!(report.findings, [], "{depth:?}");
        assert_eq!(report, city().check(depth), "the same each time");
        let Counts {
            segments,
            frames,
            tables,
            log_entries,
            files,
            rows,
            bytes,
            quarantined,
        } = report.counts;
        assert!(
            segments > 5 && files > 10 && rows > 700 && bytes > 10_000,
            "{report:?}"
        );
        assert_eq!((tables, quarantined), (1, 0));
        assert!(
            log_entries > if depth == Depth::Full { 100 } else { 10 },
            "{report:?}"
        );
        assert!(
            frames > if depth == Depth::Full { 100 } else { 10 },
            "{report:?}"
        );
        assert_eq!(city().content(), before, "a check writes nothing");
    }
}

/// Flips a byte, `at` from the start or, where negative, from the end.
fn flip(path: &Path, at: i64) {
    let mut content = std::fs::read(path).unwrap();
    let at = if at < 0 {
        content.len() - at.unsigned_abs() as usize
    } else {
        at as usize
    };
    content[at] ^= 0x55;
    std::fs::write(path, content).unwrap();
}

/// Flips a byte near the start of a Parquet file's footer, where its columns are named.
fn flip_footer(path: &Path) {
    let content = std::fs::read(path).unwrap();
    let end = content.len() - 8;
    let length: [u8; 4] = content[end..end + 4].try_into().unwrap();
    flip(
        path,
        (end - u32::from_le_bytes(length) as usize + 30) as i64,
    );
}

fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    files.sort();
    files
}

impl Folders {
    fn segments(&self) -> Vec<PathBuf> {
        files_in(&self.place().dir, ".journal")
    }

    fn archived(&self) -> Vec<PathBuf> {
        files_in(&self.place().archive_dir, ".zst")
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.table().join("_delta_log").join(name)
    }

    fn entry(&self, version: u64) -> PathBuf {
        self.log_file(&format!("{version:020}.json"))
    }

    fn log(&self) -> TableLog {
        TableLog::open(&self.table_folder()).unwrap().unwrap()
    }

    /// Live files of current rows, or replaced ones, largest first.
    fn live(&self, superseded: bool) -> Vec<Arc<LiveFile>> {
        let mut live = live_files(&self.log(), &declaration()).unwrap();
        live.retain(|file| file.superseded == superseded);
        live.sort_by_key(|file| std::cmp::Reverse(file.rows));
        live
    }

    fn largest(&self) -> PathBuf {
        self.table().join(&*self.live(false)[0].path)
    }

    fn commit(&self, actions: Vec<Action>) {
        let info = commit_info("BY HAND", 0, serde_json::json!({}));
        let actions: Vec<Action> = std::iter::once(info).chain(actions).collect();
        let committed = self.log().commit(actions, 0);
        assert!(matches!(committed, Committed::Done), "{committed:?}");
    }
}

/// Copies a file under another name; what its entry says besides is `change`d.
fn copied(folders: &Folders, file: &LiveFile, change: impl FnOnce(&mut LiveFile)) -> LiveFile {
    let mut copy = file.clone();
    change(&mut copy);
    let name = format!("{}.parquet", uuid::Uuid::now_v7().simple());
    let folder = Partition::of(&copy).folder("month");
    copy.path = format!("{folder}/{name}").into();
    std::fs::create_dir_all(folders.table().join(folder)).unwrap();
    std::fs::copy(
        folders.table().join(&*file.path),
        folders.table().join(&*copy.path),
    )
    .unwrap();
    copy
}

#[test]
fn a_quick_check_sees_lengths_and_footers_but_no_pages() {
    use FindingKind::*;
    let quick = |damage: &dyn Fn(&Folders), expected: &[FindingKind]| {
        let folder = tempfile::tempdir().unwrap();
        let copy = city().copy_to(folder.path());
        damage(&copy);
        let report = copy.check(Depth::Quick);
        let kinds: Vec<FindingKind> = report.findings.iter().map(|f| f.kind).collect();
        assert_eq!(kinds, expected, "{:#?}", report.findings);
    };
    quick(&|city| flip(&city.largest(), 100), &[]);
    quick(&|city| flip_footer(&city.largest()), &[FileHash]);
    quick(&|city| flip(&city.largest(), -1), &[FileHash]);
    quick(
        &|city| std::fs::remove_file(city.largest()).unwrap(),
        &[FileMissing],
    );
    quick(&|city| flip(&city.segments()[0], 20), &[SegmentHeader]);
    quick(
        &|city| std::fs::remove_file(&city.archived()[2]).unwrap(),
        &[FramesMissing],
    );
}

#[test]
fn only_the_newest_entry_that_the_journal_still_covers_may_be_moved_away() {
    let check = |version: u64, advice: &str| {
        let folder = tempfile::tempdir().unwrap();
        let copy = city().copy_to(folder.path());
        flip(&copy.entry(version), 0);
        let report = copy.check(Depth::Quick);
        let [finding] = &report.findings[..] else {
            panic!("one finding: {report:#?}");
        };
        assert!(finding.to_do.contains(advice), "{finding:?}");
        (folder, copy)
    };
    let newest = city().log().version();
    check(newest - 1, "from a backup");
    let (_folder, copy) = check(newest, "move the file away");
    std::fs::remove_file(copy.entry(newest)).unwrap();
    let rows = City::open(&copy.0, |_| {}).snapshot();
    let original = tempfile::tempdir().unwrap();
    let whole = City::open(&city().copy_to(original.path()).0, |_| {}).snapshot();
    let count = |snapshot: &TableSnapshot| {
        let hot = snapshot.hot.iter().map(|hot| hot.batch.num_rows() as u64);
        snapshot.files.iter().map(|file| file.rows).sum::<u64>() + hot.sum::<u64>()
    };
    assert_eq!(count(&rows), count(&whole));
}

#[test]
fn a_table_opens_without_a_broken_checkpoint_as_the_finding_says() {
    let folder = tempfile::tempdir().unwrap();
    let copy = city().copy_to(folder.path());
    let live = copy.live(false);
    let checkpoint = copy.log_file(&format!("{:020}.checkpoint.parquet", 100));
    flip(&checkpoint, -1);
    let report = copy.check(Depth::Quick);
    assert!(report.findings[0].to_do.contains("remove"), "{report:#?}");
    std::fs::remove_file(checkpoint).unwrap();
    std::fs::remove_file(copy.log_file("_last_checkpoint")).unwrap();
    assert_eq!(copy.live(false), live);
    assert!(copy.check(Depth::Full).is_clean());
}

#[test]
fn a_period_of_more_runs_than_are_merged_at_once_is_compared_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut city = City::open(folder.path(), |_| {});
    for minute in 0..30 {
        city.take(2, START + minute * MINUTE, 1.0);
        city.commit();
    }
    let folders = city.folders.clone();
    assert_eq!(folders.check(Depth::Full).findings, []);
    for (first, last) in [(0, 1), (3, 29), (14, 15)] {
        let copy = tempfile::tempdir().unwrap();
        let copy = folders.copy_to(copy.path());
        let mut live = copy.live(false);
        live.sort_by(|a, b| a.path.cmp(&b.path));
        // The rows of one run stand in another as well.
        let file = copied(&copy, &live[first], |file| {
            file.run = Arc::clone(&live[last].run)
        });
        let mut actions = vec![Action::Add(add_action(&declaration(), &file))];
        actions.push(Action::Remove(remove_action(
            &declaration(),
            &live[last],
            0,
        )));
        copy.commit(actions);
        let report = copy.check(Depth::Full);
        let kinds: Vec<FindingKind> = report.findings.iter().map(|f| f.kind).collect();
        assert_eq!(kinds, [FindingKind::KeyTwice], "{first} {last}");
    }
}

/// Stops a worker, also where whoever watches it fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_daemon_at_work_is_never_taken_for_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut city = City::open(folder.path(), |options| {
        options.limits.compaction = true;
        options.limits.vacuum_after = Duration::ZERO;
    });
    city.take(3, START, 1.0);
    city.commit();
    let folders = city.folders.clone();
    let stop = AtomicBool::new(false);
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut minute = 0;
            // However slow the disk is, every kind of change happens under the eyes of a check.
            while !stop.load(Ordering::Relaxed) {
                minute += 1;
                city.take(4, START + minute * MINUTE, 1.0);
                city.take(2, START + minute / 2 * MINUTE, minute as f64);
                if minute % 3 == 0 {
                    city.commit();
                }
                if minute % 5 == 0 {
                    city.checkpoint();
                }
                if minute % 10 == 0 {
                    city.tend(UpkeepRequest::Vacuum);
                }
                city.lake.tick().unwrap();
                taken.store(minute as u64, Ordering::Relaxed);
            }
        });
        // The worker ends, and with it the test, whatever is found.
        let stopping = StopOnDrop(&stop);
        let mut rounds = 0;
        while !worker.is_finished() && (rounds < 20 || taken.load(Ordering::Relaxed) < 40) {
            let depth = [Depth::Quick, Depth::Full][rounds % 2];
            let report = folders.check(depth);
            assert_eq!(report.findings, [], "{depth:?} {rounds}");
            rounds += 1;
        }
        drop(stopping);
        worker.join().unwrap();
    });
}

#[test]
fn a_segment_is_followed_into_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let copy = city().copy_to(folder.path());
    let place = copy.place();
    let listed = stored::locate(&place, None).unwrap();
    let mut city = City::open(&copy.0, |_| {});
    city.commit();
    city.checkpoint();
    let open = listed
        .iter()
        .filter_map(|located| located.segment.open(&place).unwrap());
    let archived = open.filter(|open| open.archived).count();
    assert!(
        archived >= listed.len() - 1,
        "{archived} of {}",
        listed.len()
    );
}

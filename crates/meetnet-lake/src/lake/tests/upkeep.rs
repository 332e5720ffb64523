//! Files that stay few, and files that go.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use meetnet_model::dataset::Grain;

use super::*;
use crate::actor::insert_files;
use crate::compact::{Effort, choose};
use crate::lake::retention::dropped_periods;

fn vacuum(lake: &mut Lake) -> Vacuumed {
    let before = lake.vacuumed();
    lake.request(UpkeepRequest::Vacuum).unwrap();
    tick_until(lake, "vacuum ends", |lake| !lake.is_tending());
    lake.vacuumed() - before
}

#[test]
fn commits_leave_runs_and_compaction_makes_them_one_while_rows_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    for minute in 0..40 {
        take(
            &mut lake,
            minute + 1,
            &rows(100, START + minute as i64 * MINUTE, 1.0),
        );
        lake.commit_all().unwrap();
    }
    assert_eq!(heat(&mut lake).files.len(), 40);
    // A row replaced before the merge, and one while it runs: both masks move to the new file.
    take(&mut lake, 41, &rows(1, START, 50.0));
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    lake.tick().unwrap();
    take(&mut lake, 42, &rows(1, START + MINUTE, 60.0));
    tick_until(&mut lake, "compaction ends", |lake| !lake.is_tending());
    let snapshot = heat(&mut lake);
    assert_eq!(snapshot.files.len(), 1);
    let file = &snapshot.files[0];
    assert_eq!(file.rows, 4_000);
    assert_eq!(snapshot.masks[&file.path].rows.len(), 2);
    assert_eq!(lake.compacted().files_before, 40);

    // The next commit writes it again without them; after a restart nothing has changed.
    lake.commit_all().unwrap();
    let snapshot = heat(&mut lake);
    let rows_of = |superseded| {
        let files = snapshot.files.iter().filter(|f| f.superseded == superseded);
        files.map(|file| file.rows).sum::<u64>()
    };
    assert_eq!((rows_of(false), rows_of(true)), (4_000, 2));
    assert!(snapshot.masks.is_empty());
    drop(lake);
    let mut lake = open(folder.path(), |_| {});
    let files = |snapshot: &TableSnapshot| -> Vec<Arc<str>> {
        snapshot.files.iter().map(|f| Arc::clone(&f.path)).collect()
    };
    assert_eq!(files(&heat(&mut lake)), files(&snapshot));
    compact(&mut lake);
    assert_eq!(heat(&mut lake).files.len(), 2);
}

#[test]
fn vacuum_removes_what_was_replaced_and_what_a_crash_left_once_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    for minute in 0..10 {
        take(
            &mut lake,
            minute + 1,
            &rows(5, START + minute as i64 * MINUTE, 1.0),
        );
        lake.commit_all().unwrap();
    }
    compact(&mut lake);
    assert_eq!(parquet_files(folder.path()), 11);
    // Within the time that readers have nothing goes.
    assert_eq!(vacuum(&mut lake), Vacuumed::default());
    let period = folder
        .path()
        .join("heat/licence=CC0-1.0/superseded=false/month=2026-01");
    let orphan = |age: Duration| {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - age;
        let stamp = uuid::Timestamp::from_unix_time(at.as_secs(), 0, 0, 0);
        let path = period.join(format!("{}.parquet", Uuid::new_v7(stamp).simple()));
        std::fs::write(&path, "left by a crash").unwrap();
        path
    };
    let old = orphan(Duration::from_secs(2 * 24 * 3_600));
    let young = orphan(Duration::from_secs(60));
    let foreign = period.join("notes.parquet");
    std::fs::write(&foreign, "not ours").unwrap();
    drop(lake);
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.vacuum_after = Duration::ZERO;
    });
    std::thread::sleep(Duration::from_millis(5));
    let vacuumed = vacuum(&mut lake);
    assert_eq!((vacuumed.replaced_files, vacuumed.orphans), (10, 1));
    assert!(!old.exists() && young.exists() && foreign.exists());
    let snapshot = heat(&mut lake);
    assert_eq!(snapshot.files.len(), 1);
    assert!(
        folder
            .path()
            .join("heat")
            .join(&*snapshot.files[0].path)
            .exists()
    );
}

#[test]
fn vacuum_cuts_the_log_before_an_old_checkpoint_and_the_table_opens_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.vacuum_after = Duration::ZERO;
    });
    for minute in 0..210 {
        take(
            &mut lake,
            minute + 1,
            &rows(1, START + minute as i64 * MINUTE, 1.0),
        );
        lake.commit_all().unwrap();
    }
    let before = heat(&mut lake);
    std::thread::sleep(Duration::from_millis(5));
    // Versions 0 to 199 and checkpoint 100, of each table.
    let tables = lake.tables.len() as u64;
    assert_eq!(vacuum(&mut lake).log_files, 201 * tables);
    drop(lake);
    let mut lake = open(folder.path(), |_| {});
    let after = heat(&mut lake);
    assert_eq!((after.version, after.files.len()), (before.version, 210));
}

#[test]
fn periods_past_their_retention_go_and_later_ones_stay() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let folder = tempfile::tempdir().unwrap();
    {
        let mut lake = open(folder.path(), |options| options.limits.compaction = false);
        // 2024-05, the last minute of 2025-01, the first of 2025-02, and 2026-02.
        let times = [-600 * DAY, -334 * DAY - MINUTE, -334 * DAY, 31 * DAY];
        for (sequence, time) in (1..).zip(times) {
            take(&mut lake, sequence, &rows(3, START + time, 1.0));
        }
        lake.commit_all().unwrap();
        assert_eq!(heat(&mut lake).files.len(), 4);
    }
    let year = Duration::from_secs(365 * 24 * 3_600);
    // 2026-02-15: what is older than 2025-02-15 may go, and the month that holds that day stays whole.
    let now = START + 45 * DAY;
    let mut lake = open(folder.path(), |options| {
        let monotonic = crate::journal::system_monotonic_clock();
        options.clock = LakeClock::new(Arc::new(move || now), monotonic);
        options.retention.insert(DatasetId::new("heat"), year);
    });
    tick_until(&mut lake, "the old periods go", |lake| {
        lake.tables[&DatasetId::new("heat")].actor.files().len() < 4
    });
    let snapshot = heat(&mut lake);
    let periods: Vec<&str> = snapshot.files.iter().map(|file| &*file.period).collect();
    assert_eq!(periods, ["2025-02", "2026-02"]);
    // A shorter one counts at once, too.
    let month = Duration::from_secs(31 * 24 * 3_600);
    lake.retain([(DatasetId::new("heat"), month)].into());
    tick_until(&mut lake, "another old period goes", |lake| {
        lake.tables[&DatasetId::new("heat")].actor.files().len() < 2
    });
    assert_eq!(&*heat(&mut lake).files[0].period, "2026-02");
}

#[test]
fn a_retention_that_meets_a_commit_drops_once_that_is_done() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let folder = tempfile::tempdir().unwrap();
    let now = START + 45 * DAY;
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.commit_rows_max = 1;
        let monotonic = crate::journal::system_monotonic_clock();
        options.clock = LakeClock::new(Arc::new(move || now), monotonic);
    });
    take(&mut lake, 1, &rows(3, START - 600 * DAY, 1.0));
    lake.commit_all().unwrap();
    // The commit of these begins with the tick that looks for what is old.
    take(&mut lake, 2, &rows(3, START + 31 * DAY, 1.0));
    let year = Duration::from_secs(365 * 24 * 3_600);
    lake.retain([(DatasetId::new("heat"), year)].into());
    tick_until(&mut lake, "the old period goes", |lake| {
        let files = lake.tables[&DatasetId::new("heat")].actor.files();
        files.len() == 1 && &*files[0].period == "2026-02"
    });
}

/// What a reader is told that a retention has dropped everything of `heat` before.
fn dropped_before(root: &Path) -> Option<i64> {
    let reader = LakeReader::open(Arc::new(FolderStorage::new(root))).unwrap();
    let dropped = reader.dropped_before();
    dropped.get(&DatasetId::new("heat")).copied()
}

#[test]
fn what_a_retention_has_dropped_stays_noted_whatever_is_declared_later() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let folder = tempfile::tempdir().unwrap();
    let now = START + 45 * DAY;
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        let monotonic = crate::journal::system_monotonic_clock();
        options.clock = LakeClock::new(Arc::new(move || now), monotonic);
    });
    let days = |days: i64| -> BTreeMap<DatasetId, Duration> {
        let kept = Duration::from_micros((days * DAY) as u64);
        [(DatasetId::new("heat"), kept)].into()
    };
    let files = |lake: &Lake| lake.tables[&DatasetId::new("heat")].actor.files().len();
    take(&mut lake, 1, &rows(3, START - 334 * DAY, 1.0));
    take(&mut lake, 2, &rows(3, START + 31 * DAY, 1.0));
    lake.commit_all().unwrap();
    assert_eq!(dropped_before(folder.path()), None);
    lake.retain(days(31));
    tick_until(&mut lake, "an old period goes", |lake| files(lake) == 1);
    assert_eq!(dropped_before(folder.path()), Some(START));

    // A longer one drops nothing, and what was dropped is still gone.
    lake.retain(days(3_650));
    take(&mut lake, 3, &rows(3, START - 20 * DAY, 1.0));
    lake.commit_all().unwrap();
    lake.tick().unwrap();
    assert_eq!(
        (files(&lake), dropped_before(folder.path())),
        (2, Some(START))
    );
    // A restart, and a checkpoint, keep it.
    drop(lake);
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        let monotonic = crate::journal::system_monotonic_clock();
        options.clock = LakeClock::new(Arc::new(move || now), monotonic);
        options.retention = days(31);
    });
    tick_until(&mut lake, "what came late goes", |lake| files(lake) == 1);
    assert_eq!(dropped_before(folder.path()), Some(START));
}

/// Periods of files (three rows each) before those of `old` go; what is noted, and how much of it came late.
#[test]
fn what_is_noted_is_what_has_gone_and_rows_that_came_late_are_counted() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let file = |period: &str| {
        Arc::new(LiveFile {
            path: Arc::from(period),
            run: Arc::from(period),
            part: 0,
            bytes: 30,
            rows: 3,
            licence: "CC0-1.0".into(),
            superseded: false,
            period: Arc::from(period),
            sha256: Arc::from(""),
            committed_at_ms: 0,
            statistics: BTreeMap::new(),
        })
    };
    let kept = Duration::from_secs(31 * 24 * 3_600);
    // `noted` and what is to be noted in days from the start of 2026; the clock says so many, too.
    let check = |periods: &[&str], now: i64, noted: Option<i64>, expect: Option<(i64, u64)>| {
        let files: Vec<Arc<LiveFile>> = periods.iter().map(|period| file(period)).collect();
        let now_ms = (START + now * DAY) / 1_000;
        let old = crate::lake::past_retention(&files, Grain::Month, kept, now_ms);
        let old: Vec<Arc<LiveFile>> = old.cloned().collect();
        let noted = noted.map(|days| START + days * DAY);
        let found = dropped_periods(&files, &old, Grain::Month, (kept, now_ms), noted);
        let found = found.map(|found| ((found.before - START) / DAY, found.late_rows));
        assert_eq!(found, expect, "{periods:?} {now} {noted:?}");
    };
    check(&[], 45, None, None);
    check(&["2026-01"], 45, None, Some((0, 0)));
    check(&["2026-01"], 45, Some(0), None);
    check(&["2025-11", "2026-01"], 45, None, Some((0, 0)));
    check(&["2025-11", "2026-01"], 45, Some(0), Some((0, 3)));
    check(&["2025-12", "2026-02"], 65, Some(-31), Some((31, 0)));
    check(
        &["2025-11", "2025-12", "2026-02"],
        65,
        Some(-31),
        Some((31, 3)),
    );
    // A shorter retention has gone further.
    check(&["2025-11", "2026-01"], 45, Some(31), Some((31, 3)));
    check(&["2026-01"], 45, Some(31), None);
    // A clock that is ahead by years.
    check(&["2025-11", "2026-01"], 4_000, None, Some((31, 0)));
}

/// A commit a minute for a year, sizes only: how many files a partition has, and how often a byte is written again.
#[test]
fn a_trickle_of_a_year_leaves_few_files() {
    let declaration = Arc::clone(&declarations().datasets[&DatasetId::new("heat")]);
    let minute_ms = 60_000;
    let mut files: Vec<Arc<LiveFile>> = Vec::new();
    let (mut written, mut rewritten) = (0_u64, 0_u64);
    let mut next = 0_u64;
    let mut file = |bytes: u64, period: &str, committed_at_ms: i64| {
        next += 1;
        Arc::new(LiveFile {
            path: Arc::from(format!("{next}")),
            run: Arc::from(format!("{next}")),
            part: 0,
            bytes,
            rows: bytes / 10,
            licence: "CC0-1.0".into(),
            superseded: false,
            period: Arc::from(period),
            sha256: Arc::from(""),
            committed_at_ms,
            statistics: BTreeMap::new(),
        })
    };
    for minute in 0..365 * 24 * 60 {
        let now_ms = minute * minute_ms;
        let period = meetnet_model::calendar::period(now_ms * 1_000, declaration.grain);
        let added = file(20_000, &period, now_ms);
        written += added.bytes;
        insert_files(&mut files, &[added], &declaration);
        while let Some(choice) = choose(&files, Effort::Steady, now_ms) {
            let inputs = choice.files();
            let bytes = inputs.iter().map(|file| file.bytes).sum();
            rewritten += bytes;
            files.retain(|file| !inputs.contains(file));
            let merged = file(bytes, &choice.partition.period, now_ms);
            insert_files(&mut files, &[merged], &declaration);
        }
        // Eleven months of one run each, and less than eight runs per size class of the last.
        assert!(files.len() <= 11 + 7 * 7, "{} files", files.len());
    }
    assert_eq!(files.iter().map(|file| file.bytes).sum::<u64>(), written);
    let amplification = rewritten as f64 / written as f64;
    assert!(
        amplification < 6.0,
        "each byte written again {amplification} times"
    );
}

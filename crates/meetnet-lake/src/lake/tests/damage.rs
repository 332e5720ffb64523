//! Files that are damaged on the disk: what stops because of them, and what goes on.

use super::*;

/// Something that may happen to a file on the disk, and how it is named.
type Harm = (&'static str, fn(&Path));

fn damages() -> [Harm; 3] {
    [
        ("is missing", |path| std::fs::remove_file(path).unwrap()),
        ("bytes instead of", |path| {
            let content = std::fs::read(path).unwrap();
            std::fs::write(path, &content[..20]).unwrap();
        }),
        ("has other bytes than were written", |path| {
            let mut content = std::fs::read(path).unwrap();
            let middle = content.len() / 2;
            content[4..middle].fill(0xff);
            std::fs::write(path, content).unwrap();
        }),
    ]
}

/// The repair: a commit that takes the file out of the table.
fn take_out(lake: &mut Lake, file: &Arc<LiveFile>) {
    let now_ms = lake.options.clock.now_ms();
    let table = lake.tables.get_mut(&DatasetId::new("heat")).unwrap();
    let job = table
        .actor
        .replace(vec![Arc::clone(file)], Vec::new(), "REPAIR", now_ms)
        .unwrap();
    lake.admit(Outcome::Replace(job.run())).unwrap().unwrap();
}

#[test]
fn a_broken_file_stops_commits_and_look_ups_of_its_rows_until_it_is_repaired() {
    const MONTH: i64 = 31 * 24 * 60 * MINUTE;
    for (what, damage) in damages() {
        let folder = tempfile::tempdir().unwrap();
        let mut lake = open(folder.path(), |options| options.limits.compaction = false);
        take(&mut lake, 1, &rows(20, START, 1.0));
        take(&mut lake, 2, &rows(20, START + MONTH, 1.0));
        take(&mut lake, 3, &rows_of("air", 5, START, 1.0));
        lake.commit_all().unwrap();
        let january = Arc::clone(&heat(&mut lake).files[0]);
        let path = folder.path().join("heat").join(&*january.path);
        // A row of it is replaced before the damage: the commit has to write the file again.
        take(&mut lake, 4, &rows(1, START, 50.0));
        damage(&path);
        take(&mut lake, 5, &rows(1, START + MONTH, 60.0));
        take(&mut lake, 6, &rows_of("air", 5, START + MINUTE, 1.0));
        let named = |error: &LakeError| {
            let text = error.to_string();
            for part in [&*path.to_string_lossy(), what, "meetnet check --repair"] {
                assert!(text.contains(part), "{text} should say {part}");
            }
            assert!(error.needs_a_person() && error.is_of_reading());
        };
        for _ in 0..3 {
            named(&lake.commit_all().unwrap_err());
        }
        // The other dataset has committed; nothing of this one is lost, and nothing was left behind on the disk.
        let air = Arc::clone(&lake.shared().load().tables[&DatasetId::new("air")]);
        assert_eq!((air.files.len(), air.hot.len()), (2, 0));
        assert_eq!(heat(&mut lake).hot.len(), 2);
        let left = 2 - usize::from(what == "is missing");
        assert_eq!(parquet_files(folder.path()), left, "{what}");
        // Rows that must be compared with it wait; others do not.
        let before = heat(&mut lake);
        named(&try_take(&mut lake, 7, &rows(20, START, 2.0)).unwrap_err());
        let after = heat(&mut lake);
        assert_eq!(before.hot.len(), after.hot.len());
        assert_eq!(before.masks, after.masks);
        let applied = try_take(&mut lake, 7, &rows(20, START + MONTH, 2.0)).unwrap();
        assert_eq!(applied.revised, 20);

        take_out(&mut lake, &january);
        lake.commit_all().unwrap();
        let applied = try_take(&mut lake, 8, &rows(20, START, 2.0)).unwrap();
        assert_eq!((applied.revised, applied.inserted), (1, 19));
        lake.commit_all().unwrap();
        assert_eq!(lake.trim_point(), Sequence(8));
        let current = heat(&mut lake);
        let current = current.files.iter().filter(|file| !file.superseded);
        assert_eq!(current.map(|file| file.rows).sum::<u64>(), 40);
    }
}

/// A commit copies the row groups that it does not touch as bytes, under a hash of its own.
#[test]
fn damage_in_a_row_group_that_would_be_copied_is_not_passed_on() {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    take(&mut lake, 1, &rows(50, START, 1.0));
    lake.commit_all().unwrap();
    let file = Arc::clone(&heat(&mut lake).files[0]);
    let path = folder.path().join("heat").join(&*file.path);
    let mut content = std::fs::read(&path).unwrap();
    let reader = SerializedFileReader::new(bytes::Bytes::from(content.clone())).unwrap();
    let last = reader.metadata().row_groups().last().unwrap().clone();
    let (start, length) = last.columns().last().unwrap().byte_range();
    content[(start + length - 1) as usize] ^= 1;
    std::fs::write(&path, &content).unwrap();
    // The first row is in the first group.
    take(&mut lake, 2, &rows(1, START, 50.0));
    let error = lake.commit_all().unwrap_err();
    assert!(error.to_string().contains("has other bytes"), "{error}");
    assert_eq!(heat(&mut lake).files.len(), 1);
    content[(start + length - 1) as usize] ^= 1;
    std::fs::write(&path, &content).unwrap();
    lake.commit_all().unwrap();
}

#[test]
fn a_merge_that_meets_a_broken_file_is_given_up_and_others_are_made() {
    for (what, damage) in damages() {
        let folder = tempfile::tempdir().unwrap();
        let mut lake = open(folder.path(), |options| options.limits.compaction = false);
        for minute in 0..10 {
            let time = START + minute as i64 * MINUTE;
            take(&mut lake, 2 * minute + 1, &rows(5, time, 1.0));
            take(&mut lake, 2 * minute + 2, &rows_of("noise", 5, time, 1.0));
            lake.commit_all().unwrap();
        }
        let broken = Arc::clone(&heat(&mut lake).files[3]);
        damage(&folder.path().join("heat").join(&*broken.path));
        compact(&mut lake);
        let files = |lake: &mut Lake, dataset: &str| {
            lake.publish();
            lake.shared().load().tables[&DatasetId::new(dataset)]
                .files
                .len()
        };
        assert_eq!(files(&mut lake, "heat"), 10, "{what}");
        assert_eq!(files(&mut lake, "noise"), 1, "{what}");
        assert_eq!(lake.compacted().given_up, 1);
        take_out(&mut lake, &broken);
        compact(&mut lake);
        let merged = heat(&mut lake);
        assert_eq!(
            (merged.files.len(), merged.files[0].rows),
            (1, 45),
            "{what}"
        );
    }
}

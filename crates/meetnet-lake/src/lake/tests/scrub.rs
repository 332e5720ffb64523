//! The scrub over a lake that goes on: a changed bit is found by the hash alone, and then nobody is given what is in the file.

use meetnet_testkit::objects::StoreFault;

use super::*;
use crate::committed::{CommittedRows, RowRange};
use crate::damage::{self, Damage};
use crate::scrub::{Scrubber, Step};
use crate::snapshot::DataFile;
use crate::storage::Access;

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE_LONG: Duration = Duration::from_secs(60);

/// Compares until there is nothing to do at `now`; returns how many files.
fn scrub(scrubber: &mut Scrubber, now: Instant) -> usize {
    let mut files = 0;
    while scrubber.step(now, &mut |_| true) == Step::Compared {
        files += 1;
        assert!(files < 1_000, "the same files again and again");
    }
    files
}

/// Changes a bit of the last page of values, which is decoded all the same.
fn flip_a_value(path: &Path) {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let mut content = std::fs::read(path).unwrap();
    let reader = SerializedFileReader::new(bytes::Bytes::from(content.clone())).unwrap();
    let group = reader.metadata().row_group(0);
    let mut columns = group.columns().iter();
    let value = columns
        .find(|column| column.column_path().string() == "value")
        .unwrap();
    let (start, length) = value.byte_range();
    content[(start + length - 1) as usize] ^= 1;
    std::fs::write(path, content).unwrap();
}

/// Reads what is derived from, or counted by the figures.
fn read_all(table: &TableSnapshot) -> Result<(), LakeError> {
    let range = RowRange {
        from: i64::MIN,
        to: i64::MAX,
        leading: None,
    };
    let committed = CommittedRows::new(table)?;
    let mut rows = committed.in_range(&["value"], range)?;
    while rows.next_batch()?.is_some() {}
    Ok(())
}

fn two_files(root: &Path) -> (Lake, Vec<Arc<LiveFile>>) {
    let mut lake = open(root, |options| options.limits.compaction = false);
    take(&mut lake, 1, &rows(20, START, 1.0));
    lake.commit_all().unwrap();
    take(&mut lake, 2, &rows(20, START + MINUTE, 1.0));
    lake.commit_all().unwrap();
    let files = heat(&mut lake).files.to_vec();
    assert_eq!(files.len(), 2);
    (lake, files)
}

#[test]
fn a_changed_bit_is_found_within_a_round_and_what_is_put_back_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut lake, files) = two_files(folder.path());
    let path = folder.path().join("heat").join(&*files[0].path);
    let whole = std::fs::read(&path).unwrap();
    let start = Instant::now();
    let mut scrubber = Scrubber::new(lake.shared(), Some(HOUR), start);
    let watch = scrubber.watch();
    assert_eq!(scrub(&mut scrubber, start), 0, "not at once");
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG), 2);
    let report = watch.read();
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    assert_eq!((report.files, report.bytes), (2, bytes));
    assert_eq!((report.damaged, report.unread), (0, 0));
    assert!(report.round_ended_at_ms.is_some());

    flip_a_value(&path);
    assert_eq!(scrub(&mut scrubber, start + 30 * MINUTE_LONG), 0);
    let table = heat(&mut lake);
    let before = table.folder.damage_revision();
    assert!(table.folder.open(&files[0], Access::Pages).is_ok());
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG + HOUR), 2);
    assert_eq!(watch.read().damaged, 1);
    let damage = Some(Damage::WrongChecksum);
    assert_eq!(table.folder.damage_of(&files[0].path), damage);
    assert!(table.folder.damage_revision() > before);
    let refused = [table.data_file(&files[0].path).map(drop), read_all(&table)];
    for error in refused.map(Result::unwrap_err) {
        let text = error.to_string();
        for part in [
            &*path.to_string_lossy(),
            "has other bytes than were written",
            "meetnet check --repair",
        ] {
            assert!(text.contains(part), "{text} should say {part}");
        }
        assert!(error.needs_a_person() && error.is_of_reading(), "{text}");
    }
    assert!(matches!(
        table.data_file(&files[1].path),
        Ok(DataFile::Live(..))
    ));

    // Put back: known with the next look at those that are damaged, a minute later at most.
    std::fs::write(&path, &whole).unwrap();
    let later = start + 2 * MINUTE_LONG + HOUR;
    assert_eq!(scrub(&mut scrubber, later), 1);
    assert_eq!(watch.read().damaged, 0);
    assert_eq!(table.folder.damage_of(&files[0].path), None);
    let applied = try_take(&mut lake, 3, &rows(20, START, 2.0)).unwrap();
    assert_eq!(applied.revised, 20);
}

/// What nobody has found before a restart is found by its first round.
#[test]
fn damage_is_found_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, files) = two_files(folder.path());
    flip_a_value(&folder.path().join("heat").join(&*files[1].path));
    drop(lake);
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    let table = heat(&mut lake);
    let start = Instant::now();
    let mut scrubber = Scrubber::new(lake.shared(), Some(HOUR), start);
    assert_eq!(table.folder.damage_of(&files[1].path), None);
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG), 2);
    let damage = Some(Damage::WrongChecksum);
    assert_eq!(table.folder.damage_of(&files[1].path), damage);
    assert_eq!(table.folder.damage_of(&files[0].path), None);
}

#[test]
fn what_was_found_is_known_after_a_restart_before_anything_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, files) = two_files(folder.path());
    let path = folder.path().join("heat").join(&*files[1].path);
    let whole = std::fs::read(&path).unwrap();
    flip_a_value(&path);
    let start = Instant::now();
    let mut scrubber = Scrubber::new(lake.shared(), Some(HOUR), start);
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG), 2);
    drop(lake);

    let damage = Some(Damage::WrongChecksum);
    let refuses = |table: &TableSnapshot| {
        assert_eq!(table.folder.damage_of(&files[1].path), damage);
        assert!(table.data_file(&files[1].path).is_err() && read_all(table).is_err());
        assert!(table.data_file(&files[0].path).is_ok());
    };
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    let table = heat(&mut lake);
    refuses(&table);
    let mut scrubber = Scrubber::new(lake.shared(), None, start);
    let watch = scrubber.watch();
    assert_eq!(scrub(&mut scrubber, start), 0);
    assert_eq!(watch.read().damaged, 1, "people are told at once");
    // It is still damaged when it is looked at again.
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG), 1);
    refuses(&table);
    drop(lake);

    // Who only reads knows it, too, and has nobody who looks again.
    let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::new(folder.path()));
    let read = |storage: &Arc<dyn LakeStorage>| {
        let mut reader = LakeReader::open(Arc::clone(storage)).unwrap();
        reader.compare_damaged();
        let snapshot = reader.refresh().unwrap();
        Arc::clone(&snapshot.tables[&DatasetId::new("heat")])
    };
    refuses(&read(&storage));
    std::fs::write(&path, &whole).unwrap();
    read_all(&read(&storage)).unwrap();

    // Put back while nobody ran: refused until it has been compared, and then forgotten for good.
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    let table = heat(&mut lake);
    refuses(&table);
    let mut scrubber = Scrubber::new(lake.shared(), None, start);
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG), 1);
    assert_eq!(scrubber.watch().read().damaged, 0);
    read_all(&table).unwrap();
    drop(lake);
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    read_all(&heat(&mut lake)).unwrap();
}

/// A note that a crash has left behind says nothing of a file that is not there; one of a file that may still be downloaded
/// does.
#[test]
fn a_note_outlives_its_file_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (mut lake, files) = two_files(folder.path());
    let table = heat(&mut lake);
    compact(&mut lake);
    for file in &files {
        let noted = table
            .folder
            .remember_damage(&file.path, Damage::WrongChecksum);
        noted.unwrap();
    }
    drop(lake);
    std::fs::remove_file(folder.path().join("heat").join(&*files[0].path)).unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    let table = heat(&mut lake);
    let start = Instant::now();
    let mut scrubber = Scrubber::new(lake.shared(), None, start);
    assert_eq!(scrub(&mut scrubber, start), 0);
    assert_eq!(scrubber.watch().read().damaged, 0);
    assert!(matches!(
        table.data_file(&files[0].path),
        Ok(DataFile::Gone)
    ));
    assert!(table.data_file(&files[1].path).is_err());
    let noted = table.folder.noted_damage();
    assert_eq!(Vec::from_iter(noted), [format!("heat/{}", files[1].path)]);
}

/// A dataset that is declared while the daemon runs has its notes, too.
#[test]
fn a_note_of_a_table_that_comes_later_is_compared_within_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let (mut lake, files) = two_files(folder.path());
    let table = heat(&mut lake);
    let path = &files[0].path;
    let noted = table.folder.remember_damage(path, Damage::WrongChecksum);
    noted.unwrap();
    let all = lake.shared().load_full();
    let mut without = LakeSnapshot::clone(&all);
    without.tables.remove(&DatasetId::new("heat")).unwrap();
    assert!(!without.tables.is_empty());
    let shared = Arc::new(ArcSwap::from_pointee(without));
    let start = Instant::now();
    let mut scrubber = Scrubber::new(Arc::clone(&shared), None, start);
    assert_eq!(scrub(&mut scrubber, start), 0);
    shared.store(all);
    assert!(table.data_file(path).is_err());
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG), 1);
    assert!(table.data_file(path).is_ok());
    assert!(table.folder.noted_damage().is_empty());
}

#[test]
fn a_file_that_was_removed_is_no_damage_and_one_that_is_missing_is() {
    let folder = tempfile::tempdir().unwrap();
    let (mut lake, files) = two_files(folder.path());
    let start = Instant::now();
    let mut scrubber = Scrubber::new(lake.shared(), Some(HOUR), start);
    let watch = scrubber.watch();
    // The round has begun when the files are merged and removed.
    let first = start + MINUTE_LONG;
    assert_eq!(scrubber.step(first, &mut |_| true), Step::Compared);
    let merged = {
        compact(&mut lake);
        heat(&mut lake)
    };
    assert_eq!(merged.files.len(), 1);
    for file in &files {
        std::fs::remove_file(folder.path().join("heat").join(&*file.path)).unwrap();
    }
    scrub(&mut scrubber, first);
    scrub(&mut scrubber, first + 10 * MINUTE_LONG);
    assert_eq!(watch.read().damaged, 0);

    // A follower's snapshot may be older than the removal: only what is missing twice is missing.
    let path = folder.path().join("heat").join(&*merged.files[0].path);
    std::fs::remove_file(path).unwrap();
    let second = first + HOUR;
    assert_eq!(scrub(&mut scrubber, second), 1);
    assert_eq!(watch.read().damaged, 0);
    assert_eq!(scrub(&mut scrubber, second + MINUTE_LONG), 1);
    assert_eq!(watch.read().damaged, 1);
    // Nobody is kept from it once it is there again.
    let damage = merged.folder.damage_of(&merged.files[0].path);
    assert_eq!(damage, None);
}

/// One damaged file must not keep new rows out of its dataset: keys are looked for in what can be read of it.
#[test]
fn look_ups_go_on_in_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut lake, files) = two_files(folder.path());
    let table = heat(&mut lake);
    let damage = Some(Damage::WrongChecksum);
    table.folder.note_damage(&files[0].path, damage);
    assert!(table.data_file(&files[0].path).is_err());
    let sensors = (0..10).chain([20]);
    let some = garden::rows_of("heat", sensors.map(|sensor| (sensor, START, 9.5)));
    let applied = try_take(&mut lake, 3, &some).unwrap();
    assert_eq!((applied.revised, applied.inserted), (10, 1));
    // What is copied is compared before, and this file is whole.
    lake.commit_all().unwrap();
    assert_eq!(table.folder.damage_of(&files[0].path), None);
}

/// Without rounds, too: a broken file that somebody has met is examined whole, so that its other pages are not answered.
#[test]
fn what_somebody_has_found_broken_is_compared_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut lake, files) = two_files(folder.path());
    let table = heat(&mut lake);
    flip_a_value(&folder.path().join("heat").join(&*files[0].path));
    let start = Instant::now();
    let mut scrubber = Scrubber::new(lake.shared(), None, start);
    assert_eq!(scrub(&mut scrubber, start + 24 * HOUR), 0, "no rounds");
    let found = damage::examine(&table.folder, &files[0]).unwrap();
    assert_eq!(found, Some(Damage::WrongChecksum));
    assert_eq!(scrub(&mut scrubber, start + 24 * HOUR), 1);
    let damage = table.folder.damage_of(&files[0].path);
    assert_eq!(damage, Some(Damage::WrongChecksum));
    // It is taken out of the table.
    let now_ms = lake.options.clock.now_ms();
    let actor = &mut lake.tables.get_mut(&DatasetId::new("heat")).unwrap().actor;
    let job = actor.replace(vec![Arc::clone(&files[0])], Vec::new(), "REPAIR", now_ms);
    let outcome = Outcome::Replace(job.unwrap().run());
    lake.admit(outcome).unwrap().unwrap();
    lake.publish();
    scrub(&mut scrubber, start + 25 * HOUR);
    assert_eq!(scrubber.watch().read().damaged, 0);
}

#[test]
fn a_stop_breaks_a_comparison_off_and_says_nothing_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, files) = two_files(folder.path());
    flip_a_value(&folder.path().join("heat").join(&*files[0].path));
    let start = Instant::now();
    let mut scrubber = Scrubber::new(lake.shared(), Some(HOUR), start);
    let step = scrubber.step(start + MINUTE_LONG, &mut |_| false);
    assert_eq!(step, Step::Stopped);
    let report = scrubber.watch().read();
    assert_eq!((report.files, report.damaged), (0, 0));
}

#[test]
fn objects_of_a_bucket_are_compared_and_a_bucket_that_is_away_is_no_damage() {
    let city = InStore::new();
    let mut lake = city.open();
    take(&mut lake, 1, &rows(20, START, 1.0));
    lake.commit_all().unwrap();
    let table = heat(&mut lake);
    let file = Arc::clone(&table.files[0]);
    let start = Instant::now();
    let mut scrubber = Scrubber::new(lake.shared(), Some(HOUR), start);
    let watch = scrubber.watch();
    let requests = city.store.requests();
    city.store.fail_at(requests, StoreFault::Refused);
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG), 1);
    let report = watch.read();
    assert_eq!((report.files, report.unread, report.damaged), (0, 1, 0));
    assert_eq!(table.folder.damage_of(&file.path), None);
    // It is tried again before the next round.
    assert_eq!(scrub(&mut scrubber, start + 2 * MINUTE_LONG), 1);
    let report = watch.read();
    assert_eq!((report.files, report.unread, report.damaged), (1, 1, 0));

    let name = format!("heat/{}", file.path);
    let storage = city.storage();
    let whole = storage.read(&name).unwrap();
    let mut changed = whole.to_vec();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    storage.replace(&name, &changed).unwrap();
    assert_eq!(scrub(&mut scrubber, start + MINUTE_LONG + HOUR), 1);
    assert_eq!(watch.read().damaged, 1);
    let damage = Some(Damage::WrongChecksum);
    assert_eq!(table.folder.damage_of(&file.path), damage);
    // Another process knows it from the bucket.
    let later = city.storage();
    LakeReader::open(Arc::clone(&later)).unwrap();
    let later = crate::storage::TableFolder::new(later, "heat");
    assert_eq!(later.damage_of(&file.path), damage);
    storage.replace(&name, &whole).unwrap();
    assert_eq!(scrub(&mut scrubber, start + 10 * MINUTE_LONG + HOUR), 1);
    assert_eq!(watch.read().damaged, 0);
    let noted = city.storage().list("_meetnet/damaged").unwrap();
    assert!(noted.is_empty(), "{noted:?}");
}

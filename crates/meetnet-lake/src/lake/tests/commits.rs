//! When a commit is due, what it writes where, and how far answers say that they reach.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

#[test]
fn rows_are_committed_at_their_age_and_an_idle_dataset_says_how_far_it_is() {
    let seconds = Arc::new(AtomicI64::new(0));
    let clock = Arc::clone(&seconds);
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| {
        options.background = false;
        options.clock = LakeClock::new(
            crate::journal::system_clock(),
            Arc::new(move || clock.load(Ordering::Relaxed) * 1_000_000),
        );
        options.limits.commit_age_max = Duration::from_secs(60);
        options.limits.stable_age_max = Duration::from_secs(300);
    });
    // How many commits are made at a time.
    let commits = |lake: &mut Lake, at: i64| {
        seconds.store(at, Ordering::Relaxed);
        lake.tick().unwrap();
        let made = (0..).take_while(|_| lake.run_commit_job()).count();
        lake.tick().unwrap();
        made
    };
    take(&mut lake, 1, &rows(3, START, 1.0));
    assert_eq!(
        [0, 59, 60, 299].map(|at| commits(&mut lake, at)),
        [0, 0, 1, 0]
    );
    let through = |lake: &Lake| -> Vec<u64> {
        let positions = lake.positions().into_values();
        positions.map(|(_, through)| through.0).collect()
    };
    assert_eq!(through(&lake).iter().sum::<u64>(), 1);
    // All others, whose rows nobody has ever sent.
    let others = lake.tables.len() - 1;
    assert_eq!(commits(&mut lake, 300), others);
    assert!(through(&lake).iter().all(|through| *through == 1));
    assert_eq!(commits(&mut lake, 900), 0);
}

/// A log that were read or listed again for each commit would make each dearer than the one before.
#[test]
fn a_commit_asks_for_as_much_however_many_came_before_it() {
    let city = InStore::new();
    let mut lake = city.open();
    let mut requests = Vec::new();
    for sequence in 1..=195_u64 {
        let time = START + sequence as i64 * MINUTE;
        take(&mut lake, sequence, &rows(1, time, 1.0));
        let before = city.store.requests();
        lake.commit_all().unwrap();
        requests.push(city.store.requests() - before);
    }
    // Every hundredth writes a checkpoint, too.
    assert_eq!(requests[10..15], requests[190..], "{requests:?}");
}

#[test]
fn the_stable_time_is_when_the_last_frame_that_was_applied_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.background = false);
    for sequence in 1..=3 {
        take(&mut lake, sequence, &rows(1, START, sequence as f64));
        let snapshot = heat(&mut lake);
        assert_eq!(
            (snapshot.through, snapshot.stable_time),
            (Sequence(sequence), recorded_at(sequence))
        );
    }
    // The same for those who see only commits.
    lake.commit_all().unwrap();
    take(&mut lake, 4, &rows(1, START, 4.0));
    let storage = Arc::new(FolderStorage::new(folder.path()));
    let committed = LakeReader::open(storage).unwrap().refresh().unwrap();
    let snapshot = &committed.tables[&DatasetId::new("heat")];
    assert_eq!(
        (snapshot.through, snapshot.stable_time),
        (Sequence(3), recorded_at(3))
    );
}

/// Whom the footer of a file asks to name.
fn attribution(snapshot: &TableSnapshot, file: &LiveFile) -> Option<String> {
    let input = crate::damage::open(&snapshot.folder, file, crate::storage::Access::Pages).unwrap();
    let footer = crate::table::read::load_footer(&input).unwrap();
    let pairs = footer.metadata().file_metadata().key_value_metadata()?;
    let pair = pairs.iter().find(|pair| pair.key == "attribution")?;
    pair.value.clone()
}

#[test]
fn a_file_names_those_whose_rows_it_may_hold() {
    let folder = tempfile::tempdir().unwrap();
    let mut declarations = declarations();
    let heat = declarations
        .datasets
        .get_mut(&DatasetId::new("heat"))
        .unwrap();
    let heat = Arc::make_mut(heat);
    heat.attribution = Some("Leuven".to_owned());
    heat.source_licences = BTreeMap::from([
        ("CC0-1.0".into(), vec![]),
        ("CC-BY-4.0".into(), vec!["Garden club".to_owned()]),
    ]);
    let mut options = LakeOptions::new(Uuid::nil());
    options.background = false;
    let tables = tables(folder.path(), declarations).unwrap();
    let mut lake = Lake::open(options, tables, Sequence::ZERO).unwrap();
    for (sequence, licence) in (1..).zip(["CC-BY-4.0", "CC0-1.0"]) {
        let lineage = [Lineage {
            licence: licence.into(),
            ..lineage(Sequence(sequence), recorded_at(sequence))
        }];
        let rows = rows(1, START + sequence as i64 * MINUTE, 1.0);
        lake.apply(&rows, &lineage, &mut flag).unwrap();
        lake.advance(Sequence(sequence), recorded_at(sequence));
    }
    lake.commit_all().unwrap();
    let snapshot = super::heat(&mut lake);
    let named: Vec<_> = snapshot
        .files
        .iter()
        .map(|file| (file.licence.as_str(), attribution(&snapshot, file)))
        .collect();
    let named: Vec<_> = named
        .iter()
        .map(|(licence, name)| (*licence, name.as_deref()))
        .collect();
    assert_eq!(
        named,
        [
            ("CC-BY-4.0", Some("Leuven; Garden club")),
            ("CC0-1.0", Some("Leuven"))
        ]
    );
}

#[test]
fn a_table_keeps_the_names_of_sources_that_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    type Names<'a> = &'a [(&'a str, &'a [&'a str])];
    let declared = |names: Names<'_>| {
        let mut declarations = declarations();
        let heat = declarations
            .datasets
            .get_mut(&DatasetId::new("heat"))
            .unwrap();
        Arc::make_mut(heat).source_licences = names
            .iter()
            .map(|(licence, names)| {
                let names = names.iter().map(|name| (*name).to_owned());
                ((*licence).into(), names.collect())
            })
            .collect();
        declarations
    };
    // CC0-1.0 is the licence of the rows below; nothing lies under the other.
    let first = declared(&[("CC0-1.0", &["Club", "School"]), ("CC-BY-4.0", &["Nobody"])]);
    let mut options = LakeOptions::new(Uuid::nil());
    options.background = false;
    let first = tables(folder.path(), first).unwrap();
    let mut lake = Lake::open(options, first, Sequence::ZERO).unwrap();
    take(&mut lake, 1, &rows(1, START, 1.0));
    lake.commit_all().unwrap();
    drop(lake);
    let cases: [(Names<'_>, Names<'_>); 5] = [
        (&[], &[("CC0-1.0", &["Club", "School"])]),
        (
            &[("ODbL-1.0", &["New"])],
            &[("CC0-1.0", &["Club", "School"]), ("ODbL-1.0", &["New"])],
        ),
        // Of two sources under one licence one is left.
        (
            &[("CC0-1.0", &["School"])],
            &[("CC0-1.0", &["School", "Club"])],
        ),
        (
            &[("CC0-1.0", &["New"])],
            &[("CC0-1.0", &["New", "Club", "School"])],
        ),
        (
            &[("CC0-1.0", &["School", "Club"])],
            &[("CC0-1.0", &["School", "Club"])],
        ),
    ];
    for (configured, expect) in cases {
        let read = tables(folder.path(), declared(configured)).unwrap();
        let named = read.with_former_names().unwrap();
        assert_eq!(*named, declared(expect), "{configured:?}");
        let is_same = Arc::ptr_eq(&named, read.declarations());
        assert_eq!(is_same, configured == expect, "{configured:?}");
    }
}

#[test]
fn each_licence_has_files_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.background = false);
    for (sequence, licence) in (1..).zip(["CC-BY-4.0", "CC0-1.0", "CC-BY-4.0"]) {
        let lineage = [Lineage {
            sequence: Sequence(sequence),
            received_at: recorded_at(sequence),
            recorded_at: recorded_at(sequence),
            source: licence.into(),
            licence: licence.into(),
            precedence: 0,
        }];
        let rows = rows(3, START + sequence as i64 * MINUTE, 1.0);
        lake.apply(&rows, &lineage, &mut flag).unwrap();
        lake.advance(Sequence(sequence), recorded_at(sequence));
    }
    lake.commit_all().unwrap();
    let snapshot = heat(&mut lake);
    let files: Vec<(&str, u64)> = snapshot
        .files
        .iter()
        .map(|file| (file.licence.as_str(), file.rows))
        .collect();
    assert_eq!(files, [("CC-BY-4.0", 6), ("CC0-1.0", 3)]);
    // Read from the log, as a start does before it opens the lake.
    let stored = tables(folder.path(), declarations()).unwrap();
    let stored = stored.stored_licences().unwrap();
    let of_heat: Vec<(&str, Vec<&str>)> = stored[&DatasetId::new("heat")]
        .iter()
        .map(|(licence, sources)| {
            (
                licence.as_str(),
                sources.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    assert_eq!(
        of_heat,
        [
            ("CC-BY-4.0", vec!["CC-BY-4.0"]),
            ("CC0-1.0", vec!["CC0-1.0"])
        ]
    );
    // What a file says of itself is true of each of its rows: the source is named as its licence here.
    for file in snapshot.files.iter() {
        let schema = snapshot.declaration.file_schema();
        let batches = crate::table::read::read_file(
            &snapshot.folder,
            &snapshot.declaration,
            file,
            &schema,
            100,
        );
        for batch in batches.unwrap() {
            let batch = batch.unwrap();
            let sources = batch.column_by_name("source").unwrap();
            let sources = arrow::array::AsArray::as_string::<i32>(sources);
            assert!(
                sources
                    .iter()
                    .all(|source| source == Some(file.licence.as_str()))
            );
        }
    }
}

//! When a commit is due, what it writes where, and how far answers say that they reach.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use meetnet_model::source::{SourceDeclaration, SourceKind, WireFormat};
use meetnet_testkit::objects::StoreFault;

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

#[test]
fn a_table_whose_log_is_broken_keeps_no_other_from_being_followed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(FolderStorage::new(folder.path()));
    let mut lake = open(folder.path(), |options| options.background = false);
    let mut commit = |sequence: u64| {
        for dataset in ["air", "heat", "noise"] {
            let rows = rows_of(dataset, 2, START + sequence as i64 * MINUTE, 1.0);
            take(&mut lake, sequence, &rows);
        }
        lake.commit_all().unwrap();
    };
    commit(1);
    let mut reader = LakeReader::open(storage).unwrap();
    let through = |snapshot: &LakeSnapshot| {
        ["air", "heat", "noise"].map(|id| snapshot.tables[&DatasetId::new(id)].through.0)
    };
    assert_eq!(through(&reader.refresh().unwrap()), [1, 1, 1]);
    commit(2);
    let heat = folder.path().join("heat/_delta_log");
    let names = std::fs::read_dir(&heat).unwrap();
    let newest = names.map(|name| name.unwrap().path()).max().unwrap();
    let written = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, "{").unwrap();
    let error = reader.refresh().unwrap_err();
    assert!(
        matches!(&error, LakeError::BrokenLog { path, .. } if newest.ends_with(path)),
        "{error:?}"
    );
    assert_eq!(through(&reader.snapshot()), [2, 1, 2]);
    std::fs::write(&newest, written).unwrap();
    assert_eq!(through(&reader.refresh().unwrap()), [2, 2, 2]);
}

#[test]
fn a_table_in_the_folder_of_another_dataset_is_not_read_as_that() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut lake = open(folder.path(), |options| options.background = false);
        take(&mut lake, 1, &rows(2, START, 1.0));
        lake.commit_all().unwrap();
    }
    let place = |name: &str| folder.path().join(name);
    std::fs::rename(place("noise"), place("away")).unwrap();
    std::fs::rename(place("heat"), place("noise")).unwrap();
    std::fs::rename(place("away"), place("heat")).unwrap();
    let storage = Arc::new(FolderStorage::new(folder.path()));
    let error = LakeReader::open(storage).unwrap_err();
    assert!(
        error.to_string().contains("it is the table of dataset"),
        "{error}"
    );
}

#[test]
fn a_store_that_is_away_is_asked_for_one_dataset_and_not_for_each() {
    // How many requests fail at a commit of everything.
    let failed_of = |datasets: &[&str]| {
        let city = InStore::new();
        let mut lake = city.open_of(datasets, None).unwrap();
        for (sequence, dataset) in (1..).zip(datasets) {
            take(&mut lake, sequence, &rows_of(dataset, 2, START, 1.0));
        }
        let next = city.store.requests();
        for request in next..next + 100 {
            city.store.fail_at(request, StoreFault::Refused);
        }
        assert!(lake.commit_all().unwrap_err().is_outage());
        let failed = city.store.failed();
        city.store.clear_faults();
        lake.commit_all().unwrap();
        assert_eq!(lake.hot_bytes(), 0);
        failed
    };
    let of_one = failed_of(&["heat"]);
    assert!(of_one > 0);
    assert_eq!(failed_of(&["air", "heat", "noise"]), of_one);
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

/// Declarations with sources that ask to be named, of which none is known to fill `heat`.
fn with_sources(sources: &[(&str, &str, &str)]) -> Declarations {
    let source = |(id, licence, name): &(&str, &str, &str)| SourceDeclaration {
        attribution: Some((*name).to_owned()),
        ..SourceDeclaration::new(*id, SourceKind::Mqtt, WireFormat::Telraam, *licence)
    };
    schemas::builtin().into_declarations(sources.iter().map(source))
}

#[test]
fn a_table_names_configured_sources_that_its_files_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.background = false);
    for (sequence, source) in (1..).zip(["balcony", "school"]) {
        let lineage = [Lineage {
            source: source.into(),
            ..lineage(Sequence(sequence), recorded_at(sequence))
        }];
        let rows = rows(1, START + sequence as i64 * MINUTE, 1.0);
        lake.apply(&rows, &lineage, &mut flag).unwrap();
        lake.advance(Sequence(sequence), recorded_at(sequence));
    }
    lake.commit_all().unwrap();
    drop(lake);
    let check = |sources: &[(&str, &str, &str)], expect: &[&str]| {
        let read = tables(folder.path(), with_sources(sources)).unwrap();
        let named = read.with_former_names().unwrap();
        let heat = &named.datasets[&DatasetId::new("heat")];
        let names: Vec<&str> = heat.attributions(&"CC0-1.0".into()).collect();
        assert_eq!(names, expect, "{sources:?}");
        // No other table has rows of theirs.
        let mut others = named.datasets.values().filter(|other| other.id != heat.id);
        assert!(others.all(|other| other.source_licences.is_empty()));
    };
    check(&[("balcony", "CC0-1.0", "Club")], &["Club"]);
    check(
        &[
            ("balcony", "CC0-1.0", "Club"),
            ("school", "CC0-1.0", "School"),
        ],
        &["Club", "School"],
    );
    // A file says the least and the greatest of its sources: one between them may be there.
    check(&[("lora", "CC0-1.0", "Between")], &["Between"]);
    check(&[("airrohr", "CC0-1.0", "Before")], &[]);
    check(&[("telraam", "CC0-1.0", "After")], &[]);
    check(&[("balcony", "CC-BY-4.0", "Other licence")], &[]);
}

#[test]
fn who_brings_rows_to_a_dataset_is_named_with_them_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.background = false);
    let id = DatasetId::new("heat");
    take(&mut lake, 1, &rows(1, START, 1.0));
    for name in ["Garden club", "School", "Garden club"] {
        lake.name_source(&id, &"CC0-1.0".into(), name).unwrap();
    }
    // What was hot has been committed, and is in no doubt.
    let snapshot = heat(&mut lake);
    assert_eq!((snapshot.files.len(), snapshot.hot.len()), (1, 0));
    let version = snapshot.version;
    lake.name_source(&id, &"CC0-1.0".into(), "School").unwrap();
    take(&mut lake, 2, &rows(1, START + MINUTE, 1.0));
    assert_eq!(heat(&mut lake).version, version, "nothing had changed");
    lake.commit_all().unwrap();
    let snapshot = heat(&mut lake);
    let named: BTreeSet<Option<String>> = snapshot
        .files
        .iter()
        .map(|file| attribution(&snapshot, file))
        .collect();
    let both = Some("Garden club; School".to_owned());
    assert_eq!(named, BTreeSet::from([None, both]));
    drop(lake);
    let read = tables(folder.path(), declarations()).unwrap();
    let named = read.with_former_names().unwrap();
    let heat = &named.datasets[&id];
    let names: Vec<&str> = heat.attributions(&"CC0-1.0".into()).collect();
    assert_eq!(names, ["Garden club", "School"]);
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
            confirms: false,
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

#[test]
fn a_stop_while_a_commit_is_under_way_commits_each_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.commit_rows_max = 1;
    });
    for round in 0..20 {
        let sequence = 2 * round + 1;
        take(&mut lake, sequence, &rows(50, START, round as f64));
        lake.tick().unwrap();
        // The commit runs on its own thread; these rows replace those that it writes.
        take(
            &mut lake,
            sequence + 1,
            &rows(50, START, round as f64 + 0.5),
        );
        if round % 4 == 3 {
            lake.commit_all().unwrap();
            drop(lake);
            lake = open(folder.path(), |options| {
                options.limits.compaction = false;
                options.limits.commit_rows_max = 1;
            });
        }
    }
    let snapshot = heat(&mut lake);
    assert!(snapshot.hot.is_empty() && snapshot.masks.is_empty());
    let rows_of = |superseded| {
        let files = snapshot.files.iter().filter(|f| f.superseded == superseded);
        files.map(|file| file.rows).sum::<u64>()
    };
    assert_eq!((rows_of(false), rows_of(true)), (50, 39 * 50));
}

#[test]
fn a_held_dataset_stays_at_the_frame_before_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    take(&mut lake, 1, &rows(2, START, 1.0));
    let waiting = rows(2, START + MINUTE, 1.0);
    let from = |sequence: u64| lineage(Sequence(sequence), 10_000 + sequence as i64);
    lake.hold(&waiting, &[from(3)]);
    take(&mut lake, 4, &rows_of("air", 2, START, 1.0));
    lake.commit_all().unwrap();
    let through = |lake: &mut Lake, dataset: &str| {
        lake.publish();
        let shared = lake.shared().load_full();
        let table = &shared.tables[&DatasetId::new(dataset)];
        (table.through.0, table.stable_time == 10_002)
    };
    assert_eq!(through(&mut lake, "heat"), (2, true));
    assert_eq!(through(&mut lake, "air"), (4, false));
    let positions = lake.positions();
    assert_eq!(positions[&DatasetId::new("heat")].1, Sequence(2));
    assert_eq!(positions[&DatasetId::new("air")].1, Sequence(4));
    // The journal keeps what waits.
    assert_eq!(lake.trim_point(), Sequence(2));
    lake.apply(&waiting, &[from(3)], &mut flag).unwrap();
    lake.release(&DatasetId::new("heat"));
    lake.commit_all().unwrap();
    assert_eq!(through(&mut lake, "heat"), (4, false));
    assert_eq!(lake.trim_point(), Sequence(4));
}

#[test]
fn what_is_kept_beside_hot_rows_commits_the_dataset_that_holds_the_position_back() {
    const BYTES_MAX: usize = 1 << 30;
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| {
        options.background = false;
        options.limits.compaction = false;
        options.limits.hot_bytes_max = BYTES_MAX;
    });
    take(&mut lake, 1, &rows(1, START, 1.0));
    take(&mut lake, 2, &rows_of("air", 500, START, 1.0));
    lake.set_kept_beside(BYTES_MAX / 2 - (1 << 20));
    lake.tick().unwrap();
    assert!(!lake.run_commit_job(), "half of the memory is not used");
    lake.set_kept_beside(BYTES_MAX / 2);
    // Each time the one that has the oldest row; the largest has too few to be worth it.
    for through in [1, 2] {
        lake.tick().unwrap();
        assert!(lake.run_commit_job());
        assert!(!lake.run_commit_job());
        lake.set_kept_beside(0);
        lake.tick().unwrap();
        assert_eq!(lake.trim_point(), Sequence(through));
        lake.set_kept_beside(BYTES_MAX / 2);
    }
    assert_eq!(lake.hot_bytes(), 0);
}

#[test]
fn rows_of_ten_years_are_committed_a_few_partitions_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.commit_partitions_max = 8;
        options.limits.commit_rows_max = 100;
    });
    let month = 31 * 24 * 60 * MINUTE;
    for sequence in 1..=120 {
        let time = START - sequence as i64 * month;
        take(&mut lake, sequence, &rows(1, time, 1.0));
    }
    let before = heat(&mut lake).version;
    // The last of them are few and young: they do not wait for their age.
    let heat_id = DatasetId::new("heat");
    tick_until(&mut lake, "all is committed", |lake| {
        lake.tables[&heat_id].actor.hot_rows() == 0
    });
    let snapshot = heat(&mut lake);
    assert_eq!((snapshot.files.len(), snapshot.version - before), (120, 15));
    // Somebody who wants everything committed gets the same commits.
    for sequence in 121..=140 {
        let time = START - sequence as i64 * month;
        take(&mut lake, sequence, &rows(1, time, 1.0));
    }
    lake.commit_all().unwrap();
    assert_eq!(heat(&mut lake).version - snapshot.version, 3);
    assert_eq!(lake.trim_point(), Sequence(140));
}

//! Look-ups against reading everything, and what they read.

use std::collections::BTreeSet;

use arrow::array::{
    ArrayRef, Float64Array, Int8Array, Int64Array, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::datatypes::DataType;
use meetnet_model::common::SUPERSEDED_AT;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::storage::FolderStorage;
use crate::table::files::{Partition, PartitionWriter};
use crate::testing::{MINUTE, START, declaration};

/// Sensor, property and minute.
pub(super) type Key = (String, &'static str, i64);

const PROPERTIES: [&str; 3] = ["air_pressure", "air_temperature", "relative_humidity"];

/// A table of some files, and what is in them.
pub(super) struct Scene {
    pub(super) reader: KeyReader,
    pub(super) files: Vec<Arc<LiveFile>>,
    keys: Vec<Vec<Key>>,
    root: tempfile::TempDir,
}

/// Returns rows with these keys, in the file schema.
pub(super) fn rows(keys: &[Key]) -> RecordBatch {
    let schema = declaration().file_schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let texts = |text: fn(&Key) -> &str| StringArray::from_iter_values(keys.iter().map(text));
        let times = keys.iter().map(|(_, _, minute)| START + minute * MINUTE);
        let count = keys.len();
        match (field.name().as_str(), field.data_type()) {
            ("sensor_id", _) => Arc::new(texts(|(sensor, ..)| sensor)),
            ("property", _) => Arc::new(texts(|(_, property, _)| property)),
            (_, DataType::Utf8) => Arc::new(texts(|_| "garden")),
            (SUPERSEDED_AT, data_type) => new_null_array(data_type, count),
            (_, DataType::Timestamp(..)) => {
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            (_, DataType::Int64) => Arc::new(Int64Array::from(vec![0; count])),
            (_, DataType::Int8) => Arc::new(Int8Array::from(vec![1; count])),
            (_, DataType::Float64) => Arc::new(Float64Array::from_iter_values(
                (0..count).map(|row| row as f64),
            )),
            (name, other) => panic!("no column of heat is {other}: {name}"),
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

impl Scene {
    /// Writes a file of each list of keys, which is sorted here; `superseded` ones may hold a key more than once.
    fn new(mut keys: Vec<Vec<Key>>, superseded: bool) -> Self {
        keys.iter_mut().for_each(|keys| keys.sort());
        Self::of(keys, superseded)
    }

    /// The same in the order given.
    pub(super) fn of(keys: Vec<Vec<Key>>, superseded: bool) -> Self {
        Self::changed(keys, superseded, |rows| rows)
    }

    /// The same of what `change` makes of the rows.
    fn changed(
        keys: Vec<Vec<Key>>,
        superseded: bool,
        change: impl Fn(RecordBatch) -> RecordBatch,
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = TableFolder::new(Arc::new(FolderStorage::new(root.path())), "heat");
        let declaration = declaration();
        let partition = Partition {
            licence: "CC0-1.0".into(),
            superseded,
            period: "2026-01".into(),
        };
        let mut files = Vec::new();
        for keys in &keys {
            let mut writer = PartitionWriter::new(&folder, &declaration, &partition, None, 0);
            writer.write(&change(rows(keys))).unwrap();
            files.extend(writer.finish().unwrap().into_iter().map(Arc::new));
        }
        let codec = Arc::new(KeyCodec::new(&declaration).unwrap());
        Self {
            reader: KeyReader::new(folder, declaration, codec),
            files,
            keys,
            root,
        }
    }

    /// Returns what the reader finds of keys (ascending), each with whether the newest time is sought.
    fn find(&mut self, wanted: &[(Key, bool)]) -> Found {
        let keys: Vec<Key> = wanted.iter().map(|(key, _)| key.clone()).collect();
        let codec = Arc::clone(&self.reader.codec);
        let bytes = codec.keys(&rows(&keys)).unwrap();
        let wanted: Vec<WantedKey<'_>> = wanted
            .iter()
            .enumerate()
            .map(|(at, ((_, _, minute), seeks_newest))| WantedKey {
                key: bytes.row(at).data(),
                time: START + minute * MINUTE,
                seeks_newest: *seeks_newest,
            })
            .collect();
        self.reader.find(&wanted, self.files.iter()).unwrap()
    }

    /// Number of rows that the pages have which a look-up of one key reads from the first file.
    fn rows_read(&mut self, key: &Key, seeks_newest: bool) -> usize {
        let file = Arc::clone(&self.files[0]);
        let footer = self.reader.footer(&file).unwrap();
        let codec = Arc::clone(&self.reader.codec);
        let bytes = codec.keys(&rows(std::slice::from_ref(key))).unwrap();
        let time = START + key.2 * MINUTE;
        let wanted = [WantedKey {
            key: bytes.row(0).data(),
            time,
            seeks_newest,
        }];
        let mut newest = [seeks_newest.then_some(time)];
        let ranges = footer.pages.to_read(&codec, &wanted, &[0], &mut newest);
        ranges.into_iter().map(|range| range.len()).sum()
    }
}

/// Some keys of few sensors; minutes of one file lie in a span of their own.
pub(super) fn some_keys(rng: &mut StdRng, count: usize, minutes: std::ops::Range<i64>) -> Vec<Key> {
    let key = |_| {
        // A long text: statistics of pages hold the beginning only.
        let tail = if rng.random_bool(0.2) { 80 } else { 0 };
        let sensor = format!("s{}{}", rng.random_range(0..5), "x".repeat(tail));
        let property = PROPERTIES[rng.random_range(0..PROPERTIES.len())];
        (sensor, property, rng.random_range(minutes.clone()))
    };
    (0..count).map(key).collect()
}

#[test]
fn a_look_up_finds_what_reading_everything_finds() {
    for seed in 0..300 {
        println!("seed {seed}");
        let rng = &mut StdRng::seed_from_u64(seed);
        let superseded = rng.random_bool(0.3);
        let mut files: Vec<Vec<Key>> = Vec::new();
        for _ in 0..rng.random_range(1..4) {
            let from = rng.random_range(0..60);
            let count = rng.random_range(1..120);
            let mut keys = some_keys(rng, count, from..from + 40);
            if !superseded {
                // Of current rows, a key stands in one file once.
                keys.sort();
                keys.dedup();
                keys.retain(|key| !files.iter().flatten().any(|other| other == key));
            }
            if !keys.is_empty() {
                files.push(keys);
            }
        }
        let mut scene = Scene::new(files, superseded);
        // Of many keys pages are gone through one by one, of few the keys are.
        let (unknown, share) = [(40, 0.3), (2, 0.02)][rng.random_range(0..2_usize)];
        let mut asked: BTreeSet<Key> = some_keys(rng, unknown, 0..110).into_iter().collect();
        asked.extend(
            scene
                .keys
                .iter()
                .flatten()
                .filter(|_| rng.random_bool(share))
                .cloned(),
        );
        let asked: Vec<(Key, bool)> = asked
            .into_iter()
            .map(|key| (key, rng.random_bool(0.5)))
            .collect();
        let found = scene.find(&asked);

        let mut rows = BTreeSet::new();
        for of_file in &found.files {
            assert!(of_file.rows.is_sorted(), "{:?}", of_file.rows);
            let same = |file: &&Arc<LiveFile>| Arc::ptr_eq(file, &of_file.file);
            let number = scene.files.iter().position(|file| same(&file)).unwrap();
            rows.extend(
                of_file
                    .rows
                    .iter()
                    .map(|(row, index)| (number, *row, *index)),
            );
        }
        let mut expected = BTreeSet::new();
        for (number, keys) in scene.keys.iter().enumerate() {
            for (row, key) in keys.iter().enumerate() {
                if let Ok(index) = asked.binary_search_by(|(asked, _)| asked.cmp(key)) {
                    expected.insert((number, row as u32, index));
                }
            }
        }
        assert_eq!(rows, expected);

        for (((sensor, property, minute), seeks), newest) in asked.iter().zip(&found.newest) {
            let of_series = scene.keys.iter().flatten();
            let of_series = of_series.filter(|(s, p, _)| s == sensor && p == property);
            let last = of_series.map(|(_, _, minute)| *minute).max();
            let last = last.unwrap_or(*minute).max(*minute);
            let begins_later = scene.keys.iter().any(|keys| {
                let first = keys.iter().map(|(_, _, minute)| minute).min();
                first.is_some_and(|first| first > minute)
            });
            match newest {
                Some(newest) => {
                    assert!(seeks);
                    assert_eq!(
                        *newest,
                        START + last * MINUTE,
                        "{sensor} {property} {minute}"
                    );
                }
                None => assert!(!seeks || begins_later, "{sensor} {property} {minute}"),
            }
        }
    }
}

#[test]
fn a_look_up_reads_a_page_or_two_of_a_series_however_long_it_is() {
    // Row groups have eight rows in tests, and so have pages.
    for minutes in [40, 4_000] {
        let keys = (0..3).flat_map(|sensor| {
            (0..minutes).map(move |minute| (format!("s{sensor}"), PROPERTIES[0], minute))
        });
        let mut scene = Scene::new(vec![keys.collect()], false);
        let stored = ("s1".to_owned(), PROPERTIES[0], 17);
        for (key, seeks_newest, rows) in [
            (&stored, false, 8),
            // Where the series ends, the bounds of its other pages say.
            (&stored, true, 8),
            (&("s1".to_owned(), PROPERTIES[0], minutes), true, 0),
            (&("s1".to_owned(), PROPERTIES[1], 17), false, 0),
            (&("s3".to_owned(), PROPERTIES[0], 17), true, 0),
        ] {
            assert_eq!(
                scene.rows_read(key, seeks_newest),
                rows,
                "{key:?} of {minutes}, newest sought: {seeks_newest}"
            );
        }
        let found = scene.find(&[(stored, true)]);
        assert_eq!(found.newest, [Some(START + (minutes - 1) * MINUTE)]);
        assert_eq!(found.files[0].rows, [((minutes + 17) as u32, 0)]);
    }
}

#[test]
fn look_ups_one_after_the_other_find_what_each_finds_by_itself() {
    let mut were_kept = 0;
    for seed in 0..200 {
        println!("seed {seed}");
        let rng = &mut StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..80);
        let keys = (0..2).map(|_| some_keys(rng, count, 0..30)).collect();
        let mut scene = Scene::new(keys, true);
        let mut all: Vec<Key> = scene.keys.concat();
        all.extend(some_keys(rng, 10, 0..30));
        all.sort();
        all.dedup();
        for _ in 0..30 {
            // Few that lie close together, mostly.
            let first = rng.random_range(0..all.len());
            let most = [3, 20][usize::from(rng.random_bool(0.2))];
            let asked: Vec<(Key, bool)> = all[first..]
                .iter()
                .take(most)
                .map(|key| (key.clone(), rng.random_bool(0.3), rng.random_bool(0.7)))
                .filter(|(_, _, is_asked)| *is_asked)
                .map(|(key, seeks_newest, _)| (key, seeks_newest))
                .collect();
            let told = |found: Found| {
                let files = found.files.into_iter();
                let rows: Vec<_> = files
                    .map(|of| (Arc::clone(&of.file.path), of.rows))
                    .collect();
                (rows, found.newest)
            };
            were_kept += usize::from(scene.reader.keys.is_some());
            let found = told(scene.find(&asked));
            scene.reader.keys = None;
            assert_eq!(found, told(scene.find(&asked)), "{asked:?}");
            if rng.random_bool(0.1) {
                let file = Arc::clone(&scene.files[0]);
                scene.reader.forget(&file.path);
            }
        }
    }
    assert!(were_kept > 1_000, "{were_kept}");
}

#[test]
fn keys_of_the_pages_that_were_read_last_are_not_read_again() {
    let key = |minute| ("s1".to_owned(), PROPERTIES[0], minute);
    let mut scene = Scene::new(vec![(0..60).map(key).collect()], false);
    let find = |scene: &mut Scene, minutes: Range<i64>| -> Vec<u32> {
        let wanted: Vec<(Key, bool)> = minutes.map(|minute| (key(minute), false)).collect();
        scene.find(&wanted).files[0].positions()
    };
    assert_eq!(find(&mut scene, 17..18), [17]);
    let read = |scene: &Scene| scene.reader.keys.as_ref().unwrap().ranges.clone();
    let page = read(&scene)[0].clone();
    assert!(page.contains(&17) && page.len() < 10, "{page:?}");
    // So many are read and not kept.
    assert_eq!(find(&mut scene, 0..60), (0..60).collect::<Vec<u32>>());
    assert_eq!(read(&scene), std::slice::from_ref(&page));

    let path = scene.root.path().join("heat");
    std::fs::remove_file(path.join(&*scene.files[0].path)).unwrap();
    for row in page.clone() {
        assert_eq!(find(&mut scene, row as i64..row as i64 + 1), [row as u32]);
    }
    scene.reader.give_back();
    assert!(scene.reader.keys.is_none());
}

/// What a scan reads is what a reader of single rows reads, in whatever steps it goes on.
#[test]
fn rows_that_are_read_on_are_those_that_are_read_one_by_one() {
    for seed in 0..100 {
        println!("seed {seed}");
        let rng = &mut StdRng::seed_from_u64(seed);
        // Some row groups of several batches each, in two files.
        let count = rng.random_range(1..60);
        let keys = (0..2).map(|_| some_keys(rng, count, 0..1_000)).collect();
        let mut scene = Scene::new(keys, true);
        let whole = declaration().file_schema();
        let schemas =
            [vec![0, 2, 3], vec![3]].map(|columns| Arc::new(whole.project(&columns).unwrap()));
        for _ in 0..30 {
            let file = Arc::clone(&scene.files[rng.random_range(0..2_usize)]);
            let schema = &schemas[usize::from(rng.random_bool(0.2))];
            // Mostly ahead, in steps of some rows, with holes.
            let first = rng.random_range(0..count as u32);
            let last = rng.random_range(first..count as u32).min(first + 20);
            let rows: Vec<u32> = (first..=last)
                .filter(|row| *row == first || rng.random_bool(0.7))
                .collect();
            let read = scene.reader.read_columns(&file, &rows, schema).unwrap();
            let read_on = scene.reader.read_on(&file, &rows, schema).unwrap();
            let read_on = concat_batches(schema, &read_on).unwrap();
            assert_eq!(read_on, read, "{rows:?}");
            if rng.random_bool(0.1) {
                scene.reader.give_back();
            }
            if rng.random_bool(0.05) {
                scene.reader.forget(&file.path);
            }
        }
    }
}

/// Row groups have eight rows in tests.
#[test]
fn columns_of_nulls_are_not_read_and_are_null_all_the_same() {
    let schema = declaration().file_schema();
    let interval = schema.index_of("interval_s").unwrap();
    let keys: Vec<Key> = (0..20)
        .map(|minute| ("s1".to_owned(), PROPERTIES[0], minute))
        .collect();
    for (nulls, is_read) in [(20, false), (8, true), (0, true)] {
        let with_nulls = |rows: RecordBatch| {
            let values = (0..20).map(|row| (row >= nulls).then_some(600_i64));
            let mut columns = rows.columns().to_vec();
            columns[interval] = Arc::new(values.collect::<Int64Array>());
            RecordBatch::try_new(rows.schema(), columns).unwrap()
        };
        let mut scene = Scene::changed(vec![keys.clone()], false, with_nulls);
        let file = Arc::clone(&scene.files[0]);
        let are_null = scene.reader.footer(&file).unwrap().are_null.clone();
        let columns = schema.fields().iter().zip(are_null);
        let unread: Vec<&str> = columns
            .filter(|(_, is_null)| *is_null)
            .map(|(field, _)| field.name().as_str())
            .collect();
        assert_eq!(unread.contains(&"interval_s"), !is_read, "{unread:?}");
        assert!(unread.contains(&SUPERSEDED_AT) && !unread.contains(&"value"));

        let written = with_nulls(rows(&keys));
        let all: Vec<u32> = (0..20).collect();
        for columns in [(0..schema.fields().len()).collect(), vec![interval]] {
            let written = written.project(&columns).unwrap();
            let schema = Arc::new(schema.project(&columns).unwrap());
            let read = scene.reader.read_columns(&file, &all, &schema).unwrap();
            assert_eq!(read.columns(), written.columns(), "{nulls} nulls");
            let read = scene.reader.read_on(&file, &all, &schema).unwrap();
            let read = concat_batches(&schema, &read).unwrap();
            assert_eq!(read.columns(), written.columns(), "{nulls} nulls");
        }
    }
}

#[test]
fn look_ups_in_the_order_of_a_file_decode_its_pages_once() {
    let keys = (0..60).map(|minute| ("s1".to_owned(), PROPERTIES[0], minute));
    let mut scene = Scene::new(vec![keys.collect()], false);
    let file = Arc::clone(&scene.files[0]);
    let schema = declaration().file_schema();
    let begun = |scene: &Scene| scene.reader.scan.as_ref().map(Scan::begun_at);
    for first in (0..60).step_by(4) {
        let rows: Vec<u32> = (first..first + 4).collect();
        scene.reader.read_on(&file, &rows, &schema).unwrap();
        assert_eq!(begun(&scene), Some(0), "{first}");
    }
    // Rows before those begin anew; far apart, they are read by themselves.
    scene.reader.read_on(&file, &[8, 9, 10], &schema).unwrap();
    assert_eq!(begun(&scene), Some(8));
    scene.reader.read_on(&file, &[2, 50], &schema).unwrap();
    assert_eq!(begun(&scene), Some(8));
    // It holds a file open: not at rest.
    scene.reader.give_back();
    assert_eq!(begun(&scene), None);
}

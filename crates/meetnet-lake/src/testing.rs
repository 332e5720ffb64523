//! A journal and a lake of one dataset in a folder, driven by hand as the pipeline drives them: for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::Sequence;
use meetnet_model::rows::DatasetRows;
use meetnet_testkit::garden;
pub(crate) use meetnet_testkit::garden::{MINUTE, START, declarations, flag, heat};

use crate::actor::Lineage;
use crate::check::{CheckOptions, Depth, Report, check};
use crate::files::DiskFiles;
use crate::journal::{
    Checkpoint, FrameKind, Journal, JournalOptions, JournalPlace, JournalReader, NewEnvelope,
};
use crate::lake::{DeclaredTables, Lake, LakeOptions, UpkeepRequest};
use crate::snapshot::TableSnapshot;
use crate::storage::{FolderStorage, LakeStorage, TableFolder};

pub(crate) fn declaration() -> Arc<DatasetDeclaration> {
    Arc::clone(&declarations().datasets[&heat()])
}

/// Where a row of a garden comes from.
pub(crate) fn lineage(sequence: Sequence, recorded_at: i64) -> Lineage {
    Lineage {
        sequence,
        received_at: recorded_at,
        recorded_at,
        source: "garden".into(),
        licence: "CC0-1.0".into(),
        precedence: 0,
        confirms: false,
    }
}

/// What a message of the tests says: the rows of some sensors at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) sensors: u32,
    pub(crate) time: i64,
    pub(crate) value: f64,
}

impl Message {
    fn payload(self) -> String {
        format!("{} {} {}", self.sensors, self.time, self.value)
    }

    fn parse(payload: &[u8]) -> Self {
        let text = std::str::from_utf8(payload).unwrap();
        let parts: Vec<&str> = text.split(' ').collect();
        Self {
            sensors: parts[0].parse().unwrap(),
            time: parts[1].parse().unwrap(),
            value: parts[2].parse().unwrap(),
        }
    }

    fn rows(self) -> DatasetRows {
        let sensors = 0..self.sensors;
        garden::rows(sensors.map(|sensor| (sensor, self.time, self.value + f64::from(sensor))))
    }
}

/// The folders of a city.
#[derive(Clone, Debug)]
pub(crate) struct Folders(pub(crate) PathBuf);

impl Folders {
    pub(crate) fn lake(&self) -> PathBuf {
        self.0.join("lake")
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.lake().join("heat")
    }

    pub(crate) fn storage(&self) -> Arc<dyn LakeStorage> {
        Arc::new(FolderStorage::new(self.lake()))
    }

    pub(crate) fn table_folder(&self) -> TableFolder {
        TableFolder::new(self.storage(), "heat")
    }

    pub(crate) fn place(&self) -> JournalPlace {
        JournalPlace {
            dir: self.0.join("journal"),
            archive_dir: self.0.join("archive"),
            files: Arc::new(DiskFiles::PRIVATE),
        }
    }

    pub(crate) fn check(&self, depth: Depth) -> Report {
        let options = CheckOptions {
            storage: self.storage(),
            journal: Some(self.place()),
            depth,
        };
        check(&options).unwrap()
    }

    /// Every file with its content, by path.
    pub(crate) fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut content = BTreeMap::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    content.insert(path.clone(), std::fs::read(&path).unwrap());
                }
            }
        }
        content
    }

    /// Copies everything to another folder.
    pub(crate) fn copy_to(&self, to: &Path) -> Self {
        for (path, content) in self.content() {
            let target = to.join(path.strip_prefix(&self.0).unwrap());
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::write(target, content).unwrap();
        }
        Self(to.to_path_buf())
    }
}

/// A running city.
pub(crate) struct City {
    pub(crate) folders: Folders,
    pub(crate) journal: Journal,
    pub(crate) lake: Lake,
    reader: JournalReader,
}

impl City {
    pub(crate) fn open(root: &Path, change: impl FnOnce(&mut LakeOptions)) -> Self {
        let folders = Folders(root.to_path_buf());
        let place = folders.place();
        let declarations = Arc::new(declarations());
        let declared = declarations.to_bytes();
        let options = JournalOptions {
            reserve_bytes: 0,
            // Every segment starts with the declarations; some nine messages follow.
            segment_bytes_max: declared.len() as u64 + 1_200,
            background: false,
            ..JournalOptions::new(place.dir, place.archive_dir)
        };
        let tables = DeclaredTables::read(folders.storage(), declarations).unwrap();
        let (journal, recovery) = Journal::open(options, &declared).unwrap();
        let trimmed = recovery
            .checkpoint
            .map_or(Sequence::ZERO, |checkpoint| checkpoint.trimmed_through);
        let mut options = LakeOptions::new(journal.id());
        options.limits.compaction = false;
        change(&mut options);
        let lake = Lake::open(options, tables, trimmed).unwrap();
        journal.raise_sequence_floor(lake.sequence_floor());
        let mut city = Self {
            reader: journal.reader(trimmed),
            folders,
            journal,
            lake,
        };
        city.catch_up();
        city
    }

    fn catch_up(&mut self) {
        while let Some(group) = self.reader.read_group(1 << 20).unwrap() {
            for frame in group.frames() {
                if frame.kind != FrameKind::Envelope {
                    continue;
                }
                let lineage = [lineage(frame.sequence, frame.recorded_at)];
                let rows = Message::parse(frame.payload).rows();
                self.lake.apply(&rows, &lineage, &mut flag).unwrap();
            }
            self.lake
                .advance(group.last_sequence(), group.last_recorded_at());
        }
        self.lake.publish();
    }

    /// Journals and applies one message.
    pub(crate) fn take(&mut self, sensors: u32, time: i64, value: f64) -> Sequence {
        let message = Message {
            sensors,
            time,
            value,
        };
        let payload = message.payload();
        let envelope = NewEnvelope {
            source: "garden",
            topic: "t",
            payload: payload.as_bytes(),
            ..NewEnvelope::default()
        };
        let appended = self.journal.append(&envelope).unwrap();
        while self.journal.write_group().unwrap() {}
        self.catch_up();
        appended.sequence
    }

    pub(crate) fn commit(&mut self) {
        self.lake.commit_all().unwrap();
    }

    /// Writes a checkpoint, and archives and compresses what it covers.
    pub(crate) fn checkpoint(&mut self) {
        let (last_sequence, last_recorded_at) = self.journal.durable();
        let checkpoint = Checkpoint {
            trimmed_through: self.lake.trim_point(),
            last_sequence,
            last_recorded_at,
            datasets: self.lake.positions(),
            dup_windows: BTreeMap::new(),
        };
        self.journal.checkpoint_and_trim(&checkpoint).unwrap();
        while self.journal.tend_archive().unwrap().is_some() {}
    }

    pub(crate) fn tick_while(&mut self, what: &str, busy: impl Fn(&Lake) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.lake.tick().unwrap();
            self.lake.publish();
            if !busy(&self.lake) {
                break;
            }
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn tend(&mut self, request: UpkeepRequest) {
        self.lake.request(request).unwrap();
        self.tick_while("upkeep ends", Lake::is_tending);
    }

    pub(crate) fn snapshot(&mut self) -> Arc<TableSnapshot> {
        self.lake.publish();
        Arc::clone(&self.lake.shared().load().tables[&heat()])
    }
}

/// Makes a city that has been through everything: revisions, late rows, compaction, vacuum, retention, checkpoints of
/// the table log, an archive, a restart, and segments that are not trimmed.
pub(crate) fn seasoned(root: &Path) -> Folders {
    let year = Duration::from_secs(365 * 24 * 3_600);
    let mut city = City::open(root, |options| {
        options.limits.vacuum_after = Duration::ZERO;
    });
    city.take(3, START - 8 * 365 * 24 * 60 * MINUTE, 1.0);
    for minute in 0..60 {
        city.take(5, START + minute * MINUTE, 1.0);
        if minute % 4 == 3 {
            city.take(2, START + (minute - 2) * MINUTE, 50.0 + minute as f64);
        }
        city.commit();
    }
    city.checkpoint();
    city.tend(UpkeepRequest::Compact(None));
    std::thread::sleep(Duration::from_millis(5));
    city.tend(UpkeepRequest::Vacuum);
    drop(city);
    let mut city = City::open(root, |options| {
        options.retention.insert(heat(), 3 * year);
    });
    city.tick_while("the old period goes", |lake| {
        let snapshot = lake.shared().load_full();
        let mut files = snapshot.tables[&heat()].files.iter();
        files.any(|file| &*file.period < "2020")
    });
    for minute in 60..110 {
        city.take(9, START + minute * MINUTE, 1.0);
        if minute % 7 == 0 {
            city.take(3, START + 10 * MINUTE, minute as f64);
        }
        city.commit();
        if minute == 90 {
            city.tend(UpkeepRequest::Compact(None));
            city.checkpoint();
        }
    }
    city.take(4, START + 200 * MINUTE, 3.0);
    drop(city.lake);
    city.journal.shutdown().unwrap();
    Folders(root.to_path_buf())
}

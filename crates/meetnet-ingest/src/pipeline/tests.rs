//! The pipeline on a real journal and lake in a temporary folder: frames in, snapshots out, also after a restart.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int8Type, Int64Type};
use meetnet_lake::check::{CheckOptions, check};
use meetnet_lake::files::DiskFiles;
use meetnet_lake::journal::{AppendError, JournalOptions, JournalPlace, NewEnvelope, Original};
use meetnet_lake::snapshot::LakeSnapshot;
use meetnet_lake::storage::FolderStorage;
use meetnet_model::declarations::Declarations;
use meetnet_model::rows::RowsBuilder;
use meetnet_model::source::{
    MapEntry, SourceDeclaration, SourceKind, TimeDeclaration, TimeFormat, ValueRef, WireFormat,
};

use meetnet_testkit::clock::ManualClock;
use meetnet_testkit::files::FaultyFiles;

use super::*;
use crate::outcomes::Outcome;

mod ahead;
mod answers;
mod bare;
mod confirmed;
mod full_disk;
mod import;
mod newest;
mod places;
mod precedences;
mod quality;
mod redeclare;
mod replay;
mod restarts;
mod settle;
mod starts;
mod traps;

fn declarations() -> Arc<Declarations> {
    declarations_reading("/t")
}

/// Declarations that find the temperature at `temperature`.
fn declarations_reading(temperature: &str) -> Arc<Declarations> {
    let map = |property: &str, pointer: &str, unit: &str| {
        MapEntry::property("heat", property)
            .at_pointer(pointer)
            .in_unit(unit)
    };
    let source = |id: &str, time| SourceDeclaration {
        topics: vec![format!("{id}/{{device}}")],
        sensor_id: Some(ValueRef::Template("{device}".to_owned())),
        time,
        map: vec![
            map("air_temperature", temperature, "Cel"),
            map("relative_humidity", "/h", "%"),
        ],
        ..SourceDeclaration::new(id, SourceKind::Mqtt, WireFormat::Json, "CC0-1.0")
    };
    let time = TimeDeclaration::at_pointer("/ts", TimeFormat::UnixMs);
    let sources = [source("timed", Some(time)), source("timeless", None)];
    Arc::new(meetnet_model::schemas::builtin().into_declarations(sources))
}

struct Daemon {
    journal: Journal,
    pipeline: Pipeline,
    outcomes: OutcomeRegistry,
    windows: DupWindows,
    replayed: Replayed,
}

fn start(folder: &Path) -> Daemon {
    start_with(folder, |_| {})
}

fn start_with(folder: &Path, change: impl FnOnce(&mut JournalOptions)) -> Daemon {
    start_as(folder, &declarations(), change, |_| {})
}

fn start_as(
    folder: &Path,
    declarations: &Arc<Declarations>,
    change: impl FnOnce(&mut JournalOptions),
    limit: impl FnOnce(&mut PipelineOptions),
) -> Daemon {
    let mut options = JournalOptions {
        reserve_bytes: 0,
        ..JournalOptions::new(folder.join("journal"), folder.join("archive"))
    };
    change(&mut options);
    let storage = FolderStorage::with_files(folder.join("lake"), Arc::clone(&options.files));
    let tables = DeclaredTables::read(Arc::new(storage), Arc::clone(declarations)).unwrap();
    let (journal, recovery) = Journal::open(options, &declarations.to_bytes()).unwrap();
    let lake = LakeOptions::new(journal.id());
    let outcomes = OutcomeRegistry::new(16);
    let windows = DupWindows::default();
    let mut options = PipelineOptions::new(lake);
    limit(&mut options);
    let (pipeline, replayed) = Pipeline::start(
        options,
        journal.clone(),
        &recovery,
        tables,
        PrivacyKey::new("a key for tests"),
        outcomes.clone(),
        windows.clone(),
    )
    .unwrap();
    Daemon {
        journal,
        pipeline,
        outcomes,
        windows,
        replayed,
    }
}

impl Daemon {
    fn append(&self, source: &str, body: &str) -> Sequence {
        let topic = format!("{source}/garden");
        let envelope = NewEnvelope {
            source,
            topic: &topic,
            payload: body.as_bytes(),
            ..NewEnvelope::default()
        };
        self.journal.append(&envelope).unwrap().sequence
    }

    /// Waits until every dataset has come to a frame.
    fn wait(&self, sequence: Sequence) -> Arc<LakeSnapshot> {
        self.wait_for("the frame is applied", |snapshot| {
            let mut tables = snapshot.tables.values();
            tables.all(|table| table.through >= sequence)
        })
    }

    /// Waits until one dataset has come to a frame.
    fn wait_for_dataset(&self, dataset: &str, sequence: Sequence) -> Arc<LakeSnapshot> {
        self.wait_for("a dataset goes on", |snapshot| {
            snapshot.tables[&DatasetId::new(dataset)].through >= sequence
        })
    }

    fn wait_for(&self, what: &str, is_there: impl Fn(&LakeSnapshot) -> bool) -> Arc<LakeSnapshot> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let snapshot = self.pipeline.shared().load_full();
            if is_there(&snapshot) {
                return snapshot;
            }
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Rows of a dataset that are hot and in files.
fn rows(snapshot: &LakeSnapshot, dataset: &str) -> (u64, u64) {
    let table = &snapshot.tables[&DatasetId::new(dataset)];
    let hot = table
        .hot
        .iter()
        .map(|hot| hot.batch.num_rows() as u64)
        .sum();
    (hot, table.files.iter().map(|file| file.rows).sum())
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Commits everything and breaks the only file of `heat`; returns its path and what it held.
fn break_file(daemon: &Daemon, folder: &Path) -> (PathBuf, Vec<u8>) {
    daemon.pipeline.commands().commit_all().unwrap();
    let snapshot = daemon.pipeline.shared().load_full();
    let files = &snapshot.tables[&DatasetId::new("heat")].files;
    assert_eq!(files.len(), 1);
    let path = folder.join("lake/heat").join(&*files[0].path);
    let content = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"PAR1").unwrap();
    (path, content)
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    now.as_millis() as i64
}

#[test]
fn frames_become_rows_and_rejects_once_also_after_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":21.5,\"h\":40}}"));
    daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":21.5,\"h\":40}}"));
    daemon.append("timeless", "{\"t\":3}");
    let last = daemon.append("timeless", "{\"t\":");
    let snapshot = daemon.wait(last);
    assert_eq!(rows(&snapshot, "heat"), (3, 0));
    assert_eq!(rows(&snapshot, "rejects"), (1, 0));
    let counts = daemon.pipeline.rejects().read();
    let tallies: Vec<_> = counts.values().collect();
    assert_eq!(tallies.len(), 1, "{counts:?}");
    assert_eq!((tallies[0].total, tallies[0].sequence), (1, last));
    assert_eq!(tallies[0].excerpt, "{\"t\":");
    // A crash, seen on a copy of the disk: nothing was committed, so everything comes from the journal again.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    let folder = copy;
    let daemon = start(folder.path());
    assert!(daemon.replayed.frames >= 4, "{:?}", daemon.replayed);
    let snapshot = daemon.wait(last);
    assert_eq!(rows(&snapshot, "heat"), (3, 0));
    assert_eq!(rows(&snapshot, "rejects"), (1, 0));
    let journal = daemon.journal.clone();
    daemon.pipeline.shutdown().unwrap();
    drop(daemon.outcomes);
    drop(daemon.journal);
    journal.shutdown().unwrap();
    // A clean end: everything is in files.
    let daemon = start(folder.path());
    let snapshot = daemon.wait(last);
    assert_eq!(rows(&snapshot, "heat"), (0, 3));
    assert_eq!(rows(&snapshot, "rejects"), (0, 1));
    assert_eq!(daemon.replayed.applied.inserted, 0, "{:?}", daemon.replayed);
}

#[test]
fn a_waiting_push_learns_what_became_of_its_body() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let check = |body: &str, accepted, reasons: &[&str]| {
        let register = || Ok::<_, ()>(daemon.append("timeless", body));
        let mut waiter = daemon.outcomes.register_with(register).unwrap().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let Outcome {
            accepted: got,
            rejects,
            ..
        } = runtime.block_on(waiter.outcome()).unwrap();
        let got_reasons: Vec<&str> = rejects
            .iter()
            .map(|reject| reject.reason.as_str())
            .collect();
        assert_eq!((got, got_reasons.as_slice()), (accepted, reasons), "{body}");
    };
    check("{\"t\":1,\"h\":2}", 2, &[]);
    check("no json", 0, &["malformed"]);
    check("{\"other\":1}", 0, &["no_mapped_value"]);
}

/// Temperatures of the last `hours` hours before `ts` (ms).
fn chunk(ts: i64, hours: i64, value: f64) -> ImportChunk {
    let heat = declarations().dataset("heat").cloned().unwrap();
    let mut builder = RowsBuilder::new(Arc::clone(&heat));
    for hour in 0..hours {
        builder.set_text(heat.column_index("sensor_id").unwrap(), "timed-garden");
        builder.set_text(heat.column_index("property").unwrap(), "air_temperature");
        let time = ts * 1_000 - hour * 3_600_000_000;
        builder.set_int(heat.column_index("time").unwrap(), time);
        builder.set_float(heat.column_index("value").unwrap(), value);
        builder.finish_row(0).unwrap();
    }
    ImportChunk {
        import_id: format!("import of {value}"),
        consumed: hours as u64,
        rows: builder.take(),
        source: "timed".into(),
        licence: "CC0-1.0".into(),
        received_at: None,
    }
}

#[test]
fn an_import_is_taken_once_and_live_rows_win() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let last = daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":21.5}}"));
    daemon.wait(last);
    let chunk = |value| chunk(ts, 100, value);
    let commands = daemon.pipeline.commands();
    let heat = DatasetId::new("heat");
    assert_eq!(
        commands.import_position(&heat, "import of 1").unwrap(),
        None
    );
    let applied = commands.import(chunk(1.0)).unwrap();
    assert_eq!((applied.inserted, applied.history), (99, 1), "{applied:?}");
    assert_eq!(
        commands.import_position(&heat, "import of 1").unwrap(),
        Some(100)
    );
    let applied = commands.import(chunk(1.0)).unwrap();
    assert_eq!(
        applied,
        Applied {
            unchanged: 100,
            ..Applied::default()
        }
    );
    // A later import beats an earlier one; the live row still wins over both.
    let applied = commands.import(chunk(2.0)).unwrap();
    assert_eq!((applied.revised, applied.history), (99, 1), "{applied:?}");
    daemon.pipeline.shutdown().unwrap();
}

#[test]
fn what_was_recorded_before_a_chunk_of_an_import_is_applied_before_it() {
    let folder = tempfile::tempdir().unwrap();
    // A frame at a time: the pipeline is far behind the journal when the chunk comes.
    let slow = |options: &mut PipelineOptions| options.limits.group_bytes_max = 1;
    let daemon = start_as(folder.path(), &declarations(), |_| {}, slow);
    let ts = now_ms();
    for minute in 1..=500 {
        let before = ts - minute * 60_000;
        daemon.append("timed", &format!("{{\"ts\":{before},\"t\":1}}"));
    }
    let last = daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":21.5}}"));
    let applied = daemon.pipeline.commands().import(chunk(ts, 1, 1.0));
    let applied = applied.unwrap();
    assert_eq!((applied.inserted, applied.history), (0, 1), "{applied:?}");
    let snapshot = daemon.pipeline.shared().load_full();
    let heat = &snapshot.tables[&DatasetId::new("heat")];
    assert!(heat.through > last && heat.files.iter().map(|file| file.rows).sum::<u64>() == 502);
}

#[test]
fn rows_that_must_be_compared_with_a_broken_file_wait_and_other_datasets_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let last = daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":21.5}}"));
    daemon.wait(last);
    daemon.pipeline.commands().commit_all().unwrap();
    let snapshot = daemon.wait(last);
    let file = &snapshot.tables[&DatasetId::new("heat")].files[0].path;
    let file = Path::new("lake/heat").join(&**file);
    let whole = std::fs::read(folder.path().join(&file)).unwrap();
    std::fs::write(folder.path().join(&file), b"PAR1").unwrap();
    // A revision of the row in the file, a row behind it that would need no file, and a row of another dataset.
    let revision = daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":22}}"));
    let later = ts + 1_000;
    daemon.append("timed", &format!("{{\"ts\":{later},\"t\":23}}"));
    let last = daemon.append("timed", "{");
    let snapshot = daemon.wait_for_dataset("rejects", last);
    let heat = &snapshot.tables[&DatasetId::new("heat")];
    assert_eq!(heat.through, Sequence(revision.0 - 1));
    assert_eq!(rows(&snapshot, "heat"), (0, 1));
    assert_eq!(rows(&snapshot, "rejects"), (1, 0));
    // Neither a commit nor an import gets past them, and a restart comes to the same.
    daemon.pipeline.commands().commit_all().unwrap();
    let error = daemon
        .pipeline
        .commands()
        .import(chunk(ts, 1, 1.0))
        .unwrap_err();
    let error = std::error::Error::source(&error)
        .map(ToString::to_string)
        .unwrap_or(error.to_string());
    assert!(error.contains("rows wait for a file"), "{error}");
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    let daemon = start(copy.path());
    let snapshot = daemon.pipeline.shared().load_full();
    assert_eq!(
        snapshot.tables[&DatasetId::new("heat")].through,
        Sequence(revision.0 - 1)
    );
    // Repaired: everything goes on in the same process.
    std::fs::write(copy.path().join(&file), whole).unwrap();
    let snapshot = daemon.wait(last);
    assert_eq!(rows(&snapshot, "heat"), (2, 1));
    assert_eq!(snapshot.tables[&DatasetId::new("heat")].masks.len(), 1);
    daemon.pipeline.shutdown().unwrap();
}

#[test]
fn on_a_full_disk_rows_get_into_files_and_everything_goes_on_when_there_is_room() {
    let disk = FaultyFiles::new();
    let on_disk = |options: &mut JournalOptions| {
        options.files = Arc::new(disk.clone());
        options.reserve_bytes = 1 << 20;
    };
    let daemon = start_as(Path::new("/city"), &declarations(), on_disk, |_| {});
    let ts = now_ms();
    let at = |second: i64| format!("{{\"ts\":{},\"t\":21.5}}", ts + 1_000 * second);
    let last = daemon.append("timed", &at(0));
    daemon.wait(last);
    disk.set_bytes_max(Some(disk.bytes_used()));
    // Taken, and not yet on disk: it is not acknowledged.
    let waiting = daemon.append("timed", &at(1));
    let deadline = Instant::now() + Duration::from_secs(30);
    let wait_for = |what: &str, done: &dyn Fn() -> bool| {
        while !done() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for("the disk is full", &|| daemon.journal.is_disk_full());
    assert!(daemon.journal.durable().0 < waiting);
    assert_eq!(rows(&daemon.pipeline.shared().load_full(), "heat"), (1, 0));
    let envelope = NewEnvelope::default();
    let refused = || daemon.journal.append(&envelope) == Err(AppendError::DiskFull);
    assert!(refused());
    // The first attempt finds no room and gets the reserve.
    let commands = daemon.pipeline.commands();
    commands.commit_all().unwrap_err();
    wait_for("rows get into files", &|| commands.commit_all().is_ok());
    wait_for("what was taken is on disk", &|| {
        daemon.journal.durable().0 >= waiting
    });
    let snapshot = daemon.wait(waiting);
    let (hot, stored) = rows(&snapshot, "heat");
    assert!(hot + stored == 2 && stored > 0, "{hot} {stored}");
    // Still no room for new messages, until somebody makes some.
    assert!(refused());
    disk.set_bytes_max(None);
    wait_for("messages are taken again", &|| !refused());
    let last = daemon.append("timed", &at(2));
    let (hot, stored) = rows(&daemon.wait(last), "heat");
    assert_eq!(hot + stored, 3);
    daemon.pipeline.shutdown().unwrap();
}

/// Per hot row of a dataset: its value (none in `rejects`), quality and quality tests.
fn flags(snapshot: &LakeSnapshot, dataset: &str) -> Vec<(Option<f64>, i8, i64)> {
    let mut flags = Vec::new();
    for hot in snapshot.tables[&DatasetId::new(dataset)].hot.iter() {
        let column = |name: &str| hot.batch.column_by_name(name);
        let values = column("value").map(|array| array.as_primitive::<Float64Type>());
        let quality = column("quality").unwrap().as_primitive::<Int8Type>();
        let tests = column("quality_tests").unwrap().as_primitive::<Int64Type>();
        for row in 0..hot.batch.num_rows() {
            let value = values.map(|values| values.value(row));
            flags.push((value, quality.value(row), tests.value(row)));
        }
    }
    flags
}

#[test]
fn rows_with_only_a_receive_time_are_suspect_under_a_clock_step_and_after_a_replay() {
    const SECOND_US: i64 = 1_000_000;
    const HOUR_US: i64 = 3_600 * SECOND_US;
    let folder = tempfile::tempdir().unwrap();
    let ts = now_ms();
    let clock = ManualClock::new(ts * 1_000);
    let start = |folder: &Path| {
        start_with(folder, |options| {
            options.clock = clock.function();
            options.monotonic_clock = clock.monotonic_function();
        })
    };
    let daemon = start(folder.path());
    daemon.append("timeless", "{\"t\":1}");
    // Set ahead by an hour: one with a time of its own, one without, one that passes no range, one that is no row.
    clock.step(HOUR_US);
    let stepped = daemon.append("timeless", "{\"t\":2}");
    daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":3}}"));
    daemon.append("timeless", "{\"t\":4000}");
    daemon.append("timeless", "{\"t\":");
    // Set right again: the receive time cannot go back, so it is an hour ahead until that has passed.
    clock.step(-HOUR_US);
    daemon.append("timeless", "{\"t\":5}");
    clock.advance(HOUR_US);
    daemon.append("timeless", "{\"t\":6}");
    // An envelope of the time under the step, decoded again: it carries the receive time that it had.
    let original = Original {
        sequence: stepped,
        received_at: clock.now() - 1,
        clock_step: true,
    };
    let envelope = NewEnvelope {
        source: "timeless",
        topic: "timeless/garden",
        payload: b"{\"t\":7}",
        ..NewEnvelope::default()
    };
    let last = daemon.journal.append_replay(original, &envelope).unwrap();
    let last = last.sequence;

    let bit = meetnet_model::quality::QualityTest::ClockStep.bit();
    let out_of_range = meetnet_model::quality::QualityTest::GrossRange.bit();
    let out_of_season = meetnet_model::quality::QualityTest::Climatology.bit();
    let heat = [
        (Some(1.0), 1, 0),
        (Some(2.0), 3, bit),
        (Some(3.0), 1, 0),
        (Some(4000.0), 4, bit | out_of_range | out_of_season),
        (Some(5.0), 3, bit),
        (Some(6.0), 1, 0),
        (Some(7.0), 3, bit),
    ];
    let snapshot = daemon.wait(last);
    assert_eq!(flags(&snapshot, "heat"), heat);
    assert_eq!(flags(&snapshot, "rejects"), [(None, 3, bit)]);
    // A crash, seen on a copy of the disk: everything is decoded and flagged again, long after the clock is right.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    clock.advance(48 * HOUR_US);
    let daemon = start(copy.path());
    assert!(daemon.replayed.frames >= 8, "{:?}", daemon.replayed);
    let snapshot = daemon.wait(last);
    assert_eq!(flags(&snapshot, "heat"), heat);
    assert_eq!(flags(&snapshot, "rejects"), [(None, 3, bit)]);
}

#[test]
fn a_broken_file_is_taken_out_of_a_running_lake_and_its_raw_messages_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let commands = daemon.pipeline.commands();
    let ts = now_ms();
    let lost = daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":1}}"));
    daemon.wait(lost);
    commands.commit_all().unwrap();
    let snapshot = daemon.pipeline.shared().load_full();
    let file = Arc::clone(&snapshot.tables[&DatasetId::new("heat")].files[0]);
    let path = folder.path().join("lake/heat").join(&*file.path);
    let mut content = std::fs::read(&path).unwrap();
    content[10] ^= 0x55;
    std::fs::write(&path, content).unwrap();

    assert_eq!(commands.repair(Depth::Quick).unwrap(), Repaired::default());
    let mut repaired = commands.repair(Depth::Full).unwrap();
    assert_eq!((repaired.files.len(), &*repaired.left), (1, &[][..]));
    assert_eq!(
        (&*repaired.files[0].path, repaired.files[0].rows),
        (&*file.path, 1)
    );
    let place = JournalPlace {
        dir: folder.path().join("journal"),
        archive_dir: folder.path().join("archive"),
        files: Arc::new(DiskFiles::PRIVATE),
    };
    repaired.find_raw(&place).unwrap();
    let raw = &repaired.files[0].raw[0];
    assert_eq!((raw.frames, raw.sequences), (1, Some((lost, lost))));

    // Messages go on being taken, and a restart finds a table that is whole.
    let next = daemon.append("timed", &format!("{{\"ts\":{},\"t\":2}}", ts + 1));
    assert_eq!(rows(&daemon.wait(next), "heat"), (1, 0));
    daemon.pipeline.shutdown().unwrap();
    let options = CheckOptions {
        storage: Arc::new(FolderStorage::new(folder.path().join("lake"))),
        journal: Some(place),
        depth: Depth::Full,
    };
    let report = check(&options).unwrap();
    assert_eq!((report.findings, report.counts.quarantined), (vec![], 1));
}

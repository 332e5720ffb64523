//! Erasing from a pipeline on real formats: every file is read and searched, everything else must stay as it was, and the
//! power fails at every operation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::ArrayRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use meetnet_lake::journal::{Journal, JournalOptions, NewEnvelope};
use meetnet_lake::lake::{DeclaredTables, LakeOptions, UpkeepRequest};
use meetnet_lake::snapshot::LakeSnapshot;
use meetnet_lake::storage::FolderStorage;
use meetnet_model::declarations::Declarations;
use meetnet_model::derivation::ConditionValue;
use meetnet_model::ids::{DatasetId, Sequence, SourceId};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::{
    MapEntry, SourceDeclaration, SourceKind, TimeDeclaration, TimeFormat, ValueRef, WireFormat,
};
use meetnet_testkit::clock::ManualClock;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::dup_window::DupWindows;
use crate::outcomes::OutcomeRegistry;
use crate::pipeline::{Pipeline, PipelineOptions};

mod complete;
mod failures;

/// 2026-06-01T12:00:00Z.
const NOW: i64 = 1_780_315_200_000_000;
const HOUR: i64 = 3_600_000_000;
const KEY: &str = "a secret for tests only";
/// The chip of the box that goes, and one that stays.
const CHIP: &str = "82660147";
const OTHER_CHIP: &str = "51002200";
/// The segment that goes, and one that stays.
const SEGMENT: i64 = 9_000_001_463;
const OTHER_SEGMENT: i64 = 9_000_007_777;
/// A derived dataset, and the sensor that its rows are compared with.
const HOURS: &str = "heat_hourly";
const REFERENCE: &str = "garden-meadow";

fn declarations() -> Arc<Declarations> {
    let source = |id: &str, kind, format| SourceDeclaration::new(id, kind, format, "CC0-1.0");
    let map = |property: &str, pointer: &str, unit: &str| {
        MapEntry::property("heat", property)
            .at_pointer(pointer)
            .in_unit(unit)
    };
    let garden = SourceDeclaration {
        topics: vec!["garden/{device}".to_owned()],
        sensor_id: Some(ValueRef::Template("{device}".to_owned())),
        time: Some(TimeDeclaration::at_pointer("/ts", TimeFormat::UnixMs)),
        map: vec![
            map("air_temperature", "/t", "Cel"),
            map("relative_humidity", "/h", "%"),
        ],
        ..source("garden", SourceKind::Mqtt, WireFormat::Json)
    };
    let sources = [
        source("boxes", SourceKind::Http, WireFormat::Airrohr),
        source("counts", SourceKind::Http, WireFormat::Telraam),
        garden,
    ];
    let mut declarations = meetnet_model::schemas::builtin().into_declarations(sources);
    let hours = declarations.datasets.get_mut(&DatasetId::new(HOURS));
    let hours = Arc::make_mut(hours.unwrap()).derive.as_mut().unwrap();
    hours.reference = Some(ConditionValue::Text(REFERENCE.to_owned()));
    Arc::new(declarations)
}

fn sensor_of(chip: &str) -> String {
    sensor_by(KEY, chip)
}

fn sensor_by(key: &str, chip: &str) -> String {
    let key = PrivacyKey::new(key);
    format!(
        "boxes-{}",
        key.hardware_id("chip", &format!("esp8266-{chip}"))
    )
}

fn request() -> EraseRequest {
    EraseRequest {
        sensor_ids: ["garden-porch".to_owned()].into(),
        segment_ids: [SEGMENT].into(),
        devices: [("boxes".into(), format!("esp8266-{CHIP}"))].into(),
    }
}

/// What must be in no file: ids, hardware ids, and values that nobody else has.
fn traces() -> Vec<String> {
    let mut traces = vec![
        CHIP.to_owned(),
        SEGMENT.to_string(),
        "porch".to_owned(),
        "43.217".to_owned(),
        "-11.125".to_owned(),
        "871.375".to_owned(),
    ];
    traces.push(sensor_of(CHIP)["boxes-".len()..].to_owned());
    traces
}

struct Daemon {
    files: FaultyFiles,
    journal: Journal,
    pipeline: Pipeline,
    dup_windows: DupWindows,
    clock: ManualClock,
}

impl Daemon {
    fn start(files: &FaultyFiles, now: i64) -> Result<Self, PipelineError> {
        Self::start_with(files, now, KEY)
    }

    fn start_with(files: &FaultyFiles, now: i64, key: &str) -> Result<Self, PipelineError> {
        let clock = ManualClock::new(now);
        let options = JournalOptions {
            files: Arc::new(files.clone()),
            clock: clock.function(),
            monotonic_clock: clock.monotonic_function(),
            reserve_bytes: 0,
            segment_bytes_max: 4_000,
            ..JournalOptions::new("/journal", "/archive")
        };
        let declarations = declarations();
        let storage = FolderStorage::with_files("/lake", Arc::new(files.clone()));
        let tables = DeclaredTables::read(Arc::new(storage), Arc::clone(&declarations))?;
        let (journal, recovery) = Journal::open(options, &declarations.to_bytes())?;
        let mut lake = LakeOptions::new(journal.id());
        lake.limits.commit_age_max = Duration::from_secs(3_600);
        lake.limits.compaction = false;
        let mut options = PipelineOptions::new(lake);
        options.limits.idle_tick = Duration::from_secs(3_600);
        options.limits.checkpoint_pause = Duration::ZERO;
        let dup_windows = DupWindows::default();
        let started = Pipeline::start(
            options,
            journal.clone(),
            &recovery,
            tables,
            PrivacyKey::new(key),
            OutcomeRegistry::new(16),
            dup_windows.clone(),
        );
        let (pipeline, _) = started?;
        let files = files.clone();
        Ok(Self {
            files,
            journal,
            pipeline,
            dup_windows,
            clock,
        })
    }

    fn append(&self, envelope: &NewEnvelope<'_>) -> u64 {
        self.clock.advance(1_000_000);
        let sequence = self.journal.append(envelope).unwrap().sequence;
        if envelope.packet_id != 0 {
            let source = SourceId::new(envelope.source);
            let NewEnvelope {
                epoch,
                packet_id,
                topic,
                payload,
                ..
            } = *envelope;
            self.dup_windows
                .observe_recovered(&source, epoch, packet_id, topic, payload, sequence);
        }
        sequence.0
    }

    fn push(&self, source: &str, meta: &[(&str, &str)], body: &str) -> u64 {
        let topic = format!("/ingest/v1/{source}");
        let payload = body.as_bytes();
        self.append(&NewEnvelope {
            source,
            topic: &topic,
            meta,
            payload,
            ..NewEnvelope::default()
        })
    }

    /// A box's message.
    fn measure(&self, chip: &str, pm10: &str, temperature: &str) -> u64 {
        let body = format!(
            "{{\"esp8266id\": \"{chip}\", \"sensordatavalues\": [{{\"value_type\": \"SDS_P1\", \"value\": \"{pm10}\"}}, \
             {{\"value_type\": \"BME280_temperature\", \"value\": \"{temperature}\"}}]}}"
        );
        self.push("boxes", &[("x-sensor", &format!("esp8266-{chip}"))], &body)
    }

    /// The counts of both segments in one body, or of one.
    fn count(&self, segments: &[(i64, f64)], hour: i64) -> u64 {
        let row = |(segment, cars): &(i64, f64)| {
            format!(
                "{{\"segment_id\": {segment}, \"date\": \"2026-06-01T{hour:02}:00:00.000Z\", \"interval\": \"hourly\", \
                 \"uptime\": 0.75, \"car\": {cars}, \"bike\": 30}}"
            )
        };
        let rows: Vec<String> = segments.iter().map(row).collect();
        let body = format!(
            "{{\"status_code\": 200, \"report\": [{}]}}",
            rows.join(", ")
        );
        self.push("counts", &[], &body)
    }

    fn grow(&self, device: &str, packet_id: u16, body: &str) -> u64 {
        self.append(&NewEnvelope {
            source: "garden",
            topic: &format!("garden/{device}"),
            packet_id,
            payload: body.as_bytes(),
            ..NewEnvelope::default()
        })
    }

    fn wait(&self, sequence: u64) -> Arc<LakeSnapshot> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let snapshot = self.pipeline.shared().load_full();
            if snapshot
                .tables
                .values()
                .all(|table| table.through >= Sequence(sequence))
            {
                return snapshot;
            }
            assert!(
                !*self.pipeline.watch_stopped().borrow(),
                "the pipeline stopped before frame {sequence}"
            );
            assert!(Instant::now() < deadline, "frame {sequence} is not applied");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn stop(self) {
        self.pipeline.shutdown().unwrap();
        self.journal.shutdown().unwrap();
    }
}

/// A city with sensors that go and sensors that stay, in every state that a message and a row can be in.
struct Scene {
    files: FaultyFiles,
    now: i64,
    /// Frames that must lose their content.
    gone: BTreeSet<u64>,
    last: u64,
}

fn scene() -> Scene {
    let files = FaultyFiles::new();
    let mut gone = BTreeSet::new();
    let ts = NOW / 1_000;
    let daemon = Daemon::start(&files, NOW).unwrap();
    let commands = daemon.pipeline.commands();
    for hour in 0..3 {
        daemon.clock.advance(HOUR);
        gone.insert(daemon.measure(CHIP, "43.217", "-11.125"));
        daemon.measure(OTHER_CHIP, "12.5", "18.5");
        gone.insert(daemon.count(&[(SEGMENT, 871.375), (OTHER_SEGMENT, 55.0)], hour));
        daemon.count(&[(OTHER_SEGMENT, 60.0 + hour as f64)], hour + 4);
        let hour_ms = hour * HOUR / 1_000;
        gone.insert(daemon.grow(
            "porch",
            1,
            &format!("{{\"ts\": {}, \"t\": 43.217}}", ts + hour_ms),
        ));
        daemon.grow(
            "shed",
            2,
            &format!("{{\"ts\": {}, \"t\": 15}}", ts + hour_ms),
        );
        commands.commit_all().unwrap();
    }
    // Later values for the same keys: replaced rows.
    gone.insert(daemon.grow("porch", 3, &format!("{{\"ts\": {ts}, \"t\": 43.2171}}")));
    daemon.grow("shed", 4, &format!("{{\"ts\": {ts}, \"t\": 16}}"));
    gone.insert(daemon.count(&[(SEGMENT, 9_871.375), (OTHER_SEGMENT, 56.0)], 0));
    // Rejects: whole and in part, decodable and not.
    gone.insert(daemon.grow("porch", 5, "{\"ts\": "));
    daemon.grow("shed", 6, "{\"ts\": ");
    gone.insert(daemon.push(
        "boxes",
        &[],
        &format!("{{\"esp8266id\": \"{CHIP}\", \"sensord"),
    ));
    daemon.push(
        "boxes",
        &[],
        &format!("{{\"esp8266id\": \"{OTHER_CHIP}\", \"sensord"),
    );
    gone.insert(daemon.push(
        "counts",
        &[],
        &format!("[{{\"segment_id\": {SEGMENT}, \"date\": 871}}]"),
    ));
    gone.insert(daemon.measure(
        CHIP,
        "43.217\"}, {\"value_type\": \"NEW\", \"value\": \"43.217",
        "-11.125",
    ));
    commands.commit_all().unwrap();
    commands.tend(UpkeepRequest::Compact(None)).unwrap();
    let now = daemon.clock.now();
    daemon.stop();

    // Another life: the archive is compressed, more is committed, and the last rows are hot.
    let daemon = Daemon::start(&files, now).unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !files
        .paths()
        .iter()
        .any(|path| path.extension().is_some_and(|e| e == "zst"))
    {
        assert!(Instant::now() < deadline, "nothing is compressed");
        daemon.count(&[(OTHER_SEGMENT, 70.0)], 9);
        daemon.pipeline.commands().commit_all().unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    daemon.clock.advance(HOUR);
    gone.insert(daemon.measure(CHIP, "43.217", "-11.125"));
    daemon.measure(OTHER_CHIP, "13", "19");
    daemon.pipeline.commands().commit_all().unwrap();
    daemon.clock.advance(HOUR);
    gone.insert(daemon.measure(CHIP, "43.2175", "-11.125"));
    gone.insert(daemon.count(&[(SEGMENT, 1_871.375)], 1));
    let last = daemon.measure(OTHER_CHIP, "13.5", "19.5");
    daemon.wait(last);
    let now = daemon.clock.now();
    let files = daemon.files.restart(Crash::Kill);
    drop(daemon);
    Scene {
        files,
        now,
        gone,
        last,
    }
}

/// The content of a file as it can be searched: bytes as they are, and what they hold when they are decoded.
fn searchable(files: &FaultyFiles, path: &Path) -> String {
    let Some(content) = whole(files, path) else {
        return String::new();
    };
    let mut text = String::from_utf8_lossy(&content).into_owned();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("zst") => {
            let content = zstd::decode_all(content.as_slice()).unwrap();
            text.push_str(&String::from_utf8_lossy(&content));
        }
        Some("parquet") => text.extend(decoded(content)),
        _ => {}
    }
    text
}

/// The content of a file; of one that is being written, once it is whole. None: it is gone.
fn whole(files: &FaultyFiles, path: &Path) -> Option<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let content = files.content(path)?;
        let is_table = path
            .extension()
            .is_some_and(|extension| extension == "parquet");
        if !is_table || content.ends_with(b"PAR1") || Instant::now() >= deadline {
            return Some(content);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The rows of a Parquet file, one text each.
fn decoded(content: Vec<u8>) -> Vec<String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(content)).unwrap();
    let mut rows = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let columns: Vec<(&String, &ArrayRef)> = batch
            .schema_ref()
            .fields()
            .iter()
            .map(|field| field.name())
            .zip(batch.columns())
            .collect();
        let options = FormatOptions::default().with_null("-");
        let cells: Vec<_> = columns
            .iter()
            .map(|(name, array)| (name, ArrayFormatter::try_new(array, &options).unwrap()))
            .collect();
        for row in 0..batch.num_rows() {
            let cells = cells
                .iter()
                .map(|(name, cell)| format!("{name}={}", cell.value(row)));
            rows.push(format!("{} ", cells.collect::<Vec<_>>().join(" ")));
        }
    }
    rows
}

/// Files in which something of what is to go is found.
fn tainted(files: &FaultyFiles) -> Vec<(PathBuf, String)> {
    let traces = traces();
    let mut tainted = Vec::new();
    for path in files.paths() {
        let text = searchable(files, &path);
        let found = traces.iter().find(|trace| text.contains(trace.as_str()));
        tainted.extend(found.map(|trace| (path, trace.clone())));
    }
    tainted
}

/// All committed rows, current and replaced.
fn rows(daemon: &Daemon) -> BTreeSet<String> {
    let snapshot = daemon.pipeline.shared().load_full();
    let mut rows = BTreeSet::new();
    for (id, table) in &snapshot.tables {
        assert!(table.hot.is_empty() && table.masks.is_empty(), "{id}");
        for file in table.files.iter() {
            let path = Path::new("/lake").join(id.as_str()).join(&*file.path);
            for row in decoded(daemon.files.content(&path).unwrap()) {
                let row = format!("{id} superseded={} {row}", file.superseded);
                assert!(rows.insert(row.clone()), "twice: {row}");
            }
        }
    }
    rows
}

/// The rows that must be left, of those there were.
fn others(rows: BTreeSet<String>, gone: &BTreeSet<u64>) -> BTreeSet<String> {
    let subjects = [
        format!(" sensor_id={} ", sensor_of(CHIP)),
        " sensor_id=garden-porch ".to_owned(),
        format!(" segment_id={SEGMENT} "),
    ];
    let is_gone = |row: &String| {
        let of_reject = |sequence: &u64| row.contains(&format!(" sequence={sequence} "));
        subjects.iter().any(|subject| row.contains(subject))
            || (row.starts_with("rejects ") && gone.iter().any(of_reject))
    };
    rows.into_iter().filter(|row| !is_gone(row)).collect()
}

/// What a city without the erased ones is: the committed rows of the scene, less theirs.
fn expected(scene: &Scene) -> BTreeSet<String> {
    let files = scene.files.restart(Crash::Kill);
    let daemon = Daemon::start(&files, scene.now).unwrap();
    daemon.pipeline.commands().commit_all().unwrap();
    let all = rows(&daemon);
    let left = others(all.clone(), &scene.gone);
    assert!(
        left.len() > 20 && all.len() > left.len() + 20,
        "{} {}",
        all.len(),
        left.len()
    );
    daemon.stop();
    left
}

//! A lake in a bucket: a real S3 server (moto), and a proxy before it that fails on purpose.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::DataType;
use meetnet_lake::LakeError;
use meetnet_lake::damage::{Damage, examine};
use meetnet_lake::lake::{DeclaredTables, Lake, LakeOptions, LakeReader, UpkeepRequest};
use meetnet_lake::storage::{
    Access, LakeStorage, S3Credentials, S3Limits, S3Options, S3Url, TableFolder,
};
use meetnet_model::ids::Sequence;
use meetnet_testkit::files::FaultyFiles;
use meetnet_testkit::garden::{self, MINUTE, START, declarations};
use meetnet_testkit::http_proxy::{HttpFault, HttpProxy, SeenRequest};
use meetnet_testkit::s3::S3Server;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::city::{Row, apply, committed, openings};

const KEY: &str = "AKIAHIDDEN";
const SECRET: &str = "hidden-secret";

/// A bucket of a test's own.
pub(crate) struct Bucket {
    server: &'static S3Server,
    runtime: Runtime,
    name: String,
    journal: Journal,
}

impl Bucket {
    /// None where there is no server.
    pub(crate) fn new() -> Option<Self> {
        let server = S3Server::shared().unwrap()?;
        let name = server.new_bucket().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Some(Self {
            server,
            runtime,
            name,
            journal: Journal::new(),
        })
    }

    pub(crate) fn storage(&self) -> Arc<dyn LakeStorage> {
        self.storage_at(&self.server.endpoint(), S3Limits::default())
    }

    fn storage_at(&self, endpoint: &str, limits: S3Limits) -> Arc<dyn LakeStorage> {
        let url: S3Url = format!("s3://{}/lake", self.name).parse().unwrap();
        let credentials = S3Credentials::Keys {
            access_key_id: KEY.to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: None,
        };
        let mut options = S3Options::new(url, credentials);
        options.endpoint = Some(endpoint.to_owned());
        options.allow_http = true;
        options.limits = limits;
        Arc::new(options.storage(self.runtime.handle().clone()).unwrap())
    }

    fn proxy(&self, plan: impl FnMut(&SeenRequest) -> HttpFault + Send + 'static) -> HttpProxy {
        HttpProxy::start(self.server.port, plan).unwrap()
    }

    /// The current rows of `heat` as another process reads them.
    fn rows(&self) -> BTreeMap<(String, i64), f64> {
        committed(&self.storage())
    }
}

/// A journal as the lake knows it.
struct Journal {
    id: Uuid,
    folder: FaultyFiles,
}

impl Journal {
    fn new() -> Self {
        Self {
            id: Uuid::new_v4(),
            folder: FaultyFiles::new(),
        }
    }
}

/// Limits under which an outage is over in no time.
fn hasty(retries_max: usize) -> S3Limits {
    S3Limits {
        request_time_max: Duration::from_secs(1),
        retry_time_max: Duration::from_secs(5),
        retries_max,
    }
}

/// Opens the lake of a journal that has a copy nowhere.
fn open(storage: &Arc<dyn LakeStorage>, journal: &Journal) -> Result<Lake, LakeError> {
    let tables = DeclaredTables::read(Arc::clone(storage), Arc::new(declarations()))?;
    let mut options = LakeOptions::new(journal.id);
    options.openings = Some(openings(&journal.folder));
    options.limits.compaction = false;
    options.limits.commit_age_max = Duration::ZERO;
    options.limits.vacuum_after = Duration::ZERO;
    Lake::open(options, tables, Sequence::ZERO)
}

/// What one frame says: five sensors at one minute.
#[derive(Clone, Copy, Debug)]
struct Frame {
    minute: i64,
    value: f64,
}

const SENSORS: u32 = 5;

impl Frame {
    fn rows(self) -> Vec<Row> {
        let sensors = 0..SENSORS;
        sensors
            .map(|sensor| (sensor, self.minute, self.value + f64::from(sensor)))
            .collect()
    }
}

/// Applies frames from `first` on, as a journal hands them over; those that are in the table are skipped.
fn take(lake: &mut Lake, frames: &[Frame], first: u64) -> Result<(), LakeError> {
    for (frame, sequence) in frames.iter().zip(first..) {
        apply(lake, sequence, &frame.rows())?;
    }
    Ok(())
}

/// What the frames say in the end.
fn expected(frames: &[Frame]) -> BTreeMap<(String, i64), f64> {
    let mut rows = BTreeMap::new();
    for frame in frames {
        for sensor in 0..SENSORS {
            let key = (garden::sensor(sensor), START + frame.minute * MINUTE);
            rows.insert(key, frame.value + f64::from(sensor));
        }
    }
    rows
}

fn minutes(minutes: std::ops::Range<i64>, value: f64) -> Vec<Frame> {
    minutes.map(|minute| Frame { minute, value }).collect()
}

fn tend(lake: &mut Lake, request: UpkeepRequest) {
    lake.request(request).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while lake.is_tending() {
        assert!(Instant::now() < deadline, "the upkeep ends");
        lake.tick().unwrap();
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_log_entry(request: &SeenRequest) -> bool {
    request.method == "PUT" && request.is_conditional && request.path.contains("_delta_log")
}

#[test]
fn a_lake_in_a_bucket_is_written_revised_merged_cleaned_and_opened_again() {
    let Some(bucket) = Bucket::new() else { return };
    let storage = bucket.storage();
    let journal = Journal::new();
    let mut lake = open(&storage, &journal).unwrap();
    let mut frames = Vec::new();
    for round in 0..4 {
        let first = frames.len() as u64 + 1;
        let mut new = minutes(round * 10..round * 10 + 10, 1.0);
        // The first minutes of the round before once more, with other values.
        new.extend(
            minutes((round - 1).max(0) * 10..round * 10, 2.0)
                .into_iter()
                .take(3),
        );
        take(&mut lake, &new, first).unwrap();
        frames.extend(new);
        lake.commit_all().unwrap();
        assert_eq!(bucket.rows(), expected(&frames), "round {round}");
    }
    tend(&mut lake, UpkeepRequest::Compact(None));
    assert!(lake.compacted().files_before > lake.compacted().files_after);
    thread::sleep(Duration::from_millis(5));
    tend(&mut lake, UpkeepRequest::Vacuum);
    assert!(lake.vacuumed().replaced_files > 0);
    drop(lake);
    let listed = storage.list("heat").unwrap();
    let data = listed
        .iter()
        .filter(|o| o.path.ends_with(".parquet"))
        .count();
    assert_eq!(data, 2, "one file of current rows and one of replaced ones");
    assert!(
        storage.read("_meetnet/writer.json").is_ok(),
        "vacuum leaves it"
    );

    let mut lake = open(&storage, &journal).unwrap();
    take(&mut lake, &frames, 1).unwrap();
    assert_eq!(lake.hot_bytes(), 0, "everything is in the table already");
    assert_eq!(bucket.rows(), expected(&frames));
}

#[test]
fn an_erased_sensor_is_in_no_object_of_the_bucket() {
    let Some(bucket) = Bucket::new() else { return };
    let storage = bucket.storage();
    let mut lake = open(&storage, &bucket.journal).unwrap();
    let mut frames = Vec::new();
    for new in [
        minutes(0..10, 1.0),
        minutes(10..20, 1.0),
        minutes(0..3, 2.0),
    ] {
        take(&mut lake, &new, frames.len() as u64 + 1).unwrap();
        frames.extend(new);
        lake.commit_all().unwrap();
    }
    tend(&mut lake, UpkeepRequest::Compact(None));
    let gone = garden::sensor(3);
    let of_gone = |rows: &RecordBatch| -> Vec<bool> {
        let ids = rows.column_by_name("sensor_id").unwrap();
        let ids = arrow::compute::cast(ids, &DataType::Utf8).unwrap();
        let ids = ids.as_string::<i32>().iter();
        ids.map(|id| id == Some(gone.as_str())).collect()
    };
    let (id, columns, select) = (garden::heat(), ["sensor_id"], &mut { &of_gone });
    lake.settle().unwrap();
    let found = lake.find_rows(&id, &columns, select).unwrap();
    assert_eq!(found.count(), 23);
    let erased = lake.erase_rows(&found, &columns, select).unwrap().unwrap();
    assert!(erased.rows == 23 && erased.log_files > 0, "{erased:?}");
    drop(lake);
    let mut expect = expected(&frames);
    expect.retain(|(sensor, _), _| *sensor != gone);
    assert_eq!(bucket.rows(), expect);
    let listed = storage.list("heat").unwrap().into_iter();
    let (log, data): (Vec<_>, Vec<_>) = listed
        .map(|object| object.path)
        .partition(|path| path.starts_with("heat/_delta_log/"));
    let entries = log.iter().filter(|path| path.ends_with(".json")).count();
    assert_eq!(
        entries, 1,
        "statistics of earlier versions are gone: {log:?}"
    );
    for path in data {
        let bytes = storage.read(&path).unwrap();
        let file = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        for batch in file.build().unwrap() {
            assert!(!of_gone(&batch.unwrap()).contains(&true), "{path}");
        }
    }
}

#[test]
fn another_journal_is_refused_and_the_same_one_may_come_back() {
    let Some(bucket) = Bucket::new() else { return };
    let storage = bucket.storage();
    let journal = Journal::new();
    drop(open(&storage, &journal).unwrap());
    let error = open(&storage, &Journal::new()).unwrap_err().to_string();
    assert!(
        error.contains(&format!("belongs to the journal {}", journal.id)),
        "{error}"
    );
    assert!(
        error.ends_with(&format!(
            "remove s3://{}/lake/_meetnet/writer.json",
            bucket.name
        )),
        "{error}"
    );
    assert!(open(&storage, &journal).is_ok());
    // What the message says to do.
    storage.remove("_meetnet/writer.json").unwrap();
    assert!(open(&storage, &Journal::new()).is_ok());
    // Readers take the lake's own folder for no table.
    let snapshot = LakeReader::open(storage).unwrap().refresh().unwrap();
    assert_eq!(snapshot.tables.len(), 1);
}

#[test]
fn a_store_without_conditional_writes_is_refused() {
    let Some(bucket) = Bucket::new() else { return };
    let proxy = bucket.proxy(|_| HttpFault::Unconditional);
    let storage = bucket.storage_at(&proxy.endpoint(), hasty(0));
    let error = open(&storage, &Journal::new()).unwrap_err().to_string();
    assert!(
        error.contains("use a store that has conditional writes"),
        "{error}"
    );
    assert_eq!(storage.list("").unwrap(), [], "nothing is left behind");
}

#[test]
fn a_commit_whose_answer_is_lost_counts_once() {
    // The client asks again after a lost connection, and not after silence.
    for fault in [
        HttpFault::DropAnswer,
        HttpFault::DelayAnswer(Duration::from_millis(1_500)),
    ] {
        let Some(bucket) = Bucket::new() else { return };
        let proxy = bucket.proxy(|_| HttpFault::Pass);
        let storage = bucket.storage_at(&proxy.endpoint(), hasty(3));
        let mut lake = open(&storage, &bucket.journal).unwrap();
        let frames = minutes(0..20, 1.0);
        for (round, part) in frames.chunks(5).enumerate() {
            let mut is_done = false;
            proxy.set_plan(move |request| {
                if is_log_entry(request) && !std::mem::replace(&mut is_done, true) {
                    fault
                } else {
                    HttpFault::Pass
                }
            });
            take(&mut lake, part, round as u64 * 5 + 1).unwrap();
            lake.commit_all().unwrap();
            let so_far = (round + 1) * 5;
            assert_eq!(bucket.rows(), expected(&frames[..so_far]), "{fault:?}");
        }
        assert_eq!(lake.hot_bytes(), 0);
    }
}

#[test]
fn throttling_is_waited_out_and_an_outage_leaves_the_rows_hot() {
    let Some(bucket) = Bucket::new() else { return };
    let proxy = bucket.proxy(|_| HttpFault::Pass);
    let storage = bucket.storage_at(&proxy.endpoint(), hasty(3));
    let mut lake = open(&storage, &bucket.journal).unwrap();
    let frames = minutes(0..10, 1.0);
    let slow_down = HttpFault::Answer(503, "SlowDown");
    proxy.set_plan(move |request| match request.number % 3 {
        0 => HttpFault::Pass,
        1 => slow_down,
        _ => HttpFault::Drop,
    });
    take(&mut lake, &frames[..5], 1).unwrap();
    lake.commit_all().unwrap();
    assert_eq!(bucket.rows(), expected(&frames[..5]));

    proxy.set_plan(move |_| slow_down);
    take(&mut lake, &frames[5..], 6).unwrap();
    let error = lake.commit_all().unwrap_err();
    let said = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(
        said.contains("503") && said.contains("SlowDown: planned"),
        "{said}"
    );
    assert!(!said.contains(KEY) && !said.contains(SECRET), "{said}");
    assert!(lake.hot_bytes() > 0);
    assert_eq!(bucket.rows(), expected(&frames[..5]));

    proxy.set_plan(|_| HttpFault::Pass);
    lake.commit_all().unwrap();
    assert_eq!(bucket.rows(), expected(&frames));
    assert_eq!(lake.hot_bytes(), 0);
}

#[test]
fn a_store_that_does_not_answer_is_given_up_within_the_limits() {
    let Some(bucket) = Bucket::new() else { return };
    let proxy = bucket.proxy(|_| HttpFault::Pass);
    let storage = bucket.storage_at(&proxy.endpoint(), hasty(1));
    let mut lake = open(&storage, &bucket.journal).unwrap();
    let frames = minutes(0..5, 1.0);
    take(&mut lake, &frames, 1).unwrap();
    let silence = Duration::from_secs(20);
    proxy.set_plan(move |_| HttpFault::Delay(silence));
    let begun = Instant::now();
    lake.commit_all().unwrap_err();
    // A second for a request, and one for its repetition: of the file, and of removing what was begun.
    assert!(begun.elapsed() < silence * 3 / 4, "{:?}", begun.elapsed());
    assert!(lake.hot_bytes() > 0);
    proxy.set_plan(|_| HttpFault::Pass);
    lake.commit_all().unwrap();
    assert_eq!(bucket.rows(), expected(&frames));
}

#[test]
fn a_look_up_that_meets_an_outage_is_made_again() {
    let Some(bucket) = Bucket::new() else { return };
    let proxy = bucket.proxy(|_| HttpFault::Pass);
    let storage = bucket.storage_at(&proxy.endpoint(), hasty(0));
    let frames = minutes(0..5, 1.0);
    let revised = minutes(2..3, 9.0);
    let mut lake = open(&storage, &bucket.journal).unwrap();
    take(&mut lake, &frames, 1).unwrap();
    lake.commit_all().unwrap();
    // The store goes away before the footer is read, or after: opened again, the lake knows neither.
    for passed in 0..4 {
        let mut lake = open(&storage, &bucket.journal).unwrap();
        let mut left = passed;
        proxy.set_plan(move |_| {
            left -= 1;
            match left >= 0 {
                true => HttpFault::Pass,
                false => HttpFault::Drop,
            }
        });
        match take(&mut lake, &revised, 6) {
            Ok(()) => assert!(passed > 0, "something must be read"),
            Err(error) => assert!(error.is_of_reading(), "{passed}: {error:?}"),
        }
        proxy.set_plan(|_| HttpFault::Pass);
    }
    let mut lake = open(&storage, &bucket.journal).unwrap();
    proxy.set_plan(|_| HttpFault::Answer(503, "SlowDown"));
    let error = take(&mut lake, &revised, 6).unwrap_err();
    assert!(error.is_of_reading(), "{error:?}");
    proxy.set_plan(|_| HttpFault::Pass);
    take(&mut lake, &revised, 6).unwrap();
    lake.commit_all().unwrap();
    let all: Vec<Frame> = frames.iter().chain(&revised).copied().collect();
    assert_eq!(bucket.rows(), expected(&all));
}

#[test]
fn a_broken_file_is_told_from_an_outage() {
    let Some(bucket) = Bucket::new() else { return };
    let proxy = bucket.proxy(|_| HttpFault::Pass);
    let storage = bucket.storage_at(&proxy.endpoint(), hasty(0));
    let mut lake = open(&storage, &bucket.journal).unwrap();
    take(&mut lake, &minutes(0..5, 1.0), 1).unwrap();
    lake.commit_all().unwrap();
    let snapshot = LakeReader::open(bucket.storage())
        .unwrap()
        .refresh()
        .unwrap();
    let file = Arc::clone(&snapshot.tables[&garden::heat()].files[0]);
    let path = format!("heat/{}", file.path);
    let folder = TableFolder::new(Arc::clone(&storage), "heat");
    // The store gives everything until the lake is open, and then this: to a look-up of stored rows, and to who compares the file.
    let meet = |fault: HttpFault| {
        let mut lake = open(&storage, &bucket.journal).unwrap();
        proxy.set_plan(move |_| fault);
        let error = take(&mut lake, &minutes(2..3, 9.0), 6).unwrap_err();
        let examined = examine(&folder, &file);
        proxy.set_plan(|_| HttpFault::Pass);
        assert!(error.is_of_reading(), "{fault:?}: {error:?}");
        (error, examined)
    };
    // Whatever is in the file: where the store does not answer, nobody is told to repair it.
    let check_outages = |state: &str| {
        for fault in [
            HttpFault::Answer(503, "SlowDown"),
            HttpFault::Answer(500, "InternalError"),
            HttpFault::Answer(404, "NoSuchBucket"),
            HttpFault::Foreign(404),
            HttpFault::Drop,
            HttpFault::DropAnswer,
        ] {
            let (error, examined) = meet(fault);
            let is_broken = matches!(error, LakeError::BrokenFile { .. });
            assert!(
                !is_broken && !error.needs_a_person(),
                "{state}, {fault:?}: {error:?}"
            );
            assert!(examined.is_err(), "{state}, {fault:?}: {examined:?}");
        }
    };
    let check_broken = |damage: Damage, expect: &str| {
        let (error, examined) = meet(HttpFault::Pass);
        assert_eq!(examined.unwrap(), Some(damage));
        assert!(error.needs_a_person(), "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains(&*file.path) && said.contains(expect),
            "{said}"
        );
    };
    check_outages("whole");
    storage.replace(&path, b"short").unwrap();
    check_outages("short");
    let (bytes, expected) = (5, file.bytes);
    check_broken(
        Damage::WrongLength { bytes, expected },
        &format!("has 5 bytes instead of {expected}"),
    );
    storage.remove(&path).unwrap();
    check_outages("missing");
    check_broken(Damage::Missing, "is missing");
}

#[test]
fn an_object_that_is_too_short_ends_early_wherever_it_is_read() {
    let Some(bucket) = Bucket::new() else { return };
    let storage = bucket.storage();
    storage.replace("heat/short", &[7; 1_000]).unwrap();
    let file = storage
        .open_known("heat/short", 1 << 20, Access::Pages)
        .unwrap();
    // The store answers the first range with less, and refuses the second, which begins behind the end.
    for offset in [0, 600_000] {
        let error = file.read_at(offset, 2_000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    }
}

#[test]
fn a_bucket_that_is_away_makes_no_file_missing() {
    let proxy = HttpProxy::start(0, |_| HttpFault::Answer(404, "NoSuchBucket")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let url: S3Url = "s3://city/lake".parse().unwrap();
    let mut options = S3Options::new(url, S3Credentials::Anonymous);
    options.endpoint = Some(proxy.endpoint());
    options.allow_http = true;
    options.limits = hasty(0);
    let storage = options.storage(runtime.handle().clone()).unwrap();
    let known = storage.open_known("heat/file", 10, Access::Pages).unwrap();
    // Proxies say 404 as well of a server that they do not reach.
    for (fault, said) in [
        (HttpFault::Answer(404, "NoSuchBucket"), "NoSuchBucket"),
        (HttpFault::Foreign(404), "page not found"),
    ] {
        proxy.set_plan(move |_| fault);
        let check = |error: io::Error| {
            assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
            assert!(error.to_string().contains(said), "{error}");
        };
        check(storage.read("heat/file").unwrap_err());
        check(storage.open("heat/file", Access::Whole).unwrap_err());
        check(known.read_at(0, 5).unwrap_err());
    }

    proxy.set_plan(|_| HttpFault::Answer(404, "NoSuchKey"));
    let missing = [
        storage.read("heat/file").unwrap_err(),
        storage.open("heat/file", Access::Whole).unwrap_err(),
        known.read_at(0, 5).unwrap_err(),
    ];
    for error in missing {
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    }

    // Who opens the lake learns whose error it is, and whether waiting may help.
    let storage: Arc<dyn LakeStorage> = Arc::new(storage);
    for (status, code, is_refused) in [
        (404, "NoSuchBucket", false),
        (503, "SlowDown", false),
        (403, "AccessDenied", true),
    ] {
        proxy.set_plan(move |_| HttpFault::Answer(status, code));
        let error = LakeReader::open(Arc::clone(&storage)).err();
        let error = error.expect("the bucket is away");
        assert!(error.is_of_object_store(), "{error:?}");
        assert_eq!(error.is_refused_access(), is_refused, "{error:?}");
    }
}

/// One run of the schedule that `seed` makes: requests fail in every way, the daemon restarts where it must, and in the
/// end every frame is there once.
fn run(bucket: &Bucket, seed: u64) {
    println!("seed {seed}");
    let proxy = bucket.proxy(|_| HttpFault::Pass);
    let storage = bucket.storage_at(&proxy.endpoint(), hasty(2));
    let mut faults = StdRng::seed_from_u64(seed);
    proxy.set_plan(move |_| match faults.random_range(0..40) {
        0 => HttpFault::Answer(503, "SlowDown"),
        1 => HttpFault::Answer(500, "InternalError"),
        2 => HttpFault::Drop,
        3 | 4 => HttpFault::DropAnswer,
        5 => HttpFault::DelayAnswer(Duration::from_millis(1_200)),
        6 => HttpFault::Delay(Duration::from_millis(1_200)),
        _ => HttpFault::Pass,
    });
    let mut random = StdRng::seed_from_u64(seed);
    let frames: Vec<Frame> = (0..24)
        .map(|number| Frame {
            minute: random.random_range(0..=number / 2),
            value: f64::from(random.random_range(0..3_u8)) * 10.0,
        })
        .collect();
    let mut restarts = 0;
    let mut known = 0;
    'restart: loop {
        assert!(restarts < 200, "seed {seed}: it never gets anywhere");
        restarts += 1;
        let Ok(mut lake) = open(&storage, &bucket.journal) else {
            continue;
        };
        let mut done = 0;
        while done < frames.len() {
            let next = (done + 4).min(frames.len());
            if take(&mut lake, &frames[done..next], done as u64 + 1).is_err() {
                continue 'restart;
            }
            done = next;
            // What has been committed once is not committed again.
            if done > known {
                if lake.commit_all().is_err() {
                    continue 'restart;
                }
                known = done;
            }
        }
        break;
    }
    proxy.set_plan(|_| HttpFault::Pass);
    assert_eq!(bucket.rows(), expected(&frames), "seed {seed}");
}

#[test]
fn whatever_requests_meet_every_frame_counts_once() {
    for seed in 0..4 {
        let Some(bucket) = Bucket::new() else { return };
        run(&bucket, seed);
    }
}

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_lake::snapshot::{HotBatch, LiveFile, TableSnapshot};
use meetnet_model::dataset::DatasetKind;

use crate::encode::format_time;
use crate::fixture::{self, Database, HOUR, Lake, START, Version};
use crate::options::QueryRequest;

/// Which files a statement reads, by what their paths hold.
async fn check_read(database: &Database, sql: &str, files: &[&str], others: &[&str]) {
    let plan = database.text(&format!("EXPLAIN {sql}")).await;
    for file in files {
        assert!(plan.contains(file), "{sql} reads {file}\n{plan}");
    }
    for file in others {
        assert!(!plan.contains(file), "{sql} does not read {file}\n{plan}");
    }
}

const CURRENT_JANUARY: &str = "licence=CC0-1.0/superseded=false/month=2026-01";
const OLD_JANUARY: &str = "licence=CC0-1.0/superseded=true/month=2026-01";
const CURRENT_FEBRUARY: &str = "licence=ODbL-1.0/superseded=false/month=2026-02";
const OLD_FEBRUARY: &str = "licence=ODbL-1.0/superseded=true/month=2026-02";

#[tokio::test]
async fn a_view_reads_only_files_that_can_match() {
    let database = Database::new();
    let all = [CURRENT_JANUARY, OLD_JANUARY, CURRENT_FEBRUARY, OLD_FEBRUARY];
    let check = async |sql: &str, files: &[&str]| {
        let others: Vec<&str> = all
            .into_iter()
            .filter(|file| !files.contains(file))
            .collect();
        check_read(&database, sql, files, &others).await;
    };
    // By key and time, as in the current view.
    check(
        "SELECT car FROM revised_history WHERE segment_id = 9",
        &[CURRENT_FEBRUARY, OLD_FEBRUARY],
    )
    .await;
    check(
        "SELECT car FROM revised_history WHERE segment_id = 1",
        &[CURRENT_JANUARY, OLD_JANUARY],
    )
    .await;
    check(
        "SELECT car FROM revised_history WHERE time >= '2026-02-01'",
        &[CURRENT_FEBRUARY, OLD_FEBRUARY],
    )
    .await;
    check(
        "SELECT car FROM revised_history WHERE superseded_at IS NULL",
        &[CURRENT_JANUARY, CURRENT_FEBRUARY],
    )
    .await;
    // The masked rows of the current file are read by a plan of their own, which names no file.
    check(
        "SELECT car FROM revised_history WHERE superseded_at < '2026-02-01'",
        &[OLD_JANUARY],
    )
    .await;
    // Recorded at one in the earliest row, received at half past midnight.
    check(
        "SELECT car FROM revised_history WHERE recorded_at < '2026-01-01T00:45:00Z'",
        &[OLD_JANUARY],
    )
    .await;
    // Superseded files whose rows were all replaced by then hold none of the answer; those recorded later neither.
    let as_of = async |time: &str, filter: &str, files: &[&str]| {
        check(
            &format!("SELECT car FROM revised_as_of('{time}') {filter}"),
            files,
        )
        .await;
    };
    as_of(
        "2026-02-11T16:00:00Z",
        "",
        &[CURRENT_JANUARY, CURRENT_FEBRUARY],
    )
    .await;
    as_of("2026-02-01T15:00:00Z", "", &[CURRENT_JANUARY, OLD_FEBRUARY]).await;
    as_of("2026-01-01T06:30:00Z", "", &[CURRENT_JANUARY, OLD_JANUARY]).await;
    as_of("2026-01-01T00:30:00Z", "", &[OLD_JANUARY]).await;
    as_of("2026-01-01T00:29:00Z", "", &[]).await;
    as_of(
        "2026-02-01T15:00:00Z",
        "WHERE segment_id = 9",
        &[OLD_FEBRUARY],
    )
    .await;
    as_of("2026-01-01T06:30:00Z", "WHERE segment_id = 4", &[]).await;
    as_of(
        "2026-01-01T06:30:00Z",
        "WHERE superseded_at IS NOT NULL",
        &[],
    )
    .await;
}

#[tokio::test]
async fn a_settled_view_costs_what_the_current_one_does() {
    let database = Database::new();
    let plan = database
        .text("EXPLAIN SELECT count(*) FROM counts_as_of('2026-02-11T16:00:00Z')")
        .await;
    assert!(
        !plan.contains("DataSourceExec"),
        "counted by statistics\n{plan}"
    );
    let sql = "SELECT count(*), sum(car) FROM counts_as_of('2026-02-11T16:00:00Z')";
    assert_eq!(database.row(sql).await, "611|12530.0");
    let plan = database
        .text("EXPLAIN SELECT car FROM counts_as_of('2026-02-11T16:00:00Z') ORDER BY segment_id, time")
        .await;
    assert!(
        !plan.contains("SortExec"),
        "the key's order is kept\n{plan}"
    );
    assert!(
        !plan.contains("FilterExec"),
        "every row of the files is known\n{plan}"
    );
}

#[tokio::test]
async fn a_view_keeps_the_order_of_the_key() {
    let database = Database::new();
    for table in ["revised_history", "revised_as_of('2026-01-01T06:30:00Z')"] {
        let sql = format!("SELECT segment_id, time FROM {table} ORDER BY segment_id, time");
        let text = database.text(&sql).await;
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[3..rows.len() - 1].is_sorted(), "{text}");
    }
    let sql = "SELECT car FROM revised_as_of('2026-01-01T06:30:00Z') ORDER BY segment_id, time";
    let plan = database.text(&format!("EXPLAIN {sql}")).await;
    assert!(!plan.contains("SortExec"), "{plan}");
}

/// Row groups hold two rows each: one key touches one of them.
#[tokio::test]
async fn row_groups_are_skipped_behind_filter_and_projection() {
    let database = Database::new();
    let check = async |table: &str, metrics: &[&str]| {
        let sql = format!(
            "EXPLAIN ANALYZE SELECT * FROM {table} WHERE segment_id = 3 AND licence = 'CC0-1.0'"
        );
        let plan = database.text(&sql).await;
        for groups in metrics {
            let metric = format!("row_groups_pruned_statistics={groups}");
            assert!(plan.contains(&metric), "{metric}\n{plan}");
        }
    };
    // Of the superseded file the key leaves one group, whose row was replaced by then.
    let as_of = "revised_as_of('2026-01-01T06:30:00Z')";
    check(as_of, &["3 total → 1 matched", "2 total → 0 matched"]).await;
    check("revised_history", &["2 total → 1 matched"]).await;
}

/// Deterministic numbers from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end) as i64
    }
}

const KEYS: i64 = 60;
const STABLE: i64 = START + 1000 * HOUR;

/// The versions of each key in the order they were recorded: each is superseded as the next is recorded.
fn model(numbers: &mut Numbers) -> Vec<Vec<Version>> {
    let mut used = BTreeSet::new();
    (0..KEYS)
        .map(|key| {
            let count = 1 + numbers.below(5) as usize;
            let mut times = BTreeSet::new();
            while times.len() < count {
                let at = START + numbers.below(1000 * HOUR as u64);
                if used.insert(at) {
                    times.insert(at);
                }
            }
            let times: Vec<i64> = times.into_iter().collect();
            times
                .iter()
                .enumerate()
                .map(|(position, recorded)| {
                    let is_replay = numbers.below(4) == 0;
                    Version {
                        segment: key % 7,
                        hour: key * 20,
                        car: (numbers.below(5) > 0).then(|| numbers.below(1000) as f64),
                        received_at: recorded
                            - if is_replay {
                                numbers.below(HOUR as u64) + 1
                            } else {
                                0
                            },
                        recorded_at: is_replay.then_some(*recorded),
                        superseded_at: times.get(position + 1).copied(),
                        revision: position as i64,
                    }
                })
                .collect()
        })
        .collect()
}

fn recorded(version: &Version) -> i64 {
    version.recorded_at.unwrap_or(version.received_at)
}

/// Lays the model out in a lake: of each key, a random number of versions is committed and the rest is hot.
fn lay_out(model: &[Vec<Version>], numbers: &mut Numbers) -> Lake {
    let lake = Lake::new();
    let declaration = fixture::declaration("random", DatasetKind::Wide);
    let parts = [
        ("CC0-1.0", "2026-01"),
        ("CC0-1.0", "2026-02"),
        ("ODbL-1.0", "2026-02"),
    ];
    let mut current: Vec<Vec<(Version, Option<i64>)>> = vec![Vec::new(); parts.len()];
    let mut superseded: Vec<Vec<Version>> = vec![Vec::new(); parts.len()];
    let mut hot: Vec<(Version, i64)> = Vec::new();
    for versions in model {
        let part = (versions[0].segment % parts.len() as i64) as usize;
        let committed = numbers.below(versions.len() as u64 + 1) as usize;
        for (position, version) in versions.iter().enumerate() {
            // The columns of current and of hot rows say nothing of what came later.
            let unmarked = Version {
                superseded_at: None,
                ..*version
            };
            if position >= committed {
                hot.push((unmarked, version.superseded_at.unwrap_or(HotBatch::LIVE)));
            } else if position + 1 == committed {
                current[part].push((unmarked, version.superseded_at));
            } else {
                superseded[part].push(*version);
            }
        }
    }
    let mut files: Vec<Arc<LiveFile>> = Vec::new();
    let mut masks = Vec::new();
    for (part, (licence, period)) in parts.into_iter().enumerate() {
        let rows = &mut current[part];
        rows.sort_by_key(|(version, _)| (version.segment, version.hour));
        let group = 1 + numbers.below(6) as usize;
        for chunk in rows.chunks(8) {
            let versions: Vec<Version> = chunk.iter().map(|(version, _)| *version).collect();
            let file =
                lake.versions_file(&declaration, (licence, false, period), &versions, group * 2);
            let masked: Vec<(u32, i64)> = chunk
                .iter()
                .enumerate()
                .filter_map(|(row, (_, at))| Some((row as u32, (*at)?)))
                .collect();
            if !masked.is_empty() {
                masks.push((Arc::clone(&file), masked));
            }
            files.push(file);
        }
        if !superseded[part].is_empty() {
            let partition = (licence, true, period);
            files.push(lake.versions_file(&declaration, partition, &superseded[part], group * 2));
        }
    }
    hot.sort_by_key(|(version, _)| recorded(version));
    let batches = hot.chunks(10).map(|rows| {
        let versions: Vec<Version> = rows.iter().map(|(version, _)| *version).collect();
        let marks: Vec<i64> = rows.iter().map(|(_, mark)| *mark).collect();
        let is_marked = marks.iter().any(|mark| *mark != HotBatch::LIVE);
        fixture::hot(
            fixture::versions(&declaration, "CC0-1.0", &versions),
            is_marked.then_some(marks),
        )
    });
    let masks: Vec<(&LiveFile, Vec<(u32, i64)>)> = masks
        .iter()
        .map(|(file, rows)| (&**file, rows.clone()))
        .collect();
    let table = TableSnapshot {
        masks: fixture::masks_at(&masks),
        files: Arc::new(files),
        hot: Arc::new(batches.collect()),
        ..lake.table(&declaration)
    };
    lake.publish(table);
    lake
}

/// Segment, time, car as bits, recorded, superseded.
type Answer = (i64, i64, Option<u64>, Option<i64>, Option<i64>);

fn answers(batches: &[RecordBatch]) -> Vec<Answer> {
    let mut answers: Vec<Answer> = batches
        .iter()
        .flat_map(|batch| {
            let time = |column: usize, row: usize| {
                let times = batch
                    .column(column)
                    .as_primitive::<TimestampMicrosecondType>();
                times.is_valid(row).then(|| times.value(row))
            };
            (0..batch.num_rows())
                .map(|row| {
                    let cars = batch.column(2).as_primitive::<Float64Type>();
                    (
                        batch.column(0).as_primitive::<Int64Type>().value(row),
                        time(1, row).expect("a time"),
                        cars.is_valid(row).then(|| cars.value(row).to_bits()),
                        time(3, row),
                        time(4, row),
                    )
                })
                .collect::<Vec<_>>()
        })
        .collect();
    answers.sort_unstable();
    answers
}

fn expected<'a>(
    versions: impl Iterator<Item = &'a Version>,
    recorded_at: fn(&Version) -> Option<i64>,
    as_of: Option<i64>,
) -> Vec<Answer> {
    let mut answers: Vec<Answer> = versions
        .map(|version| {
            (
                version.segment,
                START + version.hour * HOUR,
                version.car.map(f64::to_bits),
                recorded_at(version),
                version
                    .superseded_at
                    .filter(|at| as_of.is_none_or(|as_of| *at <= as_of)),
            )
        })
        .collect();
    answers.sort_unstable();
    answers
}

#[tokio::test]
async fn views_equal_the_model_at_random_times() {
    let from_environment = std::env::var("MEETNET_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds: Vec<u64> = from_environment.map_or_else(|| (1..=6).collect(), |seed| vec![seed]);
    for seed in seeds {
        println!("seed {seed}; MEETNET_SEED={seed} runs it alone");
        let mut numbers = Numbers(seed);
        let model = model(&mut numbers);
        let database = Database::over(lay_out(&model, &mut numbers));
        let columns = "segment_id, time, car, recorded_at, superseded_at";
        let all = || model.iter().flatten();

        let history = database
            .batches(&format!("SELECT {columns} FROM random_history"))
            .await;
        let expect = expected(all(), |version| Some(recorded(version)), None);
        assert_eq!(answers(&history), expect, "seed {seed}");

        for round in 0..20 {
            // Half of the times are those of a change: at it, and just before.
            let at = match round % 4 {
                0 | 1 => {
                    let versions = &model[numbers.below(KEYS as u64) as usize];
                    recorded(&versions[numbers.below(versions.len() as u64) as usize]) - round % 2
                }
                _ => START + numbers.below(1000 * HOUR as u64),
            };
            let shown = format_time(at);
            let known = |version: &&Version| recorded(version) <= at;
            let live = |version: &&Version| {
                known(version)
                    && version
                        .superseded_at
                        .is_none_or(|superseded| superseded > at)
            };
            let expect = expected(all().filter(live), |version| version.recorded_at, Some(at));
            let by_function = format!("SELECT {columns} FROM random_as_of('{shown}')");
            assert_eq!(
                answers(&database.batches(&by_function).await),
                expect,
                "seed {seed}: {by_function}"
            );
            let as_of = |table: &str, filter: &str| QueryRequest {
                as_of: Some(at),
                ..QueryRequest::public(format!("SELECT {columns} FROM {table} {filter}"))
            };
            let by_request = database.answer(as_of("random", "")).await.expect("rows");
            assert_eq!(answers(&by_request), expect, "seed {seed}: as of {shown}");

            let history = database
                .answer(as_of("random_history", ""))
                .await
                .expect("rows");
            let expect = expected(
                all().filter(known),
                |version| Some(recorded(version)),
                Some(at),
            );
            assert_eq!(
                answers(&history),
                expect,
                "seed {seed}: history as of {shown}"
            );

            // One key, so that files and row groups are skipped.
            let key = &model[numbers.below(KEYS as u64) as usize];
            let time = format_time(START + key[0].hour * HOUR);
            let filter = format!("WHERE segment_id = {} AND time = '{time}'", key[0].segment);
            let expect = expected(
                key.iter().filter(live),
                |version| version.recorded_at,
                Some(at),
            );
            let one = database
                .answer(as_of("random", &filter))
                .await
                .expect("rows");
            assert_eq!(answers(&one), expect, "seed {seed}: {filter} as of {shown}");
        }
        let now = database.answer(QueryRequest {
            as_of: Some(STABLE),
            ..QueryRequest::public(format!("SELECT {columns} FROM random"))
        });
        let current = database
            .batches(&format!("SELECT {columns} FROM random"))
            .await;
        assert_eq!(
            answers(&now.await.expect("rows")),
            answers(&current),
            "seed {seed}"
        );
    }
}

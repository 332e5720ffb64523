use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use meetnet_lake::damage::Damage;
use meetnet_lake::snapshot::{HotBatch, LiveFile};
use meetnet_model::dataset::DatasetKind;

use super::*;
use crate::client::{Client, Protocol};
use crate::fixture::{self, Database, HOUR, Row, START, Version, batch, hot, shown};
use crate::options::QueryOptions;

/// Segment, time and cars of each newest row.
async fn latest(database: &Database, dataset: &str) -> Vec<String> {
    let rows = latest_of(&database.service, dataset).await;
    rows.expect("a page")
}

/// The same, as a service answers it.
async fn latest_of(service: &QueryService, dataset: &str) -> Result<Vec<String>, QueryError> {
    let columns = ["segment_id", "time", "car"].map(str::to_owned);
    let page = service
        .latest(&DatasetId::new(dataset), &columns, &[])
        .await?;
    let mut rows = Vec::new();
    for batch in &page.batches {
        for cells in shown(batch).expect("cells") {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            rows.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    Ok(rows)
}

#[tokio::test]
async fn the_newest_row_of_every_series_is_current() {
    let database = Database::new();
    let revised = [
        "1 2026-01-01T01:00:00Z 111.0",
        "2 2026-01-01T01:00:00Z ",
        "3 2026-01-01T00:00:00Z ",
        "4 2026-01-01T02:00:00Z ",
        "9 2026-02-01T00:00:00Z 91.0",
    ];
    for _ in 0..2 {
        assert_eq!(latest(&database, "revised").await, revised);
    }
}

/// Hot rows, a commit, a revision, an erasure: after each the rows are those that a query finds.
#[tokio::test]
async fn the_rows_follow_the_table() {
    let database = Database::new();
    let counts = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()].declaration);
    let check = async |what: &str, expect: &[&str]| {
        assert_eq!(latest(&database, "counts").await, expect, "{what}");
    };
    let (one, two, three) = (
        "1 2026-02-05T03:00:00Z 10.0",
        "2 2026-02-05T03:00:00Z 20.0",
        "3 2026-02-05T03:00:00Z 30.0",
    );
    let (four, nine) = ("4 2026-03-01T14:00:00Z 40.0", "9 2026-03-01T09:00:00Z ");
    check("at first", &[one, two, three, four, nine]).await;

    let change = |change: &dyn Fn(&mut TableSnapshot)| {
        let mut table =
            TableSnapshot::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
        table.stable_time += 200 * HOUR;
        change(&mut table);
        database.lake.publish(table);
    };
    let push = |table: &mut TableSnapshot, row: Row, superseded: Option<i64>| {
        let mut hot_rows: Vec<HotBatch> = table.hot.to_vec();
        let marks = superseded.map(|at| vec![at]);
        hot_rows.push(hot(batch(&counts, "CC0-1.0", &[row]), marks));
        table.hot = Arc::new(hot_rows);
    };
    // Received at half the hour, between the stable times before and after.
    change(&|table| push(table, (1, 2100, Some(1.0)), None));
    let first = "1 2026-03-29T12:00:00Z 1.0";
    check("a newer hot row", &[first, two, three, four, nine]).await;
    change(&|table| push(table, (2, 7, Some(7.0)), None));
    check("an older one", &[first, two, three, four, nine]).await;
    change(&|table| {
        let now = table.stable_time;
        push(table, (3, 2900, Some(3.0)), Some(now));
    });
    check("a replaced one", &[first, two, three, four, nine]).await;

    // A commit of all hot rows, and rows that came and were committed since somebody asked.
    let live = [
        (4, 1430, Some(40.0)),
        (1, 5, Some(500.0)),
        (1, 2100, Some(1.0)),
        (2, 7, Some(7.0)),
    ];
    let came = [(5, 3300, Some(5.0)), (2, 3310, None)];
    let lost = [(3, 2900, 3.0), (1, 5, 400.0)].map(|(segment, hour, car)| Version {
        segment,
        hour,
        car: Some(car),
        received_at: START + hour * HOUR / 2 + 1_000_000,
        recorded_at: None,
        superseded_at: Some(START + 1600 * HOUR),
        revision: 0,
    });
    let rows = [&live[..], &came[..]].concat();
    let lake = &database.lake;
    let committed = [
        lake.file(&counts, ("CC0-1.0", false, "2026-03"), &rows, 64),
        lake.versions_file(&counts, ("CC0-1.0", true, "2026-03"), &lost, 64),
    ];
    change(&|table| {
        table.version += 1;
        table.hot = Arc::default();
        let files = table.files.iter().chain(&committed).cloned().collect();
        table.files = Arc::new(files);
    });
    let (second, fifth) = ("2 2026-05-18T22:00:00Z ", "5 2026-05-18T12:00:00Z 5.0");
    check("a commit", &[first, second, three, four, fifth, nine]).await;

    // The licence of segment 9 goes, as an erasure or the retention takes files.
    change(&|table| {
        table.version += 1;
        let kept = table
            .files
            .iter()
            .filter(|file| file.licence.as_str() == "CC0-1.0");
        table.files = Arc::new(kept.cloned().collect());
    });
    check("an erasure", &[first, second, three, four, fifth]).await;
}

/// What was read of a file is not answered once that is known to be damaged.
#[tokio::test]
async fn rows_of_a_damaged_file_are_not_kept() {
    let database = Database::new();
    latest(&database, "counts").await;
    let table = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    for file in table.files.iter() {
        let damage = Some(Damage::WrongChecksum);
        table.folder.note_damage(&file.path, damage);
    }
    let counts = DatasetId::new("counts");
    let page = database.service.latest(&counts, &[], &[]).await;
    assert!(page.is_err(), "the rows are of damaged files");
}

#[tokio::test]
async fn columns_and_conditions() {
    let database = Database::new();
    let ask = async |columns: &[&str], conditions: &[PageCondition]| {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let page = database
            .service
            .latest(&DatasetId::new("counts"), &columns, conditions)
            .await?;
        Ok::<_, QueryError>((page.schema.fields().len(), page.batches[0].num_rows()))
    };
    let condition = |column: &str, test: PageTest| PageCondition {
        column: column.to_owned(),
        test,
    };
    let text = |text: &str| PageValue::Text(text.to_owned());
    let any = |values: Vec<PageValue>| PageTest::AnyOf(values);
    for (column, test, rows) in [
        (
            "segment_id",
            any(vec![PageValue::Int(1), PageValue::Int(9)]),
            2,
        ),
        ("place", any(vec![text("segment-4")]), 1),
        ("car", any(vec![PageValue::Float(20.0)]), 1),
        ("quality", any(vec![PageValue::Int(1)]), 5),
        ("licence", any(vec![text("ODbL-1.0")]), 1),
        ("superseded_at", any(vec![PageValue::Time(0)]), 0),
    ] {
        let conditions = [condition(column, test)];
        let found = ask(&["car"], &conditions).await.expect("a page");
        assert_eq!(found, (1, rows), "{column}");
    }
    let many = |count: i64| {
        let values = (0..count).map(PageValue::Int);
        [condition("segment_id", any(values.collect()))]
    };
    let found = ask(&["car"], &many(1000)).await.expect("a page");
    assert_eq!(found, (1, 5));
    let error = ask(&["car"], &many(1001)).await.expect_err("too many");
    assert!(error.message.contains("at most 1000"), "{error}");
    let all = ask(&[], &[]).await.expect("a page");
    assert_eq!(all, (13, 5));
    let greater = [condition("car", PageTest::Greater(PageValue::Float(1.0)))];
    let error = ask(&[], &greater).await.expect_err("not equality");
    assert!(error.message.contains("by equality only"), "{error}");
    let error = ask(&["cars"], &[]).await.expect_err("no column");
    assert!(
        error.message.contains("there is no column `cars`"),
        "{error}"
    );
    let private = DatasetId::new("notes");
    let missing = database.service.latest(&private, &[], &[]);
    let error = missing.await.expect_err("a private dataset");
    assert_eq!(error.kind, QueryErrorKind::NotFound);
}

/// A service over the lake of tests, as a client at an address sees it.
fn service_at(database: &Database, options: QueryOptions, address: &str) -> QueryService {
    let snapshot = Arc::clone(&database.lake.snapshot);
    let service = QueryService::new(options, snapshot).expect("a service");
    service.for_client(at(address))
}

fn at(address: &str) -> Client {
    Client::of_address(Protocol::Http, address.parse().ok())
}

/// Whoever causes the reading does so at a place of its own; what has been read costs nobody one.
#[tokio::test(flavor = "multi_thread")]
async fn the_rows_are_read_at_the_place_of_who_asks() {
    let database = Database::new();
    let options = QueryOptions {
        running_max: 4,
        client_running_max: 1,
        client_queued_max: 0,
        ..QueryOptions::default()
    };
    let greedy = service_at(&database, options, "192.0.2.1");
    let other = greedy.for_client(at("198.51.100.1"));
    let endless = QueryRequest::public("SELECT count(*) FROM generate_series(1, 1000000000000)");
    let asking = greedy.clone();
    let running = tokio::spawn(async move { asking.query(endless).await.map(|_| ()) });
    while greedy.places().left > 0 {
        tokio::task::yield_now().await;
    }
    let dataset = DatasetId::new("counts");
    let error = greedy.latest(&dataset, &[], &[]).await;
    let error = error.expect_err("it has all places that it may have");
    assert_eq!(error.kind, QueryErrorKind::OverShare, "{error}");
    // That says nothing of the rows: others read them, and from then on they are there for everybody.
    let page = other.latest(&dataset, &[], &[]).await;
    assert_eq!(page.expect("a page").batches[0].num_rows(), 5);
    let page = greedy.latest(&dataset, &[], &[]).await;
    assert_eq!(page.expect("a page").batches[0].num_rows(), 5);
    running.abort();
}

/// Where rows are is read anew for who asks for it, also where the rows are known.
#[tokio::test(flavor = "multi_thread")]
async fn places_are_read_at_the_place_of_who_asks() {
    let database = Database::new();
    let declarations = meetnet_model::schemas::builtin().into_declarations([]);
    let segments = declarations.dataset("segments");
    let segments = database.lake.table(segments.expect("a built-in dataset"));
    database.lake.publish(segments);
    let options = QueryOptions {
        running_max: 4,
        client_running_max: 1,
        client_queued_max: 0,
        ..QueryOptions::default()
    };
    let greedy = service_at(&database, options, "192.0.2.1");
    let other = greedy.for_client(at("198.51.100.1"));
    let dataset = DatasetId::new("counts");
    let columns = ["segment_id", "lon", "lat"].map(str::to_owned);
    let page = other.latest(&dataset, &columns, &[]).await;
    assert_eq!(page.expect("a page").batches[0].num_rows(), 5);
    let endless = QueryRequest::public("SELECT count(*) FROM generate_series(1, 1000000000000)");
    let asking = greedy.clone();
    let running = tokio::spawn(async move { asking.query(endless).await.map(|_| ()) });
    while greedy.places().left > 0 {
        tokio::task::yield_now().await;
    }
    let page = greedy.latest(&dataset, &[], &[]).await;
    assert_eq!(page.expect("a page").batches[0].num_rows(), 5);
    let error = greedy.latest(&dataset, &columns, &[]).await;
    let error = error.expect_err("it has all places that it may have");
    assert_eq!(error.kind, QueryErrorKind::OverShare, "{error}");
    running.abort();
}

/// What is known needs no query where it becomes files; what is only there does.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_rows_that_are_known_takes_no_place() {
    let database = Database::new();
    let counts = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()].declaration);
    let options = QueryOptions {
        running_max: 4,
        client_running_max: 1,
        client_queued_max: 0,
        ..QueryOptions::default()
    };
    let service = service_at(&database, options, "192.0.2.1");
    let change = |change: &dyn Fn(&mut TableSnapshot)| {
        let mut table =
            TableSnapshot::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
        table.stable_time += 200 * HOUR;
        change(&mut table);
        database.lake.publish(table);
    };
    let coming = |row: Row| hot(batch(&counts, "CC0-1.0", &[row]), None);
    latest_of(&service, "counts").await.expect("rows");
    // Received at half the hour.
    change(&|table| {
        let known = table.hot.iter().cloned();
        table.hot = Arc::new(known.chain([coming((1, 2100, Some(1.0)))]).collect());
    });
    let (first, three) = ("1 2026-03-29T12:00:00Z 1.0", "3 2026-02-05T03:00:00Z 30.0");
    let (four, nine) = ("4 2026-03-01T14:00:00Z 40.0", "9 2026-03-01T09:00:00Z ");
    let found = latest_of(&service, "counts").await.expect("rows");
    let second = "2 2026-02-05T03:00:00Z 20.0";
    assert_eq!(found, [first, second, three, four, nine]);

    let endless = QueryRequest::public("SELECT count(*) FROM generate_series(1, 1000000000000)");
    let asking = service.clone();
    let running = tokio::spawn(async move { asking.query(endless).await.map(|_| ()) });
    while service.places().left > 0 {
        tokio::task::yield_now().await;
    }
    let lake = &database.lake;
    let live = [
        (1, 5, Some(500.0)),
        (4, 1430, Some(40.0)),
        (1, 2100, Some(1.0)),
    ];
    let replaced = Version {
        segment: 1,
        hour: 5,
        car: Some(400.0),
        received_at: START + 5 * HOUR / 2 + 1_000_000,
        recorded_at: None,
        superseded_at: Some(START + 5 * HOUR),
        revision: 0,
    };
    let committed = [
        lake.file(&counts, ("CC0-1.0", false, "2026-03"), &live, 64),
        lake.versions_file(&counts, ("CC0-1.0", true, "2026-01"), &[replaced], 64),
    ];
    change(&|table| {
        table.version += 1;
        table.hot = Arc::new(vec![coming((2, 2500, Some(5.0)))]);
        let files = table.files.iter().chain(&committed).cloned().collect();
        table.files = Arc::new(files);
    });
    let second = "2 2026-04-15T04:00:00Z 5.0";
    let found = latest_of(&service, "counts").await.expect("rows");
    assert_eq!(found, [first, second, three, four, nine]);

    // As many rows have gone as have come and been committed since: there are as many as before, and others.
    let rows: Vec<Row> = (3000..3010).map(|hour| (5, hour, Some(6.0))).collect();
    let came = lake.file(&counts, ("CC0-1.0", false, "2026-05"), &rows, 64);
    change(&|table| {
        table.version += 1;
        let kept = table
            .files
            .iter()
            .filter(|file| file.licence.as_str() == "CC0-1.0");
        table.files = Arc::new(kept.chain([&came]).cloned().collect());
    });
    let error = latest_of(&service, "counts").await;
    let error = error.expect_err("it has all places that it may have");
    assert_eq!(error.kind, QueryErrorKind::OverShare, "{error}");
    let other = service.for_client(at("198.51.100.1"));
    let found = latest_of(&other, "counts").await.expect("rows");
    let fifth = "5 2026-05-06T09:00:00Z 6.0";
    assert_eq!(found, [first, second, three, four, fifth]);
    running.abort();
}

/// Rows that came may lie in one batch with those before them, and those may have been replaced since.
#[tokio::test]
async fn hot_rows_that_were_joined_are_looked_at_once() {
    let database = Database::new();
    let counts = Arc::clone(&database.lake.snapshot.load().tables[&"counts".into()].declaration);
    let known = latest(&database, "counts").await;
    let publish = |rows: &[Row], replaced: &[usize]| {
        let mut table =
            TableSnapshot::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
        table.stable_time += 200 * HOUR;
        let marks = (0..rows.len()).map(|row| {
            let is_replaced = replaced.contains(&row);
            if is_replaced {
                table.stable_time
            } else {
                HotBatch::LIVE
            }
        });
        let joined = hot(batch(&counts, "CC0-1.0", rows), Some(marks.collect()));
        let first = table.hot.iter().take(2).cloned();
        table.hot = Arc::new(first.chain([joined]).collect());
        database.lake.publish(table);
    };
    let (one, other) = ("1 2026-03-29T12:00:00Z 1.0", "1 2026-03-29T12:00:00Z 7.0");
    let rows = [
        (1, 2100, Some(1.0)),
        (1, 2090, Some(2.0)),
        (1, 2100, Some(7.0)),
    ];
    let mut expect = known;
    publish(&rows[..1], &[]);
    expect[0] = one.to_owned();
    assert_eq!(latest(&database, "counts").await, expect);
    publish(&rows[..2], &[]);
    assert_eq!(latest(&database, "counts").await, expect);
    publish(&rows, &[0]);
    expect[0] = other.to_owned();
    assert_eq!(latest(&database, "counts").await, expect);

    // Fewer than were known: which of them are is not known, either.
    let mut table = TableSnapshot::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    let newer = batch(&counts, "CC0-1.0", &[(1, 2110, Some(8.0))]);
    table.hot = Arc::new(vec![hot(newer, None)]);
    database.lake.publish(table);
    expect[0] = "1 2026-03-29T22:00:00Z 8.0".to_owned();
    assert_eq!(latest(&database, "counts").await, expect);
}

/// A version of a row, numbered as it was recorded.
#[derive(Clone, Copy)]
struct Recorded {
    number: u64,
    version: Version,
    /// The row that has replaced it.
    by: Option<u64>,
}

/// A table to which anything happens, and what is current in it.
struct ByChance {
    state: u64,
    recorded: Vec<Recorded>,
    /// Number of the next row.
    next: u64,
    /// Rows from this number on are hot.
    hot_from: u64,
}

impl ByChance {
    fn below(&mut self, limit: u64) -> u64 {
        let next = self.state.wrapping_mul(6_364_136_223_846_793_005);
        self.state = next.wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % limit
    }

    /// New rows, late ones, revisions, and rows that come behind what has replaced them.
    fn record(&mut self, now: i64) {
        for _ in 0..self.below(6) {
            let (segment, hour) = (self.below(4) as i64, self.below(8) as i64);
            let car = Some(self.below(4) as f64);
            let number = self.next;
            let mut came = Recorded {
                number,
                version: Version {
                    segment,
                    hour,
                    car,
                    received_at: now,
                    recorded_at: None,
                    superseded_at: None,
                    revision: 0,
                },
                by: None,
            };
            let is_late = self.below(4) == 0;
            let current = self.recorded.iter_mut().find(|known| {
                let key = (known.version.segment, known.version.hour);
                known.by.is_none() && key == (segment, hour)
            });
            if let Some(current) = current {
                if current.version.car == car {
                    continue;
                }
                let replaced = if is_late { &mut came } else { current };
                replaced.by = Some(number);
                replaced.version.superseded_at = Some(now);
            }
            self.recorded.push(came);
            self.next += 1;
        }
    }

    /// Returns true for a version that files hold as a replaced one.
    fn is_stored_as_replaced(&self, row: &Recorded) -> bool {
        row.by.is_some_and(|by| by < self.hot_from)
    }

    /// The versions that files hold, current or replaced then, in the order of a file.
    fn stored(&self, is_replaced: bool) -> Vec<Version> {
        let stored = self.recorded.iter().filter(|row| {
            row.number < self.hot_from && self.is_stored_as_replaced(row) == is_replaced
        });
        let mut stored: Vec<Version> = stored.map(|row| row.version).collect();
        stored.sort_by_key(|version| (version.segment, version.hour));
        stored
    }

    /// Hot rows, in other batches each time.
    fn hot(&mut self, declaration: &DatasetDeclaration) -> Vec<HotBatch> {
        let hot_from = self.hot_from;
        let rows = self.recorded.iter().filter(|row| row.number >= hot_from);
        let rows: Vec<Version> = rows.map(|row| row.version).collect();
        let mut batches = Vec::new();
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let length = 1 + self.below(5) as usize;
            let (first, others) = rest.split_at(length.min(rest.len()));
            let marks = first.iter().map(|version| version.superseded_at);
            let marks = marks.map(|at| at.unwrap_or(HotBatch::LIVE)).collect();
            let batch = fixture::versions(declaration, "CC0-1.0", &unmarked(first));
            batches.push(hot(batch, Some(marks)));
            rest = others;
        }
        batches
    }

    /// The rows of an answer.
    fn expect(&self) -> Vec<String> {
        let mut newest: BTreeMap<i64, Version> = BTreeMap::new();
        for row in self.recorded.iter().filter(|row| row.by.is_none()) {
            let of_segment = newest.entry(row.version.segment).or_insert(row.version);
            if row.version.hour > of_segment.hour {
                *of_segment = row.version;
            }
        }
        let shown = newest.values().map(|version| {
            let time = format_rfc3339(START + version.hour * HOUR);
            let car = version.car.unwrap_or(f64::NAN);
            format!("{} {time} {car:.1}", version.segment)
        });
        shown.collect()
    }
}

/// As they were before something replaced them.
fn unmarked(versions: &[Version]) -> Vec<Version> {
    let unmarked = versions.iter().map(|version| Version {
        superseded_at: None,
        ..*version
    });
    unmarked.collect()
}

/// Whatever is recorded, replaced, committed in part, merged, erased and forgotten between two requests.
#[tokio::test]
async fn the_rows_are_those_that_are_current_whatever_came_between() {
    for seed in 0..4 {
        let database = Database::new();
        let lake = &database.lake;
        let counts = Arc::clone(&lake.snapshot.load().tables[&"counts".into()].declaration);
        let mut table = ByChance {
            state: seed,
            recorded: Vec::new(),
            next: 0,
            hot_from: 0,
        };
        let mut version = 1;
        let mut files: Vec<Arc<LiveFile>> = Vec::new();
        for step in 0..60 {
            let now = START + (1000 + step) * HOUR;
            let change = table.below(8);
            match change {
                0..=3 => table.record(now),
                // All hot rows, some, or none: then files are merged.
                4..=6 => table.hot_from += table.below(table.next - table.hot_from + 1),
                _ => {
                    table.hot_from = table.next;
                    let erased = table.below(5) as i64;
                    table.recorded.retain(|row| match erased {
                        4 => row.by.is_none(),
                        _ => row.version.segment != erased,
                    });
                }
            }
            if change > 3 {
                version += 1;
                files.clear();
                let parts = [(false, table.stored(false)), (true, table.stored(true))];
                for (is_replaced, mut rows) in parts {
                    if !is_replaced {
                        rows = unmarked(&rows);
                    }
                    if !rows.is_empty() {
                        let partition = ("CC0-1.0", is_replaced, "2026-01");
                        files.push(lake.versions_file(&counts, partition, &rows, 64));
                    }
                }
            }
            let marks = table.stored(false).into_iter().zip(0..);
            let marks = marks.filter_map(|(version, row)| Some((row, version.superseded_at?)));
            let marks: Vec<(u32, i64)> = marks.collect();
            let masks = match files.first() {
                Some(current) if !marks.is_empty() => fixture::masks_at(&[(&**current, marks)]),
                _ => Arc::default(),
            };
            lake.publish(TableSnapshot {
                version,
                stable_time: now,
                files: Arc::new(files.clone()),
                masks,
                hot: Arc::new(table.hot(&counts)),
                ..lake.table(&counts)
            });
            // Not after each change: several may have come.
            if table.below(2) == 0 {
                let found = latest(&database, "counts").await;
                assert_eq!(found, table.expect(), "seed {seed}, step {step}");
            }
        }
    }
}

/// A failure is told to all who ask until it is tried again, and the pause doubles.
#[tokio::test]
async fn what_could_not_be_read_is_not_read_by_everybody_who_asks() {
    let database = Database::new();
    let options = QueryOptions {
        row_limit: 2,
        running_max: 1,
        queue_time_max: Duration::from_secs(2),
        ..QueryOptions::default()
    };
    let service = service_at(&database, options, "192.0.2.1");
    let dataset = DatasetId::new("counts");
    let refused = async || {
        let refused = service.latest(&dataset, &[], &[]).await;
        let error = refused.expect_err("five series are more than two rows");
        assert_eq!(error.kind, QueryErrorKind::Busy, "{error}");
        assert!(error.message.contains("more series"), "{error}");
        error.retry_after_s()
    };
    assert_eq!(refused().await, Some(5));
    // Nobody reads again: there would be no place to do so.
    let endless = QueryRequest::public("SELECT count(*) FROM generate_series(1, 1000000000000)");
    let asking = service.clone();
    let running = tokio::spawn(async move { asking.query(endless).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(refused().await.is_some_and(|seconds| seconds <= 5));
    running.abort();
    let end_pause = async || {
        let held = service.latest_cache().held(&dataset, Duration::ZERO).await;
        held.expect("nobody is at work").end_pause();
    };
    end_pause().await;
    assert_eq!(refused().await, Some(10));
    // One series is left, and once it has been read nothing is remembered of the failures.
    let all = TableSnapshot::clone(&database.lake.snapshot.load().tables[&dataset]);
    let of_nine = all
        .files
        .iter()
        .filter(|file| file.licence.as_str() != "CC0-1.0");
    database.lake.publish(TableSnapshot {
        version: all.version + 1,
        files: Arc::new(of_nine.cloned().collect()),
        hot: Arc::default(),
        masks: Arc::default(),
        ..all.clone()
    });
    assert!(
        service.latest(&dataset, &[], &[]).await.is_err(),
        "the pause lasts"
    );
    end_pause().await;
    let page = service.latest(&dataset, &[], &[]).await.expect("a page");
    assert_eq!(page.batches[0].num_rows(), 1);
    database.lake.publish(TableSnapshot {
        version: all.version + 2,
        ..all
    });
    assert_eq!(
        refused().await,
        Some(5),
        "the first of a new row of failures"
    );
}

/// Who waits while somebody else reads does not wait for longer than for a turn.
#[tokio::test]
async fn who_waits_for_the_reading_of_another_is_not_kept_for_long() {
    let database = Database::new();
    let options = QueryOptions {
        queue_time_max: Duration::from_millis(50),
        ..QueryOptions::default()
    };
    let service = service_at(&database, options, "192.0.2.1");
    let dataset = DatasetId::new("counts");
    let reading = service.latest_cache().held(&dataset, Duration::ZERO).await;
    let error = service.latest(&dataset, &[], &[]).await;
    let error = error.expect_err("somebody is reading");
    assert_eq!(error.kind, QueryErrorKind::Busy, "{error}");
    drop(reading);
    assert!(service.latest(&dataset, &[], &[]).await.is_ok());
}

/// Of a table that is larger than the memory of a query, what is held are the series, however many rows each has.
#[tokio::test]
async fn a_table_larger_than_the_memory_of_a_query_has_newest_rows() {
    const SERIES: i64 = 400;
    const HOURS: i64 = 600;
    const MEMORY: usize = 16 << 20;
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let mut files = Vec::new();
    let mut bytes = 0;
    for part in 0..4 {
        let rows = (0..SERIES).flat_map(|segment| {
            (part * HOURS / 4..(part + 1) * HOURS / 4).map(move |hour| (segment, hour, Some(1.0)))
        });
        let rows: Vec<Row> = rows.collect();
        bytes += batch(&counts, "CC0-1.0", &rows).get_array_memory_size();
        files.push(lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 16_384));
    }
    assert!(bytes > MEMORY + MEMORY / 4, "{bytes}");
    lake.publish(TableSnapshot {
        files: Arc::new(files),
        ..lake.table(&counts)
    });
    let options = QueryOptions {
        threads: 2,
        memory_bytes_max: MEMORY,
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let page = service.latest(&DatasetId::new("counts"), &[], &[]).await;
    let page = page.expect("a page");
    let rows: usize = page.batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, SERIES as usize);
}

/// Where memory ends all the same, the advice is one that can be followed: there is nothing to narrow.
#[test]
fn a_limit_of_the_reading_is_told_to_whom_it_helps() {
    let check = |kind: QueryErrorKind, limit: &str| {
        let of_query = QueryError::new(kind, "too much; narrow it by time");
        let told = of_reading(of_query);
        assert_eq!(told.kind, kind);
        assert!(told.message.contains(limit), "{told}");
        assert!(!told.message.contains("narrow"), "{told}");
    };
    check(QueryErrorKind::TooLarge, "memory_bytes_max");
    check(QueryErrorKind::Timeout, "query_time_max");
    let other = QueryError::new(QueryErrorKind::Internal, "a file is broken");
    assert_eq!(of_reading(other).message, "a file is broken");
}

/// All of ten thousand series, again and again, and with a new row each time.
#[tokio::test]
async fn ten_thousand_series_take_no_time() {
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let rows: Vec<Row> = (0..10_000).map(|segment| (segment, 1, Some(1.0))).collect();
    let file = lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 4096);
    let table = |hot_rows: Vec<HotBatch>| TableSnapshot {
        files: Arc::new(vec![Arc::clone(&file)]),
        hot: Arc::new(hot_rows),
        ..lake.table(&counts)
    };
    lake.publish(table(Vec::new()));
    let lake_of = |rows: i64| {
        let rows: Vec<Row> = (0..rows).map(|row| (row, 2 + row, Some(2.0))).collect();
        table(vec![hot(batch(&counts, "CC0-1.0", &rows), None)])
    };
    let tables: Vec<TableSnapshot> = (1..20).map(lake_of).collect();
    let database = Database::over(lake);
    let id = DatasetId::new("counts");
    let mut least = Duration::MAX;
    for table in std::iter::once(None).chain(tables.into_iter().map(Some)) {
        if let Some(table) = table {
            database.lake.publish(table);
        }
        let started = Instant::now();
        let page = database
            .service
            .latest(&id, &[], &[])
            .await
            .expect("a page");
        least = least.min(started.elapsed());
        assert_eq!(page.batches[0].num_rows(), 10_000);
    }
    println!("newest rows of 10,000 series in {least:?}");
    assert!(least < Duration::from_millis(20), "{least:?}");
}

//! Periods of places: when one goes on, when another begins, and that commits and restarts make no difference.

use meetnet_model::privacy::{exact_place, snap_place};
use meetnet_model::schemas;

use super::*;

/// What a message says of a station.
#[derive(Clone, Copy)]
struct Told {
    id: &'static str,
    name: &'static str,
    /// Minutes after [`START`]; none: the message only knows where the station is now.
    since: Option<i64>,
    lon: f64,
    /// Its source publishes places as they are.
    is_exact: bool,
    municipality: Option<&'static str>,
    source: &'static str,
}

/// A source of a higher precedence.
const REGISTRY: &str = "registry";

const HOME: f64 = 4.701;
/// Near home, of which it is not the point of the grid.
const AT_THE_DOOR: f64 = 4.70052;
/// 105 m further, the next point of the grid.
const NEXT_DOOR: f64 = 4.7025;
const ACROSS_TOWN: f64 = 4.731;
const OUT_OF_TOWN: f64 = 4.8;

fn seen(lon: f64) -> Told {
    Told {
        id: "a",
        name: "shed",
        since: None,
        lon,
        is_exact: false,
        municipality: None,
        source: "s",
    }
}

/// As the registry tells it.
fn registered(told: Told) -> Told {
    Told {
        source: REGISTRY,
        ..told
    }
}

/// Opens the table, with what is declared of its sources.
fn open_stations(root: &std::path::Path, trimmed: u64) -> DatasetActor {
    let mut actor = open_as(root, stations(), trimmed).unwrap();
    actor.set_precedences(&Arc::new([(REGISTRY.into(), 1)].into()));
    actor
}

fn since(minute: i64, lon: f64) -> Told {
    Told {
        since: Some(minute),
        ..seen(lon)
    }
}

fn stations() -> Arc<DatasetDeclaration> {
    let declarations = schemas::builtin().into_declarations([]);
    Arc::clone(declarations.dataset("stations").unwrap())
}

struct Table {
    root: tempfile::TempDir,
    actor: DatasetActor,
    sequence: u64,
}

impl Table {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let actor = open_stations(&root.path().join("stations"), 0);
        Self {
            root,
            actor,
            sequence: 0,
        }
    }

    /// Applies messages of one group, the first received at this minute and each a minute after the one before.
    fn take(&mut self, minute: i64, told: &[Told]) -> Applied {
        let declaration = stations();
        let column = |name: &str| declaration.column_index(name).unwrap();
        let mut builder = RowsBuilder::new(Arc::clone(&declaration));
        let mut lineage = Vec::new();
        for (index, told) in told.iter().enumerate() {
            self.sequence += 1;
            let received_at = START + (minute + index as i64) * MINUTE;
            let publish = if told.is_exact {
                exact_place
            } else {
                snap_place
            };
            let place = publish(told.lon, 50.88).unwrap();
            builder.set_text(column("id"), told.id);
            builder.set_text(column("name"), told.name);
            match told.since {
                Some(since) => builder.set_int(column("valid_from"), START + since * MINUTE),
                None => builder.set_receive_time(column("valid_from"), received_at),
            }
            builder.set_float(column("lon"), place.lon);
            builder.set_float(column("lat"), place.lat);
            builder.set_int(column("h3_r9"), place.h3_r9);
            if let Some(municipality) = told.municipality {
                builder.set_text(column("municipality"), municipality);
            }
            builder.finish_row(index as u32).unwrap();
            lineage.push(Lineage {
                sequence: Sequence(self.sequence),
                received_at,
                recorded_at: START + self.sequence as i64,
                source: told.source.into(),
                licence: "CC0-1.0".into(),
                precedence: i32::from(told.source == REGISTRY),
                confirms: false,
            });
        }
        let rows = builder.take();
        self.actor.apply(&rows, &lineage, true, &mut flag).unwrap()
    }

    fn commit(&mut self) {
        commit(&mut self.actor, self.sequence);
    }

    /// Opens the table again as after a clean end.
    fn restart(&mut self) {
        self.commit();
        let root = self.root.path().join("stations");
        self.actor = open_stations(&root, self.sequence);
    }

    /// The current rows: id, minutes of begin and end, longitude, name; by id and begin.
    fn periods(&self) -> Vec<String> {
        let mut rows = Vec::new();
        let mut add = |batch: &RecordBatch, is_live: &dyn Fn(usize) -> bool| {
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            let (id, name) = (column("id"), column("name"));
            let municipality = column("municipality");
            let (from, to, lon) = (column("valid_from"), column("valid_to"), column("lon"));
            let minute = |array: &dyn Array, row: usize| {
                let array = array.as_primitive::<TimestampMicrosecondType>();
                (!array.is_null(row)).then(|| (array.value(row) - START) / MINUTE)
            };
            for row in (0..batch.num_rows()).filter(|row| is_live(*row)) {
                let key = (
                    id.as_string::<i32>().value(row).to_owned(),
                    minute(&from, row),
                );
                let end = minute(&to, row).map_or("now".to_owned(), |end| end.to_string());
                let mut text = format!(
                    "{} {}..{end} {} {}",
                    key.0,
                    key.1.unwrap(),
                    lon.as_primitive::<Float64Type>().value(row),
                    name.as_string::<i32>().value(row)
                );
                if municipality.is_valid(row) {
                    text = format!("{text} {}", municipality.as_string::<i32>().value(row));
                }
                rows.push((key, text));
            }
        };
        let snapshot = self.actor.snapshot(Sequence(self.sequence), 0);
        for file in snapshot.files.iter().filter(|file| !file.superseded) {
            let schema = snapshot.declaration.file_schema();
            let mut start = 0_u32;
            let batches = read::read_file(
                &snapshot.folder,
                &snapshot.declaration,
                file,
                &schema,
                1_000,
            );
            for batch in batches.unwrap() {
                let batch = batch.unwrap();
                let mask = snapshot.masks.get(&file.path);
                add(&batch, &|row| {
                    mask.is_none_or(|mask| !mask.rows.contains_key(&(start + row as u32)))
                });
                start += batch.num_rows() as u32;
            }
        }
        for hot in snapshot.hot.iter() {
            add(&hot.batch, &|row| {
                let marks = hot.superseded.as_ref();
                marks.is_none_or(|at| at[row] == HotBatch::LIVE)
            });
        }
        rows.sort();
        rows.into_iter().map(|(_, text)| text).collect()
    }
}

/// Applies groups of messages, each received at its minute, and compares the periods: all at once, with a commit after each
/// group, and with a restart after each.
#[track_caller]
fn check(groups: &[(i64, &[Told])], expect: &[&str]) {
    for between in ["nothing", "commit", "restart"] {
        let mut table = Table::new();
        for (minute, told) in groups {
            table.take(*minute, told);
            match between {
                "commit" => table.commit(),
                "restart" => table.restart(),
                _ => {}
            }
        }
        assert_eq!(table.periods(), expect, "{between} between the groups");
    }
}

#[test]
fn a_station_that_stays_has_one_period() {
    check(
        &[
            (0, &[seen(HOME), seen(HOME)]),
            (5, &[seen(HOME)]),
            // Its place is published once, however it is measured.
            (10, &[seen(NEXT_DOOR)]),
        ],
        &["a 0..now 4.701 shed"],
    );
    let mut table = Table::new();
    table.take(0, &[seen(HOME)]);
    table.restart();
    let again = table.take(5, &[seen(HOME), seen(NEXT_DOOR)]);
    assert_eq!(
        (again.unchanged, table.actor.hot_rows()),
        (2, 0),
        "{again:?}"
    );
}

#[test]
fn a_station_that_moves_gets_another_period() {
    let moved: &[Told] = &[seen(HOME), seen(ACROSS_TOWN)];
    check(
        &[
            (0, &[seen(HOME)]),
            (5, &[seen(ACROSS_TOWN)]),
            (10, &[seen(ACROSS_TOWN)]),
        ],
        &["a 0..5 4.701 shed", "a 5..now 4.731 shed"],
    );
    check(&[(0, moved)], &["a 0..1 4.701 shed", "a 1..now 4.731 shed"]);
    // And back again.
    check(
        &[(0, moved), (10, &[seen(HOME)])],
        &[
            "a 0..1 4.701 shed",
            "a 1..10 4.731 shed",
            "a 10..now 4.701 shed",
        ],
    );
}

#[test]
fn another_name_is_a_revision_of_the_period() {
    let renamed = Told {
        name: "barn",
        ..seen(HOME)
    };
    check(
        &[(0, &[seen(HOME)]), (5, &[renamed])],
        &["a 0..now 4.701 barn"],
    );
    // The period that ends keeps the last one that it had.
    check(
        &[
            (0, &[seen(HOME)]),
            (5, &[renamed]),
            (9, &[seen(ACROSS_TOWN)]),
        ],
        &["a 0..9 4.701 barn", "a 9..now 4.731 shed"],
    );
}

#[test]
fn an_exact_point_gives_way_to_one_of_the_grid() {
    let snapped = seen(AT_THE_DOOR);
    let exact = Told {
        is_exact: true,
        ..snapped
    };
    check(&[(0, &[exact]), (5, &[exact])], &["a 0..now 4.70052 shed"]);
    // Its source may not publish it any more.
    let expect = ["a 0..now 4.701 shed"];
    check(&[(0, &[exact]), (5, &[snapped]), (9, &[snapped])], &expect);
    check(&[(0, &[exact, snapped])], &expect);
    // The other way round a period goes on, also where two sources tell of one station.
    check(&[(0, &[snapped]), (5, &[exact])], &expect);
    let mut table = Table::new();
    table.take(0, &[exact]);
    let applied = table.take(1, &[snapped, exact, snapped, exact]);
    assert_eq!((applied.revised, applied.unchanged), (1, 3), "{applied:?}");
    // A source of lower precedence takes nothing back, and says nothing new with every message.
    let mut table = Table::new();
    table.take(0, &[registered(exact)]);
    let applied = table.take(1, &[snapped, snapped]);
    assert_eq!((applied.unchanged, applied.history), (2, 0), "{applied:?}");
}

#[test]
fn the_municipality_is_that_of_the_published_point() {
    let within = |municipality: &'static str, lon| Told {
        municipality: Some(municipality),
        ..seen(lon)
    };
    // Measured now on this side of the border, now on that one.
    let hops = [
        within("Leuven", HOME),
        within("Herent", NEXT_DOOR),
        within("Leuven", HOME),
        within("Herent", NEXT_DOOR),
    ];
    let expect = ["a 0..now 4.701 shed Leuven"];
    check(&[(0, &hops)], &expect);
    let one_by_one = [0_usize, 1, 2, 3].map(|at| (at as i64, &hops[at..=at]));
    check(&one_by_one, &expect);
    let mut table = Table::new();
    table.take(0, &hops[..1]);
    assert_eq!(table.take(1, &hops[1..]).unchanged, 3);
    // Declared later, or otherwise, of the same point; or of one near by, where nobody has said it.
    for (first, then) in [
        (seen(HOME), within("Leuven", HOME)),
        (within("Louvain", HOME), within("Leuven", HOME)),
        (seen(HOME), within("Leuven", NEXT_DOOR)),
    ] {
        check(&[(0, &[first]), (5, &[then])], &expect);
        check(&[(0, &[first, then])], &expect);
    }
    // A period that ends keeps its own.
    check(
        &[(0, &hops[..2]), (5, &[within("Bierbeek", ACROSS_TOWN)])],
        &["a 0..5 4.701 shed Leuven", "a 5..now 4.731 shed Bierbeek"],
    );
}

#[test]
fn a_start_that_is_known_later_is_a_period_before() {
    check(
        &[
            (100, &[seen(HOME)]),
            (110, &[since(20, HOME)]),
            (120, &[since(20, HOME)]),
        ],
        &["a 20..100 4.701 shed", "a 100..now 4.701 shed"],
    );
    // Time series of one station begin at several times: within what is known of it that says nothing new.
    check(
        &[(100, &[since(50, HOME), since(20, HOME), since(30, HOME)])],
        &["a 20..50 4.701 shed", "a 50..now 4.701 shed"],
    );
    // The same start told anew, elsewhere: it was wrong.
    check(
        &[(100, &[since(50, HOME)]), (110, &[since(50, ACROSS_TOWN)])],
        &["a 50..now 4.731 shed"],
    );
    check(
        &[(100, &[since(50, HOME)]), (110, &[since(80, ACROSS_TOWN)])],
        &["a 50..80 4.701 shed", "a 80..now 4.731 shed"],
    );
}

#[test]
fn a_period_before_the_newest_one_keeps_its_end() {
    let expect = [
        "a 20..50 4.731 shed",
        "a 50..80 4.701 shed",
        "a 80..now 4.8 shed",
    ];
    let told: &[Told] = &[
        since(20, ACROSS_TOWN),
        since(50, HOME),
        since(80, OUT_OF_TOWN),
    ];
    check(&[(100, told), (110, told)], &expect);
    check(
        &[
            (100, &told[..1]),
            (101, &told[1..2]),
            (102, &told[2..]),
            (110, told),
            (120, &[since(20, ACROSS_TOWN)]),
        ],
        &expect,
    );
}

#[test]
fn a_late_message_about_an_earlier_period_says_nothing_new() {
    check(
        &[
            (0, &[seen(HOME)]),
            (10, &[seen(ACROSS_TOWN)]),
            (3, &[seen(HOME), seen(NEXT_DOOR)]),
            (5, &[seen(HOME)]),
        ],
        &["a 0..10 4.701 shed", "a 10..now 4.731 shed"],
    );
}

#[test]
fn the_name_of_a_period_does_not_depend_on_what_comes_with_it() {
    let barn = Told {
        name: "barn",
        ..registered(seen(HOME))
    };
    let gone = Told {
        lon: ACROSS_TOWN,
        ..barn
    };
    let told = [barn, seen(HOME), gone];
    let expect = ["a 0..2 4.701 barn", "a 2..now 4.731 barn"];
    check(&[(0, &told)], &expect);
    check(
        &[(0, &told[..1]), (1, &told[1..2]), (2, &told[2..])],
        &expect,
    );
}

#[test]
fn a_period_goes_on_whatever_a_source_of_lower_precedence_says() {
    let told = [registered(seen(HOME)), seen(ACROSS_TOWN), seen(ACROSS_TOWN)];
    check(&[(0, &told)], &["a 0..now 4.701 shed"]);
    check(
        &[(0, &told[..1]), (1, &told[1..])],
        &["a 0..now 4.701 shed"],
    );
    check(
        &[(0, &told), (10, &[registered(seen(ACROSS_TOWN))])],
        &["a 0..10 4.701 shed", "a 10..now 4.731 shed"],
    );
    // The other way round it counts.
    check(
        &[(0, &[seen(HOME), registered(seen(ACROSS_TOWN))])],
        &["a 0..1 4.701 shed", "a 1..now 4.731 shed"],
    );
}

#[test]
fn stations_have_nothing_to_do_with_each_other() {
    let other = Told {
        id: "b",
        ..seen(ACROSS_TOWN)
    };
    check(
        &[(0, &[seen(HOME), other]), (5, &[other, seen(HOME)])],
        &["a 0..now 4.701 shed", "b 1..now 4.731 shed"],
    );
}

#[test]
fn a_message_that_is_replayed_makes_nothing_new() {
    let mut table = Table::new();
    table.take(0, &[seen(HOME)]);
    table.take(10, &[seen(ACROSS_TOWN)]);
    let expect = ["a 0..10 4.701 shed", "a 10..now 4.731 shed"];
    assert_eq!(table.periods(), expect);
    // Received before: it neither ends the newest period nor begins one.
    let applied = table.take(10, &[seen(ACROSS_TOWN)]);
    assert_eq!((applied.inserted, applied.revised), (0, 0), "{applied:?}");
    assert_eq!(table.periods(), expect);
}

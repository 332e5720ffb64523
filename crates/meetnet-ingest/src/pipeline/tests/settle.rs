//! The settle pass over stored rows: what it says, that it says it once, and who wins.

use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::common;
use meetnet_model::quality::{QualityTest, Spike};

use super::*;
use crate::settle::{SettleSummary, Settling, settle};

const MINUTE_US: i64 = 60 * SECOND_US;
/// `quality` and `quality_tests` of a row that passed its tests.
const PASS: (i8, i64) = (1, 0);

/// A stored row: minutes since the begin of the day, value, `quality` and `quality_tests`, revision.
type Stored = (i64, f64, (i8, i64), i64);

/// The begin of the third day before today, µs.
static DAY: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| {
    let today = (now_ms() * 1_000).div_euclid(DAY_US) * DAY_US;
    today - 3 * DAY_US
});

fn settling(declarations: &Arc<Declarations>) -> Settling {
    Settling {
        dataset: DatasetId::new("heat"),
        from: None,
        to: None,
        only_changed: false,
        dry_run: false,
        declarations: Arc::clone(declarations),
        now: now_ms() * 1_000,
    }
}

fn pass(daemon: &Daemon, settling: &Settling) -> SettleSummary {
    let shared = daemon.pipeline.shared();
    settle(settling, &shared, &daemon.pipeline.commands(), &mut |_| {}).unwrap()
}

/// Imports temperatures of one sensor: (minutes since the begin of the day, value).
fn import(daemon: &Daemon, id: &str, values: &[(i64, f64)]) {
    let heat = declarations().dataset("heat").cloned().unwrap();
    let column = |name: &str| heat.column_index(name).unwrap();
    let mut builder = RowsBuilder::new(Arc::clone(&heat));
    for (minute, value) in values {
        builder.set_text(column("sensor_id"), "timed-garden");
        builder.set_text(column("property"), "air_temperature");
        builder.set_int(column("time"), *DAY + minute * MINUTE_US);
        builder.set_float(column("value"), *value);
        builder.finish_row(0).unwrap();
    }
    let chunk = ImportChunk {
        import_id: id.to_owned(),
        consumed: values.len() as u64,
        rows: builder.take(),
        source: "timed".into(),
        licence: "CC0-1.0".into(),
        received_at: None,
    };
    daemon.pipeline.commands().import(chunk).unwrap();
}

/// Half an hour of quiet, with a spike in the middle.
fn with_a_spike() -> Vec<(i64, f64)> {
    let values = [20.0, 20.5, 20.0, 25.0, 20.0, 20.5, 20.0];
    (0..).map(|at| at * 5).zip(values).collect()
}

/// The current rows of `heat`.
fn stored(snapshot: &LakeSnapshot) -> Vec<Stored> {
    let table = &snapshot.tables[&DatasetId::new("heat")];
    let columns = [
        "value",
        common::QUALITY,
        common::QUALITY_TESTS,
        common::REVISION,
    ];
    let mut rows = Vec::new();
    let mut visit = |batch: &arrow::array::RecordBatch| {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let times = column("time").as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
        let values = column("value").as_primitive::<Float64Type>();
        let quality = column(common::QUALITY).as_primitive::<Int8Type>();
        let tests = column(common::QUALITY_TESTS).as_primitive::<Int64Type>();
        let revisions = column(common::REVISION).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            rows.push((
                (times.value(row) - *DAY) / MINUTE_US,
                values.value(row),
                (quality.value(row), tests.value(row)),
                revisions.value(row),
            ));
        }
        Ok::<(), LakeError>(())
    };
    table
        .visit_sorted(&columns, i64::MIN..i64::MAX, &mut visit)
        .unwrap();
    rows
}

/// Rows of `heat` that were replaced.
fn superseded(snapshot: &LakeSnapshot) -> u64 {
    let files = snapshot.tables[&DatasetId::new("heat")].files.iter();
    let replaced = files.filter(|file| file.superseded);
    replaced.map(|file| file.rows).sum()
}

fn flags_now(daemon: &Daemon) -> Vec<(i64, (i8, i64), i64)> {
    let rows = stored(&daemon.pipeline.shared().load_full());
    let flags = rows.into_iter();
    flags
        .map(|(minute, _, flags, revision)| (minute, flags, revision))
        .collect()
}

#[test]
fn imported_rows_get_their_flags_once() {
    let spike = (3, QualityTest::Spike.bit());
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    import(&daemon, "a", &with_a_spike());
    let all_pass: Vec<_> = (0..7).map(|at| (at * 5, PASS, 0)).collect();
    assert_eq!(flags_now(&daemon), all_pass);
    // Nothing is written where only a list was asked for.
    let settling = settling(&declarations());
    let dry = pass(
        &daemon,
        &Settling {
            dry_run: true,
            ..settling.clone()
        },
    );
    assert_eq!((dry.days, dry.rows, dry.changed), (1, 7, 1));
    assert_eq!((dry.reflagged.revised, flags_now(&daemon)), (0, all_pass));

    let done = pass(&daemon, &settling);
    assert_eq!((done.rows, done.reflagged.revised), (7, 1));
    assert_eq!(done.by_test.get("spike"), Some(&(1, 0)));
    let mut expect: Vec<_> = (0..7).map(|at| (at * 5, PASS, 0)).collect();
    expect[3] = (15, spike, 1);
    assert_eq!(flags_now(&daemon), expect);
    let snapshot = daemon.pipeline.shared().load_full();
    assert_eq!(superseded(&snapshot), 1);
    // The same again, and after a crash: there is nothing left to do.
    let crashed = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), crashed.path());
    for daemon in [daemon, start(crashed.path())] {
        assert_eq!(flags_now(&daemon), expect);
        let again = pass(&daemon, &settling);
        assert_eq!((again.rows, again.changed), (7, 0));
        assert_eq!(flags_now(&daemon), expect);
        let snapshot = daemon.pipeline.shared().load_full();
        assert_eq!(superseded(&snapshot), 1);
        daemon.pipeline.shutdown().unwrap();
    }
}

#[test]
fn other_rules_revise_only_the_rows_whose_flag_changes() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    import(&daemon, "a", &with_a_spike());
    pass(&daemon, &settling(&declarations()));
    // A spike of this height fails by other rules, and still others know none.
    let with_spike = |spike: Option<Spike>| {
        let mut declarations = Declarations::clone(&declarations());
        for property in &mut declarations.properties {
            if property.name == "air_temperature" {
                Arc::make_mut(property).tests.spike = spike;
            }
        }
        Arc::new(declarations)
    };
    let stricter = with_spike(Some(Spike {
        suspect: 1.0,
        fail: Some(2.0),
    }));
    let done = pass(&daemon, &settling(&stricter));
    assert_eq!(done.reflagged.revised, 3, "{:?}", flags_now(&daemon));
    let bit = QualityTest::Spike.bit();
    // Its neighbours stand out as well: 2.75 from the mean of a quiet value and the spike.
    let expect = [
        (0, PASS, 0),
        (5, PASS, 0),
        (10, (4, bit), 1),
        (15, (4, bit), 2),
        (20, (4, bit), 1),
        (25, PASS, 0),
        (30, PASS, 0),
    ];
    assert_eq!(flags_now(&daemon), expect);
    let none = pass(&daemon, &settling(&with_spike(None)));
    assert_eq!(none.reflagged.revised, 3);
    let qualities: Vec<i8> = flags_now(&daemon).iter().map(|(_, f, _)| f.0).collect();
    assert_eq!(qualities, [1; 7]);
    let snapshot = daemon.pipeline.shared().load_full();
    assert_eq!(superseded(&snapshot), 1 + 3 + 3);
    daemon.pipeline.shutdown().unwrap();
}

#[test]
fn a_row_that_came_late_changes_the_flags_of_its_day_alone() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    import(&daemon, "a", &with_a_spike());
    let changed = Settling {
        only_changed: true,
        ..settling(&declarations())
    };
    let first = pass(&daemon, &changed);
    assert_eq!((first.days, first.reflagged.revised), (1, 1));
    // The pass itself has recorded a row since: it looks once more, and then no more.
    let second = pass(&daemon, &changed);
    assert_eq!((second.days, second.changed), (1, 0));
    let third = pass(&daemon, &changed);
    assert_eq!((third.days, third.rows), (0, 0));
    // What was a spike is the top of a slope now.
    import(&daemon, "b", &[(13, 24.0), (17, 24.5)]);
    let late = pass(&daemon, &changed);
    assert!(late.days == 1 && late.rows == 9, "{late:?}");
    let of_spike = flags_now(&daemon).into_iter().find(|row| row.0 == 15);
    assert_eq!(of_spike, Some((15, PASS, 2)), "{late:?}");
    daemon.pipeline.shutdown().unwrap();
}

#[test]
fn a_pass_over_one_day_settles_no_other_day_of_its_month() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    import(&daemon, "a", &with_a_spike());
    let next_day = [(1_440, 20.0), (1_445, 20.5), (1_450, 20.0)];
    import(&daemon, "b", &next_day);
    let settling = settling(&declarations());
    let of_next_day = Settling {
        from: Some(*DAY + DAY_US),
        ..settling.clone()
    };
    let done = pass(&daemon, &of_next_day);
    assert_eq!((done.days, done.rows, done.changed), (1, 3, 0));
    let changed = Settling {
        only_changed: true,
        ..settling
    };
    let done = pass(&daemon, &changed);
    assert_eq!(
        (done.rows, done.reflagged.revised),
        (10, 1),
        "{:?}",
        flags_now(&daemon)
    );
    daemon.pipeline.shutdown().unwrap();
}

#[test]
fn a_version_that_nobody_has_judged_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    import(&daemon, "a", &[(0, 20.0), (5, 21.0)]);
    let snapshot = daemon.pipeline.shared().load_full();
    let table = &snapshot.tables[&DatasetId::new("heat")];
    let mut judged = None;
    let mut visit = |batch: &arrow::array::RecordBatch| {
        let names = ["sensor_id", "property", "time"];
        let keys = names.map(|name| batch.schema_ref().index_of(name).unwrap());
        let recorded = batch.column_by_name(common::RECORDED_AT).unwrap();
        let recorded = recorded.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
        judged = Some((batch.project(&keys).unwrap(), recorded.values().to_vec()));
        Ok::<(), LakeError>(())
    };
    let columns = [common::RECORDED_AT];
    table
        .visit_sorted(&columns, i64::MIN..i64::MAX, &mut visit)
        .unwrap();
    let (keys, recorded_at) = judged.unwrap();
    let flags = |revisions: [i64; 2]| NewFlags {
        dataset: DatasetId::new("heat"),
        keys: keys.clone(),
        revisions: revisions.to_vec(),
        recorded_at: recorded_at.clone(),
        quality: vec![4, 1],
        quality_tests: vec![1, 0],
    };
    let commands = daemon.pipeline.commands();
    // One has the flags already, one has not; then both are of versions that are not current.
    let first = commands.reflag(flags([0, 0])).unwrap();
    assert_eq!((first.revised, first.unchanged, first.outdated), (1, 1, 0));
    let again = commands.reflag(flags([0, 7])).unwrap();
    assert_eq!((again.revised, again.unchanged, again.outdated), (0, 0, 2));
    assert_eq!(flags_now(&daemon), [(0, (4, 1), 1), (5, PASS, 0)]);
    // A live message is received later than an imported row: it wins over a new flag as it would over the old one, and one
    // with the same value changes nothing.
    let at = |minute: i64| *DAY / 1_000 + minute * 60_000;
    daemon.append("timed", &format!("{{\"ts\":{},\"t\":20}}", at(0)));
    let last = daemon.append("timed", &format!("{{\"ts\":{},\"t\":22}}", at(5)));
    daemon.wait(last);
    commands.commit_all().unwrap();
    let rows = stored(&daemon.pipeline.shared().load_full());
    let values: Vec<_> = rows.iter().map(|row| (row.0, row.1, row.3)).collect();
    assert_eq!(values, [(0, 20.0, 1), (5, 22.0, 1)]);
    daemon.pipeline.shutdown().unwrap();
}

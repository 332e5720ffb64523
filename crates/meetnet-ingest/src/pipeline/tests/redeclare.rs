//! Declarations that change while messages come in: datasets appear, get columns, go and come back; also across crashes.

use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::dataset::{DatasetDeclaration, Grain};

use super::*;

/// The declarations of the other tests, changed.
fn changed(change: impl FnOnce(&mut Declarations)) -> Arc<Declarations> {
    let mut declarations = Declarations::clone(&declarations());
    change(&mut declarations);
    Arc::new(declarations)
}

fn dataset(
    declarations: &mut Declarations,
    id: &str,
    change: impl FnOnce(&mut DatasetDeclaration),
) {
    let id = DatasetId::new(id);
    let mut dataset = DatasetDeclaration::clone(&declarations.datasets[&id]);
    change(&mut dataset);
    declarations.datasets.insert(id, Arc::new(dataset));
}

/// Without `heat` and all that needs it.
fn without_heat() -> Arc<Declarations> {
    changed(|declarations| {
        let heat = DatasetId::new("heat");
        declarations.datasets.remove(&heat);
        declarations
            .properties
            .retain(|property| property.dataset != heat);
        declarations.sources.clear();
    })
}

/// `heat` with a column more.
fn with_a_column() -> Arc<Declarations> {
    changed(|declarations| {
        dataset(declarations, "heat", |heat| {
            let value = heat.columns.iter().find(|column| column.name == "value");
            heat.columns.push(ColumnDeclaration {
                name: "calibration".to_owned(),
                column_type: ColumnType::Text,
                required: false,
                unit: None,
                ..value.unwrap().clone()
            });
            heat.version += 1;
        });
    })
}

/// Puts declarations in force as a reload does.
fn redeclare(daemon: &Daemon, declarations: &Declarations) -> Sequence {
    let frame = daemon.journal.append_declarations(&declarations.to_bytes());
    let sequence = frame.unwrap().sequence;
    daemon.journal.wait_durable(sequence).unwrap();
    sequence
}

fn columns(snapshot: &LakeSnapshot, id: &str) -> Vec<String> {
    let table = &snapshot.tables[&DatasetId::new(id)];
    let columns = table.declaration.columns.iter();
    columns.map(|column| column.name.clone()).collect()
}

/// Values of the hot rows of `heat`, ascending.
fn temperatures(snapshot: &LakeSnapshot) -> Vec<f64> {
    let hot = snapshot.tables[&DatasetId::new("heat")].hot.iter();
    let values = hot.map(|hot| hot.batch.column_by_name("value").unwrap());
    let mut values: Vec<f64> = values
        .flat_map(|values| values.as_primitive::<Float64Type>().values().to_vec())
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

fn heat_rows(snapshot: &LakeSnapshot) -> u64 {
    let (hot, committed) = rows(snapshot, "heat");
    hot + committed
}

/// Stops as a crash does and starts on a copy of the disk with `declarations`.
fn crash(
    daemon: Daemon,
    folder: &mut tempfile::TempDir,
    declarations: &Arc<Declarations>,
) -> Daemon {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    *folder = copy;
    start_as(folder.path(), declarations, |_| {}, |_| {})
}

#[test]
fn a_dataset_that_appears_is_there_at_once_and_after_a_crash() {
    let mut folder = tempfile::tempdir().unwrap();
    let daemon = start_as(folder.path(), &without_heat(), |_| {}, |_| {});
    let ts = now_ms();
    let body = |t: i64| format!("{{\"ts\":{},\"t\":{t}}}", ts + t);
    let unknown = daemon.append("timed", &body(0));
    let snapshot = daemon.wait(unknown);
    assert!(!snapshot.tables.contains_key(&DatasetId::new("heat")));
    assert_eq!(
        rows(&snapshot, "rejects").0,
        1,
        "its source is not declared yet"
    );
    redeclare(&daemon, &declarations());
    let first = daemon.append("timed", &body(1));
    assert_eq!(heat_rows(&daemon.wait(first)), 1);
    let daemon = crash(daemon, &mut folder, &declarations());
    let snapshot = daemon.wait(first);
    assert_eq!((heat_rows(&snapshot), rows(&snapshot, "rejects").0), (1, 1));
}

#[test]
fn a_column_that_appears_divides_the_rows_without_losing_one() {
    let mut folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let body = |t: i64| format!("{{\"ts\":{},\"t\":{t}}}", ts + t);
    // In one group with the frame, so that rows of it are hot when the declaration changes.
    for t in 0..200 {
        daemon.append("timed", &body(t));
    }
    redeclare(&daemon, &with_a_column());
    for t in 200..300 {
        daemon.append("timed", &body(t));
    }
    // A value met before: it is found in the files of the old form.
    daemon.append("timed", &body(7));
    let last = daemon.append("timed", &format!("{{\"ts\":{},\"t\":-1}}", ts + 8));
    let snapshot = daemon.wait(last);
    assert!(columns(&snapshot, "heat").contains(&"calibration".to_owned()));
    let table = &snapshot.tables[&DatasetId::new("heat")];
    assert_eq!(table.files.iter().map(|file| file.rows).sum::<u64>(), 200);
    assert_eq!(rows(&snapshot, "heat"), (101, 200));
    let masked: usize = table.masks.values().map(|mask| mask.rows.len()).sum();
    assert_eq!(masked, 1);
    let daemon = crash(daemon, &mut folder, &with_a_column());
    let snapshot = daemon.wait(last);
    assert_eq!(heat_rows(&snapshot), 301);
}

#[test]
fn a_dataset_that_goes_is_hidden_and_its_rows_are_kept() {
    let mut folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let body = |t: i64| format!("{{\"ts\":{},\"t\":{t}}}", ts + t);
    let first = daemon.append("timed", &body(1));
    daemon.wait(first);
    let gone = redeclare(&daemon, &without_heat());
    let snapshot = daemon.pipeline.shared();
    let deadline = Instant::now() + Duration::from_secs(10);
    while snapshot.load().tables.contains_key(&DatasetId::new("heat")) {
        assert!(Instant::now() < deadline, "`heat` is still there");
        std::thread::sleep(Duration::from_millis(1));
    }
    daemon.wait(gone);
    // A crash before its row was committed: the tail of the journal brings it back, though nothing declares it.
    let daemon = crash(daemon, &mut folder, &without_heat());
    assert_eq!(daemon.replayed.applied.inserted, 1, "{:?}", daemon.replayed);
    let hidden = daemon.pipeline.shared().load_full();
    assert!(!hidden.tables.contains_key(&DatasetId::new("heat")));
    daemon.pipeline.commands().commit_all().unwrap();
    // It comes back with what it had, and goes on.
    let back = redeclare(&daemon, &declarations());
    let second = daemon.append("timed", &body(2));
    assert!(second > back);
    assert_eq!(heat_rows(&daemon.wait(second)), 2);
    let daemon = crash(daemon, &mut folder, &declarations());
    assert_eq!(heat_rows(&daemon.wait(second)), 2);
}

#[test]
fn rows_that_wait_for_a_file_are_not_lost_where_their_dataset_gets_a_column() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let body = |value| format!("{{\"ts\":{ts},\"t\":{value}}}");
    daemon.wait(daemon.append("timed", &body(21)));
    let (file, content) = break_file(&daemon, folder.path());
    let waiting = daemon.append("timed", &body(22));
    let last = redeclare(&daemon, &with_a_column());
    let snapshot = daemon.wait_for_dataset("rejects", last);
    let heat = &snapshot.tables[&DatasetId::new("heat")];
    assert_eq!(heat.through, Sequence(waiting.0 - 1));
    std::fs::write(&file, content).unwrap();
    let snapshot = daemon.wait(last);
    assert_eq!(rows(&snapshot, "heat"), (1, 1));
    assert!(columns(&snapshot, "heat").contains(&"calibration".to_owned()));
    daemon.pipeline.shutdown().unwrap();
}

#[test]
fn each_message_is_decoded_by_the_declarations_at_its_own_frame_also_in_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let body = |at: i64| {
        let (t, celsius) = (10 + at, 20 + at);
        format!("{{\"ts\":{},\"t\":{t},\"celsius\":{celsius}}}", ts + at)
    };
    daemon.append("timed", &body(0));
    let mended = declarations_reading("/celsius");
    redeclare(&daemon, &mended);
    daemon.append("timed", &body(1));
    redeclare(&daemon, &declarations());
    let last = daemon.append("timed", &body(2));
    let expect = [10.0, 12.0, 21.0];
    assert_eq!(temperatures(&daemon.wait(last)), expect);
    // A crash, seen on copies of the disk, whatever is in force when the journal is read again.
    for in_force in [mended, declarations()] {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        let again = start_as(copy.path(), &in_force, |_| {}, |_| {});
        assert_eq!(again.replayed.applied.inserted, 3, "{:?}", again.replayed);
        assert_eq!(temperatures(&again.wait(last)), expect);
    }
    drop(daemon);
}

#[test]
fn a_dataset_is_prepared_before_its_frame_and_seen_behind_it() {
    let mut folder = tempfile::tempdir().unwrap();
    let daemon = start_as(folder.path(), &without_heat(), |_| {}, |_| {});
    daemon.pipeline.commands().prepare(declarations()).unwrap();
    assert!(folder.path().join("lake/heat/_delta_log").exists());
    let body = format!("{{\"ts\":{},\"t\":1}}", now_ms());
    let unknown = daemon.append("timed", &body);
    let snapshot = daemon.wait(unknown);
    assert!(!snapshot.tables.contains_key(&DatasetId::new("heat")));
    // A crash before the frame: as if nobody had asked.
    let daemon = crash(daemon, &mut folder, &without_heat());
    assert_eq!(rows(&daemon.wait(unknown), "rejects").0, 1);
    daemon.pipeline.commands().prepare(declarations()).unwrap();
    redeclare(&daemon, &declarations());
    let first = daemon.append("timed", &body);
    assert_eq!(heat_rows(&daemon.wait(first)), 1);
    daemon.pipeline.shutdown().unwrap();
}

#[test]
fn a_declaration_that_a_table_refuses_is_refused_before_its_frame() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let refused = changed(|declarations| {
        dataset(declarations, "heat", |heat| heat.grain = Grain::Day);
    });
    let error = daemon.pipeline.commands().prepare(refused).unwrap_err();
    assert!(
        matches!(
            &error,
            PipelineError::Lake(LakeError::ForbiddenChange { dataset, .. }) if dataset.as_str() == "heat"
        ),
        "{error}"
    );
    // So is a property in another unit than that of its rows.
    let refused = changed(|declarations| {
        let mut properties = declarations.properties.iter_mut();
        let known = properties.find(|property| property.name == "air_temperature");
        Arc::make_mut(known.unwrap()).unit = "K".to_owned();
    });
    let error = daemon.pipeline.commands().prepare(refused).unwrap_err();
    assert!(
        matches!(
            &error,
            PipelineError::Lake(LakeError::ForbiddenChange { problems, .. })
                if problems.iter().any(|problem| problem.contains("from Cel to K"))
        ),
        "{error:?}"
    );
    // What is hot is in files before a column comes, so that the frame has little to commit.
    let ts = now_ms();
    let first = daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":1}}"));
    daemon.wait(first);
    daemon.pipeline.commands().prepare(with_a_column()).unwrap();
    let snapshot = daemon.pipeline.shared().load_full();
    assert_eq!(rows(&snapshot, "heat"), (0, 1));
    assert!(!columns(&snapshot, "heat").contains(&"calibration".to_owned()));
    daemon.pipeline.shutdown().unwrap();
}

//! What a start reads, and which declarations it refuses.

use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::dataset::{DatasetDeclaration, Grain};

use super::*;

#[test]
fn a_refused_declaration_changes_no_table() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), |_| {}));
    let log = |dataset: &str| {
        let log = folder.path().join(dataset).join("_delta_log");
        std::fs::read_dir(log).unwrap().count()
    };
    let before = ["air", "heat"].map(log);
    // `air` comes first and may change its texts; `heat` may not change its grain.
    let mut declarations = declarations();
    let mut change = |id: &str, change: fn(&mut DatasetDeclaration)| {
        let declaration = declarations.datasets.get_mut(&DatasetId::new(id)).unwrap();
        change(Arc::make_mut(declaration));
    };
    change("air", |air| air.title.en.push_str(" of the city"));
    change("heat", |heat| heat.grain = Grain::Day);
    let error = tables(folder.path(), declarations).unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { dataset, .. } if dataset.as_str() == "heat"),
        "{error}"
    );
    assert_eq!(["air", "heat"].map(log), before);
}

#[test]
fn a_declaration_is_checked_against_what_was_committed_after_the_logs_were_read() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), |_| {}));
    let read_early = tables(folder.path(), declarations()).unwrap();
    // Who has the folder until its lock is free makes a column of one table, which may not go again.
    let mut declarations = declarations();
    let heat = declarations.datasets.get_mut(&DatasetId::new("heat"));
    let heat = Arc::make_mut(heat.unwrap());
    heat.columns.push(ColumnDeclaration {
        name: "note".to_owned(),
        required: false,
        column_type: ColumnType::Text,
        ..heat.columns[0].clone()
    });
    let newer = tables(folder.path(), declarations).unwrap();
    drop(Lake::open(LakeOptions::new(Uuid::nil()), newer, Sequence::ZERO).unwrap());
    let files = || FolderStorage::new(folder.path()).list("").unwrap();
    let before = files();
    let error = Lake::open(LakeOptions::new(Uuid::nil()), read_early, Sequence::ZERO).unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { dataset, .. } if dataset.as_str() == "heat"),
        "{error}"
    );
    assert_eq!(files(), before);
}

#[test]
fn a_start_asks_for_each_entry_of_a_table_log_once() {
    let city = InStore::new();
    let open = || {
        let before = city.store.requests();
        let lake = city.open();
        (lake, city.store.requests() - before)
    };
    drop(open());
    let (mut lake, of_a_short_log) = open();
    for sequence in 1..=40 {
        take(&mut lake, sequence, &rows(1, START, sequence as f64));
        lake.commit_all().unwrap();
    }
    drop(lake);
    let (_, of_a_long_log) = open();
    // The opening in between made an entry, too.
    assert_eq!(of_a_long_log - of_a_short_log, 41);
}

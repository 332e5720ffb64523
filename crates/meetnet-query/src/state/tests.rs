use meetnet_lake::damage::Damage;
use meetnet_lake::snapshot::HotBatch;

use super::*;
use crate::fixture::{self, Database, START, batch, hot};
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

async fn state(database: &Database, sql: &str, as_of: Option<i64>) -> Option<AnswerState> {
    let request = QueryRequest {
        as_of,
        ..QueryRequest::public(sql)
    };
    database
        .service
        .query(request)
        .await
        .expect("an answer")
        .state
}

#[tokio::test]
async fn only_steady_answers_have_a_state() {
    let database = Database::new();
    for (sql, expect) in [
        ("SELECT count(*) FROM counts", Some("counts@1+3")),
        (
            "SELECT 1 FROM revised r, counts c, counts d LIMIT 1",
            Some("counts@1+3,revised@1+4"),
        ),
        ("SELECT now() FROM counts", None),
        ("SELECT random() FROM counts", None),
        (
            "SELECT car FROM counts, time_grid(INTERVAL '1 day', now() - INTERVAL '2 days', now())",
            None,
        ),
        ("EXPLAIN SELECT car FROM counts", None),
        ("SELECT 1", None),
        ("SELECT table_name FROM information_schema.tables", None),
    ] {
        let state = state(&database, sql, None).await;
        let shown = state.map(|state| state.to_string());
        assert_eq!(shown.as_deref(), expect, "{sql}");
    }
    let settled = state(&database, "SELECT car FROM counts", Some(START)).await;
    assert_eq!(
        settled.map(|state| state.to_string()).as_deref(),
        Some("counts@1")
    );
}

#[tokio::test]
async fn a_state_ends_with_every_change() {
    let database = Database::new();
    let now = state(&database, "SELECT car FROM counts", None)
        .await
        .expect("a state");
    let settled = state(&database, "SELECT car FROM counts", Some(START)).await;
    let settled = settled.expect("a state");
    let check = |expect: (bool, bool), what: &str| {
        let snapshot = database.lake.snapshot.load();
        let holds = (now.holds(&snapshot), settled.holds(&snapshot));
        assert_eq!(holds, expect, "{what}");
    };
    let whole = TableSnapshot::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    check((true, true), "nothing has changed");

    let mut later = whole.clone();
    later.through.0 += 1;
    later.stable_time += 1;
    database.lake.publish(later);
    check((true, true), "a message that changed nothing");

    let mut more: Vec<HotBatch> = whole.hot.to_vec();
    more.push(hot(
        batch(&whole.declaration, "CC0-1.0", &[(4, 1431, Some(1.0))]),
        None,
    ));
    database.lake.publish(TableSnapshot {
        hot: Arc::new(more),
        ..whole.clone()
    });
    check((false, true), "a new row");

    database.lake.publish(TableSnapshot {
        version: 2,
        ..whole.clone()
    });
    check((false, false), "a commit");

    database.lake.publish(TableSnapshot {
        declaration: Arc::new(DatasetDeclaration::clone(&whole.declaration)),
        ..whole.clone()
    });
    check((false, false), "another declaration");

    let (folder, path) = (whole.folder.clone(), Arc::clone(&whole.files[0].path));
    database.lake.publish(whole);
    let other = fixture::declaration("other", meetnet_model::dataset::DatasetKind::Wide);
    database.lake.publish(database.lake.table(&other));
    check((true, true), "another table");

    folder.note_damage(&path, Some(Damage::WrongChecksum));
    check((false, false), "a damaged file");
    // Who keeps an answer from before asks with its tag: that one may have been wrong.
    folder.note_damage(&path, None);
    check((false, false), "a file that is whole again");
    let again = state(&database, "SELECT car FROM counts", None).await;
    let again = again.expect("a state").to_string();
    assert_ne!(again, now.to_string());
}

/// A service counts damage from its start; what clients keep is asked for again after the next one.
#[tokio::test]
async fn a_state_outlasts_a_restart_unless_a_file_was_found_damaged() {
    let before = Database::new();
    let after = QueryService::new(QueryOptions::default(), Arc::clone(&before.lake.snapshot))
        .expect("a service");
    let sql = "SELECT car FROM counts";
    let check = async |is_same: bool, what: &str| {
        let of = async |service: &QueryService| {
            let answer = service.query(QueryRequest::public(sql)).await;
            let state = answer.expect("an answer").state;
            state.expect("a state").to_string()
        };
        let (old, new) = (of(&before.service).await, of(&after).await);
        assert_eq!(old == new, is_same, "{what}: {old}, {new}");
        let again = of(&after).await;
        assert_eq!(again, new, "{what}: of one service it stays");
    };
    check(true, "nothing was found").await;
    let table = Arc::clone(&before.lake.snapshot.load().tables[&"counts".into()]);
    // Of no file that is read: the rest is answered.
    table
        .folder
        .note_damage("removed.parquet", Some(Damage::WrongChecksum));
    check(false, "a damaged file").await;
    table.folder.note_damage("removed.parquet", None);
    check(false, "a file that is whole again").await;
}

/// A table that nobody adds to is committed to all the same, to say how far it has come.
#[tokio::test]
async fn a_commit_without_rows_is_no_change_where_all_rows_are_in_files() {
    let database = Database::new();
    let whole = TableSnapshot::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    let committed = TableSnapshot {
        hot: Arc::default(),
        masks: Arc::default(),
        ..whole.clone()
    };
    database.lake.publish(committed.clone());
    let sql = "SELECT car FROM counts";
    let now = state(&database, sql, None).await.expect("a state");
    let settled = state(&database, sql, Some(START)).await;
    let settled = settled.expect("a state");
    let check = async |table: TableSnapshot, expect: (bool, bool), what: &str| {
        database.lake.publish(table);
        let holds = {
            let snapshot = database.lake.snapshot.load();
            (now.holds(&snapshot), settled.holds(&snapshot))
        };
        assert_eq!(holds, expect, "{what}");
        let again = state(&database, sql, None).await.expect("a state");
        assert_eq!(again.to_string() == now.to_string(), expect.0, "{what}");
    };
    let later = TableSnapshot {
        version: committed.version + 1,
        ..committed.clone()
    };
    check(later.clone(), (true, true), "a commit without rows").await;
    let read_again = TableSnapshot {
        files: Arc::new(later.files.to_vec()),
        ..later.clone()
    };
    check(read_again, (true, true), "another list of the same files").await;
    let rows_came = TableSnapshot {
        hot: Arc::clone(&whole.hot),
        ..later.clone()
    };
    check(rows_came, (false, true), "rows that are hot").await;
    assert!(!whole.masks.is_empty());
    let masked = TableSnapshot {
        masks: Arc::clone(&whole.masks),
        ..later.clone()
    };
    check(masked, (false, true), "rows of files that are replaced").await;
    let fewer = later.files.iter().skip(1).cloned().collect();
    let removed = TableSnapshot {
        files: Arc::new(fewer),
        ..later.clone()
    };
    check(removed, (false, false), "a file that is gone").await;

    let mut declaration = DatasetDeclaration::clone(&later.declaration);
    declaration.columns[2].unit = Some("Cel".to_owned());
    let redeclared = TableSnapshot {
        declaration: Arc::new(declaration),
        ..later
    };
    check(redeclared, (false, false), "another unit").await;
}

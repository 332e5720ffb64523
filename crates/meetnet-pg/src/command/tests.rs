use meetnet_query::postgres::statements;

use super::*;

fn command(sql: &str) -> Result<Option<Command>, PgError> {
    let statements = statements(sql).expect("a statement");
    Command::of(&statements[0])
}

#[test]
fn commands_are_told_from_queries() {
    let check = |sql: &str, expected: Option<Command>| {
        assert_eq!(command(sql), Ok(expected), "{sql}");
    };
    let set = |name: &str, value: &str| {
        Some(Command::Set {
            name: name.to_owned(),
            value: Some(value.to_owned()),
        })
    };
    check("SELECT 1", None);
    check("WITH a AS (SELECT 1) SELECT * FROM a", None);
    check("DROP TABLE counts", None);
    check("BEGIN", Some(Command::Begin));
    check("begin transaction read only", Some(Command::Begin));
    check(
        "START TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        Some(Command::Begin),
    );
    check("END", Some(Command::Commit));
    check("ROLLBACK", Some(Command::Rollback));
    check(
        "ROLLBACK TO SAVEPOINT a",
        Some(Command::Savepoint("ROLLBACK")),
    );
    check("SET DateStyle TO 'ISO'", set("datestyle", "ISO"));
    check(
        "SET SESSION statement_timeout = 5000",
        set("statement_timeout", "5000"),
    );
    check(
        "SET search_path = public, pg_catalog",
        set("search_path", "public,pg_catalog"),
    );
    check(
        "SET TIME ZONE 'Europe/Brussels'",
        set("timezone", "Europe/Brussels"),
    );
    check("SET NAMES 'UTF8'", set("client_encoding", "UTF8"));
    check(
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        Some(Command::Nothing("SET")),
    );
    check(
        "SHOW TRANSACTION ISOLATION LEVEL",
        Some(Command::Show("transaction_isolation".into())),
    );
    check(
        "show server_version",
        Some(Command::Show("server_version".into())),
    );
    check(
        "SHOW pg_stat.track",
        Some(Command::Show("pg_stat.track".into())),
    );
    check("SHOW ALL", Some(Command::ShowAll));
    check("DEALLOCATE ALL", Some(Command::Deallocate(None)));
    check("DEALLOCATE PREPARE ALL", Some(Command::Deallocate(None)));
    check("RESET ALL", Some(Command::ResetAll));
    check("RESET ROLE", Some(Command::Reset("role".into())));
    check(
        "RESET SESSION AUTHORIZATION",
        Some(Command::Reset("session_authorization".into())),
    );
    check("DISCARD ALL", Some(Command::DiscardAll));
    for (sql, tag) in [
        ("SET ROLE NONE", "SET"),
        ("SET LOCAL ROLE 'public'", "SET"),
        ("SET role = public", "SET"),
        ("SET SESSION AUTHORIZATION DEFAULT", "SET"),
        ("SET SESSION AUTHORIZATION 'public'", "SET"),
        (
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            "SET",
        ),
        ("SET TRANSACTION READ WRITE", "SET"),
        (
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
            "SET",
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET",
        ),
        ("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS"),
        ("DISCARD PLANS", "DISCARD PLANS"),
        ("DISCARD SEQUENCES", "DISCARD SEQUENCES"),
        ("DISCARD TEMPORARY", "DISCARD TEMP"),
        ("UNLISTEN *", "UNLISTEN"),
    ] {
        check(sql, Some(Command::Nothing(tag)));
    }
    check(
        "DECLARE \"my cursor for\" BINARY CURSOR WITH HOLD FOR SELECT 'for' FROM counts",
        Some(Command::Declare {
            name: "my cursor for".into(),
            query: "SELECT 'for' FROM counts".into(),
            is_binary: true,
            is_held: true,
        }),
    );
    let fetch = |rows_max: Option<u64>| {
        Some(Command::Fetch {
            name: "c".into(),
            rows_max,
        })
    };
    check("FETCH FORWARD 100 FROM c", fetch(Some(100)));
    check("FETCH 5 IN c", fetch(Some(5)));
    check("FETCH ALL FROM \"c\"", fetch(None));
    check("FETCH c", fetch(Some(1)));
    check("CLOSE c", Some(Command::CloseCursor(Some("c".into()))));
    check(
        "COPY traffic (car) TO STDOUT WITH BINARY",
        Some(Command::Copy {
            query: "SELECT car FROM traffic".into(),
            format: CopyFormat::Binary,
        }),
    );
}

#[test]
fn what_is_wrong_or_not_here_is_refused() {
    let check = |sql: &str, code: &str| {
        let refused = command(sql).expect_err(sql);
        assert_eq!(refused.code, code, "{sql}: {refused}");
    };
    check("SET a", state::SYNTAX);
    check("SET a =", state::SYNTAX);
    check("SET ROLE postgres", state::BAD_VALUE);
    check("SET ROLE a b", state::SYNTAX);
    check("SET SESSION AUTHORIZATION 'postgres'", state::BAD_VALUE);
    check("SET session_authorization TO postgres", state::BAD_VALUE);
    check("LISTEN rows", state::UNSUPPORTED);
    check("NOTIFY rows", state::UNSUPPORTED);
    check("DISCARD", state::SYNTAX);
    check("DISCARD EVERYTHING", state::SYNTAX);
    check("FETCH BACKWARD 1 FROM c", state::STATE);
    check("DECLARE c SCROLL CURSOR FOR SELECT 1", state::UNSUPPORTED);
    check("DECLARE c", state::SYNTAX);
    check("PREPARE p", state::SYNTAX);
    check("EXECUTE p(1", state::SYNTAX);
    check("CALL p()", state::UNSUPPORTED);
    check("COPY traffic FROM STDIN", state::READ_ONLY);
    check(
        "COPY (SELECT 1) TO '/tmp/one.csv' (FORMAT csv)",
        state::READ_ONLY,
    );
    check("COPY traffic TO PROGRAM 'sh'", state::READ_ONLY);
    check("COPY traffic TO", state::SYNTAX);
    check("COPY traffic TO STDOUT (FORMAT parquet)", state::BAD_VALUE);
    check("DO 'BEGIN END'", state::UNSUPPORTED);
}

#[test]
fn durations_have_units() {
    let seconds = |value: &str| duration(value).map(|found| found.map(|found| found.as_secs_f64()));
    assert_eq!(seconds("0"), Ok(None));
    assert_eq!(seconds("1500"), Ok(Some(1.5)));
    assert_eq!(seconds("5s"), Ok(Some(5.0)));
    assert_eq!(seconds("2 min"), Ok(Some(120.0)));
    for wrong in ["", "x", "5 weeks", "-1"] {
        assert!(duration(wrong).is_err(), "{wrong}");
    }
}

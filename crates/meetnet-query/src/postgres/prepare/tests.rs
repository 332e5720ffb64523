use super::super::statements;
use super::*;

fn statement(sql: &str) -> PgStatement {
    let mut found = statements(sql).expect(sql);
    assert_eq!(found.len(), 1, "{sql}");
    found.remove(0)
}

#[test]
fn a_prepare_is_taken_apart() {
    let check = |sql: &str, name: &str, types: &[Option<PgScalar>], query: &str| {
        let expected = PgPrepare {
            name: name.to_owned(),
            types: types.iter().map(|of| of.map(PgType::of)).collect(),
            query: query.to_owned(),
        };
        let found = prepare(&statement(sql)).map_err(|error| error.message);
        assert_eq!(found, Ok(expected), "{sql}");
    };
    check("PREPARE p AS SELECT 1;", "p", &[], "SELECT 1");
    check(
        "/* a; b */ prepare \"As P\" -- as\n as\nSELECT 'as', $1",
        "As P",
        &[],
        "SELECT 'as', $1",
    );
    check(
        "PREPARE s (int, timestamp with time zone, numeric(10, 2), unknown, character varying(9), double precision) AS TABLE air",
        "s",
        &[
            Some(PgScalar::Int4),
            Some(PgScalar::TimestampTz),
            Some(PgScalar::Numeric),
            None,
            Some(PgScalar::Text),
            Some(PgScalar::Float8),
        ],
        "TABLE air",
    );
    let arrays = prepare(&statement("PREPARE s(text[], _int8) AS SELECT 1"));
    assert!(arrays.is_err(), "{arrays:?}");
    let array = prepare(&statement("PREPARE s(bigint[]) AS SELECT 1")).expect("a statement");
    let bigints = PgType {
        scalar: PgScalar::Int8,
        is_array: true,
    };
    assert_eq!(array.types, [Some(bigints)]);
    for wrong in [
        "PREPARE",
        "PREPARE p",
        "PREPARE p AS",
        "PREPARE p SELECT 1",
        "PREPARE p (int AS SELECT 1",
        "PREPARE 'p' AS SELECT 1",
        "PREPARE TRANSACTION 'p'",
    ] {
        let refused = prepare(&statement(wrong)).map_err(|error| error.fault);
        assert_eq!(refused, Err(Some(StatementFault::Syntax)), "{wrong}");
    }
    let unknown = prepare(&statement("PREPARE p (money) AS SELECT 1"));
    let refused = unknown.map_err(|error| error.fault);
    assert_eq!(refused, Err(Some(StatementFault::Unsupported)));
}

#[test]
fn an_execute_is_taken_apart() {
    let check = |sql: &str, name: &str, values: Option<&str>| {
        let expected = PgExecute {
            name: name.to_owned(),
            values: values.map(str::to_owned),
        };
        let found = execute(&statement(sql)).map_err(|error| error.message);
        assert_eq!(found, Ok(expected), "{sql}");
    };
    check("EXECUTE p", "p", None);
    check("execute P ( )", "p", None);
    check(
        "EXECUTE p('a)', (1 + 2) * 3, now())",
        "p",
        Some("'a)', (1 + 2) * 3, now()"),
    );
    check("EXECUTE \"P é\" ('é')", "P é", Some("'é'"));
    for wrong in [
        "EXECUTE",
        "EXECUTE p(1",
        "EXECUTE p 1",
        "EXECUTE p(1) x",
        "EXECUTE p)",
    ] {
        let refused = execute(&statement(wrong)).map_err(|error| error.fault);
        assert_eq!(refused, Err(Some(StatementFault::Syntax)), "{wrong}");
    }
}

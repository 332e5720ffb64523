//! What a client is told of what failed, and what it may still do in a transaction that has.

use super::*;

impl Client {
    /// Sends a message and Sync; returns what comes.
    async fn exchanged(&mut self, message: &impl Message) -> Vec<String> {
        self.send(message).await;
        self.send(&Sync::new()).await;
        self.exchange().await
    }
}

fn parse(name: &str, sql: &str) -> Parse {
    Parse::new(Some(name.into()), sql.into(), vec![])
}

fn bind(portal: &str, statement: &str) -> Bind {
    let (portal, statement) = (Some(portal.into()), Some(statement.into()));
    Bind::new(portal, statement, vec![], vec![], vec![])
}

fn execute(portal: &str, rows_max: i32) -> Execute {
    Execute::new(Some(portal.into()), rows_max)
}

fn describe(target: u8, name: &str) -> Describe {
    Describe::new(target, Some(name.into()))
}

#[tokio::test]
async fn errors_have_the_codes_of_postgresql() {
    let (mut client, _) = Client::login(default_server().await).await;
    for (sql, code) in [
        ("SELECT 'open", "42601"),
        ("SELEC 1", "42601"),
        ("SELECT nothing", "42703"),
        (
            "SELECT value FROM generate_series(1, 1) AS a, generate_series(1, 1) AS b",
            "42702",
        ),
        ("SELECT no_function(1)", "42883"),
        ("SELECT * FROM no_function(1)", "42883"),
        ("SELECT * FROM no_table", "42P01"),
        ("SELECT value / 0 FROM generate_series(1, 1)", "22012"),
        ("SELECT 1 LIMIT 1 - 2", "2201W"),
        ("SELECT 1 OFFSET -0.5", "2201X"),
        ("SELECT 1 LIMIT 1e19", "22003"),
        ("SELECT 1 LIMIT (SELECT 1)", "0A000"),
        ("DROP TABLE counts", "25006"),
        // Casts of constants, and of what is in columns.
        ("SELECT 'abc'::int", "22P02"),
        ("SELECT ''::bigint", "22P02"),
        ("SELECT 'abc'::float8", "22P02"),
        ("SELECT 'maybe'::boolean", "22P02"),
        ("SELECT '{1,a}'::int[]", "22P02"),
        ("SELECT '{1,2'::int[]", "22P02"),
        (
            "SELECT x::int FROM (VALUES ('5'), ('abc')) AS t(x)",
            "22P02",
        ),
        ("SELECT x = 'abc' FROM (VALUES (1)) AS t(x)", "22P02"),
        ("SELECT 1e10::int", "22003"),
        ("SELECT '99999999999'::int", "22003"),
        ("SELECT 99999::smallint", "22003"),
        ("SELECT 12345.678::numeric(5, 2)", "22003"),
        ("SELECT 'nan'::float8::int", "22003"),
        ("SELECT 300::smallint * 1000::smallint", "22003"),
        ("SELECT x::smallint FROM (VALUES (100000)) AS t(x)", "22003"),
        ("SELECT 1e400::float8", "22003"),
        ("SELECT '1e400'::float8", "22003"),
        ("SELECT 1e-400::float8", "22003"),
        ("SELECT '1e-400'::float8", "22003"),
        ("SELECT 1e39::real", "22003"),
        ("SELECT 'tomorrowish'::date", "22007"),
        ("SELECT 'x'::timestamptz", "22007"),
        ("SELECT INTERVAL '1 dag'", "22007"),
        ("SELECT 'noonish'::time", "22007"),
        ("SELECT '2026-02-31'::date", "22008"),
        ("SELECT '25:00'::time", "22008"),
        ("SELECT '2026-01-01 25:00:00'::timestamp", "22008"),
        (
            "SELECT x::date FROM (VALUES ('2026-02-31')) AS t(x)",
            "22008",
        ),
        ("SELECT now() > '2026-02-31'", "22008"),
        ("SELECT make_date(2026, 2, 31)", "22008"),
        ("SELECT '99999999999 years'::interval", "22015"),
        // What is no value of the type at all.
        ("SELECT 1::date", "42846"),
        ("SELECT 1::timestamp", "42846"),
        ("SELECT true::timestamp", "42846"),
        ("SELECT 1::interval", "42846"),
        ("SELECT 1.5::boolean", "42846"),
        ("SELECT true::float8", "42846"),
        ("SELECT now()::bigint", "42846"),
        ("SELECT ARRAY[1, 2]::int", "42846"),
        ("SELECT 1::int[]", "42846"),
        ("SELECT x::date FROM (VALUES (1)) AS t(x)", "42846"),
        // Types that do not go together.
        ("SELECT 1 = true", "42883"),
        ("SELECT now() + 1", "42883"),
        ("SELECT true + 1", "42883"),
        ("SELECT 1 LIKE 'a'", "42883"),
        ("SELECT upper(1)", "42883"),
        ("SELECT left('abc', 1, 2)", "42883"),
        ("SELECT true AND 1", "42804"),
        ("SELECT NOT 1", "42804"),
        ("SELECT 1 FROM (VALUES (1)) AS t(x) WHERE x", "42804"),
        ("SELECT CASE WHEN true THEN 1 ELSE now() END", "42804"),
        ("SELECT 1 UNION SELECT now()", "42804"),
        ("SELECT 1 UNION SELECT 1, 2", "42601"),
        // Values that functions do not take.
        ("SELECT sqrt(-1)", "2201F"),
        ("SELECT power(0, -1)", "2201F"),
        ("SELECT now() AT TIME ZONE 'foo'", "22023"),
        ("SELECT date_trunc('foo', now())", "22023"),
        ("SELECT date_part('foo', now())", "22023"),
        ("SELECT width_bucket(1, 2, 2, 5)", "2201G"),
        ("SELECT substring('abc', 1, -1)", "22011"),
        ("SELECT 'a' ~ '('", "2201B"),
        ("SELECT regexp_like('a', 'a', 'z')", "22023"),
        ("SELECT 1 LIMIT -1", "2201W"),
        ("SELECT 1 OFFSET -1", "2201X"),
        ("SELECT 1 ORDER BY 2", "42P10"),
        ("SELECT x, count(*) FROM (VALUES (1)) AS t(x)", "42803"),
        ("SELECT 'nosuch'::regtype", "42704"),
    ] {
        let shown = client.query(sql).await;
        let expect = [format!("ERROR {code}"), "ready I".to_owned()];
        assert!(shown.ends_with(&expect), "{sql}: {shown:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_failed_transaction_goes_on_but_its_end() {
    let (mut client, _) = Client::login(default_server().await).await;
    for (name, sql) in [
        ("rows", "SELECT value FROM generate_series(1, 3)"),
        ("show", "SHOW server_version"),
        ("end", "ROLLBACK"),
        ("nothing", ""),
    ] {
        assert_eq!(
            client.exchanged(&parse(name, sql)).await,
            ["parsed", "ready I"]
        );
    }
    assert_eq!(client.query("BEGIN").await, ["BEGIN", "ready T"]);
    for name in ["rows", "show", "end", "nothing"] {
        assert_eq!(
            client.exchanged(&bind(name, name)).await,
            ["bound", "ready T"]
        );
    }
    assert_eq!(
        client.exchanged(&execute("rows", 1)).await,
        ["row 1", "suspended", "ready T"]
    );
    let failed = ["ERROR 42703", "ready E"];
    assert_eq!(client.query("SELECT nothing").await, failed);

    // Neither what has begun nor what has not; nor is it said what it would be.
    let refused = ["ERROR 25P02", "ready E"];
    for portal in ["rows", "show"] {
        assert_eq!(client.exchanged(&execute(portal, 0)).await, refused);
        assert_eq!(client.exchanged(&describe(b'P', portal)).await, refused);
        assert_eq!(client.exchanged(&describe(b'S', portal)).await, refused);
    }
    assert_eq!(client.exchanged(&bind("again", "rows")).await, refused);
    assert_eq!(client.exchanged(&parse("one", "SELECT 1")).await, refused);
    assert_eq!(
        client.exchanged(&execute("none", 0)).await,
        ["ERROR 34000", "ready E"]
    );
    // What needs no tables.
    assert_eq!(
        client.exchanged(&execute("nothing", 0)).await,
        ["empty", "ready E"]
    );
    assert_eq!(
        client.exchanged(&parse("", "")).await,
        ["parsed", "ready E"]
    );
    assert_eq!(
        client.exchanged(&describe(b'P', "end")).await,
        ["no data", "ready E"]
    );
    assert_eq!(
        client.exchanged(&describe(b'S', "end")).await,
        ["parameters []", "no data", "ready E"]
    );
    assert_eq!(
        client.exchanged(&execute("end", 0)).await,
        ["ROLLBACK", "ready I"]
    );
    // Its portals have gone with it.
    assert_eq!(
        client.exchanged(&execute("rows", 0)).await,
        ["ERROR 34000", "ready I"]
    );
}

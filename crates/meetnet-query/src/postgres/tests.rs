//! What PostgreSQL's clients ask before anybody has written a query, and what they are answered.
//!
//! The statements are in the shape in which the clients send them (psql 15 for a server of version 14, SQLAlchemy 2,
//! pgjdbc, DBeaver, Grafana, Metabase, QGIS), written anew over the tables of the fixture.

use arrow::datatypes::DataType;

use super::*;
use crate::error::QueryErrorKind;
use crate::fixture::{Database, shown};
use crate::options::{Dialect, QueryRequest};
use crate::parameters::positional;

mod clients;
mod copiers;
mod dbeaver;
mod psql;
mod qgis;
mod zones;

fn request(sql: &str) -> QueryRequest {
    QueryRequest {
        dialect: Dialect::Postgres,
        ..QueryRequest::public(sql)
    }
}

/// Returns the names of the columns, then the rows; NULL is a dash.
async fn table(database: &Database, request: QueryRequest) -> Vec<Vec<String>> {
    let sql = request.sql.clone();
    let answer = database.service.query(request).await;
    let mut answer = answer.unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let batches = answer.collect().await;
    let batches = batches.unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let names = answer
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone());
    let mut rows = vec![names.collect::<Vec<String>>()];
    for batch in &batches {
        for row in shown(batch).expect("cells") {
            let cells = row
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
            rows.push(cells.collect());
        }
    }
    rows
}

/// Returns the OID of a dataset, as clients look it up before they ask for its columns.
async fn oid(database: &Database, name: &str) -> String {
    let sql = format!("SELECT oid FROM pg_class WHERE relname = '{name}'");
    let found = table(database, request(&sql)).await;
    found[1][0].clone()
}

/// Checks names and rows, cells joined by a bar.
async fn check(database: &Database, sql: &str, expected: &[&str]) {
    let found = table(database, request(sql)).await;
    let found: Vec<String> = found.iter().map(|row| row.join("|")).collect();
    assert_eq!(found, expected, "{sql}");
}

/// What analysts write as a matter of course, and would be answered otherwise without an error.
#[tokio::test]
async fn times_are_shown_as_postgresql_shows_them() {
    let database = Database::new();
    for (sql, expected) in [
        (
            "SELECT to_char(time, 'YYYY-MM-DD HH24:MI') FROM counts WHERE segment_id = 1 ORDER BY time LIMIT 1",
            &["to_char", "2026-01-01 00:00"][..],
        ),
        (
            "SELECT to_char(time AT TIME ZONE 'Europe/Brussels', 'HH24:MI') AS local FROM counts \
             WHERE segment_id = 1 ORDER BY time LIMIT 1",
            &["local", "01:00"],
        ),
        (
            "SELECT to_char(time, 'IYYY-\"W\"IW-ID Q Mon Day TZH:TZM') AS shown FROM counts WHERE segment_id = 1 ORDER BY time LIMIT 1",
            &["shown", "2026-W01-4 1 Jan Thursday +00:00"],
        ),
        (
            "SELECT to_char(time, 'HH24 TZH') AS shown FROM counts WHERE segment_id = 1 ORDER BY time LIMIT 1",
            &["shown", "00 +00"],
        ),
        // The zone has a name where a time is in one.
        (
            "SELECT to_char(time, 'HH24:MI TZ') AS shown, to_char(time, 'tz') AS zone, \
             to_char(time AT TIME ZONE 'Europe/Brussels', 'HH24:MI \"(\"TZ\")\"') AS local, to_char(NULL::timestamptz, 'TZ') IS NULL AS none \
             FROM counts WHERE segment_id = 1 ORDER BY time LIMIT 1",
            &["shown|zone|local|none", "00:00 UTC|utc|01:00 ()|true"],
        ),
        // What the clocks show has no zone.
        (
            "SELECT (time AT TIME ZONE 'Europe/Brussels')::text FROM counts WHERE segment_id = 1 ORDER BY time LIMIT 1",
            &["timezone", "2026-01-01T01:00:00"],
        ),
        // A day by the clocks, as the instant at which it begins: 23 hours of its rows are there.
        (
            "SELECT count(*) FROM counts WHERE segment_id = 1 AND \
             date_trunc('day', time AT TIME ZONE 'Europe/Brussels') AT TIME ZONE 'Europe/Brussels' = '2025-12-31T23:00:00Z'",
            &["count", "23"],
        ),
        // In the night in which clocks are put back an hour is there twice, in the other one none.
        (
            "SELECT date_trunc('hour', t AT TIME ZONE 'Europe/Brussels') AT TIME ZONE 'Europe/Brussels' AS h, count(*) \
             FROM (VALUES ('2026-10-25T00:30:00Z'::timestamptz), ('2026-10-25T01:30:00Z'::timestamptz), \
             ('2026-10-25T02:30:00Z'::timestamptz)) AS series(t) GROUP BY 1 ORDER BY 1",
            &[
                "h|count",
                "2026-10-25T01:00:00Z|2",
                "2026-10-25T02:00:00Z|1",
            ],
        ),
        (
            "SELECT '2026-03-29 02:30:00'::timestamp AT TIME ZONE 'Europe/Brussels' AS never",
            &["never", "2026-03-29T01:30:00Z"],
        ),
        (
            "SELECT extract(hour FROM '2026-07-01 12:00:00'::timestamp AT TIME ZONE 'Europe/Brussels' AT TIME ZONE 'UTC') AS h",
            &["h", "10"],
        ),
    ] {
        check(&database, sql, expected).await;
    }
    for (sql, why) in [
        ("SELECT to_char(time, 'WW') FROM counts", "no pattern `WW`"),
        ("SELECT to_char(time, place) FROM counts", ""),
    ] {
        match database.answer(request(sql)).await {
            Ok(_) => assert!(why.is_empty(), "{sql}"),
            Err(error) => assert!(
                error.message.contains(why) && !why.is_empty(),
                "{sql}: {error}"
            ),
        }
    }
    // Over other protocols the format is DataFusion's, and nothing else is taken for one.
    let sql = "SELECT to_char(time, 'YYYY-MM-DD') FROM counts";
    let error = database.answer(QueryRequest::public(sql)).await;
    let error = error.expect_err("no format");
    assert!(error.message.contains("a format with %"), "{error}");
}

#[tokio::test]
async fn two_casts_of_one_column_are_two_columns() {
    let database = Database::new();
    let day = "FROM counts WHERE segment_id = 1 AND time < '2026-01-02T00:00:00Z'";
    for (sql, expected) in [
        (
            format!("SELECT max(time::date), max(time::time) {day}"),
            &["max|max", "2026-01-01|23:00:00"][..],
        ),
        (
            format!("SELECT time::date AS day, time::date::text, count(*) {day} GROUP BY 1, 2"),
            &["day|time|count", "2026-01-01|2026-01-01|24"],
        ),
    ] {
        check(&database, &sql, expected).await;
    }
}

#[test]
fn a_text_is_split_into_statements() {
    let check = |sql: &str, expected: &[(&str, &[&str])]| {
        let found = statements(sql).expect("statements");
        let found: Vec<(&str, Vec<&str>)> = found
            .iter()
            .map(|statement| {
                let words = statement.words.iter().map(String::as_str).collect();
                (statement.text.trim(), words)
            })
            .collect();
        let expected: Vec<(&str, Vec<&str>)> = expected
            .iter()
            .map(|(text, words)| (*text, words.to_vec()))
            .collect();
        assert_eq!(found, expected, "{sql}");
    };
    check("", &[]);
    check(" ; -- ping\n ; /* nothing */", &[]);
    check(
        "SELECT ';' AS a; SET \"Work\" = 'it''s'",
        &[
            ("SELECT ';' AS a", &["select", ";", "as", "a"]),
            ("SET \"Work\" = 'it''s'", &["set", "Work", "=", "it's"]),
        ],
    );
    check(
        "BEGIN READ ONLY;COMMIT",
        &[
            ("BEGIN READ ONLY", &["begin", "read", "only"]),
            ("COMMIT", &["commit"]),
        ],
    );
    // As it was written: letters of several bytes, lines, and what stands behind a backslash.
    check(
        "SELECT 'é'; -- two\n SELECT E'it\\'s \\\\', '''';\n\nSHOW a",
        &[
            ("SELECT 'é'", &["select", "é"]),
            (
                "-- two\n SELECT E'it\\'s \\\\', ''''",
                &["select", "it's \\", ",", "'"],
            ),
            ("SHOW a", &["show", "a"]),
        ],
    );
    assert!(statements("SELECT 'open").is_err());
}

#[tokio::test]
async fn columns_have_the_names_that_postgresql_gives_them() {
    let database = Database::new();
    check(
        &database,
        "SELECT 1, 1, 'a'",
        &["?column?|?column?|?column?", "1|1|a"],
    )
    .await;
    check(
        &database,
        "SELECT count(*), count(car), max(car) AS \"Most\" FROM counts WHERE segment_id = 9",
        &["count|count|Most", "10|0|-"],
    )
    .await;
    check(
        &database,
        "SELECT place, count(*) FROM counts GROUP BY place ORDER BY count DESC, place LIMIT 1",
        &["place|count", "segment-1|200"],
    )
    .await;
    check(
        &database,
        "SELECT segment_id::text, segment_id FROM counts WHERE segment_id = 4",
        &["segment_id|segment_id", "4|4"],
    )
    .await;
    check(
        &database,
        "SELECT version() LIKE 'PostgreSQL 14%', current_schema(), current_database()",
        &[
            "?column?|current_schema|current_database",
            "true|public|meetnet",
        ],
    )
    .await;
    for (column, name) in [
        // Of a list the name is that of its column or function, of a cast that of what is cast, and else that of the type within.
        ("list[1]", "list"),
        ("t.list[1]", "list"),
        ("(list)[2]::float8", "list"),
        ("(string_to_array('a-b', '-'))[1]", "string_to_array"),
        ("(SELECT ARRAY[1, 2])[1]", "array"),
        ("CAST('12' AS int)", "int4"),
        ("'{1}'::int[]", "int4"),
        ("'1'::numeric(10, 2)", "numeric"),
        ("'1'::decimal", "numeric"),
        ("'1'::double precision", "float8"),
        ("'1'::real", "float4"),
        ("'1'::bigint", "int8"),
        ("'1'::smallint", "int2"),
        ("true::boolean", "bool"),
        ("'a'::varchar(3)", "varchar"),
        ("'2026-01-01'::timestamptz", "timestamptz"),
        ("'2026-01-01'::timestamp with time zone", "timestamptz"),
        ("TIMESTAMP '2026-01-01 00:00'", "timestamp"),
        ("(DATE '2026-01-01')::text", "text"),
        ("INTERVAL '1 day'", "interval"),
        ("(1 + 1)::int", "int4"),
        ("count(*)::int", "count"),
        ("NOT EXISTS (SELECT 1)", "?column?"),
        ("EXISTS (SELECT 1)", "exists"),
        ("trim(trailing 'x' FROM 'ax')", "rtrim"),
        ("overlay('abc' PLACING 'x' FROM 1)", "overlay"),
        (
            "CASE WHEN true THEN now() ELSE now() AT TIME ZONE 'UTC' END",
            "timezone",
        ),
        ("CASE WHEN true THEN 1 ELSE '2'::int END", "case"),
        ("(CASE WHEN true THEN 1 ELSE '2'::int END)::int", "int4"),
        ("(SELECT 1)", "?column?"),
        ("(SELECT 1 AS n)::text", "n"),
        ("(SELECT 1)::text", "?column?"),
        ("(SELECT '1'::int)::text", "int4"),
    ] {
        let sql = format!("SELECT {column} FROM (SELECT ARRAY[1, 2] AS list) AS t GROUP BY list");
        let found = table(&database, request(&sql)).await;
        assert_eq!(found[0], [name], "{sql}");
    }
}

#[tokio::test]
async fn a_text_is_as_long_as_its_type_and_a_date_with_hours_a_time() {
    let database = Database::new();
    for (sql, expected) in [
        (
            "SELECT place::varchar(3), 'abc'::char FROM counts WHERE segment_id = 2 LIMIT 1",
            &["place|bpchar", "seg|a"][..],
        ),
        (
            "SELECT time::date + 6 * INTERVAL '1 hour' AS t FROM counts WHERE segment_id = 2 ORDER BY time LIMIT 1",
            &["t", "2026-01-01T06:00:00Z"],
        ),
        ("SELECT (1, NULL::int) < (1, 1) AS less", &["less", "-"]),
    ] {
        check(&database, sql, expected).await;
    }
}

#[tokio::test]
async fn a_sign_goes_before_a_power() {
    let database = Database::new();
    for (condition, expected) in [
        ("-2 ^ 2 = 4", "true"),
        ("-(2 ^ 2) = -4", "true"),
        ("(-2) ^ 2 = 4", "true"),
        ("- - 3 ^ 2 = 9", "true"),
        ("2 * -3 ^ 2 = 18", "true"),
        ("10 - -2 ^ 2 = 6", "true"),
        ("2.0 ^ -1.0 ^ 2.0 = 0.25", "true"),
        ("2.0 ^ -(1.0 ^ 2.0) = 0.5", "true"),
        ("2.0 ^ 3.0 ^ 2.0 = 64", "true"),
        ("-2.0 ^ 3.0 ^ 2.0 = 64", "true"),
        ("5 # 3 = 6", "true"),
        // These go behind `+`, and before what compares.
        ("~ 5 + 1 = -7", "true"),
        ("1 + ~ 5 + 1 = -6", "true"),
        ("@ -5 + 1 = 4", "true"),
        ("|/ 9.0 + 16.0 = 5", "true"),
        ("||/ 27.0 = 3", "true"),
        ("(~ 5 & 3) = 2", "true"),
        ("'abc' ^@ 'ab'", "true"),
    ] {
        let sql = format!("SELECT {condition}");
        check(&database, &sql, &["?column?", expected]).await;
    }
}

#[tokio::test]
async fn a_table_is_a_query() {
    let database = Database::new();
    check(
        &database,
        "TABLE pg_catalog.pg_am",
        &["oid|amname|amtype", "2|heap|t"],
    )
    .await;
    check(
        &database,
        "WITH a AS (SELECT 1 AS n), b AS (TABLE a) TABLE b UNION ALL TABLE a",
        &["n", "1", "1"],
    )
    .await;
    check(
        &database,
        "SELECT count(*) FROM (TABLE counts LIMIT 7) AS seven",
        &["count", "7"],
    )
    .await;
    let refused = database.answer(request("TABLE notes")).await;
    assert_eq!(
        refused.map(|_| ()).map_err(|error| error.kind),
        Err(QueryErrorKind::NotFound)
    );
}

#[tokio::test]
async fn a_plan_is_told_as_json_in_one_column() {
    let database = Database::new();
    for options in [
        "FORMAT JSON",
        "FORMAT JSON, VERBOSE, BUFFERS off",
        "ANALYZE, FORMAT JSON",
    ] {
        let sql = format!("EXPLAIN ({options}) SELECT car FROM counts WHERE segment_id = 4");
        let described = database.service.describe(request(&sql), Vec::new()).await;
        let described = described.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let [column] = &described.schema.fields()[..] else {
            panic!("{sql}: {:?}", described.schema);
        };
        assert_eq!(PgType::of_field(column), PgType::of(PgScalar::Json));
        let found = table(&database, request(&sql)).await;
        let [names, row] = found.as_slice() else {
            panic!("{sql}: {found:?}");
        };
        assert_eq!(names, &["QUERY PLAN"]);
        let plan: serde_json::Value = serde_json::from_str(&row[0]).expect("JSON");
        assert!(plan[0]["Plan"]["Node Type"].is_string(), "{sql}: {plan}");
    }
    let refused = database
        .answer(request("EXPLAIN (FORMAT JSON) DELETE FROM counts"))
        .await;
    assert_eq!(
        refused.map(|_| ()).map_err(|error| error.kind),
        Err(QueryErrorKind::Forbidden)
    );
}

#[tokio::test]
async fn a_plan_is_told_as_text_line_by_line() {
    let database = Database::new();
    for sql in [
        "EXPLAIN SELECT car FROM counts WHERE segment_id = 4",
        "EXPLAIN (FORMAT TEXT) SELECT car FROM counts WHERE segment_id = 4",
        "EXPLAIN ANALYZE SELECT car FROM counts WHERE segment_id = 4",
        "EXPLAIN (VERBOSE, COSTS off) SELECT car FROM counts WHERE segment_id = 4",
    ] {
        let described = database.service.describe(request(sql), Vec::new()).await;
        let described = described.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let [column] = &described.schema.fields()[..] else {
            panic!("{sql}: {:?}", described.schema);
        };
        assert_eq!(PgType::of_field(column), PgType::TEXT);
        let found = table(&database, request(sql)).await;
        assert_eq!(found[0], ["QUERY PLAN"], "{sql}");
        let lines = found.iter().skip(1).map(|row| row.join("|"));
        let lines: Vec<String> = lines.collect();
        let has_breaks = lines.iter().any(|line| line.contains(['\n', '\r']));
        assert!(lines.len() > 1 && !has_breaks, "{sql}: {lines:?}");
        // Which plan it is, and its lines.
        assert!(!lines[0].starts_with(' '), "{sql}: {lines:?}");
        assert!(lines[1].starts_with("  "), "{sql}: {lines:?}");
    }
    let found = table(&database, request("EXPLAIN SELECT 1 AS a")).await;
    let kinds = found.iter().skip(1).map(|row| row[0].as_str());
    let kinds: Vec<&str> = kinds.filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(kinds, ["logical_plan", "physical_plan"]);
}

/// Sequel makes a BigDecimal of every `numeric`, and nobody counts in such.
#[tokio::test]
async fn counts_and_ranks_are_bigints() {
    let database = Database::new();
    for call in [
        "row_number() OVER (ORDER BY time)",
        "rank() OVER (ORDER BY time)",
        "dense_rank() OVER (ORDER BY time)",
        "ntile(4) OVER (ORDER BY time)",
        "count(*) OVER ()",
        "approx_distinct(segment_id) OVER ()",
    ] {
        let sql = format!("SELECT {call} AS n, pg_typeof({call}) AS type FROM counts LIMIT 1");
        let described = database.service.describe(request(&sql), Vec::new()).await;
        let described = described.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        let found = PgType::of_field(&described.schema.fields()[0]);
        assert_eq!(found, PgType::of(PgScalar::Int8), "{sql}");
        assert_eq!(
            table(&database, request(&sql)).await[1][1],
            "bigint",
            "{sql}"
        );
    }
    // What no `bigint` can be is written as one that can be more.
    check(
        &database,
        "SELECT pg_typeof(9223372036854775808) AS more, pg_typeof(9223372036854775807) AS most, \
         pg_typeof(-9223372036854775808) AS least, pg_typeof(-9223372036854775809) AS less",
        &["more|most|least|less", "numeric|bigint|bigint|numeric"],
    )
    .await;
    check(
        &database,
        "SELECT 18446744073709551615 AS much, -9223372036854775808 AS least, 1 < 9223372036854775808 AS is_less",
        &["much|least|is_less", "18446744073709551615|-9223372036854775808|true"],
    )
    .await;
}

#[tokio::test]
async fn the_time_without_a_zone_is_that_of_utc() {
    let database = Database::new();
    check(
        &database,
        "SELECT localtimestamp = CAST(CURRENT_TIMESTAMP AS TIMESTAMP) AS same,
           CAST(localtimestamp AS TIME) = localtime AS of_day",
        &["same|of_day", "true|true"],
    )
    .await;
    let described = database
        .service
        .describe(request("SELECT localtimestamp"), Vec::new())
        .await
        .expect("a description");
    let field = &described.schema.fields()[0];
    assert_eq!(field.name(), "localtimestamp");
    assert_eq!(PgType::of_field(field), PgType::of(PgScalar::Timestamp));
}

#[tokio::test]
async fn an_array_may_be_written_as_a_text() {
    let database = Database::new();
    check(
        &database,
        "SELECT array_to_string('{a, \"b, c\", NULL}'::text[], '+', '-') AS texts,
           array_to_string(CAST('{1,2}' AS bigint[]), '+') AS numbers, 2 = ANY ('{1,2}'::bigint[]) AS has",
        &["texts|numbers|has", "a+b, c+-|1+2|true"],
    )
    .await;
    check(
        &database,
        "SELECT 'a' = ANY ('{a,b}') AS a, 'c' <> ALL ('{a,b}') AS b, 1 = SOME ('{1,2}') AS c, 'a' = ANY ('{}') AS d,
           1e0 = ANY ('{1,2}') AS e, 1e0 <> ALL ('{1,2}') AS f",
        &["a|b|c|d|e|f", "true|true|true|false|true|false"],
    )
    .await;
    // Each element becomes an expression.
    let has = |elements: &str| format!("SELECT 'a' = ANY ('{elements}'::text[]) AS has");
    let many = |count: usize| has(&format!("{{{}}}", vec!["a"; count].join(",")));
    check(&database, &many(2_000), &["has", "true"]).await;
    for (sql, kind) in [
        (many(2_001), QueryErrorKind::TooLarge),
        (
            format!("{} UNION {}", many(1_001), many(1_001)),
            QueryErrorKind::TooLarge,
        ),
        // It would be an array of this one text.
        (has("a,b"), QueryErrorKind::BadRequest),
        (has("{{a},{b}}"), QueryErrorKind::BadRequest),
    ] {
        let refused = database.answer(request(&sql)).await;
        assert_eq!(
            refused.map(|_| ()).map_err(|error| error.kind),
            Err(kind),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn parameters_are_typed_by_their_place_and_replaced_by_values() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

    let database = Database::new();
    let sql = "SELECT $3 AS told, count(*) FROM counts WHERE segment_id = $1 AND car > $2";
    let described = database
        .service
        .describe(request(sql), vec![None, None, Some(DataType::Int32)])
        .await
        .expect("a description");
    assert_eq!(
        described.parameters,
        [
            Some(DataType::Int64),
            Some(DataType::Float64),
            Some(DataType::Int32)
        ]
    );
    let types: Vec<&DataType> = described
        .schema
        .fields()
        .iter()
        .map(|f| f.data_type())
        .collect();
    assert_eq!(types, [&DataType::Int32, &DataType::Int64]);

    let answer = |segment: i64, cars: f64| {
        let values: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![segment])),
            Arc::new(Float64Array::from(vec![cars])),
            Arc::new(StringArray::from(vec!["'; DROP TABLE counts"])),
        ];
        table(
            &database,
            QueryRequest {
                parameters: positional(values),
                ..request(sql)
            },
        )
    };
    assert_eq!(answer(1, 100.0).await[1], ["'; DROP TABLE counts", "1"]);
    assert_eq!(answer(2, 1.0).await[1], ["'; DROP TABLE counts", "200"]);
}

/// As psycopg sends them, which names the type of each value, the least that it fits.
#[tokio::test]
async fn a_parameter_is_of_the_type_that_its_client_names() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int16Array, IntervalMonthDayNanoArray, StringArray};
    use arrow::datatypes::IntervalMonthDayNano;

    let database = Database::new();
    let hour = || -> ArrayRef {
        let hour = IntervalMonthDayNano::new(0, 0, 3_600_000_000_000);
        Arc::new(IntervalMonthDayNanoArray::from(vec![hour]))
    };
    let small = |number: i16| -> ArrayRef { Arc::new(Int16Array::from(vec![number])) };
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let time = "TIMESTAMPTZ '2026-01-01 00:00:00+00'";
    for (sql, values, expected) in [
        (
            format!("SELECT {time} + $1 AS t"),
            vec![hour()],
            vec!["2026-01-01T01:00:00Z"],
        ),
        (
            "SELECT TIMESTAMPTZ '2000-01-01 00:00:00+00' > now() - ($1) AS t".to_owned(),
            vec![hour()],
            vec!["false"],
        ),
        (
            format!("SELECT {time} + $1 * 2 AS t"),
            vec![hour()],
            vec!["2026-01-01T02:00:00Z"],
        ),
        (
            "SELECT substring('abcdef' FROM $1 FOR $2) AS t".to_owned(),
            vec![small(2), small(3)],
            vec!["bcd"],
        ),
        (
            "SELECT substr('abcdef', $1) AS t".to_owned(),
            vec![small(5)],
            vec!["ef"],
        ),
        (
            format!(
                "SELECT t FROM generate_series({time}, TIMESTAMPTZ '2026-01-01 01:00:00+00', $1::interval) AS t(t)"
            ),
            vec![hour()],
            vec!["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"],
        ),
        (
            format!(
                "SELECT t FROM generate_series({time}, TIMESTAMPTZ '2026-01-01 01:00:00+00', $1) AS t(t)"
            ),
            vec![text("1 hour")],
            vec!["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"],
        ),
        (
            "SELECT t FROM generate_series($1::int, $2::int, $3::int) AS t(t)".to_owned(),
            vec![small(1), small(3), small(2)],
            vec!["1", "3"],
        ),
    ] {
        let types = values.iter().map(|value| match value.data_type() {
            // Drivers leave texts to the server.
            DataType::Utf8 => None,
            named => Some(named.clone()),
        });
        let described = database
            .service
            .describe(request(&sql), types.collect())
            .await;
        assert!(described.is_ok(), "{sql}: {described:?}");
        let asked = QueryRequest {
            parameters: positional(values),
            ..request(&sql)
        };
        let found = table(&database, asked).await.concat();
        assert_eq!(found[1..], expected, "{sql}");
    }
}

#[tokio::test]
async fn a_parameter_that_stands_for_a_list_is_one() {
    use std::sync::Arc;

    use arrow::datatypes::Field;

    let database = Database::new();
    let list = |element: DataType| {
        let field = Field::new_list_field(element, true);
        Some(DataType::List(Arc::new(field)))
    };
    for (condition, expected) in [
        ("place = ANY($1)", list(DataType::Utf8)),
        ("segment_id <> ALL($1)", list(DataType::Int64)),
        ("car <= ANY($1)", list(DataType::Float64)),
        ("segment_id > ALL($1::bigint[])", list(DataType::Int64)),
        (
            "$1::varchar[] IS NULL OR place = ANY($1)",
            list(DataType::Utf8),
        ),
        (
            "segment_id IN (SELECT segment_id FROM counts WHERE place = ANY($1))",
            list(DataType::Utf8),
        ),
        ("segment_id = $1", Some(DataType::Int64)),
        ("abs($1) > 1", None),
    ] {
        let sql = format!("SELECT count(*) FROM counts WHERE {condition}");
        let described = database.service.describe(request(&sql), vec![None]).await;
        let described = described.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        assert_eq!(described.parameters, [expected], "{sql}");
    }
}

/// asyncpg, pgx and psqlODBC make a value of the type that they are told.
#[tokio::test]
async fn a_parameter_is_of_the_type_that_it_is_cast_to() {
    use arrow::datatypes::{IntervalUnit, TimeUnit};

    let database = Database::new();
    for (sql, expected) in [
        ("SELECT $1::int", Some(DataType::Int32)),
        ("SELECT $1::bigint + 1", Some(DataType::Int64)),
        ("SELECT $1::bytea", Some(DataType::Binary)),
        ("SELECT CAST($1 AS boolean)", Some(DataType::Boolean)),
        (
            "SELECT now() - $1::interval",
            Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        ),
        (
            "SELECT '08:00'::time > $1::time",
            Some(DataType::Time64(TimeUnit::Nanosecond)),
        ),
        ("SELECT car FROM counts LIMIT $1", Some(DataType::Int64)),
        (
            "SELECT car FROM counts LIMIT 5 OFFSET $1",
            Some(DataType::Int64),
        ),
        // As digits: a float would lose some.
        ("SELECT $1::numeric", None),
        // One type or the other.
        ("SELECT $1::int, $1::boolean", None),
        ("SELECT $1", None),
    ] {
        let described = database.service.describe(request(sql), vec![None]).await;
        let described = described.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        assert_eq!(described.parameters, [expected], "{sql}");
    }
}

/// Frameworks ask for rows and what belongs to them in one statement so.
#[tokio::test]
async fn values_and_rows_are_gathered_as_json() {
    let database = Database::new();
    for (sql, expected) in [
        (
            "SELECT json_agg(x ORDER BY n) FROM (VALUES (1, 3.0), (3, 1.5), (2, NULL)) AS t(n, x)",
            &["json_agg", "[3, null, 1.5]"][..],
        ),
        (
            "SELECT json_agg(DISTINCT segment_id) FILTER (WHERE segment_id = 2) AS j FROM counts",
            &["j", "[2]"],
        ),
        (
            "SELECT json_agg(time ORDER BY time) AS j
             FROM (SELECT time FROM counts WHERE segment_id = 2 ORDER BY time LIMIT 2) AS t",
            &[
                "j",
                r#"["2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00+00:00"]"#,
            ],
        ),
        // As for every aggregate but count.
        (
            "SELECT json_agg(car) AS j FROM counts WHERE segment_id = -1",
            &["j", "-"],
        ),
        (
            "SELECT json_agg(t ORDER BY t.car) AS j
             FROM (SELECT segment_id, car FROM counts WHERE segment_id IN (2, 3) ORDER BY time, segment_id LIMIT 2) AS t",
            &[
                "j",
                "[{\"segment_id\":2,\"car\":20}, \n {\"segment_id\":3,\"car\":30}]",
            ],
        ),
        (
            "SELECT json_agg(row_to_json(t)) AS j FROM (SELECT 'say \"hi\"' AS word, NULL::bigint AS n) AS t",
            &["j", r#"[{"word":"say \"hi\"","n":null}]"#],
        ),
        // What is JSON already is not on a line of its own.
        (
            "SELECT json_agg(row_to_json(t)) AS j FROM (SELECT 1 AS a UNION ALL SELECT 1 AS a) AS t",
            &["j", r#"[{"a":1}, {"a":1}]"#],
        ),
        // The row that is not found is NULL, and not an object of NULLs.
        (
            "SELECT x, row_to_json(b) AS j FROM (VALUES (1), (2)) AS a(x) LEFT JOIN (SELECT 2 AS y, NULL AS z) AS b ON x = y ORDER BY x",
            &["x|j", "1|-", r#"2|{"y":2,"z":null}"#],
        ),
        // As tools for maps ask.
        (
            "SELECT json_build_object('type', 'FeatureCollection', 'features', json_agg(json_build_object('type', 'Feature',
               'geometry', '{\"type\":\"Point\",\"coordinates\":[4.7,50.9]}'::json, 'properties', row_to_json(t)) ORDER BY t.car)) AS j
             FROM (SELECT car FROM counts WHERE segment_id = 2 ORDER BY time LIMIT 1) AS t",
            &[
                "j",
                r#"{"type" : "FeatureCollection", "features" : [{"type" : "Feature", "geometry" : {"type":"Point","coordinates":[4.7,50.9]}, "properties" : {"car":20}}]}"#,
            ],
        ),
        // As PostgREST asks for a page of rows.
        (
            "WITH source AS (SELECT segment_id, car FROM counts WHERE time < '2026-01-01 01:00' ORDER BY segment_id)
             SELECT pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body,
               pg_catalog.json_build_object('none', coalesce(json_agg(_postgrest_t) FILTER (WHERE false), '[]')) AS nested
             FROM (SELECT * FROM source LIMIT 1) _postgrest_t",
            &[
                "page_total|body|nested",
                r#"1|[{"segment_id":1,"car":10}]|{"none" : []}"#,
            ],
        ),
        // Within a subquery the name means its row.
        (
            "SELECT (SELECT json_agg(t) FROM (SELECT 1 AS a, 2 AS b) AS t) AS j FROM (SELECT 3 AS a) AS t",
            &["j", r#"[{"a":1,"b":2}]"#],
        ),
        // A column comes first.
        (
            "SELECT json_agg(t) AS j FROM (SELECT 1 AS t) AS t",
            &["j", "[1]"],
        ),
        (
            "SELECT starts_with(row_to_json(c), '{\"segment_id\":2,\"time\":\"2026-01-01T00:00:00+00:00\",\"car\":20,\
             \"place\":\"segment-2\",\"speed_hist\":[20,null],') AS is_row
             FROM counts AS c WHERE segment_id = 2 ORDER BY time LIMIT 1",
            &["is_row", "true"],
        ),
        (
            "SELECT to_json('NaN'::double precision) AS a, to_json(1.50::numeric(5, 2)) AS b, to_json(DATE '2026-01-31') AS c,
               to_json('\\x6162'::bytea) AS d, to_json(true) AS e, to_json(NULL::bigint) AS f, to_json(ARRAY[1, 2]) AS g,
               to_json(TIMESTAMP '2026-01-31 12:00:00.5') AS h, to_json(9007199254740993) AS i",
            &[
                "a|b|c|d|e|f|g|h|i",
                r#""NaN"|1.50|"2026-01-31"|"\\x6162"|true|-|[1,2]|"2026-01-31T12:00:00.5"|9007199254740993"#,
            ],
        ),
    ] {
        check(&database, sql, expected).await;
    }
    // What is gathered has the type that clients know.
    let sql = "SELECT json_agg(t) AS j, 'x' AS text FROM counts AS t";
    let described = database.service.describe(request(sql), vec![]).await;
    let described = described.expect("a description");
    let types: Vec<PgType> = described
        .schema
        .fields()
        .iter()
        .map(|field| PgType::of_field(field))
        .collect();
    assert_eq!(types, [PgType::of(PgScalar::Json), PgType::TEXT]);
    for sql in [
        "SELECT json_agg(DISTINCT row_to_json(t)) FROM (SELECT 1 AS a) AS t",
        "SELECT json_build_object('a')",
        "SELECT row_to_json(t, 1) FROM (SELECT 1 AS a) AS t",
        "SELECT 1::json",
        "SELECT row_to_json(s) FROM (SELECT json_agg(t) AS j FROM (SELECT 1 AS a) AS t) AS u",
    ] {
        let described = database.service.describe(request(sql), vec![]).await;
        let refused = described.err().map(|error| error.kind);
        assert_eq!(refused, Some(QueryErrorKind::BadRequest), "{sql}");
    }
    for (calls, is_taken) in [(200, true), (201, false)] {
        let rows: Vec<String> = (0..calls)
            .map(|call| format!("row_to_json(c) AS j{call}"))
            .collect();
        let sql = format!("SELECT {} FROM counts AS c LIMIT 0", rows.join(", "));
        let described = database.service.describe(request(&sql), vec![]).await;
        let refused = described.err().map(|error| error.kind);
        let expected = (!is_taken).then_some(QueryErrorKind::TooLarge);
        assert_eq!(refused, expected, "{calls}");
    }
}

#[tokio::test]
async fn a_parameter_that_is_cast_to_numeric_keeps_its_digits() {
    let database = Database::new();
    for (sql, known, expected) in [
        ("SELECT $1::numeric", None, true),
        (
            "SELECT CAST($1 AS numeric(20, 2)) + 1",
            Some(DataType::Float64),
            true,
        ),
        // It is used as a float, too, as another type, or as nothing.
        (
            "SELECT $1::numeric AS digits FROM counts WHERE car > $1",
            None,
            false,
        ),
        (
            "SELECT car > $1 AS is_more, $1::numeric AS digits FROM counts",
            None,
            false,
        ),
        ("SELECT $1::numeric, $1::int", None, false),
        ("SELECT $1::numeric[]", None, true),
        (
            "SELECT $1::numeric(20, 2)[]",
            Some(DataType::new_list(DataType::Float64, true)),
            true,
        ),
        (
            "SELECT car FROM counts WHERE $1 IS NULL OR car::numeric = ANY($1::numeric[])",
            None,
            true,
        ),
        (
            "SELECT $1::numeric[] AS digits FROM counts WHERE car::numeric = ANY($1)",
            None,
            false,
        ),
        ("SELECT $1::numeric[], $1::int[]", None, false),
        ("SELECT $1::double precision[]", None, false),
        (
            "SELECT $1::numeric AS digits, $1 AS other",
            Some(DataType::Float64),
            false,
        ),
        (
            "SELECT car FROM counts WHERE $1 IS NULL OR car > $1::numeric",
            None,
            true,
        ),
        ("SELECT $1::double precision", None, false),
        ("SELECT $1", None, false),
    ] {
        let described = database
            .service
            .describe(request(sql), vec![known])
            .await
            .unwrap_or_else(|error| panic!("{sql}\n{error}"));
        assert_eq!(described.digits.contains(&0), expected, "{sql}");
    }
}

#[tokio::test]
async fn what_writes_or_does_not_exist_is_refused_in_this_dialect_too() {
    let database = Database::new();
    let refused = async |sql: &str| match database.answer(request(sql)).await {
        Err(error) => error.kind,
        Ok(_) => panic!("{sql} was answered"),
    };
    for sql in [
        "INSERT INTO counts SELECT * FROM counts",
        "CREATE TABLE mine AS SELECT * FROM counts",
        "DROP TABLE counts",
        "COPY counts TO '/tmp/counts.csv'",
        "SET search_path TO public",
    ] {
        assert_eq!(refused(sql).await, QueryErrorKind::Forbidden, "{sql}");
    }
    // A private dataset does not exist, and neither does it in the catalogue.
    assert_eq!(
        refused("SELECT * FROM notes").await,
        QueryErrorKind::NotFound
    );
    for sql in [
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'notes%'",
        "SELECT count(*) FROM information_schema.columns WHERE table_name LIKE 'notes%'",
        "SELECT count(*) FROM pg_tables WHERE tablename = 'notes'",
        "SELECT count('notes'::regclass)",
    ] {
        let found = table(&database, request(sql)).await;
        assert_eq!(found[1], ["0"], "{sql}");
    }
    let long = format!("SELECT '{}'", "x".repeat(100_000));
    assert_eq!(refused(&long).await, QueryErrorKind::TooLarge);
}

#[tokio::test]
async fn a_long_parameter_is_a_long_literal() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    let database = Database::new();
    let long = StringArray::from(vec!["x".repeat(100_000)]);
    let refused = database
        .answer(QueryRequest {
            parameters: positional([Arc::new(long) as ArrayRef]),
            ..request("SELECT $1 FROM counts")
        })
        .await;
    assert_eq!(
        refused.map(|_| ()).map_err(|error| error.kind),
        Err(QueryErrorKind::TooLarge)
    );
}

#[tokio::test]
async fn the_catalogue_of_postgresql_is_for_its_clients_only() {
    let database = Database::new();
    let refused = database
        .answer(QueryRequest::public("SELECT * FROM pg_catalog.pg_class"))
        .await;
    assert_eq!(
        refused.map(|_| ()).map_err(|error| error.kind),
        Err(QueryErrorKind::NotFound)
    );
}

/// Each becomes a comparison with every type or dataset.
#[tokio::test]
async fn what_is_compared_with_every_type_stands_in_a_statement_so_often_and_no_more() {
    let database = Database::new();
    let texts = |written: &str, times: usize| {
        format!("SELECT 1 WHERE 'x' IN ({} 'x')", written.repeat(times))
    };
    for (written, times, expected) in [
        ("format_type(23, -1), ", 100, Ok(())),
        ("format_type(23, -1), ", 101, Err(QueryErrorKind::TooLarge)),
        (
            "20::\"regtype\"::text, ",
            101,
            Err(QueryErrorKind::TooLarge),
        ),
        ("20::RegClass::text, ", 101, Err(QueryErrorKind::TooLarge)),
        ("obj_description(1), ", 100, Ok(())),
        ("obj_description(1), ", 101, Err(QueryErrorKind::TooLarge)),
        ("col_description(1, 1), ", 10, Ok(())),
        ("col_description(1, 1), ", 11, Err(QueryErrorKind::TooLarge)),
        ("current_setting('a'), ", 100, Ok(())),
        ("current_setting('a'), ", 101, Err(QueryErrorKind::TooLarge)),
    ] {
        let answer = database.answer(request(&texts(written, times))).await;
        let found = answer.map(|_| ()).map_err(|error| error.kind);
        assert_eq!(found, expected, "{times} of {written}");
    }
}

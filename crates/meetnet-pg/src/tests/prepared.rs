//! Statements that SQL itself prepares and executes.

use super::*;

#[tokio::test]
async fn sql_prepares_and_executes_by_name() {
    let (mut client, _) = Client::login(default_server().await).await;
    let series = "SELECT value FROM generate_series(1, 5) WHERE value >= $1 AND value < $2";
    let prepare = format!("PREPARE \"Most\" (int, bigint) AS {series}");
    for (sql, expected) in [
        (prepare.as_str(), &["PREPARE", "ready I"][..]),
        (
            "EXECUTE \"Most\" (2 + 1, 5)",
            &["columns value:20", "row 3", "row 4", "SELECT 2", "ready I"],
        ),
        // A text is read as a value of the type, and NULL meets nothing.
        (
            "EXECUTE \"Most\"('4', '5')",
            &["columns value:20", "row 4", "SELECT 1", "ready I"],
        ),
        (
            "EXECUTE \"Most\"(NULL, 5)",
            &["columns value:20", "SELECT 0", "ready I"],
        ),
        (
            "PREPARE shown AS SELECT $1::timestamptz AS at, $2 AS said",
            &["PREPARE", "ready I"],
        ),
        (
            "EXECUTE shown(timestamptz '2026-01-31 12:00:00+01:00', 'it''s, (so)')",
            &[
                "columns at:1184 said:25",
                "row 2026-01-31 11:00:00+00|it\\'s, (so)",
                "SELECT 1",
                "ready I",
            ],
        ),
        (
            "PREPARE one AS VALUES (1); EXECUTE one; DEALLOCATE one",
            &[
                "PREPARE",
                "columns column1:20",
                "row 1",
                "SELECT 1",
                "DEALLOCATE",
                "ready I",
            ],
        ),
        // What is wrong with it.
        ("EXECUTE one", &["ERROR 26000", "ready I"]),
        ("EXECUTE \"Most\"", &["ERROR 42601", "ready I"]),
        ("EXECUTE \"Most\"(1)", &["ERROR 42601", "ready I"]),
        ("EXECUTE \"Most\"('many', 5)", &["ERROR 22P02", "ready I"]),
        (
            "EXECUTE \"Most\"(value, value FROM generate_series(1, 9))",
            &["ERROR 42601", "ready I"],
        ),
        ("EXECUTE \"Most\"(nothing, 1)", &["ERROR 42703", "ready I"]),
        ("PREPARE shown AS SELECT 1", &["ERROR 42P05", "ready I"]),
        ("PREPARE p AS SHOW all_of_it", &["ERROR 42601", "ready I"]),
        (
            "PREPARE p AS DROP TABLE counts",
            &["ERROR 25006", "ready I"],
        ),
        (
            "PREPARE p (money) AS SELECT $1",
            &["ERROR 0A000", "ready I"],
        ),
        ("DEALLOCATE ALL", &["DEALLOCATE ALL", "ready I"]),
        ("EXECUTE shown(1, 2)", &["ERROR 26000", "ready I"]),
    ] {
        assert_eq!(client.query(sql).await, expected, "{sql}");
    }
}

/// A message executes what SQL has prepared, and the other way round: they have one list.
#[tokio::test]
async fn messages_and_sql_have_one_list_of_statements() {
    let (mut client, _) = Client::login(default_server().await).await;
    client
        .send(&Parse::new(
            Some("s".into()),
            "SELECT $1 + 1 AS next".into(),
            vec![20],
        ))
        .await;
    client.send(&Sync::new()).await;
    assert_eq!(client.exchange().await, ["parsed", "ready I"]);
    assert_eq!(
        client.query("EXECUTE s(41)").await,
        ["columns next:20", "row 42", "SELECT 1", "ready I"]
    );
    // EXECUTE by messages: described, and in binary.
    client
        .send(&Parse::new(Some("e".into()), "EXECUTE s(4)".into(), vec![]))
        .await;
    client.send(&Describe::new(b'S', Some("e".into()))).await;
    client
        .send(&Bind::new(None, Some("e".into()), vec![], vec![], vec![1]))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    assert_eq!(
        client.exchange().await,
        [
            "parsed",
            "parameters []",
            "columns next:20",
            "bound",
            r"row \0\0\0\0\0\0\0\u{5}",
            "SELECT 1",
            "ready I",
        ]
    );
}

/// As psycopg's named cursors send it, and with them `stream_results` of SQLAlchemy.
#[tokio::test]
async fn a_cursor_takes_the_values_that_are_bound_to_its_declaration() {
    let (mut client, _) = Client::login(default_server().await).await;
    assert_eq!(client.query("BEGIN").await, ["BEGIN", "ready T"]);
    let declare = "DECLARE \"part\" CURSOR FOR SELECT value FROM generate_series(1, 5) WHERE value >= $1 AND value < $2";
    client
        .send(&Parse::new(Some("d".into()), declare.into(), vec![]))
        .await;
    let three = Bytes::copy_from_slice(&3_i64.to_be_bytes());
    let five = Bytes::from_static(b"5");
    client
        .send(&Bind::new(
            None,
            Some("d".into()),
            vec![1, 0],
            vec![Some(three), Some(five)],
            vec![],
        ))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    assert_eq!(
        client.exchange().await,
        ["parsed", "bound", "DECLARE CURSOR", "ready T"]
    );
    assert_eq!(
        client.query("FETCH ALL FROM \"part\"").await,
        ["columns value:20", "row 3", "row 4", "FETCH 2", "ready T"]
    );
    // One value is missing.
    client
        .send(&Bind::new(
            None,
            Some("d".into()),
            vec![],
            vec![Some(Bytes::from_static(b"3"))],
            vec![],
        ))
        .await;
    client.send(&Sync::new()).await;
    assert_eq!(client.exchange().await, ["ERROR 08P01", "ready E"]);
}

/// What a message asks for counts more than what DECLARE has said, also in the middle of a batch.
#[tokio::test]
async fn fetch_answers_in_the_format_that_is_asked_for() {
    let (mut client, _) = Client::login(default_server().await).await;
    let declare = "BEGIN; DECLARE part BINARY CURSOR FOR SELECT value FROM generate_series(1, 4)";
    let declared = client.query(declare).await;
    assert_eq!(declared, ["BEGIN", "DECLARE CURSOR", "ready T"]);
    let fetch = "FETCH 1 FROM part";
    for (formats, row) in [(vec![1], r"row \0\0\0\0\0\0\0\u{1}"), (vec![], "row 2")] {
        client.send(&Parse::new(None, fetch.into(), vec![])).await;
        client
            .send(&Bind::new(None, None, vec![], vec![], formats))
            .await;
        client.send(&Execute::new(None, 0)).await;
        client.send(&Sync::new()).await;
        let fetched = client.exchange().await;
        assert_eq!(fetched, ["parsed", "bound", row, "FETCH 1", "ready T"]);
    }
    // A simple query asks for nothing.
    let fetched = client.query(fetch).await;
    assert_eq!(fetched[1], r"row \0\0\0\0\0\0\0\u{3}", "{fetched:?}");
}

#[tokio::test]
async fn types_have_the_names_of_postgresql() {
    let (mut client, _) = Client::login(default_server().await).await;
    let sql = "SELECT pg_typeof(1), pg_typeof('a'), pg_typeof(1.5), pg_typeof(now()), pg_typeof(NULL), \
               pg_catalog.pg_typeof(value) FROM generate_series(1, 1)";
    let answer = client.query(sql).await;
    assert_eq!(
        answer[1], "row bigint|text|double precision|timestamp with time zone|unknown|bigint",
        "{answer:?}"
    );
    let sql = "SELECT b - a AS span, extract(hour FROM b - a) AS hours, array_agg(b - a) AS spans, pg_typeof(b - a) AS named \
               FROM (SELECT timestamptz '2026-01-02 01:00:00+00' AS b, timestamptz '2026-01-01 00:00:00+00' AS a) AS t \
               GROUP BY a, b";
    assert_eq!(
        client.query(sql).await,
        [
            "columns span:1186 hours:23 spans:1187 named:25",
            r#"row 1 day 01:00:00|1|{\"1 day 01:00:00\"}|interval"#,
            "SELECT 1",
            "ready I"
        ]
    );
    // Columns have the names that were written, whatever is planned for them.
    let sql = "SELECT mod(7, 3), sign(-2), date_trunc('day', timestamptz '2026-07-01 12:00:00+00', 'Europe/Brussels'), \
               timezone('Europe/Brussels', timestamptz '2026-07-01 12:00:00+00') FETCH FIRST ROW ONLY";
    assert_eq!(
        client.query(sql).await,
        [
            "columns mod:20 sign:701 date_trunc:1184 timezone:1114",
            "row 1|-1|2026-06-30 22:00:00+00|2026-07-01 14:00:00",
            "SELECT 1",
            "ready I"
        ]
    );
    let answer = client.query("SELECT 9223372036854775807 + 1").await;
    assert_eq!(answer, ["ERROR 22003", "ready I"]);
}

/// Whoever answers JSON to others writes it so that it is never NULL; drivers make values of it by its type.
#[tokio::test]
async fn json_is_json_in_coalesce_and_case() {
    let (mut client, _) = Client::login(default_server().await).await;
    let of = "FROM (SELECT 1 AS a) AS t";
    for (sql, oid, value) in [
        (
            format!("SELECT coalesce(json_agg(t), '[]') AS j {of}"),
            114,
            r#"[{\"a\":1}]"#,
        ),
        (
            format!("SELECT coalesce(json_agg(t), '[]'::json) AS j {of} WHERE a > 1"),
            114,
            "[]",
        ),
        (
            format!("SELECT CASE WHEN a > 0 THEN to_json(a) END AS j {of}"),
            114,
            "1",
        ),
        (
            format!("SELECT CASE WHEN a > 1 THEN to_json(a) ELSE '[]' END AS j {of}"),
            114,
            "[]",
        ),
        (
            format!(
                "SELECT j FROM (SELECT CASE WHEN a > 0 THEN to_json(a) END AS j {of}) AS s LIMIT 1"
            ),
            114,
            "1",
        ),
        // What is no JSON makes a text of all.
        (
            format!("SELECT CASE WHEN a > 1 THEN to_json(a) ELSE 'none' END AS j {of}"),
            25,
            "none",
        ),
    ] {
        let expected = [
            format!("columns j:{oid}"),
            format!("row {value}"),
            "SELECT 1".to_owned(),
            "ready I".to_owned(),
        ];
        assert_eq!(client.query(&sql).await, expected, "{sql}");
    }
    let answer = client
        .query(&format!("SELECT array_agg(t) AS list {of}"))
        .await;
    assert_eq!(answer, ["ERROR 0A000", "ready I"]);
}

/// Drivers send lists as texts, and leave it to the server what they are.
#[tokio::test]
async fn lists_are_sent_as_texts() {
    let (mut client, _) = Client::login(default_server().await).await;
    let names = "FROM (VALUES ('a'), ('b, c'), ('d')) AS t(name)";
    for (condition, said, value, known, rows) in [
        ("name = ANY($1)", 0, r#"{a,"b, c",NULL}"#, 1009, 2),
        ("name = ANY($1::text[])", 705, r#"{a,"b, c",NULL}"#, 1009, 2),
        ("name = ANY($1::text[])", 1009, "{a}", 1009, 1),
        ("name <> ALL($1)", 0, "{a,d}", 1009, 1),
        ("name > ANY($1)", 0, "{b}", 1009, 2),
        ("name = ANY($1)", 0, "{}", 1009, 0),
        ("$1::text[] IS NULL OR name = ANY($1)", 0, "{d}", 1009, 1),
        ("1 = ANY($1)", 0, "{1,2}", 1016, 3),
        // A text that the client calls one, and the statement a list.
        ("name = ANY($1::text[])", 25, "{a,d}", 25, 2),
    ] {
        let sql = format!("SELECT count(*) AS n {names} WHERE {condition}");
        let found = sent_as_text(&mut client, &sql, said, value).await;
        assert_eq!(
            found,
            [
                "parsed".to_owned(),
                format!("parameters [{known}]"),
                "columns n:20".to_owned(),
                "bound".to_owned(),
                format!("row {rows}"),
                "SELECT 1".to_owned(),
                "ready I".to_owned(),
            ],
            "{sql}"
        );
    }
    let sql = "SELECT $1::text[] AS list";
    let found = sent_as_text(&mut client, sql, 0, r#"{a,"b, c",NULL}"#).await;
    assert_eq!(
        found[2..5],
        ["columns list:1009", "bound", r#"row {a,\"b, c\",NULL}"#]
    );
    let found = sent_as_text(&mut client, sql, 0, "a,b").await;
    assert_eq!(found[3..], ["ERROR 22P02", "ready I"]);

    let prepare = format!("PREPARE l AS SELECT count(*) AS n {names} WHERE name = ANY($1)");
    assert_eq!(client.query(&prepare).await, ["PREPARE", "ready I"]);
    let found = client.query("EXECUTE l('{a,d}')").await;
    assert_eq!(found, ["columns n:20", "row 2", "SELECT 1", "ready I"]);
}

/// Prepares a statement of one parameter that is said to be of a type, and runs it with a value in text.
async fn sent_as_text(
    client: &mut Client,
    sql: &str,
    said: u32,
    value: &'static str,
) -> Vec<String> {
    client
        .send(&Parse::new(None, sql.to_owned(), vec![said]))
        .await;
    client.send(&Describe::new(b'S', None)).await;
    let value = Bytes::from_static(value.as_bytes());
    client
        .send(&Bind::new(None, None, vec![], vec![Some(value)], vec![]))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    client.exchange().await
}

/// What drivers call a time of the day has microseconds, and SQL nanoseconds.
#[tokio::test]
async fn times_of_the_day_are_described_and_compared() {
    let (mut client, _) = Client::login(default_server().await).await;
    let sql = "SELECT TIME '08:00:00' > $1 AS later";
    for said in [0, 1083] {
        let found = sent_as_text(&mut client, sql, said, "07:30:00").await;
        assert_eq!(
            found,
            [
                "parsed",
                "parameters [1083]",
                "columns later:16",
                "bound",
                "row t",
                "SELECT 1",
                "ready I"
            ],
            "{said}"
        );
    }
}

/// As pgx sends a `pgtype.Numeric`, psycopg a Decimal and JDBC a BigDecimal: a float would lose most of these digits.
#[tokio::test]
async fn a_number_that_is_cast_to_numeric_keeps_its_digits() {
    let (mut client, _) = Client::login(default_server().await).await;
    let sql = "SELECT $1::numeric(30, 10) AS n";
    for (said, value, expected) in [
        (
            0,
            "12345678901234567890.0123456789",
            "row 12345678901234567890.0123456789",
        ),
        (
            1700,
            "12345678901234567890.0123456789",
            "row 12345678901234567890.0123456789",
        ),
        (0, "45e-1", "row 4.5000000000"),
    ] {
        let found = sent_as_text(&mut client, sql, said, value).await;
        assert_eq!(
            found,
            [
                "parsed",
                "parameters [1700]",
                "columns n:1700",
                "bound",
                expected,
                "SELECT 1",
                "ready I"
            ],
            "{said}"
        );
    }
    let found = sent_as_text(&mut client, sql, 0, "much").await;
    assert_eq!(found[3..], ["ERROR 22P02", "ready I"]);
    // −12345.678 in binary.
    let bytes = [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c];
    client.send(&Parse::new(None, sql.to_owned(), vec![])).await;
    let value = Some(Bytes::copy_from_slice(&bytes));
    client
        .send(&Bind::new(None, None, vec![1], vec![value], vec![]))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    assert_eq!(
        client.exchange().await,
        [
            "parsed",
            "bound",
            "row -12345.6780000000",
            "SELECT 1",
            "ready I"
        ]
    );
    // A value that is computed.
    assert_eq!(
        client
            .query("PREPARE n AS SELECT $1::numeric(10, 2) AS n")
            .await,
        ["PREPARE", "ready I"]
    );
    for (value, expected) in [
        ("1.5", "row 1.50"),
        ("'12.345e1'", "row 123.45"),
        ("2::numeric(4, 1)", "row 2.00"),
    ] {
        assert_eq!(
            client.query(&format!("EXECUTE n({value})")).await,
            ["columns n:1700", expected, "SELECT 1", "ready I"]
        );
    }
}

/// As psycopg sends a list of Decimals and JDBC an array of BigDecimals.
#[tokio::test]
async fn a_list_that_is_cast_to_numeric_keeps_its_digits() {
    let (mut client, _) = Client::login(default_server().await).await;
    let sql = "SELECT $1::numeric(30, 10)[] AS n";
    for said in [0, 1231] {
        let value = "{12345678901234567890.0123456789,NULL,45e-1}";
        let found = sent_as_text(&mut client, sql, said, value).await;
        assert_eq!(
            found,
            [
                "parsed",
                "parameters [1231]",
                "columns n:1231",
                "bound",
                "row {12345678901234567890.0123456789,NULL,4.5000000000}",
                "SELECT 1",
                "ready I"
            ],
            "{said}"
        );
    }
    let found = sent_as_text(&mut client, sql, 0, "{1.5,much}").await;
    assert_eq!(found[3..], ["ERROR 22P02", "ready I"]);
    // A list of −12345.678 in binary: one dimension, without NULL, of numbers.
    let number: [u8; 14] = [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c];
    let mut bytes = [1_i32, 0, 1700, 1, 1, 14].map(i32::to_be_bytes).concat();
    bytes.extend(number);
    client.send(&Parse::new(None, sql.to_owned(), vec![])).await;
    let value = Some(Bytes::from(bytes));
    client
        .send(&Bind::new(None, None, vec![1], vec![value], vec![]))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    assert_eq!(
        client.exchange().await,
        [
            "parsed",
            "bound",
            "row {-12345.6780000000}",
            "SELECT 1",
            "ready I"
        ]
    );
}

#[tokio::test]
async fn ranks_are_bigints() {
    let (mut client, _) = Client::login(default_server().await).await;
    for (sql, expected) in [
        (
            "SELECT row_number() OVER () AS n",
            &["columns n:20", "row 1", "SELECT 1", "ready I"][..],
        ),
        (
            "COPY (SELECT row_number() OVER () AS n) TO STDOUT",
            &["copy 0 [0]", r"data 1\n", "copied", "COPY 1", "ready I"],
        ),
    ] {
        assert_eq!(client.query(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_uuid_is_a_text_that_clients_send_as_one() {
    let (mut client, _) = Client::login(default_server().await).await;
    let text = "00112233-4455-6677-8899-aabbccddeeff";
    let sql = format!("SELECT name FROM (VALUES ('{text}')) AS t(name) WHERE name = $1");
    let found = sent_as_text(
        &mut client,
        &sql,
        2950,
        "{00112233445566778899AABBCCDDEEFF}",
    )
    .await;
    let row = format!("row {text}");
    assert_eq!(found[1], "parameters [2950]", "{found:?}");
    assert_eq!(found[4], row, "{found:?}");
    let found = sent_as_text(&mut client, &sql, 2950, "00112233").await;
    assert_eq!(found[3..], ["ERROR 22P02", "ready I"]);
    // In binary, as JDBC sends it.
    let bytes: Vec<u8> = (0..16).map(|at| at * 17).collect();
    client.send(&Parse::new(None, sql, vec![2950])).await;
    let value = Some(Bytes::from(bytes));
    client
        .send(&Bind::new(None, None, vec![1], vec![value], vec![]))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    assert_eq!(
        client.exchange().await,
        ["parsed", "bound", row.as_str(), "SELECT 1", "ready I"]
    );
}

#[tokio::test]
async fn bytes_are_written_as_postgresql_writes_them() {
    let (mut client, _) = Client::login(default_server().await).await;
    let sql = r"SELECT '\x00ff'::bytea AS a, bytea 'b\000' AS b, E'\\x0A'::bytea AS c, CAST('\x' AS bytea) AS d";
    assert_eq!(
        client.query(sql).await,
        [
            "columns a:17 b:17 c:17 d:17",
            r"row \\x00ff|\\x6200|\\x0a|\\x",
            "SELECT 1",
            "ready I"
        ]
    );
    let answer = client.query(r"SELECT '\x0g'::bytea").await;
    assert!(answer[0].starts_with("ERROR "), "{answer:?}");
}

/// As asyncpg sends `datetime.max`.
#[tokio::test]
async fn every_time_is_before_infinity() {
    let (mut client, _) = Client::login(default_server().await).await;
    let moments = "(VALUES (timestamptz '2026-01-01 00:00:00+00'), (timestamptz '2026-01-02 00:00:00+00')) AS t(moment)";
    let sql = format!("SELECT count(*) AS n FROM {moments} WHERE moment < $1");
    for (value, rows) in [("infinity", 2), ("-infinity", 0)] {
        let found = sent_as_text(&mut client, &sql, 1184, value).await;
        assert_eq!(found[4], format!("row {rows}"), "{found:?}");
        let found = sent_as_text(&mut client, "SELECT $1 AS at", 1184, value).await;
        assert_eq!(found[4], format!("row {value}"), "{found:?}");
    }
}

//! COPY … TO STDOUT: rows as data, by a simple query and prepared, and how it ends before its end.

use super::*;

async fn default_client() -> Client {
    Client::login(default_server().await).await.0
}

#[tokio::test]
async fn rows_come_as_data_between_their_announcement_and_their_number() {
    let mut client = default_client().await;
    for (sql, expected) in [
        (
            "COPY (SELECT value, 'a' AS t FROM generate_series(1, 2)) TO STDOUT (FORMAT csv, HEADER)",
            &[
                "copy 0 [0, 0]",
                r"data value,t\n",
                r"data 1,a\n",
                r"data 2,a\n",
                "copied",
                "COPY 2",
                "ready I",
            ][..],
        ),
        // Nothing is left of it for the next statement.
        (
            "COPY (SELECT NULL AS a) TO STDOUT; SELECT 2 AS b",
            &[
                "copy 0 [0]",
                r"data \\N\n",
                "copied",
                "COPY 1",
                "columns b:20",
                "row 2",
                "SELECT 1",
                "ready I",
            ],
        ),
        (
            "COPY (SELECT 1 AS a WHERE false) TO STDOUT CSV",
            &["copy 0 [0]", "copied", "COPY 0", "ready I"],
        ),
        // A view of the catalogue, and some of its columns.
        (
            "COPY pg_catalog.pg_am (amtype, amname) TO STDOUT",
            &[
                "copy 0 [0, 0]",
                r"data t\theap\n",
                "copied",
                "COPY 1",
                "ready I",
            ],
        ),
    ] {
        assert_eq!(client.query(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_copy_is_prepared_as_a_command() {
    let mut client = default_client().await;
    let sql = "COPY (SELECT value FROM generate_series(1, 2)) TO STDOUT WITH BINARY";
    client
        .send(&Parse::new(Some("c".into()), sql.into(), vec![]))
        .await;
    client.send(&Describe::new(b'S', Some("c".into()))).await;
    client
        .send(&Bind::new(None, Some("c".into()), vec![], vec![], vec![1]))
        .await;
    client.send(&Describe::new(b'P', None)).await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    let shown = client.exchange().await;
    let announced = [
        "parsed",
        "parameters []",
        "no data",
        "bound",
        "no data",
        "copy 1 [1]",
    ];
    assert_eq!(shown[..6], announced);
    // The head and the first row are one message.
    assert!(shown[6].starts_with("data PGCOPY"), "{shown:?}");
    assert!(shown[6].ends_with(r"\u{8}\0\0\0\0\0\0\0\u{1}"), "{shown:?}");
    assert!(shown[7].ends_with(r"\u{8}\0\0\0\0\0\0\0\u{2}"), "{shown:?}");
    assert!(shown[8].starts_with("data "), "{shown:?}");
    assert_eq!(shown[9..], ["copied", "COPY 2", "ready I"]);
}

#[tokio::test]
async fn what_would_write_and_what_is_wrong_is_refused() {
    let mut client = default_client().await;
    for (sql, code) in [
        ("COPY counts FROM STDIN", "25006"),
        ("COPY (SELECT 1) TO '/tmp/one.csv'", "25006"),
        ("COPY (SELECT 1) TO PROGRAM 'sh'", "25006"),
        ("COPY (DELETE FROM counts) TO STDOUT", "25006"),
        (
            "COPY (COPY (SELECT 1) TO '/tmp/one.csv') TO STDOUT",
            "25006",
        ),
        ("COPY no_table TO STDOUT", "42P01"),
        ("COPY (SELECT 1 AS a) TO STDOUT CSV FORCE QUOTE b", "42703"),
        ("COPY (SELECT 1) TO STDOUT (FORMAT parquet)", "22023"),
        ("COPY (SELECT 1) TO", "42601"),
        ("COPY (SELEC 1) TO STDOUT", "42601"),
    ] {
        let expected = [format!("ERROR {code}"), "ready I".to_owned()];
        assert_eq!(client.query(sql).await, expected, "{sql}");
    }
    assert_eq!(client.query("BEGIN").await, ["BEGIN", "ready T"]);
    let failed = ["ERROR 42703", "ready E"];
    assert_eq!(client.query("SELECT nothing").await, failed);
    let refused = ["ERROR 25P02", "ready E"];
    assert_eq!(client.query("COPY (SELECT 1) TO STDOUT").await, refused);
}

/// Checks that what was announced ends with an error, and that the client may go on.
async fn check_broken(client: &mut Client, sql: &str, code: &str) {
    let shown = client.query(sql).await;
    let end = [format!("ERROR {code}"), "ready I".to_owned()];
    assert!(shown.ends_with(&end), "{sql}: {:?}", shown.last());
    // It would be taken for all.
    assert!(!shown.iter().any(|message| message == "copied"), "{sql}");
    assert_eq!(
        client.query("SELECT 1 AS a").await,
        ["columns a:20", "row 1", "SELECT 1", "ready I"],
        "{sql}"
    );
}

#[tokio::test]
async fn data_that_is_not_whole_does_not_end_as_if_it_were() {
    let query = QueryOptions {
        row_limit: 100_000,
        ..QueryOptions::default()
    };
    let (mut client, _) = Client::login(server(PgOptions::default(), query).await).await;
    let series = "FROM generate_series(1, 200000)";
    for (sql, code) in [
        (format!("COPY (SELECT value {series}) TO STDOUT"), "54000"),
        (
            format!("COPY (SELECT value {series} WHERE value % 3 > 0) TO STDOUT BINARY"),
            "54000",
        ),
        (
            // Fewer rows than the limit: which of two errors comes first is nobody's to say.
            "COPY (SELECT 1 / (value - 50000) FROM generate_series(1, 90000)) TO STDOUT CSV"
                .to_owned(),
            "22012",
        ),
    ] {
        check_broken(&mut client, &sql, code).await;
    }
}

#[tokio::test]
async fn a_copy_ends_when_it_is_cancelled_or_its_time_is_over() {
    let address = default_server().await;
    check_ended(address, &format!("COPY ({LONG}) TO STDOUT")).await;
}

#[tokio::test]
async fn a_copy_is_noted_as_the_query_that_it_is() {
    use std::sync::Mutex;

    use meetnet_query::{Audit, AuditEntry};

    #[derive(Debug, Default)]
    struct Notes(Mutex<Vec<(String, &'static str, u64)>>);

    impl Audit for Notes {
        fn note(&self, entry: &AuditEntry) {
            let note = (entry.shape.clone(), entry.outcome, entry.rows);
            self.0.lock().expect("notes").push(note);
        }
    }

    let notes = Arc::new(Notes::default());
    let query = QueryOptions {
        audit: Some(Arc::clone(&notes) as Arc<dyn Audit>),
        ..QueryOptions::default()
    };
    let (mut client, _) = Client::login(server(PgOptions::default(), query).await).await;
    let shown = client
        .query("COPY (SELECT value FROM generate_series(1, 3)) TO STDOUT")
        .await;
    assert_eq!(shown.last().map(String::as_str), Some("ready I"));
    let noted = notes.0.lock().expect("notes");
    let [(shape, outcome, rows)] = noted.as_slice() else {
        panic!("{noted:?}");
    };
    assert!(
        shape.starts_with("SELECT ") && !shape.contains("COPY"),
        "{shape}"
    );
    assert_eq!((*outcome, *rows), ("ok", 3));
}

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

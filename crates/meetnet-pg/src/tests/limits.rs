//! Limits of what one connection keeps.

use super::*;

/// Few letters can make many columns and parameters, and names are as long as a message.
#[tokio::test]
async fn what_is_kept_of_a_statement_counts_beside_its_text() {
    let limits = PgLimits {
        statement_bytes_max: 1000,
        ..PgLimits::default()
    };
    let options = PgOptions {
        limits,
        ..PgOptions::default()
    };
    let (mut client, _) = Client::login(server(options, QueryOptions::default()).await).await;
    let long_name = "n".repeat(2000);
    let columns: Vec<String> = (0..30).map(|at| format!("1 AS c{at}")).collect();
    let columns = format!("SELECT {}", columns.join(", "));
    for (name, sql, expected) in [
        ("s", "SELECT 1", "parsed"),
        (long_name.as_str(), "SELECT 1", "ERROR 54000"),
        ("p", "SELECT $2000::int", "ERROR 54000"),
        ("c", columns.as_str(), "ERROR 54000"),
        ("t", "SELECT 2", "parsed"),
    ] {
        let parse = Parse::new(Some(name.into()), sql.into(), vec![]);
        client.send(&parse).await;
        client.send(&Sync::new()).await;
        assert_eq!(client.exchange().await, [expected, "ready I"], "{sql}");
    }
}

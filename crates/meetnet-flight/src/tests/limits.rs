//! Limits: of rows, of messages, of connections, of time.

use arrow::datatypes::Int64Type;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn an_answer_over_the_row_limit_is_an_error_and_not_short() {
    let options = QueryOptions {
        row_limit: 10,
        ..QueryOptions::default()
    };
    let address = server_of(service(options), FlightOptions::default()).await;
    let mut client = client(address).await;
    let sql = |rows: u32| format!("SELECT value FROM generate_series(1, {rows})");
    let rows = queried(&mut client, &sql(10)).await.expect("rows");
    assert_eq!(shown(&rows).len(), 10);
    let wrong = status(queried(&mut client, &sql(11)).await);
    check_status(&wrong, Code::ResourceExhausted, "more than the 10 rows");
}

/// Of so many columns that 8192 rows are far above what clients take.
#[tokio::test]
async fn wide_rows_come_in_messages_that_clients_take() {
    let mut client = default_client().await;
    let columns: Vec<String> = (0..150)
        .map(|at| format!("value + {at} AS c{at}"))
        .collect();
    let sql = format!(
        "SELECT {} FROM generate_series(1, 20000)",
        columns.join(", ")
    );
    let batches = queried(&mut client, &sql).await.expect("rows");
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 20_000);
    let widest = batches.iter().map(RecordBatch::num_rows).max();
    assert!(widest.is_some_and(|rows| rows * columns.len() * 8 <= 2 << 20));
    let last = batches.iter().flat_map(|batch| {
        let values = batch.column(149).as_primitive::<Int64Type>();
        values.values().to_vec()
    });
    assert_eq!(last.max(), Some(20_149));
}

#[tokio::test]
async fn a_statement_has_its_time() {
    let options = QueryOptions {
        query_time_max: Duration::from_millis(300),
        ..QueryOptions::default()
    };
    let address = server_of(service(options), FlightOptions::default()).await;
    let mut client = client(address).await;
    let wrong = status(queried(&mut client, LONG).await);
    check_status(&wrong, Code::DeadlineExceeded, "took longer than 0.3 s");
}

#[tokio::test]
async fn tickets_and_statements_end() {
    let limits = FlightLimits {
        statement_time_max: Duration::from_millis(200),
        ..FlightLimits::default()
    };
    let address = server(FlightOptions {
        limits,
        ..FlightOptions::default()
    })
    .await;
    let mut client = client(address).await;
    let info = client
        .execute("SELECT 1 AS one".to_owned(), None)
        .await
        .expect("a plan");
    let mut prepared = client
        .prepare("SELECT 1 AS one".to_owned(), None)
        .await
        .expect("a statement");
    tokio::time::sleep(Duration::from_millis(300)).await;
    check_status(
        &status(fetched(&mut client, info).await),
        Code::NotFound,
        "the ticket is not good",
    );
    check_status(
        &status(prepared.execute().await),
        Code::NotFound,
        "prepare it again",
    );
}

/// Few letters can make many columns and parameters, and each is kept.
#[tokio::test]
async fn what_is_kept_of_a_statement_counts_beside_its_text() {
    let limits = FlightLimits {
        statement_bytes_max: 8 * 1024,
        ..FlightLimits::default()
    };
    let address = server(FlightOptions {
        limits,
        ..FlightOptions::default()
    })
    .await;
    let mut client = client(address).await;
    let small = "SELECT 1 AS one";
    let info = client.execute(small.to_owned(), None).await;
    let info = info.expect("a plan");
    let rows = fetched(&mut client, info.clone()).await.expect("rows");
    assert_eq!(shown(&rows), ["1"]);
    let columns: Vec<String> = (0..100).map(|at| format!("1 AS c{at}")).collect();
    let wide = format!("SELECT {}", columns.join(", "));
    let wide = client.execute(wide, None).await;
    wide.expect("a plan");
    let wrong = status(fetched(&mut client, info).await);
    check_status(&wrong, Code::NotFound, "the ticket is not good");

    let prepared = client.prepare(small.to_owned(), None).await;
    let mut prepared = prepared.expect("a statement");
    prepared.execute().await.expect("a plan");
    let many = client
        .prepare("SELECT $2000 AS last".to_owned(), None)
        .await;
    many.expect("a statement");
    let wrong = status(prepared.execute().await);
    check_status(&wrong, Code::NotFound, "prepare it again");
}

/// What every client of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test]
async fn connections_that_say_nothing_give_their_place_back() {
    let limits = FlightLimits {
        connections_max: 1,
        login_time_max: Duration::from_millis(300),
        ..FlightLimits::default()
    };
    let address = server(FlightOptions {
        limits,
        ..FlightOptions::default()
    })
    .await;
    let settings = [PREFACE, [0_u8, 0, 0, 4, 0, 0, 0, 0, 0].as_slice()].concat();
    // A byte is no call, nor is all that HTTP/2 says before one.
    for sent in [
        b"".as_slice(),
        b"P".as_slice(),
        PREFACE,
        settings.as_slice(),
    ] {
        let mut silent = TcpStream::connect(address).await.expect("a connection");
        silent.write_all(sent).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut client = timeout(PATIENCE, client(address)).await.expect("its turn");
        let rows = timeout(PATIENCE, queried(&mut client, "SELECT 1 AS one")).await;
        let rows = rows.expect("its turn").expect("rows");
        assert_eq!(shown(&rows), ["1"], "{sent:?}");
        drop(silent);
    }
}

#[tokio::test]
async fn at_the_end_running_calls_get_some_time_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let options = FlightOptions {
        limits: FlightLimits {
            drain_time_max: Duration::from_millis(300),
            ..FlightLimits::default()
        },
        ..FlightOptions::default()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let service = service(QueryOptions::default());
    let serving = tokio::spawn(serve(listener, service, options, shutdown));
    let mut client = client(address).await;
    let info = client.execute(LONG.to_owned(), None).await.expect("a plan");
    let running = tokio::spawn(async move { fetched(&mut client, info).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    stop.send(()).expect("it serves");
    let served = timeout(PATIENCE, serving)
        .await
        .expect("in time")
        .expect("a task");
    served.expect("a clean end");
    assert!(
        started.elapsed() >= Duration::from_millis(300),
        "{:?}",
        started.elapsed()
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(running.await.expect("a task").is_err());
    assert!(TcpStream::connect(address).await.is_err());
}

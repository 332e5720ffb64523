//! Statements from their plan to their rows, errors, cancelling, and who may do what.

use super::*;

#[tokio::test]
async fn a_statement_is_planned_and_then_run() {
    let mut client = default_client().await;
    for (sql, types, rows) in [
        (
            "SELECT 1 AS one, NULL AS nothing, true AS yes, 'a' AS word",
            "Int64 Null Boolean Utf8",
            &["1|NULL|true|a"][..],
        ),
        (
            "SELECT CAST('1.50' AS DECIMAL(6, 2)) AS price, [1, NULL] AS list, substr('abc', 2) AS rest",
            "Decimal128(6, 2) List(Int64) Utf8",
            &["1.50|[1, NULL]|bc"],
        ),
        (
            "SELECT max(time) AS at, count(*) AS rows FROM traffic",
            "Timestamp(µs, \"UTC\") Int64",
            &["NULL|0"],
        ),
        (
            "SELECT time, car FROM traffic",
            "Timestamp(µs, \"UTC\") Float64",
            &[],
        ),
        (
            "SELECT CASE WHEN value > 2 THEN 1 ELSE 2.5 END AS mixed FROM generate_series(1, 3)",
            "Float64",
            &["1.0", "2.5", "2.5"],
        ),
        (
            "SELECT value FROM generate_series(1, 3) UNION ALL SELECT NULL",
            "Int64",
            &["1", "2", "3", "NULL"],
        ),
    ] {
        let info = client.execute(sql.to_owned(), None).await.expect(sql);
        assert!(info.endpoint[0].expiration_time.is_some());
        let planned = info.clone().try_decode_schema().expect("a schema");
        let found = planned.fields().iter();
        let found = found.map(|field| field.data_type().to_string());
        assert_eq!(found.collect::<Vec<_>>().join(" "), types, "{sql}");

        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        let mut stream = client.do_get(ticket).await.expect(sql);
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await.expect(sql) {
            batches.push(batch);
        }
        // Clients compare them, and have no answer where they differ.
        let run = stream.schema().expect("a schema");
        assert_eq!(run.fields(), planned.fields(), "{sql}");
        let mut found = shown(&batches);
        found.sort_unstable();
        assert_eq!(found, rows, "{sql}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_runs() {
    let mut client = default_client().await;
    for (sql, code, message) in [
        (
            "SELECT (1",
            Code::InvalidArgument,
            "the SQL could not be read",
        ),
        (
            "SELECT * FROM nothing",
            Code::NotFound,
            "there is no table `nothing`",
        ),
        (
            "SELECT * FROM rejects",
            Code::NotFound,
            "there is no table `rejects`",
        ),
        (
            "SELECT cars FROM traffic",
            Code::InvalidArgument,
            "there is no column `cars`",
        ),
        (
            "DROP TABLE traffic",
            Code::PermissionDenied,
            "this service only reads",
        ),
        (
            "DELETE FROM traffic",
            Code::PermissionDenied,
            "this service only reads",
        ),
        (
            "SELECT 1; SELECT 2",
            Code::InvalidArgument,
            "a single SQL statement",
        ),
        (
            "SELECT ?",
            Code::InvalidArgument,
            "takes 1 value, and 0 are bound",
        ),
        (" ", Code::InvalidArgument, "the statement is empty"),
    ] {
        let wrong = status(client.execute(sql.to_owned(), None).await);
        check_status(&wrong, code, message);
    }
    let rows = queried(&mut client, "SELECT 1 AS one").await.expect("rows");
    assert_eq!(shown(&rows), ["1"]);
}

#[tokio::test]
async fn what_would_write_is_refused() {
    let mut client = default_client().await;
    let only_reads = "this service only reads";
    let sql = "DELETE FROM traffic".to_owned();
    let wrong = status(client.execute_update(sql, None).await);
    check_status(&wrong, Code::PermissionDenied, only_reads);
    let mut prepared = client
        .prepare("SELECT 1".to_owned(), None)
        .await
        .expect("a statement");
    check_status(
        &status(prepared.execute_update().await),
        Code::PermissionDenied,
        only_reads,
    );
    let ingest = arrow_flight::sql::CommandStatementIngest {
        table: "traffic".to_owned(),
        ..Default::default()
    };
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("segment_id", column)]).expect("a batch");
    let rows = futures::stream::iter([Ok(batch)]);
    let wrong = status(client.execute_ingest(ingest, rows).await);
    check_status(&wrong, Code::PermissionDenied, only_reads);
    let wrong = status(client.begin_transaction().await);
    check_status(&wrong, Code::Unimplemented, "there are no transactions");
    let wrong = status(acted(&mut client, "Reboot", Vec::new()).await);
    check_status(&wrong, Code::Unimplemented, "there is no action `Reboot`");
}

/// Reads the messages of an answer as they come.
async fn messages(client: &mut Client, sql: &str) -> Vec<FlightData> {
    let info = client.execute(sql.to_owned(), None).await.expect(sql);
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let stream = client.inner_mut().do_get(ticket).await.expect(sql);
    stream.into_inner().try_collect().await.expect(sql)
}

#[tokio::test]
async fn the_last_message_proves_that_the_answer_is_whole() {
    let mut client = default_client().await;
    for (sql, proof) in [
        (
            "SELECT value FROM generate_series(1, 30000)",
            "{\"rows\":30000,\"truncated\":false}",
        ),
        (
            "SELECT 1 AS one WHERE false",
            "{\"rows\":0,\"truncated\":false}",
        ),
        (
            "SELECT time FROM traffic",
            "{\"rows\":0,\"truncated\":false}",
        ),
    ] {
        let messages = messages(&mut client, sql).await;
        let (last, others) = messages.split_last().expect("messages");
        assert_eq!(last.app_metadata, proof, "{sql}");
        assert!(
            others.iter().all(|message| message.app_metadata.is_empty()),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn licences_and_reach_are_told_before_and_with_the_rows() {
    let mut client = default_client().await;
    for (sql, licence, attribution) in [
        ("SELECT value FROM heat", Some("CC-BY-4.0"), Some("Leuven")),
        ("SELECT car FROM traffic", None, None),
    ] {
        let info = client.execute(sql.to_owned(), None).await.expect(sql);
        let planned = info.try_decode_schema().expect("a schema");
        let run = Schema::try_from(&messages(&mut client, sql).await[0]).expect("a schema");
        for schema in [planned, run] {
            let stated = |key: &str| schema.metadata.get(key).map(String::as_str);
            assert_eq!(stated("licence"), licence, "{sql}");
            assert_eq!(stated("attribution"), attribution, "{sql}");
            assert_eq!(stated("meetnet.through"), Some("42"), "{sql}");
            assert_eq!(
                stated("meetnet.stable_time"),
                Some("2026-11-22T02:46:20Z"),
                "{sql}"
            );
        }
    }
}

/// ADBC shows the schema of the plan, other clients that of the rows.
#[tokio::test]
async fn who_asks_for_what_no_row_can_be_is_told_before_and_with_the_rows() {
    let declarations = schemas::builtin().into_declarations([]);
    let options = QueryOptions {
        declarations: Some(Arc::new(ArcSwap::from_pointee(declarations))),
        ..QueryOptions::default()
    };
    let mut client = client(server_of(service(options), FlightOptions::default()).await).await;
    let hint =
        "`heat` knows no property `air_temprature`; did you mean `air_temperature`? There are ";
    for (sql, expect) in [
        (
            "SELECT value FROM heat WHERE property = 'air_temprature'",
            Some(hint),
        ),
        (
            "SELECT value FROM heat WHERE property = 'air_temperature'",
            None,
        ),
    ] {
        let info = client.execute(sql.to_owned(), None).await.expect(sql);
        let planned = info.try_decode_schema().expect("a schema");
        let run = Schema::try_from(&messages(&mut client, sql).await[0]).expect("a schema");
        for schema in [planned, run] {
            let told = schema.metadata.get("meetnet.hints").map(String::as_str);
            assert_eq!(told.is_some(), expect.is_some(), "{sql}: {told:?}");
            assert!(
                told.unwrap_or_default()
                    .starts_with(expect.unwrap_or_default()),
                "{told:?}"
            );
        }
    }
    // What is bound tells as much as what is written.
    let sql = "SELECT value FROM heat WHERE property = ?";
    let mut prepared = client.prepare(sql.to_owned(), None).await.expect(sql);
    let word: ArrayRef = Arc::new(StringArray::from(vec!["air_temprature"]));
    let values = RecordBatch::try_from_iter([("0", word)]).expect("one value");
    prepared.set_parameters(values).expect("values");
    let info = prepared.execute().await.expect("a plan");
    let planned = info.try_decode_schema().expect("a schema");
    let told = planned.metadata.get("meetnet.hints").expect("a hint");
    assert!(told.starts_with(hint), "{told}");
}

#[tokio::test]
async fn headers_say_as_of_when_and_under_which_licences() {
    let address = server(FlightOptions::default()).await;
    let sql = || "SELECT value FROM heat".to_owned();
    for (header, value, expected) in [
        (
            "meetnet-as-of",
            "2026-11-22T02:00:00Z",
            Ok("meetnet.as_of=2026-11-22T02:00:00Z"),
        ),
        (
            "meetnet-as-of",
            "2026-11-22T03:00:00Z",
            Err(Code::FailedPrecondition),
        ),
        ("meetnet-as-of", "yesterday", Err(Code::InvalidArgument)),
        (
            "meetnet-licence",
            "CC0-1.0, CC-BY-4.0",
            Ok("licence=CC-BY-4.0"),
        ),
        (
            "meetnet-licence",
            "not a licence",
            Err(Code::InvalidArgument),
        ),
        ("meetnet-licence", "CC-BY-3.0", Err(Code::InvalidArgument)),
    ] {
        let mut client = client(address).await;
        client.set_header(header, value);
        let answer = client.execute(sql(), None).await;
        match expected {
            Err(code) => assert_eq!(status(answer).code(), code, "{header}: {value}"),
            Ok(stated) => {
                let info = answer.expect(value);
                let (key, text) = stated.split_once('=').expect("a pair");
                let schema = info.clone().try_decode_schema().expect("a schema");
                assert_eq!(schema.metadata[key], text);
                assert_eq!(fetched(&mut client, info).await.expect("rows").len(), 0);
            }
        }
    }
    let mut client = client(address).await;
    client.set_header("meetnet-licence", "ODbL-1.0");
    let info = client.execute(sql(), None).await.expect("a plan");
    let schema = info.try_decode_schema().expect("a schema");
    assert!(!schema.metadata.contains_key("licence"), "{schema:?}");
    // Of a prepared statement, too: the call that plans it says so.
    let mut prepared = client.prepare(sql(), None).await.expect("a statement");
    let info = prepared.execute().await.expect("a plan");
    let schema = info.try_decode_schema().expect("a schema");
    assert!(!schema.metadata.contains_key("licence"), "{schema:?}");
}

#[tokio::test]
async fn a_running_statement_ends_when_it_is_cancelled() {
    let address = server(FlightOptions::default()).await;
    let (mut client, mut other) = (self::client(address).await, self::client(address).await);
    let info = client.execute(LONG.to_owned(), None).await.expect("a plan");
    let asked = info.clone();
    let running = tokio::spawn(async move { fetched(&mut client, asked).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.is_finished());
    let started = Instant::now();
    assert_eq!(cancelled(&mut other, &info).await, 1);
    let ended = timeout(PATIENCE, running)
        .await
        .expect("in time")
        .expect("a task");
    check_status(&status(ended), Code::Cancelled, "cancelled by its user");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    // Its ticket is not good any more.
    assert_eq!(cancelled(&mut other, &info).await, 3);
    check_status(
        &status(fetched(&mut other, info).await),
        Code::NotFound,
        "the ticket is not good",
    );
}

#[tokio::test]
async fn a_client_that_goes_away_stops_its_statement() {
    let service = service(QueryOptions::default());
    let free = service.places().left;
    let address = server_of(service.clone(), FlightOptions::default()).await;
    let mut client = client(address).await;
    let info = client.execute(LONG.to_owned(), None).await.expect("a plan");
    let running = tokio::spawn(async move { fetched(&mut client, info).await });
    let started = Instant::now();
    while service.places().left == free {
        assert!(started.elapsed() < PATIENCE, "it does not run");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.abort();
    let started = Instant::now();
    while service.places().left < free {
        assert!(started.elapsed() < Duration::from_secs(5), "it still runs");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_somebody_has_made_is_of_no_use_to_others() {
    let users = vec![user("a", "correct horse"), user("b", "battery staple")];
    let access = Access {
        users,
        ..Access::default()
    };
    let address = server(FlightOptions {
        access,
        ..FlightOptions::default()
    })
    .await;
    let mut anybody = client(address).await;
    let (mut a, mut b) = (client(address).await, client(address).await);
    a.handshake("a", "correct horse").await.expect("a login");
    b.handshake("b", "battery staple").await.expect("a login");
    let info = a
        .execute("SELECT 1 AS one".to_owned(), None)
        .await
        .expect("a plan");
    for other in [&mut b, &mut anybody] {
        let wrong = status(fetched(other, info.clone()).await);
        check_status(&wrong, Code::NotFound, "the ticket is not good");
        assert_eq!(cancelled(other, &info).await, 3);
    }
    let rows = fetched(&mut a, info).await.expect("rows");
    assert_eq!(shown(&rows), ["1"]);
    let guessed = arrow_flight::sql::TicketStatementQuery {
        statement_handle: vec![0; 16].into(),
    };
    let guessed = arrow_flight::sql::ProstMessageExt::as_any(&guessed).encode_to_vec();
    let wrong = status(a.do_get(Ticket::new(guessed)).await);
    check_status(&wrong, Code::NotFound, "the ticket is not good");
}

#[tokio::test]
async fn who_may_not_come_in_is_told_so_at_every_call() {
    let access = Access {
        anonymous: false,
        users: vec![user("analyst", "correct horse")],
        tls: None,
    };
    let address = server(FlightOptions {
        access,
        ..FlightOptions::default()
    })
    .await;
    let mut client = client(address).await;
    let sql = || "SELECT 1 AS one".to_owned();
    check_status(
        &status(client.execute(sql(), None).await),
        Code::Unauthenticated,
        "log in",
    );
    check_status(
        &status(client.get_catalogs().await),
        Code::Unauthenticated,
        "log in",
    );
    check_status(
        &status(client.do_get(Ticket::new("")).await),
        Code::Unauthenticated,
        "log in",
    );
    check_status(
        &status(acted(&mut client, "CloseSession", vec![]).await),
        Code::Unauthenticated,
        "log in",
    );
    check_status(
        &status(client.prepare(sql(), None).await),
        Code::Unauthenticated,
        "log in",
    );
    assert!(client.handshake("analyst", "wrong").await.is_err());
    client
        .handshake("analyst", "correct horse")
        .await
        .expect("a login");
    let rows = queried(&mut client, &sql()).await.expect("rows");
    assert_eq!(shown(&rows), ["1"]);
    client.set_token("bm9ib2R5".to_owned());
    check_status(
        &status(client.execute(sql(), None).await),
        Code::Unauthenticated,
        "log in again",
    );
}

#[tokio::test]
async fn what_is_no_message_is_the_fault_of_its_client() {
    let mut client = default_client().await;
    let inner = arrow_flight::sql::Any {
        type_url: "type.googleapis.com/arrow.flight.protocol.sql.TicketStatementQuery".to_owned(),
        value: vec![0xff_u8].into(),
    };
    for ticket in [vec![0xff_u8], inner.encode_to_vec()] {
        let wrong = status(client.do_get(Ticket::new(ticket)).await);
        check_status(
            &wrong,
            Code::InvalidArgument,
            "the ticket is no message of Flight SQL",
        );
    }
}

/// Of each call: what is no command of it, and what it says then.
#[tokio::test]
async fn commands_that_a_call_does_not_answer_are_named() {
    use arrow_flight::FlightDescriptor;
    use arrow_flight::sql::{
        CommandPreparedStatementQuery, CommandStatementIngest, CommandStatementQuery,
        CommandStatementUpdate, ProstMessageExt,
    };

    let mut client = default_client().await;
    let query = CommandStatementQuery {
        query: "SELECT 1".to_owned(),
        transaction_id: None,
    };
    let query = query.as_any().encode_to_vec();
    let unknown = CommandPreparedStatementQuery {
        prepared_statement_handle: vec![7; 16].into(),
    };
    let unknown = unknown.as_any().encode_to_vec();
    let update = CommandStatementUpdate::default().as_any().encode_to_vec();
    let ingest = CommandStatementIngest::default().as_any().encode_to_vec();
    let broken = arrow_flight::sql::Any {
        type_url: "type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery".to_owned(),
        value: vec![0xff_u8].into(),
    };
    let broken = broken.encode_to_vec();
    for (command, code, message) in [
        (
            &update,
            Code::Unimplemented,
            "GetFlightInfo does not answer `CommandStatementUpdate`; it takes CommandStatementQuery",
        ),
        (
            &broken,
            Code::InvalidArgument,
            "it says that it is `CommandStatementQuery`, and cannot be read as one",
        ),
        (
            &unknown,
            Code::NotFound,
            "there is no such prepared statement",
        ),
        (&Vec::new(), Code::InvalidArgument, "does not name its type"),
    ] {
        let descriptor = FlightDescriptor::new_cmd(command.clone());
        let answer = client.inner_mut().get_flight_info(descriptor).await;
        check_status(&answer.expect_err(message), code, message);
    }
    for (ticket, code, message) in [
        (
            &query,
            Code::Unimplemented,
            "DoGet does not answer `CommandStatementQuery`; it takes the tickets that GetFlightInfo gives",
        ),
        (
            &unknown,
            Code::NotFound,
            "there is no such prepared statement",
        ),
    ] {
        let answer = client.do_get(Ticket::new(ticket.clone())).await;
        check_status(&status(answer), code, message);
    }
    let no_descriptor = FlightData::default();
    let of = |command: &[u8]| {
        let descriptor = FlightDescriptor::new_cmd(command.to_vec());
        FlightData::default().with_descriptor(descriptor)
    };
    for (sent, code, message) in [
        (None, Code::InvalidArgument, "DoPut was sent no message"),
        (
            Some(no_descriptor),
            Code::InvalidArgument,
            "has no descriptor",
        ),
        (
            Some(of(&[0xff])),
            Code::InvalidArgument,
            "the descriptor is no message of Flight SQL: it is no protobuf `Any`",
        ),
        (
            Some(of(&query)),
            Code::Unimplemented,
            "DoPut does not answer `CommandStatementQuery`",
        ),
        (Some(of(&update)), Code::PermissionDenied, "only reads"),
        (Some(of(&ingest)), Code::PermissionDenied, "only reads"),
        (
            Some(of(&unknown)),
            Code::NotFound,
            "there is no such prepared statement",
        ),
    ] {
        let answer = client.do_put(futures::stream::iter(sent)).await;
        check_status(&status(answer), code, message);
    }
    for (body, message) in [
        (vec![0xff_u8], "it is no protobuf `Any`"),
        (
            query,
            "is `CommandStatementQuery`; send ActionCreatePreparedStatementRequest",
        ),
    ] {
        let answer = acted(&mut client, "CreatePreparedStatement", body).await;
        check_status(&status(answer), Code::InvalidArgument, message);
    }
}

//! What clients find when they look around.

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};

use super::*;

async fn read(client: &mut Client, info: Result<FlightInfo, FlightError>) -> Vec<String> {
    let info = info.expect("an answer");
    let schema = info.clone().try_decode_schema().expect("a schema");
    let batches = fetched(client, info).await.expect("rows");
    for batch in &batches {
        assert_eq!(batch.schema().fields(), schema.fields());
    }
    shown(&batches)
}

fn tables(name: Option<&str>, types: &[&str]) -> CommandGetTables {
    CommandGetTables {
        table_name_filter_pattern: name.map(str::to_owned),
        table_types: types.iter().map(|name| (*name).to_owned()).collect(),
        ..CommandGetTables::default()
    }
}

#[tokio::test]
async fn catalogues_schemas_and_tables() {
    let mut client = default_client().await;
    let client = &mut client;
    let info = client.get_catalogs().await;
    assert_eq!(read(client, info).await, ["meetnet"]);
    let info = client.get_db_schemas(CommandGetDbSchemas::default()).await;
    assert_eq!(
        read(client, info).await,
        ["meetnet|information_schema", "meetnet|public"]
    );
    let info = client.get_table_types().await;
    assert_eq!(read(client, info).await, ["SYSTEM TABLE", "TABLE", "VIEW"]);
    for (asked, expected) in [
        (
            tables(Some("noise%"), &[]),
            &["noise|TABLE", "noise_history|VIEW"][..],
        ),
        (tables(Some("noise%"), &["TABLE"]), &["noise|TABLE"]),
        (
            tables(Some("noise%"), &["TABLE", "VIEW"]),
            &["noise|TABLE", "noise_history|VIEW"],
        ),
        (tables(Some("noise%"), &["SEQUENCE"]), &[]),
        (tables(Some("rejects"), &[]), &[]),
        (tables(Some("functions"), &[]), &["functions|VIEW"]),
        (
            CommandGetTables {
                catalog: Some("elsewhere".to_owned()),
                ..tables(None, &[])
            },
            &[],
        ),
    ] {
        let told = format!("{asked:?}");
        let info = client.get_tables(asked).await;
        let found = read(client, info).await;
        let expected: Vec<String> = expected
            .iter()
            .map(|rest| format!("meetnet|public|{rest}"))
            .collect();
        assert_eq!(found, expected, "{told}");
    }
    let info = client.get_tables(tables(None, &["SYSTEM TABLE"])).await;
    assert_eq!(read(client, info).await.len(), 3);
    let long = tables(Some(&"%".repeat(300)), &[]);
    check_status(
        &status(client.get_tables(long).await),
        Code::InvalidArgument,
        "longer than 256 bytes",
    );
}

#[tokio::test]
async fn a_table_is_described_as_its_rows_are_sent() {
    let mut client = default_client().await;
    let asked = CommandGetTables {
        include_schema: true,
        ..tables(Some("traffic"), &["TABLE"])
    };
    let info = client.get_tables(asked).await.expect("an answer");
    let batches = fetched(&mut client, info).await.expect("rows");
    let bytes = batches[0].column_by_name("table_schema").expect("schemas");
    let bytes = bytes.as_binary::<i32>().value(0).to_vec();
    let table = Schema::try_from(arrow_flight::IpcMessage(bytes.into())).expect("a schema");
    let info = client
        .execute("SELECT * FROM traffic".to_owned(), None)
        .await
        .expect("a plan");
    let answer = info.try_decode_schema().expect("a schema");
    let types = |schema: &Schema| {
        let fields = schema.fields().iter();
        fields
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(types(&table), types(&answer));
    assert!(
        !table
            .field_with_name("segment_id")
            .expect("a field")
            .is_nullable()
    );
}

#[tokio::test]
async fn keys_are_those_that_are_declared() {
    let mut client = default_client().await;
    let client = &mut client;
    for (table, expected) in [
        (
            "traffic",
            &[
                "meetnet|public|traffic|segment_id|key|1",
                "meetnet|public|traffic|interval_s|key|2",
                "meetnet|public|traffic|time|key|3",
            ][..],
        ),
        ("traffic_history", &[]),
        ("rejects", &[]),
        ("nothing", &[]),
    ] {
        let asked = CommandGetPrimaryKeys {
            table: table.to_owned(),
            ..CommandGetPrimaryKeys::default()
        };
        let info = client.get_primary_keys(asked).await;
        assert_eq!(read(client, info).await, expected, "{table}");
    }
    let none: [&str; 0] = [];
    let info = client
        .get_exported_keys(CommandGetExportedKeys::default())
        .await;
    assert_eq!(read(client, info).await, none);
    let info = client
        .get_imported_keys(CommandGetImportedKeys::default())
        .await;
    assert_eq!(read(client, info).await, none);
    let info = client
        .get_cross_reference(CommandGetCrossReference::default())
        .await;
    assert_eq!(read(client, info).await, none);
}

#[tokio::test]
async fn the_service_says_what_it_is() {
    let mut client = default_client().await;
    let client = &mut client;
    let asked = vec![
        SqlInfo::FlightSqlServerName,
        SqlInfo::FlightSqlServerReadOnly,
        SqlInfo::FlightSqlServerSubstrait,
        SqlInfo::FlightSqlServerTransaction,
        SqlInfo::FlightSqlServerStatementTimeout,
    ];
    let info = client.get_sql_info(asked).await;
    let found = read(client, info).await;
    let values: Vec<&str> = found
        .iter()
        .filter_map(|row| row.split_once('='))
        .map(|(_, value)| value)
        .collect();
    assert_eq!(
        values,
        ["meetnet}", "true}", "false}", "0}", "30000}"],
        "{found:?}"
    );
    let info = client.get_sql_info(Vec::new()).await;
    assert!(read(client, info).await.len() > 40);
    // A client may not make the service compare for hours.
    let all = arrow_flight::sql::CommandGetSqlInfo {
        info: (0..100_000).collect(),
    };
    let all = arrow_flight::sql::ProstMessageExt::as_any(&all).encode_to_vec();
    let descriptor = arrow_flight::FlightDescriptor::new_cmd(all);
    let wrong = client
        .inner_mut()
        .get_flight_info(descriptor)
        .await
        .expect_err("too many");
    check_status(&wrong, Code::InvalidArgument, "more than 1024 kinds");

    let info = client
        .get_xdbc_type_info(CommandGetXdbcTypeInfo::default())
        .await;
    let types = read(client, info).await;
    assert!(
        types.iter().any(|row| row.starts_with("TIMESTAMP|93|")),
        "{types:?}"
    );
    let info = client
        .get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(8) })
        .await;
    let types = read(client, info).await;
    assert!(
        matches!(&types[..], [row] if row.starts_with("DOUBLE|8|")),
        "{types:?}"
    );
}

#[tokio::test]
async fn a_schema_alone_is_that_of_the_answer() {
    let mut client = default_client().await;
    let command = arrow_flight::sql::CommandStatementQuery {
        query: "SELECT time, car FROM traffic".to_owned(),
        transaction_id: None,
    };
    let command = arrow_flight::sql::ProstMessageExt::as_any(&command).encode_to_vec();
    let descriptor = arrow_flight::FlightDescriptor::new_cmd(command);
    let result = client
        .inner_mut()
        .get_schema(descriptor)
        .await
        .expect("a schema");
    let schema = Schema::try_from(result.into_inner()).expect("a schema");
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["time", "car"]);
    let actions = client
        .inner_mut()
        .list_actions(arrow_flight::Empty {})
        .await
        .expect("actions");
    let actions: Vec<_> = actions.into_inner().try_collect().await.expect("actions");
    let names: Vec<&str> = actions
        .iter()
        .map(|action| action.r#type.as_str())
        .collect();
    assert!(
        names.contains(&"CancelFlightInfo") && !names.contains(&"BeginTransaction"),
        "{names:?}"
    );
}

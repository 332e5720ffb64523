//! Prepared statements and their values.

use arrow::array::{
    BinaryArray, Date32Array, Decimal128Array, DictionaryArray, ListArray, NullArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow_flight::FlightDescriptor;
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any,
    CommandPreparedStatementQuery, ProstMessageExt,
};

use super::*;

fn row(values: Vec<ArrayRef>) -> RecordBatch {
    let named = (1..).map(|at: usize| at.to_string()).zip(values);
    let named = named.map(|(name, value)| (name, value, true));
    RecordBatch::try_from_iter_with_nullable(named).expect("a row")
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

fn word() -> ArrayRef {
    let words: DictionaryArray<Int32Type> = [Some("word")].into_iter().collect();
    Arc::new(words)
}

/// Prepares a statement without the client's own one; returns what its values and answers are asked by.
async fn raw_statement(client: &mut Client, sql: &str) -> FlightDescriptor {
    let prepare = ActionCreatePreparedStatementRequest {
        query: sql.to_owned(),
        transaction_id: None,
    };
    let body = prepare.as_any().encode_to_vec();
    let body = acted(client, "CreatePreparedStatement", body).await;
    let prepared = Any::decode(&*body.expect("a statement")).expect("a message");
    let prepared: ActionCreatePreparedStatementResult =
        prepared.unpack().expect("a message").expect("a result");
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: prepared.prepared_statement_handle,
    };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

fn int(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

/// One list of numbers.
fn numbers() -> ArrayRef {
    let lists = [Some(vec![Some(1), Some(2)])];
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
}

#[tokio::test]
async fn values_take_the_places_of_parameters() {
    let mut client = default_client().await;
    let time: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![1_795_315_580_000_000]).with_timezone("UTC"));
    let null: ArrayRef = Arc::new(NullArray::new(1));
    let half_past_seven =
        || -> ArrayRef { Arc::new(Time64MicrosecondArray::from(vec![27_000_000_000])) };
    let new_year: ArrayRef = Arc::new(Date32Array::from(vec![20_454]));
    let price = Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2);
    let price: ArrayRef = Arc::new(price.expect("a decimal"));
    let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"ab".as_slice()]));
    for (sql, values, rows) in [
        (
            "SELECT ? > TIME '07:00:00' AS later",
            vec![half_past_seven()],
            &["true"][..],
        ),
        ("SELECT ? AS time", vec![half_past_seven()], &["07:30:00"]),
        (
            "SELECT count(*) AS rows FROM traffic WHERE time::time >= ? AND time >= ?",
            vec![half_past_seven(), new_year],
            &["0"],
        ),
        ("SELECT ? > 1.25 AS more", vec![price], &["true"]),
        ("SELECT ? AS bytes", vec![bytes], &["6162"]),
        (
            "SELECT value FROM generate_series(1, 5) WHERE value >= ?",
            vec![int(4)],
            &["4", "5"],
        ),
        (
            "SELECT value FROM generate_series(1, 5) WHERE value >= $1",
            vec![text("5")],
            &["5"],
        ),
        ("SELECT $2 AS b, $1 AS a", vec![text("x"), int(2)], &["2|x"]),
        ("SELECT ? AS a, ? AS b", vec![text("x"), int(2)], &["x|2"]),
        ("SELECT ? AS time", vec![time], &["2026-11-22T02:46:20Z"]),
        ("SELECT ? AS word", vec![word()], &["word"]),
        (
            "SELECT value FROM generate_series(1, 3) WHERE value = ?",
            vec![null],
            &[],
        ),
        (
            "SELECT count(*) AS rows FROM traffic WHERE time >= ?",
            vec![text("2026-03-01T00:00:00Z")],
            &["0"],
        ),
        // Drivers send lists as texts, too.
        (
            "SELECT value FROM generate_series(1, 5) WHERE value = ANY(?)",
            vec![text("{2,NULL,4}")],
            &["2", "4"],
        ),
        (
            "SELECT count(*) AS rows FROM heat WHERE property <> ALL($1)",
            vec![text("{air_temperature}")],
            &["0"],
        ),
        // Nothing tells what they are but the values.
        (
            "SELECT ? = ANY(?) AS found",
            vec![text("b"), text("{a,b}")],
            &["true"],
        ),
        (
            "SELECT ? = ANY(?) AS found",
            vec![int(3), numbers()],
            &["false"],
        ),
        (
            "SELECT ? <> ALL(?) AS missing",
            vec![int(3), numbers()],
            &["true"],
        ),
        // A value is never SQL.
        (
            "SELECT ? AS text",
            vec![text("'; DROP TABLE traffic --")],
            &["'; DROP TABLE traffic --"],
        ),
    ] {
        let mut prepared = client.prepare(sql.to_owned(), None).await.expect(sql);
        let parameters = prepared
            .parameter_schema()
            .expect("a schema")
            .fields()
            .len();
        assert_eq!(parameters, values.len(), "{sql}");
        prepared.set_parameters(row(values)).expect("values");
        for _ in 0..2 {
            let info = prepared.execute().await.expect(sql);
            let batches = fetched(&mut client, info).await.expect(sql);
            assert_eq!(shown(&batches), rows, "{sql}");
        }
        prepared.close().await.expect("closed");
    }
}

#[tokio::test]
async fn a_statement_says_what_it_takes_and_answers() {
    let mut client = default_client().await;
    let sql = "SELECT time, car FROM traffic WHERE segment_id = ? AND time >= ?";
    let prepared = client
        .prepare(sql.to_owned(), None)
        .await
        .expect("a statement");
    let types = |schema: &Schema| {
        let fields = schema.fields().iter();
        fields
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect::<Vec<_>>()
    };
    let micros = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(
        types(prepared.parameter_schema().expect("a schema")),
        [
            ("$1".to_owned(), DataType::Int64),
            ("$2".to_owned(), micros.clone())
        ]
    );
    assert_eq!(
        types(prepared.dataset_schema().expect("a schema")),
        [
            ("time".to_owned(), micros),
            ("car".to_owned(), DataType::Float64)
        ]
    );
}

/// The client of `arrow-flight` makes plain texts of dictionaries; others send them as they are.
#[tokio::test]
async fn a_dictionary_stays_one() {
    let mut client = default_client().await;
    let descriptor = raw_statement(
        &mut client,
        "SELECT ? AS word FROM generate_series(1, 20000)",
    )
    .await;
    let encoder = FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(descriptor.clone()))
        .with_dictionary_handling(DictionaryHandling::Resend)
        .build(futures::stream::iter([Ok(row(vec![word()]))]));
    let sent: Vec<FlightData> = encoder.try_collect().await.expect("messages");
    let put = client.do_put(futures::stream::iter(sent)).await;
    put.expect("values").message().await.expect("an answer");
    let info = client.inner_mut().get_flight_info(descriptor).await;
    let info = info.expect("a plan").into_inner();
    let batches = fetched(&mut client, info).await.expect("rows");
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert_eq!(batches[0].column(0).data_type(), &dictionary);
    let rows = shown(&batches);
    assert_eq!(rows.len(), 20_000);
    assert!(rows.iter().all(|row| row == "word"));
}

#[tokio::test]
async fn values_that_do_not_fit_are_named() {
    let mut client = default_client().await;
    let sql = "SELECT value FROM generate_series(1, 5) WHERE value >= ?";
    let two: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"ab".as_slice()]));
    for (values, message) in [
        (vec![text("four")], "the value of $1 is no Int64"),
        (vec![int(1), int(2)], "takes 1 value, not 2"),
        (vec![two], "one row at a time"),
        (
            vec![bytes],
            "the value of $1 is binary, and its place takes Int64",
        ),
    ] {
        let mut prepared = client.prepare(sql.to_owned(), None).await.expect(sql);
        prepared.set_parameters(row(values)).expect("values");
        check_status(
            &status(prepared.execute().await),
            Code::InvalidArgument,
            message,
        );
    }
    let mut prepared = client.prepare(sql.to_owned(), None).await.expect(sql);
    check_status(
        &status(prepared.execute().await),
        Code::InvalidArgument,
        "takes 1 value, and 0 are bound",
    );
    prepared.close().await.expect("closed");
}

#[tokio::test]
async fn a_closed_statement_is_gone() {
    let mut client = default_client().await;
    let mut prepared = client
        .prepare("SELECT 1".to_owned(), None)
        .await
        .expect("a statement");
    let mut same = client
        .prepare("SELECT 1".to_owned(), None)
        .await
        .expect("a statement");
    prepared.execute().await.expect("a plan");
    prepared.close().await.expect("closed");
    same.execute().await.expect("a plan: another statement");
    let gone = CommandPreparedStatementQuery {
        prepared_statement_handle: vec![7; 16].into(),
    };
    let descriptor = FlightDescriptor::new_cmd(gone.as_any().encode_to_vec());
    let wrong = client
        .inner_mut()
        .get_flight_info(descriptor)
        .await
        .expect_err("gone");
    check_status(
        &wrong,
        Code::NotFound,
        "there is no such prepared statement",
    );
}

#[tokio::test]
async fn malformed_values_take_nothing_else_down() {
    let mut client = default_client().await;
    let descriptor = raw_statement(&mut client, "SELECT ? AS a").await;
    // As a client writes them, then cut, changed and without their values.
    let encoder = FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(descriptor))
        .build(futures::stream::iter([Ok(row(vec![text(
            "a value of some length",
        )]))]));
    let sent: Vec<FlightData> = encoder.try_collect().await.expect("messages");
    let mut seed = 1_u64;
    for round in 0..400 {
        let mut broken = sent.clone();
        let message = &mut broken[1];
        let mut header = message.data_header.to_vec();
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = (seed >> 33) as usize % header.len();
        match round % 3 {
            0 => header[at] ^= 1 << (seed >> 61),
            1 => header.truncate(at),
            _ => message.data_body = message.data_body.slice(..at % message.data_body.len()),
        }
        message.data_header = header.into();
        // Some changes are none: whatever comes, the service goes on.
        let put = client.do_put(futures::stream::iter(broken)).await;
        if let Ok(mut results) = put {
            drop(results.message().await);
        }
    }
    let rows = queried(&mut client, "SELECT 1 AS one").await.expect("rows");
    assert_eq!(shown(&rows), ["1"]);
}

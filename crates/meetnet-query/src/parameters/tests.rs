use super::*;
use crate::fixture::Database;
use crate::options::QueryRequest;

fn text(value: &str) -> ParameterValue {
    ParameterValue::Text(value.to_owned())
}

async fn count(sql: &str, values: &[(&str, ParameterValue)]) -> std::result::Result<i64, String> {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    let request = QueryRequest {
        parameters: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..QueryRequest::public(sql)
    };
    let batches = Database::new().answer(request).await;
    let batches = batches.map_err(|error| error.message)?;
    Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
}

#[tokio::test]
async fn table_functions_take_values() {
    use ParameterValue::{Array, Int};
    use arrow::array::{Int32Array, TimestampMicrosecondArray};

    let at = |micros: i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"))
    };
    for (from, values, rows) in [
        (
            "generate_series($1, $last)",
            vec![("1", Int(-2)), ("last", text("5"))],
            8,
        ),
        (
            "generate_series($1, 3) WHERE value = $1 OR value = $2",
            vec![("1", Int(2)), ("2", Int(3))],
            2,
        ),
        (
            "generate_series($1, $2, INTERVAL '1 hour')",
            vec![("1", Array(at(0))), ("2", Array(at(7_200_000_000)))],
            3,
        ),
        (
            "generate_series(1, $1)",
            vec![("1", Array(Arc::new(Int32Array::from(vec![4]))))],
            4,
        ),
        (
            "time_grid(INTERVAL '1 hour', $from, $to)",
            vec![
                ("from", text("2026-01-01")),
                ("to", text("2026-01-01 02:00")),
            ],
            2,
        ),
        (
            "revised_as_of($at)",
            vec![("at", text("2026-01-01T01:00:00Z"))],
            3,
        ),
    ] {
        let sql = format!("SELECT count(*) FROM {from}");
        assert_eq!(count(&sql, &values).await, Ok(rows), "{sql}");
    }
    // It stays a text, whatever is in it.
    let sql = "SELECT count(*) FROM time_grid(INTERVAL '1 hour', $1, '2026-01-02')";
    let error = count(sql, &[("1", text("2026-01-01', '2026-01-01"))]).await;
    let error = error.expect_err("no time");
    assert!(error.contains("is no time"), "{error}");
    let error = count(sql, &[("2", text("2026-01-01"))]).await;
    assert!(error.is_err(), "no value for $1");
}

#[tokio::test]
async fn a_statement_with_values_in_table_functions_is_described() {
    use arrow::datatypes::TimeUnit;

    use crate::fixture;
    use crate::options::QueryOptions;
    use crate::service::QueryService;

    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    for (sql, known) in [
        (
            "SELECT value FROM generate_series($1, $2, INTERVAL '1 hour')",
            vec![Some(time.clone()), Some(time)],
        ),
        (
            "SELECT time FROM time_grid(INTERVAL '1 hour', $1, $2)",
            vec![None, Some(DataType::Utf8)],
        ),
        (
            "SELECT time FROM revised_as_of($1) WHERE segment_id = $2",
            vec![None, Some(DataType::Int64)],
        ),
    ] {
        let found = service.describe(QueryRequest::public(sql), known).await;
        let found = found.expect(sql);
        assert_eq!(found.parameters.len(), 2, "{sql}");
        assert!(
            matches!(found.schema.field(0).data_type(), DataType::Timestamp(..)),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn values_take_the_place_of_placeholders() {
    async fn check(condition: &str, values: &[(&str, ParameterValue)], rows: i64) {
        let sql = format!("SELECT count(*) FROM counts WHERE {condition}");
        assert_eq!(count(&sql, values).await, Ok(rows), "{condition}");
    }
    use ParameterValue::{Float, Int};
    check("segment_id = $1", &[("1", Int(4))], 1).await;
    check("segment_id = $1", &[("1", text("4"))], 1).await;
    check("car > $least", &[("least", Float(30.0))], 2).await;
    check("car > $least", &[("least", text("30"))], 2).await;
    check("place = $1", &[("1", text("segment-4"))], 1).await;
    check("place = $1", &[("1", text("' OR '1' = '1"))], 0).await;
    let february = text("2026-02-01T00:00:00Z");
    check("time < $to", &[("to", february.clone())], 300).await;
    check("time < $to", &[("to", text("2026-02-01 00:00"))], 300).await;
    check(
        "time < TIMESTAMP '2026-01-31T00:00:00Z' + $1",
        &[("1", text("1 day"))],
        300,
    )
    .await;
    check(
        "time < TIMESTAMP '2026-01-31T00:00:00Z' + $1::interval",
        &[("1", text("INTERVAL '24 hours'"))],
        300,
    )
    .await;
    check(
        "time < DATE '2026-01-31' + $1::interval",
        &[("1", text("36 hours"))],
        336,
    )
    .await;
    check(
        "time < DATE '2026-01-31' + $1::interval",
        &[("1", text("1 day 12:00:00"))],
        336,
    )
    .await;
    check(
        "TIMESTAMP '2026-02-01T00:00:00Z' - time > $1",
        &[("1", text("0 hours"))],
        300,
    )
    .await;
    check(
        "segment_id = $segment AND time < $to AND time < $to",
        &[("to", february), ("segment", text("2"))],
        100,
    )
    .await;
    check(
        "segment_id IN (SELECT segment_id FROM counts WHERE car = $1 LIMIT $2)",
        &[("1", text("40")), ("2", text("1"))],
        1,
    )
    .await;
}

#[tokio::test]
async fn rows_are_counted_by_values_of_any_type() {
    use ParameterValue::{Array, Bool, Float, Int, Null};
    use arrow::array::{Decimal128Array, Int16Array, StringViewArray};
    let decimal = Decimal128Array::from(vec![15_i128]).with_precision_and_scale(4, 1);
    let decimal: ArrayRef = Arc::new(decimal.expect("a decimal"));
    for (value, rows) in [
        (Int(2), Ok(2)),
        (Float(2.5), Ok(3)),
        (Float(2.4), Ok(2)),
        (text("2"), Ok(2)),
        (Null, Ok(5)),
        (Array(Arc::new(Int16Array::from(vec![2]))), Ok(2)),
        (Array(Arc::new(Int16Array::from(vec![None]))), Ok(5)),
        (Array(Arc::new(StringViewArray::from(vec!["2"]))), Ok(2)),
        (Array(decimal), Ok(2)),
        (Int(-1), Err("LIMIT must not be negative")),
        (Float(-0.5), Err("LIMIT must not be negative")),
        (
            Float(f64::NAN),
            Err("out of range: NaN is no number of rows"),
        ),
        (text("2.5"), Err("the value of $1 is no int64: `2.5`")),
        (
            Bool(true),
            Err("LIMIT takes a number of rows, and got boolean"),
        ),
    ] {
        let sql = "SELECT count(*) FROM (SELECT value FROM generate_series(1, 5) LIMIT $1) AS some";
        let counted = count(sql, &[("1", value.clone())]).await;
        assert_eq!(counted, rows.map_err(str::to_owned), "{value:?}");
    }
}

/// Clients have microseconds.
#[tokio::test]
async fn times_of_the_day_are_compared_with_those_of_rows() {
    use arrow::array::{ListArray, Time64MicrosecondArray};
    use arrow::datatypes::Time64MicrosecondType;
    let hour = |hour: i64| hour * 3_600_000_000;
    let time = |at| ParameterValue::Array(Arc::new(Time64MicrosecondArray::from(vec![at])));
    let sql = "SELECT count(*) FROM counts WHERE segment_id = 1 AND";
    let clock = "extract(hour FROM time)";
    for (written, parameters, same) in [
        (
            "time::time BETWEEN $1 AND $2",
            vec![("1", time(hour(7))), ("2", time(hour(8)))],
            format!("{clock} IN (7, 8)"),
        ),
        (
            "time::time >= $1 AND time::time < $2",
            vec![("1", time(hour(7))), ("2", time(hour(9)))],
            format!("{clock} IN (7, 8)"),
        ),
        (
            "time::time = ANY($1)",
            vec![(
                "1",
                ParameterValue::Array(Arc::new(ListArray::from_iter_primitive::<
                    Time64MicrosecondType,
                    _,
                    _,
                >([Some([
                    Some(hour(7)),
                    Some(hour(9)),
                ])]))),
            )],
            format!("{clock} IN (7, 9)"),
        ),
    ] {
        let rows = count(&format!("{sql} {written}"), &parameters).await;
        let expected = count(&format!("{sql} {same}"), &[]).await;
        assert!(
            expected.as_ref().is_ok_and(|rows| *rows > 0),
            "{expected:?}"
        );
        assert_eq!(rows, expected, "{written}");
    }
}

/// Lists are written as texts, as PostgreSQL writes them.
#[tokio::test]
async fn lists_take_the_place_of_placeholders() {
    async fn check(condition: &str, value: ParameterValue, rows: i64) {
        let sql = format!("SELECT count(*) FROM counts WHERE segment_id = 4 AND ({condition})");
        assert_eq!(count(&sql, &[("1", value)]).await, Ok(rows), "{condition}");
    }
    let places = text("{segment-1,\"no, such\",NULL,segment-4}");
    check("place = ANY($1)", places.clone(), 1).await;
    check("place = ANY($1::text[])", places.clone(), 1).await;
    check("$1::text[] IS NULL OR place = ANY($1)", places, 1).await;
    check("place = ANY($1)", text("{segment-1}"), 0).await;
    check("place <> ALL($1)", text("{segment-1}"), 1).await;
    check("place <> ALL($1)", text("{segment-4}"), 0).await;
    check("place > ANY($1)", text("{segment-9,segment-1}"), 1).await;
    check("place = ANY($1)", text("{}"), 0).await;
    check("place <> ALL($1)", text("{}"), 1).await;
    check("place = ANY($1)", ParameterValue::Null, 0).await;
    check("segment_id = ANY($1)", text("{4,9}"), 1).await;
    check("segment_id = ANY($1::bigint[])", text("{3,9}"), 0).await;
    check("time >= ALL($1)", text("{2020-01-01T00:00:00Z}"), 1).await;
    check("cardinality($1::text[]) = 2", text("{a,NULL}"), 1).await;
    let sql = "SELECT count(*) FROM unnest($1::text[])";
    assert_eq!(count(sql, &[("1", text("{a,b,c}"))]).await, Ok(3));
    let sql = "SELECT count(*) FROM counts WHERE segment_id = ANY($1)";
    for wrong in ["4", "{4,x}", "{{4}}"] {
        let error = count(sql, &[("1", text(wrong))]).await;
        let message = format!(
            "the value of $1 is no list<int64>, which is written as {{1,2,NULL}}: `{wrong}`"
        );
        assert!(
            error.clone().is_err_and(|error| error.contains(&message)),
            "{error:?}"
        );
    }
}

/// A list of some kilobytes may stand in many places, and be as many expressions in each.
#[tokio::test]
async fn lists_in_many_places_are_bounded() {
    let list = text(&format!("{{1{}}}", ",1".repeat(4_999)));
    for (places, is_answered) in [(2, true), (50, false)] {
        let conditions = vec!["segment_id = ANY($1)"; places].join(" AND ");
        let sql = format!("SELECT count(*) FROM counts WHERE {conditions}");
        let answer = count(&sql, &[("1", list.clone())]).await;
        assert_eq!(answer.is_ok(), is_answered, "{places}: {answer:?}");
        let is_named = |error: String| error.contains("250000 elements");
        assert!(is_answered || answer.is_err_and(is_named), "{places}");
    }
}

#[tokio::test]
async fn wrong_values_are_named() {
    async fn check(values: &[(&str, ParameterValue)], message: &str) {
        let sql = "SELECT count(*) FROM counts WHERE segment_id = $segment";
        let error = count(sql, values).await.expect_err(message);
        assert!(error.contains(message), "{error}");
    }
    check(&[], "$segment, and there is no value for it").await;
    check(
        &[("segment", text("1")), ("other", text("1"))],
        "a value for $other",
    )
    .await;
    check(
        &[("segment", text("x"))],
        "the value of $segment is no int64: `x`",
    )
    .await;
    for (condition, value, message) in [
        (
            "time < now() - $1::interval",
            "7",
            "the value of $1 is no interval: `7`; a span of time is written as 7 days or 90 minutes",
        ),
        (
            "now() - time > $1",
            "a week",
            "the value of $1 is no interval: `a week`; a span of time is written",
        ),
        // It is compared, and not taken off.
        (
            "time > $1",
            "7 days",
            "the value of $1 is no timestamp: `7 days`",
        ),
    ] {
        let sql = format!("SELECT count(*) FROM counts WHERE {condition}");
        let error = count(&sql, &[("1", text(value))]).await;
        let error = error.expect_err(message);
        assert!(error.contains(message), "{error}");
    }
    let error = count("SELECT count(*) FROM counts", &[("1", text("1"))]).await;
    assert!(error.expect_err("no placeholder").contains("$1"));
}

/// In SELECT, where the plan has to know what a comparison is before anybody knows what the list is.
#[tokio::test]
async fn values_are_compared_with_lists_in_select() {
    async fn check(comparison: &str, list: ParameterValue, rows: i64) {
        let sql = format!(
            "SELECT count(*) FROM (SELECT x {comparison} AS holds FROM (VALUES (1), (5)) AS t(x)) AS s WHERE holds"
        );
        assert_eq!(count(&sql, &[("1", list)]).await, Ok(rows), "{comparison}");
    }
    check("< ANY($1)", text("{3}"), 1).await;
    check("<= ANY($1)", text("{1,5}"), 2).await;
    check("> ANY($1)", text("{3,7}"), 1).await;
    check(">= ANY($1)", text("{6}"), 0).await;
    check("<> ANY($1)", text("{1}"), 1).await;
    check("= ANY($1)", text("{1,7}"), 1).await;
    check("< ANY($1)", text("{}"), 0).await;
    check("< ANY($1)", ParameterValue::Null, 0).await;
    check("<= ALL($1)", text("{3}"), 1).await;
}

/// A list that a client sends in another type of numbers than it is compared with.
#[tokio::test]
async fn lists_of_other_numbers_are_compared() {
    use arrow::array::ListArray;
    use arrow::datatypes::Float64Type;

    async fn check(condition: &str, list: ParameterValue, rows: i64) {
        let sql = format!(
            "SELECT count(*) FROM (VALUES (1.5::decimal(5, 2)), (5)) AS t(x) WHERE {condition}"
        );
        assert_eq!(count(&sql, &[("1", list)]).await, Ok(rows), "{condition}");
    }
    let floats = [Some([Some(1.5), None, Some(7.0)])];
    let floats = ListArray::from_iter_primitive::<Float64Type, _, _>(floats);
    let floats = ParameterValue::Array(Arc::new(floats));
    check("x = ANY($1)", floats.clone(), 1).await;
    check("x = ANY($1::double[])", floats.clone(), 1).await;
    check("x <> ALL($1)", floats.clone(), 0).await;
    check("cardinality(array_append($1, x)) = 4", floats, 2).await;
    check("x = ANY($1::bigint[])", text("{5,6}"), 1).await;
    check("x <> ALL($1::bigint[])", text("{5,6}"), 1).await;
    check("x = ANY(array_remove([x, 5], $1))", text("5"), 1).await;
}

#[tokio::test]
async fn a_number_keeps_its_digits() {
    async fn check(condition: &str, value: ParameterValue) {
        let sql = format!("SELECT count(*) FROM (VALUES (1)) AS t(x) WHERE {condition}");
        assert_eq!(count(&sql, &[("1", value)]).await, Ok(1), "{condition}");
    }
    let number = || text("0.123456789012345678");
    check(
        "$1::numeric = '0.123456789012345678'::numeric(20, 18)",
        number(),
    )
    .await;
    check("$1::numeric(38, 10) = '0.1234567890'::numeric", number()).await;
    check(
        "($1::numeric[])[2] = '0.123456789012345678'::numeric(20, 18)",
        text("{1,0.123456789012345678}"),
    )
    .await;
    check(
        "$1::numeric = '0.123456789012'::numeric",
        ParameterValue::Float(0.123_456_789_012),
    )
    .await;
}

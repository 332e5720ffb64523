use arrow::datatypes::{Field, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::expressions::{col, lit};

use super::*;

fn schema() -> Schema {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Schema::new(vec![
        Field::new("sensor_id", DataType::Utf8, false),
        Field::new("time", time(), false),
        Field::new("value", DataType::Float64, true),
        Field::new("until", time(), true),
        Field::new(RECORDED_AT, time(), false),
        Field::new("from", time(), false),
    ])
}

fn compared(column: &str, operator: Operator, value: ScalarValue) -> Arc<dyn PhysicalExpr> {
    let column = col(column, &schema()).expect("a column");
    Arc::new(BinaryExpr::new(column, operator, lit(value)))
}

fn at(time: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(time), Some("UTC".into()))
}

#[test]
fn bounds_of_times_come_first_as_one() {
    use Operator::{And, Eq, Gt, GtEq, Lt, LtEq, Or};
    let check = |conditions: Vec<Arc<dyn PhysicalExpr>>, expect: Option<&str>| {
        let predicate = conjunction(conditions);
        let ordered = times_first(&predicate, &schema()).map(|ordered| ordered.to_string());
        assert_eq!(ordered.as_deref(), expect, "{predicate}");
    };
    let sensor = || compared("sensor_id", Eq, ScalarValue::from("a"));
    let value = || compared("value", Gt, ScalarValue::from(2.0));
    let (from, to) = (
        || compared("time", GtEq, at(5)),
        || compared("time", Lt, at(9)),
    );
    check(
        vec![sensor(), from(), value(), to()],
        Some("(time@1 >= 5 AND time@1 < 9 OR time@1 IS NULL) AND sensor_id@0 = a AND value@2 > 2"),
    );
    check(
        vec![value(), sensor(), to()],
        Some("time@1 < 9 AND value@2 > 2 AND sensor_id@0 = a"),
    );
    let turned: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(
        lit(at(5)),
        LtEq,
        col("time", &schema()).expect("a column"),
    ));
    check(vec![value(), turned], Some("5 <= time@1 AND value@2 > 2"));
    check(
        vec![compared("from", Gt, at(1)), value(), from(), to()],
        Some("(time@1 >= 5 AND time@1 < 9 OR time@1 IS NULL) AND from@5 > 1 AND value@2 > 2"),
    );
    check(vec![from()], None);
    check(vec![sensor(), value()], None);
    // Where a row may have no time, the bound leaves that row out, and OR would let it in.
    let until = || compared("until", Gt, at(5));
    check(vec![value(), until(), compared("until", Lt, at(9))], None);
    check(vec![value(), compared(RECORDED_AT, LtEq, at(9))], None);
    // What DataFusion knows to be of one value stays where it is seen.
    check(vec![sensor(), compared("time", Eq, at(5))], None);
    let either: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(from(), Or, to()));
    check(vec![value(), either], None);
    let nested: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(from(), And, to()));
    check(
        vec![value(), nested],
        Some("(time@1 >= 5 AND time@1 < 9 OR time@1 IS NULL) AND value@2 > 2"),
    );
}

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::conjunction;
use datafusion::physical_expr::expressions::{cast, col};
use datafusion::physical_plan::empty::EmptyExec;

use super::*;

fn schema() -> Arc<Schema> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("segment_id", DataType::Int64, false),
        Field::new("time", time, false),
        Field::new("car", DataType::Float64, true),
        Field::new("place", DataType::Utf8, true),
    ]))
}

fn column(name: &str) -> Arc<dyn PhysicalExpr> {
    col(name, &schema()).expect("a column")
}

fn binary(
    left: Arc<dyn PhysicalExpr>,
    operator: Operator,
    right: Arc<dyn PhysicalExpr>,
) -> Arc<dyn PhysicalExpr> {
    Arc::new(BinaryExpr::new(left, operator, right))
}

fn of_day() -> Arc<dyn PhysicalExpr> {
    let day = cast(column("time"), &schema(), DataType::Date32).expect("a cast");
    binary(day, Operator::Eq, lit(ScalarValue::Date32(Some(20_455))))
}

#[test]
fn only_what_is_compared_as_it_is_may_be_constant() {
    let check = |conditions: Vec<Arc<dyn PhysicalExpr>>, expect: &str| {
        let input = Arc::new(EmptyExec::new(schema()));
        let filter = FilterExec::try_new(conjunction(conditions), input).expect("a filter");
        let config = ConfigOptions::default();
        let mut plan: Arc<dyn ExecutionPlan> = Arc::new(filter);
        // Twice: what has been put before it stands there once.
        for _ in 0..2 {
            plan = CertainConstants.optimize(plan, &config).expect("a plan");
        }
        let filter = plan.downcast_ref::<FilterExec>().expect("a filter");
        assert_eq!(filter.predicate().to_string(), expect);
        let properties = plan.properties().equivalence_properties();
        let time = properties.is_expr_constant(&column("time"));
        assert!(time.is_none(), "{expect}");
    };
    check(
        vec![of_day()],
        "true IS NOT NULL AND CAST(time@1 AS Date32) = 2026-01-02",
    );
    let tenth = binary(column("segment_id"), Operator::Divide, lit(10_i64));
    check(
        vec![binary(tenth, Operator::Eq, lit(3_i64)), of_day()],
        "true IS NOT NULL AND segment_id@0 / 10 = 3 AND CAST(time@1 AS Date32) = 2026-01-02",
    );
    let sum = binary(column("car"), Operator::Plus, lit(1e17));
    check(
        vec![binary(sum, Operator::GtEq, lit(1e17))],
        "true IS NOT NULL AND car@2 + 100000000000000000 >= 100000000000000000",
    );
    // These say what is constant, and only that.
    check(
        vec![
            binary(column("segment_id"), Operator::Eq, lit(3_i64)),
            binary(lit(1.0), Operator::Lt, column("car")),
        ],
        "segment_id@0 = 3 AND 1 < car@2",
    );
    // Of texts nothing is computed backwards.
    check(
        vec![binary(column("place"), Operator::Eq, lit("a")), of_day()],
        "place@3 = a AND CAST(time@1 AS Date32) = 2026-01-02",
    );
}

use arrow::array::Float64Array;
use datafusion::logical_expr::{LogicalPlanBuilder, LogicalTableSource, col, lit};
use datafusion::optimizer::Analyzer;

use super::*;

#[test]
fn only_zeros_lose_their_sign() {
    let numbers = [
        -0.0,
        0.0,
        -1.5,
        f64::MIN_POSITIVE,
        -5e-324,
        f64::NEG_INFINITY,
    ];
    let column: ArrayRef = Arc::new(Float64Array::from(numbers.to_vec()));
    let found = unsigned_zeros(&column).expect("numbers");
    let found = found.as_primitive::<Float64Type>();
    for (position, number) in numbers.into_iter().enumerate() {
        let bits = if number == 0.0 { 0 } else { number.to_bits() };
        assert_eq!(found.value(position).to_bits(), bits, "{number}");
    }
}

#[test]
fn what_is_no_number_loses_its_sign() {
    let column: ArrayRef = Arc::new(Float64Array::from(vec![-f64::NAN, f64::NAN, 0.5]));
    let found = unsigned_zeros(&column).expect("numbers");
    let found = found.as_primitive::<Float64Type>();
    let bits = found.values().iter().map(|number| number.to_bits());
    let expect = [f64::NAN, f64::NAN, 0.5].map(f64::to_bits);
    assert_eq!(bits.collect::<Vec<_>>(), expect);
}

#[test]
fn what_makes_no_such_zero_is_left_alone() {
    let check = |expr: Expr, expect: bool| {
        let fields = [
            ("x", DataType::Float64),
            ("n", DataType::Int64),
            ("word", DataType::Utf8),
        ];
        let fields = fields.map(|(name, of)| Field::new(name, of, true));
        let schema = arrow::datatypes::Schema::new(fields.to_vec());
        let source = Arc::new(LogicalTableSource::new(Arc::new(schema)));
        let plan = LogicalPlanBuilder::scan("t", source, None).and_then(|scan| {
            let named = scan.project([expr.clone().alias("answer")])?;
            named.build()
        });
        let analyzer = Analyzer::with_rules(vec![Arc::new(UnsignedZeros)]);
        let config = ConfigOptions::default();
        let plan = plan.and_then(|plan| analyzer.execute_and_check(plan, &config, |_, _| {}));
        let plan = plan.expect("a plan").to_string();
        assert_eq!(plan.contains(UNSIGNED_ZERO), expect, "{expr}: {plan}");
        assert!(plan.contains("AS answer"), "{plan}");
    };
    let x = || col("x");
    check(x(), false);
    check(-x(), true);
    check(x() * lit(1.8) + lit(32.0), false);
    check(x() * lit(1.8), true);
    check(x() - lit(1.0), false);
    check(x() * lit(2.0) - lit(1.0), true);
    check(datafusion::prelude::abs(x()), false);
    check(datafusion::prelude::round(vec![x()]), true);
    check(datafusion::prelude::coalesce(vec![x(), lit(0.0)]), false);
    let cast = |of: &str| datafusion::logical_expr::cast(col(of), DataType::Float64);
    check(cast("n"), false);
    check(cast("word"), true);
    check(lit(-0.0), true);
    check(x().in_list(vec![lit(1.0), lit(2.0)], false), false);
    check(x().gt(-x()), false);
    check(-col("n"), false);
    // Of two infinities comes NaN, and of one and a zero.
    check(x() - x(), true);
    check(x() + x(), true);
    check(x() + lit(f64::INFINITY), true);
    check(x() * lit(0.0) + lit(1.0), true);
    check((x() - x()) / lit(2.0) + lit(1.0), true);
    check(datafusion::prelude::abs(x() - x()), false);
    check((x() - x()).gt(lit(1.0)), true);
    check(lit(1.0).between(lit(0.0), x() + x()), true);
    check((x() / lit(2.0) - lit(1.0)).gt(lit(1.0)), false);
    check((col("n") - col("n")).gt(lit(1_i64)), false);
}

use std::cell::Cell;

use arrow::datatypes::Schema;
use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::col;

use super::*;
use crate::typed_keys;

/// Levels of a chain: each is copied on the stack of a test.
const QUOTIENTS: usize = 100;

/// Columns of decimal numbers, and how often somebody has asked for one.
#[derive(Debug)]
struct AskedColumns {
    columns: DFSchema,
    asked: Cell<usize>,
}

impl AskedColumns {
    fn new() -> Self {
        let fields = ["a", "b", "c"].map(|name| {
            let data_type = DataType::Decimal128(10, 2);
            Field::new(name, data_type, true)
        });
        let columns = DFSchema::try_from(Schema::new(fields.to_vec())).expect("columns");
        Self {
            columns,
            asked: Cell::new(0),
        }
    }

    /// Makes quotients calls. Returns with the expression how many these are.
    fn with_calls(&self, expr: Expr) -> (Expr, usize) {
        let made = rewrite::parts(expr, |part| call_for(part, self)).expect("an expression");
        let mut calls = 0;
        let walked = made.data.apply(|part| {
            if matches!(part, Expr::ScalarFunction(call) if is_quotient(call)) {
                calls += 1;
            }
            Ok(TreeNodeRecursion::Continue)
        });
        walked.expect("an expression");
        (made.data, calls)
    }
}

impl ExprSchema for AskedColumns {
    fn field_from_column(&self, column: &Column) -> Result<&FieldRef> {
        self.asked.set(self.asked.get() + 1);
        self.columns.field_from_column(column)
    }
}

fn chain_of_quotients() -> Expr {
    (0..QUOTIENTS).fold(col("a"), |chain, _| chain / col("b"))
}

#[test]
fn a_chain_of_quotients_asks_for_each_column_once() {
    let columns = AskedColumns::new();
    let (_, calls) = columns.with_calls(chain_of_quotients());
    assert_eq!(calls, QUOTIENTS);
    assert_eq!(columns.asked.get(), QUOTIENTS + 1);
}

#[test]
fn a_key_of_quotients_asks_for_no_column() {
    let columns = AskedColumns::new();
    let (made, _) = columns.with_calls(chain_of_quotients());
    columns.asked.set(0);
    let key = typed_keys::key(made.clone(), &columns).expect("a key");
    assert_eq!(columns.asked.get(), 0);
    assert!(key.data == made);
}

#[test]
fn quotients_have_the_types_that_datafusion_says() {
    let (a, b, c) = (|| col("a"), || col("b"), || col("c"));
    for (expr, expect) in [
        (a() / b(), 1),
        (a() / b() / c(), 2),
        (a() / b() * c() / b() + a(), 2),
        (a() / b() % c() / b(), 2),
        ((a() + b()) / (b() / c()), 2),
        ((a() / b()).gt(c() / b()), 2),
        (a() * b() + c(), 0),
    ] {
        let columns = AskedColumns::new();
        let text = expr.to_string();
        let of_operators = expr.get_type(&columns.columns).expect("a type");
        let (made, calls) = columns.with_calls(expr);
        assert_eq!(calls, expect, "{text}");
        let of_calls = made.get_type(&columns.columns).expect("a type");
        assert_eq!(
            type_of(&made, &columns).expect("a type"),
            of_calls,
            "{text}"
        );
        assert_eq!(of_calls, of_operators, "{text}");
    }
}

#[test]
fn a_half_is_rounded_away_from_zero() {
    for (left, right, expect) in [
        (20, 3, 7),
        (-20, 3, -7),
        (19, 3, 6),
        (5, 2, 3),
        (-5, 2, -3),
        (5, -2, -3),
        (-5, -2, 3),
        (1, 3, 0),
        (-1, 3, 0),
        (1, 2, 1),
        (6, 3, 2),
        (0, -7, 0),
        (i128::MIN, 1, i128::MIN),
        (i128::MIN, i128::MIN, 1),
        (i128::MAX, 2, i128::MAX / 2 + 1),
        (i128::MAX, i128::MIN, -1),
        (i128::MIN, i128::MAX, -1),
        (i128::MAX / 2, i128::MIN, 0),
    ] {
        let found = quotient(left, right).expect("a quotient");
        assert_eq!(found, expect, "{left} / {right}");
    }
    assert!(matches!(quotient(1_i128, 0), Err(ArrowError::DivideByZero)));
    assert!(quotient(i128::MIN, -1).is_err());
}

#[test]
fn a_mean_has_one_digit_more_until_it_is_rounded() {
    for (of, expect) in [
        (
            DataType::Decimal128(14, 6),
            Some(DataType::Decimal128(15, 7)),
        ),
        (
            DataType::Decimal128(38, 6),
            Some(DataType::Decimal128(38, 7)),
        ),
        (DataType::Decimal128(38, 38), None),
        (
            DataType::Decimal256(76, 6),
            Some(DataType::Decimal256(76, 7)),
        ),
        (DataType::Float64, None),
    ] {
        assert_eq!(with_one_digit_more(&of), expect, "{of}");
    }
}

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, StringArray};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;
use crate::parameters::ParameterValue;

fn parsed(written: &str) -> Expr {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(written);
    let expr = parser.and_then(|mut parser| parser.parse_expr());
    expr.expect(written)
}

#[test]
fn a_decimal_type_without_a_size_has_the_digits_of_its_number() {
    let check = |written: &str, expect: &str| {
        let mut expr = parsed(written);
        keep_digits(&mut expr);
        assert_eq!(expr.to_string(), expect, "{written}");
    };
    check("'1.5'::numeric", "'1.5'::NUMERIC");
    check("'0.1234567890'::numeric", "'0.1234567890'::NUMERIC");
    check(
        "'0.12345678901'::numeric",
        "'0.12345678901'::NUMERIC(38,11)",
    );
    check("0.12345678901::decimal", "'0.12345678901'::DECIMAL(38,11)");
    check(
        "CAST(-0.12345678901 AS numeric)",
        "CAST('-0.12345678901' AS NUMERIC(38,11))",
    );
    check("'1e-12'::numeric", "'1e-12'::NUMERIC(38,12)");
    check(
        "'12345678901234567890123456789.5'::numeric",
        "'12345678901234567890123456789.5'::NUMERIC(39,10)",
    );
    // The product of two has forty digits behind the point.
    check(
        "'0.12345678901234567890'::numeric",
        "'0.12345678901234567890'::NUMERIC(48,20)",
    );
    check(
        "numeric '0.123456789012345'",
        "NUMERIC(38,15) '0.123456789012345'",
    );
    check(
        "ARRAY[0.123456789012345, 1]::numeric[]",
        "ARRAY['0.123456789012345', '1']::NUMERIC(38,15)[]",
    );
    check(
        "'{1,0.123456789012345,NULL}'::numeric[]",
        "'{1,0.123456789012345,NULL}'::NUMERIC(38,15)[]",
    );
    // What says a size is rounded to it, and what is no number is refused elsewhere.
    check(
        "'0.12345678901'::numeric(38,10)",
        "'0.12345678901'::NUMERIC(38,10)",
    );
    check("'0.12345678901'::text", "'0.12345678901'::TEXT");
    check("'many'::numeric", "'many'::NUMERIC");
    check("x::numeric", "x::NUMERIC");
    check(
        "9999999999999999.99::decimal(20,2)",
        "'9999999999999999.99'::DECIMAL(20,2)",
    );
}

#[test]
fn more_digits_than_there_are_lose_the_last_ones() {
    let mut data_type = DataType::Numeric(ExactNumberInfo::None);
    let number = format!("{}.{}", "9".repeat(40), "1".repeat(50));
    assert!(widen(&mut data_type, &[number]));
    assert_eq!(data_type.to_string(), "NUMERIC(76,36)");
    let mut data_type = DataType::Numeric(ExactNumberInfo::None);
    assert!(!widen(&mut data_type, &["9".repeat(77)]));
    assert_eq!(data_type.to_string(), "NUMERIC");
}

#[test]
fn a_parameter_has_the_digits_of_its_value() {
    let check = |value: ParameterValue, expect: &str| {
        let mut statement = crate::parse::statement(
            "SELECT $1::numeric, $1::numeric[], $1::numeric(20, 10), $2::numeric",
            crate::options::Dialect::Postgres,
            &crate::options::QueryOptions::default(),
        )
        .expect("a statement");
        let values = Parameters::from([("1".to_owned(), value.clone())]);
        keep_digits_of_parameters(&mut statement, &values);
        let written = statement.to_string();
        assert_eq!(written, expect, "{value:?}");
    };
    let text = |text: &str| ParameterValue::Text(text.to_owned());
    let as_is = "SELECT $1::NUMERIC, $1::NUMERIC[], $1::NUMERIC(20,10), $2::NUMERIC";
    let wide = "SELECT $1::NUMERIC(38,15), $1::NUMERIC(38,15)[], $1::NUMERIC(20,10), $2::NUMERIC";
    check(text("1.5"), as_is);
    check(text("0.123456789012345"), wide);
    check(ParameterValue::Float(0.123_456_789_012_345), wide);
    check(ParameterValue::Int(7), as_is);
    check(ParameterValue::Null, as_is);
    let array: ArrayRef = Arc::new(StringArray::from(vec!["0.123456789012345"]));
    check(ParameterValue::Array(array), wide);
    let decimal = Decimal128Array::from(vec![123_456_789_012_345]);
    let decimal = decimal.with_precision_and_scale(20, 15);
    let decimal: ArrayRef = Arc::new(decimal.expect("a number"));
    check(ParameterValue::Array(decimal), wide);
    let of_list = "SELECT $1::NUMERIC, $1::NUMERIC(38,15)[], $1::NUMERIC(20,10), $2::NUMERIC";
    check(text("{0.123456789012345,1}"), of_list);
}

use super::{Said, in_words, unsupported, unsupported_cast};
use crate::error::StatementFault;

#[test]
fn what_is_wrong_is_said_with_what_to_write() {
    let check = |text: &str, expect: &str| assert_eq!(in_words(text).message, expect, "{text}");
    check(
        "Parser error: Error parsing timestamp from '01/11/2026': error parsing date",
        "`01/11/2026` is no time; write 2026-01-31, 2026-01-31T12:00:00Z or 2026-01-31T12:00:00+01:00 (UTC without an \
         offset)",
    );
    check(
        "Parser error: Error parsing timestamp from '-infinity': error parsing date",
        "`-infinity` is no time here: there is none behind all others; write x IS NULL OR y < x, or a time such as '9999-12-31'",
    );
    check(
        "Error parsing timestamp from 'x' using format '%Y': input contains invalid characters",
        "`x` is no time of the format `%Y`: input contains invalid characters",
    );
    check(
        "Error parsing timestamp from '2026-01-31' using format 'yyyy/MM': input contains invalid characters",
        "`yyyy/MM` is no format that times are read by; write %Y-%m-%d %H:%M:%S, or in PostgreSQL's patterns YYYY-MM-DD \
         HH24:MI:SS",
    );
    check(
        "Parser error: Invalid timezone \"Europe/Brusels\": failed to parse timezone",
        "unknown time zone `Europe/Brusels`; use an IANA name such as `Europe/Brussels` or `UTC`",
    );
    check(
        "Parser error: Invalid input syntax for type interval: \"1 dag\"",
        "`1 dag` is no span of time; write for example INTERVAL '90 minutes' or INTERVAL '7 days'",
    );
    check(
        "Parser error: Invalid input syntax for type interval: \"INTERVAL '7 days'\"",
        "`INTERVAL '7 days'` is no span of time as a text is one; write 7 days or 90 minutes, without INTERVAL",
    );
    check(
        "Projections require unique expression names but the expression \"air.value AS a\" at position 0 and \"max(air.value) AS a\" \
         at position 2 have the same name. Consider aliasing (\"AS\") one of them.",
        "columns 1 and 3 are both called `a`; call one of them otherwise: AS a_2",
    );
    check(
        "Projections require unique expression names but the expression \"CAST(a.x AS Int64)\" at position 0 and \"a.x\" at position 1 \
         have the same name. Consider aliasing (\"AS\") one of them.",
        "columns 1 and 2 have the same name, `CAST(a.x AS Int64)`; give one of them another with AS",
    );
    check(
        "Argument #2 must be an INTEGER or NULL, got BinaryExpr(BinaryExpr { left: Literal(Int64(1), None), op: Divide })",
        "argument 2 of the table function must be an INTEGER that is known before the statement runs; placeholders, columns and \
         what divides by zero are none",
    );
    check(
        "Cast error: Cannot cast string 'it's' to value of Int8 type",
        "`it's` is used as a whole number (smallint), and is none",
    );
    check(
        "Cast error: Cannot cast string '891fa47a103ffff' to value of Int64 type",
        "`891fa47a103ffff` is used as a whole number (bigint), and is none; as an H3 cell it is 617549809477484543",
    );
    check(
        "Cast error: Cannot cast string 'x' to value of Interval(MonthDayNano) type",
        "`x` is used as a value of interval, and is none",
    );
    check(
        "Cast error: Cannot cast string 'high' to value of Float64 type",
        "`high` is used as a number (double precision), and is none",
    );
    check(
        "Cast error: Cannot cast string '2026-31-01' to value of Date32 type",
        "`2026-31-01` is used as a date, and is none; dates are written 2026-01-31",
    );
    check(
        "Cast error: Cannot cast value 'x' to value of Boolean type",
        "`x` is used as true or false, and is neither",
    );
    check(
        "Cast error: Can't cast value NaN to type Int64",
        "out of range: NaN is no bigint",
    );
    check(
        "Cast error: Cannot cast to Decimal128(38, 9). Overflowing on NaN",
        "out of range: NaN is no DECIMAL(38, 9)",
    );
    check(
        "null_aware anti join only supports single column join key, got 2 columns",
        "not supported: NOT IN (SELECT …) with columns of the query around it; write NOT EXISTS (SELECT 1 FROM t WHERE t.x = \
         outer.x AND …)",
    );
    check(
        "Divide by zero error",
        "the statement would divide by zero; divide by NULLIF(x, 0), which leaves the answer empty there",
    );
    check(
        "Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column \"air.sensor_id\" must \
         appear in the GROUP BY clause or must be part of an aggregate function, currently only \"avg(air.value)\" appears in \
         the SELECT clause satisfies this requirement",
        "`air.sensor_id` in SELECT must stand in GROUP BY, or inside an aggregate such as max(…) or avg(…)",
    );
    check(
        "Cannot infer common argument type for comparison operation Timestamp(µs, \"UTC\") > Int64",
        "these cannot be compared: timestamp with time zone > bigint; write a time as '2026-01-31T12:00:00Z', seconds since 1970 \
         as to_timestamp(…)",
    );
    check(
        "Can not find compatible types to compare Int64 with [Boolean]",
        "these cannot be compared: bigint with [boolean]; make one the other's type: CAST(… AS …)",
    );
    check(
        "Cannot coerce arithmetic expression Timestamp(ns, \"UTC\") - Utf8 to valid types",
        "these cannot be computed: timestamp with time zone - text; write a span of time as INTERVAL '7 days'",
    );
    check(
        "There isn't a common type to coerce Timestamp(µs, \"UTC\") and Utf8 in LIKE expression",
        "LIKE compares texts, and not timestamp with time zone; write time >= '2026-01-01' AND time < '2026-02-01'",
    );
    check(
        "Order by column out of bounds, specified: 4, max: 3",
        "there is no column 4 to order by; the answer has 3",
    );
    let wider = "does not fit the type that it is computed in; compute with wider numbers, CAST(x AS DECIMAL(38, 0)), or with \
                 CAST(x AS DOUBLE) where the last digits do not matter";
    check(
        "Arithmetic overflow: Overflow happened on: 9223372036854775807 + 1",
        &format!("out of range: 9223372036854775807 + 1 {wider}"),
    );
    check(
        "Compute error: Int64 overflow on abs(-9223372036854775808)",
        &format!("out of range: abs(-9223372036854775808) {wider}"),
    );
    // What is not known stays, without what says which library it is of.
    check(
        "Compute error: Execution error: cannot take square root of a negative number",
        "cannot take square root of a negative number",
    );
    check(
        "Substring without for/from is not valid Substring { expr: Identifier(Ident { value: \"property\", span: Span(…) }) }",
        "Substring without for/from is not valid Substring",
    );
}

#[test]
fn a_call_says_what_it_takes_and_got() {
    let check = |text: &str, expect: &str| assert_eq!(in_words(text).message, expect, "{text}");
    check(
        "Internal error: Function 'avg' failed to match any signature, errors: Error during planning: Function 'avg' requires \
         Decimal, but received String (DataType: Utf8).,Error during planning: Function 'avg' requires Duration, but received \
         String (DataType: Utf8)..",
        "`avg` cannot be called so: it requires Decimal or Duration, and got String",
    );
    check(
        "Internal error: Function 'date_trunc' failed to match any signature, errors: Error during planning: Function \
         'date_trunc' expects 2 arguments but received 1,Error during planning: Function 'date_trunc' expects 2 arguments but \
         received 1.",
        "`date_trunc` cannot be called so: it expects 2 arguments, and got 1",
    );
    check(
        "Function 'upper' requires String, but received Float64 (DataType: Float64).. No function matches the given name and \
         argument types 'upper(Float64)'. You might need to add explicit type casts.",
        "`upper` cannot be called so: it requires String, and got double precision",
    );
    check(
        "Internal error: Function 'round' failed to match any signature, errors: Error during planning: Function 'round' \
         expects 2 arguments but received 1,Error during planning: Function 'round' requires Decimal, but received String \
         (DataType: Utf8).",
        "`round` cannot be called so: it expects 2 arguments, and got 1; it requires Decimal, and got String",
    );
    check("Function 'f' is broken", "Function 'f' is broken");
    check(
        "Too many columns! The subquery should only return one column: t.a, t.b",
        "a subquery that is a value, or that IN compares one value with, answers one column, and this one t.a, t.b; (a, b) IN \
         (SELECT x, y FROM t) compares rows",
    );
    check(
        "Source table contains 3 columns but only 2 names given as column alias",
        "the columns of a subquery or a table are 3, and 2 are named or compared: (a, b) IN (SELECT x, y …) and AS t(a, b) take two \
         columns",
    );
}

#[test]
fn what_nobody_has_built_is_named_without_its_syntax_tree() {
    let check = |text: &str, expect: &str| assert_eq!(unsupported(text), expect, "{text}");
    check("TOP", "not supported: TOP; write LIMIT at the end");
    check(
        "Unsupported ast node Pivot { table: Derived { lateral: false } }",
        "not supported: Pivot; write a column for each value: max(value) FILTER (WHERE property = 'pm10') AS pm10",
    );
    check(
        "Physical plan does not support logical expression WindowFunction(WindowFunction { fun: WindowUDF(…) })",
        "not supported: a window function in WHERE; write QUALIFY, or WHERE around a subquery",
    );
    for (expression, expect) in [
        ("ScalarSubquery(<subquery>)", "row_number() OVER"),
        ("Exists(Exists", "LEFT JOIN"),
        ("InSubquery(InSubquery", "LEFT JOIN"),
        ("OuterReferenceColumn(Field", "LATERAL"),
        ("AggregateFunction(AggregateFunction", "HAVING"),
    ] {
        let text = format!("Physical plan does not support logical expression {expression}");
        let said = unsupported(&text);
        assert!(said.contains(expect) && !said.contains("logical"), "{said}");
    }
    check("LATERAL VIEWS", "not supported: LATERAL VIEWS");
    check(
        "Unsupported OFFSET expression: Some(BinaryExpr(BinaryExpr { left: Literal(Int64(1), None) }))",
        "not supported: OFFSET by what is not known, or cannot be computed, before the statement runs; write a number, or a parameter",
    );
}

#[test]
fn a_fault_is_known_by_what_is_said() {
    use StatementFault as Fault;
    let check = |text: &str, expect: Option<Fault>| {
        assert_eq!(in_words(text).fault, expect, "{text}");
    };
    let string = |value: &str, to: &str| {
        format!("Cast error: Cannot cast string '{value}' to value of {to} type")
    };
    check(&string("abc", "Int32"), Some(Fault::InvalidText));
    check(&string("", "Int32"), Some(Fault::InvalidText));
    check(&string("1.5", "Int64"), Some(Fault::InvalidText));
    check(&string("99999999999", "Int32"), Some(Fault::OutOfRange));
    check(&string("-99999", "Int16"), Some(Fault::OutOfRange));
    check(&string("abc", "Float64"), Some(Fault::InvalidText));
    check(
        &string("1e50", "Decimal128(38, 10)"),
        Some(Fault::OutOfRange),
    );
    check(&string("maybe", "Boolean"), Some(Fault::InvalidText));
    check(&string("tomorrowish", "Date32"), Some(Fault::InvalidTime));
    check(&string("2026-02-31", "Date32"), Some(Fault::TimeRange));
    let time = |value: &str| format!("Parser error: Error parsing timestamp from '{value}': why");
    check(&time("x"), Some(Fault::InvalidTime));
    check(&time("2026-01-01 25:00"), Some(Fault::TimeRange));
    for (text, fault) in [
        (
            "Cast error: Can't cast value 1e10 to type Int32",
            Fault::OutOfRange,
        ),
        (
            "12345.68 is too large to store in a Decimal128 of precision 5. Max is 999.99",
            Fault::OutOfRange,
        ),
        (
            "Arithmetic overflow: Overflow happened on: 300 * 1000",
            Fault::OutOfRange,
        ),
        ("Overflow happened on FACTORIAL(30)", Fault::OutOfRange),
        ("Divide by zero error", Fault::DivisionByZero),
        (
            "Parser error: Invalid input syntax for type interval: \"1 dag\"",
            Fault::InvalidTime,
        ),
        (
            "Unable to represent 99999999999 years as months in a signed 32-bit integer",
            Fault::IntervalRange,
        ),
        (
            "Parser error: Invalid timezone \"Mars\": failed to parse timezone",
            Fault::InvalidArgument,
        ),
        ("Date part 'foo' not supported", Fault::InvalidArgument),
        ("Unable to parse date from 2026, 2, 31", Fault::TimeRange),
        ("negative count not allowed: -1", Fault::NegativeLength),
        (
            "Compute error: Execution error: cannot take square root of a negative number",
            Fault::Power,
        ),
        (
            "`date_trunc`: there is no unit `foo`; it takes microsecond",
            Fault::InvalidArgument,
        ),
        (
            "`width_bucket`: there must be at least one range; it is called as width_bucket(x)",
            Fault::Buckets,
        ),
        ("`f`: it takes 1 arguments, not 2", Fault::Function),
        (
            "`f`: argument 1 must be a number, and is of type Utf8; it is called as f(x)",
            Fault::Function,
        ),
        (
            "Failed to coerce arguments to satisfy a call to 'left' function: coercion from Utf8, Int64, Int64 to the signature x \
             failed. No function matches the given name",
            Fault::Function,
        ),
        (
            "Cannot infer common argument type for comparison operation Int64 = Boolean",
            Fault::Function,
        ),
        (
            "Cannot infer common string type for string concat operation Int64 || Int64",
            Fault::Function,
        ),
        (
            "Cannot infer common argument type for logical boolean operation Boolean AND Int64",
            Fault::TypeMismatch,
        ),
        (
            "Unary operator 'NOT' requires a boolean expression, got Int64",
            Fault::TypeMismatch,
        ),
        (
            "Cannot create filter with non-boolean predicate 't.x' returning Int64",
            Fault::TypeMismatch,
        ),
        (
            "Failed to coerce then (Int64) and else (Date32) to common types in CASE WHEN expression",
            Fault::TypeMismatch,
        ),
        (
            "Failed to coerce types Int64 and Boolean in BETWEEN expression",
            Fault::TypeMismatch,
        ),
        (
            "Incompatible inputs for Union: Previous inputs were of type Int64, but got incompatible type Date32 on column 'x'",
            Fault::TypeMismatch,
        ),
        (
            "UNION queries have different number of columns",
            Fault::Syntax,
        ),
        (
            "Order by column out of bounds, specified: 4, max: 3",
            Fault::Position,
        ),
    ] {
        check(text, Some(fault));
    }
    // What a value says is none.
    check("`x y`: it takes 1 arguments", None);
    check("there is no column `a`", None);
}

#[test]
fn a_time_of_the_right_form_is_out_of_range() {
    for text in [
        "2026-02-31",
        " 2026-13-01 ",
        "20260231",
        "25:00",
        "16:05 PM",
        "240000",
        "2026-01-01T25:00:00Z",
        "2026-02-31 00:00:00.5+01:00",
    ] {
        assert_eq!(
            StatementFault::of_time(text),
            StatementFault::TimeRange,
            "{text}"
        );
    }
    for text in [
        "",
        "x",
        "tomorrowish",
        "01/11/2026",
        "2026",
        "12-34",
        "-5",
        "noon",
    ] {
        assert_eq!(
            StatementFault::of_time(text),
            StatementFault::InvalidTime,
            "{text}"
        );
    }
}

#[test]
fn a_cast_that_nobody_has_built_is_told_by_its_types() {
    let check = |text: &str, fault: StatementFault, message: &str| {
        let said = unsupported_cast(text);
        let message = message.to_owned();
        let fault = Some(fault);
        assert_eq!(said, Some(Said { fault, message }), "{text}");
    };
    check(
        "Unsupported CAST from List(Int64) to Int32",
        StatementFault::NoCast,
        "cannot cast bigint[] to integer",
    );
    check(
        "Unsupported CAST from Interval(MonthDayNano) to Time64(ns)",
        StatementFault::Unsupported,
        "not supported: a cast of interval to time without time zone",
    );
    assert_eq!(
        unsupported_cast("Unsupported CAST from here to there"),
        None
    );
    assert_eq!(
        unsupported("Unsupported SQL type UUID"),
        "not supported: the type UUID; write TEXT, or another type that columns have"
    );
}

use super::{in_words, unsupported};

#[test]
fn what_is_wrong_is_said_with_what_to_write() {
    let check = |text: &str, expect: &str| assert_eq!(in_words(text), expect, "{text}");
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
        "`it's` is used as a whole number, and is none",
    );
    check(
        "Cast error: Cannot cast string '891fa47a103ffff' to value of Int64 type",
        "`891fa47a103ffff` is used as a whole number, and is none; as an H3 cell it is 617549809477484543",
    );
    check(
        "Cast error: Cannot cast string 'x' to value of Interval(MonthDayNano) type",
        "`x` is used as a value of Interval(MonthDayNano), and is none",
    );
    check(
        "Cast error: Cannot cast string 'high' to value of Float64 type",
        "`high` is used as a number, and is none",
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
        "out of range: NaN is no Int64",
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
        "these cannot be compared: Timestamp(µs, \"UTC\") > Int64; write a time as '2026-01-31T12:00:00Z', seconds since 1970 \
         as to_timestamp(…)",
    );
    check(
        "Can not find compatible types to compare Int64 with [Boolean]",
        "these cannot be compared: Int64 with [Boolean]; make one the other's type: CAST(… AS …)",
    );
    check(
        "Cannot coerce arithmetic expression Timestamp(ns, \"UTC\") - Utf8 to valid types",
        "these cannot be computed: Timestamp(ns, \"UTC\") - Utf8; write a span of time as INTERVAL '7 days'",
    );
    check(
        "There isn't a common type to coerce Timestamp(µs, \"UTC\") and Utf8 in LIKE expression",
        "LIKE compares texts, and not Timestamp(µs, \"UTC\"); write time >= '2026-01-01' AND time < '2026-02-01'",
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
    let check = |text: &str, expect: &str| assert_eq!(in_words(text), expect, "{text}");
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
        "`upper` cannot be called so: it requires String, and got Float64",
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
}

use arrow::error::ArrowError;
use datafusion::common::Column;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use parquet::errors::ParquetError;

use super::near_names::edit_distance;
use super::{
    QueryErrorKind, StatementFault, column_message, from_datafusion, suggestion, unreadable,
};

#[test]
fn a_file_that_cannot_be_read_is_not_the_clients_fault() {
    let check = |error: DataFusionError, kind: QueryErrorKind| {
        let text = error.to_string();
        let error = from_datafusion(error, &[]);
        let of_reading = kind == QueryErrorKind::Internal;
        assert_eq!(
            (error.kind, error.is_of_reading()),
            (kind, of_reading),
            "{text}"
        );
    };
    let parquet = || ParquetError::General("not enough bytes".to_owned());
    let disk = || std::io::Error::other("the disk failed");
    check(parquet().into(), QueryErrorKind::Internal);
    check(ArrowError::from(parquet()).into(), QueryErrorKind::Internal);
    check(disk().into(), QueryErrorKind::Internal);
    let wrapped = ArrowError::from_external_error(Box::new(disk()));
    check(wrapped.into(), QueryErrorKind::Internal);
    let wrapped = DataFusionError::External(Box::new(parquet()));
    check(wrapped, QueryErrorKind::Internal);
    check(cast_error().into(), QueryErrorKind::BadRequest);
    check(ArrowError::DivideByZero.into(), QueryErrorKind::BadRequest);
    // A condition that files are read by is the statement's, though it fails while they are read.
    for cause in [ArrowError::DivideByZero, cast_error()] {
        let cause = DataFusionError::from(cause);
        let text = format!("Error evaluating filter predicate: {cause:?}");
        let read = ParquetError::from(ArrowError::ComputeError(text));
        check(read.into(), QueryErrorKind::BadRequest);
    }
}

fn cast_error() -> ArrowError {
    ArrowError::CastError("cannot cast 'x' to Int64".to_owned())
}

#[test]
fn an_error_says_what_in_the_statement_is_wrong() {
    let check = |error: DataFusionError, fault: Option<StatementFault>| {
        let text = error.to_string();
        let error = from_datafusion(error, &[]);
        assert_eq!(error.fault, fault, "{text}");
    };
    let plan = |text: &str| DataFusionError::Plan(text.to_owned());
    let parser = ParserError::ParserError("Expected: an expression".to_owned());
    check(parser.into(), Some(StatementFault::Syntax));
    check(
        unreadable("it ends in a text").into(),
        Some(StatementFault::Syntax),
    );
    let function = Some(StatementFault::Function);
    check(
        plan("Invalid function 'flor'.\nDid you mean 'floor'?"),
        function,
    );
    check(plan("table function 'flor' not found"), function);
    check(plan("table 'meetnet.public.flor' not found"), None);
    check(
        plan("LIMIT must be >= 0, '-1' was provided"),
        Some(StatementFault::NegativeLimit),
    );
    check(
        plan("OFFSET must be >=0, '-1' was provided"),
        Some(StatementFault::NegativeOffset),
    );
    let unsupported = DataFusionError::NotImplemented("it".to_owned());
    check(unsupported, Some(StatementFault::Unsupported));
    let zero = ArrowError::DivideByZero;
    check(zero.into(), Some(StatementFault::DivisionByZero));
    let over = ArrowError::ArithmeticOverflow("Overflow happened on: 1 + 2".to_owned());
    check(over.into(), Some(StatementFault::OutOfRange));
    let cast = DataFusionError::NotImplemented("Unsupported CAST from Int64 to Date32".to_owned());
    check(cast, Some(StatementFault::NoCast));
    let between = "Failed to coerce types Int64 and Boolean in BETWEEN expression";
    let between = DataFusionError::Internal(between.to_owned());
    check(between, Some(StatementFault::TypeMismatch));
    let read = |value: &str, to: &str| {
        let text = format!("Cannot cast string '{value}' to value of {to} type");
        DataFusionError::from(ArrowError::CastError(text))
    };
    check(read("abc", "Int32"), Some(StatementFault::InvalidText));
    check(
        read("99999999999", "Int32"),
        Some(StatementFault::OutOfRange),
    );
    check(
        read("2026-02-31", "Date32"),
        Some(StatementFault::TimeRange),
    );
    let pattern = |what: &str| {
        format!(
            "Regular expression did not compile: Syntax(\n~~\nregex parse error:\n    a\n    ^\nerror: {what}\n~~\n)"
        )
    };
    let execution = DataFusionError::Execution(pattern("unclosed group"));
    check(execution, Some(StatementFault::Pattern));
    let flag = ArrowError::ComputeError(pattern("unrecognized flag"));
    check(flag.into(), Some(StatementFault::InvalidArgument));
    // As it comes of a file that is read by a condition.
    let cause = DataFusionError::from(ArrowError::CastError(
        "Can't cast value 1e10 to type Int32".to_owned(),
    ));
    let text = format!("Error evaluating filter predicate: {cause:?}");
    let of_condition = ParquetError::from(ArrowError::ComputeError(text));
    check(of_condition.into(), Some(StatementFault::OutOfRange));
    // What a value says is no fault of that kind.
    let value = "there is no column `a`";
    check(DataFusionError::Execution(value.to_owned()), None);
    check(ArrowError::CastError(value.to_owned()).into(), None);
}

#[test]
fn names_that_nobody_has_written_are_not_listed() {
    let known = ["air", "row of a"].map(|name| Column::new(Some("a"), name));
    let check = |field: &Column, expect: &str| {
        assert_eq!(column_message(field, &known), expect);
    };
    check(
        &Column::new(Some("a"), "zzz"),
        "there is no column `zzz` in `a`; there are air",
    );
    check(
        &Column::from_name("zzz"),
        "there is no column `zzz`; there are air",
    );
}

#[test]
fn near_names_are_suggested() {
    let check = |name: &str, known: &[&str], expect: &str| {
        assert_eq!(suggestion(name, known.iter().copied()), expect, "{name}");
    };
    check("trafic", &["air", "traffic"], "; did you mean `traffic`?");
    check("Traffic", &["air", "traffic"], "; did you mean `traffic`?");
    check("zzz", &["air", "traffic"], "; there are air, traffic");
    check("zzz", &[], "");
    // As long as a statement: no row of distances is made of it.
    check(&"traffic".repeat(9_000), &["air"], "; there are air");
}

#[test]
fn a_plan_is_no_message() {
    let text = "Plan: [\"BoundedWindowAggExec: wdw=[…]\", \"  SortExec: expr=[…]\"] does not satisfy order requirements: \
                [abs(x@2 % 3) NA]. Child-0 order: [[abs(x@2 % 3) ASC NULLS LAST]]";
    let error = from_datafusion(DataFusionError::Plan(text.to_owned()), &[]);
    assert_eq!(error.kind, QueryErrorKind::BadRequest);
    let begin = "not supported: what this orders or parts rows by; compute it in a subquery first";
    assert!(error.message.starts_with(begin), "{}", error.message);
}

#[test]
fn a_query_without_memory_is_not_told_of_others() {
    let text = "Additional allocation failed for ExternalSorterMerge[1] with top memory consumers (across reservations) \
                as:\n  other#1(can spill: false) consumed 9.0 MB.";
    let error = from_datafusion(DataFusionError::ResourcesExhausted(text.into()), &[]);
    assert_eq!(error.kind, QueryErrorKind::TooLarge);
    assert!(error.message.ends_with("(a sort)"), "{}", error.message);
}

#[test]
fn a_query_without_memory_is_told_how_much_there_is_and_what_wanted_it() {
    let check = |text: &str, expect: &str| {
        let error = DataFusionError::ResourcesExhausted(text.to_owned());
        let error = from_datafusion(error, &[]);
        assert_eq!(error.kind, QueryErrorKind::TooLarge);
        assert_eq!(error.message, expect);
    };
    let most =
        "Error: one query may have 24 MiB, of which 9 bytes are taken, and 7 more are too many";
    check(
        &format!(
            "Additional allocation failed for FinalHashAggregateStream[0] with top memory consumers (across reservations) \
             as:\n  other#1(can spill: false) consumed 9.0 MB.\n{most}"
        ),
        "the query needs more than 24 MiB of memory, which is the most; narrow it by time, or group or sort fewer rows (a grouping)",
    );
    check(
        &format!("what is read at once of files has 9 MiB; ask for fewer columns\n{most}"),
        "the query needs more than 24 MiB of memory, which is the most; narrow it by time, or group or sort fewer rows (what is read \
         at once of files has 9 MiB; ask for fewer columns)",
    );
    check(
        "`repeat` would make more than 64 MiB at once",
        "the query needs more memory than one query may use; narrow it by time or group by fewer keys (`repeat` would make more \
         than 64 MiB at once)",
    );
}

#[test]
fn a_function_that_is_not_there_leads_to_one_that_is() {
    let check = |text: &str, expect: &str| {
        let error = DataFusionError::Plan(text.to_owned());
        let error = from_datafusion(error, &[]);
        assert_eq!(error.kind, QueryErrorKind::BadRequest);
        assert_eq!(error.message, expect);
    };
    check(
        "Invalid function 'flor'.\nDid you mean 'floor'?",
        "there is no function `flor`; did you mean `floor`?",
    );
    check(
        "Invalid function 'time_buket'.\nDid you mean 'date_bin'?",
        "there is no function `time_buket`; did you mean `time_bucket`?",
    );
    check(
        "Invalid function 'st_intersects'.\nDid you mean 'arrays_overlap'?",
        "there is no function `st_intersects`; SELECT name, description FROM functions lists those for sensor data",
    );
    // What other databases call what is here by another name.
    check(
        "Invalid function 'dateDiff'.\nDid you mean 'date_bin'?",
        "there is no function `dateDiff`; write date_part('epoch', b - a), the seconds from a to b",
    );
    check(
        "Invalid function 'percentile_disc'.\nDid you mean 'percentile_cont'?",
        "there is no function `percentile_disc`; write percentile_disc(0.95) WITHIN GROUP (ORDER BY value), of one \
         number from 0 to 1 that is written there, without OVER: of several, one call for each",
    );
    check(
        "Invalid function 'locf'.\nDid you mean 'log'?",
        "there is no function `locf` for a call like this one; it is called as locf(value) OVER ([PARTITION BY series] \
         ORDER BY time) → type of value",
    );
}

#[test]
fn distance_counts_edits() {
    for (a, b, expect) in [
        ("", "abc", 3),
        ("abc", "abc", 0),
        ("kitten", "sitting", 3),
        ("é", "e", 1),
    ] {
        assert_eq!(edit_distance(a, b), expect, "{a} {b}");
    }
}

#[test]
fn what_a_function_says_of_its_arguments_is_all_that_is_said() {
    let own = "`f`: it takes 1 arguments, not 2; it is called as f(a) → text";
    let text = format!(
        "Execution error: Function 'f' user-defined coercion failed with: Error during planning: {own}. No function \
         matches the given name and argument types 'f(Utf8, Utf8)'. You might need to add explicit type casts.\n\tf(…)"
    );
    for error in [
        DataFusionError::Plan(text.clone()),
        DataFusionError::Execution(text),
    ] {
        let found = from_datafusion(error, &[]);
        assert_eq!(
            (found.kind, found.message.as_str()),
            (QueryErrorKind::BadRequest, own)
        );
    }
}

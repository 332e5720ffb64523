use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::restrict;
use crate::error::QueryErrorKind;
use crate::fixture::Database;
use crate::options::QueryRequest;
use crate::stop::StopFlag;

fn state() -> SessionState {
    let mut state = SessionStateBuilder::new().with_default_features().build();
    restrict(&mut state).expect("functions");
    state
}

/// Calls `levenshtein` with so many pairs of long texts; the work of one pair takes milliseconds, of all of them hours.
fn distance(rows: usize, flag: &StopFlag) -> datafusion::error::Result<ColumnarValue> {
    let state = state();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(3_000); rows]));
    let field = |data_type: DataType| Arc::new(Field::new("text", data_type, true));
    let mut options = ConfigOptions::new();
    options.extensions.insert(flag.clone());
    state.scalar_functions()["levenshtein"].invoke_with_args(ScalarFunctionArgs {
        args: vec![
            ColumnarValue::Array(Arc::clone(&texts)),
            ColumnarValue::Array(texts),
        ],
        arg_fields: vec![field(DataType::Utf8), field(DataType::Utf8)],
        number_rows: rows,
        return_field: field(DataType::Int32),
        config_options: Arc::new(options),
    })
}

#[test]
fn a_function_ends_in_the_middle_of_a_batch_where_nobody_waits() {
    let flag = StopFlag::default();
    let few = distance(5, &flag).expect("an answer");
    assert_eq!(
        few.into_array(5).expect("an array").len(),
        5,
        "all slices together"
    );
    let stopped = std::thread::scope(|scope| {
        let work = scope.spawn(|| distance(8192, &flag));
        std::thread::sleep(Duration::from_millis(100));
        flag.raise();
        let raised = Instant::now();
        let ended = work.join().expect("no panic");
        assert!(
            raised.elapsed() < Duration::from_secs(1),
            "{:?}",
            raised.elapsed()
        );
        ended
    });
    assert!(stopped.is_err(), "eight thousand of them take longer");
}

/// Each step of planning writes constants out, and nothing can stop it: what is too much of them must not get there.
#[tokio::test]
async fn what_is_too_much_of_constants_is_refused_while_it_is_planned() {
    let state = state();
    for (sql, is_refused) in [
        ("SELECT length(encode(repeat('x', 1000), 'hex'))", false),
        ("SELECT length(encode(repeat('x', 1000000), 'hex'))", true),
        ("SELECT repeat('x', 2000000)", true),
    ] {
        let plan = state.create_logical_plan(sql).await.expect("a statement");
        let optimized = state.optimize(&plan);
        assert_eq!(optimized.is_err(), is_refused, "{sql}: {optimized:?}");
    }
}

/// What bounds a function must not change what it answers.
#[tokio::test]
async fn bounded_functions_answer_as_before() {
    let database = Database::new();
    for (sql, row) in [
        (
            "SELECT [1, 2] || [3], make_array(1, NULL)[1]",
            "[1, 2, 3]|1",
        ),
        ("SELECT array_to_string([1, 2, 3], ', ')", "1, 2, 3"),
        ("SELECT string_to_array('a b', ' ')", "[a, b]"),
        ("SELECT levenshtein('kitten', 'sitting')", "3"),
        (
            "SELECT [1, 2, 3] @> [2, 3], array_has_any([1], [2])",
            "true|false",
        ),
        (
            "SELECT 'abc' ~ 'b.', 'ABC' ~* '^a.c$', 'abc' !~ '[bc]', 'abc' !~* 'X|Y'",
            "true|true|false|true",
        ),
        (
            "SELECT 'abc' SIMILAR TO '%(b|d)%', 'abc' NOT SIMILAR TO 'b', 'a%c' SIMILAR TO 'a#%c' ESCAPE '#', 'abc' SIMILAR TO NULL IS NULL",
            "true|true|true|true",
        ),
        ("SELECT NULL ~ 'b.' IS NULL", "true"),
        (
            "SELECT regexp_count('banana', 'an'), regexp_replace('banana', '(an)+', 'x')",
            "2|bxa",
        ),
        (
            "SELECT count(*) FROM counts WHERE place ~ '-(9|8)$' AND place !~ '[0-9]{9}'",
            "10",
        ),
        ("SELECT overlay('abcd' PLACING 'xx' FROM 2 FOR 2)", "axxd"),
        (
            "SELECT 'abc' LIKE 'a%c', 'abc' LIKE 'a_d', 'ABC' ILIKE 'a%C', 'abc' NOT LIKE 'a%c', 'a%c' LIKE 'a\\%c', \
             'abc' NOT ILIKE 'A_c', 'abc' ~~ 'a_c', 'abc' !~~* 'A_C'",
            "true|false|true|false|true|false|true|false",
        ),
        (
            "SELECT NULL LIKE 'a_c' IS NULL, 'abc' LIKE NULL IS NULL",
            "true|true",
        ),
        (
            "SELECT count(*) = count(*) FILTER (WHERE place LIKE 's%-' || segment_id) FROM counts",
            "true",
        ),
        (
            "SELECT count(*) FILTER (WHERE place LIKE 's%-_') = count(*) FILTER (WHERE place ~ '^s.*-.$') FROM counts",
            "true",
        ),
        (
            "SELECT encode('ab', 'hex'), translate('abc', 'ab', 'x'), find_in_set('b', 'a,b')",
            "6162|xc|2",
        ),
        (
            "SELECT array_replace_all([1, 2, 1], 1, 3), array_to_string([1, NULL], ',', 'x')",
            "[3, 2, 3]|1,x",
        ),
        ("SELECT regexp_match('ab', '(a)(b)')", "[a, b]"),
    ] {
        assert_eq!(database.row(sql).await, row, "{sql}");
    }
}

#[tokio::test]
async fn patterns_are_one_and_of_bounded_size() {
    let database = Database::new();
    let long = format!("SELECT place ~ '{}.' FROM counts", "a".repeat(1_001));
    for (sql, kind, message) in [
        (
            "SELECT 'a' ~ '(((a{90}){90}){90})'",
            QueryErrorKind::TooLarge,
            "too large",
        ),
        (
            "SELECT regexp_like(place, '(((\\w{50}){50}){50})') FROM counts",
            QueryErrorKind::TooLarge,
            "too large",
        ),
        (&long, QueryErrorKind::TooLarge, "1002 bytes"),
        (
            "SELECT place ~ concat('(a{', segment_id, '}){100}') FROM counts",
            QueryErrorKind::BadRequest,
            "one pattern",
        ),
        (
            "SELECT regexp_replace(place, concat('.', car), 'x') FROM counts",
            QueryErrorKind::BadRequest,
            "one pattern",
        ),
    ] {
        let refused = database.answer(QueryRequest::public(sql)).await;
        let refused = refused.expect_err(sql);
        assert_eq!(refused.kind, kind, "{sql}: {refused}");
        assert!(refused.message.contains(message), "{sql}: {refused}");
    }
}

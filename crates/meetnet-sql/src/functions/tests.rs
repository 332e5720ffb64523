use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::restrict;
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

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use super::{FUNCTIONS, register};

fn session() -> SessionState {
    let mut state = SessionStateBuilder::new().with_default_features().build();
    meetnet_functions::register(&mut state).expect("functions");
    register(&mut state).expect("functions");
    state
}

/// Returns how many columns a function takes.
fn columns_of(name: &str) -> usize {
    match ["covar", "corr", "regr"].map(|pairs| name.starts_with(pairs)) {
        [false, false, false] => 1,
        _ => 2,
    }
}

/// Makes what computes a function: over a frame that moves, or of all that it is given.
fn accumulator(state: &SessionState, name: &str, is_sliding: bool) -> Box<dyn Accumulator> {
    let function = state.udaf(name).expect(name);
    let fields: Vec<FieldRef> = ["y", "x"][..columns_of(name)]
        .iter()
        .map(|column| Arc::new(Field::new(*column, DataType::Float64, true)))
        .collect();
    let schema = Schema::new(fields.clone());
    let exprs: Vec<Arc<dyn PhysicalExpr>> = fields
        .iter()
        .enumerate()
        .map(|(at, field)| Arc::new(Column::new(field.name(), at)) as Arc<dyn PhysicalExpr>)
        .collect();
    let args = AccumulatorArgs {
        return_field: Arc::clone(&fields[0]),
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name,
        is_distinct: false,
        exprs: &exprs,
        expr_fields: &fields,
    };
    let accumulator = match is_sliding {
        true => function.create_sliding_accumulator(args),
        false => function.accumulator(args),
    };
    accumulator.expect(name)
}

fn evaluated(accumulator: &mut dyn Accumulator) -> Option<f64> {
    match accumulator.evaluate().expect("an answer") {
        ScalarValue::Float64(answer) => answer,
        other => panic!("{other}"),
    }
}

fn part(columns: &[ArrayRef], rows: Range<usize>) -> Vec<ArrayRef> {
    let columns = columns.iter();
    columns
        .map(|column| column.slice(rows.start, rows.len()))
        .collect()
}

/// Returns the answers of a function over frames, each of which begins and ends no earlier than the one before.
fn over_frames(
    state: &SessionState,
    name: &str,
    columns: &[ArrayRef],
    frames: &[Range<usize>],
) -> Vec<Option<f64>> {
    let mut sliding = accumulator(state, name, true);
    assert!(sliding.supports_retract_batch());
    let mut last = 0..0;
    let mut answers = Vec::new();
    for frame in frames {
        let entered = part(columns, last.end..frame.end);
        sliding.update_batch(&entered).expect("values");
        let left = part(columns, last.start..frame.start);
        sliding.retract_batch(&left).expect("values");
        answers.push(evaluated(sliding.as_mut()));
        last = frame.clone();
    }
    answers
}

/// Returns numbers that look random.
fn numbers(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Whole,
    Broken,
    NotFinite,
}

fn value(seed: &mut u64, kind: Kind) -> Option<f64> {
    let whole = (numbers(seed) % 201) as f64 - 100.0;
    let choice = numbers(seed) % 12;
    match (kind, choice) {
        (_, 0) => None,
        (Kind::NotFinite, 1) => Some(f64::NAN),
        (Kind::NotFinite, 2) => Some(f64::INFINITY),
        (Kind::NotFinite, 3) => Some(f64::NEG_INFINITY),
        (Kind::Broken, choice) => Some(whole / 7.0 * 10_f64.powi(choice as i32 - 6)),
        _ => Some(whole),
    }
}

/// Returns how far two answers may be apart that were added up in different orders; None where it depends on more than the size
/// of the values.
fn allowed(name: &str, kind: Kind, pairs: &[[f64; 2]]) -> Option<f64> {
    let of = |size: fn(&[f64; 2]) -> f64| pairs.iter().map(size).sum::<f64>();
    Some(match name {
        "sum" | "avg" if kind == Kind::Whole => 0.0,
        "sum" | "avg" | "regr_avgy" => of(|[y, _]| y.abs()) * 1e-12,
        "regr_avgx" => of(|[_, x]| x.abs()) * 1e-12,
        // Compared as squares.
        "var" | "var_pop" | "stddev" | "stddev_pop" | "regr_syy" => of(|[y, _]| y * y) * 1e-12,
        "regr_sxx" => of(|[_, x]| x * x) * 1e-12,
        "covar_samp" | "covar_pop" | "regr_sxy" => of(|[y, x]| y * y + x * x) * 1e-12,
        _ if kind == Kind::Broken => return None,
        _ => 1e-7,
    })
}

/// Every frame has the answer that it has when it is computed anew.
#[test]
fn frames_that_move_equal_frames_computed_anew() {
    let state = session();
    let mut seed = 11;
    for round in 0..120 {
        let kind = [Kind::Whole, Kind::Broken, Kind::NotFinite][round % 3];
        let rows = numbers(&mut seed) as usize % 60 + 1;
        let columns: Vec<Vec<Option<f64>>> = (0..2)
            .map(|_| (0..rows).map(|_| value(&mut seed, kind)).collect())
            .collect();
        let longest = numbers(&mut seed) as usize % 20 + 1;
        let mut frames = Vec::new();
        let mut frame = 0..0;
        while frame.end < rows {
            frame.end = (frame.end + numbers(&mut seed) as usize % 4).min(rows);
            let first = frame.end.saturating_sub(longest);
            let start = frame.start + numbers(&mut seed) as usize % 5;
            frame.start = start.min(frame.end).max(first).max(frame.start);
            frames.push(frame.clone());
        }
        for name in FUNCTIONS {
            let arrays: Vec<ArrayRef> = columns[..columns_of(name)]
                .iter()
                .map(|column| Arc::new(Float64Array::from(column.clone())) as ArrayRef)
                .collect();
            let found = over_frames(&state, name, &arrays, &frames);
            for (frame, found) in frames.iter().zip(found) {
                let pairs: Vec<[f64; 2]> = frame
                    .clone()
                    .filter_map(|row| match columns_of(name) {
                        1 => Some([columns[0][row]?, 0.0]),
                        _ => Some([columns[0][row]?, columns[1][row]?]),
                    })
                    .collect();
                let is_finite = pairs.as_flattened().iter().all(|value| value.is_finite());
                let mut anew = accumulator(&state, name, false);
                let values = part(&arrays, frame.clone());
                anew.update_batch(&values).expect("values");
                let expected = evaluated(anew.as_mut());
                let what = format!("{name} of {pairs:?}: {found:?}, and anew {expected:?}");
                if !is_finite {
                    // Products of infinities depend on the order in which they come.
                    let is_same = match (found, expected) {
                        (Some(found), Some(expected)) => {
                            found == expected || found.is_nan() && expected.is_nan()
                        }
                        (found, expected) => found == expected,
                    };
                    assert!(is_same || columns_of(name) == 2, "{what}");
                    continue;
                }
                let Some(allowed) = allowed(name, kind, &pairs) else {
                    continue;
                };
                assert_eq!(found.is_some(), expected.is_some(), "{what}");
                let (Some(mut found), Some(mut expected)) = (found, expected) else {
                    continue;
                };
                if name.starts_with("stddev") {
                    assert!(found >= 0.0, "{what}");
                    (found, expected) = (found * found, expected * expected);
                }
                let apart = (found - expected).abs();
                assert!(apart <= allowed, "{what}");
            }
        }
    }
}

#[test]
fn what_has_left_a_frame_leaves_nothing_behind() {
    let state = session();
    let answers = |name: &str, values: &[f64], rows: usize| {
        let frames: Vec<Range<usize>> = (1..=values.len())
            .map(|end| end.saturating_sub(rows)..end)
            .collect();
        let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        over_frames(&state, name, &[column], &frames)
    };
    let check = |name: &str, values: &[f64], rows: usize, expected: &[Option<f64>]| {
        assert_eq!(answers(name, values, rows), expected, "{name}");
    };
    let zeros = [0.1, 0.2, 0.3, 0.0, 0.0, 0.0];
    for name in ["sum", "avg", "var", "var_pop", "stddev", "stddev_pop"] {
        let found = answers(name, &zeros, 3);
        assert_eq!(found.last(), Some(&Some(0.0)), "{name}");
    }
    let large = [1e17, 1.0, 1.0];
    check("sum", &large, 2, &[Some(1e17), Some(1e17), Some(2.0)]);
    check("avg", &large, 2, &[Some(1e17), Some(5e16), Some(1.0)]);
    let infinite = [f64::INFINITY, 1.0, 2.0];
    let mean = [Some(f64::INFINITY), Some(f64::INFINITY), Some(1.5)];
    check("avg", &infinite, 2, &mean);
    let most = [f64::MAX, f64::MAX, 1.0, 2.0];
    let sums = [
        Some(f64::MAX),
        Some(f64::INFINITY),
        Some(f64::MAX),
        Some(3.0),
    ];
    check("sum", &most, 2, &sums);
}

/// What a frame takes is what the rows that it holds are charged with (`held_rows`), however far it has moved.
#[test]
fn a_frame_takes_memory_for_its_rows_alone() {
    let state = session();
    for name in FUNCTIONS {
        let mut sliding = accumulator(&state, name, true);
        let column: ArrayRef = Arc::new(Float64Array::from_iter_values((0..5_000).map(f64::from)));
        let columns = vec![column; columns_of(name)];
        for row in 0..5_000_usize {
            let entered = part(&columns, row..row + 1);
            sliding.update_batch(&entered).expect("a value");
            if let Some(first) = row.checked_sub(100) {
                let left = part(&columns, first..first + 1);
                sliding.retract_batch(&left).expect("a value");
            }
            let most = 256 + 64 * 101 * columns_of(name);
            assert!(sliding.size() <= most, "{name}: {}", sliding.size());
        }
    }
}

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, EmitTo};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use super::{FUNCTIONS, register, whole};

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
    made(state, name, |function, args| match is_sliding {
        true => function.create_sliding_accumulator(args),
        false => function.accumulator(args),
    })
}

/// Returns what is made of a function for columns of floats.
fn made<T>(
    state: &SessionState,
    name: &str,
    make: impl FnOnce(&AggregateUDF, AccumulatorArgs) -> Result<T>,
) -> T {
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
    make(&function, args).expect(name)
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

/// Returns the answer of a function of pairs in every way that it is computed: at once, of partial summaries, of groups, of
/// partial summaries of groups, and over a frame that has moved.
fn in_every_way(state: &SessionState, name: &str, pairs: &[[f64; 2]]) -> Vec<Option<f64>> {
    let columns: Vec<ArrayRef> = (0..columns_of(name))
        .map(|at| {
            let values = pairs.iter().map(|pair| pair[at]);
            Arc::new(Float64Array::from_iter_values(values)) as ArrayRef
        })
        .collect();
    let rows = pairs.len();
    let mut at_once = accumulator(state, name, false);
    at_once.update_batch(&columns).expect("values");

    let mut merged = accumulator(state, name, false);
    for row in 0..rows {
        let mut partial = accumulator(state, name, false);
        let values = part(&columns, row..row + 1);
        partial.update_batch(&values).expect("values");
        let states = partial.state().expect("a state");
        let states = states
            .iter()
            .map(|state| state.to_array().expect("an array"));
        merged
            .merge_batch(&states.collect::<Vec<_>>())
            .expect("a state");
    }

    // The other group is given what a FILTER leaves out.
    let groups = || {
        made(state, name, |function, args| {
            function.create_groups_accumulator(args)
        })
    };
    let (all, none): (Vec<usize>, Vec<usize>) = (vec![1; rows], vec![0; rows]);
    let nothing = BooleanArray::from(vec![false; rows]);
    let mut of_groups = groups();
    of_groups
        .update_batch(&columns, &all, None, 2)
        .expect("values");
    of_groups
        .update_batch(&columns, &none, Some(&nothing), 2)
        .expect("values");
    let states = groups().convert_to_state(&columns, None).expect("states");
    let mut of_states = groups();
    of_states.merge_batch(&states, &all, 2).expect("states");
    let states = of_states.state(EmitTo::All).expect("states");
    let mut again = groups();
    again.merge_batch(&states, &[0, 1], 2).expect("states");

    let before: Vec<ArrayRef> = columns
        .iter()
        .map(|column| {
            let column = column.as_primitive::<Float64Type>();
            let values = [f64::INFINITY, 7.5]
                .into_iter()
                .chain(column.values().iter().copied());
            Arc::new(Float64Array::from_iter_values(values)) as ArrayRef
        })
        .collect();
    let moved = over_frames(state, name, &before, &[0..2, 2..rows + 2]);

    let mut answers = vec![evaluated(at_once.as_mut()), evaluated(merged.as_mut())];
    for mut groups in [of_groups, again] {
        let found = groups.evaluate(EmitTo::All).expect("answers");
        let found = found.as_primitive::<Float64Type>();
        assert!(found.is_null(0), "{name}: the group without a value");
        answers.push(found.is_valid(1).then(|| found.value(1)));
    }
    answers.extend(moved.last().copied());
    answers
}

/// The answers are those of PostgreSQL 15.
#[test]
fn what_does_not_vary_or_is_not_finite() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    let state = session();
    // Of each: corr, covar_pop, covar_samp, regr_r2, regr_slope, regr_intercept, regr_sxx, regr_syy, regr_sxy, regr_avgx and
    // regr_avgy.
    let check = |pairs: &[[f64; 2]], expect: [Option<f64>; 11]| {
        let names = [
            "corr",
            "covar_pop",
            "covar_samp",
            "regr_r2",
            "regr_slope",
            "regr_intercept",
            "regr_sxx",
            "regr_syy",
            "regr_sxy",
            "regr_avgx",
            "regr_avgy",
        ];
        for (name, expect) in names.into_iter().zip(expect) {
            for found in in_every_way(&state, name, pairs) {
                check_one(name, pairs, found, expect);
            }
        }
    };
    let some = |answers: [f64; 11]| answers.map(Some);
    let zero = Some(0.0);
    let nan = Some(NAN);
    // `x` does not vary, then `y`, then neither.
    check(
        &[[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]],
        [
            None,
            zero,
            zero,
            None,
            None,
            None,
            zero,
            Some(2.0),
            zero,
            Some(5.0),
            Some(2.0),
        ],
    );
    check(
        &[[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]],
        [
            None,
            zero,
            zero,
            Some(1.0),
            zero,
            Some(0.1),
            Some(2.0),
            zero,
            zero,
            Some(2.0),
            Some(0.1),
        ],
    );
    check(
        &[[5.0, 5.0], [5.0, 5.0]],
        [
            None,
            zero,
            zero,
            None,
            None,
            None,
            zero,
            zero,
            zero,
            Some(5.0),
            Some(5.0),
        ],
    );
    // One pair.
    check(
        &[[1.0, 2.0]],
        [
            None,
            zero,
            None,
            None,
            None,
            None,
            zero,
            zero,
            zero,
            Some(2.0),
            Some(1.0),
        ],
    );
    check(
        &[[INF, 2.0]],
        [
            None,
            nan,
            None,
            None,
            None,
            None,
            zero,
            nan,
            nan,
            Some(2.0),
            Some(INF),
        ],
    );
    check(
        &[[1.0, INF]],
        [
            None,
            nan,
            None,
            Some(1.0),
            nan,
            nan,
            nan,
            zero,
            nan,
            Some(INF),
            Some(1.0),
        ],
    );
    // A line.
    check(
        &[[1.0, 1.0], [3.0, 2.0], [5.0, 3.0]],
        some([1.0, 4.0 / 3.0, 2.0, 1.0, 2.0, -1.0, 2.0, 8.0, 4.0, 2.0, 3.0]),
    );
    // Not finite.
    check(
        &[[NAN, 1.0], [1.0, 2.0], [2.0, 3.0]],
        some([NAN, NAN, NAN, NAN, NAN, NAN, 2.0, NAN, NAN, 2.0, NAN]),
    );
    check(
        &[[INF, 1.0], [1.0, 2.0]],
        some([NAN, NAN, NAN, NAN, NAN, NAN, 0.5, NAN, NAN, 1.5, INF]),
    );
    check(
        &[[1.0, INF], [2.0, 2.0]],
        some([NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0.5, NAN, INF, 1.5]),
    );
    check(&[[NAN, NAN], [NAN, NAN]], [nan; 11]);
}

#[test]
fn variances_of_what_is_not_finite() {
    const INF: f64 = f64::INFINITY;
    let state = session();
    // Of each: var, var_pop, stddev and stddev_pop.
    let check = |values: &[f64], expect: [Option<f64>; 4]| {
        let pairs: Vec<[f64; 2]> = values.iter().map(|value| [*value, 0.0]).collect();
        let names = ["var", "var_pop", "stddev", "stddev_pop"];
        for (name, expect) in names.into_iter().zip(expect) {
            for found in in_every_way(&state, name, &pairs) {
                check_one(name, &pairs, found, expect);
            }
        }
    };
    let (zero, nan) = (Some(0.0), Some(f64::NAN));
    check(&[7.25], [None, zero, None, zero]);
    check(&[0.1; 7], [zero; 4]);
    check(&[1e300; 3], [zero; 4]);
    check(&[INF], [None, nan, None, nan]);
    check(&[f64::NAN], [None, nan, None, nan]);
    check(&[INF, INF], [nan; 4]);
    check(&[3.0, f64::NEG_INFINITY], [nan; 4]);
    check(
        &[1.0, 3.0, 5.0, 7.0],
        [
            Some(20.0 / 3.0),
            Some(5.0),
            Some((20.0_f64 / 3.0).sqrt()),
            Some(5.0_f64.sqrt()),
        ],
    );
}

/// The same number, but for its last digits.
fn check_one(name: &str, pairs: &[[f64; 2]], found: Option<f64>, expect: Option<f64>) {
    let is_same = match (found, expect) {
        (Some(found), Some(expect)) => {
            found == expect
                || found.is_nan() && expect.is_nan()
                || (found - expect).abs() <= expect.abs() * 1e-15
        }
        (found, expect) => found.is_none() && expect.is_none(),
    };
    assert!(is_same, "{name} of {pairs:?}: {found:?}, not {expect:?}");
}

/// Of numbers that hardly vary their squares say nothing.
#[test]
fn a_correlation_of_large_numbers() {
    let state = session();
    let pairs: Vec<[f64; 2]> = (0..50)
        .map(|row| [1e9 + f64::from(row), 2e9 - 2.0 * f64::from(row)])
        .collect();
    for found in in_every_way(&state, "corr", &pairs) {
        let found = found.expect("a correlation");
        assert!((found + 1.0).abs() < 1e-12, "{found}");
    }
    let far: Vec<[f64; 2]> = pairs.iter().map(|[y, x]| [y * 1e140, x * 1e100]).collect();
    for found in in_every_way(&state, "corr", &far) {
        let found = found.expect("a correlation");
        assert!((found + 1.0).abs() < 1e-6, "{found}");
    }
}

#[test]
fn whole_groups_are_computed_as_frames_are() {
    let state = session();
    for name in whole::FUNCTIONS {
        assert!(FUNCTIONS.contains(&name), "{name}");
        // Many groups at once, and not with an accumulator for each.
        let is_of_many = made(&state, name, |function, args| {
            Ok(function.groups_accumulator_supported(args))
        });
        assert!(is_of_many, "{name}");
    }
    let others: Vec<&str> = FUNCTIONS
        .into_iter()
        .filter(|name| !whole::FUNCTIONS.contains(name))
        .collect();
    assert_eq!(others, ["sum", "avg"]);
}

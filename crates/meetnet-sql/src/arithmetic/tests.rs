use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::functions_aggregate::sum::{Sum, sum_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{AggregateUDFImpl, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::expressions::Column;

use super::sum::WholeSum;
use crate::aggregates::Overridden;

fn whole_sum() -> Overridden<WholeSum> {
    Overridden::new(sum_udaf(), WholeSum)
}

/// Makes what adds up whole numbers per group.
fn totals(of: &dyn AggregateUDFImpl) -> Box<dyn GroupsAccumulator> {
    let field = Arc::new(Field::new("n", DataType::Int64, true));
    let schema = Schema::new(vec![Arc::clone(&field)]);
    let column = Column::new("n", 0);
    let args = AccumulatorArgs {
        return_field: Arc::clone(&field),
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: "sum(n)",
        is_distinct: false,
        exprs: &[Arc::new(column)],
        expr_fields: &[field],
    };
    of.create_groups_accumulator(args).expect("an accumulator")
}

/// Returns numbers that look random.
fn numbers(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Rows in batches, groups, nulls and filters, half of them by way of partial sums: the sums are those of DataFusion, which
/// wrap nowhere as long as nothing is large.
#[test]
fn sums_of_groups_equal_those_that_do_not_look() {
    let mut seed = 7;
    for _ in 0..200 {
        let (mut checked, mut plain) = (totals(&whole_sum()), totals(&Sum::default()));
        let mut groups = 0;
        for _ in 0..numbers(&mut seed) % 4 + 1 {
            let rows = numbers(&mut seed) % 20;
            groups += numbers(&mut seed) as usize % 3 + 1;
            let of: Vec<usize> = (0..rows)
                .map(|_| numbers(&mut seed) as usize % groups)
                .collect();
            let values = (0..rows).map(|_| {
                let value = numbers(&mut seed);
                (!value.is_multiple_of(5)).then_some(value as i64 - (1 << 30))
            });
            let values: [ArrayRef; 1] = [Arc::new(Int64Array::from_iter(values))];
            let filter = (0..rows).map(|_| match numbers(&mut seed) % 4 {
                0 => None,
                1 => Some(false),
                _ => Some(true),
            });
            let filter = BooleanArray::from_iter(filter);
            let filter = (numbers(&mut seed) & 1 == 0).then_some(&filter);
            let is_partial = numbers(&mut seed) & 1 == 0;
            for sums in [&mut checked, &mut plain] {
                let added = if is_partial {
                    let state = sums.convert_to_state(&values, filter).expect("a state");
                    sums.merge_batch(&state, &of, groups)
                } else {
                    sums.update_batch(&values, &of, filter, groups)
                };
                added.expect("sums");
            }
        }
        let first = EmitTo::First(numbers(&mut seed) as usize % groups + 1);
        for emit_to in [first, EmitTo::All] {
            let found = [&mut checked, &mut plain].map(|sums| sums.evaluate(emit_to));
            let [found, expected] = found.map(|sums| sums.expect("sums"));
            assert_eq!(&found, &expected);
        }
    }
}

#[test]
fn a_partial_sum_may_be_larger_than_an_answer() {
    let most: [ArrayRef; 1] = [Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX]))];
    let mut part = totals(&whole_sum());
    part.update_batch(&most, &[0, 0], None, 1).expect("a sum");
    let state = part.state(EmitTo::All).expect("a state");
    let field = Arc::new(Field::new("n", DataType::Int64, true));
    let declared = whole_sum().state_fields(StateFieldsArgs {
        name: "sum(n)",
        input_fields: &[Arc::clone(&field)],
        return_field: field,
        ordering_fields: &[],
        is_distinct: false,
    });
    let declared = declared.expect("fields");
    assert_eq!(state[0].data_type(), declared[0].data_type());

    let mut whole = totals(&whole_sum());
    let least: [ArrayRef; 1] = [Arc::new(Int64Array::from(vec![-i64::MAX]))];
    whole.update_batch(&least, &[0], None, 1).expect("a sum");
    whole.merge_batch(&state, &[0], 1).expect("a sum");
    let sums = whole.evaluate(EmitTo::All).expect("sums");
    assert_eq!(sums.as_primitive::<Int64Type>().value(0), i64::MAX);
}

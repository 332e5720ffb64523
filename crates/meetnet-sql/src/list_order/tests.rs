use arrow::array::{AsArray, ListArray};
use arrow::datatypes::{Int8Type, Int64Type};

use super::chosen::chosen;
use super::*;

type Values<'a> = Option<&'a [Option<i64>]>;

/// One list of whole numbers for each row.
fn lists(rows: &[Values]) -> ArrayRef {
    let rows = rows.iter().map(|row| row.map(<[Option<i64>]>::to_vec));
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
}

#[test]
fn null_is_greater_than_every_value() {
    let check = |left: Values, right: Values, expect: Option<i8>| {
        for (left, right, expect) in [
            (left, right, expect),
            (right, left, expect.map(|order| -order)),
        ] {
            let found = orders(&lists(&[left]), &lists(&[right])).expect("an order");
            let found = found.as_primitive::<Int8Type>();
            let found = found.is_valid(0).then(|| found.value(0));
            assert_eq!(found, expect, "{left:?} {right:?}");
        }
    };
    check(Some(&[Some(1), None]), Some(&[Some(1), None]), Some(0));
    check(Some(&[Some(1), None]), Some(&[Some(1), Some(2)]), Some(1));
    check(Some(&[None]), Some(&[Some(1), Some(2)]), Some(1));
    check(Some(&[None, Some(1)]), Some(&[None, Some(2)]), Some(-1));
    check(Some(&[Some(1)]), Some(&[Some(1), None]), Some(-1));
    check(Some(&[]), Some(&[None]), Some(-1));
    check(Some(&[Some(2)]), Some(&[Some(1), Some(3)]), Some(1));
    check(None, Some(&[None]), None);
    check(None, None, None);
}

#[test]
fn one_of_several_is_chosen() {
    let check = |is_greatest: bool, among: &[Values], expect: Values| {
        let columns: Vec<ArrayRef> = among.iter().map(|row| lists(&[*row])).collect();
        let found = chosen(is_greatest, &columns).expect("a list");
        let expect = lists(&[expect]);
        assert_eq!(&found, &expect, "{is_greatest} {among:?}");
    };
    let (one, null, two): (Values, Values, Values) = (
        Some(&[Some(1)]),
        Some(&[Some(1), None]),
        Some(&[Some(1), Some(2)]),
    );
    check(true, &[one, null, two], null);
    check(true, &[two, one], two);
    check(false, &[null, two], two);
    check(false, &[null, None, two, one], one);
    check(true, &[None, null], null);
    check(true, &[None, None], None);
}

use datafusion::logical_expr::col;

use super::*;

#[test]
fn null_stands_beside_the_list_that_excludes_it() {
    let list = |members: &[Option<i64>], negated: bool| {
        let members = members
            .iter()
            .map(|member| lit(ScalarValue::Int64(*member)));
        in_list(col("x"), members.collect(), negated)
    };
    let check = |list: Expr, expect: Option<&str>| {
        let beside = beside_null(&list).map(|expr| expr.to_string());
        assert_eq!(beside.as_deref(), expect, "{list}");
    };
    check(
        list(&[Some(1), None, Some(2)], true),
        Some("x NOT IN ([Int64(1), Int64(2)]) AND Boolean(NULL)"),
    );
    check(list(&[Some(1), None], false), None);
    check(list(&[Some(1), Some(2)], true), None);
    check(
        !list(&[Some(1), None], false).or(col("y")),
        Some("NOT x IN ([Int64(1)]) OR Boolean(NULL) OR y"),
    );
    check(!list(&[Some(1), Some(2)], false), None);
    // It is NULL for every row already.
    check(list(&[None], true), None);
}

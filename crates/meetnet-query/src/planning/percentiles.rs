//! `percentile_disc`, which DataFusion 55.2 has not, by what it has: the value at a position among those of a group.
//!
//! `percentile_disc(0.9) WITHIN GROUP (ORDER BY car)`, or DuckDB's `quantile_disc(car, 0.9)` ->
//! `array_element(array_sort(array_agg(car) FILTER (WHERE car IS NOT NULL)), CAST(greatest(ceil(0.9 * count(car)), 1) AS BIGINT))`
//!
//! Values are sorted once they are together: gathered in an order, each takes several times the room.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, Select, SelectItem, Value,
};

use super::call;

/// Names columns of such percentiles as they are written: what they become is long.
pub(super) fn name_percentiles(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Expr::Function(function) = &*expr
            && is_discrete(function)
        {
            *item = SelectItem::ExprWithAlias {
                alias: Ident::with_quote('"', function.to_string()),
                expr: expr.clone(),
            };
        }
    }
}

/// Returns what such a percentile is computed by; None for every other call.
pub(super) fn discrete_percentile(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let is_plain = function.over.is_none()
        && function.null_treatment.is_none()
        && list.duplicate_treatment.is_none()
        && list.clauses.is_empty();
    if !is_plain || !is_discrete(function) {
        return None;
    }
    let (share, value, is_descending) =
        match (list.args.as_slice(), function.within_group.as_slice()) {
            ([share], [order]) => (share, &order.expr, order.options.asc == Some(false)),
            ([value, share], []) => (share, plain(value)?, false),
            _ => return None,
        };
    let share = plain(share).filter(|share| is_share(share))?;
    let value = value.clone();
    let is_value = Expr::IsNotNull(nested(value.clone()));
    let filter = function.filter.as_deref();
    let wanted = match filter {
        Some(filter) => Expr::BinaryOp {
            left: Box::new(is_value),
            op: BinaryOperator::And,
            right: nested(filter.clone()),
        },
        None => is_value,
    };
    let mut values = call("array_agg", vec![value.clone()]);
    values.filter = Some(Box::new(wanted));
    let mut sorted = vec![Expr::Function(values)];
    if is_descending {
        let descending = Value::SingleQuotedString("DESC".to_owned());
        sorted.push(Expr::Value(descending.with_empty_span()));
    }
    let sorted = Expr::Function(call("array_sort", sorted));
    let mut count = call("count", vec![value]);
    count.filter = filter.cloned().map(Box::new);
    let position = Expr::BinaryOp {
        left: Box::new(share.clone()),
        op: BinaryOperator::Multiply,
        right: Box::new(Expr::Function(count)),
    };
    let position = Expr::Function(call("ceil", vec![position]));
    let one = Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
    let position = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Function(call("greatest", vec![position, one]))),
        data_type: DataType::BigInt(None),
        array: false,
        format: None,
    };
    let found = call("array_element", vec![sorted, position]);
    Some(Expr::Function(found))
}

fn is_discrete(function: &Function) -> bool {
    match function.name.0.as_slice() {
        [part] => part.as_ident().is_some_and(|name| {
            let name = name.value.to_lowercase();
            ["percentile_disc", "quantile_disc"].contains(&name.as_str())
        }),
        _ => false,
    }
}

/// Returns true for a number from 0 to 1.
fn is_share(expr: &Expr) -> bool {
    let Expr::Value(value) = expr else {
        return false;
    };
    match &value.value {
        Value::Number(number, _) => {
            let number = number.parse::<f64>();
            number.is_ok_and(|number| (0.0..=1.0).contains(&number))
        }
        _ => false,
    }
}

fn plain(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

fn nested(expr: Expr) -> Box<Expr> {
    Box::new(Expr::Nested(Box::new(expr)))
}

//! Finds what can have no rows because it reads a table of the catalogue that is always empty: there are no indexes,
//! constraints, triggers or policies here, but clients ask for them with functions and types that only PostgreSQL has.
//! So has what takes privileges or options apart, which nobody has. Such a query is answered without being planned, and
//! such a subquery is a constant.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, GroupByExpr, Join, JoinOperator,
    ObjectName, Query, Select, SetExpr, SetOperator, SetQuantifier, TableFactor, TableWithJoins,
    visit_expressions,
};

use super::catalog::{is_always_empty, is_null_texts};
use super::rewrite::no_values;

/// Functions that answer one row where they are given none.
const AGGREGATES: [&str; 14] = [
    "count",
    "min",
    "max",
    "sum",
    "avg",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "bool_or",
    "bool_and",
    "every",
];

/// Names of queries in WITH, and whether these cannot have rows; of several of one name the last.
type Named = BTreeMap<String, bool>;

/// Returns true where a query cannot have rows.
pub(super) fn is_empty(query: &Query) -> bool {
    is_query_empty(query, &Named::new())
}

/// Leaves out the parts of a UNION ALL behind its first that cannot have rows, so that they need no planning; returns false where there
/// are none. The columns are those of the first part then: a NULL there has no type of another any more.
pub(crate) fn leave_out_empty(query: &mut Query) -> bool {
    query.with.is_none() && leave_out_of(&mut query.body)
}

fn leave_out_of(body: &mut SetExpr) -> bool {
    let SetExpr::SetOperation {
        left,
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        right,
    } = body
    else {
        return false;
    };
    let is_left_out = leave_out_of(left);
    if !is_set_empty(right, &Named::new()) {
        return is_left_out;
    }
    *body = std::mem::replace(left.as_mut(), SetExpr::Values(no_values()));
    true
}

fn is_query_empty(query: &Query, around: &Named) -> bool {
    let Some(with) = &query.with else {
        return is_set_empty(&query.body, around);
    };
    let mut named = around.clone();
    for cte in &with.cte_tables {
        let is_empty = !with.recursive && is_query_empty(&cte.query, &named);
        named.insert(cte.alias.name.value.to_lowercase(), is_empty);
    }
    is_set_empty(&query.body, &named)
}

fn is_set_empty(body: &SetExpr, named: &Named) -> bool {
    match body {
        SetExpr::Select(select) => is_select_empty(select, named),
        SetExpr::Query(query) => is_query_empty(query, named),
        SetExpr::SetOperation {
            left, op, right, ..
        } => match op {
            SetOperator::Union => is_set_empty(left, named) && is_set_empty(right, named),
            SetOperator::Intersect => is_set_empty(left, named) || is_set_empty(right, named),
            SetOperator::Except | SetOperator::Minus => is_set_empty(left, named),
        },
        _ => false,
    }
}

fn is_select_empty(select: &Select, named: &Named) -> bool {
    let has_no_rows = select.from.iter().any(|from| is_joined_empty(from, named))
        || select.selection.as_ref().is_some_and(is_never_true);
    has_no_rows && !answers_one_row(select)
}

/// Returns true where a condition wants a value of a column that never has one.
fn is_never_true(condition: &Expr) -> bool {
    match condition {
        Expr::Nested(condition) => is_never_true(condition),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => is_never_true(left) || is_never_true(right),
        Expr::IsNotNull(value) => is_null(value),
        _ => false,
    }
}

/// Returns true for a column that never has a value.
fn is_null(value: &Expr) -> bool {
    let column = match value {
        Expr::Identifier(column) => Some(column),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    column.is_some_and(|column| is_null_texts(&column.value.to_lowercase()))
}

fn is_joined_empty(from: &TableWithJoins, named: &Named) -> bool {
    let first = is_relation_empty(&from.relation, named);
    let joins = from.joins.iter();
    joins.fold(first, |left, join| is_join_empty(left, join, named))
}

fn is_join_empty(left: bool, join: &Join, named: &Named) -> bool {
    let right = is_relation_empty(&join.relation, named);
    match &join.join_operator {
        JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
            left || right
        }
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => left,
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => right,
        // Anything else is planned as it is.
        _ => left && right,
    }
}

fn is_relation_empty(relation: &TableFactor, named: &Named) -> bool {
    match relation {
        TableFactor::Table {
            name, args: None, ..
        } => {
            let known = match name.0.as_slice() {
                [_] => named.get(&last_part(name)).copied(),
                _ => None,
            };
            known.unwrap_or_else(|| is_always_empty(name))
        }
        // With the name of a schema it is read as the call of a function, without one as syntax.
        TableFactor::Table {
            name,
            args: Some(of),
            ..
        } => {
            last_part(name) == "unnest"
                && matches!(
                    of.args.as_slice(),
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(list))] if is_null(list)
                )
        }
        TableFactor::UNNEST { array_exprs, .. } => {
            !array_exprs.is_empty() && array_exprs.iter().all(is_null)
        }
        TableFactor::Derived { subquery, .. } => is_query_empty(subquery, named),
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => is_joined_empty(table_with_joins, named),
        _ => false,
    }
}

/// Aggregates without groups answer one row over nothing.
fn answers_one_row(select: &Select) -> bool {
    let has_groups = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(by, _) => !by.is_empty(),
    };
    if has_groups {
        return false;
    }
    let aggregate = visit_expressions(&select.projection, |expr| match expr {
        Expr::Function(function) if AGGREGATES.contains(&last_part(&function.name).as_str()) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    aggregate.is_break()
}

/// Returns the last part of a name in lower case.
pub(super) fn last_part(name: &ObjectName) -> String {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map_or_else(String::new, |ident| ident.value.to_lowercase())
}

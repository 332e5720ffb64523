//! The functions that read and write the values of types, where clients join them: `JOIN pg_proc AS p ON p.oid = t.typinput`, as
//! the gem `pg` of Ruby and Npgsql do. The catalogue of functions lists those for sensor data alone, and in that of types such a
//! function is its name. So what is joined are these names.

use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, Query, Select, Statement,
    TableAlias, TableFactor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::functions::own_name;
use super::rewrite::{FUNCTIONS, is_column_of};

/// The catalogue of functions.
const PG_PROC: &str = "pg_proc";

/// What is joined in its place. A type without such a function has 0 there.
const NAMES: &str = "
    SELECT named.oid AS oid, named.oid AS proname
    FROM (SELECT typinput AS oid FROM pg_catalog.pg_type
          UNION SELECT typreceive AS oid FROM pg_catalog.pg_type
          UNION SELECT typsend AS oid FROM pg_catalog.pg_type) AS named
    WHERE named.oid NOT IN ('0', '-')";

static QUERY: LazyLock<Option<Box<Query>>> = LazyLock::new(|| {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, NAMES).ok()?;
    match statements.pop() {
        Some(Statement::Query(query)) => Some(query),
        _ => None,
    }
});

/// Puts the names of functions in place of the catalogue of functions where types are joined with it.
pub(super) fn join_names(select: &mut Select) {
    for from in &mut select.from {
        for join in &mut from.joins {
            if let (Some(alias), Some(names)) = (alias_of_functions(join), QUERY.as_ref()) {
                join.relation = TableFactor::Derived {
                    lateral: false,
                    subquery: names.clone(),
                    alias: Some(alias),
                    sample: None,
                };
            }
        }
    }
}

/// Returns what the catalogue of functions is called in a join with the functions of types; None for any other join.
fn alias_of_functions(join: &Join) -> Option<TableAlias> {
    let TableFactor::Table {
        name,
        alias,
        args: None,
        ..
    } = &join.relation
    else {
        return None;
    };
    if own_name(name)? != PG_PROC {
        return None;
    }
    let (JoinOperator::Join(JoinConstraint::On(on))
    | JoinOperator::Inner(JoinConstraint::On(on))
    | JoinOperator::Left(JoinConstraint::On(on))
    | JoinOperator::LeftOuter(JoinConstraint::On(on))) = &join.join_operator
    else {
        return None;
    };
    let alias = alias.clone().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(PG_PROC),
        columns: Vec::new(),
        at: None,
    });
    names_functions_of_types(on, &alias.name.value).then_some(alias)
}

fn names_functions_of_types(on: &Expr, functions: &str) -> bool {
    match on {
        Expr::Nested(on) => names_functions_of_types(on, functions),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            names_functions_of_types(left, functions) || names_functions_of_types(right, functions)
        }
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } => {
            let joins = |number: &Expr, function: &Expr| {
                is_number_of(number, functions) && is_column_of(function, &FUNCTIONS)
            };
            joins(left, right) || joins(right, left)
        }
        _ => false,
    }
}

fn is_number_of(expr: &Expr, functions: &str) -> bool {
    match expr {
        Expr::CompoundIdentifier(parts) => matches!(
            parts.as_slice(),
            [table, column]
                if table.value.eq_ignore_ascii_case(functions)
                    && column.value.eq_ignore_ascii_case("oid")
        ),
        _ => false,
    }
}

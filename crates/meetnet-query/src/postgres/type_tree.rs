//! How asyncpg asks what types are made of, before it reads or sends a value of one that it does not know: by a query that
//! goes from a type to those in it, and from these to those in them. Here a type is made of none, or an array of the type of its
//! elements: two steps are all of them, and queries that recur are not answered.

use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// The name of what recurs.
const NAME: &str = "typeinfo_tree";
/// Its columns: a query of another version with others is left as it is.
const COLUMNS: [&str; 11] = [
    "oid",
    "ns",
    "name",
    "kind",
    "basetype",
    "elemtype",
    "elemdelim",
    "range_subtype",
    "attrtypoids",
    "attrnames",
    "depth",
];

/// The types that are asked for, and those of their elements.
const TREE: &str = "
    WITH named AS (
        SELECT t.oid AS oid, n.nspname AS ns, t.typname AS name, t.typtype AS kind, NULL::bigint AS basetype,
               t.typelem AS elemtype, e.typdelim AS elemdelim, NULL::bigint AS range_subtype,
               NULL::text[] AS attrtypoids, NULL::text[] AS attrnames
        FROM pg_catalog.pg_type AS t
        JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
        LEFT JOIN pg_catalog.pg_type AS e ON t.typelem <> 0 AND e.oid = t.typelem
    ),
    asked AS (SELECT * FROM named WHERE oid = ANY($1::oid[]))
    SELECT *, 0 AS depth FROM asked
    UNION ALL
    SELECT *, 1 AS depth FROM named WHERE oid IN (SELECT elemtype FROM asked)";

static QUERY: LazyLock<Option<Box<Query>>> = LazyLock::new(|| {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, TREE).ok()?;
    match statements.pop() {
        Some(Statement::Query(query)) => Some(query),
        _ => None,
    }
});

/// Puts a query that does not recur in place of the one that does.
pub(super) fn flatten(query: &mut Query) {
    let Some(with) = query.with.as_mut().filter(|with| with.recursive) else {
        return;
    };
    let [tree] = with.cte_tables.as_mut_slice() else {
        return;
    };
    let columns = tree.alias.columns.iter();
    let is_known = tree.alias.name.value == NAME
        && columns.map(|column| column.name.value.as_str()).eq(COLUMNS);
    if let (true, Some(flat)) = (is_known, QUERY.as_ref()) {
        tree.query = flat.clone();
        with.recursive = false;
    }
}

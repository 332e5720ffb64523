//! `information_schema`, with the columns and the names of types that PostgreSQL's clients read.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use datafusion::catalog::TableProvider;
use datafusion::error::Result;

use super::Same::{Null, Text};
use super::empty::{self, EMPTY_INFORMATION};
use super::{
    Column, INFORMATION_SCHEMA, OWNER, PG_CATALOG, all_columns, ints, kind, relations, same,
    strings,
};
use crate::catalog::{CATALOG, NamedColumns, SCHEMA, SnapshotTables, in_memory, texts};
use crate::postgres::types::PgScalar;

/// What the catalogue has for clients of PostGIS, where there are layers: names and types.
const PLACES: [(&str, &str); 2] = [
    ("geometry_columns", "VIEW"),
    ("spatial_ref_sys", "BASE TABLE"),
];

/// Returns the names of the tables of `information_schema`.
pub(crate) fn names() -> Vec<String> {
    let empty = EMPTY_INFORMATION.iter().map(|(name, _)| *name);
    let filled = ["schemata", "tables", "columns"];
    filled.into_iter().chain(empty).map(str::to_owned).collect()
}

/// Returns a table of `information_schema`; None where there is none of that name.
pub(crate) fn table(name: &str, tables: &SnapshotTables) -> Result<Option<Arc<dyn TableProvider>>> {
    let columns = match name {
        "schemata" => schemata(),
        "tables" => information_tables(tables),
        "columns" => information_columns(tables),
        name => match empty::table(&EMPTY_INFORMATION, name) {
            Some(columns) => columns,
            None => return Ok(None),
        },
    };
    in_memory(columns).map(Some)
}

fn schemata() -> NamedColumns {
    let schemas = [PG_CATALOG, SCHEMA, INFORMATION_SCHEMA];
    let mut columns = vec![("schema_name", strings(schemas.map(str::to_owned)))];
    columns.extend(same(
        3,
        &[
            ("catalog_name", Text(CATALOG)),
            ("schema_owner", Text(OWNER)),
        ],
    ));
    columns
}

fn information_tables(tables: &SnapshotTables) -> NamedColumns {
    // Schema, name and type.
    let mut found: Vec<[String; 3]> = Vec::new();
    for relation in relations(tables) {
        let of_type = match kind(tables, &relation) {
            "r" => "BASE TABLE",
            _ => "VIEW",
        };
        found.push([SCHEMA.to_owned(), relation.name, of_type.to_owned()]);
    }
    // GDAL looks here whether it can ask for the reference systems of layers. Others leave this schema out.
    if tables.names().any(|name| tables.layered(&name).is_some()) {
        for (name, of_type) in PLACES {
            found.push([PG_CATALOG, name, of_type].map(str::to_owned));
        }
    }
    let column = |position: usize| strings(found.iter().map(|row| row[position].clone()));
    let mut columns = vec![
        ("table_schema", column(0)),
        ("table_name", column(1)),
        ("table_type", column(2)),
    ];
    columns.extend(same(
        found.len(),
        &[
            ("table_catalog", Text(CATALOG)),
            ("is_insertable_into", Text("NO")),
            ("is_typed", Text("NO")),
        ],
    ));
    columns
}

fn information_columns(tables: &SnapshotTables) -> NamedColumns {
    let all = all_columns(tables);
    let text = |of: &dyn Fn(&Column) -> String| strings(all.iter().map(of).collect::<Vec<_>>());
    let optional = |of: &dyn Fn(PgScalar) -> Option<i64>| -> ArrayRef {
        let values = all.iter().map(|column| match column.pg_type.is_array {
            true => None,
            false => of(column.pg_type.scalar),
        });
        Arc::new(values.collect::<Int64Array>())
    };
    let bits = |scalar| match scalar {
        PgScalar::Int2 => Some(16),
        PgScalar::Int4 => Some(32),
        PgScalar::Int8 => Some(64),
        PgScalar::Float4 => Some(24),
        PgScalar::Float8 => Some(53),
        _ => None,
    };
    let fraction = |scalar| match scalar {
        PgScalar::Time | PgScalar::Timestamp | PgScalar::TimestampTz => Some(6),
        PgScalar::Date => Some(0),
        _ => None,
    };
    let mut columns = vec![
        ("table_name", text(&|column| column.relation.name.clone())),
        ("column_name", text(&|column| column.name.clone())),
        (
            "ordinal_position",
            ints(all.iter().map(|column| column.number).collect()),
        ),
        (
            "is_nullable",
            text(&|column| if column.is_nullable { "YES" } else { "NO" }.to_owned()),
        ),
        (
            "data_type",
            text(&|column| match column.pg_type.is_array {
                true => "ARRAY".to_owned(),
                false => column.pg_type.sql_name(),
            }),
        ),
        ("udt_name", text(&|column| column.pg_type.name())),
        ("numeric_precision", optional(&bits)),
        (
            "numeric_precision_radix",
            optional(&|scalar| bits(scalar).map(|_| 2)),
        ),
        ("datetime_precision", optional(&fraction)),
        ("unit", texts(all.iter().map(|column| column.unit.clone()))),
    ];
    columns.extend(same(
        all.len(),
        &[
            ("table_catalog", Text(CATALOG)),
            ("table_schema", Text(SCHEMA)),
            ("udt_catalog", Text(CATALOG)),
            ("udt_schema", Text(PG_CATALOG)),
            ("column_default", Null),
            ("character_maximum_length", Null),
            ("numeric_scale", Null),
            ("collation_name", Null),
            ("domain_name", Null),
            ("is_identity", Text("NO")),
            ("identity_generation", Null),
            ("is_generated", Text("NEVER")),
            ("generation_expression", Null),
            ("is_updatable", Text("NO")),
        ],
    ));
    columns
}

//! The catalogue as clients look around in it: catalogues, schemas, tables, keys. Private datasets do not exist.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTableTypes,
    CommandGetTables,
};
use meetnet_query::{CATALOG, QueryService, SessionKind, TableDescription, TableKind};
use tonic::Status;

use crate::error::internal;
use crate::fit::table_schema;

/// Length of a pattern of names, in bytes: what is longer names nothing, and takes long to compare.
const PATTERN_BYTES_MAX: usize = 256;

/// Kinds of tables, as drivers of databases call them.
const TABLE_TYPES: [&str; 3] = ["SYSTEM TABLE", "TABLE", "VIEW"];

fn table_type(kind: TableKind) -> &'static str {
    match kind {
        TableKind::System => TABLE_TYPES[0],
        TableKind::Dataset => TABLE_TYPES[1],
        TableKind::View => TABLE_TYPES[2],
    }
}

fn visible(service: &QueryService) -> Vec<TableDescription> {
    service.tables(SessionKind::Public)
}

/// Returns the one catalogue.
pub(crate) fn catalogs(command: CommandGetCatalogs) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    builder.append(CATALOG);
    builder.build().map_err(failed)
}

/// Returns the schemas whose names fit a pattern.
pub(crate) fn schemas(
    service: &QueryService,
    command: CommandGetDbSchemas,
) -> Result<RecordBatch, Status> {
    check_patterns([&command.catalog, &command.db_schema_filter_pattern])?;
    let mut builder = command.into_builder();
    let mut names: Vec<&str> = visible(service)
        .iter()
        .map(|table| table.schema_name)
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        builder.append(CATALOG, name);
    }
    builder.build().map_err(failed)
}

/// Returns the tables that fit patterns, with their columns if that is asked for.
pub(crate) fn tables(
    service: &QueryService,
    mut command: CommandGetTables,
) -> Result<RecordBatch, Status> {
    check_patterns([
        &command.catalog,
        &command.db_schema_filter_pattern,
        &command.table_name_filter_pattern,
    ])?;
    let asked_for_some = !command.table_types.is_empty();
    // Each costs a comparison with every table.
    command
        .table_types
        .retain(|asked| TABLE_TYPES.contains(&asked.as_str()));
    command.table_types.sort_unstable();
    command.table_types.dedup();
    let none_fits = asked_for_some && command.table_types.is_empty();
    let mut builder = command.into_builder();
    let tables = if none_fits {
        Vec::new()
    } else {
        visible(service)
    };
    for table in tables {
        let schema = table_schema(&table.schema);
        let kind = table_type(table.kind);
        let appended = builder.append(CATALOG, table.schema_name, &table.name, kind, &schema);
        appended.map_err(failed)?;
    }
    builder.build().map_err(failed)
}

/// Returns the kinds of tables.
pub(crate) fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    for kind in TABLE_TYPES {
        builder.append(kind);
    }
    builder.build().map_err(failed)
}

/// Returns the key of a dataset: the columns that identify its rows. What is no dataset has none.
pub(crate) fn primary_keys(
    service: &QueryService,
    command: &CommandGetPrimaryKeys,
) -> Result<RecordBatch, Status> {
    let is_named =
        |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|asked| asked == name);
    let table = visible(service).into_iter().find(|table| {
        table.name == command.table
            && is_named(&command.db_schema, table.schema_name)
            && is_named(&command.catalog, CATALOG)
    });
    let key = table.as_ref().map_or(&[][..], |table| table.key.as_slice());
    let same = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(key.iter().map(|_| text)))
    };
    let schema_name = table.as_ref().map_or("", |table| table.schema_name);
    let columns: Vec<ArrayRef> = vec![
        same(CATALOG),
        same(schema_name),
        same(&command.table),
        Arc::new(StringArray::from_iter_values(key)),
        same("key"),
        Arc::new(Int32Array::from_iter_values((1..).take(key.len()))),
    ];
    RecordBatch::try_new(primary_key_schema(), columns)
        .map_err(|error| internal("writing the catalogue", error))
}

/// Returns the columns of [`primary_keys`].
pub(crate) fn primary_key_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

/// Returns the foreign keys: there are none.
pub(crate) fn foreign_keys() -> RecordBatch {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let schema = Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]);
    RecordBatch::new_empty(Arc::new(schema))
}

fn check_patterns<const N: usize>(patterns: [&Option<String>; N]) -> Result<(), Status> {
    let longest = patterns.into_iter().flatten().map(String::len).max();
    if longest.unwrap_or(0) <= PATTERN_BYTES_MAX {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "a name, or a pattern of names, is longer than {PATTERN_BYTES_MAX} bytes"
    )))
}

/// Patterns are the only thing that a client gives.
fn failed(error: FlightError) -> Status {
    match error {
        FlightError::Arrow(error) => {
            Status::invalid_argument(format!("the pattern of names cannot be read: {error}"))
        }
        error => internal("writing the catalogue", error),
    }
}

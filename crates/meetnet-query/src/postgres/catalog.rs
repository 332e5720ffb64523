//! `pg_catalog` and `information_schema` as PostgreSQL has them, made from the datasets of one snapshot when a statement
//! names one of their tables. What a session may not see is in none of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, Int64Array, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::error::Result;

use super::geometry::SRID;
use super::layers;
use super::types::PgType;
use crate::catalog::{CATALOG, NamedColumns, SCHEMA, SnapshotTables, constant, in_memory, texts};
use crate::table::schema::UNIT_KEY;

mod comments;
mod empty;
mod functions;
pub(crate) mod information;
mod keywords;
mod server;

use Same::{Bool, Int, NoList, Null, Text};
use comments::pg_description;
use empty::EMPTY;

pub(crate) use comments::{Description, descriptions};
pub(crate) use empty::{is_always_empty, is_null_texts};
pub(crate) use functions::{CatalogFunction, PSEUDO_TYPES, functions};
pub(crate) use keywords::KEYWORDS;

/// Name of the schema of PostgreSQL's own tables and functions.
pub(crate) const PG_CATALOG: &str = "pg_catalog";
/// Name of the schema of the SQL standard.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";
/// Name of the one database.
pub(super) const DATABASE: &str = CATALOG;
/// Who owns everything.
pub(super) const OWNER: &str = "meetnet";

const OWNER_OID: i64 = 10;
const PG_CATALOG_OID: i64 = 11;
const PUBLIC_OID: i64 = 2200;
const INFORMATION_SCHEMA_OID: i64 = 13_000;
const DATABASE_OID: i64 = 16_383;
const TABLESPACE_OID: i64 = 1663;
const HEAP_OID: i64 = 2;
/// Of the table of relations: what is said of one is said of a row of it.
pub(super) const PG_CLASS_OID: i64 = 1259;
/// The same of functions.
pub(super) const PG_PROC_OID: i64 = 1255;
/// The first OID that PostgreSQL gives to what users make.
const FIRST_OID: i64 = 16_384;
/// OIDs of relations are below this, and those of functions below its double: drivers read them as 32 bits with a sign.
const OIDS: i64 = 1 << 30;

/// Tables of `pg_catalog` that have rows.
const FILLED: [&str; 18] = [
    "geometry_columns",
    "pg_am",
    "pg_attribute",
    "pg_class",
    "pg_database",
    "pg_description",
    "pg_namespace",
    "pg_proc",
    "pg_roles",
    "pg_settings",
    "pg_statio_all_tables",
    "pg_statio_user_tables",
    "pg_tables",
    "pg_tablespace",
    "pg_type",
    "pg_user",
    "pg_views",
    "spatial_ref_sys",
];

/// A dataset, a history or another view.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    /// From its name: the same in every session, and as long as the name is not taken by another.
    pub(crate) oid: i64,
    pub(crate) name: String,
}

/// Returns what a session sees.
pub(crate) fn relations(tables: &SnapshotTables) -> Vec<Relation> {
    let mut relations: Vec<Relation> = Vec::new();
    for name in tables.names() {
        let mut oid = FIRST_OID + hash(&name) % (OIDS - FIRST_OID);
        while relations.iter().any(|relation| relation.oid == oid) {
            oid += 1;
        }
        relations.push(Relation { oid, name });
    }
    relations
}

/// FNV-1a, which stays what it is: OIDs must not change with the version of a library.
fn hash(name: &str) -> i64 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    i64::from(hash)
}

/// Returns true where a name without a schema means a table of `pg_catalog`.
pub(crate) fn is_of_pg_catalog(name: &str) -> bool {
    FILLED.contains(&name) || empty::is_in(&EMPTY, name)
}

/// Returns the names of the tables of `pg_catalog`.
pub(crate) fn pg_catalog_names() -> Vec<String> {
    let empty = EMPTY.iter().map(|(name, _)| *name);
    FILLED.into_iter().chain(empty).map(str::to_owned).collect()
}

/// Returns a table of `pg_catalog`; None where there is none of that name.
pub(crate) fn pg_catalog_table(
    name: &str,
    tables: &SnapshotTables,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let columns = match name {
        "pg_am" => one_row(&[
            ("oid", Int(HEAP_OID)),
            ("amname", Text("heap")),
            ("amtype", Text("t")),
        ]),
        "pg_attribute" => pg_attribute(tables),
        "pg_class" => pg_class(tables),
        "pg_database" => server::pg_database(),
        "pg_description" => pg_description(tables),
        KEYWORDS => keywords::pg_get_keywords(),
        "pg_namespace" => pg_namespace(),
        "pg_proc" => functions::pg_proc(),
        "pg_roles" => server::pg_roles(),
        "pg_settings" => server::pg_settings(),
        "pg_statio_all_tables" | "pg_statio_user_tables" => pg_statio_tables(tables),
        "pg_tables" => pg_tables(tables),
        "pg_tablespace" => one_row(&[
            ("oid", Int(TABLESPACE_OID)),
            ("spcname", Text("pg_default")),
            ("spcowner", Int(OWNER_OID)),
            ("spcacl", NoList),
            ("spcoptions", NoList),
        ]),
        "pg_type" => pg_type(),
        "pg_user" => one_row(&[
            ("usename", Text(OWNER)),
            ("usesysid", Int(OWNER_OID)),
            ("usecreatedb", Bool(false)),
            ("usesuper", Bool(false)),
            ("userepl", Bool(false)),
            ("usebypassrls", Bool(false)),
        ]),
        "pg_views" => pg_views(tables),
        "geometry_columns" => geometry_columns(tables),
        "spatial_ref_sys" => one_row(&[
            ("srid", Int(SRID as i64)),
            ("auth_name", Text("EPSG")),
            ("auth_srid", Int(SRID as i64)),
            ("srtext", Text(WGS84_WKT)),
            ("proj4text", Text("+proj=longlat +datum=WGS84 +no_defs")),
        ]),
        name => match empty::table(&EMPTY, name) {
            Some(columns) => columns,
            None => return Ok(None),
        },
    };
    in_memory(columns).map(Some)
}

/// A value that is the same in every row of a table.
#[derive(Clone, Copy)]
enum Same {
    Int(i64),
    Bool(bool),
    Text(&'static str),
    /// A text without a value.
    Null,
    /// A list of texts without a value, as privileges and options are.
    NoList,
}

/// Makes columns of constants.
fn same(rows: usize, values: &[(&'static str, Same)]) -> NamedColumns {
    let column = |(name, value): &(&'static str, Same)| {
        let values: ArrayRef = match value {
            Int(value) => ints(vec![*value; rows]),
            Bool(value) => Arc::new(BooleanArray::from(vec![*value; rows])),
            Text(value) => constant(value, rows),
            Null => texts(vec![None; rows]),
            NoList => new_null_array(&DataType::new_list(DataType::Utf8, true), rows),
        };
        (*name, values)
    };
    values.iter().map(column).collect()
}

fn one_row(values: &[(&'static str, Same)]) -> NamedColumns {
    same(1, values)
}

fn ints(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn bools(values: Vec<bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values))
}

fn strings(values: impl IntoIterator<Item = String>) -> ArrayRef {
    texts(values.into_iter().map(Some))
}

/// WGS 84 as PROJ and PostGIS write it.
const WGS84_WKT: &str = "GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,298.257223563]],\
                         PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.0174532925199433],AUTHORITY[\"EPSG\",\"4326\"]]";

/// The layers, where clients of PostGIS look for them.
fn geometry_columns(tables: &SnapshotTables) -> NamedColumns {
    let layers: Vec<(String, &'static str)> = tables
        .names()
        .filter_map(|name| {
            let table = tables.layered(&name)?;
            let kind = layers::geometry_kind(&table.declaration);
            Some((name, kind))
        })
        .collect();
    let mut columns = vec![
        (
            "f_table_name",
            strings(layers.iter().map(|(name, _)| name.clone())),
        ),
        (
            "type",
            strings(layers.iter().map(|(_, kind)| (*kind).to_owned())),
        ),
    ];
    columns.extend(same(
        layers.len(),
        &[
            ("f_table_catalog", Text(DATABASE)),
            ("f_table_schema", Text(SCHEMA)),
            ("f_geometry_column", Text(layers::GEOMETRY)),
            ("coord_dimension", Int(2)),
            ("srid", Int(SRID as i64)),
        ],
    ));
    columns
}

fn pg_namespace() -> NamedColumns {
    let schemas = [PG_CATALOG, SCHEMA, INFORMATION_SCHEMA];
    let mut columns = vec![
        (
            "oid",
            ints(vec![PG_CATALOG_OID, PUBLIC_OID, INFORMATION_SCHEMA_OID]),
        ),
        ("nspname", strings(schemas.map(str::to_owned))),
    ];
    columns.extend(same(3, &[("nspowner", Int(OWNER_OID)), ("nspacl", NoList)]));
    columns
}

fn pg_class(tables: &SnapshotTables) -> NamedColumns {
    let relations = relations(tables);
    let rows = relations.len();
    let kinds = relations
        .iter()
        .map(|relation| kind(tables, relation).to_owned());
    let widths = relations
        .iter()
        .map(|relation| fields(tables, relation).fields().len() as i64);
    let mut columns = vec![
        (
            "oid",
            ints(relations.iter().map(|relation| relation.oid).collect()),
        ),
        (
            "relname",
            strings(relations.iter().map(|relation| relation.name.clone())),
        ),
        ("relkind", strings(kinds)),
        ("relnatts", ints(widths.collect())),
        (
            "reltuples",
            Arc::new(Float32Array::from(vec![-1.0; rows])) as ArrayRef,
        ),
    ];
    columns.extend(same(
        rows,
        &[
            ("relnamespace", Int(PUBLIC_OID)),
            ("reltype", Int(0)),
            ("reloftype", Int(0)),
            ("relowner", Int(OWNER_OID)),
            ("relam", Int(HEAP_OID)),
            ("relfilenode", Int(0)),
            ("reltablespace", Int(0)),
            ("relpages", Int(0)),
            ("relallvisible", Int(0)),
            ("reltoastrelid", Int(0)),
            ("relhasindex", Bool(false)),
            ("relisshared", Bool(false)),
            ("relpersistence", Text("p")),
            ("relchecks", Int(0)),
            ("relhasrules", Bool(false)),
            ("relhastriggers", Bool(false)),
            ("relhassubclass", Bool(false)),
            ("relrowsecurity", Bool(false)),
            ("relforcerowsecurity", Bool(false)),
            ("relispopulated", Bool(true)),
            ("relreplident", Text("n")),
            ("relispartition", Bool(false)),
            ("relrewrite", Int(0)),
            ("relacl", NoList),
            ("reloptions", NoList),
            ("relpartbound", Null),
            ("tableoid", Int(PG_CLASS_OID)),
        ],
    ));
    columns
}

/// A history is derived from what its dataset stores.
fn kind(tables: &SnapshotTables, relation: &Relation) -> &'static str {
    if tables.get(&relation.name).is_some() {
        "r"
    } else {
        "v"
    }
}

fn fields(tables: &SnapshotTables, relation: &Relation) -> SchemaRef {
    tables.schema_of(&relation.name)
}

/// One column of a relation.
struct Column {
    relation: Relation,
    /// From 1.
    number: i64,
    name: String,
    is_nullable: bool,
    unit: Option<String>,
    pg_type: PgType,
}

fn all_columns(tables: &SnapshotTables) -> Vec<Column> {
    let mut columns = Vec::new();
    for relation in relations(tables) {
        for (position, field) in fields(tables, &relation).fields().iter().enumerate() {
            columns.push(Column {
                relation: relation.clone(),
                number: position as i64 + 1,
                name: field.name().clone(),
                is_nullable: field.is_nullable(),
                unit: field.metadata().get(UNIT_KEY).cloned(),
                pg_type: PgType::of_field(field),
            });
        }
    }
    columns
}

fn pg_attribute(tables: &SnapshotTables) -> NamedColumns {
    let all = all_columns(tables);
    let number = |of: &dyn Fn(&Column) -> i64| ints(all.iter().map(of).collect());
    let mut columns = vec![
        ("attrelid", number(&|column| column.relation.oid)),
        (
            "attname",
            strings(all.iter().map(|column| column.name.clone())),
        ),
        (
            "atttypid",
            number(&|column| i64::from(column.pg_type.oid())),
        ),
        ("attlen", number(&|column| i64::from(column.pg_type.size()))),
        ("attnum", number(&|column| column.number)),
        (
            "attndims",
            number(&|column| i64::from(column.pg_type.is_array)),
        ),
        (
            "attnotnull",
            bools(all.iter().map(|column| !column.is_nullable).collect()),
        ),
    ];
    columns.extend(same(
        all.len(),
        &[
            ("attstattarget", Int(-1)),
            ("attcacheoff", Int(-1)),
            ("atttypmod", Int(-1)),
            ("attbyval", Bool(false)),
            ("attalign", Text("d")),
            ("attstorage", Text("p")),
            ("attcompression", Text("")),
            ("atthasdef", Bool(false)),
            ("atthasmissing", Bool(false)),
            ("attidentity", Text("")),
            ("attgenerated", Text("")),
            ("attisdropped", Bool(false)),
            ("attislocal", Bool(true)),
            ("attinhcount", Int(0)),
            ("attcollation", Int(0)),
            ("attacl", NoList),
            ("attoptions", NoList),
            ("attfdwoptions", NoList),
            ("attmissingval", Null),
        ],
    ));
    columns
}

/// Types that columns of the catalogue have in PostgreSQL: clients look them up by number.
const NAMES: [(i64, &str); 4] = [(18, "char"), (19, "name"), (26, "oid"), (1043, "varchar")];

fn pg_type() -> NamedColumns {
    let types: Vec<PgType> = PgType::all().collect();
    let number = |of: &dyn Fn(&PgType) -> i64, other: &dyn Fn(i64) -> i64| {
        let others = NAMES.iter().map(|(oid, _)| other(*oid));
        ints(types.iter().map(of).chain(others).collect())
    };
    let text = |of: &dyn Fn(&PgType) -> String, other: &dyn Fn(&str) -> String| {
        let others = NAMES.iter().map(|(_, name)| other(name));
        strings(types.iter().map(of).chain(others).collect::<Vec<_>>())
    };
    let element = |pg_type: &PgType| match pg_type.is_array {
        true => i64::from(PgType::of(pg_type.scalar).oid()),
        false => 0,
    };
    let rows = types.len() + NAMES.len();
    let mut columns = vec![
        (
            "oid",
            number(&|pg_type| i64::from(pg_type.oid()), &|oid| oid),
        ),
        (
            "typname",
            text(&|pg_type| pg_type.name(), &|name| name.to_owned()),
        ),
        (
            "typlen",
            number(&|pg_type| i64::from(pg_type.size()), &|_| -1),
        ),
        (
            "typcategory",
            text(&|pg_type| pg_type.category().to_owned(), &|_| {
                "S".to_owned()
            }),
        ),
        ("typelem", number(&element, &|_| 0)),
        (
            "typarray",
            number(&|pg_type| i64::from(pg_type.array_oid()), &|_| 0),
        ),
        (
            "typinput",
            text(
                &|pg_type| match pg_type.is_array {
                    true => "array_in".to_owned(),
                    false => format!("{}_in", pg_type.name()),
                },
                &|name| format!("{name}in"),
            ),
        ),
        (
            "typreceive",
            text(&|pg_type| pg_type.in_binary("recv"), &|name| {
                format!("{name}recv")
            }),
        ),
        (
            "typsend",
            text(&|pg_type| pg_type.in_binary("send"), &|name| {
                format!("{name}send")
            }),
        ),
    ];
    columns.extend(same(
        rows,
        &[
            ("typnamespace", Int(PG_CATALOG_OID)),
            ("typowner", Int(OWNER_OID)),
            ("typbyval", Bool(false)),
            ("typtype", Text("b")),
            ("typispreferred", Bool(false)),
            ("typisdefined", Bool(true)),
            ("typdelim", Text(",")),
            ("typrelid", Int(0)),
            ("typnotnull", Bool(false)),
            ("typbasetype", Int(0)),
            ("typtypmod", Int(-1)),
            ("typndims", Int(0)),
            ("typcollation", Int(0)),
            ("typdefault", Null),
            ("typacl", NoList),
        ],
    ));
    columns
}

fn named(tables: &SnapshotTables, of_kind: &str) -> Vec<String> {
    let relations = relations(tables).into_iter();
    relations
        .filter(|relation| kind(tables, relation) == of_kind)
        .map(|relation| relation.name)
        .collect()
}

fn pg_tables(tables: &SnapshotTables) -> NamedColumns {
    let names = named(tables, "r");
    let rows = names.len();
    let mut columns = vec![("tablename", strings(names))];
    columns.extend(same(
        rows,
        &[
            ("schemaname", Text(SCHEMA)),
            ("tableowner", Text(OWNER)),
            ("tablespace", Null),
            ("hasindexes", Bool(false)),
            ("hasrules", Bool(false)),
            ("hastriggers", Bool(false)),
            ("rowsecurity", Bool(false)),
        ],
    ));
    columns
}

/// What Sequelize looks up comments through: the numbers of tables by their names. Nobody counts how they are read.
fn pg_statio_tables(tables: &SnapshotTables) -> NamedColumns {
    let mut relations = relations(tables);
    relations.retain(|relation| kind(tables, relation) == "r");
    let rows = relations.len();
    let mut columns = vec![
        (
            "relid",
            ints(relations.iter().map(|relation| relation.oid).collect()),
        ),
        (
            "relname",
            strings(relations.into_iter().map(|relation| relation.name)),
        ),
    ];
    columns.extend(same(rows, &[("schemaname", Text(SCHEMA))]));
    columns
}

fn pg_views(tables: &SnapshotTables) -> NamedColumns {
    let names = named(tables, "v");
    let rows = names.len();
    let mut columns = vec![("viewname", strings(names))];
    columns.extend(same(
        rows,
        &[
            ("schemaname", Text(SCHEMA)),
            ("viewowner", Text(OWNER)),
            ("definition", Null),
        ],
    ));
    columns
}

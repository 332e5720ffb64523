//! Tables of the catalogue that never have rows: there are no indexes, constraints, triggers or policies. Clients join them
//! all the same. And columns of others that never have a value.

use arrow::array::new_empty_array;
use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::ObjectName;

use super::{INFORMATION_SCHEMA, PG_CATALOG};
use crate::catalog::NamedColumns;

/// Tables that never have rows, and their columns: `i` a number, `b` a boolean, `l` a list of numbers, `t` a text.
pub(super) const EMPTY: [(&str, &str); 46] = [
    ("pg_aggregate", "aggfnoid:i"),
    ("pg_attrdef", "oid:i adrelid:i adnum:i adbin:t"),
    (
        "pg_auth_members",
        "roleid:i member:i grantor:i admin_option:b",
    ),
    (
        "pg_cast",
        "oid:i castsource:i casttarget:i castfunc:i castcontext:t",
    ),
    (
        "pg_collation",
        "oid:i collname:t collnamespace:i collprovider:t collcollate:t collctype:t",
    ),
    (
        "pg_constraint",
        "oid:i conname:t connamespace:i contype:t condeferrable:b condeferred:b convalidated:b conrelid:i contypid:i \
         conindid:i conparentid:i confrelid:i confupdtype:t confdeltype:t confmatchtype:t conislocal:b conkey:l \
         confkey:l conbin:t",
    ),
    (
        "pg_conversion",
        "oid:i conname:t connamespace:i conowner:i conforencoding:i contoencoding:i conproc:t condefault:b",
    ),
    (
        "pg_cursors",
        "name:t statement:t is_holdable:b is_binary:b is_scrollable:b",
    ),
    ("pg_db_role_setting", "setdatabase:i setrole:i setconfig:t"),
    (
        "pg_default_acl",
        "oid:i defaclrole:i defaclnamespace:i defaclobjtype:t defaclacl:t",
    ),
    (
        "pg_depend",
        "classid:i objid:i objsubid:i refclassid:i refobjid:i refobjsubid:i deptype:t",
    ),
    ("pg_enum", "oid:i enumtypid:i enumsortorder:i enumlabel:t"),
    (
        "pg_event_trigger",
        "oid:i evtname:t evtevent:t evtowner:i evtfoid:i evtenabled:t",
    ),
    (
        "pg_extension",
        "oid:i extname:t extowner:i extnamespace:i extrelocatable:b extversion:t",
    ),
    ("pg_foreign_data_wrapper", "oid:i fdwname:t fdwowner:i"),
    (
        "pg_foreign_server",
        "oid:i srvname:t srvowner:i srvfdw:i srvtype:t srvversion:t",
    ),
    ("pg_foreign_table", "ftrelid:i ftserver:i ftoptions:t"),
    (
        "pg_index",
        "indexrelid:i indrelid:i indnatts:i indnkeyatts:i indisunique:b indisprimary:b indisexclusion:b \
         indimmediate:b indisclustered:b indisvalid:b indisready:b indislive:b indisreplident:b indkey:l \
         indcollation:t indclass:t indoption:t indexprs:t indpred:t",
    ),
    (
        "pg_indexes",
        "schemaname:t tablename:t indexname:t tablespace:t indexdef:t",
    ),
    (
        "pg_inherits",
        "inhrelid:i inhparent:i inhseqno:i inhdetachpending:b",
    ),
    ("pg_language", "oid:i lanname:t lanowner:i"),
    ("pg_largeobject_metadata", "oid:i lomowner:i lomacl:t"),
    (
        "pg_locks",
        "locktype:t database:i relation:i pid:i mode:t granted:b",
    ),
    (
        "pg_matviews",
        "schemaname:t matviewname:t matviewowner:t ispopulated:b definition:t",
    ),
    ("pg_opclass", "oid:i opcname:t opcnamespace:i"),
    ("pg_operator", "oid:i oprname:t oprnamespace:i"),
    ("pg_opfamily", "oid:i opfname:t opfnamespace:i opfmethod:i"),
    (
        "pg_partitioned_table",
        "partrelid:i partstrat:t partnatts:i",
    ),
    (
        "pg_policies",
        "schemaname:t tablename:t policyname:t permissive:t roles:t cmd:t qual:t with_check:t",
    ),
    (
        "pg_policy",
        "oid:i polname:t polrelid:i polcmd:t polpermissive:b polroles:t polqual:t polwithcheck:t",
    ),
    ("pg_publication", "oid:i pubname:t puballtables:b"),
    ("pg_range", "rngtypid:i rngsubtype:i"),
    (
        "pg_rewrite",
        "oid:i rulename:t ev_class:i ev_type:t is_instead:b",
    ),
    (
        "pg_sequence",
        "seqrelid:i seqtypid:i seqstart:i seqincrement:i seqmax:i seqmin:i seqcache:i seqcycle:b",
    ),
    (
        "pg_sequences",
        "schemaname:t sequencename:t sequenceowner:t data_type:t start_value:i min_value:i max_value:i \
         increment_by:i cycle:b cache_size:i last_value:i",
    ),
    ("pg_shdescription", "objoid:i classoid:i description:t"),
    (
        "pg_stat_activity",
        "pid:i datname:t usename:t application_name:t state:t query:t",
    ),
    (
        "pg_stat_user_tables",
        "relid:i schemaname:t relname:t n_live_tup:i n_dead_tup:i",
    ),
    (
        "pg_statistic_ext",
        "oid:i stxrelid:i stxname:t stxnamespace:i",
    ),
    (
        "pg_trigger",
        "oid:i tgrelid:i tgname:t tgfoid:i tgenabled:t tgisinternal:b tgconstraint:i",
    ),
    (
        "pg_ts_config",
        "oid:i cfgname:t cfgnamespace:i cfgowner:i cfgparser:i",
    ),
    (
        "pg_ts_dict",
        "oid:i dictname:t dictnamespace:i dictowner:i dicttemplate:i dictinitoption:t",
    ),
    (
        "pg_ts_parser",
        "oid:i prsname:t prsnamespace:i prsstart:i prstoken:i prsend:i prsheadline:i prslextype:i",
    ),
    (
        "pg_ts_template",
        "oid:i tmplname:t tmplnamespace:i tmplinit:i tmpllexize:i",
    ),
    (
        "pg_user_mappings",
        "umid:i srvid:i srvname:t umuser:i usename:t umoptions:t",
    ),
    (
        "geography_columns",
        "f_table_catalog:t f_table_schema:t f_table_name:t f_geography_column:t coord_dimension:i srid:i type:t",
    ),
];

/// As [`EMPTY`], of `information_schema`.
pub(super) const EMPTY_INFORMATION: [(&str, &str); 9] = [
    (
        "check_constraints",
        "constraint_schema:t constraint_name:t check_clause:t",
    ),
    (
        "constraint_column_usage",
        "table_schema:t table_name:t column_name:t constraint_schema:t constraint_name:t",
    ),
    (
        "key_column_usage",
        "constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t column_name:t \
         ordinal_position:i position_in_unique_constraint:i",
    ),
    (
        "referential_constraints",
        "constraint_schema:t constraint_name:t unique_constraint_schema:t unique_constraint_name:t update_rule:t \
         delete_rule:t",
    ),
    (
        "routines",
        "specific_schema:t specific_name:t routine_schema:t routine_name:t routine_type:t data_type:t",
    ),
    (
        "sequences",
        "sequence_catalog:t sequence_schema:t sequence_name:t data_type:t",
    ),
    (
        "table_constraints",
        "constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t constraint_type:t",
    ),
    (
        "triggers",
        "trigger_schema:t trigger_name:t event_object_table:t",
    ),
    (
        "views",
        "table_catalog:t table_schema:t table_name:t view_definition:t",
    ),
];

/// Columns of lists of texts that are null in every row: nobody has privileges or options of their own here.
const NULL_TEXTS: [&str; 13] = [
    "attacl",
    "attfdwoptions",
    "attoptions",
    "datacl",
    "nspacl",
    "proacl",
    "proconfig",
    "relacl",
    "reloptions",
    "rolconfig",
    "spcacl",
    "spcoptions",
    "typacl",
];

/// Returns true for a column of the catalogue that is a list of texts and always null; its name is in lower case.
pub(crate) fn is_null_texts(column: &str) -> bool {
    NULL_TEXTS.contains(&column)
}

/// Returns true where a name means a table that never has rows. Without a schema, only those of `pg_catalog` are meant: a
/// dataset may be called `sequences`.
pub(crate) fn is_always_empty(name: &ObjectName) -> bool {
    let parts = name.0.iter().map(|part| {
        let ident = part.as_ident()?;
        Some(ident.value.to_lowercase())
    });
    let Some(parts) = parts.collect::<Option<Vec<String>>>() else {
        return false;
    };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [name] => is_in(&EMPTY, name),
        [.., schema, name] if *schema == PG_CATALOG => is_in(&EMPTY, name),
        [.., schema, name] if *schema == INFORMATION_SCHEMA => is_in(&EMPTY_INFORMATION, name),
        _ => false,
    }
}

pub(super) fn is_in(tables: &[(&str, &str)], name: &str) -> bool {
    tables.iter().any(|(known, _)| *known == name)
}

/// Returns a table without rows; None where there is none of that name.
pub(super) fn table(tables: &[(&'static str, &'static str)], name: &str) -> Option<NamedColumns> {
    let (_, columns) = tables.iter().find(|(known, _)| *known == name)?;
    let column = |declared: &'static str| {
        let (name, kind) = declared.split_once(':').unwrap_or((declared, "t"));
        let data_type = match kind {
            "i" => DataType::Int64,
            "b" => DataType::Boolean,
            "l" => DataType::new_list(DataType::Int64, true),
            _ => DataType::Utf8,
        };
        (name, new_empty_array(&data_type))
    };
    Some(columns.split_whitespace().map(column).collect())
}

//! The questions of those who read tables by COPY, before they do.

use super::*;

/// ADBC's driver knows types by the functions that take them in binary, and reads answers by COPY.
#[tokio::test]
async fn adbc_learns_the_types() {
    let database = Database::new();
    let types = table(
        &database,
        request(
            "SELECT oid, typname, typreceive, typbasetype, typrelid, typarray FROM pg_catalog.pg_type
             WHERE (typreceive != 0 OR typsend != 0) AND typtype != 'r' AND typreceive::TEXT != 'array_recv'",
        ),
    )
    .await;
    let has = |expected: &[&str]| types.iter().any(|row| row == expected);
    assert!(
        has(&["20", "int8", "int8recv", "0", "0", "1016"]),
        "{types:?}"
    );
    assert!(
        has(&["1184", "timestamptz", "timestamptz_recv", "0", "0", "1185"]),
        "{types:?}"
    );
    assert!(has(&["26", "oid", "oidrecv", "0", "0", "0"]), "{types:?}");
    assert!(
        !types.iter().any(|row| row[1].starts_with('_')),
        "{types:?}"
    );
    let columns =
        "SELECT attrelid, attname, atttypid FROM pg_catalog.pg_attribute ORDER BY attrelid, attnum";
    let columns = table(&database, request(columns)).await;
    let of_counts = oid(&database, "counts").await;
    let first = columns.iter().find(|row| row[0] == of_counts);
    assert_eq!(first.expect("a column")[1..], ["segment_id", "20"]);
}

/// DuckDB attaches the database: it asks for tables, types and indexes, and reads tables by COPY.
#[tokio::test]
async fn duckdb_attaches_the_database() {
    let database = Database::new();
    check(
        &database,
        "SELECT version() LIKE 'PostgreSQL 14.%' AS v, (SELECT COUNT(*) FROM pg_settings WHERE name LIKE 'rds%') AS n",
        &["v|n", "true|0"],
    )
    .await;
    let tables = table(
        &database,
        request(
            "SELECT pg_namespace.oid AS namespace_id, relname, relpages, attname,
               pg_type.typname type_name, atttypmod type_modifier, pg_attribute.attndims ndim,
               attnum, pg_attribute.attnotnull AS notnull, NULL constraint_id,
               NULL constraint_type, NULL constraint_key, type_ns.nspname AS type_schema,
               col_desc.description AS column_comment,
               tbl_desc.description AS table_comment
             FROM pg_class
             JOIN pg_namespace ON relnamespace = pg_namespace.oid
             JOIN pg_attribute ON pg_class.oid=pg_attribute.attrelid
             JOIN pg_type ON atttypid=pg_type.oid
             JOIN pg_namespace type_ns ON pg_type.typnamespace = type_ns.oid
             LEFT JOIN pg_description col_desc ON col_desc.objoid=pg_class.oid AND col_desc.objsubid=pg_attribute.attnum
             LEFT JOIN pg_description tbl_desc ON tbl_desc.objoid=pg_class.oid AND tbl_desc.objsubid=0
             WHERE attnum > 0 AND relkind IN ('r', 'v', 'm', 'f', 'p') AND relname='counts'
             UNION ALL
             SELECT pg_namespace.oid AS namespace_id, relname, NULL relpages, NULL attname, NULL type_name,
               NULL type_modifier, NULL ndim, NULL attnum, NULL AS notnull,
               pg_constraint.oid AS constraint_id, contype AS constraint_type,
               conkey AS constraint_key, NULL AS type_schema,
               NULL AS column_comment, NULL AS table_comment
             FROM pg_class
             JOIN pg_namespace ON relnamespace = pg_namespace.oid
             JOIN pg_constraint ON (pg_class.oid=pg_constraint.conrelid)
             WHERE relkind IN ('r', 'v', 'm', 'f', 'p') AND contype IN ('p', 'u') AND relname='counts'
             ORDER BY namespace_id, relname, attnum, constraint_id",
        ),
    )
    .await;
    let found = tables
        .iter()
        .filter(|row| ["attname", "segment_id", "car"].contains(&row[3].as_str()));
    let found: Vec<String> = found.map(|row| row.join("|")).collect();
    assert_eq!(
        found,
        [
            "namespace_id|relname|relpages|attname|type_name|type_modifier|ndim|attnum|notnull|constraint_id|\
             constraint_type|constraint_key|type_schema|column_comment|table_comment",
            "2200|counts|0|segment_id|int8|-1|0|1|true|-|-|-|pg_catalog|-|test",
            "2200|counts|0|car|float8|-1|0|3|false|-|-|-|pg_catalog|cars (1/h)|test",
        ]
    );
    for (sql, names) in [
        (
            "SELECT n.oid, enumtypid, typname, enumlabel FROM pg_enum e JOIN pg_type t ON e.enumtypid = t.oid
             JOIN pg_namespace AS n ON (typnamespace=n.oid) ORDER BY n.oid, enumtypid, enumsortorder",
            "oid|enumtypid|typname|enumlabel",
        ),
        (
            "SELECT n.oid, t.typrelid AS id, t.typname as type, pg_attribute.attname, sub_type.typname,
               sub_type_ns.nspname AS sub_type_schema
             FROM pg_type t
             JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
             JOIN pg_class ON pg_class.oid = t.typrelid
             JOIN pg_attribute ON attrelid=t.typrelid
             JOIN pg_type sub_type ON (pg_attribute.atttypid=sub_type.oid)
             JOIN pg_catalog.pg_namespace sub_type_ns ON sub_type_ns.oid = sub_type.typnamespace
             WHERE pg_class.relkind IN ('c', 'r', 'v', 'm', 'f', 'p') AND t.typtype='c'
               AND pg_attribute.attnum > 0 AND NOT pg_attribute.attisdropped
             ORDER BY n.oid, t.oid, attrelid, attnum",
            "oid|id|type|attname|typname|sub_type_schema",
        ),
        (
            "SELECT pg_namespace.oid, tablename, indexname FROM pg_indexes
             JOIN pg_namespace ON (schemaname=nspname) ORDER BY pg_namespace.oid",
            "oid|tablename|indexname",
        ),
    ] {
        check(&database, sql, &[names]).await;
    }
}

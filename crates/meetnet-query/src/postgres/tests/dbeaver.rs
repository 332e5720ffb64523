//! The questions of DBeaver, whose navigator asks for the number of a thing and then for all of it: `c.oid, c.*`.

use super::*;

/// Checks the names of the columns as far as they are given, and the number of rows; returns the rows.
async fn rows_of(database: &Database, sql: &str, names: &[&str], rows: usize) -> Vec<Vec<String>> {
    let mut found = table(database, request(sql)).await;
    let shown = found.remove(0);
    assert_eq!(shown[..names.len()], *names, "{sql}");
    assert_eq!(found.len(), rows, "{sql}");
    found
}

#[tokio::test]
async fn what_is_told_by_its_number_is_told_whole_beside_it() {
    let database = Database::new();
    check(
        &database,
        "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n
           LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass
         ORDER BY nspname",
        &[
            "oid|oid|nspname|nspowner|nspacl|description",
            "13000|13000|information_schema|10|-|-",
            "11|11|pg_catalog|10|-|-",
            "2200|2200|public|10|-|-",
        ],
    )
    .await;
    let databases = rows_of(
        &database,
        "SELECT db.oid,db.* FROM pg_catalog.pg_database db
         WHERE 1 = 1 AND datallowconn AND NOT datistemplate OR db.datname = 'meetnet' ORDER BY db.datname",
        &["oid", "oid", "datname"],
        1,
    )
    .await;
    assert_eq!(databases[0][..3], ["16383", "16383", "meetnet"]);
    let tables = rows_of(
        &database,
        "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
           pg_catalog.pg_get_partkeydef(c.oid) as partition_key
         FROM pg_catalog.pg_class c
           LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass
         WHERE c.relnamespace=2200 AND c.relkind not in ('i','I','c')",
        &["oid", "oid", "relname", "relkind"],
        6,
    )
    .await;
    let counts = oid(&database, "counts").await;
    let row = tables.iter().find(|row| row[2] == "counts");
    assert_eq!(row.expect("a dataset")[..2], [counts.clone(), counts]);
    let types = rows_of(
        &database,
        "SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description
         FROM pg_catalog.pg_type t
           LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem
           LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid
           LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid
         WHERE t.typname IS NOT NULL AND t.typname IN ('bool', 'timestamptz') AND (c.relkind IS NULL OR c.relkind = 'c')
           AND (et.typcategory IS NULL OR et.typcategory <> 'C')
         ORDER BY t.oid",
        &["oid", "oid", "typname"],
        2,
    )
    .await;
    assert_eq!(types[1][..3], ["1184", "1184", "timestamptz"]);
}

#[tokio::test]
async fn a_table_is_opened() {
    let database = Database::new();
    let columns = rows_of(
        &database,
        "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid
         FROM pg_catalog.pg_attribute a
           INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
           LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
           LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
           LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i'
             and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
         WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid='counts'::regclass
         ORDER BY a.attnum",
        &["relname", "attrelid", "attname"],
        13,
    )
    .await;
    assert_eq!(columns[2][2], "car");
    rows_of(
        &database,
        "SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description,
           case when c.contype='c' then \"substring\"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy
         FROM pg_catalog.pg_constraint c
           INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid
           LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid
           LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass
         WHERE c.conrelid='counts'::regclass ORDER BY c.oid",
        &["oid", "oid", "conname"],
        0,
    )
    .await;
    rows_of(
        &database,
        "SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description,
           pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,
           pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,
           pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,
           pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans
         FROM pg_catalog.pg_index i
           INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid
           INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid
           LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid
         WHERE i.indrelid='counts'::regclass ORDER BY tabrelname, c.relname",
        &["indexrelid", "indrelid"],
        0,
    )
    .await;
}

#[tokio::test]
async fn folders_beside_the_tables_are_opened() {
    let database = Database::new();
    rows_of(
        &database,
        "SELECT a.oid,a.*,pd.description FROM pg_catalog.pg_roles a
           left join pg_catalog.pg_shdescription pd on a.oid = pd.objoid
         ORDER BY a.rolname",
        &["oid", "oid", "rolname"],
        1,
    )
    .await;
    rows_of(
        &database,
        "SELECT t.oid,t.*,pg_catalog.pg_tablespace_location(t.oid) loc FROM pg_catalog.pg_tablespace t ORDER BY t.oid",
        &["oid", "oid", "spcname"],
        1,
    )
    .await;
    rows_of(
        &database,
        "SELECT p.oid as poid,p.*,pg_catalog.pg_get_expr(p.proargdefaults, 0) as arg_defaults,d.description
         FROM pg_catalog.pg_proc p
           LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=p.oid AND d.objsubid = 0
         WHERE p.pronamespace=2200 ORDER BY p.proname",
        &["poid", "oid", "proname"],
        meetnet_functions::descriptions().count(),
    )
    .await;
}

/// What people write: the columns that they look for first, then everything.
#[tokio::test]
async fn a_column_stands_beside_a_star_that_has_it_too() {
    let database = Database::new();
    let of_four = "WHERE segment_id = 4 ORDER BY time LIMIT 1";
    for (columns, names) in [
        ("car, *", ["car", "segment_id", "time", "car"]),
        ("c.time, c.*", ["time", "segment_id", "time", "car"]),
        ("time, c.*", ["time", "segment_id", "time", "car"]),
        ("car + 1, *", ["?column?", "segment_id", "time", "car"]),
    ] {
        let sql = format!("SELECT {columns} FROM counts AS c {of_four}");
        rows_of(&database, &sql, &names, 1).await;
    }
}

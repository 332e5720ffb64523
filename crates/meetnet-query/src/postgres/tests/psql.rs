//! The questions of psql.

use super::*;

#[tokio::test]
async fn psql_lists_tables_and_databases() {
    let database = Database::new();
    check(
        &database,
        r#"SELECT n.nspname as "Schema",
             c.relname as "Name",
             CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' END as "Type",
             pg_catalog.pg_get_userbyid(c.relowner) as "Owner"
           FROM pg_catalog.pg_class c
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
           WHERE c.relkind IN ('r','p','')
             AND n.nspname <> 'pg_catalog'
             AND n.nspname !~ '^pg_toast'
             AND n.nspname <> 'information_schema'
             AND pg_catalog.pg_table_is_visible(c.oid)
           ORDER BY 1,2"#,
        &[
            "Schema|Name|Type|Owner",
            "public|counts|table|meetnet",
            "public|revised|table|meetnet",
        ],
    )
    .await;
    check(
        &database,
        r#"SELECT d.datname as "Name",
             pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
             pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding",
             d.datcollate as "Collate",
             d.datctype as "Ctype",
             NULL as "ICU Locale",
             'libc' AS "Locale Provider",
             pg_catalog.array_to_string(d.datacl, E'\n') AS "Access privileges"
           FROM pg_catalog.pg_database d
           ORDER BY 1"#,
        &[
            "Name|Owner|Encoding|Collate|Ctype|ICU Locale|Locale Provider|Access privileges",
            "meetnet|meetnet|UTF8|C.UTF-8|C.UTF-8|-|libc|-",
        ],
    )
    .await;
}

#[tokio::test]
async fn psql_describes_a_table() {
    let database = Database::new();
    let oid = oid(&database, "counts").await;
    check(
        &database,
        r"SELECT c.oid, n.nspname, c.relname
          FROM pg_catalog.pg_class c
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relname OPERATOR(pg_catalog.~) '^(counts)$' COLLATE pg_catalog.default
            AND pg_catalog.pg_table_is_visible(c.oid)
          ORDER BY 2, 3",
        &["oid|nspname|relname", &format!("{oid}|public|counts")],
    )
    .await;
    check(
        &database,
        &format!(
            "SELECT c.relchecks, c.relkind, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity,
               c.relforcerowsecurity, false AS relhasoids, c.relispartition, '', c.reltablespace,
               CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END,
               c.relpersistence, c.relreplident, am.amname
             FROM pg_catalog.pg_class c
               LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid)
               LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid)
             WHERE c.oid = '{oid}'"
        ),
        &[
            "relchecks|relkind|relhasindex|relhasrules|relhastriggers|relrowsecurity|relforcerowsecurity|relhasoids|\
             relispartition|?column?|reltablespace|reloftype|relpersistence|relreplident|amname",
            "0|r|false|false|false|false|false|false|false||0||p|n|heap",
        ],
    )
    .await;
    let columns = format!(
        "SELECT a.attname,
           pg_catalog.format_type(a.atttypid, a.atttypmod),
           (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true)
            FROM pg_catalog.pg_attrdef d
            WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef),
           a.attnotnull,
           (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
            WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation,
           a.attidentity,
           a.attgenerated
         FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = '{oid}' AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attnum"
    );
    let found = table(&database, request(&columns)).await;
    let found: Vec<String> = found.iter().take(6).map(|row| row.join("|")).collect();
    assert_eq!(
        found,
        [
            "attname|format_type|pg_get_expr|attnotnull|attcollation|attidentity|attgenerated",
            "segment_id|bigint|-|true|-||",
            "time|timestamp with time zone|-|true|-||",
            "car|double precision|-|false|-||",
            "place|text|-|false|-||",
            "speed_hist|double precision[]|-|false|-||",
        ]
    );
    // Policies, statistics, publications, parents and children: there are none, whatever is asked of them.
    for (sql, names) in [
        (
            "SELECT pol.polname, pol.polpermissive,
               CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname
                 from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END,
               pg_catalog.pg_get_expr(pol.polqual, pol.polrelid)
             FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '1' ORDER BY 1",
            "polname|polpermissive|array_to_string|pg_get_expr",
        ),
        (
            "SELECT oid, stxrelid::pg_catalog.regclass, stxnamespace::pg_catalog.regnamespace::pg_catalog.text AS nsp,
               'd' = any(stxkind) AS ndist_enabled
             FROM pg_catalog.pg_statistic_ext WHERE stxrelid = '1' ORDER BY nsp",
            "oid|stxrelid|nsp|ndist_enabled",
        ),
        (
            "SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p
               JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid
             UNION SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p WHERE p.puballtables
             ORDER BY 1",
            "pubname|?column?|?column?",
        ),
        (
            "SELECT c.oid::pg_catalog.regclass, c.relkind, inhdetachpending,
               pg_catalog.pg_get_expr(c.relpartbound, c.oid)
             FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i
             WHERE c.oid = i.inhrelid AND i.inhparent = '1'
             ORDER BY pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'",
            "oid|relkind|inhdetachpending|pg_get_expr",
        ),
    ] {
        check(&database, sql, &[names]).await;
    }
}

/// `\drds`, `\dc`, `\ddp` and `\dconfig`: of what nobody has here there are empty lists.
#[tokio::test]
async fn psql_lists_what_there_is_nothing_of() {
    let database = Database::new();
    for (sql, names) in [
        (
            r#"SELECT rolname AS "Role", datname AS "Database",
                 pg_catalog.array_to_string(setconfig, E'\n') AS "Settings"
               FROM pg_catalog.pg_db_role_setting s
                 LEFT JOIN pg_catalog.pg_database d ON d.oid = setdatabase
                 LEFT JOIN pg_catalog.pg_roles r ON r.oid = setrole
               ORDER BY 1, 2"#,
            "Role|Database|Settings",
        ),
        (
            r#"SELECT n.nspname AS "Schema", c.conname AS "Name",
                 pg_catalog.pg_encoding_to_char(c.conforencoding) AS "Source",
                 pg_catalog.pg_encoding_to_char(c.contoencoding) AS "Destination",
                 CASE WHEN c.condefault THEN 'yes' ELSE 'no' END AS "Default?"
               FROM pg_catalog.pg_conversion c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
               WHERE true AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'
                 AND pg_catalog.pg_conversion_is_visible(c.oid)
               ORDER BY 1, 2"#,
            "Schema|Name|Source|Destination|Default?",
        ),
        (
            r#"SELECT pg_catalog.pg_get_userbyid(d.defaclrole) AS "Owner", n.nspname AS "Schema",
                 CASE d.defaclobjtype WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' END AS "Type",
                 pg_catalog.array_to_string(d.defaclacl, E'\n') AS "Access privileges"
               FROM pg_catalog.pg_default_acl d
                 LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
               ORDER BY 1, 2, 3"#,
            "Owner|Schema|Type|Access privileges",
        ),
        (
            r#"SELECT s.name AS "Parameter", pg_catalog.current_setting(s.name) AS "Value"
               FROM pg_catalog.pg_settings s
               WHERE s.source <> 'default' AND s.setting IS DISTINCT FROM s.boot_val
               ORDER BY 1"#,
            "Parameter|Value",
        ),
    ] {
        check(&database, sql, &[names]).await;
    }
    check(
        &database,
        r#"SELECT s.name AS "Parameter", pg_catalog.current_setting(s.name) AS "Value"
           FROM pg_catalog.pg_settings s
           WHERE pg_catalog.lower(s.name) OPERATOR(pg_catalog.~) '^(server_version.*)$' COLLATE pg_catalog.default
           ORDER BY 1"#,
        &["Parameter|Value", "server_version|14.0", "server_version_num|140000"],
    )
    .await;
}

/// `\dt+`, `\d+` and `\dd`: what declarations say stands where people look for it.
#[tokio::test]
async fn psql_tells_what_tables_and_columns_mean() {
    let database = Database::new();
    check(
        &database,
        r#"SELECT c.relname as "Name", pg_catalog.obj_description(c.oid, 'pg_class') as "Description"
           FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relname IN ('counts', 'counts_history', 'functions') ORDER BY 1"#,
        &[
            "Name|Description",
            "counts|test",
            "counts_history|test, every version of each row",
            "functions|-",
        ],
    )
    .await;
    let oid = oid(&database, "counts").await;
    check(
        &database,
        &format!(
            "SELECT a.attname, a.attstorage, pg_catalog.col_description(a.attrelid, a.attnum)
             FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = '{oid}' AND a.attnum IN (1, 3, 5, 6) AND NOT a.attisdropped ORDER BY a.attnum"
        ),
        &[
            "attname|attstorage|col_description",
            "segment_id|p|-",
            "car|p|cars (1/h)",
            "speed_hist|p|%",
            "quality|p|Quality (QARTOD): 1 pass, 2 not evaluated, 3 suspect, 4 fail, 9 missing.",
        ],
    )
    .await;
    // A private dataset does not exist here either.
    check(
        &database,
        "SELECT count(*) FROM pg_description d LEFT JOIN pg_class c ON c.oid = d.objoid
         WHERE c.oid IS NULL AND d.classoid = 'pg_class'::regclass",
        &["count", "0"],
    )
    .await;
    // Of rules, constraints and the like, which is what \dd lists.
    check(
        &database,
        r#"SELECT DISTINCT tt.name AS "Name", d.description AS "Description"
           FROM (
             SELECT pgc.oid as oid, pgc.tableoid AS tableoid, CAST(pgc.conname AS pg_catalog.text) as name
             FROM pg_catalog.pg_constraint pgc JOIN pg_catalog.pg_class c ON c.oid = pgc.conrelid
             UNION ALL
             SELECT opf.oid as oid, opf.tableoid as tableoid, CAST(opf.opfname AS pg_catalog.text) AS name
             FROM pg_catalog.pg_opfamily opf JOIN pg_catalog.pg_am am ON opf.opfmethod = am.oid
           ) AS tt JOIN pg_catalog.pg_description d
             ON (tt.oid = d.objoid AND tt.tableoid = d.classoid AND d.objsubid = 0)
           ORDER BY 1, 2"#,
        &["Name|Description"],
    )
    .await;
}

/// `\df`, `\dfn` and `\da`.
#[tokio::test]
async fn psql_lists_functions() {
    let database = Database::new();
    let functions = r#"SELECT n.nspname as "Schema", p.proname as "Name",
             pg_catalog.pg_get_function_result(p.oid) as "Result data type",
             pg_catalog.pg_get_function_arguments(p.oid) as "Argument data types",
             CASE p.prokind WHEN 'a' THEN 'agg' WHEN 'w' THEN 'window' WHEN 'p' THEN 'proc' ELSE 'func' END as "Type"
           FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"#;
    let names = "Schema|Name|Result data type|Argument data types|Type";
    let bucket =
        "public|time_bucket|timestamp with time zone|interval, time [, zone [, origin]]|func";
    let grid =
        "public|time_grid|table (time, time_end)|interval, from, to [, zone [, origin]]|func";
    let mean = "public|time_weighted_avg|double precision|value, time [, 'locf' | 'linear']|agg";
    check(
        &database,
        &format!(
            "{functions}
             WHERE p.proname OPERATOR(pg_catalog.~) '^(time_.*)$' COLLATE pg_catalog.default
               AND pg_catalog.pg_function_is_visible(p.oid)
             ORDER BY 1, 2, 4"
        ),
        &[names, bucket, grid, mean],
    )
    .await;
    check(
        &database,
        &format!(
            "{functions}
             WHERE p.prokind <> 'a' AND p.prokind <> 'p'
               AND p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype AND p.prokind <> 'w'
               AND p.proname OPERATOR(pg_catalog.~) '^(time_.*)$' COLLATE pg_catalog.default
               AND pg_catalog.pg_function_is_visible(p.oid)
             ORDER BY 1, 2, 4"
        ),
        &[names, bucket, grid],
    )
    .await;
    check(
        &database,
        r#"SELECT n.nspname as "Schema", p.proname AS "Name",
             pg_catalog.format_type(p.prorettype, NULL) AS "Result data type",
             CASE WHEN p.pronargs = 0 THEN CAST('*' AS pg_catalog.text)
               ELSE pg_catalog.pg_get_function_arguments(p.oid) END AS "Argument data types",
             pg_catalog.obj_description(p.oid, 'pg_proc') IS NOT NULL as "Description"
           FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
           WHERE p.prokind = 'a' AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'
             AND pg_catalog.pg_function_is_visible(p.oid)
           ORDER BY 1, 2, 4"#,
        &[
            "Schema|Name|Result data type|Argument data types|Description",
            "public|approx_percentile_cont|double precision|fraction [, centroids]|true",
            "public|coverage|double precision|time, interval, from, to|true",
            "public|first|anyelement|value, time|true",
            "public|last|anyelement|value, time|true",
            "public|median|double precision|value|true",
            "public|mode|anyelement|value|true",
            "public|percentile_cont|double precision|fraction|true",
            "public|percentile_disc|anyelement|fraction|true",
            "public|time_weighted_avg|double precision|value, time [, 'locf' | 'linear']|true",
        ],
    )
    .await;
    // With `+`: nobody has a language, a source or privileges here.
    check(
        &database,
        r#"SELECT p.proname,
             CASE WHEN p.provolatile = 'i' THEN 'immutable' WHEN p.provolatile = 's' THEN 'stable' END as "Volatility",
             pg_catalog.pg_get_userbyid(p.proowner) as "Owner",
             CASE WHEN prosecdef THEN 'definer' ELSE 'invoker' END AS "Security",
             pg_catalog.array_to_string(p.proacl, E'\n') AS "Access privileges",
             l.lanname as "Language",
             COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) as "Source code"
           FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_language l ON l.oid = p.prolang
           WHERE p.proname = 'locf'"#,
        &[
            "proname|Volatility|Owner|Security|Access privileges|Language|Source code",
            "locf|immutable|meetnet|invoker|-|-|-",
        ],
    )
    .await;
}

/// With `+`, and of privileges and types: functions and operators of PostgreSQL's, over what nobody has here.
#[tokio::test]
async fn psql_describes_more() {
    let database = Database::new();
    let oid = oid(&database, "counts").await;
    check(
        &database,
        &format!(
            "SELECT c.relkind, pg_catalog.array_to_string(c.reloptions ||
               array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', '), am.amname
             FROM pg_catalog.pg_class c
               LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid)
               LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid)
             WHERE c.oid = '{oid}'"
        ),
        &["relkind|array_to_string|amname", "r|-|heap"],
    )
    .await;
    check(
        &database,
        r#"SELECT n.nspname AS "Name", pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner",
             pg_catalog.array_to_string(n.nspacl, E'\n') AS "Access privileges",
             pg_catalog.obj_description(n.oid, 'pg_namespace') AS "Description"
           FROM pg_catalog.pg_namespace n
           WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           ORDER BY 1"#,
        &[
            "Name|Owner|Access privileges|Description",
            "public|meetnet|-|-",
        ],
    )
    .await;
    check(
        &database,
        r#"SELECT c.relname as "Name",
             pg_catalog.array_to_string(c.relacl, E'\n') AS "Access privileges",
             pg_catalog.array_to_string(ARRAY(
               SELECT attname || E':\n  ' || pg_catalog.array_to_string(attacl, E'\n  ')
               FROM pg_catalog.pg_attribute a
               WHERE attrelid = c.oid AND NOT attisdropped AND attacl IS NOT NULL
             ), E'\n') AS "Column privileges",
             pg_catalog.array_to_string(ARRAY(
               SELECT polname || CASE WHEN NOT polpermissive THEN E' (RESTRICTIVE)' ELSE '' END
               FROM pg_catalog.pg_policy pol
               WHERE polrelid = c.oid), E'\n') AS "Policies"
           FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r','p') AND n.nspname !~ '^pg_' AND pg_catalog.pg_table_is_visible(c.oid)
           ORDER BY 1"#,
        &[
            "Name|Access privileges|Column privileges|Policies",
            "counts|-|-|-",
            "revised|-|-|-",
        ],
    )
    .await;
    check(
        &database,
        r#"SELECT n.nspname as "Schema", pg_catalog.format_type(t.oid, NULL) AS "Name"
           FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
           WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid))
             AND NOT EXISTS(SELECT 1 FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid)
             AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'
             AND pg_catalog.pg_type_is_visible(t.oid)
           ORDER BY 1, 2"#,
        &["Schema|Name"],
    )
    .await;
}

/// Lists of what there is none of here.
#[tokio::test]
async fn psql_lists_nothing_where_nothing_is() {
    let database = Database::new();
    for (sql, names) in [
        (
            r#"SELECT n.nspname as "Schema", c.cfgname as "Name",
                 pg_catalog.obj_description(c.oid, 'pg_ts_config') as "Description"
               FROM pg_catalog.pg_ts_config c
                 LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace
               WHERE pg_catalog.pg_ts_config_is_visible(c.oid)
               ORDER BY 1, 2"#,
            "Schema|Name|Description",
        ),
        (
            r#"SELECT n.nspname as "Schema", p.prsname as "Name",
                 pg_catalog.obj_description(p.oid, 'pg_ts_parser') as "Description"
               FROM pg_catalog.pg_ts_parser p
                 LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.prsnamespace
               WHERE pg_catalog.pg_ts_parser_is_visible(p.oid)
               ORDER BY 1, 2"#,
            "Schema|Name|Description",
        ),
        (
            r#"SELECT oid as "ID", pg_catalog.pg_get_userbyid(lomowner) as "Owner",
                 pg_catalog.obj_description(oid, 'pg_largeobject') as "Description"
               FROM pg_catalog.pg_largeobject_metadata ORDER BY oid"#,
            "ID|Owner|Description",
        ),
        (
            r#"SELECT um.srvname AS "Server", um.usename AS "User name"
               FROM pg_catalog.pg_user_mappings um ORDER BY 1, 2"#,
            "Server|User name",
        ),
    ] {
        check(&database, sql, &[names]).await;
    }
    let sql = "SELECT 'time_bucket'::pg_catalog.regproc::pg_catalog.oid";
    let refused = database.answer(request(sql)).await.expect_err(sql);
    assert_eq!(refused.kind, QueryErrorKind::BadRequest);
    assert!(refused.message.contains("FROM functions"), "{refused}");
    check(
        &database,
        "SELECT '17'::pg_catalog.oid AS number",
        &["number", "17"],
    )
    .await;
}

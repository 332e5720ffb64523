//! The questions of drivers and BI tools.

use super::*;

#[tokio::test]
async fn sqlalchemy_reflects_tables() {
    let database = Database::new();
    check(
        &database,
        "SELECT pg_catalog.pg_class.relname
         FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace
           ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
         WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_class.relpersistence != 't'
           AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid)
           AND pg_catalog.pg_namespace.nspname != 'pg_catalog'
         ORDER BY pg_catalog.pg_class.relname",
        &["relname", "counts", "revised"],
    )
    .await;
    let found = table(
        &database,
        request(
            "SELECT pg_catalog.pg_attribute.attname AS name,
               pg_catalog.format_type(pg_catalog.pg_attribute.atttypid, pg_catalog.pg_attribute.atttypmod) AS format_type,
               (SELECT pg_catalog.pg_get_expr(pg_catalog.pg_attrdef.adbin, pg_catalog.pg_attrdef.adrelid) AS pg_get_expr_1
                FROM pg_catalog.pg_attrdef
                WHERE pg_catalog.pg_attrdef.adrelid = pg_catalog.pg_attribute.attrelid
                  AND pg_catalog.pg_attrdef.adnum = pg_catalog.pg_attribute.attnum) AS \"default\",
               pg_catalog.pg_attribute.attnotnull AS not_null,
               pg_catalog.pg_class.relname AS table_name,
               pg_catalog.pg_description.description AS comment,
               (SELECT json_build_object('always', pg_catalog.pg_attribute.attidentity = 'a') AS json_build_object_1
                FROM pg_catalog.pg_sequence
                WHERE pg_catalog.pg_attribute.attidentity != '') AS identity_options
             FROM pg_catalog.pg_class
               LEFT OUTER JOIN pg_catalog.pg_attribute
                 ON pg_catalog.pg_class.oid = pg_catalog.pg_attribute.attrelid
                 AND pg_catalog.pg_attribute.attnum > 0 AND NOT pg_catalog.pg_attribute.attisdropped
               LEFT OUTER JOIN pg_catalog.pg_description
                 ON pg_catalog.pg_description.objoid = pg_catalog.pg_attribute.attrelid
                 AND pg_catalog.pg_description.objsubid = pg_catalog.pg_attribute.attnum
             WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'v']) AND pg_catalog.pg_class.relname IN ('counts')
             ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_attribute.attnum",
        ),
    )
    .await;
    assert_eq!(
        found[1],
        ["segment_id", "bigint", "-", "true", "counts", "-", "-"]
    );
    check(
        &database,
        "SELECT pg_catalog.pg_type.typname AS name, lbl_agg.labels AS labels
         FROM pg_catalog.pg_type LEFT OUTER JOIN (
           SELECT pg_catalog.pg_enum.enumtypid AS enumtypid, array_agg(pg_catalog.pg_enum.enumlabel) AS labels
           FROM pg_catalog.pg_enum GROUP BY pg_catalog.pg_enum.enumtypid
         ) AS lbl_agg ON pg_catalog.pg_type.oid = lbl_agg.enumtypid
         WHERE pg_catalog.pg_type.typtype = 'e' ORDER BY name",
        &["name|labels"],
    )
    .await;
}

/// SQLAlchemy 2.1 asks so where views are reflected, too.
#[tokio::test]
async fn sqlalchemy_looks_for_domains() {
    check(
        &Database::new(),
        "SELECT pg_catalog.pg_type.typname AS name,
           CASE WHEN (pg_catalog.pg_collation.oid IS NULL) THEN NULL
             WHEN pg_catalog.pg_collation_is_visible(pg_catalog.pg_collation.oid) THEN NULL
             ELSE collation_namespace.nspname END AS collation_schema
         FROM pg_catalog.pg_type
           LEFT OUTER JOIN pg_catalog.pg_collation ON pg_catalog.pg_type.typcollation = pg_catalog.pg_collation.oid
           LEFT OUTER JOIN pg_catalog.pg_namespace AS collation_namespace
             ON collation_namespace.oid = pg_catalog.pg_collation.collnamespace
         WHERE pg_catalog.pg_type.typtype = 'd'",
        &["name|collation_schema"],
    )
    .await;
}

/// The driver of ADBC for PostgreSQL asks so in `adbc_get_objects`: everything comes of constraints, through names in WITH.
#[tokio::test]
async fn adbc_looks_for_keys() {
    let database = Database::new();
    check(
        &database,
        "WITH fk_unnest AS (
           SELECT con.conname, UNNEST(con.conkey) AS conkey, UNNEST(con.confkey) AS confkey
           FROM pg_catalog.pg_constraint AS con INNER JOIN pg_catalog.pg_class AS cls ON cls.oid = conrelid
           WHERE con.contype = 'f' AND cls.relname = 'counts'
         ), fkeys AS (
           SELECT fk_unnest.conname, ARRAY_AGG(attr.attname ORDER BY fk_unnest.conkey) AS colnames
           FROM fk_unnest LEFT JOIN pg_catalog.pg_attribute AS attr ON attr.attnum = fk_unnest.confkey
           GROUP BY fk_unnest.conname
         ), other_constraints AS (
           SELECT con.conname, ARRAY_AGG(attr.attname) AS colnames
           FROM pg_catalog.pg_constraint AS con CROSS JOIN UNNEST(conkey) AS conkeys
             INNER JOIN pg_catalog.pg_attribute AS attr ON attr.attnum = conkeys
           GROUP BY conname
         )
         SELECT conname, colnames FROM fkeys UNION ALL SELECT conname, colnames FROM other_constraints",
        &["conname|colnames"],
    )
    .await;
    // An aggregate of what is empty has a row.
    check(
        &database,
        "WITH none AS (SELECT indexrelid FROM pg_catalog.pg_index) SELECT count(*) AS n FROM none",
        &["n", "0"],
    )
    .await;
}

/// SQLAlchemy 2.1 asks so for the names of schemas; over psycopg its texts are parameters.
#[tokio::test]
async fn sqlalchemy_escapes_patterns_with_a_slash() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    let database = Database::new();
    let schemas = |pattern: &str| {
        format!(
            "SELECT pg_catalog.pg_namespace.nspname FROM pg_catalog.pg_namespace
             WHERE pg_catalog.pg_namespace.nspname NOT LIKE {pattern} ESCAPE '/'
             ORDER BY pg_catalog.pg_namespace.nspname"
        )
    };
    let expected = ["nspname", "information_schema", "public"];
    check(&database, &schemas("'pg/_%'"), &expected).await;
    let found = table(
        &database,
        QueryRequest {
            parameters: positional([Arc::new(StringArray::from(vec!["pg/_%"])) as ArrayRef]),
            ..request(&schemas("$1::VARCHAR"))
        },
    );
    assert_eq!(found.await.concat(), expected);
    check(
        &database,
        r"SELECT 'pg_a' LIKE 'pg\_%' ESCAPE E'\\' AS same, 'pgxa' LIKE 'pg\_%' ESCAPE E'\\' AS other",
        &["same|other", "true|false"],
    )
    .await;
}

#[tokio::test]
async fn superset_writes_times_with_their_format() {
    let database = Database::new();
    check(
        &database,
        "SELECT count(*) AS n FROM counts WHERE segment_id = 1
           AND time >= TO_TIMESTAMP('2026-01-01 04:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
           AND time < TO_TIMESTAMP('2026-01-01 06:00:00', 'YYYY-MM-DD HH24:MI:SS')
           AND time >= TO_DATE('2026-01-01', 'YYYY-MM-DD')",
        &["n", "2"],
    )
    .await;
    let sql = "SELECT to_date('2026-W01', 'YYYY-\"W\"WW')";
    let error = database.answer(request(sql)).await.expect_err("no pattern");
    assert!(
        error
            .message
            .contains("`to_date`: there is no pattern `WW`"),
        "{error}"
    );
}

#[tokio::test]
async fn tableau_begins_weeks_with_sunday() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    let database = Database::new();
    check(
        &database,
        "SELECT (DATE_TRUNC('DAY', \"counts\".\"time\") + (-EXTRACT(DOW FROM \"counts\".\"time\") * INTERVAL '1 DAY')) AS \"twk\",
           COUNT(1) AS \"cnt\" FROM \"public\".\"counts\" \"counts\"
         WHERE segment_id = 1 AND \"counts\".\"time\" < (TIMESTAMP '2026-01-02 00:00:00.000') GROUP BY 1",
        &["twk|cnt", "2025-12-28T00:00:00Z|24"],
    )
    .await;
    // A number of days is often a parameter.
    let found = table(
        &database,
        QueryRequest {
            parameters: positional([Arc::new(Int64Array::from(vec![3])) as ArrayRef]),
            ..request("SELECT '2026-01-31T00:00:00Z'::timestamptz - $1 * INTERVAL '1 day' AS since")
        },
    );
    assert_eq!(found.await[1], ["2026-01-28T00:00:00Z"]);
}

#[tokio::test]
async fn jdbc_looks_types_up_along_the_search_path() {
    let database = Database::new();
    for (name, expected) in [("_int8", "true|b|_int8|1016"), ("int8", "false|b|int8|20")] {
        let sql = format!(
            "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid
             FROM pg_catalog.pg_type LEFT JOIN (
               select ns.oid as nspoid, ns.nspname, r.r from pg_namespace as ns
               join ( select s.r, (current_schemas(false))[s.r] as nspname
                      from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r
               using ( nspname ) ) as sp ON sp.nspoid = typnamespace
             WHERE typname = '{name}' ORDER BY sp.r, pg_type.oid DESC"
        );
        check(&database, &sql, &["is_array|typtype|typname|oid", expected]).await;
    }
    check(
        &database,
        "SELECT array_to_string(current_schemas(false), ',') AS named, array_to_string(current_schemas(true), ',') AS \"all\",
           pg_my_temp_schema() AS temporary",
        &["named|all|temporary", "public|pg_catalog,public|0"],
    )
    .await;
}

#[tokio::test]
async fn psycopg_asks_for_types_that_are_not_there() {
    let database = Database::new();
    let sql = "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter
               FROM pg_type t WHERE t.oid = to_regtype($1) ORDER BY t.oid";
    let described = database
        .service
        .describe(request(sql), vec![None])
        .await
        .expect("a description");
    // The place of a parameter stays, also where nothing reads it.
    assert_eq!(described.parameters.len(), 1);
    check(
        &database,
        &sql.replace("$1", "'hstore'"),
        &["name|oid|array_oid|regtype|delimiter"],
    )
    .await;
}

#[tokio::test]
async fn sqlalchemy_names_tables_by_parameters() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    let database = Database::new();
    for (name, expected) in [
        ("pg_catalog.pg_class", "1259".to_owned()),
        ("public.counts", oid(&database, "counts").await),
        // As ADBC writes one without a schema.
        ("\"counts\"", oid(&database, "counts").await),
        ("\"public\".\"counts\"", oid(&database, "counts").await),
        ("nothing", "-".to_owned()),
    ] {
        let found = table(
            &database,
            QueryRequest {
                parameters: positional([Arc::new(StringArray::from(vec![name])) as ArrayRef]),
                ..request("SELECT CAST($1 AS REGCLASS) AS oid")
            },
        );
        assert_eq!(found.await[1], [expected], "{name}");
    }
}

#[tokio::test]
async fn jdbc_lists_tables_and_keys() {
    let database = Database::new();
    check(
        &database,
        "SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME,
           CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema'
             WHEN true THEN 'SYSTEM TABLE'
             WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END
             ELSE NULL END AS TABLE_TYPE,
           d.description AS REMARKS
         FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c
           LEFT JOIN pg_catalog.pg_description d
             ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass)
         WHERE c.relnamespace = n.oid AND c.relname LIKE 'counts%'
         ORDER BY TABLE_TYPE, TABLE_SCHEM, TABLE_NAME",
        &[
            "table_cat|table_schem|table_name|table_type|remarks",
            "-|public|counts|TABLE|test",
            "-|public|counts_history|VIEW|test, every version of each row",
        ],
    )
    .await;
    check(
        &database,
        "SELECT result.TABLE_NAME, result.COLUMN_NAME, result.PK_NAME FROM (
           SELECT ct.relname AS TABLE_NAME, a.attname AS COLUMN_NAME, ci.relname AS PK_NAME,
             information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM
           FROM pg_catalog.pg_class ct
             JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
             JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
             JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
           WHERE ct.relname = 'counts' AND i.indisprimary
         ) result WHERE result.A_ATTNUM = (result.KEYS).x",
        &["table_name|column_name|pk_name"],
    )
    .await;
}

/// `DatabaseMetaData.getUDTs`.
#[tokio::test]
async fn jdbc_lists_types_of_users() {
    check(
        &Database::new(),
        "select null as type_cat, n.nspname as type_schem, t.typname as type_name, null as class_name,
           CASE WHEN t.typtype='c' then 2002 else 2001 end as data_type,
           pg_catalog.obj_description(t.oid, 'pg_type') as remarks,
           CASE WHEN t.typtype = 'd' then
             (select CASE when typname = 'int2' then 5 when typname = 'text' then 12 else 1111 end
              from pg_type where oid=t.typbasetype)
           else null end as base_type
         from pg_catalog.pg_type t, pg_catalog.pg_namespace n
         where t.typnamespace = n.oid and n.nspname != 'pg_catalog' and n.nspname != 'information_schema'",
        &["type_cat|type_schem|type_name|class_name|data_type|remarks|base_type"],
    )
    .await;
}

#[tokio::test]
async fn jdbc_asks_for_the_words_that_are_not_of_the_standard() {
    let database = Database::new();
    check(
        &database,
        "SELECT string_agg(word, ',') FROM pg_catalog.pg_get_keywords()
         WHERE word <> ALL ('{a,abs,select,where}'::text[]) AND word IN ('select', 'traffic', 'where', 'zone')",
        &["string_agg", "zone"],
    )
    .await;
    check(
        &database,
        "SELECT word, catcode, barelabel, catdesc, baredesc FROM pg_get_keywords() AS k
         WHERE k.word IN ('select', 'join', 'zone') ORDER BY 1",
        &[
            "word|catcode|barelabel|catdesc|baredesc",
            "join|R|true|reserved|can be bare label",
            "select|R|false|reserved|requires AS",
            "zone|U|true|unreserved|can be bare label",
        ],
    )
    .await;
}

#[tokio::test]
async fn dbeaver_builds_its_tree() {
    let database = Database::new();
    check(
        &database,
        "SELECT n.oid, n.nspname, d.description FROM pg_catalog.pg_namespace n
           LEFT OUTER JOIN pg_catalog.pg_description d
             ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass
         WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')
         ORDER BY nspname",
        &[
            "oid|nspname|description",
            "13000|information_schema|-",
            "11|pg_catalog|-",
            "2200|public|-",
        ],
    )
    .await;
    check(
        &database,
        "SELECT db.datname, pg_catalog.has_database_privilege(db.oid, 'CONNECT'),
           pg_catalog.has_database_privilege(db.oid, 'CREATE')
         FROM pg_catalog.pg_database db WHERE NOT datistemplate AND datallowconn ORDER BY db.datname",
        &["datname|has_database_privilege|has_database_privilege", "meetnet|true|false"],
    )
    .await;
    check(
        &database,
        "SELECT c.relname, c.relkind, pg_catalog.obj_description(c.oid, 'pg_class') AS description,
           pg_catalog.pg_total_relation_size(c.oid) AS size
         FROM pg_catalog.pg_class c WHERE c.relnamespace = 2200 AND c.relkind NOT IN ('i', 'I', 'c')
         ORDER BY c.relname LIMIT 2",
        &[
            "relname|relkind|description|size",
            "counts|r|test|0",
            "counts_history|v|test, every version of each row|0",
        ],
    )
    .await;
    check(
        &database,
        "SELECT string_agg(typname, ',' ORDER BY typname) FROM pg_catalog.pg_type WHERE typcategory = 'D'",
        &["string_agg", "date,time,timestamp,timestamptz"],
    )
    .await;
}

#[tokio::test]
async fn grafana_finds_tables_and_columns() {
    let database = Database::new();
    check(
        &database,
        "SELECT current_setting('server_version_num')::int/100 as version",
        &["version", "1400"],
    )
    .await;
    check(
        &database,
        "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'",
        &["extversion"],
    )
    .await;
    let in_path = "quote_ident(table_schema) IN (
        SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END
        FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
                             array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
             string_to_array(current_setting('search_path'),',') s)";
    check(
        &database,
        &format!(
            "SELECT CASE WHEN {in_path} THEN quote_ident(table_name)
               ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\"
             FROM information_schema.tables
             WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache')
               AND table_name NOT LIKE '%history'
             ORDER BY CASE WHEN {in_path} THEN 0 ELSE 1 END, 1"
        ),
        &["table", "counts", "functions", "properties", "revised"],
    )
    .await;
    check(
        &database,
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\"
         FROM information_schema.columns
         WHERE CASE WHEN array_length(parse_ident('public.counts'),1) = 2
             THEN quote_ident(table_schema) = (parse_ident('public.counts'))[1]
               AND quote_ident(table_name) = (parse_ident('public.counts'))[2]
             ELSE quote_ident(table_name) = 'counts' END
           AND ordinal_position < 3",
        &[
            "column|type",
            "segment_id|bigint",
            "time|timestamp with time zone",
        ],
    )
    .await;
}

/// A statement that only says the word, or asks something else of the setting, is no question of Grafana's.
#[tokio::test]
async fn what_a_user_says_of_the_search_path_stays_as_it_is() {
    let database = Database::new();
    for (sql, expected) in [
        (
            "SELECT count(*) AS found FROM counts WHERE segment_id = 4 AND place IN (SELECT 'segment-4' AS search_path FROM counts)",
            "1",
        ),
        (
            "SELECT count(*) AS found FROM counts WHERE place IN (SELECT place FROM counts AS search_path WHERE segment_id = 4)",
            "1",
        ),
        (
            "SELECT count(*) AS found FROM pg_settings WHERE name IN (SELECT name FROM pg_settings WHERE name = 'search_path')",
            "1",
        ),
        (
            "SELECT count(*) AS found FROM pg_settings WHERE name NOT IN (SELECT name FROM pg_settings WHERE name <> 'search_path')",
            "1",
        ),
    ] {
        check(&database, sql, &["found", expected]).await;
    }
    // Other schemas than those of the setting would be answered for it.
    let filtered = "SELECT 1 WHERE 'public' IN (SELECT s FROM string_to_array(current_setting('search_path'), ',') s WHERE false)";
    let answer = database.answer(request(filtered)).await;
    assert!(answer.is_err(), "there is no such table function");
}

#[tokio::test]
async fn metabase_syncs_its_fields() {
    let database = Database::new();
    check(
        &database,
        "SELECT c.column_name AS \"name\", c.udt_name AS \"database-type\", c.ordinal_position - 1 AS \"position\",
           c.table_schema AS \"table-schema\", c.table_name AS \"table-name\", pk.column_name IS NOT NULL AS \"pk?\"
         FROM information_schema.columns AS c
           LEFT JOIN (
             SELECT tc.table_schema, tc.table_name, kc.column_name
             FROM information_schema.table_constraints AS tc
               INNER JOIN information_schema.key_column_usage AS kc
                 ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema
             WHERE tc.constraint_type = 'PRIMARY KEY'
           ) AS pk ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name
             AND c.column_name = pk.column_name
         WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_name IN ('counts')
         ORDER BY 3 LIMIT 2",
        &[
            "name|database-type|position|table-schema|table-name|pk?",
            "segment_id|int8|0|public|counts|false",
            "time|timestamptz|1|public|counts|false",
        ],
    )
    .await;
    check(
        &database,
        "SELECT CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN FORMAT('%s', c.udt_name)
             ELSE FORMAT('\"%s\".\"%s\"', c.udt_schema, c.udt_name) END AS \"database-type\",
           FORMAT('100 %% of %I.%I', c.table_schema, c.column_name) AS named,
           COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID),
             c.ordinal_position) AS \"field-comment\"
         FROM information_schema.columns AS c
         WHERE c.table_name = 'counts' AND c.column_name IN ('segment_id', 'car') ORDER BY c.ordinal_position",
        &[
            "database-type|named|field-comment",
            "int8|100 % of public.segment_id|-",
            "float8|100 % of public.car|cars (1/h)",
        ],
    )
    .await;
}

#[tokio::test]
async fn qgis_looks_for_layers() {
    let database = Database::new();
    check(
        &database,
        "SELECT postgis_version()",
        &["postgis_version", "3.0 USE_GEOS=0 USE_PROJ=0 USE_STATS=0"],
    )
    .await;
    check(
        &database,
        "SELECT nspname, pg_get_userbyid(nspowner), pg_catalog.obj_description(oid) FROM pg_namespace
         WHERE nspname !~ '^pg_' AND nspname != 'information_schema' ORDER BY nspname",
        &["nspname|pg_get_userbyid|obj_description", "public|meetnet|-"],
    )
    .await;
    check(
        &database,
        "SELECT c.relname, n.nspname, a.attname, c.relkind,
           CASE WHEN t.typname IN ('geometry', 'geography') THEN t.typname ELSE b.typname END AS coltype,
           obj_description(c.oid)
         FROM pg_attribute a
         JOIN pg_class c ON c.oid = a.attrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_type t ON t.oid = a.atttypid
         LEFT JOIN pg_type b ON b.oid = t.typbasetype
         WHERE c.relkind IN ('v', 'r', 'm', 'p', 'f') AND has_schema_privilege(n.nspname, 'usage')
           AND (t.typname IN ('geometry', 'geography') OR b.typname IN ('geometry', 'geography'))",
        &["relname|nspname|attname|relkind|coltype|obj_description"],
    )
    .await;
    check(
        &database,
        "SELECT count(*) FROM pg_class WHERE relname IN ('geometry_columns', 'raster_columns')",
        &["count", "0"],
    )
    .await;
    check(
        &database,
        "SELECT pg_class.relname, pg_namespace.nspname, pg_class.relkind
         FROM pg_class, pg_namespace
         WHERE pg_namespace.oid = pg_class.relnamespace
           AND has_schema_privilege(pg_namespace.nspname, 'usage')
           AND has_table_privilege('\"' || pg_namespace.nspname || '\".\"' || pg_class.relname || '\"', 'select')
           AND pg_class.relkind IN ('v', 'r', 'm', 'p', 'f') AND pg_class.relname = 'revised'",
        &["relname|nspname|relkind", "revised|public|r"],
    )
    .await;
    check(
        &database,
        "SELECT attname, format_type(atttypid, atttypmod), pg_description.description
         FROM pg_attribute LEFT JOIN pg_description ON attrelid = objoid AND attnum = objsubid
         WHERE attrelid = '\"public\".\"counts\"'::regclass AND attnum IN (1, 3) ORDER BY attnum",
        &[
            "attname|format_type|description",
            "segment_id|bigint|-",
            "car|double precision|cars (1/h)",
        ],
    )
    .await;
    check(
        &database,
        "SELECT indexrelid FROM pg_index WHERE indrelid = '\"public\".\"counts\"'::regclass AND (indisprimary OR indisunique)",
        &["indexrelid"],
    )
    .await;
    check(
        &database,
        "SELECT pg_is_in_recovery()",
        &["pg_is_in_recovery", "false"],
    )
    .await;
}

/// As drizzle-kit asks which columns may be serial.
#[tokio::test]
async fn types_are_looked_for_in_lists_of_their_names() {
    let database = Database::new();
    for (condition, expected) in [
        ("= ANY ('{int,int8,int2}'::regtype[])", "segment_id"),
        (
            "= ANY ('{float,\"timestamp with time zone\"}'::regtype[])",
            "car",
        ),
        ("<> ALL ('{bigint}'::pg_catalog.regtype[])", "car"),
    ] {
        let sql = format!(
            "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             WHERE c.relname = 'counts' AND a.attname IN ('segment_id', 'car') AND a.atttypid {condition}"
        );
        check(&database, &sql, &["attname", expected]).await;
    }
    check(
        &database,
        "SELECT to_regtype('decimal') AS a, to_regtype('int') AS b, to_regtype('hstore') AS c",
        &["a|b|c", "1700|23|-"],
    )
    .await;
}

#[tokio::test]
async fn a_type_is_a_name_and_compares_as_a_number() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use crate::error::StatementFault;

    let database = Database::new();
    check(
        &database,
        "SELECT 'int4'::regtype AS a, 'int'::regtype::text AS b, ' pg_catalog.FLOAT8'::regtype AS c, 'varchar(3)'::regtype AS d,
                'int[]'::regtype AS e, '23'::regtype AS f, 23::regtype AS g, 0::regtype AS h, 99999::regtype::text AS i,
                array_to_string('{int4,\"timestamp with time zone\"}'::regtype[], '+') AS j",
        &[
            "a|b|c|d|e|f|g|h|i|j",
            "integer|integer|double precision|character varying|integer[]|integer|integer|-|99999|\
             integer+timestamp with time zone",
        ],
    )
    .await;
    check(
        &database,
        "SELECT 'int4'::regtype::oid AS a, 'int4'::regtype::bigint AS b, pg_typeof(1::int)::oid AS c,
                pg_typeof(now()) = 'timestamptz'::regtype AS d, pg_typeof(1) <> 'int4'::regtype AS e,
                pg_typeof(true)::regtype AS f, 23 = 'int4'::regtype AS g, 23 = '23'::regtype AS h",
        &["a|b|c|d|e|f|g|h", "23|23|23|true|true|boolean|true|true"],
    )
    .await;
    check(
        &database,
        "SELECT typname FROM pg_type WHERE oid = 'int4'::regtype OR ('bool'::regtype) = oid OR oid IN ('text'::regtype, 'int[]'::regtype, 0)
         ORDER BY typname",
        &["typname", "_int4", "bool", "int4", "text"],
    )
    .await;
    check(
        &database,
        "SELECT x::regtype::text AS a FROM (VALUES ('int4'), ('_text'), ('nosuch'), (NULL)) AS t(x)",
        &["a", "integer", "text[]", "nosuch", "-"],
    )
    .await;
    let asked = StringArray::from(vec![Some("int8")]);
    let found = table(
        &database,
        QueryRequest {
            parameters: positional([Arc::new(asked) as ArrayRef]),
            ..request("SELECT typname FROM pg_type WHERE oid = $1::regtype")
        },
    )
    .await;
    assert_eq!(found[1][0], "int8");
    let refused = database.answer(request("SELECT 'nosuch'::regtype")).await;
    let refused = refused.expect_err("no type");
    assert_eq!(refused.fault, Some(StatementFault::Type), "{refused}");
}

#[tokio::test]
async fn casts_that_postgresql_refuses_are_refused_of_its_clients() {
    use crate::error::StatementFault;

    let database = Database::new();
    for sql in [
        "SELECT true::float8",
        "SELECT (car > 1)::numeric FROM counts",
        "SELECT 1.5::boolean",
        "SELECT car::bool FROM counts",
    ] {
        let refused = database.answer(request(sql)).await.expect_err(sql);
        assert_eq!(refused.fault, Some(StatementFault::NoCast), "{refused}");
        // Elsewhere they are DuckDB's.
        let answer = database.answer(QueryRequest::public(sql)).await;
        if let Err(error) = answer {
            assert_eq!(error.fault, Some(StatementFault::Unsupported), "{error}");
        }
    }
    check(
        &database,
        "SELECT true::int AS a, 2::boolean AS b, true::text AS c",
        &["a|b|c", "1|true|true"],
    )
    .await;
}

/// What Rails and tools for migrations ask before they begin: nobody writes, so nobody holds a lock.
#[tokio::test]
async fn advisory_locks_are_free() {
    let database = Database::new();
    check(
        &database,
        "SELECT pg_try_advisory_lock(2345678901234), pg_try_advisory_lock(1, 2) AS pair, pg_advisory_unlock(2345678901234), \
         pg_try_advisory_xact_lock(7) AS within, pg_try_advisory_lock(NULL::bigint) AS unknown",
        &[
            "pg_try_advisory_lock|pair|pg_advisory_unlock|within|unknown",
            "true|true|true|true|-",
        ],
    )
    .await;
    // Those that are waited for, shared, or named by a text.
    check(
        &database,
        "SELECT pg_advisory_lock(1) AS a, pg_advisory_xact_lock(1, 2) AS b, pg_advisory_lock_shared(3) AS c,
                pg_advisory_xact_lock_shared(3) AS d, pg_try_advisory_lock_shared(3) AS e,
                pg_try_advisory_xact_lock_shared(3) AS f, pg_advisory_unlock_shared(3) AS g,
                pg_advisory_lock(NULL::bigint) AS h, pg_try_advisory_lock(hashtext('migrations')) AS i,
                pg_try_advisory_lock(1, hashtext(NULL)) AS j",
        &["a|b|c|d|e|f|g|h|i|j", "||||true|true|true|-|true|-"],
    )
    .await;
    for sql in [
        "SELECT pg_try_advisory_lock()",
        "SELECT pg_advisory_unlock(1, 2, 3)",
        "SELECT pg_advisory_lock()",
        "SELECT hashtext('x')",
    ] {
        let answer = database.service.query(request(sql)).await;
        assert!(answer.is_err(), "{sql}");
    }
}

/// What an asyncpg connection asks before it sends or reads a list; what it says of other kinds of types is left out.
#[tokio::test]
async fn asyncpg_asks_for_types() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, ListArray};
    use arrow::datatypes::Int64Type;

    let database = Database::new();
    let sql = "WITH RECURSIVE typeinfo_tree(
            oid, ns, name, kind, basetype, elemtype, elemdelim,
            range_subtype, attrtypoids, attrnames, depth)
        AS (
            SELECT ti.oid, ti.ns, ti.name, ti.kind, ti.basetype, ti.elemtype, ti.elemdelim, ti.range_subtype,
                ti.attrtypoids, ti.attrnames, 0
            FROM (SELECT t.oid AS oid, ns.nspname AS ns, t.typname AS name, t.typtype AS kind,
                    (CASE WHEN t.typtype = 'd' THEN
                        (WITH RECURSIVE typebases(oid, depth) AS (
                            SELECT t2.typbasetype AS oid, 0 AS depth FROM pg_type t2 WHERE t2.oid = t.oid
                            UNION ALL
                            SELECT t2.typbasetype AS oid, tb.depth + 1 AS depth FROM pg_type t2, typebases tb
                            WHERE tb.oid = t2.oid AND t2.typbasetype != 0
                        ) SELECT oid FROM typebases ORDER BY depth DESC LIMIT 1)
                    ELSE NULL END) AS basetype,
                    t.typelem AS elemtype, elem_t.typdelim AS elemdelim, range_t.rngsubtype AS range_subtype,
                    NULL AS attrtypoids, NULL AS attrnames
                FROM pg_catalog.pg_type AS t
                    INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace)
                    LEFT JOIN pg_type elem_t ON (t.typlen = -1 AND t.typelem != 0 AND t.typelem = elem_t.oid)
                    LEFT JOIN pg_range range_t ON (t.oid = range_t.rngtypid)
            ) AS ti
            WHERE ti.oid = any($1::oid[])
            UNION ALL
            SELECT ti.oid, ti.ns, ti.name, ti.kind, ti.basetype, ti.elemtype, ti.elemdelim, ti.range_subtype,
                ti.attrtypoids, ti.attrnames, tt.depth + 1
            FROM pg_type ti, typeinfo_tree tt
            WHERE (tt.elemtype IS NOT NULL AND ti.oid = tt.elemtype)
        )
        SELECT DISTINCT *, basetype::regtype::text AS basetype_name, elemtype::regtype::text AS elemtype_name,
            range_subtype::regtype::text AS range_subtype_name
        FROM typeinfo_tree ORDER BY depth DESC";
    let described = database.service.describe(request(sql), Vec::new()).await;
    let described = described.expect("a statement");
    let oids = PgType {
        scalar: PgScalar::Oid,
        is_array: true,
    };
    let parameters = described.parameters.iter().flatten();
    let parameters: Vec<PgType> = parameters.map(PgType::of_parameter).collect();
    assert_eq!(parameters, [oids]);

    let asked = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1022)])]);
    let found = table(
        &database,
        QueryRequest {
            parameters: positional([Arc::new(asked) as ArrayRef]),
            ..request(sql)
        },
    )
    .await;
    let shown: Vec<[&str; 6]> = found[1..]
        .iter()
        .map(|row| [0, 2, 3, 5, 10, 12].map(|column| row[column].as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ["701", "float8", "b", "0", "1", "-"],
            ["1022", "_float8", "b", "701", "0", "double precision"],
        ]
    );
    // Any other query that recurs is refused as it was.
    let other = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t";
    let error = database.answer(request(other)).await.expect_err(other);
    assert_eq!(error.kind, QueryErrorKind::BadRequest, "{error}");
}

/// SQLAlchemy lists keys so by pg8000, which does not say how many parameters there are, nor of which types.
#[tokio::test]
async fn what_is_not_planned_takes_its_parameters_all_the_same() {
    let database = Database::new();
    for (sql, expected) in [
        (
            "SELECT conname FROM pg_catalog.pg_constraint WHERE conrelid IN ($1, $2) AND contype = $3",
            3,
        ),
        (
            "SELECT relname FROM pg_class WHERE EXISTS (SELECT 1 FROM pg_index WHERE indrelid = $1)",
            1,
        ),
        ("SELECT relname FROM pg_class", 0),
    ] {
        let described = database.service.describe(request(sql), Vec::new()).await;
        let described = described.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        assert_eq!(described.parameters.len(), expected, "{sql}");
    }
}

#[tokio::test]
async fn drivers_ask_for_limits_types_and_quotes() {
    let database = Database::new();
    for (sql, expected) in [
        // JDBC, before it lists keys.
        (
            "SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'",
            &["setting", "32"][..],
        ),
        // psycopg's TypeInfo.fetch.
        (
            "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter \
             FROM pg_type t WHERE t.oid = to_regtype('geometry') ORDER BY t.oid",
            &[
                "name|oid|array_oid|regtype|delimiter",
                "geometry|16001|16002|geometry|,",
            ],
        ),
        (
            "SELECT to_regtype('double precision'), to_regtype('hstore') IS NULL, to_regtype(t.name) FROM (VALUES ('int8')) AS t(name)",
            &["to_regtype|?column?|to_regtype", "701|true|20"],
        ),
        // asyncpg puts values into a COPY so.
        (
            "SELECT quote_literal(1.5), quote_literal('it''s'), quote_literal(E'a\\\\b'), quote_literal(NULL)",
            &[
                "quote_literal|quote_literal|quote_literal|quote_literal",
                "'1.5'|'it''s'|E'a\\\\b'|-",
            ],
        ),
    ] {
        check(&database, sql, expected).await;
    }
}

/// Sequelize's `describeTable` finds the comments of columns through statistics of how tables are read.
#[tokio::test]
async fn sequelize_describes_a_table() {
    check(
        &Database::new(),
        "SELECT pk.constraint_type as \"Constraint\",c.column_name as \"Field\", c.is_nullable as \"Null\",
           (CASE WHEN c.udt_name = 'hstore' THEN c.udt_name ELSE c.data_type END)
             || (CASE WHEN c.character_maximum_length IS NOT NULL THEN '(' || c.character_maximum_length || ')' ELSE '' END) as \"Type\",
           (SELECT array_agg(e.enumlabel) FROM pg_catalog.pg_type t JOIN pg_catalog.pg_enum e ON t.oid=e.enumtypid
            WHERE t.typname=c.udt_name) AS \"special\",
           (SELECT pgd.description FROM pg_catalog.pg_statio_all_tables AS st
              INNER JOIN pg_catalog.pg_description pgd on (pgd.objoid=st.relid)
            WHERE c.ordinal_position=pgd.objsubid AND c.table_name=st.relname) AS \"Comment\"
         FROM information_schema.columns c LEFT JOIN (
           SELECT tc.table_schema, tc.table_name, cu.column_name, tc.constraint_type
           FROM information_schema.TABLE_CONSTRAINTS tc JOIN information_schema.KEY_COLUMN_USAGE cu
             ON tc.table_schema=cu.table_schema and tc.table_name=cu.table_name
             and tc.constraint_name=cu.constraint_name and tc.constraint_type='PRIMARY KEY'
         ) pk ON pk.table_schema=c.table_schema AND pk.table_name=c.table_name AND pk.column_name=c.column_name
         WHERE c.table_name = 'counts' AND c.table_schema = 'public' AND c.column_name IN ('segment_id', 'car')
         ORDER BY c.ordinal_position",
        &[
            "Constraint|Field|Null|Type|special|Comment",
            "-|segment_id|NO|bigint|-|-",
            "-|car|YES|double precision|-|cars (1/h)",
        ],
    )
    .await;
}

/// DBD::Pg's `table_info` asks so; a description is of the table of the catalogue that its row is of.
#[tokio::test]
async fn dbd_pg_lists_tables() {
    check(
        &Database::new(),
        "SELECT pg_catalog.quote_ident(n.nspname) AS \"TABLE_SCHEM\", pg_catalog.quote_ident(c.relname) AS \"TABLE_NAME\",
           CASE WHEN pg_catalog.quote_ident(n.nspname) ~ '^pg_(toast_)?temp_' THEN 'LOCAL TEMPORARY'
             WHEN c.relkind ~ 'r|p' THEN
               CASE WHEN pg_catalog.quote_ident(n.nspname) ~ '^pg_' THEN 'SYSTEM TABLE' ELSE 'TABLE' END
             ELSE 'UNKNOWN' END AS \"TABLE_TYPE\",
           d.description AS \"REMARKS\", pg_catalog.quote_ident(t.spcname) AS \"pg_tablespace_name\",
           pg_catalog.quote_ident(pg_catalog.pg_tablespace_location(t.oid)) AS \"pg_tablespace_location\"
         FROM pg_catalog.pg_class AS c
         LEFT JOIN pg_catalog.pg_description AS d
           ON (c.oid = d.objoid AND c.tableoid = d.classoid AND d.objsubid = 0)
         LEFT JOIN pg_catalog.pg_namespace n ON (n.oid = c.relnamespace)
         LEFT JOIN pg_catalog.pg_tablespace t ON (t.oid = c.reltablespace)
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND NOT (pg_catalog.quote_ident(n.nspname) ~ '^pg_(toast_)?temp_'
             AND NOT pg_catalog.has_schema_privilege(n.nspname, 'USAGE'))
           AND n.nspname = 'public' AND c.relname = 'counts'
         ORDER BY \"TABLE_TYPE\", \"TABLE_SCHEM\", \"TABLE_NAME\"",
        &[
            "TABLE_SCHEM|TABLE_NAME|TABLE_TYPE|REMARKS|pg_tablespace_name|pg_tablespace_location",
            "public|counts|TABLE|test|-|-",
        ],
    )
    .await;
}

/// DBD::Pg's `column_info` compares what is true or false with a text, as PostgreSQL lets it.
#[tokio::test]
async fn dbd_pg_lists_columns() {
    let database = Database::new();
    check(
        &database,
        "SELECT pg_catalog.quote_ident(c.relname) AS \"TABLE_NAME\", pg_catalog.quote_ident(a.attname) AS \"COLUMN_NAME\",
           pg_catalog.format_type(a.atttypid, NULL) AS \"TYPE_NAME\", a.attlen AS \"COLUMN_SIZE\", NULL::text AS \"BUFFER_LENGTH\",
           CASE a.attnotnull WHEN 't' THEN 0 ELSE 1 END AS \"NULLABLE\",
           pg_catalog.col_description(a.attrelid, a.attnum) AS \"REMARKS\",
           pg_catalog.pg_get_expr(af.adbin, af.adrelid) AS \"COLUMN_DEF\",
           CASE a.attnotnull WHEN 't' THEN 'NO' ELSE 'YES' END AS \"IS_NULLABLE\", '?' AS \"pg_constraint\"
         FROM pg_catalog.pg_type t
           JOIN pg_catalog.pg_attribute a ON (t.oid = a.atttypid)
           JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
           LEFT JOIN pg_catalog.pg_attrdef af ON (a.attnum = af.adnum AND a.attrelid = af.adrelid)
           JOIN pg_catalog.pg_namespace n ON (n.oid = c.relnamespace)
         WHERE a.attnum >= 0 AND c.relkind IN ('r','p','v','m','f')
           AND n.nspname = 'public' AND c.relname = 'counts' AND a.attname IN ('segment_id', 'car')
         ORDER BY \"TABLE_NAME\", \"COLUMN_NAME\"",
        &[
            "TABLE_NAME|COLUMN_NAME|TYPE_NAME|COLUMN_SIZE|BUFFER_LENGTH|NULLABLE|REMARKS|COLUMN_DEF|IS_NULLABLE|pg_constraint",
            "counts|car|double precision|8|-|1|cars (1/h)|-|YES|?",
            "counts|segment_id|bigint|8|-|0|-|-|NO|?",
        ],
    )
    .await;
    for (condition, expected) in [
        ("attnotnull = 't'", "1"),
        ("attnotnull <> 'TRUE'", "0"),
        ("attisdropped = 'f'", "1"),
        ("attisdropped = 'on'", "0"),
    ] {
        let sql = format!(
            "SELECT count(*) AS n FROM pg_attribute WHERE attrelid = 'counts'::regclass AND attname = 'segment_id' AND {condition}"
        );
        check(&database, &sql, &["n", expected]).await;
    }
}

/// The gem `pg` of Ruby asks the first before it converts values, Npgsql part of the second.
#[tokio::test]
async fn types_are_joined_with_their_functions() {
    let database = Database::new();
    check(
        &database,
        "SELECT t.oid, t.typname, t.typelem, t.typdelim, ti.proname AS typinput
         FROM pg_type as t JOIN pg_proc as ti ON ti.oid = t.typinput
         WHERE t.typname IN ('bool', '_int8') ORDER BY t.typname",
        &[
            "oid|typname|typelem|typdelim|typinput",
            "1016|_int8|20|,|array_in",
            "16|bool|0|,|bool_in",
        ],
    )
    .await;
    check(
        &database,
        "SELECT typ.typname, CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS kind
         FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
           LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive
         WHERE typ.typname IN ('bool', '_int8') ORDER BY typ.typname",
        &["typname|kind", "_int8|a", "bool|b"],
    )
    .await;
    // What is joined otherwise are the functions for sensor data.
    check(
        &database,
        "SELECT count(p.proname) > 0 AS found FROM pg_namespace AS n JOIN pg_proc AS p ON p.pronamespace = n.oid",
        &["found", "true"],
    )
    .await;
}

/// Ibis writes `DATE(time)` for the day of a time, as many do by hand.
#[tokio::test]
async fn a_date_may_be_called() {
    let database = Database::new();
    check(
        &database,
        "SELECT date(time), other.day = date(time) AS same
         FROM counts CROSS JOIN (SELECT DATE '2026-01-01' AS day) AS other
         WHERE segment_id = 1 ORDER BY time LIMIT 1",
        &["date|same", "2026-01-01|true"],
    )
    .await;
    check(
        &database,
        "SELECT date('2026-01-31 12:00:00') + 1 AS next",
        &["next", "2026-02-01"],
    )
    .await;
}

/// Drizzle begins so when it looks for a schema.
#[tokio::test]
async fn there_are_no_sequences_and_policies() {
    let database = Database::new();
    check(
        &database,
        "select schemaname, sequencename, start_value, min_value, max_value, increment_by, cycle, cache_size from pg_sequences as seq \
         WHERE schemaname = 'public'",
        &["schemaname|sequencename|start_value|min_value|max_value|increment_by|cycle|cache_size"],
    )
    .await;
    check(
        &database,
        "SELECT schemaname, tablename, policyname AS name FROM pg_policies",
        &["schemaname|tablename|name"],
    )
    .await;
}

/// DBD::Pg's `statistics_info`, with fewer columns: what it says of indexes is written with functions that only PostgreSQL has.
#[tokio::test]
async fn dbd_pg_lists_a_table_without_indexes() {
    let database = Database::new();
    let sql = |table: &str, schema: &str, of_index: &str, index_schema: &str, unique: &str| {
        format!(
            "SELECT pg_catalog.current_database() AS \"TABLE_CAT\", n.nspname AS \"TABLE_SCHEM\", d.relname AS \"TABLE_NAME\",
               NULL AS \"NON_UNIQUE\", NULL AS \"INDEX_NAME\", 'table' AS \"TYPE\", NULL AS \"ORDINAL_POSITION\",
               d.relpages AS \"PAGES\", NULL AS \"pg_null_ordering\"
             FROM pg_catalog.pg_class d JOIN pg_catalog.pg_namespace n ON n.oid = d.relnamespace
             WHERE d.relname = {table} AND n.nspname = {schema}
             UNION ALL
             SELECT pg_catalog.current_database() AS \"TABLE_CAT\", n.nspname AS \"TABLE_SCHEM\", d.relname AS \"TABLE_NAME\",
               NOT(i.indisunique) AS \"NON_UNIQUE\", c.relname AS \"INDEX_NAME\",
               CASE WHEN i.indisclustered THEN 'clustered' WHEN a.amname = 'btree' THEN 'btree' ELSE 'other' END AS \"TYPE\",
               col.i AS \"ORDINAL_POSITION\", c.relpages AS \"PAGES\",
               CASE WHEN pg_catalog.pg_index_column_has_property(c.oid, col.i, 'nulls_first') THEN 'first' END AS \"pg_null_ordering\"
             FROM pg_catalog.pg_index i
               JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
               JOIN pg_catalog.pg_class d ON d.oid = i.indrelid
               JOIN pg_catalog.pg_am a ON a.oid = c.relam
               JOIN pg_catalog.pg_namespace n ON n.oid = d.relnamespace
               JOIN pg_catalog.generate_series(1, pg_catalog.current_setting('max_index_keys')::integer) col(i)
                 ON col.i <= i.indnatts
               LEFT JOIN pg_catalog.pg_attribute att ON att.attrelid = d.oid AND att.attnum = i.indkey[col.i - 1]
             WHERE d.relname = {of_index} AND n.nspname = {index_schema} AND (i.indisunique OR NOT({unique}))
             ORDER BY \"NON_UNIQUE\", \"TYPE\", \"INDEX_NAME\", \"ORDINAL_POSITION\""
        )
    };
    check(
        &database,
        &sql("'counts'", "'public'", "'counts'", "'public'", "false"),
        &[
            "TABLE_CAT|TABLE_SCHEM|TABLE_NAME|NON_UNIQUE|INDEX_NAME|TYPE|ORDINAL_POSITION|PAGES|pg_null_ordering",
            "meetnet|public|counts|-|-|table|-|0|-",
        ],
    )
    .await;
    // The parameters of what is left out are taken all the same.
    let asked = sql("$1", "$2", "$3", "$4", "$5");
    let described = database.service.describe(request(&asked), Vec::new()).await;
    let described = described.unwrap_or_else(|error| panic!("{asked}\n{error}"));
    assert_eq!(described.parameters.len(), 5);
    // What can be planned keeps the types of all its parts.
    check(
        &database,
        "SELECT pg_typeof(x) AS type FROM (SELECT NULL AS x UNION ALL SELECT indexrelid FROM pg_index) AS t",
        &["type", "bigint"],
    )
    .await;
}

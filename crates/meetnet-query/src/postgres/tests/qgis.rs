//! QGIS opens layers: what it asks of the catalogue, of a layer, and for its rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::dataset::DatasetDeclaration;
use serde_json::json;

use super::*;
use crate::fixture::{Lake, START, hot};

/// Three rows: two with a place, of which the second has another geometry where there are some, and one without.
const LONS: [Option<f64>; 3] = [Some(4.7), Some(4.35), None];
const LATS: [Option<f64>; 3] = [Some(50.88), Some(50.85), None];
const SHAPES: [Option<&str>; 3] = [
    Some("LINESTRING (4 50, 5 51)"),
    Some("POLYGON ((4 50, 4.2 50, 4.2 50.2, 4 50))"),
    Some("nonsense"),
];

/// A lake with `spots`, which have longitude and latitude, and `paths`, which have WKT as well.
fn placed() -> Database {
    let lake = Lake::new();
    for (id, has_shapes) in [("spots", false), ("paths", true)] {
        let texts = json!({ "nl": "proef", "en": "test", "fr": "essai" });
        let mut columns = vec![
            json!({ "name": "id", "type": "text", "required": true }),
            json!({ "name": "valid_from", "type": "timestamp", "required": true }),
            json!({ "name": "lon", "type": "float" }),
            json!({ "name": "lat", "type": "float" }),
        ];
        if has_shapes {
            columns.push(json!({ "name": "geometry", "type": "text" }));
        }
        let declaration: DatasetDeclaration = serde_json::from_value(json!({
            "id": id,
            "version": 1,
            "kind": "places",
            "grain": "year",
            "key": ["id", "valid_from"],
            "title": texts,
            "description": texts,
            "column": columns,
        }))
        .expect("a declaration");
        let rows = rows(&declaration);
        let declaration = Arc::new(declaration);
        lake.publish(TableSnapshot {
            hot: Arc::new(vec![hot(rows, None)]),
            ..lake.table(&declaration)
        });
    }
    Database::over(lake)
}

fn rows(declaration: &DatasetDeclaration) -> RecordBatch {
    let schema = declaration.row_schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let times = |time: Option<i64>| -> ArrayRef {
            let times = TimestampMicrosecondArray::from(vec![time; 3]);
            Arc::new(times.with_timezone("UTC"))
        };
        match (field.name().as_str(), field.data_type()) {
            ("id", _) => Arc::new(StringArray::from(vec!["a", "b", "c"])),
            ("lon", _) => Arc::new(Float64Array::from(LONS.to_vec())),
            ("lat", _) => Arc::new(Float64Array::from(LATS.to_vec())),
            ("geometry", _) => Arc::new(StringArray::from(SHAPES.to_vec())),
            ("licence", _) => Arc::new(StringArray::from(vec!["CC0-1.0"; 3])),
            ("valid_from" | "received_at", _) => times(Some(START)),
            (_, DataType::Timestamp(..)) => times(None),
            (_, DataType::Int8) => Arc::new(Int8Array::from(vec![1; 3])),
            (_, DataType::Int64) => Arc::new(Int64Array::from(vec![0; 3])),
            _ => Arc::new(StringArray::from(vec!["test"; 3])),
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).expect("rows in the SQL row schema")
}

/// QGIS from 3.22 on asks for all layers of all kinds at once.
#[tokio::test]
async fn layers_are_found_in_one_question() {
    let database = placed();
    let of_kind = |kind: u32, table: &str, column: &str, dimension: &str| {
        format!(
            "SELECT l.f_table_name,l.f_table_schema,l.{column},upper(l.type),l.srid,{dimension},c.relkind,\
               obj_description(c.oid),array_agg(a.attname ORDER BY a.attnum), \
               count(CASE WHEN t.typname IN ('geometry','geography','topogeometry','pcpatch','pcpoint','raster') \
                 THEN 1 ELSE NULL END) , {kind} \
             FROM {table} l,pg_class c,pg_namespace n,pg_attribute a,pg_type t \
             WHERE c.relname=l.f_table_name AND l.f_table_schema=n.nspname AND NOT a.attisdropped \
               AND a.attrelid=c.oid AND a.atttypid=t.oid AND a.attnum>0 AND n.oid=c.relnamespace \
               AND has_schema_privilege(n.nspname,'usage') AND has_table_privilege(c.oid,'select') \
             GROUP BY 1,2,3,4,5,6,7,c.oid,11"
        )
    };
    let sql = format!(
        "{} UNION {} ORDER BY 2,1,3",
        of_kind(
            0,
            "geometry_columns",
            "f_geometry_column",
            "l.coord_dimension"
        ),
        of_kind(1, "geography_columns", "f_geography_column", "2"),
    );
    let found = table(&database, request(&sql)).await;
    let told = |row: &[String]| [&row[..7], &row[9..]].concat().join("|");
    let rows: Vec<String> = found[1..].iter().map(|row| told(row)).collect();
    let expected = [
        "paths_layer|public|geom|GEOMETRY|4326|2|v|1|0",
        "spots_layer|public|geom|POINT|4326|2|v|1|0",
    ];
    assert_eq!(rows, expected);
    // One of its columns identifies a row: the first is what QGIS proposes.
    assert!(
        found[2][8]
            .trim_start_matches(['[', '{', '"'])
            .starts_with("fid")
    );
    // No column of geometries is left that was not named.
    check(
        &database,
        "SELECT c.relname,n.nspname,a.attname,c.relkind,
           CASE WHEN t.typname IN ('geometry','geography') THEN t.typname ELSE b.typname END AS coltype,obj_description(c.oid)
         FROM pg_attribute a JOIN pg_class c ON c.oid=a.attrelid JOIN pg_namespace n ON n.oid=c.relnamespace
         JOIN pg_type t ON t.oid=a.atttypid LEFT JOIN pg_type b ON b.oid=t.typbasetype
         WHERE c.relkind IN ('v','r','m','p','f') AND has_schema_privilege( n.nspname, 'usage' )
           AND has_table_privilege( c.oid, 'select' )
           AND (t.typname IN ('geometry','geography') OR b.typname IN ('geometry','geography'))
           AND NOT EXISTS (SELECT 1 FROM geometry_columns WHERE n.nspname=f_table_schema AND c.relname=f_table_name
             AND a.attname=f_geometry_column)
           AND NOT EXISTS (SELECT 1 FROM geography_columns WHERE n.nspname=f_table_schema AND c.relname=f_table_name
             AND a.attname=f_geography_column)",
        &["relname|nspname|attname|relkind|coltype|obj_description"],
    )
    .await;
}

#[tokio::test]
async fn qgis_opens_a_layer_of_points() {
    let database = placed();
    for (sql, expected) in [
        (
            "SELECT postgis_geos_version(),postgis_proj_version()",
            &["postgis_geos_version|postgis_proj_version", "-|-"][..],
        ),
        (
            "SELECT upper(type),srid,coord_dimension FROM geometry_columns WHERE f_table_name='spots_layer' \
             AND f_geometry_column='geom' AND f_table_schema='public'",
            &["upper|srid|coord_dimension", "POINT|4326|2"],
        ),
        (
            "SELECT auth_name,auth_srid,proj4text FROM spatial_ref_sys WHERE srid=4326",
            &[
                "auth_name|auth_srid|proj4text",
                "EPSG|4326|+proj=longlat +datum=WGS84 +no_defs",
            ],
        ),
        (
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = '\"public\".\"spots_layer\"'::regclass AND attname IN ('fid', 'lon', 'geom') ORDER BY attnum",
            &[
                "attname|format_type",
                "fid|bigint",
                "lon|double precision",
                "geom|geometry",
            ],
        ),
        (
            "SELECT relkind FROM pg_class WHERE oid = '\"public\".\"spots_layer\"'::regclass",
            &["relkind", "v"],
        ),
        (
            "SELECT count(distinct \"fid\")=count(\"fid\") FROM \"public\".\"spots_layer\"",
            &["?column?", "true"],
        ),
        (
            "SELECT ST_EstimatedExtent('public','spots_layer','geom')",
            &["st_estimatedextent", "-"],
        ),
        (
            "SELECT ST_Extent(\"geom\") FROM \"public\".\"spots_layer\"",
            &["st_extent", "BOX(4.35 50.85,4.7 50.88)"],
        ),
        (
            "SELECT st_extent(geom) FROM spots_layer WHERE id = 'c'",
            &["st_extent", "-"],
        ),
        (
            "SELECT encode(st_asbinary(\"geom\",'NDR'),'hex'),\"id\"::text,\"lon\"::text FROM \"public\".\"spots_layer\" \
             WHERE (\"geom\" && st_makeenvelope(4.6,50.8,4.8,50.9,4326))",
            &[
                "encode|id|lon",
                "0101000000cdcccccccccc1240713d0ad7a3704940|a|4.7",
            ],
        ),
        (
            "SELECT \"id\" FROM \"public\".\"spots_layer\" WHERE \"geom\" && st_makeenvelope(-180,-90,180,90,4326) \
             AND st_intersects(\"geom\",st_makeenvelope(4.3,50.8,4.4,50.9,4326))",
            &["id", "b"],
        ),
        (
            "SELECT id, st_x(geom), st_y(geom), st_astext(geom), st_asewkt(geom) FROM spots_layer ORDER BY id",
            &[
                "id|st_x|st_y|st_astext|st_asewkt",
                "a|4.7|50.88|POINT(4.7 50.88)|SRID=4326;POINT(4.7 50.88)",
                "b|4.35|50.85|POINT(4.35 50.85)|SRID=4326;POINT(4.35 50.85)",
                "c|-|-|-|-",
            ],
        ),
    ] {
        check(&database, sql, expected).await;
    }
    // The number of a row is its own: it is found by it.
    let numbers = table(
        &database,
        request("SELECT fid FROM spots_layer WHERE id = 'b'"),
    )
    .await;
    let sql = format!("SELECT id FROM spots_layer WHERE \"fid\"={}", numbers[1][0]);
    check(&database, &sql, &["id", "b"]).await;
}

#[tokio::test]
async fn qgis_opens_a_layer_of_many_kinds() {
    let database = placed();
    check(
        &database,
        "SELECT DISTINCT upper(geometrytype(\"geom\")),st_srid(\"geom\"),st_zmflag(\"geom\") \
         FROM \"public\".\"paths_layer\" ORDER BY 1 NULLS LAST",
        &[
            "upper|st_srid|st_zmflag",
            "LINESTRING|4326|0",
            "POLYGON|4326|0",
            "-|-|-",
        ],
    )
    .await;
    // As newer ones ask: all in one list.
    let sql = "SELECT array_agg(DISTINCT 4326::text || ':' || UPPER(geometrytype(\"geom\")) || ':' || ST_Zmflag(\"geom\")) \
               FROM (SELECT \"geom\" FROM \"public\".\"paths_layer\" LIMIT 100) AS _unused";
    let found = table(&database, request(sql)).await;
    assert!(found[1][0].contains("4326:LINESTRING:0"), "{found:?}");
    // The line goes past this box, within its own bounds.
    let inside = "st_makeenvelope(4.1,50.5,4.2,50.9,4326)";
    check(
        &database,
        &format!("SELECT id FROM paths_layer WHERE geom && {inside}"),
        &["id", "a"],
    )
    .await;
    check(
        &database,
        &format!(
            "SELECT id FROM paths_layer WHERE geom && {inside} AND st_intersects(geom, {inside})"
        ),
        &["id"],
    )
    .await;
}

/// `ogrinfo` and `ogr2ogr` with the driver of PostgreSQL.
#[tokio::test]
async fn gdal_lists_and_reads_layers() {
    let database = placed();
    let found = table(
        &database,
        request(
            "SELECT c.relname, n.nspname, c.relkind, a.attname, t.typname, postgis_typmod_dims(a.atttypmod) dim, \
               postgis_typmod_srid(a.atttypmod) srid, postgis_typmod_type(a.atttypmod)::text geomtyp, \
               array_agg(pg_get_constraintdef(s.oid))::text att_constraints, a.attnotnull, d.description \
             FROM pg_class c JOIN pg_attribute a ON a.attrelid=c.oid \
             JOIN pg_namespace n ON c.relnamespace = n.oid AND c.relkind in ('r','v','m','f') \
               AND NOT ( n.nspname = 'public' AND c.relname = 'raster_columns' ) \
             JOIN pg_type t ON a.atttypid = t.oid AND (t.typname = 'geometry'::name OR t.typname = 'geography'::name) \
             LEFT JOIN pg_constraint s ON s.connamespace = n.oid AND s.conrelid = c.oid AND a.attnum = ANY (s.conkey) \
               AND (pg_get_constraintdef(s.oid) LIKE '%geometrytype(% = %' OR pg_get_constraintdef(s.oid) LIKE '%ndims(% = %' \
               OR pg_get_constraintdef(s.oid) LIKE '%srid(% = %') \
             LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass::oid AND d.objsubid = 0 \
             GROUP BY c.relname, n.nspname, c.relkind, a.attname, t.typname, dim, srid, geomtyp, a.attnotnull, c.oid, a.attnum, \
               d.description ORDER BY c.oid, a.attnum",
        ),
    )
    .await;
    let mut layers: Vec<String> = found[1..].iter().map(|row| row[..8].join("|")).collect();
    layers.sort_unstable();
    assert_eq!(
        layers,
        [
            "paths_layer|public|v|geom|geometry|2|4326|Geometry",
            "spots_layer|public|v|geom|geometry|2|4326|Geometry",
        ]
    );
    let layer = oid(&database, "spots_layer").await;
    let columns = format!(
        "SELECT a.attname, t.typname, a.attlen,       format_type(a.atttypid,a.atttypmod), a.attnotnull, def.def, i.indisunique, \
           a.attgenerated FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
         LEFT JOIN (SELECT adrelid, adnum, pg_get_expr(adbin, adrelid) AS def FROM pg_attrdef) def \
           ON def.adrelid = a.attrelid AND def.adnum = a.attnum \
         LEFT JOIN (SELECT DISTINCT indrelid, indkey, indisunique FROM pg_index WHERE indisunique) i \
           ON i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indkey[1] IS NULL \
         WHERE a.attnum > 0 AND a.attrelid = {layer} ORDER BY a.attnum"
    );
    let found = table(&database, request(&columns)).await;
    assert_eq!(found[1][..4], ["fid", "int8", "8", "bigint"]);
    for (sql, expected) in [
        (
            "SELECT ST_Srid('POINT EMPTY'::GEOMETRY)",
            &["st_srid", "-"][..],
        ),
        // Without it, layers have no reference system there.
        (
            "SELECT 1 FROM information_schema.tables WHERE table_name = 'spatial_ref_sys' LIMIT 1",
            &["?column?", "1"],
        ),
        (
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'geometry_columns'",
            &["count", "0"],
        ),
        (
            "SELECT ST_SRID(\"geom\"::geometry) FROM (SELECT id, geom FROM spots_layer) AS ogrpggetsrid \
             WHERE (\"geom\" IS NOT NULL) LIMIT 1",
            &["st_srid", "4326"],
        ),
        (
            "SELECT count(*) FROM \"spots_layer\" WHERE \"geom\" && ST_SetSRID('BOX3D(4.59999999999999964 50.7999999999999972, \
             4.79999999999999982 50.8999999999999986)'::box3d,4326) ",
            &["count", "1"],
        ),
    ] {
        check(&database, sql, expected).await;
    }
    let error = database
        .answer(request(
            "SELECT count(*) FROM spots_layer WHERE geom && 'BOX3D(1 2)'::box3d",
        ))
        .await
        .expect_err("half a box");
    assert_eq!(error.kind, QueryErrorKind::BadRequest, "{error}");
}

#[tokio::test]
async fn layers_are_for_postgresql_alone_and_functions_take_geometries_alone() {
    let database = placed();
    let asked = database
        .answer(QueryRequest::public("SELECT * FROM spots_layer"))
        .await;
    let error = asked.expect_err("no such table");
    assert_eq!(error.kind, QueryErrorKind::NotFound, "{error}");
    for sql in [
        "SELECT st_buffer(geom, 1) FROM spots_layer",
        "SELECT st_asbinary(geom, 'XDR') FROM spots_layer",
        "SELECT st_makeenvelope(1, 2, 3, 4, 4326)",
        "SELECT st_intersects(geom, geom) FROM spots_layer",
        "SELECT 5::geometry",
    ] {
        let error = database.answer(request(sql)).await.expect_err(sql);
        assert_eq!(error.kind, QueryErrorKind::BadRequest, "{sql}: {error}");
    }
    // What is no geometry has none of its properties.
    check(
        &database,
        "SELECT st_astext(decode('00', 'hex')), geometrytype(decode('', 'hex'))",
        &["st_astext|geometrytype", "-|-"],
    )
    .await;
}

/// What servers of tiles and features ask, and what is drawn without a driver that knows geometries.
#[tokio::test]
async fn geometries_are_geojson_within_json() {
    let database = placed();
    for (sql, expected) in [
        (
            "SELECT id, ST_AsGeoJSON(geom) AS shape, ST_AsGeoJSON(geom, 1) AS rounded FROM spots_layer ORDER BY id",
            &[
                "id|shape|rounded",
                r#"a|{"type":"Point","coordinates":[4.7,50.88]}|{"type":"Point","coordinates":[4.7,50.9]}"#,
                r#"b|{"type":"Point","coordinates":[4.35,50.85]}|{"type":"Point","coordinates":[4.3,50.9]}"#,
                "c|-|-",
            ][..],
        ),
        (
            "SELECT json_build_object('type', 'FeatureCollection', 'features', json_agg(ST_AsGeoJSON(t.*)::json ORDER BY id)) AS j
             FROM (SELECT id, 1.5 AS x, geom FROM spots_layer WHERE id <> 'b') AS t",
            &[
                "j",
                r#"{"type" : "FeatureCollection", "features" : [{"type": "Feature", "geometry": {"type":"Point","coordinates":[4.7,50.88]}, "properties": {"id": "a", "x": 1.5}}, {"type": "Feature", "geometry": null, "properties": {"id": "c", "x": 1.5}}]}"#,
            ],
        ),
        // As PostGIS casts them.
        (
            "SELECT row_to_json(t) AS j, to_json(geom) AS shape FROM (SELECT id, geom FROM spots_layer WHERE id = 'a') AS t",
            &[
                "j|shape",
                r#"{"id":"a","geom":{"type":"Point","coordinates":[4.7,50.88]}}|{"type":"Point","coordinates":[4.7,50.88]}"#,
            ],
        ),
    ] {
        check(&database, sql, expected).await;
    }
    for sql in [
        "SELECT ST_AsGeoJSON(t.*) FROM (SELECT id FROM spots_layer) AS t",
        "SELECT ST_AsGeoJSON(id) FROM spots_layer",
        "SELECT ST_AsGeoJSON(geom, 'x') FROM spots_layer",
    ] {
        let described = database.service.describe(request(sql), vec![]).await;
        let refused = described.err().map(|error| error.kind);
        assert_eq!(refused, Some(QueryErrorKind::BadRequest), "{sql}");
    }
}

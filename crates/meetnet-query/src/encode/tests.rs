use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use futures::StreamExt;
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::LicenceId;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Format, encode, format_time};
use crate::error::QueryErrorKind;
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

async fn bytes(sql: &str, format: Format, row_limit: Option<usize>) -> Vec<u8> {
    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let request = QueryRequest {
        row_limit,
        ..QueryRequest::public(sql)
    };
    let answer = service
        .expect("a service")
        .query(request)
        .await
        .expect("an answer");
    let mut chunks = encode(answer, format);
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await {
        all.extend_from_slice(&chunk.expect("a chunk"));
    }
    all
}

async fn text(sql: &str, format: Format, row_limit: Option<usize>) -> String {
    String::from_utf8(bytes(sql, format, row_limit).await).expect("text")
}

/// A text such as `{a: 1, b: [1, 2]}` is none that a program can read.
#[tokio::test]
async fn structs_are_objects_in_json_and_texts_elsewhere() {
    const NESTED: &str = "SELECT named_struct('a', 1, 'b', [1, 617549809514446847], 'c', named_struct('d', 'x\"', 'e', NULL)) AS s, \
        [named_struct('a', 1.5)] AS l, CAST(1.5 AS decimal(10, 3)) AS n";
    let line = text(NESTED, Format::Ndjson, None).await;
    let cells =
        r#""s":{"a":1,"b":[1,"617549809514446847"],"c":{"d":"x\"","e":null}},"l":[{"a":1.5}]"#;
    assert!(line.contains(cells), "{line}");
    let json = text(NESTED, Format::Json, None).await;
    let kinds = [
        "struct<a int64, b list<int64>, c struct<d text, e null>>",
        "list<struct<a float64>>",
        "decimal(10,3)",
    ];
    for kind in kinds {
        assert!(json.contains(&format!("\"type\":\"{kind}\"")), "{json}");
    }
    let csv = text(
        "SELECT named_struct('a', 1, 'b', 2) AS s",
        Format::Csv,
        None,
    )
    .await;
    assert_eq!(csv, "s\r\n\"{a: 1, b: 2}\"\r\n");
    let none = "SELECT CASE WHEN n > 1 THEN named_struct('a', n) END AS s FROM (VALUES (1), (2)) AS t(n) ORDER BY n";
    let lines = text(none, Format::Ndjson, None).await;
    assert_eq!(lines, "{\"s\":null}\n{\"s\":{\"a\":2}}\n");
}

/// What a double cannot hold is a text wherever JSON is read, and a number elsewhere.
#[tokio::test]
async fn integers_that_readers_of_json_round_are_texts() {
    const WIDE: &str = "SELECT 9007199254740991 AS exact, -9007199254740992 AS beyond, 617549809514446847 AS cell, \
        18446744073709551615 AS widest, [1, 617549809514446847] AS cells, NULL AS none, 4.5 AS lon, 50.5 AS lat";
    let row = r#"9007199254740991,"-9007199254740992","617549809514446847","18446744073709551615",[1,"617549809514446847"],null"#;
    let json = text(WIDE, Format::Json, None).await;
    assert!(json.contains(row), "{json}");
    let members = r#""beyond":"-9007199254740992","cell":"617549809514446847","widest":"18446744073709551615","cells":[1,"617549809514446847"],"none":null"#;
    for format in [Format::Ndjson, Format::Geojson] {
        let answer = text(WIDE, format, None).await;
        assert!(answer.contains(members), "{answer}");
        assert!(answer.contains(r#""exact":9007199254740991,"#), "{answer}");
    }
    let csv = text(WIDE, Format::Csv, None).await;
    let row = "9007199254740991,-9007199254740992,617549809514446847,18446744073709551615,\"[1,617549809514446847]\",";
    assert!(csv.contains(row), "{csv}");
}

const CELLS: &str = "SELECT 1 AS i, 9007199254740993 AS big, 1.5 AS f, CAST('NaN' AS DOUBLE) AS nan, 'a\"b,\n' AS t, '' AS e, \
    NULL AS n, true AS b, [1, NULL] AS l, TIMESTAMP '2026-01-02T03:04:05Z' AS s, \
    TIMESTAMP '2026-01-02T03:04:05.25Z' AS u, DATE '1969-12-31' AS d, INTERVAL '1 day' AS v";

#[tokio::test]
async fn json_keeps_types() {
    let answer = text(CELLS, Format::Json, None).await;
    let value: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let row = serde_json::json!([[
        1,
        "9007199254740993",
        1.5,
        null,
        "a\"b,\n",
        "",
        null,
        true,
        [1, null],
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.250000Z",
        "1969-12-31",
        value["rows"][0][12],
    ]]);
    assert_eq!(value["rows"], row);
    assert_eq!(value["through"], 7);
    assert_eq!(value["stable_time"], "2026-02-11T16:00:00Z");
    assert_eq!(value["truncated"], false);
    let types: Vec<_> = value["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|c| c["type"].clone())
        .collect();
    let expect = [
        "int64",
        "int64",
        "float64",
        "float64",
        "text",
        "text",
        "null",
        "boolean",
        "list<int64>",
        "timestamp",
        "timestamp",
        "date",
        "interval",
    ];
    assert_eq!(types, expect);

    let cut = text(
        "SELECT car FROM counts WHERE segment_id = 2 ORDER BY time",
        Format::Json,
        Some(2),
    )
    .await;
    assert_eq!(
        cut,
        "{\"columns\":[{\"name\":\"car\",\"type\":\"float64\",\"unit\":\"1/h\"}],\"rows\":[\n[20.0],\n[20.0]\n],\
         \"row_count\":2,\"through\":7,\"stable_time\":\"2026-02-11T16:00:00Z\",\"truncated\":true,\
         \"licences\":[\"CC0-1.0\",\"ODbL-1.0\"]}\n"
    );
    let empty = text(
        "SELECT car FROM counts WHERE segment_id = 99",
        Format::Json,
        None,
    )
    .await;
    assert!(empty.contains("\"rows\":[\n],"), "{empty}");
}

#[tokio::test]
async fn text_formats_escape() {
    let line = text(
        "SELECT 1 AS \"a\"\"b\", 'x\"' AS t, NULL AS n",
        Format::Ndjson,
        None,
    )
    .await;
    assert_eq!(line, "{\"a\\\"b\":1,\"t\":\"x\\\"\",\"n\":null}\n");

    let csv = text(
        "SELECT 'a,\"b' AS \"x,y\", '' AS e, NULL AS n, [1, 2] AS l",
        Format::Csv,
        None,
    )
    .await;
    assert_eq!(csv, "\"x,y\",e,n,l\r\n\"a,\"\"b\",\"\",,\"[1,2]\"\r\n");

    let table = text(
        "SELECT segment_id, car, place FROM counts WHERE time = '2026-01-01' ORDER BY 1",
        Format::Table,
        Some(2),
    )
    .await;
    assert_eq!(
        table,
        " segment_id | car [1/h] | place\n\
         ------------+-----------+-----------\n\
         \u{20}         1 |      10.0 | segment-1\n\
         \u{20}         2 |      20.0 | segment-2\n\
         (2 rows, row limit reached; complete through 2026-02-11T16:00:00Z)\n\
         licence CC0-1.0, ODbL-1.0\n"
    );
    // A class has no unit, which UCUM writes `1`.
    let sql = "SELECT eaqi('pm2_5', 17.0) AS class, convert(68.0, '[degF]', 'Cel') AS warm";
    let table = text(sql, Format::Table, None).await;
    assert!(table.starts_with(" class | warm [Cel]\n"), "{table}");
    assert!(
        !text("SELECT chr(27) || '[2J' AS t", Format::Table, None)
            .await
            .contains('\u{1b}')
    );
}

#[tokio::test]
async fn an_answer_as_of_a_time_states_it() {
    let lake = fixture::lake();
    let service =
        QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot)).expect("a service");
    let bytes = async |format: Format| {
        let request = QueryRequest {
            as_of: Some(fixture::START + fixture::HOUR),
            ..QueryRequest::public("SELECT car FROM revised WHERE segment_id = 2")
        };
        let answer = service.query(request).await.expect("an answer");
        let chunks: Vec<_> = encode(answer, format).collect().await;
        chunks
            .into_iter()
            .flat_map(|chunk| chunk.expect("a chunk"))
            .collect::<Vec<u8>>()
    };
    let text = async |format: Format| String::from_utf8(bytes(format).await).expect("text");
    let json = text(Format::Json).await;
    let end = ",\"stable_time\":\"2026-02-11T16:00:00Z\",\"as_of\":\"2026-01-01T01:00:00Z\",\"truncated\":false,\
               \"licences\":[\"CC0-1.0\",\"ODbL-1.0\"]}\n";
    assert!(json.ends_with(end), "{json}");
    let table = text(Format::Table).await;
    let end = "(1 row as of 2026-01-01T01:00:00Z; complete through 2026-02-11T16:00:00Z)\n\
               licence CC0-1.0, ODbL-1.0\n";
    assert!(table.ends_with(end), "{table}");
    let parquet = bytes(Format::Parquet).await;
    let builder = ParquetRecordBatchReaderBuilder::try_new(::bytes::Bytes::from(parquet));
    let builder = builder.expect("a file");
    let facts = builder.metadata().file_metadata().key_value_metadata();
    let as_of = facts
        .into_iter()
        .flatten()
        .find(|fact| fact.key == "meetnet.as_of");
    let as_of = as_of.and_then(|fact| fact.value.as_deref());
    assert_eq!(as_of, Some("2026-01-01T01:00:00Z"));
}

#[tokio::test]
async fn an_answer_states_licences_and_whom_to_name() {
    let lake = fixture::lake();
    let table = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    let mut declaration = DatasetDeclaration::clone(&table.declaration);
    declaration.attribution = Some("Stad".to_owned());
    declaration.source_licences = BTreeMap::from([
        ("CC0-1.0".into(), vec!["Club \u{e9}".to_owned()]),
        ("CC-BY-4.0".into(), vec!["Not stored yet".to_owned()]),
    ]);
    lake.publish(TableSnapshot {
        declaration: Arc::new(declaration),
        ..TableSnapshot::clone(&table)
    });
    let service =
        QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot)).expect("a service");
    let bytes = async |sql: &str, licences: Option<&[&str]>, format: Format| {
        let request = QueryRequest {
            licences: licences.map(|ids| ids.iter().map(LicenceId::new).collect()),
            ..QueryRequest::public(sql)
        };
        let answer = service.query(request).await.expect("an answer");
        let chunks: Vec<_> = encode(answer, format).collect().await;
        chunks
            .into_iter()
            .flat_map(|chunk| chunk.expect("a chunk"))
            .collect::<Vec<u8>>()
    };
    let sql = "SELECT count(*) AS n FROM counts";
    for (sql, licences, rows, expect) in [
        (
            sql,
            None,
            611,
            serde_json::json!([
                ["CC-BY-4.0", "CC0-1.0", "ODbL-1.0"],
                ["Stad", "Not stored yet", "Club \u{e9}"]
            ]),
        ),
        (
            sql,
            Some(&["CC0-1.0"][..]),
            601,
            serde_json::json!([["CC0-1.0"], ["Stad", "Club \u{e9}"]]),
        ),
        (
            sql,
            Some(&["ODbL-1.0"][..]),
            10,
            serde_json::json!([["ODbL-1.0"], ["Stad"]]),
        ),
        (
            sql,
            Some(&["ODbL-1.0", "CC0-1.0"][..]),
            611,
            serde_json::json!([["CC0-1.0", "ODbL-1.0"], ["Stad", "Club \u{e9}"]]),
        ),
        ("SELECT 1 AS n", None, 1, serde_json::json!([null, null])),
    ] {
        let json = bytes(sql, licences, Format::Json).await;
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(json["rows"][0][0], rows, "{licences:?}");
        let stated = serde_json::json!([json["licences"], json["attributions"]]);
        assert_eq!(stated, expect, "{licences:?}");
    }
    let only: Option<&[&str]> = Some(&["CC0-1.0"]);
    let arrow = bytes(sql, only, Format::Arrow).await;
    let reader = StreamReader::try_new(arrow.as_slice(), None).expect("a stream");
    let schema = reader.schema();
    let stated = ["licence", "attribution"].map(|key| schema.metadata()[key].clone());
    assert_eq!(stated, ["CC0-1.0", "Stad; Club \u{e9}"]);
    let parquet = bytes(sql, only, Format::Parquet).await;
    let builder = ParquetRecordBatchReaderBuilder::try_new(::bytes::Bytes::from(parquet));
    let builder = builder.expect("a file");
    let facts = builder.metadata().file_metadata().key_value_metadata();
    let fact = |key: &str| {
        let mut facts = facts.into_iter().flatten();
        facts.find(|fact| fact.key == key)?.value.clone()
    };
    assert_eq!(fact("licence").as_deref(), Some("CC0-1.0"));
    assert_eq!(fact("attribution").as_deref(), Some("Stad; Club \u{e9}"));
}

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// Parquet's writer has none of these.
#[tokio::test]
async fn intervals_are_texts_in_parquet() {
    let sql = "SELECT i, [i, NULL] AS list, struct(i, 1) AS part, 2 AS n \
        FROM (VALUES (INTERVAL '1 month 2 days'), (NULL)) AS t(i)";
    let parquet = bytes(sql, Format::Parquet, None).await;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet)).expect("a file");
    let batches: Vec<RecordBatch> = builder
        .build()
        .expect("a reader")
        .collect::<Result<_, _>>()
        .expect("rows");
    let shown: Vec<Vec<Option<String>>> = batches
        .iter()
        .flat_map(|batch| fixture::shown(batch).expect("cells"))
        .collect();
    let texts: Vec<Option<&str>> = shown.iter().map(|row| row[0].as_deref()).collect();
    let lists: Vec<Option<&str>> = shown.iter().map(|row| row[1].as_deref()).collect();
    assert_eq!(texts, [Some("1 mons 2 days"), None]);
    assert_eq!(
        lists,
        [Some(r#"["1 mons 2 days",null]"#), Some("[null,null]")]
    );
    assert_eq!(shown[1][3].as_deref(), Some("2"));
}

#[tokio::test]
async fn arrow_and_parquet_read_back() {
    let sql = "SELECT a.* FROM counts a, generate_series(1, 300)";
    let arrow = bytes(sql, Format::Arrow, None).await;
    let reader = StreamReader::try_new(arrow.as_slice(), None).expect("a stream");
    let unit = reader.schema().field(2).metadata().get("unit").cloned();
    assert_eq!(unit.as_deref(), Some("1/h"));
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("batches");
    assert_eq!(rows(&batches), 611 * 300);

    let parquet = bytes(sql, Format::Parquet, None).await;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet)).expect("a file");
    let facts = builder
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .cloned()
        .unwrap_or_default();
    assert!(
        facts
            .iter()
            .any(|fact| fact.key == "meetnet.through" && fact.value.as_deref() == Some("7"))
    );
    let batches: Vec<RecordBatch> = builder
        .build()
        .expect("a reader")
        .collect::<Result<_, _>>()
        .expect("rows");
    assert_eq!(rows(&batches), 611 * 300);

    let none = bytes(
        "SELECT car FROM counts WHERE segment_id = 99",
        Format::Arrow,
        None,
    )
    .await;
    assert_eq!(
        StreamReader::try_new(none.as_slice(), None)
            .expect("a stream")
            .count(),
        0
    );
}

#[test]
fn times_are_rfc_3339() {
    for (microseconds, expect) in [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00Z"),
        (4_107_542_399_000_001, "2100-02-28T23:59:59.000001Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
    ] {
        assert_eq!(format_time(microseconds), expect);
    }
}

#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(format.as_str().parse::<Format>().expect("a name"), format);
    }
    assert!(
        "xml"
            .parse::<Format>()
            .expect_err("no format")
            .message
            .contains("json, ndjson")
    );
}

#[tokio::test]
async fn a_plan_is_shown_as_it_is() {
    let sql = "EXPLAIN SELECT car FROM counts WHERE car > 5 ORDER BY time";
    let plan = text(sql, Format::Table, None).await;
    assert!(plan.starts_with("logical_plan\n"), "{plan}");
    assert!(plan.contains("\nphysical_plan\n"), "{plan}");
    // Indented, one operator a line, and longer than a cell may be.
    assert!(plan.lines().any(|line| line.starts_with("  ")), "{plan}");
    assert!(plan.lines().any(|line| line.len() > 130), "{plan}");
    let one = text(
        "EXPLAIN FORMAT TREE SELECT car FROM counts",
        Format::Table,
        None,
    )
    .await;
    assert!(one.lines().count() > 3, "{one}");
}

#[tokio::test]
async fn geojson_is_a_feature_per_row() {
    let answer = text(
        "SELECT 7 AS n, 4.7 AS lon, t.* FROM (VALUES (50.5, 'LINESTRING(4 50,5 51)', 'a'), (50.25, NULL, 'b'), \
         (NULL, 'POINT(x)', NULL)) AS t(lat, geometry, name) ORDER BY name NULLS LAST",
        Format::Geojson,
        None,
    )
    .await;
    let json: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let feature = |geometry: serde_json::Value, name: Option<&str>| serde_json::json!({ "type": "Feature", "geometry": geometry, "properties": { "n": 7, "name": name } });
    let line =
        serde_json::json!({ "type": "LineString", "coordinates": [[4.0, 50.0], [5.0, 51.0]] });
    let point = serde_json::json!({ "type": "Point", "coordinates": [4.7, 50.25] });
    let features = [
        feature(line, Some("a")),
        feature(point, Some("b")),
        feature(serde_json::Value::Null, None),
    ];
    assert_eq!(json["features"], serde_json::json!(features));
    assert_eq!(json["type"], "FeatureCollection");
    assert_eq!(json["row_count"], 3);
    let empty = text(
        "SELECT car AS lon, car AS lat FROM counts WHERE segment_id = 99",
        Format::Geojson,
        None,
    );
    let json: serde_json::Value = serde_json::from_str(&empty.await).expect("JSON");
    assert_eq!(json["features"], serde_json::json!([]));

    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let answer = service
        .expect("a service")
        .query(QueryRequest::public("SELECT 1 AS lon, 'x' AS lat"))
        .await
        .expect("an answer");
    let first = encode(answer, Format::Geojson)
        .next()
        .await
        .expect("a chunk");
    let error = first.expect_err("no place");
    assert_eq!(error.kind, QueryErrorKind::BadRequest);
    assert!(error.message.contains("the answer has lon, lat"), "{error}");
}

#[tokio::test]
async fn a_cut_answer_never_looks_whole() {
    let lake = fixture::lake();
    let service =
        QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot)).expect("a service");
    for format in Format::ALL {
        let request = QueryRequest {
            row_limit: Some(2),
            ..QueryRequest::public("SELECT car AS lon, car AS lat FROM counts")
        };
        let answer = service.query(request).await.expect("an answer");
        let chunks: Vec<_> = encode(answer, format).collect().await;
        let failed = chunks
            .iter()
            .any(|chunk| matches!(chunk, Err(error) if error.kind == QueryErrorKind::TooLarge));
        assert_eq!(failed, !format.states_cut(), "{format:?}");
    }
}

/// What a writer holds until a row group is complete is memory: an answer of 400 columns has smaller ones. One of few columns
/// has them of 131,072 rows, though no two values are equal, and its columns have dictionaries.
#[tokio::test]
async fn wide_answers_have_small_row_groups() {
    for (columns, rows, is_cut) in [(400, 20_000, true), (5, 140_000, false)] {
        let values = (0..columns).map(|column| format!("value * 1.7 + {column} AS c{column}"));
        let values: Vec<String> = values.collect();
        let sql = format!(
            "SELECT {} FROM generate_series(1, {rows})",
            values.join(", ")
        );
        let parquet = bytes(&sql, Format::Parquet, None).await;
        let builder = ParquetRecordBatchReaderBuilder::try_new(::bytes::Bytes::from(parquet));
        let builder = builder.expect("a file");
        let groups = builder.metadata().row_groups();
        for group in groups {
            let bytes = group.total_byte_size();
            assert!(bytes < 48 << 20, "{columns} columns: {bytes} bytes");
            let has_dictionary = group.column(0).dictionary_page_offset().is_some();
            assert_eq!(has_dictionary, !is_cut, "{columns} columns");
        }
        let rows_of: Vec<i64> = groups.iter().map(|group| group.num_rows()).collect();
        assert_eq!(rows_of.iter().sum::<i64>(), rows, "{columns} columns");
        if is_cut {
            assert!(rows_of.len() > 1, "{columns} columns");
        } else {
            assert_eq!(rows_of, [131_072, rows - 131_072]);
        }
    }
}

/// One row of structs of many parts made a writer take gigabytes.
#[tokio::test]
async fn parquet_of_too_many_parts_is_refused() {
    let parts = (0..100).map(|part| format!("'p{part}', value"));
    let parts: Vec<String> = parts.collect();
    for (structs, is_written) in [(10, true), (50, false)] {
        let named = (0..structs).map(|column| format!("s AS s{column}"));
        let named: Vec<String> = named.collect();
        let sql = format!(
            "SELECT {} FROM (SELECT named_struct({}) AS s FROM generate_series(1, 3))",
            named.join(", "),
            parts.join(", ")
        );
        let lake = fixture::lake();
        let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
        let answer = service
            .expect("a service")
            .query(QueryRequest::public(sql))
            .await
            .expect("an answer");
        let first = encode(answer, Format::Parquet).next().await;
        match first.expect("a chunk") {
            Ok(_) => assert!(is_written, "{structs} structs"),
            Err(error) => {
                assert!(!is_written, "{structs} structs: {error}");
                assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error}");
                assert!(error.message.contains("5000 columns"), "{error}");
            }
        }
    }
}

use std::sync::Arc;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::schemas;

use crate::fixture::Lake;
use crate::options::{Dialect, QueryOptions, QueryRequest};
use crate::service::QueryService;

/// Answers over `air` and `heat` as they come with the program, without a row.
fn service(lake: &Lake) -> QueryService {
    let declarations = schemas::builtin().into_declarations([]);
    for id in ["air", "heat"] {
        let declaration = declarations.dataset(id).expect("a dataset");
        lake.publish(TableSnapshot {
            hot: Arc::new(Vec::new()),
            ..lake.table(declaration)
        });
    }
    let options = QueryOptions {
        declarations: Some(Arc::new(ArcSwap::from_pointee(declarations))),
        ..QueryOptions::default()
    };
    QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service")
}

#[tokio::test]
async fn who_asks_for_what_no_row_can_be_is_told() {
    let lake = Lake::new();
    let service = service(&lake);
    let pm25 = "`air` knows no property `pm25`; did you mean `pm2_5`? There are ";
    let heat = "`heat` knows no property `pm10`; there are ";
    for (sql, hints) in [
        (
            "SELECT count(*) FROM air WHERE property = 'pm25'",
            &[pm25][..],
        ),
        ("SELECT count(*) FROM air WHERE 'pm25' = property", &[pm25]),
        (
            "SELECT value FROM air AS a WHERE a.property IN ('pm10', 'pm25')",
            &[pm25],
        ),
        (
            "SELECT avg(value) FILTER (WHERE property = 'pm25') FROM air",
            &[pm25],
        ),
        (
            "SELECT CASE WHEN property = 'pm25' THEN value END FROM air",
            &[pm25],
        ),
        (
            "SELECT * FROM (SELECT property AS p, avg(value) FROM air GROUP BY property ORDER BY 1 LIMIT 9) AS x WHERE p = 'pm25'",
            &[pm25],
        ),
        (
            "WITH a AS (SELECT * FROM air_history) SELECT 1 FROM a WHERE property = 'pm25'",
            &[pm25],
        ),
        (
            "SELECT 1 FROM air AS a JOIN heat AS h ON a.time = h.time AND h.property = 'pm10' WHERE a.property = 'pm10'",
            &[heat],
        ),
        (
            "SELECT 1 FROM heat WHERE time IN (SELECT time FROM air WHERE property = 'pm25')",
            &[pm25],
        ),
        (
            "SELECT 1 FROM air WHERE quality = 5",
            &["`air` knows no quality `5`; there are 1, "],
        ),
        // Who may mean something else is not told.
        (
            "SELECT 1 FROM air WHERE property = 'pm10' AND quality = 1",
            &[],
        ),
        (
            "SELECT 1 FROM air WHERE property <> 'pm25' AND property NOT IN ('pm25')",
            &[],
        ),
        (
            "SELECT 1 FROM air WHERE property LIKE 'pm25%' OR sensor_id = 'pm25'",
            &[],
        ),
        ("SELECT 1 FROM air WHERE upper(property) = 'pm25'", &[]),
        (
            "SELECT 1 FROM (SELECT 'a' AS property FROM air) AS x WHERE property = 'pm25'",
            &[],
        ),
        (
            "SELECT 1 FROM (SELECT property FROM air UNION ALL SELECT 'pm25') AS x WHERE property = 'pm25'",
            &[],
        ),
        ("SELECT 1 FROM properties WHERE property = 'pm25'", &[]),
    ] {
        for dialect in [Dialect::Generic, Dialect::Postgres] {
            let request = QueryRequest {
                dialect,
                ..QueryRequest::public(sql)
            };
            let answer = service.query(request).await.expect(sql);
            let found = &answer.hints;
            let fit = found.len() == hints.len();
            let fit = fit
                && found
                    .iter()
                    .zip(hints)
                    .all(|(found, hint)| found.starts_with(hint));
            assert!(fit, "{sql}: {found:?}");
        }
    }
}

#[tokio::test]
async fn hints_are_few() {
    let lake = Lake::new();
    let service = service(&lake);
    let many: Vec<String> = (0..50)
        .map(|at| format!("'{at}{}'", "x".repeat(200)))
        .collect();
    let sql = format!("SELECT 1 FROM air WHERE property IN ({})", many.join(", "));
    let mut answer = service
        .query(QueryRequest::public(sql))
        .await
        .expect("an answer");
    assert_eq!(answer.hints.len(), super::HINTS_MAX);
    assert!(answer.hints.iter().all(|hint| hint.len() < 1_000));
    let batches: Vec<RecordBatch> = answer.collect().await.expect("rows");
    assert!(batches.is_empty());
}

//! Runs the SQL scripts of `tests/slt` against the fixture lake.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::error::QueryError;
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

/// One public session; every statement is a query of its own.
struct Database(QueryService);

#[async_trait]
impl AsyncDB for Database {
    type Error = QueryError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Self::ColumnType>, QueryError> {
        let mut answer = self.0.query(QueryRequest::public(sql)).await?;
        let types = vec![DefaultColumnType::Any; answer.schema.fields().len()];
        let mut rows = Vec::new();
        for batch in answer.collect().await? {
            for cells in fixture::shown(&batch)? {
                let texts = cells.into_iter().map(|cell| match cell {
                    None => "NULL".to_owned(),
                    Some(text) if text.is_empty() => "(empty)".to_owned(),
                    Some(text) => text,
                });
                rows.push(texts.collect());
            }
        }
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "meetnet"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts() {
    let lake = fixture::lake();
    // Small tables are read by one thread, others by several.
    let services = [QueryOptions::default().serial_rows_max, 0].map(|serial_rows_max| {
        let options = QueryOptions {
            serial_rows_max,
            ..QueryOptions::default()
        };
        QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service")
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let mut scripts: Vec<_> = std::fs::read_dir(folder)
        .expect("scripts")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    for script in scripts {
        for service in &services {
            let mut runner = Runner::new(|| async { Ok(Database(service.clone())) });
            if let Err(error) = runner.run_file_async(&script).await {
                panic!("{error}");
            }
        }
    }
}

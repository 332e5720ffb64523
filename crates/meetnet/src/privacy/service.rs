//! Searching what a service answers: pages, descriptions, a page of rows, and every text of every public table.
//!
//! Asking for all rows would take as long as downloading them. What a column says is asked for instead, each text once with
//! the number of its rows, of the newest values and of those that were replaced.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use meetnet_model::redact::{Allowed, Search};
use reqwest::{Client, Url};
use serde_json::Value;

use super::{Findings, content};
use crate::failure::Failure;
use crate::sql::{self, ServiceAccess};

/// Longest answer that is looked at.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Answers take as long as a query may.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);
/// Pages and answers that every service has.
const PATHS: [&str; 6] = [
    "/?lang=nl",
    "/?lang=en",
    "/?lang=fr",
    "/healthz",
    "/readyz",
    "/api/v1/datasets",
];

/// Searches the answers of a service.
///
/// # Errors
/// `Usage` where that is no URL, `Work` where nothing answers there; what fails later is noted and the rest is searched.
pub(super) async fn search(
    access: &ServiceAccess,
    allowed: &Allowed,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let url = access.url.as_str();
    let base = access.address("/")?;
    let client = sql::client(&base, access.key.as_ref())?;
    let mut service = Service {
        base,
        client,
        allowed,
        findings,
    };
    let list = service
        .fetch("/api/v1/datasets")
        .await
        .with_context(|| format!("no answer from {url}; does it run?"))
        .map_err(Failure::Work)?;
    for path in PATHS {
        service.search(path).await;
    }
    let datasets = serde_json::from_str::<Value>(&list.body)
        .with_context(|| format!("{url} answers with no list of datasets; is it a meetnet?"))
        .map_err(Failure::Work)?;
    let ids = datasets["datasets"].as_array().into_iter().flatten();
    for id in ids.filter_map(|dataset| dataset["id"].as_str()) {
        service.search_dataset(id).await;
    }
    Ok(())
}

struct Service<'a> {
    base: Url,
    client: Client,
    allowed: &'a Allowed,
    findings: &'a mut Findings,
}

struct Answer {
    media_type: String,
    body: String,
}

impl Service<'_> {
    async fn fetch(&self, path: &str) -> anyhow::Result<Answer> {
        let address = self.base.join(path).context("a path of the service")?;
        let request = self.client.get(address).timeout(ANSWER_TIME_MAX);
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        let media_type = response
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(reqwest::Error::without_url)?
        {
            ensure!(
                body.len() + chunk.len() <= ANSWER_BYTES_MAX,
                "the answer is longer than {ANSWER_BYTES_MAX} bytes"
            );
            body.extend_from_slice(&chunk);
        }
        // A service that is not ready says so with 503, and that is an answer like others.
        ensure!(
            status.is_success() || path == "/readyz",
            "answered with {status}"
        );
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { media_type, body })
    }

    /// Searches an answer; returns it.
    async fn search(&mut self, path: &str) -> Option<Answer> {
        let searched = self.fetch(path).await.and_then(|answer| {
            let leaks = content::search_answer(&answer.media_type, &answer.body, self.allowed)?;
            Ok((answer, leaks))
        });
        match searched {
            Ok((answer, leaks)) => {
                self.findings.answers += 1;
                self.findings.add(path, &leaks);
                Some(answer)
            }
            Err(error) => {
                self.findings.fail(path, &error);
                None
            }
        }
    }

    async fn search_dataset(&mut self, id: &str) {
        self.search(&format!("/api/v1/datasets/{id}/rows?limit=100"))
            .await;
        let Some(described) = self.search(&format!("/api/v1/datasets/{id}")).await else {
            return;
        };
        let columns = match columns_of(&described.body) {
            Ok(columns) => columns,
            Err(error) => return self.findings.fail(id, &error),
        };
        for column in columns {
            for table in [id.to_owned(), format!("{id}_history")] {
                self.search_column(&table, &column).await;
            }
        }
    }

    /// Searches all that a column says.
    async fn search_column(&mut self, table: &str, column: &str) {
        let place = format!("{table}.{column}");
        let statement =
            format!("SELECT \"{column}\" AS said, count(*) AS n FROM \"{table}\" GROUP BY 1");
        let path = Url::parse_with_params(
            "http://localhost/api/v1/sql",
            [("format", "ndjson"), ("q", statement.as_str())],
        )
        .map(|url| format!("{}?{}", url.path(), url.query().unwrap_or_default()));
        let answer = match path {
            Ok(path) => self.fetch(&path).await,
            Err(error) => Err(anyhow!(error)),
        };
        let searched = answer.and_then(|answer| {
            let mut search = Search::new(column, self.allowed);
            for line in answer.body.lines() {
                let row: Value = serde_json::from_str(line).context("the answer is no NDJSON")?;
                let rows = row["n"].as_u64().unwrap_or(1);
                match &row["said"] {
                    Value::String(text) => search.text_in(text, rows),
                    Value::Number(number) => {
                        search.text_in(&number.to_string(), rows);
                    }
                    _ => {}
                }
            }
            Ok(search.finish())
        });
        match searched {
            Ok(leaks) => {
                let leaks: Vec<_> = leaks
                    .into_iter()
                    .map(|leak| ("column".to_owned(), leak))
                    .collect();
                self.findings.answers += 1;
                self.findings.add(&place, &leaks);
            }
            Err(error) => self.findings.fail(&place, &error),
        }
    }
}

/// Returns the columns with texts or coordinates of a dataset, from its description.
fn columns_of(described: &str) -> anyhow::Result<Vec<String>> {
    let described: Value =
        serde_json::from_str(described).context("the description of the dataset is no JSON")?;
    let columns = ["columns", "common_columns"]
        .iter()
        .filter_map(|list| described[list].as_array())
        .flatten()
        .filter(|column| {
            let name = column["name"].as_str().unwrap_or_default();
            column["type"] == "text" || Search::new(name, &Allowed::default()).holds_coordinates()
        })
        .filter_map(|column| column["name"].as_str())
        .map(str::to_owned);
    Ok(columns.collect())
}

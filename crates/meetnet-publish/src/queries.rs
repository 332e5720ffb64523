//! `/api/v1/queries`: statements that the city has given names, so that a chart, a report or a script asks by an address
//! that stays while the statement behind it is mended. Their answers are those of `/api/v1/sql`.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde::Serialize;

use crate::client::OfClient;
use crate::datasets::pretty;
use crate::parameters::{InPath, only};
use crate::problem::{Problem, ProblemKind};
use crate::sql::{self, SqlParameters};
use crate::state::{PublishState, SavedQuery};

#[cfg(test)]
mod tests;

#[derive(Serialize)]
struct QueryList<'a> {
    queries: Vec<QueryDocument<'a>>,
}

/// One query. The order of the fields is the order in the answer.
#[derive(Serialize)]
struct QueryDocument<'a> {
    name: &'a str,
    title: &'a str,
    sql: &'a str,
    url: String,
}

/// Returns the path of a query.
fn path(query: &SavedQuery) -> String {
    format!("/api/v1/queries/{}", query.name)
}

/// Answers the list.
pub(crate) async fn list(
    State(state): State<PublishState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [] = only(query.as_deref(), [])?;
    let queries = state.settings.saved_queries.iter();
    let list = QueryList {
        queries: queries
            .map(|query| QueryDocument {
                name: &query.name,
                title: &query.title,
                sql: &query.sql,
                url: path(query),
            })
            .collect(),
    };
    pretty(&list, &headers)
}

/// Answers one query: `GET` and `HEAD`.
pub(crate) async fn one(
    OfClient(state): OfClient,
    InPath(name): InPath<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut queries = state.settings.saved_queries.iter();
    let saved = queries.find(|saved| saved.name == name).ok_or_else(|| {
        Problem::new(
            ProblemKind::NotFound,
            "there is no such query; /api/v1/queries lists those there are",
        )
    })?;
    let parameters = SqlParameters::from_form(query.unwrap_or_default().as_bytes())?;
    let head_only = method == Method::HEAD;
    sql::answer(&state, parameters, Some(saved), &headers, head_only).await
}

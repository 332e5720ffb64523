//! `/api/v1/openapi.json`: what the service answers, as OpenAPI 3.1, for tools that make clients and tests of it.
//!
//! ```text
//! openapi/operations.rs ─▶ document ─▶ /api/v1/openapi.json
//!                                  ─▶ schemas/openapi.json, which a test compares (MEETNET_UPDATE=1 writes it)
//! ```

mod operations;
mod schemas;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::extract::RawQuery;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use meetnet_query::Format;
use serde_json::{Map, Value, json};

use crate::negotiate::{Language, media_types};
use crate::parameters::only;
use crate::problem::{Problem, ProblemKind};
use crate::rows::RADIUS_MAX_M;

#[cfg(test)]
mod tests;

const DESCRIPTION: &str = "Pages of any site may read /api/v1 and /files (CORS). /api/v1 refuses parameters that are not \
     described. Errors are application/problem+json (RFC 9457). HEAD answers like GET, without content.";

/// One address and method.
struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answers: Answers,
    parameters: &'static [Parameter],
}

/// What an operation answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// Rows of a statement, in every format.
    Rows,
    /// A page of rows of a dataset, in every format.
    Page,
    /// One JSON document: the name of its schema.
    Json(&'static str),
    /// This document.
    Description,
    /// The catalogue of all datasets.
    Catalogue,
    /// What a type of problem means.
    Explanation,
    /// Text.
    Text,
    /// A Parquet file.
    File,
}

/// A parameter.
struct Parameter {
    name: &'static str,
    kind: Kind,
    description: &'static str,
    place: Place,
}

/// Where a parameter stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    /// In the query; it may be left out.
    Query,
    /// In the query; without it there is nothing to answer.
    NeededQuery,
    /// In a header; it may be left out.
    Header,
}

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// One SELECT.
    Statement,
    /// Of this form; and examples.
    Pattern(&'static str, &'static [&'static str]),
    /// Ids or IRIs, each a parameter of its own.
    Licences,
    /// Around a place.
    Metres,
    Integer,
    /// RFC 3339, or a day.
    Time,
    /// `1`, `0`, `true`, `false`
    Flag,
    /// `true`, `false`
    Bool,
    /// A name of a format.
    Format,
    /// `mark`
    Gaps,
    /// A language of the portal.
    Language,
    /// Any names, each a parameter of its own.
    Pairs,
    /// `param_NAME`, each a parameter of its own.
    Values,
    /// Bytes of a file.
    Range,
}

/// Leads who follows the address of the API in the catalogue to what describes it.
pub(crate) async fn root() -> Redirect {
    Redirect::temporary("/api/v1/openapi.json")
}

/// Answers the document.
pub(crate) async fn get(RawQuery(query): RawQuery) -> Result<Response, Problem> {
    static TEXT: OnceLock<String> = OnceLock::new();
    let [] = only(query.as_deref(), [])?;
    let text = TEXT.get_or_init(text);
    let headers = [
        (CONTENT_TYPE, "application/vnd.oai.openapi+json;version=3.1"),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, text.as_str()).into_response())
}

/// Returns the document as it is committed.
fn text() -> String {
    format!("{:#}\n", document())
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations::ALL {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method] = operation.document();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "meetnet",
            "version": "1",
            "summary": "Open sensor data: SQL, datasets, files.",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "responses": problems(), "schemas": schemas::all() },
    })
}

fn reference(of: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{of}/{name}") })
}

/// Returns the statuses of problems, each once, in order.
fn statuses() -> Vec<u16> {
    by_status().into_keys().collect()
}

/// Returns the types of problems.
fn types() -> Vec<String> {
    ProblemKind::ALL.map(ProblemKind::address).to_vec()
}

fn by_status() -> BTreeMap<u16, Vec<ProblemKind>> {
    let mut by_status: BTreeMap<u16, Vec<ProblemKind>> = BTreeMap::new();
    for kind in ProblemKind::ALL {
        by_status
            .entry(kind.status().as_u16())
            .or_default()
            .push(kind);
    }
    by_status
}

/// Returns the name of the response of all problems of a status.
fn problem_name(status: u16) -> String {
    format!("Problem{status}")
}

/// Returns a response for each status of problems.
fn problems() -> Value {
    let responses = by_status().into_iter().map(|(status, kinds)| {
        let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
        let types: Vec<String> = kinds.iter().map(|kind| kind.address()).collect();
        let is_this = json!({ "properties": {
            "status": { "const": status },
            "type": { "enum": types },
        } });
        let schema = json!({ "allOf": [reference("schemas", "Problem"), is_this] });
        let mut headers = vec![
            ("Access-Control-Allow-Origin", false),
            ("RateLimit", false),
            ("RateLimit-Policy", false),
        ];
        match status {
            401 => headers.push(("WWW-Authenticate", true)),
            416 => headers.push(("Content-Range", true)),
            429 | 503 => headers.push(("Retry-After", true)),
            _ => {}
        }
        let response = json!({
            "description": format!("{}.", titles.join(", or: ")),
            "headers": headers_document(&headers),
            "content": { "application/problem+json": { "schema": schema } },
        });
        (problem_name(status), response)
    });
    Value::Object(responses.collect())
}

/// Returns the description of headers by name; true: each such answer has it.
fn headers_document(headers: &[(&str, bool)]) -> Value {
    let headers = headers.iter().filter_map(|(name, is_required)| {
        let (description, schema) = schemas::header(name)?;
        let header =
            json!({ "description": description, "required": is_required, "schema": schema });
        Some(((*name).to_owned(), header))
    });
    Value::Object(headers.collect())
}

impl Operation {
    /// Pages of any site may use it, and it counts who asks.
    fn is_of_api(&self) -> bool {
        self.path.starts_with("/api/") || self.path.starts_with("/files/")
    }

    fn document(&self) -> Value {
        let parameters: Vec<Value> = self.parameters.iter().map(Parameter::document).collect();
        let content = self.answers.content();
        let headers = |of_answer: &[(&str, bool)]| {
            let of_api: &[(&str, bool)] = &[
                ("Access-Control-Allow-Origin", true),
                ("RateLimit", true),
                ("RateLimit-Policy", true),
            ];
            let of_api = if self.is_of_api() { of_api } else { &[] };
            headers_document(&[of_api, of_answer].concat())
        };
        let mut responses = json!({
            "200": {
                "description": "The answer.",
                "headers": headers(self.answers.headers()),
                "content": &content,
            },
        });
        if self.answers == Answers::File {
            let with_range = [self.answers.headers(), &[("Content-Range", true)]].concat();
            responses["206"] = json!({
                "description": "The range.",
                "headers": headers(&with_range),
                "content": &content,
            });
        }
        if self
            .parameters
            .iter()
            .any(|parameter| parameter.name == "If-None-Match")
        {
            responses["304"] = json!({
                "description": "What If-None-Match names is still the answer.",
                "headers": headers(&[("ETag", true)]),
            });
        }
        for kind in self.problems() {
            let status = kind.status().as_u16();
            responses[status.to_string()] = reference("responses", &problem_name(status));
        }
        if self.path == "/readyz" {
            responses["503"] = json!({ "description": "Not yet.", "content": content });
        }
        let mut document = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": parameters,
            "responses": responses,
        });
        if self.method == "post" {
            document["requestBody"] = json!({
                "required": true,
                "content": {
                    "application/json": { "schema": reference("schemas", "Question") },
                    "application/x-www-form-urlencoded": { "schema": reference("schemas", "Form") },
                    "application/sql": { "schema": Kind::Statement.schema() },
                    "text/plain": { "schema": Kind::Statement.schema() },
                },
            });
        }
        document
    }

    /// Returns the problems that it may answer with.
    fn problems(&self) -> Vec<ProblemKind> {
        let mut problems = match self.answers {
            Answers::Rows | Answers::Page => vec![
                ProblemKind::NotFound,
                ProblemKind::NotAcceptable,
                ProblemKind::TooLarge,
                ProblemKind::NotSettled,
                ProblemKind::QueryTooExpensive,
                ProblemKind::OverShare,
                ProblemKind::ClientMemory,
                ProblemKind::ClientTemporaryFiles,
                ProblemKind::Busy,
                ProblemKind::ServiceMemory,
                ProblemKind::ServiceTemporaryFiles,
                ProblemKind::NewestRows,
                ProblemKind::SnapshotExpired,
                ProblemKind::StoreUnavailable,
            ],
            Answers::File => vec![
                ProblemKind::Gone,
                ProblemKind::PreconditionFailed,
                ProblemKind::RangeNotSatisfiable,
                ProblemKind::StoreUnavailable,
            ],
            Answers::Json(_)
            | Answers::Description
            | Answers::Catalogue
            | Answers::Explanation
            | Answers::Text => Vec::new(),
        };
        if self.is_of_api() {
            let any = [
                ProblemKind::BadRequest,
                ProblemKind::Unauthorized,
                ProblemKind::Internal,
            ];
            problems.extend(any);
        }
        if self.path.contains('{') {
            problems.extend([ProblemKind::BadRequest, ProblemKind::NotFound]);
        }
        // A statement may ask to write.
        if self.answers == Answers::Rows {
            problems.push(ProblemKind::Forbidden);
        }
        if self.method == "post" {
            problems.extend([
                ProblemKind::RequestTimeout,
                ProblemKind::UnsupportedMediaType,
            ]);
        }
        problems
    }
}

impl Answers {
    fn content(self) -> Value {
        match self {
            Self::Rows | Self::Page => {
                let formats = Format::ALL.into_iter().map(|format| {
                    let content = match format {
                        Format::Json => json!({ "schema": reference("schemas", "Answer") }),
                        Format::Geojson => json!({ "schema": reference("schemas", "Features") }),
                        _ => json!({}),
                    };
                    (media_types(format)[0].to_owned(), content)
                });
                Value::Object(formats.collect())
            }
            Self::Json(name) => {
                json!({ "application/json": { "schema": reference("schemas", name) } })
            }
            Self::Description => {
                json!({ "application/vnd.oai.openapi+json": { "schema": { "type": "object" } } })
            }
            Self::Catalogue => {
                json!({ "application/ld+json": { "schema": { "type": "object" } }, "text/turtle": {} })
            }
            Self::Explanation => json!({
                "text/plain": {},
                "text/html": {},
                "application/json": { "schema": reference("schemas", "Explanation") },
            }),
            Self::Text => json!({ "text/plain": {} }),
            Self::File => json!({ "application/vnd.apache.parquet": {} }),
        }
    }

    /// Returns the headers of an answer with content; true: each has it.
    fn headers(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Rows => &[
                ("Meetnet-Through", true),
                ("Meetnet-Stable-Time", true),
                ("Meetnet-As-Of", false),
                ("Meetnet-Licence", false),
                ("Meetnet-Attribution", false),
                ("Meetnet-Hint", false),
                ("Meetnet-Rows", false),
                ("Meetnet-Truncated", false),
                ("Repr-Digest", false),
                ("ETag", false),
                ("Link", false),
                ("Content-Disposition", false),
            ],
            Self::Page => &[
                ("Meetnet-Through", true),
                ("Meetnet-Stable-Time", true),
                ("Meetnet-As-Of", true),
                ("Meetnet-Licence", false),
                ("Meetnet-Attribution", false),
                ("Meetnet-Hint", false),
                ("ETag", false),
                ("Link", true),
                ("Content-Disposition", false),
            ],
            Self::File => &[
                ("ETag", true),
                ("Accept-Ranges", true),
                ("Meetnet-Licence", true),
                ("Meetnet-Attribution", false),
                ("Link", false),
                ("Content-Disposition", true),
            ],
            Self::Catalogue => &[("ETag", true)],
            Self::Json("Readiness") => &[],
            Self::Json(_) => &[("ETag", true)],
            Self::Description | Self::Explanation | Self::Text => &[],
        }
    }
}

impl Parameter {
    fn document(&self) -> Value {
        let place = match self.place {
            Place::Path => "path",
            Place::Query | Place::NeededQuery => "query",
            Place::Header => "header",
        };
        let mut document = json!({
            "name": self.name,
            "in": place,
            "required": matches!(self.place, Place::Path | Place::NeededQuery),
            "description": self.description,
            "schema": self.kind.schema(),
        });
        if matches!(self.kind, Kind::Licences | Kind::Pairs | Kind::Values) {
            document["style"] = json!("form");
            document["explode"] = json!(true);
        }
        document
    }
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => schemas::text(),
            Self::Statement => schemas::statement(),
            Self::Pattern(pattern, examples) => {
                let mut schema = schemas::pattern(pattern);
                if !examples.is_empty() {
                    schema["examples"] = json!(examples);
                }
                schema
            }
            Self::Licences => schemas::licences(),
            Self::Metres => {
                json!({ "type": "number", "minimum": 0, "maximum": RADIUS_MAX_M as u64 })
            }
            Self::Integer => json!({ "type": "integer", "minimum": 1 }),
            Self::Time => schemas::day_or_time(),
            Self::Flag => json!({ "type": "string", "enum": ["0", "1", "false", "true"] }),
            Self::Bool => json!({ "type": "boolean" }),
            Self::Format => json!({ "type": "string", "enum": Format::ALL.map(Format::as_str) }),
            Self::Gaps => json!({ "type": "string", "enum": ["mark"] }),
            Self::Language => json!({ "type": "string", "enum": Language::ALL.map(Language::tag) }),
            Self::Pairs => json!({ "type": "object", "additionalProperties": schemas::text() }),
            Self::Values => json!({
                "type": "object",
                "patternProperties": { "^param_": schemas::text() },
                "additionalProperties": false,
            }),
            Self::Range => json!({
                "type": "string",
                "examples": ["bytes=0-99", "bytes=-100", "bytes=999999999999-"],
            }),
        }
    }
}

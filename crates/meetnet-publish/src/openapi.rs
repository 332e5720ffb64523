//! `/api/v1/openapi.json`: what the service answers, as OpenAPI 3.1, for tools that make clients and tests of it.
//!
//! ```text
//! openapi/operations.rs ─▶ document ─▶ /api/v1/openapi.json
//!                                  ─▶ schemas/openapi.json, which a test compares (MEETNET_UPDATE=1 writes it)
//! ```

mod operations;

use std::sync::OnceLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use meetnet_query::Format;
use serde_json::{Map, Value, json};

use crate::negotiate::{Language, media_types};
use crate::problem::ProblemKind;

#[cfg(test)]
mod tests;

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
    /// Rows, in every format.
    Rows,
    /// One JSON document.
    Json,
    /// Text.
    Text,
    /// A Parquet file.
    File,
}

/// A parameter: part of the path, or of the query, where it may be left out.
struct Parameter {
    name: &'static str,
    kind: Kind,
    description: &'static str,
    is_of_path: bool,
}

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Several, each a parameter of its own.
    Texts,
    Number,
    Integer,
    /// RFC 3339.
    Time,
    /// `1`
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
}

/// Answers the document.
pub(crate) async fn get() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(text);
    let headers = [
        (CONTENT_TYPE, "application/vnd.oai.openapi+json;version=3.1"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text.as_str()).into_response()
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
    let text = json!({ "type": "string" });
    let texts = Kind::Texts.schema();
    let time = Kind::Time.schema();
    let problem = reference("schemas", "Problem");
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "meetnet",
            "version": "1",
            "summary": "Open sensor data: SQL, datasets, files.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "responses": { "Problem": {
                "description": "What was wrong, and what to do (RFC 9457).",
                "content": { "application/problem+json": { "schema": problem } },
            } },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": text,
                        "title": text,
                        "status": { "type": "integer", "enum": statuses() },
                        "detail": text,
                        "formats": texts,
                    },
                },
                "Question": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "q": text,
                        "parameters": { "type": ["object", "array"] },
                        "format": Kind::Format.schema(),
                        "as_of": time,
                        "licence": texts,
                        "download": { "type": "boolean" },
                    },
                },
                "Answer": {
                    "type": "object",
                    "required": ["columns", "rows", "row_count", "through", "stable_time", "truncated"],
                    "properties": {
                        "columns": { "type": "array", "items": {
                            "type": "object",
                            "required": ["name", "type", "unit"],
                            "properties": {
                                "name": text,
                                "type": text,
                                "unit": { "type": ["string", "null"] },
                            },
                        } },
                        "rows": { "type": "array", "items": { "type": "array" } },
                        "row_count": { "type": "integer" },
                        "through": { "type": "integer" },
                        "stable_time": time,
                        "as_of": time,
                        "truncated": { "type": "boolean" },
                        "licences": texts,
                        "attributions": texts,
                        "next": text,
                    },
                },
            },
        },
    })
}

fn reference(of: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{of}/{name}") })
}

/// Returns the statuses of problems, each once, in order.
fn statuses() -> Vec<u16> {
    let mut statuses: Vec<u16> = ProblemKind::ALL
        .iter()
        .map(|kind| kind.status().as_u16())
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

impl Operation {
    fn document(&self) -> Value {
        let parameters: Vec<Value> = self.parameters.iter().map(Parameter::document).collect();
        let mut responses = json!({
            "200": { "description": "The answer.", "content": self.answers.content() },
            "default": reference("responses", "Problem"),
        });
        if self.answers == Answers::File {
            responses["206"] = json!({ "description": "The range." });
        }
        if matches!(self.answers, Answers::Rows | Answers::File) {
            let description = "What If-None-Match names is still the answer.";
            responses["304"] = json!({ "description": description });
        }
        if self.path == "/readyz" {
            let content = self.answers.content();
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
                    "application/x-www-form-urlencoded": { "schema": { "type": "object" } },
                    "application/sql": { "schema": { "type": "string" } },
                    "text/plain": { "schema": { "type": "string" } },
                },
            });
        }
        document
    }
}

impl Answers {
    fn content(self) -> Value {
        match self {
            Self::Rows => {
                let formats = Format::ALL.into_iter().map(|format| {
                    let schema = match format {
                        Format::Json => json!({ "schema": reference("schemas", "Answer") }),
                        _ => json!({}),
                    };
                    (media_types(format)[0].to_owned(), schema)
                });
                Value::Object(formats.collect())
            }
            Self::Json => json!({ "application/json": {} }),
            Self::Text => json!({ "text/plain": {} }),
            Self::File => json!({ "application/vnd.apache.parquet": {} }),
        }
    }
}

impl Parameter {
    fn document(&self) -> Value {
        let mut document = json!({
            "name": self.name,
            "in": if self.is_of_path { "path" } else { "query" },
            "required": self.is_of_path,
            "description": self.description,
            "schema": self.kind.schema(),
        });
        if matches!(self.kind, Kind::Texts | Kind::Pairs) {
            document["style"] = json!("form");
            document["explode"] = json!(true);
        }
        document
    }
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Number => json!({ "type": "number" }),
            Self::Integer => json!({ "type": "integer", "minimum": 1 }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Flag => json!({ "type": "string", "enum": ["0", "1"] }),
            Self::Bool => json!({ "type": "boolean" }),
            Self::Format => json!({ "type": "string", "enum": Format::ALL.map(Format::as_str) }),
            Self::Gaps => json!({ "type": "string", "enum": ["mark"] }),
            Self::Language => json!({ "type": "string", "enum": Language::ALL.map(Language::tag) }),
            Self::Pairs => {
                json!({ "type": "object", "additionalProperties": { "type": "string" } })
            }
        }
    }
}

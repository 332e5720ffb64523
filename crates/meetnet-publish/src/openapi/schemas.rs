//! The documents that the service answers and takes, as JSON Schema, and the headers of its answers.

use std::collections::BTreeSet;

use meetnet_model::licence::LICENCES;
use meetnet_query::Format;
use serde_json::{Map, Value, json};

use super::{Kind, reference, statuses, types};

/// Returns every schema by its name.
pub(super) fn all() -> Value {
    json!({
        "Answer": answer(),
        "Dataset": dataset(),
        "DatasetList": dataset_list(),
        "Explanation": explanation(),
        "Features": features(),
        "Figures": figures(),
        "FileList": file_list(),
        "Form": form(),
        "Problem": problem(),
        "Quality": quality(),
        "QueryList": query_list(),
        "Question": question(),
        "Readiness": readiness(),
        "Share": share(),
        "Texts": translated(),
    })
}

/// Returns what a header says, and its schema; None for one that no answer has.
pub(super) fn header(name: &str) -> Option<(&'static str, Value)> {
    Some(match name {
        "Accept-Ranges" => (
            "Ranges of bytes may be asked for.",
            json!({ "const": "bytes" }),
        ),
        "Access-Control-Allow-Origin" => {
            ("Pages of any site may read it.", json!({ "const": "*" }))
        }
        "Content-Disposition" => (
            "The name of the file to save it as.",
            pattern("^attachment; filename=\"[^\"]+\"$"),
        ),
        "Content-Range" => (
            "Which bytes these are (RFC 9110).",
            pattern("^bytes ([0-9]+-[0-9]+|[*])/[0-9]+$"),
        ),
        "ETag" => (
            "Names these bytes, for If-None-Match and If-Range; a weak one, W/\"…\", what they say.",
            pattern("^(W/)?\"[0-9a-f]+\"$"),
        ),
        "Link" => (
            "Where it goes on (RFC 8288).",
            pattern("^<[^>]+>; rel=\"[a-z-]+\"(, <[^>]+>; rel=\"[a-z-]+\")*$"),
        ),
        "Meetnet-As-Of" => ("The time it was answered as of.", time()),
        "Meetnet-Attribution" => (
            "Whom to name: names with semicolons between them, UTF-8, percent-encoded where it is not printable ASCII, or is % or ;.",
            text(),
        ),
        "Meetnet-Hint" => (
            "What to tell who asked for what no row can be: sentences, percent-encoded where it is not printable ASCII.",
            text(),
        ),
        "Meetnet-Licence" => (
            "Licences of the datasets: ids with commas between them.",
            text(),
        ),
        "Meetnet-Rows" => (
            "Number of rows, where it was known before the first.",
            count(),
        ),
        "Meetnet-Stable-Time" => ("No message recorded before this time is missing.", time()),
        "Meetnet-Through" => (
            "Every message up to this sequence is in the answer.",
            count(),
        ),
        "Meetnet-Truncated" => (
            "Whether the row limit left rows out.",
            json!({ "type": "boolean" }),
        ),
        "RateLimit" => (
            "How many more queries would be taken of this client now.",
            pattern("^\"queries\";r=[0-9]+$"),
        ),
        "RateLimit-Policy" => (
            "How many queries of one client may run and wait (draft-ietf-httpapi-ratelimit-headers).",
            pattern("^\"queries\";q=[0-9]+;qu=\"concurrent-requests\"$"),
        ),
        "Repr-Digest" => (
            "SHA-256 of the bytes as they were sent (RFC 9530).",
            pattern("^sha-256=:[0-9A-Za-z+/]+=*:$"),
        ),
        "Retry-After" => ("Seconds after which the same request may succeed.", count()),
        "WWW-Authenticate" => ("How a key is sent.", json!({ "const": "Bearer" })),
        _ => return None,
    })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

/// RFC 3339.
fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// RFC 3339, or a day.
pub(super) fn day_or_time() -> Value {
    json!({ "type": "string", "anyOf": [{ "format": "date-time" }, { "format": "date" }] })
}

pub(super) fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn text_or_null() -> Value {
    json!({ "type": ["string", "null"] })
}

fn day_or_time_or_null() -> Value {
    let mut schema = day_or_time();
    schema["type"] = json!(["string", "null"]);
    schema
}

fn time_or_null() -> Value {
    json!({ "type": ["string", "null"], "format": "date-time" })
}

fn number_or_null() -> Value {
    json!({ "type": ["number", "null"] })
}

fn range() -> Value {
    json!({ "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 })
}

fn list(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}

/// Returns the schema of an object whose members are always there, but for those that are optional.
fn object(members: Value, optional: &[&str]) -> Value {
    let names = members.as_object().into_iter().flat_map(Map::keys);
    let required: Vec<&String> = names
        .filter(|name| !optional.contains(&name.as_str()))
        .collect();
    json!({ "type": "object", "required": required, "properties": members })
}

fn problem() -> Value {
    object(
        json!({
            "type": { "type": "string", "enum": types() },
            "title": text(),
            "status": { "type": "integer", "enum": statuses() },
            "detail": text(),
            "formats": texts(),
        }),
        &["formats"],
    )
}

/// What a type of problem means.
fn explanation() -> Value {
    object(
        json!({
            "type": { "type": "string", "enum": types() },
            "title": text(),
            "status": { "type": "integer", "enum": statuses() },
            "reason": text(),
            "advice": text(),
        }),
        &[],
    )
}

/// A value of a placeholder.
fn value() -> Value {
    json!({ "type": ["string", "number", "boolean", "null"] })
}

/// One SELECT.
pub(super) fn statement() -> Value {
    json!({ "type": "string", "minLength": 1, "examples": ["SELECT 1 AS one"] })
}

/// Ids, several with commas between them, or an IRI.
pub(super) fn licences() -> Value {
    let ids = pattern("^[A-Za-z0-9.-]+(,[A-Za-z0-9.-]+)*$");
    list(json!({ "anyOf": [ids, { "enum": known_iris() }] }))
}

fn known_iris() -> BTreeSet<&'static str> {
    let known = LICENCES.iter();
    known
        .flat_map(|licence| [licence.iri, licence.url])
        .collect()
}

fn question() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["q"],
        "properties": {
            "q": statement(),
            "parameters": { "type": ["object", "array"], "additionalProperties": value(), "items": value() },
            "format": { "enum": formats_or_null() },
            "as_of": day_or_time_or_null(),
            "licence": licences(),
            "download": { "type": "boolean" },
        },
    })
}

fn formats_or_null() -> Value {
    let names = Format::ALL.map(|format| json!(format.as_str()));
    names.into_iter().chain([Value::Null]).collect()
}

fn form() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["q"],
        "properties": {
            "q": statement(),
            "format": Kind::Format.schema(),
            "as_of": day_or_time(),
            "licence": licences(),
            "download": Kind::Flag.schema(),
        },
        "patternProperties": { "^param_": text() },
    })
}

fn answer() -> Value {
    let column = object(
        json!({ "name": text(), "type": text(), "unit": text_or_null() }),
        &[],
    );
    object(
        json!({
            "columns": list(column),
            "rows": list(json!({
                "type": "array",
                "description": "One value per column. Integers beyond 2^53 - 1, H3 cells among them, are texts.",
            })),
            "row_count": count(),
            "through": count(),
            "stable_time": time(),
            "as_of": time(),
            "truncated": { "type": "boolean" },
            "licences": texts(),
            "attributions": texts(),
            "hints": texts(),
            "next": text(),
        }),
        &["as_of", "licences", "attributions", "hints", "next"],
    )
}

fn features() -> Value {
    json!({
        "type": "object",
        "required": ["type", "features"],
        "properties": {
            "type": { "const": "FeatureCollection" },
            "features": { "type": "array", "items": {
                "type": "object",
                "required": ["type", "geometry", "properties"],
                "properties": {
                    "type": { "const": "Feature" },
                    "geometry": { "type": ["object", "null"] },
                    "properties": {
                        "type": "object",
                        "description": "One member per column. Integers beyond 2^53 - 1, H3 cells among them, are texts.",
                    },
                },
            } },
        },
    })
}

/// A text by language, or in the one that was asked for.
fn translated() -> Value {
    json!({
        "type": ["object", "string"],
        "required": ["nl", "en", "fr"],
        "properties": { "nl": text(), "en": text(), "fr": text() },
    })
}

fn licence() -> Value {
    object(
        json!({ "id": text(), "title": text(), "url": text(), "iri": text() }),
        &["title", "url", "iri"],
    )
}

fn column() -> Value {
    object(
        json!({
            "name": text(),
            "type": text(),
            "unit": text_or_null(),
            "iri": text_or_null(),
            "required": { "type": "boolean" },
            "range": { "anyOf": [range(), { "type": "null" }] },
            "title": { "anyOf": [reference("schemas", "Texts"), { "type": "null" }] },
        }),
        &[],
    )
}

fn common_column() -> Value {
    object(
        json!({
            "name": text(),
            "type": text(),
            "required": { "type": "boolean" },
            "description": reference("schemas", "Texts"),
        }),
        &[],
    )
}

fn property() -> Value {
    object(
        json!({
            "name": text(),
            "unit": text(),
            "iri": text(),
            "range": range(),
            "title": reference("schemas", "Texts"),
            "correction": correction(),
        }),
        &["correction"],
    )
}

/// How a property is made of a measured one.
fn correction() -> Value {
    let number = json!({ "type": "number" });
    object(
        json!({
            "of": text(),
            "method": text(),
            "source": text(),
            "humidity": object(json!({ "dataset": text(), "property": text() }), &[]),
            "kappa": number,
            "density": number,
            "humidity_max": number,
        }),
        &[],
    )
}

fn dataset() -> Value {
    let links = object(
        json!({
            "self": text(),
            "rows": text(),
            "latest": text(),
            "files": text(),
            "quality": text(),
            "sql": text(),
            "csv": text(),
        }),
        &["quality"],
    );
    object(
        json!({
            "id": text(),
            "title": reference("schemas", "Texts"),
            "description": reference("schemas", "Texts"),
            "kind": { "enum": ["wide", "long", "places"] },
            "key": texts(),
            "grain": { "enum": ["year", "month", "day"] },
            "zone": text(),
            "declaration_version": count(),
            "licences": list(licence()),
            "attributions": texts(),
            "rows": count(),
            "hot_rows": count(),
            "time_min": time_or_null(),
            "time_max": time_or_null(),
            "time_range_exact": { "type": "boolean" },
            "last_update": time_or_null(),
            "last_received": time_or_null(),
            "files": count(),
            "bytes": count(),
            "through": count(),
            "stable_time": time(),
            "columns": list(column()),
            "common_columns": list(common_column()),
            "properties": list(property()),
            "links": links,
        }),
        &["zone", "columns", "common_columns", "properties"],
    )
}

fn dataset_list() -> Value {
    object(
        json!({ "datasets": list(reference("schemas", "Dataset")) }),
        &[],
    )
}

fn query_list() -> Value {
    let query = object(
        json!({ "name": text(), "title": text(), "sql": text(), "url": text() }),
        &[],
    );
    object(json!({ "queries": list(query) }), &[])
}

fn file_list() -> Value {
    let file = object(
        json!({
            "url": text(),
            "bytes": count(),
            "sha256": pattern("^[0-9a-f]{64}$"),
            "rows": count(),
            "masked_rows": count(),
            "time_min": time_or_null(),
            "time_max": time_or_null(),
            "period": text(),
            "licence": text(),
            "attributions": texts(),
            "superseded": { "type": "boolean" },
            "committed_at": time(),
        }),
        &[],
    );
    object(
        json!({
            "dataset": text(),
            "version": count(),
            "through": count(),
            "stable_time": time(),
            "hot_rows": count(),
            "files": list(file),
        }),
        &[],
    )
}

/// Some of the rows.
fn share() -> Value {
    object(json!({ "rows": count(), "share": number_or_null() }), &[])
}

/// What is said of one day, month, or everything.
fn figures() -> Value {
    let flags = object(
        json!({
            "passed": reference("schemas", "Share"),
            "not_evaluated": reference("schemas", "Share"),
            "suspect": reference("schemas", "Share"),
            "failed": reference("schemas", "Share"),
            "missing": reference("schemas", "Share"),
        }),
        &[],
    );
    let lateness = object(
        json!({ "rows": count(), "p50_s": number_or_null(), "p90_s": number_or_null(), "p99_s": number_or_null() }),
        &[],
    );
    object(
        json!({
            "start": time(),
            "days": count(),
            "rows": count(),
            "flags": flags,
            "revisions": count(),
            "completeness": number_or_null(),
            "lateness": lateness,
            "sensors": count(),
            "silent": count(),
        }),
        &["start"],
    )
}

fn quality() -> Value {
    object(
        json!({
            "dataset": text(),
            "licence": text_or_null(),
            "days": list(reference("schemas", "Figures")),
            "months": list(reference("schemas", "Figures")),
            "all": { "anyOf": [reference("schemas", "Figures"), { "type": "null" }] },
            "links": object(json!({ "dataset": text(), "figures": text() }), &[]),
        }),
        &[],
    )
}

fn readiness() -> Value {
    let broker = object(
        json!({ "subscribed": { "type": "boolean" }, "connected": { "type": "boolean" } }),
        &[],
    );
    let replay = object(json!({ "frames": count(), "frames_total": count() }), &[]);
    object(
        json!({
            "ready": { "type": "boolean" },
            "journal_replayed": { "type": "boolean" },
            "replaying": replay,
            "history_loaded": { "type": "boolean" },
            "journal_disk_full": { "type": "boolean" },
            "disks_low": texts(),
            "lake_reachable": { "type": "boolean" },
            "silent_sources": texts(),
            "failing_targets": { "type": "object", "additionalProperties": count() },
            "config_refused": { "type": "boolean" },
            "no_sources": { "type": "boolean" },
            "sources": { "type": "object", "additionalProperties": broker },
        }),
        &["replaying", "lake_reachable"],
    )
}

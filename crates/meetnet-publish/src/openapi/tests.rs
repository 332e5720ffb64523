use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;

use super::*;
use crate::fixture::{self, request};
use crate::rows;

/// The committed document is this one.
#[test]
fn the_committed_document_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    if std::env::var_os("MEETNET_UPDATE").is_some() {
        std::fs::write(&path, text()).expect("schemas/openapi.json");
    }
    let committed = std::fs::read_to_string(&path).expect("schemas/openapi.json");
    let committed: Value = serde_json::from_str(&committed).expect("JSON");
    assert_eq!(
        committed,
        document(),
        "schemas/openapi.json is stale; MEETNET_UPDATE=1 writes it"
    );
}

/// Every address that is described is there, and answers the methods that are described and no others.
#[tokio::test]
async fn what_is_described_is_there() {
    for operation in operations::ALL {
        let path = operation
            .path
            .replace("{id}", "heat")
            .replace("{name}", "not-found")
            .replace("{path}", "x.parquet");
        let delete = request("DELETE", &path, &[], Body::empty());
        let allowed = fixture::send(fixture::router(), delete).await;
        assert_eq!(allowed.status.as_u16(), 405, "{path}");
        let allow = allowed.header("allow").to_lowercase();
        let allow: BTreeSet<&str> = allow
            .split(',')
            .filter(|method| *method != "head")
            .collect();
        let described = operations::ALL
            .iter()
            .filter(|other| other.path == operation.path);
        let described: BTreeSet<&str> = described.map(|other| other.method).collect();
        assert_eq!(allow, described, "{path}");
        for name in operation.path.split('{').skip(1) {
            let name = name.split('}').next().unwrap_or_default();
            let is_described = operation
                .parameters
                .iter()
                .any(|parameter| parameter.place == Place::Path && parameter.name == name);
            assert!(is_described, "{path} has {name}");
        }
    }
}

/// Rows take the parameters that are described, and those only.
#[test]
fn the_parameters_of_rows_are_described() {
    let of_rows = operations::ALL
        .iter()
        .find(|operation| operation.id == "rows");
    let described: BTreeSet<&str> = of_rows
        .expect("the rows are described")
        .parameters
        .iter()
        .filter(|parameter| {
            !matches!(parameter.place, Place::Path | Place::Header) && parameter.kind != Kind::Pairs
        })
        .map(|parameter| parameter.name)
        .collect();
    assert_eq!(described, BTreeSet::from(rows::PARAMETERS));
}

/// Adds the names of all headers that are described.
fn add_headers(described: &Value, names: &mut BTreeSet<String>) {
    match described {
        Value::Object(members) => {
            if let Some(Value::Object(headers)) = members.get("headers") {
                names.extend(headers.keys().map(|name| name.to_lowercase()));
            }
            members
                .values()
                .for_each(|member| add_headers(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| add_headers(item, names)),
        _ => {}
    }
}

/// What the description tells pages of other sites of, they may read.
#[tokio::test]
async fn pages_may_read_the_headers_that_are_described() {
    let mut names = BTreeSet::new();
    add_headers(&document(), &mut names);
    // Every name that an answer is said to have is described.
    for answers in [Answers::Rows, Answers::Page, Answers::File] {
        for (name, _) in answers.headers() {
            assert!(names.contains(&name.to_lowercase()), "{name}");
        }
    }
    for name in [
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "content-range",
        "www-authenticate",
    ] {
        assert!(names.contains(name), "{name}");
    }
    let origin = [("origin", "https://pages.example")];
    let answer = fixture::get_with(fixture::router(), "/api/v1/datasets", &origin).await;
    let exposed: BTreeSet<&str> = answer
        .header("access-control-expose-headers")
        .split(',')
        .collect();
    for name in &names {
        // This one is for the browser itself.
        let is_read = exposed.contains(name.as_str()) || name == "access-control-allow-origin";
        assert!(is_read, "{name} is not among {exposed:?}");
    }
}

/// Returns the paths of members that a schema does not describe.
fn undescribed(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let document = document();
        let schema = document.pointer(reference.trim_start_matches('#'));
        return undescribed(schema.expect("a schema"), value, at);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let found = choices.iter().map(|choice| undescribed(choice, value, at));
        return found.min_by_key(Vec::len).unwrap_or_default();
    }
    match value {
        Value::Object(members) => {
            let of_member = |(name, member): (&String, &Value)| {
                let at = format!("{at}/{name}");
                let others = schema.get("additionalProperties");
                match schema["properties"].get(name).or(others) {
                    Some(schema) => undescribed(schema, member, &at),
                    None => vec![at],
                }
            };
            members.iter().flat_map(of_member).collect()
        }
        Value::Array(items) => items
            .iter()
            .flat_map(|item| undescribed(&schema["items"], item, at))
            .collect(),
        _ => Vec::new(),
    }
}

/// A member that is added to an answer is described, too.
#[tokio::test]
async fn every_member_of_an_answer_is_described() {
    for (path, schema) in [
        ("/api/v1/sql?q=SELECT+*+FROM+heat", "Answer"),
        ("/api/v1/datasets/heat/rows?limit=1", "Answer"),
        ("/api/v1/datasets", "DatasetList"),
        ("/api/v1/datasets/heat", "Dataset"),
        ("/api/v1/datasets/traffic?lang=en", "Dataset"),
        ("/api/v1/datasets/heat/files", "FileList"),
        ("/api/v1/datasets/heat/quality", "Quality"),
        ("/api/v1/queries", "QueryList"),
        ("/api/v1/datasets/nope", "Problem"),
        ("/api/v1/sql?q=SELECT+1&format=xlsx", "Problem"),
        ("/readyz", "Readiness"),
    ] {
        let answer = fixture::get(fixture::router(), path).await;
        let found = undescribed(&reference("schemas", schema), &answer.json(), "");
        assert!(found.is_empty(), "{path}: {found:?}");
    }
    let as_json = [("accept", "application/json")];
    let answer = fixture::get_with(fixture::router(), "/problems/busy", &as_json).await;
    let found = undescribed(&reference("schemas", "Explanation"), &answer.json(), "");
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn the_service_hands_it_out() {
    let answer = fixture::get(fixture::router(), "/api/v1/openapi.json").await;
    assert_eq!(answer.json(), document());
    let ids: BTreeSet<&str> = operations::ALL
        .iter()
        .map(|operation| operation.id)
        .collect();
    assert_eq!(ids.len(), operations::ALL.len(), "each id once");
}

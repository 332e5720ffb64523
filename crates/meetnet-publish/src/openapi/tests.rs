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
                .any(|parameter| parameter.is_of_path && parameter.name == name);
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
        .filter(|parameter| !parameter.is_of_path && parameter.kind != Kind::Pairs)
        .map(|parameter| parameter.name)
        .collect();
    assert_eq!(described, BTreeSet::from(rows::PARAMETERS));
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

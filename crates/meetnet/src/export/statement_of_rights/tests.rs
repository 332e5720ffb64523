use std::path::Path;

use meetnet_model::ids::LicenceId;
use meetnet_model::licence::Rights;

use super::{Statement, beside};
use crate::part_file::Written;

#[test]
fn the_statement_says_what_may_be_done() {
    let rights = Rights {
        licences: [
            LicenceId::new("CC-BY-4.0"),
            LicenceId::new("LicenseRef-own"),
        ]
        .into(),
        attributions: vec!["Garden club".to_owned()],
    };
    let written = Written {
        bytes: 12,
        sha256: "ab".to_owned(),
    };
    let statement = Statement {
        dataset: "air",
        as_of: "2026-01-31T12:00:00Z".to_owned(),
        rows: 3,
        written: &written,
        rights: &rights,
    };
    let path = Path::new("exports/air.csv");
    let json = statement.to_json(path).expect("JSON");
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(found["file"], "air.csv");
    assert_eq!(found["rows"], 3);
    assert_eq!(found["licences"][0]["id"], "CC-BY-4.0");
    let url = found["licences"][0]["url"].as_str().expect("a URL");
    assert!(url.contains("creativecommons.org/licenses/by/4.0"), "{url}");
    assert!(found["licences"][1].get("url").is_none());
    assert_eq!(found["attributions"][0], "Garden club");
    assert_eq!(beside(path), Path::new("exports/air.csv.meta.json"));
}

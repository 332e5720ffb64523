use axum::http::StatusCode;
use meetnet_model::ids::DatasetId;
use meetnet_model::property::{Correction, CorrectionInput, CorrectionMethod, PropertyDeclaration};

use super::property_document;
use crate::fixture;

#[tokio::test]
async fn the_list_holds_public_datasets_only() {
    let answer = fixture::get(fixture::router(), "/api/v1/datasets").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let json = answer.json();
    let ids: Vec<&str> = json["datasets"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|d| d["id"].as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "air",
            "air_daily",
            "air_exceedances",
            "air_hourly",
            "air_yearly",
            "data_quality",
            "heat",
            "heat_daily",
            "heat_hourly",
            "heat_waves",
            "neighbourhood_hourly",
            "noise",
            "segments",
            "stations",
            "traffic",
            "traffic_daily"
        ]
    );
    assert!(!answer.body.contains("rejects"));
    assert!(
        json["datasets"][0].get("columns").is_none(),
        "columns stand at each dataset"
    );
}

#[tokio::test]
async fn a_dataset_says_what_it_holds() {
    let json = fixture::get(fixture::router(), "/api/v1/datasets/heat")
        .await
        .json();
    assert_eq!(json["id"], "heat");
    assert_eq!(json["attributions"], serde_json::json!(["100 % café"]));
    assert!(json["title"]["nl"].is_string() && json["title"]["fr"].is_string());
    assert_eq!(json["kind"], "long");
    assert_eq!(
        json["key"],
        serde_json::json!(["sensor_id", "property", "time"])
    );
    assert_eq!(json["rows"], 2);
    assert_eq!(json["hot_rows"], 2);
    assert_eq!(json["time_max"], "2026-11-22T02:45:20Z");
    assert_eq!(json["last_update"], "2026-11-22T02:45:50Z");
    assert_eq!(json["last_received"], "2026-11-22T02:45:50Z");
    assert_eq!(json["through"], 42);
    assert_eq!(json["licences"][0]["id"], "CC-BY-4.0");
    assert_eq!(
        json["licences"][0]["url"],
        "https://creativecommons.org/licenses/by/4.0/"
    );
    assert_eq!(json["columns"][0]["name"], "sensor_id");
    assert_eq!(json["common_columns"][0]["name"], "quality");
    let properties = json["properties"].as_array().expect("a list");
    assert!(
        properties
            .iter()
            .any(|p| p["name"] == "air_temperature" && p["unit"] == "Cel")
    );
    assert!(
        properties.iter().all(|p| p["name"] != "pm10"),
        "those of its own only"
    );
    assert_eq!(json["links"]["self"], "/api/v1/datasets/heat");
}

#[test]
fn a_corrected_property_names_what_it_is_made_of_and_the_method() {
    let declared = meetnet_model::schemas::builtin().properties;
    let pm2_5 = declared.iter().find(|property| property.name == "pm2_5");
    let measured = pm2_5.expect("a property");
    let mut dry = PropertyDeclaration::clone(measured);
    dry.name = "pm2_5_dry".to_owned();
    dry.correction = Some(Correction {
        of: "pm2_5".to_owned(),
        method: CorrectionMethod::KappaKoehler,
        humidity: CorrectionInput {
            dataset: DatasetId::new("heat"),
            property: "relative_humidity".to_owned(),
        },
        kappa: 0.4,
        density: 1.65,
        humidity_max: 95.0,
    });
    let said = |property: &PropertyDeclaration| {
        serde_json::to_value(property_document(property, None)).expect("JSON")
    };
    assert!(said(measured).get("correction").is_none());
    let json = said(&dry);
    assert_eq!(json["correction"]["of"], "pm2_5");
    assert_eq!(json["correction"]["method"], "kappa_koehler");
    assert_eq!(json["correction"]["humidity"]["dataset"], "heat");
    assert_eq!(json["correction"]["kappa"], 0.4);
    let source = json["correction"]["source"].as_str().expect("a text");
    assert!(source.contains("https://doi.org/"), "{source}");
    // As it is declared.
    let method = serde_json::to_value(CorrectionMethod::KappaKoehler).expect("JSON");
    assert_eq!(json["correction"]["method"], method);
}

#[tokio::test]
async fn a_derived_dataset_has_the_properties_of_its_input() {
    let json = fixture::get(fixture::router(), "/api/v1/datasets/air_daily")
        .await
        .json();
    let properties = json["properties"].as_array().expect("a list");
    let pm10 = properties.iter().find(|p| p["name"] == "pm10");
    assert_eq!(pm10.expect("a property")["unit"], "ug/m3");
    assert!(properties.iter().all(|p| p["name"] != "air_temperature"));
}

#[tokio::test]
async fn a_wide_dataset_has_units_and_ranges() {
    let json = fixture::get(fixture::router(), "/api/v1/datasets/traffic?lang=en")
        .await
        .json();
    assert!(json["title"].is_string(), "one language was asked for");
    let columns = json["columns"].as_array().expect("a list");
    let car = columns
        .iter()
        .find(|column| column["name"] == "car")
        .expect("a column");
    assert_eq!(car["type"], "float");
    assert!(car["unit"].is_string() && car["iri"].is_string() && car["range"].is_array());
    assert!(json.get("properties").is_none());
}

#[tokio::test]
async fn its_links_answer() {
    let json = fixture::get(fixture::router(), "/api/v1/datasets/heat")
        .await
        .json();
    for name in ["self", "rows", "latest", "sql", "csv"] {
        let path = json["links"][name].as_str().expect("a link");
        let answer = fixture::get(fixture::router(), path).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn private_and_unknown_datasets_are_the_same() {
    let private = fixture::get(fixture::router(), "/api/v1/datasets/rejects").await;
    let unknown = fixture::get(fixture::router(), "/api/v1/datasets/nope").await;
    assert_eq!(private.status, StatusCode::NOT_FOUND);
    assert_eq!(private.header("content-type"), "application/problem+json");
    assert_eq!(private.body.replace("rejects", "nope"), unknown.body);
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    for (query, detail) in [
        ("lang=de", "there is no language"),
        ("lang=en&lang=nl", "given twice"),
        ("language=en", "this address takes lang"),
    ] {
        for address in ["/api/v1/datasets", "/api/v1/datasets/heat"] {
            let path = format!("{address}?{query}");
            let answer = fixture::get(fixture::router(), &path).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            assert!(answer.body.contains(detail), "{path}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn documents_that_have_not_changed_are_not_sent_again() {
    let router = fixture::router();
    for path in [
        "/api/v1/datasets",
        "/api/v1/datasets/heat",
        "/api/v1/datasets/heat/files",
        "/api/v1/queries",
    ] {
        let answer = fixture::get(router.clone(), path).await;
        let tag = answer.header("etag").to_owned();
        assert!(tag.starts_with("W/\""), "{path}: {answer:?}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        for (known, status) in [(tag.as_str(), 304), ("\"another\"", 200)] {
            let known = [("if-none-match", known)];
            let again = fixture::get_with(router.clone(), path, &known).await;
            assert_eq!(again.status.as_u16(), status, "{path}");
            assert_eq!(again.body.is_empty(), status == 304, "{path}");
            assert_eq!(again.header("etag"), tag, "{path}");
        }
    }
}

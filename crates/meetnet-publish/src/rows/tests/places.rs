//! Where rows are: areas, maps, places told by other datasets.

use std::sync::Arc;

use axum::http::StatusCode;
use meetnet_lake::snapshot::LakeSnapshot;

use super::{HEAT, next};
use crate::fixture::{self, NOW, SECOND};

/// A router over a lake where balcony stood in Leuven and moved to Brussels at NOW.
fn router_with_places() -> axum::Router {
    crate::public_router(fixture::state_over(lake_with_places()))
}

fn lake_with_places() -> meetnet_lake::snapshot::SharedSnapshot {
    use meetnet_model::rows::RowsBuilder;

    let snapshot = fixture::snapshot();
    let mut next = LakeSnapshot::clone(&snapshot.load());
    let stations = Arc::clone(&next.tables[&"stations".into()].declaration);
    let mut builder = RowsBuilder::new(Arc::clone(&stations));
    let column = |name| stations.column_index(name).expect("a column of stations");
    // Known from when its first message had arrived, which is after its first value.
    for (from, to, lon, lat) in [
        (NOW - 30 * SECOND, Some(NOW), 4.7005, 50.8798),
        (NOW, None, 4.35, 50.85),
    ] {
        builder.set_text(column("id"), "z2m-balcony");
        builder.set_int(column("valid_from"), from);
        if let Some(to) = to {
            builder.set_int(column("valid_to"), to);
        }
        builder.set_float(column("lon"), lon);
        builder.set_float(column("lat"), lat);
        builder.set_int(column("h3_r9"), 617_549_809_514_446_847);
        builder.finish_row(0).expect("a whole row");
    }
    let rows = Some((builder.take(), vec![NOW - 30 * SECOND; 2]));
    let table = fixture::table(&stations, rows, 1);
    next.tables.insert("stations".into(), Arc::new(table));
    snapshot.store(Arc::new(next));
    snapshot
}

/// A router over a lake where balcony moved, and these readings are all that there are of heat. Others say where sensors are.
fn router_of_a_map(readings: &[(&str, &str, i64, f64)]) -> axum::Router {
    use std::collections::BTreeMap;

    use meetnet_lake::snapshot::TableSnapshot;

    let snapshot = lake_with_places();
    let mut lake = LakeSnapshot::clone(&snapshot.load());
    let heat = Arc::clone(&lake.tables[&"heat".into()].declaration);
    let rows = fixture::long_rows(&heat, readings);
    let rows = Some((rows, vec![NOW - 30 * SECOND; readings.len()]));
    let table = fixture::table(&heat, rows, 1);
    lake.tables.insert("heat".into(), Arc::new(table));
    let mut stations = TableSnapshot::clone(&lake.tables[&"stations".into()]);
    let of_places = BTreeMap::from([("ODbL-1.0".into(), vec!["Places".to_owned()])]);
    Arc::make_mut(&mut stations.declaration).source_licences = of_places;
    lake.tables.insert("stations".into(), Arc::new(stations));
    snapshot.store(Arc::new(lake));
    crate::public_router(fixture::state_over(snapshot))
}

/// Rows of sensors are features where these stood at their times, and say whose that is.
#[tokio::test]
async fn a_map_of_values_needs_no_join() {
    let router = router_of_a_map(&[
        ("z2m-balcony", "air_temperature", NOW - 60 * SECOND, 1.5),
        ("z2m-balcony", "air_temperature", NOW - SECOND, 2.5),
        ("z2m-balcony", "air_temperature", NOW, 3.5),
        ("z2m-nowhere", "air_temperature", NOW, 4.5),
    ]);
    let map = fixture::get(
        router.clone(),
        &format!("{HEAT}?format=geojson&fields=value"),
    )
    .await;
    assert_eq!(map.status, StatusCode::OK, "{}", map.body);
    let json = map.json();
    let features = json["features"].as_array().expect("features").iter();
    let shown: Vec<serde_json::Value> = features
        .map(|of| serde_json::json!([of["geometry"]["coordinates"], of["properties"]]))
        .collect();
    let (leuven, brussels) = ([4.7005, 50.8798], [4.35, 50.85]);
    let expect = serde_json::json!([
        [leuven, { "value": 1.5 }],
        [leuven, { "value": 2.5 }],
        [brussels, { "value": 3.5 }],
        [null, { "value": 4.5 }],
    ]);
    assert_eq!(serde_json::Value::from(shown), expect);
    assert_eq!(map.header("meetnet-licence"), "CC-BY-4.0, ODbL-1.0");
    assert_eq!(
        map.header("meetnet-attribution"),
        "100 %25 caf%C3%A9; Places"
    );

    // All columns where none is named, a part of the city, page by page.
    let near = format!("{HEAT}?format=geojson&near=4.70,50.88&limit=1");
    let first = fixture::get(router.clone(), &near).await;
    assert_eq!(first.json()["features"][0]["properties"]["quality"], 1);
    let second = fixture::get(router.clone(), &next(&first)).await;
    let feature = &second.json()["features"][0];
    assert_eq!(feature["properties"]["value"], 2.5);
    assert_eq!(
        feature["geometry"]["coordinates"],
        serde_json::json!(leuven)
    );
    assert_eq!(next(&second), "");
    // The columns are there for every format, from the last down, and under a licence.
    let path = format!("{HEAT}?fields=lat,value,lon&order=-time&sensor_id=z2m-balcony&limit=2");
    let answer = fixture::get(router.clone(), &path).await;
    let expect = serde_json::json!([[50.85, 3.5, 4.35], [50.8798, 2.5, 4.7005]]);
    assert_eq!(answer.json()["rows"], expect);
    let path = format!("{HEAT}?fields=lon&limit=1&licence=CC-BY-4.0");
    let answer = fixture::get(router.clone(), &path).await;
    assert_eq!(answer.json()["rows"], serde_json::json!([[4.7005]]));
    assert_eq!(answer.header("meetnet-licence"), "CC-BY-4.0");
    // Who asks for no place is told nothing of places.
    let plain = fixture::get(router.clone(), HEAT).await;
    assert_eq!(plain.header("meetnet-licence"), "CC-BY-4.0");
    for (path, detail) in [
        (format!("{HEAT}?format=geojson&every=1h"), "geojson needs"),
        (format!("{HEAT}?fields=lon&every=1h"), "no column `lon`"),
        (format!("{HEAT}?lon.gt=4"), "no parameter or column `lon`"),
        (
            "/api/v1/datasets/neighbourhood_hourly/rows?fields=lon".to_owned(),
            "no column `lon`",
        ),
    ] {
        let answer = fixture::get(router.clone(), &path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.body.contains(detail), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn the_newest_rows_are_a_map_as_well() {
    const LATEST: &str = "/api/v1/datasets/heat/latest";
    let router = router_of_a_map(&[
        ("z2m-balcony", "air_temperature", NOW - SECOND, 2.5),
        ("z2m-balcony", "air_temperature", NOW, 3.5),
        // It stood elsewhere when it last said this.
        ("z2m-balcony", "relative_humidity", NOW - SECOND, 80.0),
        ("z2m-nowhere", "air_temperature", NOW, 4.5),
    ]);
    let map = fixture::get(
        router.clone(),
        &format!("{LATEST}?format=geojson&fields=value"),
    )
    .await;
    assert_eq!(map.status, StatusCode::OK, "{}", map.body);
    assert_eq!(map.header("content-type"), "application/geo+json");
    let json = map.json();
    let features = json["features"].as_array().expect("features").iter();
    let shown: Vec<serde_json::Value> = features
        .map(|of| serde_json::json!([of["geometry"]["coordinates"], of["properties"]]))
        .collect();
    let expect = serde_json::json!([
        [[4.35, 50.85], { "value": 3.5 }],
        [[4.7005, 50.8798], { "value": 80.0 }],
        [null, { "value": 4.5 }],
    ]);
    assert_eq!(serde_json::Value::from(shown), expect);
    assert_eq!(map.header("meetnet-licence"), "CC-BY-4.0, ODbL-1.0");
    assert_eq!(
        map.header("meetnet-attribution"),
        "100 %25 caf%C3%A9; Places"
    );
    let path = format!("{LATEST}?format=geojson&sensor_id=z2m-nowhere&licence=CC-BY-4.0");
    let all_columns = fixture::get(router.clone(), &path).await;
    let feature = &all_columns.json()["features"][0];
    assert_eq!(feature["properties"]["quality"], 1);
    assert_eq!(feature["geometry"], serde_json::Value::Null);
    assert_eq!(all_columns.header("meetnet-licence"), "CC-BY-4.0");
    // The columns are there for every format, in the order asked for.
    let path = format!("{LATEST}?fields=lat,value,lon&property=air_temperature");
    let answer = fixture::get(router.clone(), &path).await;
    let expect = serde_json::json!([[50.85, 3.5, 4.35], [null, 4.5, null]]);
    assert_eq!(answer.json()["rows"], expect, "{}", answer.body);
    // Who asks for no place is told nothing of places; what has its own is as it was.
    let plain = fixture::get(router.clone(), LATEST).await;
    assert_eq!(plain.header("meetnet-licence"), "CC-BY-4.0");
    assert!(!plain.body.contains("4.35"), "{}", plain.body);
    let path = "/api/v1/datasets/stations/latest?format=geojson";
    let place = &fixture::get(router.clone(), path).await.json()["features"][0]["geometry"];
    assert_eq!(place["coordinates"], serde_json::json!([4.35, 50.85]));
    for (query, detail) in [
        ("format=geojson", "geojson needs"),
        ("fields=lon", "no column `lon`"),
    ] {
        let path = format!("/api/v1/datasets/neighbourhood_hourly/latest?{query}");
        let answer = fixture::get(router.clone(), &path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.body.contains(detail), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn places_choose_rows() {
    async fn check(dataset: &str, query: &str, rows: usize) {
        let path = format!("/api/v1/datasets/{dataset}/rows?{query}");
        let answer = fixture::get(router_with_places(), &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        assert_eq!(answer.json()["row_count"], rows, "{dataset} {query}");
    }
    check("heat", "bbox=4.6,50.8,4.8,50.95", 2).await;
    check("heat", "bbox=4.6,50.8,4.7,50.95", 0).await;
    check("heat", "bbox=4.3,50.8,4.4,50.95", 0).await;
    check("heat", "near=4.70,50.88", 2).await;
    check("heat", "near=4.70,50.88&radius=30", 0).await;
    check("heat", "near=4.35,50.85&radius=1000", 0).await;
    check("heat", "near=4.70,50.88&property=air_temperature", 1).await;
    check("heat", "near=4.70,50.88&every=1h", 2).await;
    check("stations", "near=4.70,50.88", 1).await;
    check("stations", "bbox=4,50,5,51", 2).await;
    check("stations", "bbox=170,50,-170,51", 0).await;
    let path = "/api/v1/datasets/stations/rows?format=geojson";
    let map = fixture::get(router_with_places(), path).await;
    assert_eq!(map.header("content-type"), "application/geo+json");
    let place = &map.json()["features"][0]["geometry"]["coordinates"];
    assert_eq!(*place, serde_json::json!([4.7005, 50.8798]));
    // JavaScript would make another cell of the number; the text is what conditions take.
    let cell = &map.json()["features"][0]["properties"]["h3_r9"];
    assert_eq!(*cell, "617549809514446847");
    let path = "/api/v1/datasets/stations/rows?fields=h3_r9&h3_r9=617549809514446847&limit=1";
    let answer = fixture::get(router_with_places(), path).await;
    let rows = serde_json::json!([["617549809514446847"]]);
    assert_eq!(answer.json()["rows"], rows);
    // So is the text that H3 itself has for it.
    let path = "/api/v1/datasets/stations/rows?fields=h3_r9&h3_r9=891fa47a337ffff&limit=1";
    let answer = fixture::get(router_with_places(), path).await;
    assert_eq!(answer.json()["rows"], rows);
    let path = "/api/v1/datasets/stations/rows?h3_r9=891fa47a";
    let answer = fixture::get(router_with_places(), path).await;
    assert!(
        answer.body.contains("an H3 cell, such as"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn who_exchanges_latitude_and_longitude_is_told() {
    async fn check(dataset: &str, query: &str, hint: Option<&str>) {
        let path = format!("/api/v1/datasets/{dataset}/rows?{query}");
        let answer = fixture::get(router_with_places(), &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        let json = answer.json();
        let told = json["hints"][0].as_str();
        assert_eq!(
            told.is_some(),
            hint.is_some(),
            "{dataset} {query}: {told:?}"
        );
        if let (Some(told), Some(hint)) = (told, hint) {
            assert!(told.contains(hint), "{told}");
            assert!(answer.header("meetnet-hint").contains(hint));
            assert_eq!(json["row_count"], 0);
        }
    }
    let near = Some("near takes longitude,latitude, the longitude first");
    let area = Some("bbox takes west,south,east,north, the longitude first");
    for dataset in ["heat", "stations"] {
        check(dataset, "near=50.88,4.70", near).await;
        check(dataset, "bbox=50.8,4.6,50.95,4.8", area).await;
        // Elsewhere, and no better the other way round; and where there is something.
        check(dataset, "near=50.88,14.70", None).await;
        check(dataset, "near=4.35,52.85&radius=1000", None).await;
        check(dataset, "near=4.70,50.88", None).await;
        check(dataset, "bbox=170,50,-170,51", None).await;
    }
    let around = Some("write bbox=4.6,50.8,4.8,50.95 for what lies between");
    check("heat", "bbox=4.8,50.8,4.6,50.95", around).await;
    check("heat", "bbox=14.8,50.8,14.6,50.95", None).await;
    check("traffic", "from=2026-01-01", None).await;
}

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use meetnet_model::ids::{LicenceId, Sequence};
use meetnet_model::licence::Rights;
use serde_json::json;

use super::line_string;
use crate::encode::{RowWriter, RowsEnd};

#[test]
fn rows_become_features() {
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let lon: ArrayRef = Arc::new(Float64Array::from(vec![Some(4.7), None, Some(4.8)]));
    let lat: ArrayRef = Arc::new(Float64Array::from(vec![50.9; 3]));
    let lines = vec![None, None, Some("LINESTRING (4.7 50.9, 4.8 51)")];
    let lines: ArrayRef = Arc::new(StringArray::from(lines));
    let columns = [("id", ids), ("lon", lon), ("lat", lat), ("geometry", lines)];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let rights = Rights {
        licences: [LicenceId::new("CC0-1.0")].into(),
        attributions: vec!["Garden club".to_owned()],
    };
    let mut writer = RowWriter::geojson(batch.schema(), rights).expect("a place");
    let mut out = Vec::new();
    writer.begin(&mut out).expect("a begin");
    writer.batch(&batch, &mut out).expect("rows");
    let end = RowsEnd {
        through: Sequence(1),
        stable_time: 0,
        as_of: Some(0),
        truncated: false,
    };
    writer.end(&end, &mut out).expect("an end");
    let found: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    let feature = |geometry: serde_json::Value, id: &str| json!({ "type": "Feature", "geometry": geometry, "properties": { "id": id } });
    let expect = json!({
        "type": "FeatureCollection",
        "features": [
            feature(json!({ "type": "Point", "coordinates": [4.7, 50.9] }), "a"),
            feature(json!(null), "b"),
            feature(json!({ "type": "LineString", "coordinates": [[4.7, 50.9], [4.8, 51.0]] }), "c"),
        ],
        "licences": ["CC0-1.0"],
        "attributions": ["Garden club"],
        "stable_time": "1970-01-01T00:00:00Z",
        "as_of": "1970-01-01T00:00:00Z",
    });
    assert_eq!(found, expect);
}

#[test]
fn rows_without_a_place_are_refused() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let batch = RecordBatch::try_from_iter([("id", column)]).expect("a batch");
    let refused = RowWriter::geojson(batch.schema(), Rights::default()).err();
    let message = refused.expect("a refusal").message;
    assert!(message.contains("there is no lon"), "{message}");
}

#[test]
fn lines_are_read() {
    for (wkt, expect) in [
        (
            "LINESTRING (1 2, 3 4.5)",
            Some(vec![[1.0, 2.0], [3.0, 4.5]]),
        ),
        ("LINESTRING(1 2,3 4)", Some(vec![[1.0, 2.0], [3.0, 4.0]])),
        ("LINESTRING (1 2)", None),
        ("LINESTRING (1 2, 3)", None),
        ("LINESTRING (1 2, 3 NaN)", None),
        ("LINESTRING Z (1 2 3, 4 5 6)", None),
        ("POINT (1 2)", None),
        ("", None),
    ] {
        assert_eq!(line_string(wkt), expect, "{wkt}");
    }
}

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use meetnet_model::ids::{LicenceId, Sequence};
use meetnet_model::licence::Rights;
use serde_json::json;

use crate::encode::{Format, RowWriter, RowsEnd};

#[test]
fn rows_from_elsewhere_become_features_with_their_rights() {
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
    let mut writer = RowWriter::new(Format::Geojson, batch.schema(), rights);
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
        "row_count": 3,
        "through": 1,
        "truncated": false,
        "licences": ["CC0-1.0"],
        "attributions": ["Garden club"],
        "stable_time": "1970-01-01T00:00:00Z",
        "as_of": "1970-01-01T00:00:00Z",
    });
    assert_eq!(found, expect);
}

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};

use super::*;

fn request() -> EraseRequest {
    EraseRequest {
        sensor_ids: ["air-0123456789abcdef".to_owned()].into(),
        segment_ids: [9_000_001_463].into(),
        devices: BTreeSet::new(),
    }
}

fn journalled(request: &EraseRequest, key: &PrivacyKey) -> Result<Vec<u8>, SourceId> {
    let declarations = Arc::new(meetnet_model::schemas::builtin().into_declarations([]));
    let decoders = Decoders::new(&declarations, key).unwrap();
    Journalled::new(request, &decoders, key).map(|journalled| journalled.to_bytes())
}

#[test]
fn the_journal_keeps_no_id() {
    let key = PrivacyKey::new("a secret for tests only");
    let bytes = journalled(&request(), &key).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(
        !text.contains("0123456789abcdef") && !text.contains("9000001463"),
        "{text}"
    );
    let mut wanted = Wanted::read(&bytes, &key).unwrap().unwrap();
    assert!(wanted.holds(Subject::Sensor("air-0123456789abcdef")));
    // With another secret it would mean nobody.
    let other = Wanted::read(&bytes, &PrivacyKey::new("another")).unwrap();
    assert!(other.is_none());
    // A newer version's request may ask for more, which must not be taken for done.
    let newer = text.replacen('{', "{\"owners\":[],", 1);
    for unreadable in ["{\"sensors\":", "{}", newer.as_str()] {
        assert!(
            Wanted::read(unreadable.as_bytes(), &key).is_err(),
            "{unreadable}"
        );
    }
    let of_nobody = EraseRequest {
        devices: [("air".into(), "4711".to_owned())].into(),
        ..request()
    };
    assert_eq!(journalled(&of_nobody, &key), Err("air".into()));
}

#[test]
fn rows_are_told_by_the_column_of_their_subject() {
    let key = PrivacyKey::new("a secret for tests only");
    let bytes = journalled(&request(), &key).unwrap();
    let mut wanted = Wanted::read(&bytes, &key).unwrap().unwrap();
    let rows = |column: &'static str, array: Arc<dyn Array>| {
        RecordBatch::try_from_iter_with_nullable([(column, array, true)]).unwrap()
    };
    let sensor = "air-0123456789abcdef";
    let sensors = StringArray::from(vec![Some("a"), Some(sensor), Some(sensor), None, Some("b")]);
    let sensors = rows("sensor_id", Arc::new(sensors));
    assert_eq!(
        wanted.rows(&sensors, "sensor_id"),
        [false, true, true, false, false]
    );
    assert_eq!(wanted.rows(&sensors, "id"), [false; 5]);
    let segments = Int64Array::from(vec![Some(1), Some(9_000_001_463), None]);
    let segments = rows("segment_id", Arc::new(segments));
    assert_eq!(wanted.rows(&segments, "segment_id"), [false, true, false]);
}

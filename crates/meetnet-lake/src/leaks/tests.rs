use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use meetnet_model::redact::PersonalKind;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::storage::FolderStorage;

/// Writes a file with one column and searches it.
fn check(
    (name, values): (&str, ArrayRef),
    unit: &str,
    (key, value): (&str, &str),
    expect: &[(&str, PersonalKind, u64)],
) {
    let field = Field::new(name, values.data_type().clone(), true)
        .with_metadata(HashMap::from([("unit".to_owned(), unit.to_owned())]));
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![values]).unwrap();
    let pair = KeyValue::new(key.to_owned(), value.to_owned());
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2))
        .set_key_value_metadata(Some(vec![pair]))
        .build();
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("x.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let storage = FolderStorage::new(folder.path());
    let found = search_parquet(&storage, "x.parquet", &Allowed::default()).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(place, leak)| (place.as_str(), leak.kind, leak.rows))
        .collect();
    assert_eq!(found, expect, "{name}, {unit}, {key}");
}

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

#[test]
fn each_place_of_a_file_is_searched() {
    let clean = || texts(&[Some("lora-3f1c0a9e5b7d2468"), None, Some("")]);
    let licence = ("licence", "CC0-1.0");
    check(("sensor_id", clean()), "Cel", licence, &[]);
    // In several row groups, beside nulls.
    check(
        (
            "sensor_id",
            texts(&[
                Some("lora-70b3d57ed005abcd"),
                None,
                Some("x"),
                Some("lora-70b3d57ed005abcd"),
                Some("AA:BB:CC:DD:EE:FF"),
            ]),
        ),
        "",
        licence,
        &[
            ("column sensor_id", PersonalKind::Mac, 1),
            ("column sensor_id", PersonalKind::Eui, 2),
        ],
    );
    let mut list = ListBuilder::new(StringBuilder::new());
    list.values().append_value("an@example.org");
    list.values().append_value("bo@example.org");
    list.append(true);
    list.append(false);
    check(
        ("names", Arc::new(list.finish())),
        "",
        licence,
        &[("column names.list.item", PersonalKind::Email, 2)],
    );
    let places: ArrayRef = Arc::new(Float64Array::from(vec![Some(50.88), None, Some(50.879_81)]));
    check(
        ("lat", Arc::clone(&places)),
        "deg",
        licence,
        &[("column lat", PersonalKind::Coordinates, 1)],
    );
    check(("value", places), "Cel", licence, &[]);
    check(
        ("sensor_id", clean()),
        "",
        ("attribution", "ask an@example.org"),
        &[("footer attribution", PersonalKind::Email, 1)],
    );
    check(
        ("sensor_id", clean()),
        "",
        ("AA:BB:CC:DD:EE:FF", "x"),
        &[("footer keys", PersonalKind::Mac, 1)],
    );
    check(
        ("sensor_id", clean()),
        "mqtt://an:hunter2@broker",
        licence,
        &[("footer unit of sensor_id", PersonalKind::BasicAuth, 1)],
    );
    check(
        ("70b3d57ed005abcd", texts(&[Some("x")])),
        "",
        licence,
        &[("footer columns", PersonalKind::Eui, 1)],
    );
    let bytes: ArrayRef = Arc::new(arrow::array::BinaryArray::from_vec(vec![&b"\xff\xfe"[..]]));
    assert_eq!(bytes.data_type(), &DataType::Binary);
    check(("bytes", bytes), "", licence, &[]);
}

#[test]
fn what_cannot_be_read_is_no_clean_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.parquet"), b"PAR1 not really PAR1").unwrap();
    let storage = FolderStorage::new(folder.path());
    for path in ["x.parquet", "none.parquet"] {
        let error = search_parquet(&storage, path, &Allowed::default()).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[test]
fn coordinates_are_those_of_the_sources_that_are_asked_for() {
    let numbers =
        |numbers: [f64; 3]| -> ArrayRef { Arc::new(Float64Array::from(numbers.to_vec())) };
    let columns: [(&str, ArrayRef); 3] = [
        ("source", texts(&[Some("town"), Some("garden"), None])),
        ("lon", numbers([4.70052, 4.71, 4.72])),
        ("lat", numbers([50.87981, 50.88, 50.89])),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("x.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let storage = FolderStorage::new(folder.path());
    for (source, expect) in [("town", vec![4.70052, 50.87981]), ("nobody", vec![])] {
        let sources = BTreeSet::from([source.to_owned()]);
        let found = coordinates_of(&storage, "x.parquet", &sources).unwrap();
        assert_eq!(found, expect, "{source}");
    }
}

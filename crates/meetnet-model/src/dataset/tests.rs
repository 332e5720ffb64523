use std::sync::Arc;

use super::*;
use crate::schemas;

fn dataset(id: &str) -> Arc<DatasetDeclaration> {
    Arc::clone(&schemas::builtin().datasets[&DatasetId::new(id)])
}

fn names(schema: &SchemaRef) -> String {
    schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_layouts_share_their_columns() {
    let air = dataset("air");
    let declared = "sensor_id property time interval_s value";
    let common = "received_at recorded_at superseded_at revision";
    assert_eq!(names(&air.declared_schema()), declared);
    assert_eq!(
        names(&air.row_schema()),
        format!("{declared} quality quality_tests source licence {common}")
    );
    let file = format!("{declared} quality quality_tests source {common}");
    assert_eq!(names(&air.file_schema()), file);
    assert_eq!(
        names(&air.table_schema()),
        format!("{file} licence superseded month")
    );
}

#[test]
fn keys_and_values_part_the_columns() {
    let air = dataset("air");
    assert_eq!(
        (air.key_indices(), air.value_indices()),
        (vec![0, 1, 2], vec![3, 4])
    );
    for (id, time_column, public) in [
        ("traffic", "time", true),
        ("segments", "valid_from", true),
        ("stations", "valid_from", true),
        ("rejects", "time", false),
    ] {
        let dataset = dataset(id);
        assert_eq!(
            (dataset.time_column(), dataset.is_public()),
            (time_column, public),
            "{id}"
        );
        assert_eq!(dataset.key_indices().len(), dataset.key.len(), "{id}");
        let time = &dataset.columns[dataset.column_index(time_column).unwrap()];
        assert!(time.required, "every row of `{id}` has a partition");
    }
}

#[test]
fn rows_are_about_a_sensor_or_a_segment() {
    for (id, expect) in [
        ("heat", Some("sensor_id text")),
        ("traffic", Some("segment_id int")),
        ("stations", Some("id text")),
        ("segments", Some("id int")),
        ("rejects", None),
    ] {
        let dataset = dataset(id);
        let column = dataset.subject_column();
        let text = column.map(|c| format!("{} {}", c.name, c.column_type.as_str()));
        assert_eq!(text.as_deref(), expect, "{id}");
    }
}

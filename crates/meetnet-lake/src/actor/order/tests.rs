//! The order against sorting all keys.

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{Field, Schema};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;
use meetnet_model::schemas;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// Rows of few keys, so that many come again; nothing stands beside the keys.
fn some_rows(rng: &mut StdRng, declaration: &DatasetDeclaration, count: usize) -> RecordBatch {
    let declared = declaration.declared_schema();
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for field in declared.fields() {
        let is_key = declaration.key.iter().any(|name| name == field.name());
        let mut numbers = || -> Vec<i64> { (0..count).map(|_| rng.random_range(-2..3)).collect() };
        columns.push(match field.data_type() {
            data_type if !is_key => new_null_array(data_type, count),
            DataType::Utf8 => {
                // One is the beginning of another.
                let text = |number: i64| "x".repeat((number + 2) as usize);
                Arc::new(StringArray::from_iter_values(
                    numbers().into_iter().map(text),
                ))
            }
            DataType::Int64 => Arc::new(Int64Array::from(numbers())),
            _ => Arc::new(TimestampMicrosecondArray::from(numbers()).with_timezone("UTC")),
        });
        fields.push(field.as_ref().clone().with_nullable(true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn rows_are_in_the_order_of_their_keys_and_versions_in_that_of_their_coming() {
    let declarations = schemas::builtin().into_declarations([]);
    // Keys of texts, of integers, of a place and its period, and without a time.
    for dataset in ["heat", "traffic", "stations", "rejects"] {
        let declaration = &declarations.datasets[&DatasetId::new(dataset)];
        let codec = KeyCodec::new(declaration).unwrap();
        assert_eq!(codec.has_series, dataset != "rejects");
        for seed in 0..200 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let batches: Vec<RecordBatch> = (0..rng.random_range(0..4))
                .map(|_| {
                    let count = rng.random_range(0..40);
                    some_rows(rng, declaration, count)
                })
                .collect();
            let mut expected: Vec<(Vec<u8>, RowPlace)> = Vec::new();
            for (index, batch) in batches.iter().enumerate() {
                let keys = codec.keys(batch).unwrap();
                let rows = keys.iter().enumerate();
                expected.extend(
                    rows.map(|(row, key)| (key.data().to_vec(), (index as u32, row as u32))),
                );
            }
            expected.sort();
            let expected: Vec<RowPlace> = expected.into_iter().map(|(_, place)| place).collect();
            let order = key_order(&codec, &batches).unwrap();
            assert_eq!(order, expected, "{dataset}, seed {seed}");
        }
    }
}

#[test]
fn rows_to_look_up_are_in_the_order_of_their_keys_and_those_of_one_key_as_they_came() {
    let declarations = schemas::builtin().into_declarations([]);
    for dataset in ["heat", "traffic", "stations", "rejects"] {
        let declaration = &declarations.datasets[&DatasetId::new(dataset)];
        let codec = KeyCodec::new(declaration).unwrap();
        for seed in 0..200 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let count = rng.random_range(0..40);
            let keys = codec.keys(&some_rows(rng, declaration, count)).unwrap();
            let key = |row: u32| keys.row(row as usize).data();
            let some: Vec<(u32, u64)> = (0..count as u32)
                .filter(|_| rng.random_bool(0.9))
                .map(|row| (row, u64::from(row) + seed))
                .collect();
            let mut expected = some.clone();
            expected.sort_by(|(a, _), (b, _)| key(*a).cmp(key(*b)));
            assert_eq!(
                sort_by_key(&codec, &keys, some),
                expected,
                "{dataset}, seed {seed}"
            );
        }
    }
}

#[test]
fn no_row_repeats_the_key_of_another_where_the_times_of_its_series_rise() {
    let declarations = schemas::builtin().into_declarations([]);
    for dataset in ["heat", "traffic", "stations", "rejects"] {
        let declaration = &declarations.datasets[&DatasetId::new(dataset)];
        let codec = KeyCodec::new(declaration).unwrap();
        // Rows of which that is known, although others come twice.
        let mut known = 0;
        for seed in 0..200 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let count = rng.random_range(0..40);
            let keys = codec.keys(&some_rows(rng, declaration, count)).unwrap();
            let keys: Vec<&[u8]> = keys.iter().map(|key| key.data()).collect();
            let repeats = may_repeat(&codec, keys.iter().copied());
            assert_eq!(repeats.len(), count);
            for (key, may_repeat) in keys.iter().zip(&repeats) {
                let times = keys.iter().filter(|other| *other == key).count();
                assert!(*may_repeat || times == 1, "{dataset}, seed {seed}");
            }
            let has_both = repeats.contains(&true) && repeats.contains(&false);
            known += usize::from(has_both);
        }
        assert_eq!(known > 20, codec.has_series, "{dataset}: {known}");
    }
}

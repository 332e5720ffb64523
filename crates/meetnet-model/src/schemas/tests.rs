use super::*;

#[test]
fn built_in_declarations_load() {
    let schemas = builtin();
    let ids: Vec<&str> = schemas.datasets.keys().map(DatasetId::as_str).collect();
    assert_eq!(
        ids,
        [
            "air", "heat", "noise", "rejects", "segments", "stations", "traffic"
        ]
    );
}

use datafusion::datasource::MemTable;
use serde_json::json;

use super::*;

fn declaration(columns: &[(&str, &str)]) -> DatasetDeclaration {
    let texts = json!({ "nl": "proef", "en": "test", "fr": "essai" });
    let column = |(name, data_type): &(&str, &str)| json!({ "name": name, "type": data_type });
    let columns: Vec<_> = columns.iter().map(column).collect();
    serde_json::from_value(json!({
        "id": "spots",
        "version": 1,
        "kind": "places",
        "grain": "year",
        "key": ["id", "valid_from"],
        "title": texts,
        "description": texts,
        "column": columns,
    }))
    .expect("a declaration")
}

const KEYS: [(&str, &str); 2] = [("id", "text"), ("valid_from", "timestamp")];
const PLACE: [(&str, &str); 2] = [("lon", "float"), ("lat", "float")];

#[test]
fn what_has_a_place_has_a_layer() {
    let check = |more: &[(&str, &str)], expect: Option<&str>| {
        let declaration = declaration(&[&KEYS[..], more].concat());
        let kind = has_layer(&declaration).then(|| geometry_kind(&declaration));
        assert_eq!(kind, expect, "{more:?}");
    };
    check(&[], None);
    check(&PLACE[..1], None);
    check(&PLACE, Some("POINT"));
    check(&[("geometry", "text")], Some("GEOMETRY"));
    check(&[("geometry", "float")], None);
    check(
        &[&PLACE[..], &[("geometry", "text")]].concat(),
        Some("GEOMETRY"),
    );
    check(&[("lon", "text"), ("lat", "text")], None);
    check(&[&PLACE[..], &[("fid", "int")]].concat(), None);
    check(&[&PLACE[..], &[("geom", "text")]].concat(), None);
}

/// The catalogue says what the view has.
#[tokio::test]
async fn a_layer_has_the_columns_that_the_catalogue_says() {
    for more in [&PLACE[..], &[("geometry", "text")]] {
        let declaration = declaration(&[&KEYS[..], more].concat());
        let rows = MemTable::try_new(public_schema(&declaration), vec![Vec::new()]);
        let layer = layer(&declaration, Arc::new(rows.expect("a table"))).expect("a view");
        let (said, found) = (schema(&declaration), layer.schema());
        let columns = |schema: &Schema| -> Vec<_> {
            let fields = schema.fields().iter();
            let columns = fields.map(|field| {
                let pg_type = crate::postgres::PgType::of_field(field);
                (field.name().clone(), field.data_type().clone(), pg_type)
            });
            columns.collect()
        };
        assert_eq!(columns(&said), columns(&found), "{more:?}");
    }
}

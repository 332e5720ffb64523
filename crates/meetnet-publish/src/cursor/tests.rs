use meetnet_model::ids::DatasetId;

use super::*;
use crate::fixture;

fn heat(after: Vec<PageValue>) -> (Cursor, std::sync::Arc<DatasetDeclaration>) {
    let declarations = fixture::declarations();
    let declaration = declarations.datasets[&DatasetId::new("heat")].clone();
    let cursor = Cursor {
        as_of: fixture::NOW,
        after,
        order: None,
    };
    (cursor, declaration)
}

#[test]
fn a_cursor_comes_back_as_it_was() {
    let key = vec![
        PageValue::Text("z2m-\"balkon\" é".to_owned()),
        PageValue::Text("air_temperature".to_owned()),
        PageValue::Time(-1),
    ];
    let (cursor, declaration) = heat(key);
    let text = cursor.to_text();
    assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    assert_eq!(Cursor::read(&text, &declaration).as_ref(), Ok(&cursor));
    let ordered = Cursor {
        order: Some("-time".to_owned()),
        ..cursor
    };
    let text = ordered.to_text();
    assert_eq!(Cursor::read(&text, &declaration), Ok(ordered));
}

#[test]
fn anything_else_is_refused() {
    let (cursor, declaration) = heat(vec![PageValue::Int(1)]);
    let hex = |json: &str| Hex(json.as_bytes()).to_string();
    for text in [
        String::new(),
        "x".to_owned(),
        "é0".to_owned(),
        "7b".to_owned(),
        "5b5".to_owned(),
        cursor.to_text(),
        hex("[1,\"a\",\"b\"]"),
        hex("[1,\"a\",\"b\",\"c\"]"),
        hex("[1,2,\"b\",3]"),
        hex("[1.5,\"a\",\"b\",3]"),
        hex("[\"1\",\"a\",\"b\",3]"),
        hex("[1,\"a\",\"b\",3,4]"),
        hex("[1,\"a\",\"b\",3,\"-time\",4]"),
        hex("{}"),
    ] {
        assert!(Cursor::read(&text, &declaration).is_err(), "{text}");
    }
    let good = hex("[1,\"a\",\"b\",3]");
    assert!(Cursor::read(&good, &declaration).is_ok(), "{good}");
}

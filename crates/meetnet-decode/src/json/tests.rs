use std::borrow::Cow;

use super::pointer::{Pointer, array_index};
use super::read::{Reading, boolean, integer, list, number, text};
use super::shape::Shape;
use super::tape::Tape;
use super::walk::walk;
use super::*;
use crate::fields::{Fields, Raw, Slot, Span};

/// Walks `body` for `pointers` and returns the raw texts found.
fn found<'a>(pointers: &[&str], body: &'a str) -> Result<Vec<Option<&'a str>>, String> {
    let mut shape = Shape::new();
    let slots: Vec<Slot> = pointers
        .iter()
        .map(|p| shape.want(&Pointer::parse(p).unwrap()).unwrap())
        .collect();
    let spans = walked(&shape, body)?;
    let fields = Fields::json(body, &spans);
    Ok(slots
        .into_iter()
        .map(|slot| fields.source_text(slot))
        .collect())
}

/// Reads `body` and returns where the values that `shape` wants stand.
fn walked(shape: &Shape, body: &str) -> Result<Vec<Span>, String> {
    let mut tape = Tape::default();
    let document = tape.read(body).map_err(|error| error.to_string())?;
    let mut spans = Vec::new();
    walk(shape, document, &mut spans);
    Ok(spans)
}

#[test]
fn a_walk_finds_values_where_the_pointers_say() {
    let check = |pointers: &[&str], body: &str, expect: &[Option<&str>]| {
        assert_eq!(
            found(pointers, body).as_deref(),
            Ok(expect),
            "{pointers:?} in {body}"
        );
    };
    check(
        &["/a", "/b"],
        r#"{"b": 2 , "a":1}"#,
        &[Some("1"), Some("2")],
    );
    check(&["/a"], r#"{"b":{"a":1}}"#, &[None]);
    check(&["/b/a"], r#"{"b":{"a":"x"}}"#, &[Some("\"x\"")]);
    check(&["/b/a"], r#"{"b":5}"#, &[None]);
    check(&["/b/a"], r#"{"b":null}"#, &[None]);
    check(&["/b/a"], r#"{"b":[{"a":1}]}"#, &[None]);
    check(&["/b/1/a"], r#"{"b":[{"a":1},{"a":2}]}"#, &[Some("2")]);
    check(&["/0", "/1"], "[7,8,9]", &[Some("7"), Some("8")]);
    check(&[""], " 21.3 ", &[Some("21.3")]);
    check(&["", "/a"], r#"{"a":1}"#, &[Some(r#"{"a":1}"#), Some("1")]);
    check(
        &["/a~1b", "/m~0n", "/"],
        r#"{"a/b":1,"m~n":2,"":3}"#,
        &[Some("1"), Some("2"), Some("3")],
    );
    // A name may be written with escapes, a value may be anything.
    check(&["/temp"], r#"{"\u0074emp": true}"#, &[Some("true")]);
    check(
        &["/a"],
        r#"{"a":{"deep":[1,2]}}"#,
        &[Some(r#"{"deep":[1,2]}"#)],
    );
    // Of a repeated member the last value counts.
    check(&["/a"], r#"{"a":1,"a":2}"#, &[Some("2")]);
    check(&["/a"], r#"{"a":1,"a":null}"#, &[Some("null")]);
}

#[test]
fn a_walk_fails_on_what_is_not_json_and_says_where() {
    let check = |body: &str, expect: &str| {
        let error = found(&["/a"], body).unwrap_err();
        assert!(error.contains(expect), "{body}: {error}");
    };
    check("", "EOF");
    check("{", "EOF while parsing an object at line 1 column 1");
    check(r#"{"a":1"#, "column 6");
    check(r#"{"a":1}x"#, "trailing characters at line 1 column 8");
    check(r#"{"a":nan}"#, "column 7");
    check(r#"{"a":1,}"#, "trailing comma");
    check(r#"{"b":"x"#, "EOF while parsing a string");
    check("{'a':1}", "column 2");
    check("temperature=21", "line 1 column 2");
    check(r#"{"Time":"2018","MCP": "D0":0}}"#, "column");
}

#[test]
fn unwanted_values_nest_to_any_depth() {
    let deep = format!(
        "{{\"x\":{}1{},\"a\":5}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(found(&["/a"], &deep), Ok(vec![Some("5")]));
    let wanted = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(found(&["/a"], &wanted).unwrap()[0].unwrap().len(), 200_000);
    assert!(found(&["/a/0"], &"[".repeat(100_000)).is_err());
}

#[test]
fn a_wrapper_is_opened_once() {
    let mut shape = Shape::new();
    let a = shape.want_member("a").unwrap();
    let object = shape.want_object(&Pointer::member("b")).unwrap();
    shape.unwrap_members(&["result"]).unwrap();
    let check = |body: &str, has_a: bool, has_object: bool| {
        let spans = walked(&shape, body).unwrap();
        let fields = Fields::json(body, &spans);
        assert_eq!(
            (fields.has(a), fields.has(object)),
            (has_a, has_object),
            "{body}"
        );
    };
    check(r#"{"a":1,"b":{"c":1}}"#, true, true);
    check(r#"{"result":{"a":1,"b":{}}}"#, true, false);
    check(r#"{"result":{"result":{"a":1}},"b":null}"#, false, false);
}

#[test]
fn elements_are_the_parts_of_an_array() {
    let mut tape = Tape::default();
    let mut elements = |body: &str| -> Option<Vec<String>> {
        let elements = tape.read(body).unwrap().elements()?;
        Some(elements.map(|value| value.text().to_owned()).collect())
    };
    assert_eq!(
        elements(r#" [ {"a":[1,2]} , 3,"x" ] "#).unwrap(),
        [r#"{"a":[1,2]}"#, "3", "\"x\""]
    );
    assert_eq!(elements("[[],[{}]]").unwrap(), ["[]", "[{}]"]);
    assert_eq!(elements("[ ]").unwrap(), [""; 0]);
    assert_eq!(elements("{\"a\":[1]}"), None);
    assert_eq!(elements("1"), None);
}

#[test]
fn pointers_follow_rfc_6901() {
    let tokens = |text| Pointer::parse(text).unwrap().tokens().to_vec();
    assert_eq!(tokens(""), []);
    assert_eq!(tokens("/"), ["".into()]);
    assert_eq!(
        tokens("/a~1b/~01/0"),
        ["a/b".into(), "~1".into(), "0".into()]
    );
    for wrong in ["a", "a/b", "/a~", "/a~2"] {
        assert!(Pointer::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(array_index("0"), Some(0));
    assert_eq!(array_index("12"), Some(12));
    for none in ["", "01", "-", "-1", "a", "99999999999999999999999"] {
        assert_eq!(array_index(none), None, "{none}");
    }
}

#[test]
fn numbers_come_in_every_dress() {
    let check = |raw: &str, expect| assert_eq!(number(Some(Raw::Json(raw))), expect, "{raw}");
    for (raw, value) in [
        ("0", 0.0),
        ("0.0", 0.0),
        ("-0.0", 0.0),
        ("21.5", 21.5),
        ("\"21.5\"", 21.5),
        ("\" 21.50 \"", 21.5),
        ("\"+3\"", 3.0),
        ("1e3", 1000.0),
        ("\"1E-2\"", 0.01),
        ("\"\\u0031\"", 1.0),
        ("-999", -999.0),
        // Correctly rounded, as an independent reader gets it.
        ("78.0821917808", 78.082_191_780_8),
        ("0.1", 0.1),
        ("9007199254740993", 9_007_199_254_740_992.0),
    ] {
        check(raw, Reading::Value(value));
    }
    for raw in ["null", "\"\"", "\"  \"", "\"NaN\"", "\"nan\""] {
        check(raw, Reading::Missing);
    }
    assert_eq!(number(None), Reading::Missing);
    for raw in [
        "true",
        "{}",
        "[1]",
        "\"abc\"",
        "\"-59 dBm\"",
        "\"12,5\"",
        "\"inf\"",
        "\"infinity\"",
        "1e999",
        "\"1e999\"",
        "\"0x10\"",
        "\"1_000\"",
        "\"e\"",
        "\"\\ud800\"",
    ] {
        check(raw, Reading::Wrong);
    }
}

#[test]
fn whole_numbers_texts_and_booleans() {
    for (raw, expect) in [
        ("9000001463", Reading::Value(9_000_001_463)),
        ("\"9000001463\"", Reading::Value(9_000_001_463)),
        ("3.0", Reading::Value(3)),
        ("\"3.0\"", Reading::Value(3)),
        ("9223372036854775807", Reading::Value(i64::MAX)),
        ("3.5", Reading::Wrong),
        ("1e300", Reading::Wrong),
        ("\"x\"", Reading::Wrong),
        ("null", Reading::Missing),
        ("\"\"", Reading::Missing),
    ] {
        assert_eq!(integer(Some(Raw::Json(raw))), expect, "{raw}");
    }
    for (raw, expect) in [
        ("\"abc\"", Some("abc")),
        ("\" a \"", Some("a")),
        ("\"a\\u0062\"", Some("ab")),
        ("123", Some("123")),
        ("12345678901234567890123", Some("12345678901234567890123")),
        ("\"\"", None),
        ("null", None),
    ] {
        let expect = expect.map_or(Reading::Missing, |text| Reading::Value(Cow::Borrowed(text)));
        assert_eq!(text(Some(Raw::Json(raw))), expect, "{raw}");
    }
    assert_eq!(text(Some(Raw::Json("true"))), Reading::Wrong);
    assert_eq!(text(Some(Raw::Json("{}"))), Reading::Wrong);
    for (raw, expect) in [
        ("true", Reading::Value(true)),
        ("\"false\"", Reading::Value(false)),
        ("1", Reading::Value(true)),
        ("\"\"", Reading::Missing),
        ("2", Reading::Wrong),
        ("\"on\"", Reading::Wrong),
    ] {
        assert_eq!(boolean(Some(Raw::Json(raw))), expect, "{raw}");
    }
}

#[test]
fn plain_text_is_read_as_what_it_says() {
    let numbers = [
        ("21.5", Reading::Value(21.5)),
        (" -3 ", Reading::Value(-3.0)),
        ("", Reading::Missing),
        ("nan", Reading::Missing),
        ("null", Reading::Wrong),
        ("true", Reading::Wrong),
        ("\"21.5\"", Reading::Wrong),
        ("[1]", Reading::Wrong),
    ];
    for (raw, expect) in numbers {
        assert_eq!(number(Some(Raw::Text(raw))), expect, "{raw}");
    }
    assert_eq!(integer(Some(Raw::Text("17"))), Reading::Value(17));
    assert_eq!(boolean(Some(Raw::Text("true"))), Reading::Value(true));
    for (raw, expect) in [("null", "null"), ("{}", "{}"), ("a\\b", "a\\b")] {
        assert_eq!(
            text(Some(Raw::Text(raw))),
            Reading::Value(Cow::Borrowed(expect))
        );
    }
    let mut values = Vec::new();
    for (raw, expect) in [
        ("[1, 2.5]", Reading::Value(())),
        ("[", Reading::Wrong),
        ("[\"", Reading::Wrong),
        ("[\"]", Reading::Wrong),
        ("1", Reading::Wrong),
        ("", Reading::Missing),
    ] {
        assert_eq!(list(Some(Raw::Text(raw)), &mut values), expect, "{raw}");
    }
}

#[test]
fn a_list_with_a_hole_is_missing() {
    let check = |raw: &str, expect: Reading<&[f64]>| {
        let mut values = Vec::new();
        let reading = match list(Some(Raw::Json(raw)), &mut values) {
            Reading::Value(()) => Reading::Value(values.as_slice()),
            Reading::Missing => Reading::Missing,
            Reading::Wrong => Reading::Wrong,
        };
        assert_eq!(reading, expect, "{raw}");
    };
    check("[1, 2.5,\"3\"]", Reading::Value(&[1.0, 2.5, 3.0]));
    check("[0,0.0]", Reading::Value(&[0.0, 0.0]));
    check("[]", Reading::Missing);
    check("[ ]", Reading::Missing);
    check("null", Reading::Missing);
    check("\"\"", Reading::Missing);
    check("[1,null]", Reading::Missing);
    check("[1,\"\"]", Reading::Missing);
    check("[1,[2]]", Reading::Wrong);
    check("[\"1,5\"]", Reading::Wrong);
    check("[true]", Reading::Wrong);
    check("5", Reading::Wrong);
    check("{}", Reading::Wrong);
}

#[test]
fn bare_nan_becomes_null_outside_texts_only() {
    let check = |text: &str, expect: &str| assert_eq!(lenient::without_nan(text), expect);
    check(r#"{"a":nan,"b":-nan}"#, r#"{"a":null,"b":null}"#);
    check(
        r#"{"a": NaN , "b":[nan,1,-inf]}"#,
        r#"{"a": null , "b":[null,1,null]}"#,
    );
    check(r#"{"a":Infinity,"b":-Infinity}"#, r#"{"a":null,"b":null}"#);
    check("nan", "null");
    check(
        r#"{"nan":"nan, \"nan","b":1}"#,
        r#"{"nan":"nan, \"nan","b":1}"#,
    );
    check(r#"{"a":nano}"#, r#"{"a":nano}"#);
    check(r#"{"a":xnan}"#, r#"{"a":xnan}"#);
    check(r#"{"é":nan}"#, r#"{"é":null}"#);
    check("\\", "\\");
    check("\"\\", "\"\\");
    assert!(matches!(
        lenient::without_nan("{\"a\":1}"),
        Cow::Borrowed(_)
    ));
}

#[test]
fn a_member_that_nobody_wants_can_be_noted() {
    let mut shape = Shape::new();
    shape.want_member("a").unwrap();
    let unknown = shape.want_unknown(|name| !name.starts_with('@')).unwrap();
    let check = |body: &str, expect: Option<&str>| {
        let spans = walked(&shape, body).unwrap();
        let fields = Fields::json(body, &spans);
        assert_eq!(fields.source_text(unknown), expect, "{body}");
    };
    check(r#"{"a": 1}"#, None);
    check(r#"{"@id": 2, "a": 1}"#, None);
    // The first one; what lies deeper does not count.
    check(r#"{"a": {"x": 1}, "b": 1, "c": 1}"#, Some("b"));
    // A name with escapes is one that nobody wants, too; its text is not kept.
    check(r#"{"\u0062": 1}"#, Some("{"));
    check(r#"{"\u0061": 1}"#, None);
    check("[1]", None);
}

/// Names that differ in one byte, in their length, or behind their first eight bytes only.
#[test]
fn a_member_is_found_by_its_whole_name() {
    let whole = "temperature_of_the_air_and_of_the_soil";
    let names: Vec<String> = (0..=whole.len())
        .flat_map(|length| {
            let name = &whole[..length];
            let last = name
                .strip_suffix(|_: char| true)
                .map(|rest| format!("{rest}?"));
            [Some(name.to_owned()), last]
        })
        .flatten()
        .collect();
    let (wanted, others): (Vec<_>, Vec<_>) =
        names.iter().enumerate().partition(|(at, _)| at % 3 != 0);
    let pointers: Vec<String> = wanted.iter().map(|(_, name)| format!("/{name}")).collect();
    let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
    for (at, name) in wanted.iter().chain(&others) {
        let body = format!("{{\"{name}\":1}}");
        let found = found(&pointers, &body).unwrap();
        let expect: Vec<_> = wanted
            .iter()
            .map(|(known, _)| (known == at).then_some("1"))
            .collect();
        assert_eq!(found, expect, "{name}");
        // The same at the very end of the text, where no eight bytes are left to be read.
        let mut shape = Shape::new();
        shape.want_member(name).unwrap();
        let child = shape.root().child(name.as_bytes(), Span::of(name, name));
        assert_eq!(child.map(|child| &*child.name), Some(name.as_str()));
    }
}

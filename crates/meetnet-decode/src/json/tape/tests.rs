use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// Compares with serde_json: whether a text is JSON, what is said of one that is none, and where its values stand.
fn check(text: &str) {
    check_behind(None, text);
}

/// Does the same with a tape that has read another text before.
fn check_behind(before: Option<&str>, text: &str) {
    let mut tape = Tape::default();
    if let Some(before) = before {
        let _ = tape.read(before);
    }
    let read = tape.read(text);
    match serde_json::from_str::<&RawValue>(text) {
        Ok(whole) => {
            let value = read.unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(value.text(), whole.get(), "{text}");
            check_within(value);
        }
        Err(error) => {
            let said = read.map(Value::text).unwrap_err();
            // Of a control character serde_json names the place or the one behind it, as it keeps the text or not.
            let is_control = |error: &serde_json::Error| error.to_string().contains("control");
            assert_eq!(is_control(&said), is_control(&error), "{text}: {said}");
            let place = |error: &serde_json::Error| (error.line(), error.column());
            if !is_control(&said) {
                assert_eq!(place(&said), place(&error), "{text}: {said}, not {error}");
            }
        }
    }
}

fn check_within(value: Value<'_>) {
    let text = value.text();
    assert_eq!(value.at(value.span()).map(Value::span), Some(value.span()));
    let parts: Vec<&RawValue> = if value.is_array() {
        serde_json::from_str(text).unwrap()
    } else if value.is_object() {
        serde_json::from_str::<Members<'_>>(text).unwrap().0
    } else {
        Vec::new()
    };
    let found: Vec<&str> = value.children().map(Value::text).collect();
    let expect: Vec<&str> = parts.iter().map(|part| part.get()).collect();
    assert_eq!(found, expect, "{text}");
    value.children().for_each(check_within);
}

/// The values of an object, repeated members too.
struct Members<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some((IgnoredAny, value)) = map.next_entry::<IgnoredAny, &RawValue>()? {
                    values.push(value);
                }
                Ok(values)
            }
        }
        deserializer.deserialize_map(Collect).map(Members)
    }
}

#[test]
fn a_text_is_read_as_serde_json_reads_it() {
    for text in [
        "null",
        " true\n",
        "false\t",
        "\r-0",
        "0",
        "-1.5e+10",
        "10E2",
        "\"\"",
        r#""a\"\\\/\b\f\n\r\té€\ud800""#,
        "{}",
        " [ ] ",
        r#"{"a":{"b":[1,{"c":[]}],"d":{}},"a":2,"":3}"#,
        r#"[[[]],[],{},"]",{"[":"}"}]"#,
        r#"{"a name of more than eight bytes":"and a text, too, of many"}"#,
        "\"\u{7f}\u{e9}\u{20ac}\"",
    ] {
        check(text);
    }
    for text in [
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "\"",
        "\"\\",
        "\"\\u12",
        "\"\\u12g4\"",
        "\"\\x\"",
        "\"\n\"",
        "\"12345678\u{1f}\"",
        "nul",
        "nullx",
        "tru",
        "True",
        "nan",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "1 2",
        "[1 2]",
        "{\"a\" 1}",
        "{1:2}",
        "{a:1}",
        "[1,]",
        "[,1]",
        "{,}",
        "[}",
        "{]",
        "{\"a\":1]",
        "[1}",
        "]",
        "{} {}",
        "\u{b}1",
        "'a'",
        "[1]]",
    ] {
        check(text);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_as_serde_json_reads_it(parts in prop::collection::vec(part(), 0..30)) {
        check(&parts.concat());
    }
}

proptest! {
    /// Names are first looked for where the text before had them.
    #[test]
    fn it_is_read_so_whatever_was_read_before(
        members in prop::collection::vec((name(), value()), 1..6),
        others in prop::collection::vec((name(), value()), 1..6),
        change in prop::option::of((0_usize..60, part())),
    ) {
        let object = |members: &[(String, String)]| {
            let members: Vec<String> = members.iter().map(|(name, value)| name.clone() + value).collect();
            format!("[{{{0}}},{{{0}}}]", members.join(","))
        };
        let before = object(&members);
        // The same names with other values, some of other names or kinds.
        let mixed: Vec<_> = members
            .iter()
            .zip(others.iter().cycle())
            .enumerate()
            .map(|(at, (member, other))| (if at % 3 == 2 { other } else { member }.0.clone(), other.1.clone()))
            .collect();
        let mut text = object(&mixed);
        if let Some((at, part)) = change
            && let Some(at) = (at..text.len()).find(|at| text.is_char_boundary(*at))
        {
            text.insert_str(at, &part);
        }
        check_behind(Some(&before), &text);
        check_behind(Some(&text), &before);
    }
}

/// A name with its colon.
fn name() -> impl Strategy<Value = String> {
    let names = vec![
        "\"\":",
        "\"a\":",
        "\"b\" : ",
        "\"ab\":",
        "\"abc\": ",
        "\"temperature\":",
        "\"a name of more than thirty-two bytes\":",
        "\"\\\"\":",
        "\"a\\u0062\":",
        "\"é\":",
    ];
    prop::sample::select(names).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    let values = vec![
        "1",
        "-12.5",
        "1e3",
        "\"\"",
        "\"a\"",
        "\"\\\\\"",
        "null",
        "true",
        "[]",
        "[1,2]",
        "{}",
        "{\"x\":{}}",
        "{\"a\":1,\"b\":[{\"c\":2}]}",
    ];
    prop::sample::select(values).prop_map(str::to_owned)
}

fn part() -> impl Strategy<Value = String> {
    let parts = vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"a\":",
        "\"bc\":1,",
        "1",
        "-",
        "0",
        ".5",
        "e9",
        "null",
        "true",
        "nul",
        " ",
        "\n",
        "[1,2]",
        "{\"x\":{}}",
        "\\u0041",
        "\u{1}",
    ];
    prop_oneof![
        4 => prop::sample::select(parts).prop_map(str::to_owned),
        1 => ".{0,9}",
    ]
}

#[test]
fn a_tape_is_used_again_and_gives_back_what_one_body_took() {
    let mut tape = Tape::default();
    assert!(tape.read("[1,2,").is_err());
    assert_eq!(tape.read("[3]").unwrap().children().count(), 1);
    let large = format!("[{}1]", "10,".repeat(2 * NODES_KEPT_MAX));
    assert_eq!(
        tape.read(&large).unwrap().children().count(),
        2 * NODES_KEPT_MAX + 1
    );
    tape.read("1").unwrap();
    assert!(tape.nodes.capacity() < NODES_KEPT_MAX);
}

/// A body of 16 MiB, as large as any that is taken: what is noted of it stays within a few times its length.
#[test]
fn a_text_of_nothing_but_values_takes_no_room_for_all_of_them() {
    const BYTES: usize = 16 << 20;
    let mut tape = Tape::default();
    for (text, excess) in [
        ("[".repeat(BYTES), "262144 objects and arrays inside"),
        (
            "{\"\":".repeat(BYTES / 4),
            "262144 objects and arrays inside",
        ),
        (format!("[{}0]", "0,".repeat(BYTES / 2)), "4456448 values"),
        (format!("[{}0]", "[],".repeat(BYTES / 3)), "4456448 values"),
    ] {
        let error = tape.read(&text).map(Value::text).unwrap_err().to_string();
        assert!(error.contains(excess), "{error}");
        let bytes = tape.nodes.capacity() * size_of::<Node>();
        assert!(bytes < 8 * BYTES, "{bytes} bytes for {text:.20}…");
    }
    // Whatever was read before: the same texts are taken.
    for _ in 0..2 {
        let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert_eq!(tape.read(&deepest).unwrap().text(), deepest);
        let dense = format!("[{}0]", "0,".repeat(2 * NODES_KEPT_MAX - 10));
        assert!(tape.read(&dense).is_ok());
        let denser = format!("[{}0]", "0,".repeat(2 * NODES_KEPT_MAX));
        assert!(tape.read(&denser).is_err());
    }
}

#[test]
fn a_group_that_is_taken_holds_no_memory_of_a_large_body() {
    let declarations = meetnet_model::schemas::builtin().into_declarations([]);
    let mut group = crate::group::Group::new(&declarations);
    let large = format!("[{}1]", "10,".repeat(2 * NODES_KEPT_MAX));
    for tape in [&mut group.tape, &mut group.scratch.inner] {
        tape.read(&large).unwrap();
    }
    assert!(group.take().rows.is_empty());
    for tape in [&group.tape, &group.scratch.inner] {
        assert!(tape.nodes.capacity() < NODES_KEPT_MAX);
    }
}

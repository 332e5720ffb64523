//! No bytes make a decoder panic, drop something silently or leave columns of different lengths.

use proptest::prelude::*;

use crate::harness::TARGETS;

fn check(body: &[u8]) {
    for (_, target) in TARGETS {
        target(body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&body);
    }

    #[test]
    fn no_broken_json_panics(parts in prop::collection::vec(json_part(), 0..40)) {
        check(parts.concat().as_bytes());
    }

    #[test]
    fn no_json_panics(body in json_value()) {
        check(body.as_bytes());
    }

    #[test]
    fn no_declaration_panics(lines in prop::collection::vec(declaration_line(), 6), body in json_value()) {
        check(format!("{}\n{body}", lines.join("\n")).as_bytes());
    }
}

const NAMES: [&str; 28] = [
    "t",
    "ts",
    "s",
    "h",
    "id",
    "a",
    "b",
    "report",
    "data",
    "result",
    "segment_id",
    "date",
    "interval",
    "uptime",
    "car",
    "sensordatavalues",
    "value_type",
    "value",
    "uplink_message",
    "decoded_payload",
    "end_device_ids",
    "dev_eui",
    "sensor",
    "timestamp",
    "values",
    "features",
    "properties",
    "createdAt",
];

/// Pieces of JSON that seldom fit together.
fn json_part() -> impl Strategy<Value = String> {
    let marks = vec![
        "{", "}", "[", "]", ",", ":", "nan", "null", "\"", "\\", "1e9", "-", " ", "\n",
    ];
    prop_oneof![
        prop::sample::select(marks).prop_map(str::to_owned),
        prop::sample::select(&NAMES[..]).prop_map(|name| format!("\"{name}\":")),
        any::<f64>().prop_map(|number| number.to_string()),
        ".{0,6}",
    ]
}

/// Well-formed JSON with the names that decoders look for, in places where they do and do not.
fn json_value() -> impl Strategy<Value = String> {
    let texts = vec![
        "\"\"",
        "\"hourly\"",
        "\"2026-06-01T09:00:00Z\"",
        "\"SDS_P1\"",
        "1e999",
        "-1",
        "\"\\ud800\"",
        "9223372036854.775807",
        "\"9223372036854775807\"",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        prop::sample::select(texts).prop_map(str::to_owned),
        (-1e6..1e6).prop_map(|value: f64| format!("{value:.3}")),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let name = prop::sample::select(&NAMES[..]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec((name, inner), 0..8).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Topic patterns, templates, pointers and units, right and wrong.
fn declaration_line() -> impl Strategy<Value = String> {
    let parts = vec![
        "/", "+", "#", "{", "}", "{d}", "{d...}", "a", "~0", "~", "0", "1", "t", "Cel", "K",
        "[degF]", "",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..5).prop_map(|parts| parts.concat())
}

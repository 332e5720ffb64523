use super::*;
use crate::ids::{DatasetId, LicenceId, SourceId};
use crate::schemas;
use crate::source::{DoubledHour, TimeDeclaration, TimeFormat, TimeWindow};

fn entry(dataset: &str, property: &str, unit: Option<&str>) -> MapEntry {
    MapEntry {
        dataset: DatasetId::new(dataset),
        property: Some(property.to_owned()),
        column: None,
        pointer: "/v".to_owned(),
        unit: unit.map(str::to_owned),
        interval_s: None,
    }
}

/// A source without a fault; the tests below change one thing each.
fn balcony() -> SourceDeclaration {
    SourceDeclaration {
        id: SourceId::new("balcony"),
        kind: SourceKind::Mqtt,
        format: WireFormat::Json,
        namespace: "z2m".to_owned(),
        licence: LicenceId::new("CC0-1.0"),
        attribution: None,
        topics: vec!["zigbee2mqtt/{device}".to_owned()],
        sensor_id: Some(ValueRef::Template("{device}".to_owned())),
        hardware_id: false,
        time: Some(TimeDeclaration {
            pointer: "/ts".to_owned(),
            format: TimeFormat::Rfc3339,
            zone: Some("Europe/Brussels".to_owned()),
            doubled_hour: Some(DoubledHour::First),
        }),
        time_window: TimeWindow::default(),
        sentinels: Vec::new(),
        lenient: false,
        map: vec![
            entry("heat", "air_temperature", Some("°F")),
            entry("air", "no2", Some("ppb")),
        ],
        precedence: 0,
    }
}

fn check(change: impl FnOnce(&mut SourceDeclaration), expect: &[&str]) {
    let mut source = balcony();
    change(&mut source);
    check_all(vec![source], expect);
}

fn check_all(sources: Vec<SourceDeclaration>, expect: &[&str]) {
    let declarations = schemas::builtin().into_declarations(sources);
    let errors: Vec<String> = check_sources(&declarations)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(errors, expect);
}

#[test]
fn names_and_messages() {
    check(|_| {}, &[]);
    check(
        |s| s.id = SourceId::new("My Balcony"),
        &[
            "source `My Balcony`: the id is not usable in URLs; use a-z, 0-9, _ and -, a letter or digit first",
        ],
    );
    check(
        |s| s.namespace = "a/b".to_owned(),
        &["source `balcony`: `a/b` cannot be a namespace; use letters, digits, _, - and ."],
    );
    check(
        |s| s.map.clear(),
        &["source `balcony`: format `json` needs a `map`; name at least one field to keep"],
    );
    check(
        |s| {
            s.topics.clear();
            s.sensor_id = Some(ValueRef::Pointer {
                pointer: "id".to_owned(),
            });
        },
        &[
            "source `balcony`: an MQTT source without topics receives nothing; add `topics = [\"…\"]`",
            "source `balcony`: `sensor_id`: `id` is not a JSON Pointer; write `/id`",
        ],
    );
    check(
        |s| s.time.as_mut().unwrap().zone = Some("Leuven".to_owned()),
        &[
            "source `balcony`: `time`: unknown time zone `Leuven`; use an IANA name such as `Europe/Brussels` or `UTC`",
        ],
    );
    check(
        |s| s.time_window.back_us = -1,
        &[
            "source `balcony`: `time_window` cannot be negative; use durations such as \"400d\" and \"1h\"",
        ],
    );
}

#[test]
fn sensors() {
    check(
        |s| s.sensor_id = None,
        &[
            "source `balcony`: nothing says which sensor a message is from; add `sensor_id = \"{device}\"` (a topic level) \
           or `sensor_id = { pointer = \"/id\" }`",
        ],
    );
    check(
        |s| s.topics.push("other/+/state".to_owned()),
        &[
            "source `balcony`: `sensor_id` uses `{device}`, which topic `other/+/state` does not capture; \
           write `{device}` for a level of it",
        ],
    );
    let shared = |id: &str, precedence| SourceDeclaration {
        id: SourceId::new(id),
        precedence,
        ..balcony()
    };
    check_all(vec![shared("a", 0), shared("b", 1)], &[]);
    check_all(
        vec![shared("a", 0), shared("b", 0)],
        &[
            "sources `a` and `b` share the namespace `z2m` with the same precedence; give one a higher `precedence`, \
           or a namespace of its own",
        ],
    );
}

#[test]
fn map_entries() {
    let with = |entry: MapEntry, expect: &str| {
        check(
            |s| s.map = vec![entry],
            &[&format!("source `balcony`: `map` entry 1 ({expect}")],
        );
    };
    let good = || entry("heat", "air_temperature", None);
    let column = |name: &str| MapEntry {
        property: None,
        column: Some(name.to_owned()),
        ..entry("traffic", "", None)
    };
    check(
        |s| s.map = vec![good(), column("uptime"), column("v85")],
        &[],
    );
    check(
        |s| {
            s.map = vec![MapEntry {
                unit: Some("mph".to_owned()),
                ..column("v85")
            }]
        },
        &[],
    );
    with(
        MapEntry {
            pointer: "v".to_owned(),
            ..good()
        },
        "v): not a JSON Pointer; write `/v`",
    );
    with(
        MapEntry {
            interval_s: Some(0),
            ..good()
        },
        "/v): `interval_s` is a number of seconds above 0",
    );
    with(
        entry("het", "air_temperature", None),
        "/v): dataset `het` is not declared; use one of air, heat, noise, rejects, segments, stations, traffic",
    );
    with(
        entry("noise", "leq", None),
        "/v): `noise` has no property `leq`; use one of laeq, lamin, lamax, la10, la50, la90",
    );
    with(
        column("cars"),
        "/v): `traffic` has no column `cars`; correct the name",
    );
    with(
        MapEntry {
            column: Some("value".to_owned()),
            ..good()
        },
        "/v): `heat` is a long dataset; name a `property` and no `column`",
    );
    with(
        entry("traffic", "car", None),
        "/v): `traffic` is a wide dataset; name a `column` and no `property`",
    );
    with(
        entry("rejects", "x", None),
        "/v): `rejects` holds no observations; choose a wide or long dataset",
    );
    with(
        entry("heat", "air_temperature", Some("hPa")),
        "/v): `hPa` cannot become `Cel`: they measure different things",
    );
    with(
        entry("air", "pm10", Some("ppb")),
        "/v): `ppb` becomes `ug/m3` only with the gas's molar mass; declare `molar_mass` for the property",
    );
    with(
        MapEntry {
            unit: Some("s".to_owned()),
            ..column("segment_id")
        },
        "/v): the values have no unit, so `s` cannot become it; leave `unit` out",
    );
}

use std::sync::Arc;

use meetnet_model::ids::DatasetId;
use meetnet_model::licence::datasets_of;
use meetnet_model::schemas;
use meetnet_model::source::{DeviceDeclaration, MapEntry, SourceKind, ValueRef};

use super::*;
use crate::testing::{decode, decoders, envelope, key, render, source};

const ANY: &str = "format = 'json'\nsensor_id = 's'\n\
                   map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t' } ]";

#[test]
fn an_envelope_of_an_undeclared_source_is_a_reject() {
    let mut envelope = envelope("", b"{}");
    envelope.source = "gone";
    assert!(render(&decoders(ANY).decode_body(&envelope)).starts_with("unknown_source: "));
}

#[test]
fn an_oversized_envelope_is_one_reject_whatever_its_head() {
    for body in [&b"{\"t\": 1}"[..], b"{\"t\": 1", b"\xff\xfe", b""] {
        let mut envelope = envelope("", body);
        envelope.truncated = true;
        let decoded = decoders(ANY).decode_body(&envelope);
        assert_eq!(decoded.rejects.len(), 1);
        assert_eq!(decoded.rejects[0].reason, RejectReason::TooLarge);
        assert_eq!(decoded.row_count(), 0);
    }
}

#[test]
fn a_group_keeps_envelopes_apart_and_starts_afresh() {
    let decoders = decoders(ANY);
    let mut group = decoders.group();
    for round in 0..2 {
        for (index, body) in ["[{\"t\": 1}, {\"t\": 2}]", "nonsense", "{\"t\": 3}"]
            .iter()
            .enumerate()
        {
            decoders.decode(index as u32, &envelope("", body.as_bytes()), &mut group);
        }
        assert_eq!((group.rows(), group.rejects()), (3, 1), "round {round}");
        let decoded = group.take();
        assert_eq!(decoded.rows.len(), 1);
        assert_eq!(decoded.rows[0].envelopes, [0, 0, 2]);
        assert_eq!(decoded.rejects[0].envelope, 1);
        assert_eq!((group.rows(), group.rejects()), (0, 0));
    }
    assert!(group.take().rows.is_empty());
}

#[test]
fn rejects_of_one_envelope_are_bounded() {
    let body = format!("[{}]", vec!["1"; 5000].join(","));
    let decoded = decoders(ANY).decode_body(&envelope("", body.as_bytes()));
    assert_eq!(
        decoded.rejects.len(),
        crate::REJECTS_PER_ENVELOPE_MAX as usize
    );
    assert!(
        decoded
            .rejects
            .last()
            .unwrap()
            .message
            .contains("4000 more")
    );
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!("{{\"t\": {}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(
        decode(ANY, "", &deep),
        "wrong_type: the value at `/t` is not a number\n"
    );
    let open = "[".repeat(200_000);
    assert!(decode(ANY, "", &open).starts_with("malformed: "));
    let maps = "{\"t\":".repeat(200_000);
    assert!(decode(ANY, "", &maps).starts_with("malformed: "));
}

#[test]
fn a_setup_error_names_its_source() {
    let sources = [source(ANY), {
        let mut other = source(ANY);
        other.id = "other".into();
        other.map[0].dataset = "nowhere".into();
        other
    }];
    let declarations = Arc::new(schemas::builtin().into_declarations(sources));
    let error = Decoders::new(&declarations, &key()).unwrap_err();
    assert_eq!((error.source_id.as_str(), error.entry), ("other", Some(0)));
    assert!(
        error
            .to_string()
            .starts_with("source `other`, map entry 1: no dataset `nowhere`")
    );
}

#[test]
fn rows_say_whether_they_have_only_their_receive_time() {
    let check = |declaration: &str, body: &str, expect: &[bool]| {
        let decoded = decoders(declaration).decode_body(&envelope("", body.as_bytes()));
        let timeless: Vec<bool> = decoded
            .rows
            .iter()
            .flat_map(|rows| rows.timeless.clone())
            .collect();
        assert_eq!(timeless, expect, "{body}: {}", render(&decoded));
    };
    check(ANY, r#"[{"t": 1}, {"t": 2}]"#, &[true, true]);
    let timed = ANY.replace("map", "time = { pointer = '/at', format = 'rfc3339' }\nmap");
    let body =
        r#"[{"t": 1, "at": "2026-06-01T11:00:00Z"}, {"t": 1, "at": "2026-06-01T12:00:00Z"}]"#;
    check(&timed, body, &[false, false]);
    let tts = "format = 'tts-v3'\n\
               map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t' } ]";
    let uplink = |times: &str| {
        format!(
            r#"{{"end_device_ids": {{"dev_eui": "70B3D57ED0000001"}}, "uplink_message": {{"decoded_payload": {{"t": 1}} {times}}}}}"#
        )
    };
    check(tts, &uplink(""), &[true]);
    let received = r#", "received_at": "2026-06-01T11:59:59Z""#;
    check(tts, &uplink(received), &[false]);
    let airrohr =
        r#"{"esp8266id": "1", "sensordatavalues": [{"value_type": "SDS_P1", "value": "1"}]}"#;
    check("format = 'airrohr'", airrohr, &[true]);
    let telraam = r#"{"segment_id": 1, "date": "2026-06-01T11:00:00Z", "interval": "hourly", "uptime": 1, "car": 3}"#;
    check("format = 'telraam'", telraam, &[false]);
}

#[test]
fn one_topic_of_two_sources_names_two_sensors() {
    let of = |id: &str, template: &str| {
        source(&format!(
            "format = 'json'\nid = '{id}'\nnamespace = '{id}'\ntopics = ['t/{{device}}']\nsensor_id = '{template}'\n\
             map = [ {{ dataset = 'heat', property = 'air_temperature', pointer = '/t' }} ]"
        ))
    };
    let sources = [of("one", "{device}"), of("two", "x-{device}")];
    let declarations = Arc::new(schemas::builtin().into_declarations(sources));
    let decoders = Decoders::new(&declarations, &key()).unwrap();
    let mut group = decoders.group();
    // A topic that is too long to be remembered, too.
    let long = format!("t/{}", "d".repeat(198));
    let longer = format!("t/{}", "d".repeat(300));
    let mut index = 0;
    for _ in 0..2 {
        for topic in ["t/a", "t/b", &long, &longer, "u/a"] {
            for source in ["one", "two", "two", "one"] {
                let mut envelope = envelope(topic, b"{\"t\": 1}");
                envelope.source = source;
                decoders.decode(index, &envelope, &mut group);
                index += 1;
            }
        }
    }
    let decoded = group.take();
    let sensors: Vec<String> = render(&decoded)
        .lines()
        .filter_map(|line| {
            Some(
                line.split_once("sensor_id=")?
                    .1
                    .split_once(' ')?
                    .0
                    .to_owned(),
            )
        })
        .collect();
    let of_topic = |device: &str| {
        let (one, two) = (format!("one-{device}"), format!("two-x-{device}"));
        [one.clone(), two.clone(), two, one]
    };
    let round: Vec<String> = ["a", "b", &"d".repeat(198)]
        .into_iter()
        .flat_map(of_topic)
        .collect();
    assert_eq!(sensors, [round.clone(), round].concat());
    // An id of more than 200 bytes is none, and a topic that no pattern takes names none, again and again.
    let reasons: Vec<_> = decoded.rejects.iter().map(|reject| reject.reason).collect();
    let round = [
        [RejectReason::WrongType; 4],
        [RejectReason::UnknownTopic; 4],
    ]
    .concat();
    assert_eq!(reasons, [round.clone(), round].concat());
}

/// Who is to be named with a dataset is known from the declarations of the sources alone: nothing that a decoder can write
/// may be missing there.
#[test]
fn every_source_is_counted_wherever_its_messages_become_rows() {
    let declarations = schemas::builtin().into_declarations([]);
    let ids: Vec<&DatasetId> = declarations.datasets.keys().collect();
    let check = |source: &SourceDeclaration| {
        let Ok(decoder) = Format::compile(source, &declarations) else {
            return false;
        };
        let stations = DeclaredStations::compile(source, &declarations).unwrap();
        let counted = datasets_of(source, &declarations.properties);
        let filled = decoder.datasets();
        assert!(!filled.is_empty(), "{}", source.format.as_str());
        for number in filled.into_iter().chain(stations.dataset()) {
            let (format, id) = (source.format.as_str(), ids[number]);
            assert!(counted.contains(id), "{format} fills `{id}`");
        }
        true
    };
    let level = || MapEntry::property("noise", "laeq").in_unit("dB[A]");
    for format in WireFormat::ALL {
        let bare = SourceDeclaration::new("test", SourceKind::Http, format, "CC0-1.0");
        let mapped = |entry: MapEntry| SourceDeclaration {
            sensor_id: Some(ValueRef::Template("garden".to_owned())),
            map: vec![entry],
            ..bare.clone()
        };
        let (by_field, by_pointer) = (level().in_field("level"), level().at_pointer("/level"));
        let mut compiled = 0;
        for source in [bare.clone(), mapped(by_field), mapped(by_pointer)] {
            let placed = DeviceDeclaration {
                id: "garden".to_owned(),
                longitude: Some(4.7),
                latitude: Some(50.88),
                map: source.map.first().map(other_property).into_iter().collect(),
                ..DeviceDeclaration::default()
            };
            let with_device = SourceDeclaration {
                devices: vec![placed],
                ..source.clone()
            };
            for source in [source, with_device] {
                compiled += usize::from(check(&source));
            }
        }
        assert!(compiled > 0, "{}", format.as_str());
    }
}

/// What a device alone has, in another dataset than its source's.
fn other_property(entry: &MapEntry) -> MapEntry {
    MapEntry {
        dataset: DatasetId::new("heat"),
        property: Some("air_temperature".to_owned()),
        unit: Some("Cel".to_owned()),
        ..entry.clone()
    }
}

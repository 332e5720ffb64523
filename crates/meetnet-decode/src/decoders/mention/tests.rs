use super::*;
use crate::testing::{decoders, key};

const CHIPS: &str = "format = 'airrohr'\nkind = 'http'";
const UPLINKS: &str = "format = 'tts-v3'\ntopics = ['v3/+/devices/+/up']
    map = [{ dataset = 'heat', property = 'air_temperature', pointer = '/t', unit = 'Cel' }]";
const TOPICS: &str =
    "format = 'json'\ntopics = ['{site}/{device...}']\nsensor_id = '{site}-{device}'
    map = [{ dataset = 'heat', property = 'air_temperature', pointer = '/t', unit = 'Cel' }]";
const COUNTS: &str = "format = 'telraam'\nkind = 'http'";
const FLOWS: &str = "format = 'ngsi'\nkind = 'http'";
const CHIRPS: &str = "format = 'chirpstack-v4'\nkind = 'http'
    map = [{ dataset = 'heat', property = 'air_temperature', pointer = '/t', unit = 'Cel' }]";

/// Whether a message that cannot be decoded mentions the sensor `id` (or the segment, where it is a number).
fn mentions(declaration: &str, id: &str, topic: &str, text: &str) -> bool {
    let meant = |subject: Subject<'_>| match subject {
        Subject::Sensor(sensor) => sensor == id && id.parse::<i64>().is_err(),
        Subject::Segment(segment) => segment.to_string() == id,
    };
    decoders(declaration).mention("test", topic, &[text.as_bytes()], &mut { meant })
}

fn hardware(kind: &str, raw: &str) -> String {
    format!("ns-{}", key().hardware_id(kind, raw))
}

#[test]
fn a_broken_message_still_says_whose_it_is() {
    let chip = hardware("chip", "esp8266-4711");
    let eui = hardware("dev_eui", "70B3D57ED005A1B2");
    let nameless = hardware("tts_device", "air/balcony-2");
    let cases = [
        (
            CHIPS,
            chip.as_str(),
            "",
            r#"{"esp8266id": "4711", "sensordat"#,
            true,
        ),
        (CHIPS, &chip, "", "{esp8266id:4711}", true),
        (CHIPS, &chip, "", "X-Sensor: ESP8266-4711", true),
        (CHIPS, &chip, "", r#"{"esp8266id": "47110"}"#, false),
        (CHIPS, &chip, "", "47 11", false),
        (
            UPLINKS,
            &eui,
            "v3/air@ttn/devices/eui-70b3d57ed005a1b2/join",
            "{}",
            true,
        ),
        (UPLINKS, &eui, "", "70:B3:D5:7E:D0:05:A1:B2", true),
        (
            UPLINKS,
            &eui,
            "v3/air@ttn/devices/eui-70b3d57ed005a1b3/join",
            "{}",
            false,
        ),
        (
            UPLINKS,
            &nameless,
            "v3/air@ttn/devices/balcony-2/up",
            "{",
            true,
        ),
        (
            UPLINKS,
            &nameless,
            "v3/air@ttn/devices/balcony-3/up",
            "{",
            false,
        ),
        (TOPICS, "ns-park-north/gate", "park/north/gate", "{", true),
        (TOPICS, "ns-park-north/gate", "park/north/gates", "{", false),
        (TOPICS, "ns-gate", "other", "[\"gate\"", true),
        (
            COUNTS,
            "9000001463",
            "",
            r#"{"segment_id": 9000001463, "date": "#,
            true,
        ),
        (
            COUNTS,
            "9000001463",
            "",
            r#"{"segment_id": 90000014630}"#,
            false,
        ),
        (
            CHIPS,
            "9000001463",
            "",
            r#"{"segment_id": 9000001463}"#,
            false,
        ),
    ];
    let later = [
        (
            CHIRPS,
            eui.as_str(),
            "",
            r#"{"devEUI": "cLPVftAFobI=", "data"#,
            true,
        ),
        (
            CHIRPS,
            &eui,
            "",
            r#"{"devEUI": "AQIDBAUGBwg=", "data"#,
            false,
        ),
        (
            FLOWS,
            "9000001463",
            "",
            r#"{"id": "urn:ngsi-ld:X:9000001463""#,
            true,
        ),
        (
            FLOWS,
            "ns-Madrid-A-28",
            "",
            "urn:ngsi-ld:AirQualityObserved:Madrid-A-28-2016-03-15T11:00:00",
            true,
        ),
    ];
    for (declaration, id, topic, text, expect) in cases.into_iter().chain(later) {
        assert_eq!(
            mentions(declaration, id, topic, text),
            expect,
            "{id}: {topic} {text}"
        );
    }
}

#[test]
fn a_name_in_two_parts_is_found_in_a_pack() {
    const PACKS: &str = "format = 'senml'\nkind = 'http'
        map = [{ dataset = 'heat', property = 'air_temperature', field = 'temperature' }]";
    let wired = hardware("urn_dev", "ow:10e2073a01080063");
    let mac = hardware("mac", "0024befffe804ff1");
    for (id, text, expect) in [
        (
            wired.as_str(),
            r#"[{"bn": "urn:dev:ow:10e2073a", "n": "01080063:temperature", "v": "#,
            true,
        ),
        (
            &wired,
            r#"[{"vs": "say \"n\"", "n": "01080063:temperature", "v": 1, "bn" : "urn:dev:ow:10e2073a"}, 5"#,
            true,
        ),
        (
            &wired,
            r#"[{"bn": "urn:dev:ow:10e2073a", "n": "01080064:temperature", "v": "#,
            false,
        ),
        (
            &wired,
            r#"[{"bu": "urn:dev:ow:10e2073a", "n": "01080063:temperature", "v": "#,
            false,
        ),
        (
            &mac,
            r#"[{"bn": "urn:dev:mac:0024beff", "bt": 1}, {"n": "fe804ff1_temperature"#,
            true,
        ),
        (
            "ns-town/roof",
            r#"[{"bn": "town/", "n": "roof:temperature", "v": {}}]"#,
            true,
        ),
        (
            "ns-town/roof",
            r#"[{"bn": "town/", "n": "roofs:temperature"}]"#,
            false,
        ),
    ] {
        assert_eq!(mentions(PACKS, id, "", text), expect, "{id}: {text}");
    }
}

#[test]
fn a_device_is_known_by_its_station_too() {
    let declaration = format!("{CHIPS}\n[[devices]]\nid = 'esp8266-4711'\nstation = 'town-hall'");
    let broken = r#"{"esp8266id": "4711", "sensordat"#;
    assert!(mentions(&declaration, "ns-town-hall", "", broken));
    assert!(!mentions(
        &declaration,
        "ns-town-hall",
        "",
        r#"{"esp8266id": "4712""#
    ));
    let ids = decoders(&declaration).sensor_ids("test", "4711");
    let chip = hardware("chip", "esp8266-4711");
    assert!(ids.contains(&chip) && ids.contains(&"ns-town-hall".to_owned()));
}

#[test]
fn every_source_is_asked_where_that_of_the_message_is_gone() {
    let chip = hardware("chip", "esp8266-4711");
    let mut meant = |subject: Subject<'_>| subject == Subject::Sensor(&chip);
    let decoders = decoders(CHIPS);
    assert!(decoders.mention("gone", "", &[b"esp8266-4711"], &mut meant));
    assert!(!decoders.mention("gone", "", &[b"esp8266-4712"], &mut meant));
}

#[test]
fn the_ids_of_a_device_are_those_that_its_rows_have() {
    for (declaration, name, expect) in [
        (CHIPS, "esp8266-4711", hardware("chip", "esp8266-4711")),
        (CHIPS, "4711", hardware("chip", "esp8266-4711")),
        (
            UPLINKS,
            "70-B3-D5-7E-D0-05-A1-B2",
            hardware("dev_eui", "70b3d57ed005a1b2"),
        ),
        (
            UPLINKS,
            "air/balcony",
            hardware("tts_device", "air/balcony"),
        ),
        (TOPICS, "park-gate", "ns-park-gate".to_owned()),
    ] {
        let ids = decoders(declaration).sensor_ids("test", name);
        assert!(ids.contains(&expect), "{name}: {ids:?}");
    }
    assert!(decoders(CHIPS).sensor_ids("other", "4711").is_empty());
}

use expect_test::{Expect, expect};
use meetnet_model::privacy::PrivacyKey;

use super::*;
use crate::testing::{self, key, source, try_decoders};

const SOURCE: &str = r#"
    format = 'json'
    topics = ['s/{device}']
    sensor_id = '{device}'
    map = [
      { dataset = 'heat', property = 'air_temperature', pointer = '/t' },
      { dataset = 'heat', property = 'relative_humidity', pointer = '/h' },
    ]"#;

/// Decodes a message of a device of a source with these devices.
fn check(devices: &str, device: &str, body: &str, expect: Expect) {
    let source = format!("{SOURCE}\n{devices}");
    expect.assert_eq(&testing::decode(&source, &format!("s/{device}"), body));
}

#[test]
fn a_device_has_what_it_declares_and_the_rest_of_its_source() {
    let devices = r#"
        [[devices]]
        id = 'old*'
        map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/f', unit = '[degF]' } ]
        [[devices]]
        id = 'old-1'
        station = 'town-hall'
        calibration = { air_temperature = { scale = 0.5, offset = -1 }, relative_humidity = { offset = 2.5 } }
        [[devices]]
        id = 'x'
        station = 'market'
    "#;
    let body = r#"{"t": 20, "f": 212, "h": 40}"#;
    let check = |device: &str, expect| check(devices, device, body, expect);
    check(
        "new-1",
        expect![[r#"
            heat sensor_id=ns-new-1 property=air_temperature time=2026-06-01T12:00:00Z value=20
            heat sensor_id=ns-new-1 property=relative_humidity time=2026-06-01T12:00:00Z value=40
        "#]],
    );
    // Its own entry in the place of the source's.
    check(
        "old-2",
        expect![[r#"
            heat sensor_id=ns-old-2 property=air_temperature time=2026-06-01T12:00:00Z value=100
            heat sensor_id=ns-old-2 property=relative_humidity time=2026-06-01T12:00:00Z value=40
        "#]],
    );
    // An id counts before a pattern, wherever it stands.
    check(
        "old-1",
        expect![[r#"
            heat sensor_id=ns-town-hall property=air_temperature time=2026-06-01T12:00:00Z value=9
            heat sensor_id=ns-town-hall property=relative_humidity time=2026-06-01T12:00:00Z value=42.5
        "#]],
    );
    check(
        "x",
        expect![[r#"
            heat sensor_id=ns-market property=air_temperature time=2026-06-01T12:00:00Z value=20
            heat sensor_id=ns-market property=relative_humidity time=2026-06-01T12:00:00Z value=40
        "#]],
    );
}

#[test]
fn a_calibrated_value_can_stand_beside_the_one_that_was_sent() {
    let check = |declaration: &str, topic: &str, body: &str, expect: Expect| {
        let mut declarations =
            meetnet_model::schemas::builtin().into_declarations([source(declaration)]);
        let measured = declarations.property("heat", "air_temperature").unwrap();
        let mut aligned = meetnet_model::property::PropertyDeclaration::clone(measured);
        aligned.name = "air_temperature_aligned".to_owned();
        declarations.properties.push(Arc::new(aligned));
        let decoders = crate::Decoders::new(&Arc::new(declarations), &key()).unwrap();
        let envelope = testing::envelope(topic, body.as_bytes());
        expect.assert_eq(&testing::render(&decoders.decode_body(&envelope)));
    };
    check(
        r#"
        format = 'json'
        topics = ['s/{device}']
        sensor_id = '{device}'
        map = [
          { dataset = 'heat', property = 'air_temperature', pointer = '/t' },
          { dataset = 'heat', property = 'air_temperature_aligned', pointer = '/t' },
        ]
        [[devices]]
        id = 'a'
        calibration = { air_temperature_aligned = { offset = -0.5 } }"#,
        "s/a",
        r#"{"t": 20}"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=20
            heat sensor_id=ns-a property=air_temperature_aligned time=2026-06-01T12:00:00Z value=19.5
        "#]],
    );
    // A station whose fields are known: the map says both meanings of one.
    check(
        r#"
        format = 'wunderground'
        kind = 'http'
        map = [
          { dataset = 'heat', property = 'air_temperature', field = 'tempf', unit = '[degF]' },
          { dataset = 'heat', property = 'air_temperature_aligned', field = 'tempf', unit = '[degF]' },
        ]
        [[devices]]
        id = 'ILEUVE1'
        calibration = { air_temperature_aligned = { offset = -0.5 } }"#,
        "",
        "ID=ILEUVE1&dateutc=2026-06-01+11:59:30&tempf=68.0",
        expect![[r#"
            heat sensor_id=ns-ILEUVE1 property=air_temperature time=2026-06-01T11:59:30Z value=20
            heat sensor_id=ns-ILEUVE1 property=air_temperature_aligned time=2026-06-01T11:59:30Z value=19.5
        "#]],
    );
}

#[test]
fn a_missing_value_is_named_as_the_device_sends_it() {
    check(
        "[[devices]]\nid = 'a'\nmap = [ { dataset = 'heat', property = 'air_temperature', pointer = '/f' } ]",
        "a",
        "{}",
        expect![[r#"
            no_mapped_value: the message has no value at `/f`, `/h`
        "#]],
    );
}

#[test]
fn constants_of_a_device() {
    let source = r#"
        format = 'json'
        sensor_id = { field = 'id' }
        interval_s = 900
        constants = { segment_id = 1, uptime = 0.5 }
        map = [ { dataset = 'traffic', column = 'bike', field = 'n' } ]
        [[devices]]
        id = 'b'
        constants = { segment_id = 17 }"#;
    let decode = |body| testing::decode(source, "", body);
    expect![[r#"
        traffic segment_id=1 interval_s=900 time=2026-06-01T12:00:00Z uptime=0.5 bike=3
    "#]]
    .assert_eq(&decode(r#"{"id": "a", "n": 3}"#));
    expect![[r#"
        traffic segment_id=17 interval_s=900 time=2026-06-01T12:00:00Z uptime=0.5 bike=4
    "#]]
    .assert_eq(&decode(r#"{"id": "b", "n": 4}"#));
}

#[test]
fn hardware_ids_are_known_by_their_hmac_only() {
    let declared = source(&format!(
        "hardware_id = true\n{SOURCE}\n[[devices]]\nid = '00:15:8D:00:01:A2'\nstation = 'shed'"
    ));
    let declarations = meetnet_model::schemas::builtin().into_declarations([declared]);
    let declarations = Arc::new(declarations);
    let hidden = with_pseudonyms(&declarations, &key());
    let journalled = String::from_utf8(hidden.to_bytes()).unwrap();
    assert!(journalled.contains("\"shed\""), "{journalled}");
    assert!(
        !journalled.to_lowercase().contains("00:15:8d"),
        "{journalled}"
    );
    // Whoever writes it without colons means the same device; what is journalled decodes as what was declared.
    for declarations in [&declarations, &hidden] {
        let decoders = crate::Decoders::new(declarations, &key()).unwrap();
        let envelope = testing::envelope("s/00158d0001a2", br#"{"t": 1}"#);
        expect![[r#"
            heat sensor_id=ns-shed property=air_temperature time=2026-06-01T12:00:00Z value=1
        "#]]
        .assert_eq(&testing::render(&decoders.decode_body(&envelope)));
    }
    // Hidden once, they are hidden; and nothing is copied where there is nothing to hide.
    assert_eq!(with_pseudonyms(&hidden, &PrivacyKey::new("x")), hidden);
    let plain = Arc::new(meetnet_model::schemas::builtin().into_declarations([source(SOURCE)]));
    assert!(Arc::ptr_eq(&with_pseudonyms(&plain, &key()), &plain));
}

#[test]
fn a_bridge_is_declared_by_its_mac_address_and_known_by_its_hmac() {
    const BRIDGES: &str = r#"
        format = 'wunderground'
        kind = 'http'
        [[devices]]
        id = '24:C8:6E:00:00:01'
        station = 'roof'
        [[devices]]
        id = 'ILEUVE1'
        station = 'school'
    "#;
    for (id, station) in [("24C86E000001", "roof"), ("ILEUVE1", "school")] {
        let text = testing::decode(BRIDGES, "", &format!("ID={id}&tempf=50"));
        let begin = format!("heat sensor_id=ns-{station} ");
        assert!(text.starts_with(&begin), "{text}");
    }
    // So it is journalled.
    let hidden = source_with_pseudonyms(&source(BRIDGES), &key()).unwrap();
    let pseudonym = key().hardware_id("device", "24c86e000001");
    assert_eq!(hidden.devices[0].id, "");
    assert_eq!(hidden.devices[0].pseudonyms, [pseudonym]);
    assert_eq!(hidden.devices[1].id, "ILEUVE1");
}

#[test]
fn uplinks_are_known_by_eui_or_name() {
    let source = r#"
        format = 'tts-v3'
        map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t' } ]
        [[devices]]
        id = '70B3D57ED0001A2B'
        station = 'by-eui'
        [[devices]]
        id = 'weather/shed'
        station = 'by-name'"#;
    let decode = |ids: &str| {
        let body = format!(
            r#"{{"end_device_ids": {ids}, "uplink_message": {{"decoded_payload": {{"t": 1}}}}}}"#
        );
        testing::decode(source, "", &body)
    };
    for (ids, station) in [
        (
            r#"{"device_id": "d", "dev_eui": "70B3D57ED0001A2B"}"#,
            "by-eui",
        ),
        (
            r#"{"device_id": "shed", "application_ids": {"application_id": "weather"}}"#,
            "by-name",
        ),
    ] {
        let rows = decode(ids);
        assert!(rows.contains(&format!("sensor_id=ns-{station} ")), "{rows}");
    }
}

#[test]
fn a_wrong_device_is_named_by_its_position() {
    let check = |devices: &str, expect: &str| {
        let error = try_decoders(&format!("{SOURCE}\n{devices}")).unwrap_err();
        assert_eq!(error.to_string(), format!("source `test`: {expect}"));
    };
    check(
        "[[devices]]\nid = 'a'\n[[devices]]\nid = 'a'",
        "device 2: another device of the source has the same id; join the two",
    );
    check(
        "[[devices]]\nstation = 'a'",
        "device 1: the id is empty; write what the device calls itself",
    );
    check(
        "[[devices]]\nid = 'a'\nstation = \"a\\nb\"",
        "device 1: `station` is a name of at most 200 bytes without control characters",
    );
    check(
        "[[devices]]\nid = 'a'\ncalibration = { pm10 = { scale = 2 } }",
        "device 1: `calibration`: the map fills no property or column `pm10`; correct the name, or map it",
    );
    check(
        "[[devices]]\nid = 'a'\ncalibration = { air_temperature = { scale = 0 } }",
        "device 1: `scale` is a number other than 0, and `offset` a number",
    );
    check(
        "[[devices]]\nid = 'a'\nmap = [ { dataset = 'heat', property = 'air_temperature', unit = 'K' } ]",
        "device 1: name one place: `pointer` (a JSON Pointer) or `field` (a name)",
    );
    let hardware = format!("hardware_id = true\n{SOURCE}\n[[devices]]\nid = '00158d*'");
    assert_eq!(
        try_decoders(&hardware).unwrap_err().to_string(),
        "source `test`: device 1: its id is a hardware id, which is known by its HMAC only: `*` cannot stand in it; \
         name each device",
    );
}

#[test]
fn a_star_takes_any_characters() {
    for (pattern, id, expect) in [
        ("*", "", true),
        ("*", "abc", true),
        ("a*", "abc", true),
        ("a*", "ba", false),
        ("*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "abcd", false),
        ("a*b*c", "axxbxxc", true),
        ("a*b*c", "acb", false),
        // What one part took is not there for the next.
        ("ab*ba", "aba", false),
        ("**", "a", true),
    ] {
        assert_eq!(
            IdPattern::parse(pattern).takes(id),
            expect,
            "{pattern} {id}"
        );
    }
}

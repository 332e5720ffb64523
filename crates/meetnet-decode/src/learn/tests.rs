use meetnet_model::schemas;

use super::*;
use crate::testing::{self, source};

fn under(topic: Option<&str>) -> NewSource {
    NewSource {
        topic: topic.map(str::to_owned),
        ..NewSource::default()
    }
}

fn proposal(samples: &[&str], topic: Option<&str>) -> String {
    let declarations = schemas::builtin().into_declarations([]);
    let samples: Vec<&[u8]> = samples.iter().map(|sample| sample.as_bytes()).collect();
    learn(&samples, &under(topic), &declarations).unwrap()
}

/// Checks what a proposal says, and that the sample becomes `rows` by it.
fn check(sample: &str, topic: Option<&str>, says: &[&str], rows: &str) {
    let proposal = proposal(&[sample], topic);
    for text in says {
        assert!(proposal.contains(text), "no {text} in\n{proposal}");
    }
    let file: toml::Table = toml::from_str(&proposal).unwrap();
    let mut section = file["source"][0].as_table().unwrap().clone();
    // What configuration keeps to itself, and what the tests' source fills.
    for key in ["url", "id"] {
        section.remove(key);
    }
    let declared = source(&section.to_string());
    let declarations = schemas::builtin().into_declarations([declared]);
    let decoders = crate::Decoders::new(&declarations.into(), &testing::key()).unwrap();
    let envelope = testing::envelope(topic.unwrap_or_default(), sample.as_bytes());
    let decoded = testing::render(&decoders.decode_body(&envelope));
    // The members of a JSON object come in no certain order.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&decoded), sorted(rows), "{proposal}");
}

#[test]
fn a_device_on_a_topic() {
    check(
        r#"{"temperature": 21.5, "humidity": 44, "battery": 91, "state": "on", "last_seen": 5}"#,
        Some("zigbee2mqtt/kitchen"),
        &[
            "topics = [\"zigbee2mqtt/{device}\"]",
            "sensor_id = \"{device}\"",
            "# No time was found",
            "# likely: 21.5 … 21.5: the numbers would fit other units, too\n",
            "# sure: 44 … 44: the numbers fit no other unit\n",
            "#   pointer = \"/battery\" (91 … 91)",
            "#   pointer = \"/state\" (text)",
        ],
        "heat sensor_id=ns-kitchen property=air_temperature time=2026-06-01T12:00:00Z value=21.5\n\
         heat sensor_id=ns-kitchen property=relative_humidity time=2026-06-01T12:00:00Z value=44\n",
    );
}

#[test]
fn what_zigbee2mqtt_saw_last_is_the_time() {
    check(
        r#"{"temperature": 21.5, "last_seen": "2026-06-01T13:00:00+02:00"}"#,
        Some("zigbee2mqtt/kitchen"),
        &["time = { pointer = \"/last_seen\", format = \"rfc3339\" }"],
        "heat sensor_id=ns-kitchen property=air_temperature time=2026-06-01T11:00:00Z value=21.5\n",
    );
}

#[test]
fn units_show_in_names_and_numbers() {
    check(
        r#"{"id": "roof", "ts": 1780311600000, "tempF": 68, "pressure": 101325, "windspeedmph": 10, "no2_ppb": 10}"#,
        None,
        &[
            "time = { pointer = \"/ts\", format = \"unix-ms\" }  # sure",
            "sensor_id = { pointer = \"/id\" }",
            "unit = \"[degF]\"",
            "unit = \"Pa\"",
            "unit = \"[mi_i]/h\"",
            "unit = \"[ppb]\"",
        ],
        "air sensor_id=ns-roof property=no2 time=2026-06-01T11:00:00Z value=19.125036996\n\
         heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:00:00Z value=20\n\
         heat sensor_id=ns-roof property=air_pressure time=2026-06-01T11:00:00Z value=1013.25\n\
         heat sensor_id=ns-roof property=wind_speed time=2026-06-01T11:00:00Z value=4.4704\n",
    );
}

#[test]
fn places_and_things_name_sensors_that_have_no_name() {
    check(
        r#"[{"container": "GL-1", "type": "glass", "temperature": 11.5, "timestamp": "2026-06-01T11:00:00Z"},
            {"container": "GL-2", "type": "glass", "temperature": 12.5, "timestamp": "2026-06-01T11:00:00Z"}]"#,
        None,
        &["sensor_id = { pointer = \"/container\" }  # a guess, by its name\n"],
        "heat sensor_id=ns-GL-1 property=air_temperature time=2026-06-01T11:00:00Z value=11.5\n\
         heat sensor_id=ns-GL-2 property=air_temperature time=2026-06-01T11:00:00Z value=12.5\n",
    );
    // Of one sensor they are one value, and then another.
    let equal = "# Several messages have one time";
    check(
        r#"[{"temperature": 11.5, "timestamp": "2026-06-01T11:00:00Z", "counter": 5},
            {"temperature": 12.5, "timestamp": "2026-06-01T11:00:00Z", "counter": 6}]"#,
        None,
        &[
            "sensor_id = \"new-sensor\"",
            equal,
            "#   pointer = \"/counter\" (5 … 6)",
        ],
        "heat sensor_id=ns-new-sensor property=air_temperature time=2026-06-01T11:00:00Z value=11.5\n\
         heat sensor_id=ns-new-sensor property=air_temperature time=2026-06-01T11:00:00Z value=12.5\n",
    );
    // Nor does a topic name sensors whose values come at one time: the messages do, or nobody.
    check(
        r#"[{"id": "a", "temperature": 11.5, "timestamp": "2026-06-01T11:00:00Z"},
            {"id": "b", "temperature": 12.5, "timestamp": "2026-06-01T11:00:00Z"}]"#,
        Some("yard/gateway"),
        &["sensor_id = { pointer = \"/id\" }  # likely, by its name\n"],
        "heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=11.5\n\
         heat sensor_id=ns-b property=air_temperature time=2026-06-01T11:00:00Z value=12.5\n",
    );
    for id in [r#""id": "a", "#, ""] {
        let sample = format!(r#"{{{id}"temperature": 11.5, "ts": 1780311600}}"#);
        let twice = proposal(&[&sample, &sample], Some("yard/gateway"));
        let topic = "sensor_id = \"{device}\"";
        assert!(twice.contains(topic) && twice.contains(equal), "{twice}");
    }
    let once = proposal(&[r#"{"temperature": 11.5, "ts": 1780311600}"#], None);
    assert!(!once.contains(equal), "{once}");
}

#[test]
fn times_show_in_names_of_intervals_and_in_their_look() {
    check(
        r#"{"gate": "North", "from": "30/05/2026 13:00", "to": "30/05/2026 13:15", "temp": 20.5}"#,
        None,
        &[
            "sensor_id = { pointer = \"/gate\" }",
            "time = { pointer = \"/from\", format = \"%d/%m/%Y %H:%M\", zone = ",
            "# By its name it is the start of an interval: `interval_s` says",
        ],
        "heat sensor_id=ns-North property=air_temperature time=2026-05-30T11:00:00Z value=20.5\n",
    );
    check(
        r#"{"id": "a", "end": 1780311600, "temp": 20.5}"#,
        None,
        &[
            "time = { pointer = \"/end\", format = \"unix\" }",
            "add `time_is = \"end\"` and `interval_s`",
        ],
        "heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=20.5\n",
    );
    check(
        r#"{"id": "a", "afgelezen": "2026-06-01T13:00:00+02:00", "temp": 20.5}"#,
        None,
        &["format = \"rfc3339\" }  # a guess: it looks like a time"],
        "heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=20.5\n",
    );
    // When something else was.
    check(
        r#"{"id": "a", "last_emptied": "2026-05-30T13:00:00Z", "temp": 20.5, "day": "2026-06-01"}"#,
        None,
        &["# No time was found"],
        "heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=20.5\n",
    );
}

#[test]
fn what_is_not_mapped_has_a_hint_where_there_is_one() {
    let sample = r#"{"deviceInfo": {"devEui": "0102030405060708"}, "fPort": 1, "object":
        {"valid": true, "cars": 210, "bikes_in": 45, "LAeq": "58,3", "colour": "red"}}"#;
    let proposal = proposal(&[sample], None);
    for says in [
        "\"/valid\" (true, false or a list): where it says which values are readings, see `valid`\n",
        "\"/cars\" (210 … 210): counted on a road segment it is { dataset = \"traffic\", column = \"car\", … }",
        "\"/bikes_in\" (45 … 45): counted on a road segment it is { dataset = \"traffic\", column = \"bike\"",
        "\"/LAeq\" (text): numbers with a comma",
        "\"/colour\" (text)\n",
    ] {
        assert!(proposal.contains(says), "no {says} in\n{proposal}");
    }
}

#[test]
fn what_stands_beside_a_reading_is_none() {
    // The number of the component on the way to it, the battery of a sensor, how a device is set.
    check(
        r#"{"src": "shelly-1", "params": {"ts": 1780311600.5, "humidity:0": {"id": 0, "rh": 66.7},
            "temperature:0": {"id": 0, "tC": 16.4, "tF": 61.6}}}"#,
        Some("shelly-1/events/rpc"),
        &[
            "# sure: 16.4 … 16.4: name and numbers say so\n",
            // The first one, too, although it might have been the sensor's.
            "#   pointer = \"/params/humidity:0/id\" (0 … 0)",
            "#   pointer = \"/params/temperature:0/id\" (0 … 0)",
        ],
        "heat sensor_id=ns-shelly-1 property=air_temperature time=2026-06-01T11:00:00.500Z value=16.4\n\
         heat sensor_id=ns-shelly-1 property=relative_humidity time=2026-06-01T11:00:00.500Z value=66.7\n",
    );
    check(
        r#"{"co2": 455, "batt_co2": 1, "temperature_calibration": 2, "humidity_offset": 3, "heating_setpoint_temperature": 20}"#,
        Some("yard/box"),
        &[
            "#   pointer = \"/batt_co2\" (1 … 1)",
            "#   pointer = \"/temperature_calibration\" (2 … 2)",
            "#   pointer = \"/humidity_offset\" (3 … 3)",
            "#   pointer = \"/heating_setpoint_temperature\" (20 … 20)",
        ],
        "air sensor_id=ns-box property=co2 time=2026-06-01T12:00:00Z value=455\n",
    );
}

#[test]
fn the_time_of_an_extreme_or_a_server_is_not_that_of_the_measurement() {
    check(
        r#"{"id": "a", "date_max_temp": 1780300000, "time_utc": 1780311600, "time_server": 1780311700, "temperature": 21.5}"#,
        None,
        &["time = { pointer = \"/time_utc\", format = \"unix\" }  # sure\n"],
        "heat sensor_id=ns-a property=air_temperature time=2026-06-01T11:00:00Z value=21.5\n",
    );
    // Where there is no other, it is no more than a guess.
    let only = r#"{"id": "a", "date_max_temp": 1780300000, "temperature": 21.5}"#;
    let only = proposal(&[only], None);
    let guess =
        "format = \"unix\" }  # a guess: by its name it may be the time of something else\n";
    assert!(only.contains(guess), "{only}");
}

#[test]
fn a_time_in_an_unknown_form_a_unit_behind_a_number_and_an_inner_list_are_told() {
    let said = |sample: &str, text: &str| {
        let proposal = proposal(&[sample], None);
        assert!(proposal.contains(text), "no {text} in\n{proposal}");
    };
    said(
        r#"{"id": "a", "time": "28 November 2026 11:20", "temperature": 21.5}"#,
        "# By its name pointer = \"/time\" is one, in no form that was tried",
    );
    for text in ["21.3 °C", "-3 %", "14µg/m³"] {
        said(
            &format!(r#"{{"id": "a", "reading": "{text}"}}"#),
            "#   pointer = \"/reading\" (text): a number with something behind it",
        );
    }
    let plain =
        r#"{"id": "a", "reading": "28.11.2026 11:20", "uptime": "0T18:10:35", "version": "1.2.3"}"#;
    let plain = proposal(&[plain], None);
    assert!(!plain.contains("something behind it"), "{plain}");
    said(
        r#"{"devices": [{"id": "a", "temperature": 21.5, "modules": [{"id": "b", "temperature": 6.5}]}]}"#,
        "#   pointer = \"/devices/*/modules\" (true, false or a list): a list within a list",
    );
    // Of what a codec writes `*` names nothing.
    let listed = r#"{"end_device_ids": {"device_id": "a"}, "uplink_message": {"decoded_payload":
        {"readings": [{"pm2_5": 4}, {"pm2_5": 5}], "temperature": 21.5}}}"#;
    said(
        listed,
        "#   pointer = \"/readings/*/pm2_5\" (4 … 5): in a list, whose elements are named by position here",
    );
    said(
        listed,
        "property = \"air_temperature\", pointer = \"/temperature\"",
    );
}

#[test]
fn a_table_with_tabs_may_begin_and_end_with_empty_cells() {
    let table = "\tid\ttemp\trh\n0\troof\t20.5\t40\n1\troof\t20.5\t\n";
    let proposal = proposal(&[table], None);
    assert!(
        proposal.contains("csv = { delimiter = \"\\u0009\" }"),
        "{proposal}"
    );
    assert!(
        proposal.contains("sensor_id = { field = \"id\" }"),
        "{proposal}"
    );
    assert!(
        proposal.contains("field = \"temp\", unit = \"Cel\""),
        "{proposal}"
    );
}

/// What says a unit is sure is what people stop looking at.
#[test]
fn a_unit_is_sure_only_where_something_tells_it() {
    // As Ecowitt's consoles name them: inches of rain.
    check(
        r#"{"rainratein": 0.12, "rainin": 0.5, "uv": 0, "winddir": 0}"#,
        None,
        &[
            "# sure: 0.12 … 0.12: name and numbers say so\n  { dataset = \"heat\", property = \"rain_rate\", pointer = \"/rainratein\", unit = \"[in_i]/h\" }",
            "pointer = \"/rainin\", unit = \"[in_i]\"",
            "# sure: 0 … 0: the numbers fit no other unit\n  { dataset = \"heat\", property = \"uv_index\"",
        ],
        "heat sensor_id=ns-new-sensor property=rain_rate time=2026-06-01T12:00:00Z value=3.048\n\
         heat sensor_id=ns-new-sensor property=rainfall time=2026-06-01T12:00:00Z value=12.7\n\
         heat sensor_id=ns-new-sensor property=uv_index time=2026-06-01T12:00:00Z value=0\n\
         heat sensor_id=ns-new-sensor property=wind_direction time=2026-06-01T12:00:00Z value=0\n",
    );
    let unsure = proposal(
        &[r#"{"rain_rate": 0, "rain": 1.5, "pm10": 0.02, "humidity": 0.4, "windspeed": 0}"#],
        None,
    );
    for unit in ["mm/h", "mm", "ug/m3", "%", "m/s"] {
        let entry = format!("unit = \"{unit}\"");
        assert!(unsure.contains(&entry), "no {entry} in\n{unsure}");
    }
    assert!(!unsure.contains("# sure"), "{unsure}");
}

#[test]
fn figures_of_a_day_are_no_readings() {
    let sample = r#"{"pm25_24h_co2": 2.5, "pm25_avg_24h_ch1": 8, "co2_24h": 849, "rain_daily": 4, "pm25_ch1": 7, "pm10_avg": 9}"#;
    let proposal = proposal(&[sample], None);
    for mapped in ["pm25_ch1", "pm10_avg"] {
        assert!(
            proposal.contains(&format!("pointer = \"/{mapped}\", unit")),
            "{proposal}"
        );
    }
    // Of an interval, or of a day: who knows.
    assert!(proposal.contains("# a guess: 9 … 9"), "{proposal}");
    for name in ["pm25_24h_co2", "pm25_avg_24h_ch1", "co2_24h", "rain_daily"] {
        assert!(
            proposal.contains(&format!("#   pointer = \"/{name}\"")),
            "{proposal}"
        );
    }
}

#[test]
fn pairs_and_arrays() {
    check(
        r#"{"station": "s1", "timestamp": "2026-06-01T11:00:00Z",
            "values": [{"value_type": "PM10", "value": "12.5"}, {"value_type": "pm2.5", "value": "7"}]}"#,
        None,
        &[
            "pairs = { name = \"/values/*/value_type\", value = \"/values/*/value\" }",
            "time = { pointer = \"/timestamp\", format = \"rfc3339\" }  # sure",
        ],
        "air sensor_id=ns-s1 property=pm10 time=2026-06-01T11:00:00Z value=12.5\n\
         air sensor_id=ns-s1 property=pm2_5 time=2026-06-01T11:00:00Z value=7\n",
    );
    check(
        r#"{"readings": [{"sensor": "a", "time": 1780311600, "co2": 450}, {"sensor": "b", "time": 1780311600, "co2": 500}]}"#,
        None,
        &[
            "pointer = \"/readings/*/co2\"",
            "sensor_id = { pointer = \"/readings/*/sensor\" }",
        ],
        "air sensor_id=ns-a property=co2 time=2026-06-01T11:00:00Z value=450\n\
         air sensor_id=ns-b property=co2 time=2026-06-01T11:00:00Z value=500\n",
    );
}

#[test]
fn hardware_ids_are_hidden_and_no_text_is_repeated() {
    // By its name, and by what it looks like.
    for (name, id) in [
        ("mac", "shed-7"),
        ("device_id", "00:15:8D:00:01:A2"),
        ("id", "0x00158D0001A2B3C4"),
    ] {
        let sample = format!(r#"{{"{name}": "{id}", "token": "s3cret", "laeq": 55.5}}"#);
        let proposal = proposal(&[sample.as_str()], None);
        assert!(proposal.contains("hardware_id = true"), "{proposal}");
        let is_repeated = [id, "s3cret"].iter().any(|text| proposal.contains(text));
        assert!(!is_repeated, "{proposal}");
    }
}

#[test]
fn tables() {
    let says = |sample: &str, expect: &[&str]| {
        let proposal = proposal(&[sample], None);
        for text in expect {
            assert!(proposal.contains(text), "no {text} in\n{proposal}");
        }
    };
    says(
        "Station;Datum;Tijd;PM10;Opmerking\nbad row\nA;01/06/2026;13:00;12.5;\"een; twee\"\nA;02/06/2026;14:00;13;\n",
        &[
            "format = \"csv\"",
            "csv = { delimiter = \";\" }",
            "sensor_id = { field = \"Station\" }",
            "time = { field = \"Datum\", clock_field = \"Tijd\", format = \"%d/%m/%Y %H:%M\", zone = \"Europe/Brussels\", \
             doubled_hour = \"reject\" }  # likely",
            "# The times could also be \"%m/%d/%Y %H:%M\"",
            "# sure: 12.5 … 13: the numbers fit no other unit",
            "field = \"PM10\", unit = \"ug/m3\"",
        ],
    );
    // A name may say the zone.
    says(
        "id,dateutc,pm10\na,2026-06-01 11:00:00,7\n",
        &["time = { field = \"dateutc\", format = \"rfc3339\", zone = \"UTC\" }  # sure\n"],
    );
    says(
        "{\"t\": 1}\n{\"t\": 2}\n",
        &[
            "format = \"ndjson\"",
            "# a guess: 1 … 2",
            "property = \"air_temperature\", pointer = \"/t\"",
        ],
    );
}

#[test]
fn texts_of_json_with_decimal_commas() {
    check(
        r#"{"id": "roof", "temperature": "21,5", "humidity": 44}"#,
        None,
        &[
            "decimal_comma = true  # likely: ",
            "# likely: 21.5 … 21.5: the numbers would fit other units, too\n",
        ],
        "heat sensor_id=ns-roof property=air_temperature time=2026-06-01T12:00:00Z value=21.5\n\
         heat sensor_id=ns-roof property=relative_humidity time=2026-06-01T12:00:00Z value=44\n",
    );
    // Of what is not mapped nobody has to declare anything.
    let sample = r#"{"id": "roof", "temperature": 21.5, "figure": "3,4"}"#;
    let proposal = proposal(&[sample], None);
    assert!(!proposal.contains("decimal_comma"), "{proposal}");
}

#[test]
fn numbers_with_their_unit_behind_them() {
    check(
        r#"{"id": "roof", "temperature": "70.7 °F", "humidity": "55 %", "pm10": "12,5 µg/m³", "pressure": "7 V", "gate": "4 C"}"#,
        None,
        &[
            "unit_in_value = true  # sure: ",
            "decimal_comma = true  # likely: ",
            "# sure: 70.7 … 70.7: the unit behind the numbers says so\n",
            "pointer = \"/temperature\", unit = \"[degF]\" }",
            "pointer = \"/pm10\", unit = \"ug/m3\" }",
            // No pressure, whatever its name is.
            "#   pointer = \"/pressure\" (text): a number with something behind it",
            "it is a number\n",
            "#   pointer = \"/gate\" (text)",
        ],
        "air sensor_id=ns-roof property=pm10 time=2026-06-01T12:00:00Z value=12.5\n\
         heat sensor_id=ns-roof property=air_temperature time=2026-06-01T12:00:00Z value=21.5\n\
         heat sensor_id=ns-roof property=relative_humidity time=2026-06-01T12:00:00Z value=55\n",
    );
    check(
        "id;temp;rh\nroof;21,5 °C;55\nroof2;-0,5 °C;56 %\n",
        None,
        &[
            "csv = { delimiter = \";\", decimal_comma = true }",
            "unit_in_value = true",
        ],
        "heat sensor_id=ns-roof property=air_temperature time=2026-06-01T12:00:00Z value=21.5\n\
         heat sensor_id=ns-roof property=relative_humidity time=2026-06-01T12:00:00Z value=55\n\
         heat sensor_id=ns-roof2 property=air_temperature time=2026-06-01T12:00:00Z value=-0.5\n\
         heat sensor_id=ns-roof2 property=relative_humidity time=2026-06-01T12:00:00Z value=56\n",
    );
    // Of several units, and of such as nobody knows, no value is made; nor is anything declared for what is not mapped.
    for temperature in [r#""21.5 °C"}, {"temperature": "70 °F""#, r#""21.5 grad""#] {
        let several = proposal(&[&format!(r#"[{{"temperature": {temperature}}}]"#)], None);
        assert!(!several.contains("unit_in_value = true  #"), "{several}");
        assert!(
            several.contains("#   pointer = \"/temperature\" (text)"),
            "{several}"
        );
    }
    // What a network server's codec writes has no such key.
    let uplink = r#"{"deviceInfo": {"devEui": "0102030405060708"}, "fPort": 1, "object": {"temperature": "21.5 °C"}}"#;
    let uplink = proposal(&[uplink], None);
    assert!(
        uplink.contains("let the sender send the number alone"),
        "{uplink}"
    );
}

#[test]
fn tables_with_decimal_commas_and_a_clock_apart() {
    check(
        "Datum;Uhrzeit;Station;Temperatur (°C);Feuchte (%);Luftdruck (hPa)\n\
         01.06.2026;13:00;Roof;21,5;40;1013,2\n01.06.2026;13:10;Roof;-0,5;NA;1013\n",
        None,
        &[
            "csv = { delimiter = \";\", decimal_comma = true }  # likely: ",
            "time = { field = \"Datum\", clock_field = \"Uhrzeit\", format = \"%d.%m.%Y %H:%M\", zone = \"Europe/Brussels\", \
             doubled_hour = \"reject\" }  # likely\n",
            ": -0.5 … 21.5: ",
            ": 1013 … 1013.2: ",
        ],
        "heat sensor_id=ns-Roof property=air_temperature time=2026-06-01T11:00:00Z value=21.5\n\
         heat sensor_id=ns-Roof property=relative_humidity time=2026-06-01T11:00:00Z value=40\n\
         heat sensor_id=ns-Roof property=air_pressure time=2026-06-01T11:00:00Z value=1013.2\n\
         heat sensor_id=ns-Roof property=air_temperature time=2026-06-01T11:10:00Z value=-0.5\n\
         heat sensor_id=ns-Roof property=air_pressure time=2026-06-01T11:10:00Z value=1013\n",
    );
    // The date alone is no time; as ISO 8601 writes both, nobody asks which comes first.
    let iso = "station,date,clock,temp\nroof,2026-06-01,13:00,21.5\nroof,2026-06-01,13:10,22\n";
    check(
        iso,
        None,
        &["time = { field = \"date\", clock_field = \"clock\", format = \"rfc3339\", zone = "],
        "heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:00:00Z value=21.5\n\
         heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:10:00Z value=22\n",
    );
    let iso = proposal(&[iso], None);
    assert!(
        !iso.contains("could also be") && !iso.contains("csv ="),
        "{iso}"
    );
    let days = proposal(&["station,date,temp\nroof,2026-06-01,21.5\n"], None);
    let time = "time = { field = \"date\", format = \"%Y-%m-%d\", zone = ";
    assert!(days.contains(time), "{days}");
}

/// As Tasmota sends what its sensor does not say.
#[test]
fn a_bare_nan_needs_a_lenient_source() {
    check(
        r#"{"Time":"2026-06-01T13:00:00","AM2301":{"Temperature":nan,"Humidity":58.2},"TempUnit":"C"}"#,
        Some("tele/bridge/SENSOR"),
        &[
            "format = \"json\"",
            "lenient = true  # sure: ",
            "pointer = \"/AM2301/Humidity\"",
        ],
        "heat sensor_id=ns-bridge property=relative_humidity time=2026-06-01T11:00:00Z value=58.2\n",
    );
    let lines = proposal(&["{\"temp\": nan}\n{\"temp\": 20.5}\n"], None);
    assert!(
        lines.contains("\"ndjson\"") && lines.contains("lenient = true"),
        "{lines}"
    );
    let strict = proposal(&[r#"{"temp": 20.5, "note": "nan"}"#], None);
    assert!(!strict.contains("lenient"), "{strict}");
}

#[test]
fn numbers_that_stand_for_no_reading() {
    check(
        "{\"temperature\":21.5,\"humidity\":40}\n{\"temperature\":-999,\"humidity\":39}\n\
         {\"temperature\":22,\"humidity\":-999}\n{\"temperature\":-127,\"humidity\":41}\n",
        Some("home/kitchen"),
        &[
            "sentinels = [-999, -127]  # likely: ",
            ": 21.5 … 22: ",
            ": 39 … 41: ",
        ],
        "heat sensor_id=ns-kitchen property=air_temperature time=2026-06-01T12:00:00Z value=21.5\n\
         heat sensor_id=ns-kitchen property=air_temperature time=2026-06-01T12:00:00Z value=22\n\
         heat sensor_id=ns-kitchen property=relative_humidity time=2026-06-01T12:00:00Z value=40\n\
         heat sensor_id=ns-kitchen property=relative_humidity time=2026-06-01T12:00:00Z value=39\n\
         heat sensor_id=ns-kitchen property=relative_humidity time=2026-06-01T12:00:00Z value=41\n",
    );
    // What goes down that far step by step, and what nobody maps, is none.
    for sample in [
        "{\"temperature\":-60}\n{\"temperature\":-99.9}\n",
        "{\"rssi\":-127,\"co2\":450}\n{\"rssi\":-50,\"co2\":460}\n",
        "{\"temperature\":-999}\n",
    ] {
        let proposal = proposal(&[sample], None);
        assert!(!proposal.contains("sentinels"), "{proposal}");
    }
}

#[test]
fn values_of_known_formats_are_mapped() {
    check(
        r#"[{"bn": "roof-3:", "bt": 1780311600, "n": "temperature", "u": "Cel", "v": 21.5}, {"n": "battery", "u": "V", "v": 3}]"#,
        Some("senml/roof"),
        &[
            "# Sure: these are SenML packs",
            "topics = [\"senml/+\"]",
            "property = \"air_temperature\", field = \"temperature\" }",
            "#   field = \"battery\" (3 … 3)",
        ],
        "heat sensor_id=ns-roof-3 property=air_temperature time=2026-06-01T11:00:00Z value=21.5\n\
         no_mapped_value: 1 record(s) have a name that no entry of the `map` takes, the first of them in the excerpt; \
         add an entry whose `field` is the end of the name to keep them\n",
    );
    check(
        r#"{"time": "2026-06-01T11:59:58+00:00", "deviceInfo": {"devEui": "0102030405060708"}, "fPort": 2,
            "object": {"temp_c": 21.5, "battery": 3.1}}"#,
        None,
        &[
            "format = \"chirpstack-v4\"",
            "# Pointers are relative to what the codec decodes",
            "pointer = \"/temp_c\", unit = \"Cel\"",
            "#   pointer = \"/battery\"",
        ],
        "heat sensor_id=ns-4246125b30c57e58 property=air_temperature time=2026-06-01T11:59:58Z value=21.5\n",
    );
    check(
        "weather,station=kessel-lo temp=21.5,hum=48i 1780311600000000000\nweather,station=heverlee temp=9 1780311600000000000\n",
        None,
        &[
            "sensor_id = { field = \"station\" }",
            "field = \"weather.temp\", unit = \"Cel\"",
            "field = \"weather.hum\", unit = \"%\"",
        ],
        "heat sensor_id=ns-kessel-lo property=air_temperature time=2026-06-01T11:00:00Z value=21.5\n\
         heat sensor_id=ns-kessel-lo property=relative_humidity time=2026-06-01T11:00:00Z value=48\n\
         heat sensor_id=ns-heverlee property=air_temperature time=2026-06-01T11:00:00Z value=9\n",
    );
    check(
        r#"{"id": "urn:ngsi-ld:Roof:7", "type": "Roof", "dateObserved": "2026-06-01T11:00:00Z",
            "temperature": {"type": "Property", "value": 21.5}}"#,
        None,
        &[
            "format = \"ngsi\"",
            "its type is not one that is understood without a map",
            "property = \"air_temperature\", field = \"temperature\"",
        ],
        "heat sensor_id=ns-7 property=air_temperature time=2026-06-01T11:00:00Z value=21.5\n",
    );
}

#[test]
fn what_a_network_server_has_not_decoded_is_told_with_what_helps() {
    let check = |samples: &[&str], says: &[&str], says_not: &[&str]| {
        let proposal = proposal(samples, None);
        assert!(proposal.starts_with("# Sure"), "{proposal}");
        for text in says {
            assert!(proposal.contains(text), "no {text} in\n{proposal}");
        }
        for text in says_not {
            assert!(!proposal.contains(text), "{text} in\n{proposal}");
        }
        // Whatever it says, it can be read.
        let read: toml::Table = toml::from_str(&proposal).unwrap();
        assert!(read["source"][0]["map"].is_array());
    };
    let tts = |uplink: &str| {
        format!(r#"{{"end_device_ids": {{"device_id": "a"}}, "uplink_message": {uplink}}}"#)
    };
    let raw = tts(r#"{"f_port": 85, "frm_payload": "AXVcA2c0AQ=="}"#);
    let read =
        tts(r#"{"f_port": 2, "frm_payload": "AQI=", "decoded_payload": {"temperature": 21.5}}"#);
    let entry = "\n  { dataset = \"heat\", property = \"air_temperature\", pointer = \"/temperature\", unit = \"Cel\" },\n";
    let nothing_known = "No name says what its value is";
    check(
        &[&raw],
        &[
            "# 1 of 1 without a decoded payload (`uplink_message.decoded_payload`)",
            "(`no_decoded_payload`). What helps: add an uplink payload formatter",
            "# The names are those that the payload formatter writes. For example:\n  # { dataset",
        ],
        &[entry, nothing_known],
    );
    check(
        &[&raw, &read],
        &["# 1 of 2 without a decoded payload", entry],
        &["For example", nothing_known],
    );
    check(&[&read], &[entry], &["without", "empty decoded"]);
    check(
        &[&tts(r#"{"frm_payload": "AQI=", "decoded_payload": {}}"#)],
        &["# 1 of 1 with an empty decoded payload", "For example"],
        &["What helps"],
    );
    let join = r#"{"end_device_ids": {"device_id": "a"}, "join_accept": {"session_key_id": "x"}}"#;
    check(
        &[join],
        &["# 1 of 1 without a payload: a join"],
        &["What helps"],
    );
    // As the storage integration and the console write them.
    check(
        &[&format!(r#"{{"result": {read}}}"#)],
        &["format = \"tts-v3\"", entry],
        &[],
    );
    let exported = format!(r#"{{"name": "as.up.data.forward", "data": {read}}}"#);
    check(&[&exported], &["format = \"tts-v3\"", entry], &[]);

    let device = r#""deviceInfo": {"devEui": "24e124128c010203"}"#;
    check(
        &[&format!(
            r#"{{{device}, "fPort": 85, "data": "AXVcA2c0AQ=="}}"#
        )],
        &[
            "# 1 of 1 without a decoded payload (`object`)",
            "What helps: add a codec to the device profile in ChirpStack",
        ],
        &[nothing_known],
    );
    check(
        &[&format!(
            r#"{{{device}, "time": "2026-06-01T12:00:00Z", "devAddr": "0189"}}"#
        )],
        &["format = \"chirpstack-v4\"", "# 1 of 1 without a payload"],
        &["What helps"],
    );
    let version_3 = r#"{"devEUI": "JOEkEowBAgM=", "fPort": 2, "data": "AQI=", "objectJSON": "{\"temperature\": 21.5}"}"#;
    check(&[version_3], &[entry], &["without", "For example"]);
}

#[test]
fn ends_of_names_of_packs() {
    for (name, expect) in [
        ("roof:temperature", "temperature"),
        ("roof/air/temperature", "temperature"),
        ("temperature", "temperature"),
        ("urn:dev:ow:10e2073a01080063", ""),
        ("urn:dev:ow:10e2073a01080063_temp", "temp"),
    ] {
        assert_eq!(known::end_of(name), expect, "{name}");
    }
    let pack = r#"[{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1}]"#;
    let pack = proposal(&[pack], None);
    let entry = "property = \"air_temperature\", field = \"\" }";
    assert!(pack.contains(entry), "{pack}");
}

#[test]
fn the_id_of_a_sensor_comes_before_that_of_a_message() {
    let sample = r#"{"id": 981, "sensor": {"id": 12, "pin": "1"}, "co2": 450}"#;
    let proposal = proposal(&[sample], None);
    let id = "sensor_id = { pointer = \"/sensor/id\" }";
    assert!(proposal.contains(id), "{proposal}");
}

#[test]
fn known_formats_are_recognised() {
    for (sample, format) in [
        (r#"{"end_device_ids": {}, "uplink_message": {}}"#, "tts-v3"),
        (r#"{"esp8266id": "1", "sensordatavalues": []}"#, "airrohr"),
        // As it is sent to sensor.community, with the box in a header.
        (
            r#"{"software_version": "NRZ-2020-133", "sensordatavalues": [{"value_type": "SDS_P1", "value": "9"}]}"#,
            "airrohr",
        ),
        ("PASSKEY=X&stationtype=EasyWeather&tempf=68", "ecowitt"),
        ("ID=I&PASSWORD=p&dateutc=now&tempf=68", "wunderground"),
        ("weather,site=a temp=1,rh=2 1780311600", "influx"),
        (
            "weather,site=a\\ b temp=1,rh=2 1780311600\n\nweather note=\"a b, c\" 1780311600",
            "influx",
        ),
        (
            "GET /weatherstation/updateweatherstation.php?ID=I&dateutc=now&\ntempf=68 HTTP/1.1",
            "wunderground",
        ),
        (
            r#"{"result": 21.6, "phenomenonTime": "2026-06-01T11:00:00Z", "Datastream": {"@iot.id": 17}}"#,
            "sensorthings",
        ),
        (
            r#"{"id": "w-1", "type": "WeatherObserved", "temperature": 21.5}"#,
            "ngsi",
        ),
    ] {
        let proposal = proposal(&[sample], None);
        let line = format!("format = \"{format}\"");
        assert!(proposal.contains(&line), "{proposal}");
        assert!(proposal.starts_with("# Sure"), "{proposal}");
    }
    // Of lines that no guess is made of nothing says that a box of airRohr wrote them.
    let quoted = proposal(&["weather note=\"a b, c\" 1780311600"], None);
    assert!(!quoted.contains("airRohr"), "{quoted}");
    for (polled, kind) in [
        (
            r#"[{"id": 1, "sensor": {"id": 2}, "location": {}, "sensordatavalues": []}]"#,
            "sensor-community",
        ),
        (r#"{"status_code": 200, "report": []}"#, "telraam"),
        (
            r#"[{"value": "21.5", "createdAt": "2026-06-01T11:00:00Z", "location": [4.7, 50.88]}]"#,
            "opensensemap",
        ),
        (
            r#"{"values": [{"timestamp": 1780304400000, "value": 18.5}, {"timestamp": 1780308000000, "value": "NaN"}]}"#,
            "ircel",
        ),
        (
            r#"{"10744": {"values": [{"timestamp": 1780304400000, "value": 18.5}]}, "7185": {"values": []}}"#,
            "ircel",
        ),
        (
            r#"[{"id": "10744", "label": "PM2.5 42R803", "uom": "µg/m³",
                "station": {"properties": {"id": 1720, "label": "42R803"}, "geometry": {"coordinates": [4.4, 51.2], "type": "Point"}}}]"#,
            "ircel",
        ),
        (
            r#"[{"properties": {"timeseries": {"10744": {}}, "id": 1720, "label": "42R803"}, "geometry": {}, "type": "Feature"}]"#,
            "ircel",
        ),
        (
            r#"{"type": "FeatureCollection", "features": [{"properties": {"ab_eoi_code": "BETR801", "value": 12.5}}]}"#,
            "ircel",
        ),
    ] {
        let polled = proposal(&[polled], None);
        assert!(polled.contains(&format!("kind = \"{kind}\"\n")), "{polled}");
        let read: toml::Table = toml::from_str(&polled).unwrap();
        assert!(!read["source"][0].as_table().unwrap().contains_key("format"));
    }
    // Under a topic somebody sends them on; a device of one's own is none of openSenseMap's.
    let sent = proposal(
        &[r#"{"status_code": 200, "report": []}"#],
        Some("relay/telraam"),
    );
    assert!(sent.contains("format = \"telraam\""), "{sent}");
    for (layers, sample) in [
        (
            true,
            r#"{"features": [{"properties": {"ab_eoi_code": "BETR801", "value": 12.5}}]}"#,
        ),
        (
            false,
            r#"{"values": [{"timestamp": 1780304400000, "value": 18.5}]}"#,
        ),
    ] {
        let polled: toml::Table = toml::from_str(&proposal(&[sample], None)).unwrap();
        let source = polled["source"][0].as_table().unwrap();
        assert_eq!(source.contains_key("layers"), layers, "{sample}");
        assert_eq!(source.contains_key("series"), !layers, "{sample}");
    }
    // Of points that somebody sends on nobody knows here what they are, nor of lists that say more, or nothing.
    for (own, topic) in [
        (
            r#"{"values": [{"timestamp": 1780304400000, "value": 18.5}]}"#,
            Some("yard/box"),
        ),
        (
            r#"{"box": "a", "values": [{"timestamp": 1780304400000, "value": 18.5}]}"#,
            None,
        ),
        (r#"{"values": []}"#, None),
        ("{}", None),
    ] {
        let own = proposal(&[own], topic);
        assert!(own.contains("format = \"json\""), "{own}");
    }
    let own = proposal(
        &[r#"{"value": 21.5, "createdAt": "2026-06-01T11:00:00Z", "sensor": "a"}"#],
        None,
    );
    assert!(own.contains("format = \"json\""), "{own}");
}

#[test]
fn what_cannot_be_learnt_from() {
    let declarations = schemas::builtin().into_declarations([]);
    let check = |samples: &[&[u8]], expect: LearnError| {
        assert_eq!(
            learn(samples, &NewSource::default(), &declarations),
            Err(expect)
        );
    };
    check(&[], LearnError::Nothing);
    check(&[b" \n"], LearnError::Nothing);
    check(&[b"{}", b"\xff\xfd"], LearnError::NotText(2));
    check(&[b"{}", b"\xff\xfe"], LearnError::Utf16(2));
    check(&[b"hello world"], LearnError::UnknownForm);
    // What has commas is not for that a table.
    for text in [
        "Dear all, this is what the station sent",
        "{'id': 1, 'temperature': 20}\n{'id': 2, 'temperature': 21}\n",
        r#"{"id": 1, "temperature": 20"#,
        "<MultiDictProxy('tempf': '70.3', 'humidity': '32')>\n<MultiDictProxy('tempf': '71', 'humidity': '33')>\n",
        "weather,station=a temp=1, rh=2 1780311600\nweather,station=a temp=1, rh=2 1780311600\n",
        "2026-06-01,12.5\n2026-06-02,13\n",
        "id,temperature\n",
    ] {
        check(&[text.as_bytes()], LearnError::UnknownForm);
    }
    let printed = b"zigbee2mqtt/kitchen {\"temperature\": 20, \"humidity\": 4}\nzigbee2mqtt/hall {\"temperature\": 20}\n";
    check(&[printed], LearnError::TopicBefore);
    // Whatever comes becomes a proposal that is TOML.
    for sample in [
        r#"{"a\"b\\\n": 1, "temp\u0007": 2}"#,
        "[]",
        "21.5",
        "[[1]]",
        "{\"a\": [{}]}",
    ] {
        let proposal = proposal(&[sample], Some("a/b"));
        assert!(
            toml::from_str::<toml::Table>(&proposal).is_ok(),
            "{proposal}"
        );
    }
}

#[test]
fn names_say_properties() {
    for (name, path, expect) in [
        ("Temperature", "", Some("air_temperature")),
        ("outdoor_temp_c", "", Some("air_temperature")),
        ("BME280_humidity", "", Some("relative_humidity")),
        ("pm2.5", "", Some("pm2_5")),
        ("PM25", "", Some("pm2_5")),
        ("windDirection", "", Some("wind_direction")),
        ("wind_gust_ms", "", Some("wind_gust")),
        ("dew_point", "", Some("dew_point")),
        ("value", "air temperature value", Some("air_temperature")),
        ("serial_no", "", None),
        ("rain", "daily rain", None),
        ("battery", "", None),
        ("rssi", "", None),
    ] {
        let found = names::properties(name, path);
        assert_eq!(
            found.first().map(|(name, _)| *name),
            expect,
            "{name}: {found:?}"
        );
    }
    for (name, expect) in [
        ("tempf", Some("[degF]")),
        ("temp_c", Some("Cel")),
        ("wind_speed_kmh", Some("km/h")),
        ("pressure_hPa", Some("hPa")),
        ("no2_ppb", Some("[ppb]")),
        ("rainin", Some("[in_i]")),
        ("rainmm", Some("mm")),
        ("dewptf", Some("[degF]")),
        ("tempmin", None),
        ("rain", None),
        ("humidity", None),
        ("c", None),
    ] {
        assert_eq!(names::units(name).first().copied(), expect, "{name}");
    }
}

#[test]
fn topics_name_devices() {
    for (topic, expect) in [
        ("zigbee2mqtt/kitchen", "zigbee2mqtt/{device}"),
        ("tele/bridge-7/SENSOR", "tele/{device}/SENSOR"),
        (
            "v3/app@ttn/devices/roof/up",
            "v3/app@ttn/devices/{device}/up",
        ),
        ("weather", "{device}"),
        // The first level where all behind it are words: Shelly, Generation 2.
        ("shellyplusht-08b6/events/rpc", "{device}/events/rpc"),
    ] {
        assert_eq!(topic_guess(topic).pattern, expect, "{topic}");
    }
    assert!(topic_guess("z/0x00158d0001a2b3c4").is_hardware);
    assert!(!topic_guess("z/kitchen").is_hardware);
}

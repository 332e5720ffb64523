use std::sync::Arc;

use expect_test::{Expect, expect};
use meetnet_model::schemas;
use meetnet_model::units::{Conversion, canonical_unit};

use super::UNITS;
use crate::Decoders;
use crate::testing::{self, decode, decoders, envelope, render, try_decoders};

const CITY: &str = "format = 'ngsi'";

fn check(body: &str, expect: Expect) {
    expect.assert_eq(&decode(CITY, "", body));
}

/// Decodes a notification with the header that says how attributes are written.
fn with_header(source: &str, format: &str, body: &str) -> String {
    let meta = [("ngsiv2-attrsformat".into(), format.into())];
    let mut message = envelope("", body.as_bytes());
    message.meta = &meta;
    render(&decoders(source).decode_body(&message))
}

#[test]
fn a_normalised_notification_of_ngsi_v2() {
    check(
        r#"{"subscriptionId": "57458eb6", "data": [{"id": "air-7", "type": "AirQualityObserved",
            "dateObserved": {"type": "DateTime", "value": "2026-06-01T11:00:00.00Z", "metadata": {}},
            "no2": {"type": "Number", "value": 69, "metadata": {"unitCode": {"type": "Text", "value": "GQ"}}},
            "co": {"type": "Number", "value": 500, "metadata": {"unitCode": {"value": "GQ"}}},
            "o3": {"type": "Number", "value": 0.08, "metadata": {"unitCode": {"value": "GP"}}},
            "pm10": {"type": "Number", "value": null, "metadata": {}},
            "temperature": {"type": "Number", "value": 12.2}, "relativeHumidity": {"type": "Number", "value": 0.54},
            "location": {"type": "geo:json", "value": {"type": "Point", "coordinates": [4.7, 50.8]}}}]}"#,
        expect![[r#"
            air sensor_id=ns-air-7 property=no2 time=2026-06-01T11:00:00Z value=69
            air sensor_id=ns-air-7 property=o3 time=2026-06-01T11:00:00Z value=80
            air sensor_id=ns-air-7 property=co time=2026-06-01T11:00:00Z value=0.5
            heat sensor_id=ns-air-7 property=air_temperature time=2026-06-01T11:00:00Z value=12.2
            heat sensor_id=ns-air-7 property=relative_humidity time=2026-06-01T11:00:00Z value=54
        "#]],
    );
}

#[test]
fn key_values_are_the_same_observation() {
    let entity = r#"{"id": "w-1", "type": "WeatherObserved", "dateObserved": "2026-06-01T11:00:00Z",
        "temperature": 3.3, "atmosphericPressure": 938.9, "windSpeed": 2, "windDirection": 135, "precipitation": 0,
        "relativeHumidity": 1, "illuminance": 1000, "address": {"addressLocality": "Valladolid"}}"#;
    let rows = expect![[r#"
        heat sensor_id=ns-w-1 property=air_temperature time=2026-06-01T11:00:00Z value=3.3
        heat sensor_id=ns-w-1 property=relative_humidity time=2026-06-01T11:00:00Z value=100
        heat sensor_id=ns-w-1 property=air_pressure time=2026-06-01T11:00:00Z value=938.9
        heat sensor_id=ns-w-1 property=wind_speed time=2026-06-01T11:00:00Z value=2
        heat sensor_id=ns-w-1 property=wind_direction time=2026-06-01T11:00:00Z value=135
        heat sensor_id=ns-w-1 property=rainfall time=2026-06-01T11:00:00Z value=0
    "#]];
    let notification = format!(r#"{{"subscriptionId": "5", "data": [{entity}]}}"#);
    for format in ["keyValues", "simplifiedNormalized", ""] {
        rows.assert_eq(&with_header(CITY, format, &notification));
    }
    // Forwarded without the notification around it.
    rows.assert_eq(&decode(CITY, "", entity));
    rows.assert_eq(&decode(CITY, "", &format!("[{entity}]")));
}

#[test]
fn the_header_says_that_an_object_is_a_value() {
    // Only in normalised form is `value` the value.
    let source = r#"
        format = 'ngsi'
        map = [ { dataset = 'noise', property = 'laeq', pointer = '/level/value' } ]"#;
    let body = r#"{"data": [{"id": "n", "type": "NoiseLevelObserved", "level": {"value": 40}}]}"#;
    assert_eq!(
        with_header(source, "keyValues", body),
        "noise sensor_id=ns-n property=laeq time=2026-06-01T12:00:00Z value=40\n"
    );
    let normalised = body.replace(r#"{"value": 40}"#, r#"{"value": {"value": 40}}"#);
    assert_eq!(
        with_header(source, "normalized", &normalised),
        "noise sensor_id=ns-n property=laeq time=2026-06-01T12:00:00Z value=40\n"
    );
}

#[test]
fn lists_of_values_have_no_names() {
    let source = r#"
        format = 'ngsi'
        sensor_id = 'roof'
        time = { pointer = '/0', format = 'rfc3339' }
        map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/1' } ]"#;
    let body = r#"{"subscriptionId": "5", "data": [["2026-06-01T11:00:00Z", 21.5], ["2026-06-01T11:05:00Z", null], 7]}"#;
    expect![[r#"
        heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:00:00Z value=21.5
        no_mapped_value: the entity has no value at `/1`
        unexpected_shape: no entity: neither an object nor a list of values
    "#]]
    .assert_eq(&with_header(source, "values", body));
    // Without a declaration nobody knows whose values they are.
    let nameless = source.replace("sensor_id = 'roof'", "");
    assert!(
        with_header(&nameless, "values", body).starts_with(
            "missing_field: the entity has no `id`; where notifications are lists of values, declare `sensor_id`"
        )
    );
}

#[test]
fn a_notification_of_ngsi_ld() {
    check(
        r#"{"id": "urn:ngsi-ld:Notification:1", "type": "Notification", "subscriptionId": "urn:ngsi-ld:Subscription:1",
            "notifiedAt": "2026-06-01T11:59:59Z", "data": [{"id": "urn:ngsi-ld:AirQualityObserved:Leuven:12",
              "type": ["https://smartdatamodels.org/dataModel.Environment/AirQualityObserved", "Thing"],
              "dateObserved": {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-06-01T11:00:00Z"}},
              "no2": {"type": "Property", "value": 69, "unitCode": "GQ"}, "no": {"value": 45},
              "pm10": {"type": "Property", "value": "urn:ngsi-ld:null"}, "so2": "urn:ngsi-ld:null",
              "refDevice": {"type": "Relationship", "object": "urn:ngsi-ld:Device:0A"}}]}"#,
        expect![[r#"
            air sensor_id=ns-Leuven:12 property=no time=2026-06-01T11:00:00Z value=45
            air sensor_id=ns-Leuven:12 property=no2 time=2026-06-01T11:00:00Z value=69
        "#]],
    );
    // Simplified, one entity without a list, and the device declared as the sensor.
    let source = "format = 'ngsi'\nsensor_id = { field = 'refDevice' }";
    let body = r#"{"type": "Notification", "data": {"id": "x", "type": "WeatherObserved", "temperature": 3,
        "dateObserved": {"@type": "DateTime", "@value": "2026-06-01T11:00:00Z"}, "refDevice": REF}}"#;
    for reference in [
        r#""device-0A""#,
        r#"{"type": "Relationship", "object": "device-0A"}"#,
    ] {
        assert_eq!(
            decode(source, "", &body.replace("REF", reference)),
            "heat sensor_id=ns-device-0A property=air_temperature time=2026-06-01T11:00:00Z value=3\n"
        );
    }
}

#[test]
fn attributes_can_have_times_of_their_own() {
    check(
        r#"{"id": "w", "type": "WeatherObserved",
            "temperature": {"type": "Property", "value": 20, "observedAt": "2026-06-01T11:00:00Z"},
            "windSpeed": {"type": "Property", "value": 2, "observedAt": "2026-06-01T11:05:00Z"},
            "windDirection": {"type": "Property", "value": 90, "observedAt": "2026-06-01T11:05:00Z"},
            "gustSpeed": {"type": "Property", "value": 9, "observedAt": "later"},
            "precipitation": {"type": "Property", "value": 0}}"#,
        expect![[r#"
            heat sensor_id=ns-w property=air_temperature time=2026-06-01T11:00:00Z value=20
            heat sensor_id=ns-w property=wind_speed time=2026-06-01T11:05:00Z value=2
            heat sensor_id=ns-w property=wind_direction time=2026-06-01T11:05:00Z value=90
            heat sensor_id=ns-w property=rainfall time=2026-06-01T12:00:00Z value=0
            bad_time: the time at `observedAt` of an attribute: not an RFC 3339 / ISO 8601 time such as 2026-01-31T12:00:00Z
        "#]],
    );
}

#[test]
fn times_without_a_zone_need_a_declared_one_and_intervals_have_a_length() {
    let entity = |times: &str| {
        format!(r#"{{"id": "w", "type": "WeatherObserved", "temperature": 1, {times}}}"#)
    };
    let zoned = "format = 'ngsi'\n\
                 time = { field = 'dateObserved', format = 'rfc3339', zone = 'Europe/Madrid' }";
    let row = |rest: &str| format!("heat sensor_id=ns-w property=air_temperature {rest} value=1\n");
    let naive = entity(r#""dateObserved": "2026-06-01T13:00:00""#);
    assert_eq!(
        decode(CITY, "", &naive),
        "bad_time: the time at `dateObserved`: the time has no offset and the source declares no zone; add `zone = \"UTC\"` or its IANA name to `time`\n"
    );
    assert_eq!(decode(zoned, "", &naive), row("time=2026-06-01T11:00:00Z"));
    let interval = entity(r#""dateObserved": "2026-06-01T13:10:00/2026-06-01T13:15:00""#);
    assert_eq!(
        decode(zoned, "", &interval),
        row("time=2026-06-01T11:10:00Z interval_s=300")
    );
    // A declared end is for times that are no interval: an interval says itself where it begins.
    let ended = "format = 'ngsi'\ntime_is = 'end'\ninterval_s = 3600\n\
                 time = { field = 'dateObserved', format = 'rfc3339', zone = 'Europe/Madrid' }";
    assert_eq!(
        decode(ended, "", &interval),
        row("time=2026-06-01T11:10:00Z interval_s=300")
    );
    assert_eq!(
        decode(ended, "", &naive),
        row("time=2026-06-01T10:00:00Z interval_s=3600")
    );
    // From and to have zones where the interval has none.
    let both = entity(
        r#""dateObserved": "2026-06-01T13:10:00/2026-06-01T13:15:00",
           "dateObservedFrom": "2026-06-01T11:10:00Z", "dateObservedTo": {"value": {"@value": "2026-06-01T11:25:00Z"}}"#,
    );
    assert_eq!(
        decode(CITY, "", &both),
        row("time=2026-06-01T11:10:00Z interval_s=900")
    );
    let backwards = both.replace("11:25:00Z", "11:05:00Z");
    assert_eq!(
        decode(CITY, "", &backwards),
        "bad_time: the interval at `dateObservedFrom` ends before it begins\n"
    );
    assert_eq!(
        decode(
            zoned,
            "",
            r#"{"id": "w", "type": "WeatherObserved", "temperature": 1}"#
        ),
        "missing_field: the entity has no time at `dateObserved`, where the source declares it\n"
    );
}

#[test]
fn the_sensor_is_in_the_id_without_type_and_time() {
    let of = |id: &str| {
        let body = format!(r#"{{"id": "{id}", "type": "WeatherObserved", "temperature": 1}}"#);
        let text = decode(CITY, "", &body);
        let rest = text.split(" sensor_id=ns-").nth(1).unwrap_or_default();
        rest.split(" property")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    for (id, sensor) in [
        (
            "Spain-WeatherObserved-Valladolid-2016-11-30T07:00:00.00Z",
            "Spain-WeatherObserved-Valladolid",
        ),
        ("Valladolid.2016-11-30T07-00-00.00Z", "Valladolid"),
        ("urn:ngsi-ld:WeatherObserved:Leuven-3", "Leuven-3"),
        ("urn:ngsi-ld:Device:Leuven-3", "Device:Leuven-3"),
        ("roof \\u00e9-2016-11-30T07:00", "roof é"),
        ("2016-11-30T07:00:00Z", "2016-11-30T07:00:00Z"),
        ("plain", "plain"),
    ] {
        assert_eq!(of(id), sensor, "{id}");
    }
}

#[test]
fn traffic_counts_need_a_segment_an_interval_and_a_vehicle() {
    let entity = |id: &str, more: &str| {
        format!(
            r#"{{"id": "{id}", "type": "TrafficFlowObserved", "intensity": {{"type": "Property", "value": 197}},
                "averageVehicleSpeed": 52.6, "laneId": 1 {more}}}"#
        )
    };
    let times =
        r#", "dateObservedFrom": "2026-06-01T11:00:00Z", "dateObservedTo": "2026-06-01T11:15:00Z""#;
    let id = "urn:ngsi-ld:TrafficFlowObserved:9000001463";
    let of = |id: &str, more: &str| decode(CITY, "", &entity(id, more));
    for (vehicle, column) in [("car", "car"), ("bicycle", "bike"), ("lorry", "heavy")] {
        assert_eq!(
            of(id, &format!(r#"{times}, "vehicleType": "{vehicle}""#)),
            format!(
                "traffic segment_id=9000001463 interval_s=900 time=2026-06-01T11:00:00Z {column}=197\n"
            )
        );
    }
    let car = r#", "vehicleType": "car""#;
    for (id, more, expect) in [
        (
            id,
            times.to_owned(),
            "no_mapped_value: no column of `traffic` counts vehicles of this `vehicleType`, or of any; add a `map` that says which column takes `intensity`\n",
        ),
        (
            id,
            car.to_owned(),
            "missing_field: the entity does not say which interval its count is of: neither `dateObservedFrom` and `dateObservedTo`, nor an interval in `dateObserved`\n",
        ),
        (
            "TrafficFlowObserved-Valladolid-osm-60821110",
            format!("{times}{car}"),
            "unknown_place: the entity's `id` does not end in the number of a segment (`…:9000001463`); add a `map` that says which attributes are columns of `traffic`\n",
        ),
    ] {
        assert_eq!(of(id, &more), expect);
    }
    // A map of its own: whatever the entities of this city are called.
    let source = r#"
        format = 'ngsi'
        map = [
          { dataset = 'traffic', column = 'segment_id', field = 'segment', interval_s = 900 },
          { dataset = 'traffic', column = 'car', field = 'intensity' },
        ]"#;
    assert_eq!(
        decode(
            source,
            "",
            &entity("x", &format!(r#"{times}, "segment": 5"#))
        ),
        "traffic segment_id=5 interval_s=900 time=2026-06-01T11:00:00Z car=197\n"
    );
}

#[test]
fn units_that_do_not_fit_are_rejects() {
    let of = |unit: &str| {
        let body = format!(
            r#"{{"id": "w", "type": "WeatherObserved", "temperature": {{"value": 50, "unitCode": "{unit}"}}}}"#
        );
        decode(CITY, "", &body)
    };
    assert_eq!(
        of("FAH"),
        "heat sensor_id=ns-w property=air_temperature time=2026-06-01T12:00:00Z value=10\n"
    );
    for unit in ["GQ", "XYZ"] {
        assert_eq!(
            of(unit),
            "wrong_type: the message states a unit for the value at `temperature` that is not known or does not become `Cel`\n"
        );
    }
}

#[test]
fn codes_are_the_units_that_they_name() {
    for (code, unit) in UNITS {
        assert_eq!(canonical_unit(unit), Some(*unit), "{code}");
    }
    for (code, value, unit, expect) in [
        ("ATM", 1.0, "hPa", 1013.25),
        ("C81", 1.0, "deg", 57.295_779_513),
        ("MWH", 1.0, "kW.h", 1000.0),
        ("JOU", 3600.0, "W.h", 1.0),
        ("KJO", 3.6, "W.h", 1.0),
        ("3B", 3.6, "kW.h", 1.0),
    ] {
        let (_, known) = UNITS.iter().find(|(name, _)| *name == code).expect(code);
        let conversion = Conversion::between(known, unit, None).expect(code);
        assert_eq!(conversion.apply(value), expect, "{code}");
    }
}

const WASTE: &str = r#"
id = "waste"
version = 1
kind = "long"
grain = "month"
key = ["sensor_id", "property", "time"]
title = { nl = "Afval", en = "Waste", fr = "Déchets" }
description = { nl = "Vulling van containers.", en = "Fill of containers.", fr = "Remplissage des conteneurs." }
[[column]]
name = "sensor_id"
type = "text"
required = true
[[column]]
name = "property"
type = "text"
required = true
[[column]]
name = "time"
type = "timestamp"
required = true
[[column]]
name = "value"
type = "float"
"#;

const FILL_LEVEL: &str = r#"
[[property]]
name = "fill_level"
dataset = "waste"
unit = "%"
iri = "https://example.org/fill-level"
range = [0, 100]
title = { nl = "Vulgraad", en = "Fill level", fr = "Taux de remplissage" }
"#;

#[test]
fn a_container_says_how_full_it_is_where_waste_is_declared() {
    let files = [("waste.toml", WASTE), ("properties.toml", FILL_LEVEL)];
    let declared = schemas::overlay(&files).unwrap();
    let declarations = declared.into_declarations([testing::source(CITY)]);
    let decoders = Decoders::new(&Arc::new(declarations), &testing::key()).unwrap();
    let entity =
        r#"{"id": "urn:ngsi-ld:WasteContainer:12", "type": "WasteContainer", "fillingLevel": 0.4}"#;
    assert_eq!(
        render(&decoders.decode_body(&envelope("", entity.as_bytes()))),
        "waste sensor_id=ns-12 property=fill_level time=2026-06-01T12:00:00Z value=40\n"
    );
}

#[test]
fn entities_without_a_model_need_a_map() {
    // No dataset of waste is built in, so nothing says what a container's level is.
    for entity in [
        r#"{"id": "urn:ngsi-ld:wastecontainer:1", "type": "WasteContainer", "fillingLevel": 0.4}"#,
        r#"{"id": "x", "type": "Streetlight", "powerState": "on"}"#,
        r#"{"id": "x"}"#,
        "{}",
    ] {
        assert_eq!(
            decode(CITY, "", entity),
            "no_mapped_value: entities of this type have no default mapping; add a `map` to the source that names \
             their attributes as `field`\n"
        );
    }
    let source = r#"
        format = 'ngsi'
        map = [ { dataset = 'noise', property = 'laeq', field = 'LAeq' },
                { dataset = 'heat', property = 'air_temperature', field = 'surfaceTemperature' } ]"#;
    assert_eq!(
        decode(
            source,
            "",
            r#"{"id": "n-1", "type": "NoiseLevelObserved", "LAeq": {"value": 67.8}}"#
        ),
        "noise sensor_id=ns-n-1 property=laeq time=2026-06-01T12:00:00Z value=67.8\n"
    );
    // Beside what the model knows.
    assert_eq!(
        decode(
            source,
            "",
            r#"{"id": "w", "type": "WeatherObserved", "dewPoint": 3, "surfaceTemperature": 9}"#
        ),
        "heat sensor_id=ns-w property=air_temperature time=2026-06-01T12:00:00Z value=9\n\
         heat sensor_id=ns-w property=dew_point time=2026-06-01T12:00:00Z value=3\n"
    );
    check(
        r#"{"id": "w", "type": "WeatherObserved", "illuminance": 3}"#,
        expect![[r#"
            no_mapped_value: the entity has no value at `temperature`, `dewPoint`, `relativeHumidity`, `atmosphericPressure`, `windSpeed`, `gustSpeed` and 3 more
        "#]],
    );
    check(
        r#"{"subscriptionId": "5", "data": []}"#,
        expect![[r#"
            no_observation: the notification has no entity
        "#]],
    );
}

#[test]
fn a_pointer_to_the_whole_entity_is_no_attribute() {
    let source =
        "format = 'ngsi'\nmap = [ { dataset = 'noise', property = 'laeq', pointer = '' } ]";
    let error = try_decoders(source).unwrap_err().to_string();
    assert!(
        error.starts_with("source `test`, map entry 1: the fields of this format have names"),
        "{error}"
    );
}

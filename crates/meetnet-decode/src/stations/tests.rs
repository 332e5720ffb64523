use meetnet_model::privacy::{SnappedPlace, exact_place, snap_place};
use meetnet_model::time::parse_rfc3339;

use crate::testing::{self, RECEIVED, key};
use crate::{ABOUT_DEVICES, ABOUT_META, EnvelopeRef};

/// Returns the rows that the devices of a source are announced as.
fn announced(declaration: &str) -> Vec<String> {
    let meta: [(Box<str>, Box<str>); 1] = [(ABOUT_META.into(), ABOUT_DEVICES.into())];
    let decoded = testing::decoders(declaration).decode_body(&EnvelopeRef {
        meta: &meta,
        ..testing::envelope("devices", b"devices")
    });
    let text = testing::render(&decoded);
    text.lines().map(str::to_owned).collect()
}

/// How a row shows a place.
fn place(lon: f64, lat: f64) -> String {
    shown(snap_place(lon, lat).unwrap())
}

fn shown(place: SnappedPlace) -> String {
    format!(
        "lon={} lat={} h3_r7={} h3_r9={}",
        place.lon, place.lat, place.h3_r7, place.h3_r9
    )
}

const MAPPED: &str = "format = 'json'\nsensor_id = { pointer = '/id' }\n\
    map = [{ dataset = 'heat', property = 'air_temperature', pointer = '/t', unit = 'Cel' }]\n";

#[test]
fn devices_with_a_place_are_stations() {
    let since = parse_rfc3339("2025-03-01T00:00:00Z").unwrap();
    let devices = format!(
        "{MAPPED}devices = [
            {{ id = 'a', station = 'shed', name = 'The shed', since = {since}, longitude = 4.7011, latitude = 50.8804 }},
            {{ id = 'a2', station = 'shed', longitude = 4.8, latitude = 50.9 }},
            {{ id = 'b', longitude = 4.7, latitude = 50.88 }},
            {{ id = 'nowhere', station = 'x' }},
            {{ id = 'roof-*', longitude = 4.7, latitude = 50.88 }},
            {{ id = 'c', longitude = 0.0, latitude = 0.0 }} ]"
    );
    assert_eq!(
        announced(&devices),
        [
            format!(
                "stations id=ns-shed valid_from=2025-03-01T00:00:00Z name=The shed {}",
                place(4.7011, 50.8804)
            ),
            format!(
                "stations id=ns-b valid_from={RECEIVED} {}",
                place(4.7, 50.88)
            ),
        ]
    );
    assert!(announced(MAPPED).is_empty());
}

#[test]
fn a_station_whose_device_is_replaced_elsewhere_moves() {
    let day = |day: &str| parse_rfc3339(&format!("{day}T00:00:00Z")).unwrap();
    let (first, second, third) = (day("2025-01-01"), day("2026-02-01"), day("2026-05-01"));
    let row = |since: &str, name: &str, lon: f64, municipality: &str| {
        let place = place(lon, 50.88);
        format!(
            "stations id=ns-hall valid_from={since}T00:00:00Z name={name} {place} municipality={municipality}"
        )
    };
    let hall = |id: &str, name: &str, since: i64, longitude: f64, more: &str| {
        format!(
            "{{ id = '{id}', station = 'hall', name = '{name}', since = {since}, longitude = {longitude}, latitude = 50.88{more} }}"
        )
    };
    let old = hall("old", "Hall", first, 4.7, ", municipality = 'Leuven'");
    let new = hall("new", "Town", second, 4.75, "");
    let same = hall("again", "Again", third, 4.7501, "");
    let expected = [
        row("2025-01-01", "Hall", 4.7, "Leuven"),
        row("2026-02-01", "Town", 4.75, "Herent"),
    ];
    // In whatever order; a device that comes to the place where the station is makes no other period.
    for devices in [[&old, &new, &same], [&same, &new, &old]] {
        let devices = devices.map(String::as_str).join(",");
        let source = format!("{MAPPED}municipality = 'Herent'\ndevices = [{devices}]");
        assert_eq!(announced(&source), expected, "{devices}");
    }
}

#[test]
fn stations_of_hardware_ids_have_the_id_of_their_rows() {
    let device = "devices = [{ id = 'esp8266-1', longitude = 4.7, latitude = 50.88 }]";
    let boxes = announced(&format!("format = 'airrohr'\n{device}"));
    let pseudonym = key().hardware_id("chip", "esp8266-1");
    let expected = format!(
        "stations id=ns-{pseudonym} valid_from={RECEIVED} {}",
        place(4.7, 50.88)
    );
    assert_eq!(boxes, [expected]);
    // A DevEUI and a device's name have HMACs of their own: without a station it is not known which one rows carry.
    let of_network = |device: &str| {
        let map = "map = [{ dataset = 'heat', property = 'air_temperature', pointer = '/t', unit = 'Cel' }]";
        announced(&format!("format = 'tts-v3'\n{map}\n{device}"))
    };
    assert!(of_network(device).is_empty());
    let named = of_network(&device.replace("longitude", "station = 'roof', longitude"));
    assert!(named[0].starts_with("stations id=ns-roof "), "{named:?}");
}

#[test]
fn a_poll_places_each_sensor_once_unless_the_source_declares_its_place() {
    let reading = |id: u32, longitude: &str, latitude: &str| {
        format!(
            r#"{{"timestamp": "2026-06-01 09:51:12", "sensor": {{"id": {id}, "sensor_type": {{"name": "SDS011"}}}},
                "location": {{"longitude": {longitude}, "latitude": {latitude}}},
                "sensordatavalues": [{{"value_type": "P1", "value": "5"}}]}}"#
        )
    };
    let body = [
        reading(1, "\"4.7001\"", "\"50.8799\""),
        reading(1, "\"4.7001\"", "\"50.8799\""),
        reading(2, "\"\"", "\"50.88\""),
        reading(3, "\"0.0\"", "\"0\""),
        reading(4, "447.0", "50.88"),
        reading(5, "\"4.9\"", "\"50.9\""),
    ];
    let source = "format = 'sensor-community'\nkind = 'poll'\n\
        devices = [{ id = '5', longitude = 4.701, latitude = 50.88 }]";
    let text = testing::decode(source, "", &format!("[{}]", body.join(",")));
    let stations: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("stations"))
        .collect();
    let expected = format!(
        "stations id=ns-1 valid_from={RECEIVED} kind=SDS011 {}",
        place(4.7, 50.88)
    );
    assert_eq!(stations, [expected]);
    assert_eq!(text.lines().count(), 1 + body.len(), "{text}");
}

#[test]
fn devices_that_are_one_station_place_it_once_and_are_not_its_kind() {
    let reading = |id: u32, device: &str| {
        format!(
            r#"{{"timestamp": "2026-06-01 09:51:12", "sensor": {{"id": {id}, "sensor_type": {{"name": "{device}"}}}},
                "location": {{"longitude": "4.7001", "latitude": "50.8799"}},
                "sensordatavalues": [{{"value_type": "P1", "value": "5"}}]}}"#
        )
    };
    let source = "format = 'sensor-community'\nkind = 'poll'\n\
        devices = [{ id = '1', station = 'yard' }, { id = '2', station = 'yard' }]";
    let body = [
        reading(1, "SDS011"),
        reading(2, "SPS30"),
        reading(3, "SPS30"),
    ];
    let text = testing::decode(source, "", &format!("[{}]", body.join(",")));
    let stations: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("stations"))
        .collect();
    let place = place(4.7, 50.88);
    assert_eq!(
        stations,
        [
            format!("stations id=ns-yard valid_from={RECEIVED} {place}"),
            format!("stations id=ns-3 valid_from={RECEIVED} kind=SPS30 {place}"),
        ]
    );
}

#[test]
fn municipalities_are_those_of_devices_or_of_the_source() {
    let devices = "devices = [
        { id = 'a', municipality = 'Herent', longitude = 4.7, latitude = 50.88 },
        { id = 'b', longitude = 4.7, latitude = 50.88 } ]";
    let place = place(4.7, 50.88);
    let row = |id: &str, municipality: &str| {
        let row = format!("stations id=ns-{id} valid_from={RECEIVED} {place}");
        if municipality.is_empty() {
            row
        } else {
            format!("{row} municipality={municipality}")
        }
    };
    assert_eq!(
        announced(&format!("{MAPPED}{devices}")),
        [row("a", "Herent"), row("b", "")]
    );
    assert_eq!(
        announced(&format!("{MAPPED}municipality = 'Leuven'\n{devices}")),
        [row("a", "Herent"), row("b", "Leuven")]
    );
    // A device without a place of its own: what the message says of it is completed.
    let body = r#"[{"timestamp": "2026-06-01 09:51:12", "sensor": {"id": 1, "sensor_type": {"name": "SDS011"}},
        "location": {"longitude": "4.7", "latitude": "50.88"}, "sensordatavalues": [{"value_type": "P1", "value": "5"}]}]"#;
    let source = "format = 'sensor-community'\nkind = 'poll'\nmunicipality = 'Leuven'\n";
    for (devices, municipality) in [
        ("", "Leuven"),
        (
            "devices = [{ id = '1', municipality = 'Herent' }]",
            "Herent",
        ),
    ] {
        let text = testing::decode(&format!("{source}{devices}"), "", body);
        let expected = format!(" {place} municipality={municipality}");
        let station = text.lines().find(|line| line.starts_with("stations"));
        assert!(
            station.is_some_and(|row| row.ends_with(&expected)),
            "{text}"
        );
    }
}

#[test]
fn a_published_place_is_in_the_area_that_holds_it() {
    let areas = "municipality = 'elsewhere'\nmunicipalities = [
        { name = 'Leuven', rings = [[[4.69, 50.87], [4.71, 50.87], [4.71, 50.89], [4.69, 50.89]]] } ]";
    let devices = "devices = [
        { id = 'a', longitude = 4.7, latitude = 50.88 },
        { id = 'b', longitude = 4.8, latitude = 50.88 },
        { id = 'c', municipality = 'Herent', longitude = 4.7, latitude = 50.88 } ]";
    let rows = announced(&format!("{MAPPED}{areas}\n{devices}"));
    let said: Vec<&str> = rows
        .iter()
        .filter_map(|row| Some(row.split_once(" municipality=")?.1))
        .collect();
    assert_eq!(said, ["Leuven", "elsewhere", "Herent"]);
}

#[test]
fn places_of_a_source_with_exact_locations_stay_as_they_are() {
    let (lon, lat) = (4.70052, 50.87981);
    let devices = format!(
        "exact_location = true\ndevices = [{{ id = 'a', longitude = {lon}, latitude = {lat} }}]"
    );
    let exact = shown(exact_place(lon, lat).unwrap());
    assert_eq!(
        announced(&format!("{MAPPED}{devices}")),
        [format!("stations id=ns-a valid_from={RECEIVED} {exact}")]
    );
    // What is not declared is on the grid, of whatever source.
    let devices = devices.replace("exact_location = true\n", "");
    assert_eq!(
        announced(&format!("{MAPPED}{devices}")),
        [format!(
            "stations id=ns-a valid_from={RECEIVED} {}",
            place(lon, lat)
        )]
    );
    let nowhere =
        "exact_location = true\ndevices = [{ id = 'a', longitude = 0.0, latitude = 0.0 }]";
    assert!(announced(&format!("{MAPPED}{nowhere}")).is_empty());
}

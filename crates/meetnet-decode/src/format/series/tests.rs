use crate::EnvelopeRef;
use crate::testing;

const METERS: &[(&str, &str)] = &[
    ("sensor", "42R803"),
    ("property", "pm2_5"),
    ("unit", "ug/m3"),
    ("interval-s", "3600"),
];

#[track_caller]
fn check(format: &str, beside: &[(&str, &str)], body: &str, expect: &[&str]) {
    let meta: Vec<(Box<str>, Box<str>)> = beside
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    let decoders = testing::decoders(&format!("format = '{format}'\nkind = 'poll'"));
    let decoded = decoders.decode_body(&EnvelopeRef {
        meta: &meta,
        ..testing::envelope("/timeseries/10744/getData", body.as_bytes())
    });
    let text = testing::render(&decoded);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, expect, "{body}");
}

#[test]
fn hourly_means_of_a_station() {
    check(
        "ircel",
        METERS,
        r#"{"values": [{"timestamp": 1780304400000, "value": 18.5}, {"timestamp": 1780308000000, "value": -99.99},
            {"timestamp": 1780311600000, "value": "NaN"}, {"timestamp": 1780311600000, "value": 0},
            {"timestamp": 1780311600001, "value": -0.4}]}"#,
        &[
            "air sensor_id=ns-42R803 property=pm2_5 time=2026-06-01T09:00:00Z interval_s=3600 value=18.5",
            "air sensor_id=ns-42R803 property=pm2_5 time=2026-06-01T11:00:00Z interval_s=3600 value=0",
            "air sensor_id=ns-42R803 property=pm2_5 time=2026-06-01T11:00:00.001Z interval_s=3600 value=-0.4",
        ],
    );
}

#[test]
fn the_newest_values_of_all_stations() {
    let station = format!(
        "stations id=ns-BETR701 valid_from=2026-06-01T12:00:00Z name=Liège {}",
        place(5.572_94, 50.645_18)
    );
    check(
        "ircel",
        &[("property", "no2"), ("interval-s", "3600")],
        r#"{"type": "FeatureCollection", "features": [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [235166, 148974]},
             "properties": {"ab_eoi_code": "BETR701", "ab_name": "Liège", "timestamp": "2026-06-01T09:00:00Z", "value": 21}},
            {"geometry": {"coordinates": [235166, 148974]},
             "properties": {"ab_eoi_code": "BETR701", "timestamp": "2026-06-01T08:00:00Z", "value": null}},
            {"properties": {"ab_eoi_code": "BETR702", "timestamp": "2026-06-01T09:00:00Z", "value": null}},
            {"properties": {"id": 1102, "timestamp": "2026-06-01T09:00:00Z", "value": 4, "network": "Wallonia"}}]}"#,
        &[
            "air sensor_id=ns-BETR701 property=no2 time=2026-06-01T09:00:00Z interval_s=3600 value=21",
            &station,
            "missing_field: neither the point nor the poll says which station it is of",
        ],
    );
}

/// How a row shows a place.
fn place(lon: f64, lat: f64) -> String {
    let place = meetnet_model::privacy::snap_place(lon, lat).unwrap();
    format!(
        "lon={} lat={} h3_r7={} h3_r9={}",
        place.lon, place.lat, place.h3_r7, place.h3_r9
    )
}

#[test]
fn what_an_api_says_of_a_station() {
    let antwerp = place(4.428_454, 51.228_629);
    check(
        "ircel",
        &[
            ("about", "station"),
            ("sensor", "42R803"),
            ("sensor", "FIDAS"),
        ],
        r#"{"id": "10744", "uom": "ug/m3", "station": {"type": "Feature",
            "geometry": {"coordinates": [4.428454177535564, 51.22862981306374, "NaN"], "type": "Point"},
            "properties": {"id": 1720, "label": "42R803 - Antwerpen"}},
            "firstValue": {"timestamp": 1556056800000, "value": 18.5}}"#,
        &[
            &format!(
                "stations id=ns-42R803 valid_from=2026-06-01T12:00:00Z name=42R803 - Antwerpen {antwerp}"
            ),
            &format!(
                "stations id=ns-FIDAS valid_from=2026-06-01T12:00:00Z name=42R803 - Antwerpen {antwerp}"
            ),
        ],
    );
    // A box says since when; whose balcony it hangs on is nobody's business.
    let balcony = place(4.7, 50.88);
    let moved = r#"{"_id": "539c00c2a83415541578eaf5", "name": "Balcony of A. Resident",
        "currentLocation": {"type": "Point", "coordinates": [4.7, 50.88, 31], "timestamp": "2024-05-05T10:00:00.000Z"},
        "loc": [{"geometry": {"coordinates": [1, 2]}}]}"#;
    let row = format!("stations id=ns-a valid_from=2024-05-05T10:00:00Z {balcony}");
    let beside = [("about", "station"), ("sensor", "a")];
    check("opensensemap", &beside, moved, &[&row]);
    let timeless = format!("stations id=ns-a valid_from=2026-06-01T12:00:00Z {balcony}");
    for body in [
        r#"{"loc": [{"geometry": {"type": "Point", "coordinates": [4.7, 50.88]}}]}"#,
        // A clock that is ahead says nothing.
        r#"{"currentLocation": {"coordinates": [4.7, 50.88], "timestamp": "2036-05-05T10:00:00Z"}}"#,
    ] {
        check("opensensemap", &beside, body, &[&timeless]);
    }
    check(
        "opensensemap",
        &beside,
        r#"{"name": "x"}"#,
        &["missing_field: the description of the station does not say where it is"],
    );
}

#[test]
fn measurements_of_a_box() {
    let beside = [
        ("sensor", "6398c664a7390d001b5e0744"),
        ("property", "air_temperature"),
        ("unit", "[degF]"),
    ];
    check(
        "opensensemap",
        &beside,
        r#"[{"location": [13.3, 52.4], "createdAt": "2026-06-01T09:24:34.572Z", "value": "68"},
            {"createdAt": "2026-06-01T09:23:34.572Z", "value": "warm"}, {"value": "4.2"},
            {"createdAt": "2026-06-01T09:22:34.572Z", "value": null}, {"createdAt": "2026-06-01T09:21:34.572Z"}, 7]"#,
        &[
            "heat sensor_id=ns-6398c664a7390d001b5e0744 property=air_temperature time=2026-06-01T09:24:34.572Z value=20",
            "wrong_type: `value` is not a number",
            "missing_field: the point has no `timestamp` (or `createdAt`)",
            "missing_field: the point has no `value`",
            "missing_field: the point has no `value`",
        ],
    );
    // -99.99 is IRCEL's word, nobody else's.
    check(
        "opensensemap",
        &[("sensor", "a"), ("property", "pm10")],
        r#"[{"createdAt": "2026-06-01T09:24:34Z", "value": "-99.99"}]"#,
        &["air sensor_id=ns-a property=pm10 time=2026-06-01T09:24:34Z value=-99.99"],
    );
}

#[test]
fn a_body_that_nobody_asked_for_is_explained() {
    let body = r#"{"values": [{"timestamp": 1780304400000, "value": 18.5}]}"#;
    check(
        "ircel",
        &[],
        body,
        &[
            "missing_field: nothing beside the body says which property it is; only a poll of the source does",
        ],
    );
    check(
        "ircel",
        &[("sensor", "a"), ("property", "pm3")],
        body,
        &["no_mapped_value: there is no property `pm3`; correct the source's `series`"],
    );
    check(
        "ircel",
        METERS,
        r#"{"message": "not found"}"#,
        &[
            "unexpected_shape: no time series: neither a list, nor `values` or `features` that are one",
        ],
    );
}

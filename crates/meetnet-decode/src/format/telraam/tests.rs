use expect_test::{Expect, expect};

use super::SNAPSHOT;
use crate::testing::{self, try_decoders};

const SOURCE: &str = "format = 'telraam'\nkind = 'http'";

/// A quiet row of an S2 device; `changes` replace or add fields, the value `-` leaves one out.
fn row(changes: &[(&str, &str)]) -> String {
    let mut fields: Vec<(&str, &str)> = vec![
        ("instance_id", "-1"),
        ("segment_id", "9000001463"),
        ("date", "\"2026-06-01T09:00:00.000Z\""),
        ("interval", "\"hourly\""),
        ("uptime", "0.75"),
        ("heavy", "4"),
        ("car", "120.5"),
        ("bike", "30"),
        ("pedestrian", "0.0"),
        ("timezone", "\"Europe/Brussels\""),
        ("direction", "1"),
        ("v85", "42.5"),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        if *value != "-" {
            fields.push((name, value));
        }
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

fn decoded(body: &str) -> String {
    testing::decode(SOURCE, "/ingest/v1/telraam", body)
}

fn check(changes: &[(&str, &str)], expect: Expect) {
    expect.assert_eq(&decoded(&row(changes)));
}

#[test]
fn the_same_row_comes_in_five_bodies() {
    let row = row(&[]);
    let rows = decoded(&row);
    expect![[r#"
        traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0.75 car=120.5 heavy=4 bike=30 pedestrian=0 v85=42.5
    "#]].assert_eq(&rows);
    for body in [
        format!("[{row}]"),
        format!(r#"{{"status_code": 200, "message": "ok", "report": [{row}]}}"#),
        format!(r#"{{"report": [{row}], "status_code": 200, "message": "ok"}}"#),
        format!(r#"{{"device_id": 9000001463, "month": "2026-06", "data": [{row}]}}"#),
    ] {
        assert_eq!(decoded(&body), rows, "{body}");
    }
}

#[test]
fn all_directions_and_modes_have_their_columns() {
    check(
        &[
            ("night", "7"),
            ("night_lft", "5"),
            ("night_rgt", "2"),
            ("heavy_lft", "1"),
            ("heavy_rgt", "3"),
            ("car_lft", "60.25"),
            ("car_rgt", "60.25"),
            ("bike_lft", "10"),
            ("bike_rgt", "20"),
            ("pedestrian_lft", "0"),
            ("pedestrian_rgt", "0"),
            ("mode_bus_lft", "2"),
            ("mode_car_lft", "59"),
            ("mode_stroller_rgt", "1"),
        ],
        expect![[r#"
            traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0.75 car=120.5 car_lft=60.25 car_rgt=60.25 heavy=4 heavy_lft=1 heavy_rgt=3 bike=30 bike_lft=10 bike_rgt=20 pedestrian=0 pedestrian_lft=0 pedestrian_rgt=0 night=7 night_lft=5 night_rgt=2 mode_bus_lft=2 mode_car_lft=59 mode_stroller_rgt=1 v85=42.5
        "#]],
    );
}

#[test]
fn numbers_come_in_every_dress() {
    check(
        &[
            ("car", "0"),
            ("bike", "\"30.0\""),
            ("heavy", "\"\""),
            ("pedestrian", "null"),
        ],
        expect![[r#"
            traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0.75 car=0 bike=30 v85=42.5
        "#]],
    );
    check(
        &[
            ("segment_id", "\"9000001463\""),
            ("uptime", "1"),
            ("v85", "\"\""),
        ],
        expect![[r#"
            traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=1 car=120.5 heavy=4 bike=30 pedestrian=0
        "#]],
    );
}

#[test]
fn night_is_missing_where_the_device_does_not_count_it() {
    for night in ["-", "null"] {
        let changes = [("night", night), ("night_lft", night), ("night_rgt", night)];
        assert_eq!(decoded(&row(&changes)), decoded(&row(&[])));
    }
    assert!(decoded(&row(&[("night", "0")])).contains(" night=0"));
}

#[test]
fn v85_of_no_cars_is_missing() {
    for v85 in ["null", "0", "0.0", "-", "\"\""] {
        let text = decoded(&row(&[("v85", v85)]));
        assert!(
            text.starts_with("traffic") && !text.contains("v85"),
            "{v85}: {text}"
        );
    }
}

#[test]
fn histograms_of_nothing_are_missing() {
    let zeros = format!("[{}]", ["0"; 25].join(","));
    let floats = format!("[{}]", ["0.0"; 8].join(","));
    let text = decoded(&row(&[
        ("car", "0"),
        ("car_speed_hist_0to70plus", &floats),
        ("car_speed_hist_0to120plus", &zeros),
    ]));
    assert!(
        text.starts_with("traffic") && !text.contains("speed_hist"),
        "{text}"
    );
    let fine = format!("[0,\"25\",75.0,{}]", ["0"; 22].join(","));
    check(
        &[
            (
                "car_speed_hist_0to70plus",
                "[15.9, 44.2, 29.2, 6, 1.5, 0.4, 0.7, 2.1]",
            ),
            ("car_speed_hist_0to120plus", &fine),
        ],
        expect![[r#"
            traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0.75 car=120.5 heavy=4 bike=30 pedestrian=0 v85=42.5 speed_hist=[15.9, 44.2, 29.2, 6.0, 1.5, 0.4, 0.7, 2.1] speed_hist_fine=[0.0, 25.0, 75.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        "#]],
    );
    check(
        &[("car_speed_hist_0to120plus", "[1, 2]")],
        expect![[r#"
        wrong_type: `car_speed_hist_0to120plus` is not a list of 25 numbers
    "#]],
    );
    check(
        &[("car_speed_hist_0to120plus", "\"none\"")],
        expect![[r#"
        wrong_type: `car_speed_hist_0to120plus` is not a list of 25 numbers
    "#]],
    );
}

#[test]
fn a_counter_that_saw_nothing_has_no_counts() {
    let quiet = [
        ("uptime", "0"),
        ("heavy", "0"),
        ("car", "0.0"),
        ("bike", "0"),
        ("pedestrian", "0"),
        ("v85", "0"),
    ];
    check(
        &quiet,
        expect![[r#"
        traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0
    "#]],
    );
    // An hour without traffic is another thing.
    let mut awake = quiet;
    awake[0].1 = "0.9";
    check(
        &awake,
        expect![[r#"
        traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0.9 car=0 heavy=0 bike=0 pedestrian=0
    "#]],
    );
    // Counts at uptime 0 (rounded down) are kept; quality flags them.
    check(
        &[("uptime", "0.0")],
        expect![[r#"
        traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0 car=120.5 heavy=4 bike=30 pedestrian=0 v85=42.5
    "#]],
    );
}

#[test]
fn a_tiny_uptime_stays_beside_its_extrapolated_counts() {
    check(
        &[("uptime", "0.0061"), ("car", "490.9")],
        expect![[r#"
        traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0.0061 car=490.9 heavy=4 bike=30 pedestrian=0 v85=42.5
    "#]],
    );
    check(
        &[("uptime", "null")],
        expect![[r#"
        traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z car=120.5 heavy=4 bike=30 pedestrian=0 v85=42.5
    "#]],
    );
}

#[test]
fn intervals_are_seconds() {
    let check = |changes: &[(&str, &str)], expect: &str| {
        let text = decoded(&row(changes));
        assert!(text.contains(expect), "{changes:?}: {text}");
    };
    check(&[("interval", "\"quarterly\"")], " interval_s=900 ");
    check(&[("interval", "\"hourly\"")], " interval_s=3600 ");
    check(&[("interval", "\"daily\"")], " interval_s=86400 ");
    check(
        &[("interval", "-"), ("period_duration", "900")],
        " interval_s=900 ",
    );
    check(
        &[("interval", "-")],
        "missing_field: the row has no `interval`",
    );
    check(
        &[("interval", "\"weekly\"")],
        "wrong_type: `interval` is not",
    );
    check(
        &[("interval", "[]")],
        "wrong_type: `interval` is not a text",
    );
}

#[test]
fn a_row_needs_a_segment_and_a_plausible_time() {
    check(
        &[
            ("segment_id", "-1"),
            ("instance_id", "14298"),
            ("direction", "0"),
        ],
        expect![[r#"
            unknown_place: an instance-level row: its segment_id is -1 and the segment of its instance is not known; ask for reports at level `segments`
        "#]],
    );
    check(
        &[("segment_id", "-")],
        expect![[r#"
        missing_field: the row has no `segment_id`
    "#]],
    );
    check(
        &[("segment_id", "\"a\"")],
        expect![[r#"
        wrong_type: `segment_id` is not a whole number
    "#]],
    );
    check(
        &[("date", "-")],
        expect![[r#"
        missing_field: the row has no `date`
    "#]],
    );
    check(
        &[("date", "\"2026-06-01\"")],
        expect![[r#"
        bad_time: the time at `date`: a date alone is no instant; declare where the time of day stands (`clock_field`, `clock_pointer`), or `format = "%Y-%m-%d"` where a whole day is meant
    "#]],
    );
    check(
        &[("date", "\"1970-01-01T00:00:00.000Z\"")],
        expect![[r#"
        bad_time: the time 1970-01-01T00:00:00Z lies before 2015: the device's clock was not set
    "#]],
    );
    check(
        &[("date", "\"2022-01-22T01:00:00.000Z\"")],
        expect![[r#"
        time_out_of_window: the time 2022-01-22T01:00:00Z lies 1591d before the receive time; the source's time_window allows 400d back
    "#]],
    );
    check(
        &[("date", "\"2026-06-01T14:00:00.000Z\"")],
        expect![[r#"
        time_out_of_window: the time 2026-06-01T14:00:00Z lies 2h after the receive time; the source's time_window allows 1h ahead
    "#]],
    );
    // The API's times are UTC, with or without saying so.
    assert_eq!(
        decoded(&row(&[("date", "\"2026-06-01 09:00:00\"")])),
        decoded(&row(&[]))
    );
    assert_eq!(
        decoded(&row(&[("date", "\"2026-06-01 09:00:00Z\"")])),
        decoded(&row(&[]))
    );
}

#[test]
fn a_bad_row_never_takes_the_others_with_it() {
    let body = format!(
        r#"{{"status_code": 200, "message": "ok", "report": [{}, {}, 7, null, {}]}}"#,
        row(&[("car", "\"many\"")]),
        row(&[("segment_id", "-1")]),
        row(&[])
    );
    expect![[r#"
        traffic segment_id=9000001463 interval_s=3600 time=2026-06-01T09:00:00Z uptime=0.75 car=120.5 heavy=4 bike=30 pedestrian=0 v85=42.5
        wrong_type: `car` is not a number
        unknown_place: an instance-level row: its segment_id is -1 and the segment of its instance is not known; ask for reports at level `segments`
        unexpected_shape: a row is not an object
        unexpected_shape: a row is not an object
    "#]].assert_eq(&decoded(&body));
}

#[test]
fn answers_without_rows() {
    let check = |body: &str, expect: Expect| expect.assert_eq(&decoded(body));
    // No closed hour yet: nothing came, nothing is lost.
    check(
        r#"{"status_code": 200, "message": "ok", "report": []}"#,
        expect![[""]],
    );
    check("[]", expect![[""]]);
    check(
        r#"{"message": "Forbidden"}"#,
        expect![[r#"
        no_observation: an answer of the Telraam API without a report; its status and message are in the excerpt
    "#]],
    );
    check(
        r#"{"status_code": 401, "message": "User has no access to the Advanced API."}"#,
        expect![[r#"
            no_observation: an answer of the Telraam API without a report; its status and message are in the excerpt
        "#]],
    );
    check(
        r#"{"status_code": 200, "message": "ok", "report": null}"#,
        expect![[r#"
            unexpected_shape: `report` (or `data`) is not a list of rows
        "#]],
    );
    check(
        r#"{"report": {"a": 1}}"#,
        expect![[r#"
        unexpected_shape: `report` (or `data`) is not a list of rows
    "#]],
    );
    check(
        "{}",
        expect![[r#"
        unexpected_shape: no Telraam report: it has neither `report`, `data` nor the fields of a row
    "#]],
    );
    check(
        "5",
        expect![[r#"
        unexpected_shape: no Telraam report: it has neither `report`, `data` nor the fields of a row
    "#]],
    );
}

#[test]
fn a_snapshot_says_what_reads_it() {
    let said = format!("unexpected_shape: {SNAPSHOT}\n");
    let counts = |properties: &str| {
        format!(
            r#"{{"type": "Feature", "geometry": {{"type": "MultiLineString", "coordinates": {STREET}}}, "properties": {properties}}}"#
        )
    };
    let seen = r#"{"segment_id": 9000001463, "last_data_package": "2026-06-01T10:00:00Z", "timezone": "Europe/Brussels",
        "date": "2026-06-01 10:00:00+00:00", "period": "hourly", "uptime": 0.75, "heavy": 4, "car": 120.5, "v85": 43}"#;
    let unseen = r#"{"segment_id": 9000002453, "date": "", "period": "", "uptime": "", "heavy": "", "car": ""}"#;
    let collection = |features: &[String]| {
        let features = features.join(", ");
        format!(r#"{{"type": "FeatureCollection", "features": [{features}]}}"#)
    };
    // One answer, one reject, however many segments it has.
    let snapshot = collection(&[counts(seen), counts(unseen)]);
    assert_eq!(decoded(&snapshot), said);
    assert_eq!(decoded(&collection(&[counts(unseen)])), said);
    // Beside a segment, which stays one.
    let both = decoded(&collection(&[counts(SINCE), counts(seen)]));
    let (segment, rest) = both.split_once('\n').unwrap();
    assert!(segment.starts_with("segments id=9000001463"), "{both}");
    assert_eq!(rest, said);
    // Its rows without their places.
    assert_eq!(decoded(seen), said);
    assert_eq!(decoded(&format!("[{seen}]")), said);
    let report =
        format!(r#"{{"status_code": 200, "message": "ok", "report": [{seen}, {unseen}]}}"#);
    assert_eq!(decoded(&report), format!("{said}{said}"));
    // What the API names as well is no snapshot.
    let named = row(&[("period", "\"hourly\"")]);
    assert!(decoded(&named).starts_with("traffic "), "{named}");
}

#[test]
fn a_cut_body_is_one_malformed_reject() {
    let body = format!(
        r#"{{"status_code": 200, "report": [{}, {}"#,
        row(&[]),
        row(&[])
    );
    expect![[r#"
        malformed: not JSON: EOF while parsing a list at line 1 column 506
    "#]]
    .assert_eq(&decoded(&body));
}

#[test]
fn personal_fields_reach_neither_rows_nor_rejects() {
    let personal = [("user_id", "4711"), ("mac", "\"202481587159\"")];
    let text = decoded(&row(&personal));
    assert_eq!(text, decoded(&row(&[])));
    let mut bad = personal.to_vec();
    bad.push(("segment_id", "-1"));
    let body = row(&bad);
    let decoded = testing::decoders(SOURCE).decode_body(&testing::envelope("", body.as_bytes()));
    let rejects = format!("{:?}", decoded.rejects);
    assert!(
        !rejects.contains("4711") && !rejects.contains("202481587159"),
        "{rejects}"
    );
}

#[test]
fn telraam_takes_no_map() {
    let source =
        format!("{SOURCE}\nmap = [ {{ dataset = 'air', property = 'pm10', pointer = '/a' }} ]");
    expect!["source `test`: format `telraam` has a fixed mapping; remove `map`"]
        .assert_eq(&try_decoders(&source).unwrap_err().to_string());
}

#[test]
fn a_time_in_the_window_that_was_asked_for_is_never_too_old() {
    let decoders = testing::decoders(SOURCE);
    let decode = |date: &str, window: Option<&str>| {
        let body = row(&[("date", &format!("\"{date}\""))]);
        let meta: Vec<(Box<str>, Box<str>)> = window
            .into_iter()
            .map(|window| ("window".into(), window.into()))
            .collect();
        let envelope = crate::EnvelopeRef {
            meta: &meta,
            ..testing::envelope("/v1/reports/traffic", body.as_bytes())
        };
        let decoded = decoders.decode_body(&envelope);
        match decoded.rejects.first() {
            None => "row",
            Some(reject) => reject.reason.as_str(),
        }
    };
    let asked = "2013-12-31T00:00:00Z/2020-03-31T00:00:00Z";
    for (date, window, expect) in [
        ("2020-01-22T01:00:00.000Z", None, "time_out_of_window"),
        ("2020-01-22T01:00:00.000Z", Some(asked), "row"),
        ("2013-12-31T00:00:00.000Z", Some(asked), "row"),
        ("2013-12-30T23:00:00.000Z", Some(asked), "bad_time"),
        (
            "2020-03-31T00:00:00.000Z",
            Some(asked),
            "time_out_of_window",
        ),
        (
            "2020-01-22T01:00:00.000Z",
            Some("last year"),
            "time_out_of_window",
        ),
        // What is plausible by itself needs no window.
        ("2026-06-01T09:00:00.000Z", Some(asked), "row"),
    ] {
        assert_eq!(decode(date, window), expect, "{date} {window:?}");
    }
}

/// A body of one segment; `properties` and `coordinates` as JSON.
fn segment(properties: &str, coordinates: &str) -> String {
    decoded(&format!(
        r#"{{"status_code": 200, "message": "ok", "type": "FeatureCollection", "features": [{{"type": "Feature",
            "geometry": {{"type": "MultiLineString", "coordinates": {coordinates}}}, "properties": {properties}}}]}}"#
    ))
}

const STREET: &str = "[[[4.7001, 50.8801], [4.7003, 50.8801], [4.7101, 50.8801]]]";
const SINCE: &str = r#"{"oidn": 9000001463, "first_data_package": "2024-05-05T11:45:18.061Z",
    "last_data_package": "2026-05-21T15:30:26.044Z", "timezone": "Europe/Brussels"}"#;

#[test]
fn a_segment_has_its_line_and_the_middle_of_it_on_the_grid() {
    let place = meetnet_model::privacy::snap_place(4.7055, 50.88).unwrap();
    let expect = format!(
        "segments id=9000001463 valid_from=2024-05-05T11:45:18.061Z lon=4.7055 lat=50.88 h3_r7={} h3_r9={} \
         geometry=LINESTRING (4.7001 50.8801, 4.7003 50.8801, 4.7101 50.8801)\n",
        place.h3_r7, place.h3_r9
    );
    assert_eq!(segment(SINCE, STREET), expect);
    // Of several lines the longest has the middle.
    let two = segment(
        SINCE,
        "[[[4.0, 50.0], [4.0001, 50.0]], [[4.7001, 50.8801], [4.7101, 50.8801]]]",
    );
    assert!(two.contains(" lon=4.7055 lat=50.88 "), "{two}");
    assert!(
        two.contains("MULTILINESTRING ((4 50, 4.0001 50), (4.7001 50.8801, 4.7101 50.8801))"),
        "{two}"
    );
}

#[test]
fn a_segment_lies_in_the_municipality_that_its_source_declares() {
    let body = format!(
        r#"{{"features": [{{"geometry": {{"coordinates": {STREET}}}, "properties": {SINCE}}}]}}"#
    );
    let declared = "format = 'telraam'\nmunicipality = 'Leuven'";
    let made = crate::testing::decode(declared, "", &body);
    assert!(made.contains(" municipality=Leuven "), "{made}");
    let made = crate::testing::decode("format = 'telraam'", "", &body);
    assert!(
        made.contains("segments id=") && !made.contains("municipality"),
        "{made}"
    );
}

#[test]
fn a_segment_that_is_none_is_explained() {
    let check = |properties: &str, coordinates: &str, expect: &str| {
        let made = segment(properties, coordinates);
        assert!(made.starts_with(expect), "{made}");
    };
    check(
        r#"{"segment_id": 9000001463}"#,
        STREET,
        "missing_field: the segment has no `first_data_package`",
    );
    check(
        r#"{"oidn": 1, "first_data_package": "long ago"}"#,
        STREET,
        "bad_time: `first_data_package` is not an RFC 3339 time",
    );
    for nowhere in [
        "[]",
        "[[]]",
        "[[[4.7, 50.8]]]",
        "[[[4700.1, 50.8], [4700.2, 50.8]]]",
    ] {
        check(SINCE, nowhere, "unexpected_shape: the segment has no line");
    }
    check(SINCE, "7", "unexpected_shape: no road segment: expected ");
    check("{}", STREET, "unexpected_shape: no road segment: ");
}

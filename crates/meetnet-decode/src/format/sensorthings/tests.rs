use expect_test::{Expect, expect};

use crate::testing::{decode, decoders, envelope, try_decoders};

const CITY: &str = r#"
    format = 'sensorthings'
    topics = ['v1.1/+/Observations', 'v1.1/Observations']
    sentinels = [-999]
    map = [
      { dataset = 'heat', property = 'air_temperature', field = '1', unit = 'Cel' },
      { dataset = 'heat', property = 'relative_humidity', field = 'hum-7', unit = '%' },
      { dataset = 'air', property = 'pm10', field = '3', unit = 'mg/m3' },
    ]"#;

fn check(topic: &str, body: &str, expect: Expect) {
    expect.assert_eq(&decode(CITY, topic, body));
}

const AT: &str = r#""phenomenonTime": "2026-06-01T11:00:00Z""#;

#[test]
fn an_observation_is_a_row_of_its_datastream() {
    check(
        "v1.1/Observations",
        r#"{"phenomenonTime": "2026-06-01T13:00:00+02:00", "resultTime": "2026-06-01T11:00:05Z", "result": 21.6,
            "Datastream": {"@iot.id": 1}, "FeatureOfInterest": {"@iot.id": 9}, "parameters": {"x": 1},
            "@iot.selfLink": "…"}"#,
        expect![[r#"
            heat sensor_id=ns-1 property=air_temperature time=2026-06-01T11:00:00Z value=21.6
        "#]],
    );
    // The id in the topic or path, and units as the map says.
    let body = format!(r#"{{"result": "0.012", {AT}}}"#);
    for topic in [
        "v1.1/Datastreams(3)/Observations",
        "/v1.1/Datastreams(3)/Observations",
        "city/v1.0/Datastreams('3')/Observations",
        "/v1.1/Datastreams(%273%27)/Observations",
    ] {
        assert_eq!(
            decode(CITY, topic, &body),
            "air sensor_id=ns-3 property=pm10 time=2026-06-01T11:00:00Z value=12\n",
            "{topic}"
        );
    }
    // Both may name it.
    check(
        "v1.1/Datastreams('hum-7')/Observations",
        &format!(r#"{{"result": 40, {AT}, "Datastream": {{"@iot.id": "hum-7"}}}}"#),
        expect![[r#"
            heat sensor_id=ns-hum-7 property=relative_humidity time=2026-06-01T11:00:00Z value=40
        "#]],
    );
}

#[test]
fn the_time_falls_back_and_intervals_give_start_and_length() {
    let at = |times: &str| {
        decode(
            CITY,
            "Datastreams(1)/Observations",
            &format!(r#"{{"result": 1{times}}}"#),
        )
    };
    let row = |rest: &str| format!("heat sensor_id=ns-1 property=air_temperature {rest} value=1\n");
    assert_eq!(at(""), row("time=2026-06-01T12:00:00Z"));
    assert_eq!(
        at(r#", "resultTime": "2026-06-01T11:30:00Z""#),
        row("time=2026-06-01T11:30:00Z")
    );
    assert_eq!(
        at(r#", "phenomenonTime": "2026-06-01T12:00:00+02:00/2026-06-01T12:15:00+02:00""#),
        row("time=2026-06-01T10:00:00Z interval_s=900")
    );
    // An interval of nothing is an instant.
    assert_eq!(
        at(r#", "phenomenonTime": "2026-06-01T11:00:00Z/2026-06-01T11:00:00Z""#),
        row("time=2026-06-01T11:00:00Z")
    );
    for (time, expect) in [
        (
            "2026-06-01T11:00:00Z/2026-06-01T10:00:00Z",
            "bad_time: the interval at `/phenomenonTime` ends before it begins\n",
        ),
        (
            "2026-06-01T11:00:00",
            "bad_time: the time at `/phenomenonTime`: the time has no offset and the source declares no zone; add `zone = \"UTC\"` or its IANA name to `time`\n",
        ),
        (
            "1970-01-01T00:00:00Z",
            "bad_time: the time 1970-01-01T00:00:00Z lies before 2015: the device's clock was not set\n",
        ),
        (
            "2026-06-01T11:00:00Z/",
            "bad_time: the time at `/phenomenonTime`: not an RFC 3339 / ISO 8601 time such as 2026-01-31T12:00:00Z\n",
        ),
    ] {
        assert_eq!(
            at(&format!(r#", "phenomenonTime": "{time}""#)),
            expect,
            "{time}"
        );
    }
}

#[test]
fn path_and_body_name_one_datastream() {
    let body = |id: &str| format!(r#"{{"result": 1, {AT}, "Datastream": {{"@iot.id": {id}}}}}"#);
    let row = "heat sensor_id=ns-1 property=air_temperature time=2026-06-01T11:00:00Z value=1\n";
    for topic in [
        "v1.1/Observations",
        "v1.1/Datastreams(1)/Observations",
        "v1.1/Datastreams('1')/Observations",
        "v1.1/Datastreams(%31)/Observations",
    ] {
        assert_eq!(decode(CITY, topic, &body("1")), row, "{topic}");
        assert_eq!(decode(CITY, topic, &body("\"1\"")), row, "{topic}");
    }
    check(
        "v1.1/Datastreams(17)/Observations",
        &body("1"),
        expect![[r#"
            unexpected_shape: the path or topic is of another datastream than the `@iot.id` in the body; let the sender name the same in both, or post to `Observations`
        "#]],
    );
}

#[test]
fn a_misspelled_member_is_not_dropped_silently() {
    // The time may be in it: the observation is not given another one.
    let body = r#"{"result": 72, "phenonmenonTime": "2026-06-01T11:00:00Z"}"#;
    check(
        "v1.1/Datastreams(1)/Observations",
        body,
        expect![[r#"
            unexpected_shape: SensorThings 1.1 does not know the member `phenonmenonTime`, and the observation has no time: it may be a misspelled `phenomenonTime`. Correct the sender, or declare `time = { pointer = "/…", format = "rfc3339" }`
        "#]],
    );
    // Declared, it is known; a replay makes the rows.
    let source = CITY.replace(
        "sentinels",
        "time = { pointer = '/phenonmenonTime', format = 'rfc3339' }\nsentinels",
    );
    expect![[r#"
        heat sensor_id=ns-1 property=air_temperature time=2026-06-01T11:00:00Z value=72
    "#]]
    .assert_eq(&decode(&source, "v1.1/Datastreams(1)/Observations", body));
    expect![[r#"
        missing_field: the observation has no time at `/phenonmenonTime`, where the source declares it
    "#]]
    .assert_eq(&decode(&source, "v1.1/Datastreams(1)/Observations", r#"{"result": 72}"#));
    // With a time that is understood, the row stays and the member is told.
    check(
        "v1.1/Datastreams(1)/Observations",
        &format!(r#"{{"result": 72, {AT}, "battery": 3.1, "x:y": 2}}"#),
        expect![[r#"
            heat sensor_id=ns-1 property=air_temperature time=2026-06-01T11:00:00Z value=72
            unexpected_shape: SensorThings 1.1 does not know the member `battery`; what it says is in the journal only
        "#]],
    );
}

#[test]
fn what_is_no_observation_says_why() {
    for (topic, body, expect) in [
        (
            "v1.1/Observations",
            r#"{"result": 1}"#,
            "missing_field: nothing says which datastream the observation is of: the body has no `Datastream` with an `@iot.id`, and the topic or path no `Datastreams(id)`\n",
        ),
        (
            "Datastreams()/Observations",
            r#"{"result": 1}"#,
            "missing_field: nothing says which datastream the observation is of: the body has no `Datastream` with an `@iot.id`, and the topic or path no `Datastreams(id)`\n",
        ),
        (
            "v1.1/Observations",
            r#"{"result": 1, "Datastream": {"@iot.id": {}}}"#,
            "wrong_type: the `@iot.id` of the datastream is no number and no text\n",
        ),
        (
            "v1.1/Datastreams(77)/Observations",
            r#"{"result": 1}"#,
            "no_mapped_value: no entry of the `map` has the datastream as its `field`; add one to keep its observations\n",
        ),
        (
            "v1.1/Datastreams(1)/Observations",
            r#"{"result": null}"#,
            "no_mapped_value: the observation has no `result`\n",
        ),
        (
            "v1.1/Datastreams(1)/Observations",
            "{}",
            "no_mapped_value: the observation has no `result`\n",
        ),
        (
            "v1.1/Datastreams(1)/Observations",
            r#"{"result": -999}"#,
            "no_mapped_value: the observation has no `result`\n",
        ),
        (
            "v1.1/Datastreams(1)/Observations",
            r#"{"result": true}"#,
            "wrong_type: the value at `1` is not a number\n",
        ),
        (
            "v1.1/Observations",
            r#"{"result": [1, 2], "MultiDatastream": {"@iot.id": 1}}"#,
            "unexpected_shape: an observation of a MultiDatastream has several results; let the sender create one Datastream for each\n",
        ),
        (
            "v1.1/CreateObservations",
            "[]",
            "no_observation: the body is an empty array\n",
        ),
    ] {
        assert_eq!(decode(CITY, topic, body), expect, "{body}");
    }
}

/// Rows and rejects of a data array, the rejects with their item.
fn of_arrays(body: &str) -> String {
    let decoded =
        decoders(CITY).decode_body(&envelope("/v1.1/CreateObservations", body.as_bytes()));
    let mut text = crate::testing::render(&decoded);
    for reject in &decoded.rejects {
        text.push_str(&format!("{:?} ", reject.item));
    }
    text
}

#[test]
fn each_row_of_a_data_array_stands_alone() {
    expect![[r#"
        air sensor_id=ns-3 property=pm10 time=2026-06-01T11:00:00Z value=4
        heat sensor_id=ns-1 property=air_temperature time=2026-06-01T11:00:00Z value=20
        heat sensor_id=ns-1 property=air_temperature time=2026-06-01T11:15:00Z interval_s=60 value=22
        bad_time: the time at `/phenomenonTime`: not an RFC 3339 / ISO 8601 time such as 2026-01-31T12:00:00Z
        unexpected_shape: the row is no list of 3 values, one for each of the `components`
        unexpected_shape: the row is no list of 3 values, one for each of the `components`
        wrong_type: the value at `1` is not a number
        Some(1) Some(2) Some(3) Some(5) "#]]
    .assert_eq(&of_arrays(
        r#"[{"Datastream": {"@iot.id": 1}, "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
             "dataArray@iot.count": 6, "dataArray": [["2026-06-01T11:00:00Z", 20, 1], ["soon", 21, 1],
               ["2026-06-01T11:00:00Z", 20], 5, ["2026-06-01T11:15:00Z/2026-06-01T11:16:00Z", "22", null],
               ["2026-06-01T11:20:00Z", "warm", 1]]},
            {"Datastream": {"@iot.id": "3"}, "components": ["result", "phenomenonTime"],
             "dataArray": [[0.004, "2026-06-01T11:00:00Z"]]}]"#
        ,
    ));
}

#[test]
fn a_data_array_that_cannot_be_read_rejects_each_row() {
    for (body, expect) in [
        (
            r#"[{"components": ["result"], "dataArray": [[1], [2]]}, {"Datastream": {"@iot.id": 1}, "components": ["result"], "dataArray": [[3]]}]"#,
            "heat sensor_id=ns-1 property=air_temperature time=2026-06-01T12:00:00Z value=3\n\
             missing_field: nothing says which datastream the observation is of: the body has no `Datastream` with an `@iot.id`, and the topic or path no `Datastreams(id)`\n\
             missing_field: nothing says which datastream the observation is of: the body has no `Datastream` with an `@iot.id`, and the topic or path no `Datastreams(id)`\n\
             Some(0) Some(1) ",
        ),
        (
            r#"[{"Datastream": {"@iot.id": 1}, "components": ["phenonmenonTime", "result"], "dataArray": [["2026-06-01T11:00:00Z", 1], [2]]}]"#,
            "unexpected_shape: `components` names a member that SensorThings 1.1 does not know; it may be a misspelled one\n\
             unexpected_shape: `components` names a member that SensorThings 1.1 does not know; it may be a misspelled one\n\
             Some(0) Some(1) ",
        ),
        (
            r#"{"Datastream": {"@iot.id": 1}, "components": "result", "dataArray": [[1]]}"#,
            "unexpected_shape: `components` is no list of names\nSome(0) ",
        ),
        (
            r#"{"Datastream": {"@iot.id": 1}, "components": ["result"], "dataArray": 5}"#,
            "unexpected_shape: `dataArray` is no list of rows\nSome(0) ",
        ),
        (
            r#"{"Datastream": {"@iot.id": 1}, "component": ["result"], "dataArray": [[1]]}"#,
            "unexpected_shape: the data array has a member that SensorThings 1.1 does not know; it may be a misspelled one\nSome(0) ",
        ),
    ] {
        assert_eq!(of_arrays(body), expect, "{body}");
    }
}

#[test]
fn a_declared_sensor_id_joins_the_datastreams_of_a_station() {
    let source = CITY.replace(
        "sentinels",
        "sensor_id = { pointer = '/parameters/station' }\nsentinels",
    );
    let body = format!(r#"{{"result": 1, {AT}, "parameters": {{"station": "roof"}}}}"#);
    expect![[r#"
        heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:00:00Z value=1
    "#]]
    .assert_eq(&decode(&source, "Datastreams(1)/Observations", &body));
    let array = r#"[{"Datastream": {"@iot.id": 1}, "components": ["result", "parameters"],
        "dataArray": [[2, {"station": "roof"}], [3, {}]]}]"#;
    expect![[r#"
        heat sensor_id=ns-roof property=air_temperature time=2026-06-01T12:00:00Z value=2
        missing_field: the observation has no sensor id where the source's `sensor_id` says
    "#]]
    .assert_eq(&decode(&source, "", array));
}

#[test]
fn declarations_that_cannot_work_are_refused() {
    let error = try_decoders("format = 'sensorthings'").unwrap_err();
    expect![
        "source `test`: format `sensorthings` needs a `map`: without one no message becomes a row"
    ]
    .assert_eq(&error.to_string());
    let wide = "format = 'sensorthings'\n\
                map = [ { dataset = 'traffic', column = 'segment_id', field = '1' },\n\
                { dataset = 'traffic', column = 'car', field = '2', interval_s = 60 } ]";
    expect!["source `test`: format `sensorthings` sends one value at a time, so it fills long datasets; dataset `traffic` is wide"]
        .assert_eq(&try_decoders(wide).unwrap_err().to_string());
}

#[test]
fn the_quality_of_a_result_may_say_that_it_is_none() {
    let source = format!("valid = {{ pointer = '/resultQuality', is_not = ['BAD'] }}\n{CITY}");
    let observation = |quality: &str| {
        format!(r#"{{"result": 0, {AT}, "Datastream": {{"@iot.id": 1}} {quality}}}"#)
    };
    let body = format!(
        "[{}, {}, {}]",
        observation(r#", "resultQuality": "BAD""#),
        observation(r#", "resultQuality": "GOOD""#),
        observation("")
    );
    let row = "heat sensor_id=ns-1 property=air_temperature time=2026-06-01T11:00:00Z value=0\n";
    assert_eq!(
        decode(&source, "v1.1/Observations", &body),
        format!(
            "{row}{row}not_valid: the message is not `valid` as the source declares it: see `/resultQuality`\n"
        )
    );
}

/// Most rows of a data array take a shorter way than an observation by itself. Both lead to the same rows, in the same
/// order, and to the same rejects.
#[test]
fn a_row_of_a_data_array_is_what_it_would_be_by_itself() {
    let times = [
        "\"2026-06-01T11:00:00Z\"",
        "\"2026-06-01T13:00:00.5+02:00\"",
        "\"2026-06-01T11:00:00Z/2026-06-01T11:15:00Z\"",
        "\"2026-06-01T11:00:00\"",
        "\" 2026-06-01T11:00:00Z\"",
        "\"20260601T110000Z\"",
        "\"1999-06-01T11:00:00Z\"",
        "\"\"",
        "null",
        "7",
    ];
    let results = [
        "21.5", "\"22\"", "-999", "null", "\"\"", "true", "1e3", "{}", "-0.25",
    ];
    // One property; one that is no property; and one of which two properties are made.
    let twice = CITY.replace(
        "map = [",
        "map = [ { dataset = 'heat', property = 'dew_point', field = '3', unit = 'K' },",
    );
    let ended = CITY.replace("format =", "time_is = 'end'\ninterval_s = 900\nformat =");
    for (declaration, datastream) in [
        (CITY, "\"hum-7\""),
        (CITY, "1"),
        (CITY, "8"),
        (&twice, "3"),
        (&ended, "1"),
    ] {
        let pairs: Vec<(&str, &str)> = times
            .iter()
            .flat_map(|time| results.map(|result| (*time, result)))
            .collect();
        let rows: Vec<String> = pairs
            .iter()
            .map(|(time, result)| format!("[{time},{result}]"))
            .collect();
        let array = format!(
            r#"[{{"Datastream": {{"@iot.id": {datastream}}}, "components": ["phenomenonTime", "result"],
                "dataArray": [{}]}}]"#,
            rows.join(",")
        );
        let by_itself: Vec<String> = pairs
            .iter()
            .map(|(time, result)| {
                format!(
                    r#"{{"Datastream": {{"@iot.id": {datastream}}}, "phenomenonTime": {time}, "result": {result}}}"#
                )
            })
            .collect();
        let single = format!("[{}]", by_itself.join(","));
        let expect = decode(declaration, "v1.1/Observations", &single);
        assert!(expect.lines().count() >= pairs.len(), "{expect}");
        assert_eq!(
            decode(declaration, "v1.1/Observations", &array),
            expect,
            "{datastream}"
        );
    }
}

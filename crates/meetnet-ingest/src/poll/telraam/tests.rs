use super::*;
use crate::poll::options::Api;

fn options(segments: &[i64], advanced: bool) -> PollOptions {
    let telraam = TelraamOptions {
        segments: segments.to_vec(),
        advanced,
    };
    PollOptions::new(Api::Telraam(telraam), "https://telraam-api.net").unwrap()
}

fn asked(advanced: bool) -> (String, serde_json::Value) {
    let options = options(&[9_000_001_463], advanced);
    let target = options.api.targets(&options).remove(0);
    let window = Window {
        from: 1_795_824_000 * SECOND_US,
        to: (1_795_824_000 + 7_200) * SECOND_US,
    };
    let request = options.api.request(&options, &target, Some(window));
    let body = serde_json::from_str(&request.json.unwrap()).unwrap();
    (request.url.to_string(), body)
}

#[test]
fn a_window_is_asked_for_as_the_api_wants_it() {
    let (url, body) = asked(false);
    assert_eq!(url, "https://telraam-api.net/v1/reports/traffic");
    assert_eq!(
        body,
        serde_json::json!({
            "level": "segments",
            "format": "per-hour",
            "id": "9000001463",
            "time_start": "2026-11-28 00:00:00Z",
            "time_end": "2026-11-28 02:00:00Z",
        })
    );
    let (url, body) = asked(true);
    assert_eq!(url, "https://telraam-api.net/advanced/reports/traffic");
    assert_eq!(body["format"], "per-quarter");
    let columns = body["columns"].as_str().unwrap();
    assert!(!columns.contains(' '), "{columns}");
}

#[test]
fn the_advanced_columns_are_those_of_traffic_and_the_keys() {
    let schemas = meetnet_model::schemas::builtin().into_declarations([]);
    let traffic = &schemas.datasets[&"traffic".into()];
    let asked: Vec<&str> = ADVANCED_COLUMNS.split(',').collect();
    for column in &traffic.columns {
        let name = column.name.as_str();
        let field = match name {
            "speed_hist" => "car_speed_hist_0to70plus",
            "speed_hist_fine" => "car_speed_hist_0to120plus",
            "time" => "date",
            "interval_s" => "interval",
            name => name,
        };
        // Columns that every dataset has are filled by nobody's API.
        let is_common = [
            "received_at",
            "recorded_at",
            "superseded_at",
            "revision",
            "source",
        ]
        .contains(&name)
            || ["licence", "quality", "quality_tests"].contains(&name);
        assert!(
            is_common || asked.contains(&field),
            "{field} is not asked for"
        );
    }
}

#[test]
fn windows_are_at_most_three_months() {
    for (advanced, align, days) in [(false, 3_600, 90), (true, 900, 20)] {
        let options = options(&[1, 2], advanced);
        let targets = options.api.targets(&options);
        assert_eq!(targets.len(), 2);
        let rule = targets[0].windows.unwrap();
        assert_eq!(rule.align, align * SECOND_US);
        assert_eq!(rule.chunk_max, days * DAY_US);
        assert_eq!(rule.reask, 3 * DAY_US);
    }
}

#[test]
fn wrong_segments_are_told() {
    let fault = |segments: &[i64]| options(segments, false).check().unwrap_err().to_string();
    assert_eq!(
        fault(&[]),
        "there is nothing to poll; name the road segments: segments = [9000001463]"
    );
    assert_eq!(
        fault(&[1, -1]),
        "-1 is no number of a road segment; take it from its page"
    );
    assert_eq!(
        fault(&[1, 2, 1]),
        "the segment 1 is named twice; remove one"
    );
    assert_eq!(options(&[1, 2], false).check(), Ok(()));
}

/// Shows what an answer means.
fn verdict(status: u16, body: &str) -> String {
    let answer = Answer {
        status,
        body: body.as_bytes().to_vec(),
        ..Answer::default()
    };
    match read(&answer) {
        Verdict::Take { items } => format!("take {items}"),
        Verdict::Unchanged => "unchanged".to_owned(),
        Verdict::Follow(url) => format!("follow {url}"),
        Verdict::Split => "split".to_owned(),
        Verdict::Failed(failure) => format!("{:?}: {}", failure.kind, failure.message),
    }
}

#[test]
fn what_answers_mean() {
    for (status, body, expect) in [
        (
            200,
            r#"{"status_code":200,"message":"ok","report":[{"car":1},{"car":2}]}"#,
            "take 2",
        ),
        (200, r#"{"report":[]}"#, "take 0"),
        (200, " [{\"car\": 1}]", "take 1"),
        (
            201,
            r#"{"status_code":201,"message":"elsewhere","download_url":"https:\/\/s3.example\/a?b=c"}"#,
            "follow https://s3.example/a?b=c",
        ),
        (
            200,
            r#"{"status_code":201,"message":"elsewhere","download_url":"https://s3.example/a"}"#,
            "follow https://s3.example/a",
        ),
        (413, r#"{"message":"Request Too Long"}"#, "split"),
        (
            403,
            r#"{"message":"Forbidden"}"#,
            "Denied: access is forbidden: 403 (Forbidden); check the api_key and its rights",
        ),
        (
            403,
            r#"{"status_code":403,"message":"User has no access rights to the requested instance/segment."}"#,
            "Refused: access is forbidden: 403 (User has no access rights to the requested instance/segment.); \
             check the api_key and its rights",
        ),
        (
            401,
            r#"{"status_code":401,"message":"User has no access to the Advanced API."}"#,
            "Denied: the credentials are not accepted: 401 (User has no access to the Advanced API.); check the api_key",
        ),
        (
            200,
            r#"{"status_code":401,"message":"no"}"#,
            "Denied: the credentials are not accepted: 401 (no); check the api_key",
        ),
        (
            429,
            r#"{"message":"Too Many Requests"}"#,
            "Busy: too many requests: 429 (Too Many Requests); waits, and if this stays, raise request_pause or interval",
        ),
        (
            429,
            r#"{"message":"Limit Exceeded"}"#,
            "Busy: too many requests: 429 (Limit Exceeded); waits, and if this stays, raise request_pause or interval",
        ),
        (
            400,
            r#"{"message":"bad"}"#,
            "Refused: the request is refused: 400 (bad)",
        ),
        (404, "<html>", "Refused: the request is refused: 404"),
        (
            500,
            r#"{"message":"Internal server error"}"#,
            "Fault: the API failed: 500 (Internal server error)",
        ),
        (502, "", "Fault: the API failed: 502"),
        (503, "", "Busy: the API is not available: 503"),
        (
            302,
            "",
            "Fault: answered with 302, a redirect, which is not followed; correct the url",
        ),
        (
            200,
            r#"{"report":[{"car":1},"#,
            "Fault: the answer is broken: no Telraam report (EOF while parsing a value at line 1 column 21); asked again later",
        ),
        (
            200,
            "[1, 2",
            "Fault: the answer is broken: no list of rows (EOF while parsing a list at line 1 column 5); asked again later",
        ),
        (
            200,
            "",
            "Fault: the answer is broken: no Telraam report (EOF while parsing a value at line 1 column 0); asked again later",
        ),
        (
            200,
            r#"{"message":"busy"}"#,
            "Fault: the answer has no `report`; it says \"busy\"; asked again later",
        ),
    ] {
        assert_eq!(verdict(status, body), expect, "{status} {body}");
    }
}

//! Polled sources: the examples of their pages, what a source that says little has, and what is said of wrong ones.

use std::time::Duration;

use meetnet_ingest::poll::{Api, PollOptions};
use meetnet_model::source::{SourceKind, WireFormat};

use super::{environment, parse, right};
use crate::config::Transport;

/// Returns the `toml` blocks of a page of `docs/sources`.
fn page(name: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/sources")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let blocks = text.split("```toml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("\n```").next().unwrap_or(rest).to_owned());
    blocks.collect()
}

fn polled(text: &str) -> (WireFormat, PollOptions) {
    let config = right(text, &[]);
    let source = &config.sources[0];
    assert_eq!(source.declaration.kind, SourceKind::Poll);
    let Transport::Poll(poll) = &source.transport else {
        panic!("not polled: {text}")
    };
    (source.declaration.format, poll.options.clone())
}

#[test]
fn the_pages_have_examples_that_load() {
    for name in [
        "telraam.md",
        "sensor-community.md",
        "ircel.md",
        "opensensemap.md",
    ] {
        let examples = page(name);
        // Pages of what can be pushed, too, have other examples beside.
        let polled_ones = examples
            .iter()
            .filter(|text| !text.contains("kind = \"http\""));
        let checked = polled_ones.inspect(|text| drop(polled(text))).count();
        assert!(checked > 0, "{name}");
    }
}

/// What it takes at least.
const TELRAAM: &str = r#"
[[source]]
id = "telraam"
kind = "telraam"
api_key = { env = "TELRAAM_API_KEY" }
segments = [9000001463, 9000002453]
licence = "CC-BY-NC-4.0"
"#;

#[test]
fn a_short_declaration_keeps_to_what_the_api_is_used_to() {
    let (format, options) = polled(TELRAAM);
    assert_eq!(format, WireFormat::Telraam);
    assert_eq!(options.url.as_str(), "https://telraam-api.net/");
    assert_eq!(options.interval, Duration::from_secs(3_600));
    assert_eq!(options.reask, Duration::from_secs(3 * 86_400));
    assert_eq!(options.limits.pause, Duration::from_secs(1));
    assert_eq!(options.limits.requests_per_day_max, Some(1_000));
    let Api::Telraam(telraam) = &options.api else {
        panic!("{:?}", options.api)
    };
    assert_eq!(telraam.segments, [9_000_001_463, 9_000_002_453]);
    assert!(!telraam.advanced && telraam.geometry);
    let config = right(TELRAAM, &[]);
    let secrets = config
        .secrets(&environment(&[("TELRAAM_API_KEY", "k")]))
        .unwrap();
    let id = &config.sources[0].declaration.id;
    assert_eq!(secrets.credential(id).as_deref(), Some("k"));
    assert!(config.secrets(&environment(&[])).is_err());
}

#[test]
fn the_past_of_an_api_is_not_too_old_unless_it_is_declared_so() {
    let back_days = |more: &str| {
        let config = right(&format!("{TELRAAM}{more}"), &[]);
        config.sources[0].declaration.time_window.back_us / 86_400_000_000
    };
    // A backfill asks for all years that an API has.
    assert_eq!(back_days(""), 36_600);
    assert_eq!(back_days("time_window = { back = \"30d\" }\n"), 30);
}

#[test]
fn what_is_older_than_2015_is_believed_where_it_is_asked_for() {
    let since = |more: &str| {
        let config = right(&format!("{TELRAAM}{more}"), &[]);
        config.sources[0].declaration.time_window.since_us
    };
    let year_2015 = 1_420_070_400_000_000;
    assert_eq!(since(""), year_2015);
    assert_eq!(since("since = \"2020-01-01\"\n"), year_2015);
    let march_1998 = 888_710_400_000_000;
    assert_eq!(since("since = \"1998-03-01\"\n"), march_1998);
    // As of a backfill, or of files.
    assert_eq!(
        since("time_window = { since = \"1998-03-01\" }\n"),
        march_1998
    );
}

#[test]
fn every_key_is_read() {
    let text = format!(
        "{TELRAAM}url = \"http://proxy.lan/telraam/\"\nadvanced = true\ninterval = \"15m\"\nreask = \"1d\"\n\
         since = \"2026-01-31\"\nrequest_pause = \"2s\"\nrequests_per_day_max = 50\nrequest_time_max = \"20s\"\n\
         answer_bytes_max = \"1MiB\"\ncontact = \"data@leuven.example\"\n"
    );
    let (_, options) = polled(&text);
    assert_eq!(options.url.as_str(), "http://proxy.lan/telraam/");
    assert_eq!(options.interval, Duration::from_secs(900));
    assert_eq!(options.reask, Duration::from_secs(86_400));
    assert_eq!(options.since, Some(1_769_817_600_000_000));
    assert_eq!(options.limits.pause, Duration::from_secs(2));
    assert_eq!(options.limits.requests_per_day_max, Some(50));
    assert_eq!(options.request_time_max, Duration::from_secs(20));
    assert_eq!(options.body_bytes_max, 1 << 20);
    assert_eq!(options.contact.as_deref(), Some("data@leuven.example"));
}

/// Checks what is said of the source with one line changed; its first line is line 2.
fn check(from: &str, to: &str, expect: &str) {
    assert!(TELRAAM.contains(from), "{from}");
    let text = TELRAAM.replacen(from, to, 1);
    let problems = parse(&text, &[]).map(|_| ()).unwrap_err().problems;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [expect.to_owned()], "in\n{text}");
}

#[test]
fn wrong_declarations_are_told_where_they_stand() {
    check(
        "api_key = { env = \"TELRAAM_API_KEY\" }\n",
        "",
        "city/meetnet.toml:2: the key `api_key` is missing; add api_key = { env = \"TELRAAM_API_KEY\" }",
    );
    check(
        "segments = [9000001463, 9000002453]\n",
        "",
        "city/meetnet.toml:2: there is nothing to poll; name the road segments: segments = [9000001463]",
    );
    check(
        "[9000001463, 9000002453]",
        "[7, 7]",
        "city/meetnet.toml:6: the segment 7 is named twice; remove one",
    );
    check(
        "licence",
        "interval = \"1s\"\nlicence",
        "city/meetnet.toml:7: an interval below 10 s is no polling; write \"1m\" or more",
    );
    check(
        "licence",
        "since = \"last year\"\nlicence",
        "city/meetnet.toml:7: write a day (\"2026-01-31\") or a time with its offset",
    );
    check(
        "licence",
        "url = \"https://key@telraam-api.net\"\nlicence",
        "city/meetnet.toml:7: the url is https://HOST or https://HOST/PATH, without user, query or fragment",
    );
    check(
        "licence",
        "url = \"telraam-api.net\"\nlicence",
        "city/meetnet.toml:7: `telraam-api.net` is no address of an API; write https://HOST",
    );
    check(
        "licence",
        "topics = [\"a\"]\nlicence",
        "city/meetnet.toml:7: `topics` has no meaning for kind = \"telraam\"; remove it",
    );
    check(
        "{ env = \"TELRAAM_API_KEY\" }",
        "\"abc\"",
        "city/meetnet.toml:5: a secret must not stand in the configuration; write { env = \"NAME\" } or { file = \"path\" }",
    );
}

/// Checks what is said of a source that is polled without a key; its first line is line 1.
fn check_source(kind: &str, lines: &str, expect: &str) {
    let text = format!(
        "[[source]]\nid = \"s\"\nkind = \"{kind}\"\nlicence = \"CC0-1.0\"\ncontact = \"a@b.example\"\n{lines}\n"
    );
    let problems = match parse(&text, &[]) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    };
    let expect: Vec<String> = expect.lines().map(str::to_owned).collect();
    assert_eq!(problems, expect, "in\n{text}");
}

#[test]
fn what_is_polled_of_an_api_is_checked() {
    check_source("sensor-community", "area = [50.88, 4.7, 5.0]", "");
    check_source(
        "sensor-community",
        "country = \"BE\"\nbox = [50.8, 4.6, 50.9, 4.8]",
        "city/meetnet.toml:1: area, box and country exclude each other; keep one",
    );
    check_source(
        "sensor-community",
        "country = \"BE\"\nseries = []",
        "city/meetnet.toml:7: `series` has no meaning for kind = \"sensor-community\"; remove it",
    );
    check_source(
        "ircel",
        "series = [{ id = \"10744\", property = \"pm2_5\", unit = \"ug/m3\" }]",
        "",
    );
    check_source(
        "ircel",
        "series = [{ id = \"10744\", property = \"pm25\" }]",
        "city/meetnet.toml:6: there is no property `pm25`; did you mean `pm2_5`?",
    );
    check_source(
        "ircel",
        "layers = [{ id = \"no2_hmean_station\", property = \"no2\", unit = \"Cel\" }]",
        "city/meetnet.toml:6: `Cel` cannot become `ug/m3`: they measure different things",
    );
    check_source(
        "opensensemap",
        "series = [{ id = \"539c00c2a83415541578eaf5/539c00c2a83415541578eaf6\", property = \"pm10\" }]",
        "",
    );
    check_source(
        "opensensemap",
        "series = [{ id = \"539c00c2a83415541578eaf5\", property = \"pm10\" }]",
        "city/meetnet.toml:6: `539c00c2a83415541578eaf5` is no sensor of a box; write BOX/SENSOR, each of 24 hexadecimal digits",
    );
}

#[test]
fn rows_of_a_box_carry_the_number_of_the_sensor() {
    let text = "[[source]]\nid = \"s\"\nkind = \"opensensemap\"\nlicence = \"PDDL-1.0\"\n\
                series = [{ id = \"539c00c2a83415541578eaf5/539c00c2a83415541578eaf6\", property = \"pm10\" }]\n";
    let (format, options) = polled(text);
    assert_eq!(format, WireFormat::Opensensemap);
    let Api::OpenSenseMap(series) = &options.api else {
        panic!("{:?}", options.api)
    };
    assert_eq!(series[0].sensor, "539c00c2a83415541578eaf6");
}

//! What says whether a value is a reading: a flag beside it, a number beside it, its own range.

use expect_test::expect;

use super::check_source;
use crate::testing::{decode, try_decoders};

fn heat(declared: &str, valid: &str) -> String {
    format!(
        "format = 'json'\nsensor_id = 's'\n{declared}
         map = [ {{ dataset = 'heat', property = 'air_temperature', field = 't' {valid} }},
                 {{ dataset = 'heat', property = 'relative_humidity', field = 'h' }} ]"
    )
}

/// Returns the values of a body, then the reasons of its rejects.
fn outcome(source: &str, body: &str) -> String {
    let decoded = decode(source, "", body);
    let word = |line: &str| match line.split_once(": ") {
        Some((reason, _)) => reason.to_owned(),
        None => line.rsplit('=').next().unwrap_or_default().to_owned(),
    };
    decoded.lines().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_flag_says_whether_a_value_is_a_reading() {
    let check = |valid: &str, flag: &str, expect: &str| {
        let source = heat("", &format!(", valid = {{ field = 'ok' {valid} }}"));
        // Zero is what such devices send where they have nothing.
        let body = format!(r#"{{"t": 0.0, "h": 40 {flag}}}"#);
        assert_eq!(outcome(&source, &body), expect, "{valid} {flag}");
    };
    let (kept, gone) = ("0 40", "40 not_valid");
    // What stands for true, however it is written.
    for flag in ["true", "1", "\"1\"", "\"true\""] {
        check("", &format!(", \"ok\": {flag}"), kept);
    }
    for flag in ["false", "0", "2", "null", "\"yes\"", "[1]"] {
        check("", &format!(", \"ok\": {flag}"), gone);
    }
    check("", "", gone);
    let named = ", is = ['valid', 3]";
    for (flag, expect) in [
        ("\"valid\"", kept),
        ("3", kept),
        ("\"3.0\"", kept),
        ("\"Valid\"", gone),
        ("true", gone),
    ] {
        check(named, &format!(", \"ok\": {flag}"), expect);
    }
    // What is refused is refused, and what says nothing is not.
    let refused = ", is_not = ['error', 9]";
    check(refused, ", \"ok\": \"error\"", gone);
    check(refused, ", \"ok\": 9", gone);
    check(refused, ", \"ok\": \"fine\"", kept);
    check(refused, "", kept);
    // A number beside the value: a lost fix, a battery at its end, an average of too few.
    for (ok, expect) in [("3", kept), ("2.9", gone), ("10", kept), ("10.1", gone)] {
        check(", min = 3, max = 10", &format!(", \"ok\": {ok}"), expect);
    }
    check(", min = 3", "", gone);
}

#[test]
fn a_message_is_one_reject_where_its_flag_says_so() {
    let source = heat(
        "valid = { pointer = '/status/code', is_not = [7], max = 100 }",
        "",
    );
    check_source(
        &source,
        "",
        r#"[{"status": {"code": 7}, "t": 0, "h": 0}, {"status": {"code": 0}, "t": -0.5, "h": 40}, {"t": 1},
            {"status": {"code": 101}}]"#,
        expect![[r#"
            heat sensor_id=ns-s property=air_temperature time=2026-06-01T12:00:00Z value=-0.5
            heat sensor_id=ns-s property=relative_humidity time=2026-06-01T12:00:00Z value=40
            not_valid: the message is not `valid` as the source declares it: see `/status/code`
            not_valid: the message is not `valid` as the source declares it: see `/status/code`
            not_valid: the message is not `valid` as the source declares it: see `/status/code`
        "#]],
    );
}

#[test]
fn numbers_with_a_decimal_comma_are_compared_as_numbers() {
    let check = |valid: &str, members: &str, expect: &str| {
        let source = heat("decimal_comma = true", &format!(", valid = {{ {valid} }}"));
        let body = format!(r#"{{{members}, "h": 40}}"#);
        assert_eq!(outcome(&source, &body), expect, "{valid} {members}");
    };
    for (sent, expect) in [
        ("\"21,5\"", "21.5 40"),
        ("\"-0,5\"", "-0.5 40"),
        ("\"60,5\"", "40 not_valid"),
        ("21.5", "21.5 40"),
        // What nobody can read is refused for that.
        ("\"1.013\"", "40 wrong_type"),
    ] {
        check("min = -40, max = 60", &format!("\"t\": {sent}"), expect);
    }
    for (flow, expect) in [("\"0,95\"", "0 40"), ("\"0,8\"", "40 not_valid")] {
        let members = format!("\"t\": 0, \"flow\": {flow}");
        check("field = 'flow', min = 0.9", &members, expect);
        check("field = 'flow', is_not = [0.8]", &members, expect);
    }
}

#[test]
fn numbers_with_their_unit_behind_them_are_compared_as_numbers() {
    let source = heat("unit_in_value = true", ", valid = { min = -40, max = 60 }");
    for (sent, expect) in [
        ("21.5 °C", "21.5 40"),
        ("61 °C", "40 not_valid"),
        ("21.5", "21.5 40"),
        // What nobody can read is refused for that.
        ("21.5 V", "40 wrong_type"),
        ("21,5 °C", "40 wrong_type"),
    ] {
        let body = format!(r#"{{"t": "{sent}", "h": 40}}"#);
        assert_eq!(outcome(&source, &body), expect, "{sent}");
    }
    let source = heat(
        "unit_in_value = true",
        ", valid = { field = 'flow', min = 0.9 }",
    );
    for (flow, expect) in [
        ("0.95 l/s", "0 40"),
        ("0.8 l/s", "40 not_valid"),
        ("1 fault", "40 not_valid"),
    ] {
        let body = format!(r#"{{"t": 0, "h": 40, "flow": "{flow}"}}"#);
        assert_eq!(outcome(&source, &body), expect, "{flow}");
    }
}

#[test]
fn the_own_range_of_a_value_is_in_the_unit_as_sent() {
    let source = heat(
        "sentinels = [-999]",
        ", scale = 0.1, unit = '[degF]', valid = { min = -400, max = 2120 }",
    );
    for (sent, expect) in [
        ("2120", "100 40"),
        ("2121", "40 not_valid"),
        ("-400", "-40 40"),
        // Missing is missing, and something else is something else.
        ("-999", "40"),
        ("null", "40"),
        ("\"cold\"", "40 wrong_type"),
    ] {
        let body = format!(r#"{{"t": {sent}, "h": 40}}"#);
        assert_eq!(outcome(&source, &body), expect, "{sent}");
    }
    check_source(
        &source,
        "",
        r#"{"t": 9999}"#,
        expect![[r#"
            not_valid: the value at `t` is not `valid` as the source declares it
        "#]],
    );
}

#[test]
fn another_entry_stands_in_for_a_value_that_is_no_reading() {
    let source = "
        format = 'json'
        sensor_id = 's'
        map = [
          { dataset = 'heat', property = 'air_temperature', field = 'a', valid = { field = 'a_ok' } },
          { dataset = 'heat', property = 'air_temperature', field = 'b', valid = { field = 'b_ok' } },
        ]";
    let check = |body: &str, expect: &str| assert_eq!(outcome(source, body), expect, "{body}");
    check(r#"{"a": 1, "a_ok": 1, "b": 2, "b_ok": 1}"#, "1");
    check(r#"{"a": 1, "a_ok": 0, "b": 2, "b_ok": 1}"#, "2 not_valid");
    check(
        r#"{"a": 1, "a_ok": 0, "b": 2, "b_ok": 0}"#,
        "not_valid not_valid",
    );
}

#[test]
fn a_wide_row_goes_on_without_a_value_that_is_no_reading() {
    let source = "
        format = 'json'
        constants = { interval_s = 900 }
        map = [
          { dataset = 'traffic', column = 'segment_id', field = 's', valid = { min = 1 } },
          { dataset = 'traffic', column = 'bike', field = 'bike' },
          { dataset = 'traffic', column = 'v85', field = 'v85', sentinels = [-1], valid = { field = 'cars', min = 10 } },
        ]";
    check_source(
        source,
        "",
        r#"[{"s": 1, "bike": 3, "v85": 48.5, "cars": 12},
            {"s": 2, "bike": 3, "v85": 90, "cars": 1},
            {"s": 3, "bike": 3, "v85": -1, "cars": 0},
            {"s": -1, "bike": 3}]"#,
        expect![[r#"
            traffic segment_id=1 interval_s=900 time=2026-06-01T12:00:00Z bike=3 v85=48.5
            traffic segment_id=2 interval_s=900 time=2026-06-01T12:00:00Z bike=3
            traffic segment_id=3 interval_s=900 time=2026-06-01T12:00:00Z bike=3
            not_valid: the value at `v85` is not `valid` as the source declares it: see `cars`
            not_valid: the value at `s` is not `valid` as the source declares it
        "#]],
    );
}

#[test]
fn each_element_of_an_array_has_its_own_flag() {
    check_source(
        "format = 'json'
         sensor_id = { pointer = '/r/*/id' }
         valid = { pointer = '/r/*/q', is = ['A', 'B'] }
         map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/r/*/t' } ]",
        "",
        r#"{"r": [{"id": "a", "t": 1, "q": "A"}, {"id": "b", "t": 0, "q": "X"}, {"id": "c", "t": 2, "q": "B"}]}"#,
        expect![[r#"
            heat sensor_id=ns-a property=air_temperature time=2026-06-01T12:00:00Z value=1
            heat sensor_id=ns-c property=air_temperature time=2026-06-01T12:00:00Z value=2
            not_valid: the message is not `valid` as the source declares it: see `/r/*/q`
        "#]],
    );
}

#[test]
fn what_says_nothing_is_no_declaration() {
    let check = |source: String, expect: &str| {
        let error = try_decoders(&source).unwrap_err().to_string();
        assert_eq!(error.replace("source `test`", "s"), expect);
    };
    let entry = |valid: &str| heat("", &format!(", valid = {{ {valid} }}"));
    check(
        heat("valid = { is = [1] }", ""),
        "s: `valid` of a source says where it looks; add `pointer` or `field`, or write it in an entry of the map",
    );
    check(
        entry(""),
        "s, map entry 1: `valid` without a place asks something of the value itself; add `is`, `is_not`, `min` or `max`",
    );
    check(
        entry("min = 3, max = 2"),
        "s, map entry 1: `valid`: `min` and `max` are numbers, and `min` is not above `max`",
    );
    check(
        entry("min = nan"),
        "s, map entry 1: `valid`: `min` and `max` are numbers, and `min` is not above `max`",
    );
    check(
        entry("field = 'a', pointer = '/b'"),
        "s, map entry 1: name one place: `pointer` (a JSON Pointer) or `field` (a name)",
    );
    check(
        "format = 'telraam'\nvalid = { field = 'ok' }".to_owned(),
        "s: format `telraam` has a fixed mapping; remove `valid`",
    );
    check(
        "format = 'senml'
         map = [ { dataset = 'heat', property = 'air_temperature', field = 't', valid = { field = 'ok' } } ]"
            .to_owned(),
        "s: format `senml` sends each value by itself, so nothing stands beside it; leave `pointer` and `field` out of \
         `valid`, and write it in an entry of the map",
    );
}

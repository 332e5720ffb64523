use std::borrow::Cow;

use super::without_members;

fn check(body: &str, expect: Option<&str>) {
    let scrubbed = without_members(body.as_bytes(), &["mac", "user_id"]).unwrap();
    match expect {
        None => assert!(matches!(scrubbed, Cow::Borrowed(same) if same == body.as_bytes())),
        Some(expect) => assert_eq!(std::str::from_utf8(&scrubbed).unwrap(), expect),
    }
}

#[test]
fn personal_members_go_and_the_rest_stays() {
    check(r#"{"report": [{"car": 1.50}]}"#, None);
    // A value is no name, and a name within a name is another name.
    check(r#"{"kind": "mac", "machine": 1}"#, None);
    check(r#"{"note": "a \"mac\" address"}"#, None);
    check(
        r#"{"cameras":[{"instance_id":1,"mac":123456789012,"user_id":7},{"mac":{"a":[1]},"segment_id":2}]}"#,
        Some(r#"{"cameras":[{"instance_id":1},{"segment_id":2}]}"#),
    );
    check(
        r#"{"p":{"instance_ids":{"14298":{"mac":1,"status":"active"}}}}"#,
        Some(r#"{"p":{"instance_ids":{"14298":{"status":"active"}}}}"#),
    );
    // JSON allows any character of a name to be escaped.
    check(r#"{"\u006dac":1,"car":2}"#, Some(r#"{"car":2}"#));
}

#[test]
fn a_broken_body_with_personal_data_is_not_kept() {
    for body in [r#"{"mac": 12345"#, r#"[{"user_id": 1}, {"#] {
        assert!(
            without_members(body.as_bytes(), &["mac", "user_id"]).is_err(),
            "{body}"
        );
    }
}

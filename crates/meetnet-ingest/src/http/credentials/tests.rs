use axum::http::{HeaderMap, HeaderValue, header};

use super::{Fields, TOKEN, decode, equal, from_headers};

#[test]
fn tokens_in_headers() {
    let check = |value: &str, expect: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        assert_eq!(from_headers(&headers).as_deref(), expect, "{value}");
    };
    check("Bearer abc", Some("abc"));
    check("bearer  abc ", Some("abc"));
    check("Basic c2Vuc29yOmFiYw==", Some("abc"));
    check("Basic c2Vuc29y", None);
    check("Basic ???", None);
    check("Token abc", Some("abc"));
    check("Digest abc", None);
    check("Bearer", None);
    assert_eq!(from_headers(&HeaderMap::new()), None);
}

#[test]
fn token_fields_are_taken_out() {
    let check = |encoded: &str, token: Option<&str>, rest: &str| {
        let fields = Fields::split(encoded, &[TOKEN]);
        assert_eq!(
            (fields.secret(TOKEN), fields.rest.as_str()),
            (token, rest),
            "{encoded}"
        );
    };
    check("", None, "");
    check("a=1&b=2", None, "a=1&b=2");
    check("a=1&token=x%2By&b=2", Some("x+y"), "a=1&b=2");
    check("%74oken=x", Some("x"), "");
    check(" token=x", Some("x"), "");
    check("TOKEN=x&token", Some(""), "");
    check("a=token", None, "a=token");
}

#[test]
fn fields_that_are_no_secrets_stay_and_can_be_read() {
    let fields = Fields::split("ID=a%2Db&PASSWORD=x&tempf=1&id=c", &["password"]);
    assert_eq!(fields.rest, "ID=a%2Db&tempf=1&id=c");
    assert_eq!(fields.field("ID").as_deref(), Some("c"));
    assert_eq!(fields.first_field("id").as_deref(), Some("a-b"));
    assert_eq!(fields.field("tempf").as_deref(), Some("1"));
    assert_eq!(fields.field("password"), None);
    assert_eq!(fields.secret("password"), Some("x"));
    assert_eq!(fields.secret("passkey"), None);
    let fields = Fields::split("id=&ID=+&tempf=1&id=c", &[]);
    assert_eq!(fields.first_field("id").as_deref(), Some(" "));
    let fields = Fields::split("id=&ID= &tempf=1&id=c", &[]);
    assert_eq!(fields.first_field("id").as_deref(), Some("c"));
}

#[test]
fn decoding_survives_any_text() {
    for (encoded, expect) in [
        ("%", "%"),
        ("%4", "%4"),
        ("%zz", "%zz"),
        ("a+b", "a b"),
        ("%c3%a9", "é"),
        ("%+1", "% 1"),
    ] {
        assert_eq!(decode(encoded), expect);
    }
}

#[test]
fn comparison() {
    assert!(equal("abc", "abc"));
    assert!(!equal("abc", "abd") && !equal("", "abc") && !equal("abcd", "abc"));
}

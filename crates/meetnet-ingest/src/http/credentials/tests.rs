use axum::http::{HeaderMap, HeaderValue, header};

use super::{decode, equal, from_headers, split_fields};

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
    check("Token abc", None);
    check("Bearer", None);
    assert_eq!(from_headers(&HeaderMap::new()), None);
}

#[test]
fn token_fields_are_taken_out() {
    let check = |encoded: &str, token: Option<&str>, rest: &str| {
        assert_eq!(
            split_fields(encoded),
            (token.map(str::to_owned), rest.to_owned()),
            "{encoded}"
        );
    };
    check("", None, "");
    check("a=1&b=2", None, "a=1&b=2");
    check("a=1&token=x%2By&b=2", Some("x+y"), "a=1&b=2");
    check("%74oken=x", Some("x"), "");
    check("TOKEN=x&token", Some(""), "");
    check("a=token", None, "a=token");
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

use axum::body::Body;
use axum::http::HeaderValue;

use super::*;
use crate::fixture;

const TAG: &str = "\"5f70bf18\"";

fn lines(name: &'static str, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header");
        headers.append(name, value);
    }
    headers
}

#[test]
fn a_client_knows_what_any_line_of_its_header_names() {
    let cases: &[(&[&str], bool)] = &[
        (&[], false),
        (&[TAG], true),
        (&["W/\"5f70bf18\""], true),
        (&["*"], true),
        (&["\"other\", \"5f70bf18\" "], true),
        (&["\"other\"", TAG], true),
        (&["\"other\"", "\"another\""], false),
        // An asterisk within a tag, and a tag without its quotes.
        (&["\"a,*,b\""], false),
        (&["5f70bf18"], false),
        (&["\"clé\", \"5f70bf18\""], true),
    ];
    for (values, expected) in cases {
        let headers = lines("if-none-match", values);
        assert_eq!(knows(&headers, TAG), *expected, "{values:?}");
    }
}

#[test]
fn a_client_wants_what_any_line_of_its_header_names() {
    let cases: &[(&[&str], bool)] = &[
        (&[], true),
        (&[TAG], true),
        (&["*"], true),
        (&["\"other\"", TAG], true),
        (&["\"other\""], false),
        (&["W/\"5f70bf18\""], false),
        (&["\"a,*,b\""], false),
        (&["\"clé\""], false),
    ];
    for (values, expected) in cases {
        let headers = lines("if-match", values);
        assert_eq!(wants(&headers, TAG), *expected, "{values:?}");
    }
}

#[test]
fn a_range_is_of_nothing_but_the_content_that_is_named() {
    let cases: &[(&[&str], bool)] = &[
        (&[], true),
        (&[TAG], true),
        (&[" \"5f70bf18\" "], true),
        (&["\"other\""], false),
        (&["W/\"5f70bf18\""], false),
        (&["Mon, 30 Nov 2026 09:00:00 GMT"], false),
        (&["\"clé\""], false),
        (&[TAG, "\"other\""], false),
    ];
    for (values, expected) in cases {
        let headers = lines("if-range", values);
        assert_eq!(continues(&headers, TAG), *expected, "{values:?}");
    }
}

/// A cache would take the length that an answer to a HEAD states for that of what it keeps (RFC 9111, section 4.3.5).
#[tokio::test]
async fn what_a_client_has_is_not_said_to_be_empty() {
    for path in [
        "/api/v1/sql?q=SELECT+property,+value+FROM+heat+ORDER+BY+property",
        "/api/v1/dcat.jsonld",
    ] {
        let known = fixture::get(fixture::router(), path).await;
        let tag = known.header("etag").to_owned();
        assert!(!tag.is_empty(), "{path}");
        for method in ["GET", "HEAD"] {
            let headers = [("if-none-match", tag.as_str())];
            let request = fixture::request(method, path, &headers, Body::empty());
            let answer = fixture::send(fixture::router(), request).await;
            assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{method} {path}");
            assert_eq!(answer.header("content-length"), "", "{method} {path}");
            assert_eq!(answer.body, "", "{method} {path}");
        }
    }
}

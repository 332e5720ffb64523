use std::net::IpAddr;
use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use meetnet_query::{ApiKey, ApiKeys, KeyDigest, KeyLimits};

use super::{AddressRange, ClientSettings, NoRange};
use crate::fixture;
use crate::router::public_router;
use crate::state::PublishSettings;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn ranges_hold_what_begins_alike() {
    for (range, address, is_in) in [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fe80::1", false),
        ("::/0", "2001:db8::1", true),
    ] {
        let parsed: AddressRange = range.parse().expect(range);
        assert_eq!(parsed.contains(ip(address)), is_in, "{range} {address}");
    }
    for text in [
        "",
        "10.0.0.0/33",
        "10.0.0/8",
        "::1/129",
        "localhost",
        "10.0.0.0/-1",
    ] {
        assert_eq!(text.parse::<AddressRange>(), Err(NoRange), "{text}");
    }
}

#[test]
fn only_a_trusted_proxy_says_whose_request_it_is() {
    let settings = ClientSettings {
        proxies: vec![
            "127.0.0.1".parse().expect("a range"),
            "10.0.0.0/8".parse().expect("a range"),
        ],
        header: Some(HeaderName::from_static("x-forwarded-for")),
        ..ClientSettings::default()
    };
    let identity = |peer: &str, lines: &[&str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).expect("a header");
            headers.append("x-forwarded-for", value);
        }
        let address = settings.address(ip(peer), &headers);
        let client = settings.client(address, &headers);
        client.expect("a client").identity()
    };
    for (peer, lines, expected) in [
        ("127.0.0.1", &["192.0.2.7"][..], "network 192.0.2.0/24"),
        // Whatever stands before what the proxy has put there, the client has written itself.
        (
            "127.0.0.1",
            &["198.51.100.1, 192.0.2.7"],
            "network 192.0.2.0/24",
        ),
        (
            "127.0.0.1",
            &["198.51.100.1", "192.0.2.7, 10.0.0.4"],
            "network 192.0.2.0/24",
        ),
        // Letters that are no ASCII make it nobody else.
        ("127.0.0.1", &["é, 192.0.2.7"], "network 192.0.2.0/24"),
        ("127.0.0.1", &["198.51.100.1", "é"], "unknown"),
        ("127.0.0.1", &["192.0.2.7:4711"], "network 192.0.2.0/24"),
        (
            "127.0.0.1",
            &["[2001:db8::1]:4711"],
            "network 2001:db8::/56",
        ),
        ("127.0.0.1", &["unknown"], "unknown"),
        ("127.0.0.1", &[], "network 127.0.0.0/24"),
        ("127.0.0.1", &["10.0.0.4"], "network 127.0.0.0/24"),
        // Nobody else is believed.
        ("203.0.113.9", &["192.0.2.7"], "network 203.0.113.0/24"),
    ] {
        assert_eq!(identity(peer, lines), expected, "{peer} {lines:?}");
    }
}

#[test]
fn a_key_that_is_empty_or_cannot_be_read_is_a_wrong_one() {
    let settings = ClientSettings::default();
    for (authorization, is_refused) in [
        ("Bearer", true),
        ("Bearer ", true),
        ("bearer clé", true),
        ("Basic clé", false),
        ("Bearers of news", false),
        ("", false),
    ] {
        let value = HeaderValue::from_bytes(authorization.as_bytes()).expect("a header");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let client = settings.client(None, &headers);
        assert_eq!(client.is_err(), is_refused, "{authorization}");
    }
}

#[tokio::test]
async fn a_key_has_its_own_limits_and_a_wrong_one_gets_in_nowhere() {
    let mut state = fixture::state_over(fixture::snapshot());
    let key = ApiKey {
        name: "university".into(),
        digest: KeyDigest::of("a long random key"),
        limits: KeyLimits {
            running_max: Some(2),
            queued_max: Some(1),
            row_limit: Some(1),
            ..KeyLimits::default()
        },
    };
    state.settings = Arc::new(PublishSettings {
        clients: ClientSettings {
            keys: ApiKeys::new([key]),
            ..ClientSettings::default()
        },
        ..PublishSettings::clone(&state.settings)
    });
    let router = public_router(state);
    let ask = |path: &'static str, authorization: &'static str| {
        let router = router.clone();
        async move {
            let headers = [("authorization", authorization)];
            let headers = if authorization.is_empty() {
                &[][..]
            } else {
                &headers[..]
            };
            fixture::get_with(router, path, headers).await
        }
    };
    // The answer is kept, and must not be given to who may have fewer rows.
    let sql = "/api/v1/sql?format=json&q=SELECT+value+FROM+heat";
    let answer = ask(sql, "").await;
    assert_eq!(answer.json()["row_count"], 2, "{}", answer.body);
    for right in ["Bearer a long random key", "bearer  a long random key"] {
        let answer = ask(sql, right).await;
        assert_eq!(
            answer.header("ratelimit-policy"),
            "\"queries\";q=3;qu=\"concurrent-requests\""
        );
        assert_eq!(answer.json()["truncated"], true, "{}", answer.body);
    }
    for path in [
        "/api/v1/sql?q=SELECT+1",
        "/api/v1/datasets",
        "/api/v1/datasets/heat/rows",
    ] {
        let answer = ask(path, "Bearer another key").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!answer.body.contains("another"), "{}", answer.body);
    }
    // Another scheme is of the proxy before us.
    let answer = ask("/api/v1/sql?q=SELECT+1", "Basic dXNlcjpwYXNz").await;
    assert_eq!(answer.status, StatusCode::OK);
}

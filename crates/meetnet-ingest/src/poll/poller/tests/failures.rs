//! Everything an API can do instead of answering: what is shown, when it is asked again, and that nothing is lost.

use std::time::{Duration, Instant};

use meetnet_model::ids::SourceId;
use tokio_util::sync::CancellationToken;

use super::scene::{KEY, Scene};
use crate::poll::mock::{End, MockServer, Reply};
use crate::poll::poller::Turn;
use crate::poll::{Polling, spawn};

const NOW: &str = "2026-11-28T12:20:00Z";
const SECOND_US: i64 = 1_000_000;

/// Lets one request fail: returns what the status says and after how many seconds the next comes. Then it succeeds,
/// and the rows are there.
async fn failing(reply: Reply) -> (String, i64) {
    let mut scene = Scene::new(NOW, &[1], true).await;
    scene.options.request_time_max = Duration::from_millis(300);
    scene.telraam.quiet(1, "2026-11-28T00:00:00Z", 24);
    scene.telraam.fail_next(reply);
    let mut poller = scene.poller();
    let began = scene.clock.now();
    assert_eq!(poller.turn().await, Turn::Asked);
    let error = scene.last_error();
    assert!(!error.contains(KEY), "{error}");
    let status = scene.status();
    assert_eq!(
        (status.polls_total, status.poll_failures_total),
        (1, 1),
        "{error}"
    );
    assert!(!status.connected);
    assert!(scene.journalled().is_empty(), "{error}");

    let Turn::Wait(until) = poller.turn().await else {
        panic!("it asks again at once");
    };
    scene.clock.set(until);
    scene.settle(&mut poller).await;
    assert_eq!(
        scene.journalled(),
        ["1 2026-11-25T12:00:00Z/2026-11-28T12:00:00Z"]
    );
    assert!(scene.status().connected);
    (error, (until - began) / SECOND_US)
}

#[tokio::test]
async fn failures_are_shown_and_tried_again() {
    let rows = r#"{"status_code":200,"message":"ok","report":[{"car":"#;
    for (reply, expect) in [
        (
            Reply::new(500, r#"{"message":"Internal server error"}"#),
            "1: the API failed: 500 (Internal server error)",
        ),
        (
            Reply::new(429, r#"{"message":"Too Many Requests"}"#),
            "1: too many requests: 429 (Too Many Requests); waits, and if this stays, raise request_pause or interval",
        ),
        (
            Reply::new(429, r#"{"message":"Limit Exceeded"}"#),
            "1: too many requests: 429 (Limit Exceeded); waits, and if this stays, raise request_pause or interval",
        ),
        (
            Reply::new(403, r#"{"message":"Forbidden"}"#),
            "1: access is forbidden: 403 (Forbidden); check the api_key and its rights",
        ),
        (
            Reply::new(200, rows),
            "1: the answer is broken: no Telraam report (EOF while parsing a value at line 1 column 51); asked again later",
        ),
        (
            Reply::new(200, rows).ending(End::Broken),
            "1: the answer broke off",
        ),
        (
            Reply::new(200, rows).ending(End::Stalled),
            "1: no whole answer within 300 ms (request_time_max); asked again later",
        ),
        (
            Reply::new(200, r#"{"report":[{"car":1,"mac":"#),
            "1: the answer is broken",
        ),
        (
            Reply::new(200, "\u{1f}not to be read").with("content-encoding", "gzip"),
            "1: the answer is compressed (gzip), and nobody asked for that",
        ),
        (
            Reply::new(304, ""),
            "1: answered with 304, not modified, and was asked for everything",
        ),
    ] {
        let shown = format!("{reply:?}");
        let (error, pause_s) = failing(reply).await;
        assert!(error.starts_with(expect), "{shown}: {error}");
        // Five seconds at most, half of them at least.
        assert!((2..=5).contains(&pause_s), "{shown}: {pause_s}");
    }
}

#[tokio::test]
async fn the_pause_that_the_api_asks_for_is_kept() {
    let busy = |retry_after: &str| {
        Reply::new(429, r#"{"message":"Too Many Requests"}"#).with("retry-after", retry_after)
    };
    for (retry_after, expect) in [
        ("120", 120),
        ("Sat, 28 Nov 2026 12:30:00 GMT", 600),
        // A date that has passed, and nonsense: the usual pause.
        ("Sat, 28 Nov 2026 12:00:00 GMT", 5),
        ("later", 5),
        ("99999999", 86_400),
    ] {
        let (_, pause_s) = failing(busy(retry_after)).await;
        let usual = expect == 5 && (2..=5).contains(&pause_s);
        assert!(usual || pause_s == expect, "{retry_after}: {pause_s}");
    }
}

#[tokio::test]
async fn a_refused_segment_leaves_the_others_alone() {
    let scene = Scene::new(NOW, &[1, 2, 3], true).await;
    for segment in 1..=3 {
        scene.telraam.quiet(segment, "2026-11-28T00:00:00Z", 24);
    }
    let said = "User has no access rights to the requested instance/segment.";
    let body = format!(r#"{{"status_code":403,"message":"{said}"}}"#);
    scene.telraam.fail_next(Reply::new(403, body));
    scene.settle(&mut scene.poller()).await;
    let taken: Vec<String> = scene.journalled();
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!(
        taken[0].starts_with("2 ") && taken[1].starts_with("3 "),
        "{taken:?}"
    );
    let status = scene.status();
    assert_eq!((status.refused_total, status.connected), (1, true));
    assert!(
        scene
            .last_error()
            .starts_with("1: access is forbidden: 403 (User has no")
    );
}

#[tokio::test]
async fn content_elsewhere_is_fetched_without_the_key() {
    let scene = Scene::new(NOW, &[1], true).await;
    let path = "/bucket/report.json?X-Amz-Signature=abc";
    let body = r#"[{"segment_id":1,"date":"2026-11-28T09:00:00.000Z","interval":"hourly","user_id":7,"car":3}]"#;
    scene.telraam.lies_at(path, body);
    let url = format!("{}{path}", scene.server.url);
    let elsewhere =
        serde_json::json!({"status_code": 201, "message": "ready", "download_url": url});
    scene
        .telraam
        .fail_next(Reply::new(201, elsewhere.to_string()));
    scene.settle(&mut scene.poller()).await;

    let seen = scene.server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].header("x-api-key"), Some(KEY));
    assert_eq!(
        (seen[1].path.as_str(), seen[1].header("x-api-key")),
        (path, None)
    );
    // Whose counter it is stays out of the journal.
    let taken = scene.sink.taken();
    assert_eq!(taken.len(), 1);
    let text = String::from_utf8(taken[0].payload.clone()).unwrap();
    assert!(
        text.contains("\"car\":3") && !text.contains("user_id"),
        "{text}"
    );
    // The address is a credential: it is in no topic.
    assert_eq!(taken[0].topic, "/v1/reports/traffic");
}

#[tokio::test]
async fn an_address_that_is_none_is_not_followed() {
    let scene = Scene::new(NOW, &[1], true).await;
    let elsewhere = r#"{"status_code":201,"message":"ready","download_url":"file:///etc/passwd"}"#;
    scene.telraam.fail_next(Reply::new(201, elsewhere));
    assert_eq!(scene.poller().turn().await, Turn::Asked);
    assert_eq!(
        scene.last_error(),
        "1: the content is said to lie at an address that is no https:// URL"
    );
    // Nor a redirect, which would get the key. Something lies there: a request that the server does not answer is not seen.
    scene.telraam.lies_at("/elsewhere", "{}");
    let away = format!("{}/elsewhere", scene.server.url);
    let redirect = Reply::new(307, "").with("location", away);
    scene.telraam.fail_next(redirect);
    assert_eq!(scene.poller().turn().await, Turn::Asked);
    assert_eq!(scene.server.seen().len(), 2);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_asked_for_in_parts() {
    let mut scene = Scene::new(NOW, &[1], true).await;
    scene.telraam.quiet(1, "2026-11-25T12:00:00Z", 24 * 3);
    // A day of rows fits, three do not.
    scene.options.body_bytes_max = 4_000;
    scene.settle(&mut scene.poller()).await;
    assert_eq!(
        scene.journalled(),
        [
            "1 2026-11-25T12:00:00Z/2026-11-26T06:00:00Z",
            "1 2026-11-26T06:00:00Z/2026-11-27T00:00:00Z",
            "1 2026-11-27T00:00:00Z/2026-11-27T18:00:00Z",
            "1 2026-11-27T18:00:00Z/2026-11-28T12:00:00Z",
        ]
    );
    assert!(
        scene
            .sink
            .taken()
            .iter()
            .all(|taken| taken.payload.len() <= 4_000)
    );
    // Not even an hour fits.
    scene.options.body_bytes_max = 50;
    std::fs::remove_file(scene.cursor_file()).unwrap();
    scene.settle(&mut scene.poller()).await;
    assert_eq!(scene.journalled().len(), 4);
    assert_eq!(
        scene.last_error(),
        "1: the answer is larger than 50 bytes and cannot be asked for in parts; raise answer_bytes_max"
    );
}

#[tokio::test]
async fn an_answer_that_is_too_large_for_the_api_names_no_limit_of_ours() {
    let scene = Scene::new(NOW, &[1], true).await;
    scene.telraam.breaks(1, Reply::new(413, ""));
    scene.settle(&mut scene.poller()).await;
    // From three days to an hour: 72, 36, 18, 9, 4, 2 and 1.
    assert_eq!(scene.server.seen().len(), 7);
    assert_eq!(
        scene.last_error(),
        "1: the answer would be larger than the API allows, and cannot be asked for in parts"
    );
}

#[tokio::test]
async fn a_full_journal_keeps_the_cursor_where_it_is() {
    let scene = Scene::new(NOW, &[1], true).await;
    scene.telraam.quiet(1, "2026-11-28T00:00:00Z", 24);
    let mut poller = scene.poller();
    scene.sink.set_full(true);
    poller.turn().await;
    assert!(
        scene.last_error().starts_with("1: not journalled: "),
        "{}",
        scene.last_error()
    );
    scene.sink.set_full(false);
    scene.clock.advance(5 * SECOND_US);
    scene.settle(&mut poller).await;
    assert_eq!(
        scene.journalled(),
        ["1 2026-11-25T12:00:00Z/2026-11-28T12:00:00Z"]
    );
}

#[tokio::test]
async fn a_source_that_hangs_does_not_slow_another() {
    let hanging = MockServer::start(|_| Reply::new(200, "{").ending(End::Stalled)).await;
    let segments: Vec<i64> = (1..=50).collect();
    let mut scene = Scene::new(NOW, &segments, true).await;
    // The server's clock: real sources poll by the real one.
    scene.clock.set(crate::status::now_us());
    let good_url = scene.options.url.clone();
    let shutdown = CancellationToken::new();
    scene.options.url = hanging.url.parse().unwrap();
    let mut bad = scene.source();
    bad.id = SourceId::new("hanging");
    let bad = spawn(bad, Polling::Live, shutdown.clone()).unwrap();
    scene.options.url = good_url;
    let good = spawn(scene.source(), Polling::Live, shutdown.clone()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while scene.server.seen().len() < segments.len() || hanging.seen().is_empty() {
        assert!(
            Instant::now() < deadline,
            "{} of 50",
            scene.server.seen().len()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // All fifty of the one while the first of the other is under way; its limit is a minute.
    assert_eq!(hanging.seen().len(), 1);
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), async {
        good.join().await;
        bad.join().await;
    })
    .await
    .expect("a request under way does not delay the end");
}

//! Requests as Telegraf, airRohr boxes and the clients of both versions write them.

use meetnet_model::reject::RejectReason;
use meetnet_model::source::WireFormat;

use super::super::testing::{Server, gzip, limits, server, serving, source};
use crate::http::{PushLimits, PushSource};
use crate::outcomes::{Outcome, OutcomeReject};

const LINES: &str =
    "weather,station=a temp=1 1780315170\nweather,station=a temp=9 \"1780315170\"\n";

fn good() -> Outcome {
    Outcome {
        accepted: 2,
        ..Outcome::default()
    }
}

fn bad_line(accepted: u64, reason: RejectReason, message: &str) -> Outcome {
    Outcome {
        accepted,
        rejects: vec![OutcomeReject {
            reason,
            message: message.to_owned(),
            item: Some(1),
        }],
        unlisted: 0,
    }
}

fn database(id: &str, name: &str, token: &str) -> PushSource {
    PushSource {
        token: Some(token.to_owned()),
        name: Some(name.to_owned()),
        ..source(id, WireFormat::Influx)
    }
}

/// What Telegraf's `influxdb_v2` output writes: gzip, the token, a bucket.
async fn telegraf(
    server: &Server,
    target: &str,
    token: &str,
    lines: &str,
) -> super::super::testing::Reply {
    let body = gzip(lines.as_bytes());
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost:8081\r\nUser-Agent: Telegraf/1.30.0 Go/1.22.2\r\n\
         Content-Length: {}\r\nAuthorization: Token {token}\r\nContent-Encoding: gzip\r\n\
         Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n",
        body.len()
    );
    server.send(head.as_bytes(), &body).await
}

#[tokio::test]
async fn telegraf_writes_by_version_2() {
    let server = serving(vec![database("city", "sensors", "s3cret")]).await;
    server.decode_next(good());
    let target = "/api/v2/write?bucket=sensors&org=leuven";
    let reply = telegraf(&server, target, "s3cret", LINES).await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    let taken = server.sink.taken();
    assert_eq!(
        (taken[0].source.as_str(), taken[0].topic.as_str()),
        ("city", "/api/v2/write")
    );
    assert_eq!(taken[0].payload, LINES.as_bytes());
    assert_eq!(taken[0].meta, [("precision".to_owned(), "ns".to_owned())]);
    assert!(!server.journalled().contains("s3cret"));
}

#[tokio::test]
async fn refusals_have_the_words_of_their_version() {
    let server = serving(vec![database("city", "sensors", "s3cret")]).await;
    let check = async |target: &str, token: &str, status: u16, body: &str| {
        let reply = telegraf(&server, target, token, LINES).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (status, body),
            "{target}"
        );
        assert!(
            reply.headers.contains("content-type: application/json"),
            "{}",
            reply.headers
        );
        reply
    };
    let reply = check(
        "/api/v2/write?bucket=sensors&org=x",
        "wrong",
        401,
        r#"{"code":"unauthorized","message":"unauthorized access"}"#,
    )
    .await;
    assert!(
        reply.headers.contains("www-authenticate: token"),
        "{}",
        reply.headers
    );
    check(
        "/api/v2/write?bucket=other&org=x",
        "s3cret",
        404,
        r#"{"code":"not found","message":"bucket not found: no source declares it as its `database`"}"#,
    )
    .await;
    check(
        "/api/v2/write?bucket=sensors&precision=m",
        "s3cret",
        400,
        r#"{"code":"invalid","message":"invalid precision; valid precision units are ns, us, ms, and s"}"#,
    )
    .await;
    check(
        "/write?db=sensors",
        "wrong",
        401,
        r#"{"error":"authorization failed"}"#,
    )
    .await;
    check(
        "/write?db=other",
        "s3cret",
        404,
        r#"{"error":"database not found: no source declares it as its `database`"}"#,
    )
    .await;
    let reply = check(
        "/write?db=sensors&precision=d",
        "s3cret",
        400,
        r#"{"error":"invalid precision (use n, u, ms, s, m or h)"}"#,
    )
    .await;
    assert!(
        reply
            .headers
            .contains("x-influxdb-error: invalid precision"),
        "{}",
        reply.headers
    );
    assert_eq!(server.sink.taken(), []);
}

#[tokio::test]
async fn a_bad_line_is_quoted_and_the_good_ones_are_stored() {
    let server = serving(vec![source("city", WireFormat::Influx)]).await;
    let check = async |outcome: Outcome, target: &str, body: &str| {
        server.decode_next(outcome);
        let reply = telegraf(&server, target, "any", LINES).await;
        assert_eq!((reply.status, reply.body.as_str()), (400, body), "{target}");
    };
    let bad_time = || bad_line(1, RejectReason::Malformed, "bad timestamp");
    check(
        bad_time(),
        "/write?db=x&precision=s",
        r#"{"error":"partial write: unable to parse 'weather,station=a temp=9 \"1780315170\"': bad timestamp dropped=1"}"#,
    )
    .await;
    check(
        bad_time(),
        "/api/v2/write?bucket=x&precision=s",
        r#"{"code":"invalid","message":"partial write: unable to parse 'weather,station=a temp=9 \"1780315170\"': bad timestamp dropped=1"}"#,
    )
    .await;
    check(
        bad_line(0, RejectReason::Malformed, "bad timestamp"),
        "/write?db=x",
        r#"{"error":"unable to parse 'weather,station=a temp=9 \"1780315170\"': bad timestamp"}"#,
    )
    .await;
    check(
        bad_line(0, RejectReason::NoMappedValue, "the line has no value"),
        "/write?db=x",
        r#"{"error":"partial write: unable to store 'weather,station=a temp=9 \"1780315170\"': the line has no value dropped=1"}"#,
    )
    .await;
    let mut many = bad_time();
    many.rejects = vec![many.rejects[0].clone(); 25];
    many.unlisted = 100;
    server.decode_next(many);
    let reply = telegraf(&server, "/write?db=x", "any", LINES).await;
    assert!(
        reply.body.ends_with("and 105 more dropped=125\"}"),
        "{}",
        reply.body
    );
    assert_eq!(reply.body.matches("unable to parse").count(), 20);
    // Whatever the answer was, all of it is journalled.
    assert_eq!(server.sink.taken().len(), 5);
}

#[tokio::test]
async fn credentials_of_version_1() {
    let server = serving(vec![
        database("city", "sensors", "s3cret"),
        database("lab", "lab", "other"),
    ])
    .await;
    let check = async |target: &str, headers: &[&str], status: u16| {
        server.decode_next(good());
        let reply = server.post(target, headers, LINES.as_bytes()).await;
        assert_eq!(reply.status, status, "{target} {headers:?}");
    };
    check("/write?db=sensors&u=box&p=s3cret", &[], 204).await;
    check("/write?db=lab&u=box&p=other", &[], 204).await;
    check(
        "/write?db=sensors",
        &["Authorization: Basic ZGV2aWNlOnMzY3JldA=="],
        204,
    )
    .await;
    check(
        "/write?db=sensors",
        &["Authorization: Token box:s3cret"],
        204,
    )
    .await;
    check("/write?db=sensors", &["Authorization: Token s3cret"], 204).await;
    check("/write?db=sensors", &["Authorization: Bearer s3cret"], 204).await;
    check(
        "/api/v2/write?bucket=sensors",
        &["Authorization: Bearer s3cret"],
        204,
    )
    .await;
    check("/write?db=sensors&u=box&p=other", &[], 401).await;
    check("/write?db=sensors&u=s3cret", &[], 401).await;
    check("/write?db=sensors", &[], 401).await;
    check("/write?u=box&p=s3cret", &[], 404).await;
    let taken = server.sink.taken();
    let sources: Vec<&str> = taken.iter().map(|taken| taken.source.as_str()).collect();
    assert_eq!(
        sources,
        ["city", "lab", "city", "city", "city", "city", "city"]
    );
    assert!(!server.journalled().contains("s3cret"));
}

#[tokio::test]
async fn precisions_ride_beside_the_body() {
    let server = serving(vec![source("city", WireFormat::Influx)]).await;
    let check = async |query: &str, expect: &str| {
        server.decode_next(good());
        let reply = server.post(query, &[], LINES.as_bytes()).await;
        assert_eq!(reply.status, 204, "{query}");
        let taken = server.sink.taken();
        let meta = &taken.last().unwrap().meta;
        assert_eq!(
            meta[0],
            ("precision".to_owned(), expect.to_owned()),
            "{query}"
        );
    };
    check("/write?db=x", "ns").await;
    check("/write?db=x&rp=autogen&consistency=any&precision=n", "ns").await;
    check("/write?db=x&precision=u", "us").await;
    check("/write?db=x&precision=%C2%B5", "us").await;
    check("/write?db=x&precision=ms", "ms").await;
    check("/write?db=x&precision=s", "s").await;
    check("/write?db=x&precision=m", "m").await;
    check("/write?db=x&precision=h", "h").await;
    check("/api/v2/write?bucket=x&precision=us", "us").await;
}

#[tokio::test]
async fn what_is_too_much_or_nothing() {
    let server = serving(vec![source("city", WireFormat::Influx)]).await;
    let too_large = "m f=1\n".repeat(4_000);
    let reply = server
        .post("/api/v2/write?bucket=x", &[], too_large.as_bytes())
        .await;
    assert_eq!(reply.status, 413);
    assert!(
        reply.body.starts_with(r#"{"code":"request too large""#),
        "{}",
        reply.body
    );
    let reply = telegraf(&server, "/write?db=x", "", &too_large).await;
    assert_eq!(reply.status, 413);
    assert!(
        reply.body.starts_with(r#"{"error":"the inflated body"#),
        "{}",
        reply.body
    );
    let reply = server
        .post("/write?db=x", &["Content-Encoding: gzip"], LINES.as_bytes())
        .await;
    assert_eq!(reply.status, 400);
    // Nothing to write is written.
    assert_eq!(server.post("/write?db=x", &[], b"\n \n").await.status, 204);
    assert_eq!(server.sink.taken(), []);

    server.sink.set_full(true);
    let reply = server
        .post("/api/v2/write?bucket=x", &[], LINES.as_bytes())
        .await;
    assert_eq!(reply.status, 503);
    assert!(
        reply.headers.contains("retry-after: 5"),
        "{}",
        reply.headers
    );
    assert!(
        reply.body.starts_with(r#"{"code":"unavailable""#),
        "{}",
        reply.body
    );

    let none_at_a_time = PushLimits {
        requests_max: 0,
        ..limits()
    };
    let busy = super::super::testing::server(
        vec![source("city", WireFormat::Influx)],
        true,
        none_at_a_time,
        10,
    )
    .await;
    // Telegraf's output for version 1 throws lines away at any 4xx.
    let reply = busy.post("/write?db=x", &[], LINES.as_bytes()).await;
    assert_eq!(reply.status, 503);
    assert!(
        reply.headers.contains("retry-after: 1"),
        "{}",
        reply.headers
    );
    let reply = busy
        .post("/api/v2/write?bucket=x", &[], LINES.as_bytes())
        .await;
    assert_eq!(reply.status, 429);
    assert!(
        reply.headers.contains("retry-after: 1"),
        "{}",
        reply.headers
    );
    assert!(
        reply.body.starts_with(r#"{"code":"too many requests""#),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_synced() {
    let unsynced = server(
        vec![source("city", WireFormat::Influx)],
        false,
        limits(),
        10,
    )
    .await;
    let reply = unsynced.post("/write?db=x", &[], LINES.as_bytes()).await;
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert_eq!(unsynced.sink.taken().len(), 1);
    // Synced, and the decode is behind.
    let behind = serving(vec![source("city", WireFormat::Influx)]).await;
    let reply = behind.post("/write?db=x", &[], LINES.as_bytes()).await;
    assert_eq!(reply.status, 204);
    assert!(
        reply.headers.contains("meetnet-pending: true"),
        "{}",
        reply.headers
    );
}

/// What Telegraf's `influxdb` output says before it writes: a form, never packed.
fn create_database(name: &str) -> (String, String) {
    let body = format!("q=CREATE+DATABASE+{name}");
    let head = format!(
        "POST /query HTTP/1.1\r\nHost: localhost:8081\r\nUser-Agent: Telegraf/1.30.0 Go/1.22.2\r\n\
         Content-Length: {}\r\nAuthorization: Basic ZGV2aWNlOnMzY3JldA==\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
        body.len()
    );
    (head, body)
}

#[tokio::test]
async fn a_declared_database_is_there_already() {
    let server = serving(vec![database("city", "sensors", "s3cret")]).await;
    let ask = async |name: &str| {
        let (head, body) = create_database(name);
        let reply = server.send(head.as_bytes(), body.as_bytes()).await;
        (reply.status, reply.body)
    };
    let created = (200, r#"{"results":[{"statement_id":0}]}"#.to_owned());
    for name in [
        "%22sensors%22",
        "sensors",
        "sensors%3B",
        "sensors+WITH+DURATION+7d",
    ] {
        assert_eq!(ask(name).await, created, "{name}");
    }
    let (status, said) = ask("%22other%5C%22s%22").await;
    assert_eq!(status, 404);
    assert!(said.contains("database not found"), "{said}");
    assert_eq!(ask("%22sensors").await.0, 400);
    let strange = server
        .post(
            "/query?db=sensors&u=x&p=s3cret&q=SELECT+*+FROM+weather",
            &[],
            b"",
        )
        .await;
    assert_eq!(strange.status, 400);
    assert!(
        strange
            .body
            .starts_with(r#"{"error":"error parsing query: "#),
        "{}",
        strange.body
    );
    let stranger = server
        .post("/query?q=CREATE%20DATABASE%20sensors", &[], b"")
        .await;
    assert_eq!(stranger.status, 401);
    assert_eq!(server.sink.taken(), []);
}

#[tokio::test]
async fn a_client_may_ask_who_is_there() {
    let server = serving(Vec::new()).await;
    let ping = "GET /ping HTTP/1.1\r\nHost: meetnet\r\nConnection: close\r\n\r\n";
    let reply = server.send(ping.as_bytes(), b"").await;
    assert_eq!(reply.status, 204);
    assert!(
        reply.headers.contains("x-influxdb-version: 1.8"),
        "{}",
        reply.headers
    );
    let reply = server.post("/write?db=x", &[], LINES.as_bytes()).await;
    assert_eq!(reply.status, 404);
    assert!(
        reply
            .body
            .contains("no source of kind `http` has the format `influx`"),
        "{}",
        reply.body
    );
}

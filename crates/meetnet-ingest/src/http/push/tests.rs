//! Every answer, asked for over a real connection.

use std::time::Duration;

use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::reject::RejectReason;
use meetnet_model::source::WireFormat;

use super::{PushLimits, PushSource};
use crate::http::endpoint::UNHEEDED_WAIT_MAX;
use crate::http::testing::{self, Server, gzip, limits, source};
use crate::outcomes::{Outcome, OutcomeReject};

async fn server(auto_sync: bool, limits: PushLimits, waiting_max: usize) -> Server {
    let with_token = |id: &str, requests_per_second_max| PushSource {
        token: Some("s3cret".to_owned()),
        requests_per_second_max,
        ..source(id, WireFormat::Json)
    };
    let sources = vec![
        with_token("airrohr", 1_000),
        source("open", WireFormat::Json),
        with_token("slow", 1),
    ];
    testing::server(sources, auto_sync, limits, waiting_max).await
}

const BEARER: &str = "Authorization: Bearer s3cret";
const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn a_body_is_held_until_it_is_journalled_and_no_longer() {
    let patient = PushLimits {
        sync_wait: Duration::from_secs(30),
        ..limits()
    };
    let server = server(false, patient, 10).await;
    let held = || server.state.inner.memory.bytes();
    let posted = server.post("/ingest/v1/open", &[JSON], b"{\"a\": 1}");
    let synced_later = async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while server.sink.taken().is_empty() || held() > 0 {
            assert!(tokio::time::Instant::now() < deadline, "{} bytes", held());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.sink.sync();
    };
    let (reply, ()) = tokio::join!(posted, synced_later);
    assert_eq!(reply.status, 204, "{}", reply.body);
}

#[tokio::test]
async fn all_rows_taken() {
    let server = server(true, limits(), 10).await;
    server.decode_next(Outcome {
        accepted: 2,
        ..Outcome::default()
    });
    let reply = server
        .post(
            "/ingest/v1/airrohr?node=7",
            &[
                BEARER,
                JSON,
                "X-Sensor: esp8266-1",
                "Cookie: a=b",
                "X-MAC-ID: esp8266-AABB",
            ],
            b"{}",
        )
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert!(!reply.headers.contains("meetnet-pending"));

    let taken = server.sink.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(
        (taken[0].source.as_str(), taken[0].topic.as_str()),
        ("airrohr", "/ingest/v1/airrohr")
    );
    assert_eq!(
        (taken[0].packet_id, taken[0].payload.as_slice()),
        (0, b"{}".as_slice())
    );
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        taken[0].meta,
        [
            own("content-type", "application/json"),
            own("x-sensor", "esp8266-1"),
            own("query", "node=7")
        ]
    );
    let status = server.statuses.read_one(&SourceId::new("airrohr")).unwrap();
    assert_eq!(
        (
            status.messages_total,
            status.acked_total,
            status.refused_total
        ),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn some_rows_rejected() {
    let server = server(true, limits(), 10).await;
    let rejects = vec![OutcomeReject {
        reason: RejectReason::BadTime,
        message: "row 1: 25:00 is no time".to_owned(),
        item: None,
    }];
    server.decode_next(Outcome {
        accepted: 3,
        rejects,
        unlisted: 0,
    });
    let reply = server.post("/ingest/v1/airrohr", &[BEARER], b"[]").await;
    assert_eq!(reply.status, 400);
    assert!(reply.headers.contains("application/problem+json"));
    for part in [
        "\"accepted\":3",
        "\"rejected\":1",
        "bad_time",
        "25:00",
        "do not send this body again",
    ] {
        assert!(reply.body.contains(part), "{part}: {}", reply.body);
    }
    assert_eq!(server.sink.taken().len(), 1);
}

#[tokio::test]
async fn a_server_that_passes_messages_on_is_told_of_success_once_they_are_kept() {
    // Each of them switches off, or sends again, what is not answered with success.
    for format in [
        WireFormat::TtsV3,
        WireFormat::ChirpstackV4,
        WireFormat::Ngsi,
    ] {
        let server = testing::serving(vec![source("relay", format)]).await;
        let without_codec = OutcomeReject {
            reason: RejectReason::NoDecodedPayload,
            message: "the uplink has no decoded payload".to_owned(),
            item: None,
        };
        server.decode_next(Outcome {
            accepted: 0,
            rejects: vec![without_codec],
            unlisted: 0,
        });
        let reply = server.post("/ingest/v1/relay", &[JSON], b"{}").await;
        assert_eq!(reply.status, 200, "{format:?}: {}", reply.body);
        assert!(
            reply.headers.contains("content-type: application/json"),
            "{}",
            reply.headers
        );
        // Whoever tries it by hand still sees what is wrong.
        for part in ["\"rejected\":1", "no_decoded_payload", "\"status\":200"] {
            assert!(reply.body.contains(part), "{part}: {}", reply.body);
        }
        server.decode_next(Outcome {
            accepted: 1,
            ..Outcome::default()
        });
        let reply = server.post("/ingest/v1/relay", &[JSON], b"{}").await;
        assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{format:?}");
        let status = server.statuses.read_one(&SourceId::new("relay")).unwrap();
        assert_eq!((status.acked_total, status.refused_total), (2, 0));
    }
}

#[tokio::test]
async fn a_server_that_passes_messages_on_does_not_wait_for_a_decode_that_it_does_not_heed() {
    let patient = PushLimits {
        outcome_wait: Duration::from_secs(600),
        ..limits()
    };
    let sources = vec![source("relay", WireFormat::TtsV3)];
    let server = testing::server(sources, true, patient, 10).await;
    // Nobody decodes, and the stack gives up after ten seconds, for which there must be room.
    assert!(UNHEEDED_WAIT_MAX <= Duration::from_secs(5));
    let reply = server.post("/ingest/v1/relay", &[JSON], b"{}");
    // Long enough for any machine, and far less than others wait.
    let reply = tokio::time::timeout(Duration::from_secs(120), reply).await;
    let reply = reply.expect("an answer in time");
    assert_eq!(reply.status, 204);
    assert!(reply.headers.contains("meetnet-pending: true"));
    assert_eq!(server.sink.taken().len(), 1);
}

#[tokio::test]
async fn a_decode_that_is_behind_does_not_hold_the_answer() {
    let server = server(true, limits(), 10).await;
    let reply = server.post("/ingest/v1/airrohr", &[BEARER], b"{}").await;
    assert_eq!(reply.status, 204);
    assert!(reply.headers.contains("meetnet-pending: true"));
    assert!(
        !server.outcomes.is_awaited(Sequence(1)),
        "the place is given up"
    );
}

#[tokio::test]
async fn credentials_wherever_the_device_can_put_them() {
    let server = server(true, limits(), 10).await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let check = async |path: &str, headers: &[&str], body: &[u8], status: u16| {
        server.decode_next(Outcome::default());
        let reply = server.post(path, headers, body).await;
        assert_eq!(reply.status, status, "{path} {headers:?}");
        if status == 401 {
            assert!(
                reply.headers.contains("www-authenticate: bearer"),
                "{}",
                reply.headers
            );
        }
    };
    check("/ingest/v1/airrohr", &[BEARER], b"1", 204).await;
    check(
        "/ingest/v1/airrohr",
        &["Authorization: Basic ZGV2aWNlOnMzY3JldA=="],
        b"2",
        204,
    )
    .await;
    check("/ingest/v1/airrohr/s3cret", &[], b"3", 204).await;
    check("/ingest/v1/airrohr?token=s3cret&a=1", &[], b"4", 204).await;
    check("/ingest/v1/airrohr", &[form], b"token=s3cret&tempf=70", 204).await;
    check("/ingest/v1/open", &[], b"6", 204).await;
    check("/ingest/v1/airrohr", &[], b"", 401).await;
    check(
        "/ingest/v1/airrohr",
        &["Authorization: Bearer wrong"],
        b"",
        401,
    )
    .await;
    check("/ingest/v1/airrohr/wrong", &[], b"", 401).await;
    check("/ingest/v1/airrohr?token=wrong", &[], b"", 401).await;
    check("/ingest/v1/airrohr", &[form], b"token=wrong&tempf=70", 401).await;
    check("/ingest/v1/airrohr", &[form], b"tempf=70", 401).await;
    check("/ingest/v1/nobody", &[BEARER], b"", 404).await;

    let taken = server.sink.taken();
    let payloads: Vec<&[u8]> = taken
        .iter()
        .map(|envelope| envelope.payload.as_slice())
        .collect();
    assert_eq!(
        payloads,
        [b"1".as_slice(), b"2", b"3", b"4", b"tempf=70", b"6"]
    );
    assert!(
        !server.journalled().contains("s3cret"),
        "no credential is journalled"
    );
    let status = server.statuses.read_one(&SourceId::new("airrohr")).unwrap();
    assert_eq!(status.refused_total, 6);
    // Who looks for the messages of a device finds why there are none.
    assert_eq!(
        status.last_error.unwrap().message,
        "a push was turned away: 401, no credentials, or wrong ones"
    );
}

#[tokio::test]
async fn bodies_that_are_refused_are_not_journalled() {
    let server = server(true, limits(), 10).await;
    let check = async |headers: &[&str], body: &[u8], status: u16| {
        let mut all = vec![BEARER];
        all.extend(headers);
        let reply = server.post("/ingest/v1/airrohr", &all, body).await;
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.body);
        assert!(
            reply.headers.contains("application/problem+json"),
            "{}",
            reply.headers
        );
    };
    check(&[], &vec![b'x'; 10_001], 413).await;
    check(&["Content-Encoding: gzip"], &gzip(&vec![b'x'; 20_001]), 413).await;
    check(&["Content-Encoding: br"], b"{}", 415).await;
    check(&["Content-Encoding: gzip"], b"{}", 400).await;
    let reply = server
        .raw("/ingest/v1/airrohr", &[BEARER, "Content-Length: 100"], b"{")
        .await;
    assert_eq!(reply.status, 408, "{}", reply.body);
    let chunked = format!("2af8\r\n{}\r\n0\r\n\r\n", "x".repeat(0x2af8));
    let reply = server
        .raw(
            "/ingest/v1/airrohr",
            &[BEARER, "Transfer-Encoding: chunked"],
            chunked.as_bytes(),
        )
        .await;
    assert_eq!(reply.status, 413, "{}", reply.body);
    assert_eq!(server.sink.taken(), []);

    server.decode_next(Outcome::default());
    let reply = server
        .post(
            "/ingest/v1/airrohr",
            &[BEARER, "Content-Encoding: gzip"],
            &gzip(b"{\"a\":1}"),
        )
        .await;
    assert_eq!(reply.status, 204);
    assert_eq!(server.sink.taken()[0].payload, b"{\"a\":1}");
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_synced() {
    let server = server(false, limits(), 10).await;
    let reply = server.post("/ingest/v1/airrohr", &[BEARER], b"{}").await;
    assert_eq!(reply.status, 503);
    assert!(reply.headers.contains("retry-after: 5"));

    server.sink.set_full(true);
    let reply = server.post("/ingest/v1/airrohr", &[BEARER], b"{}").await;
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("journal is full"), "{}", reply.body);
    assert_eq!(server.sink.taken().len(), 1);
    let status = server.statuses.read_one(&SourceId::new("airrohr")).unwrap();
    assert!(status.last_error.unwrap().message.contains("full"));
}

#[tokio::test]
async fn too_many_requests() {
    let server = server(true, limits(), 10).await;
    server.decode_next(Outcome::default());
    assert_eq!(
        server.post("/ingest/v1/slow", &[BEARER], b"1").await.status,
        204
    );
    // A stranger does not use up the rate.
    assert_eq!(
        server
            .post("/ingest/v1/slow", &["Authorization: Bearer x"], b"2")
            .await
            .status,
        401
    );
    let reply = server.post("/ingest/v1/slow", &[BEARER], b"3").await;
    assert_eq!(reply.status, 429);
    assert!(
        reply.headers.contains("retry-after: 1"),
        "{}",
        reply.headers
    );

    let server = super::tests::server(
        true,
        PushLimits {
            requests_max: 0,
            ..limits()
        },
        10,
    )
    .await;
    assert_eq!(
        server
            .post("/ingest/v1/airrohr", &[BEARER], b"{}")
            .await
            .status,
        429
    );
    let server = super::tests::server(true, limits(), 0).await;
    assert_eq!(
        server
            .post("/ingest/v1/airrohr", &[BEARER], b"{}")
            .await
            .status,
        429
    );
    assert_eq!(server.sink.taken(), []);
}

#[tokio::test]
async fn who_sends_bodies_slowly_leaves_places_for_others() {
    let patient = PushLimits {
        requests_per_client_max: 2,
        body_wait: Duration::from_secs(60),
        ..limits()
    };
    let server = server(true, patient, 10).await;
    let slow = b"POST /ingest/v1/open HTTP/1.1\r\nHost: meetnet\r\nX-Test-Client: 192.0.2.1\r\n\
                 Content-Length: 5000\r\n\r\n{";
    let mut held = vec![server.open(slow).await, server.open(slow).await];
    let (same, other) = ("X-Test-Client: 192.0.2.200", "X-Test-Client: 198.51.100.1");
    let post = async |client: &str| server.post("/ingest/v1/open", &[client], b"{}").await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let refused = loop {
        let reply = post(same).await;
        if reply.status == 429 {
            break reply;
        }
        // Until the listener has read both heads.
        assert!(tokio::time::Instant::now() < deadline, "{}", reply.status);
    };
    assert!(
        refused.body.contains("requests_per_client_max"),
        "{}",
        refused.body
    );
    assert!(refused.headers.contains("retry-after: 1"));
    assert_eq!(post(other).await.status, 204);
    // A place is free again when its request ends.
    held.pop();
    while post(same).await.status != 204 {
        assert!(tokio::time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn sources_are_exchanged_while_requests_come() {
    let own = |id: &str, path: &str| PushSource {
        path: Some(path.to_owned()),
        ..source(id, WireFormat::Json)
    };
    let before = vec![
        source("kept", WireFormat::Json),
        source("changed", WireFormat::Json),
        own("roof", "/roof"),
    ];
    let changed = PushSource {
        token: Some("s3cret".to_owned()),
        ..source("changed", WireFormat::Json)
    };
    let next = vec![
        source("kept", WireFormat::Json),
        changed,
        own("attic", "/attic"),
    ];
    let server = testing::serving(before.clone()).await;
    let check = async |path: &str, headers: &[&str], expect: u16| {
        let reply = server.post(path, headers, b"{}").await;
        assert_eq!(reply.status, expect, "{path}: {}", reply.body);
    };
    let connected = |id: &str| {
        let status = server.statuses.read_one(&SourceId::new(id));
        status.map(|status| status.connected)
    };
    check("/ingest/v1/changed", &[], 204).await;
    check("/roof", &[], 204).await;
    check("/attic", &[], 404).await;
    let kept = server.state.inner.endpoints()["kept"].clone();

    // Between the two configurations: what is taken now would stand on the wrong side of the frame.
    server.state.close_all_but(&next);
    check("/ingest/v1/kept", &[], 204).await;
    check("/ingest/v1/changed", &[], 429).await;
    check("/roof", &[], 429).await;
    assert_eq!(server.sink.taken().len(), 3);

    server.state.exchange(next);
    check("/ingest/v1/changed", &[], 401).await;
    check("/ingest/v1/changed", &[BEARER], 204).await;
    check("/roof", &[], 404).await;
    check("/ingest/v1/roof", &[], 404).await;
    check("/attic", &[], 204).await;
    assert_eq!(
        (connected("roof"), connected("attic")),
        (Some(false), Some(true))
    );
    // The same source is the same endpoint: its rate is not given anew.
    assert!(std::sync::Arc::ptr_eq(
        &kept,
        &server.state.inner.endpoints()["kept"]
    ));

    // Closed for an exchange that was given up: the same sources take again.
    server.state.close_all_but(&[]);
    check("/ingest/v1/kept", &[], 429).await;
    server.state.exchange(before);
    check("/ingest/v1/kept", &[], 204).await;
    check("/roof", &[], 204).await;
}

#[tokio::test]
async fn a_push_that_no_source_claims_is_counted_by_its_path() {
    let server = server(true, limits(), 10).await;
    let get = async |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: meetnet\r\nConnection: close\r\n\r\n");
        server.send(head.as_bytes(), b"").await.status
    };
    // A mistyped name, with a token of which nothing may be seen.
    for path in ["/ingest/v1/opne", "/ingest/v1/opne/s3cret"] {
        assert_eq!(server.post(path, &[JSON], b"{}").await.status, 404);
    }
    // What devices have built in, of formats that no source has.
    for path in [
        "/data/report/",
        "/write?db=city",
        "/airrohr",
        "/v1.1/Observations",
    ] {
        assert_eq!(server.post(path, &[], b"a=1").await.status, 404, "{path}");
    }
    assert_eq!(get("/weather?temp=1").await, 404);
    // A page that a browser asks for is no push, and what a source turns away is counted there.
    assert_eq!(get("/favicon.ico").await, 404);
    assert_eq!(
        server.post("/ingest/v1/airrohr", &[], b"{}").await.status,
        401
    );
    assert_eq!(
        server.post("/ingest/v1/open", &[JSON], b"{}").await.status,
        204
    );

    let mut unclaimed = server.statuses.unclaimed();
    unclaimed.sort_by(|a, b| a.path.cmp(&b.path));
    let counts: Vec<_> = unclaimed
        .iter()
        .map(|pushes| (pushes.path.as_deref().unwrap_or("further"), pushes.total))
        .collect();
    assert_eq!(
        counts,
        [
            ("/airrohr", 1),
            ("/data/report", 1),
            ("/ingest/v1/opne", 1),
            ("/ingest/v1/opne/…", 1),
            ("/v1.1/Observations", 1),
            ("/weather", 1),
            ("/write", 1),
        ]
    );
    assert!(unclaimed[1].reason.contains("the format `ecowitt`"));
    assert!(unclaimed[2].reason.contains("no source of kind `http`"));
    assert!(unclaimed.iter().all(|pushes| pushes.last_at > 0));
}

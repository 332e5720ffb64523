//! Requests as SensorThings clients write them.

use meetnet_model::reject::RejectReason;
use meetnet_model::source::WireFormat;

use super::super::testing::{Server, serving, source};
use super::{is_path, item_count};
use crate::http::PushSource;
use crate::outcomes::{Outcome, OutcomeReject};

const JSON: &str = "Content-Type: application/json";
const BODY: &[u8] = br#"{"result": 21.6, "phenomenonTime": "2026-06-01T11:00:00Z"}"#;

fn accepted(rows: u64) -> Outcome {
    Outcome {
        accepted: rows,
        ..Outcome::default()
    }
}

fn reject(item: Option<u32>) -> OutcomeReject {
    OutcomeReject {
        reason: RejectReason::WrongType,
        message: "the value at `1` is not a number".to_owned(),
        item,
    }
}

async fn server() -> Server {
    serving(vec![source("city", WireFormat::SensorThings)]).await
}

#[tokio::test]
async fn an_observation_is_created_and_its_path_is_journalled() {
    let server = server().await;
    for (at, path) in [
        "/v1.1/Observations",
        "/v1.1/Datastreams(1)/Observations",
        "/v1.0/Datastreams('a')/Observations",
    ]
    .into_iter()
    .enumerate()
    {
        server.decode_next(accepted(1));
        let reply = server.post(path, &[JSON], BODY).await;
        assert_eq!((reply.status, reply.body.as_str()), (201, ""), "{path}");
        let location = format!("location: /v1.1/observations({}0000000)", at + 1);
        assert!(reply.headers.contains(&location), "{}", reply.headers);
        let taken = &server.sink.taken()[at];
        assert_eq!(
            (taken.topic.as_str(), taken.payload.as_slice()),
            (path, BODY)
        );
    }
}

#[tokio::test]
async fn the_service_root_says_what_can_be_created() {
    let server = server().await;
    for (path, proxy, url) in [
        ("/v1.1", "", "http://city.example:8081/v1.1/Observations"),
        (
            "/v1.0/",
            "X-Forwarded-Proto: https\r\n",
            "https://city.example:8081/v1.0/Observations",
        ),
    ] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: city.example:8081\r\n{proxy}Connection: close\r\n\r\n"
        );
        let reply = server.send(head.as_bytes(), b"").await;
        assert_eq!(reply.status, 200, "{path}");
        let expected = format!(r#""value":[{{"name":"Observations","url":"{url}"}}]"#);
        assert!(reply.body.contains(&expected), "{}", reply.body);
    }
    assert_eq!(server.sink.taken(), []);
}

#[tokio::test]
async fn what_is_no_observation_is_told_why() {
    let server = server().await;
    server.decode_next(Outcome {
        rejects: vec![reject(Some(0))],
        ..Outcome::default()
    });
    let reply = server.post("/v1.1/Observations", &[JSON], BODY).await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.body,
        r#"{"code":400,"message":"the value at `1` is not a number (kept as message 1 of the journal)","type":"error"}"#
    );
    // A stored row with a remark is a stored row.
    server.decode_next(Outcome {
        rejects: vec![reject(None)],
        ..accepted(1)
    });
    assert_eq!(
        server
            .post("/v1.1/Observations", &[JSON], BODY)
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn each_row_of_a_data_array_is_answered() {
    let server = server().await;
    let body =
        br#"[{"Datastream": {"@iot.id": 1}, "components": ["result"], "dataArray": [[1], ["x"]]},
        {"Datastream": {"@iot.id": 2}, "components": ["result"], "dataArray": [[3]]}]"#;
    server.decode_next(Outcome {
        rejects: vec![reject(Some(1))],
        ..accepted(2)
    });
    let reply = server.post("/v1.1/CreateObservations", &[JSON], body).await;
    assert_eq!(reply.status, 201);
    assert_eq!(
        reply.body,
        r#"["/v1.1/Observations(10000000)","error","/v1.1/Observations(10000002)"]"#
    );
    // All of them wrong is an answer, too; what is not listed is told as not stored.
    server.decode_next(Outcome {
        rejects: vec![reject(Some(0))],
        unlisted: 1,
        ..accepted(1)
    });
    let reply = server.post("/v1.1/CreateObservations", &[JSON], body).await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (201, r#"["error","error","error"]"#)
    );
    server.decode_next(Outcome {
        rejects: vec![reject(None)],
        ..Outcome::default()
    });
    let reply = server
        .post("/v1.1/CreateObservations", &[JSON], b"[{\"dataArray\":")
        .await;
    assert_eq!(reply.status, 400, "{}", reply.body);
}

#[tokio::test]
async fn credentials_choose_the_source() {
    let open = |id: &str, token: &str| PushSource {
        token: Some(token.to_owned()),
        ..source(id, WireFormat::SensorThings)
    };
    let server = serving(vec![open("a", "one"), open("b", "two")]).await;
    let bearer = "Authorization: Bearer two";
    server.decode_next(accepted(1));
    assert_eq!(
        server
            .post("/v1.1/Observations", &[JSON, bearer], BODY)
            .await
            .status,
        201
    );
    assert_eq!(server.sink.taken()[0].source, "b");
    server.decode_next(accepted(1));
    let reply = server
        .post("/v1.1/Observations?token=one", &[JSON], BODY)
        .await;
    assert_eq!(
        (reply.status, server.sink.taken()[1].source.as_str()),
        (201, "a")
    );
    assert!(!server.journalled().contains("token"));
    let reply = server.post("/v1.1/Observations", &[JSON], BODY).await;
    assert_eq!(reply.status, 401);
    assert!(
        reply.headers.contains("www-authenticate: basic"),
        "{}",
        reply.headers
    );
    let none = serving(vec![source("json", WireFormat::Json)]).await;
    assert_eq!(
        none.post("/v1.1/Observations", &[JSON], BODY).await.status,
        404
    );
}

#[test]
fn rows_are_counted_as_the_decoder_numbers_them() {
    for (body, expect) in [
        (
            r#"[{"dataArray": [[1], [2]]}, {"dataArray": []}, {"dataArray": 5}, {"result": 1}, 7]"#,
            Some(5),
        ),
        (r#"{"dataArray": [[1], [2]]}"#, Some(2)),
        (r#"{"result": 1}"#, Some(1)),
        ("[]", Some(0)),
        ("5", None),
        ("[", None),
        ("", None),
    ] {
        assert_eq!(item_count(body.as_bytes()), expect, "{body}");
    }
}

#[test]
fn the_paths_of_the_standard_are_fixed() {
    for path in [
        "/v1.1/Observations",
        "/v1.0/Datastreams(1)/Observations",
        "/v1.1/CreateObservations",
        "/v1.1",
        "/v1.0/",
    ] {
        assert!(is_path(path), "{path}");
    }
    for path in ["/v1.1/Things", "/v2/Observations", "/Observations", "/v1"] {
        assert!(!is_path(path), "{path}");
    }
}

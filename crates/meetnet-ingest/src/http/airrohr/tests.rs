//! Requests as the firmware writes them.

use meetnet_model::reject::RejectReason;
use meetnet_model::source::WireFormat;

use super::super::testing::{serving, source};
use crate::http::PushSource;
use crate::outcomes::{Outcome, OutcomeReject};

const BODY: &str = r#"{"software_version":"NRZ-2024-135","sensordatavalues":[{"value_type":"P1","value":"1.87"}]}"#;

fn good() -> Outcome {
    Outcome {
        accepted: 1,
        ..Outcome::default()
    }
}

#[tokio::test]
async fn one_sensor_per_post_is_created() {
    let server = serving(vec![source("boxes", WireFormat::Airrohr)]).await;
    let headers = [
        "User-Agent: NRZ-2024-135/esp8266-1234567/aabbccddeeff",
        "Content-Type: application/json",
        "X-Sensor: esp8266-1234567",
        "X-MAC-ID: esp8266-aabbccddeeff",
        "X-PIN: 1",
    ];
    server.decode_next(good());
    let reply = server
        .post("/v1/push-sensor-data/", &headers, BODY.as_bytes())
        .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let taken = &server.sink.taken()[0];
    assert_eq!(taken.topic, "/v1/push-sensor-data/");
    let meta: Vec<(&str, &str)> = taken
        .meta
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        meta,
        [
            ("content-type", "application/json"),
            ("x-sensor", "esp8266-1234567"),
            ("x-pin", "1")
        ]
    );
    assert!(!server.journalled().contains("aabbcc"));

    let reject = OutcomeReject {
        reason: RejectReason::NoMappedValue,
        message: "1 value type(s) not known".to_owned(),
        item: None,
    };
    let with_unknown = Outcome {
        rejects: vec![reject.clone()],
        ..good()
    };
    server.decode_next(with_unknown);
    assert_eq!(
        server
            .post("/v1/push-sensor-data", &headers, BODY.as_bytes())
            .await
            .status,
        201
    );
    server.decode_next(Outcome {
        rejects: vec![reject],
        ..Outcome::default()
    });
    assert_eq!(
        server
            .post(
                "/v1/push-sensor-data/",
                &headers,
                b"{\"sensordatavalues\":[]}"
            )
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn the_own_api_finds_its_source() {
    let boxes = PushSource {
        token: Some("s3cret".to_owned()),
        ..source("boxes", WireFormat::Airrohr)
    };
    let server = serving(vec![boxes, source("json", WireFormat::Json)]).await;
    server.decode_next(good());
    // Basic, as the firmware sends what is set for the own API.
    let basic = "Authorization: Basic ZGV2aWNlOnMzY3JldA==";
    let reply = server.post("/airrohr", &[basic], BODY.as_bytes()).await;
    assert_eq!(reply.status, 204);
    assert_eq!(server.sink.taken()[0].source, "boxes");
    assert_eq!(server.sink.taken()[0].topic, "/airrohr");
    assert_eq!(
        server.post("/airrohr", &[], BODY.as_bytes()).await.status,
        401
    );
    let get = "GET /airrohr HTTP/1.1\r\nHost: meetnet\r\nConnection: close\r\n\r\n";
    assert_eq!(server.send(get.as_bytes(), b"").await.status, 405);
}

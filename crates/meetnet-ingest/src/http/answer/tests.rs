use axum::body::to_bytes;
use axum::http::header;
use axum::response::IntoResponse;
use meetnet_model::reject::RejectReason;
use serde_json::Value;

use super::{Answer, ERRORS_NAMED_MAX};
use crate::outcomes::{Outcome, OutcomeReject};

#[tokio::test]
async fn rejected_rows_are_counted_in_full_and_named_in_part() {
    let rejects = (0..50)
        .map(|row| OutcomeReject {
            reason: RejectReason::BadTime,
            message: format!("row {row}"),
            item: Some(row),
        })
        .collect();
    let response = Answer::Decoded(Outcome {
        accepted: 7,
        rejects,
        unlisted: 1_000,
    })
    .into_response();
    assert_eq!(response.status(), 400);
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/problem+json"
    );
    let body: Value =
        serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
    assert_eq!(
        (&body["accepted"], &body["rejected"]),
        (&Value::from(7), &Value::from(1_050))
    );
    assert_eq!(body["errors"].as_array().unwrap().len(), ERRORS_NAMED_MAX);
    assert_eq!(body["errors"][0]["reason"], "bad_time");
    assert_eq!(body["errors"][3]["item"], 3);
    assert_eq!(body["status"], 400);
}

#[tokio::test]
async fn who_sent_nothing_good_is_not_told_that_something_is_stored() {
    let said = async |accepted| {
        let reject = OutcomeReject {
            reason: RejectReason::Malformed,
            message: "the line is not UTF-8".to_owned(),
            item: Some(0),
        };
        let outcome = Outcome {
            accepted,
            rejects: vec![reject],
            unlisted: 0,
        };
        let response = Answer::Decoded(outcome).into_response();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert!(said(1).await.contains("the good rows are stored"));
    let nothing = said(0).await;
    assert!(
        !nothing.contains("stored") && nothing.contains("send it again"),
        "{nothing}"
    );
}

#[test]
fn answers_say_when_to_come_back() {
    let later = Answer::NotJournalled {
        detail: "full".to_owned(),
    }
    .into_response();
    assert_eq!(
        (
            later.status().as_u16(),
            later.headers()[header::RETRY_AFTER].to_str().unwrap()
        ),
        (503, "5")
    );
    let busy = Answer::Busy {
        retry_after_s: 3,
        detail: "rate",
    }
    .into_response();
    assert_eq!(
        (
            busy.status().as_u16(),
            busy.headers()[header::RETRY_AFTER].to_str().unwrap()
        ),
        (429, "3")
    );
    let unauthorised = Answer::Unauthorised.into_response();
    assert!(
        unauthorised.headers()[header::WWW_AUTHENTICATE]
            .to_str()
            .unwrap()
            .starts_with("Bearer")
    );
}

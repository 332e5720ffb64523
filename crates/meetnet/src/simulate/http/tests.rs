use std::io::Read as _;

use super::*;

fn answered(status: u16, body: &str) -> Delivery {
    judged(
        StatusCode::from_u16(status).expect("a status"),
        body.as_bytes(),
    )
}

#[test]
fn answers_say_what_became_of_a_message() {
    let kept = [
        r#"{"title": "some rows were not taken", "status": 400, "accepted": 3, "rejected": 1}"#,
        r#"{"error": "partial write: unable to parse 'a': missing fields dropped=1"}"#,
        r#"{"code": "invalid", "message": "unable to parse 'a': missing fields"}"#,
        r#"{"code": 400, "type": "error", "message": "not JSON (kept as message 7 of the journal)"}"#,
    ];
    for body in kept {
        assert_eq!(answered(400, body), Delivery::Acknowledged, "{body}");
    }
    let check = |status: u16, body: &str, expected: fn(String) -> Delivery, words: &str| {
        let delivery = answered(status, body);
        let (Delivery::InDoubt(said) | Delivery::Refused(said) | Delivery::Denied(said)) =
            &delivery
        else {
            panic!("{delivery:?}")
        };
        assert_eq!(delivery, expected(said.clone()), "{status}");
        assert!(said.contains(words), "{said}");
    };
    let gone = r#"{"title": "unknown source", "detail": "no source of kind `http` has this name"}"#;
    check(404, gone, Delivery::Denied, "no source of kind `http`");
    check(404, gone, Delivery::Denied, "--print-config");
    check(401, "{}", Delivery::Denied, "--token-env");
    check(
        401,
        "INVALIDPASSWORDID|x\n",
        Delivery::Denied,
        "INVALIDPASSWORDID",
    );
    let broken =
        r#"{"title": "broken body", "detail": "the body ended early; nothing was stored"}"#;
    check(400, broken, Delivery::Refused, "nothing was stored");
    check(413, "{}", Delivery::Refused, "413");
    check(429, "{}", Delivery::Refused, "429");
    check(503, "{}", Delivery::InDoubt, "503");
    check(408, "", Delivery::InDoubt, "408");
}

#[test]
fn a_compressed_body_is_the_body() {
    let body = b"weather,station=a temp=1\n".repeat(100);
    let sent = compressed(&body);
    assert!(sent.len() < body.len());
    let mut read = Vec::new();
    flate2::read::GzDecoder::new(&sent[..])
        .read_to_end(&mut read)
        .expect("gzip");
    assert_eq!(read, body);
}

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use super::*;
use crate::fixture::{self, Answer, request};

const ORDERED: &str = "/api/v1/sql?q=SELECT+property,+value+FROM+heat+ORDER+BY+property";

async fn ask(path: &str, headers: &[(&str, &str)]) -> Answer {
    fixture::get_with(fixture::router(), path, headers).await
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let router = fixture::router();
    let first = fixture::get(router.clone(), ORDERED).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
    assert_eq!(first.header("cache-control"), "public, no-cache");
    let weak = format!("W/{tag}");
    let several = format!("\"x\", {tag}");
    // From what is kept, and made anew.
    for router in [router, fixture::router()] {
        for (known, status) in [
            (tag.as_str(), StatusCode::NOT_MODIFIED),
            (weak.as_str(), StatusCode::NOT_MODIFIED),
            (several.as_str(), StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"x\"", StatusCode::OK),
        ] {
            let headers = [("if-none-match", known)];
            let answer = fixture::get_with(router.clone(), ORDERED, &headers).await;
            assert_eq!(answer.status, status, "{known}");
            assert_eq!(answer.header("etag"), tag, "{known}");
            // A shared cache must not give one the answer that the limits of another have cut.
            let varies = "Accept, Accept-Encoding, Authorization";
            assert_eq!(answer.header("vary"), varies, "{known}");
            let is_sent = status == StatusCode::OK;
            assert_eq!(!answer.body.is_empty(), is_sent, "{known}");
            assert_eq!(
                !answer.header("content-type").is_empty(),
                is_sent,
                "{known}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_changes_by_itself_has_no_tag() {
    for sql in [
        "SELECT+now()+FROM+heat",
        "SELECT+1",
        "EXPLAIN+SELECT+value+FROM+heat",
    ] {
        let answer = ask(&format!("/api/v1/sql?q={sql}"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.header("etag"), "", "{sql}");
        assert_eq!(answer.header("link"), "", "{sql}");
        assert_eq!(answer.header("cache-control"), "no-store", "{sql}");
    }
}

#[tokio::test]
async fn every_question_has_its_own_tag() {
    let mut tags = BTreeSet::new();
    let mut questions = 0;
    for path in [
        ORDERED.to_owned(),
        format!("{ORDERED}&format=csv"),
        format!("{ORDERED}&format=ndjson"),
        format!("{ORDERED}&as_of=2026-11-22T02:46:00Z"),
        format!("{ORDERED}&as_of=2026-11-22T02:46:01Z"),
        format!("{ORDERED}&licence=CC-BY-4.0"),
        "/api/v1/sql?q=SELECT+$1+FROM+heat&param_1=a".to_owned(),
        "/api/v1/sql?q=SELECT+$1+FROM+heat&param_1=b".to_owned(),
        "/api/v1/sql?q=SELECT+$a+FROM+heat&param_a=b".to_owned(),
    ] {
        for coding in ["identity", "gzip", "zstd"] {
            let answer = ask(&path, &[("accept-encoding", coding)]).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
            tags.insert(answer.header("etag").to_owned());
            questions += 1;
        }
    }
    assert_eq!(tags.len(), questions);
}

async fn bytes(path: &str, coding: &str) -> (HeaderMap, Bytes) {
    let request = request("GET", path, &[("accept-encoding", coding)], Body::empty());
    let response = fixture::router().oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.expect("a whole body");
    (parts.headers, bytes)
}

#[tokio::test]
async fn an_answer_is_coded_and_proves_that_it_is_complete() {
    use std::io::Read;
    let large = "/api/v1/sql?format=csv&q=SELECT+time,+repeat('x',+2000)+AS+x+FROM+heat";
    let plain = bytes(large, "identity").await.1;
    for (path, accept, coding) in [
        (large, "gzip", "gzip"),
        (large, "gzip, zstd", "zstd"),
        (large, "br", ""),
        ("/api/v1/sql?format=csv&q=SELECT+time+FROM+heat", "gzip", ""),
        (
            "/api/v1/sql?format=parquet&q=SELECT+time+FROM+heat",
            "gzip, zstd",
            "",
        ),
    ] {
        let (headers, sent) = bytes(path, accept).await;
        let header = |name: &str| headers.get(name).map(|value| value.to_str().expect("text"));
        assert_eq!(
            header("content-encoding").unwrap_or_default(),
            coding,
            "{path}"
        );
        assert_eq!(header("meetnet-rows"), Some("2"), "{path}");
        assert_eq!(header("meetnet-truncated"), Some("false"), "{path}");
        let digest = format!("sha-256=:{}:", BASE64.encode(Sha256::digest(&sent)));
        assert_eq!(header("repr-digest"), Some(digest.as_str()), "{path}");
        let decoded = match coding {
            "gzip" => {
                let mut decoded = Vec::new();
                let mut decoder = flate2::read::GzDecoder::new(&*sent);
                decoder.read_to_end(&mut decoded).expect("gzip");
                decoded
            }
            "zstd" => zstd::decode_all(&*sent).expect("zstd"),
            _ => sent.to_vec(),
        };
        if path == large {
            assert_eq!(decoded, plain);
        }
    }
}

#[tokio::test]
async fn a_long_answer_proves_itself_in_trailers() {
    let path = "/api/v1/sql?format=csv&q=SELECT+heat.value,+repeat('x',+100)+FROM+heat,+generate_series(1,+5000)";
    for (te, expect) in [
        ("trailers", "meetnet-rows, meetnet-truncated, repr-digest"),
        ("", ""),
    ] {
        let answer = ask(path, &[("te", te)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.header("trailer"), expect);
        assert_eq!(answer.header("meetnet-rows"), "");
    }
}

#[tokio::test]
async fn an_answer_says_how_to_cite_it() {
    async fn check(path: &str, expect: &str) {
        let answer = ask(path, &[]).await;
        let link = answer.header("link");
        assert_eq!(link, format!("<{expect}>; rel=\"cite-as\""), "{path}");
        let cited = ask(expect, &[]).await;
        assert_eq!(cited.status, StatusCode::OK, "{}", cited.body);
        assert_eq!(
            cited.header("cache-control"),
            "public, max-age=3600, immutable"
        );
        assert_eq!(cited.json()["rows"], answer.json()["rows"]);
    }
    check(
        "/api/v1/sql?q=SELECT+value+FROM+heat",
        "/api/v1/sql?q=SELECT+value+FROM+heat&format=json&as_of=2026-11-22T02%3A46%3A20Z",
    )
    .await;
    check(
        "/api/v1/sql?q=SELECT+value+FROM+heat+WHERE+property%3D$1&param_1=x%26y&licence=CC-BY-4.0&as_of=2026-11-22T02:46:00Z",
        "/api/v1/sql?q=SELECT+value+FROM+heat+WHERE+property%3D%241&format=json&param_1=x%26y&licence=CC-BY-4.0\
         &as_of=2026-11-22T02%3A46%3A00Z",
    )
    .await;
}

#[tokio::test]
async fn a_cut_answer_says_so() {
    let query = "q=SELECT+1+FROM+generate_series(1,+1000001)";
    let answer = ask(&format!("/api/v1/sql?format=json&{query}"), &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("\"row_count\":1000000,"));
    assert!(answer.body.contains("\"truncated\":true"));
}

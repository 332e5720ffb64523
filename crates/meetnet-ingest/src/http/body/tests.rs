use std::io::Write;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;

use super::{BodyError, BodyMemory, Encoding, encoding_of, read, time_for};
use crate::http::PushLimits;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn headers(encoding: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_ENCODING,
        HeaderValue::from_str(encoding).unwrap(),
    );
    headers
}

#[test]
fn encodings() {
    let check = |value: &str, expect: Option<Encoding>| {
        assert_eq!(encoding_of(&headers(value)).ok(), expect, "{value}");
    };
    check("", Some(Encoding::Identity));
    check("identity", Some(Encoding::Identity));
    check("GZIP", Some(Encoding::Gzip));
    check("x-gzip", Some(Encoding::Gzip));
    check("br", None);
    check("gzip, gzip", None);
    check("gzip, br", None);
}

#[test]
fn a_body_has_more_time_the_more_of_it_has_come() {
    let limits = PushLimits {
        body_wait: Duration::from_secs(30),
        body_bytes_per_second_min: 1000,
        ..PushLimits::default()
    };
    let check = |bytes: usize, seconds: u64| {
        assert_eq!(
            time_for(bytes, &limits),
            Duration::from_secs(seconds),
            "{bytes}"
        );
    };
    check(0, 10);
    check(999, 10);
    check(3_000, 13);
    check(20_000, 30);
    check(usize::MAX, 30);
}

/// Who sends a byte now and then is not served for half a minute.
#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let limits = PushLimits {
        body_wait: Duration::from_millis(50),
        ..PushLimits::default()
    };
    let memory = BodyMemory::default();
    let mut share = memory.share(limits.bodies_bytes_max);
    let first = futures::stream::once(async { Ok::<_, std::io::Error>("{".to_owned()) });
    let stalled = first.chain(futures::stream::pending());
    let body = Body::from_stream(stalled);
    let ended = read(&headers(""), body, &limits, &mut share).await;
    assert_eq!(ended, Err(BodyError::TooSlow));
}

#[tokio::test]
async fn bodies_within_and_beyond_their_limits() {
    let limits = PushLimits {
        body_bytes_max: 1_000,
        inflated_bytes_max: 2_000,
        bodies_bytes_max: 5_000,
        ..PushLimits::default()
    };
    let memory = BodyMemory::default();
    let check = async |encoding: &str, sent: Vec<u8>, expect: Result<usize, BodyError>| {
        let mut share = memory.share(limits.bodies_bytes_max);
        let body = read(&headers(encoding), Body::from(sent), &limits, &mut share).await;
        assert_eq!(body.map(|bytes| bytes.len()), expect);
    };
    let too_large = |what, bytes_max| Err(BodyError::TooLarge { what, bytes_max });
    check("", vec![1; 1_000], Ok(1_000)).await;
    check("", vec![1; 1_001], too_large("body", 1_000)).await;
    check("gzip", gzip(&[1; 2_000]), Ok(2_000)).await;
    check("gzip", gzip(&[1; 2_001]), too_large("inflated body", 2_000)).await;
    check(
        "gzip",
        gzip(&vec![0; 50_000]),
        too_large("inflated body", 2_000),
    )
    .await;
    check("gzip", b"no gzip at all".to_vec(), Err(BodyError::BadGzip)).await;
    let mut cut = gzip(b"{\"a\": 1}");
    cut.truncate(cut.len() - 4);
    check("gzip", cut, Err(BodyError::BadGzip)).await;

    let mut other = memory.share(limits.bodies_bytes_max);
    other.grow(4_500).unwrap();
    check("", vec![1; 1_000], Err(BodyError::NoRoom)).await;
    drop(other);
    check("", vec![1; 1_000], Ok(1_000)).await;
}

use axum::body::to_bytes;
use futures::stream;
use meetnet_query::QueryErrorKind;

use super::*;

fn chunk(bytes: usize) -> Result<Bytes, QueryError> {
    Ok(Bytes::from(vec![b'x'; bytes]))
}

fn failure() -> Result<Bytes, QueryError> {
    Err(QueryError::new(QueryErrorKind::TooLarge, "out of memory"))
}

#[tokio::test]
async fn a_small_answer_has_its_length() {
    use axum::body::HttpBody;
    let body = from_chunks(stream::iter([chunk(10), chunk(20)]))
        .await
        .expect("no error");
    assert_eq!(body.size_hint().exact(), Some(30));
}

#[tokio::test]
async fn a_large_answer_streams_whole() {
    let chunks = stream::iter((0..100).map(|_| chunk(10_000)));
    let body = from_chunks(chunks).await.expect("no error");
    let bytes = to_bytes(body, usize::MAX).await.expect("a whole body");
    assert_eq!(bytes.len(), 1_000_000);
}

#[tokio::test]
async fn an_early_error_is_an_error() {
    let error = from_chunks(stream::iter([chunk(10), failure()]))
        .await
        .expect_err("it failed");
    assert_eq!(error.kind, QueryErrorKind::TooLarge);
}

#[tokio::test]
async fn a_late_error_breaks_the_body() {
    let chunks = stream::iter([chunk(HELD_BYTES_MIN), chunk(10), failure()]);
    let body = from_chunks(chunks).await.expect("the first part is good");
    to_bytes(body, usize::MAX)
        .await
        .expect_err("the body must not look complete");
}

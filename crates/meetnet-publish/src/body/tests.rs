use axum::body::{HttpBody, to_bytes};
use futures::stream;
use meetnet_query::QueryErrorKind;

use super::*;

fn chunk(bytes: usize) -> Result<Bytes, QueryError> {
    Ok(Bytes::from(vec![b'x'; bytes]))
}

fn failure() -> Result<Bytes, QueryError> {
    Err(QueryError::new(QueryErrorKind::TooLarge, "out of memory"))
}

fn delivery(coding: Coding, has_trailers: bool) -> Delivery {
    Delivery {
        coding,
        tally: Tally::default(),
        has_trailers,
        recording: None,
    }
}

async fn streamed<S>(chunks: S, delivery: Delivery) -> Body
where
    S: Stream<Item = Result<Bytes, QueryError>> + Send + 'static,
{
    match deliver(chunks, delivery).await.expect("no error") {
        Delivered::Streamed(body) => body,
        Delivered::Whole { .. } => panic!("the answer is larger than what is held back"),
    }
}

#[tokio::test]
async fn a_small_answer_is_known_whole() {
    let chunks = stream::iter([chunk(1000), chunk(2000)]);
    let delivered = deliver(chunks, delivery(Coding::Gzip, false)).await;
    let Delivered::Whole {
        bytes,
        coding,
        proof,
    } = delivered.expect("no error")
    else {
        panic!("a small answer is not streamed");
    };
    assert_eq!(coding, Coding::Gzip);
    assert!(bytes.len() < 100);
    assert_eq!(proof, Proof::of(&Tally::default(), &bytes));
}

#[tokio::test]
async fn a_large_answer_streams_whole_with_its_proof() {
    for (coding, has_trailers) in [
        (Coding::Identity, false),
        (Coding::Identity, true),
        (Coding::Zstd, true),
    ] {
        let chunks = stream::iter((0..100).map(|_| chunk(10_000)));
        let mut body = streamed(chunks, delivery(coding, has_trailers)).await;
        let (mut bytes, mut trailers) = (Vec::new(), None);
        while let Some(frame) =
            std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            match frame.expect("a frame").into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        let mut expect = HeaderMap::new();
        Proof::of(&Tally::default(), &bytes).write(&mut expect);
        assert_eq!(trailers, has_trailers.then_some(expect), "{coding:?}");
        let plain = match coding {
            Coding::Zstd => zstd::decode_all(bytes.as_slice()).expect("zstd"),
            _ => bytes,
        };
        assert_eq!(plain.len(), 1_000_000, "{coding:?}");
    }
}

#[tokio::test]
async fn an_early_error_is_an_error() {
    let chunks = stream::iter([chunk(10), failure()]);
    let delivered = deliver(chunks, delivery(Coding::Zstd, true)).await;
    let error = delivered.err().expect("it failed");
    assert_eq!(error.kind, QueryErrorKind::TooLarge);
}

#[tokio::test]
async fn a_late_error_breaks_the_body() {
    for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
        let chunks = stream::iter([chunk(HELD_BYTES_MIN), chunk(10), failure()]);
        let body = streamed(chunks, delivery(coding, true)).await;
        to_bytes(body, usize::MAX)
            .await
            .expect_err("the body must not look complete");
    }
}

/// However slow the client, at most one chunk waits for it, and nothing is made once it has gone.
#[tokio::test]
async fn nothing_runs_ahead_of_the_client() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    for coding in [Coding::Identity, Coding::Gzip] {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let chunks = stream::iter((0..100).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            chunk(HELD_BYTES_MIN)
        }));
        let mut body = streamed(chunks, delivery(coding, true)).await;
        assert_eq!(made.load(Ordering::Relaxed), 1, "{coding:?}");
        let first = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        assert!(first.is_some_and(|frame| frame.is_ok()), "{coding:?}");
        // A coder of bytes that are all the same takes many chunks before it gives any.
        let before = made.load(Ordering::Relaxed);
        assert!(coding != Coding::Identity || before <= 2, "{before}");
        drop(body);
        tokio::task::yield_now().await;
        assert_eq!(made.load(Ordering::Relaxed), before, "{coding:?}");
    }
}

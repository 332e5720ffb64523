//! Answer bodies that stream, and never look complete when they are not.
//!
//! ```text
//! query chunks -> first 64 KiB held here -> all of it?  yes: a body with Content-Length, its proof in headers
//!                                                       no:  coded and hashed chunk by chunk, its proof in trailers
//! ```
//!
//! Holding the first chunks back gives an error in them its own status, and small answers their length. An error after
//! that cuts the connection without the closing chunk. Nothing runs ahead of the client: a chunk is asked for when the
//! one before is on its way, and a dropped body drops the query.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use hyper::body::Frame;
use meetnet_query::{QueryError, QueryErrorKind, Tally};
use sha2::{Digest, Sha256};
use tracing::{debug, warn};

use crate::coding::{Coder, Coding};
use crate::proof::Proof;
use crate::results::Recording;
use crate::telemetry;

#[cfg(test)]
mod tests;

/// Bytes held back before the head of the answer is sent.
const HELD_BYTES_MIN: usize = 64 * 1024;

/// How an answer is sent.
pub(crate) struct Delivery {
    pub(crate) coding: Coding,
    /// Counts the rows.
    pub(crate) tally: Tally,
    /// The client reads trailers.
    pub(crate) has_trailers: bool,
    /// Keeps the answer for those who ask next.
    pub(crate) recording: Option<Recording>,
}

/// A body, and what is known of it before its head is sent.
pub(crate) enum Delivered {
    /// All of it.
    Whole {
        bytes: Bytes,
        coding: Coding,
        proof: Proof,
    },
    /// How it goes on shows while it is sent.
    Streamed(Body),
}

/// Returns no body, as a stream: an empty one would claim a length of 0.
pub(crate) fn none() -> Body {
    Body::from_stream(stream::empty::<Result<Bytes, Infallible>>())
}

/// Makes the body of an encoded answer.
///
/// # Errors
/// The error of the query, where it comes before the head of the answer is sent.
pub(crate) async fn deliver<S>(chunks: S, delivery: Delivery) -> Result<Delivered, QueryError>
where
    S: Stream<Item = Result<Bytes, QueryError>> + Send + 'static,
{
    let mut chunks = Box::pin(chunks);
    let mut held = BytesMut::new();
    while held.len() < HELD_BYTES_MIN {
        match chunks.next().await {
            Some(chunk) => held.extend_from_slice(&chunk?),
            None => return whole(held.freeze(), delivery),
        }
    }
    let rest = chunks.inspect(|chunk| {
        if let Err(error) = chunk {
            // What passes a limit is the client's own doing, and anybody's: it is counted, and fills no log.
            if error.kind == QueryErrorKind::Internal {
                warn!(%error, "failed to answer a query after its first bytes; cut the connection");
            } else {
                debug!(%error, "cut the answer of a query off after its first bytes");
            }
            telemetry::body_aborted();
        }
    });
    let first = stream::once(std::future::ready(Ok(held.freeze())));
    let has_proof = delivery.has_trailers || delivery.recording.is_some();
    let sending = Sending {
        chunks: first.chain(rest).boxed(),
        coder: Coder::new(delivery.coding).map_err(failed)?,
        hash: has_proof.then(Sha256::new),
        delivery,
    };
    let frames = stream::try_unfold(Step::Rows(Box::new(sending)), step);
    Ok(Delivered::Streamed(Body::new(Frames(frames.boxed()))))
}

fn whole(bytes: Bytes, delivery: Delivery) -> Result<Delivered, QueryError> {
    let (bytes, coding) = delivery.coding.encode(bytes).map_err(failed)?;
    let proof = Proof::of(&delivery.tally, &bytes);
    if let Some(mut recording) = delivery.recording
        && recording.add(&bytes)
    {
        recording.keep(coding, proof.clone());
    }
    Ok(Delivered::Whole {
        bytes,
        coding,
        proof,
    })
}

/// An answer of which a part has been sent.
struct Sending {
    chunks: BoxStream<'static, Result<Bytes, QueryError>>,
    coder: Coder,
    hash: Option<Sha256>,
    delivery: Delivery,
}

impl Sending {
    /// Takes note of bytes that leave.
    fn note(&mut self, bytes: &Bytes) {
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        let recording = &mut self.delivery.recording;
        if recording
            .as_mut()
            .is_some_and(|recording| !recording.add(bytes))
        {
            *recording = None;
        }
    }

    /// Returns the proof as trailers, where somebody reads it.
    fn end(self) -> Option<HeaderMap> {
        let proof = Proof::new(&self.delivery.tally, self.hash?);
        let mut trailers = HeaderMap::new();
        proof.write(&mut trailers);
        if let Some(recording) = self.delivery.recording {
            recording.keep(self.delivery.coding, proof);
        }
        self.delivery.has_trailers.then_some(trailers)
    }
}

enum Step {
    Rows(Box<Sending>),
    Trailers(Option<HeaderMap>),
}

async fn step(step: Step) -> Result<Option<(Frame<Bytes>, Step)>, QueryError> {
    let mut sending = match step {
        Step::Rows(sending) => sending,
        Step::Trailers(trailers) => {
            return Ok(trailers.map(|trailers| (Frame::trailers(trailers), Step::Trailers(None))));
        }
    };
    while let Some(chunk) = sending.chunks.next().await {
        let bytes = sending.coder.push(chunk?).map_err(failed)?;
        // A coder gathers before it gives.
        if !bytes.is_empty() {
            sending.note(&bytes);
            return Ok(Some((Frame::data(bytes), Step::Rows(sending))));
        }
    }
    let coder = std::mem::replace(&mut sending.coder, Coder::Identity);
    let last = coder.finish().map_err(failed)?;
    sending.note(&last);
    let trailers = sending.end();
    if last.is_empty() {
        return Ok(trailers.map(|trailers| (Frame::trailers(trailers), Step::Trailers(None))));
    }
    Ok(Some((Frame::data(last), Step::Trailers(trailers))))
}

fn failed(error: std::io::Error) -> QueryError {
    QueryError::internal("compressing the answer", error)
}

/// A stream of frames as a body.
struct Frames(BoxStream<'static, Result<Frame<Bytes>, QueryError>>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = QueryError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, QueryError>>> {
        self.get_mut().0.as_mut().poll_next(context)
    }
}

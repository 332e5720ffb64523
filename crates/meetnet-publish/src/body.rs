//! Answer bodies that stream, and never look complete when they are not.
//!
//! ```text
//! query chunks -> first 64 KiB held here -> all of it?  yes: a body with Content-Length
//!                                                       no:  the held part, then chunk by chunk
//! ```
//!
//! Holding the first chunks back gives an error in them its own status, and small answers their length. An error after
//! that cuts the connection without the closing chunk. Nothing runs ahead of the client: a chunk is asked for when the
//! one before is on its way, and a dropped body drops the query.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use meetnet_query::QueryError;
use tracing::warn;

use crate::telemetry;

#[cfg(test)]
mod tests;

/// Bytes held back before the head of the answer is sent.
const HELD_BYTES_MIN: usize = 64 * 1024;

/// Returns the body for an encoded answer.
///
/// # Errors
/// The error of the query, where it comes before the head of the answer is sent.
pub(crate) async fn from_chunks<S>(chunks: S) -> Result<Body, QueryError>
where
    S: Stream<Item = Result<Bytes, QueryError>> + Send + 'static,
{
    let mut chunks = Box::pin(chunks);
    let mut held = BytesMut::new();
    while held.len() < HELD_BYTES_MIN {
        match chunks.next().await {
            Some(chunk) => held.extend_from_slice(&chunk?),
            None => return Ok(Body::from(held.freeze())),
        }
    }
    let rest = chunks.inspect(|chunk| {
        if let Err(error) = chunk {
            warn!(%error, "failed to answer a query after its first bytes; cut the connection");
            telemetry::body_aborted();
        }
    });
    let first = stream::once(std::future::ready(Ok(held.freeze())));
    Ok(Body::from_stream(first.chain(rest)))
}

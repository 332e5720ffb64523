//! What goes over the admin socket: one JSON value per line. The client sends one [`Ask`]; the daemon answers with any
//! number of [`Reply::Progress`] and one other reply, and hangs up.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Outcome;

/// Version of the exchange: a daemon answers one only.
pub(super) const VERSION: u32 = 1;
/// Longest request, bytes.
pub(super) const REQUEST_BYTES_MAX: u64 = 64 << 10;
/// Longest reply, bytes: reports name what they found.
pub(super) const REPLY_BYTES_MAX: u64 = 16 << 20;

/// A request and the version it is written in, which is looked at first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) version: u32,
    pub(super) request: Value,
}

/// One line of an answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// It goes on.
    Progress(String),
    /// It is done.
    Done(Outcome),
    /// It was refused or failed.
    Failed(Refusal),
}

/// Why it was not done.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// Whether what was asked for is wrong (exit code 2), or the work failed (1).
    pub(super) is_usage: bool,
    /// For the person who asked.
    pub(super) message: String,
}

/// Sends one value.
pub(super) async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    value: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::other)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

/// Receives one value of at most `bytes_max`; None where the other side has hung up.
pub(super) async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
    bytes_max: u64,
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    match from.take(bytes_max).read_until(b'\n', &mut line).await {
        // A process that was killed, or crashed, with something of ours unread.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        read => {
            read?;
        }
    }
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        let message = format!("a line broke off, or is longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

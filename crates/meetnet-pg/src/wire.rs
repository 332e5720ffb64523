//! One connection's bytes: frames in, messages out, with limits on both.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use meetnet_model::licence::Rights;
use meetnet_query::QueryAnswer;
use meetnet_query::encode::format_time;
use pgwire::messages::Message;
use pgwire::messages::response::NoticeResponse;
use pgwire::messages::startup::ParameterStatus;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::error::PgError;
use crate::frontend::{self, Frontend, Opening};
use crate::options::PgLimits;

/// From this many bytes on, what is to be sent is sent.
const SEND_BYTES: usize = 32 * 1024;
const READ_BYTES: usize = 8 * 1024;
/// Length of a first message, which anybody may send.
const OPENING_BYTES_MAX: usize = 10_000;
/// How long a client may take to take the end of its connection.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// What is read ahead while a statement runs, to see whether the client is still there.
const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The client closed it, or it broke.
    Gone,
    /// The client is told why.
    Told(PgError),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<PgError> for End {
    fn from(error: PgError) -> Self {
        Self::Told(error)
    }
}

/// A stream and what waits on both sides of it.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    limits: PgLimits,
    /// What the client has been told last of what may be done with an answer.
    stated: Rights,
    /// What the client has been told last of how far an answer reaches: the sequence, and its time, µs since 1970 UTC.
    reach: (u64, i64),
}

impl Wire {
    pub(crate) fn new(stream: Box<dyn Stream>, limits: PgLimits) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            limits,
            stated: Rights::default(),
            reach: (0, 0),
        }
    }

    /// Gives the stream back for TLS. None where bytes wait already: they would have come without it, and somebody
    /// between here and the client could have put them there.
    pub(crate) fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.input.is_empty().then_some(self.stream)
    }

    /// Reads the first message.
    pub(crate) async fn opening(&mut self) -> Result<Opening, End> {
        let body = self.frame(0, OPENING_BYTES_MAX).await?;
        Ok(frontend::opening(body)?)
    }

    /// Reads the next message, however long it takes to come.
    pub(crate) async fn message(&mut self) -> Result<Frontend, End> {
        let message_bytes_max = self.limits.message_bytes_max;
        while self.input.is_empty() {
            self.fill().await?;
        }
        let kind = self.input[0];
        // A message that has begun ends soon.
        let body = timeout(self.limits.stall_time_max, self.frame(1, message_bytes_max));
        let body = body
            .await
            .map_err(|_| PgError::protocol("a message did not end in time"))??;
        Ok(frontend::message(kind, body)?)
    }

    /// Reads one frame, whose length stands after `type_bytes`; returns its body.
    async fn frame(&mut self, type_bytes: usize, bytes_max: usize) -> Result<Bytes, End> {
        let header = type_bytes + 4;
        while self.input.len() < header {
            self.fill().await?;
        }
        let mut length = [0; 4];
        length.copy_from_slice(&self.input[type_bytes..header]);
        let length = u32::from_be_bytes(length) as usize;
        if length < 4 || length > bytes_max {
            return Err(PgError::protocol(format!(
                "a message of {length} bytes; at most {bytes_max} are read"
            ))
            .into());
        }
        while self.input.len() < type_bytes + length {
            self.fill().await?;
        }
        self.input.advance(header);
        Ok(self.input.split_to(length - 4).freeze())
    }

    /// Reads what there is. What it had read is kept where it is dropped.
    async fn fill(&mut self) -> Result<(), End> {
        // Without it a read takes 64 bytes.
        self.input.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(End::Gone),
            _ => Ok(()),
        }
    }

    /// Ends when the client has gone away. What it sends meanwhile is kept, up to a limit.
    pub(crate) async fn gone(&mut self) -> End {
        loop {
            if self.input.len() >= AHEAD_BYTES_MAX {
                return std::future::pending().await;
            }
            if let Err(end) = self.fill().await {
                return end;
            }
        }
    }

    /// Puts a message behind those that are to be sent.
    pub(crate) fn put(&mut self, message: &impl Message) -> Result<(), End> {
        message.encode(&mut self.output).map_err(|error| {
            PgError::fatal(crate::error::state::INTERNAL, error.to_string()).into()
        })
    }

    /// Tells the client what may be done with an answer and how far it reaches, where that is another thing than with the one
    /// before. Drivers keep it with what they are told of the server, and nobody has to look at it.
    pub(crate) fn state_answer(&mut self, answer: &QueryAnswer) -> Result<(), End> {
        if self.stated != answer.rights {
            self.put_status("meetnet.answer_licence", &answer.rights.licence_text())?;
            self.put_status(
                "meetnet.answer_attribution",
                &answer.rights.attribution_text(),
            )?;
            self.stated = answer.rights.clone();
        }
        let reach = (answer.through.0, answer.stable_time);
        if self.reach != reach {
            self.put_status("meetnet.answer_through", &reach.0.to_string())?;
            self.put_status("meetnet.answer_stable_time", &format_time(reach.1))?;
            self.reach = reach;
        }
        Ok(())
    }

    fn put_status(&mut self, name: &str, value: &str) -> Result<(), End> {
        // A zero byte would end the text in the middle of the message.
        let value = value.replace('\0', " ");
        self.put(&ParameterStatus::new(name.to_owned(), value))
    }

    /// Tells the client what is no error.
    pub(crate) fn notice(&mut self, message: &str) -> Result<(), End> {
        self.put(&NoticeResponse::new(vec![
            (b'S', "NOTICE".to_owned()),
            (b'V', "NOTICE".to_owned()),
            (b'C', "00000".to_owned()),
            // A zero byte would end the text in the middle of the message.
            (b'M', message.replace('\0', " ")),
        ]))
    }

    /// Where rows are written to directly.
    pub(crate) fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Returns true where what is there is too little to be sent by itself.
    pub(crate) fn has_little(&self) -> bool {
        self.output.len() < SEND_BYTES
    }

    /// Sends what is there, if it is much.
    pub(crate) async fn send_much(&mut self) -> Result<(), End> {
        if self.has_little() {
            return Ok(());
        }
        self.send().await
    }

    /// Sends everything. A client that takes nothing for too long is given up. What had been sent is left out where it is
    /// dropped and goes on.
    pub(crate) async fn send(&mut self) -> Result<(), End> {
        while !self.output.is_empty() {
            let written = self.write(self.limits.stall_time_max).await?;
            self.output.advance(written);
        }
        let flushed = timeout(self.limits.stall_time_max, self.stream.flush());
        Ok(flushed.await.map_err(|_| End::Gone)??)
    }

    /// Closes the connection in good order. With TLS that is a message of its own: without it a client takes the end for one that
    /// somebody between here and it has made, and libpq reports a cancel request as failed that has been carried out.
    pub(crate) async fn close(&mut self) {
        // Who is gone, or takes nothing, finds the connection closed all the same.
        let _ = timeout(CLOSE_TIME_MAX, self.stream.shutdown()).await;
    }

    async fn write(&mut self, time_max: Duration) -> Result<usize, End> {
        let written = timeout(time_max, self.stream.write(&self.output)).await;
        match written {
            Ok(Ok(0)) | Err(_) => Err(End::Gone),
            Ok(Ok(written)) => Ok(written),
            Ok(Err(error)) => Err(error.into()),
        }
    }
}

/// Appends a message whose body is written in place.
pub(crate) fn framed(out: &mut BytesMut, kind: u8, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    let at = out.len();
    out.put_i32(0);
    write(out);
    let bytes = (out.len() - at) as i32;
    out[at..at + 4].copy_from_slice(&bytes.to_be_bytes());
}

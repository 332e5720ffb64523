//! What clients send, read without trusting any length: a message is one frame, and reads end where it ends.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};

use crate::error::{PgError, state};

/// Codes in place of a version in the first message.
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const MAJOR: u32 = 3;

/// The first message of a connection: it has no type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// TLS is wanted.
    Ssl,
    /// GSS encryption is wanted.
    Gss,
    /// Another connection's statement shall stop.
    Cancel { id: i32, secret: i32 },
    /// A session shall begin.
    Startup {
        minor: u32,
        parameters: BTreeMap<String, String>,
    },
}

/// What a portal or a statement is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Statement,
    Portal,
}

/// Values for a prepared statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    /// 0 text, 1 binary: none, one for all, or one each.
    pub(crate) formats: Vec<i16>,
    /// None: NULL.
    pub(crate) values: Vec<Option<Bytes>>,
    pub(crate) result_formats: Vec<i16>,
}

/// Every other message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frontend {
    Query(String),
    Parse {
        name: String,
        sql: String,
        /// OIDs; 0: not said.
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target, String),
    Close(Target, String),
    Execute {
        portal: String,
        /// 0: all.
        rows_max: u32,
    },
    Flush,
    Sync,
    Terminate,
    /// Password or SASL, as the login expects it.
    Password(Bytes),
    /// What follows a COPY that failed; PostgreSQL ignores it, too.
    Copy,
}

/// Reads the first message, without its length.
pub(crate) fn opening(mut body: Bytes) -> Result<Opening, PgError> {
    let mut reader = Reader(&mut body);
    let code = reader.u32()?;
    match code {
        SSL => Ok(Opening::Ssl),
        GSS => Ok(Opening::Gss),
        CANCEL => Ok(Opening::Cancel {
            id: reader.u32()? as i32,
            secret: reader.u32()? as i32,
        }),
        version if version >> 16 == MAJOR => {
            let mut parameters = BTreeMap::new();
            loop {
                let name = reader.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.insert(name, reader.text()?);
            }
            Ok(Opening::Startup {
                minor: version & 0xffff,
                parameters,
            })
        }
        version => Err(PgError::protocol(format!(
            "version {}.{} of the protocol is not spoken here; 3.0 is",
            version >> 16,
            version & 0xffff
        ))),
    }
}

/// Reads one message of a type, without type and length.
pub(crate) fn message(kind: u8, mut body: Bytes) -> Result<Frontend, PgError> {
    let mut reader = Reader(&mut body);
    let message = match kind {
        b'Q' => Frontend::Query(reader.text()?),
        b'P' => Frontend::Parse {
            name: reader.text()?,
            sql: reader.text()?,
            types: reader.list(Reader::u32)?,
        },
        b'B' => Frontend::Bind(Bind {
            portal: reader.text()?,
            statement: reader.text()?,
            formats: reader.list(Reader::i16)?,
            values: reader.list(Reader::value)?,
            result_formats: reader.list(Reader::i16)?,
        }),
        b'D' => {
            let target = reader.target()?;
            Frontend::Describe(target, reader.text()?)
        }
        b'C' => {
            let target = reader.target()?;
            Frontend::Close(target, reader.text()?)
        }
        b'E' => Frontend::Execute {
            portal: reader.text()?,
            // Negative means all in PostgreSQL, too.
            rows_max: u32::try_from(reader.u32()? as i32).unwrap_or(0),
        },
        b'H' => Frontend::Flush,
        b'S' => Frontend::Sync,
        b'X' => Frontend::Terminate,
        b'p' => return Ok(Frontend::Password(body)),
        b'd' | b'c' | b'f' => return Ok(Frontend::Copy),
        kind => {
            return Err(PgError::protocol(format!(
                "there is no message of the type {kind:#04x}"
            )));
        }
    };
    if !body.is_empty() {
        return Err(PgError::protocol(format!(
            "a message of the type `{}` is {} bytes too long",
            char::from(kind),
            body.len()
        )));
    }
    Ok(message)
}

/// Reads the client's first answer of SASL: the mechanism and its first message.
pub(crate) fn sasl_initial(mut body: Bytes) -> Result<(String, Bytes), PgError> {
    let mut reader = Reader(&mut body);
    let mechanism = reader.text()?;
    let first = reader.value()?.unwrap_or_default();
    Ok((mechanism, first))
}

/// Reads from the front of a body.
struct Reader<'a>(&'a mut Bytes);

impl Reader<'_> {
    fn u32(&mut self) -> Result<u32, PgError> {
        self.0.try_get_u32().map_err(|_| short())
    }

    fn i16(&mut self) -> Result<i16, PgError> {
        self.0.try_get_i16().map_err(|_| short())
    }

    /// Reads up to a zero byte.
    fn text(&mut self) -> Result<String, PgError> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = self.0.split_to(end.ok_or_else(short)?);
        self.0.advance(1);
        let text = std::str::from_utf8(&text).map_err(|_| {
            let message = "a text is not UTF-8; set client_encoding to UTF8";
            PgError::fatal(state::ENCODING, message)
        })?;
        Ok(text.to_owned())
    }

    /// Reads a length and that many bytes; −1 is NULL.
    fn value(&mut self) -> Result<Option<Bytes>, PgError> {
        let bytes = self.u32()? as i32;
        if bytes == -1 {
            return Ok(None);
        }
        let bytes = usize::try_from(bytes).map_err(|_| short())?;
        if bytes > self.0.len() {
            return Err(short());
        }
        Ok(Some(self.0.split_to(bytes)))
    }

    /// Reads a count and that many items; it is the items that must be there, so a count alone takes no memory.
    fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, PgError>,
    ) -> Result<Vec<T>, PgError> {
        let count = self.i16()? as u16;
        (0..count).map(|_| item(self)).collect()
    }

    fn target(&mut self) -> Result<Target, PgError> {
        match self.0.try_get_u8().map_err(|_| short())? {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            other => Err(PgError::protocol(format!(
                "`{}` is neither a statement (S) nor a portal (P)",
                char::from(other)
            ))),
        }
    }
}

fn short() -> PgError {
    PgError::protocol("a message is shorter than what it says to hold")
}

#[cfg(test)]
mod tests;

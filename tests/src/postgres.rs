//! A client of PostgreSQL's protocol that speaks just enough of it to be a nuisance.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Version 3.0.
const PROTOCOL: u32 = 3 << 16;

/// One connection.
#[derive(Debug)]
pub struct PgClient {
    /// The connection itself, for those who send what is no message.
    pub stream: TcpStream,
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PgEnd {
    /// With an answer.
    Answered,
    /// With an error: its SQLSTATE and message.
    Failed(String, String),
}

impl PgClient {
    /// Logs in as anybody.
    ///
    /// # Errors
    /// Where nobody listens, or the client is refused.
    pub async fn login(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let mut client = Self { stream };
        client.start().await?;
        match client.end().await? {
            PgEnd::Answered => Ok(client),
            PgEnd::Failed(code, message) => bail!("{code}: {message}"),
        }
    }

    async fn start(&mut self) -> Result<()> {
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        for text in ["user", "public", "database", "meetnet", ""] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        let length = body.len() as u32 + 4;
        self.stream.write_all(&length.to_be_bytes()).await?;
        self.stream.write_all(&body).await?;
        Ok(())
    }

    /// Sends a simple query without waiting for its answer.
    ///
    /// # Errors
    /// Where the connection is closed.
    pub async fn send(&mut self, sql: &str) -> Result<()> {
        let length = sql.len() as u32 + 5;
        let message = [
            b"Q".as_slice(),
            length.to_be_bytes().as_slice(),
            sql.as_bytes(),
            b"\0",
        ]
        .concat();
        self.stream.write_all(&message).await?;
        Ok(())
    }

    /// Sends a simple query, and reads its answer to the end.
    ///
    /// # Errors
    /// Where the connection is closed.
    pub async fn query(&mut self, sql: &str) -> Result<PgEnd> {
        self.send(sql).await?;
        self.end().await
    }

    /// Reads until the server is ready for more, or says goodbye.
    async fn end(&mut self) -> Result<PgEnd> {
        let mut end = PgEnd::Answered;
        loop {
            let mut head = [0; 5];
            let read = self.stream.read_exact(&mut head).await;
            if read.is_err() {
                ensure!(
                    end != PgEnd::Answered,
                    "the connection was closed without a word"
                );
                return Ok(end);
            }
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let length = length
                .checked_sub(4)
                .context("a length that is too short")?;
            let mut body = vec![0; length as usize];
            self.stream.read_exact(&mut body).await?;
            match head[0] {
                b'Z' => return Ok(end),
                b'E' => end = failure(&body),
                _ => {}
            }
        }
    }
}

fn failure(body: &[u8]) -> PgEnd {
    let fields = body.split(|byte| *byte == 0);
    let texts: Vec<String> = fields
        .map(|field| String::from_utf8_lossy(field).into_owned())
        .collect();
    let field = |kind: char| {
        let text = texts.iter().find_map(|text| text.strip_prefix(kind));
        text.unwrap_or_default().to_owned()
    };
    PgEnd::Failed(field('C'), field('M'))
}

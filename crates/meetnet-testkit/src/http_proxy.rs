//! A proxy between an HTTP client and a server on loopback that answers late, wrongly or not at all, by a plan.
//!
//! ```text
//! client ─▶ HttpProxy ─(plan: Pass, Answer, Drop, DropAnswer, Delay, …)─▶ server
//! ```
//!
//! Requests are numbered in the order in which they arrive. With one request at a time a plan by number replays
//! exactly.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What the plan knows of a request.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// Its place among all, from 0.
    pub number: u64,
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Whether it asks for something only under a condition.
    pub is_conditional: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFault {
    /// It passes.
    Pass,
    /// It never reaches the server: this status is answered, with an S3 error of this code.
    Answer(u16, &'static str),
    /// It never reaches the server: a proxy on the way answers with this status and a page of its own.
    Foreign(u16),
    /// It never reaches the server, and the connection is closed.
    Drop,
    /// It reaches the server, and the connection is closed instead of its answer.
    DropAnswer,
    /// It passes after a while.
    Delay(Duration),
    /// It reaches the server at once; its answer comes after a while.
    DelayAnswer(Duration),
    /// It passes without its condition, as to a server that knows none.
    Unconditional,
}

type Plan = Box<dyn FnMut(&SeenRequest) -> HttpFault + Send>;

struct Shared {
    server: u16,
    plan: Mutex<Plan>,
    requests: AtomicU64,
    is_over: AtomicBool,
}

/// The proxy; it ends when dropped.
pub struct HttpProxy {
    /// Its port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProxy")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl HttpProxy {
    /// Starts a proxy before the server on this port.
    ///
    /// # Errors
    /// Where the machine gives no port or thread.
    pub fn start(
        server: u16,
        plan: impl FnMut(&SeenRequest) -> HttpFault + Send + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            server,
            plan: Mutex::new(Box::new(plan)),
            requests: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::Builder::new().spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.is_over.load(Ordering::Relaxed) {
                    break;
                }
                let shared = Arc::clone(&accepting);
                // A client that breaks off ends its own thread only.
                thread::spawn(move || drop(shared.serve(client)));
            }
        })?;
        Ok(Self { port, shared })
    }

    /// Takes another plan for the requests to come.
    pub fn set_plan(&self, plan: impl FnMut(&SeenRequest) -> HttpFault + Send + 'static) {
        *self
            .shared
            .plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Box::new(plan);
    }

    /// Requests that have arrived.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Its address, for clients.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    /// Serves one connection, request by request.
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut client = client;
        while let Some(request) = Request::read(&mut reader)? {
            let fault = {
                let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
                let seen = SeenRequest {
                    number: self.requests.fetch_add(1, Ordering::Relaxed),
                    method: request.method.clone(),
                    path: request.path.clone(),
                    is_conditional: request.headers.iter().any(|line| is_condition(line)),
                };
                plan(&seen)
            };
            let planned = match fault {
                HttpFault::Answer(status, code) => {
                    let body =
                        format!("<Error><Code>{code}</Code><Message>planned</Message></Error>");
                    Some((status, "application/xml", body))
                }
                HttpFault::Foreign(status) => {
                    Some((status, "text/plain", format!("{status} page not found\n")))
                }
                _ => None,
            };
            if let Some((status, media_type, body)) = planned {
                let body = match request.method.as_str() {
                    // An answer without a body, whatever its status.
                    "HEAD" => "",
                    _ => body.as_str(),
                };
                let length = body.len();
                write!(
                    client,
                    "HTTP/1.1 {status} Planned\r\nContent-Type: {media_type}\r\n\
                     Content-Length: {length}\r\n\r\n{body}"
                )?;
                continue;
            }
            match fault {
                HttpFault::Drop => return client.shutdown(Shutdown::Both),
                HttpFault::Delay(pause) => thread::sleep(pause),
                _ => {}
            }
            let answer = request.forward(self.server, fault == HttpFault::Unconditional)?;
            match fault {
                HttpFault::DropAnswer => return client.shutdown(Shutdown::Both),
                HttpFault::DelayAnswer(pause) => thread::sleep(pause),
                _ => {}
            }
            client.write_all(&answer)?;
            // The server has closed its side after the answer: so do we.
            return client.shutdown(Shutdown::Both);
        }
        Ok(())
    }
}

struct Request {
    method: String,
    path: String,
    /// With their line ends.
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    /// Reads a request; None where the client sends no more.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut parts = line.split(' ');
        let (method, path) = match (parts.next(), parts.next()) {
            (Some(method), Some(path)) => (method.to_owned(), path.to_owned()),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let mut headers = Vec::new();
        let mut body_bytes = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim_end().is_empty() {
                break;
            }
            if let Some(length) = value(&header, "content-length") {
                body_bytes = length.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
            headers.push(header);
        }
        let mut body = vec![0; body_bytes];
        reader.read_exact(&mut body)?;
        Ok(Some(Self {
            method,
            path,
            headers,
            body,
        }))
    }

    /// Sends it to the server; returns the whole answer.
    fn forward(&self, server: u16, unconditional: bool) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", server))?;
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for header in &self.headers {
            let is_left_out =
                value(header, "connection").is_some() || unconditional && is_condition(header);
            if !is_left_out {
                head.push_str(header);
            }
        }
        head.push_str("Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn is_condition(header: &str) -> bool {
    value(header, "if-none-match").is_some()
}

/// Returns the value of a header line of this name.
fn value<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = header.split_once(':')?;
    found.eq_ignore_ascii_case(name).then(|| value.trim())
}

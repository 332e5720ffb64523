//! An S3 server of a test's own: moto, from `tests/requirements.txt`, on a free loopback port.
//!
//! `MEETNET_PYTHON` names the Python that has it, as `./tests/run` sets it up. Without one a test says so and passes;
//! `MEETNET_REQUIRE_S3` (CI) makes that a failure. The server ends with the process that started it, however that ends,
//! so that one can serve all tests of a binary.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Ends when its standard input does, which is when its parent is gone.
const SERVER: &str = "
import os, sys, threading
from moto.server import main
def follow():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=follow, daemon=True).start()
main(sys.argv[1:])
";
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// An S3 server; ended when dropped.
#[derive(Debug)]
pub struct S3Server {
    /// Its port on 127.0.0.1.
    pub port: u16,
    child: Child,
    buckets: AtomicU32,
}

impl S3Server {
    /// Starts a server. None where there is no Python with moto.
    ///
    /// # Errors
    /// Where it is not there and required, does not listen within 30 seconds, or does not refuse a conditional put of
    /// an object that is there.
    pub fn start() -> io::Result<Option<Self>> {
        let python = std::env::var_os("MEETNET_PYTHON");
        let has_moto = python.as_ref().is_some_and(|python| {
            let import = Command::new(python)
                .args(["-c", "import moto.server"])
                .output();
            import.is_ok_and(|output| output.status.success())
        });
        let Some(python) = python.filter(|_| has_moto) else {
            if std::env::var_os("MEETNET_REQUIRE_S3").is_some() {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    "an S3 server is required and MEETNET_PYTHON names no Python with moto: run ./tests/run",
                ));
            }
            #[expect(clippy::print_stdout, reason = "a test says what it skips")]
            {
                println!("skipped: no Python with moto; run ./tests/run");
            }
            return Ok(None);
        };
        let port = crate::free_port()?;
        let child = Command::new(python)
            .args(["-c", SERVER, "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self {
            port,
            child,
            buckets: AtomicU32::new(0),
        };
        let deadline = Instant::now() + START_TIME_MAX;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                let message = format!("moto does not listen on port {port}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            thread::sleep(Duration::from_millis(50));
        }
        server.check_conditional_put()?;
        Ok(Some(server))
    }

    /// Returns the one server of this test binary, started by whoever asks first.
    ///
    /// # Errors
    /// As [`S3Server::start`].
    pub fn shared() -> io::Result<Option<&'static Self>> {
        static SHARED: OnceLock<Result<Option<S3Server>, String>> = OnceLock::new();
        match SHARED.get_or_init(|| Self::start().map_err(|error| error.to_string())) {
            Ok(server) => Ok(server.as_ref()),
            Err(message) => Err(io::Error::other(message.clone())),
        }
    }

    /// Makes a bucket that no other test has; returns its name.
    ///
    /// # Errors
    /// Where the server refuses.
    pub fn new_bucket(&self) -> io::Result<String> {
        let number = self.buckets.fetch_add(1, Ordering::Relaxed);
        let name = format!("city-{}-{number}", std::process::id());
        match self.put(&format!("/{name}"), "", b"")? {
            200 => Ok(name),
            status => Err(io::Error::other(format!("create bucket {name}: {status}"))),
        }
    }

    /// Its address, for clients.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Commits rest on it, so nothing a test shows counts without it.
    fn check_conditional_put(&self) -> io::Result<()> {
        let bucket = self.new_bucket()?;
        let once = |body| self.put(&format!("/{bucket}/once"), "If-None-Match: *\r\n", body);
        match (once(b"one")?, once(b"two")?) {
            (200, 412) => Ok(()),
            (first, second) => Err(io::Error::other(format!(
                "moto answers two conditional puts of one object with {first} and {second}, not 200 and 412"
            ))),
        }
    }

    /// Puts an object; returns the status.
    fn put(&self, path: &str, headers: &str, body: &[u8]) -> io::Result<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(
            stream,
            // It checks no signature, but refuses to overwrite for who gives none.
            "PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nAuthorization: AWS test:test\r\n\
             Content-Length: {}\r\n{headers}\r\n",
            self.port,
            body.len()
        )?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        // HTTP/1.1 200 OK
        let status = answer
            .get(9..12)
            .and_then(|status| std::str::from_utf8(status).ok());
        let status = status.and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no status line"))
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // It fails where the process is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

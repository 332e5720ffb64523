//! A Mosquitto of a test's own: on a free loopback port, in a temporary folder, ended by its process id.
//!
//! Where Mosquitto is not installed a test says so and passes; `MEETNET_REQUIRE_MOSQUITTO` (CI) makes that a failure.
//! `MEETNET_BROKER_LOG=FILE` keeps the broker's own log of a test that fails.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What `docs/mosquitto.md` recommends: Mosquitto's defaults drop messages for a client that acknowledges after a sync.
pub const TUNED: &str = "
max_inflight_messages 2000
max_queued_messages 0
max_inflight_bytes 0
max_queued_bytes 0
persistence true
autosave_interval 1800
allow_anonymous true
set_tcp_nodelay true
";

/// Where packages put the binary; it is on the search path of root only.
const BINARIES: [&str; 3] = [
    "/usr/sbin/mosquitto",
    "/usr/local/sbin/mosquitto",
    "/opt/homebrew/sbin/mosquitto",
];
const START_TIME_MAX: Duration = Duration::from_secs(10);
const LOG: &str = "MEETNET_BROKER_LOG";

/// A broker; ended when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    /// Its port on 127.0.0.1.
    pub port: u16,
    binary: PathBuf,
    folder: TempDir,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker with these lines of `mosquitto.conf`; its one listener stands before them. None where Mosquitto
    /// is not installed.
    ///
    /// # Errors
    /// Where it is not installed and required, or does not listen within ten seconds.
    pub fn start(settings: &str) -> io::Result<Option<Self>> {
        let Some(binary) = BINARIES.iter().map(Path::new).find(|path| path.exists()) else {
            if std::env::var_os("MEETNET_REQUIRE_MOSQUITTO").is_some() {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    "mosquitto is required and not installed: apt-get install mosquitto",
                ));
            }
            #[expect(clippy::print_stdout, reason = "a test says what it skips")]
            {
                println!("skipped: mosquitto is not installed");
            }
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let port = crate::free_port()?;
        let place = folder.path().display();
        let mut config =
            format!("listener {port} 127.0.0.1\n{settings}\npersistence_location {place}/\n");
        if is_root() {
            // Started as root it would give its rights up, and could not write the folder.
            config.push_str("user root\n");
        }
        if std::env::var_os(LOG).is_some() {
            config.push_str(&format!("log_type all\nlog_dest file {place}/log\n"));
        }
        fs::write(folder.path().join("mosquitto.conf"), config)?;
        let mut broker = Self {
            port,
            binary: binary.to_owned(),
            folder,
            child: None,
        };
        broker.resume()?;
        Ok(Some(broker))
    }

    /// Starts it again after [`Mosquitto::stop`] or [`Mosquitto::kill`], on the same port and folder.
    ///
    /// # Errors
    /// Where it does not listen within ten seconds.
    pub fn resume(&mut self) -> io::Result<()> {
        debug_assert!(self.child.is_none(), "it is running");
        let child = Command::new(&self.binary)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        let deadline = Instant::now() + START_TIME_MAX;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if Instant::now() > deadline {
                let message = format!("mosquitto does not listen on port {}", self.port);
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends it in good order: it saves its sessions.
    ///
    /// # Errors
    /// Where it is not running, or cannot be told.
    pub fn stop(&mut self) -> io::Result<()> {
        let mut child = self.child.take().ok_or(io::ErrorKind::NotConnected)?;
        let told = Command::new("kill")
            .arg("-TERM")
            .arg(child.id().to_string())
            .status()?;
        if !told.success() {
            return Err(io::Error::other(format!("kill -TERM: {told}")));
        }
        child.wait().map(|_| ())
    }

    /// Ends it at once, if it runs.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It fails where the process is gone already, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Returns its process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
        if let (true, Some(path)) = (thread::panicking(), std::env::var_os(LOG)) {
            // To see the broker's side of a failed test; without it there is only one side to look at.
            let _ = fs::copy(self.folder.path().join("log"), path);
        }
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

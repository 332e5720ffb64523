//! A Mosquitto of a test's own, with the settings that `docs/mosquitto.md` recommends.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// Mosquitto's defaults drop messages for a client that acknowledges after a sync; these do not.
const TUNED: &str = "
max_inflight_messages 2000
max_queued_messages 0
max_inflight_bytes 0
max_queued_bytes 0
persistence true
autosave_interval 1800
allow_anonymous true
set_tcp_nodelay true
";

/// A running broker; ended when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    /// Its port on 127.0.0.1.
    pub port: u16,
    child: Child,
    _folder: TempDir,
}

impl Mosquitto {
    /// Starts a broker; `None` where Mosquitto is not installed and not required (`MEETNET_REQUIRE_MOSQUITTO`).
    ///
    /// # Errors
    /// Where it does not start within ten seconds.
    pub fn start() -> Result<Option<Self>> {
        let binary = Path::new("/usr/sbin/mosquitto");
        if !binary.exists() {
            ensure!(
                std::env::var_os("MEETNET_REQUIRE_MOSQUITTO").is_none(),
                "mosquitto is required and not installed: apt-get install mosquitto"
            );
            println!("skipped: mosquitto is not installed");
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let port = crate::free_port()?;
        let place = folder.path().display();
        // Started as root it would give its rights up, and could not write the folder.
        let config = format!(
            "listener {port} 127.0.0.1\n{TUNED}\npersistence_location {place}/\nuser root\n"
        );
        let path = folder.path().join("mosquitto.conf");
        fs::write(&path, config)?;
        let child = Command::new(binary)
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start mosquitto")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(
                Instant::now() < deadline,
                "mosquitto does not listen on port {port}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(Self {
            port,
            child,
            _folder: folder,
        }))
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A Mosquitto of its own per test, on a free loopback port, ended by its process id.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The settings that docs/mosquitto.md recommends.
pub(crate) const TUNED: &str = "
max_inflight_messages 2000
max_queued_messages 0
max_inflight_bytes 0
max_queued_bytes 0
persistence true
allow_anonymous true
";

pub(crate) struct Broker {
    pub(crate) port: u16,
    dir: TempDir,
    binary: PathBuf,
    child: Option<Child>,
}

impl Broker {
    /// Starts a broker with these lines of configuration; none where Mosquitto is not installed.
    pub(crate) fn start(config: &str) -> Option<Self> {
        let candidates = [
            "/usr/sbin/mosquitto",
            "/usr/local/sbin/mosquitto",
            "/opt/homebrew/sbin/mosquitto",
        ];
        let Some(binary) = candidates.iter().map(Path::new).find(|path| path.exists()) else {
            assert!(
                std::env::var_os("MEETNET_REQUIRE_MOSQUITTO").is_none(),
                "mosquitto is not installed"
            );
            println!("skipped: mosquitto is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = dir.path().display();
        // Started as root it would give its rights up and could not write the folder.
        let user = if is_root() { "user root" } else { "" };
        let config = format!(
            "listener {port} 127.0.0.1\n{config}\npersistence_location {folder}/\nsys_interval 1\n{user}\n\
             log_type all\nlog_dest file {folder}/log\n"
        );
        fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self {
            port,
            dir,
            binary: binary.to_owned(),
            child: None,
        };
        broker.resume();
        Some(broker)
    }

    /// Starts it again, on the same port and folder.
    pub(crate) fn resume(&mut self) {
        assert!(self.child.is_none());
        let child = Command::new(&self.binary)
            .arg("-c")
            .arg(self.dir.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "mosquitto does not start: {:?}",
                self.dir.path()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it so that it saves its sessions.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let ended = Command::new("kill")
            .arg("-TERM")
            .arg(child.id().to_string())
            .status()
            .unwrap();
        assert!(ended.success());
        child.wait().unwrap();
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking()
            && let Some(path) = std::env::var_os("MEETNET_BROKER_LOG")
        {
            // To see the broker's side of a failed test.
            drop(fs::copy(self.dir.path().join("log"), path));
        }
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

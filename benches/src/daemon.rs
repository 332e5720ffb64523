//! The real binary in a folder of its own; killed when dropped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use meetnet_testkit::binary::meetnet_binary;
use reqwest::Response;
use reqwest::header::{HeaderValue, IF_NONE_MATCH};
use tempfile::TempDir;

/// How long the client keeps a connection that it does not use: less than the daemon does (15 s). A runtime of one thread does not
/// see that it has been closed while others are timed, and would send the next question into it.
const IDLE_TIME_MAX: Duration = Duration::from_secs(5);

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    folder: TempDir,
    /// Port of `[http]` on 127.0.0.1.
    pub http: u16,
    /// Port of `[admin]` on 127.0.0.1.
    pub admin: u16,
    client: reqwest::Client,
}

impl Daemon {
    /// Starts `meetnet <command>` (`run` or `ingest`) and waits until it is ready. `lake` are further lines of `[lake]`,
    /// `sources` the `[[source]]` sections.
    ///
    /// # Errors
    /// Where the binary is not built, or is not ready within 30 s.
    pub async fn start(command: &str, lake: &str, sources: &str) -> Result<Self> {
        Self::start_over(command, Path::new("lake"), lake, sources).await
    }

    /// Starts `meetnet <command>` over a lake that is there, which it may change unless it only serves; `sections` are further
    /// ones of its configuration.
    ///
    /// # Errors
    /// Where the binary is not built, or is not ready within 30 s.
    pub async fn over(command: &str, lake: &Path, sections: &str) -> Result<Self> {
        Self::start_over(command, lake, "", sections).await
    }

    /// Starts `meetnet serve` over a lake that is there; `sections` are further ones of its configuration.
    ///
    /// # Errors
    /// Where the binary is not built, or is not ready within 30 s.
    pub async fn serve(lake: &Path, sections: &str) -> Result<Self> {
        Self::over("serve", lake, sections).await
    }

    /// Starts `meetnet run` in a folder that has a `journal`, without sources; it need not be ready yet.
    ///
    /// # Errors
    /// Where the binary is not built.
    pub fn resume(folder: TempDir) -> Result<Self> {
        Self::spawn(folder, "run", Path::new("lake"), "", "")
    }

    async fn start_over(command: &str, url: &Path, lake: &str, sources: &str) -> Result<Self> {
        let mut daemon = Self::spawn(tempfile::tempdir()?, command, url, lake, sources)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        // The write side alone has no public listener.
        let port = match command {
            "run" | "serve" => daemon.http,
            _ => daemon.admin,
        };
        while daemon.get(port, "readyz", &[]).await.is_err() {
            daemon.check_running()?;
            if Instant::now() > deadline {
                bail!("meetnet is not ready:\n{}", daemon.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(daemon)
    }

    fn spawn(
        folder: TempDir,
        command: &str,
        url: &Path,
        lake: &str,
        sources: &str,
    ) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (http, writer, reader) = (free_port()?, free_port()?, free_port()?);
        let config = format!(
            "[lake]\nurl = {url:?}\n{lake}\n[journal]\ndir = \"journal\"\n[http]\nlisten = \"127.0.0.1:{http}\"\n\
             [admin]\nlisten = \"127.0.0.1:{writer}\"\nserve_listen = \"127.0.0.1:{reader}\"\n\
             [privacy]\nsecret = {{ env = \"MEETNET_BENCH_SECRET\" }}\n{sources}"
        );
        let admin = if command == "serve" { reader } else { writer };
        let client = reqwest::Client::builder()
            .pool_idle_timeout(IDLE_TIME_MAX)
            .build()?;
        let path = folder.path().join("meetnet.toml");
        fs::write(&path, config)?;
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new(meetnet_binary()?)
            .args([command, "--config"])
            .arg(&path)
            // A lake or a journal of a bench comes without a generated one.
            .env(
                "MEETNET_BENCH_SECRET",
                "a secret for benches, of 32 characters and more",
            )
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start meetnet {command}"))?;
        Ok(Self {
            child,
            folder,
            http,
            admin,
            client,
        })
    }

    /// Makes sure that it has not ended.
    ///
    /// # Errors
    /// Where it has; says with what its log ends.
    pub fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("meetnet has ended ({status}):\n{}", self.log_tail()),
        }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Folder of its configuration, journal and lake.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the first value of the answer to a statement.
    ///
    /// # Errors
    /// Where it is not answered, or not by a number.
    pub async fn sql_number(&self, statement: &str) -> Result<u64> {
        let query = [("q", statement), ("format", "csv")];
        let text = self.get(self.http, "api/v1/sql", &query).await?;
        let value = text
            .lines()
            .nth(1)
            .and_then(|line| line.trim().parse().ok());
        value.with_context(|| text.clone())
    }

    /// Returns the answer to a GET of `path` on `[http]`, whatever it says; `tag` goes out as `If-None-Match`.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn ask(
        &self,
        path: &str,
        query: &[(&str, &str)],
        tag: Option<&HeaderValue>,
    ) -> Result<Response> {
        let url = format!("http://127.0.0.1:{}/{path}", self.http);
        let mut request = self.client.get(url).query(query);
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        Ok(request.send().await?)
    }

    /// Returns a metric as `[admin]` shows it; labels are part of its name there.
    ///
    /// # Errors
    /// Where it is not shown.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get(self.admin, "metrics", &[]).await?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.with_context(|| format!("there is no metric {name}"))
    }

    async fn get(&self, port: u16, path: &str, query: &[(&str, &str)]) -> Result<String> {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let answer = self.client.get(url).query(query).send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(answer.text().await?)
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a port of 127.0.0.1 that was free just now.
///
/// # Errors
/// Where there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

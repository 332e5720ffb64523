//! The real binary, started, killed, interrupted and asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meetnet_testkit::binary::meetnet_binary;
use serde_json::Value;
use tempfile::TempDir;

/// A source that takes temperatures by HTTP, however old: `{"id": "a", "at": 1736503200000, "t": 20.5}`.
pub const PUSHED_HEAT: &str = r#"
[[source]]
id = "desk"
kind = "http"
format = "json"
token = { env = "MEETNET_TEST_TOKEN" }
sensor_id = { pointer = "/id" }
time = { pointer = "/at", format = "unix-ms" }
licence = "CC0-1.0"
time_window = { back = "20000d", ahead = "1h" }
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;

/// Ports and folder of one installation, which outlives its processes.
#[derive(Debug)]
pub struct Installation {
    folder: TempDir,
    http: u16,
    ingest_http: u16,
    client: reqwest::Client,
}

/// A running `meetnet`; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
}

/// A bucket, and where its store is reached.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Address of the store.
    pub endpoint: String,
    /// Its name.
    pub name: String,
}

/// Value of the token that test configurations read from the environment.
pub const TOKEN: &str = "test-token";

impl Installation {
    /// Makes an installation. `sources` are the `[[source]]` sections, `lake` further lines of `[lake]`.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn new(lake: &str, sources: &str) -> Result<Self> {
        Self::with_lake(&format!("url = \"lake\"\n{lake}"), sources)
    }

    /// Makes an installation with its tables in a bucket; `lake` are further lines of `[lake]`, `s3` of `[s3]`.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn in_bucket(bucket: &Bucket, lake: &str, s3: &str, sources: &str) -> Result<Self> {
        let Bucket { endpoint, name } = bucket;
        let lake = format!(
            "url = \"s3://{name}/lake\"\n{lake}\n\n[s3]\nendpoint = \"{endpoint}\"\nallow_http = true\n\
             access_key_id = {{ env = \"MEETNET_TEST_TOKEN\" }}\n\
             secret_access_key = {{ env = \"MEETNET_TEST_TOKEN\" }}\n{s3}"
        );
        Self::with_lake(&lake, sources)
    }

    fn with_lake(lake: &str, sources: &str) -> Result<Self> {
        // More than one TLS provider may be linked: name ours once.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir()?;
        let (http, ingest_http) = (meetnet_testkit::free_port()?, meetnet_testkit::free_port()?);
        let config = format!(
            "[lake]\n{lake}\n\n[journal]\ndir = \"journal\"\n\n\
             [http]\nlisten = \"127.0.0.1:{http}\"\n\n\
             [ingest_http]\nlisten = \"127.0.0.1:{ingest_http}\"\nbody_bytes_max = \"16MiB\"\n\n{sources}\n"
        );
        fs::write(folder.path().join("meetnet.toml"), config)?;
        Ok(Self {
            folder,
            http,
            ingest_http,
            client: reqwest::Client::new(),
        })
    }

    /// Folder of configuration, journal and lake.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Folder of the tables.
    pub fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(meetnet_binary()?);
        command
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("meetnet.toml"))
            .env("MEETNET_TEST_TOKEN", TOKEN)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Starts the daemon without waiting until it is ready; its log goes to `meetnet.log`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn spawn(&self) -> Result<Daemon> {
        self.spawn_as("run")
    }

    fn spawn_as(&self, role: &str) -> Result<Daemon> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("meetnet.log"))?;
        let child = self
            .command(&[role])?
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start meetnet {role}"))?;
        Ok(Daemon { child })
    }

    /// Starts the daemon and waits until it is ready.
    ///
    /// # Errors
    /// Where it ends, or is not ready within 30 s; the end of its log is in the message.
    pub async fn start(&self) -> Result<Daemon> {
        self.start_as("run").await
    }

    /// As [`Installation::start`], as another part than everything: `serve`.
    ///
    /// # Errors
    /// As [`Installation::start`].
    pub async fn start_as(&self, role: &str) -> Result<Daemon> {
        let mut daemon = self.spawn_as(role)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        let url = format!("http://127.0.0.1:{}/readyz", self.http);
        loop {
            if let Ok(answer) = self.client.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(daemon);
            }
            let ended = daemon.child.try_wait()?;
            ensure!(
                ended.is_none() && Instant::now() < deadline,
                "meetnet is not ready ({ended:?}):\n{}",
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns what `/readyz` says.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn readiness(&self) -> Result<Value> {
        let url = format!("http://127.0.0.1:{}/readyz", self.http);
        let text = self.client.get(url).send().await?.text().await?;
        serde_json::from_str(&text).context(text)
    }

    /// Returns the log of every daemon so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("meetnet.log")).unwrap_or_default()
    }

    /// Returns its end.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Asks the running daemon for a path; an answer of any status is one.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn get(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<reqwest::Response> {
        let mut request = self
            .client
            .get(format!("http://127.0.0.1:{}{path}", self.http));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(request.send().await?)
    }

    /// Returns the address of the HTTP listener.
    pub fn http(&self) -> std::net::SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, self.http).into()
    }

    /// Returns the address of the listener of pushes.
    pub fn ingest_http(&self) -> std::net::SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, self.ingest_http).into()
    }

    /// Asks the running daemon; returns the rows.
    ///
    /// # Errors
    /// Where the answer is no success.
    pub async fn sql(&self, query: &str) -> Result<Vec<Vec<Value>>> {
        let url = format!("http://127.0.0.1:{}/api/v1/sql", self.http);
        let answer = self
            .client
            .get(url)
            .query(&[("q", query), ("format", "json")])
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{query}\n{status}: {text}");
        rows(serde_json::from_str(&text).with_context(|| text.clone())?)
    }

    /// Asks the one cell of an answer of one row.
    ///
    /// # Errors
    /// Where the answer is another.
    pub async fn cell(&self, query: &str) -> Result<Value> {
        let rows = self.sql(query).await?;
        ensure!(rows.len() == 1 && rows[0].len() == 1, "{query}: {rows:?}");
        Ok(rows[0][0].clone())
    }

    /// Asks the committed files directly, private tables included: `meetnet sql --config`.
    ///
    /// # Errors
    /// Where the command fails.
    pub fn sql_on_files(&self, query: &str) -> Result<Vec<Vec<Value>>> {
        let output = self
            .command(&["sql", query, "--format", "json"])?
            .output()?;
        ensure!(
            output.status.success(),
            "{query}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        rows(serde_json::from_slice(&output.stdout)?)
    }

    /// Runs a command of the binary on this installation.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(arguments)?.output()?)
    }

    /// Runs a command of the binary on this installation that must succeed; returns what it prints.
    ///
    /// # Errors
    /// Where it cannot be started, or ends with another status.
    pub fn succeed(&self, arguments: &[&str]) -> Result<String> {
        self.printed(arguments, &self.run(arguments)?)
    }

    /// As [`Installation::succeed`], without the configuration: for commands that ask a service.
    ///
    /// # Errors
    /// As [`Installation::succeed`].
    pub fn succeed_alone(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(meetnet_binary()?)
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        self.printed(arguments, &output)
    }

    /// Returns what a command that must succeed has printed.
    fn printed(&self, arguments: &[&str], output: &Output) -> Result<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (printed, said) = (text(&output.stdout), text(&output.stderr));
        ensure!(
            output.status.success(),
            "{arguments:?}: {printed}{said}\n{}",
            self.log_tail()
        );
        Ok(printed)
    }

    /// Starts a command of the binary on this installation and does not wait for it; what it says goes nowhere.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn begin(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command(arguments)?;
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    /// Pushes a body to a source; returns status and answer.
    ///
    /// # Errors
    /// Where the request fails.
    pub async fn push(
        &self,
        source: &str,
        body: Vec<u8>,
        headers: &[(&'static str, &str)],
    ) -> Result<(u16, String)> {
        let url = format!("http://127.0.0.1:{}/ingest/v1/{source}", self.ingest_http);
        let mut request = self
            .client
            .post(url)
            .bearer_auth(TOKEN)
            .header("content-type", "application/json")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Posts a form to a path that devices have built in, without credentials of its own; returns status and answer.
    ///
    /// # Errors
    /// Where the request fails.
    pub async fn report(&self, path: &str, form: &str) -> Result<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.ingest_http);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Asks for a path of the ingest listener with a query, as stations upload; returns status and answer.
    ///
    /// # Errors
    /// Where the request fails.
    pub async fn upload(&self, path: &str) -> Result<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.ingest_http);
        let answer = self.client.get(url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Posts a body to a path of the ingest listener, with these headers alone; returns status and answer.
    ///
    /// # Errors
    /// Where the request fails.
    pub async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&'static str, &str)],
    ) -> Result<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.ingest_http);
        let mut request = self.client.post(url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until a query's one cell is at least `least`; returns it.
    ///
    /// # Errors
    /// Where it is not within two minutes.
    pub async fn wait_for(&self, query: &str, least: i64) -> Result<i64> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let value = self.cell(query).await?.as_i64().unwrap_or(0);
            if value >= least {
                return Ok(value);
            }
            ensure!(
                Instant::now() < deadline,
                "{query}: {value} of {least}\n{}",
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Daemon {
    /// Ends the daemon at once, as a crash would.
    ///
    /// # Errors
    /// Where it cannot be ended.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the daemon to stop, as a service manager does, and does not wait for it.
    ///
    /// # Errors
    /// Where there is no process to ask.
    pub fn ask_to_stop(&self) -> Result<()> {
        self.signal("-TERM")
    }

    /// Asks the daemon to read its configuration again, as a service manager does, and does not wait for it.
    ///
    /// # Errors
    /// Where there is no process to ask.
    pub fn ask_to_reload(&self) -> Result<()> {
        self.signal("-HUP")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args([name, &id]).status()?;
        ensure!(asked.success(), "kill {name} {id}");
        Ok(())
    }

    /// Asks the daemon to stop and waits for it; it must exit with 0.
    ///
    /// # Errors
    /// Where it does not within 60 s, or exits with another code.
    pub fn stop(self) -> Result<()> {
        self.ask_to_stop()?;
        let status = self.ended()?;
        ensure!(status.success(), "meetnet ended with {status}");
        Ok(())
    }

    /// Waits until the daemon ends by itself; returns how.
    ///
    /// # Errors
    /// Where it does not within 60 s.
    pub fn ended(mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "meetnet does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Process id, for measurements.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rows(answer: Value) -> Result<Vec<Vec<Value>>> {
    let rows = answer
        .get("rows")
        .and_then(Value::as_array)
        .context("an answer without rows")?;
    rows.iter()
        .map(|row| row.as_array().cloned().context("a row that is no array"))
        .collect()
}

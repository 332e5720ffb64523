//! References that are written in Python: which interpreter runs them, and the MQTT ones while they run.
//!
//! The interpreter is `MEETNET_PYTHON` where that has the packages, else the one that `./tests/run` sets up, else the
//! benches' own, which is made when it is needed.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// Longest wait for a script to start and subscribe.
const SUBSCRIBE_TIME_MAX: Duration = Duration::from_secs(60);

/// Returns a Python that can import `modules`. None, and why on stdout, where there is none and none can be made: a
/// reference is left out then, and the bench goes on.
///
/// # Errors
/// Where a folder of the benches' own Python cannot be written.
pub fn with_modules(modules: &[&str]) -> Result<Option<PathBuf>> {
    let target = target_folder();
    let own = target.join("bench-venv");
    let given = std::env::var_os("MEETNET_PYTHON").map(PathBuf::from);
    let of_tests = target.join("venv").join("bin/python");
    let existing = given
        .into_iter()
        .chain([of_tests, own.join("bin/python")])
        .find(|python| can_import(python, modules));
    if existing.is_some() {
        return Ok(existing);
    }
    let python = make(&own)?.filter(|python| can_import(python, modules));
    if python.is_none() {
        println!(
            "   no Python has {}: install benches/requirements.txt and name it in MEETNET_PYTHON",
            modules.join(", ")
        );
    }
    Ok(python)
}

/// Where cargo puts what it builds, `./tests/run` its Python, and the benches what they keep between runs.
pub fn target_folder() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/meetnet"));
    given.or_else(home).unwrap_or_default()
}

fn can_import(python: &Path, modules: &[&str]) -> bool {
    let import = format!("import {}", modules.join(", "));
    let imported = Command::new(python)
        .args(["-c", &import])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    imported.is_ok_and(|status| status.success())
}

/// Makes the benches' own Python, where the one that is there is not of these requirements; returns it, or none where
/// Python is not installed or the registry not reachable.
fn make(folder: &Path) -> Result<Option<PathBuf>> {
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements.txt");
    let installed = folder.join("installed.txt");
    let requirements = fs::read_to_string(&wanted)?;
    let python = folder.join("bin/python");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == requirements) {
        return Ok(Some(python));
    }
    println!(
        "   installing benches/requirements.txt into {}",
        folder.display()
    );
    if !run("python3", &["-m", "venv", "--clear"], folder.as_os_str()) {
        return Ok(None);
    }
    let install = ["-m", "pip", "install", "--quiet"];
    let all_at_once = [&install[..], &["-r"]].concat();
    if !run(&python, &all_at_once, wanted.as_os_str()) {
        // What has no build for this machine is left out; pip says so.
        let lines = requirements.lines().map(str::trim);
        for requirement in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            run(&python, &install, OsStr::new(requirement));
        }
    }
    fs::write(installed, requirements)?;
    Ok(Some(python))
}

/// Runs a command; false where it is not there or fails, which it says itself.
fn run(program: impl AsRef<OsStr>, arguments: &[&str], last: &OsStr) -> bool {
    let ended = Command::new(program).args(arguments).arg(last).status();
    ended.is_ok_and(|status| status.success())
}

/// Returns the path of a script of `benches/python`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("python")
        .join(name)
}

/// A script that takes messages from a broker and writes them as Parquet: `benches/python/job.py` says what it does and
/// prints. Killed when dropped.
#[derive(Debug)]
pub struct Subscriber {
    child: Child,
    folder: TempDir,
    reading: Option<JoinHandle<Option<u64>>>,
}

impl Subscriber {
    /// Starts a script of `benches/python` and waits until it has subscribed; `consumed` counts the messages that it has
    /// decoded.
    ///
    /// # Errors
    /// Where it cannot be started, or has not subscribed within a minute.
    pub fn start(python: &Path, name: &str, port: u16, consumed: Arc<AtomicU64>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let child = Command::new(python)
            // Nothing is left beside the sources.
            .arg("-B")
            .arg(script(name))
            .arg(port.to_string())
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let mut subscriber = Self {
            child,
            folder,
            reading: None,
        };
        let stdout = subscriber.child.stdout.take();
        let stdout = stdout.context("its output is piped")?;
        let (subscribed, ready) = mpsc::channel();
        subscriber.reading = Some(std::thread::spawn(move || {
            let mut rows = None;
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match line.split_once(' ') {
                    // Nobody waits any more where it has taken too long.
                    Some(("subscribed", _)) => subscribed.send(()).unwrap_or_default(),
                    Some(("messages", count)) => {
                        consumed.store(count.parse().unwrap_or(0), Ordering::Relaxed);
                    }
                    Some(("rows", count)) => rows = count.parse().ok(),
                    _ => {}
                }
            }
            rows
        }));
        // What is published before is lost, and the publisher would wait for it at the end of its backlog.
        ready
            .recv_timeout(SUBSCRIBE_TIME_MAX)
            .with_context(|| format!("{name} has not subscribed"))?;
        Ok(subscriber)
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to write what it has and to end; returns the rows that its files hold, as it has counted them.
    ///
    /// # Errors
    /// Where it had failed, or does not say.
    pub fn stop(mut self) -> Result<u64> {
        let told = Command::new("kill")
            .arg("-TERM")
            .arg(self.child.id().to_string())
            .status()?;
        ensure!(told.success(), "kill -TERM: {told}");
        let status = self.child.wait()?;
        ensure!(status.success(), "the script ended with {status}");
        let rows = self.reading.take().map(JoinHandle::join);
        let rows = rows.and_then(Result::ok).flatten();
        rows.with_context(|| format!("no rows in {}", self.folder.path().display()))
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // It fails where the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

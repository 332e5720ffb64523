//! The engines that answer the same questions, each in a Python process of its own: `benches/python/questions.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use meetnet_benches::python::{script, with_modules};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use serde::Deserialize;
use serde_json::{Value, json};

/// Name, and module of Python.
const ENGINES: [(&str, &str); 2] = [("DuckDB", "duckdb"), ("chDB", "chdb")];

/// One engine; killed when dropped.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

/// What the script says to a request.
#[derive(Deserialize)]
struct Reply {
    /// Of the answer alone.
    #[serde(default)]
    seconds: f64,
    /// Where its answer is another one than ours.
    difference: Option<String>,
    /// Why there is no answer.
    error: Option<String>,
}

/// Starts the engines that can be had; the others are left out, which is said.
pub(crate) fn all(folder: &Path, snapshot: &LakeSnapshot, threads: usize) -> Result<Vec<Engine>> {
    let mut engines = Vec::new();
    for (name, module) in ENGINES {
        if let Some(python) = with_modules(&[module, "pyarrow"])? {
            engines.push(Engine::start(
                name, module, &python, folder, snapshot, threads,
            )?);
        }
    }
    Ok(engines)
}

impl Engine {
    fn start(
        name: &'static str,
        module: &str,
        python: &Path,
        folder: &Path,
        snapshot: &LakeSnapshot,
        threads: usize,
    ) -> Result<Self> {
        let mut child = Command::new(python)
            // Nothing is left beside the sources.
            .arg("-B")
            .arg(script("questions.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let requests = child.stdin.take().context("its input is piped")?;
        let replies = child.stdout.take().context("its output is piped")?;
        let mut engine = Self {
            name,
            child,
            requests,
            replies: BufReader::new(replies),
        };
        // What is made of others is ours.
        let tables = snapshot.tables.iter();
        let tables = tables
            .filter(|(_, table)| !table.declaration.is_made())
            .map(|(id, table)| (id.to_string(), files(folder, table)));
        engine.ask(&json!({
            "engine": module,
            "threads": threads,
            "tables": tables.collect::<serde_json::Map<_, _>>(),
        }))?;
        Ok(engine)
    }

    /// Returns how its answer to a statement differs from the one in a file, an Arrow stream; None: it does not.
    pub(crate) fn compare(&mut self, sql: &str, answer: &Path) -> Result<Option<String>> {
        let reply = self.ask(&json!({ "sql": sql, "answer": answer }))?;
        Ok(reply.difference)
    }

    /// Returns how long it takes to answer: as Arrow in memory, or written to a file as CSV.
    pub(crate) fn time(&mut self, sql: &str, csv: Option<&Path>) -> Result<Duration> {
        let reply = self.ask(&json!({ "sql": sql, "csv": csv }))?;
        Ok(Duration::from_secs_f64(reply.seconds))
    }

    fn ask(&mut self, request: &Value) -> Result<Reply> {
        writeln!(self.requests, "{request}")?;
        self.requests.flush()?;
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        ensure!(!line.is_empty(), "{} has ended", self.name);
        let reply: Reply = serde_json::from_str(&line)?;
        if let Some(error) = &reply.error {
            anyhow::bail!("{}: {error}: {request}", self.name);
        }
        Ok(reply)
    }
}

/// Returns the paths of a table's files: those of current rows, and all.
fn files(folder: &Path, table: &TableSnapshot) -> Value {
    let of = |superseded: bool| -> Vec<_> {
        let files = table.files.iter();
        files
            .filter(|file| superseded || !file.superseded)
            .map(|file| folder.join(table.folder.name()).join(&*file.path))
            .collect()
    };
    json!({ "current": of(false), "all": of(true) })
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It fails where the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

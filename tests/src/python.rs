//! Independent readers in Python: what they compute from the recordings or read from the tables is the expectation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Runs a script of `tests/python` and reads the JSON it prints.
///
/// # Errors
/// Where it fails; what it printed is in the message.
pub fn run(script: &str, arguments: &[&Path]) -> Result<Value> {
    run_with(script, arguments, &[])
}

/// The same with environment variables.
///
/// # Errors
/// As [`run`].
pub fn run_with(script: &str, arguments: &[&Path], variables: &[(&str, String)]) -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("python")
        .join(script);
    let output = Command::new(interpreter())
        .arg(&path)
        .args(arguments)
        // Scripts import each other: nothing of that is left in the tree.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .with_context(|| format!("run {script}"))?;
    ensure!(
        output.status.success(),
        "{script} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).with_context(|| format!("read the answer of {script}"))
}

/// Returns true where the Python packages of `tests/requirements.txt` are there (`MEETNET_PYTHON` names them).
pub fn has_readers() -> bool {
    has_packages(&["deltalake", "polars", "pyarrow"])
}

/// Returns true where these Python packages are there, and says what is skipped where they are not.
pub fn has_packages(packages: &[&str]) -> bool {
    let packages = packages.join(", ");
    let has = Command::new(interpreter())
        .args(["-c", &format!("import {packages}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has {
        println!("skipped: no Python with {packages}; run ./tests/run");
    }
    has
}

fn interpreter() -> PathBuf {
    std::env::var_os("MEETNET_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

//! The person's pager: a program that shows a long answer piece by piece.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, anyhow};

use super::went_out;
use crate::config::Environment;
use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// The pager where nobody has said which: ends by itself where the answer fits, leaves it on the terminal, and does not fold
/// lines, through which the arrow keys move.
const PAGER: &str = "less -FRSX";
/// How a shell says that a program is not there, or may not be run.
const NOT_RUN: [i32; 2] = [126, 127];

/// Returns the command of the pager: `$PAGER`, which may have arguments of its own, else `less`.
pub(super) fn command(environment: &Environment) -> String {
    let pager = environment.get("PAGER").map(str::trim);
    pager
        .filter(|pager| !pager.is_empty())
        .unwrap_or(PAGER)
        .to_owned()
}

/// A pager that is shown an answer. It has the terminal until its person leaves it, also where the answer breaks off.
pub(crate) struct Pager {
    command: String,
    running: Child,
    /// None: it has all of the answer.
    stdin: Option<ChildStdin>,
}

impl Pager {
    /// Starts it.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub(super) fn start(command: &str) -> Result<Self, Failure> {
        let mut running = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run the pager `{command}`"))
            .map_err(Failure::Work)?;
        let stdin = running.stdin.take();
        Ok(Self {
            command: command.to_owned(),
            running,
            stdin,
        })
    }

    /// Writes; false: the person has left it.
    ///
    /// # Errors
    /// Where it cannot be written to.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        match &mut self.stdin {
            Some(stdin) => went_out(stdin.write_all(bytes)),
            None => Ok(false),
        }
    }

    /// Waits until the person leaves it.
    ///
    /// # Errors
    /// Where it was not there.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        // It waits for more as long as this is open.
        drop(self.stdin.take());
        let status = self.running.wait();
        let status = status
            .context("cannot wait for the pager")
            .map_err(Failure::Work)?;
        match status.code() {
            Some(code) if NOT_RUN.contains(&code) => Err(Failure::Work(anyhow!(
                "the pager `{}` cannot be run; set PAGER to another one, or say `\\pager off`",
                self.command
            ))),
            // How a pager is left is no matter of the answer.
            _ => Ok(()),
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Two programs must not read one terminal. There is nobody to tell where that fails.
        drop(self.running.wait());
    }
}

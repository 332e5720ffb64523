//! Asking the daemon that holds the folder.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::io::BufReader;
use tokio::net::UnixStream;

use super::wire::{self, Ask, REPLY_BYTES_MAX, Reply};
use super::{Outcome, Request};
use crate::daemon::StopSignal;
use crate::failure::Failure;

/// Connects to the daemon; None where nobody listens.
///
/// # Errors
/// Where somebody does and does not let us.
pub(super) async fn connect(socket: &Path) -> Result<Option<UnixStream>, Failure> {
    match UnixStream::connect(socket).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::usage(anyhow::Error::new(error).context(format!(
            "cannot connect to the admin socket {}; run the command as the daemon's user",
            socket.display()
        )))),
    }
}

/// Sends a request and waits for its outcome; shows how it gets on.
///
/// # Errors
/// What the daemon says, or that it said no more. An interrupt ends the waiting, not the work.
pub(super) async fn ask(
    stream: UnixStream,
    request: &Request,
    signal: &StopSignal,
) -> Result<Outcome, Failure> {
    let name = request.name();
    let ask = Ask {
        version: wire::VERSION,
        request: serde_json::to_value(request)
            .context("failed to write the request")
            .map_err(Failure::Work)?,
    };
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    wire::send(&mut write, &ask)
        .await
        .context("the daemon does not take the request")
        .map_err(Failure::Work)?;
    loop {
        let received = tokio::select! {
            received = wire::receive::<Reply>(&mut read, REPLY_BYTES_MAX) => received,
            () = signal.stopped() => return Err(Failure::Work(anyhow!(
                "no longer waiting: the daemon goes on with `{name}`, and its log says how it ended"
            ))),
        };
        let said = received
            .context("the daemon's answer cannot be read")
            .map_err(Failure::Work)?;
        match said {
            Some(Reply::Progress(line)) => show(line),
            Some(Reply::Done(outcome)) => return Ok(outcome),
            Some(Reply::Failed(refusal)) => {
                let error = anyhow!(refusal.message);
                return Err(if refusal.is_usage {
                    Failure::Usage(error)
                } else {
                    Failure::Work(error)
                });
            }
            None => {
                return Err(Failure::Work(anyhow!(
                    "the daemon ended before `{name}` was done; its log says why; {}",
                    after_the_end(request)
                )));
            }
        }
    }
}

/// Says what becomes of a command whose daemon has ended.
fn after_the_end(request: &Request) -> &'static str {
    match request {
        Request::Erase(_) => {
            "the next start completes an erasure that had begun: give the same command then, and it says whether anything \
             is left"
        }
        Request::Backfill { .. } => "it goes on by itself after the next start",
        Request::Import(_) => {
            "it does not go on by itself: start the daemon and give the same command again, which goes on where it was"
        }
        _ => "it does not go on by itself: start the daemon and give the same command again",
    }
}

/// How a line of progress begins that replaces the one before.
pub(super) const BAR: &str = "[";

/// How often a bar is told where nothing replaces it, as in the mail of a crontab: work that is over sooner tells none.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// When a bar was told last, or there was a first one.
static TOLD: Mutex<Option<Instant>> = Mutex::new(None);

/// Shows a line of progress to the person who waits; stdout is for the outcome.
pub(super) fn show(line: String) {
    let mut stderr = std::io::stderr().lock();
    let is_bar = line.starts_with(BAR);
    // A closed stderr means that nobody looks.
    let _ = if stderr.is_terminal() {
        if is_bar {
            write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "\r\x1b[K{line}")
        }
    } else if !is_bar
        || is_due(
            &mut TOLD.lock().unwrap_or_else(PoisonError::into_inner),
            Instant::now(),
        )
    {
        writeln!(stderr, "{line}")
    } else {
        Ok(())
    };
}

/// Returns whether a bar is told at `now`.
fn is_due(told: &mut Option<Instant>, now: Instant) -> bool {
    if told.is_some_and(|last| now.saturating_duration_since(last) < TOLD_EVERY) {
        return false;
    }
    told.replace(now).is_some()
}

/// Takes the bar away, if there is one: the outcome stands on a line of its own.
pub(super) fn end_bar() {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K").and_then(|()| stderr.flush());
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn who_waits_is_told_whether_the_work_goes_on_by_itself() {
        use crate::commands::{Importing, Named};

        let check = |request: Request, expect: &str| {
            let said = after_the_end(&request);
            assert!(said.contains(expect), "{said}");
        };
        check(Request::Erase(Named::default()), "the next start completes");
        let importing = Importing {
            format: "csv".to_owned(),
            paths: Vec::new(),
            stdin: None,
            source: None,
            topic: None,
            correct: false,
            dry_run: false,
        };
        check(Request::Import(importing), "goes on where it was");
        check(Request::Vacuum, "give the same command again");
    }

    #[tokio::test]
    async fn a_daemon_that_is_killed_before_it_has_read_everything_has_ended() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (read, mut write) = ours.into_split();
        write.write_all(b"unread\n").await.unwrap();
        drop(theirs);
        let mut read = BufReader::new(read);
        let received = wire::receive::<Reply>(&mut read, REPLY_BYTES_MAX).await;
        assert_eq!(received.unwrap(), None);
    }

    #[test]
    fn a_bar_that_nothing_replaces_is_told_once_a_minute() {
        let start = Instant::now();
        let mut told = None;
        let due =
            (0..=180).filter(|second| is_due(&mut told, start + Duration::from_secs(*second)));
        assert_eq!(due.collect::<Vec<u64>>(), [60, 120, 180]);
    }
}

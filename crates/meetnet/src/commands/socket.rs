//! The admin socket of a daemon: requests of its own user on this machine, and of nobody else.
//!
//! A request that has been taken is carried out to its end, whether or not anybody waits for the answer.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncWrite, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::wire::{self, Ask, REQUEST_BYTES_MAX, Refusal, Reply};
use super::{AwaitedContext, Context, Outcome, Request, execute};
use crate::failure::Failure;

/// Clients that are connected at the same time; further ones wait in the listener's backlog.
pub(super) const CONNECTIONS_MAX: usize = 8;
/// How long a client may take to send its request, or to take a line of the answer.
const LINE_TIME_MAX: Duration = Duration::from_secs(10);
/// Lines of progress that wait for a slow client; further ones are left out.
const PROGRESS_LINES_MAX: usize = 64;
/// How often somebody who waits for the replay of the journal is told how far it is.
const REPLAY_LINE_PERIOD: Duration = Duration::from_secs(1);
/// Pause where the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket; its file goes with it.
pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Who owns the file: the daemon's user.
    user: u32,
}

impl AdminSocket {
    /// Binds the socket at `path`. The file that a dead daemon left there is replaced.
    ///
    /// # Errors
    /// Where another process listens there, something else lies there, or the file cannot be made.
    pub(crate) async fn bind(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot look at {shown}"));
            }
            Ok(found) if !found.file_type().is_socket() => {
                bail!("{shown} is there and no socket; name another place in [admin] socket")
            }
            Ok(_) => {
                if UnixStream::connect(path).await.is_ok() {
                    bail!(
                        "another process listens on {shown}; give this daemon its own [admin] socket"
                    );
                }
                // Whoever left it is gone.
                fs::remove_file(path).with_context(|| format!("cannot remove {shown}"))?;
            }
        }
        let listener = UnixListener::bind(path)
            .with_context(|| format!("cannot make the admin socket {shown}"))?;
        // Until here the umask decides who can connect; `answer` asks who has.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::symlink_metadata(path))
            .map(|metadata| Self {
                listener,
                path: path.to_path_buf(),
                user: metadata.uid(),
            })
            .with_context(|| format!("cannot make the admin socket {shown} private"))
    }

    /// Answers requests until it is told to stop, from when there is a context on. What is being carried out then goes on
    /// as long as the process.
    ///
    /// # Errors
    /// Never: a client that cannot be served is no reason to end.
    pub(crate) async fn serve(
        self,
        context: AwaitedContext,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                next = next => next,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "the admin socket takes no connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (context, user) = (context.clone(), self.user);
            tokio::spawn(async move {
                if let Err(error) = answer(stream, user, context).await {
                    // It is only the asking that failed: what was taken has been carried out.
                    info!(%error, "a client of the admin socket is gone");
                }
                drop(place);
            });
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // The next daemon replaces one that could not be removed.
        drop(fs::remove_file(&self.path));
    }
}

async fn answer(stream: UnixStream, user: u32, context: AwaitedContext) -> io::Result<()> {
    let asking = stream.peer_cred()?.uid();
    if asking != user && asking != 0 {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let received = wire::receive::<Ask>(&mut read, REQUEST_BYTES_MAX);
    let ask = match in_time(received).await {
        Ok(Some(ask)) => ask,
        // Somebody only looked whether anybody listens.
        Ok(None) => return Ok(()),
        Err(error) => return reply(&mut write, &refusal(format!("no request: {error}"))).await,
    };
    let request = match understand(ask) {
        Ok(request) => request,
        Err(message) => return reply(&mut write, &refusal(message)).await,
    };
    let (command, started) = (request.name(), Instant::now());
    let is_logged_whole = request.is_logged_whole();
    info!(command, "command taken");
    let Some(context) = await_context(context, &mut write).await else {
        let refusal = Refusal {
            is_usage: false,
            message: "the daemon ends before its journal is replayed: nothing was done".to_owned(),
        };
        return reply(&mut write, &Reply::Failed(refusal)).await;
    };
    let (lines, mut told) = mpsc::channel(PROGRESS_LINES_MAX);
    let work = tokio::task::spawn_blocking(move || {
        execute(&request, &context, &mut |line: String| {
            // Full or closed: whoever asked is slow or gone, which must not hold the work up.
            drop(lines.try_send(Reply::Progress(line)));
        })
    });
    let mut is_heard = Ok(());
    while let Some(line) = told.recv().await {
        if is_heard.is_ok() {
            is_heard = reply(&mut write, &line).await;
        }
    }
    let ended = work.await.unwrap_or_else(|error| Err(Failure::work(error)));
    let elapsed_ms = started.elapsed().as_millis() as u64;
    match &ended {
        Ok(Outcome { report, .. }) if is_logged_whole => {
            info!(command, elapsed_ms, report, "command done");
        }
        Ok(_) => info!(command, elapsed_ms, "command done"),
        Err(failure) => {
            let error = failure.text();
            warn!(command, elapsed_ms, error, "command failed");
        }
    }
    is_heard?;
    let last = match ended {
        Ok(outcome) => Reply::Done(outcome),
        Err(failure) => Reply::Failed(Refusal {
            is_usage: matches!(failure, Failure::Usage(_)),
            message: failure.text(),
        }),
    };
    reply(&mut write, &last).await
}

/// Waits for the context, and tells who asked how far it is; None where the daemon ends before.
async fn await_context(
    mut awaited: AwaitedContext,
    write: &mut (impl AsyncWrite + Unpin),
) -> Option<Context> {
    let told = awaited.clone();
    let mut context = pin!(awaited.wait());
    // Nothing is said where it is there at once.
    let mut pause = Duration::ZERO;
    loop {
        if let Ok(context) = tokio::time::timeout(pause, &mut context).await {
            return context;
        }
        // Whoever asked may be gone: what has been taken is carried out all the same.
        drop(reply(write, &Reply::Progress(told.progress())).await);
        pause = REPLAY_LINE_PERIOD;
    }
}

/// Reads the request of an [`Ask`], or says why it cannot be.
fn understand(ask: Ask) -> Result<Request, String> {
    if ask.version != wire::VERSION {
        return Err(format!(
            "the command speaks version {} and the daemon version {}; use the same meetnet for both",
            ask.version,
            wire::VERSION
        ));
    }
    serde_json::from_value(ask.request).map_err(|error| {
        format!("the daemon does not know this command ({error}); use the same meetnet for both")
    })
}

fn refusal(message: String) -> Reply {
    Reply::Failed(Refusal {
        is_usage: true,
        message,
    })
}

async fn reply(to: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
    in_time(wire::send(to, reply)).await
}

async fn in_time<T>(exchange: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(LINE_TIME_MAX, exchange)
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

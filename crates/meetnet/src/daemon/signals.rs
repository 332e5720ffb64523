//! SIGINT and SIGTERM: the first asks for a clean end, the second ends at once.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// What a shell reports for a program that SIGINT ended.
const EXIT_CODE_INTERRUPTED: i32 = 130;

/// Tells when the process has been asked to stop; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct StopSignal(CancellationToken);

impl StopSignal {
    /// Starts to listen for signals.
    ///
    /// # Errors
    /// Where the system does not allow it.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let mut interrupt =
            signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
        let mut terminate =
            signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
        let token = CancellationToken::new();
        let asked = token.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if asked.is_cancelled() {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "everything acknowledged is in the journal: ending here costs a replay and nothing else"
                    )]
                    std::process::exit(EXIT_CODE_INTERRUPTED);
                }
                info!("stopping; once more to stop at once");
                asked.cancel();
            }
        });
        Ok(Self(token))
    }

    /// Waits until the process is asked to stop.
    pub(crate) async fn stopped(&self) {
        self.0.cancelled().await;
    }

    /// Returns true once the process is asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }
}

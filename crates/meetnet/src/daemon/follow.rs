//! Following the table logs from another process: a separate `serve` sees commits a second later, and no hot rows.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use meetnet_lake::lake::LakeReader;
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::LakeStorage;
use tracing::warn;

/// How often the logs are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// The thread that follows a lake.
pub(super) struct Follower {
    shared: SharedSnapshot,
    /// Dropped to stop the thread.
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Follower {
    /// Opens every table and starts to follow them.
    ///
    /// # Errors
    /// Where the lake cannot be read now; later errors are logged and tried again.
    pub(super) fn start(storage: Arc<dyn LakeStorage>) -> anyhow::Result<Self> {
        let lake = storage.location().name();
        let mut reader = LakeReader::open(storage).context("failed to open the tables")?;
        let snapshot = reader.refresh().context("failed to read the tables")?;
        ensure!(
            !snapshot.tables.is_empty(),
            "there is no lake in {lake}; start `meetnet ingest` first, it makes the tables"
        );
        let shared: SharedSnapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let published = Arc::clone(&shared);
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("lake-follow".to_owned())
            .spawn(move || follow(&mut reader, &published, &stopped))
            .context("failed to start a thread")?;
        Ok(Self {
            shared,
            stop,
            thread,
        })
    }

    /// The pointer that readers load.
    pub(super) fn shared(&self) -> SharedSnapshot {
        Arc::clone(&self.shared)
    }

    /// Stops following.
    pub(super) async fn stop(self) {
        let Self { stop, thread, .. } = self;
        drop(stop);
        // It ends within one look at the logs; what it was doing changes nothing.
        drop(tokio::task::spawn_blocking(move || thread.join()).await);
    }
}

fn follow(reader: &mut LakeReader, shared: &SharedSnapshot, stopped: &Receiver<()>) {
    let mut failing = false;
    while matches!(stopped.recv_timeout(PERIOD), Err(RecvTimeoutError::Timeout)) {
        match reader.refresh() {
            Ok(snapshot) => {
                failing = false;
                shared.store(Arc::new(snapshot));
            }
            Err(error) => {
                // One line per outage; answers go on from the last snapshot.
                if !std::mem::replace(&mut failing, true) {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "failed to follow the lake, trying again"
                    );
                }
            }
        }
    }
}

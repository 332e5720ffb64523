//! Following the table logs from another process: a separate `serve` sees commits within its poll interval, and no hot
//! rows. Where a log cannot be read, answers from its table go on from the last snapshot.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use meetnet_lake::lake::{LakeReader, check_property_units};
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::LakeStorage;
use meetnet_publish::Readiness;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::write_side::lake_failure;
use super::{blocking, licences};
use crate::config::{Config, Secrets};
use crate::failure::Failure;

/// Starts to follow the tables, where they hold nothing that the configuration does not allow; returns where they lie, too.
///
/// # Errors
/// `Usage` where the lake cannot be had, or licences or units of the declarations are others than those of the tables; `Work`
/// where the tables cannot be read.
pub(super) async fn start(
    config: &Config,
    secrets: &Secrets,
    readiness: Readiness,
) -> Result<(Arc<dyn LakeStorage>, Follower), Failure> {
    let storage = config.lake.storage(secrets, Handle::current());
    let storage = storage.map_err(Failure::Usage)?;
    let (lake, poll_interval) = (Arc::clone(&storage), config.lake.poll_interval);
    let follower = blocking(move || Follower::start(lake, poll_interval, readiness))
        .await?
        .map_err(Failure::Work)?;
    let snapshot = follower.shared();
    licences::allow(&config.declarations, &snapshot.load().stored_licences())
        .map_err(Failure::Usage)?;
    let (lake, declared) = (Arc::clone(&storage), Arc::clone(&config.declarations));
    blocking(move || check_property_units(&lake, &declared).map_err(lake_failure)).await??;
    Ok((storage, follower))
}

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
    pub(super) fn start(
        storage: Arc<dyn LakeStorage>,
        poll_interval: Duration,
        readiness: Readiness,
    ) -> anyhow::Result<Self> {
        let lake = storage.location().name();
        let mut reader = LakeReader::open(storage).context("failed to open the tables")?;
        let snapshot = reader.refresh().context("failed to read the tables")?;
        ensure!(
            !snapshot.tables.is_empty(),
            "there is no lake in {lake}; start `meetnet ingest` first, it makes the tables"
        );
        readiness.lake_reachable(true);
        let shared: SharedSnapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let published = Arc::clone(&shared);
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("lake-follow".to_owned())
            .spawn(move || {
                while matches!(
                    stopped.recv_timeout(poll_interval),
                    Err(RecvTimeoutError::Timeout)
                ) {
                    look(&mut reader, &published, &readiness);
                }
            })
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

    /// Stops following; waits up to `time_max` for a look that is under way.
    pub(super) async fn stop(self, time_max: Duration) {
        let Self { stop, thread, .. } = self;
        drop(stop);
        // What it is doing changes nothing, and a bucket that does not answer takes its time.
        let ended = tokio::task::spawn_blocking(move || thread.join());
        drop(tokio::time::timeout(time_max, ended).await);
    }
}

/// Looks at the logs once.
fn look(reader: &mut LakeReader, shared: &SharedSnapshot, readiness: &Readiness) {
    let was_reachable = readiness.report().lake_reachable == Some(true);
    let seen = reader.refresh();
    readiness.lake_reachable(seen.is_ok());
    metrics::gauge!("meetnet_lake_reachable").set(if seen.is_ok() { 1.0 } else { 0.0 });
    // Tables that could be read are answered as they are now, whatever is wrong with another one.
    shared.store(Arc::new(reader.snapshot()));
    match seen {
        Ok(_) if was_reachable => {}
        Ok(_) => info!("following the lake again"),
        // One line per outage.
        Err(error) if was_reachable => warn!(
            error = &error as &dyn std::error::Error,
            "failed to follow the lake: what cannot be read is answered from the last snapshot, trying again"
        ),
        Err(_) => {}
    }
}

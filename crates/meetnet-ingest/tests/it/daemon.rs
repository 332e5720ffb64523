//! One daemon as far as these tests need it: a runtime with one MQTT source, and a journal that outlives it on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use meetnet_ingest::mqtt::{MqttOptions, MqttSource, SourceHandle, spawn};
use meetnet_ingest::status::{SourceStatus, Statuses};
use meetnet_ingest::{DupWindows, Intake};
use meetnet_lake::journal::{FrameKind, Journal, JournalOptions};
use meetnet_model::ids::{Sequence, SourceId};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub(crate) const SOURCE: &str = "station";

/// When the journal syncs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// By its own thread, as in production.
    Always,
    /// Only when the test says so.
    ByHand,
}

/// One journalled envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) truncated: bool,
}

pub(crate) struct Daemon {
    pub(crate) journal: Journal,
    pub(crate) statuses: Statuses,
    folder: PathBuf,
    runtime: Option<Runtime>,
    source: Option<SourceHandle>,
    shutdown: CancellationToken,
}

/// Folders for the journals of successive lives.
pub(crate) struct Disk {
    root: TempDir,
    lives: u32,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            lives: 0,
        }
    }

    /// Copies what a life has left behind, as the next life finds it: the first one's locks and threads still exist in
    /// this process.
    fn next(&mut self, from: Option<&Path>) -> PathBuf {
        self.lives += 1;
        let folder = self.root.path().join(format!("life-{}", self.lives));
        let journal = folder.join("journal");
        fs::create_dir_all(&journal).unwrap();
        if let Some(from) = from {
            for entry in fs::read_dir(from.join("journal")).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), journal.join(entry.file_name())).unwrap();
                }
            }
        }
        folder
    }
}

impl Daemon {
    /// Starts with an empty journal, whose options `change` may change.
    pub(crate) fn start(
        disk: &mut Disk,
        options: MqttOptions,
        sync: Sync,
        change: impl FnOnce(&mut JournalOptions),
    ) -> Self {
        let folder = disk.next(None);
        Self::open(folder, options, sync, change)
    }

    fn open(
        folder: PathBuf,
        options: MqttOptions,
        sync: Sync,
        change: impl FnOnce(&mut JournalOptions),
    ) -> Self {
        let mut journal_options =
            JournalOptions::new(folder.join("journal"), folder.join("archive"));
        journal_options.background = sync == Sync::Always;
        journal_options.reserve_bytes = 0;
        change(&mut journal_options);
        let (journal, _recovery) = Journal::open(journal_options, b"{}").unwrap();
        let windows = DupWindows::default();
        for (sequence, frame) in frames(&journal) {
            let source = SourceId::new(&frame.source);
            windows.observe_recovered(
                &source,
                frame.epoch,
                frame.packet_id,
                &frame.topic,
                &frame.payload,
                sequence,
            );
        }
        let statuses = Statuses::default();
        let shutdown = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let source = runtime.block_on(async {
            let source = MqttSource {
                id: SourceId::new(SOURCE),
                options,
                intake: Intake::from_journal(&journal),
                windows,
                statuses: statuses.clone(),
                // Of all lives.
                noted_in: folder.parent().map(|root| root.join("subscribed")),
            };
            spawn(source, shutdown.clone()).unwrap()
        });
        Self {
            journal,
            statuses,
            folder,
            runtime: Some(runtime),
            source: Some(source),
            shutdown,
        }
    }

    /// Ends without a word to the broker, as `kill -9` does: what was not synced is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// The next life, on what is on disk now.
    pub(crate) fn restart(mut self, disk: &mut Disk, options: MqttOptions, sync: Sync) -> Self {
        self.kill();
        let folder = disk.next(Some(&self.folder));
        Self::open(folder, options, sync, |_| {})
    }

    /// Stops as on SIGTERM.
    pub(crate) fn stop(&mut self) {
        self.shutdown.cancel();
        let runtime = self.runtime.take().unwrap();
        let source = self.source.take().unwrap();
        let stopped = async { tokio::time::timeout(Duration::from_secs(15), source.join()).await };
        runtime.block_on(stopped).expect("it stops in time");
    }

    pub(crate) fn status(&self) -> SourceStatus {
        self.statuses.read_one(&SourceId::new(SOURCE)).unwrap()
    }

    /// Waits until the state of the source is as wanted.
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}: {status:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn wait_subscribed(&self) {
        self.wait("subscribed", |status| status.connected && status.subscribed);
    }

    /// Returns what is durable.
    pub(crate) fn envelopes(&self) -> Vec<Envelope> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = frames(&self.journal).into_iter();
        all.map(|(_, frame)| Envelope {
            topic: frame.topic.clone(),
            payload: text(&frame.payload),
            truncated: frame.truncated,
        })
        .collect()
    }

    pub(crate) fn payloads(&self) -> Vec<String> {
        self.envelopes()
            .into_iter()
            .map(|envelope| envelope.payload)
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Frame {
    source: String,
    topic: String,
    packet_id: u16,
    epoch: u32,
    truncated: bool,
    payload: Vec<u8>,
}

fn frames(journal: &Journal) -> Vec<(Sequence, Frame)> {
    let mut reader = journal.reader(Sequence::ZERO);
    let mut all = Vec::new();
    while let Some(group) = reader.read_group(1 << 20).unwrap() {
        for frame in group
            .frames()
            .filter(|frame| frame.kind == FrameKind::Envelope)
        {
            let own = Frame {
                source: frame.source.to_owned(),
                topic: frame.topic.to_owned(),
                packet_id: frame.packet_id,
                epoch: frame.epoch,
                truncated: frame.truncated,
                payload: frame.payload.to_vec(),
            };
            all.push((frame.sequence, own));
        }
    }
    all
}

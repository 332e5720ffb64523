//! Sources that are exchanged while the broker goes on: what nobody wants any more is not collected for us.

use std::time::{Duration, Instant};

use meetnet_ingest::mqtt::MqttSource;
use meetnet_ingest::status::{SourceStatus, Statuses};
use meetnet_ingest::{DupWindows, Intake, Sources, start};
use meetnet_lake::journal::{Journal, JournalOptions};
use meetnet_model::ids::SourceId;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::scene::{Scene, in_both};

const SOURCE: &str = "station";

/// What sources are made of and run on, over a journal of the test's own.
struct Parts {
    runtime: Runtime,
    intake: Intake,
    windows: DupWindows,
    statuses: Statuses,
    /// Ends behind everything that writes to it.
    _journal: Journal,
    folder: TempDir,
}

impl Parts {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = JournalOptions {
            reserve_bytes: 0,
            ..JournalOptions::new(folder.path().join("journal"), folder.path().join("archive"))
        };
        let (journal, _) = Journal::open(options, b"{}").unwrap();
        Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
            intake: Intake::from_journal(&journal),
            windows: DupWindows::default(),
            statuses: Statuses::default(),
            _journal: journal,
            folder,
        }
    }

    /// A source of these topics, or none where there are none.
    fn sources(&self, scene: &Scene, topics: &[&str]) -> Sources {
        let mut options = scene.options.clone();
        options.topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let source = MqttSource {
            id: SourceId::new(SOURCE),
            options,
            intake: self.intake.clone(),
            windows: self.windows.clone(),
            statuses: self.statuses.clone(),
            noted_in: Some(self.folder.path().join("subscribed")),
        };
        Sources {
            mqtt: (!topics.is_empty()).then_some(source).into_iter().collect(),
            polls: Vec::new(),
            push: Vec::new(),
        }
    }

    fn wait(&self, what: &str, is_so: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
        self.wait_of(SOURCE, what, is_so)
    }

    fn wait_of(
        &self,
        source: &str,
        what: &str,
        is_so: impl Fn(&SourceStatus) -> bool,
    ) -> SourceStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.statuses.read_one(&SourceId::new(source)).unwrap();
            if is_so(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}: {status:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn what_nobody_wants_any_more_is_not_collected() {
    in_both(|scene, _| {
        let parts = Parts::new();
        let runtime = &parts.runtime;
        let shutdown = CancellationToken::new();
        let both = parts.sources(&scene, &["city/{sensor}", "park/{sensor}"]);
        let mut handles = runtime
            .block_on(async { start(both, None, &shutdown) })
            .unwrap();
        parts.wait("subscribed", |status| status.subscribed);

        // One of two topics goes. What comes while nobody is connected says what the session collects.
        runtime.block_on(handles.retire(&parts.sources(&scene, &["city/{sensor}"])));
        let messages = [("park/1", "gone"), ("city/1", "1"), ("park/2", "gone")];
        scene.publish_all(messages.map(|(topic, payload)| (topic.to_owned(), payload)));
        let city = parts.sources(&scene, &["city/{sensor}"]);
        runtime
            .block_on(async { handles.start_missing(city) })
            .unwrap();
        let status = parts.wait("collected", |status| status.acked_total >= 1);
        assert!(status.session_present);
        // Behind what was collected.
        scene.publish_all([("city/2".to_owned(), "2")]);
        let status = parts.wait("live", |status| status.bytes_total >= 2);
        assert_eq!((status.messages_total, status.bytes_total), (2, 2));

        // A wider filter takes the place of one: what both match is collected all the time.
        let wider = ["city/{sensor...}"];
        runtime.block_on(handles.retire(&parts.sources(&scene, &wider)));
        scene.publish_all([("city/a".to_owned(), "a"), ("city/a/b".to_owned(), "b")]);
        runtime
            .block_on(async { handles.start_missing(parts.sources(&scene, &wider)) })
            .unwrap();
        let status = parts.wait("collected", |status| status.acked_total >= 4);
        assert_eq!((status.messages_total, status.bytes_total), (4, 4));
        runtime.block_on(handles.retire(&parts.sources(&scene, &["city/{sensor}"])));
        let city = parts.sources(&scene, &["city/{sensor}"]);
        runtime
            .block_on(async { handles.start_missing(city) })
            .unwrap();
        let is_back = |now: &SourceStatus| now.reconnects_total > status.reconnects_total;
        parts.wait("connected again", |now| now.connected && is_back(now));

        // The whole source goes, and comes back.
        runtime.block_on(handles.retire(&parts.sources(&scene, &[])));
        scene.publish_all([("city/3".to_owned(), "gone")]);
        let before = parts.statuses.read_one(&SourceId::new(SOURCE)).unwrap();
        let city = parts.sources(&scene, &["city/{sensor}"]);
        runtime
            .block_on(async { handles.start_missing(city) })
            .unwrap();
        parts.wait("connected", |status| {
            status.connected && status.reconnects_total > before.reconnects_total
        });
        // The first subscription of this life is asked for anew; until it is granted nothing comes.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            scene.publish_all([("city/4".to_owned(), "4")]);
            let status = parts.statuses.read_one(&SourceId::new(SOURCE)).unwrap();
            if status.messages_total > before.messages_total {
                break;
            }
            assert!(Instant::now() < deadline, "{status:?}");
        }
        // Every message has one byte: none is from before.
        parts.wait("only what came since", |status| {
            status.messages_total - before.messages_total == status.bytes_total - before.bytes_total
        });
        shutdown.cancel();
        runtime.block_on(handles.stopped());
    });
}

#[test]
fn a_renamed_source_with_its_client_id_goes_on_with_the_session() {
    in_both(|scene, _| {
        let parts = Parts::new();
        let runtime = &parts.runtime;
        let shutdown = CancellationToken::new();
        let sources = |id: &str| {
            let mut sources = parts.sources(&scene, &["city/{sensor}"]);
            sources.mqtt[0].id = SourceId::new(id);
            sources
        };
        let first = sources(SOURCE);
        let mut handles = runtime
            .block_on(async { start(first, None, &shutdown) })
            .unwrap();
        parts.wait("subscribed", |status| status.subscribed);
        for (id, topic) in [("renamed", "city/1"), (SOURCE, "city/2")] {
            let before = parts.statuses.read_one(&SourceId::new(id));
            let before = before.map_or(0, |status| status.acked_total);
            runtime.block_on(handles.retire(&sources(id)));
            // Nobody is connected: the session has to collect it.
            scene.publish_all([(topic.to_owned(), "1")]);
            let next = sources(id);
            runtime
                .block_on(async { handles.start_missing(next) })
                .unwrap();
            let status = parts.wait_of(id, "collected", |status| status.acked_total > before);
            assert!(status.session_present);
        }
        shutdown.cancel();
        runtime.block_on(handles.stopped());
    });
}

use std::net::SocketAddr;

use meetnet_lake::journal::FrameKind;
use meetnet_model::ids::SourceId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::daemon::Opened;
use crate::daemon::write_side::stop_pipeline;

const TEXT: &str = r#"
[ingest_http]
listen = "127.0.0.1:0"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;

/// A write side over a folder of a test's own.
struct Scene {
    folder: tempfile::TempDir,
    config: Config,
    statuses: Statuses,
    storage: Arc<dyn LakeStorage>,
    writing: Writing,
    push: SocketAddr,
    stop: CancellationToken,
}

impl Scene {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = parse(&folder, TEXT);
        let secrets = Secrets::default();
        let opened = Opened::open(&config, &secrets).await.unwrap();
        let storage = Arc::clone(&opened.storage);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let push = listener.local_addr().unwrap();
        let (statuses, stop) = (Statuses::default(), CancellationToken::new());
        let writing = opened
            .start_sources(&config, &secrets, Some(listener), &statuses, &stop)
            .unwrap();
        Self {
            folder,
            config,
            statuses,
            storage,
            writing,
            push,
            stop,
        }
    }

    fn sources(&self, config: &Config) -> Sources {
        let parts = &self.writing.parts;
        sources::all(config, &Secrets::default(), parts, &self.statuses)
    }

    /// Exchanges the configuration for one of another text.
    async fn exchange(&mut self, text: &str) -> anyhow::Result<()> {
        let after = parse(&self.folder, text);
        let (old, new) = (self.sources(&self.config), self.sources(&after));
        let declarations = with_pseudonyms(&after.declarations, &self.writing.parts.key);
        let exchange = Exchange {
            before: &self.config,
            after: &after,
            statuses: &self.statuses,
            storage: &self.storage,
            declarations: (declarations != self.writing.in_force).then_some(declarations),
        };
        exchange.carry_out(&mut self.writing, old, new).await
    }

    /// Pushes a message; returns the status.
    async fn push(&self, source: &str) -> u16 {
        let mut stream = TcpStream::connect(self.push).await.unwrap();
        let body = r#"{"id": "a", "t": 1, "celsius": 2}"#;
        let request = format!(
            "POST /ingest/v1/{source} HTTP/1.1\r\nHost: meetnet\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok());
        status.unwrap_or_else(|| panic!("{answer}"))
    }

    async fn end(self) {
        self.stop.cancel();
        self.writing.sources.stopped().await;
        // A journal that has ended takes no checkpoint.
        drop(stop_pipeline(self.writing.pipeline).await);
    }
}

fn parse(folder: &tempfile::TempDir, text: &str) -> Config {
    let file = folder.path().join("meetnet.toml");
    Config::parse(&file, text, &Environment::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_journalled_and_connected_is_exchanged_together() {
    let mut scene = Scene::start().await;
    assert_eq!(scene.push("desk").await, 204);
    let before = Arc::clone(&scene.writing.in_force);
    let text = TEXT.replace("\"desk\"", "\"table\"");
    scene.exchange(&text).await.unwrap();
    assert_ne!(scene.writing.in_force, before);
    assert!(
        scene
            .writing
            .in_force
            .sources
            .keys()
            .eq(["table"].map(SourceId::new).iter())
    );
    assert_eq!(
        (scene.push("desk").await, scene.push("table").await),
        (404, 204)
    );
    let shown: Vec<String> = scene
        .statuses
        .read()
        .iter()
        .map(|status| status.source.to_string())
        .collect();
    assert_eq!(shown, ["table"]);
    // What is the same is not journalled again.
    let (durable, _) = scene.writing.journal.durable();
    let in_force = Arc::clone(&scene.writing.in_force);
    scene.config = parse(&scene.folder, &text);
    scene.exchange(&text).await.unwrap();
    assert!(Arc::ptr_eq(&scene.writing.in_force, &in_force));
    let frames = scene
        .writing
        .journal
        .reader(durable)
        .read_group(1 << 20)
        .unwrap();
    let mut frames = frames.iter().flat_map(|group| group.frames());
    assert!(frames.all(|frame| frame.kind == FrameKind::Tick));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_declarations_cannot_be_journalled_everything_stays() {
    let mut scene = Scene::start().await;
    let before = Arc::clone(&scene.writing.in_force);
    let journal = scene.writing.journal.clone();
    tokio::task::spawn_blocking(move || journal.shutdown())
        .await
        .unwrap()
        .unwrap();
    let text = TEXT.replace("\"desk\"", "\"table\"");
    let error = scene.exchange(&text).await.unwrap_err();
    assert!(
        error.to_string().contains("cannot be journalled"),
        "{error:#}"
    );
    assert!(Arc::ptr_eq(&scene.writing.in_force, &before));
    // It asks the journal again (503), and no longer for patience (429); nothing new is there.
    assert_eq!(
        (scene.push("desk").await, scene.push("table").await),
        (503, 404)
    );
    assert!(
        scene
            .statuses
            .read_one(&SourceId::new("desk"))
            .unwrap()
            .connected
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tables_refuse_stops_no_source() {
    let mut scene = Scene::start().await;
    let schemas = scene.folder.path().join("schemas");
    std::fs::create_dir(&schemas).unwrap();
    let heat = include_str!("../../../../../schemas/heat.toml");
    let daily = heat.replace("grain = \"month\"", "grain = \"day\"");
    assert_ne!(daily, heat);
    std::fs::write(schemas.join("heat.toml"), daily).unwrap();
    let text = format!(
        "[schemas]\ndir = \"schemas\"\n{}",
        TEXT.replace("/t\"", "/celsius\"")
    );
    let (durable, _) = scene.writing.journal.durable();
    let error = scene.exchange(&text).await.unwrap_err();
    assert!(format!("{error:#}").contains("grain"), "{error:#}");
    assert_eq!(scene.push("desk").await, 204);
    let group = scene.writing.journal.reader(durable).read_group(1 << 20);
    let group = group.unwrap().unwrap();
    let declared = group
        .frames()
        .any(|frame| frame.kind == FrameKind::Declarations);
    assert!(!declared, "no frame says what is not in force");
    scene.end().await;
}

//! The admin socket from both ends, over a journal and a lake of a test's own.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::wire::{Ask, Refusal, Reply, receive};
use super::*;
use crate::config::Secrets;

#[test]
fn requests_keep_the_form_they_have() {
    let check = |request: Request, expect: serde_json::Value| {
        assert_eq!(serde_json::to_value(&request).unwrap(), expect);
        let again: Request = serde_json::from_value(expect).unwrap();
        assert_eq!(again, request);
    };
    check(
        Request::Compact { dataset: None },
        json!({"command": "compact", "dataset": null}),
    );
    check(
        Request::Compact {
            dataset: Some(DatasetId::new("heat")),
        },
        json!({"command": "compact", "dataset": "heat"}),
    );
    check(Request::Vacuum, json!({"command": "vacuum"}));
    check(
        Request::Backup {
            dir: PathBuf::from("/mnt/backup"),
            with_archive: true,
        },
        json!({"command": "backup", "dir": "/mnt/backup", "with_archive": true}),
    );
    check(
        Request::Repair { quick: false },
        json!({"command": "repair", "quick": false}),
    );
    check(
        Request::Erase(Named {
            sensors: vec!["garden-porch".to_owned()],
            segments: vec![9_000_001_463],
            hardware_ids: Vec::new(),
            source: None,
        }),
        json!({"command": "erase", "sensors": ["garden-porch"], "segments": [9_000_001_463_i64],
            "hardware_ids": [], "source": null}),
    );
    check(
        Request::Quality(Rerunning {
            dataset: Some(DatasetId::new("heat")),
            from: Some(1_769_817_600_000_000),
            to: None,
            only_changed: false,
            dry_run: true,
        }),
        json!({"command": "quality", "dataset": "heat", "from": 1_769_817_600_000_000_i64, "to": null,
            "only_changed": false, "dry_run": true}),
    );
    check(
        Request::Backfill {
            source: SourceId::new("telraam"),
            from: 1_769_817_600_000_000,
            to: 1_769_904_000_000_000,
        },
        json!({
            "command": "backfill", "source": "telraam", "from": 1_769_817_600_000_000_i64,
            "to": 1_769_904_000_000_000_i64,
        }),
    );
    check(
        Request::CancelBackfills {
            source: SourceId::new("telraam"),
        },
        json!({"command": "cancel_backfills", "source": "telraam"}),
    );
}

#[tokio::test]
async fn a_line_is_read_whole_or_not_at_all() {
    let check = async |bytes: &[u8], expect: Result<Option<&str>, &str>| {
        let read = receive::<String>(&mut BufReader::new(bytes), 10).await;
        match (&read, expect) {
            (Ok(read), Ok(expect)) => assert_eq!(read.as_deref(), expect),
            (Err(error), Err(expect)) => {
                let error = error.to_string();
                assert!(error.contains(expect), "`{error}` does not say `{expect}`");
            }
            _ => panic!("{read:?} instead of {expect:?}"),
        }
    };
    check(b"\"done\"\nmore", Ok(Some("done"))).await;
    check(b"", Ok(None)).await;
    check(b"\"1234567\"\n", Ok(Some("1234567"))).await;
    check(b"\"12345678\"\n", Err("longer than 10 bytes")).await;
    check(b"\"done\"", Err("broke off")).await;
    check(b"done\n", Err("expected value")).await;
}

/// A daemon's side of the socket, over an empty folder.
struct Scene {
    dir: tempfile::TempDir,
    stop: CancellationToken,
    opened: Opened,
}

impl Scene {
    async fn start() -> Self {
        let (scene, known, context) = Self::start_replaying().await;
        known.send_replace(Some(context));
        scene
    }

    /// As it is before the journal is replayed; returns what commands wait for, and how they get it.
    async fn start_replaying() -> (Self, watch::Sender<Option<Context>>, Context) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("meetnet.toml");
        let config = Config::parse(&file, "", &Environment::default()).unwrap();
        let opened = Opened::open(&config, &Secrets::default()).await.unwrap();
        let socket = AdminSocket::bind(&config.socket).await.unwrap();
        let stop = CancellationToken::new();
        let config = Arc::new(ArcSwap::from_pointee(config));
        let context = Context::new(config, &opened);
        let (known, awaited) = AwaitedContext::new(ReplayWatch::default());
        tokio::spawn(socket.serve(awaited, stop.clone()));
        (Self { dir, stop, opened }, known, context)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("data/journal/meetnet.sock")
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).await.unwrap()
    }

    /// Sends one line; returns the last reply.
    async fn ask(&self, line: &str) -> Reply {
        let (read, mut write) = self.connect().await.into_split();
        write.write_all(line.as_bytes()).await.unwrap();
        write.write_all(b"\n").await.unwrap();
        let mut read = BufReader::new(read);
        loop {
            let reply = receive::<Reply>(&mut read, 1 << 20).await.unwrap();
            match reply.expect("an outcome") {
                Reply::Progress(_) => {}
                outcome => return outcome,
            }
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.opened.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_request_has_one_outcome() {
    let scene = Scene::start().await;
    let check = async |ask: serde_json::Value, expect: Result<&str, (bool, &str)>| {
        let reply = scene.ask(&ask.to_string()).await;
        match (&reply, expect) {
            (Reply::Done(Outcome { report, .. }), Ok(expect)) => assert_eq!(report, expect),
            (Reply::Failed(Refusal { is_usage, message }), Err((expect_usage, expect))) => {
                assert_eq!(*is_usage, expect_usage, "{message}");
                assert!(
                    message.contains(expect),
                    "`{message}` does not say `{expect}`"
                );
            }
            _ => panic!("{reply:?} instead of {expect:?}"),
        }
    };
    let ask = |request: Request| {
        let request = serde_json::to_value(request).unwrap();
        let version = wire::VERSION;
        serde_json::to_value(Ask { version, request }).unwrap()
    };
    let nothing = "nothing to merge: every partition is one run of files";
    check(ask(Request::Compact { dataset: None }), Ok(nothing)).await;
    check(ask(Request::Vacuum), Ok("nothing to remove")).await;
    let odour = Request::Compact {
        dataset: Some(DatasetId::new("odour")),
    };
    check(ask(odour), Err((true, "dataset `odour` is not declared"))).await;
    let taken = Request::Backup {
        dir: scene.dir.path().to_path_buf(),
        with_archive: false,
    };
    check(ask(taken), Err((true, "name a new folder for the backup"))).await;
    let later = json!({"version": 2, "request": {"what": "ever"}});
    check(
        later,
        Err((
            true,
            "the command speaks version 2 and the daemon version 1",
        )),
    )
    .await;
    let unknown = json!({"version": 1, "request": {"command": "melt"}});
    check(unknown, Err((true, "does not know this command"))).await;
    check(json!("nonsense"), Err((true, "no request"))).await;
    let long = json!("x".repeat(wire::REQUEST_BYTES_MAX as usize));
    check(long, Err((true, "longer than 65536 bytes"))).await;
    scene.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_does_not_stop_the_work() {
    let scene = Scene::start().await;
    let dir = scene.dir.path().join("backup");
    let request = serde_json::to_value(Request::Backup {
        dir: dir.clone(),
        with_archive: false,
    });
    let ask = Ask {
        version: wire::VERSION,
        request: request.unwrap(),
    };
    let mut stream = scene.connect().await;
    wire::send(&mut stream, &ask).await.unwrap();
    drop(stream);
    while !dir.join("manifest").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scene.end().await;
}

#[tokio::test]
async fn a_request_waits_until_the_journal_is_replayed() {
    let line = json!({"version": 1, "request": {"command": "vacuum"}}).to_string() + "\n";
    // Sends it; returns what is said first.
    let ask = async |scene: &Scene| {
        let (read, mut write) = scene.connect().await.into_split();
        write.write_all(line.as_bytes()).await.unwrap();
        let mut read = BufReader::new(read);
        let first = receive::<Reply>(&mut read, 1 << 20).await.unwrap();
        (first.unwrap(), read)
    };
    for becomes_known in [true, false] {
        let (scene, known, context) = Scene::start_replaying().await;
        let (first, mut read) = ask(&scene).await;
        let waiting = "waiting until the journal is read".to_owned();
        assert_eq!(first, Reply::Progress(waiting));
        if becomes_known {
            known.send_replace(Some(context));
        }
        // The daemon has gone on, or ends.
        drop(known);
        let last = loop {
            match receive::<Reply>(&mut read, 1 << 20).await.unwrap() {
                Some(Reply::Progress(_)) => {}
                last => break last.unwrap(),
            }
        };
        match last {
            Reply::Done(Outcome { report, .. }) => {
                assert!(becomes_known);
                assert_eq!(report, "nothing to remove");
            }
            Reply::Failed(Refusal { is_usage, message }) => {
                assert!(!becomes_known && !is_usage, "{message}");
                assert!(message.contains("nothing was done"), "{message}");
            }
            Reply::Progress(line) => panic!("{line}"),
        }
        scene.end().await;
    }
}

#[tokio::test]
async fn clients_beyond_the_limit_wait() {
    let scene = Scene::start().await;
    let mut connected = Vec::new();
    for _ in 0..socket::CONNECTIONS_MAX {
        connected.push(scene.connect().await);
    }
    let ask = json!({"version": 1, "request": {"command": "vacuum"}}).to_string();
    {
        let mut further = std::pin::pin!(scene.ask(&ask));
        let a_while = Duration::from_millis(200);
        let waited = tokio::time::timeout(a_while, &mut further).await;
        assert!(waited.is_err(), "{waited:?}");
        drop(connected);
        assert!(matches!(further.await, Reply::Done(_)));
    }
    scene.end().await;
}

#[tokio::test]
async fn a_socket_is_private_and_replaces_only_what_a_dead_daemon_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meetnet.sock");
    let refusal = async |expect: &str| {
        let error = AdminSocket::bind(&path).await.err().unwrap().to_string();
        assert!(error.contains(expect), "`{error}` does not say `{expect}`");
    };
    let bound = AdminSocket::bind(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    refusal("another process listens on").await;
    drop(bound);
    assert!(!path.exists());
    // A daemon that died could not remove its own.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(AdminSocket::bind(&path).await.unwrap());
    std::fs::write(&path, "notes").unwrap();
    refusal("is there and no socket").await;
    assert_eq!(std::fs::read(&path).unwrap(), b"notes");
}

//! A start over a journal that was not committed: what is committed is answered at once, messages are taken once the rest
//! is replayed, and whatever ends the process meanwhile loses and doubles nothing.
//!
//! The replay is as long as the test wants: commits fail at a file that stands where a partition would begin, so hot rows
//! fill, and the replay waits.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meetnet_tests::daemon::{Daemon, Installation};
use serde_json::Value;
use tokio::task::JoinSet;

/// Rows that are committed before the crash.
const COMMITTED: i64 = 100;
/// Rows that only the journal holds: more than `hot_bytes_max` and than a group of frames.
const BODIES: i64 = 8;
const ROWS_PER_BODY: i64 = 8_000;
/// Committed rows that the journal revises, before those rows and among them.
const REVISED: i64 = 10;
/// Values of revised rows begin here.
const REVISED_FROM: i64 = 1_000_000;
/// How long a step may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn source(id: &str, licence: &str) -> String {
    format!(
        "[[source]]\nid = \"{id}\"\nkind = \"http\"\nformat = \"json\"\ntoken = {{ env = \"MEETNET_TEST_TOKEN\" }}\n\
         sensor_id = {{ pointer = \"/id\" }}\ntime = {{ pointer = \"/ts\", format = \"unix-ms\" }}\n\
         licence = \"{licence}\"\nattribution = \"School\"\n\
         map = [{{ dataset = \"air\", property = \"co2\", pointer = \"/n\", unit = \"[ppm]\" }}]\n\n"
    )
}

/// A body of rows `(id, ts, n)`.
fn body(rows: impl Iterator<Item = (i64, i64, i64)>) -> Vec<u8> {
    let rows: Vec<String> = rows
        .map(|(id, ts, n)| format!("{{\"id\":\"{id}\",\"ts\":{ts},\"n\":{n}}}"))
        .collect();
    format!("[{}]", rows.join(",")).into_bytes()
}

/// What is pushed, by its place in time.
struct Rows {
    start_ms: i64,
}

impl Rows {
    fn committed(&self) -> Vec<u8> {
        body((0..COMMITTED).map(|row| (row, self.start_ms, row)))
    }

    fn revised(&self, from: i64) -> Vec<u8> {
        body((from..from + REVISED).map(|row| (row, self.start_ms, REVISED_FROM + row)))
    }

    fn many(&self, number: i64) -> Vec<u8> {
        let rows = number * ROWS_PER_BODY..(number + 1) * ROWS_PER_BODY;
        body(rows.map(|row| (row % 50, self.start_ms + row, row)))
    }
}

/// Starts the daemon over a journal that it cannot replay to the end now.
async fn start_stuck(installation: &Installation) -> Daemon {
    let daemon = installation.spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    // It listens once the folder is its own.
    while installation.readiness().await.is_err() {
        assert!(Instant::now() < deadline, "{}", installation.log_tail());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    daemon
}

/// Waits until the replay has begun to apply frames; returns how many, and of how many.
async fn replaying(installation: &Installation) -> (u64, u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = installation.readiness().await.unwrap();
        assert_eq!(said["ready"], false, "{said}");
        assert_eq!(said["journal_replayed"], false, "{said}");
        let figure = |name: &str| said["replaying"][name].as_u64();
        if let (Some(frames @ 1..), Some(total)) = (figure("frames"), figure("frames_total")) {
            assert!(frames < total, "{said}");
            return (frames, total);
        }
        assert!(Instant::now() < deadline, "{said}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Number of rows that are answered, and the position that the answer gives.
async fn answered(installation: &Installation) -> (i64, u64) {
    let path = "/api/v1/sql?format=json&q=SELECT%20count(*)%20FROM%20air";
    let answer = installation.get(path, &[]).await.unwrap();
    let text = answer.text().await.unwrap();
    let said: Value = serde_json::from_str(&text).unwrap();
    let rows = said["rows"][0][0].as_i64();
    (rows.expect(&text), said["through"].as_u64().expect(&text))
}

async fn revised(installation: &Installation) -> i64 {
    let query = format!("SELECT count(*) FROM air WHERE value >= {REVISED_FROM}");
    installation.cell(&query).await.unwrap().as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_is_answered_while_the_journal_is_replayed() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let rows = Rows {
        start_ms: now.as_millis() as i64 / 1_000 * 1_000 - 7_200_000,
    };
    let sources = source("first", "CC0-1.0") + &source("second", "CC-BY-4.0");
    let installation = Installation::new("hot_bytes_max = \"1MiB\"", &sources).unwrap();
    let installation = Arc::new(installation);

    let daemon = installation.start().await.unwrap();
    let pushed = installation.push("first", rows.committed(), &[]).await;
    assert_eq!(pushed.unwrap().0, 204);
    daemon.stop().unwrap();
    let obstacle = installation.lake().join("air/licence=CC-BY-4.0");
    fs::write(&obstacle, b"").unwrap();

    // Everything is acknowledged, and nothing of it is committed.
    let daemon = installation.start().await.unwrap();
    let pushed = installation.push("first", rows.revised(0), &[]).await;
    assert_eq!(pushed.unwrap().0, 204);
    let mut pushing = JoinSet::new();
    let mut push = |source: &'static str, body: Vec<u8>| {
        let installation = Arc::clone(&installation);
        pushing.spawn(async move { installation.push(source, body, &[]).await.unwrap().0 });
    };
    (0..BODIES).for_each(|number| push("second", rows.many(number)));
    push("first", rows.revised(REVISED));
    assert_eq!(pushing.join_all().await, [204; BODIES as usize + 1]);
    daemon.kill().unwrap();

    // The first answer is what is committed, with its position; later ones have more, and never less.
    let daemon = start_stuck(&installation).await;
    let mut before = answered(&installation).await;
    assert!(before.0 >= COMMITTED, "{before:?}");
    assert!(before.1 > 0, "{before:?}");
    let (_, total) = replaying(&installation).await;
    for _ in 0..20 {
        let now = answered(&installation).await;
        assert!(
            now.0 >= before.0 && now.1 >= before.1,
            "{now:?} after {before:?}"
        );
        before = now;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(before.0 < COMMITTED + BODIES * ROWS_PER_BODY, "{before:?}");
    let of_first = "SELECT count(*) FROM air WHERE source = 'first'";
    assert_eq!(installation.cell(of_first).await.unwrap(), COMMITTED);
    // A frame of the journal revises a committed row: it is answered once, with the newer value.
    let deadline = Instant::now() + PATIENCE;
    while revised(&installation).await < REVISED {
        assert!(Instant::now() < deadline, "{}", installation.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(installation.cell(of_first).await.unwrap(), COMMITTED);
    // Nothing is taken, and who sends is told to come again.
    let (status, said) = installation
        .push("second", rows.many(0), &[])
        .await
        .unwrap();
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("send it again"), "{said}");
    let alive = installation.get("/healthz", &[]).await.unwrap();
    assert!(alive.status().is_success());
    let ready = installation.get("/readyz", &[]).await.unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    // A command waits for its turn.
    let mut asking = installation.begin(&["vacuum"]).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(asking.try_wait().unwrap().is_none(), "it must wait");
    asking.kill().unwrap();
    asking.wait().unwrap();
    // In the middle of it all the process is gone.
    daemon.kill().unwrap();

    // Asked to stop in the middle, it does not end the replay first.
    let daemon = start_stuck(&installation).await;
    assert_eq!(
        replaying(&installation).await.1,
        total,
        "nothing was trimmed"
    );
    let asked = Instant::now();
    daemon.ask_to_stop().unwrap();
    let status = daemon.ended().unwrap();
    assert!(status.success(), "{status}: {}", installation.log_tail());
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );

    // A change of the configuration waits until the journal is replayed.
    let daemon = start_stuck(&installation).await;
    replaying(&installation).await;
    let file = installation.folder().join("meetnet.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + &source("third", "CC0-1.0")).unwrap();
    daemon.ask_to_reload().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    replaying(&installation).await;
    fs::remove_file(&obstacle).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = installation.readiness().await.unwrap();
        if said["ready"] == true {
            assert_eq!(said["journal_replayed"], true, "{said}");
            assert_eq!(said["replaying"], Value::Null, "{said}");
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{said}\n{}",
            installation.log_tail()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Ready means that messages are taken; those that are there already change nothing.
    let pushed = installation.push("second", rows.many(0), &[]).await;
    assert_eq!(pushed.unwrap().0, 204);
    let every = COMMITTED + BODIES * ROWS_PER_BODY;
    assert_eq!(answered(&installation).await.0, every);
    assert_eq!(revised(&installation).await, 2 * REVISED);
    let versions = "SELECT count(*) FROM air_history";
    assert_eq!(
        installation.cell(versions).await.unwrap(),
        every + 2 * REVISED
    );
    let deadline = Instant::now() + PATIENCE;
    while installation
        .push("third", rows.committed(), &[])
        .await
        .unwrap()
        .0
        != 204
    {
        assert!(Instant::now() < deadline, "{}", installation.log_tail());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    daemon.stop().unwrap();
    let committed = installation.sql_on_files(versions).unwrap();
    assert_eq!(committed[0][0], every + 2 * REVISED + COMMITTED);
}

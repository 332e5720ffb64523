//! `kill -9` at random moments while messages flow, before, during and after commits, merges and the removal of replaced
//! files: every acknowledged message is answered exactly once, and every version of a revised row is there.
//!
//! `MEETNET_KILLS=n` sets the number of kills (50), `MEETNET_SEED=s` their moments and the messages.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use meetnet_lake::lake::UpkeepRequest;
use meetnet_testkit::mosquitto::{Mosquitto, TUNED};
use meetnet_tests::daemon::Installation;
use meetnet_tests::publisher::{self, Message};
use meetnet_tests::upkeep::tend;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

const MESSAGES: usize = 20_000;
const DEVICES: usize = 500;
/// Rows that are revised again and again: their keys.
const REVISED_DEVICES: usize = 5;
const REVISED_TIMES: usize = 20;
/// Longer than `vacuum_after`: files that were replaced then may go.
const LONG_AGO: Duration = Duration::from_secs(2 * 3_600);

/// What was published, and what must be answered.
struct Published {
    messages: Vec<Message>,
    /// Rows that are revised: device and time (ms), and the last value sent.
    revised: BTreeMap<(String, i64), usize>,
    /// Number of the others.
    once: usize,
}

/// Messages numbered from 0. A third have a time of their own, a third have none, so that only the DUP window keeps
/// their redelivery from becoming a second row, and a third revise rows: a redelivery that is not recognised sets an
/// older value in force again.
fn messages(random: &mut StdRng) -> Published {
    // A time within the window of the source, different for each message.
    let start_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
        - 3_600_000;
    let mut published = Published {
        messages: Vec::new(),
        revised: BTreeMap::new(),
        once: 0,
    };
    for number in 0..MESSAGES {
        let device = format!("device-{}", random.random_range(0..DEVICES));
        let (topic, payload) = match number % 3 {
            0 => (
                format!("timed/{device}"),
                format!("{{\"n\":{number},\"ts\":{}}}", start_ms + number as i64),
            ),
            1 => (format!("timeless/{device}"), format!("{{\"n\":{number}}}")),
            _ => {
                let device = format!("device-{}", random.random_range(0..REVISED_DEVICES));
                // Whole seconds, which SQL gives back exactly.
                let minute = random.random_range(0..REVISED_TIMES) as i64;
                let time = start_ms / 1_000 * 1_000 + 60_000 * minute;
                let topic = format!("revised/{device}");
                let payload = format!("{{\"n\":{number},\"ts\":{time}}}");
                let key = (format!("revised-{device}"), time);
                published.revised.insert(key, number);
                (topic, payload)
            }
        };
        published.once += usize::from(number % 3 != 2);
        published.messages.push(Message {
            topic,
            payload: payload.into_bytes(),
        });
    }
    published
}

fn sources(port: u16) -> String {
    let source = |id: &str, time: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n\
             topics = [\"{id}/{{device}}\"]\nformat = \"json\"\nsensor_id = \"{{device}}\"\n{time}\n\
             licence = \"CC0-1.0\"\nbackoff_max = \"100ms\"\n\
             map = [{{ dataset = \"air\", property = \"co2\", pointer = \"/n\", unit = \"[ppm]\" }}]\n\n"
        )
    };
    let time = "time = { pointer = \"/ts\", format = \"unix-ms\" }";
    source("timed", time) + &source("timeless", "") + &source("revised", time)
}

/// One life of the daemon, ended in one of the ways that there are.
async fn live_and_die(installation: &Installation, random: &mut StdRng) -> Result<()> {
    let milliseconds = Duration::from_millis;
    match random.random_range(0..10) {
        // Asked to stop, it commits everything; it is killed while it does.
        0 | 1 => {
            let daemon = installation.start().await?;
            tokio::time::sleep(milliseconds(random.random_range(0..300))).await;
            daemon.ask_to_stop()?;
            tokio::time::sleep(milliseconds(random.random_range(0..80))).await;
            daemon.kill()
        }
        // Asked to stop in the middle of its work, it ends well.
        2 => {
            let daemon = installation.start().await?;
            tokio::time::sleep(milliseconds(random.random_range(0..300))).await;
            daemon.stop()
        }
        // Killed while it merges files, or removes those that were replaced long ago, because somebody asks it to.
        3 | 4 => {
            tend(&installation.lake(), UpkeepRequest::Compact(None), LONG_AGO)?;
            let daemon = installation.start().await?;
            let request = ["compact", "vacuum"][random.random_range(0..2)];
            let mut asking = installation.begin(&[request])?;
            tokio::time::sleep(milliseconds(random.random_range(0..150))).await;
            daemon.kill()?;
            // Whether it was done in time is nothing that it must say.
            asking.wait()?;
            Ok(())
        }
        // Sometimes before it has recovered, sometimes in the middle of its work.
        _ => {
            let daemon = installation.spawn()?;
            tokio::time::sleep(milliseconds(random.random_range(10..900))).await;
            daemon.kill()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_message_is_answered_exactly_once() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let seed = number("MEETNET_SEED", 1);
    let kills = number("MEETNET_KILLS", 50);
    println!("MEETNET_SEED={seed} MEETNET_KILLS={kills}");
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let random = &mut StdRng::seed_from_u64(seed);
    // Commits, trims and merges all the time, so that kills fall into them.
    let lake = "commit_age_max = \"100ms\"\nvacuum_after = \"1h\"";
    let installation = Installation::new(lake, &sources(broker.port)).unwrap();
    // The broker keeps messages for a session only from the first subscription on.
    let daemon = installation.start().await.unwrap();
    let Published {
        messages,
        revised,
        once,
    } = messages(random);
    let pause = Duration::from_millis(kills * 500 * 100 / MESSAGES as u64);
    let port = broker.port;
    let publishing =
        tokio::spawn(async move { publisher::publish(port, "city", messages, pause).await });
    tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
    daemon.kill().unwrap();
    for life in 1..kills {
        let lived = live_and_die(&installation, random).await;
        lived.unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error:#}"));
    }
    let daemon = installation.start().await.unwrap();
    publishing.await.unwrap().unwrap();
    let versions = "SELECT count(*) FROM air_history";
    let stored = installation
        .wait_for(versions, MESSAGES as i64)
        .await
        .unwrap();
    // Whatever would be answered twice has had the time to arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stored, MESSAGES as i64, "seed {seed}");
    let doubled = installation
        .sql("SELECT value, count(*) FROM air_history GROUP BY value HAVING count(*) <> 1 ORDER BY 1")
        .await
        .unwrap();
    assert!(doubled.is_empty(), "seed {seed}: {doubled:?}");
    let whole = installation
        .sql("SELECT count(*), count(DISTINCT value), min(value), max(value) FROM air_history")
        .await
        .unwrap();
    let whole: Vec<Option<f64>> = whole[0].iter().map(Value::as_f64).collect();
    let every = MESSAGES as f64;
    assert_eq!(
        whole,
        [every, every, 0.0, every - 1.0].map(Some),
        "seed {seed}"
    );
    let current = installation.cell("SELECT count(*) FROM air").await.unwrap();
    assert_eq!(current, once + revised.len(), "seed {seed}");
    let answers = installation
        .sql(
            "SELECT sensor_id, cast(extract(epoch FROM time) AS bigint), value FROM air \
             WHERE source = 'revised'",
        )
        .await
        .unwrap();
    for answer in &answers {
        let sensor = answer[0].as_str().unwrap().to_owned();
        let time = answer[1].as_i64().unwrap() * 1_000;
        let last = revised.get(&(sensor, time)).map(|last| *last as f64);
        assert_eq!(
            answer[2].as_f64(),
            last,
            "seed {seed}: the last value sent is the answer: {answer:?}"
        );
    }
    assert_eq!(answers.len(), revised.len(), "seed {seed}");
    daemon.stop().unwrap();
    // Once more and to its end.
    tend(&installation.lake(), UpkeepRequest::Compact(None), LONG_AGO).unwrap();
    let daemon = installation.start().await.unwrap();
    let vacuumed = installation.run(&["vacuum"]).unwrap();
    assert!(vacuumed.status.success(), "seed {seed}: {vacuumed:?}");
    daemon.stop().unwrap();
    let removed = installation.log();
    let removed = removed.contains("removed files that nothing needs");
    assert!(removed, "seed {seed}: no vacuum had anything to do");
    let committed = installation.sql_on_files(versions).unwrap();
    assert_eq!(committed[0][0], MESSAGES, "seed {seed}: committed files");
}

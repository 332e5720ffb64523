//! `kill -9` at random moments while messages flow: every acknowledged message is answered exactly once.

use std::time::Duration;

use meetnet_testkit::mosquitto::{Mosquitto, TUNED};
use meetnet_tests::daemon::Installation;
use meetnet_tests::publisher::{self, Message};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const MESSAGES: usize = 20_000;
const DEVICES: usize = 500;

/// Messages numbered from 0; the odd ones have no time of their own, so that only the DUP window keeps their
/// redelivery from becoming a second row.
fn messages(random: &mut StdRng) -> Vec<Message> {
    // A time within the window of the source, different for each message.
    let start_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
        - 3_600_000;
    (0..MESSAGES)
        .map(|number| {
            let device = random.random_range(0..DEVICES);
            let payload = if number % 2 == 0 {
                format!("{{\"n\":{number},\"ts\":{}}}", start_ms + number as u64)
            } else {
                format!("{{\"n\":{number}}}")
            };
            let kind = if number % 2 == 0 { "timed" } else { "timeless" };
            Message {
                topic: format!("{kind}/device-{device}"),
                payload: payload.into_bytes(),
            }
        })
        .collect()
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
    source(
        "timed",
        "time = { pointer = \"/ts\", format = \"unix-ms\" }",
    ) + &source("timeless", "")
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
    // Commits and trims all the time, so that kills fall into them.
    let installation =
        Installation::new("commit_age_max = \"100ms\"", &sources(broker.port)).unwrap();
    // The broker keeps messages for a session only from the first subscription on.
    let daemon = installation.start().await.unwrap();
    let messages = messages(random);
    let pause = Duration::from_millis(kills * 500 * 100 / MESSAGES as u64);
    let port = broker.port;
    let publishing =
        tokio::spawn(async move { publisher::publish(port, "city", messages, pause).await });
    tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
    daemon.kill().unwrap();
    for _ in 1..kills {
        let daemon = installation.spawn().unwrap();
        // Sometimes before it has recovered, sometimes in the middle of its work.
        tokio::time::sleep(Duration::from_millis(random.random_range(10..900))).await;
        daemon.kill().unwrap();
    }
    let daemon = installation.start().await.unwrap();
    publishing.await.unwrap().unwrap();
    let count = "SELECT count(*) FROM air";
    let stored = installation.wait_for(count, MESSAGES as i64).await.unwrap();
    // Whatever would be answered twice has had the time to arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stored, MESSAGES as i64, "seed {seed}");
    let doubled = installation
        .sql("SELECT value, count(*) FROM air GROUP BY value HAVING count(*) <> 1 ORDER BY 1")
        .await
        .unwrap();
    assert!(doubled.is_empty(), "seed {seed}: {doubled:?}");
    let whole = installation
        .sql("SELECT count(DISTINCT value), min(value), max(value), count(DISTINCT sensor_id) FROM air")
        .await
        .unwrap();
    assert_eq!(whole[0][0], MESSAGES, "seed {seed}");
    assert_eq!(whole[0][1].as_f64(), Some(0.0));
    assert_eq!(whole[0][2].as_f64(), Some(MESSAGES as f64 - 1.0));
    daemon.stop().unwrap();
    let committed = installation.sql_on_files(count).unwrap();
    assert_eq!(committed[0][0], MESSAGES, "seed {seed}: committed files");
}

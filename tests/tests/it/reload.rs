//! The configuration changes again and again while messages flow, and sometimes the daemon is killed over it: every
//! acknowledged message is answered exactly once.
//!
//! `MEETNET_SEED=s` sets the moments.

use std::fs;
use std::time::{Duration, Instant};

use meetnet_testkit::mosquitto::{Mosquitto, TUNED};
use meetnet_tests::daemon::Installation;
use meetnet_tests::publisher::{self, Message};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const MESSAGES: usize = 5_000;
const CHANGES: usize = 12;

/// The source after so many changes: what it declares is another thing each time, and how it is connected every other
/// time, so that it is exchanged, or only decoded anew.
fn source(port: u16, changes: usize) -> String {
    let inflight_max = 100 + changes / 2;
    // Messages without a time of their own: whatever comes twice would be two rows.
    format!(
        "[[source]]\nid = \"city\"\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n\
         topics = [\"city/{{device}}\"]\nformat = \"json\"\nsensor_id = \"{{device}}\"\nlicence = \"CC0-1.0\"\n\
         attribution = \"change {changes}\"\nbackoff_max = \"100ms\"\ninflight_max = {inflight_max}\n\
         map = [{{ dataset = \"air\", property = \"co2\", pointer = \"/n\", unit = \"[ppm]\" }}]\n"
    )
}

/// A source gets another id, and later goes while its broker is away: what is left at the broker is said, with what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_a_renamed_source_leaves_is_said() {
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let city = source(broker.port, 0);
    let installation = Installation::new("", &city).unwrap();
    let file = installation.folder().join("meetnet.toml");
    let text = fs::read_to_string(&file).unwrap();
    let daemon = installation.start().await.unwrap();
    let said = async |what: &[&str]| {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let log = installation.log();
            let says_it = |line: &&str| what.iter().all(|part| line.contains(part));
            if let Some(line) = log.lines().find(says_it) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "{what:?} is not said: {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    said(&["mqtt connected", "source=city"]).await;
    let town = city.replace("id = \"city\"", "id = \"town\"");
    assert_ne!(town, city);
    fs::write(&file, text.replace(&city, &town)).unwrap();
    daemon.ask_to_reload().unwrap();
    let quiet = "its session at the broker has no subscriptions any more";
    let port = format!("-p {}", broker.port);
    let to_do = "give a source this `client_id`";
    said(&[
        quiet,
        "source=city",
        "-city",
        "mosquitto_sub",
        port.as_str(),
        to_do,
    ])
    .await;

    said(&["mqtt connected", "source=town"]).await;
    drop(broker);
    said(&["mqtt connection ended", "source=town"]).await;
    fs::write(&file, text.replace(&city, "")).unwrap();
    daemon.ask_to_reload().unwrap();
    said(&["goes on collecting", "source=town", to_do]).await;
    daemon.stop().unwrap();
}

/// A source with a fixed client id gets another id and the old one again, while messages flow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_source_with_a_fixed_client_id_loses_and_doubles_nothing() {
    const RENAMES: usize = 4;
    // Some 16 s of them.
    const SENT: usize = 8_000;
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let city = source(broker.port, 0).replace(
        "kind = \"mqtt\"\n",
        "kind = \"mqtt\"\nclient_id = \"fixed-one\"\n",
    );
    let installation = Installation::new("commit_age_max = \"100ms\"", &city).unwrap();
    let file = installation.folder().join("meetnet.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("fixed-one"), "{text}");
    let daemon = installation.start().await.unwrap();
    let messages = (0..SENT).map(|number| Message {
        topic: format!("city/device-{}", number % 100),
        payload: format!("{{\"n\":{number}}}").into_bytes(),
    });
    let messages: Vec<Message> = messages.collect();
    let (port, pause) = (broker.port, Duration::from_millis(200));
    let publishing =
        tokio::spawn(async move { publisher::publish(port, "gateway", messages, pause).await });
    for rename in 1..=RENAMES {
        // What is renamed in the middle of nothing loses nothing.
        assert!(!publishing.is_finished(), "rename {rename}");
        let changed = if rename % 2 == 1 {
            text.replace("id = \"city\"", "id = \"town\"")
        } else {
            text.clone()
        };
        fs::write(&file, changed).unwrap();
        daemon.ask_to_reload().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while installation.log().matches("configuration loaded").count() < rename {
            let log = installation.log();
            assert!(Instant::now() < deadline, "rename {rename}: {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    publishing.await.unwrap().unwrap();
    let count = "SELECT count(*) FROM air";
    installation.wait_for(count, SENT as i64).await.unwrap();
    // Whatever would be answered twice has had the time to arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(installation.cell(count).await.unwrap(), SENT);
    let different = "SELECT count(DISTINCT value) FROM air";
    assert_eq!(installation.cell(different).await.unwrap(), SENT);
    daemon.stop().unwrap();
    let log = installation.log();
    assert!(!log.contains("a broker's source is gone"), "{log}");
    let rejects = installation.sql_on_files("SELECT count(*) FROM rejects");
    assert_eq!(rejects.unwrap()[0][0], 0);
}

/// A source with a fixed client id gets another id just before the daemon is killed, or while it is not there: what the broker saw
/// no acknowledgement of it delivers to a source that has journalled nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_renamed_around_a_kill_doubles_nothing() {
    const RENAMES: usize = 8;
    const SENT: usize = 8_000;
    let seed = std::env::var("MEETNET_SEED").ok();
    let seed: u64 = seed.and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("MEETNET_SEED={seed}");
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let random = &mut StdRng::seed_from_u64(seed);
    let city = source(broker.port, 0).replace(
        "kind = \"mqtt\"\n",
        "kind = \"mqtt\"\nclient_id = \"fixed-one\"\n",
    );
    let installation = Installation::new("commit_age_max = \"100ms\"", &city).unwrap();
    let file = installation.folder().join("meetnet.toml");
    let text = fs::read_to_string(&file).unwrap();
    let mut daemon = installation.start().await.unwrap();
    let messages = (0..SENT).map(|number| Message {
        topic: format!("city/device-{}", number % 100),
        payload: format!("{{\"n\":{number}}}").into_bytes(),
    });
    let messages: Vec<Message> = messages.collect();
    let (port, pause) = (broker.port, Duration::from_millis(200));
    let publishing =
        tokio::spawn(async move { publisher::publish(port, "gateway", messages, pause).await });
    for rename in 1..=RENAMES {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..600))).await;
        let changed = if rename % 2 == 1 {
            text.replace("id = \"city\"", "id = \"town\"")
        } else {
            text.clone()
        };
        fs::write(&file, changed).unwrap();
        // Every other pair while the daemon runs.
        if rename % 4 > 1 {
            daemon.ask_to_reload().unwrap();
            tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        }
        daemon.kill().unwrap();
        daemon = installation.start().await.unwrap();
    }
    publishing.await.unwrap().unwrap();
    let count = "SELECT count(*) FROM air";
    installation.wait_for(count, SENT as i64).await.unwrap();
    // Whatever would be answered twice has had the time to arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(installation.cell(count).await.unwrap(), SENT);
    let different = "SELECT count(DISTINCT value) FROM air";
    assert_eq!(installation.cell(different).await.unwrap(), SENT);
    daemon.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_the_configuration_loses_or_doubles_a_message() {
    let seed = std::env::var("MEETNET_SEED").ok();
    let seed: u64 = seed.and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("MEETNET_SEED={seed}");
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let random = &mut StdRng::seed_from_u64(seed);
    let first = source(broker.port, 0);
    let installation = Installation::new("commit_age_max = \"100ms\"", &first).unwrap();
    let file = installation.folder().join("meetnet.toml");
    let text = fs::read_to_string(&file).unwrap();
    let mut daemon = installation.start().await.unwrap();
    let messages = (0..MESSAGES).map(|number| Message {
        topic: format!("city/device-{}", number % 100),
        payload: format!("{{\"n\":{number}}}").into_bytes(),
    });
    let messages: Vec<Message> = messages.collect();
    let (port, pause) = (broker.port, Duration::from_millis(200));
    let publishing =
        tokio::spawn(async move { publisher::publish(port, "gateway", messages, pause).await });
    for change in 1..=CHANGES {
        let changed = text.replace(&first, &source(broker.port, change));
        assert_ne!(changed, text);
        fs::write(&file, changed).unwrap();
        daemon.ask_to_reload().unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(50..900))).await;
        if change % 3 == 0 {
            daemon.kill().unwrap();
            daemon = installation.start().await.unwrap();
        }
    }
    publishing.await.unwrap().unwrap();
    let count = "SELECT count(*) FROM air";
    let stored = installation.wait_for(count, MESSAGES as i64).await.unwrap();
    // Whatever would be answered twice has had the time to arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stored, MESSAGES as i64, "seed {seed}");
    let different = installation
        .cell("SELECT count(DISTINCT value) FROM air")
        .await
        .unwrap();
    assert_eq!(different, MESSAGES, "seed {seed}");
    assert_eq!(installation.cell(count).await.unwrap(), MESSAGES);
    daemon.stop().unwrap();
    let log = installation.log();
    assert!(!log.contains("configuration refused"), "{log}");
    let loaded = log.matches("configuration loaded").count();
    // Some come while one before is being taken over, and some die with the daemon.
    assert!(loaded >= 3, "{loaded} of {CHANGES} were taken over");
    let rejects = installation.sql_on_files("SELECT count(*) FROM rejects");
    assert_eq!(rejects.unwrap()[0][0], 0, "seed {seed}");
}

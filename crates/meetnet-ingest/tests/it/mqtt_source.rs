//! The MQTT source, seen from outside: what a broker hands out stands in the journal once, whatever breaks.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use meetnet_decode::TopicPattern;
use meetnet_ingest::mqtt::Retained;
use meetnet_testkit::mosquitto::TUNED;

use crate::daemon::{Daemon, Disk, Sync};
use crate::scene::{Scene, in_both, numbers, options};
use crate::station::Station;

/// Settings of a broker by name, comments left out.
fn settings(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.split('#').next());
    lines
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(name, value)| (name, value.trim()))
        .collect()
}

#[test]
fn the_broker_of_the_tests_is_set_as_the_documentation_says() {
    let page = include_str!("../../../../docs/mosquitto.md");
    let documented = settings(page.split("```").nth(1).unwrap());
    let tested = settings(TUNED);
    for name in [
        "max_inflight_messages",
        "max_inflight_bytes",
        "max_queued_messages",
        "max_queued_bytes",
        "persistence",
    ] {
        let value = documented.get(name);
        assert!(value.is_some(), "{name}");
        assert_eq!(value, tested.get(name), "{name}");
    }
}

#[test]
fn everything_once_in_order_and_nothing_again_after_a_stop() {
    in_both(|mut scene, name| {
        let mut daemon = scene.subscribe(Sync::Always);
        scene.publish(0..5_000);
        let status = daemon.wait("all acknowledged", |status| status.acked_total == 5_000);
        assert_eq!(
            (status.protocol, status.unacked, status.redelivered_total),
            (Some(name), 0, 0)
        );
        assert_eq!(daemon.payloads(), numbers(0..5_000));
        daemon.stop();
        assert!(!daemon.status().connected);

        // While we are away the broker keeps what comes.
        scene.publish(5_000..5_100);
        let daemon = scene.restart(daemon, Sync::Always);
        let status = daemon.wait("the rest", |status| status.acked_total == 100);
        assert!(status.session_present);
        assert_eq!(
            (status.duplicates_dropped_total, status.redelivered_total),
            (0, 0)
        );
        assert_eq!(daemon.payloads(), numbers(0..5_100));
    });
}

#[test]
fn killed_before_the_sync_everything_comes_again() {
    in_both(|mut scene, _| {
        let daemon = scene.subscribe(Sync::ByHand);
        scene.publish(0..300);
        let status = daemon.wait("appended", |status| status.messages_total == 300);
        assert_eq!((status.acked_total, daemon.payloads().len()), (0, 0));
        let daemon = scene.restart(daemon, Sync::Always);
        let status = daemon.wait("redelivered", |status| status.acked_total == 300);
        assert_eq!(
            (status.redelivered_total, status.duplicates_dropped_total),
            (300, 0)
        );
        assert_eq!(daemon.payloads(), numbers(0..300));
    });
}

#[test]
fn killed_between_the_sync_and_the_acknowledgement_nothing_is_doubled() {
    in_both(|mut scene, _| {
        let mut daemon = scene.subscribe(Sync::ByHand);
        scene.publish(0..300);
        daemon.wait("appended", |status| status.messages_total == 300);
        daemon.kill();
        daemon.journal.write_group().unwrap();
        // More comes while nobody is there.
        scene.publish(300..400);
        let mut daemon = scene.restart(daemon, Sync::Always);
        let status = daemon.wait("all acknowledged", |status| status.acked_total == 400);
        assert_eq!(
            (status.duplicates_dropped_total, status.redelivered_total),
            (300, 0)
        );
        assert_eq!(daemon.payloads(), numbers(0..400));
        daemon.stop();

        let daemon = scene.restart(daemon, Sync::Always);
        daemon.wait_subscribed();
        scene.publish(400..401);
        let status = daemon.wait("the last", |status| status.acked_total == 1);
        assert_eq!(
            status.messages_total, 1,
            "the broker has every acknowledgement"
        );
        assert_eq!(daemon.payloads(), numbers(0..401));
    });
}

#[test]
fn equal_readings_without_a_time_stay_as_many_as_were_sent() {
    let Some(mut scene) = Scene::new(TUNED) else {
        return;
    };
    let mut daemon = scene.subscribe(Sync::ByHand);
    let same = |scene: &Scene, count| {
        scene.publish_all((0..count).map(|_| ("city/1".to_owned(), "21.5")));
    };
    same(&scene, 100);
    daemon.wait("appended", |status| status.messages_total == 100);
    daemon.journal.write_group().unwrap();
    daemon.wait("acknowledged", |status| status.acked_total == 100);
    same(&scene, 50);
    daemon.wait("appended", |status| status.messages_total == 150);
    // 100 acknowledged, 50 appended and lost.
    daemon.kill();
    let daemon = scene.restart(daemon, Sync::Always);
    let status = daemon.wait("redelivered", |status| {
        status.redelivered_total == 50 && status.unacked == 0
    });
    // Acknowledgements that the broker had not read yet are sent again, without a row.
    assert_eq!(status.acked_total, 50 + status.duplicates_dropped_total);
    assert_eq!(daemon.payloads().len(), 150);
}

#[test]
fn the_broker_restarts_while_acknowledgements_are_withheld() {
    in_both(|mut scene, _| {
        let daemon = scene.subscribe(Sync::ByHand);
        scene.publish(0..200);
        daemon.wait("appended", |status| status.messages_total == 200);
        scene.broker.stop().unwrap();
        scene.broker.resume().unwrap();
        // Appended but not durable: recognised, and still not acknowledged.
        let status = daemon.wait("redelivered", |status| status.messages_total == 400);
        assert!(status.session_present && status.reconnects_total >= 1);
        assert_eq!(
            (status.duplicates_dropped_total, status.acked_total),
            (200, 0)
        );
        daemon.journal.write_group().unwrap();
        daemon.wait("acknowledged", |status| status.acked_total == 200);
        assert_eq!(daemon.payloads(), numbers(0..200));
    });
}

#[test]
fn a_broker_that_lost_the_session_is_subscribed_to_again() {
    let Some(mut scene) = Scene::new("persistence false\nallow_anonymous true") else {
        return;
    };
    let daemon = scene.subscribe(Sync::Always);
    scene.publish(0..10);
    daemon.wait("first", |status| status.acked_total == 10);
    scene.broker.kill();
    scene.broker.resume().unwrap();
    daemon.wait("back", |status| {
        status.connected && status.reconnects_total == 1
    });
    // The subscription may follow the connection by a moment.
    std::thread::sleep(Duration::from_millis(300));
    scene.publish(10..20);
    let status = daemon.wait("second", |status| status.acked_total == 20);
    assert!(!status.session_present);
    assert_eq!(daemon.payloads(), numbers(0..20));
}

#[test]
fn withheld_acknowledgements_stop_the_broker_and_not_the_keep_alive() {
    let Some(mut scene) = Scene::new(TUNED) else {
        return;
    };
    scene.options.inflight_max = 10;
    let daemon = scene.subscribe(Sync::ByHand);
    scene.publish(0..100);
    daemon.wait("a window full", |status| status.messages_total == 10);
    assert_eq!(daemon.status().acked_total, 0);
    // The broker drops a client that is silent for one and a half times the keep-alive.
    std::thread::sleep(Duration::from_secs(3));
    let status = daemon.status();
    assert_eq!(
        (
            status.connected,
            status.messages_total,
            status.reconnects_total
        ),
        (true, 10, 0)
    );
    write_until_acked(&daemon, 100);
    assert_eq!(daemon.payloads(), numbers(0..100));
}

/// Lets the journal write until so many messages are acknowledged.
fn write_until_acked(daemon: &Daemon, messages: u64) {
    while daemon.status().acked_total < messages {
        daemon.journal.write_group().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_full_journal_holds_publishes_back_and_loses_none() {
    let Some(mut scene) = Scene::new(TUNED) else {
        return;
    };
    scene.options.inflight_max = 50;
    let daemon = scene.subscribe_with(Sync::ByHand, |journal| journal.pending_bytes_max = 2_000);
    scene.publish(0..200);
    daemon.wait("full", |status| status.messages_total == 50);
    std::thread::sleep(Duration::from_secs(2));
    let status = daemon.status();
    assert!(
        status.connected && status.reconnects_total == 0,
        "{status:#?}"
    );
    assert!(
        status
            .last_error
            .unwrap()
            .message
            .contains("journal is full")
    );
    write_until_acked(&daemon, 200);
    assert_eq!(daemon.payloads(), numbers(0..200));
}

#[test]
fn oversized_messages_do_not_come_again_for_ever() {
    let Some(mut scene) = Scene::new(TUNED) else {
        return;
    };
    scene.options.envelope_bytes_max = 100_000;
    scene.options.packet_bytes_max = 1_000_000;
    let daemon = scene.subscribe(Sync::Always);
    let payloads = [
        vec![b'x'; 100_001],
        // Above what we told the broker: it must not reach us at all.
        vec![b'y'; 2_000_000],
        b"after".to_vec(),
    ];
    scene.publish_all(payloads.map(|payload| ("city/1".to_owned(), payload)));
    let status = daemon.wait("both", |status| status.acked_total == 2);
    assert_eq!(
        (
            status.oversized_total,
            status.reconnects_total,
            status.messages_total
        ),
        (1, 0, 2)
    );
    let envelopes = daemon.envelopes();
    assert_eq!(
        (envelopes[0].payload.len(), envelopes[0].truncated),
        (64 * 1024, true)
    );
    assert_eq!(
        (envelopes[1].payload.as_str(), envelopes[1].truncated),
        ("after", false)
    );
}

#[test]
fn retained_messages_are_not_taken() {
    let Some(mut scene) = Scene::new(TUNED) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut station = runtime.block_on(async { Station::new(scene.broker.port, "a-sensor") });
    runtime.block_on(async {
        station.publish_retained("city/1", "old").await;
        station.flush().await;
    });
    let daemon = scene.start(Sync::Always);
    daemon.wait("ignored", |status| {
        status.retained_ignored_total == 1 && status.acked_total == 1
    });
    // Live, it carries no retain flag.
    runtime.block_on(async {
        station.publish_retained("city/1", "new").await;
        station.flush().await;
    });
    daemon.wait("taken", |status| status.acked_total == 2);
    assert_eq!(daemon.payloads(), ["new"]);
}

#[test]
fn retained_messages_are_taken_of_the_topics_that_are_named() {
    in_both(|mut scene, _| {
        let kept = TopicPattern::parse("city/kept").unwrap();
        scene.options.retained = Retained::Of(vec![kept]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut station = Station::new(scene.broker.port, "a-sensor");
            station.publish_retained("city/kept", "a level").await;
            station.publish_retained("city/stale", "a state").await;
            station.flush().await;
        });
        let daemon = scene.start(Sync::Always);
        daemon.wait("told apart", |status| {
            status.retained_ignored_total == 1 && status.acked_total == 2
        });
        assert_eq!(daemon.payloads(), ["a level"]);
    });
}

#[test]
fn retained_messages_that_are_wanted_later_come_once() {
    let Some(mut scene) = Scene::new(TUNED) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut station = Station::new(scene.broker.port, "a-sensor");
        station.publish_retained("city/kept", "a level").await;
        station.flush().await;
    });
    let mut daemon = scene.start(Sync::Always);
    daemon.wait("ignored", |status| {
        status.retained_ignored_total == 1 && status.acked_total == 1
    });
    assert!(daemon.payloads().is_empty());
    daemon.stop();
    // The broker has the subscription, and what came meanwhile.
    scene.options.retained = Retained::All;
    scene.publish(0..1);
    let mut daemon = scene.restart(daemon, Sync::Always);
    let status = daemon.wait("taken", |status| status.acked_total >= 2);
    assert!(status.session_present);
    let mut payloads = daemon.payloads();
    payloads.sort();
    assert_eq!(payloads, ["0", "a level"]);
    daemon.stop();
    // Not at every start.
    let daemon = scene.restart(daemon, Sync::Always);
    daemon.wait_subscribed();
    scene.publish(1..2);
    daemon.wait("live", |status| status.acked_total >= 1);
    assert_eq!(daemon.payloads().last().map(String::as_str), Some("1"));
    let levels = daemon
        .payloads()
        .into_iter()
        .filter(|text| text == "a level");
    assert_eq!(levels.count(), 1);
}

#[test]
fn a_refused_connection_is_reported_and_tried_again() {
    let Some(mut scene) = Scene::new("allow_anonymous false") else {
        return;
    };
    let mut daemon = scene.start(Sync::Always);
    let status = daemon.wait("reported", |status| status.last_error.is_some());
    let message = status.last_error.unwrap().message;
    assert!(
        message.contains("refused the connection") && message.contains("password"),
        "{message}"
    );
    assert!(!status.subscribed);
    daemon.stop();
}

#[test]
fn drops_at_the_broker_are_noticed() {
    // Mosquitto's own defaults, with a queue that fills at once, and its counters every second.
    let settings =
        "allow_anonymous true\nmax_inflight_messages 20\nmax_queued_messages 10\nsys_interval 1";
    let Some(mut scene) = Scene::new(settings) else {
        return;
    };
    scene.options.inflight_max = 20;
    let daemon = scene.subscribe(Sync::ByHand);
    // Once a first value of the counter is known, growth is seen.
    std::thread::sleep(Duration::from_millis(2_500));
    scene.publish(0..200);
    let status = daemon.wait("noticed", |status| status.broker_dropped_total > 0);
    assert!(
        status
            .last_error
            .unwrap()
            .message
            .contains("max_queued_messages")
    );
}

/// A broker of MQTT 3.1.1 only, which refuses every second SUBSCRIBE.
fn old_broker() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let packet = &buffer[..count];
                let answer: &[u8] = match packet[0] >> 4 {
                    // Protocol level 4 stands behind the length and the name "MQTT".
                    1 if packet[8] == 4 => &[0x20, 2, 0, 0],
                    1 => &[0x20, 2, 0, 1],
                    8 => &[0x90, 3, packet[2], packet[3], 0x80],
                    12 => &[0xd0, 0],
                    _ => &[],
                };
                if stream.write_all(answer).is_err() || answer == [0x20, 2, 0, 1] {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn an_old_broker_is_spoken_to_in_its_version_and_refusals_are_reported() {
    let mut disk = Disk::new();
    let mut daemon = Daemon::start(&mut disk, options(old_broker()), Sync::Always, |_| {});
    let status = daemon.wait("refusal", |status| {
        status
            .last_error
            .as_ref()
            .is_some_and(|note| note.message.contains("subscription `city/+`"))
    });
    assert_eq!(
        (status.protocol, status.connected, status.subscribed),
        (Some("mqtt-3.1.1"), true, false)
    );
    daemon.stop();
}

#[test]
fn sources_of_one_share_group_have_each_message_once_between_them() {
    in_both(|mut scene, _| {
        let shared = vec!["$share/meetnet/city/{sensor}".to_owned()];
        scene.options.topics.clone_from(&shared);
        let mut other = options(scene.broker.port);
        other.client_id = "meetnet-test-second".to_owned();
        other.protocol = scene.options.protocol;
        other.topics = shared;
        let mut first = scene.subscribe(Sync::Always);
        let mut disk = Disk::new();
        let mut second = Daemon::start(&mut disk, other, Sync::Always, |_| {});
        second.wait_subscribed();
        scene.publish(0..1_000);
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while first.status().acked_total + second.status().acked_total < 1_000 {
            assert!(
                std::time::Instant::now() < deadline,
                "they did not all come"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let (of_first, of_second) = (first.payloads(), second.payloads());
        assert!(!of_first.is_empty() && !of_second.is_empty());
        let mut all: Vec<u32> = of_first
            .iter()
            .chain(&of_second)
            .map(|number| number.parse().unwrap())
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..1_000).collect::<Vec<_>>());
        first.stop();
        second.stop();
    });
}

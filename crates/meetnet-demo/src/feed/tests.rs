use std::collections::HashMap;

use serde_json::Value;

use super::*;

/// 2026-11-20 11:00 UTC.
const NOON_S: i64 = 1_795_172_400;

fn feed(shares: FaultShares) -> LiveFeed {
    LiveFeed::new(Arc::new(City::new(1)), shares)
}

#[test]
fn a_second_is_the_same_whenever_it_is_asked() {
    let (one, other) = (feed(FaultShares::default()), feed(FaultShares::default()));
    let forwards: Vec<_> = (0..60).map(|s| one.messages_at(NOON_S + s)).collect();
    let mut backwards: Vec<_> = (0..60)
        .rev()
        .map(|s| other.messages_at(NOON_S + s))
        .collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
}

#[test]
fn the_rate_is_that_of_a_demo_and_every_sensor_speaks() {
    let feed = feed(FaultShares::NONE);
    let mut topics: HashMap<String, usize> = HashMap::new();
    for second in 0..120 {
        let messages = feed.messages_at(NOON_S + second);
        assert!(
            (20..=60).contains(&messages.len()),
            "{} messages",
            messages.len()
        );
        for live in messages {
            *topics.entry(live.message.topic).or_default() += 1;
        }
    }
    // At most a few of the 200 sensors are out at a time.
    assert!(topics.len() > 190, "{} sensors", topics.len());
}

#[test]
fn faults_come_in_the_declared_shares() {
    let shares = FaultShares::default();
    let feed = feed(shares);
    let mut counts: HashMap<Fault, f64> = HashMap::new();
    let (mut messages, mut timed) = (0.0, 0.0);
    for second in 0..3_600 {
        for live in feed.messages_at(NOON_S + second) {
            let weight = if live.fault == Some(Fault::Duplicate) {
                0.5
            } else {
                1.0
            };
            messages += weight;
            if !live.message.topic.starts_with("airrohr/") {
                timed += weight;
            }
            if let Some(fault) = live.fault {
                *counts.entry(fault).or_default() += weight;
            }
        }
    }
    assert!(messages > 100_000.0, "{messages}");
    for (fault, share) in shares.shares() {
        let of = if matches!(fault, Fault::Late | Fault::WrongClock) {
            timed
        } else {
            messages
        };
        let got = counts[&fault] / of;
        assert!(
            (got / share - 1.0).abs() < 0.25,
            "{fault:?}: {got} instead of {share}"
        );
    }
}

#[test]
fn each_fault_looks_like_itself() {
    let feed = feed(FaultShares::default());
    let mut seen: HashMap<Fault, usize> = HashMap::new();
    for second in 0..600 {
        let messages = feed.messages_at(NOON_S + second);
        for live in &messages {
            let parsed = serde_json::from_slice::<Value>(&live.message.payload);
            let Some(fault) = live.fault else {
                assert!(parsed.is_ok(), "{:?}", live.message);
                continue;
            };
            *seen.entry(fault).or_default() += 1;
            match fault {
                Fault::Truncated => assert!(parsed.is_err(), "{:?}", live.message),
                Fault::Duplicate => {
                    assert_eq!(messages.iter().filter(|m| *m == live).count(), 2);
                }
                Fault::Late | Fault::WrongClock
                    if live.message.topic.starts_with("zigbee2mqtt/") =>
                {
                    let ts = parsed.unwrap()["ts"].as_i64().unwrap() / 1_000;
                    assert!((ts - NOON_S - second).abs() >= 299, "{ts}");
                }
                _ => assert!(parsed.is_ok()),
            }
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}

#[test]
fn the_newest_quarter_of_a_report_is_the_last_closed_one() {
    let feed = feed(FaultShares::NONE);
    for live in feed
        .messages_at(NOON_S + 899)
        .iter()
        .chain(&feed.messages_at(NOON_S + 901))
    {
        if live.message.topic.starts_with("telraam/") {
            let body: Value = serde_json::from_slice(&live.message.payload).unwrap();
            let date = body["report"][1]["date"].as_str().unwrap();
            assert!(
                date == "2026-11-20T10:45:00.000Z" || date == "2026-11-20T11:00:00.000Z",
                "{date}"
            );
        }
    }
}

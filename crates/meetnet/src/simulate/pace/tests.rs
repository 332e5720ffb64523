use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use meetnet_demo::FaultShares;
use meetnet_demo::load::LoadPlan;
use meetnet_demo::load::lane::{LoadFormat, Transport};

use super::*;
use crate::simulate::http::HttpSender;

/// Starts a server that takes one request at a time and answers each after a while; returns its address.
fn server(pause: Duration, answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            let mut line = String::new();
            // The head ends with an empty line.
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                let header = line.to_ascii_lowercase();
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("the body");
            std::thread::sleep(pause);
            let answer =
                format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // Who has gone needs no answer.
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
    address
}

/// Sends ten SenML packs over one connection.
async fn drive_ten(address: &str, per_second: f64) -> Outcome {
    drop(rustls::crypto::ring::default_provider().install_default());
    let load = Load::new(LoadPlan {
        seed: 1,
        until_s: 1_795_172_400,
        lanes: Lane::of(&[Transport::Http], &[LoadFormat::Senml]),
        devices: 2,
        messages: 10,
        batch: 1,
        faults: FaultShares::NONE,
        prefix: "sim".to_owned(),
        password: None,
    })
    .expect("a plan");
    let http = HttpSender::new(address, None, false, 1).expect("a client");
    let senders = Arc::new(Senders::new(None, 0, Some(http)));
    let pace = Pace {
        per_second: Some(per_second),
        outstanding_max: 10,
    };
    let signal = StopSignal::listen().expect("signals");
    drive(&load, &senders, pace, &signal).await
}

#[tokio::test]
async fn a_slow_server_is_seen_in_the_latencies_and_slows_no_schedule() {
    let address = server(Duration::from_millis(60), "200 OK");
    let outcome = drive_ten(&address, 100.0).await;
    assert_eq!(outcome.stopped, None);
    assert_eq!(outcome.messages, 10);
    assert_eq!(outcome.tally.messages().acknowledged, 10);
    // Ten answers take 600 ms, and the last message was due after 90 ms.
    let last = outcome.latencies.within(1.0).expect("latencies");
    assert!(last >= Duration::from_millis(450), "{last:?}");
    assert!(
        outcome.behind_max < Duration::from_millis(450),
        "messages are begun when they are due: {:?}",
        outcome.behind_max
    );
}

#[tokio::test]
async fn a_server_that_turns_everything_away_ends_the_run() {
    let address = server(Duration::ZERO, "401 Unauthorized");
    let outcome = drive_ten(&address, 10.0).await;
    let why = outcome.stopped.expect("a reason");
    assert!(why.contains("401") && why.contains("--token-env"), "{why}");
    assert!(outcome.messages < 10, "{} were begun", outcome.messages);
    let messages = outcome.tally.messages();
    assert_eq!((messages.acknowledged, messages.in_doubt), (0, 0));
}

#[test]
fn a_bucket_is_close_to_what_is_in_it() {
    let mut last = 0;
    for micros in (0..2_000).chain([65_535, 65_536, 1 << 40, u64::MAX]) {
        let bucket = bucket(micros);
        assert!(bucket >= last, "{micros}");
        last = bucket;
        let end = end_of(bucket);
        assert!(end >= micros, "{micros}: {end}");
        assert!(end - micros <= micros / 16, "{micros}: {end}");
    }
}

#[test]
fn shares_of_latencies_are_found() {
    let mut latencies = Latencies::default();
    assert_eq!(latencies.within(0.5), None);
    for millis in 1..=100 {
        latencies.add(Duration::from_millis(millis));
    }
    let within = |share| latencies.within(share).expect("some").as_secs_f64() * 1e3;
    assert!((50.0..=54.0).contains(&within(0.5)), "{}", within(0.5));
    assert!((99.0..=106.0).contains(&within(0.99)), "{}", within(0.99));
    assert!(within(0.0) < 1.1, "{}", within(0.0));
}

#[test]
fn a_schedule_waits_for_nobody() {
    let began = Instant::now();
    let pace = |per_second| Pace {
        per_second,
        outstanding_max: 1,
    };
    assert_eq!(pace(None).due(began, 7), None);
    let due = pace(Some(100.0)).due(began, 250);
    assert_eq!(due, Some(began + Duration::from_millis(2_500)));
}

#[test]
fn every_rate_has_due_times() {
    let began = Instant::now();
    for (per_second, number, expect) in [
        (2.0, 3, Duration::from_millis(1_500)),
        (1e9, 0, Duration::ZERO),
        (1e-300, 1, DUE_AFTER_MAX),
        (1e-3, u64::MAX, DUE_AFTER_MAX),
    ] {
        let pace = Pace {
            per_second: Some(per_second),
            outstanding_max: 1,
        };
        let due = pace.due(began, number);
        assert_eq!(due, Some(began + expect), "{number} at {per_second}/s");
    }
}

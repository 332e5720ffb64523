use meetnet_model::ids::{Sequence, SourceId};
use tokio_util::sync::CancellationToken;

use super::{Handles, Sources, StartError, leaving, start, successor};
use crate::dup_window::{DupWindows, lock};
use crate::intake::memory::MemorySink;
use crate::mqtt::{MqttOptions, MqttSource, Url};
use crate::poll::{
    Api, Backfills, HostLimits, Hosts, PollOptions, PollSource, TelraamOptions, Window,
};
use crate::status::Statuses;

fn source(id: &str, client_id: &str, topic: &str) -> MqttSource {
    // Nothing listens on port 1.
    let url = "mqtt://127.0.0.1:1".parse().unwrap();
    MqttSource {
        id: SourceId::new(id),
        options: MqttOptions::new(url, client_id, vec![topic.to_owned()]),
        intake: MemorySink::new(true).1,
        windows: DupWindows::default(),
        statuses: Statuses::default(),
        noted_in: None,
    }
}

/// Sources by id, client id and topic.
fn sources(sources: &[(&str, &str, &str)]) -> Sources {
    let sources = sources.iter();
    let mqtt = sources.map(|(id, client_id, topic)| source(id, client_id, topic));
    Sources {
        mqtt: mqtt.collect(),
        polls: Vec::new(),
        push: Vec::new(),
    }
}

#[tokio::test]
async fn wrong_options_start_nothing() {
    let shutdown = CancellationToken::new();
    let twins = sources(&[("a", "c", "x"), ("b", "c", "y")]);
    let error = start(twins, None, &shutdown).unwrap_err();
    assert!(
        matches!(error, StartError::SharedClientId { .. }),
        "{error}"
    );
    let error = start(sources(&[("a", "c", "x/{")]), None, &shutdown).unwrap_err();
    assert!(matches!(error, StartError::Options { .. }), "{error}");
}

#[tokio::test]
async fn an_unreachable_broker_is_reported_and_does_not_delay_the_end() {
    let shutdown = CancellationToken::new();
    let sources = sources(&[("a", "c", "x")]);
    let statuses = sources.mqtt[0].statuses.clone();
    let handles = start(sources, None, &shutdown).unwrap();
    let id = SourceId::new("a");
    let error = loop {
        if let Some(note) = statuses.read_one(&id).unwrap().last_error {
            break note.message;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert!(error.contains("cannot connect"), "{error}");
    shutdown.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(2), handles.stopped())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_exchange_stops_and_starts_what_differs_and_keeps_the_rest() {
    let shutdown = CancellationToken::new();
    let before = [
        ("changed", "c", "x"),
        ("gone", "g", "x"),
        ("kept", "k", "x"),
    ];
    let next = [("changed", "c", "y"), ("kept", "k", "x"), ("new", "n", "x")];
    let mut handles = start(sources(&before), None, &shutdown).unwrap();
    let stop_of = |handles: &Handles, id| handles.mqtt[&SourceId::new(id)].stop.clone();
    let stops = ["changed", "gone", "kept"].map(|id| stop_of(&handles, id));
    let check = |handles: &Handles, running: &[&str], stopped: [bool; 3]| {
        let ids: Vec<&str> = handles.mqtt.keys().map(SourceId::as_str).collect();
        assert_eq!(ids, running);
        assert_eq!(stops.each_ref().map(|stop| stop.is_cancelled()), stopped);
    };
    check(&handles, &["changed", "gone", "kept"], [false; 3]);
    handles.retire(&sources(&next)).await;
    check(&handles, &["kept"], [true, true, false]);
    handles.start_missing(sources(&next)).unwrap();
    check(&handles, &["changed", "kept", "new"], [true, true, false]);
    // The same once more: nobody is stopped.
    let new = stop_of(&handles, "new");
    handles.retire(&sources(&next)).await;
    check(&handles, &["changed", "kept", "new"], [true, true, false]);
    assert!(!new.is_cancelled() && !shutdown.is_cancelled());
    shutdown.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(2), handles.stopped())
        .await
        .unwrap();
}

#[tokio::test]
async fn polled_sources_are_exchanged_by_what_they_ask_and_their_key() {
    // As the program does; another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let (hosts, backfills) = (Hosts::default(), Backfills::default());
    let sources = |segments: &[i64], key: &str| {
        let api = Api::Telraam(TelraamOptions {
            segments: segments.to_vec(),
            ..TelraamOptions::default()
        });
        // Nothing listens on port 1, and nobody asks twice in this test.
        let options = PollOptions {
            limits: HostLimits {
                pause: std::time::Duration::from_secs(3_600),
                requests_per_day_max: None,
            },
            ..PollOptions::new(api, "http://127.0.0.1:1").unwrap()
        };
        Sources {
            mqtt: Vec::new(),
            polls: vec![PollSource {
                id: SourceId::new("streets"),
                options,
                api_key: Some(key.to_owned()),
                intake: MemorySink::new(true).1,
                statuses: Statuses::default(),
                hosts: hosts.clone(),
                backfills: backfills.clone(),
                cursors_dir: folder.path().to_owned(),
                journal_id: "a-journal".to_owned(),
            }],
            push: Vec::new(),
        }
    };
    let shutdown = CancellationToken::new();
    let mut handles = start(sources(&[1], "a"), None, &shutdown).unwrap();
    let id = SourceId::new("streets");
    let stop_of = |handles: &Handles| handles.polls[&id].stop.clone();
    for (segments, key, is_exchanged) in [
        (&[1][..], "a", false),
        (&[1, 2][..], "a", true),
        (&[1, 2][..], "a", false),
        (&[1, 2][..], "b", true),
    ] {
        let stop = stop_of(&handles);
        handles.retire(&sources(segments, key)).await;
        assert_eq!(stop.is_cancelled(), is_exchanged, "{segments:?} {key}");
        handles.start_missing(sources(segments, key)).unwrap();
        assert!(!stop_of(&handles).is_cancelled());
    }
    // Whoever asks for its past asks the one that runs.
    let span = Window { from: 0, to: 1 };
    assert!(backfills.request(&id, span).is_ok());
    let none = Sources {
        polls: Vec::new(),
        ..sources(&[1], "a")
    };
    handles.retire(&none).await;
    assert!(handles.polls.is_empty() && backfills.request(&id, span).is_err());
    handles.stopped().await;
}

async fn exchange(handles: &mut Handles, next: impl Fn() -> Sources) {
    handles.retire(&next()).await;
    handles.start_missing(next()).unwrap();
}

#[tokio::test]
async fn a_renamed_source_knows_what_was_journalled_of_its_session() {
    let windows = DupWindows::default();
    let of = |all: &[(&str, &str, &str)]| {
        let mut sources = sources(all);
        for source in &mut sources.mqtt {
            source.windows = windows.clone();
        }
        sources
    };
    let known = |id: &str| lock(&windows.window(&SourceId::new(id))).len();
    let shutdown = CancellationToken::new();
    let mut handles = start(of(&[("a", "c", "x"), ("b", "d", "x")]), None, &shutdown).unwrap();
    for (id, count) in [("a", 1), ("b", 2)] {
        let window = windows.window(&SourceId::new(id));
        for packet_id in 1..=count {
            let sequence = Sequence(u64::from(packet_id));
            lock(&window).journalled(packet_id, "x", [0; 16], sequence);
        }
    }
    // Two sources exchange their client ids, then one is renamed, and then the other takes its name.
    exchange(&mut handles, || of(&[("a", "d", "x"), ("b", "c", "x")])).await;
    assert_eq!(["a", "b"].map(known), [2, 1]);
    exchange(&mut handles, || of(&[("a", "d", "x"), ("n", "c", "x")])).await;
    assert_eq!(["a", "b", "n"].map(known), [2, 0, 1]);
    exchange(&mut handles, || of(&[("n", "d", "x")])).await;
    assert_eq!(["a", "b", "n"].map(known), [0, 0, 2]);
    // The session is left, and taken up later.
    exchange(&mut handles, || of(&[])).await;
    exchange(&mut handles, || of(&[("m", "d", "x")])).await;
    assert_eq!(["n", "m"].map(known), [0, 2]);
    // A source that comes back with another session does not give that one away.
    exchange(&mut handles, || of(&[("m", "e", "x")])).await;
    exchange(&mut handles, || of(&[("m", "e", "x"), ("o", "d", "x")])).await;
    assert_eq!(known("o"), 0);
    shutdown.cancel();
    handles.stopped().await;
}

#[test]
fn subscriptions_that_nobody_wants_are_ended() {
    let before = sources(&[("a", "c", "x/{device}")]).mqtt.remove(0);
    let before = MqttOptions {
        topics: vec!["x/{device}".to_owned(), "y/#".to_owned()],
        ..before.options
    };
    let check = |next: &[(&str, &str, &[&str])], left: &[&str], new: &[&str]| {
        let next = next.iter().map(|(id, client_id, topics)| {
            let mut source = source(id, client_id, "");
            source.options.topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
            source
        });
        let next: Vec<MqttSource> = next.collect();
        let leaving = leaving(&before, successor(&before, &next));
        assert_eq!(leaving.filters, left);
        let asked = leaving.next.map_or(Vec::new(), |(filters, _)| filters);
        assert_eq!(asked, new);
    };
    check(&[], &["x/+", "y/#"], &[]);
    check(&[("a", "c", &["y/#", "z"])], &["x/+"], &["z"]);
    // Another name for the same level is the same filter.
    check(&[("a", "c", &["x/{id}", "y/#"])], &[], &[]);
    // Another session: in the old one nothing is to be collected any more.
    check(&[("a", "d", &["x/{device}", "y/#"])], &["x/+", "y/#"], &[]);
    // Another id, and the same session.
    check(&[("b", "c", &["x/{device}", "y/#"])], &[], &[]);
    check(&[("b", "c", &["y/#", "z"])], &["x/+"], &["z"]);
    // The id goes on with another session, and another id with this one.
    let exchanged: [(&str, &str, &[&str]); 2] =
        [("a", "d", &["w"]), ("b", "c", &["x/{device}", "y/#"])];
    check(&exchanged, &[], &[]);
}

#[test]
fn a_session_is_the_same_where_its_broker_is_reached_by_tls() {
    let with_url = |url: &str| {
        let mut source = source("a", "c", "x");
        source.options.url = url.parse().unwrap();
        source
    };
    let before = with_url("mqtt://broker.example:1883").options;
    let check = |next: &[&str], expect: Option<&str>| {
        let next: Vec<MqttSource> = next.iter().map(|url| with_url(url)).collect();
        let found = successor(&before, &next).map(|after| after.url.clone());
        let expect: Option<Url> = expect.map(|url| url.parse().unwrap());
        assert_eq!(found, expect);
    };
    check(&["mqtt://broker.example"], Some("mqtt://broker.example"));
    check(&["mqtts://broker.example"], Some("mqtts://broker.example"));
    let both = ["mqtts://broker.example", "mqtt://broker.example"];
    check(&both, Some("mqtt://broker.example"));
    // Another broker on the same machine, and another machine.
    check(&["mqtt://broker.example:1884"], None);
    check(&["mqtt://other.example"], None);
}

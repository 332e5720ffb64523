//! Seen from the broker: what is sent, what is acknowledged, and what stands in the journal.

use std::sync::Arc;

use bytes::Bytes;
use meetnet_decode::TopicPattern;
use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::source::SourceKind;

use super::{Flow, Publish, Received};
use crate::dup_window::DupWindows;
use crate::intake::memory::MemorySink;
use crate::mqtt::{MqttOptions, Retained};
use crate::status::{SourceStatus, Statuses};

/// One source with a sink whose syncs the test decides.
struct Bench {
    sink: Arc<MemorySink>,
    intake: crate::intake::Intake,
    windows: DupWindows,
    statuses: Statuses,
    flow: Flow,
}

const NONE: [u16; 0] = [];

fn source() -> SourceId {
    SourceId::new("s")
}

fn options() -> MqttOptions {
    let mut options = MqttOptions::new("mqtt://b".parse().unwrap(), "c", vec!["#".to_owned()]);
    options.envelope_bytes_max = 100_000;
    options.held_bytes_max = 10_000;
    options
}

fn bench(change: impl Fn(&mut MqttOptions)) -> Bench {
    let (sink, intake) = MemorySink::new(false);
    let windows = DupWindows::default();
    let statuses = Statuses::default();
    let mut options = options();
    change(&mut options);
    let status = statuses.register(&source(), SourceKind::Mqtt);
    let mut flow = Flow::new(
        source(),
        &options,
        intake.clone(),
        windows.window(&source()),
        status,
    );
    flow.connected(false);
    Bench {
        sink,
        intake,
        windows,
        statuses,
        flow,
    }
}

fn publish(packet_id: u16, payload: &str) -> Publish {
    Publish {
        topic: Bytes::from_static(b"t"),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        packet_id,
        dup: false,
        retain: false,
    }
}

fn dup(packet_id: u16, payload: &str) -> Publish {
    Publish {
        dup: true,
        ..publish(packet_id, payload)
    }
}

impl Bench {
    /// Returns the ids that are acknowledged now.
    fn due(&mut self) -> Vec<u16> {
        let mut due = Vec::new();
        self.flow.retry_held();
        self.flow.take_due(self.intake.durable(), &mut due);
        due
    }

    fn payloads(&self) -> Vec<String> {
        self.sink
            .taken()
            .into_iter()
            .map(|taken| String::from_utf8(taken.payload).unwrap())
            .collect()
    }

    fn status(&self) -> SourceStatus {
        self.statuses.read_one(&source()).unwrap()
    }

    /// The process dies: what was not synced is gone, and a new one reads the rest.
    fn crash(&self, session_present: bool) -> Bench {
        let durable = self.intake.durable();
        let mut after = bench(|_| {});
        for taken in self
            .sink
            .taken()
            .into_iter()
            .filter(|taken| taken.sequence <= durable)
        {
            after.windows.observe_recovered(
                &source(),
                taken.epoch,
                taken.packet_id,
                &taken.topic,
                &taken.payload,
                taken.sequence,
            );
            after.sink.replay(taken);
        }
        after.sink.sync();
        after.flow.connected(session_present);
        after
    }
}

#[test]
fn acknowledged_after_the_sync_in_receive_order() {
    let mut bench = bench(|_| {});
    for id in [7, 3, 9] {
        assert_eq!(bench.flow.receive(publish(id, "x")), Received::Taken);
    }
    assert_eq!(bench.due(), NONE);
    bench.sink.sync();
    assert_eq!(bench.due(), [7, 3, 9]);
    assert_eq!(bench.due(), NONE);
    assert!(bench.flow.is_drained());
    let status = bench.status();
    assert_eq!(
        (
            status.messages_total,
            status.bytes_total,
            status.acked_total
        ),
        (3, 3, 3)
    );
}

#[test]
fn retained_messages_are_acknowledged_in_their_turn_and_not_taken() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(1, "a"));
    let received = bench.flow.receive(Publish {
        retain: true,
        ..publish(2, "old")
    });
    assert_eq!(received, Received::AckMayBeDue);
    assert_eq!(bench.due(), NONE, "1 comes first");
    bench.sink.sync();
    assert_eq!(bench.due(), [1, 2]);
    assert_eq!(
        (bench.payloads(), bench.status().retained_ignored_total),
        (vec!["a".to_owned()], 1)
    );

    let mut taking = super::tests::bench(|options| options.retained = Retained::All);
    taking.flow.receive(Publish {
        retain: true,
        ..publish(1, "old")
    });
    assert_eq!(taking.payloads(), ["old"]);
}

#[test]
fn retained_messages_of_some_topics_are_taken() {
    let patterns = ["meters/+/state", "levels/{station...}"];
    let patterns = patterns.map(|pattern| TopicPattern::parse(pattern).unwrap());
    let mut bench = bench(|options| options.retained = Retained::Of(patterns.to_vec()));
    let retained = |packet_id: u16, topic: &'static str| Publish {
        topic: Bytes::from_static(topic.as_bytes()),
        retain: true,
        ..publish(packet_id, topic)
    };
    for (packet_id, topic) in [
        (1, "meters/1/state"),
        (2, "meters/1"),
        (3, "levels/dijle/2"),
        (4, "air/1"),
    ] {
        bench.flow.receive(retained(packet_id, topic));
    }
    // What comes live is taken whatever its topic is.
    bench.flow.receive(publish(5, "live"));
    bench.sink.sync();
    assert_eq!(bench.due(), [1, 2, 3, 4, 5]);
    assert_eq!(
        (bench.payloads(), bench.status().retained_ignored_total),
        (
            ["meters/1/state", "levels/dijle/2", "live"]
                .map(str::to_owned)
                .to_vec(),
            2
        )
    );
}

#[test]
fn oversized_envelopes_keep_their_head_and_are_acknowledged() {
    let mut bench = bench(|_| {});
    let large = "x".repeat(100_001);
    bench.flow.receive(publish(1, &large));
    bench.flow.receive(publish(2, &large[1..]));
    bench.sink.sync();
    assert_eq!(bench.due(), [1, 2]);
    let taken = bench.sink.taken();
    assert_eq!(
        (taken[0].payload.len(), taken[0].truncated),
        (64 * 1024, true)
    );
    assert_eq!(
        (taken[1].payload.len(), taken[1].truncated),
        (100_000, false)
    );
    assert_eq!(bench.status().oversized_total, 1);
    // Its redelivery is recognised by what was kept.
    let mut after = bench.crash(true);
    after.flow.receive(dup(1, &large));
    assert_eq!(
        (after.due(), after.status().duplicates_dropped_total),
        (vec![1], 1)
    );
}

#[test]
fn a_full_journal_withholds_acknowledgements_in_order() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(1, "a"));
    bench.sink.set_full(true);
    assert_eq!(bench.flow.receive(publish(2, "b")), Received::Held);
    bench.sink.set_full(false);
    // Behind what is held, although there is room again.
    assert_eq!(bench.flow.receive(publish(3, "c")), Received::Held);
    assert!(bench.flow.holds());
    bench.sink.sync();
    assert_eq!(bench.due(), [1]);
    assert_eq!(bench.payloads(), ["a", "b", "c"]);
    assert!(!bench.flow.holds());
    bench.sink.sync();
    assert_eq!(bench.due(), [2, 3]);
    assert!(
        bench
            .status()
            .last_error
            .unwrap()
            .message
            .contains("journal is full")
    );
}

#[test]
fn what_is_held_is_bounded() {
    let mut bench = bench(|_| {});
    bench.sink.set_full(true);
    let large = "x".repeat(3_000);
    for id in 1..=3 {
        assert_eq!(bench.flow.receive(publish(id, &large)), Received::Held);
    }
    assert_eq!(bench.flow.receive(publish(4, &large)), Received::Overrun);
    bench.flow.disconnected();
    assert!(!bench.flow.holds());

    bench.flow.connected(true);
    assert_eq!(
        bench.flow.receive(publish(1, &"x".repeat(20_000))),
        Received::Overrun
    );
    assert_eq!(
        bench.flow.receive(publish(0, &"x".repeat(20_000))),
        Received::Held
    );
    assert_eq!(
        bench.status().lost_total,
        1,
        "QoS 0 has nobody to send it again"
    );
}

#[test]
fn qos_0_needs_no_acknowledgement() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(0, "a"));
    bench.flow.receive(Publish {
        retain: true,
        ..publish(0, "old")
    });
    bench.sink.sync();
    assert_eq!(
        (bench.due(), bench.payloads()),
        (vec![], vec!["a".to_owned()])
    );
}

#[test]
fn a_reconnect_before_the_sync_makes_no_second_row_and_no_early_acknowledgement() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(1, "a"));
    bench.flow.receive(publish(2, "b"));
    bench.flow.disconnected();
    bench.flow.connected(true);
    assert_eq!(bench.due(), NONE, "ids of the old connection are forgotten");
    bench.flow.receive(dup(1, "a"));
    bench.flow.receive(dup(2, "b"));
    bench.flow.receive(publish(3, "c"));
    assert_eq!(bench.due(), NONE);
    bench.sink.sync();
    assert_eq!(bench.due(), [1, 2, 3]);
    assert_eq!(bench.payloads(), ["a", "b", "c"]);
    assert_eq!(bench.status().duplicates_dropped_total, 2);
    let epochs: Vec<u32> = bench.sink.taken().iter().map(|taken| taken.epoch).collect();
    assert!(
        epochs[0] == epochs[1] && epochs[1] != epochs[2],
        "{epochs:?}"
    );
}

#[test]
fn a_crash_before_the_sync() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(1, "same"));
    bench.sink.sync();
    bench.due();
    bench.flow.receive(publish(2, "same"));
    // 1 was acknowledged, 2 was appended and lost.
    let mut after = bench.crash(true);
    after.flow.receive(dup(2, "same"));
    after.sink.sync();
    assert_eq!(after.due(), [2]);
    assert_eq!(after.payloads(), ["same", "same"]);
    assert_eq!(
        (
            after.status().redelivered_total,
            after.status().duplicates_dropped_total
        ),
        (1, 0)
    );
}

#[test]
fn a_crash_between_the_sync_and_the_acknowledgement() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(1, "a"));
    bench.flow.receive(publish(2, "b"));
    bench.sink.sync();
    let mut after = bench.crash(true);
    after.flow.receive(dup(1, "a"));
    assert_eq!(after.due(), [1], "the original is on disk");
    after.flow.receive(dup(2, "b"));
    after.flow.receive(publish(3, "c"));
    after.sink.sync();
    assert_eq!(after.due(), [2, 3]);
    assert_eq!(after.payloads(), ["a", "b", "c"]);
}

#[test]
fn two_crashes_while_the_broker_redelivers() {
    let mut bench = bench(|_| {});
    for (id, payload) in [(1, "x"), (2, "x"), (3, "x")] {
        bench.flow.receive(publish(id, payload));
    }
    bench.sink.sync();
    let mut after = bench.crash(true);
    after.flow.receive(dup(1, "x"));
    let mut again = after.crash(true);
    for id in [1, 2, 3] {
        again.flow.receive(dup(id, "x"));
    }
    again.flow.receive(dup(4, "x"));
    again.sink.sync();
    assert_eq!((again.due(), again.payloads().len()), (vec![1, 2, 3, 4], 4));
}

#[test]
fn a_broker_without_the_session_starts_afresh() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(1, "x"));
    bench.sink.sync();
    let mut after = bench.crash(false);
    after.flow.receive(publish(1, "x"));
    after.sink.sync();
    assert_eq!(
        (after.due(), after.payloads().len()),
        (vec![1], 2),
        "equal readings are two readings"
    );
}

#[test]
fn a_broker_that_repeats_on_one_connection_gets_one_acknowledgement_each_time_it_can_need_one() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(1, "x"));
    bench.flow.receive(dup(1, "x"));
    bench.sink.sync();
    assert_eq!(bench.due(), [1], "both are answered by one");
    bench.flow.receive(dup(1, "x"));
    assert_eq!(bench.due(), [1], "the first may have crossed");
    assert_eq!(bench.payloads().len(), 1);
}

#[test]
fn a_stopping_source_takes_nothing_and_acknowledges_what_it_took() {
    let mut bench = bench(|_| {});
    bench.flow.receive(publish(1, "a"));
    bench.sink.set_full(true);
    bench.flow.receive(publish(2, "b"));
    bench.flow.stop();
    bench.sink.set_full(false);
    assert_eq!(bench.flow.receive(publish(3, "c")), Received::Stopping);
    assert!(!bench.flow.is_drained());
    bench.sink.sync();
    assert_eq!(bench.due(), [1]);
    assert!(bench.flow.is_drained());
    assert_eq!(bench.payloads(), ["a"]);
    assert_eq!(bench.sink.taken()[0].sequence, Sequence(1));
}

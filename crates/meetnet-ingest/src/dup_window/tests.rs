use meetnet_model::ids::{Sequence, SourceId};

use super::{DupWindow, DupWindows, Match, Question, SessionHistory, lock, payload_hash};
use crate::epoch::Epoch;
use crate::mqtt::Url;

const TOPIC: &str = "sensors/1";

fn hash(payload: &str) -> [u8; 16] {
    payload_hash(payload.as_bytes())
}

/// A window that journalled `(packet id, payload)` in order as sequences 1, 2, …, then reconnected.
fn resumed(entries: &[(u16, &str)]) -> DupWindow {
    let mut window = DupWindow::default();
    window.connected(false);
    for (sequence, (packet_id, payload)) in (1..).zip(entries) {
        window.journalled(*packet_id, TOPIC, hash(payload), Sequence(sequence));
    }
    window.connected(true);
    window
}

fn found(sequence: u64) -> Option<Match> {
    Some(Match::Redelivered(Sequence(sequence)))
}

#[test]
fn a_run_of_redeliveries_is_recognised_in_order() {
    let mut window = resumed(&[(1, "a"), (2, "b"), (3, "c")]);
    // 1 was acknowledged; the broker starts at 2.
    assert_eq!(window.find(2, TOPIC, hash("b")), found(2));
    assert_eq!(window.find(3, TOPIC, hash("c")), found(3));
    // Received before the crash, never journalled.
    assert_eq!(window.find(4, TOPIC, hash("d")), None);
}

#[test]
fn everything_must_be_equal() {
    let check = |packet_id, topic: &str, payload: &str| {
        let mut window = resumed(&[(1, "a")]);
        window.find(packet_id, topic, hash(payload))
    };
    assert_eq!(check(1, TOPIC, "a"), found(1));
    assert_eq!(check(2, TOPIC, "a"), None);
    assert_eq!(check(1, "sensors/2", "a"), None);
    assert_eq!(check(1, TOPIC, "b"), None);
}

#[test]
fn the_run_ends_at_the_first_publish_that_was_not_journalled() {
    // A broker that gives the lowest free id: 1 and 2 were acknowledged, then id 2 went out again with the same
    // reading, and the crash came before its sync. It must make a row.
    let mut window = resumed(&[(2, "same"), (3, "c")]);
    assert_eq!(window.find(3, TOPIC, hash("c")), found(2));
    assert_eq!(window.find(2, TOPIC, hash("same")), None);

    let mut window = resumed(&[(1, "a"), (2, "b")]);
    assert_eq!(window.find(9, TOPIC, hash("x")), None);
    assert_eq!(
        window.find(1, TOPIC, hash("a")),
        None,
        "sent after the unknown one, so newer than the window"
    );
}

#[test]
fn the_broker_may_leave_some_out() {
    // A message expiry interval passed while we were away.
    let mut window = resumed(&[(1, "a"), (2, "b"), (3, "c")]);
    assert_eq!(window.find(1, TOPIC, hash("a")), found(1));
    assert_eq!(window.find(3, TOPIC, hash("c")), found(3));
}

#[test]
fn a_second_reconnect_starts_the_run_again() {
    let mut window = resumed(&[(1, "a"), (2, "b")]);
    assert_eq!(window.find(1, TOPIC, hash("a")), found(1));
    window.connected(true);
    assert_eq!(window.find(1, TOPIC, hash("a")), found(1));
    assert_eq!(window.find(2, TOPIC, hash("b")), found(2));
}

#[test]
fn a_new_publish_with_an_id_proves_the_old_one() {
    let mut window = resumed(&[(1, "a"), (2, "b")]);
    window.journalled(1, TOPIC, hash("new"), Sequence(3));
    assert_eq!(window.len(), 2);
    window.connected(true);
    assert_eq!(window.find(2, TOPIC, hash("b")), found(2));
    assert_eq!(window.find(1, TOPIC, hash("new")), found(3));
}

#[test]
fn a_repeat_on_the_same_connection_is_told_apart() {
    let mut window = resumed(&[(1, "a")]);
    window.journalled(2, TOPIC, hash("b"), Sequence(2));
    assert_eq!(
        window.find(2, TOPIC, hash("b")),
        Some(Match::Repeated(Sequence(2)))
    );
    assert_eq!(
        window.find(1, TOPIC, hash("a")),
        found(1),
        "the run is not touched"
    );
}

#[test]
fn a_lost_session_clears_the_window() {
    let mut window = resumed(&[(1, "a")]);
    window.connected(false);
    assert_eq!(window.len(), 0);
    assert_eq!(window.find(1, TOPIC, hash("a")), None);
}

#[test]
fn a_ping_answer_proves_what_left_before_the_ping() {
    let mut window = resumed(&[]);
    for id in 1..=4 {
        window.journalled(id, TOPIC, hash("x"), Sequence(u64::from(id)));
    }
    window.ack_left(1);
    window.ack_left(2);
    window.question_left(Question::Ping);
    window.ack_left(3);
    assert_eq!(window.len(), 4);
    window.question_answered(Question::Ping);
    assert_eq!(window.len(), 2);
    // An answer without a question proves nothing.
    window.question_answered(Question::Ping);
    assert_eq!(window.len(), 2);
    // What left on an older connection may not have arrived.
    window.connected(true);
    window.question_left(Question::Ping);
    window.question_answered(Question::Ping);
    assert_eq!(window.len(), 2);
    assert_eq!(window.find(3, TOPIC, hash("x")), found(3));
}

#[test]
fn ping_and_probe_prove_independently() {
    let mut window = resumed(&[]);
    for id in 1..=3 {
        window.journalled(id, TOPIC, hash("x"), Sequence(u64::from(id)));
        window.ack_left(id);
        if id == 1 {
            window.question_left(Question::Ping);
        }
        if id == 2 {
            window.question_left(Question::Probe);
        }
    }
    assert!(window.is_probing());
    window.question_answered(Question::Probe);
    assert_eq!(
        (window.len(), window.unproven(), window.is_probing()),
        (1, 1, false)
    );
    window.question_answered(Question::Ping);
    assert_eq!(
        (window.len(), window.unproven()),
        (1, 1),
        "3 left after both"
    );
}

#[test]
fn the_size_is_bounded() {
    let mut window = DupWindow {
        entries_max: 3,
        ..DupWindow::default()
    };
    window.connected(false);
    for id in 1..=10 {
        window.journalled(id, TOPIC, hash("x"), Sequence(u64::from(id)));
        window.ack_left(id);
    }
    assert_eq!(
        (window.len(), window.entries.len(), window.left.len()),
        (3, 3, 3)
    );
    window.question_left(Question::Ping);
    window.question_answered(Question::Ping);
    assert_eq!((window.len(), window.entries.len()), (0, 0));
    window.journalled(11, TOPIC, hash("x"), Sequence(11));
    window.connected(true);
    assert_eq!(window.find(11, TOPIC, hash("x")), found(11));
}

/// Journals `payload` as `sequence` on a live source.
fn live(windows: &DupWindows, source: &SourceId, packet_id: u16, payload: &str, sequence: u64) {
    lock(&windows.window(source)).journalled(packet_id, TOPIC, hash(payload), Sequence(sequence));
}

#[test]
fn a_checkpoint_and_the_frames_after_it_rebuild_the_window() {
    let source = SourceId::new("lora");
    let windows = DupWindows::default();
    for (id, sequence) in [(1, 10), (2, 11), (3, 15), (4, 16)] {
        live(&windows, &source, id, "x", sequence);
    }
    // Sequence 16 was never synced; the checkpoint ends at 11.
    let checkpoint = windows.snapshot(Sequence(11));
    assert_eq!(
        checkpoint[&source]
            .iter()
            .map(|entry| entry.packet_id)
            .collect::<Vec<_>>(),
        [1, 2]
    );

    let restored = DupWindows::default();
    restored.restore(checkpoint);
    let epoch = Epoch::start().next(true).number();
    restored.observe_recovered(&source, epoch, 3, TOPIC, b"x", Sequence(15));
    restored.observe_recovered(&source, epoch, 0, TOPIC, b"qos 0", Sequence(17));
    let window = restored.window(&source);
    let mut window = lock(&window);
    window.connected(true);
    for (id, sequence) in [(1, 10), (2, 11), (3, 15)] {
        assert_eq!(window.find(id, TOPIC, hash("x")), found(sequence));
    }
    assert_eq!(window.find(4, TOPIC, hash("x")), None, "it must make a row");
}

#[test]
fn a_session_lost_between_two_recovered_frames_clears_what_was_before() {
    let source = SourceId::new("lora");
    let first = Epoch::start().next(false);
    let resumed = first.next(true);
    let lost = resumed.next(false);
    let check = |epochs: &[Epoch], expect: usize| {
        let windows = DupWindows::default();
        for (id, epoch) in (1..).zip(epochs) {
            windows.observe_recovered(
                &source,
                epoch.number(),
                id,
                TOPIC,
                b"x",
                Sequence(u64::from(id)),
            );
        }
        assert_eq!(lock(&windows.window(&source)).len(), expect, "{epochs:?}");
    };
    check(&[first, first, resumed], 3);
    check(&[first, resumed, lost, lost], 2);
}

/// Two sources that had one session, the second from behind position 15 on.
fn renamed(before: &SourceId, after: &SourceId) -> SessionHistory {
    let broker: Url = "mqtt://broker.example".parse().unwrap();
    let mut history = SessionHistory::default();
    assert!(history.take_up([(before, &broker, "c")], Sequence(0)));
    assert!(history.take_up([(after, &broker, "c")], Sequence(15)));
    history
}

#[test]
fn a_renamed_source_finds_after_a_crash_what_was_journalled_under_the_other_name() {
    let (lora, radio) = (SourceId::new("lora"), SourceId::new("radio"));
    let history = renamed(&lora, &radio);
    let windows = DupWindows::default();
    for (id, sequence) in [(1, 10), (2, 11), (3, 15)] {
        live(&windows, &lora, id, "x", sequence);
    }
    let early = windows.snapshot(Sequence(11));
    windows.exchange_by(&history);
    windows.hand_over(&[(lora.clone(), radio.clone())]);
    live(&windows, &radio, 4, "x", 16);
    let late = windows.snapshot(Sequence(15));
    // Who journalled it, whoever has it now.
    assert_eq!(late.keys().collect::<Vec<_>>(), [&lora]);

    let epoch = Epoch::start().next(true).number();
    let lost = Epoch::start().next(true).next(false).number();
    // The checkpoint is from before or from behind the exchange; the broker has the session still, or had lost it.
    let third: &[(&SourceId, u16, u64)] = &[(&lora, 3, 15)];
    let all: &[u16] = &[1, 2, 3, 4];
    for (checkpoint, behind, last, expect) in [
        (&early, third, epoch, all),
        (&late, &third[1..], epoch, all),
        (&early, third, lost, &all[3..]),
    ] {
        let restored = DupWindows::default();
        restored.begin_with(&history);
        restored.restore(checkpoint.clone());
        for (source, id, sequence) in behind {
            restored.observe_recovered(source, epoch, *id, TOPIC, b"x", Sequence(*sequence));
        }
        restored.observe_recovered(&radio, last, 4, TOPIC, b"x", Sequence(16));
        assert_eq!(lock(&restored.window(&lora)).len(), 0);
        let window = restored.window(&radio);
        let mut window = lock(&window);
        assert_eq!(window.len(), expect.len(), "{checkpoint:?}");
        window.connected(true);
        for id in expect {
            let found = window.find(*id, TOPIC, hash("x"));
            assert!(found.is_some(), "{id} of {checkpoint:?}");
        }
    }
}

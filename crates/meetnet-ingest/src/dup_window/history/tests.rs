//! Whose window what was journalled belongs into, after whatever has happened to ids and sessions.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::*;

const BROKER: &str = "mqtt://broker.example";

/// Behind which position which sources have which client ids.
type Change<'a> = (u64, &'a [(&'a str, &'a str)]);

fn take_up(history: &mut SessionHistory, after: u64, sources: &[(&str, &str, &str)]) -> bool {
    let sources: Vec<(SourceId, Url, &str)> = sources
        .iter()
        .map(|(id, broker, client_id)| (SourceId::new(id), broker.parse().unwrap(), *client_id))
        .collect();
    let facts = sources
        .iter()
        .map(|(id, broker, client_id)| (id, broker, *client_id));
    history.take_up(facts, Sequence(after))
}

fn history(changes: &[Change<'_>]) -> SessionHistory {
    let mut history = SessionHistory::default();
    for (after, sources) in changes {
        let sources = sources
            .iter()
            .map(|(id, client_id)| (*id, BROKER, *client_id));
        take_up(&mut history, *after, &sources.collect::<Vec<_>>());
    }
    history
}

#[test]
fn what_was_journalled_of_a_session_belongs_to_who_has_it_now() {
    // Source and position of a frame, and whose window it belongs into.
    let check = |changes: &[Change<'_>], frames: &[(&str, u64, Option<&str>)]| {
        let routes = Routes::of(&history(changes));
        for (source, sequence, expect) in frames {
            let (source, sequence) = (SourceId::new(source), Sequence(*sequence));
            let heir = routes.heir(&source, sequence);
            let shown = heir.as_ref().map(SourceId::as_str);
            assert_eq!(shown, *expect, "{changes:?}: {source} {sequence}");
            // A checkpoint names who journalled it.
            if let Some(heir) = heir {
                assert_eq!(routes.origin(&heir, sequence), source, "{changes:?}");
            }
        }
    };
    // Renamed; the history may have begun later than the journal.
    let renamed: [Change<'_>; 2] = [(3, &[("a", "c")]), (10, &[("b", "c")])];
    check(&renamed, &[("a", 5, Some("b")), ("b", 15, Some("b"))]);
    check(&renamed, &[("a", 2, Some("b")), ("a", 10, Some("b"))]);
    // Two have exchanged their client ids.
    let exchanged: [Change<'_>; 2] = [
        (0, &[("a", "c"), ("b", "d")]),
        (10, &[("a", "d"), ("b", "c")]),
    ];
    check(&exchanged, &[("a", 10, Some("b")), ("b", 10, Some("a"))]);
    check(&exchanged, &[("a", 11, Some("a")), ("b", 11, Some("b"))]);
    // Another session: nobody is given that of before any more.
    let another: [Change<'_>; 2] = [(0, &[("a", "c")]), (10, &[("a", "d")])];
    check(&another, &[("a", 5, None), ("a", 15, Some("a"))]);
    // Left, and taken up later.
    let left: [Change<'_>; 2] = [(0, &[("a", "c")]), (10, &[])];
    check(&left, &[("a", 5, Some("a"))]);
    let taken_up: [Change<'_>; 3] = [left[0], left[1], (20, &[("b", "c")])];
    check(&taken_up, &[("a", 5, Some("b")), ("b", 25, Some("b"))]);
    // The id is given to another one, and the session goes back.
    let reused: [Change<'_>; 3] = [renamed[0], renamed[1], (20, &[("a", "d"), ("b", "c")])];
    check(
        &reused,
        &[
            ("a", 5, Some("b")),
            ("b", 15, Some("b")),
            ("a", 25, Some("a")),
        ],
    );
    let given_back: [Change<'_>; 3] = [renamed[0], renamed[1], (20, &[("a", "c")])];
    check(
        &given_back,
        &[
            ("a", 5, Some("a")),
            ("b", 15, Some("a")),
            ("a", 25, Some("a")),
        ],
    );
    check(&renamed, &[("z", 5, Some("z"))]);
    check(&[], &[("a", 5, Some("a"))]);
}

#[test]
fn a_session_is_told_by_its_broker_and_its_client_id() {
    let check = |before: &str, after: &str, expect: Option<&str>| {
        let mut history = SessionHistory::default();
        assert!(take_up(&mut history, 0, &[("a", before, "c")]));
        assert!(!take_up(&mut history, 5, &[("a", before, "c")]));
        take_up(&mut history, 10, &[("b", after, "c")]);
        let heir = Routes::of(&history).heir(&SourceId::new("a"), Sequence(5));
        assert_eq!(
            heir.as_ref().map(SourceId::as_str),
            expect,
            "{before} {after}"
        );
    };
    check(BROKER, BROKER, Some("b"));
    // With TLS it is the same broker on another port.
    check(BROKER, "mqtts://broker.example", Some("b"));
    check(
        "ws://broker.example/mqtt?key=1",
        "ws://broker.example/other",
        Some("b"),
    );
    check(BROKER, "mqtt://broker.example:1884", Some("a"));
    check(BROKER, "mqtt://other.example", Some("a"));
}

/// Two brokers on one host, of which one has TLS, and the same client id at both: by the address alone it could be one session.
#[test]
fn a_session_beside_another_one_is_never_taken_for_it() {
    let (a, b) = (("a", BROKER, "c"), ("b", "mqtts://broker.example", "c"));
    let both = || {
        let mut history = SessionHistory::default();
        assert!(take_up(&mut history, 0, &[a]));
        assert!(take_up(&mut history, 5, &[a, b]));
        assert!(!take_up(&mut history, 8, &[b, a]));
        history
    };
    let check = |history: &SessionHistory| {
        let routes = Routes::of(history);
        for id in ["a", "b"] {
            let heir = routes.heir(&SourceId::new(id), Sequence(7));
            assert_eq!(heir.as_ref().map(SourceId::as_str), Some(id));
        }
    };
    check(&both());
    for left in [a, b] {
        let mut history = both();
        assert!(!take_up(&mut history, 10, &[left]));
        check(&history);
    }
}

#[test]
fn no_secret_of_a_broker_is_noted_and_what_is_noted_is_read_again() {
    let mut history = SessionHistory::default();
    take_up(
        &mut history,
        3,
        &[("a", "wss://broker.example/mqtt?key=hidden", "c")],
    );
    let text = serde_json::to_string(&history).unwrap();
    assert!(
        !text.contains("hidden") && text.contains("broker.example"),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<SessionHistory>(&text).unwrap(),
        history
    );
}

#[test]
fn a_history_stays_short() {
    let mut history = SessionHistory::default();
    take_up(
        &mut history,
        0,
        &[("still", BROKER, "s"), ("first", BROKER, "c")],
    );
    for change in 1..2_000 {
        let id = format!("id-{change}");
        take_up(
            &mut history,
            change,
            &[("still", BROKER, "s"), (&id, BROKER, "c")],
        );
    }
    assert_eq!(history.holdings.len(), PAST_MAX + 2);
    let routes = Routes::of(&history);
    let heir = |source: &str, sequence| routes.heir(&SourceId::new(source), Sequence(sequence));
    assert_eq!(heir("still", 5), Some("still".into()));
    assert_eq!(heir("id-1998", 1_999), Some("id-1999".into()));
}

/// Sources take sessions up and leave them as it comes; every message belongs to who has its session in the end.
#[test]
fn whatever_happens_to_ids_every_message_finds_the_window_of_its_session() {
    let (ids, client_ids) = (["a", "b", "c", "d"], ["1", "2", "3", "4", "5"]);
    for seed in 0..200 {
        let random = &mut StdRng::seed_from_u64(seed);
        let mut history = SessionHistory::default();
        let mut position = 0;
        // Source, position and session of each message, and who had which session last.
        let mut messages: Vec<(&str, u64, &str)> = Vec::new();
        let mut last_holder: BTreeMap<&str, &str> = BTreeMap::new();
        let mut last_session: BTreeMap<&str, &str> = BTreeMap::new();
        for _ in 0..random.random_range(1..8) {
            let mut sessions = client_ids;
            sessions.shuffle(random);
            let now = ids.into_iter().zip(sessions);
            let now: Vec<(&str, &str)> = now.filter(|_| random.random_bool(0.7)).collect();
            let facts = now.iter().map(|(id, client_id)| (*id, BROKER, *client_id));
            take_up(&mut history, position, &facts.collect::<Vec<_>>());
            for &(id, client_id) in &now {
                last_holder.insert(client_id, id);
                last_session.insert(id, client_id);
            }
            for _ in 0..random.random_range(0..4) {
                position += 1;
                if let Some(&(id, client_id)) = now.get(random.random_range(0..4_usize)) {
                    messages.push((id, position, client_id));
                }
            }
        }
        let routes = Routes::of(&history);
        for (id, position, client_id) in messages {
            let holder = last_holder[client_id];
            let heir = routes.heir(&SourceId::new(id), Sequence(position));
            let what = format!("seed {seed}, {id} at {position}: {heir:?}");
            if last_session[holder] == client_id {
                assert_eq!(heir, Some(SourceId::new(holder)), "{what}");
            } else {
                // Nobody has it: at most one who had it, and is gone.
                let is_gone = heir.as_ref().is_none_or(|id| !history.sources.contains(id));
                assert!(is_gone, "{what}");
            }
            if let Some(heir) = heir {
                let origin = routes.origin(&heir, Sequence(position));
                assert_eq!(origin.as_str(), id, "seed {seed}, at {position}");
            }
        }
    }
}

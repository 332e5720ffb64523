use super::*;

#[test]
fn growth_of_the_brokers_own_count_is_what_it_has_dropped() {
    let mut drops = BrokerDrops::default();
    // What it had dropped before we came is not ours to report, and a restart begins at zero.
    for (told, expect) in [
        ("7", 0),
        ("7", 0),
        (" 12\n", 5),
        ("x", 0),
        ("2", 0),
        ("3", 1),
    ] {
        assert_eq!(drops.read(told.as_bytes()), expect, "{told}");
    }
    assert_eq!(drops.read(&[0xff]), 0);
}

/// How often it is said over rounds that find so many messages unacknowledged.
fn said(inflight_max: u16, rounds: &[(u32, usize)]) -> usize {
    let mut hint = InflightHint::new(inflight_max);
    let rounds = rounds
        .iter()
        .flat_map(|(times, unacked)| (0..*times).map(move |_| *unacked));
    rounds.filter(|unacked| hint.see(*unacked)).count()
}

#[test]
fn a_broker_that_stays_at_its_default_is_told_of_once() {
    assert_eq!(said(2_000, &[(ROUNDS_MIN, 20)]), 1);
    assert_eq!(said(2_000, &[(10 * ROUNDS_MIN, 20)]), 1);
    assert_eq!(said(2_000, &[(ROUNDS_MIN - 1, 20)]), 0);
    // Few messages say nothing, and neither does one that has had more.
    assert_eq!(said(2_000, &[(10 * ROUNDS_MIN, 19)]), 0);
    assert_eq!(said(2_000, &[(1, 21), (10 * ROUNDS_MIN, 20)]), 0);
    // It is what we have asked for.
    assert_eq!(said(20, &[(10 * ROUNDS_MIN, 20)]), 0);
}

use super::*;

const DAY: u64 = 24 * 3_600;
const GRACE: Duration = Duration::from_secs(DAY);
/// 2026-07-01T00:00:00Z.
const START: i64 = 1_782_864_000_000_000;
const HOUR: i64 = 3_600_000_000;

fn days(days: u64) -> Duration {
    Duration::from_secs(days * DAY)
}

fn declared(kept: Option<u64>) -> Retentions {
    kept.map(|kept| (DatasetId::new("heat"), days(kept)))
        .into_iter()
        .collect()
}

/// Days that `heat` is kept, and hours after [`START`] at which a shorter time ends its wait.
fn state(noted: &Noted) -> (Option<u64>, Option<i64>) {
    let kept = in_force(noted).get(&DatasetId::new("heat")).copied();
    let until = waiting(noted, GRACE).first().map(|wait| wait.until_us);
    (
        kept.map(|kept| kept.as_secs() / DAY),
        until.map(|until| (until - START) / HOUR),
    )
}

#[test]
fn a_shorter_retention_waits_and_a_longer_one_counts_at_once() {
    let mut noted = Noted::new();
    // Hours after the start, days declared; days in force, and the hour at which a wait ends.
    for (hour, kept, expect) in [
        (0, None, (None, None)),
        // Kept for ever until now.
        (1, Some(365), (None, Some(25))),
        (24, Some(365), (None, Some(25))),
        (25, Some(365), (Some(365), None)),
        // A slip of the pen, and its mending.
        (30, Some(3), (Some(365), Some(54))),
        (31, Some(365), (Some(365), None)),
        (32, Some(730), (Some(730), None)),
        // Another one begins a wait of its own.
        (40, Some(30), (Some(730), Some(64))),
        (50, Some(20), (Some(730), Some(74))),
        // The clock was ahead by then.
        (45, Some(20), (Some(730), Some(69))),
        (69, Some(20), (Some(20), None)),
        (70, None, (None, None)),
    ] {
        noted = decide(&noted, &declared(kept), GRACE, START + hour * HOUR);
        assert_eq!(state(&noted), expect, "hour {hour}, {kept:?} days");
    }
    let at_once = decide(&Noted::new(), &declared(Some(3)), Duration::ZERO, START);
    assert_eq!(state(&at_once), (Some(3), None));
}

#[test]
fn a_restart_neither_ends_a_wait_nor_begins_it_anew() {
    let dir = tempfile::tempdir().unwrap();
    let open = |kept, grace| Retention::open(dir.path(), declared(kept), grace, now_us());
    // As a daemon does, which looks at it all the time.
    let run = |kept, grace| {
        let retention = open(kept, grace);
        let mut held = retention.held();
        held.look(now_us());
        (in_force(&held.noted), waiting(&held.noted, held.grace))
    };
    assert_eq!(
        run(Some(365), Duration::ZERO),
        (declared(Some(365)), Vec::new())
    );
    let (kept, waits) = run(Some(3), GRACE);
    assert_eq!((kept, waits.len()), (declared(Some(365)), 1));
    assert_eq!(run(Some(3), GRACE), (declared(Some(365)), waits));
    // What cannot be read is no reason to drop.
    std::fs::write(dir.path().join(FILE), "{").unwrap();
    assert_eq!(open(Some(3), GRACE).in_force(), Retentions::new());
}

#[test]
fn no_wait_begins_with_a_command_that_says_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention::open(dir.path(), declared(Some(3)), GRACE, now_us());
    assert_eq!(retention.in_force(), Retentions::new());
    assert!(!dir.path().join(FILE).exists());
    retention.held().look(now_us());
    assert!(dir.path().join(FILE).exists());
}

#[test]
fn a_clock_that_was_ahead_does_not_make_a_wait_longer() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention::open(dir.path(), declared(Some(3)), GRACE, now_us());
    let mut held = retention.held();
    let year = 365 * 24 * HOUR;
    held.declared = declared(Some(2));
    held.look(now_us() + year);
    // Nothing is declared anew: it is seen by looking.
    let now = now_us();
    assert!(!held.look(now));
    let waits = waiting(&held.noted, GRACE);
    assert_eq!(waits[0].until_us, end_of(now, GRACE));
}

#[test]
fn a_clock_that_is_far_ahead_drops_nothing_until_it_has_been_so_for_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let open = |seen_us, now_us| {
        Retention::open_at(dir.path(), declared(Some(365)), GRACE, (seen_us, now_us))
    };
    let hour = |hour: i64| START + hour * HOUR;
    // It has waited once, and is in force.
    open(START, START).held().look(START);
    open(START, hour(24)).held().look(hour(24));
    let kept = open(hour(24), hour(30)).in_force();
    assert_eq!(kept, declared(Some(365)));
    // A start by a clock that is fifty years ahead, and another one behind it: the journal goes by that clock then.
    let ahead = hour(50 * 365 * 24);
    assert_eq!(open(hour(30), ahead).in_force(), Retentions::new());
    assert_eq!(
        open(ahead, ahead + HOUR).in_force(),
        Retentions::new(),
        "noted at once"
    );
    // The clock is right again.
    let retention = open(ahead, hour(31));
    let mut held = retention.held();
    assert!(!held.look(hour(31)));
    assert_eq!(state(&held.noted), (None, Some(31 + 24)));
    assert!(held.look(hour(31 + 24)));
    assert_eq!(state(&held.noted), (Some(365), None));
    // And it steps while the daemon runs.
    assert!(held.look(ahead));
    assert_eq!(in_force(&held.noted), Retentions::new());
}

#[test]
fn the_page_says_what_waits_and_which_rows_go_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention::open(dir.path(), declared(Some(3)), GRACE, now_us());
    let empty = LakeSnapshot::default();
    assert!(retention.rows(&empty).is_empty(), "nobody has looked yet");
    let waits = {
        let mut held = retention.held();
        held.look(now_us());
        waiting(&held.noted, held.grace)
    };
    retention.show(&waits);
    // The page is asked while the other lock is held, as where a pipeline is behind.
    let held = retention.held();
    let rows = retention.rows(&empty);
    drop(held);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.dataset.as_str(), row.kept.as_str()), ("heat", "3d"));
    assert_eq!((row.at, row.rows), (waits[0].until_us, 0));
    retention.show(&[]);
    assert!(retention.rows(&empty).is_empty());
}

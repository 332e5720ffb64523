use std::cell::Cell;

use super::past::BACKFILL_FAILURES_MAX;
use super::*;

/// 2026-11-28T00:00:00Z.
const MIDNIGHT: i64 = 1_795_824_000 * SECOND_US;
const MINUTE_US: i64 = 60 * SECOND_US;

fn hourly() -> WindowRule {
    WindowRule {
        align: HOUR_US,
        closed_after: 15 * MINUTE_US,
        overlap: 6 * HOUR_US,
        reask: 3 * DAY_US,
        since: None,
        chunk_max: 90 * DAY_US,
    }
}

fn windowed(name: &str, rule: WindowRule) -> Target {
    Target {
        name: name.to_owned(),
        interval: Some(HOUR_US),
        windows: Some(rule),
    }
}

fn latest(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        interval: Some(5 * MINUTE_US),
        windows: None,
    }
}

fn fresh(targets: Vec<Target>) -> Plan {
    Plan::new(targets, |_| Cursor::default(), true)
}

/// Shows hours since midnight of the 28th.
fn show(plan: &Plan, next: &Next) -> String {
    let hours = |at: i64| (at - MIDNIGHT) as f64 / HOUR_US as f64;
    match next {
        Next::Wait(i64::MAX) => "wait".to_owned(),
        Next::Wait(until) => format!("wait until {:.2}", hours(*until)),
        Next::Ask(ask) => {
            let kind = match ask.purpose {
                Purpose::New => "",
                Purpose::Past => " backfill",
                Purpose::Gap => " gap",
            };
            let name = &plan.target(ask).name;
            match ask.window {
                None => format!("{name}{kind}"),
                Some(Window { from, to }) => format!("{name}{kind} {}..{}", hours(from), hours(to)),
            }
        }
    }
}

/// Takes every answer until there is nothing to ask; returns what was asked and until when it waits.
fn drain(plan: &mut Plan, now: i64) -> Vec<String> {
    let mut shown = Vec::new();
    for _ in 0..100 {
        let next = plan.next(now);
        shown.push(show(plan, &next));
        match next {
            Next::Ask(ask) => plan.taken(&ask, now),
            Next::Wait(_) => return shown,
        }
    }
    panic!("it never rests: {shown:?}");
}

#[track_caller]
fn check(plan: &mut Plan, now: i64, expect: &[&str]) {
    assert_eq!(drain(plan, now), expect);
}

#[test]
fn a_pass_asks_for_closed_periods_only() {
    let first = |minutes: i64| {
        let mut plan = fresh(vec![windowed("a", hourly())]);
        let next = plan.next(MIDNIGHT + minutes * MINUTE_US);
        show(&plan, &next)
    };
    assert_eq!(first(0), "a -73..-1");
    assert_eq!(first(14), "a -73..-1");
    assert_eq!(first(15), "a -72..0");
    assert_eq!(first(59), "a -72..0");
    assert_eq!(first(75), "a -71..1");
}

#[test]
fn passes_begin_a_little_before_the_cursor_and_once_a_day_days_before() {
    let mut plan = fresh(vec![windowed("a", hourly())]);
    let at = |hours: i64| MIDNIGHT + hours * HOUR_US + 20 * MINUTE_US;
    check(&mut plan, at(0), &["a -72..0", "wait until 1.33"]);
    check(&mut plan, at(0) + 5, &["wait until 1.33"]);
    check(&mut plan, at(1), &["a -5..1", "wait until 2.33"]);
    check(&mut plan, at(23), &["a 1..23", "wait until 24.33"]);
    check(&mut plan, at(24), &["a -48..24", "wait until 25.33"]);
    check(&mut plan, at(25), &["a 19..25", "wait until 26.33"]);
}

#[test]
fn a_first_pass_goes_back_to_the_declared_day_in_chunks() {
    let rule = WindowRule {
        since: Some(MIDNIGHT - 200 * DAY_US),
        ..hourly()
    };
    let mut plan = fresh(vec![windowed("a", rule)]);
    check(
        &mut plan,
        MIDNIGHT + 20 * MINUTE_US,
        &[
            "a -4800..-2640",
            "a -2640..-480",
            "a -480..0",
            "wait until 1.33",
        ],
    );
}

#[test]
fn a_cursor_goes_on_where_it_stood() {
    let cursor = Cursor {
        through: Some(MIDNIGHT - 100 * DAY_US),
        polled_at: Some(MIDNIGHT - 100 * DAY_US),
        reasked_at: Some(MIDNIGHT - 100 * DAY_US),
        ..Cursor::default()
    };
    let mut plan = Plan::new(vec![windowed("a", hourly())], |_| cursor.clone(), true);
    check(
        &mut plan,
        MIDNIGHT + 20 * MINUTE_US,
        &["a -2400..-240", "a -240..0", "wait until 1.33"],
    );
    let cursors: Vec<_> = plan.cursors().collect();
    assert_eq!(cursors[0].1.through, Some(MIDNIGHT));
    assert_eq!(cursors[0].1.reasked_at, Some(MIDNIGHT + 20 * MINUTE_US));
}

#[test]
fn a_failed_chunk_is_asked_again_and_its_cursor_stays() {
    let rule = WindowRule {
        chunk_max: DAY_US,
        ..hourly()
    };
    let mut plan = fresh(vec![windowed("a", rule)]);
    let now = MIDNIGHT + 20 * MINUTE_US;
    let Next::Ask(first) = plan.next(now) else {
        panic!()
    };
    plan.taken(&first, now);
    let Next::Ask(second) = plan.next(now) else {
        panic!()
    };
    assert_eq!(show(&plan, &Next::Ask(second.clone())), "a -48..-24");
    plan.failed(&second, &Failure::new(FailureKind::Fault, "500"), now, 1.0);
    assert_eq!(plan.cursor(&second).through, Some(MIDNIGHT - 2 * DAY_US));
    assert_eq!(plan.cursor(&second).polled_at, None);
    let waits = plan.next(now);
    assert_eq!(waits, Next::Wait(now + 5 * SECOND_US));
    check(
        &mut plan,
        now + 5 * SECOND_US,
        &["a -48..-24", "a -24..0", "wait until 1.33"],
    );
}

/// What waits after a failure, in seconds: the source, the target that failed.
fn pauses(kind: FailureKind, retry_after_s: Option<i64>) -> (i64, i64) {
    let mut plan = fresh(vec![latest("a"), latest("b")]);
    let Next::Ask(a) = plan.next(MIDNIGHT) else {
        panic!()
    };
    let failure = Failure {
        retry_after: retry_after_s.map(|s| s * SECOND_US),
        ..Failure::new(kind, "no")
    };
    plan.failed(&a, &failure, MIDNIGHT, 1.0);
    let source = match plan.next(MIDNIGHT) {
        Next::Wait(until) => until - MIDNIGHT,
        Next::Ask(_) => 0,
    };
    let mut now = MIDNIGHT + source;
    loop {
        match plan.next(now) {
            Next::Ask(ask) if ask.target == a.target => break,
            Next::Ask(ask) => plan.taken(&ask, now),
            Next::Wait(until) => now = until,
        }
    }
    (source / SECOND_US, (now - MIDNIGHT) / SECOND_US)
}

#[test]
fn what_waits_after_a_failure() {
    use FailureKind::{Busy, Denied, Fault, Journal, Refused};
    for (kind, retry_after_s, expect) in [
        (Fault, None, (5, 5)),
        (Busy, None, (5, 5)),
        (Busy, Some(120), (120, 120)),
        (Busy, Some(1_000_000), (86_400, 86_400)),
        (Busy, Some(-1), (5, 5)),
        (Denied, None, (5, 5)),
        (Journal, None, (5, 5)),
        // Nobody else waits for it; it comes again after an hour.
        (Refused, None, (0, 3_600)),
    ] {
        assert_eq!(
            pauses(kind, retry_after_s),
            expect,
            "{kind:?} {retry_after_s:?}"
        );
    }
}

#[test]
fn a_target_that_keeps_failing_does_not_hold_the_others_up() {
    let mut plan = fresh(vec![latest("bad"), latest("good")]);
    let (mut now, mut bad, mut good) = (MIDNIGHT, 0, 0);
    while now < MIDNIGHT + DAY_US {
        match plan.next(now) {
            Next::Wait(until) => now = until,
            Next::Ask(ask) if ask.target == 0 => {
                bad += 1;
                plan.failed(&ask, &Failure::new(FailureKind::Fault, "500"), now, 1.0);
            }
            Next::Ask(ask) => {
                good += 1;
                plan.taken(&ask, now);
            }
        }
    }
    // Every five minutes, a few seconds late at most; the bad one hourly in the end.
    assert!((280..=288).contains(&good), "{good}");
    assert!((24..=36).contains(&bad), "{bad}");
}

#[test]
fn a_dead_api_is_asked_less_and_less() {
    let mut plan = fresh((0..100).map(|n| latest(&n.to_string())).collect());
    let (mut now, mut asked) = (MIDNIGHT, 0);
    while now < MIDNIGHT + DAY_US {
        match plan.next(now) {
            Next::Wait(until) => now = until,
            Next::Ask(ask) => {
                asked += 1;
                plan.failed(&ask, &Failure::new(FailureKind::Fault, "down"), now, 1.0);
            }
        }
    }
    assert!((24..=36).contains(&asked), "{asked}");
}

#[test]
fn too_large_answers_are_asked_for_in_halves_until_there_is_no_half() {
    let mut plan = fresh(vec![windowed("a", hourly())]);
    let now = MIDNIGHT + 20 * MINUTE_US;
    let mut lengths = Vec::new();
    loop {
        let Next::Ask(ask) = plan.next(now) else {
            panic!()
        };
        let window = ask.window.unwrap();
        lengths.push((window.to - window.from) / HOUR_US);
        if !plan.split(&ask) {
            break;
        }
    }
    assert_eq!(lengths, [72, 36, 18, 9, 4, 2, 1]);
    let mut plan = fresh(vec![latest("a")]);
    let Next::Ask(ask) = plan.next(now) else {
        panic!()
    };
    assert!(!plan.split(&ask));
}

#[test]
fn a_backfill_fills_the_time_when_nothing_is_due() {
    let mut plan = fresh(vec![
        windowed("a", hourly()),
        latest("now"),
        windowed("b", hourly()),
    ]);
    let now = MIDNIGHT + 20 * MINUTE_US;
    let span = Window {
        from: MIDNIGHT - 400 * DAY_US + 1,
        to: MIDNIGHT - 300 * DAY_US - 1,
    };
    assert_eq!(plan.begin_backfill(span, now), 4);
    check(
        &mut plan,
        now,
        &[
            "a -72..0",
            "now",
            "b -72..0",
            "a backfill -9600..-7440",
            "a backfill -7440..-7200",
            "b backfill -9600..-7440",
            "b backfill -7440..-7200",
            "wait until 0.42",
        ],
    );
    let state = plan.backfill().unwrap();
    assert_eq!((state.windows_done, state.windows_left), (4, 0));
    assert!(state.is_over());
    // It is not live polling: cursors have not moved with it.
    assert!(
        plan.cursors()
            .all(|(_, cursor)| cursor.through.is_none_or(|at| at == MIDNIGHT))
    );
}

#[test]
fn a_backfill_ends_with_the_closed_periods_and_asks_for_nothing_of_the_future() {
    let mut plan = Plan::new(vec![windowed("a", hourly())], |_| Cursor::default(), false);
    let span = |from: i64, to: i64| Window {
        from: MIDNIGHT + from * DAY_US,
        to: MIDNIGHT + to * DAY_US,
    };
    assert_eq!(plan.begin_backfill(span(1, 2), MIDNIGHT), 0);
    assert!(plan.backfill().unwrap().is_over());
    assert_eq!(plan.begin_backfill(span(-1, 30), MIDNIGHT), 1);
    // Without live polling there is nothing else.
    check(&mut plan, MIDNIGHT, &["a backfill -24..-1", "wait"]);
}

#[test]
fn a_backfill_goes_on_with_what_is_left_of_the_targets_that_are_there() {
    let backfills_only = |targets: Vec<Target>| Plan::new(targets, |_| Cursor::default(), false);
    let mut before = backfills_only(vec![windowed("a", hourly()), windowed("b", hourly())]);
    let now = MIDNIGHT + 20 * MINUTE_US;
    let span = Window {
        from: MIDNIGHT - 400 * DAY_US,
        to: MIDNIGHT - 300 * DAY_US,
    };
    assert_eq!(before.begin_backfill(span, now), 4);
    assert_eq!(before.backfill_left().len(), 2);
    let Next::Ask(ask) = before.next(now) else {
        panic!()
    };
    before.taken(&ask, now);
    let (left, state) = (before.backfill_left(), before.backfill().unwrap().clone());

    let mut after = backfills_only(vec![
        latest("now"),
        windowed("b", hourly()),
        windowed("new", hourly()),
        windowed("a", hourly()),
    ]);
    assert_eq!(after.resume_backfill(&left, state.clone()), 3);
    let stands = after.backfill().unwrap();
    assert_eq!((stands.windows_done, stands.windows_left), (1, 3));
    check(
        &mut after,
        now,
        &[
            "a backfill -7440..-7200",
            "b backfill -9600..-7440",
            "b backfill -7440..-7200",
            "wait",
        ],
    );
    assert!(after.backfill().unwrap().is_over() && after.backfill_left().is_empty());

    // Of what is no longer asked nothing is left.
    let mut without = backfills_only(vec![latest("a"), windowed("b", hourly())]);
    assert_eq!(without.resume_backfill(&left, state.clone()), 2);
    let mut others = backfills_only(vec![windowed("c", hourly())]);
    assert_eq!(others.resume_backfill(&left, state), 0);
    assert!(others.backfill().unwrap().is_over());
}

#[test]
fn a_refused_window_of_a_backfill_is_noted_and_passed_over() {
    let mut plan = Plan::new(
        vec![windowed("a", hourly()), windowed("b", hourly())],
        |_| Cursor::default(),
        false,
    );
    let span = Window {
        from: MIDNIGHT - DAY_US,
        to: MIDNIGHT,
    };
    plan.begin_backfill(span, MIDNIGHT + DAY_US);
    let Next::Ask(ask) = plan.next(MIDNIGHT) else {
        panic!()
    };
    plan.failed(
        &ask,
        &Failure::new(FailureKind::Refused, "no rights"),
        MIDNIGHT,
        1.0,
    );
    check(&mut plan, MIDNIGHT, &["b backfill -24..0", "wait"]);
    let state = plan.backfill().unwrap();
    assert_eq!(
        state.refused,
        ["a 2026-11-27T00:00:00Z/2026-11-28T00:00:00Z: no rights"]
    );
    assert_eq!((state.windows_done, state.refused_total), (2, 1));
    assert_eq!(state.given_up, None);
}

#[test]
fn a_backfill_gives_up_after_failures_in_a_row() {
    let mut plan = Plan::new(vec![windowed("a", hourly())], |_| Cursor::default(), false);
    let span = Window {
        from: MIDNIGHT - DAY_US,
        to: MIDNIGHT,
    };
    plan.begin_backfill(span, MIDNIGHT + DAY_US);
    let mut now = MIDNIGHT;
    let mut asked = 0;
    while !plan.backfill().unwrap().is_over() {
        match plan.next(now) {
            Next::Wait(until) => now = until,
            Next::Ask(ask) => {
                asked += 1;
                plan.failed(&ask, &Failure::new(FailureKind::Fault, "500"), now, 1.0);
            }
        }
    }
    assert_eq!(asked, BACKFILL_FAILURES_MAX);
    assert_eq!(plan.backfill().unwrap().given_up.as_deref(), Some("500"));
    // It asks no more, and what is left can be gone on with.
    assert_eq!(plan.next(now + DAY_US), Next::Wait(i64::MAX));
    assert_eq!(plan.backfill_left(), [("a".to_owned(), span)]);
}

/// Asks until `end`; of what `answers` denies every question fails. Returns when each question was asked, in order.
fn run_until(
    plan: &mut Plan,
    (begin, end): (i64, i64),
    answers: impl Fn(&str, Option<Window>, i64) -> bool,
) -> Vec<(i64, String, bool)> {
    let mut now = begin;
    let mut asked = Vec::new();
    while now < end {
        match plan.next(now) {
            Next::Wait(until) => now = until,
            Next::Ask(ask) => {
                let name = plan.target(&ask).name.clone();
                let is_answered = answers(&name, ask.window, now);
                asked.push((now, name, ask.is_backfill()));
                if is_answered {
                    plan.taken(&ask, now);
                } else {
                    plan.failed(&ask, &Failure::new(FailureKind::Fault, "500"), now, 1.0);
                }
            }
        }
        assert!(asked.len() < 10_000, "it never rests");
    }
    asked
}

#[test]
fn a_target_that_stays_broken_keeps_its_windows_and_the_others_go_on() {
    let mut plan = fresh(vec![
        windowed("bad", hourly()),
        windowed("good", hourly()),
        windowed("fine", hourly()),
    ]);
    let begin = MIDNIGHT + 20 * MINUTE_US;
    let week = begin + 7 * DAY_US;
    let span = Window {
        from: MIDNIGHT - 400 * DAY_US,
        to: MIDNIGHT - 200 * DAY_US,
    };
    assert_eq!(plan.begin_backfill(span, begin), 9);
    let asked = run_until(&mut plan, (begin, week), |name, _, _| name != "bad");

    let of = |name: &str, is_backfill: bool| -> Vec<i64> {
        let of = asked
            .iter()
            .filter(|(_, of, past)| of == name && *past == is_backfill);
        of.map(|(at, ..)| *at).collect()
    };
    for name in ["good", "fine"] {
        let past = of(name, true);
        assert_eq!(past.len(), 3);
        assert!(past[2] - begin < MINUTE_US, "{}", past[2] - begin);
        // Hourly all the week: nobody waits longer than for the first pause.
        let live = of(name, false);
        let latest = live.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(live.len() > 160, "{}", live.len());
        assert!(latest.unwrap() <= HOUR_US + 10 * SECOND_US, "{latest:?}");
    }
    // Tried less and less, hourly in the end, and so are its newest hours.
    for (is_backfill, each) in [(false, 2), (true, 1)] {
        let count = of("bad", is_backfill).len() / each;
        assert!((7 * 24..8 * 24).contains(&count), "{count}");
    }
    let troubles: Vec<(&str, FailingPart<'_>, &str)> = plan
        .troubles()
        .map(|(name, part, trouble)| (name, part, trouble.message.as_str()))
        .collect();
    assert_eq!(
        troubles,
        [
            ("bad", FailingPart::New, "500"),
            ("bad", FailingPart::Past, "500")
        ]
    );
    let state = plan.backfill().unwrap();
    assert_eq!((state.windows_done, state.windows_left), (6, 3));
    assert_eq!(state.given_up, None);
    let mut left = plan.backfill_left();
    left.sort_by_key(|(_, window)| window.from);
    let (first, last) = (&left[0].1, &left[left.len() - 1].1);
    assert_eq!((first.from, last.to), (span.from, span.to));
    assert!(left.windows(2).all(|pair| pair[0].1.to == pair[1].1.from));
    assert!(left.iter().all(|(name, _)| name == "bad"));

    // It answers, and the rest is asked for at once.
    run_until(&mut plan, (week, week + 2 * HOUR_US), |_, _, _| true);
    let state = plan.backfill().unwrap();
    assert_eq!((state.windows_done, state.windows_left), (9, 0));
    assert!(state.is_over() && plan.troubles().next().is_none());
}

#[test]
fn many_targets_that_fail_let_one_that_answers_wait_for_a_minute_at_most() {
    let hourly = |name: &str| Target {
        interval: Some(HOUR_US),
        ..latest(name)
    };
    let mut targets = vec![hourly("good")];
    targets.extend((0..20).map(|n| hourly(&n.to_string())));
    let mut plan = fresh(targets);
    let end = MIDNIGHT + DAY_US;
    let asked = run_until(&mut plan, (MIDNIGHT, end), |name, _, _| name == "good");
    let (good, bad): (Vec<_>, Vec<_>) = asked.iter().partition(|(_, name, _)| name == "good");
    let waits = good.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let longest = waits.max().unwrap();
    assert!(longest <= HOUR_US + MINUTE_US, "{}", longest / SECOND_US);
    assert!(good.len() >= 23, "{}", good.len());
    // Less and less, and by turns: an hour has about ten questions for twenty of them.
    assert!((200..600).contains(&bad.len()), "{}", bad.len());
}

#[test]
fn one_window_that_stays_broken_holds_up_no_other_of_its_target() {
    let rule = WindowRule {
        chunk_max: DAY_US,
        ..hourly()
    };
    let mut plan = Plan::new(vec![windowed("a", rule)], |_| Cursor::default(), false);
    let day = |day: i64| MIDNIGHT - day * DAY_US;
    let span = Window {
        from: day(10),
        to: day(5),
    };
    assert_eq!(plan.begin_backfill(span, MIDNIGHT), 5);
    let is_broken = |window: Option<Window>| window.is_some_and(|window| window.from == day(9));
    let end = MIDNIGHT + 20 * SECOND_US;
    run_until(&mut plan, (MIDNIGHT, end), |_, window, _| {
        !is_broken(window)
    });
    let state = plan.backfill().unwrap();
    assert_eq!((state.windows_done, state.windows_left), (4, 1));
    let broken = Window {
        from: day(9),
        to: day(8),
    };
    assert_eq!(plan.backfill_left(), [("a".to_owned(), broken)]);
    assert_eq!(plan.backfill_trouble().as_deref(), Some("a: 500"));
    run_until(&mut plan, (end, end + HOUR_US), |_, _, _| true);
    assert!(plan.backfill().unwrap().is_over());
}

/// Asks until `end`; windows that hold a broken time fail. Returns what was answered, and how many failed.
fn run_with_broken(
    plan: &mut Plan,
    (begin, end): (i64, i64),
    broken: &[i64],
) -> (Vec<String>, usize) {
    let (mut now, mut answered, mut failures) = (begin, Vec::new(), 0);
    while now < end {
        let next = plan.next(now);
        let shown = show(plan, &next);
        match next {
            Next::Wait(until) => now = until,
            Next::Ask(ask) => {
                let window = ask.window.unwrap();
                if broken
                    .iter()
                    .any(|at| (window.from..window.to).contains(at))
                {
                    failures += 1;
                    plan.failed(&ask, &Failure::new(FailureKind::Fault, "NaN"), now, 1.0);
                } else {
                    answered.push(shown);
                    plan.taken(&ask, now);
                }
            }
        }
        assert!(answered.len() + failures < 10_000, "it never rests");
    }
    (answered, failures)
}

/// The gaps of the first target, in hours since midnight of the 28th.
fn gaps(plan: &Plan) -> Vec<(i64, i64)> {
    let hours = |at: i64| (at - MIDNIGHT) / HOUR_US;
    let (_, cursor) = plan.cursors().next().unwrap();
    let windows = cursor.gaps.iter().map(|gap| gap.window);
    windows
        .map(|window| (hours(window.from), hours(window.to)))
        .collect()
}

#[test]
fn a_period_that_breaks_its_answers_keeps_no_newer_ones_away() {
    let mut plan = fresh(vec![windowed("a", hourly())]);
    let begin = MIDNIGHT + 20 * MINUTE_US;
    let end = begin + 5 * HOUR_US;
    let (answered, failures) = run_with_broken(&mut plan, (begin, end), &[MIDNIGHT - DAY_US]);
    assert_eq!(
        answered,
        [
            // They say that it is the window.
            "a -6..0", "a -6..0", "a -5..1", "a -4..2", "a -3..3", "a -2..4",
        ]
    );
    // Four until it is passed over, and then one an hour.
    assert_eq!(failures, 8);
    assert_eq!(gaps(&plan), [(-72, -6)]);
    let (_, part, trouble) = plan.troubles().next().unwrap();
    assert!(matches!(part, FailingPart::Gaps([_])), "{part:?}");
    assert_eq!((trouble.since, trouble.message.as_str()), (begin, "NaN"));
    assert_eq!(plan.troubles().count(), 1);
    let (_, cursor) = plan.cursors().next().unwrap();
    assert_eq!(cursor.through, Some(MIDNIGHT + 4 * HOUR_US));
    // Once it is mended, nothing is left out.
    let (answered, _) = run_with_broken(&mut plan, (end, end + HOUR_US / 2), &[]);
    assert_eq!(answered, ["a gap -72..-6", "a -1..5"]);
    assert!(gaps(&plan).is_empty() && plan.troubles().next().is_none());
}

/// A target whose history goes back ten days, in windows of a day.
fn with_history() -> Target {
    let rule = WindowRule {
        since: Some(MIDNIGHT - 10 * DAY_US),
        chunk_max: DAY_US,
        ..hourly()
    };
    windowed("a", rule)
}

/// Three of these days are broken, two of them neighbours.
const BROKEN: [i64; 3] = [
    MIDNIGHT - 8 * DAY_US,
    MIDNIGHT - 7 * DAY_US,
    MIDNIGHT - DAY_US,
];

/// A plan that has passed over these, and when.
fn with_gaps() -> (Plan, i64) {
    let mut plan = fresh(vec![with_history()]);
    let begin = MIDNIGHT + 20 * MINUTE_US;
    let end = begin + HOUR_US / 2;
    let (answered, failures) = run_with_broken(&mut plan, (begin, end), &BROKEN);
    let newest = "a -6..0";
    assert_eq!(
        answered,
        [
            "a -240..-216",
            "a -216..-192",
            newest,
            newest,
            "a -144..-120",
            "a -120..-96",
            "a -96..-72",
            "a -72..-48",
            "a -48..-24",
            newest,
            // The rest of the last day.
            "a -6..0",
        ]
    );
    assert_eq!(failures, 12);
    assert_eq!(gaps(&plan), [(-192, -144), (-24, -6)]);
    (plan, end)
}

#[test]
fn what_lies_behind_broken_windows_comes_and_they_come_once_they_are_mended() {
    let (mut plan, now) = with_gaps();
    // Of what is asked for again days later no window reaches into a gap, and each gap has its turn.
    let three_days = now + 3 * DAY_US;
    let (answered, failures) = run_with_broken(&mut plan, (now, three_days), &BROKEN);
    assert!(
        answered.iter().all(|of| !of.contains("gap")),
        "{answered:?}"
    );
    assert!(answered.len() >= 3 * 24, "{}", answered.len());
    assert!((3 * 24 - 2..=3 * 24).contains(&failures), "{failures}");
    assert_eq!(gaps(&plan), [(-192, -144), (-24, -6)]);
    // One window is mended, and then all.
    let later = three_days + 4 * HOUR_US;
    let (answered, _) = run_with_broken(&mut plan, (three_days, later), &BROKEN[1..]);
    assert!(answered.iter().any(|of| of == "a gap -192..-168"));
    assert_eq!(gaps(&plan), [(-168, -144), (-24, -6)]);
    let (answered, _) = run_with_broken(&mut plan, (later, later + 2 * HOUR_US), &[]);
    let mut of_gaps: Vec<&String> = answered.iter().filter(|of| of.contains("gap")).collect();
    of_gaps.sort();
    assert_eq!(of_gaps, ["a gap -168..-144", "a gap -24..-6"]);
    assert!(gaps(&plan).is_empty() && plan.troubles().next().is_none());
}

#[test]
fn gaps_outlive_a_restart_and_another_rule_but_not_their_target() {
    let (plan, now) = with_gaps();
    let cursors = plan.cursors();
    let kept: Vec<Cursor> = cursors.map(|(_, cursor)| cursor.clone()).collect();
    let restarted =
        |target: Target, is_live: bool| Plan::new(vec![target], |_| kept[0].clone(), is_live);
    // They are shown at once, and asked for at once.
    let mut again = restarted(with_history(), true);
    let (_, part, trouble) = again.troubles().next().unwrap();
    assert!(matches!(part, FailingPart::Gaps([_, _])), "{part:?}");
    assert_eq!(trouble.since, kept[0].gaps[0].since);
    let next = again.next(now);
    assert_eq!(show(&again, &next), "a gap -192..-168");
    let (answered, _) = run_with_broken(&mut again, (now, now + MINUTE_US), &[]);
    assert_eq!(
        answered,
        ["a gap -192..-168", "a gap -168..-144", "a gap -24..-6"]
    );
    assert!(gaps(&again).is_empty());
    // Windows of another length and other limits.
    let of_days = WindowRule {
        align: 5 * DAY_US,
        chunk_max: 90 * DAY_US,
        ..hourly()
    };
    let days = restarted(windowed("a", of_days), true);
    let (_, cursor) = days.cursors().next().unwrap();
    for gap in &cursor.gaps {
        assert_eq!(gap.window.from % (5 * DAY_US), 0);
        assert_eq!(gap.window.to % (5 * DAY_US), 0);
    }
    let covers = |at: &i64| {
        let mut gaps = cursor.gaps.iter();
        gaps.any(|gap| (gap.window.from..gap.window.to).contains(at))
    };
    assert!(BROKEN.iter().all(covers));
    // Of a target that has no windows any more there is nothing to ask.
    assert!(gaps(&restarted(latest("a"), true)).is_empty());
    // A command without live polling leaves them, but what its backfill is answered is none any more.
    let mut past = restarted(with_history(), false);
    assert!(past.troubles().next().is_none());
    assert_eq!(past.next(now), Next::Wait(i64::MAX));
    let span = Window {
        from: MIDNIGHT - 8 * DAY_US,
        to: MIDNIGHT - 6 * DAY_US,
    };
    assert_eq!(past.begin_backfill(span, now), 2);
    drain(&mut past, now);
    assert_eq!(gaps(&past), [(-24, -6)]);
}

#[test]
fn a_window_that_is_refused_is_passed_over_and_a_target_that_is_refused_is_not() {
    let run = |hours: i64, is_refused: &dyn Fn(Window) -> bool| {
        let mut plan = fresh(vec![with_history()]);
        let begin = MIDNIGHT + 20 * MINUTE_US;
        let (mut now, mut refused) = (begin, 0);
        while now < begin + hours * HOUR_US {
            match plan.next(now) {
                Next::Wait(until) => now = until,
                Next::Ask(ask) if is_refused(ask.window.unwrap()) => {
                    refused += 1;
                    plan.failed(&ask, &Failure::new(FailureKind::Refused, "400"), now, 1.0);
                }
                Next::Ask(ask) => plan.taken(&ask, now),
            }
        }
        (plan, refused)
    };
    // Twice, and then once an hour.
    let (plan, refused) = run(3, &|window| window.from == BROKEN[0]);
    assert_eq!(refused, 3);
    assert_eq!(gaps(&plan), [(-192, -168)]);
    let (_, cursor) = plan.cursors().next().unwrap();
    assert_eq!(cursor.through, Some(MIDNIGHT + 2 * HOUR_US));
    // Once an hour, in turn for what is next and for what is newest.
    let (plan, refused) = run(24, &|_| true);
    assert_eq!(refused, 24);
    assert!(gaps(&plan).is_empty());
    assert_eq!(plan.troubles().count(), 1);
}

#[test]
fn an_outage_and_an_api_that_asks_for_a_pause_make_no_gap() {
    let mut plan = fresh(vec![with_history()]);
    let begin = MIDNIGHT + 20 * MINUTE_US;
    let outage = begin + 5 * HOUR_US;
    run_until(&mut plan, (begin, outage), |_, _, _| false);
    assert!(gaps(&plan).is_empty());
    let later = outage + 2 * HOUR_US;
    run_until(&mut plan, (outage, later), |_, _, _| true);
    assert!(gaps(&plan).is_empty() && plan.troubles().next().is_none());

    let mut plan = fresh(vec![with_history()]);
    let (mut now, mut busy) = (begin, 0);
    while now < begin + 3 * HOUR_US {
        match plan.next(now) {
            Next::Wait(until) => now = until,
            Next::Ask(ask) if ask.window.unwrap().from == BROKEN[0] => {
                busy += 1;
                plan.failed(&ask, &Failure::new(FailureKind::Busy, "429"), now, 1.0);
            }
            Next::Ask(ask) => plan.taken(&ask, now),
        }
    }
    assert!(busy > 4, "{busy}");
    assert!(gaps(&plan).is_empty());
}

#[test]
fn a_dead_api_is_asked_less_and_less_by_targets_with_windows_too() {
    // How many questions a day begins with, and how many each later one has at most.
    let check = |targets: i64, interval: i64, (first, later): (usize, usize)| {
        let target = |n: i64| Target {
            interval: Some(interval),
            ..windowed(&n.to_string(), hourly())
        };
        // They have answered before, so a pass is the last few hours.
        let cursor = Cursor {
            through: Some(MIDNIGHT),
            polled_at: Some(MIDNIGHT),
            reasked_at: Some(MIDNIGHT),
            ..Cursor::default()
        };
        let targets = (0..targets).map(target).collect();
        let mut plan = Plan::new(targets, |_| cursor.clone(), true);
        let begin = MIDNIGHT + HOUR_US + 20 * MINUTE_US;
        let asked = run_until(&mut plan, (begin, begin + 2 * DAY_US), |_, _, _| false);
        let of_first = asked.partition_point(|(at, ..)| *at < begin + DAY_US);
        let of_later = asked.len() - of_first;
        assert!(
            of_first <= first && of_later <= later,
            "{of_first} {of_later}"
        );
        assert!(of_later >= 20, "{of_later}");
    };
    check(1, HOUR_US, (40, 30));
    check(1, 10 * SECOND_US, (40, 30));
    check(7, HOUR_US, (40, 30));
    check(20, HOUR_US, (50, 30));
}

#[test]
fn a_target_whose_newest_periods_fail_is_asked_less_and_less_while_others_answer() {
    for interval in [HOUR_US, 10 * SECOND_US] {
        let bad = Target {
            interval: Some(interval),
            ..windowed("bad", hourly())
        };
        let cursor = Cursor {
            through: Some(MIDNIGHT),
            polled_at: Some(MIDNIGHT),
            reasked_at: Some(MIDNIGHT),
            ..Cursor::default()
        };
        let mut plan = Plan::new(vec![bad, latest("good")], |_| cursor.clone(), true);
        let begin = MIDNIGHT + HOUR_US + 20 * MINUTE_US;
        let asked = run_until(&mut plan, (begin, begin + DAY_US), |name, _, _| {
            name == "good"
        });
        let bad = asked.iter().filter(|(_, name, _)| name == "bad").count();
        assert!((24..80).contains(&bad), "{interval}: {bad}");
    }
}

#[test]
fn a_target_that_falters_brings_no_broken_one_along() {
    let mut plan = fresh(vec![latest("bad"), latest("falters")]);
    let (count, answers) = (Cell::new(0), Cell::new(true));
    let end = MIDNIGHT + DAY_US;
    let asked = run_until(&mut plan, (MIDNIGHT, end), |name, _, _| {
        if name == "falters" {
            count.set(count.get() + 1);
            answers.set(!answers.get());
        }
        name == "falters" && answers.get()
    });
    let bad = asked.iter().filter(|(_, name, _)| name == "bad").count();
    assert!((24..48).contains(&bad), "{bad}");
    assert!(count.get() > 500, "{}", count.get());
}

#[test]
fn windows_that_fail_in_turn_are_kept_as_few_entries() {
    let rule = WindowRule {
        chunk_max: DAY_US,
        ..hourly()
    };
    let names = ["a", "b", "c"];
    let targets = names.map(|name| windowed(name, rule));
    let mut plan = fresh(targets.into());
    let span = Window {
        from: MIDNIGHT - 400 * DAY_US,
        to: MIDNIGHT - 35 * DAY_US,
    };
    assert_eq!(plan.begin_backfill(span, MIDNIGHT), 3 * 365);
    let end = MIDNIGHT + 10 * DAY_US;
    let is_new = |window: Window| window.to > MIDNIGHT - 10 * DAY_US;
    let asked = run_until(&mut plan, (MIDNIGHT, end), |_, window, _| {
        window.is_some_and(is_new)
    });
    let past = asked.iter().filter(|(.., is_past)| *is_past).count();
    assert!(past > 3 * 50, "{past}");
    let left = plan.backfill_left();
    assert!(left.len() <= 2 * names.len(), "{left:?}");
    let days: i64 = left
        .iter()
        .map(|(_, window)| window.length() / DAY_US)
        .sum();
    assert_eq!(days, 3 * 365);
}

#[test]
fn who_answers_again_after_an_outage_brings_the_others_along() {
    let mut plan = fresh((0..10).map(|n| latest(&n.to_string())).collect());
    let outage = MIDNIGHT + 12 * HOUR_US;
    let end = outage + 2 * HOUR_US;
    let asked = run_until(&mut plan, (MIDNIGHT, end), |_, _, now| now >= outage);
    let after = asked.iter().filter(|(at, ..)| *at >= outage);
    let after: Vec<i64> = after.map(|(at, ..)| *at).collect();
    assert!(after[0] <= outage + HOUR_US, "{}", after[0] - outage);
    assert_eq!(after[9], after[0]);
    // As long as nobody answers it is one question in an hour, not one of each.
    assert!(asked.len() - after.len() < 36, "{}", asked.len());
}

#[test]
fn whoever_fails_while_others_answer_fails_alone() {
    let mut plan = fresh(vec![latest("bad"), latest("good")]);
    let fault = Failure::new(FailureKind::Fault, "500");
    let Next::Ask(bad) = plan.next(MIDNIGHT) else {
        panic!()
    };
    plan.failed(&bad, &fault, MIDNIGHT, 1.0);
    // Nobody knows yet.
    assert!(!plan.fails_alone(&bad));
    let later = MIDNIGHT + 5 * SECOND_US;
    let Next::Ask(good) = plan.next(later) else {
        panic!()
    };
    plan.taken(&good, later);
    plan.failed(&bad, &fault, later, 1.0);
    assert!(plan.fails_alone(&bad));
    plan.failed(&good, &fault, later, 1.0);
    assert!(!plan.fails_alone(&good));
    plan.taken(&bad, later);
    assert!(!plan.fails_alone(&bad));
}

#[test]
fn a_clock_that_was_set_back_delays_nothing_for_long() {
    let mut plan = fresh(vec![windowed("a", hourly()), latest("b")]);
    let ahead = MIDNIGHT + 365 * DAY_US + 20 * MINUTE_US;
    drain(&mut plan, ahead);
    let Next::Wait(until) = plan.next(MIDNIGHT) else {
        panic!()
    };
    assert!(until <= MIDNIGHT + DAY_US, "{}", until - MIDNIGHT);
    // A cursor that lies ahead asks for what is closed, and goes no further back.
    check(
        &mut plan,
        MIDNIGHT + DAY_US + 20 * MINUTE_US,
        &["a -48..24", "b", "wait until 24.42"],
    );
}

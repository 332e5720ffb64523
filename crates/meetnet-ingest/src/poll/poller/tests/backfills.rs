//! Backfills: older windows on request, between what is due, told while they go on.

use meetnet_model::ids::SourceId;
use meetnet_model::time::parse_rfc3339;
use tokio::sync::{oneshot, watch};

use super::scene::{SOURCE, Scene};
use crate::poll::backfill::{BackfillCommand, BackfillEnd, BackfillProgress, BackfillRequest};
use crate::poll::mock::Reply;
use crate::poll::poller::{Open, Poller, Turn};
use crate::poll::state::{BackfillCursor, StateFile};
use crate::poll::{BackfillError, OpenBackfill, Polling, Window};
use crate::status::FailingTarget;

const NOW: &str = "2026-11-28T12:20:00Z";

fn span(from: &str, to: &str) -> Window {
    Window {
        from: parse_rfc3339(from).unwrap(),
        to: parse_rfc3339(to).unwrap(),
    }
}

async fn begin(poller: &mut Poller, span: Window) -> watch::Receiver<BackfillProgress> {
    let (progress, receiver) = watch::channel(BackfillProgress::default());
    let command = BackfillCommand::Begin(BackfillRequest { span, progress });
    poller.take(command).await;
    receiver
}

/// The first and the second day of 2026.
fn two_days() -> [Window; 2] {
    [
        span("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        span("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
    ]
}

/// Begins a backfill of each of [`two_days`].
async fn begin_two_days(
    poller: &mut Poller,
) -> (
    watch::Receiver<BackfillProgress>,
    watch::Receiver<BackfillProgress>,
) {
    let [first, second] = two_days();
    let of_first = begin(poller, first).await;
    (of_first, begin(poller, second).await)
}

/// What is saved of backfills.
fn saved(scene: &Scene) -> Vec<BackfillCursor> {
    let file = StateFile::new(scene.folder(), &SourceId::new(SOURCE), "a-journal");
    file.load().unwrap().backfills
}

/// What is saved of the targets.
fn targets(scene: &Scene) -> serde_json::Value {
    let saved = std::fs::read(scene.cursor_file()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&saved).unwrap()["targets"].clone()
}

#[tokio::test]
async fn a_backfill_asks_for_the_span_in_windows_and_says_how_it_gets_on() {
    let scene = Scene::new(NOW, &[1, 2], true).await;
    scene.telraam.quiet(1, "2026-01-01T00:00:00Z", 48);
    scene.telraam.quiet(2, "2026-04-20T00:00:00Z", 24);
    let mut poller = scene.poller();
    scene.settle(&mut poller).await;
    let before = targets(&scene);

    let progress = begin(
        &mut poller,
        span("2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z"),
    )
    .await;
    assert_eq!(progress.borrow().windows_left, 4);
    assert_eq!(poller.turn().await, Turn::Asked);
    let one = progress.borrow().clone();
    assert_eq!((one.windows_done, one.windows_left, one.items), (1, 3, 48));
    assert_eq!(
        one.last.as_deref(),
        Some("1 2026-01-01T00:00:00Z/2026-04-01T00:00:00Z")
    );
    assert_eq!(one.ended, None);
    scene.settle(&mut poller).await;
    let all = progress.borrow().clone();
    assert_eq!((all.windows_done, all.windows_left, all.items), (4, 0, 72));
    assert_eq!(all.ended, Some(BackfillEnd::Done));
    assert_eq!(
        scene.journalled(),
        [
            "1 2026-01-01T00:00:00Z/2026-04-01T00:00:00Z",
            "2 2026-04-01T00:00:00Z/2026-05-01T00:00:00Z",
        ]
    );
    // Live cursors are another matter.
    assert_eq!(before, targets(&scene));
}

#[tokio::test]
async fn what_fails_is_tried_again_and_told() {
    let scene = Scene::new(NOW, &[1], true).await;
    scene.telraam.quiet(1, "2026-01-01T00:00:00Z", 48);
    let mut poller = scene.poller();
    scene.settle(&mut poller).await;
    let progress = begin(
        &mut poller,
        span("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"),
    )
    .await;
    scene.telraam.fail_next(Reply::new(500, "{}"));
    assert_eq!(poller.turn().await, Turn::Asked);
    assert_eq!(
        progress.borrow().trouble.as_deref(),
        Some("the API failed: 500")
    );
    let Turn::Wait(until) = poller.turn().await else {
        panic!("it asks again at once");
    };
    scene.clock.set(until);
    scene.settle(&mut poller).await;
    let done = progress.borrow().clone();
    assert_eq!(
        (done.items, done.trouble, done.ended),
        (48, None, Some(BackfillEnd::Done))
    );
}

#[tokio::test]
async fn the_last_request_of_the_day_is_told() {
    let mut scene = Scene::new(NOW, &[1], true).await;
    scene.options.limits.requests_per_day_max = Some(1);
    let mut poller = scene.poller();
    scene.settle(&mut poller).await;
    let progress = begin(
        &mut poller,
        span("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"),
    )
    .await;
    assert!(matches!(poller.turn().await, Turn::Wait(_)));
    assert_eq!(
        progress.borrow().trouble.as_deref(),
        Some("the host may not be asked again before 2026-11-29T00:00:00Z")
    );
    let midnight = parse_rfc3339("2026-11-29T00:00:00Z").unwrap();
    assert_eq!(progress.borrow().expected_end, Some(midnight));
}

#[tokio::test]
async fn a_span_without_closed_periods_ends_at_once() {
    let scene = Scene::new(NOW, &[1], true).await;
    let mut poller = scene.poller();
    let progress = begin(
        &mut poller,
        span("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"),
    )
    .await;
    assert_eq!(progress.borrow().ended, Some(BackfillEnd::Done));
    assert_eq!(progress.borrow().windows_done, 0);
}

#[tokio::test]
async fn only_polled_sources_can_be_asked() {
    let scene = Scene::new(NOW, &[1], true).await;
    let anything = span("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let nobody = SourceId::new("nobody");
    assert_eq!(
        scene.backfills.request(&nobody, anything).unwrap_err(),
        BackfillError::NotPolled(nobody)
    );
    let id = SourceId::new(SOURCE);
    let mut commands = scene.backfills.register(&id, Vec::new());
    let day = |day: i64| Window {
        from: day * 86_400_000_000,
        to: (day + 1) * 86_400_000_000,
    };
    // One is under way, a few wait.
    let mut waiting = Vec::new();
    let refused = loop {
        match scene
            .backfills
            .request(&id, day(i64::try_from(waiting.len()).unwrap()))
        {
            Ok(progress) => waiting.push(progress),
            Err(error) => break error,
        }
        assert!(waiting.len() < 100);
    };
    assert_eq!(waiting.len(), 5);
    assert_eq!(refused, BackfillError::TooMany(id.clone()));
    // Who asks for the same is shown the same.
    let same = scene.backfills.request(&id, day(0)).unwrap();
    assert!(same.same_channel(&waiting[0]));
    assert_eq!(scene.backfills.open().len(), 5);
    let Some(BackfillCommand::Begin(first)) = commands.recv().await else {
        panic!("nobody was asked");
    };
    assert_eq!(first.span, day(0));
    first
        .progress
        .send_modify(|progress| progress.ended = Some(BackfillEnd::Done));
    let spans = |open: Vec<OpenBackfill>| -> Vec<Window> {
        open.into_iter().map(|open| open.span).collect()
    };
    assert_eq!(
        spans(scene.backfills.open()),
        [day(1), day(2), day(3), day(4)]
    );
    assert!(scene.backfills.request(&id, day(5)).is_ok());
    // Nobody does them any more.
    drop(commands);
    assert!(scene.backfills.open().is_empty());
    assert_eq!(
        scene.backfills.request(&id, day(1)).unwrap_err(),
        BackfillError::NotPolled(id)
    );
}

#[tokio::test]
async fn a_backfill_goes_on_after_a_restart_where_it_stood() {
    let mut scene = Scene::new(NOW, &[1, 2], true).await;
    scene.telraam.quiet(1, "2026-01-01T00:00:00Z", 24 * 120);
    scene.options.limits.requests_per_day_max = Some(4);
    let mut poller = scene.poller();
    scene.settle(&mut poller).await;
    assert_eq!(scene.server.seen().len(), 2);
    let asked_for = span("2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z");
    begin(&mut poller, asked_for).await;
    // What waits is kept, too.
    let later = span("2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z");
    let waits = begin(&mut poller, later).await;
    assert_eq!(poller.turn().await, Turn::Asked);
    assert!(!waits.borrow().begun);
    assert_eq!(saved(&scene).len(), 2);
    drop(poller);

    // No end was told, as after a crash. The process does not know what it asked, and has learned it from the file.
    scene.forget_hosts();
    let mut poller = scene.poller();
    let watched: Vec<_> = poller.backfills.iter().map(Open::watched).collect();
    assert_eq!((watched[0].0, watched[1].0), (asked_for, later));
    let progress = watched[0].1.clone();
    poller.resume_backfills().await;
    let stood = progress.borrow().clone();
    assert_eq!(
        (
            stood.begun,
            stood.windows_done,
            stood.windows_left,
            stood.items
        ),
        (true, 1, 3, 90 * 24)
    );
    // The day has one request left, for a window that nobody has asked for.
    let until = scene.settle(&mut poller).await;
    let asked: Vec<String> = scene
        .server
        .seen()
        .into_iter()
        .map(|seen| seen.body)
        .collect();
    assert_eq!(asked.len(), 4);
    assert!(asked[3].contains("2026-04-01 00:00:00Z"), "{}", asked[3]);
    assert_eq!(progress.borrow().items, 120 * 24);
    assert_eq!(until, parse_rfc3339("2026-11-29T00:00:00Z").unwrap());
    scene.clock.set(until);
    while !poller.backfills.is_empty() {
        let until = scene.settle(&mut poller).await;
        scene.clock.set(until);
    }
    let ends: Vec<_> = watched
        .iter()
        .map(|(_, progress)| progress.borrow().ended.clone())
        .collect();
    assert_eq!(ends, [Some(BackfillEnd::Done), Some(BackfillEnd::Done)]);
    // Every window was asked for once, and what is done is forgotten.
    let past = scene.server.seen().into_iter().map(|seen| seen.body);
    let mut past: Vec<String> = past
        .filter(|body| body.contains("\"2025-01-") || body.contains("\"2026-0"))
        .collect();
    let all = past.len();
    past.sort();
    past.dedup();
    assert_eq!((all, past.len()), (6, 6), "{past:?}");
    assert!(saved(&scene).is_empty());
    assert!(scene.poller().backfills.is_empty());
}

#[tokio::test]
async fn a_cancelled_backfill_is_forgotten() {
    let scene = Scene::new(NOW, &[1], true).await;
    let mut poller = scene.poller();
    scene.settle(&mut poller).await;
    let first = begin(
        &mut poller,
        span("2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z"),
    )
    .await;
    let second = begin(
        &mut poller,
        span("2025-01-01T00:00:00Z", "2025-05-01T00:00:00Z"),
    )
    .await;
    assert_eq!(poller.turn().await, Turn::Asked);
    let asked = scene.server.seen().len();
    let (answer, count) = oneshot::channel();
    poller.take(BackfillCommand::CancelAll(answer)).await;
    assert_eq!(count.await, Ok(2));
    for progress in [first, second] {
        assert_eq!(progress.borrow().ended, Some(BackfillEnd::Cancelled));
    }
    assert!(saved(&scene).is_empty());
    // Neither now nor after a restart.
    scene.settle(&mut poller).await;
    let mut restarted = scene.poller();
    restarted.resume_backfills().await;
    scene.settle(&mut restarted).await;
    assert_eq!(scene.server.seen().len(), asked);
}

#[tokio::test]
async fn a_source_that_stops_says_that_its_backfill_goes_on() {
    let scene = Scene::new(NOW, &[1], true).await;
    let mut poller = scene.poller();
    let open_ended = Window {
        to: i64::MAX,
        ..span("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    };
    let progress = begin(&mut poller, open_ended).await;
    poller.stopped();
    assert_eq!(progress.borrow().ended, Some(BackfillEnd::Interrupted));
    let kept = saved(&scene);
    assert_eq!(kept[0].span, open_ended);
    // Up to now is up to when it was asked for.
    let left = kept[0].left.as_ref().unwrap();
    assert_eq!(
        left[0].window,
        span("2026-01-01T00:00:00Z", "2026-11-28T12:00:00Z")
    );
}

/// The targets that the status says to fail: name, whether of the past, message.
fn failing(scene: &Scene) -> Vec<(String, bool, String)> {
    let show = |failing: FailingTarget| (failing.target, failing.of_past, failing.message);
    scene.status().failing.into_iter().map(show).collect()
}

#[tokio::test]
async fn a_segment_that_stays_broken_holds_up_nobody_and_keeps_its_windows() {
    for (reply, expect) in [
        (Reply::new(500, "{}"), "the API failed: 500"),
        (
            Reply::new(200, r#"{"report": [{"car": 1"#),
            "the answer is broken: no Telraam report",
        ),
        (
            Reply::new(200, "<html><h1>Bad gateway</h1></html>"),
            "the answer is broken: no Telraam report",
        ),
        (
            Reply::new(403, r#"{"message":"Forbidden"}"#),
            "access is forbidden",
        ),
        (Reply::new(503, ""), "the API is not available: 503"),
    ] {
        let scene = Scene::new(NOW, &[1, 2, 3], true).await;
        for segment in 1..=3 {
            scene.telraam.quiet(segment, "2026-01-01T00:00:00Z", 48);
        }
        scene.telraam.breaks(1, reply);
        let mut poller = scene.poller();
        let (of_first, of_second) = begin_two_days(&mut poller).await;
        scene.run_until(&mut poller, "2026-11-28T13:20:00Z").await;

        // The others have all of both backfills, though the first is not at its end.
        let mut taken = scene.journalled();
        taken.sort();
        let days = |segment: i64| {
            [
                format!("{segment} 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"),
                format!("{segment} 2026-01-02T00:00:00Z/2026-01-03T00:00:00Z"),
            ]
        };
        assert_eq!(taken, [days(2), days(3)].concat(), "{expect}");
        for progress in [&of_first, &of_second] {
            let stands = progress.borrow().clone();
            assert_eq!((stands.windows_done, stands.windows_left), (2, 1));
            assert_eq!(stands.ended, None, "{expect}");
            let trouble = stands.trouble.unwrap();
            assert!(trouble.contains(expect), "{expect}: {trouble}");
            assert_eq!(stands.expected_end, None);
        }
        // It is shown, and the API is not said to be down.
        let status = scene.status();
        assert_eq!((status.connected, status.targets_failing), (true, 1));
        let shown = failing(&scene);
        assert_eq!(shown.len(), 2);
        for ((target, of_past, message), expect_past) in shown.iter().zip([false, true]) {
            assert_eq!((target.as_str(), *of_past), ("1", expect_past));
            assert!(message.starts_with(expect), "{expect}: {message}");
        }
        let tried = scene.server.seen().len();

        // Its windows outlive a restart.
        drop(poller);
        let mut poller = scene.poller();
        assert_eq!(scene.status().targets_failing, 0);
        poller.resume_backfills().await;
        let mut kept: Vec<Window> = Vec::new();
        for cursor in saved(&scene) {
            for left in cursor.left.unwrap() {
                assert_eq!(left.target, "1");
                kept.push(left.window);
            }
        }
        kept.sort_by_key(|window| window.from);
        assert_eq!(kept, two_days());
        scene.run_until(&mut poller, "2026-11-28T18:20:00Z").await;
        // Five hours: less than a question in ten minutes, with those of the others.
        let tried = scene.server.seen().len() - tried;
        assert!(tried < 80, "{expect}: {tried}");
        scene.telraam.mends();
        scene.run_until(&mut poller, "2026-11-28T20:20:00Z").await;
        assert!(saved(&scene).is_empty(), "{expect}");
        assert!(failing(&scene).is_empty(), "{expect}");
        let taken = scene.journalled();
        for window in days(1) {
            assert_eq!(taken.iter().filter(|taken| **taken == window).count(), 1);
        }
    }
}

#[tokio::test]
async fn a_window_that_stays_broken_holds_up_no_other_backfill_of_its_segment() {
    let scene = Scene::new(NOW, &[1], true).await;
    scene.telraam.quiet(1, "2026-01-01T00:00:00Z", 48);
    let failure = Reply::new(500, "{}");
    scene
        .telraam
        .breaks_from(1, "2026-01-01T00:00:00Z", failure);
    let mut poller = scene.poller();
    let (of_first, of_second) = begin_two_days(&mut poller).await;
    scene.run_until(&mut poller, "2026-11-28T13:20:00Z").await;
    assert_eq!(of_second.borrow().ended, Some(BackfillEnd::Done));
    assert_eq!(of_first.borrow().ended, None);
    scene.telraam.mends();
    scene.run_until(&mut poller, "2026-11-28T15:20:00Z").await;
    assert_eq!(of_first.borrow().ended, Some(BackfillEnd::Done));
    assert!(saved(&scene).is_empty());
}

#[tokio::test]
async fn a_command_without_a_daemon_gives_up_and_keeps_what_is_left() {
    let scene = Scene::new(NOW, &[1, 2], true).await;
    for segment in 1..=2 {
        scene.telraam.quiet(segment, "2026-01-01T00:00:00Z", 24);
    }
    scene.telraam.breaks(1, Reply::new(500, "{}"));
    let clock = scene.clock.function();
    let mut poller = Poller::new(scene.source(), Polling::BackfillsOnly, clock).unwrap();
    let asked_for = span("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let progress = begin(&mut poller, asked_for).await;
    while progress.borrow().ended.is_none() {
        if let Turn::Wait(until) = poller.turn().await {
            scene.clock.set(until);
        }
    }
    let ended = progress.borrow().clone();
    assert_eq!(
        ended.ended,
        Some(BackfillEnd::GivenUp("the API failed: 500".to_owned()))
    );
    assert_eq!((ended.windows_done, ended.items), (1, 24));
    let kept = saved(&scene);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].left.as_ref().unwrap()[0].target, "1");
    assert!(failing(&scene).is_empty(), "nobody asks any more");

    // The same again goes on, and asks for nothing that is there.
    scene.telraam.mends();
    let asked = scene.server.seen().len();
    let again = begin(&mut poller, asked_for).await;
    while again.borrow().ended.is_none() {
        if let Turn::Wait(until) = poller.turn().await {
            scene.clock.set(until);
        }
    }
    let done = again.borrow().clone();
    assert_eq!(done.ended, Some(BackfillEnd::Done));
    assert_eq!((done.windows_done, done.items), (2, 48));
    assert_eq!(scene.server.seen().len(), asked + 1);
    assert!(saved(&scene).is_empty());
}

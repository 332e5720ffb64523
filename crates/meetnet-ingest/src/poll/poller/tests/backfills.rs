//! Backfills: older windows on request, between what is due, told while they go on.

use meetnet_model::ids::SourceId;
use meetnet_model::time::parse_rfc3339;
use tokio::sync::watch;

use super::scene::{SOURCE, Scene};
use crate::poll::backfill::{BackfillProgress, BackfillRequest};
use crate::poll::mock::Reply;
use crate::poll::poller::{Poller, Turn};
use crate::poll::{BackfillError, Window};

const NOW: &str = "2026-11-28T12:20:00Z";

fn span(from: &str, to: &str) -> Window {
    Window {
        from: parse_rfc3339(from).unwrap(),
        to: parse_rfc3339(to).unwrap(),
    }
}

fn begin(poller: &mut Poller, span: Window) -> watch::Receiver<BackfillProgress> {
    let (progress, receiver) = watch::channel(BackfillProgress::default());
    poller.begin_backfill(BackfillRequest { span, progress });
    receiver
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
    );
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
    assert_eq!(all.ended, Some(Ok(())));
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
    );
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
        (48, None, Some(Ok(())))
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
    );
    assert!(matches!(poller.turn().await, Turn::Wait(_)));
    assert_eq!(
        progress.borrow().trouble.as_deref(),
        Some("the host may not be asked again before 2026-11-29T00:00:00Z")
    );
}

#[tokio::test]
async fn a_span_without_closed_periods_ends_at_once() {
    let scene = Scene::new(NOW, &[1], true).await;
    let mut poller = scene.poller();
    let progress = begin(
        &mut poller,
        span("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"),
    );
    assert_eq!(progress.borrow().ended, Some(Ok(())));
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
    // Whoever runs it takes them one by one; a few wait.
    let id = SourceId::new(SOURCE);
    let mut requests = scene.backfills.register(&id);
    let mut waiting = Vec::new();
    let refused = loop {
        match scene.backfills.request(&id, anything) {
            Ok(progress) => waiting.push(progress),
            Err(error) => break error,
        }
        assert!(waiting.len() < 100);
    };
    assert_eq!(refused, BackfillError::TooMany(id.clone()));
    assert_eq!(requests.recv().await.unwrap().span, anything);
    assert!(scene.backfills.request(&id, anything).is_ok());
}

//! Cursors: they move after the sync, outlive a restart, and cost nothing but requests when they are lost.

use std::fs;
use std::time::Duration;

use super::scene::{SOURCE, Scene};
use crate::poll::mock::{MockServer, Reply};
use crate::poll::poller::{Poller, Turn};
use crate::poll::{Api, PollOptions, Polling, SensorCommunityOptions};

const NOW: &str = "2026-11-28T12:20:00Z";

#[tokio::test]
async fn a_cursor_moves_after_the_sync_and_not_before() {
    let scene = Scene::new(NOW, &[1], false).await;
    scene.telraam.quiet(1, "2026-11-28T00:00:00Z", 24);
    let mut poller = scene.poller();
    let turn = tokio::spawn(async move { poller.turn().await });
    while scene.sink.taken().is_empty() {
        tokio::task::yield_now().await;
    }
    // In the journal and not on disk: however long that takes, nothing may say that it is there.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!turn.is_finished());
    assert!(!scene.cursor_file().exists());
    assert_eq!(scene.status().acked_total, 0);

    scene.sink.sync();
    assert_eq!(turn.await.unwrap(), Turn::Asked);
    let saved = fs::read_to_string(scene.cursor_file()).unwrap();
    assert!(
        saved.contains("\"through\": \"2026-11-28T12:00:00Z\""),
        "{saved}"
    );
    assert_eq!(scene.status().acked_total, 1);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_cursor_stands_and_a_lost_one_asks_again() {
    let scene = Scene::new(NOW, &[1], true).await;
    scene.telraam.quiet(1, "2026-11-25T00:00:00Z", 24 * 5);
    scene.settle(&mut scene.poller()).await;
    let first = "1 2026-11-25T12:00:00Z/2026-11-28T12:00:00Z";
    assert_eq!(scene.journalled(), [first]);

    // At once after a restart nothing is due; an hour later only the last hours are asked for.
    scene.settle(&mut scene.poller()).await;
    assert_eq!(scene.journalled(), [first]);
    scene.clock.advance(3_600_000_000);
    scene.settle(&mut scene.poller()).await;
    let second = "1 2026-11-28T07:00:00Z/2026-11-28T13:00:00Z";
    assert_eq!(scene.journalled(), [first, second]);

    fs::remove_file(scene.cursor_file()).unwrap();
    scene.settle(&mut scene.poller()).await;
    let again = "1 2026-11-25T13:00:00Z/2026-11-28T13:00:00Z";
    assert_eq!(scene.journalled(), [first, second, again]);
}

#[tokio::test]
async fn what_was_passed_over_is_saved_and_asked_for_after_a_restart() {
    let scene = Scene::new(NOW, &[1, 2], true).await;
    for segment in 1..=2 {
        scene.telraam.quiet(segment, "2026-11-25T00:00:00Z", 24 * 5);
    }
    let broken = "2026-11-25T12:00:00Z";
    scene.telraam.breaks_from(1, broken, Reply::new(500, "{}"));
    let mut poller = scene.poller();
    scene.run_until(&mut poller, "2026-11-28T12:50:00Z").await;
    let of_first = || -> Vec<String> {
        let all = scene.journalled().into_iter();
        all.filter(|window| window.starts_with("1 ")).collect()
    };
    let newest = "1 2026-11-28T06:00:00Z/2026-11-28T12:00:00Z";
    assert_eq!(of_first(), [newest, newest]);
    let gap = "2026-11-25T12:00:00Z/2026-11-28T06:00:00Z";
    let saved = || fs::read_to_string(scene.cursor_file()).unwrap();
    assert!(
        saved().contains(&format!("\"window\": \"{gap}\"")),
        "{}",
        saved()
    );
    // It is shown, and after a restart before anything is asked.
    let shown = || {
        let status = scene.status();
        let gaps = status.failing.into_iter().map(|failing| failing.gaps);
        (status.targets_failing, gaps.collect::<Vec<_>>())
    };
    assert_eq!(shown(), (1, vec![Some(gap.to_owned())]));
    let requests = scene.server.seen().len();
    let mut poller = scene.poller();
    assert_eq!(shown(), (1, vec![Some(gap.to_owned())]));
    scene.settle(&mut poller).await;
    assert_eq!(scene.server.seen().len(), requests + 1);
    // That it fails still says nothing of the API.
    assert!(scene.status().connected);

    scene.telraam.mends();
    scene.run_until(&mut poller, "2026-11-28T14:00:00Z").await;
    assert!(of_first().contains(&format!("1 {gap}")), "{:?}", of_first());
    assert!(!saved().contains("gaps"), "{}", saved());
    assert_eq!(shown(), (0, Vec::new()));
    // Nothing is left out, and nothing of it is asked for again.
    let count = of_first().iter().filter(|of| of.contains(broken)).count();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn an_answer_without_rows_moves_the_cursor_and_journals_nothing() {
    let scene = Scene::new(NOW, &[1], true).await;
    scene.settle(&mut scene.poller()).await;
    assert!(scene.journalled().is_empty());
    assert_eq!(scene.server.seen().len(), 1);
    scene.settle(&mut scene.poller()).await;
    assert_eq!(scene.server.seen().len(), 1);
}

#[tokio::test]
async fn the_requests_of_a_day_are_counted_over_a_restart() {
    let mut scene = Scene::new(NOW, &[1, 2, 3, 4, 5], true).await;
    scene.options.limits.requests_per_day_max = Some(3);
    let until = scene.settle(&mut scene.poller()).await;
    assert_eq!(scene.server.seen().len(), 3);
    let midnight = meetnet_model::time::parse_rfc3339("2026-11-29T00:00:00Z").unwrap();
    assert_eq!(until, midnight);
    scene.forget_hosts();
    scene.settle(&mut scene.poller()).await;
    assert_eq!(scene.server.seen().len(), 3);
    scene.clock.set(midnight);
    scene.settle(&mut scene.poller()).await;
    assert_eq!(scene.server.seen().len(), 6);
}

#[tokio::test]
async fn requests_keep_the_pause_that_the_host_wants() {
    let mut scene = Scene::new(NOW, &[1, 2], true).await;
    scene.options.limits.pause = Duration::from_secs(1);
    let mut poller = scene.poller();
    assert_eq!(poller.turn().await, Turn::Asked);
    assert_eq!(
        poller.turn().await,
        Turn::Wait(scene.clock.now() + 1_000_000)
    );
    scene.clock.advance(1_000_000);
    assert_eq!(poller.turn().await, Turn::Asked);
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let server = MockServer::start(|seen| {
        let fresh = Reply::new(200, "[{}]")
            .with("etag", "\"v1\"")
            .with("last-modified", "Sat, 28 Nov 2026 12:00:00 GMT");
        match seen.header("if-none-match") {
            Some("\"v1\"") => Reply::new(304, ""),
            _ => fresh,
        }
    })
    .await;
    let mut scene = Scene::new(NOW, &[1], true).await;
    let api = Api::SensorCommunity(SensorCommunityOptions {
        country: Some("BE".to_owned()),
        ..SensorCommunityOptions::default()
    });
    scene.options = PollOptions::new(api, &server.url).unwrap();
    scene.options.contact = Some("data@leuven.example".to_owned());
    let poller = || {
        let mut source = scene.source();
        source.api_key = None;
        Poller::new(source, Polling::Live, scene.clock.function()).unwrap()
    };
    scene.settle(&mut poller()).await;
    scene.clock.advance(300_000_000);
    // The validators outlive a restart, too.
    scene.settle(&mut poller()).await;
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].path, "/airrohr/v1/filter/country=BE");
    assert_eq!(seen[0].header("if-none-match"), None);
    assert_eq!(seen[1].header("if-none-match"), Some("\"v1\""));
    assert_eq!(
        seen[1].header("if-modified-since"),
        Some("Sat, 28 Nov 2026 12:00:00 GMT")
    );
    let agent = seen[1].header("user-agent").unwrap();
    assert!(agent.contains("data@leuven.example"), "{agent}");
    assert_eq!(scene.sink.taken().len(), 1);
    assert_eq!(scene.sink.taken()[0].source, SOURCE);
    assert_eq!(
        (
            scene.status().polls_total,
            scene.status().poll_failures_total
        ),
        (2, 0)
    );
}

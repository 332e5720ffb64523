//! `ws://`: a broker's websocket listener is subscribed to as its plain one is, in both protocol versions. The same over
//! TLS is in `tls.rs`.

use meetnet_testkit::free_port;
use meetnet_testkit::mosquitto::TUNED;

use crate::daemon::Sync;
use crate::scene::{PROTOCOLS, Scene, numbers};

/// Starts a broker that speaks websockets beside its plain listener, which stations use; the source speaks to the one with
/// websockets.
fn scene() -> Option<Scene> {
    let port = free_port().unwrap();
    let mut scene = Scene::new(&format!(
        "{TUNED}listener {port} 127.0.0.1\nprotocol websockets\n"
    ))?;
    let url = format!("ws://127.0.0.1:{port}/mqtt?from=a-test");
    scene.options.url = url.parse().unwrap();
    Some(scene)
}

#[test]
fn everything_once_in_order_and_nothing_again_after_a_stop() {
    for (protocol, name) in PROTOCOLS {
        let Some(mut scene) = scene() else { return };
        scene.options.protocol = protocol;
        let mut daemon = scene.subscribe(Sync::Always);
        scene.publish(0..2_000);
        let status = daemon.wait("all acknowledged", |status| status.acked_total == 2_000);
        assert_eq!((status.protocol, status.redelivered_total), (Some(name), 0));
        assert_eq!(daemon.payloads(), numbers(0..2_000));
        daemon.stop();

        // The broker got every acknowledgement, and keeps what comes meanwhile.
        scene.publish(2_000..2_100);
        let daemon = scene.restart(daemon, Sync::Always);
        let status = daemon.wait("the rest", |status| status.acked_total == 100);
        assert!(status.session_present, "{name}");
        assert_eq!(daemon.payloads(), numbers(0..2_100));
    }
}

#[test]
fn acknowledged_after_the_sync_and_not_doubled_by_a_kill() {
    for (protocol, _) in PROTOCOLS {
        let Some(mut scene) = scene() else { return };
        scene.options.protocol = protocol;
        let mut daemon = scene.subscribe(Sync::ByHand);
        scene.publish(0..300);
        let status = daemon.wait("appended", |status| status.messages_total == 300);
        assert_eq!(status.acked_total, 0);
        daemon.kill();
        daemon.journal.write_group().unwrap();
        let daemon = scene.restart(daemon, Sync::Always);
        let status = daemon.wait("acknowledged", |status| status.acked_total == 300);
        assert_eq!(
            (status.duplicates_dropped_total, status.redelivered_total),
            (300, 0)
        );
        assert_eq!(daemon.payloads(), numbers(0..300));
    }
}

#[test]
fn a_listener_without_websockets_is_named() {
    let Some(mut scene) = Scene::new(TUNED) else {
        return;
    };
    let url = format!("ws://127.0.0.1:{}/mqtt?key=hidden", scene.broker.port);
    scene.options.url = url.parse().unwrap();
    let mut daemon = scene.start(Sync::Always);
    let status = daemon.wait("refused", |status| status.last_error.is_some());
    let message = status.last_error.unwrap().message;
    assert!(message.contains("cannot connect"), "{message}");
    assert!(!message.contains("hidden"), "{message}");
    assert!(!status.connected && !status.subscribed);
    daemon.stop();
}

//! What a test of the MQTT source begins with: a broker of its own, the options of a source that subscribes to it, and
//! the disk on which the journals of its daemon's lives stand.

use std::ops::Range;
use std::time::Duration;

use meetnet_ingest::mqtt::{MqttOptions, ProtocolChoice};
use meetnet_lake::journal::JournalOptions;
use meetnet_testkit::mosquitto::{Mosquitto, TUNED};

use crate::daemon::{Daemon, Disk, Sync};
use crate::station::Station;

/// Both protocol versions, and what the status calls them.
pub(crate) const PROTOCOLS: [(ProtocolChoice, &str); 2] = [
    (ProtocolChoice::Five, "mqtt-5"),
    (ProtocolChoice::Three, "mqtt-3.1.1"),
];

pub(crate) struct Scene {
    pub(crate) broker: Mosquitto,
    pub(crate) options: MqttOptions,
    disk: Disk,
}

impl Scene {
    /// Starts a broker with these settings; none where Mosquitto is not installed.
    pub(crate) fn new(settings: &str) -> Option<Self> {
        let broker = Mosquitto::start(settings).unwrap()?;
        Some(Self {
            options: options(broker.port),
            broker,
            disk: Disk::new(),
        })
    }

    /// Starts a daemon with an empty journal.
    pub(crate) fn start(&mut self, sync: Sync) -> Daemon {
        Daemon::start(&mut self.disk, self.options.clone(), sync, |_| {})
    }

    /// Does the same and waits until it is subscribed.
    pub(crate) fn subscribe(&mut self, sync: Sync) -> Daemon {
        self.subscribe_with(sync, |_| {})
    }

    /// Does the same with other options of the journal.
    pub(crate) fn subscribe_with(
        &mut self,
        sync: Sync,
        change: impl FnOnce(&mut JournalOptions),
    ) -> Daemon {
        let daemon = Daemon::start(&mut self.disk, self.options.clone(), sync, change);
        daemon.wait_subscribed();
        daemon
    }

    /// The daemon's next life, on what is on disk now.
    pub(crate) fn restart(&mut self, daemon: Daemon, sync: Sync) -> Daemon {
        daemon.restart(&mut self.disk, self.options.clone(), sync)
    }

    /// Publishes numbers and waits until the broker has them.
    pub(crate) fn publish(&self, range: Range<u32>) {
        let of_number = |number: u32| (format!("city/{}", number % 7), number.to_string());
        self.publish_all(range.map(of_number));
    }

    /// Publishes topics with their payloads and waits until the broker has them.
    pub(crate) fn publish_all<P: Into<Vec<u8>>>(
        &self,
        messages: impl IntoIterator<Item = (String, P)>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut station = Station::new(self.broker.port, "a-sensor");
            for (topic, payload) in messages {
                station.publish(&topic, payload).await;
            }
            station.flush().await;
        });
    }
}

/// Returns the options of a source of this broker, impatient enough for a test.
pub(crate) fn options(port: u16) -> MqttOptions {
    let url = format!("mqtt://127.0.0.1:{port}").parse().unwrap();
    let mut options = MqttOptions::new(
        url,
        "meetnet-test-station",
        vec!["city/{sensor}".to_owned()],
    );
    options.backoff_max = Duration::from_millis(200);
    options.keep_alive = Duration::from_secs(1);
    options
}

/// What must hold in both protocol versions: runs `test` with a tuned broker and the name of each.
pub(crate) fn in_both(test: impl Fn(Scene, &str)) {
    for (choice, name) in PROTOCOLS {
        println!("-- {name}");
        let Some(mut scene) = Scene::new(TUNED) else {
            return;
        };
        scene.options.protocol = choice;
        test(scene, name);
    }
}

/// The payloads of [`Scene::publish`].
pub(crate) fn numbers(range: Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

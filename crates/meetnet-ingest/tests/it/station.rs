//! A measuring station: a publisher with QoS 1 that knows when the broker has taken its messages.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use tokio::task::JoinHandle;

pub(crate) struct Station {
    client: AsyncClient,
    taken: tokio::sync::watch::Receiver<usize>,
    sent: usize,
    task: JoinHandle<()>,
}

impl Station {
    pub(crate) fn new(port: u16, name: &str) -> Self {
        let mut options = MqttOptions::new(name, ("127.0.0.1".to_owned(), port));
        options
            .set_keep_alive(5)
            .set_request_channel_capacity(100_000)
            .set_max_packet_size(Some(64 << 20));
        let (client, mut events) = AsyncClient::builder(options).capacity(100_000).build();
        let (count, taken) = tokio::sync::watch::channel(0);
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::PubAck(_))) => {
                        count.send_modify(|taken| *taken += 1)
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Self {
            client,
            taken,
            sent: 0,
            task,
        }
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.sent += 1;
        let options = PublishOptions::new(QoS::AtLeastOnce);
        self.client
            .publish(topic.to_owned(), payload.into(), options)
            .await
            .unwrap();
    }

    pub(crate) async fn publish_retained(&mut self, topic: &str, payload: &str) {
        self.sent += 1;
        let options = PublishOptions::new(QoS::AtLeastOnce).retained();
        self.client
            .publish(topic.to_owned(), payload.to_owned(), options)
            .await
            .unwrap();
    }

    /// Waits until the broker has taken everything.
    pub(crate) async fn flush(&mut self) {
        let sent = self.sent;
        let all = self.taken.wait_for(|taken| *taken >= sent);
        tokio::time::timeout(Duration::from_secs(60), all)
            .await
            .expect("the broker takes it")
            .unwrap();
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.task.abort();
    }
}

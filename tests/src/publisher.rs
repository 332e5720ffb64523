//! Publishes many messages at QoS 1 and waits until the broker has acknowledged each.

use std::time::Duration;

use anyhow::{Result, bail};
use rumqttc::mqttbytes::v5::Packet;
use rumqttc::{AsyncClient, Event, MqttOptions, PublishOptions};

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Message {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
}

/// Publishes `messages` in order, `pause` after each hundredth, and returns when the broker has them all.
///
/// # Errors
/// Where the broker goes away.
pub async fn publish(
    port: u16,
    client_id: &str,
    messages: Vec<Message>,
    pause: Duration,
) -> Result<()> {
    let mut options = MqttOptions::new(client_id, ("127.0.0.1", port));
    options.set_keep_alive(30);
    options.set_max_packet_size(Some(16 << 20));
    let (client, mut events) = AsyncClient::builder(options).capacity(1_000).build();
    let total = messages.len();
    let sender = tokio::spawn(async move {
        for (index, message) in messages.into_iter().enumerate() {
            client
                .publish(
                    message.topic,
                    message.payload,
                    PublishOptions::at_least_once(),
                )
                .await?;
            if index % 100 == 99 && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        // The client must live until the last acknowledgement: dropping it ends the loop.
        Ok::<_, rumqttc::ClientError>(client)
    });
    let mut acknowledged = 0;
    while acknowledged < total {
        match events.poll().await {
            Ok(Event::Incoming(Packet::PubAck(_))) => acknowledged += 1,
            Ok(_) => {}
            Err(error) => bail!("publisher: {error}, {acknowledged} of {total} acknowledged"),
        }
    }
    drop(sender.await??);
    Ok(())
}

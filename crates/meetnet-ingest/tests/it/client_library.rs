//! What this crate relies on in the MQTT client library, asked of the library alone: an upgrade that changes one of
//! these needs a new look at docs/decisions/0001-rumqttc-next.md.

use std::time::Duration;

use rumqttc::{
    AckMode, AsyncClient, ConnectionError, Event, EventLoop, ManualAck, MqttOptions, Packet,
    PubAck, Publish, QoS, StateError,
};

use meetnet_testkit::mosquitto::{Mosquitto, TUNED};

use crate::station::Station;

fn options(port: u16) -> MqttOptions {
    let mut options = MqttOptions::new("library-test", ("127.0.0.1".to_owned(), port));
    options
        .set_clean_start(false)
        .set_session_expiry_interval(Some(3_600))
        .set_receive_maximum(Some(100))
        .set_max_packet_size(Some(1 << 20))
        .set_ack_mode(AckMode::Manual)
        .set_keep_alive(5);
    options
}

async fn subscribed(options: MqttOptions) -> (AsyncClient, EventLoop) {
    let (client, mut events) = AsyncClient::builder(options).capacity(100).build();
    client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
    loop {
        if let Event::Incoming(Packet::SubAck(_)) = events.poll().await.unwrap() {
            return (client, events);
        }
    }
}

async fn next_publish(events: &mut EventLoop) -> Publish {
    let publish = async {
        loop {
            if let Ok(Event::Incoming(Packet::Publish(publish))) = events.poll().await {
                return publish;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), publish)
        .await
        .expect("a publish")
}

#[tokio::test]
async fn manual_acknowledgements_come_from_another_task_and_in_any_order() {
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let (client, mut events) = subscribed(options(broker.port)).await;
    let mut station = Station::new(broker.port, "library-station");
    for number in 0..50 {
        station.publish("t", number.to_string()).await;
    }
    station.flush().await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(next_publish(&mut events).await.pkid);
    }
    let acknowledging = tokio::spawn(async move {
        for id in ids.into_iter().rev() {
            client
                .manual_ack(ManualAck::PubAck(PubAck::new(id, None)))
                .await
                .unwrap();
        }
        client.disconnect().await.unwrap();
    });
    // Everything queued leaves before the DISCONNECT does.
    while !matches!(events.poll().await, Err(ConnectionError::RequestsDone)) {}
    drop(events);
    acknowledging.await.unwrap();
    // A connection with the same client id takes over at once what the broker has not read of the old one.
    tokio::time::sleep(Duration::from_secs(1)).await;

    let (_client, mut events) = AsyncClient::builder({
        let mut again = options(broker.port);
        again.set_broker_session_resume_policy(rumqttc::BrokerSessionResumePolicy::AllowBrokerOnly);
        again
    })
    .capacity(10)
    .build();
    station.publish("t", "last").await;
    let publish = next_publish(&mut events).await;
    assert_eq!(
        (publish.payload.as_ref(), publish.dup),
        (b"last".as_slice(), false),
        "nothing came again"
    );
}

#[tokio::test]
async fn a_stale_acknowledgement_breaks_the_connection_instead_of_being_sent() {
    let Some(mut broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let (client, mut events) = subscribed(options(broker.port)).await;
    let mut station = Station::new(broker.port, "library-station");
    station.publish("t", "one").await;
    let publish = next_publish(&mut events).await;
    broker.kill();
    assert!(events.poll().await.is_err());
    // Another broker state: nothing is in flight, the id means nothing.
    broker.resume().unwrap();
    client
        .try_manual_ack(ManualAck::PubAck(PubAck::new(publish.pkid + 1, None)))
        .unwrap();
    let error = loop {
        match events.poll().await {
            Err(ConnectionError::MqttState(error @ StateError::Unsolicited(_))) => break error,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Ok(_) => {}
        }
    };
    assert!(matches!(error, StateError::Unsolicited(id) if id == publish.pkid + 1));
}

#[tokio::test]
async fn a_resumed_session_is_refused_without_local_state() {
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let (client, mut events) = subscribed(options(broker.port)).await;
    client.disconnect().await.unwrap();
    while events.poll().await.is_ok() {}
    // The daemon's own link gives the library an empty state for this reason.
    let (_client, mut events) = AsyncClient::builder(options(broker.port))
        .capacity(10)
        .build();
    let error = events.poll().await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectionError::SessionStateMismatch {
                session_present: true,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_default_packet_limit_would_end_every_connection() {
    let Some(broker) = Mosquitto::start(TUNED).unwrap() else {
        return;
    };
    let mut small = options(broker.port);
    small.set_incoming_packet_size_limit(rumqttc::IncomingPacketSizeLimit::Default);
    let (_client, mut events) = subscribed(small).await;
    let mut station = Station::new(broker.port, "library-station");
    station.publish("t", vec![b'x'; 11 * 1024]).await;
    for connection in 0..2 {
        let failed = async { while events.poll().await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(5), failed)
            .await
            .unwrap_or_else(|_| panic!("{connection}"));
    }
}

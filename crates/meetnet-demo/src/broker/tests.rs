use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::Packet;
use rumqttc::{
    AckMode, AsyncClient, BrokerSessionResumePolicy, Event, MqttOptions, PublishOptions,
    SessionMode,
};

use super::*;

fn loopback() -> Broker {
    start_broker((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

fn options(id: &str, broker: &Broker) -> MqttOptions {
    let mut options = MqttOptions::new(id, (broker.addr().ip().to_string(), broker.addr().port()));
    options.set_keep_alive(5);
    options
}

#[test]
fn a_taken_port_is_refused_with_its_address() {
    let broker = loopback();
    let error = start_broker(broker.addr()).unwrap_err();
    assert!(matches!(error, BrokerError::Bind { .. }));
    assert!(
        error.to_string().contains(&broker.addr().to_string()),
        "{error}"
    );
}

#[test]
fn a_public_address_is_refused() {
    let error = start_broker(([0, 0, 0, 0], 0).into()).unwrap_err();
    assert!(matches!(error, BrokerError::NotLoopback { .. }), "{error}");
}

#[test]
fn dropping_the_broker_frees_its_port() {
    let broker = loopback();
    let addr = broker.addr();
    drop(broker);
    assert_eq!(start_broker(addr).unwrap().addr(), addr);
}

#[tokio::test]
async fn a_message_published_over_tcp_arrives_and_a_session_resumes() {
    let broker = loopback();
    let mut subscriber = options("subscriber", &broker);
    subscriber.set_session_mode(SessionMode::Persistent);
    subscriber.set_ack_mode(AckMode::Manual);
    // The client below is a new one, as after a restart: only the broker remembers the session.
    subscriber.set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly);
    let (client, mut events) = AsyncClient::builder(subscriber.clone())
        .capacity(10)
        .build();
    client
        .subscribe("zigbee2mqtt/+", QoS::AtLeastOnce)
        .await
        .unwrap();

    let (publisher, mut publisher_events) = AsyncClient::builder(options("publisher", &broker))
        .capacity(10)
        .build();
    let publishing = tokio::spawn(async move { while publisher_events.poll().await.is_ok() {} });

    let wait = Duration::from_secs(10);
    let received = tokio::time::timeout(wait, async {
        loop {
            match events.poll().await.unwrap() {
                Event::Incoming(Packet::SubAck(_)) => {
                    let options = PublishOptions::at_least_once();
                    publisher
                        .publish("zigbee2mqtt/balkon-01", "{\"ts\":1}", options)
                        .await
                        .unwrap();
                }
                Event::Incoming(Packet::Publish(publish)) => return publish,
                _ => {}
            }
        }
    });
    let publish = received.await.unwrap();
    assert_eq!(publish.payload.as_ref(), b"{\"ts\":1}");
    publishing.abort();

    // Not acknowledged: the same client gets it again in its next connection.
    drop((client, events));
    let (_client, mut events) = AsyncClient::builder(subscriber).capacity(10).build();
    let again = tokio::time::timeout(wait, async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::Publish(publish))) => return publish,
                Ok(_) => {}
                Err(error) => panic!("the session does not resume: {error}"),
            }
        }
    });
    assert_eq!(again.await.unwrap().payload, publish.payload);
}

#[tokio::test]
async fn an_mqtt_3_1_1_client_is_welcome_and_noise_is_not() {
    let broker = loopback();
    let mut client = TcpStream::connect(broker.addr()).await.unwrap();
    // CONNECT, level 4, clean session, keep-alive 60 s, client id "a".
    client
        .write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a")
        .await
        .unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0], "CONNACK, accepted");

    let mut noise = TcpStream::connect(broker.addr()).await.unwrap();
    noise.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    // Closed without an answer; whether as an end or a reset depends on what was still unread.
    let _ = noise.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

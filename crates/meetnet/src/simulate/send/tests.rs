use std::io::{Read, Write};
use std::net::TcpListener;

use meetnet_demo::FaultShares;
use meetnet_demo::load::lane::LoadFormat;
use meetnet_demo::load::mqtt::Target;
use meetnet_demo::load::{Load, LoadPlan};

use super::*;

/// Starts a broker that accepts a connection and then says nothing; returns its port.
fn silent_broker() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut packets = [0; 4_096];
        let mut read = stream.read(&mut packets);
        // CONNACK of MQTT 5: accepted, without properties.
        stream.write_all(&[0x20, 3, 0, 0, 0]).expect("written");
        while read.is_ok_and(|read| read > 0) {
            read = stream.read(&mut packets);
        }
    });
    port
}

#[tokio::test]
async fn a_broker_that_acknowledges_nothing_leaves_messages_in_doubt() {
    let load = Load::new(LoadPlan {
        seed: 1,
        until_s: 1_795_172_400,
        lanes: Lane::of(&[Transport::Mqtt], &[LoadFormat::Senml]),
        devices: 1,
        messages: 2,
        batch: 1,
        faults: FaultShares::NONE,
        prefix: "sim".to_owned(),
        password: None,
    })
    .expect("a plan");
    let target = Target {
        host: "127.0.0.1".to_owned(),
        port: silent_broker(),
        client_id: "simulate".to_owned(),
        credentials: None,
        tls: None,
        inflight_max: 1,
    };
    let publisher = Publisher::connect(target).await.expect("a connection");
    let senders = Senders::new(Some(publisher), 1, None);
    for number in 0..2 {
        let unit = load.unit(number);
        let sent = senders.send(load.lanes()[unit.lane], &unit.outgoing).await;
        let is_in_doubt = matches!(&sent, Delivery::InDoubt(why) if why.contains("no PUBACK"));
        assert!(is_in_doubt, "{sent:?}");
    }
}

use std::net::Ipv4Addr;

use super::*;
use crate::broker::start_broker;

fn target(port: u16) -> Target {
    Target {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port,
        client_id: "simulate-test".to_owned(),
        credentials: None,
        tls: None,
        inflight_max: 10,
    }
}

#[tokio::test]
async fn a_message_is_followed_to_its_acknowledgement() {
    let broker = start_broker((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let publisher = Publisher::connect(target(broker.addr().port()))
        .await
        .unwrap();
    for number in 0..20 {
        let published = publisher.publish("sim/test", vec![number]).await;
        assert_eq!(published, Published::Acknowledged, "message {number}");
    }
    assert_eq!(publisher.failure(), None);
    publisher.close().await;
}

#[tokio::test]
async fn a_broken_connection_leaves_nothing_acknowledged() {
    let broker = start_broker((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let publisher = Publisher::connect(target(broker.addr().port()))
        .await
        .unwrap();
    drop(broker);
    let published = publisher.publish("sim/test", vec![1]).await;
    assert_ne!(published, Published::Acknowledged);
    let failed = async {
        while publisher.failure().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), failed)
        .await
        .unwrap();
    let failure = publisher.failure().unwrap();
    assert!(failure.contains("broke"), "{failure}");
}

#[tokio::test]
async fn nobody_at_the_port_is_said_with_its_address() {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let error = Publisher::connect(target(free.port())).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&free.to_string()), "{said}");
}

#[test]
fn reasons_of_brokers_are_told_apart() {
    assert_eq!(answered(PubAckReason::Success), Published::Acknowledged);
    let refused = |reason| match answered(reason) {
        Published::Refused(why) => why,
        other => panic!("{other:?}"),
    };
    let nobody = refused(PubAckReason::NoMatchingSubscribers);
    assert!(nobody.contains("nobody subscribes"), "{nobody}");
    let forbidden = refused(PubAckReason::NotAuthorized);
    assert!(forbidden.contains("NotAuthorized"), "{forbidden}");
}

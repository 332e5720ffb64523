use std::net::Ipv4Addr;

use super::*;
use crate::broker::start_broker;
use crate::city::City;
use crate::faults::FaultShares;

fn feed() -> LiveFeed {
    LiveFeed::new(Arc::new(City::new(1)), FaultShares::default())
}

#[tokio::test]
async fn messages_flow_and_are_acknowledged_until_shutdown() {
    let broker = start_broker((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let report = publish(
        feed(),
        broker.addr(),
        tokio::time::sleep(Duration::from_secs(2)),
    )
    .await;
    assert!((30..=150).contains(&report.published), "{report:?}");
    assert_eq!((report.acknowledged, report.dropped), (report.published, 0));
}

#[tokio::test]
async fn a_broker_that_is_away_neither_blocks_nor_fails() {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let stop = tokio::time::sleep(Duration::from_millis(300));
    let ended = tokio::time::timeout(Duration::from_secs(6), publish(feed(), free, stop)).await;
    assert_eq!(ended.unwrap().acknowledged, 0);
}

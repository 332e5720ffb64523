use std::net::IpAddr;

use super::ClientCounts;

#[test]
fn a_client_has_no_more_than_it_may() {
    let counts = ClientCounts::new(2);
    let enter = |address: &str| counts.enter(address.parse::<IpAddr>().expect("an address"));
    let first = enter("192.0.2.1").expect("the first");
    let second = enter("192.0.2.2").expect("the second");
    assert!(enter("192.0.2.3").is_none(), "one network");
    let other = enter("198.51.100.1").expect("another client");
    drop(first);
    let again = enter("192.0.2.3").expect("a place is free again");
    drop((second, other, again));
    assert!(counts.taken().is_empty(), "nothing is kept of who has left");
    let none = ClientCounts::new(0).enter(IpAddr::from([127, 0, 0, 1]));
    assert!(none.is_none());
}

#[test]
fn all_whose_address_is_not_known_are_one_client() {
    let counts = ClientCounts::new(1);
    let first = counts.enter(None::<IpAddr>).expect("the first");
    assert!(counts.enter(None::<IpAddr>).is_none());
    assert!(counts.enter(IpAddr::from([192, 0, 2, 1])).is_some());
    drop(first);
    assert!(counts.enter(None::<IpAddr>).is_some());
}

use std::net::IpAddr;

use super::{Client, Network, Protocol};

#[test]
fn addresses_of_a_network_are_one_client() {
    for (address, network) in [
        ("192.0.2.1", "192.0.2.0/24"),
        ("192.0.2.254", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("192.0.3.1", "192.0.3.0/24"),
        ("2001:db8:1:2::1", "2001:db8:1::/56"),
        ("2001:db8:1:ff:ffff::", "2001:db8:1::/56"),
        ("2001:db8:1:100::1", "2001:db8:1:100::/56"),
        ("::1", "::/56"),
    ] {
        let address: IpAddr = address.parse().expect("an address");
        assert_eq!(Network::of(address).to_string(), network, "{address}");
    }
}

#[test]
fn shares_do_not_mix() {
    let http = |address: &str| Client::of_address(Protocol::Http, address.parse().ok());
    let postgres = |address: &str| Client::of_address(Protocol::Postgres, address.parse().ok());
    // Another protocol is no other client.
    assert_eq!(http("192.0.2.1").share(), postgres("192.0.2.9").share());
    assert_ne!(http("192.0.2.1").share(), http("192.0.3.1").share());
    let user = Client::of_user(Protocol::Postgres, "192.0.2.0/24");
    assert_ne!(user.share(), http("192.0.2.1").share());
    assert_ne!(http("nowhere").share(), Client::own().share());
}

use std::net::Ipv4Addr;

use super::*;

/// A client that has fewer may have a request to cancel something among them.
#[tokio::test]
async fn who_has_most_connections_without_a_place_gives_way() {
    let network = |third: u8| Network::of(IpAddr::V4(Ipv4Addr::new(192, 0, third, 1)));
    let (few, many) = (network(1), network(2));
    let mut tasks = JoinSet::new();
    let mut refusing = Refusing::default();
    let mut come = |refusing: &mut Refusing, client: Network| {
        refusing.make_room();
        let task = tasks.spawn(std::future::pending::<()>());
        refusing.tasks.push_back((client, task));
    };
    let of = |refusing: &Refusing, client: Network| {
        let tasks = refusing.tasks.iter();
        tasks.filter(|(other, _)| *other == client).count()
    };
    for _ in 0..2 {
        come(&mut refusing, few);
    }
    for _ in 0..REFUSING_MAX {
        come(&mut refusing, many);
    }
    assert_eq!(of(&refusing, few), 2);
    assert_eq!(of(&refusing, many), REFUSING_MAX - 2);
    // Also where it is somebody with few who comes next.
    come(&mut refusing, few);
    assert_eq!(of(&refusing, few), 3);
    assert_eq!(of(&refusing, many), REFUSING_MAX - 3);
}

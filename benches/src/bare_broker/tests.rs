use super::*;

/// CONNECT, and SUBSCRIBE number 1 to `a` with QoS 1.
const COMES: &[u8] = &[0x10, 0, 0x82, 7, 0, 1, 0, 0, 1, b'a', 1];
/// CONNACK, and SUBACK number 1 that grants QoS 1.
const ANSWERED: &[u8] = &[0x20, 3, 0, 0, 0, 0x90, 4, 0, 1, 0, 1];
/// PUBLISH of `b` to `a`, but for the packet id at 5.
const PUBLISHED: &[u8] = &[0x32, 7, 0, 1, b'a', 0, 0, 0, b'b'];

/// Offers 40 messages in 20 ms to a subscriber that answers after `pause`, in the order that `order` puts them in.
fn offer(pause: Duration, order: fn(&mut Vec<[u8; 2]>)) -> Result<Vec<Duration>> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let subscriber = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(COMES).unwrap();
        let mut answer = [0; ANSWERED.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, ANSWERED);
        let mut ids = Vec::new();
        for _ in 0..40 {
            let mut publish = [0; PUBLISHED.len()];
            stream.read_exact(&mut publish).unwrap();
            ids.push([publish[5], publish[6]]);
            publish[5..7].fill(0);
            assert_eq!(publish, PUBLISHED);
        }
        thread::sleep(pause);
        order(&mut ids);
        let acknowledged = ids.iter().flat_map(|[high, low]| [0x40, 2, *high, *low]);
        let acknowledged: Vec<u8> = acknowledged.collect();
        stream.write_all(&acknowledged).unwrap();
    });
    let broker = BareBroker::accept(&listener).unwrap();
    let message = |_| ("a".to_owned(), "b".to_owned());
    let took = broker.offer(0, 2_000.0, Duration::from_millis(20), message);
    subscriber.join().unwrap();
    took
}

#[test]
fn acknowledgements_are_timed_from_when_their_messages_were_due() {
    let pause = Duration::from_millis(100);
    let took = offer(pause, |_| {}).unwrap();
    assert_eq!(took.len(), 40);
    assert!(took.iter().all(|took| *took >= pause), "{took:?}");
    // The first batch was due ten milliseconds before the second.
    assert!(took[0] >= took[39] + Duration::from_millis(9), "{took:?}");
}

#[test]
fn acknowledgements_in_another_order_are_an_error() {
    let error = offer(Duration::ZERO, |ids| ids.reverse()).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("was acknowledged before"), "{error}");
}

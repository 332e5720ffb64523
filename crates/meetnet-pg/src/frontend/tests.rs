use bytes::BytesMut;
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::extendedquery::{Bind, Close, Describe, Execute, Flush, Parse, Sync};
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::{SecretKey, Startup};
use pgwire::messages::terminate::Terminate;
use pgwire::messages::{Message, startup::SslRequest};

use super::*;

/// Returns the body of a message that another implementation writes.
fn body(message: &impl Message, header: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes).expect("an encoding");
    bytes.freeze().slice(header..)
}

#[test]
fn messages_of_another_implementation_are_understood() {
    fn check<M: Message>(sent: M, expected: Frontend) {
        let kind = M::message_type().expect("a type");
        assert_eq!(message(kind, body(&sent, 5)), Ok(expected));
    }
    check(
        Query::new("SELECT 'é'".into()),
        Frontend::Query("SELECT 'é'".into()),
    );
    check(
        Parse::new(Some("s".into()), "SELECT $1".into(), vec![20, 0]),
        Frontend::Parse {
            name: "s".into(),
            sql: "SELECT $1".into(),
            types: vec![20, 0],
        },
    );
    check(
        Bind::new(
            None,
            Some("s".into()),
            vec![1],
            vec![Some(Bytes::from_static(b"x")), None],
            vec![0, 1],
        ),
        Frontend::Bind(super::Bind {
            portal: String::new(),
            statement: "s".into(),
            formats: vec![1],
            values: vec![Some(Bytes::from_static(b"x")), None],
            result_formats: vec![0, 1],
        }),
    );
    check(
        Describe::new(b'S', Some("s".into())),
        Frontend::Describe(Target::Statement, "s".into()),
    );
    check(
        Close::new(b'P', None),
        Frontend::Close(Target::Portal, String::new()),
    );
    check(
        Execute::new(Some("p".into()), 10),
        Frontend::Execute {
            portal: "p".into(),
            rows_max: 10,
        },
    );
    check(
        Execute::new(None, -1),
        Frontend::Execute {
            portal: String::new(),
            rows_max: 0,
        },
    );
    check(Flush::new(), Frontend::Flush);
    check(Sync::new(), Frontend::Sync);
    check(Terminate::new(), Frontend::Terminate);
}

#[test]
fn first_messages_are_told_apart() {
    let mut startup = Startup::new();
    startup.protocol_number_minor = 2;
    startup.parameters.insert("user".into(), "public".into());
    let expected = Opening::Startup {
        minor: 2,
        parameters: BTreeMap::from([("user".to_owned(), "public".to_owned())]),
    };
    assert_eq!(opening(body(&startup, 4)), Ok(expected));
    let cancel = CancelRequest::new(7, SecretKey::I32(-9));
    assert_eq!(
        opening(body(&cancel, 4)),
        Ok(Opening::Cancel { id: 7, secret: -9 })
    );
    assert_eq!(opening(body(&SslRequest::new(), 4)), Ok(Opening::Ssl));
    let old = opening(Bytes::from_static(&[0, 2, 0, 0]));
    assert!(old.is_err_and(|error| error.is_fatal && error.message.contains("2.0")));
}

#[test]
fn no_bytes_make_it_panic_or_read_past_the_end() {
    let bind = Bind::new(
        Some("p".into()),
        None,
        vec![0],
        vec![Some(Bytes::from_static(b"value"))],
        vec![1],
    );
    let whole = body(&bind, 5);
    for end in 0..whole.len() {
        let cut = message(b'B', whole.slice(..end));
        assert!(cut.is_err_and(|error| error.is_fatal), "{end} bytes");
    }
    // A length of a value that only the next message could fill.
    let mut long = BytesMut::from(&whole[..]);
    let at = long.len() - 5 - 4 - 4;
    long[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(message(b'B', long.freeze()).is_err());
    let mut extended = BytesMut::from(&whole[..]);
    extended.extend_from_slice(b"more");
    assert!(message(b'B', extended.freeze()).is_err());

    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
    for _ in 0..20_000 {
        let length = rand::Rng::random_range(&mut random, 0..64);
        let bytes: Vec<u8> = (0..length)
            .map(|_| rand::Rng::random_range(&mut random, 0..4))
            .collect();
        for kind in *b"QPBDCEHSXpdcf\0" {
            let _ = message(kind, Bytes::from(bytes.clone()));
        }
        let _ = opening(Bytes::from(bytes.clone()));
        let _ = sasl_initial(Bytes::from(bytes));
    }
}

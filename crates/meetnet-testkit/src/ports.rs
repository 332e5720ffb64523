//! A port for a server that is told its port before it starts.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpListener;

/// Below the range that Linux takes the ports of outgoing connections from (32768–60999): what is free a moment ago is
/// not taken by a connection of another test until the server listens. Above what Debian's services use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Ports that are tried before the machine is taken to have none.
const TRIES: u32 = 100;

/// Returns a loopback port that was free a moment ago.
///
/// # Errors
/// Where a hundred ports in a row were taken.
pub fn free_port() -> io::Result<u16> {
    let random = RandomState::new();
    let mut taken = None;
    for attempt in 0..TRIES {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a remainder by a length of 16 bits"
        )]
        let offset = (random.hash_one(attempt) % PORTS.len() as u64) as u16;
        match TcpListener::bind(("127.0.0.1", PORTS.start + offset)) {
            Ok(_) => return Ok(PORTS.start + offset),
            Err(error) => taken = Some(error),
        }
    }
    Err(taken.expect("at least one port is tried"))
}

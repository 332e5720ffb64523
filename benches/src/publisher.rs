//! A publisher that costs next to nothing: MQTT 3.1.1 by hand, QoS 1, packets encoded in batches, a window of
//! unacknowledged messages. The load of a bench must not be what it measures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Messages that may be unacknowledged by the broker.
const WINDOW: u64 = 2_000;
/// Messages encoded into one write.
const BATCH: u64 = 100;

/// A running publisher.
#[derive(Debug)]
pub struct Publisher {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Publisher {
    /// Publishes message 0, 1, … of `message` to a broker on 127.0.0.1 until stopped, as fast as it can. `consumed`
    /// counts what the subscriber has taken: at most `backlog_max` messages are ahead of it, so that the broker's queue
    /// stays short.
    ///
    /// # Errors
    /// Where the broker does not take the connection.
    pub fn start(
        port: u16,
        consumed: Arc<AtomicU64>,
        backlog_max: u64,
        message: impl Fn(u64) -> (String, String) + Send + 'static,
    ) -> Result<Self> {
        Self::start_paced(port, consumed, backlog_max, BATCH, None, message)
    }

    /// The same with `batch` messages in each write, and at most `per_second` messages a second from `start` on:
    /// message `n` is due `n / per_second` seconds after it.
    ///
    /// # Errors
    /// Where the broker does not take the connection.
    pub fn start_paced(
        port: u16,
        consumed: Arc<AtomicU64>,
        backlog_max: u64,
        batch: u64,
        pace: Option<(Instant, f64)>,
        message: impl Fn(u64) -> (String, String) + Send + 'static,
    ) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.write_all(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        ensure!(answer == [0x20, 2, 0, 0], "the broker answered {answer:?}");
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let reader = {
            let (mut stream, acknowledged) = (stream.try_clone()?, Arc::clone(&acknowledged));
            std::thread::spawn(move || read_acknowledgements(&mut stream, &acknowledged))
        };
        let writer = {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || -> Result<()> {
                let mut next = 0;
                let mut bytes = Vec::with_capacity(64 << 10);
                while !stop.load(Ordering::Relaxed) {
                    if let Some((start, per_second)) = pace {
                        // A batch goes when its last message is due: none goes before its time.
                        let due =
                            start + Duration::from_secs_f64((next + batch) as f64 / per_second);
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                    let ahead = next - consumed.load(Ordering::Relaxed).min(next);
                    let waiting = next - acknowledged.load(Ordering::Relaxed);
                    if waiting + batch > WINDOW || ahead + batch > backlog_max {
                        std::thread::sleep(Duration::from_micros(200));
                        continue;
                    }
                    bytes.clear();
                    for number in next..next + batch {
                        let (topic, body) = message(number);
                        let id = (number % 65_535) as u16 + 1;
                        encode_publish(&mut bytes, &topic, &body, id, &[]);
                    }
                    next += batch;
                    stream.write_all(&bytes).context("publish")?;
                }
                // Closing both directions ends the reader too.
                stream.shutdown(std::net::Shutdown::Both)?;
                Ok(())
            })
        };
        Ok(Self {
            stop,
            acknowledged,
            threads: vec![writer, reader],
        })
    }

    /// Messages that the broker has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends the publisher.
    ///
    /// # Errors
    /// Where it had failed before.
    pub fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
        }
        Ok(())
    }
}

/// Adds a PUBLISH of QoS 1; `properties` are those of MQTT 5, which 3.1.1 has not.
pub(crate) fn encode_publish(
    bytes: &mut Vec<u8>,
    topic: &str,
    body: &str,
    packet_id: u16,
    properties: &[u8],
) {
    let mut length = 2 + topic.len() + 2 + properties.len() + body.len();
    bytes.push(0x32);
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        bytes.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&packet_id.to_be_bytes());
    bytes.extend_from_slice(properties);
    bytes.extend_from_slice(body.as_bytes());
}

/// Counts PUBACKs (four bytes each) until the connection ends.
fn read_acknowledgements(stream: &mut TcpStream, acknowledged: &AtomicU64) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut rest = 0;
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(read) => read,
        };
        rest += read;
        acknowledged.fetch_add((rest / 4) as u64, Ordering::Relaxed);
        rest %= 4;
    }
}

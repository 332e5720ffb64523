//! A broker for one subscriber that costs next to nothing, and knows when each message was acknowledged: MQTT 5 by hand,
//! QoS 1, without queue or session. A real broker does not tell who has published a message.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::publisher::encode_publish;
use crate::turns;

#[cfg(test)]
mod tests;

/// Messages that may be unacknowledged, as meetnet announces.
const WINDOW: usize = 2_000;
/// Messages of one write.
const BATCH: u64 = 20;
/// Packet ids in use, one after the other.
const PACKET_IDS: u64 = 60_000;
/// Of a PUBLISH.
const NO_PROPERTIES: &[u8] = &[0];
/// Longest wait for a subscriber, its subscription, or any acknowledgement.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The broker, once its subscriber has subscribed.
#[derive(Debug)]
pub struct BareBroker {
    stream: Mutex<TcpStream>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_subscribed: bool,
    /// Packet id of each message that waits for its acknowledgement, and when it was due.
    waiting: VecDeque<(u16, Instant)>,
    /// How long after they were due the others were acknowledged.
    took: Vec<Duration>,
    /// Why the connection has ended.
    ended: Option<String>,
}

impl BareBroker {
    /// Waits until a subscriber comes to `listener`, and serves it on a thread of its own until it goes; returns when it has
    /// subscribed.
    ///
    /// # Errors
    /// Where none has come and subscribed within half a minute each.
    pub fn accept(listener: &TcpListener) -> Result<Arc<Self>> {
        listener.set_nonblocking(true)?;
        let deadline = Instant::now() + WAIT_MAX;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ensure!(Instant::now() < deadline, "no subscriber has come");
                    thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error.into()),
            }
        };
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let reading = stream.try_clone()?;
        let broker = Arc::new(Self {
            stream: Mutex::new(stream),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&broker);
        thread::spawn(move || {
            turns::come_first();
            let ended = match serving.serve(reading) {
                Ok(()) => "the subscriber has gone".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            lock(&serving.state).ended = Some(ended);
            serving.changed.notify_all();
        });
        broker.wait_until(|state| state.is_subscribed)?;
        Ok(broker)
    }

    /// Publishes message `first`, `first + 1`, … at a steady pace for some time; returns how long after it was due each was
    /// acknowledged. One that could not be sent in time, as too many were unacknowledged, was due all the same. It is meant for
    /// a thread of its own, which comes before what is measured where it may.
    ///
    /// # Errors
    /// Where acknowledgements do not come, or not in the order of the messages.
    pub fn offer(
        &self,
        first: u64,
        per_second: f64,
        time: Duration,
        message: impl Fn(u64) -> (String, String),
    ) -> Result<Vec<Duration>> {
        let count = (time.as_secs_f64() * per_second) as u64 / BATCH * BATCH;
        turns::come_first();
        let start = Instant::now();
        let mut bytes = Vec::with_capacity(64 << 10);
        for offset in (0..count).step_by(BATCH as usize) {
            // A batch goes when its last message is due: none goes before its time.
            let due = start + Duration::from_secs_f64((offset + BATCH) as f64 / per_second);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.wait_until(|state| state.waiting.len() + BATCH as usize <= WINDOW)?;
            bytes.clear();
            {
                let mut state = lock(&self.state);
                for number in first + offset..first + offset + BATCH {
                    let id = (number % PACKET_IDS) as u16 + 1;
                    let (topic, body) = message(number);
                    encode_publish(&mut bytes, &topic, &body, id, NO_PROPERTIES);
                    state.waiting.push_back((id, due));
                }
            }
            lock(&self.stream)
                .write_all(&bytes)
                .context("publish to the subscriber")?;
        }
        self.wait_until(|state| state.waiting.is_empty())?;
        let took = std::mem::take(&mut lock(&self.state).took);
        ensure!(
            took.len() as u64 == count,
            "{} of {count} messages were acknowledged",
            took.len()
        );
        Ok(took)
    }

    /// Waits until the state is as it should be.
    fn wait_until(&self, is_so: impl Fn(&State) -> bool) -> Result<()> {
        let mut state = lock(&self.state);
        let mut acknowledged = state.took.len();
        let mut deadline = Instant::now() + WAIT_MAX;
        while !is_so(&state) {
            if let Some(ended) = &state.ended {
                bail!("the connection has ended: {ended}");
            }
            // As long as some are acknowledged, it goes on.
            if state.took.len() > acknowledged {
                acknowledged = state.took.len();
                deadline = Instant::now() + WAIT_MAX;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(
                !left.is_zero(),
                "nothing came from the subscriber for {} s",
                WAIT_MAX.as_secs()
            );
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Answers packets until the connection ends.
    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut bytes = Vec::new();
        let mut part = vec![0; 64 << 10];
        loop {
            let count = stream.read(&mut part)?;
            if count == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&part[..count]);
            let now = Instant::now();
            let mut done = 0;
            let mut state = lock(&self.state);
            while let Some((kind, body, length)) = packet(&bytes[done..]) {
                if let Some(answer) = state.take(kind, body, now)? {
                    lock(&self.stream).write_all(&answer)?;
                }
                done += length;
            }
            drop(state);
            bytes.drain(..done);
            self.changed.notify_all();
        }
    }
}

impl State {
    /// Takes one packet of the subscriber; returns the answer to it.
    fn take(&mut self, kind: u8, body: &[u8], now: Instant) -> Result<Option<Vec<u8>>> {
        match kind >> 4 {
            // CONNECT: no session, success, no properties.
            1 => Ok(Some(vec![0x20, 3, 0, 0, 0])),
            // PUBACK, which may say its reason.
            4 => {
                let id = body.get(..2).context("a PUBACK without packet id")?;
                let id = u16::from_be_bytes([id[0], id[1]]);
                let reason = body.get(2).copied().unwrap_or(0);
                ensure!(reason < 0x80, "message {id} was refused: {reason:#x}");
                let (expected, due) = self.waiting.pop_front().context("a PUBACK too many")?;
                ensure!(id == expected, "{id} was acknowledged before {expected}");
                self.took.push(now.saturating_duration_since(due));
                Ok(None)
            }
            // SUBSCRIBE: every filter gets what it asks for.
            8 => {
                let reasons = reasons(body, true).context("a SUBSCRIBE that is cut short")?;
                self.is_subscribed = true;
                answer(0x90, body, &reasons).map(Some)
            }
            // UNSUBSCRIBE.
            10 => {
                let reasons = reasons(body, false).context("an UNSUBSCRIBE that is cut short")?;
                answer(0xB0, body, &reasons).map(Some)
            }
            // PINGREQ.
            12 => Ok(Some(vec![0xD0, 0])),
            // DISCONNECT: the connection ends by itself.
            14 => Ok(None),
            other => bail!("the subscriber sent a packet of type {other}"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the first packet: its first byte, what follows its length, and how long it is in all; None: it is not whole yet.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let kind = *bytes.first()?;
    let (length, width) = variable(&bytes[1..])?;
    let begin = 1 + width;
    Some((kind, bytes.get(begin..begin + length)?, begin + length))
}

/// Returns a number of variable width, and its width.
fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (position, byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7F) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((number, position + 1));
        }
    }
    None
}

/// Returns a reason code per filter: the QoS that it asks for, or success where it asks for none.
fn reasons(body: &[u8], has_options: bool) -> Option<Vec<u8>> {
    let (properties, width) = variable(body.get(2..)?)?;
    let mut rest = body.get(2 + width + properties..)?;
    let mut reasons = Vec::new();
    while !rest.is_empty() {
        let length = rest.get(..2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        rest = rest.get(2 + length..)?;
        reasons.push(if has_options {
            let options = *rest.first()?;
            rest = &rest[1..];
            options & 3
        } else {
            0
        });
    }
    Some(reasons)
}

/// Returns a SUBACK or UNSUBACK without properties.
fn answer(kind: u8, body: &[u8], reasons: &[u8]) -> Result<Vec<u8>> {
    let id = body.get(..2).context("a packet without id")?;
    let length = u8::try_from(id.len() + 1 + reasons.len())
        .ok()
        .filter(|length| *length < 0x80)
        .context("too many filters")?;
    let mut bytes = vec![kind, length, id[0], id[1], 0];
    bytes.extend_from_slice(reasons);
    Ok(bytes)
}

//! The decoders of all formats that are JSON, against serde_json alone parsing the same bytes into borrowed structs that
//! have what the decoder wants (`reference.rs`). A decoder also maps, converts, checks, pseudonymises and builds Arrow
//! columns.
//!
//! `cargo bench -p meetnet -p meetnet-benches --bench decode [-- FORMAT…]`, formats as sources name them; `MIB` (8) of
//! messages of each, `ROUNDS` (5) over them, of which the fastest counts.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

mod cases;
mod reference;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use meetnet_benches::figures::{at_least, begin, figure, is_wanted, setting};
use meetnet_decode::{Decoders, EnvelopeRef, Group};
use meetnet_demo::messages::Message;
use meetnet_model::privacy::PrivacyKey;

use crate::cases::Case;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Share of serde_json's speed.
const AIM: f64 = 0.6;
/// Bytes that are decoded together, as the pipeline does.
const GROUP_BYTES: usize = 1 << 20;

fn main() -> Result<()> {
    let bytes = setting::<usize>("MIB", 8)? << 20;
    let rounds: usize = setting("ROUNDS", 5)?;
    ensure!(bytes > 0 && rounds > 0, "MIB and ROUNDS must not be 0");
    for case in cases::all() {
        if is_wanted(case.format.as_str()) {
            run(&case, bytes, rounds).with_context(|| case.format.as_str())?;
        }
    }
    Ok(())
}

fn run(case: &Case, bytes: usize, rounds: usize) -> Result<()> {
    begin(case.format.as_str());
    let mut messages = Vec::new();
    let mut total = 0;
    while total < bytes {
        let message = (case.message)(messages.len() as u64)?;
        total += message.payload.len();
        messages.push(message);
    }
    let declarations = Arc::new((case.declarations)(case.format));
    let decoders = Decoders::new(&declarations, &PrivacyKey::new("bench"))?;
    // One for all rounds: the pipeline has one for as long as its declarations are in force.
    let mut group = decoders.group();
    let (mut reference, mut ours) = (Duration::MAX, Duration::MAX);
    let mut rows = 0;
    // In turns, so that whatever else the machine does meets both.
    for _ in 0..rounds {
        let began = Instant::now();
        for message in &messages {
            (case.parse)(&message.payload)?;
        }
        reference = reference.min(began.elapsed());
        let began = Instant::now();
        rows = decode(case, &decoders, &mut group, &messages)?;
        ours = ours.min(began.elapsed());
    }
    let count = messages.len() as f64;
    let mib_per_second = |time: Duration| total as f64 / f64::from(1 << 20) / time.as_secs_f64();
    figure("bytes of a message", total as f64 / count, "");
    figure("rows of a message", rows as f64 / count, "");
    figure("serde_json alone", mib_per_second(reference), "MiB/s");
    figure("decoded", mib_per_second(ours), "MiB/s");
    figure("decoded", rows as f64 / ours.as_secs_f64(), "rows/s");
    let ratio = reference.as_secs_f64() / ours.as_secs_f64();
    at_least("ratio", ratio, "x", AIM);
    Ok(())
}

/// Decodes all messages in groups; returns the number of rows.
fn decode(
    case: &Case,
    decoders: &Decoders,
    group: &mut Group,
    messages: &[Message],
) -> Result<usize> {
    let (mut rows, mut index, mut bytes) = (0, 0, 0);
    let received_at = (case.received_at)();
    for (number, message) in messages.iter().enumerate() {
        let envelope = EnvelopeRef {
            sequence: number as u64 + 1,
            source: cases::SOURCE,
            topic: &message.topic,
            meta: &case.meta,
            payload: &message.payload,
            received_at,
            truncated: false,
        };
        decoders.decode(index, &envelope, group);
        index += 1;
        bytes += message.payload.len();
        if bytes >= GROUP_BYTES || number + 1 == messages.len() {
            let decoded = group.take();
            if let Some(reject) = decoded.rejects.first() {
                bail!(
                    "a message is no good: {}: {}",
                    reject.message,
                    reject.excerpt
                );
            }
            rows += decoded.row_count();
            (index, bytes) = (0, 0);
        }
    }
    ensure!(rows >= messages.len(), "messages made no rows");
    Ok(rows)
}

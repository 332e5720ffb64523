//! The journal alone: how many envelopes it takes and gives back, and how much longer than a bare fdatasync a sender
//! waits for its acknowledgement.
//!
//! `cargo bench -p meetnet -p meetnet-benches --bench journal [-- PART…]`, parts `throughput`, `latency` and
//! `beside-files`, which is the latter while a lake writes its files on the same disk; `ENVELOPES` (3,000,000), `SECONDS`
//! (20, of each kind) and `FILE_RATE` (8,000,000 bytes/s of such files) make it larger or smaller.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meetnet_benches::disk::{self, OtherFiles};
use meetnet_benches::figures::{
    Latencies, at_least, at_most, begin, figure, is_wanted, rate, setting,
};
use meetnet_lake::journal::{AppendError, Appended, Journal, JournalOptions, NewEnvelope};
use meetnet_model::ids::Sequence;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Payload of an envelope.
const PAYLOAD_BYTES: usize = 200;
/// Envelopes per second whose acknowledgement is timed.
const LATENCY_RATE: f64 = 1_000.0;
/// Bytes of a group that a reader takes at once, as the pipeline does.
const GROUP_BYTES: usize = 1 << 20;
/// Size of the files beside the journal: as long as those of a lake get.
const FILE_BYTES: u64 = 64 << 20;

fn main() -> Result<()> {
    if is_wanted("throughput") {
        throughput(setting("ENVELOPES", 3_000_000)?)?;
    }
    let time = Duration::from_secs(setting("SECONDS", 20)?);
    if is_wanted("latency") {
        begin("acknowledgement at 1,000 envelopes/s");
        let folder = tempfile::tempdir()?;
        latency(folder.path(), time)?;
    }
    if is_wanted("beside-files") {
        let file_rate: f64 = setting("FILE_RATE", 8e6)?;
        begin("acknowledgement at 1,000 envelopes/s, beside files of a lake");
        let folder = tempfile::tempdir()?;
        let files = OtherFiles::start(folder.path(), FILE_BYTES, file_rate);
        let began = Instant::now();
        latency(folder.path(), time)?;
        let took = began.elapsed();
        let written = files.stop()? as f64 / took.as_secs_f64();
        figure("files beside it", written / 1e6, "MB/s");
    }
    Ok(())
}

fn open(folder: &Path) -> Result<Journal> {
    let options = JournalOptions {
        reserve_bytes: 0,
        journal_bytes_max: 64 << 30,
        ..JournalOptions::new(folder.join("journal"), folder.join("archive"))
    };
    Ok(Journal::open(options, b"bench")?.0)
}

/// Appends, waiting where the journal is full.
fn append(journal: &Journal, payload: &[u8]) -> Result<Appended> {
    let envelope = NewEnvelope {
        source: "bench",
        topic: "bench/station-001",
        packet_id: 1,
        payload,
        ..NewEnvelope::default()
    };
    loop {
        match journal.append(&envelope) {
            Err(AppendError::Full { .. }) => thread::sleep(Duration::from_micros(200)),
            appended => return Ok(appended?),
        }
    }
}

fn throughput(envelopes: u64) -> Result<()> {
    begin("journal, as fast as it can");
    let folder = tempfile::tempdir()?;
    let journal = open(folder.path())?;
    let groups = Arc::new(Mutex::new(0_u64));
    {
        let groups = Arc::clone(&groups);
        journal.on_durable(Box::new(move |_, _| {
            *groups.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }));
    }
    let before = journal.bytes();
    let began = Instant::now();
    let mut last = Sequence::ZERO;
    let mut payload = [b'.'; PAYLOAD_BYTES];
    for number in 0..envelopes {
        payload[..8].copy_from_slice(&number.to_le_bytes());
        last = append(&journal, &payload)?.sequence;
    }
    journal.wait_durable(last)?;
    let took = began.elapsed();
    let bytes = journal.bytes() - before;
    let groups = *groups.lock().unwrap_or_else(PoisonError::into_inner);
    at_least(
        "appended, synced and acknowledged",
        rate(envelopes, took),
        "envelopes/s",
        300_000.0,
    );
    figure("envelopes per sync", envelopes as f64 / groups as f64, "");
    let bare = disk::stream(folder.path(), bytes, (bytes / groups.max(1)) as usize)?;
    figure(
        "the bare disk, same bytes and syncs: time",
        bare.as_secs_f64(),
        "s",
    );
    figure(
        "ratio to the bare disk: time",
        took.as_secs_f64() / bare.as_secs_f64(),
        "x",
    );

    let began = Instant::now();
    let mut reader = journal.reader(Sequence::ZERO);
    let (mut read, mut sum) = (0_u64, 0_u64);
    while let Some(group) = reader.read_group(GROUP_BYTES)? {
        for frame in group.frames() {
            read += 1;
            sum += u64::from(frame.payload[0]);
        }
    }
    let took = began.elapsed();
    ensure!(read > envelopes && sum > 0, "{read} frames were read back");
    at_least(
        "read back, checked",
        rate(read, took),
        "envelopes/s",
        500_000.0,
    );

    journal.shutdown()?;
    let began = Instant::now();
    let journal = open(folder.path())?;
    let took = began.elapsed();
    at_least(
        "opened again (every frame checked)",
        rate(envelopes, took),
        "envelopes/s",
        500_000.0,
    );
    ensure!(journal.durable().0 >= last, "frames are missing");
    journal.shutdown()?;
    Ok(())
}

fn latency(folder: &Path, time: Duration) -> Result<()> {
    let journal = open(folder)?;
    // In turns, since disks have moods: the same five seconds of each.
    let turn = Duration::from_secs(5);
    let turns = (time.as_secs() / turn.as_secs()).max(1);
    let (mut looped, mut paced, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        looped.extend(disk::syncs(folder, PAYLOAD_BYTES, turn)?);
        paced.extend(disk::syncs_at_pace(
            folder,
            PAYLOAD_BYTES,
            LATENCY_RATE,
            turn,
        )?);
        ours.extend(acknowledgements(&journal, turn)?);
    }
    journal.shutdown()?;
    let ours = Latencies::new(ours);
    // In a loop the disk never rests, and nothing waits for the sync before its own. At the pace of the senders both
    // happen, whoever writes: the second ratio is what the journal itself adds.
    let bare = [
        (
            "the bare disk, write and fdatasync in a loop",
            Latencies::new(looped),
        ),
        (
            "the bare disk, write and fdatasync at the same pace",
            Latencies::new(paced),
        ),
    ];
    bare.iter().for_each(|(what, times)| times.print(what));
    ours.print("append until durable");
    for ((_, times), what) in bare.iter().zip(["in a loop", "at the same pace"]) {
        let p50 = format!("ratio of p50 to the disk {what}");
        at_most(&p50, ours.p50_ms() / times.p50_ms(), "x", 3.0);
        let p99 = format!("ratio of p99 to the disk {what}");
        at_most(&p99, ours.p99_ms() / times.p99_ms(), "x", 3.0);
    }
    Ok(())
}

/// Appends at a steady pace; returns how long after its due time each envelope was durable.
fn acknowledgements(journal: &Journal, time: Duration) -> Result<Vec<Duration>> {
    let durable: Arc<Mutex<Vec<(Sequence, Instant)>>> = Arc::default();
    {
        let durable = Arc::clone(&durable);
        journal.on_durable(Box::new(move |sequence, _| {
            let now = Instant::now();
            durable
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((sequence, now));
        }));
    }
    let count = (time.as_secs_f64() * LATENCY_RATE) as u64;
    let start = Instant::now();
    let mut due = Vec::with_capacity(count as usize);
    for number in 0..count {
        let at = start + Duration::from_secs_f64(number as f64 / LATENCY_RATE);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        // A sender that was late itself counts from when it should have sent: waiting is not forgiven.
        due.push((append(journal, &[b'.'; PAYLOAD_BYTES])?.sequence, at));
    }
    let last = due.last().context("no time to append in")?.0;
    journal.wait_durable(last)?;
    // Its callback runs after those who wait have been woken.
    thread::sleep(Duration::from_millis(50));
    let durable = durable
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    due.into_iter()
        .map(|(sequence, at)| {
            let synced = durable.partition_point(|(durable, _)| *durable < sequence);
            let (_, when) = durable.get(synced).context("a sync was not announced")?;
            Ok(when.saturating_duration_since(at))
        })
        .collect()
}

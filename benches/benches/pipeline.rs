//! Envelope -> hot row in one process: journal append and sync, read back, decode, key look-up, quality, hot rows,
//! snapshot. Reference: serde_json alone, parsing the same bodies into a borrowed struct.
//!
//! `cargo bench -p meetnet -p meetnet-benches --bench pipeline [-- MESSAGES]`
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_benches::figures::begin;
use meetnet_benches::{cpu, declarations, message, now_ms};
use meetnet_ingest::DupWindows;
use meetnet_ingest::outcomes::OutcomeRegistry;
use meetnet_ingest::pipeline::{Pipeline, PipelineOptions};
use meetnet_lake::journal::{AppendError, Journal, JournalOptions, NewEnvelope};
use meetnet_lake::lake::{DeclaredTables, LakeOptions};
use meetnet_lake::storage::FolderStorage;
use meetnet_model::privacy::PrivacyKey;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(serde::Deserialize)]
struct Body {
    temperature: f64,
    humidity: f64,
    ts: u64,
}

fn main() -> Result<()> {
    let messages: u64 = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    begin(&format!("envelope to hot row, {messages} messages"));
    let start = now_ms() - 3_600_000;
    let bodies: Vec<(String, String)> = (0..messages).map(|n| message(n, start)).collect();

    let began = cpu::used(std::process::id());
    let mut sum = 0.0;
    for (_, body) in &bodies {
        let body: Body = serde_json::from_str(body)?;
        sum += body.temperature + body.humidity + body.ts as f64;
    }
    let reference = cpu::used(std::process::id()) - began;
    ensure!(sum > 0.0);
    let per_message = |time: Duration| time.as_secs_f64() * 1e6 / messages as f64;
    println!(
        "   serde_json alone: {:.2} us CPU per message",
        per_message(reference)
    );

    for (name, hot_bytes_max) in [
        ("hot rows only", 8 << 30),
        ("with commits (96 MiB hot)", 96 << 20),
    ] {
        let (wall, used) = run(&bodies, hot_bytes_max)?;
        println!(
            "   {name}: {:.0} messages/s, {:.2} us CPU per message = {:.0} messages/s per core ({:.1} x serde_json alone)",
            messages as f64 / wall.as_secs_f64(),
            per_message(used),
            messages as f64 / used.as_secs_f64(),
            used.as_secs_f64() / reference.as_secs_f64(),
        );
    }
    Ok(())
}

fn run(bodies: &[(String, String)], hot_bytes_max: usize) -> Result<(Duration, Duration)> {
    let folder = tempfile::tempdir()?;
    let declarations = Arc::new(declarations());
    let options = JournalOptions {
        reserve_bytes: 0,
        ..JournalOptions::new(folder.path().join("journal"), folder.path().join("archive"))
    };
    let storage = Arc::new(FolderStorage::new(folder.path().join("lake")));
    let tables = DeclaredTables::read(storage, Arc::clone(&declarations))?;
    let (journal, recovery) = Journal::open(options, &declarations.to_bytes())?;
    let mut lake = LakeOptions::new(journal.id());
    lake.limits.hot_bytes_max = hot_bytes_max;
    let (pipeline, _) = Pipeline::start(
        PipelineOptions::new(lake),
        journal.clone(),
        &recovery,
        tables,
        PrivacyKey::new("bench"),
        OutcomeRegistry::new(1),
        DupWindows::default(),
    )?;
    let (began, began_cpu) = (Instant::now(), cpu::used(std::process::id()));
    let mut last = None;
    for (topic, body) in bodies {
        let envelope = NewEnvelope {
            source: "bench",
            topic,
            payload: body.as_bytes(),
            ..NewEnvelope::default()
        };
        last = loop {
            match journal.append(&envelope) {
                Ok(appended) => break Some(appended.sequence),
                Err(AppendError::Full { .. }) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => return Err(error.into()),
            }
        };
    }
    let shared = pipeline.shared();
    while shared
        .load()
        .tables
        .values()
        .any(|table| Some(table.through) < last)
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = (began.elapsed(), cpu::used(std::process::id()) - began_cpu);
    pipeline.shutdown()?;
    Ok(took)
}

//! A restart: how long the journal's tail takes in each wire format until every row of it is answered, and where the
//! time goes.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench recovery [-- FORMAT… process]`, formats
//! `telraam`, `airrohr`, `tts-v3`, `json`; part `process` is what somebody sees who asks `meetnet run` meanwhile. `MIB`
//! (128) is the size of the journal: 1024 for what is promised.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_benches::bodies::{self, Bodies};
use meetnet_benches::cpu;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{at_most, begin, figure, is_wanted, rate, setting};
use meetnet_decode::{Decoders, EnvelopeRef};
use meetnet_ingest::DupWindows;
use meetnet_ingest::outcomes::OutcomeRegistry;
use meetnet_ingest::pipeline::{Pipeline, PipelineOptions};
use meetnet_lake::Lineage;
use meetnet_lake::journal::{
    AppendError, FrameKind, Journal, JournalOptions, NewEnvelope, Recovery,
};
use meetnet_lake::lake::{DeclaredTables, Lake, LakeOptions};
use meetnet_lake::storage::FolderStorage;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::Sequence;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::WireFormat;
use meetnet_quality::history::QualityHistory;
use meetnet_quality::{QualityRules, RowFacts};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time for one GiB.
const AIM_S: f64 = 10.0;
/// What flags may cost, of what decoding takes.
const FLAGS_AIM: f64 = 0.3;
/// Queries are answered meanwhile: not as late as this, of the time that a recovery takes.
const FIRST_ANSWER_AIM: f64 = 0.5;
/// Longest recovery.
const PROCESS_TIME_MAX: Duration = Duration::from_secs(900);
/// Frames that are decoded and made visible together, as the pipeline does.
const GROUP_BYTES: usize = 1 << 20;

fn main() -> Result<()> {
    let mib: u64 = setting("MIB", 128)?;
    for format in bodies::FORMATS {
        if is_wanted(format.as_str()) {
            run(format, mib << 20)?;
        }
    }
    if is_wanted("process") {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(process(mib << 20))?;
    }
    Ok(())
}

/// Starts the program over a journal as a crash leaves it: how long until a question is answered from what is committed, and
/// until every row is.
async fn process(bytes: u64) -> Result<()> {
    let format = WireFormat::Json;
    begin(&format!(
        "`meetnet run` over {} MiB of {}",
        bytes >> 20,
        format.as_str()
    ));
    let folder = tempfile::tempdir()?;
    let declarations = bodies::declarations(format);
    // Two rows each.
    let expected = 2 * fill(folder.path(), format, bytes, &declarations)?;
    let began = Instant::now();
    let mut daemon = Daemon::resume(folder)?;
    let (mut first, mut seen) = (None, 0);
    loop {
        daemon.check_running()?;
        // Nobody listens at first.
        if let Ok(rows) = daemon.sql_number("SELECT count(*) FROM heat").await {
            first.get_or_insert(began.elapsed());
            ensure!(rows >= seen, "{rows} rows are answered after {seen}");
            seen = rows;
            if rows == expected {
                break;
            }
        }
        ensure!(
            began.elapsed() < PROCESS_TIME_MAX,
            "not every row is answered after {} s",
            PROCESS_TIME_MAX.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = began.elapsed().as_secs_f64();
    let first = first.unwrap_or_default().as_secs_f64();
    let gib = bytes as f64 / f64::from(1 << 30);
    figure("every row answered, for one GiB", all / gib, "s");
    figure("a question answered", first, "s");
    at_most(
        "a question answered, of the time until every row is",
        first / all,
        "",
        FIRST_ANSWER_AIM,
    );
    Ok(())
}

fn run(format: WireFormat, bytes: u64) -> Result<()> {
    begin(&format!(
        "recovery of {} MiB of {}",
        bytes >> 20,
        format.as_str()
    ));
    let folder = tempfile::tempdir()?;
    let declarations = Arc::new(bodies::declarations(format));
    let envelopes = fill(folder.path(), format, bytes, &declarations)?;
    figure(
        "bytes per envelope, as journalled",
        bytes as f64 / envelopes as f64,
        "",
    );
    let gib = bytes as f64 / f64::from(1 << 30);

    let stages = stage_by_stage(folder.path(), &declarations)?;
    println!("   stage by stage, in seconds per GiB:");
    let per_gib = |what: &str, time: Duration| figure(what, time.as_secs_f64() / gib, "s");
    per_gib("  read and check", stages.read);
    per_gib("  decode", stages.decode);
    per_gib("  (serde_json alone, ignoring every value)", stages.serde);
    per_gib("  (flags alone)", stages.flags);
    per_gib("  apply: look-up, quality, hot rows", stages.apply);
    per_gib("  wait until hot rows have room", stages.wait);
    per_gib("  beside it, CPU of commits", stages.commit_cpu);
    per_gib("  beside it, CPU of merges", stages.upkeep_cpu);
    at_most(
        "  flags, of what decoding takes",
        stages.flags.as_secs_f64() / stages.decode.as_secs_f64(),
        "",
        FLAGS_AIM,
    );
    figure("  rows", stages.rows as f64, "");
    figure("  rejects", stages.rejects as f64, "");

    let began = Instant::now();
    let (journal, recovery) = open(folder.path(), &declarations)?;
    let opened = began.elapsed();
    let (pipeline, replayed) = Pipeline::start(
        PipelineOptions::new(LakeOptions::new(journal.id())),
        journal.clone(),
        &recovery,
        tables(&folder.path().join("lake"), &declarations)?,
        PrivacyKey::new("bench"),
        OutcomeRegistry::new(1),
        DupWindows::default(),
    )?;
    let visible = began.elapsed();
    pipeline.commands().commit_all()?;
    let committed = began.elapsed();
    ensure!(
        replayed.frames >= envelopes,
        "frames are missing: {replayed:?}"
    );
    per_gib("opened", opened);
    at_most(
        "recovered, for one GiB",
        visible.as_secs_f64() / gib,
        "s",
        AIM_S,
    );
    per_gib("all of it committed", committed);
    figure("envelopes", rate(envelopes, visible), "per s");
    let applied = replayed.applied;
    figure(
        "rows",
        rate(applied.inserted + applied.unchanged, visible),
        "per s",
    );
    pipeline.shutdown()?;
    journal.shutdown()?;
    Ok(())
}

fn open(folder: &Path, declarations: &Declarations) -> Result<(Journal, Recovery)> {
    let options = JournalOptions {
        reserve_bytes: 0,
        ..JournalOptions::new(folder.join("journal"), folder.join("archive"))
    };
    Ok(Journal::open(options, &declarations.to_bytes())?)
}

fn tables(folder: &Path, declarations: &Arc<Declarations>) -> Result<DeclaredTables> {
    let storage = Arc::new(FolderStorage::new(folder));
    Ok(DeclaredTables::read(storage, Arc::clone(declarations))?)
}

/// Journals messages up to a size; returns how many.
fn fill(folder: &Path, format: WireFormat, bytes: u64, declarations: &Declarations) -> Result<u64> {
    let (journal, _) = open(folder, declarations)?;
    let bodies = Bodies::new(format);
    let mut envelopes = 0;
    while journal.bytes() < bytes {
        // The size is known when a group is synced: not asked for each envelope.
        for _ in 0..100 {
            let message = bodies.message(envelopes)?;
            let envelope = NewEnvelope {
                source: "bench",
                topic: &message.topic,
                packet_id: (envelopes % 65_535) as u16 + 1,
                payload: &message.payload,
                ..NewEnvelope::default()
            };
            while let Err(error) = journal.append(&envelope) {
                match error {
                    AppendError::Full { .. } => thread::sleep(Duration::from_millis(1)),
                    error => return Err(error.into()),
                }
            }
            envelopes += 1;
        }
    }
    journal.shutdown()?;
    Ok(envelopes)
}

#[derive(Default)]
struct Stages {
    read: Duration,
    decode: Duration,
    flags: Duration,
    serde: Duration,
    apply: Duration,
    wait: Duration,
    commit_cpu: Duration,
    upkeep_cpu: Duration,
    rows: u64,
    rejects: u64,
}

/// What the pipeline does, into a lake of its own, with a clock around each stage.
fn stage_by_stage(folder: &Path, declarations: &Arc<Declarations>) -> Result<Stages> {
    let (journal, _) = open(folder, declarations)?;
    let mut stages = Stages::default();
    let mut lake = Lake::open(
        LakeOptions::new(journal.id()),
        tables(&folder.join("staged"), declarations)?,
        Sequence::ZERO,
    )?;
    lake.put_merges_off(true);
    let decoders = Decoders::new(declarations, &PrivacyKey::new("bench"))?;
    let rules = QualityRules::new(declarations);
    let mut history = QualityHistory::default();
    let mut group = decoders.group();
    let mut reader = journal.reader(Sequence::ZERO);
    loop {
        let began = Instant::now();
        lake.tick()?;
        while lake.is_full() {
            thread::sleep(Duration::from_millis(5));
            lake.tick()?;
        }
        let waited = Instant::now();
        stages.wait += waited - began;
        let Some(frames) = reader.read_group(GROUP_BYTES)? else {
            break;
        };
        let read = Instant::now();
        stages.read += read - waited;
        let envelopes = || {
            let frames = frames.frames();
            frames.filter(|frame| frame.kind == FrameKind::Envelope)
        };
        for (index, frame) in envelopes().enumerate() {
            let envelope = EnvelopeRef {
                sequence: frame.sequence.0,
                source: frame.source,
                topic: frame.topic,
                meta: &[],
                payload: frame.payload,
                received_at: frame.received_at,
                truncated: false,
            };
            decoders.decode(index as u32, &envelope, &mut group);
        }
        let decoded = group.take();
        stages.rows += decoded.row_count() as u64;
        stages.rejects += decoded.rejects.len() as u64;
        let took = Instant::now();
        stages.decode += took - read;
        let lineage: Vec<Lineage> = envelopes()
            .map(|frame| Lineage {
                sequence: frame.sequence,
                received_at: frame.received_at,
                recorded_at: frame.recorded_at,
                source: "bench".into(),
                licence: "CC0-1.0".into(),
                precedence: 0,
                confirms: false,
            })
            .collect();
        // By itself, for its share; `apply` sets the flags of inserted rows once more.
        let began_flags = Instant::now();
        for rows in &decoded.rows {
            let sequence_of = |envelope: u32| lineage[envelope as usize].sequence;
            let series = history.observe(&rules, rows, sequence_of);
            let facts = RowFacts {
                series: &series,
                ..RowFacts::default()
            };
            black_box(rules.flag(&rows.declaration, &rows.batch, facts));
        }
        history.settle(frames.last_sequence());
        let flagged = Instant::now();
        stages.flags += flagged - began_flags;
        for rows in &decoded.rows {
            lake.apply(rows, &lineage, &mut |declaration, batch, _| {
                rules.flag(declaration, batch, RowFacts::default())
            })?;
        }
        lake.advance(frames.last_sequence(), frames.last_recorded_at());
        lake.publish();
        let applied = Instant::now();
        stages.apply += applied - flagged;
        for frame in envelopes() {
            serde_json::from_slice::<serde::de::IgnoredAny>(frame.payload)?;
        }
        stages.serde += applied.elapsed();
    }
    lake.commit_all()?;
    stages.commit_cpu = cpu::used_by_threads("lake-commit");
    stages.upkeep_cpu = cpu::used_by_threads("lake-upkeep");
    drop(lake);
    journal.shutdown()?;
    Ok(stages)
}

//! Questions that analysts of sensors ask, in process, against DuckDB 2 and ClickHouse (chDB) on the same Parquet files.
//! Nothing is cached but what an engine keeps of files; nothing is precomputed. Answers are compared before they are timed.
//! Then, as a part of its own, the same with what `meetnet serve` prepares and keeps.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench queries [-- QUESTION… prepared]`; `ROWS`
//! (10,000,000) are made once and kept below the target folder; `ROUNDS` (5), of which the fastest counts; `THREADS` (2)
//! of each engine.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

mod engines;
mod prepared;
mod questions;
mod rollups;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::TryStreamExt;
use meetnet_benches::city_year::CityYear;
use meetnet_benches::figures::{at_most, begin, figure, is_wanted, ms, setting};
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_query::{Format, QueryOptions, QueryRequest, QueryService, encode};
use tokio::runtime::Runtime;

use engines::Engine;
use questions::{Question, questions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the questions should come to, answered from the rows.
const AIMS: Aims = Aims {
    duckdb: 1.0,
    fastest: 1.2,
    worst: Some(2.0),
};

/// What ratios should come to.
#[derive(Clone, Copy)]
struct Aims {
    /// Geometric mean of those to DuckDB.
    duckdb: f64,
    /// Geometric mean of those to the fastest engine of each question.
    fastest: f64,
    /// No question should take longer than so many times what it takes others.
    worst: Option<f64>,
}

/// What a question came to, fastest round: ours, then each engine.
#[derive(Clone)]
struct Times {
    ours: Duration,
    engines: Vec<Duration>,
}

impl Times {
    /// Returns those of no round yet.
    fn of(engines: usize) -> Self {
        Self {
            ours: Duration::MAX,
            engines: vec![Duration::MAX; engines],
        }
    }

    /// Prints a line of the table.
    fn print(&self, name: &str, remark: &str) {
        let columns = self.engines.iter().map(|took| {
            let ratio = ratio(self.ours, *took);
            format!("{:>10.2} {ratio:>6.2}", ms(*took))
        });
        let columns = columns.collect::<Vec<_>>().join("  ");
        println!("   {name:<22} {:>10.2}  {columns}  {remark}", ms(self.ours));
    }
}

/// Prints the heads of the table's columns.
fn print_columns(ours: &str, engines: &[&str]) {
    let columns = engines
        .iter()
        .map(|name| format!("{name:>10} {:>6}", "ratio"));
    let columns = columns.collect::<Vec<_>>().join("  ");
    println!("   {:<22} {ours:>10}  {columns}", "ms");
}

fn main() -> Result<()> {
    let rows: u64 = setting("ROWS", 10_000_000)?;
    let rounds: u32 = setting("ROUNDS", 5)?;
    let threads: usize = setting("THREADS", 2)?;
    let year = CityYear::of(rows)?;
    let snapshot = year.snapshot()?;
    let mut engines = engines::all(&year.folder, &snapshot, threads)?;
    let wanted: Vec<Question> = questions(&year)
        .into_iter()
        .filter(|question| is_wanted(question.name))
        .collect();
    if !wanted.is_empty() {
        begin(&format!("questions over {rows} rows"));
        let asked = Asked::new(SharedSnapshot::new(Arc::new(snapshot).into()), threads)?;
        let names: Vec<&str> = engines.iter().map(|engine| engine.name).collect();
        print_columns("meetnet", &names);
        let mut all = Vec::new();
        for question in wanted {
            all.push(measure(&question, &asked, &mut engines, rounds)?);
        }
        summaries("from the rows", &names, &all, Some(AIMS));
    }
    if is_wanted("prepared") {
        prepared::run(&year, &mut engines, rounds)?;
    }
    Ok(())
}

fn ratio(ours: Duration, reference: Duration) -> f64 {
    ours.as_secs_f64() / reference.as_secs_f64()
}

/// Prints what some questions came to, beside each engine and beside the fastest of each question.
fn summaries(of: &str, engines: &[&str], all: &[Times], aims: Option<Aims>) {
    for (position, name) in engines.iter().enumerate() {
        let ratios = all
            .iter()
            .map(|times| ratio(times.ours, times.engines[position]));
        let mean_max = aims
            .filter(|_| *name == "DuckDB")
            .map(|aims| (aims.duckdb, aims.worst));
        summary(of, name, &ratios.collect::<Vec<_>>(), mean_max);
    }
    if engines.len() > 1 {
        let fastest = |times: &Times| times.engines.iter().min().copied().unwrap_or_default();
        let ratios = all.iter().map(|times| ratio(times.ours, fastest(times)));
        let aims = aims.map(|aims| (aims.fastest, aims.worst));
        summary(of, "the faster of them", &ratios.collect::<Vec<_>>(), aims);
    }
}

/// Prints the geometric mean and the worst of ratios, beside what they should be.
fn summary(of: &str, to: &str, ratios: &[f64], aims: Option<(f64, Option<f64>)>) {
    if ratios.is_empty() {
        return;
    }
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    let mean = (logarithms / ratios.len() as f64).exp();
    let worst = ratios.iter().copied().fold(0.0, f64::max);
    let (mean_of, worst_of) = (
        format!("{of}, geometric mean of the ratios to {to}"),
        format!("{of}, the worst ratio to {to}"),
    );
    match aims {
        Some((mean_max, _)) => at_most(&mean_of, mean, "x", mean_max),
        None => figure(&mean_of, mean, "x"),
    }
    match aims.and_then(|(_, worst_max)| worst_max) {
        Some(worst_max) => at_most(&worst_of, worst, "x", worst_max),
        None => figure(&worst_of, worst, "x"),
    }
}

/// Compares the answers to a question, then asks everybody in turns: what slows the machine down slows all of them.
fn measure(
    question: &Question,
    asked: &Asked,
    engines: &mut [Engine],
    rounds: u32,
) -> Result<Times> {
    let answers = tempfile::tempdir()?;
    let answer = answers.path().join("answer.arrow");
    let rows = asked.write(&question.sql, Format::Arrow, &answer)?;
    ensure!(rows > 0, "{} has no answer", question.name);
    for engine in &mut *engines {
        let difference = engine.compare(question.of(engine.name), &answer)?;
        if let Some(difference) = difference {
            bail!("{}, {}: {difference}", question.name, engine.name);
        }
    }
    let csv = answers.path().join("answer.csv");
    let csv = question.as_csv.then_some(csv.as_path());
    let mut times = Times::of(engines.len());
    for _ in 0..rounds.max(1) {
        times.ours = times.ours.min(asked.time(&question.sql, csv)?);
        for (fastest, engine) in times.engines.iter_mut().zip(&mut *engines) {
            let took = engine.time(question.of(engine.name), csv)?;
            *fastest = (*fastest).min(took);
        }
    }
    times.print(question.name, &format!("{rows} rows"));
    Ok(times)
}

/// Our side: the query service over what is committed.
struct Asked {
    service: QueryService,
    runtime: Runtime,
}

impl Asked {
    fn new(snapshot: SharedSnapshot, threads: usize) -> Result<Self> {
        let options = QueryOptions {
            threads,
            row_limit: usize::MAX / 2,
            query_time_max: Duration::from_secs(600),
            // As much as the others may take.
            memory_bytes_max: 4 << 30,
            ..QueryOptions::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            service: QueryService::new(options, snapshot)?,
            runtime,
        })
    }

    /// Returns how long a whole answer takes: as Arrow in memory, or written to a file as CSV.
    fn time(&self, sql: &str, csv: Option<&Path>) -> Result<Duration> {
        let began = Instant::now();
        match csv {
            None => {
                self.runtime.block_on(async {
                    let mut answer = self.service.query(QueryRequest::public(sql)).await?;
                    answer.collect().await
                })?;
            }
            Some(path) => {
                self.write(sql, Format::Csv, path)?;
            }
        }
        Ok(began.elapsed())
    }

    /// Writes an answer to a file; returns its rows.
    fn write(&self, sql: &str, format: Format, path: &Path) -> Result<u64> {
        let mut file = File::create(path)?;
        self.runtime.block_on(async {
            let asked = self.service.query(QueryRequest::public(sql)).await;
            let answer = asked.with_context(|| sql.to_owned())?;
            let tally = answer.tally();
            let mut chunks = encode(answer, format);
            while let Some(chunk) = chunks.try_next().await? {
                file.write_all(&chunk)?;
            }
            anyhow::Ok(tally.rows())
        })
    }
}

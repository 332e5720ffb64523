//! All rows of `air` as CSV and as Arrow, streamed: how fast, and whether memory grows with what has been sent.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use meetnet_benches::city_year::CityYear;
use meetnet_benches::cpu;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{at_least, at_most, begin, rate};

const STATEMENT: &str = "SELECT sensor_id, property, time, value, quality FROM air";
/// No limit is in the way of so many rows.
const LIMITS: &str =
    "[query]\nrow_limit = 1000000000\nquery_time_max = \"10m\"\nanswer_bytes_max = \"1024GiB\"\n";
/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) async fn run(rows: u64) -> Result<()> {
    let year = CityYear::of(rows)?;
    begin(&format!("export of {rows} rows"));
    for (format, aim) in [("csv", 1e6), ("arrow", 3e6)] {
        // Each has a process of its own: what one has taken is not what the other takes.
        let daemon = Daemon::serve(&year.folder, LIMITS).await?;
        let stored = daemon.sql_number("SELECT count(*) FROM air").await?;
        let began = Instant::now();
        let question = [("q", STATEMENT), ("format", format)];
        let answer = daemon.ask("api/v1/sql", &question, None).await?;
        let mut answer = answer.error_for_status()?;
        let mut chunks = Vec::new();
        let mut bytes = 0;
        let mut memory: Vec<(usize, f64)> = Vec::new();
        let mut looked = began;
        while let Some(chunk) = answer.chunk().await? {
            bytes += chunk.len();
            chunks.push(chunk);
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                memory.push((bytes, cpu::resident_mib(daemon.id())));
            }
        }
        let took = began.elapsed();
        let received = match format {
            "csv" => csv_rows(&chunks),
            _ => arrow_rows(chunks)?,
        };
        ensure!(received == stored, "{received} of {stored} rows came");
        at_least(format, rate(stored, took), "rows/s", aim);
        let greatest = |of: fn(usize, usize) -> bool| {
            let looks = memory.iter().filter(|(sent, _)| of(*sent, bytes / 2));
            looks.map(|(_, mib)| *mib).fold(0.0, f64::max)
        };
        let first = greatest(|sent, half| sent < half);
        let second = greatest(|sent, half| sent >= half);
        ensure!(first > 0.0, "set ROWS higher: it took too little time");
        let growth = second / first;
        at_most("memory of the second half, to the first", growth, "x", 1.1);
        let greatest = cpu::resident_max_mib(daemon.id());
        at_most("memory, greatest", greatest, "MiB", 300.0);
    }
    Ok(())
}

/// A line each, but the first; no value has an end of line.
fn csv_rows(chunks: &[Bytes]) -> u64 {
    let ends = |chunk: &Bytes| chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
    chunks.iter().map(ends).sum::<u64>().saturating_sub(1)
}

fn arrow_rows(chunks: Vec<Bytes>) -> Result<u64> {
    let mut decoder = StreamDecoder::new();
    let mut rows = 0;
    for chunk in chunks {
        let mut buffer = Buffer::from(chunk);
        while let Some(batch) = decoder.decode(&mut buffer)? {
            rows += batch.num_rows() as u64;
        }
    }
    decoder.finish()?;
    Ok(rows)
}

//! `meetnet serve` and `meetnet run` as others meet them, over HTTP.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench serve [-- PART…]`; each part's file says
//! what it measures. `ROWS` (10,000,000) are those of the bench `queries`; `SECONDS` (10) of each load.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

mod dashboards;
mod export;
mod ingest;
mod latest;
mod memory;
mod points;
mod start;

use std::time::Duration;

use anyhow::Result;
use meetnet_benches::figures::{is_wanted, setting};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let rows: u64 = setting("ROWS", 10_000_000)?;
    let time = Duration::from_secs(setting("SECONDS", 10)?);
    if is_wanted("dashboards") {
        dashboards::run(rows, time).await?;
    }
    if is_wanted("memory") {
        memory::run(rows, time).await?;
    }
    if is_wanted("latest") {
        latest::run(time).await?;
    }
    if is_wanted("export") {
        export::run(rows).await?;
    }
    if is_wanted("points") {
        points::run(rows).await?;
    }
    if is_wanted("start") {
        start::run().await?;
    }
    if is_wanted("ingest") {
        ingest::run(rows, time).await?;
    }
    Ok(())
}

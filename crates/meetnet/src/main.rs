//! The `meetnet` program: command line, configuration, wiring, telemetry, shutdown, and the demo city.
//!
//! ```text
//! cli ─▶ config ─▶ daemon ─▶ ingest ─▶ lake ─▶ query ─▶ publish
//!          demo ──┘ (broker, simulator, history)
//!        source ──┘ (samples: what they become)
//!      commands ──┘ (compact, vacuum, backup: in a daemon, or alone)
//!      simulate    (load generator: a client of a meetnet, no part of it)
//! ```
//!
//! It holds no data logic: every step of a message's way lives in a library crate, and is put together here.

use std::process::ExitCode;

mod allocator;
mod check;
mod cli;
mod commands;
mod config;
mod daemon;
mod demo;
mod export;
mod failure;
mod part_file;
mod privacy;
mod progress;
mod readable;
mod simulate;
mod source;
mod sql;
mod telemetry;

/// Many small Arrow buffers are made and freed on several threads: the system's allocator costs a tenth of the
/// throughput there and keeps more memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    allocator::keep_little();
    cli::main()
}

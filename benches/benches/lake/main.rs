//! The lake without its pipeline: merging, commits, revisions, look-ups, rows met again, and opening.
//!
//! `cargo bench -p meetnet -p meetnet-benches --bench lake [-- PART…]`; each part's file says what it measures, and
//! which environment variables make it larger. By default each part takes seconds.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

mod commits;
mod compaction;
mod lookup;
mod repoll;
mod revision;

use anyhow::Result;
use meetnet_benches::figures::is_wanted;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One part of the bench.
type Part = fn() -> Result<()>;

fn main() -> Result<()> {
    let parts: [(&str, Part); 6] = [
        ("compaction", compaction::run),
        ("commits", commits::run),
        ("commits-unmerged", commits::run_unmerged),
        ("revision", revision::run),
        ("lookup", lookup::run),
        ("repoll", repoll::run),
    ];
    for (name, run) in parts {
        if is_wanted(name) {
            run()?;
        }
    }
    Ok(())
}

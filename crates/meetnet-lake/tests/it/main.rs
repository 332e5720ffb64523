//! Tests of the lake through its public face, with faults injected below it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skips"
)]

mod backup;
mod city;
mod copied_journal;
mod damage_notes;
mod flag_faults;
mod journal_damage;
mod journal_disk;
mod journal_erase;
mod journal_faults;
mod journal_scene;
mod lake_faults;
mod pages;
mod replaced_files;
mod s3;
mod storage_faults;
mod vacuum_faults;

//! Tests of the lake through its public face, with faults injected below it.

mod backup;
mod journal_damage;
mod journal_faults;
mod storage_faults;

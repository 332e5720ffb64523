//! Tests of the lake through its public face, with faults injected below it.

mod city;
mod journal_damage;
mod journal_faults;
mod lake_faults;
mod storage_faults;

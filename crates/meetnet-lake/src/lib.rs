//! The durable heart: journal, dataset actors with hot rows, Parquet files, table log, snapshots.
//!
//! `ingest -> [journal] -> decode -> quality -> [actors: hot rows -> commit] -> snapshot -> query`
//!
//! What was acknowledged is here, and stays: `journal` holds messages, `actor` decides what becomes of rows, `table` writes
//! them, `lake` drives all tables, and `storage` says where they lie, in a folder or in a bucket. `check`, `scrub` and
//! `repair` look after what is stored, `backup` copies it.
//!
//! It knows nothing of HTTP sources, MQTT or DataFusion.

pub mod backup;
pub mod check;
pub mod committed;
pub mod damage;
pub mod files;
pub mod journal;
pub mod known;
pub mod lake;
pub mod leaks;
pub mod repair;
pub mod scrub;
pub mod snapshot;
pub mod storage;

mod actor;
mod compact;
mod error;
mod hot;
mod keys;
mod sorted;
mod table;
#[cfg(test)]
mod testing;

pub use actor::{
    Applied, ErasedRows, Flag, Lineage, NewFlags, Precedences, Reflagged, Standing, row_keys,
};
pub use error::LakeError;
pub use table::select::Select;

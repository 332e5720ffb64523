//! One dataset's table on disk: the table log, its files, and finding rows in them by key.
//!
//! The log follows the Delta Lake protocol (reader 1, writer 2, no table features), so that pyarrow, Polars, DuckDB
//! and Spark open the folder as it is. The log is ours and not deltalake-core's: docs/decisions/0002-table-log.md.

pub(crate) mod actions;
pub(crate) mod checkpoint;
pub(crate) mod declared;
pub(crate) mod encodings;
pub(crate) mod files;
pub(crate) mod log;
pub(crate) mod lookup;
pub(crate) mod parquet_file;
pub(crate) mod quarantine;
pub(crate) mod read;
pub(crate) mod schema;
pub(crate) mod select;
pub(crate) mod vacuum;

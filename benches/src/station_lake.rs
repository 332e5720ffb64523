//! A lake of weather stations that report once a minute, merged: of a million rows, ten, or a hundred. It is kept, so the
//! benches that ask what a table's size costs share it, and work on copies.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::kept;
use crate::table::{PROPERTIES, Table};

/// Stations of every such lake: in a larger one they have reported for longer.
pub const STATIONS: u32 = 1_000;
/// Part of the folder's name; another number where the rows are others.
const VERSION: u32 = 1;

/// The lake, and for how long its stations have reported.
#[derive(Debug)]
pub struct StationLake {
    folder: PathBuf,
    /// Minutes since [`START_US`](crate::table::START_US); whole hours.
    pub minutes: u32,
}

impl StationLake {
    /// Returns a lake of about `rows` rows of `heat`; makes it where it is not there yet.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn of(rows: u64) -> Result<Self> {
        let hours = rows / (60 * Self::rows_per_minute());
        ensure!(hours > 0, "{rows} rows are less than an hour of stations");
        let minutes = u32::try_from(60 * hours)?;
        let name = format!("stations-{VERSION}-{STATIONS}x{minutes}");
        let folder = kept::lake(&name, |folder| {
            let mut table = Table::open(folder, &["heat"], |limits| limits.compaction = false)?;
            table.fill(STATIONS, minutes)?;
            table.compact()?;
            Ok(())
        })?;
        Ok(Self { folder, minutes })
    }

    /// Rows of one minute.
    pub fn rows_per_minute() -> u64 {
        u64::from(STATIONS) * PROPERTIES.len() as u64
    }

    /// Rows in all.
    pub fn rows(&self) -> u64 {
        u64::from(self.minutes) * Self::rows_per_minute()
    }

    /// Returns a copy of its `heat`.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn copy(&self) -> Result<TempDir> {
        kept::copy(&self.folder, &["heat"])
    }
}

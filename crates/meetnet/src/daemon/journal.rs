//! The journal's options, and what its recovery found.

use meetnet_lake::journal::{JournalOptions, Recovery};
use tracing::error;

use crate::config::JournalConfig;

/// Returns the options for a configured journal.
pub(super) fn options(config: &JournalConfig) -> JournalOptions {
    JournalOptions {
        segment_bytes_max: config.segment_bytes_max,
        journal_bytes_max: config.journal_bytes_max,
        pending_bytes_max: config.pending_bytes_max,
        reserve_bytes: config.reserve_bytes,
        raw_retention: config.raw_retention,
        archive_bytes_max: config.archive_bytes_max,
        aside_bytes_max: config.aside_bytes_max,
        ..JournalOptions::new(&config.dir, &config.archive_dir)
    }
}

/// Says what a person must know. The journal itself has logged each finding; this is the sum, and what to do.
pub(super) fn report(recovery: &Recovery) {
    if !recovery.skipped.is_empty() {
        let bytes: u64 = recovery.skipped.iter().map(|region| region.bytes).sum();
        let kept_aside = recovery
            .skipped
            .iter()
            .filter_map(|region| region.kept_aside.as_ref());
        let kept_aside: Vec<String> = kept_aside.map(|path| path.display().to_string()).collect();
        error!(
            regions = recovery.skipped.len(),
            bytes,
            ?kept_aside,
            "acknowledged messages may be lost: parts of the journal are damaged or gone; what is left of them is kept aside: check the disk"
        );
    }
}

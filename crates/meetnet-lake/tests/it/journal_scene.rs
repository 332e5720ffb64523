//! A small journal in a file system of a test's own, written group by group.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meetnet_lake::journal::{FrameKind, Journal, JournalOptions, NewEnvelope, Recovery};
use meetnet_model::ids::Sequence;
use meetnet_testkit::clock::ManualClock;
use meetnet_testkit::files::FaultyFiles;

const NOW: i64 = 1_700_000_000_000_000;
pub(crate) const DIR: &str = "/city/journal";

pub(crate) fn options(files: &FaultyFiles) -> JournalOptions {
    let clock = ManualClock::new(NOW);
    JournalOptions {
        reserve_bytes: 0,
        clock: clock.function(),
        monotonic_clock: clock.monotonic_function(),
        files: Arc::new(files.clone()),
        background: false,
        ..JournalOptions::new(DIR, "/city/archive")
    }
}

pub(crate) fn open(files: &FaultyFiles) -> (Journal, Recovery) {
    Journal::open(options(files), b"declared").expect("opens")
}

pub(crate) fn append(journal: &Journal, payloads: &[&[u8]]) -> Vec<u64> {
    let append = |payload: &&[u8]| {
        let envelope = NewEnvelope {
            source: "s",
            topic: "t",
            payload,
            ..NewEnvelope::default()
        };
        journal.append(&envelope).expect("taken").sequence.0
    };
    payloads.iter().map(append).collect()
}

/// Sequences and payloads of all envelopes after `after`.
pub(crate) fn read(journal: &Journal, after: u64) -> Vec<(u64, Vec<u8>)> {
    let mut reader = journal.reader(Sequence(after));
    let mut read = Vec::new();
    while let Some(group) = reader.read_group(100).expect("readable") {
        let envelopes = group
            .frames()
            .filter(|frame| frame.kind == FrameKind::Envelope);
        read.extend(envelopes.map(|frame| (frame.sequence.0, frame.payload.to_vec())));
    }
    read
}

pub(crate) fn segments(files: &FaultyFiles) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| {
        path.parent() == Some(Path::new(DIR)) && path.extension().is_some_and(|e| e == "journal")
    };
    files.paths().into_iter().filter(is_segment).collect()
}

/// The envelopes `first`, `second` and `third` (0, 1, 2) of a journal that begins with them.
pub(crate) fn envelopes(numbers: &[usize]) -> Vec<(u64, Vec<u8>)> {
    let payloads = [b"first".to_vec(), b"second".to_vec(), b"third".to_vec()];
    numbers
        .iter()
        .map(|&number| (number as u64 + 2, payloads[number].clone()))
        .collect()
}

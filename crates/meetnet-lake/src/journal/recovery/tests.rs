//! What an opening says of messages that an older version has journalled and not committed.

use std::ops::RangeInclusive;
use std::path::Path;

use super::super::frame::{self, FrameKey, NewEnvelope, Stamp};
use super::super::{Journal, JournalOptions};
use super::*;
use crate::files::DiskFiles;

/// Writes the segments in a folder again, some frames as if version 0 had written them.
fn write_as_older(dir: &Path, key: FrameKey, older: &RangeInclusive<u64>) {
    let files = DiskFiles::PRIVATE;
    for name in segment_names(&files, dir).unwrap() {
        let path = dir.join(name.to_string());
        let handle = files.open(&path).unwrap();
        let content = std::fs::read(&path).unwrap();
        let mut written = content[..HEADER_BYTES].to_vec();
        let mut scanner = Scanner::new(handle, key, HEADER_BYTES as u64, content.len() as u64);
        loop {
            match scanner.next().unwrap() {
                Scanned::End => break,
                Scanned::Frame { encoded, frame, .. } => {
                    if frame.head || !older.contains(&frame.sequence.0) {
                        written.extend_from_slice(encoded);
                        continue;
                    }
                    let stamp = Stamp {
                        kind: frame.kind,
                        head: false,
                        sequence: frame.sequence,
                        recorded_at: frame.recorded_at,
                        clock_step: frame.clock_step,
                        erased: frame.erased,
                        decoder_version: 0,
                        in_group: frame.in_group,
                        original: None,
                    };
                    let envelope = NewEnvelope {
                        source: frame.source,
                        payload: frame.payload,
                        ..NewEnvelope::default()
                    };
                    frame::encode(&mut written, key, &stamp, &envelope);
                }
                other => panic!("{other:?}"),
            }
        }
        std::fs::write(&path, written).unwrap();
    }
}

#[test]
fn uncommitted_messages_of_an_older_version_are_found() {
    // Frame 1 declares, 2 to 6 are messages, 7 is a tick; `older` of them are written as of version 0.
    let check =
        |older: RangeInclusive<u64>, trimmed_through: u64, expect: Option<(u64, u64, u64)>| {
            let folder = tempfile::tempdir().unwrap();
            let (dir, archive) = (folder.path().join("journal"), folder.path().join("archive"));
            let options = JournalOptions {
                reserve_bytes: 0,
                ..JournalOptions::new(&dir, &archive)
            };
            let (journal, _) = Journal::open(options.clone(), b"declared").unwrap();
            for _ in 2..=6 {
                let envelope = NewEnvelope {
                    source: "balcony",
                    payload: b"a message",
                    ..NewEnvelope::default()
                };
                journal.append(&envelope).unwrap();
            }
            let last = journal.append_tick().unwrap();
            journal.wait_durable(last.sequence).unwrap();
            let checkpoint = Checkpoint {
                trimmed_through: Sequence(trimmed_through),
                ..Checkpoint::default()
            };
            journal.checkpoint_and_trim(&checkpoint).unwrap();
            let key = journal.inner.shared.identity.key();
            journal.shutdown().unwrap();
            write_as_older(&dir, key, &older);
            let expect = expect.map(|(first, last, frames)| OlderDecoderTail {
                decoder_version: 0,
                first: Sequence(first),
                last: Sequence(last),
                frames,
            });
            let context = format!("{older:?} after {trimmed_through}");
            // It is said at each start until they are committed.
            for _ in 0..2 {
                let (journal, recovery) = Journal::open(options.clone(), b"declared").unwrap();
                assert_eq!(recovery.older_decoder_tail, expect, "{context}");
                journal.shutdown().unwrap();
            }
        };
    check(2..=4, 0, Some((2, 4, 3)));
    check(2..=7, 3, Some((4, 6, 3)));
    check(2..=4, 4, None);
    check(1..=1, 0, None);
    check(7..=7, 0, None);
    check(8..=8, 0, None);
}

//! Verifying the files of one table: each by itself, the files of a run, then keys across all of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::log::CheckedTable;
use super::report::{FindingKind, Place, Report};
use super::rows::Ends;
use super::{Depth, Verdict, examine, file, keys, rows};
use crate::compact::files_by_run;
use crate::error::LakeError;
use crate::keys::KeyCodec;
use crate::snapshot::LiveFile;
use crate::table::files::Partition;
use crate::table::log::TableLog;
use crate::table::quarantine::QUARANTINE_FOLDER;

/// Verifies the files that the log of `table` named when it was read.
pub(super) fn check(
    table: &CheckedTable,
    depth: Depth,
    report: &mut Report,
) -> Result<(), LakeError> {
    let folder = table.log.folder().clone();
    let declaration = Arc::clone(&table.declaration);
    let codec = Arc::new(KeyCodec::new(&declaration)?);
    report.counts.quarantined += folder.list(QUARANTINE_FOLDER)?.len() as u64;
    let mut sound = Vec::new();
    let mut ends: HashMap<Arc<str>, Ends> = HashMap::new();
    for live in &table.files {
        report.counts.files += 1;
        report.counts.rows += live.rows;
        let footer = match examine(&folder, &declaration, live, depth) {
            Verdict::Sound(footer) => footer,
            Verdict::Broken(damage) => {
                if table.names_still(live) {
                    file::report_damage(damage, &declaration, live, report);
                }
                continue;
            }
            Verdict::Unknown(error) => {
                file::report_unknown(&error, &declaration, live, report);
                continue;
            }
        };
        let fits = file::check_footer(&footer, &declaration, live, report);
        if depth == Depth::Quick || !fits {
            continue;
        }
        report.counts.bytes += live.bytes;
        match rows::check(&folder, &declaration, &codec, live, report) {
            Ok(found) => {
                ends.extend(found.map(|found| (Arc::clone(&live.path), found)));
                sound.push(Arc::clone(live));
            }
            Err(error) if table.names_still(live) => {
                file::report_unknown(&error, &declaration, live, report);
            }
            Err(_) => {}
        }
    }
    check_runs(table, &sound, &ends, report);
    loop {
        let merged = keys::check(&folder, &declaration, &codec, &sound, report);
        let before = sound.len();
        if merged.is_err() {
            // A file that goes while it is merged was replaced: what is still live is merged once more.
            sound.retain(|file| table.names_still(file));
        }
        if sound.len() == before {
            return merged;
        }
    }
}

impl CheckedTable {
    /// Whether the newest version of the log still names a file: a daemon may have replaced it since, and a vacuum
    /// removed it.
    fn names_still(&self, file: &LiveFile) -> bool {
        // Read anew, not on: a vacuum may have cut off what came next. Where that fails, what was read counts.
        let newest = TableLog::open(self.log.folder()).ok().flatten();
        newest.is_none_or(|log| log.is_live(&file.path))
    }
}

/// Files of a run do not overlap; look-ups and merges rely on it.
fn check_runs(
    table: &CheckedTable,
    sound: &[Arc<LiveFile>],
    ends: &HashMap<Arc<str>, Ends>,
    report: &mut Report,
) {
    for files in sound.chunk_by(|a, b| Partition::of(a) == Partition::of(b)) {
        for run in files_by_run(files) {
            for pair in run.windows(2) {
                let of = |file: &LiveFile| ends.get(&file.path);
                let (Some(before), Some(after)) = (of(&pair[0]), of(&pair[1])) else {
                    continue;
                };
                if before.last > after.first {
                    report.add(
                        FindingKind::RunOverlap,
                        Place::table(&table.dataset, Some(&pair[1].path)),
                        format!("it begins with a key before the last of {}", pair[0].path),
                        "report it: merging the two would write rows out of order",
                    );
                }
            }
        }
    }
}

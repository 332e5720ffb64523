//! Which runs to merge. Runs of about the same size are merged when there are enough of them, so a row is written again
//! once per size class, and the number of runs grows with the logarithm of the partition; a partition that nothing has
//! been added to for a while becomes one run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::merge::batch_rows;
use crate::snapshot::LiveFile;
use crate::table::files::Partition;

/// Runs of one size class that are merged into one of the next.
const FANOUT: usize = 8;
/// Bytes of the lowest class. Were it larger than what a commit writes, small runs would be merged with what they have
/// just been merged into, again and again.
const CLASS_BYTES: u64 = 4 << 10;
/// Runs merged at once: each holds a file open, a batch in memory, and what inflates each of its columns, a megabyte and more.
const RUNS_MAX: usize = 64;
/// The same beside messages that arrive: to take more would only take memory from them.
const STEADY_RUNS_MAX: usize = 2 * FANOUT;
/// Memory that the runs of one merge are decoded from: their pages and, beside messages, what inflates them. Were it not limited,
/// merges that have fallen behind the commits would take ever more runs at once. The longest runs are [`FANOUT`] then: with
/// fewer, what is merged would stay in its size class, and be merged again and again.
const RUNS_BYTES_MAX: u64 = 36 << 20;
/// Rows of a row group: a page of a common column is as long.
const GROUP_ROWS: u64 = 262_144;
/// Memory of a row in the pages of a run: its receive time, as it is and compressed, and the codes of the other columns.
const PAGE_ROW_BYTES: u64 = 11;
/// Memory of what inflates the columns of a run, however short it is.
const INFLATE_BYTES: u64 = 1_300 << 10;
/// Memory of a row that has been decoded, with its key.
const BATCH_ROW_BYTES: u64 = 165;
/// Memory of a row in the row group being written: codes and levels of its columns, and their pages.
const WRITTEN_ROW_BYTES: u64 = 60;
/// A partition that got no new run for this long is done with, and becomes one run.
const QUIET_MS: i64 = 3_600_000;

/// How much is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What keeps the number of runs bounded where something else is more urgent.
    Least,
    /// What keeps it small.
    Steady,
    /// One run per partition.
    Full,
}

/// Runs of one partition that are to become one; oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) partition: Partition,
    pub(crate) runs: Vec<Vec<Arc<LiveFile>>>,
}

impl Choice {
    /// Returns all input files.
    pub(crate) fn files(&self) -> Vec<Arc<LiveFile>> {
        self.runs.iter().flatten().cloned().collect()
    }

    /// Memory that the merge holds while it runs, about, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let of_runs = self.runs.iter().map(|files| run_bytes(files));
        let rows: u64 = self.runs.iter().flatten().map(|file| file.rows).sum();
        let decoded = self.runs.len() * batch_rows(self.runs.len());
        of_runs.sum::<u64>()
            + rows.min(decoded as u64) * BATCH_ROW_BYTES
            + rows.min(GROUP_ROWS) * WRITTEN_ROW_BYTES
    }
}

/// Returns the merge that is most wanted among `files` (sorted by partition), if any. `now_ms` is ms since 1970.
pub(crate) fn choose(files: &[Arc<LiveFile>], effort: Effort, now_ms: i64) -> Option<Choice> {
    let partitions = files.chunk_by(|a, b| {
        (&a.licence, a.superseded, &a.period) == (&b.licence, b.superseded, &b.period)
    });
    partitions
        .filter_map(|files| {
            let runs = runs_of(files);
            let waiting = runs.len();
            let choice = Choice {
                partition: Partition::of(files.first()?),
                runs: runs_to_merge(runs, effort, now_ms)?,
            };
            Some((waiting, choice))
        })
        // What takes most runs away comes first; where several take as many as one merge may, the one that has most, or none
        // of the others would ever have its turn.
        .max_by_key(|(waiting, choice)| (choice.runs.len(), *waiting))
        .map(|(_, choice)| choice)
}

/// A run: its files in key order, its length and its age.
#[derive(Debug)]
struct Run {
    files: Vec<Arc<LiveFile>>,
    bytes: u64,
    committed_at_ms: i64,
}

/// Returns the files of one partition by run, each in key order; runs by name.
pub(crate) fn files_by_run(files: &[Arc<LiveFile>]) -> Vec<Vec<Arc<LiveFile>>> {
    let mut by_name: BTreeMap<&str, Vec<Arc<LiveFile>>> = BTreeMap::new();
    for file in files {
        by_name.entry(&file.run).or_default().push(Arc::clone(file));
    }
    let mut runs: Vec<_> = by_name.into_values().collect();
    for files in &mut runs {
        // A part that was cut in two when it was written again has its pieces in the order of their names.
        files.sort_by(|a, b| (a.part, &a.path).cmp(&(b.part, &b.path)));
    }
    runs
}

fn runs_of(files: &[Arc<LiveFile>]) -> Vec<Run> {
    let mut runs: Vec<Run> = files_by_run(files)
        .into_iter()
        .map(|files| Run {
            bytes: files.iter().map(|file| file.bytes).sum(),
            committed_at_ms: files.iter().map(|f| f.committed_at_ms).max().unwrap_or(0),
            files,
        })
        .collect();
    // Equal keys, which only superseded rows have, stay in the order of their commits.
    runs.sort_by_key(|run| run.committed_at_ms);
    runs
}

fn runs_to_merge(runs: Vec<Run>, effort: Effort, now_ms: i64) -> Option<Vec<Vec<Arc<LiveFile>>>> {
    if runs.len() < 2 {
        return None;
    }
    let newest = runs.iter().map(|run| run.committed_at_ms).max()?;
    let (everything, enough, most) = match effort {
        Effort::Least => (false, RUNS_MAX, RUNS_MAX),
        Effort::Steady => (newest < now_ms - QUIET_MS, FANOUT, STEADY_RUNS_MAX),
        Effort::Full => (true, FANOUT, RUNS_MAX),
    };
    let bytes: fn(&Run) -> u64 = match effort {
        Effort::Steady if !everything => |run: &Run| run_bytes(&run.files),
        _ => |run: &Run| page_bytes(&run.files),
    };
    let chosen: Vec<Run> = if everything {
        smallest(runs, RUNS_MAX, bytes)
    } else {
        let mut classes: BTreeMap<u32, Vec<Run>> = BTreeMap::new();
        for run in runs {
            classes.entry(size_class(run.bytes)).or_default().push(run);
        }
        let full = classes.into_values().find(|runs| runs.len() >= enough)?;
        smallest(full, most, bytes)
    };
    Some(chosen.into_iter().map(|run| run.files).collect())
}

/// Returns the smallest runs, as many as can be merged at once, `runs_max` of them at most, oldest first. `bytes`: what one
/// takes of the memory for them.
fn smallest(mut runs: Vec<Run>, runs_max: usize, bytes: fn(&Run) -> u64) -> Vec<Run> {
    let of_all: u64 = runs.iter().map(bytes).sum();
    if runs.len() > runs_max || of_all > RUNS_BYTES_MAX {
        runs.sort_by_key(|run| run.bytes);
        runs.truncate(runs_max);
        let mut taken = 0;
        let fitting = runs.iter().take_while(|run| {
            taken += bytes(run);
            taken <= RUNS_BYTES_MAX
        });
        let fitting = fitting.count();
        runs.truncate(fitting);
        runs.sort_by_key(|run| run.committed_at_ms);
    }
    runs
}

/// Memory of the pages that a run is decoded from: those of one row group of one file.
fn page_bytes(files: &[Arc<LiveFile>]) -> u64 {
    let rows = files.iter().map(|file| file.rows).max();
    rows.unwrap_or(0).min(GROUP_ROWS) * PAGE_ROW_BYTES
}

/// Memory of a run that is being decoded, without its rows.
fn run_bytes(files: &[Arc<LiveFile>]) -> u64 {
    page_bytes(files) + INFLATE_BYTES
}

fn size_class(bytes: u64) -> u32 {
    (bytes / CLASS_BYTES).max(1).ilog2() / FANOUT.ilog2()
}

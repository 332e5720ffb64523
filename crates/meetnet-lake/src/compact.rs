//! Compaction: the many sorted runs that commits leave in a partition become few, and in the end one.
//!
//! ```text
//! live files -> choose (policy) -> MergeJob::run (thread of its own) -> files -> actor: replace, if all inputs are live
//! ```
//!
//! A run is a set of files of one partition that do not overlap in their keys: what one commit wrote, or one merge.
//! Merging reads each row and decides nothing about it: masks set meanwhile are found again in the new files by key.

mod merge;
mod policy;
#[cfg(test)]
mod tests;

pub(crate) use merge::{Batches, Merge, MergeInput, MergeJob, MergeOutcome};
pub(crate) use policy::{Effort, choose, files_by_run};

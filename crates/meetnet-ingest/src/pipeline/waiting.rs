//! Rows that cannot be compared with what is stored, because a file cannot be read: they wait in memory, in order, and
//! with them all later rows of their dataset. Other datasets go on.
//!
//! Nothing is lost where the process ends: the journal keeps their frames until they are applied and committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meetnet_lake::lake::Lake;
use meetnet_lake::{Applied, LakeError, Lineage, Precedences};
use meetnet_model::ids::DatasetId;
use meetnet_model::rows::DatasetRows;
use meetnet_quality::series::SeriesFlags;
use meetnet_quality::{QualityRules, RowFacts};
use tracing::{error, info, warn};

/// First pause before rows are tried again; doubled with each failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause: a file that was repaired is noticed this late.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Decoded rows of one dataset, with everything that applying them needs.
#[derive(Clone)]
pub(super) struct DecodedRows {
    pub(super) rows: DatasetRows,
    /// By envelope position.
    pub(super) lineage: Arc<[Lineage]>,
    /// Per row: whether its time is a receive time that may be wrong. Empty where none is.
    pub(super) clock_steps: Vec<bool>,
    /// Per row: what the tests by earlier rows say. Empty where the dataset has none.
    pub(super) series: Vec<SeriesFlags>,
    pub(super) rules: Arc<QualityRules>,
    /// As they were in force when the rows were decoded.
    pub(super) precedences: Precedences,
}

impl DecodedRows {
    /// Applies the rows. Where that fails because stored rows cannot be read, nothing has changed.
    pub(super) fn apply(&self, lake: &mut Lake) -> Result<Applied, LakeError> {
        let flag = &mut |declaration: &_, batch: &_, positions: &[u32]| {
            let clock_steps = at_positions(&self.clock_steps, positions);
            let envelopes = positions
                .iter()
                .map(|row| self.rows.envelopes[*row as usize]);
            let received_at: Vec<i64> = envelopes
                .map(|envelope| self.lineage[envelope as usize].received_at)
                .collect();
            let series = at_positions(&self.series, positions);
            let facts = RowFacts {
                clock_steps: &clock_steps,
                received_at: &received_at,
                series: &series,
            };
            self.rules.flag(declaration, batch, facts)
        };
        lake.set_precedences(&self.rows.declaration.id, &self.precedences);
        lake.apply(&self.rows, &self.lineage, flag)
    }

    fn bytes(&self) -> usize {
        let lineage = self.lineage.len() * size_of::<Lineage>();
        let series = self.series.len() * size_of::<SeriesFlags>();
        self.rows.batch.get_array_memory_size() + 4 * self.rows.envelopes.len() + lineage + series
    }
}

/// Returns what a list by row has of the rows at these positions; nothing where it is empty.
fn at_positions<T: Copy>(by_row: &[T], positions: &[u32]) -> Vec<T> {
    if by_row.is_empty() {
        return Vec::new();
    }
    let of_rows = positions.iter().map(|row| by_row[*row as usize]);
    of_rows.collect()
}

/// The rows of one dataset that wait.
struct Queue {
    rows: VecDeque<DecodedRows>,
    failures: u32,
    retry_at: Instant,
}

/// Rows that wait, by dataset.
#[derive(Default)]
pub(super) struct WaitingRows {
    queues: BTreeMap<DatasetId, Queue>,
    bytes: usize,
}

impl WaitingRows {
    /// Memory of the rows, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Applies rows, or lets them wait: behind those of their dataset that do already, or because of `Err` in reading.
    ///
    /// # Errors
    /// Any other error of applying them.
    pub(super) fn apply(
        &mut self,
        lake: &mut Lake,
        rows: DecodedRows,
    ) -> Result<Applied, LakeError> {
        let id = rows.rows.declaration.id.clone();
        if let Some(queue) = self.queues.get_mut(&id) {
            self.bytes += rows.bytes();
            queue.rows.push_back(rows);
            return Ok(Applied::default());
        }
        match rows.apply(lake) {
            Err(error) if error.is_of_reading() => {
                let cause = &error as &dyn std::error::Error;
                if error.needs_a_person() {
                    error!(dataset = %id, error = cause, "rows of a dataset wait: what is stored of them cannot be read");
                } else {
                    warn!(dataset = %id, error = cause, "rows of a dataset wait: what is stored of them cannot be read now");
                }
                metrics::gauge!("meetnet_dataset_waiting", "dataset" => id.to_string()).set(1.0);
                lake.hold(&rows.rows, &rows.lineage);
                self.bytes += rows.bytes();
                let queue = Queue {
                    rows: VecDeque::from([rows]),
                    failures: 1,
                    retry_at: lake.now() + RETRY_PAUSE,
                };
                self.queues.insert(id, queue);
                Ok(Applied::default())
            }
            applied => applied,
        }
    }

    /// Tries the rows again whose time has come; returns what has been applied, by dataset.
    ///
    /// # Errors
    /// As [`WaitingRows::apply`].
    pub(super) fn retry(
        &mut self,
        lake: &mut Lake,
    ) -> Result<Vec<(DatasetId, Applied)>, LakeError> {
        let now = lake.now();
        let mut applied = Vec::new();
        for (id, queue) in &mut self.queues {
            if now < queue.retry_at {
                continue;
            }
            while let Some(rows) = queue.rows.front() {
                match rows.apply(lake) {
                    Ok(of_rows) => applied.push((id.clone(), of_rows)),
                    Err(error) if error.is_of_reading() => {
                        let pause = RETRY_PAUSE * 2_u32.saturating_pow(queue.failures.min(8));
                        queue.failures += 1;
                        queue.retry_at = now + pause.min(RETRY_PAUSE_MAX);
                        lake.hold(&rows.rows, &rows.lineage);
                        break;
                    }
                    Err(error) => return Err(error),
                }
                self.bytes -= rows.bytes();
                queue.rows.pop_front();
            }
        }
        self.queues.retain(|id, queue| {
            let waits = !queue.rows.is_empty();
            if !waits {
                info!(dataset = %id, failures = queue.failures, "rows of a dataset wait no more");
                metrics::gauge!("meetnet_dataset_waiting", "dataset" => id.to_string()).set(0.0);
                lake.release(id);
            }
            waits
        });
        Ok(applied)
    }

    /// Returns true where rows of a dataset wait.
    pub(super) fn holds(&self, dataset: &DatasetId) -> bool {
        self.queues.contains_key(dataset)
    }
}

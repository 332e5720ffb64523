//! The year of history: made on one thread, imported on another, resumed where it stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, anyhow};
use meetnet_demo::{History, HistoryChunk};
use meetnet_ingest::pipeline::{ImportChunk, PipelineCommands};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::rows::DatasetRows;

use crate::daemon::StopSignal;

/// Chunks that wait for the pipeline: enough that neither side waits, and some 60 MB at most.
const CHUNKS_WAITING_MAX: usize = 2;

/// Rows per `source/dataset`.
pub(super) type Totals = BTreeMap<String, u64>;

/// What became of the history.
#[derive(Debug)]
pub(super) enum Loaded {
    /// All of it had been imported before.
    Present,
    /// The user stopped it; the next start goes on.
    Stopped,
    /// It is complete now.
    Now {
        /// Rows imported by this call.
        rows: u64,
        /// Rows of all of it.
        totals: Totals,
    },
}

/// Imports what is missing. `complete` are the totals that an earlier call ended with; where the tables agree, nothing
/// is made at all.
///
/// # Errors
/// Where a chunk cannot be imported.
pub(super) fn load(
    history: &History,
    declarations: &Declarations,
    commands: &PipelineCommands,
    prefix: &str,
    complete: Option<&Totals>,
    stop: &StopSignal,
) -> anyhow::Result<Loaded> {
    if let Some(totals) = complete
        && is_present(totals, commands, prefix)?
    {
        return Ok(Loaded::Present);
    }
    let places = history
        .places(declarations)
        .context("failed to make the places")?;
    std::thread::scope(|scope| {
        let (sender, chunks) = sync_channel::<HistoryChunk>(CHUNKS_WAITING_MAX);
        let maker = std::thread::Builder::new()
            .name("demo-history".to_owned())
            .spawn_scoped(scope, move || {
                // Whoever stops importing drops the receiver, and the rest is not made.
                places
                    .into_iter()
                    .chain(history.chunks())
                    .try_for_each(|chunk| sender.send(chunk))
            })
            .context("failed to start a thread")?;
        let mut rows = 0;
        let mut totals = Totals::new();
        let mut is_stopped = false;
        for chunk in &chunks {
            if stop.is_stopped() {
                is_stopped = true;
                break;
            }
            rows += import(chunk, commands, prefix, &mut totals)?;
        }
        drop(chunks);
        // Sending fails only where importing stopped.
        let made = maker
            .join()
            .map_err(|_| anyhow!("the thread that makes the history panicked"))?;
        if is_stopped || made.is_err() {
            return Ok(Loaded::Stopped);
        }
        Ok(Loaded::Now { rows, totals })
    })
}

/// Imports a chunk, unless an earlier call did; returns the rows imported.
fn import(
    chunk: HistoryChunk,
    commands: &PipelineCommands,
    prefix: &str,
    totals: &mut Totals,
) -> anyhow::Result<u64> {
    let dataset = chunk.declaration.id.clone();
    let import_id = format!("{prefix}-{}", chunk.source);
    let rows = chunk.batch.num_rows() as u64;
    let consumed = totals
        .entry(format!("{}/{dataset}", chunk.source))
        .or_default();
    *consumed += rows;
    let position = commands.import_position(&dataset, &import_id)?.unwrap_or(0);
    if rows == 0 || position >= *consumed {
        return Ok(0);
    }
    let chunk = ImportChunk {
        import_id,
        consumed: *consumed,
        rows: DatasetRows {
            declaration: Arc::clone(&chunk.declaration),
            batch: chunk.batch,
            envelopes: Vec::new(),
            timeless: Vec::new(),
        },
        source: chunk.source,
        licence: chunk.licence,
        received_at: None,
    };
    commands
        .import(chunk)
        .with_context(|| format!("failed to import history into `{dataset}`"))?;
    Ok(rows)
}

/// Returns true where every table has consumed all of its history.
fn is_present(totals: &Totals, commands: &PipelineCommands, prefix: &str) -> anyhow::Result<bool> {
    for (name, total) in totals {
        let Some((source, dataset)) = name.split_once('/') else {
            return Ok(false);
        };
        let import_id = format!("{prefix}-{source}");
        let position = commands.import_position(&DatasetId::new(dataset), &import_id)?;
        if position.unwrap_or(0) < *total {
            return Ok(false);
        }
    }
    Ok(!totals.is_empty())
}

//! What keeps an eye on the running parts: readiness, gauges, and the figures of the operations page.

use std::sync::Arc;
use std::time::Duration;

use meetnet_ingest::status::Statuses;
use meetnet_lake::journal::Journal;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceKind;
use meetnet_publish::{JournalStatus, OperationsStatus, Readiness, RejectCount, SourceRow};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;
use tracing::info;

use super::write_side::Opened;

/// How often the parts are looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// Rounds between two clean-ups of the metrics recorder, whose histograms would grow without them.
const UPKEEP_ROUNDS: u32 = 20;

/// Starts the task; it runs until it is aborted.
pub(super) fn start(
    metrics: PrometheusHandle,
    statuses: Statuses,
    readiness: Readiness,
    journal: Option<Journal>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut was_ready = false;
        for round in 0_u32.. {
            for status in statuses.read() {
                if status.kind != SourceKind::Mqtt {
                    continue;
                }
                match (status.subscribed, status.connected) {
                    (true, true) => readiness.subscribed(&status.source),
                    (_, false) => readiness.disconnected(&status.source),
                    (false, true) => {}
                }
            }
            if !was_ready && readiness.report().ready {
                was_ready = true;
                info!("ready");
            }
            if let Some(journal) = &journal {
                let (durable, _) = journal.durable();
                metrics::gauge!("meetnet_journal_bytes").set(journal.bytes() as f64);
                metrics::gauge!("meetnet_journal_durable_sequence").set(durable.0 as f64);
                readiness.journal_disk_full(journal.is_disk_full());
            }
            if round % UPKEEP_ROUNDS == 0 {
                metrics.run_upkeep();
            }
            tokio::time::sleep(PERIOD).await;
        }
    })
}

/// Returns what the operations page asks for.
pub(super) fn operations(
    statuses: &Statuses,
    opened: &Opened,
) -> Arc<dyn Fn() -> OperationsStatus + Send + Sync> {
    let statuses = statuses.clone();
    let journal = opened.journal.clone();
    let rejects = opened.pipeline.rejects();
    Arc::new(move || {
        let counts = rejects.read();
        let of_source = |id: &meetnet_model::ids::SourceId| {
            counts
                .iter()
                .filter(|((source, _), _)| source == id)
                .map(|(_, total)| total)
                .sum()
        };
        let sources = statuses
            .read()
            .into_iter()
            .map(|status| SourceRow {
                connected: (status.kind != SourceKind::Http).then_some(status.connected),
                kind: status.kind,
                messages_total: status.messages_total,
                last_message_at: status.last_message_at,
                rejects_total: of_source(&status.source),
                last_error: status.last_error.map(|note| note.message),
                id: status.source,
            })
            .collect();
        let of_reason = |reason: RejectReason| {
            counts
                .iter()
                .filter(|((_, of), _)| *of == reason)
                .map(|(_, total)| total)
                .sum()
        };
        let (durable, _) = journal.durable();
        OperationsStatus {
            sources,
            // What was given and not yet synced is a matter of milliseconds.
            journal: JournalStatus {
                bytes: journal.bytes(),
                last: durable,
                durable,
            },
            rejects: RejectReason::ALL
                .into_iter()
                .map(|reason| RejectCount {
                    reason,
                    total: of_reason(reason),
                })
                .collect(),
        }
    })
}

//! What each metric means, as `/metrics` says it, and the counters that are there before there is anything to count.
//!
//! A counter that appears with its first event shows no increase at it, so that an alert on the increase says nothing of the
//! first failure. Those whose labels are known from the start begin at 0 instead.

use meetnet_model::declarations::DECODER_VERSION;

use crate::config::Config;
use crate::daemon::Role;

/// Counters and what they count. No text begins with a number, or a search for a value would find it.
const COUNTERS: &[(&str, &str)] = &[
    (
        "meetnet_audit_lines_left_out_total",
        "Lines of the audit log that were not written, by reason",
    ),
    (
        "meetnet_clock_steps_total",
        "Steps of the system's clock, by direction",
    ),
    (
        "meetnet_commit_failures_total",
        "Failed attempts to commit a dataset",
    ),
    ("meetnet_commits_total", "Commits to the table of a dataset"),
    (
        "meetnet_derived_rows_total",
        "Rows of a derived dataset that were computed",
    ),
    (
        "meetnet_derived_withheld_total",
        "Rows of a derived dataset that were withheld because the licences of their input do not go together",
    ),
    (
        "meetnet_erasure_failures_total",
        "Erasures that failed and are tried again",
    ),
    ("meetnet_erasures_total", "Erasures that are complete"),
    (
        "meetnet_flight_connections_refused_total",
        "Flight SQL connections that were closed because their client has as many as one may",
    ),
    (
        "meetnet_flight_connections_total",
        "Flight SQL connections that were accepted",
    ),
    (
        "meetnet_flight_errors_total",
        "Errors that Flight SQL clients were told, by code",
    ),
    (
        "meetnet_flight_logins_failed_total",
        "Wrong passwords of Flight SQL clients",
    ),
    (
        "meetnet_http_bodies_aborted_total",
        "Answers that broke off on the way",
    ),
    (
        "meetnet_http_connections_refused_total",
        "Connections to the public listener that were closed because their client has as many as one may",
    ),
    (
        "meetnet_http_requests_total",
        "Requests to the public and the admin listener, by route and status",
    ),
    (
        "meetnet_journal_archive_dropped_total",
        "Files of the raw archive that went before their time",
    ),
    (
        "meetnet_journal_aside_dropped_total",
        "Copies of damaged parts of the journal that went for want of space",
    ),
    (
        "meetnet_journal_frames_total",
        "Frames that were written to the journal",
    ),
    (
        "meetnet_journal_full_total",
        "Messages that the journal refused, by the limit that was reached",
    ),
    (
        "meetnet_journal_read_damage_total",
        "Damage that was met while the journal was read",
    ),
    (
        "meetnet_journal_skipped_regions_total",
        "Damaged regions of the journal that were passed over at a start",
    ),
    (
        "meetnet_journal_write_failures_total",
        "Writes or syncs of the journal that failed",
    ),
    (
        "meetnet_journal_written_bytes_total",
        "Bytes that were written to the journal",
    ),
    (
        "meetnet_merges_given_up_total",
        "Merges of files of a dataset that failed or came too late",
    ),
    ("meetnet_merges_total", "Merges of files of a dataset"),
    (
        "meetnet_messages_ignored_total",
        "Messages of a source that carry no observation by their kind",
    ),
    (
        "meetnet_pg_connections_total",
        "PostgreSQL connections, by what became of them",
    ),
    (
        "meetnet_pg_errors_total",
        "Errors that PostgreSQL clients were told, by SQLSTATE",
    ),
    (
        "meetnet_pg_logins_failed_total",
        "Wrong passwords of PostgreSQL clients",
    ),
    (
        "meetnet_pushes_unclaimed_total",
        "Pushes to a path that devices have built in, which no source took, by format",
    ),
    (
        "meetnet_quality_revised_total",
        "Rows of a dataset that were given another quality flag later",
    ),
    (
        "meetnet_quality_rows_untested_total",
        "Rows of series of a dataset beyond those whose newest values are remembered",
    ),
    ("meetnet_queries_total", "Queries, by result"),
    (
        "meetnet_rejects_total",
        "Messages of a source, or parts of them, that became no row, by reason",
    ),
    (
        "meetnet_result_cache_total",
        "Questions whose answer was kept (hit) or not (miss)",
    ),
    (
        "meetnet_rows_past_retention_total",
        "Rows that came after the retention of their dataset had dropped their period, and were dropped with the next look",
    ),
    (
        "meetnet_rows_total",
        "Rows of a dataset, by what became of them",
    ),
    (
        "meetnet_s3_requests_total",
        "Requests to the object store, by method and outcome",
    ),
    (
        "meetnet_scrub_bytes_total",
        "Bytes of files that were compared with their hash while they were in use",
    ),
    (
        "meetnet_scrub_files_total",
        "Files that were compared with their hash while they were in use",
    ),
    (
        "meetnet_scrub_unread_total",
        "Files that could not be read when they were to be compared with their hash",
    ),
    (
        "meetnet_source_acked_total",
        "Messages of a source that were acknowledged after the sync",
    ),
    (
        "meetnet_source_broker_dropped_total",
        "Messages of a source that its broker says to have dropped",
    ),
    (
        "meetnet_source_bytes_total",
        "Bytes of the messages of a source",
    ),
    (
        "meetnet_source_duplicates_dropped_total",
        "Messages of a source that had come before",
    ),
    (
        "meetnet_source_lost_total",
        "Messages of a source that were lost before they were in the journal",
    ),
    ("meetnet_source_messages_total", "Messages of a source"),
    (
        "meetnet_source_oversized_total",
        "Messages of a source that are larger than it allows",
    ),
    (
        "meetnet_source_poll_failures_total",
        "Questions to a polled API that were not answered",
    ),
    ("meetnet_source_polls_total", "Questions to a polled API"),
    (
        "meetnet_source_reconnects_total",
        "Connections of a source after its first",
    ),
    (
        "meetnet_source_redelivered_total",
        "Messages of a source that its broker sent again",
    ),
    (
        "meetnet_source_refused_total",
        "Pushes to a source that were turned away, and questions that an API refused",
    ),
    (
        "meetnet_source_retained_ignored_total",
        "Retained messages of a source that were not taken",
    ),
    (
        "meetnet_vacuumed_bytes_total",
        "Bytes of files that were removed",
    ),
];

/// Gauges and what they show.
const GAUGES: &[(&str, &str)] = &[
    (
        "meetnet_build_info",
        "Always one; the labels say which version this is",
    ),
    (
        "meetnet_clock_step",
        "Whether the system's clock is not to be believed",
    ),
    (
        "meetnet_commit_failing",
        "Whether commits of a dataset fail",
    ),
    (
        "meetnet_config_refused",
        "Whether the configuration on disk is refused and an earlier one is in force",
    ),
    (
        "meetnet_damaged_files",
        "Live files that are known to be damaged: their rows are not answered",
    ),
    (
        "meetnet_dataset_waiting",
        "Whether rows of a dataset wait for a file that cannot be read",
    ),
    (
        "meetnet_derive_failing",
        "Whether a derived dataset cannot be brought up to its input",
    ),
    (
        "meetnet_derive_waiting",
        "Intervals, of a sensor or a cell each, that late rows are coming for",
    ),
    (
        "meetnet_disk_free_bytes",
        "Space left on the disk of a folder",
    ),
    (
        "meetnet_disk_low",
        "Whether less space is left on the disk of a folder than there should be",
    ),
    (
        "meetnet_flight_connections",
        "Open connections of the Flight SQL listener",
    ),
    ("meetnet_journal_archive_bytes", "Size of the raw archive"),
    (
        "meetnet_journal_bytes",
        "Size of the journal without its archive",
    ),
    (
        "meetnet_journal_disk_full",
        "Whether messages are refused for want of space",
    ),
    (
        "meetnet_journal_durable_sequence",
        "Newest sequence of the journal that is on disk",
    ),
    (
        "meetnet_journal_pending_bytes",
        "Bytes that wait for their sync",
    ),
    ("meetnet_lake_reachable", "Whether the tables can be read"),
    (
        "meetnet_pg_connections",
        "Open connections of the PostgreSQL listener",
    ),
    (
        "meetnet_quality_series",
        "Series of a dataset whose newest values the quality tests remember",
    ),
    (
        "meetnet_result_cache_bytes",
        "Size of the answers that are kept",
    ),
    (
        "meetnet_retention_waiting_rows",
        "Rows of a dataset that a shorter retention drops once its grace is over",
    ),
    (
        "meetnet_scrub_round_end_seconds",
        "Unix time at which all files had last been compared with their hashes",
    ),
    (
        "meetnet_source_connected",
        "Whether the broker of a source has us, or its API answers; not there before it was asked",
    ),
    (
        "meetnet_source_hardware_ids_bare",
        "Whether sensor ids of a source look like hardware addresses and are published as they are",
    ),
    (
        "meetnet_source_lag_seconds",
        "How long ago the newest observation of a source ended",
    ),
    (
        "meetnet_source_silent",
        "Whether a source has said nothing for longer than it may",
    ),
    (
        "meetnet_source_targets_failing",
        "Targets of a polled source that do not answer",
    ),
    (
        "meetnet_source_unacked",
        "Messages of a broker on their way into the journal",
    ),
];

/// Durations.
const HISTOGRAMS: &[(&str, &str)] = &[
    (
        "meetnet_http_request_seconds",
        "Time to the head of an answer, by route",
    ),
    (
        "meetnet_journal_sync_seconds",
        "Time of a sync of the journal",
    ),
    ("meetnet_query_seconds", "Time of a query, with waiting"),
];

/// Counters of the side that writes, with the values of their label; without one there is one counter.
const WRITING: &[(&str, &str, &[&str])] = &[
    ("meetnet_clock_steps_total", "direction", &["ahead", "back"]),
    ("meetnet_erasure_failures_total", "", &[]),
    ("meetnet_erasures_total", "", &[]),
    ("meetnet_journal_archive_dropped_total", "", &[]),
    ("meetnet_journal_aside_dropped_total", "", &[]),
    (
        "meetnet_journal_full_total",
        "limit",
        &["disk", "pending_bytes_max", "journal_bytes_max"],
    ),
    ("meetnet_journal_read_damage_total", "", &[]),
    ("meetnet_journal_skipped_regions_total", "", &[]),
    ("meetnet_journal_write_failures_total", "", &[]),
    (
        "meetnet_pushes_unclaimed_total",
        "format",
        &["ecowitt", "influx", "wunderground"],
    ),
    ("meetnet_vacuumed_bytes_total", "", &[]),
];
/// Those of the side that reads.
const READING: &[(&str, &str, &[&str])] = &[
    (
        "meetnet_audit_lines_left_out_total",
        "reason",
        &["queue_full", "no_writer", "file_full"],
    ),
    ("meetnet_flight_connections_refused_total", "", &[]),
    ("meetnet_flight_logins_failed_total", "", &[]),
    ("meetnet_http_bodies_aborted_total", "", &[]),
    ("meetnet_http_connections_refused_total", "", &[]),
    (
        "meetnet_pg_connections_total",
        "result",
        &["accepted", "refused", "dropped"],
    ),
    ("meetnet_pg_logins_failed_total", "", &[]),
    ("meetnet_result_cache_total", "result", &["hit", "miss"]),
];
/// Those of each dataset, of the side that writes.
const OF_DATASETS: [&str; 3] = [
    "meetnet_commits_total",
    "meetnet_commit_failures_total",
    "meetnet_merges_given_up_total",
];

/// Says what every metric means, which version this is, and begins the counters of what a process does.
pub(super) fn describe(role: Role, config: &Config) {
    for (name, help) in COUNTERS {
        metrics::describe_counter!(*name, *help);
    }
    for (name, help) in GAUGES {
        metrics::describe_gauge!(*name, *help);
    }
    for (name, help) in HISTOGRAMS {
        metrics::describe_histogram!(*name, *help);
    }
    metrics::gauge!(
        "meetnet_build_info",
        "version" => env!("CARGO_PKG_VERSION"),
        "decoder_version" => DECODER_VERSION.to_string()
    )
    .set(1.0);
    if role != Role::Serve {
        begin(WRITING);
        for dataset in config.declarations.datasets.keys() {
            for name in OF_DATASETS {
                metrics::counter!(name, "dataset" => dataset.to_string()).increment(0);
            }
        }
        for source in &config.sources {
            let source = source.declaration.id.to_string();
            metrics::counter!("meetnet_messages_ignored_total", "source" => source).increment(0);
        }
    }
    if role != Role::Ingest {
        begin(READING);
    }
}

fn begin(counters: &[(&'static str, &'static str, &[&'static str])]) {
    for (name, label, values) in counters {
        if values.is_empty() {
            metrics::counter!(*name).increment(0);
        }
        for value in *values {
            metrics::counter!(*name, &[(*label, *value)]).increment(0);
        }
    }
}

#[cfg(test)]
mod tests;

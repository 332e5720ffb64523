//! `meetnet check`: verifies what is stored, and takes broken files out where it is asked to.
//!
//! ```text
//! --repair ─┬─ a daemon answers on the admin socket ─▶ broken files ─▶ quarantine, in the daemon ─┐
//!           └─ nobody does ─▶ under the journal's lock ─▶ the same, here ───────────────────────┤
//! else ─────────────────────────────────────────────────────────────────────────────────────────┴▶ check ─▶ stdout
//! ```
//!
//! A check only reads: it runs here, whether a daemon runs or not. Exit code 1: something is wrong. `--accept-loss` lets the
//! journal forget, under its lock, what it knew of tables that are lost for good; then the check comes as ever.

#[cfg(test)]
mod tests;
mod text;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use meetnet_lake::LakeError;
use meetnet_lake::check::{CheckOptions, Depth, Report, check};
use meetnet_lake::files::DiskFiles;
use meetnet_lake::journal::JournalPlace;
use meetnet_lake::known::{LostTable, accept_loss};
use meetnet_lake::repair::{RepairError, RepairOptions, Repaired, repair};
use meetnet_lake::storage::LakeStorage;
use meetnet_model::ids::DatasetId;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::cli::print;
use crate::commands::{self, Request};
use crate::config::{Config, Environment};
use crate::failure::Failure;
use crate::readable::counted;

/// The options of `meetnet check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "MEETNET_CONFIG")]
    config: PathBuf,

    /// Reads no contents of data files and of the raw archive: logs, journal, lengths and footers
    #[arg(long)]
    quick: bool,

    /// First takes broken files out of the tables, into `_quarantine/`, and says what they held
    #[arg(long)]
    repair: bool,

    /// First lets the journal forget what this table had beyond what is there, which is lost for good; repeatable
    #[arg(long, value_name = "DATASET", conflicts_with = "repair")]
    accept_loss: Vec<String>,

    /// What the report looks like
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    format: ReportFormat,
}

/// What a report looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Everything that is said.
#[derive(Debug, Serialize)]
struct Answer {
    /// Losses that somebody has decided to go on without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accepted: Vec<LostTable>,
    /// What a repair did; none where none was asked for.
    repaired: Option<Repaired>,
    #[serde(flatten)]
    report: Report,
}

/// Checks, and prints what was found.
///
/// # Errors
/// `Usage` where the configuration is wrong or a daemon is in the way of a repair, `Work` where something is wrong with
/// what is stored, or it cannot be read.
pub(crate) async fn run(
    arguments: CheckArguments,
    environment: Environment,
) -> Result<(), Failure> {
    let config = Config::load(&arguments.config, &environment).map_err(Failure::usage)?;
    let request = Request::Repair {
        quick: arguments.quick,
    };
    let repaired = if arguments.repair {
        commands::ask_daemon(&request, &config).await?
    } else {
        None
    };
    let repaired = repaired
        .map(|outcome| serde_json::from_str::<Repaired>(&outcome.report))
        .transpose()
        .context("the daemon's answer cannot be read")
        .map_err(Failure::Work)?;
    tokio::task::spawn_blocking(move || run_here(&arguments, &environment, &config, repaired))
        .await
        .unwrap_or_else(|error| Err(Failure::work(error)))
}

/// Repairs where no daemon has, and checks. `repaired` is what a daemon did.
fn run_here(
    arguments: &CheckArguments,
    environment: &Environment,
    config: &Config,
    mut repaired: Option<Repaired>,
) -> Result<(), Failure> {
    let secrets = config.lake_secrets(environment).map_err(Failure::usage)?;
    let storage = config
        .lake
        .storage(&secrets, Handle::current())
        .map_err(Failure::Usage)?;
    let depth = if arguments.quick {
        Depth::Quick
    } else {
        Depth::Full
    };
    let accepted = accept_here(config, &storage, &arguments.accept_loss)?;
    if arguments.repair && repaired.is_none() {
        repaired = Some(repair_here(config, Arc::clone(&storage), depth)?);
    }
    let options = CheckOptions {
        storage,
        journal: Some(place(config)),
        depth,
    };
    let answer = Answer {
        accepted,
        repaired,
        report: check(&options).map_err(Failure::work)?,
    };
    let text = match arguments.format {
        ReportFormat::Text => text::describe(&answer),
        ReportFormat::Json => serde_json::to_string_pretty(&answer)
            .context("failed to write the report")
            .map_err(Failure::Work)?,
    };
    print(&text)?;
    answer.judge()
}

impl Answer {
    /// An error where a person has something to do.
    fn judge(&self) -> Result<(), Failure> {
        let findings = self.report.findings.len();
        let left = self
            .repaired
            .as_ref()
            .map_or(0, |repaired| repaired.left.len());
        match (findings, left) {
            (0, 0) => Ok(()),
            (findings, 0) => Err(Failure::Work(anyhow!(
                "{} found",
                counted(findings as u64, "problem")
            ))),
            (findings, left) => Err(Failure::Work(anyhow!(
                "{} found, {} not repaired",
                counted(findings as u64, "problem"),
                counted(left as u64, "place")
            ))),
        }
    }
}

/// Lets the journal forget what is lost of tables, where any are named.
fn accept_here(
    config: &Config,
    storage: &Arc<dyn LakeStorage>,
    datasets: &[String],
) -> Result<Vec<LostTable>, Failure> {
    if datasets.is_empty() {
        return Ok(Vec::new());
    }
    let datasets: Vec<DatasetId> = datasets.iter().map(DatasetId::new).collect();
    accept_loss(storage, &place(config), &datasets).map_err(|error| match error {
        // A daemon that runs is named.
        LakeError::Journal(_) | LakeError::Usage(_) | LakeError::MissingEntry { .. } => {
            Failure::usage(error)
        }
        error => Failure::work(error),
    })
}

/// Takes broken files out of the tables, here.
fn repair_here(
    config: &Config,
    storage: Arc<dyn LakeStorage>,
    depth: Depth,
) -> Result<Repaired, Failure> {
    let options = RepairOptions {
        storage,
        journal: place(config),
        depth,
    };
    let now_ms = jiff::Timestamp::now().as_millisecond();
    repair(&options, now_ms).map_err(|error| match error {
        // It names the process.
        RepairError::Journal(error) => {
            commands::explain_lock(Failure::usage(error), &config.socket)
        }
        RepairError::Lake(
            error @ (LakeError::OtherWriter { .. } | LakeError::OtherCopy { .. }),
        ) => Failure::usage(error),
        error => Failure::work(error),
    })
}

/// Where the journal and its archive lie.
pub(crate) fn place(config: &Config) -> JournalPlace {
    JournalPlace {
        dir: config.journal.dir.clone(),
        archive_dir: config.journal.archive_dir.clone(),
        files: Arc::new(DiskFiles::PRIVATE),
    }
}

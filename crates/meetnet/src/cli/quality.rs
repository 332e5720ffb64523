//! The command line of `meetnet quality`.

use clap::{Args, Subcommand};
use meetnet_model::ids::DatasetId;

use super::{ConfigOption, ask, day_or_time};
use crate::commands::{Request, Rerunning};
use crate::config::Environment;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum QualityCommand {
    /// Flags stored rows again by the rules now in force; only rows whose flag changes get a new version
    Rerun(RerunOptions),
    /// Settles days that are over and have rows recorded since they were settled; the daemon does so every day
    Settle(SettleOptions),
}

#[derive(Debug, Args)]
pub(super) struct RerunOptions {
    /// Only this dataset
    #[arg(long, value_name = "ID")]
    dataset: Option<String>,
    /// From when: a day (its begin, UTC), or a time with its offset; left out: from the first row
    #[arg(long, value_name = "DAY", value_parser = day_or_time)]
    from: Option<i64>,
    /// Until when, itself not; left out: as far as days are over. Days are flagged whole
    #[arg(long, value_name = "DAY", value_parser = day_or_time)]
    to: Option<i64>,
    /// Only says what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Debug, Args)]
pub(super) struct SettleOptions {
    /// Only this dataset
    #[arg(long, value_name = "ID")]
    dataset: Option<String>,
    #[command(flatten)]
    config: ConfigOption,
}

pub(super) fn run(command: QualityCommand, environment: &Environment) -> Result<(), Failure> {
    let (rerunning, config) = match command {
        QualityCommand::Rerun(options) => {
            let RerunOptions {
                dataset,
                from,
                to,
                dry_run,
                config,
            } = options;
            if let (Some(from), Some(to)) = (from, to)
                && from >= to
            {
                let error = anyhow::anyhow!("--from must lie before --to");
                return Err(Failure::Usage(error));
            }
            let rerunning = Rerunning {
                dataset: dataset.map(DatasetId::new),
                from,
                to,
                only_changed: false,
                dry_run,
            };
            (rerunning, config)
        }
        QualityCommand::Settle(SettleOptions { dataset, config }) => {
            let rerunning = Rerunning {
                dataset: dataset.map(DatasetId::new),
                only_changed: true,
                ..Rerunning::default()
            };
            (rerunning, config)
        }
    };
    ask(Request::Quality(rerunning), &config, environment)
}

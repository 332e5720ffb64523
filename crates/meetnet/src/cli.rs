//! The command line: what can be asked, and the exit code of the answer (0 done, 1 work failed, 2 usage or
//! configuration wrong).
//!
//! Only here and in the demo is anything printed to stdout; everything else logs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use meetnet_model::ids::{DatasetId, SourceId};
use meetnet_model::time;
use meetnet_query::end_elsewhere;

use crate::commands::{self, Named, Request};
use crate::config::{Config, Environment, Secrets};
use crate::daemon::{self, Role, Start, StopSignal};
use crate::demo;
use crate::failure::Failure;
use crate::source::{self, SourceCommand};
use crate::{check, export, privacy, simulate, sql, telemetry};

mod config_check;
mod import;
mod quality;
mod rejects;
#[cfg(test)]
mod tests;

/// A city's open sensor-data platform: takes sensor messages in, keeps every one it has acknowledged, and publishes
/// them as open datasets.
#[derive(Debug, Parser)]
#[command(name = "meetnet", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows a simulated city: broker, sensors, a year of history, live data and the portal
    Demo(demo::DemoOptions),
    /// Runs everything in one process: sources, storage, queries, HTTP
    Run(ConfigOption),
    /// Runs the write side only: sources and storage
    Ingest(ConfigOption),
    /// Runs the read side only: queries and HTTP over what `ingest` has committed
    Serve(ConfigOption),
    /// Answers SQL: statements, a script, or a prompt with history and completion
    Sql(sql::SqlOptions),
    /// Writes a dataset, or a part of it, to a file, or mirrors its files
    Export(Box<export::ExportOptions>),
    /// Merges the files of each partition into one run, in the daemon if one runs
    Compact(CompactOptions),
    /// Removes files that nothing needs any more, in the daemon if one runs
    Vacuum(ConfigOption),
    /// Copies lake and journal into a new folder, in the daemon if one runs
    Backup(BackupOptions),
    /// Puts a backup where the configuration says; nothing may be there
    Restore(RestoreOptions),
    /// Takes a sensor or road segment out of every file for good, in the daemon if one runs
    Erase(EraseOptions),
    /// Asks a polled source for its past, in the daemon if one runs
    Backfill(BackfillOptions),
    /// Verifies what is stored, and says what to do about what is wrong
    Check(check::CheckArguments),
    /// Brings recorded files into the tables, in the daemon if one runs
    Import(import::ImportOptions),
    /// Flags stored rows again: by other rules, or by rows that have come since
    Quality {
        #[command(subcommand)]
        command: quality::QualityCommand,
    },
    /// Messages that could not become rows: lists them, shows one, replays or drops them
    Rejects {
        #[command(subcommand)]
        command: rejects::RejectsCommand,
    },
    /// Sends messages of every format as devices do, and checks what became of them
    Simulate(Box<simulate::SimulateOptions>),
    /// Looks for personal data where there must be none
    Privacy {
        #[command(subcommand)]
        command: PrivacyCommand,
    },
    /// Tries a source on sample messages, or proposes one for them
    Source {
        #[command(subcommand)]
        command: SourceCommand,
    },
    /// Looks at a configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Checks everything that can be checked without connecting, and says what is in effect
    Check(ConfigOption),
}

#[derive(Debug, Subcommand)]
enum PrivacyCommand {
    /// Searches tables, answers, files and logs for hardware ids, addresses, credentials and exact places
    Scan(privacy::ScanOptions),
}

#[derive(Debug, Args)]
struct ConfigOption {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "MEETNET_CONFIG")]
    config: PathBuf,
}

/// What libraries log without need. The client of a bucket logs each request that it sends again:
/// `meetnet_s3_requests_total` counts them, and what comes of an outage is logged where it matters. The client of a
/// broker warns of each answer to our probe, once a second and broker while messages come in, and of each refused
/// subscription, which the source reports.
pub(crate) const QUIET: [&str; 2] = ["object_store=warn", MQTT_QUIET];

/// Of [`QUIET`], what concerns brokers.
pub(crate) const MQTT_QUIET: &str = "rumqttc=error";

#[derive(Debug, Args)]
struct CompactOptions {
    /// Only this dataset
    #[arg(long, value_name = "ID")]
    dataset: Option<String>,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Debug, Args)]
struct BackupOptions {
    /// The folder to make; data files in it are links where it is on the lake's file system
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Copies the raw archive, too
    #[arg(long)]
    with_archive: bool,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Debug, Args)]
struct RestoreOptions {
    /// The folder of the backup
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Debug, Args)]
struct EraseOptions {
    /// A sensor, by its published id; may be repeated
    #[arg(long, value_name = "ID")]
    sensor: Vec<String>,
    /// A road segment; may be repeated
    #[arg(long, value_name = "ID")]
    segment: Vec<i64>,
    /// A device, by what it calls itself at --source (chip id, DevEUI, name); may be repeated
    #[arg(long, value_name = "ID", requires = "source")]
    hardware_id: Vec<String>,
    /// The source of the devices
    #[arg(long, value_name = "ID")]
    source: Option<String>,
    /// Does not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Debug, Args)]
struct BackfillOptions {
    /// The source: its id in the configuration
    #[arg(value_name = "SOURCE")]
    source: String,
    /// From when: a day (its begin, UTC), or a time with its offset
    #[arg(long, value_name = "DAY", value_parser = day_or_time, required_unless_present = "cancel")]
    from: Option<i64>,
    /// Until when, itself not; left out: until now
    #[arg(long, value_name = "DAY", value_parser = day_or_time)]
    to: Option<i64>,
    /// Takes back all that the source was asked for and has not brought yet
    #[arg(long, conflicts_with_all = ["from", "to"])]
    cancel: bool,
    #[command(flatten)]
    config: ConfigOption,
}

/// Reads an instant, RFC 3339, or the begin of a day for flags, µs since 1970 UTC.
pub(crate) fn day_or_time(text: &str) -> Result<i64, String> {
    time::day_or_time(text)
        .ok_or_else(|| "write a day (2026-01-31) or a time (2026-01-31T12:00:00Z)".to_owned())
}

/// A day or an instant, as the command line names it: whose day it is, the dataset says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DayOrInstant {
    /// As it is written.
    Day(String),
    /// µs since 1970 UTC.
    Instant(i64),
}

impl DayOrInstant {
    /// Returns the instant, or the begin of the day by the clocks of a zone (IANA name; none: UTC), µs since 1970 UTC; none where
    /// nobody knows the zone.
    pub(crate) fn in_zone(&self, zone: Option<&str>) -> Option<i64> {
        match self {
            Self::Day(text) => time::day_or_time_in(text, zone),
            Self::Instant(instant) => Some(*instant),
        }
    }

    /// Returns it as the parameters of a service take it.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Day(text) => text.clone(),
            Self::Instant(instant) => time::format_rfc3339(*instant),
        }
    }
}

/// Reads what [`day_or_time`] does, and leaves open where a day begins.
pub(crate) fn day_or_instant(text: &str) -> Result<DayOrInstant, String> {
    match time::parse_rfc3339(text) {
        Ok(instant) => Ok(DayOrInstant::Instant(instant)),
        Err(_) => day_or_time(text).map(|_| DayOrInstant::Day(text.to_owned())),
    }
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::try_parse_from(sql::words(std::env::args_os())) {
        Ok(arguments) => arguments,
        Err(answer) => {
            // Help and version go to stdout and are no errors; a closed pipe there is none either.
            drop(answer.print());
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(arguments.command, Environment::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("meetnet: {}", failure.text());
            failure.exit_code()
        }
    }
}

fn dispatch(command: Command, environment: Environment) -> Result<(), Failure> {
    match command {
        Command::Config {
            command: ConfigCommand::Check(option),
        } => {
            let (config, _) = load(&option.config, &environment)?;
            let now = jiff::Timestamp::now().as_microsecond();
            print(&config_check::describe(&config, now))
        }
        Command::Privacy {
            command: PrivacyCommand::Scan(options),
        } => block_on(privacy::scan(options, environment)),
        Command::Source { command } => source::run(command, &environment),
        Command::Run(option) => run_daemon(Role::Run, &option.config, &environment),
        Command::Ingest(option) => run_daemon(Role::Ingest, &option.config, &environment),
        Command::Serve(option) => run_daemon(Role::Serve, &option.config, &environment),
        Command::Check(arguments) => block_on(check::run(arguments, environment)),
        Command::Sql(options) => block_on(sql::run(options, &environment)),
        Command::Export(options) => block_on(export::run(*options, &environment)),
        Command::Compact(CompactOptions { dataset, config }) => {
            let dataset = dataset.map(DatasetId::new);
            ask(Request::Compact { dataset }, &config, &environment)
        }
        Command::Vacuum(config) => ask(Request::Vacuum, &config, &environment),
        Command::Backup(BackupOptions {
            dir,
            with_archive,
            config,
        }) => {
            let dir = std::path::absolute(&dir)
                .with_context(|| format!("`{}` is no folder", dir.display()))
                .map_err(Failure::Usage)?;
            ask(Request::Backup { dir, with_archive }, &config, &environment)
        }
        Command::Erase(EraseOptions {
            sensor,
            segment,
            hardware_id,
            source,
            yes,
            config,
        }) => {
            let named = Named {
                sensors: sensor,
                segments: segment,
                hardware_ids: hardware_id,
                source: source.map(SourceId::new),
            };
            named.confirm(yes)?;
            ask(Request::Erase(named), &config, &environment)
        }
        Command::Backfill(BackfillOptions {
            source,
            from,
            to,
            cancel,
            config,
        }) => {
            let source = SourceId::new(&source);
            // Left out with --cancel alone.
            let Some(from) = from.filter(|_| !cancel) else {
                return ask(Request::CancelBackfills { source }, &config, &environment);
            };
            let to = to.unwrap_or(i64::MAX);
            if from >= to {
                let error = anyhow::anyhow!("--from must lie before --to");
                return Err(Failure::Usage(error));
            }
            ask(
                Request::Backfill { source, from, to },
                &config,
                &environment,
            )
        }
        Command::Restore(RestoreOptions { dir, config }) => {
            block_on(commands::restore(dir, &config.config, &environment))
        }
        Command::Import(options) => import::run(options, &environment),
        Command::Quality { command } => quality::run(command, &environment),
        Command::Rejects { command } => rejects::run(command, &environment),
        Command::Simulate(options) => block_on(simulate::run(*options, &environment)),
        Command::Demo(options) => block_on(demo::run(options, environment)),
    }
}

/// Has a request carried out, by the daemon or here.
fn ask(request: Request, option: &ConfigOption, environment: &Environment) -> Result<(), Failure> {
    block_on(commands::run(request, &option.config, environment))
}

fn run_daemon(role: Role, file: &Path, environment: &Environment) -> Result<(), Failure> {
    let (config, secrets) = match role {
        // Who only reads needs no credentials of sources.
        Role::Serve => {
            let config = Config::load(file, environment).map_err(Failure::usage)?;
            let secrets = config.serve_secrets(environment).map_err(Failure::usage)?;
            (config, secrets)
        }
        Role::Run | Role::Ingest => load(file, environment)?,
    };
    telemetry::start_logging(&config.log, environment, "info", &QUIET).map_err(Failure::Usage)?;
    let metrics = telemetry::start_metrics(role, &config).map_err(Failure::Work)?;
    let start = Start {
        role,
        config,
        secrets,
        metrics,
        awaits_history: false,
    };
    block_on(async {
        let signal = StopSignal::listen().map_err(Failure::Work)?;
        daemon::run(start, environment, signal).await
    })
}

/// Reads a configuration with its secrets; lists the problems of both.
fn load(file: &Path, environment: &Environment) -> Result<(Config, Secrets), Failure> {
    let config = Config::load(file, environment).map_err(Failure::usage)?;
    let secrets = config.secrets(environment).map_err(Failure::usage)?;
    Ok((config, secrets))
}

/// Runs a command on the async runtime.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // Both TLS clients (MQTT and HTTP) take the process's provider; ours is the only one that sets it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start threads")
        .map_err(Failure::Work)?;
    let result = runtime.block_on(command);
    // What is still in a blocking call (a name look-up) must not hold the exit up.
    end_elsewhere(runtime);
    result
}

/// Prints an answer. Who closed the pipe has read enough.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;

    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::work(
            anyhow::Error::new(error).context("failed to write to stdout"),
        )),
        _ => Ok(()),
    }
}

/// Reads an address to listen on, for flags.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write ADDRESS:PORT, for example 127.0.0.1:8080; port 0 lets the system choose".to_owned()
    })
}

//! The command line of `meetnet rejects`.

use clap::{Args, Subcommand};
use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::reject::RejectReason;

use super::{ConfigOption, ask, block_on, day_or_time};
use crate::commands::Request;
use crate::commands::rejects::{self, Listing, Replaying, Selection};
use crate::config::{Config, Environment};
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum RejectsCommand {
    /// Lists open rejects, the newest first
    List(ListOptions),
    /// Shows the rejects of one message, and what is kept of the message, without personal data
    Show(ShowOptions),
    /// Decodes their messages again, by the configuration now in force: rows that come of it keep their receive time
    Replay(ReplayOptions),
    /// Closes rejects without rows
    Drop(DropOptions),
}

#[derive(Debug, Args)]
struct SelectionOptions {
    /// Only of this source
    #[arg(long, value_name = "ID")]
    source: Option<String>,
    /// Only for this reason, as `list` names it
    #[arg(long, value_name = "REASON", value_parser = parse_reason)]
    reason: Option<RejectReason>,
    /// Only received at or after this time, or the begin of this day (UTC)
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    since: Option<i64>,
    /// Only received before this time, or the begin of this day (UTC)
    #[arg(long, value_name = "TIME", value_parser = day_or_time)]
    until: Option<i64>,
    /// Only of these messages: a sequence, or FIRST..LAST
    #[arg(long, value_name = "SEQUENCE", value_parser = parse_sequences)]
    sequence: Option<(Sequence, Sequence)>,
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    #[command(flatten)]
    selection: SelectionOptions,
    /// Also those that were replayed or dropped
    #[arg(long)]
    resolved: bool,
    /// Counts them by source and reason instead
    #[arg(long)]
    summary: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// table, csv, json or ndjson
    #[arg(long, default_value = "table", value_parser = ["table", "csv", "json", "ndjson"])]
    format: String,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Debug, Args)]
pub(super) struct ShowOptions {
    /// Sequence of the message
    #[arg(value_name = "SEQUENCE", value_parser = parse_sequence)]
    sequence: Sequence,
    /// Writes the message as received, with the personal data that may be in it
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Debug, Args)]
pub(super) struct ReplayOptions {
    #[command(flatten)]
    selection: SelectionOptions,
    /// Replays every message of --sequence, rejected or not: for rows that `check --repair` could not keep
    #[arg(long, requires = "sequence")]
    all_messages: bool,
    #[command(flatten)]
    config: ConfigOption,
}

#[derive(Debug, Args)]
pub(super) struct DropOptions {
    #[command(flatten)]
    selection: SelectionOptions,
    /// Needed where nothing else says which: drops every open reject
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    config: ConfigOption,
}

impl SelectionOptions {
    fn selection(self, resolved: bool) -> Selection {
        Selection {
            source: self.source.map(SourceId::new),
            reason: self.reason,
            since: self.since,
            until: self.until,
            sequences: self.sequence,
            resolved,
        }
    }
}

pub(super) fn run(command: RejectsCommand, environment: &Environment) -> Result<(), Failure> {
    match command {
        RejectsCommand::List(options) => {
            let config = load(&options.config, environment)?;
            let listing = Listing {
                selection: options.selection.selection(options.resolved),
                summary: options.summary,
                limit: usize::from(options.limit),
                format: options.format,
            };
            block_on(rejects::show_list(listing, &config, environment))
        }
        RejectsCommand::Show(options) => {
            let config = load(&options.config, environment)?;
            let (sequence, raw) = (options.sequence, options.raw);
            block_on(rejects::show_message(sequence, raw, &config, environment))
        }
        RejectsCommand::Replay(options) => {
            let replaying = Replaying {
                selection: options.selection.selection(false),
                all_messages: options.all_messages,
            };
            ask(Request::Replay(replaying), &options.config, environment)
        }
        RejectsCommand::Drop(options) => {
            let selection = options.selection.selection(false);
            if selection == Selection::default() && !options.all {
                return Err(Failure::Usage(anyhow::anyhow!(
                    "say which rejects with --source, --reason, --since, --until or --sequence, or --all"
                )));
            }
            ask(
                Request::DropRejects(selection),
                &options.config,
                environment,
            )
        }
    }
}

fn load(option: &ConfigOption, environment: &Environment) -> Result<Config, Failure> {
    Config::load(&option.config, environment).map_err(Failure::usage)
}

fn parse_reason(text: &str) -> Result<RejectReason, String> {
    RejectReason::from_name(text).ok_or_else(|| {
        let names = RejectReason::ALL.map(RejectReason::as_str).join(", ");
        format!("there is no reason `{text}`; there are {names}")
    })
}

fn parse_sequence(text: &str) -> Result<Sequence, String> {
    let sequence = text.parse::<i64>().ok().filter(|sequence| *sequence > 0);
    sequence
        .map(|sequence| Sequence(sequence as u64))
        .ok_or_else(|| format!("`{text}` is no sequence: write a number such as 4711"))
}

fn parse_sequences(text: &str) -> Result<(Sequence, Sequence), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (parse_sequence(first)?, parse_sequence(last)?);
    if first > last {
        return Err(format!("{first} comes after {last}: write FIRST..LAST"));
    }
    Ok((first, last))
}

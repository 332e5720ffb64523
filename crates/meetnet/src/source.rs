//! `meetnet source test` and `meetnet source learn`: what messages become, or could become, without storing anything.
//!
//! ```text
//! test   configuration + FILE… ─▶ Decoders ─▶ rows and rejects ─▶ stdout
//! learn  FILE…, configuration ─▶ meetnet_decode::learn ─▶ a source ─▶ stdout
//! ```

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};

use crate::cli;
use crate::config::{Config, Environment};
use crate::failure::Failure;

mod answer;
mod learn;
mod trial;

/// Bytes of one file that are read: messages are far smaller, and a file that is something else must not fill the memory.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The commands of `meetnet source`.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Shows the rows and rejects of sample messages, and stores nothing
    Test(TestOptions),
    /// Proposes a source for messages that nobody has described
    Learn(LearnOptions),
}

/// The options of `meetnet source test`.
#[derive(Debug, Args)]
pub(crate) struct TestOptions {
    /// The source, by its id
    #[arg(value_name = "SOURCE")]
    source: String,

    /// Files with one message each, as the device sends it; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Takes each line of a file as a message
    #[arg(long)]
    lines: bool,

    /// The topic (or path) under which the messages arrive
    #[arg(long, default_value = "")]
    topic: String,

    /// A header of the message, as NAME=VALUE; can be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = parse_header)]
    headers: Vec<(Box<str>, Box<str>)>,

    /// When the messages are received: a time, or the begin of a day (UTC); without it, now
    #[arg(long, value_name = "TIME", value_parser = cli::day_or_time)]
    received_at: Option<i64>,

    /// table, or json: one object per row and reject
    #[arg(long, value_enum, default_value_t = answer::AnswerFormat::Table)]
    format: answer::AnswerFormat,

    /// The configuration file
    #[arg(long, value_name = "FILE", env = "MEETNET_CONFIG")]
    config: PathBuf,
}

/// The options of `meetnet source learn`.
#[derive(Debug, Args)]
pub(crate) struct LearnOptions {
    /// Files with messages of one kind of device; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The topic under which they arrive
    #[arg(long)]
    topic: Option<String>,

    /// The configuration file that the source is to be added to
    #[arg(long, value_name = "FILE", env = "MEETNET_CONFIG")]
    config: Option<PathBuf>,
}

fn parse_header(text: &str) -> Result<(Box<str>, Box<str>), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write NAME=VALUE, for example X-Sensor=esp8266-1234567")?;
    Ok((name.trim().to_lowercase().into(), value.trim().into()))
}

/// Runs a command of `meetnet source`.
///
/// # Errors
/// `Usage` where the configuration is wrong, a file cannot be read, or there is no such source.
pub(crate) fn run(command: SourceCommand, environment: &Environment) -> Result<(), Failure> {
    match command {
        SourceCommand::Test(options) => test(&options, environment),
        SourceCommand::Learn(options) => learn(&options, environment),
    }
}

fn test(options: &TestOptions, environment: &Environment) -> Result<(), Failure> {
    let config = Config::load(&options.config, environment).map_err(Failure::usage)?;
    let received_at = match options.received_at {
        Some(time) => time,
        None => jiff::Timestamp::now().as_microsecond(),
    };
    let trial = trial::Trial::new(&config, &options.source).map_err(Failure::Usage)?;
    let mut answer = answer::Answer::new(options.format);
    let mut window_note = None;
    for file in &options.files {
        let bytes = read(file)?;
        let name = file.display().to_string();
        let messages: Vec<&[u8]> = if options.lines {
            bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.trim_ascii().is_empty())
                .collect()
        } else {
            vec![&bytes]
        };
        for message in messages {
            let topic = if options.topic.is_empty() {
                trial.topic_of(&name)
            } else {
                options.topic.as_str()
            };
            let tried = trial.decode(topic, &options.headers, message, received_at);
            let note = trial::window_note(&tried.decoded, options.received_at);
            window_note = window_note.or(note);
            answer.add(&name, &tried);
        }
    }
    answer.note(window_note);
    answer.note(answer.replaced_note().as_deref());
    answer.note(trial.missing_note(&answer).as_deref());
    answer.note(trial.note());
    answer.note(trial.topic_note(&options.topic));
    cli::print(&answer.finish())
}

fn learn(options: &LearnOptions, environment: &Environment) -> Result<(), Failure> {
    let files: Vec<Vec<u8>> = options
        .files
        .iter()
        .map(|file| read(file))
        .collect::<Result<_, _>>()?;
    let samples: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let topic = options.topic.as_deref();
    let proposal = match &options.config {
        Some(file) => learn::propose_for(&samples, topic, file, environment)?,
        None => learn::propose(&samples, topic)?,
    };
    cli::print(proposal.trim_end())
}

/// Reads a file, or the standard input where it is `-`.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let opened: Result<Box<dyn Read>, std::io::Error> = if file == Path::new("-") {
        Ok(Box::new(std::io::stdin().lock()))
    } else {
        std::fs::File::open(file).map(|file| Box::new(file) as Box<dyn Read>)
    };
    opened
        .and_then(|reader| reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("failed to read {}", file.display()))
        .map_err(Failure::Usage)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::Usage(anyhow!(
            "{} is larger than {} MiB; cut out a few messages",
            file.display(),
            FILE_BYTES_MAX >> 20
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;

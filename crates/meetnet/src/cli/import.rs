//! The command line of `meetnet import`.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use meetnet_model::ids::SourceId;

use super::{ConfigOption, ask};
use crate::commands::{Importing, Request};
use crate::config::{Config, Environment};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct ImportOptions {
    /// Wire format of the files, as `format` of a source names it; also telraam-json, sensor-community-csv
    #[arg(value_name = "FORMAT")]
    format: String,
    /// Files, folders with all below them, patterns (`'2026-*/*.csv'`), or - for stdin; gzip, zstd and tar are unpacked
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The configured source whose rows they are; needed where several have the format
    #[arg(long, value_name = "ID")]
    source: Option<String>,
    /// The topic or path that the messages would have come by, for sources that find something in it
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Lets the rows win over those that came live: they are corrections
    #[arg(long)]
    correct: bool,
    /// Only says which files would be read
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    config: ConfigOption,
}

pub(super) fn run(options: ImportOptions, environment: &Environment) -> Result<(), Failure> {
    let ImportOptions {
        format,
        files,
        source,
        topic,
        correct,
        dry_run,
        config,
    } = options;
    // The daemon cannot read our stdin: it is put where it can. The file goes when this command ends.
    let mut spooled = None;
    let mut paths = Vec::with_capacity(files.len());
    for file in files {
        if file != Path::new("-") {
            let absolute = std::path::absolute(&file)
                .with_context(|| format!("`{}` is no path", file.display()));
            paths.push(absolute.map_err(Failure::Usage)?);
        } else if spooled.is_none() {
            let known = Config::load(&config.config, environment).map_err(Failure::usage)?;
            spooled = Some(spool(known.query.spill_dir.as_deref()).map_err(Failure::Work)?);
        }
    }
    let importing = Importing {
        format,
        paths,
        stdin: spooled.as_ref().map(|spool| spool.path().to_path_buf()),
        source: source.map(SourceId::new),
        topic,
        correct,
        dry_run,
    };
    ask(Request::Import(importing), &config, environment)
}

/// Copies stdin into a file of its own.
fn spool(spill_dir: Option<&Path>) -> anyhow::Result<tempfile::NamedTempFile> {
    let mut file =
        spool_file(spill_dir).context("failed to make a file for what comes on stdin")?;
    io::copy(&mut io::stdin().lock(), &mut file).context("failed to read stdin")?;
    Ok(file)
}

/// Makes the file where the daemon makes its own temporary ones: as a service it may have a temporary folder that nobody else
/// sees.
fn spool_file(spill_dir: Option<&Path>) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("meetnet-import-stdin-");
    match spill_dir.filter(|dir| dir.is_dir()) {
        // The daemon has another folder to be in.
        Some(dir) => builder.tempfile_in(std::path::absolute(dir)?),
        None => builder.tempfile(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_on_stdin_is_put_where_the_daemon_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let check = |spill_dir: Option<&Path>, expect: &Path| {
            let file = spool_file(spill_dir).unwrap();
            assert_eq!(file.path().parent(), Some(expect), "{spill_dir:?}");
        };
        check(Some(dir.path()), dir.path());
        // Before the first start there is none.
        check(Some(&dir.path().join("absent")), &std::env::temp_dir());
        check(None, &std::env::temp_dir());
    }
}

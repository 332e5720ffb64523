//! What a configuration means, as text for people.

mod doubts;

use std::fmt::Write;

use meetnet_model::dataset::{DatasetKind, Grain};
use meetnet_model::licence::datasets_of;
use meetnet_model::quantity::{DurationText, SizeText};
use meetnet_model::source::WireFormat;

use crate::config::{Config, LakePlace, Transport};
use crate::readable::counted;

/// Width of the column of dataset ids where none is longer.
const ID_WIDTH_MIN: usize = 12;

/// Returns what is in effect, and what of it a person should look at; `now` is µs since 1970 UTC.
pub(super) fn describe(config: &Config, now: i64) -> String {
    let mut out = format!("{} is in order\n", config.file.display());
    // Writing to a string cannot fail.
    let _ = parts(config, &mut out)
        .and_then(|()| datasets(config, &mut out))
        .and_then(|()| sources(config, &mut out))
        .and_then(|()| doubtful(config, now, &mut out));
    out.truncate(out.trim_end().len());
    out
}

fn parts(config: &Config, out: &mut String) -> std::fmt::Result {
    let off = || "off".to_owned();
    let journal = &config.journal;
    writeln!(out, "\n  lake         {}", lake(&config.lake.place))?;
    writeln!(
        out,
        "  journal      {}, at most {}",
        journal.dir.display(),
        SizeText(journal.journal_bytes_max)
    )?;
    writeln!(
        out,
        "  raw archive  {}, kept {}, at most {}",
        journal.archive_dir.display(),
        DurationText(journal.raw_retention),
        SizeText(journal.archive_bytes_max)
    )?;
    let http = config.http.as_ref().map(|http| http.listen.to_string());
    let push = config
        .ingest_http
        .as_ref()
        .map(|ingest| ingest.listen.to_string());
    let admin = config.admin.as_ref().map(|admin| match admin.serve_listen {
        Some(serve) => format!("{}, of a separate serve {serve}", admin.listen),
        None => admin.listen.to_string(),
    });
    writeln!(out, "  http         {}", http.unwrap_or_else(off))?;
    writeln!(out, "  ingest_http  {}", push.unwrap_or_else(off))?;
    writeln!(out, "  admin        {}", admin.unwrap_or_else(off))?;
    let pg = config.pg.as_ref().map(|pg| pg.listen.to_string());
    writeln!(out, "  pg           {}", pg.unwrap_or_else(off))?;
    let flight = config.flight.as_ref();
    let flight = flight.map(|flight| flight.listen.to_string());
    writeln!(out, "  flight       {}", flight.unwrap_or_else(off))?;
    writeln!(out, "  commands     through {}", config.socket.display())?;
    let privacy = match &config.privacy_secret {
        Some(_) => "configured".to_owned(),
        None => format!("generated in {} at the first start", journal.dir.display()),
    };
    writeln!(out, "  privacy key  {privacy}")?;
    let schemas = match &config.schemas_dir {
        Some(dir) => format!("built in, and {}", dir.display()),
        None => "built in".to_owned(),
    };
    writeln!(out, "  schemas      {schemas}")?;
    writeln!(
        out,
        "  queries      {} at once, each at most {}, {} of memory, {} rows",
        config.query.running_max,
        DurationText(config.query.query_time_max),
        SizeText(config.query.memory_bytes_max as u64),
        config.query.row_limit
    )
}

fn lake(place: &LakePlace) -> String {
    match place {
        LakePlace::Folder(root) => root.display().to_string(),
        LakePlace::S3(s3) => {
            let endpoint = s3.endpoint.as_deref().unwrap_or("AWS");
            let credentials = s3.credentials.as_str();
            format!(
                "{} at {endpoint}, region {}, credentials: {credentials}",
                s3.url, s3.region
            )
        }
    }
}

fn datasets(config: &Config, out: &mut String) -> std::fmt::Result {
    let datasets = &config.declarations.datasets;
    writeln!(out, "\n{}", counted(datasets.len() as u64, "dataset"))?;
    let width = datasets.keys().map(|id| id.as_str().len()).max();
    let width = width.unwrap_or(0).max(ID_WIDTH_MIN);
    for (id, dataset) in datasets {
        let kind = match dataset.kind {
            DatasetKind::Wide => "wide",
            DatasetKind::Long => "long",
            DatasetKind::Places => "places",
            DatasetKind::Private => "private",
        };
        let grain = match dataset.grain {
            Grain::Year => "yearly",
            Grain::Month => "monthly",
            Grain::Day => "daily",
        };
        let licence = dataset
            .licence
            .as_ref()
            .map_or("as its sources", |licence| licence.as_str());
        write!(
            out,
            "  {:<width$} {kind:<8} {grain:<8} {licence}",
            id.as_str()
        )?;
        // What is dropped is gone: a slip of the pen should be seen before the file is saved for a daemon.
        match config.lake.retention.get(id) {
            Some(kept) => writeln!(out, ", kept {}, then dropped", DurationText(*kept))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn sources(config: &Config, out: &mut String) -> std::fmt::Result {
    let plural = if config.sources.len() == 1 { "" } else { "s" };
    writeln!(out, "\n{} source{plural}", config.sources.len())?;
    if config.sources.is_empty() {
        writeln!(
            out,
            "  nothing is taken in; add [[source]] with id, kind, format and licence"
        )?;
    }
    for source in &config.sources {
        let declaration = &source.declaration;
        let format = declaration.format.as_str();
        let declared = &config.declarations;
        let targets: Vec<String> = datasets_of(declaration, &declared.properties)
            .iter()
            .filter(|dataset| declared.datasets.contains_key(*dataset))
            .map(|dataset| dataset.to_string())
            .collect();
        writeln!(
            out,
            "  {:<12} {format:<8} {} → {}",
            declaration.id.as_str(),
            declaration.licence,
            targets.join(", ")
        )?;
        match &source.transport {
            Transport::Mqtt(mqtt) => {
                let topics = declaration.topics.join("  ");
                writeln!(out, "               {}  {topics}", mqtt.options.url)?;
            }
            Transport::Poll(poll) => {
                let interval = DurationText(poll.options.interval);
                writeln!(out, "               {}  every {interval}", poll.options.url)?;
            }
            Transport::Files => {
                let files = match declaration.topics.as_slice() {
                    [] => "files".to_owned(),
                    patterns => patterns.join("  "),
                };
                writeln!(out, "               {files}, by `meetnet import`")?;
            }
            Transport::Http(http) => {
                let token = if http.token.is_some() {
                    "with a token"
                } else {
                    "open to whoever reaches it"
                };
                writeln!(
                    out,
                    "               POST /ingest/v1/{}, {token}",
                    declaration.id
                )?;
                let others = [built_in_path(declaration.format), http.path.as_deref()];
                let others: Vec<&str> = others.into_iter().flatten().collect();
                if !others.is_empty() {
                    writeln!(out, "               also {}", others.join("  "))?;
                }
            }
        }
        if let Some(extent) = doubts::extent(&declaration.devices) {
            writeln!(out, "               {extent}")?;
        }
    }
    Ok(())
}

fn doubtful(config: &Config, now: i64, out: &mut String) -> std::fmt::Result {
    let doubts = doubts::doubts(config, now);
    if doubts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nlook at")?;
    doubts
        .iter()
        .try_for_each(|doubt| writeln!(out, "  {doubt}"))
}

/// Returns the path that devices or clients of a format have built in, as people set them up.
fn built_in_path(format: WireFormat) -> Option<&'static str> {
    match format {
        WireFormat::Airrohr => Some("/airrohr"),
        WireFormat::Ecowitt => Some("/data/report/"),
        WireFormat::Influx => Some("/write  /api/v2/write"),
        WireFormat::SensorThings => Some("/v1.1"),
        WireFormat::Wunderground => Some("/weatherstation/updateweatherstation.php"),
        _ => None,
    }
}

//! The same questions to `meetnet serve` over HTTP, as dashboards ask them: answered from datasets that are made of others
//! and from the last values where those have the answer, from the rows where not; and asked again, from the answers that
//! are kept. The others answer from the rows, in process, as they have nothing of the kind.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use meetnet_benches::city_year::CityYear;
use meetnet_benches::daemon::Daemon;
use meetnet_benches::figures::{begin, ms};
use tokio::runtime::Runtime;

use super::engines::Engine;
use super::questions::{Question, questions};
use super::rollups::rollups;
use super::{Aims, Times, print_columns, summaries};

const AIMS: Aims = Aims {
    duckdb: 0.3,
    fastest: 0.3,
    worst: None,
};
/// Answers that were found among those that are kept.
const HITS: &str = "meetnet_result_cache_total{result=\"hit\"}";
/// As much as the others may take, and as long.
const LIMITS: &str = "[query]\nquery_time_max = \"10m\"\nmemory_bytes_max = \"4GiB\"\nmemory_total_bytes_max = \"4GiB\"\n";

/// What a question is answered from when it is asked for the first time.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Rows,
    Made(&'static str),
    LastValues,
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Made(dataset) => dataset,
            Self::LastValues => "last values",
        }
    }
}

/// A question, and what it came to.
struct Measured {
    source: Source,
    first: Times,
    /// Where the answer had been kept.
    again: Option<Times>,
}

pub(crate) fn run(year: &CityYear, engines: &mut [Engine], rounds: u32) -> Result<()> {
    begin("the same over HTTP, from what is prepared");
    let served = Served::start(&year.folder)?;
    let names: Vec<&'static str> = engines.iter().map(|engine| engine.name).collect();
    print_columns("first", &names);
    let mut all = Vec::new();
    for (question, source) in prepared(year) {
        all.push(measure(&question, source, &served, engines, rounds)?);
    }
    let first = |is_wanted: fn(Source) -> bool| -> Vec<Times> {
        let wanted = all.iter().filter(|measured| is_wanted(measured.source));
        wanted.map(|measured| measured.first.clone()).collect()
    };
    let made = first(|source| source != Source::Rows);
    summaries("from rollups and last values", &names, &made, Some(AIMS));
    let everything = first(|_| true);
    summaries("all, asked for the first time", &names, &everything, None);
    let kept = all.iter().filter_map(|measured| measured.again.clone());
    let kept: Vec<Times> = kept.collect();
    ensure!(!kept.is_empty(), "no answer was kept");
    let of = format!("{} of {} kept answers", kept.len(), all.len());
    summaries(&of, &names, &kept, Some(AIMS));
    Ok(())
}

/// Returns all questions, those with a rollup put to it.
fn prepared(year: &CityYear) -> Vec<(Question, Source)> {
    let mut rollups = rollups(year);
    let all = questions(year).into_iter().map(|question| {
        let made = rollups.iter().position(|made| made.0.name == question.name);
        match made {
            Some(at) => {
                let (question, dataset) = rollups.swap_remove(at);
                (question, Source::Made(dataset))
            }
            None if question.name == "latest" => (question, Source::LastValues),
            None => (question, Source::Rows),
        }
    });
    all.collect()
}

/// Compares the answers to a question, then asks everybody in turns.
fn measure(
    question: &Question,
    source: Source,
    served: &Served,
    engines: &mut [Engine],
    rounds: u32,
) -> Result<Measured> {
    let answers = tempfile::tempdir()?;
    let answer = answers.path().join("answer.arrow");
    let (_, bytes) = served.ask(question, source, 0, "arrow")?;
    fs::write(&answer, bytes)?;
    for engine in &mut *engines {
        if let Some(difference) = engine.compare(question.of(engine.name), &answer)? {
            bail!("{}, {}: {difference}", question.name, engine.name);
        }
    }
    let csv = answers.path().join("answer.csv");
    let csv = question.as_csv.then_some(csv.as_path());
    let format = if question.as_csv { "csv" } else { "arrow" };
    // The one that is asked again.
    served.ask(question, source, 0, format)?;
    let mut first = Times::of(engines.len());
    let (mut again, mut is_kept) = (Duration::MAX, source != Source::LastValues);
    for round in 1..=rounds.max(1) {
        let (took, _) = served.ask(question, source, round, format)?;
        first.ours = first.ours.min(took);
        for (fastest, engine) in first.engines.iter_mut().zip(&mut *engines) {
            let took = engine.time(question.of(engine.name), csv)?;
            *fastest = (*fastest).min(took);
        }
        if is_kept {
            let hits = served.hits()?;
            let (took, _) = served.ask(question, source, 0, format)?;
            is_kept = served.hits()? > hits;
            again = again.min(took);
        }
    }
    let again = is_kept.then(|| Times {
        ours: again,
        engines: first.engines.clone(),
    });
    let found = match (&again, source) {
        (Some(again), _) => format!("again, kept: {:.2}", ms(again.ours)),
        (None, Source::LastValues) => "again: the same".to_owned(),
        (None, _) => "again: too large to be kept".to_owned(),
    };
    first.print(question.name, &format!("{}; {found}", source.as_str()));
    Ok(Measured {
        source,
        first,
        again,
    })
}

/// Our side: `meetnet serve` over what is committed.
struct Served {
    daemon: Daemon,
    runtime: Runtime,
}

impl Served {
    fn start(lake: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let daemon = runtime.block_on(Daemon::serve(lake, LIMITS))?;
        Ok(Self { daemon, runtime })
    }

    /// Returns how long a whole answer takes, and its bytes; to what has another number nobody has been given an answer yet.
    fn ask(
        &self,
        question: &Question,
        source: Source,
        number: u32,
        format: &str,
    ) -> Result<(Duration, Vec<u8>)> {
        let sql = format!("{} -- {number}", question.sql);
        let (path, first) = match source {
            Source::LastValues => (
                "api/v1/datasets/air/latest",
                ("fields", "sensor_id,property,time,value"),
            ),
            _ => ("api/v1/sql", ("q", sql.as_str())),
        };
        let query = [first, ("format", format)];
        let began = Instant::now();
        let bytes = self.runtime.block_on(async {
            let answer = self.daemon.ask(path, &query, None).await?;
            let status = answer.status();
            let bytes = answer.bytes().await?;
            ensure!(
                status.is_success(),
                "{status}: {}",
                String::from_utf8_lossy(&bytes)
            );
            anyhow::Ok(bytes)
        });
        let took = began.elapsed();
        Ok((took, bytes.with_context(|| sql.clone())?.to_vec()))
    }

    /// Returns how many answers have been found among those that are kept.
    fn hits(&self) -> Result<f64> {
        let metric = self.runtime.block_on(self.daemon.metric(HITS));
        // There is none before the first.
        Ok(metric.unwrap_or(0.0))
    }
}

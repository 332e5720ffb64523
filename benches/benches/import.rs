//! Import of sensor.community's archive: `meetnet import` of daily CSV files, against DuckDB reading the same files with
//! a declared schema into one sorted Parquet file. Ours also checks every value, looks every key up, and commits as it
//! goes, so that it can go on where it was cut off.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench import`; `ROWS` (14,000,000, which
//! should take ten seconds or more). The files are those of `MEETNET_REAL_DATA`, under other sensor ids again and again
//! until there are enough; generated in their form where it is not set.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use meetnet_benches::figures::{at_least, at_most, begin, figure, rate, setting};
use meetnet_benches::table::mix;
use meetnet_benches::{cpu, python};
use meetnet_testkit::binary::meetnet_binary;

/// Rows of one line: PM10 and PM2.5.
const ROWS_PER_LINE: u64 = 2;
/// Between two lines of a generated sensor, s.
const PERIOD_S: u64 = 145;
/// Days of a generated sensor: one month.
const DAYS: u64 = 31;
/// What the sensor ids of one copy of the recordings are above those of the one before: no sensor has so high an id.
const COPY_IDS: u64 = 10_000_000;
/// Memory is bounded: what all rows take, of what one day's take.
const RERUN_MEMORY_MAX: f64 = 2.0;
const HEADER: &str =
    "sensor_id;sensor_type;location;lat;lon;timestamp;P1;durP1;ratioP1;P2;durP2;ratioP2\n";
const CONFIG: &str = "[lake]\nurl = \"lake\"\n[journal]\ndir = \"journal\"\n\
    [[source]]\nid = \"sc\"\nkind = \"sensor-community\"\nlicence = \"ODbL-1.0\"\n\
    contact = \"bench@meetnet.example\"\narea = [50.88, 4.7, 5.0]\n";

fn main() -> Result<()> {
    let wanted: u64 = setting("ROWS", 14_000_000)?;
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("archive");
    let recordings = std::env::var_os("MEETNET_REAL_DATA")
        .map(|data| PathBuf::from(data).join("sensor_community/archive_csv"));
    let (files, what) = match &recordings {
        Some(recordings) => (repeat(recordings, &archive, wanted)?, "recorded"),
        None => (generate(&archive, wanted)?, "generated"),
    };
    begin(&format!("import of {files} {what} files of the archive"));

    settle()?;
    let reference = duckdb(&archive, &folder.path().join("duckdb.parquet"))?;
    let config = folder.path().join("meetnet.toml");
    fs::write(&config, CONFIG)?;
    settle()?;
    let (rows, took) = import(&config, &archive)?;
    let stored = meetnet(&["sql", "--config"], &config, "SELECT count(*) FROM air")?;
    let stored: u64 = stored.lines().nth(1).unwrap_or_default().trim().parse()?;
    ensure!(stored == rows, "{rows} were imported, {stored} are stored");
    if took < Duration::from_secs(10) {
        println!("   it took less than ten seconds: set ROWS higher");
    }
    if let Some((reference_rows, reference_took)) = reference {
        ensure!(
            reference_rows == rows,
            "DuckDB reads {reference_rows} rows, meetnet {rows}"
        );
        let ratio = reference_took.as_secs_f64() / took.as_secs_f64();
        at_least("ratio to DuckDB", ratio, "x", 0.5);
    }
    rerun(&config, rows)
}

/// Waits until what was written is on disk: nobody who is timed next pays for it.
fn settle() -> Result<()> {
    let status = Command::new("sync").status().context("run sync")?;
    ensure!(status.success(), "sync: {status}");
    Ok(())
}

/// What a command said and took.
struct Run {
    said: String,
    took: Duration,
    /// CPU time.
    used: Duration,
    /// Greatest resident memory, MiB.
    memory: f64,
}

/// Runs a command of the program that must succeed.
fn timed(mut command: Command) -> Result<Run> {
    let began = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("start meetnet")?;
    let (mut memory, mut used) = (0.0, Duration::ZERO);
    // What it prints at its end fits into the pipe.
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        memory = cpu::resident_max_mib(child.id()).max(memory);
        used = cpu::used(child.id()).max(used);
        thread::sleep(Duration::from_millis(50));
    };
    let took = began.elapsed();
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(status.success(), "{command:?}: {status}: {said}");
    Ok(Run {
        said,
        took,
        used,
        memory,
    })
}

/// Flags all rows again: first those of the import, which have no flags by their series yet, then once more, when there is
/// nothing to change. Memory must not grow with the rows: one day of them is the reference.
fn rerun(config: &Path, rows: u64) -> Result<()> {
    let mut memory = 0.0;
    for what in ["flags of the imported rows", "flags that are there"] {
        let run = rerun_of(config, &[])?;
        println!("   {}", run.said.trim_end().replace('\n', "; "));
        let of_ten_million = run.took.as_secs_f64() * 1e7 / rows as f64;
        at_most(
            &format!("{what}, per 10 million rows"),
            of_ten_million,
            "s",
            60.0,
        );
        figure("memory, greatest", run.memory, "MiB");
        memory = run.memory;
    }
    let first = "SELECT min(time) AS first, date_trunc('day', min(time)) + INTERVAL '1 day' AS next FROM air";
    let said = meetnet(&["sql", "--config"], config, first)?;
    let line = said.lines().nth(1).context("no first day")?;
    let (from, to) = line.split_once(',').context("no first day")?;
    let day = rerun_of(config, &["--from", from, "--to", to])?;
    figure("memory for one day", day.memory, "MiB");
    at_most(
        "memory for all days, to that for one",
        memory / day.memory,
        "x",
        RERUN_MEMORY_MAX,
    );
    Ok(())
}

fn rerun_of(config: &Path, days: &[&str]) -> Result<Run> {
    let mut command = Command::new(meetnet_binary()?);
    command
        .args(["quality", "rerun", "--dataset", "air"])
        .args(days)
        .arg("--config")
        .arg(config);
    timed(command)
}

/// Imports; returns the rows that it says it has made, and how long the command took.
fn import(config: &Path, archive: &Path) -> Result<(u64, Duration)> {
    let mut command = Command::new(meetnet_binary()?);
    command
        .args(["import", "sensor-community"])
        .arg(archive)
        .arg("--config")
        .arg(config);
    let Run {
        said,
        took,
        used,
        memory,
    } = timed(command)?;
    // `72 files, 72 documents, 73,790 rows in 1.2 s (61,491 rows/s)`
    let rows = said
        .split_once(" documents, ")
        .and_then(|(_, rest)| rest.split_once(" rows in "))
        .and_then(|(rows, _)| rows.replace(',', "").parse().ok());
    let rows: u64 = rows.with_context(|| format!("no rows in: {said}"))?;
    figure("rows", rows as f64, "");
    figure(
        "meetnet import, process and all",
        rate(rows, took),
        "rows/s",
    );
    figure("it took", took.as_secs_f64(), "s");
    let per_row = used.as_secs_f64() * 1e6 / rows as f64;
    figure("CPU", per_row, "us per row");
    figure("memory, greatest", memory, "MiB");
    Ok((rows, took))
}

/// Runs a command of the program that answers at once; returns what it prints.
fn meetnet(arguments: &[&str], config: &Path, last: &str) -> Result<String> {
    let output = Command::new(meetnet_binary()?)
        .args(arguments)
        .arg(config)
        .arg(last)
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Lets DuckDB do the same; returns its rows and its time, or none where no Python has it.
fn duckdb(archive: &Path, parquet: &Path) -> Result<Option<(u64, Duration)>> {
    let Some(python) = python::with_modules(&["duckdb"])? else {
        return Ok(None);
    };
    let output = Command::new(python)
        .arg(python::script("duckdb_archive.py"))
        .arg(archive)
        .arg(parquet)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "DuckDB: {}", output.status);
    let said = String::from_utf8(output.stdout)?;
    let value = |name: &str| -> Result<f64> {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        Ok(line
            .with_context(|| format!("no {name} in: {said}"))?
            .trim()
            .parse()?)
    };
    let rows = value("rows ")? as u64;
    let took = Duration::from_secs_f64(value("seconds ")?);
    figure("DuckDB, without its start", rate(rows, took), "rows/s");
    let bytes = fs::metadata(parquet)?.len();
    figure("its file", bytes as f64 / rows as f64, "bytes per row");
    Ok(Some((rows, took)))
}

/// Copies the recordings, each copy with sensors of its own, until there are enough rows; returns the number of files.
fn repeat(recordings: &Path, archive: &Path, wanted: u64) -> Result<u64> {
    let mut originals = Vec::new();
    for entry in fs::read_dir(recordings).with_context(|| recordings.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let name = path.file_name().context("a file has a name")?.to_owned();
            originals.push((name, fs::read_to_string(&path)?));
        }
    }
    ensure!(!originals.is_empty(), "no .csv in {}", recordings.display());
    let (mut files, mut rows, mut copy) = (0, 0, 0);
    while rows < wanted {
        let folder = archive.join(format!("{copy:04}"));
        fs::create_dir_all(&folder)?;
        for (name, original) in &originals {
            let mut lines = original.lines();
            let mut text = String::with_capacity(original.len() * 5 / 4);
            let _ = writeln!(text, "{}", lines.next().unwrap_or_default());
            for line in lines {
                let parts = line.split_once(';');
                let number = parts.and_then(|(id, rest)| Some((id.parse::<u64>().ok()?, rest)));
                let _ = match number {
                    Some((id, rest)) => writeln!(text, "{};{rest}", id + copy * COPY_IDS),
                    // One recording ends in the middle of a line.
                    None => writeln!(text, "{line}"),
                };
                rows += ROWS_PER_LINE;
            }
            fs::write(folder.join(name), text)?;
            files += 1;
        }
        copy += 1;
    }
    Ok(files)
}

/// Writes days of an SDS011 in the form of the archive, until there are enough rows; returns the number of files.
fn generate(archive: &Path, wanted: u64) -> Result<u64> {
    let (mut files, mut rows, mut sensor) = (0, 0, 1_000_u64);
    while rows < wanted {
        for day in 1..=DAYS {
            let folder = archive.join(format!("2026-05-{day:02}"));
            fs::create_dir_all(&folder)?;
            let mut text = String::from(HEADER);
            let (lat, lon) = (50 + sensor % 3, 4 + sensor % 2);
            for second in (sensor % PERIOD_S..86_400).step_by(PERIOD_S as usize) {
                // Hundredths, as a day's curve with noise.
                let chance = mix(sensor << 40 | day << 20 | second);
                let pm10 = 800 + (second / 864).abs_diff(50) * 12 + chance % 300;
                let pm2_5 = pm10 / 2 + (chance >> 32) % 100;
                let _ = writeln!(
                    text,
                    "{sensor};SDS011;{};{lat}.{:03};{lon}.{:03};2026-05-{day:02}T{:02}:{:02}:{:02};{}.{:02};;;{}.{:02};;",
                    sensor * 2,
                    sensor % 1_000,
                    sensor % 997,
                    second / 3_600,
                    second / 60 % 60,
                    second % 60,
                    pm10 / 100,
                    pm10 % 100,
                    pm2_5 / 100,
                    pm2_5 % 100,
                );
                rows += ROWS_PER_LINE;
            }
            fs::write(
                folder.join(format!("2026-05-{day:02}_sds011_sensor_{sensor}.csv")),
                text,
            )?;
            files += 1;
        }
        sensor += 1;
    }
    Ok(files)
}

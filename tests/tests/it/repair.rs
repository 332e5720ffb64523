//! `meetnet check --repair` on the real binary: a broken file leaves its table and is kept, the report names whose rows of
//! which times are gone and which raw messages are left, and a replay of those gives the answers back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use meetnet_tests::daemon::{Daemon, Installation, PUSHED_HEAT};
use serde_json::Value;

/// 2025-01-10T10:00:00Z and 2025-02-10T10:00:00Z, ms since 1970.
const JANUARY: i64 = 1_736_503_200_000;
const FEBRUARY: i64 = 1_739_181_600_000;
const MINUTE: i64 = 60_000;
const SENSORS: [&str; 3] = ["a", "b", "c"];
/// Rows of each sensor in January.
const ROWS: i64 = 4;

const CURRENT: &str = "SELECT sensor_id, time, value FROM heat ORDER BY sensor_id, time";

/// What has happened to the file of January.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// A byte in its middle is another one.
    Flipped,
    /// It is gone.
    Missing,
}

async fn push(installation: &Installation, sensor: &str, at: i64, value: f64) -> Result<()> {
    let body = format!("{{\"id\": \"{sensor}\", \"at\": {at}, \"t\": {value}}}");
    let (status, text) = installation.push("desk", body.into_bytes(), &[]).await?;
    ensure!(status == 204, "{status}: {text}");
    Ok(())
}

/// An installation with a file of January, in which one row was revised before it was written, and one of February;
/// every message is in the raw archive.
async fn filled() -> Result<Installation> {
    let installation = Installation::new("compaction = false", PUSHED_HEAT)?;
    let daemon = installation.start().await?;
    for sensor in SENSORS {
        for minute in 0..ROWS {
            push(&installation, sensor, JANUARY + minute * MINUTE, 20.5).await?;
        }
    }
    push(&installation, SENSORS[1], JANUARY, 21.25).await?;
    daemon.stop()?;
    let daemon = installation.start().await?;
    for sensor in SENSORS {
        push(&installation, sensor, FEBRUARY, 22.5).await?;
    }
    daemon.stop()?;
    Ok(installation)
}

/// The one file of current rows of January, relative to the table's folder.
fn file_of_january(installation: &Installation) -> Result<PathBuf> {
    let table = installation.lake().join("heat");
    let folder = Path::new("licence=CC0-1.0/superseded=false/month=2025-01");
    let mut files = Vec::new();
    for entry in fs::read_dir(table.join(folder))? {
        files.push(folder.join(entry?.file_name()));
    }
    ensure!(files.len() == 1, "{files:?}");
    files.pop().context("a file")
}

/// Breaks the file; returns the bytes that are left of it.
fn damage(file: &Path, damage: Damage) -> Result<Option<Vec<u8>>> {
    match damage {
        Damage::Flipped => {
            let mut content = fs::read(file)?;
            let middle = content.len() / 2;
            content[middle] ^= 0xff;
            fs::write(file, &content)?;
            Ok(Some(content))
        }
        Damage::Missing => {
            fs::remove_file(file)?;
            Ok(None)
        }
    }
}

/// Runs `meetnet check` as JSON; returns its exit code and what it says.
fn check(installation: &Installation, more: &[&str]) -> Result<(Option<i32>, Value)> {
    let arguments = [&["check", "--format", "json"][..], more].concat();
    let output = installation.run(&arguments)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_str(&said).with_context(|| format!("{said}{told}"))?;
    Ok((output.status.code(), report))
}

fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is no text"))
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value
        .as_array()
        .with_context(|| format!("{value} is no list"))
}

/// Whether a part of what a file held covers a row: its keys lie between the least and the greatest of the part.
fn covers(part: &Value, sensor: &str, day: &str) -> Result<bool> {
    let mut covered = 0;
    for key in list(&part["keys"])? {
        let (least, greatest) = (text(&key["least"])?, text(&key["greatest"])?);
        let wanted = match text(&key["column"])? {
            "sensor_id" => sensor,
            "time" => day,
            _ => continue,
        };
        // Of a time, the day.
        let until = greatest.get(..wanted.len()).unwrap_or(greatest);
        covered +=
            usize::from(least.get(..wanted.len()).unwrap_or(least) <= wanted && wanted <= until);
    }
    Ok(covered == 2)
}

/// Repairs and replays, in a running daemon or without one.
async fn repaired(with_daemon: bool, kind: Damage) -> Result<()> {
    let installation = filled().await?;
    let before = installation.sql_on_files(CURRENT)?;
    let (lost, kept) = (SENSORS.len() * ROWS as usize, SENSORS.len());
    ensure!(before.len() == lost + kept, "{before:?}");

    let path = file_of_january(&installation)?;
    let table = installation.lake().join("heat");
    let left = damage(&table.join(&path), kind)?;
    let daemon: Option<Daemon> = match with_daemon {
        true => Some(installation.start().await?),
        false => None,
    };
    // A check says so and changes nothing.
    let fault = match kind {
        Damage::Flipped => "file_hash",
        Damage::Missing => "file_missing",
    };
    for _ in 0..2 {
        let (code, report) = check(&installation, &[])?;
        let kinds: Vec<&str> = list(&report["findings"])?
            .iter()
            .filter_map(|finding| finding["kind"].as_str())
            .collect();
        ensure!(code == Some(1) && kinds.contains(&fault), "{report}");
        ensure!(
            table.join(&path).exists() == left.is_some(),
            "a check moves nothing"
        );
    }

    let (code, report) = check(&installation, &["--repair"])?;
    ensure!(code == Some(0), "{report}\n{}", installation.log_tail());
    let files = list(&report["repaired"]["files"])?;
    ensure!(files.len() == 1, "{report}");
    let file = &files[0];
    ensure!(
        file["dataset"] == "heat" && file["fault"] == fault,
        "{file}"
    );
    ensure!(Path::new(text(&file["path"])?) == path, "{file}");
    ensure!(
        file["rows"] == lost && file["superseded"] == false,
        "{file}"
    );
    // Whose rows, of which times.
    let held = list(&file["held"])?;
    let rows: u64 = held.iter().filter_map(|part| part["rows"].as_u64()).sum();
    ensure!(rows == lost as u64, "{file}");
    for sensor in SENSORS {
        let sensor = format!("desk-{sensor}");
        let covered = |day: &str| -> Result<bool> {
            held.iter()
                .try_fold(false, |found, part| Ok(found | covers(part, &sensor, day)?))
        };
        ensure!(covered("2025-01-10")?, "{sensor}: {file}");
        ensure!(!covered("2025-02-10")? && !covered("2025-01-09")?, "{file}");
    }
    // Where it is now.
    ensure!(!table.join(&path).exists(), "it has moved");
    match (&left, file["kept_as"].as_str()) {
        (Some(left), Some(kept_as)) => {
            let content = fs::read(table.join(kept_as))?;
            ensure!(content == *left, "kept as it was found");
        }
        (None, None) => {}
        (_, kept_as) => anyhow::bail!("kept as {kept_as:?}"),
    }
    // Which messages can give the rows back.
    let raw = list(&file["raw"])?;
    ensure!(raw.len() == 1, "{file}");
    let messages = lost as u64 + 1;
    ensure!(raw[0]["frames"].as_u64() >= Some(messages), "{file}");
    ensure!(
        raw[0]["begins_later"] == false && !list(&raw[0]["files"])?.is_empty(),
        "{file}"
    );
    let sequences = list(&raw[0]["sequences"])?;
    let range = format!("{}..{}", sequences[0], sequences[1]);

    // Once is enough.
    let (code, report) = check(&installation, &["--repair"])?;
    ensure!(
        code == Some(0) && list(&report["repaired"]["files"])?.is_empty(),
        "{report}"
    );
    let february: Vec<_> = before
        .iter()
        .filter(|row| {
            row[1]
                .as_str()
                .is_some_and(|time| time.starts_with("2025-02"))
        })
        .cloned()
        .collect();
    ensure!(february.len() == kept, "{before:?}");
    let answers = |installation: &Installation| installation.sql_on_files(CURRENT);
    ensure!(
        answers(&installation)? == february,
        "the other rows are answered"
    );

    let replay = ["rejects", "replay", "--all-messages", "--sequence", &range];
    let said = installation.succeed(&replay)?;
    ensure!(said.starts_with("replayed "), "{said}");
    ensure!(
        answers(&installation)? == before,
        "{:?}",
        answers(&installation)?
    );
    // Again: rows that are there are unchanged.
    let said = installation.succeed(&replay)?;
    let mut counts = said.lines().filter(|line| line.contains(" new, "));
    ensure!(
        said.contains(" new, ") && counts.all(|line| line.contains(": 0 new, 0 revisions, ")),
        "{said}"
    );
    if let Some(daemon) = daemon {
        let now = installation.sql(CURRENT).await?;
        ensure!(now == before, "{now:?}");
        // What was replayed survives a crash.
        daemon.kill()?;
    }
    let daemon = installation.start().await?;
    let now = installation.sql(CURRENT).await?;
    ensure!(now == before, "{now:?}");
    daemon.stop()?;
    let (code, report) = check(&installation, &[])?;
    ensure!(code == Some(0), "{report}");
    let now = answers(&installation)?;
    ensure!(now == before, "{now:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_takes_a_broken_file_out_and_a_replay_gives_its_rows_back() {
    repaired(true, Damage::Flipped).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_daemon_a_missing_file_is_taken_out_and_a_replay_gives_its_rows_back() {
    repaired(false, Damage::Missing).await.unwrap();
}

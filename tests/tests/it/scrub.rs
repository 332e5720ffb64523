//! The scrub of the real binary: a byte that changes in a file under a running process is found by the hash, and from then on
//! no part of it answers what is in the file. Every process that answers finds it, and what one has found the next one knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use meetnet_tests::daemon::{Installation, PUSHED_HEAT};

/// 2025-01-10T10:00:00Z and 2025-02-10T10:00:00Z, ms since 1970.
const JANUARY: i64 = 1_736_503_200_000;
const FEBRUARY: i64 = 1_739_181_600_000;

/// Values alone: what is changed lies in a page of another column, and no query over these can notice by itself.
const OF_JANUARY: &str = "SELECT sum(value) FROM heat WHERE time < '2025-02-01T00:00:00Z'";
const OF_FEBRUARY: &str = "SELECT sum(value) FROM heat WHERE time >= '2025-02-01T00:00:00Z'";

async fn commit(installation: &Installation, at: i64, value: f64) -> Result<()> {
    let daemon = installation.start().await?;
    let body = format!("{{\"id\": \"a\", \"at\": {at}, \"t\": {value}}}");
    let (status, text) = installation.push("desk", body.into_bytes(), &[]).await?;
    ensure!(status == 204, "{status}: {text}");
    daemon.stop()
}

/// The one file of current rows of January, relative to the table's folder.
fn file_of_january(installation: &Installation) -> Result<PathBuf> {
    let folder = Path::new("licence=CC0-1.0/superseded=false/month=2025-01");
    let mut files = Vec::new();
    for entry in fs::read_dir(installation.lake().join("heat").join(folder))? {
        files.push(folder.join(entry?.file_name()));
    }
    ensure!(files.len() == 1, "{files:?}");
    files.pop().context("a file")
}

/// The files in a folder and those below it.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// Waits until the file is refused; until then its rows are answered as before.
async fn refused(installation: &Installation, file: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match installation.sql(OF_JANUARY).await {
            Ok(rows) => ensure!(rows[0][0] == 20.5, "{rows:?}"),
            Err(error) => {
                let said = error.to_string();
                let name = file.to_string_lossy();
                for part in [&*name, "has other bytes than were written", "500"] {
                    ensure!(said.contains(part), "{said} should say {part}");
                }
                break;
            }
        }
        if Instant::now() > deadline {
            bail!("nobody has noticed:\n{}", installation.log_tail());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let other = installation.cell(OF_FEBRUARY).await?;
    ensure!(other == 22.5, "{other}");
    let address = format!("/files/heat/{}", file.display());
    let answer = installation.get(&address, &[]).await?;
    let status = answer.status();
    let said = answer.text().await?;
    ensure!(status == 500, "{status}: {said}");
    ensure!(said.contains("has other bytes than were written"), "{said}");
    Ok(())
}

async fn scrubbed() -> Result<()> {
    let lake = "compaction = false\nscrub_every = \"1s\"";
    let installation = Installation::new(lake, PUSHED_HEAT)?;
    commit(&installation, JANUARY, 20.5).await?;
    commit(&installation, FEBRUARY, 22.5).await?;
    let file = file_of_january(&installation)?;
    let path = installation.lake().join("heat").join(&file);

    let daemon = installation.start().await?;
    let first = installation.cell(OF_JANUARY).await?;
    ensure!(first == 20.5, "{first}");
    // In the first column, behind the magic of the format; under the same name at once.
    let mut content = fs::read(&path)?;
    content[8] ^= 1;
    let beside = installation.folder().join("changed");
    fs::write(&beside, &content)?;
    fs::rename(&beside, &path)?;
    refused(&installation, &file).await?;
    // It is said once it is noted for the next start.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !installation.log().contains("a file is damaged") {
        ensure!(Instant::now() < deadline, "{}", installation.log_tail());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = installation.log();
    ensure!(log.contains("meetnet check --repair"), "{log}");
    daemon.kill()?;

    // Nobody runs who could find it: it is known from the lake.
    let said = installation
        .sql_on_files(OF_JANUARY)
        .map_err(|error| error.to_string());
    let is_refused = |said: &str| said.contains("has other bytes than were written");
    ensure!(
        said.as_ref().is_err_and(|said| is_refused(said)),
        "{said:?}"
    );
    let other = installation.sql_on_files(OF_FEBRUARY)?;
    ensure!(other[0][0] == 22.5, "{other:?}");
    let backup = installation.folder().join("backup");
    let made = installation.run(&["backup", &backup.to_string_lossy()])?;
    let said = String::from_utf8_lossy(&made.stderr);
    let names_it = said.contains(&*file.to_string_lossy());
    ensure!(
        made.status.code() == Some(1) && names_it && is_refused(&said) && !backup.exists(),
        "{made:?}"
    );

    // After a restart, and in a process that only reads: with the first answer.
    for role in ["run", "serve"] {
        let daemon = installation.start_as(role).await?;
        let first = installation.sql(OF_JANUARY).await;
        ensure!(first.is_err(), "{role}: {first:?}");
        refused(&installation, &file).await?;
        daemon.kill()?;
    }

    let daemon = installation.start().await?;
    refused(&installation, &file).await?;
    installation.succeed(&["check", "--repair"])?;
    let rows = installation.sql(OF_JANUARY).await?;
    ensure!(rows[0][0].is_null(), "{rows:?}");
    let other = installation.cell(OF_FEBRUARY).await?;
    ensure!(other == 22.5, "{other}");
    let left = files_below(&installation.lake().join("_meetnet"))?;
    ensure!(left.is_empty(), "noted, though it was repaired: {left:?}");
    daemon.kill()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_is_found_while_the_daemon_runs_and_its_file_is_not_answered() {
    scrubbed().await.unwrap();
}

//! A start over a lake that is not what the journal has left there: an unmounted disk, a table that was set back, a hole in
//! its log; or over a journal whose secret is gone. Nothing is written until it is back, or until somebody has said that it
//! is lost.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use meetnet_tests::daemon::{Installation, PUSHED_HEAT};

const COUNT: &str = "SELECT count(*) FROM heat";

async fn push(installation: &Installation, minute: i64) -> Result<()> {
    let at = 1_736_503_200_000 + minute * 60_000;
    let body = format!("{{\"id\": \"a\", \"at\": {at}, \"t\": 20.5}}");
    let (status, text) = installation.push("desk", body.into_bytes(), &[]).await?;
    ensure!(status == 204, "{status}: {text}");
    Ok(())
}

/// Every file below a folder with its content.
fn content(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut content = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            content.extend(self::content(&path)?);
        // The lock says who has had it.
        } else if path.is_file() && !path.ends_with("journal/lock") {
            content.push((path.display().to_string(), fs::read(&path)?));
        }
    }
    content.sort();
    Ok(content)
}

/// A start ends with exit code 2, says this, and changes nothing.
fn assert_refused(installation: &Installation, says: &[&str]) -> Result<()> {
    let folders = ["lake", "journal"].map(|name| installation.folder().join(name));
    let all = || {
        folders
            .iter()
            .map(|folder| content(folder))
            .collect::<Result<Vec<_>>>()
    };
    let before = all()?;
    for role in ["run", "ingest"] {
        let output = installation.run(&[role])?;
        let told =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.code() == Some(2), "{role}: {told}");
        for says in says {
            ensure!(told.contains(says), "{role}: `{says}` in {told}");
        }
    }
    ensure!(all()? == before, "something was written");
    Ok(())
}

fn assert_not_accepted(installation: &Installation, says: &str) -> Result<()> {
    let output = installation.run(&["check", "--accept-loss", "heat"])?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2), "{told}");
    ensure!(told.contains(says), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_that_is_not_what_the_journal_has_left_is_not_written() -> Result<()> {
    let installation = Installation::new("compaction = false", PUSHED_HEAT)?;
    let lake = installation.lake();
    let away = installation.folder().join("away");
    // A version a start.
    for minute in 0..3 {
        let daemon = installation.start().await?;
        push(&installation, minute).await?;
        daemon.stop()?;
    }

    // Not mounted.
    fs::rename(&lake, &away)?;
    fs::create_dir(&lake)?;
    assert_refused(
        &installation,
        &[
            "table `air` is missing, and was at version",
            "mount the lake",
        ],
    )?;
    fs::remove_dir(&lake)?;
    fs::rename(&away, &lake)?;

    let log = lake.join("heat/_delta_log");
    let mut entries = Vec::new();
    for entry in fs::read_dir(&log)? {
        entries.push(entry?.path());
    }
    entries.sort();
    ensure!(entries.len() >= 4, "{entries:?}");
    let [.., before, newest] = &entries[..] else {
        anyhow::bail!("{entries:?}");
    };

    // A hole: who only reads is refused as well.
    fs::rename(before, &away)?;
    let name = before.file_name().context("a name")?.to_string_lossy();
    let hole = format!("{name} is missing");
    assert_refused(&installation, &[hole.as_str(), "put it back"])?;
    let read = installation.run(&["sql", COUNT])?;
    let told = String::from_utf8_lossy(&read.stderr);
    ensure!(!read.status.success() && told.contains(&hole), "{told}");
    fs::rename(&away, before)?;

    // Set back by a version, and back again.
    fs::rename(newest, &away)?;
    assert_refused(
        &installation,
        &["table `heat` is at version", "--accept-loss"],
    )?;
    fs::rename(&away, newest)?;
    let daemon = installation.start().await?;
    ensure!(installation.cell(COUNT).await? == 3);
    // Nothing is accepted while it runs, or where nothing is lost.
    assert_not_accepted(&installation, "in use by process")?;
    daemon.stop()?;
    assert_not_accepted(&installation, "no loss to accept")?;

    // The table is lost for good, and somebody says so.
    fs::remove_dir_all(lake.join("heat"))?;
    assert_refused(&installation, &["table `heat` is missing"])?;
    let output = installation.run(&["check"])?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(said.contains("--accept-loss heat"), "{said}");
    let said = installation.succeed(&["check", "--accept-loss", "heat"])?;
    ensure!(said.contains("accepted: table `heat` is missing"), "{said}");
    ensure!(said.contains("nothing is wrong"), "{said}");
    let daemon = installation.start().await?;
    push(&installation, 5).await?;
    ensure!(installation.wait_for(COUNT, 1).await? == 1);
    daemon.stop()?;
    ensure!(installation.sql_on_files(COUNT)?[0][0] == 1);
    installation.succeed(&["check"])?;
    Ok(())
}

/// With another secret every device would have another id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_privacy_secret_is_not_made_anew() -> Result<()> {
    let installation = Installation::new("", PUSHED_HEAT)?;
    let daemon = installation.start().await?;
    push(&installation, 0).await?;
    daemon.stop()?;
    let key = installation.folder().join("journal/privacy.key");
    let bytes = fs::read(&key)?;
    fs::remove_file(&key)?;
    assert_refused(
        &installation,
        &["the privacy secret", "every device gets a new id"],
    )?;
    ensure!(!key.exists());
    fs::write(&key, bytes)?;
    let daemon = installation.start().await?;
    ensure!(installation.cell(COUNT).await? == 1);
    daemon.stop()
}

/// What was acknowledged may have been in it: nobody goes on as if nothing had been there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newest_journal_segment_that_is_gone_is_told() -> Result<()> {
    let installation = Installation::new("", PUSHED_HEAT)?;
    let daemon = installation.start().await?;
    push(&installation, 0).await?;
    daemon.stop()?;
    let daemon = installation.start().await?;
    push(&installation, 1).await?;
    daemon.kill()?;
    let mut segments = Vec::new();
    for entry in fs::read_dir(installation.folder().join("journal"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "journal") {
            segments.push(path);
        }
    }
    // Their names begin with their number.
    fs::remove_file(segments.iter().max().context("a segment")?)?;
    let is_missed = || -> Result<()> {
        let output = installation.run(&["check", "--quick", "--format", "json"])?;
        let told = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.code() == Some(1), "{told}");
        ensure!(told.contains("frames_missing"), "{told}");
        Ok(())
    };
    is_missed()?;
    let daemon = installation.start().await?;
    let log = installation.log();
    ensure!(log.contains("a segment of the journal is gone"), "{log}");
    ensure!(installation.cell(COUNT).await? == 1);
    daemon.stop()?;
    is_missed()
}

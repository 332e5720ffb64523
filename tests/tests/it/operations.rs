//! What the data team sees of a running daemon, without JavaScript and without a metrics server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meetnet_testkit::free_port;
use meetnet_tests::daemon::Installation;

/// How long a step may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
const SOURCES: &str = r#"
[[source]]
id = "boxes"
kind = "http"
format = "airrohr"
token = { env = "MEETNET_TEST_TOKEN" }
licence = "ODbL-1.0"
"#;

/// Makes an installation with an operations page; returns its port, too.
fn with_admin(sources: &str) -> Result<(Installation, u16)> {
    let port = free_port()?;
    let admin = format!("[admin]\nlisten = \"127.0.0.1:{port}\"\n{sources}");
    Ok((Installation::new("", &admin)?, port))
}

/// Returns the operations page as a browser without JavaScript gets it.
async fn page(port: u16) -> Result<String> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/")).await?;
    let answer = answer.error_for_status().context("the operations page")?;
    Ok(answer.text().await?)
}

/// Waits until these texts are on the page.
async fn on_the_page(port: u16, texts: &[&str]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = page(port).await?;
        let missing = texts.iter().find(|text| !page.contains(**text));
        let Some(missing) = missing else {
            return Ok(());
        };
        ensure!(Instant::now() < deadline, "{missing:?} is not on {page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn pushes_that_no_source_claims_are_on_the_operations_page() -> Result<()> {
    const PASSKEY: &str = "0123456789ABCDEF0123456789ABCDEF";
    let (installation, port) = with_admin(SOURCES)?;
    let daemon = installation.start().await?;
    ensure!(!page(port).await?.contains("no source claims"));

    // A gateway that nobody has declared, twice, and a source whose name was mistyped.
    let form = format!("PASSKEY={PASSKEY}&dateutc=2026-07-01+10:00:00&tempf=68.0");
    for _ in 0..2 {
        let (status, text) = installation.report("/data/report/", &form).await?;
        ensure!(status == 404, "{status}: {text}");
    }
    let (status, text) = installation.push("bxoes", b"{}".to_vec(), &[]).await?;
    ensure!(status == 404, "{status}: {text}");

    let page = page(port).await?;
    for text in [
        "Pushes that no source claims",
        "/data/report",
        ">2<",
        "has the format `ecowitt`",
        "/ingest/v1/bxoes",
    ] {
        // Backquotes may be written as a reference.
        let is_there = page.contains(text) || page.contains(&text.replace('`', "&#96;"));
        ensure!(is_there, "{text:?} is not in {page}");
    }
    ensure!(!page.contains(PASSKEY), "the PASSKEY is in {page}");
    daemon.stop()
}

/// A source of files, whose rows may be as old as they like.
const FILES: &str = r#"
[[source]]
id = "loggers"
kind = "files"
format = "csv"
sensor_id = { field = "id" }
time = { field = "at", format = "unix" }
licence = "CC-BY-4.0"
map = [{ dataset = "heat", property = "air_temperature", field = "t", unit = "Cel" }]
"#;

/// What is kept is shortened in a file that is saved for a running daemon, and the daemon is started again: nothing goes
/// before somebody could read of it, and after that it does.
#[tokio::test]
async fn a_shorter_retention_drops_nothing_before_its_wait_is_over() -> Result<()> {
    let (installation, port) = with_admin(FILES)?;
    let file = installation.folder().join("history.csv");
    // September and October 2020.
    let table = "id,at,t\na,1600000000,20\na,1600000060,21\na,1602592000,22\n";
    std::fs::write(&file, table)?;
    let file = file.display().to_string();
    let count = "SELECT count(*) FROM heat";
    let daemon = installation.start().await?;
    installation.succeed(&["import", "csv", &file])?;
    ensure!(installation.cell(count).await? == 3);

    let config = installation.folder().join("meetnet.toml");
    let text = std::fs::read_to_string(&config)?;
    let shorter = format!("{text}[[dataset]]\nid = \"heat\"\nretention = \"30d\"\n");
    std::fs::write(&config, &shorter)?;
    daemon.ask_to_reload()?;
    let deadline = Instant::now() + PATIENCE;
    let said = loop {
        let log = installation.log();
        if let Some(line) = log
            .lines()
            .find(|line| line.contains("these rows are dropped"))
        {
            break line.to_owned();
        }
        ensure!(Instant::now() < deadline, "{}", installation.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for part in ["heat", "rows=3", "2020-09 to 2020-10", "30d", " at="] {
        ensure!(said.contains(part), "no {part:?} in {said}");
    }
    on_the_page(
        port,
        &[
            "Retentions that wait",
            ">3</span>",
            ">2020-09 to 2020-10<",
            ">30d<",
        ],
    )
    .await?;
    daemon.stop()?;
    // A start looks for old periods at once.
    let daemon = installation.start().await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    on_the_page(port, &["Retentions that wait", ">2020-09 to 2020-10<"]).await?;
    ensure!(installation.cell(count).await? == 3, "they went early");
    daemon.stop()?;

    let soon = shorter.replacen("[lake]\n", "[lake]\nretention_grace = \"1s\"\n", 1);
    ensure!(soon != shorter);
    std::fs::write(&config, soon)?;
    let daemon = installation.start().await?;
    let deadline = Instant::now() + PATIENCE;
    while installation.cell(count).await? != 0 {
        ensure!(Instant::now() < deadline, "{}", installation.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let deadline = Instant::now() + PATIENCE;
    while page(port).await?.contains("Retentions that wait") {
        ensure!(Instant::now() < deadline, "nothing waits any more");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    daemon.stop()
}

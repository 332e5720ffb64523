//! What the data team sees of a running daemon, without JavaScript and without a metrics server.

use anyhow::{Context, Result, ensure};
use meetnet_testkit::free_port;
use meetnet_tests::daemon::Installation;

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

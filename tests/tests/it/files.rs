//! Downloads of Parquet files from the real binary: what is listed can be fetched, what was replaced stays as long as it was
//! promised, and what was erased or removed is gone for ever.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use meetnet_lake::lake::UpkeepRequest;
use meetnet_tests::daemon::Installation;
use meetnet_tests::upkeep::tend;
use serde_json::Value;

const SOURCES: &str = r#"
[[source]]
id = "boxes"
kind = "http"
format = "airrohr"
token = { env = "MEETNET_TEST_TOKEN" }
licence = "ODbL-1.0"
attribution = "Boxes of the street"
"#;

/// The chip that is erased, and one that stays.
const CHIP: &str = "82660147";
const OTHER_CHIP: &str = "51002200";

/// Commits a reading of each chip: a file more.
async fn commit(installation: &Installation, chips: &[&str]) -> Result<()> {
    let daemon = installation.start().await?;
    for chip in chips {
        let body = format!(
            "{{\"esp8266id\": \"{chip}\", \"sensordatavalues\": [{{\"value_type\": \"SDS_P1\", \"value\": \"12.5\"}}]}}"
        );
        let sensor = format!("esp8266-{chip}");
        let headers = [("x-sensor", sensor.as_str())];
        let (status, text) = installation
            .push("boxes", body.into_bytes(), &headers)
            .await?;
        ensure!(status == 204, "{status}: {text}");
    }
    daemon.stop()
}

/// Addresses and hashes of the files that the dataset lists.
async fn listed(installation: &Installation) -> Result<Vec<(String, String)>> {
    let answer = installation.get("/api/v1/datasets/air/files", &[]).await?;
    let list: Value = serde_json::from_slice(&answer.bytes().await?)?;
    let files = list["files"].as_array().context("files")?.iter();
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
    files
        .map(|file| Ok((text(&file["url"])?, text(&file["sha256"])?)))
        .collect()
}

/// Checks that files can be fetched, whole and from their middle.
async fn fetch(installation: &Installation, files: &[(String, String)]) -> Result<()> {
    for (url, sha256) in files {
        let path = url.strip_prefix("/files/").context("an address of files")?;
        let content = fs::read(installation.lake().join(path))?;
        let tag = format!("\"{sha256}\"");
        let answer = installation.get(url, &[]).await?;
        ensure!(answer.status() == 200, "{url}: {}", answer.status());
        for (name, expect) in [
            ("etag", tag.as_str()),
            ("meetnet-licence", "ODbL-1.0"),
            ("meetnet-attribution", "Boxes of the street"),
        ] {
            let stated = answer.headers().get(name).context(name)?.to_str()?;
            ensure!(stated == expect, "{url}: {name} is {stated}");
        }
        ensure!(answer.bytes().await? == content, "{url}: another content");
        let half = content.len() / 2;
        let range = format!("bytes={half}-");
        let headers = [("range", range.as_str()), ("if-range", tag.as_str())];
        let rest = installation.get(url, &headers).await?;
        ensure!(rest.status() == 206, "{url}: {}", rest.status());
        ensure!(rest.bytes().await? == content[half..], "{url}: another end");
    }
    Ok(())
}

/// Checks that files are gone, for who begins and for who goes on.
async fn gone(installation: &Installation, files: &[(String, String)]) -> Result<()> {
    for (url, sha256) in files {
        let tag = format!("\"{sha256}\"");
        let goes_on = [("range", "bytes=4-"), ("if-range", tag.as_str())];
        let knows = [("if-none-match", tag.as_str())];
        let ways: [&[(&'static str, &str)]; 3] = [&[], &goes_on, &knows];
        for headers in ways {
            let answer = installation.get(url, headers).await?;
            ensure!(answer.status() == 410, "{url}: {}", answer.status());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_file_lasts_as_long_as_it_may() {
    published_files().await.unwrap();
}

async fn published_files() -> Result<()> {
    let installation = Installation::new("compaction = false", SOURCES)?;
    commit(&installation, &[CHIP, OTHER_CHIP]).await?;
    commit(&installation, &[CHIP, OTHER_CHIP]).await?;
    let daemon = installation.start().await?;
    let first = listed(&installation).await?;
    ensure!(first.len() == 2, "{first:?}");
    fetch(&installation, &first).await?;

    // Replaced, and not long enough ago to be removed: links that somebody published, and downloads, go on.
    installation.succeed(&["compact"])?;
    installation.succeed(&["vacuum"])?;
    let merged = listed(&installation).await?;
    ensure!(merged.len() == 1, "{merged:?}");
    fetch(&installation, &merged).await?;
    fetch(&installation, &first).await?;

    // Erased: every file that held the device, live or replaced.
    let device = format!("esp8266-{CHIP}");
    let erase = [
        "erase",
        "--source",
        "boxes",
        "--hardware-id",
        &device,
        "--yes",
    ];
    installation.succeed(&erase)?;
    gone(&installation, &first).await?;
    gone(&installation, &merged).await?;
    let left = listed(&installation).await?;
    ensure!(!left.is_empty());
    fetch(&installation, &left).await?;
    daemon.stop()?;

    // Replaced, and removed when the time that was promised has passed.
    commit(&installation, &[OTHER_CHIP]).await?;
    let daemon = installation.start().await?;
    let last = listed(&installation).await?;
    installation.succeed(&["compact"])?;
    fetch(&installation, &last).await?;
    daemon.stop()?;
    tend(&installation.lake(), UpkeepRequest::Vacuum, Duration::ZERO)?;
    let daemon = installation.start().await?;
    gone(&installation, &last).await?;
    fetch(&installation, &listed(&installation).await?).await?;
    daemon.stop()
}

//! What the first page says is there, on the real binary: also of rows that nobody has seen before they were committed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meetnet_tests::daemon::Installation;

const SOURCES: &str = r#"
[[source]]
id = "boxes"
kind = "http"
format = "airrohr"
token = { env = "MEETNET_TEST_TOKEN" }
licence = "ODbL-1.0"
attribution = "Boxes of the street"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_measurements_are_there_after_a_restart() {
    after_a_restart().await.unwrap();
}

async fn after_a_restart() -> Result<()> {
    let installation = Installation::new("", SOURCES)?;
    let daemon = installation.start().await?;
    let page = page(&installation).await?;
    ensure!(page.contains("There are no measurements yet"), "{page}");
    let body = r#"{"esp8266id": "82660147", "sensordatavalues": [{"value_type": "SDS_P1", "value": "47.5"}]}"#;
    let headers = [("x-sensor", "esp8266-82660147")];
    let (status, text) = installation
        .push("boxes", body.as_bytes().to_vec(), &headers)
        .await?;
    ensure!(status == 204, "{status}: {text}");
    // It is committed, and no page has shown it while it was hot.
    daemon.stop()?;
    let daemon = installation.start().await?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let page = self::page(&installation).await?;
        if page.contains("<b>47.5</b>") {
            break;
        }
        ensure!(Instant::now() < deadline, "{page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Harvesters of other portals are told of them with the licence of their source.
    let catalogue = installation.get("/api/v1/dcat.jsonld", &[]).await?;
    let catalogue = catalogue.text().await?;
    for said in [
        "resource/authority/licence/ODC_BL\"",
        "\"Boxes of the street\"",
        "/api/v1/datasets/air/rows?licence=ODbL-1.0&format=csv\"",
    ] {
        ensure!(catalogue.contains(said), "{said}: {catalogue}");
    }
    // Who has the catalogue is told so, once what is made of the row has been made.
    loop {
        let path = "/api/v1/dcat.jsonld";
        let answer = installation.get(path, &[]).await?;
        let tag = answer.headers()["etag"].to_str()?.to_owned();
        let known = [("if-none-match", tag.as_str())];
        let again = installation.get(path, &known).await?;
        if again.status() == 304 {
            break;
        }
        ensure!(Instant::now() < deadline, "{}: {tag}", again.status());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    daemon.stop()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_goes_astray_is_told_so_in_their_language() {
    astray().await.unwrap();
}

async fn astray() -> Result<()> {
    let installation = Installation::new("", SOURCES)?;
    let daemon = installation.start().await?;
    for (path, language, words) in [
        ("/nope", "nl", "Dit bestaat hier niet"),
        ("/datasets/nope?lang=fr", "nl", "Cela n’existe pas ici"),
        (
            "/problems/over-share",
            "fr-BE",
            "Trop de vos demandes sont en cours ou en attente",
        ),
        (
            "/problems/over-share?lang=nl",
            "fr",
            "te veel van uw vragen",
        ),
    ] {
        let headers = [("accept", "text/html"), ("accept-language", language)];
        let answer = installation.get(path, &headers).await?;
        let page = answer.text().await?;
        for part in [words, "<header class=\"site\">", "<span>Leuven · "] {
            ensure!(page.contains(part), "{path}: {part}: {page}");
        }
    }
    // Programs are told in English, whatever else they read.
    let headers = [("accept", "application/json"), ("accept-language", "fr")];
    let answer = installation.get("/problems/over-share", &headers).await?;
    let text = answer.text().await?;
    ensure!(text.contains("\"status\": 429"), "{text}");
    ensure!(text.contains("Too many of your queries"), "{text}");
    daemon.stop()
}

async fn page(installation: &Installation) -> Result<String> {
    let answer = installation.get("/?lang=en", &[]).await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    Ok(answer.text().await?)
}

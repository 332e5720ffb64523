//! `meetnet erase` on the real binary: the daemon carries it out while it runs, and afterwards no file of journal and lake
//! holds a byte of the device, by what it calls itself or by the id that was published for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use meetnet_tests::daemon::Installation;
use serde_json::Value;

/// Searches of all files, of which one must find none of them gone.
const SEARCHES_MAX: usize = 100;
const SOURCES: &str = r#"
[[source]]
id = "boxes"
kind = "http"
format = "airrohr"
token = { env = "MEETNET_TEST_TOKEN" }
licence = "ODbL-1.0"
"#;

/// The chip that goes, and one that stays.
const CHIP: &str = "82660147";
const OTHER_CHIP: &str = "51002200";

/// Pushes one reading of a chip.
async fn push(installation: &Installation, chip: &str, pm10: &str) -> Result<()> {
    let body = format!(
        "{{\"esp8266id\": \"{chip}\", \"sensordatavalues\": [{{\"value_type\": \"SDS_P1\", \"value\": \"{pm10}\"}}]}}"
    );
    let sensor = format!("esp8266-{chip}");
    let headers = [("x-sensor", sensor.as_str())];
    let answer = installation.push("boxes", body.into_bytes(), &headers);
    let (status, text) = answer.await?;
    ensure!(status == 204, "{status}: {text}");
    Ok(())
}

/// Every file below a folder, at any depth.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Files of journal and lake in which one of the traces stands, as it is or compressed. The daemon renames files all the
/// time: where one is gone that was just listed, the search begins anew.
fn tainted(installation: &Installation, traces: &[&str]) -> Result<Vec<PathBuf>> {
    for _ in 0..SEARCHES_MAX {
        match search(installation, traces) {
            Err(error) if is_gone(&error) => {}
            searched => return searched,
        }
    }
    bail!("files come and go faster than they can be searched")
}

fn is_gone(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn search(installation: &Installation, traces: &[&str]) -> Result<Vec<PathBuf>> {
    let mut tainted = Vec::new();
    for folder in ["journal", "lake"] {
        for path in files(&installation.folder().join(folder))? {
            let mut content = fs::read(&path)?;
            if path.extension().is_some_and(|extension| extension == "zst") {
                content = zstd::decode_all(content.as_slice())?;
            }
            let holds = |trace: &&str| {
                let mut places = content.windows(trace.len());
                places.any(|place| place == trace.as_bytes())
            };
            if traces.iter().any(holds) {
                tainted.push(path);
            }
        }
    }
    Ok(tainted)
}

/// What somebody has fetched who asks whether it is still so.
struct Known {
    /// Addresses of files, with their ETags.
    files: Vec<(String, String)>,
    /// The ETag of [`QUESTION`].
    answer: String,
}

/// The readings of the chip that goes.
const QUESTION: &str =
    "/api/v1/sql?q=SELECT+value+FROM+air+WHERE+value+%3E+40+ORDER+BY+value&format=csv";

async fn listed(installation: &Installation) -> Result<Vec<(String, String)>> {
    let answer = installation.get("/api/v1/datasets/air/files", &[]).await?;
    let list: Value = serde_json::from_str(&answer.text().await?)?;
    let files = list["files"].as_array().context("a list of files")?;
    let mut found = Vec::new();
    for file in files {
        let url = file["url"].as_str().context("an address")?;
        let hash = file["sha256"].as_str().context("a hash")?;
        found.push((url.to_owned(), format!("\"{hash}\"")));
    }
    Ok(found)
}

impl Known {
    async fn of(installation: &Installation) -> Result<Self> {
        let answer = installation.get(QUESTION, &[]).await?;
        let tag = answer.headers().get("etag").context("an ETag")?;
        let tag = tag.to_str()?.to_owned();
        let text = answer.text().await?;
        ensure!(text.contains("43.25"), "{text}");
        let known = [("if-none-match", tag.as_str())];
        let again = installation.get(QUESTION, &known).await?;
        ensure!(again.status() == 304, "{}", again.status());
        Ok(Self {
            files: listed(installation).await?,
            answer: tag,
        })
    }

    async fn holds_no_more(&self, installation: &Installation) -> Result<()> {
        let known = [("if-none-match", self.answer.as_str())];
        let answer = installation.get(QUESTION, &known).await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        let text = answer.text().await?;
        ensure!(!text.contains("43.25"), "{text}");
        let left = listed(installation).await?;
        let gone = self.files.iter().filter(|file| !left.contains(file));
        let gone: Vec<_> = gone.collect();
        ensure!(!gone.is_empty(), "a file held rows of the chip: {left:?}");
        for (url, tag) in gone {
            for headers in [&[][..], &[("if-none-match", tag.as_str())]] {
                let status = installation.get(url, headers).await?.status();
                ensure!(status == 410, "{url} {headers:?}: {status}");
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_erases_a_device_from_every_file_and_goes_on() {
    erase_in_a_daemon().await.unwrap();
}

async fn erase_in_a_daemon() -> Result<()> {
    let installation = Installation::new("", SOURCES)?;
    // Committed, archived, and then more that is hot.
    let daemon = installation.start().await?;
    for (chip, pm10) in [(CHIP, "43.25"), (OTHER_CHIP, "12.5"), (CHIP, "44.25")] {
        push(&installation, chip, pm10).await?;
    }
    // It cannot be decoded, and names the device all the same.
    let broken = format!("{{\"esp8266id\": \"{CHIP}\", \"sensord").into_bytes();
    let (status, text) = installation.push("boxes", broken, &[]).await?;
    ensure!(status == 400, "{status}: {text}");
    daemon.stop()?;
    let daemon = installation.start().await?;
    push(&installation, CHIP, "45.25").await?;
    push(&installation, OTHER_CHIP, "13.5").await?;
    installation.wait_for("SELECT count(*) FROM air", 5).await?;

    let id = installation.cell("SELECT DISTINCT sensor_id FROM air WHERE value > 40");
    let id = id.await?;
    let id = id.as_str().context("a sensor id")?;
    let hash = id.strip_prefix("boxes-").context("its namespace")?;
    let traces = [CHIP, hash];
    for trace in &traces {
        let before = tainted(&installation, &[trace])?;
        ensure!(
            !before.is_empty(),
            "the search finds what is there: {trace}"
        );
    }

    let before = Known::of(&installation).await?;

    let device = format!("esp8266-{CHIP}");
    let erase = ["erase", "--source", "boxes", "--hardware-id", &device];
    let unasked = installation.run(&erase)?;
    ensure!(unasked.status.code() == Some(2), "{unasked:?}");
    let confirmed: Vec<&str> = erase.into_iter().chain(["--yes"]).collect();
    // With a slip in a further id: the device goes all the same, and a script is not told success.
    let slip: Vec<&str> = confirmed
        .iter()
        .copied()
        .chain(["--sensor", "boxes-nobody"])
        .collect();
    let done = installation.run(&slip)?;
    let (said, told) = (
        String::from_utf8_lossy(&done.stdout).into_owned(),
        String::from_utf8_lossy(&done.stderr).into_owned(),
    );
    ensure!(
        done.status.code() == Some(1),
        "{said}{told}\n{}",
        installation.log_tail()
    );
    let not_all = "neither tables nor journal hold 1 of what was named; the rest is erased";
    for part in ["sensor boxes-nobody: not found", not_all] {
        ensure!(told.contains(part), "no {part:?} in {told}");
    }
    ensure!(told.contains(&format!("device {device}: erased")), "{told}");
    let log = installation.log();
    ensure!(!log.contains("boxes-nobody"), "the log names nobody: {log}");
    ensure!(
        told.contains(&format!("device {device} of source boxes")),
        "{told}"
    );
    ensure!(
        said.contains("erased 4 rows (air 3, rejects 1) and the content of 4 raw messages"),
        "{said}"
    );
    let left = tainted(&installation, &traces)?;
    ensure!(left.is_empty(), "{left:?}");
    before.holds_no_more(&installation).await?;
    let of_device = format!("SELECT count(*) FROM air_history WHERE sensor_id = '{id}'");
    ensure!(installation.cell(&of_device).await? == 0);
    ensure!(installation.cell("SELECT count(*) FROM air").await? == 2);

    // What is sent from now on is taken, and a restart brings nothing back.
    push(&installation, OTHER_CHIP, "14.5").await?;
    installation.wait_for("SELECT count(*) FROM air", 3).await?;
    daemon.stop()?;
    let again = installation.run(&confirmed)?;
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    let why = String::from_utf8_lossy(&again.stderr).into_owned();
    // What a mistyped id says, too: nobody may take it for an erasure.
    ensure!(
        again.status.code() == Some(1)
            && said.contains("nothing was found")
            && why.contains("nothing was erased"),
        "{said}{why}"
    );
    ensure!(installation.sql_on_files(&of_device)?[0][0] == 0);
    ensure!(tainted(&installation, &traces)?.is_empty());
    let checked = installation.run(&["check"])?;
    ensure!(checked.status.success(), "{checked:?}");
    Ok(())
}

//! The description of the service, `/api/v1/openapi.json`, is true: schemathesis asks the real binary as it says, and as it
//! does not, and holds every answer against it.

use meetnet_tests::daemon::Installation;
use meetnet_tests::python;

use crate::readers::{SOURCES, push_noise, push_traffic};

/// Requests that are no test of fifteen addresses any more.
const CASES_MIN: u64 = 400;

const QUERIES: &str = r#"
[[saved_query]]
name = "busiest-hours"
title = "Busiest hours of a segment"
sql = "SELECT time, car FROM traffic WHERE segment_id = $segment ORDER BY car DESC LIMIT 5"
"#;

/// `MEETNET_SEED` repeats a run that failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_described() {
    if !python::has_packages(&["schemathesis"]) {
        return;
    }
    let seed = std::env::var("MEETNET_SEED").unwrap_or_else(|_| "1".to_owned());
    println!("MEETNET_SEED={seed}");
    let installation = Installation::new("", &format!("{QUERIES}{SOURCES}")).unwrap();
    // Files, and later rows beside them that replace some of theirs.
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    push_noise(&installation, 1).await;
    daemon.stop().unwrap();
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 2.0).await;

    let folder = installation.folder().join("schemathesis");
    std::fs::create_dir(&folder).unwrap();
    let variables = [
        ("MEETNET_URL", format!("http://{}", installation.http())),
        ("MEETNET_SEED", seed.clone()),
    ];
    let tally = python::run_with("described.py", &[&folder], &variables)
        .unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    println!("{tally}");
    let operations = &tally["operations"];
    assert_eq!(
        operations["tested"], operations["total"],
        "seed {seed}: every address is asked: {tally}"
    );
    let cases = tally["cases"]["generated"].as_u64().unwrap();
    assert!(cases > CASES_MIN, "seed {seed}: {tally}");

    // Whoever was refused has taken nothing from the others.
    let count = installation.cell("SELECT count(*) FROM traffic").await;
    assert_eq!(count.unwrap(), 72, "seed {seed}");
    let log = installation.log();
    assert!(!log.contains("panicked"), "seed {seed}:\n{log}");
    daemon.stop().unwrap();
}

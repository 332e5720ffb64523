//! The tables in a bucket, as the real binary writes and reads them.

use std::path::Path;
use std::time::{Duration, Instant};

use meetnet_testkit::http_proxy::{HttpFault, HttpProxy};
use meetnet_testkit::s3::S3Server;
use meetnet_tests::daemon::{Bucket, Installation, TOKEN};
use meetnet_tests::python;
use serde_json::json;

use crate::readers::{SOURCES, check, push_noise, push_traffic};

const COMMITS: &str = "commit_age_max = \"200ms\"";
const NOISE: &str = "SELECT count(*) FROM noise";

/// Returns a bucket of a test's own; None where there is no server.
fn bucket() -> Option<(&'static S3Server, Bucket)> {
    let server = S3Server::shared().unwrap()?;
    let bucket = Bucket {
        endpoint: server.endpoint(),
        name: server.new_bucket().unwrap(),
    };
    Some((server, bucket))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_in_the_bucket_once_after_kills_and_others_read_it() {
    let Some((_, bucket)) = bucket() else { return };
    let installation = Installation::in_bucket(&bucket, COMMITS, "", SOURCES).unwrap();
    for round in 0..4 {
        let daemon = installation.start().await.unwrap();
        push_traffic(&installation, f64::from(round)).await;
        for number in 0..25 {
            push_noise(&installation, round * 25 + number).await;
            if number == 12 {
                // Some of it is committed by then, and some is not.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        daemon.kill().unwrap();
    }
    let daemon = installation.start().await.unwrap();
    assert_eq!(installation.cell(NOISE).await.unwrap(), json!(100));
    let cars = "SELECT sum(car) FROM traffic";
    let cars = installation.cell(cars).await.unwrap();
    assert_eq!(cars.as_f64(), Some(3.0 * 276.0 * 3.0));
    let history = "SELECT count(*) FROM traffic_history";
    let versions = installation.cell(history).await.unwrap();
    daemon.stop().unwrap();
    assert_eq!(
        installation.sql_on_files(NOISE).unwrap(),
        [vec![json!(100)]],
        "without a daemon"
    );

    if !python::has_readers() {
        return;
    }
    let options = json!({
        "AWS_ENDPOINT_URL": bucket.endpoint, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": TOKEN, "AWS_SECRET_ACCESS_KEY": TOKEN,
    });
    let lake = format!("s3://{}/lake", bucket.name);
    let variables = [("STORAGE_OPTIONS", options.to_string())];
    let tables = python::run_with("tables.py", &[Path::new(&lake)], &variables).unwrap();
    check(&installation, &tables);
    let superseded = tables["traffic"]["superseded"].as_i64().unwrap();
    assert_eq!(Some(superseded + 72), versions.as_i64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_separate_serve_sees_commits_and_outlives_an_outage() {
    let Some((server, bucket)) = bucket() else {
        return;
    };
    let proxy = HttpProxy::start(server.port, |_| HttpFault::Pass).unwrap();
    let seen_through = Bucket {
        endpoint: proxy.endpoint(),
        ..bucket.clone()
    };
    let writer = Installation::in_bucket(&bucket, COMMITS, "", SOURCES).unwrap();
    let hasty = "retries_max = 1\nretry_time_max = \"1s\"";
    let lake = "poll_interval = \"1s\"";
    let reader = Installation::in_bucket(&seen_through, lake, hasty, SOURCES).unwrap();
    let writing = writer.start().await.unwrap();
    push_noise(&writer, 0).await;
    // The tables are there before the first commit.
    let reading = reader.start_as("serve").await.unwrap();
    let begun = Instant::now();
    push_noise(&writer, 1).await;
    reader.wait_for(NOISE, 2).await.unwrap();
    // A commit after 200 ms, a look after 1 s; the rest is for a busy machine.
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(reader.readiness().await.unwrap()["lake_reachable"], true);

    proxy.set_plan(|_| HttpFault::Answer(503, "SlowDown"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while reader.readiness().await.unwrap()["lake_reachable"] == true {
        assert!(Instant::now() < deadline, "{}", reader.log_tail());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let readiness = reader.readiness().await.unwrap();
    assert_eq!(readiness["ready"], true, "{readiness}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = reader.log_tail();
    assert_eq!(log.matches("failed to follow the lake").count(), 1, "{log}");

    proxy.set_plan(|_| HttpFault::Pass);
    push_noise(&writer, 2).await;
    reader.wait_for(NOISE, 3).await.unwrap();
    assert_eq!(reader.readiness().await.unwrap()["lake_reachable"], true);
    reading.stop().unwrap();
    writing.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_bucket_is_away_messages_are_taken_and_answered() {
    let Some((server, bucket)) = bucket() else {
        return;
    };
    let proxy = HttpProxy::start(server.port, |_| HttpFault::Pass).unwrap();
    let through_proxy = Bucket {
        endpoint: proxy.endpoint(),
        ..bucket.clone()
    };
    let hasty = "retries_max = 1\nretry_time_max = \"1s\"\nrequest_time_max = \"2s\"";
    let installation = Installation::in_bucket(&through_proxy, COMMITS, hasty, SOURCES).unwrap();
    let daemon = installation.start().await.unwrap();
    // Nothing is in files yet, so no key has to be looked up: rows stay hot and are answered.
    proxy.set_plan(|_| HttpFault::Drop);
    for number in 0..20 {
        push_noise(&installation, number).await;
    }
    installation.wait_for(NOISE, 20).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = installation.log_tail();
    assert!(log.contains("commit failed, its rows stay hot"), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
    proxy.set_plan(|_| HttpFault::Pass);
    daemon.stop().unwrap();
    assert_eq!(
        installation.sql_on_files(NOISE).unwrap(),
        [vec![json!(20)]],
        "the last commit"
    );
}

/// No server is behind the proxy: it answers everything itself.
#[test]
fn a_start_during_an_outage_is_one_that_a_service_manager_tries_again() {
    let proxy = HttpProxy::start(0, |_| HttpFault::Drop).unwrap();
    let bucket = Bucket {
        endpoint: proxy.endpoint(),
        name: "city".to_owned(),
    };
    let hasty = "retries_max = 0\nrequest_time_max = \"2s\"";
    let installation = Installation::in_bucket(&bucket, "", hasty, SOURCES).unwrap();
    for (fault, expect) in [
        (HttpFault::Drop, "error sending request"),
        (HttpFault::Answer(503, "SlowDown"), "SlowDown"),
        (HttpFault::Answer(404, "NoSuchBucket"), "NoSuchBucket"),
        (
            HttpFault::Answer(403, "RequestTimeTooSkewed"),
            "the bucket refuses who asks",
        ),
    ] {
        proxy.set_plan(move |_| fault);
        for command in [&["run"][..], &["ingest"], &["serve"], &["compact"]] {
            let ended = installation.run(command).unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(
                ended.status.code(),
                Some(1),
                "{command:?}, {fault:?}: {said}"
            );
            assert!(said.contains("s3://city/lake"), "{said}");
            // A separate `serve` only reads, and says what the store says.
            if fault != HttpFault::Answer(403, "RequestTimeTooSkewed") || command != ["serve"] {
                assert!(said.contains(expect), "{command:?}: {said}");
            }
            assert!(!said.contains("chown"), "{said}");
            assert!(!said.contains(TOKEN), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_one_bucket_is_refused() {
    let Some((_, bucket)) = bucket() else { return };
    let first = Installation::in_bucket(&bucket, "", "", SOURCES).unwrap();
    let second = Installation::in_bucket(&bucket, "", "", SOURCES).unwrap();
    let daemon = first.start().await.unwrap();
    let refused = second.run(&["run"]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("belongs to the journal"), "{said}");
    assert!(!said.contains(TOKEN), "{said}");
    daemon.stop().unwrap();
    let checked = second.run(&["config", "check"]).unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(
        said.contains(&format!("s3://{}/lake at http://", bucket.name)),
        "{said}"
    );
    assert!(!said.contains(TOKEN), "{said}");
}

/// Copies the files of a journal folder, as whoever clones a machine does.
fn copy_journal(from: &Installation, to: &Installation) {
    let journal = |installation: &Installation| installation.folder().join("journal");
    std::fs::create_dir_all(journal(to)).unwrap();
    for entry in std::fs::read_dir(journal(from)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), journal(to).join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_journal_was_copied_stops_when_the_copy_is_started() {
    let Some((_, bucket)) = bucket() else { return };
    let original = Installation::in_bucket(&bucket, COMMITS, "", SOURCES).unwrap();
    let copy = Installation::in_bucket(&bucket, COMMITS, "", SOURCES).unwrap();
    let first = original.start().await.unwrap();
    for number in 0..5 {
        push_noise(&original, number).await;
    }
    // Nothing is left to commit that would end the daemon before the next message.
    let deadline = Instant::now() + Duration::from_secs(30);
    while original.sql_on_files(NOISE).unwrap() != [vec![json!(5)]] {
        assert!(Instant::now() < deadline, "{}", original.log_tail());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    copy_journal(&original, &copy);
    let second = copy.start().await.unwrap();
    push_noise(&original, 5).await;
    let ended = first.ended().unwrap();
    assert_eq!(ended.code(), Some(1), "{}", original.log_tail());
    let log = original.log_tail();
    assert!(
        log.contains("another daemon with a copy of this journal"),
        "{log}"
    );
    let refused = original.run(&["run"]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("with another copy of this journal"), "{said}");

    for number in 6..9 {
        push_noise(&copy, number).await;
    }
    copy.wait_for(NOISE, 8).await.unwrap();
    second.stop().unwrap();
    // What only the original had acknowledged is in its journal alone.
    assert_eq!(copy.sql_on_files(NOISE).unwrap(), [vec![json!(8)]]);
}

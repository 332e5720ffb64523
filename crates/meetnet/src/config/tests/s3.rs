//! A lake in a bucket: what is in effect, and which credentials are read.

use std::time::Duration;

use meetnet_lake::storage::S3Credentials;
use tokio::runtime::Runtime;

use super::{environment, right};
use crate::config::{Config, LakePlace, Secrets};

const BUCKET: &str = "[lake]\nurl = \"s3://city/lake\"\n[s3]\nregion = \"eu-west-1\"\n";
const KEYS: &str = "access_key_id = { env = \"ID\" }\nsecret_access_key = { env = \"SECRET\" }\n";

fn secrets(config: &Config, pairs: &[(&str, &str)]) -> Secrets {
    // Who only reads takes no other secrets.
    let found = config.lake_secrets(&environment(pairs));
    found.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_bucket_is_polled_less_often_and_has_limits() {
    let config = right(&format!("{BUCKET}{KEYS}"), &[]);
    let LakePlace::S3(s3) = &config.lake.place else {
        panic!("a folder")
    };
    assert_eq!(s3.url.to_string(), "s3://city/lake");
    assert_eq!(config.lake.poll_interval, Duration::from_secs(5));
    assert_eq!(right("", &[]).lake.poll_interval, Duration::from_secs(1));
    // Reads of a bucket are paid for.
    assert_eq!(config.lake.scrub_every, None);
    let week = Duration::from_secs(7 * 24 * 3_600);
    assert_eq!(right("", &[]).lake.scrub_every, Some(week));
    let off = right("[lake]\nscrub_every = \"0s\"\n", &[]);
    assert_eq!(off.lake.scrub_every, None);
    let other = format!(
        "[lake]\npoll_interval = \"2s\"\nscrub_every = \"30d\"\nurl = \"s3://city/lake\"\n\
         [s3]\nendpoint = \"https://store:9000\"\nretries_max = 0\nretry_time_max = \"3s\"\n{KEYS}"
    );
    let config = right(&other, &[("MEETNET_S3__REGION", "garage")]);
    let LakePlace::S3(s3) = &config.lake.place else {
        panic!("a folder")
    };
    assert_eq!(config.lake.poll_interval, Duration::from_secs(2));
    let month = Duration::from_secs(30 * 24 * 3_600);
    assert_eq!(config.lake.scrub_every, Some(month));
    assert_eq!(s3.region, "garage");
    assert_eq!(s3.limits.retries_max, 0);
    assert_eq!(s3.limits.retry_time_max, Duration::from_secs(3));
    assert_eq!(s3.limits.request_time_max, Duration::from_secs(60));
}

#[test]
fn keys_are_read_by_name_and_shown_nowhere() {
    let token = "session_token = { env = \"TOKEN\" }\n";
    let config = right(&format!("{BUCKET}{KEYS}{token}"), &[]);
    let pairs = [
        ("ID", "hidden-id"),
        ("SECRET", "hidden"),
        ("TOKEN", "hidden-too"),
    ];
    let secrets = secrets(&config, &pairs);
    let Some(S3Credentials::Keys {
        access_key_id,
        secret_access_key,
        session_token,
    }) = &secrets.s3
    else {
        panic!("no keys")
    };
    assert_eq!(
        (&**access_key_id, &**secret_access_key),
        ("hidden-id", "hidden")
    );
    assert_eq!(session_token.as_deref(), Some("hidden-too"));
    let runtime = Runtime::new().unwrap();
    let storage = config.lake.storage(&secrets, runtime.handle().clone());
    let shown = format!("{config:?} {:?}", storage.unwrap());
    assert!(!shown.contains("hidden"), "{shown}");

    let missing = config.lake_secrets(&environment(&[("ID", "id"), ("TOKEN", "t")]));
    let said = missing
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(
        said.contains("city/meetnet.toml:6: the environment variable SECRET is not set; set it"),
        "{said}"
    );
}

#[test]
fn variables_of_aws_count_only_for_a_role_and_only_those_that_say_it() {
    let pairs = [
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/meetnet"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token"),
        ("AWS_ACCESS_KEY_ID", "of somebody else"),
        ("AWS_ENDPOINT_URL", "http://elsewhere"),
    ];
    let config = right(&format!("{BUCKET}credentials = \"role\"\n"), &[]);
    let Some(S3Credentials::Role(variables)) = secrets(&config, &pairs).s3 else {
        panic!("no role")
    };
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"]);

    let config = right(&format!("{BUCKET}credentials = \"anonymous\"\n"), &[]);
    let found = secrets(&config, &pairs).s3;
    assert!(matches!(found, Some(S3Credentials::Anonymous)));
}

//! Secrets are found by name, and only when asked for.

use meetnet_model::ids::SourceId;

use super::{SOURCE, environment, parse, right};
use crate::config::Config;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn secrets_come_from_the_environment() {
    let source = SOURCE.replace("kind", "password = { env = \"BROKER\" }\nkind");
    let text = format!("[privacy]\nsecret = {{ env = \"KEY\" }}\n{source}");
    let config = right(&text, &[]);
    let found = config.secrets(&environment(&[("KEY", SECRET), ("BROKER", " pass\n")]));
    let found = found
        .map_err(|error| error.to_string())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.privacy.as_deref(), Some(SECRET));
    assert_eq!(
        found.credential(&SourceId::new("balcony")).as_deref(),
        Some("pass")
    );
}

#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meetnet.toml");
    std::fs::write(folder.path().join("key"), format!("{SECRET}\n")).unwrap();
    let text = "[privacy]\nsecret = { file = \"key\" }\n";
    let config = Config::parse(&file, text, &environment(&[])).unwrap();
    let found = config
        .secrets(&environment(&[]))
        .map_err(|error| error.to_string());
    assert_eq!(
        found.ok().and_then(|found| found.privacy).as_deref(),
        Some(SECRET)
    );
}

#[test]
fn missing_and_weak_secrets_are_named() {
    let missing = |text: &str, pairs: &[(&str, &str)]| {
        let config = parse(text, &[]).unwrap();
        match config.secrets(&environment(pairs)) {
            Ok(_) => panic!("found"),
            Err(error) => error.to_string(),
        }
    };
    let env = "[privacy]\nsecret = { env = \"KEY\" }\n";
    let said = missing(env, &[]);
    assert!(
        said.contains("city/meetnet.toml:2: the environment variable KEY is not set; set it, and restart a daemon"),
        "{said}"
    );
    let said = missing(env, &[("KEY", "  ")]);
    assert!(
        said.ends_with("the environment variable KEY is empty; put the secret there"),
        "{said}"
    );
    let said = missing(env, &[("KEY", "short")]);
    assert!(said.contains("fewer than 16 characters"), "{said}");
    assert!(
        !said.contains("short;"),
        "the secret is not repeated: {said}"
    );
    let said = missing("[privacy]\nsecret = { file = \"nowhere\" }\n", &[]);
    assert!(
        said.contains("cannot read the secret in city/nowhere"),
        "{said}"
    );
}

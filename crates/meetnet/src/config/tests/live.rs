//! What can change while a daemon runs, and what is refused.

use super::*;

const TEXT: &str = r#"
[lake]
commit_age_max = "1m"
[http]
listen = "127.0.0.1:8080"
[ingest_http]
listen = "127.0.0.1:8081"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;

#[test]
fn what_is_read_at_the_start_only_is_named() {
    let running = right(TEXT, &[]);
    let check = |from: &str, to: &str, expect: &[&str]| {
        let text = TEXT.replace(from, to);
        assert!(from.is_empty() || text != TEXT, "{from}");
        let problems = match right(&text, &[]).check_live(&running) {
            Ok(()) => Vec::new(),
            Err(error) => error.problems,
        };
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let begins: Vec<&str> = problems
            .iter()
            .map(|problem| problem.split(" has changed").next().unwrap())
            .collect();
        assert_eq!(begins, expect);
        assert!(
            problems
                .iter()
                .all(|problem| problem.contains("restart the daemon"))
        );
    };
    check("", "", &[]);
    check("/t", "/celsius", &[]);
    check("\"desk\"", "\"table\"", &[]);
    check(
        "[[source]]",
        "[[dataset]]\nid = \"heat\"\nretention = \"3650d\"\n[[source]]",
        &[],
    );
    check("8080", "8090", &["city/meetnet.toml:5: [http] listen"]);
    check(
        "\"1m\"",
        "\"2m\"",
        &["city/meetnet.toml:3: [lake] commit_age_max"],
    );
    check(
        "[lake]\ncommit_age_max = \"1m\"",
        "[lake]\nurl = \"elsewhere\"",
        &[
            "city/meetnet.toml:3: [lake] url",
            "city/meetnet.toml: [lake] commit_age_max",
        ],
    );
    check(
        "[http]",
        "[privacy]\nsecret = { env = \"SECRET\" }\n[journal]\ndir = \"elsewhere\"\n[http]",
        &[
            "city/meetnet.toml:7: [journal] dir",
            "city/meetnet.toml:5: [privacy] secret",
        ],
    );
}

/// An editor that ran out of disk leaves such a file.
#[test]
fn a_file_that_has_become_empty_is_said_once() {
    let sources_alone = TEXT.split_once("[[source]]").unwrap().1;
    let sources_alone = format!(
        "[[source]]{}",
        sources_alone.replace("\"http\"", "\"files\"")
    );
    for running in [TEXT, sources_alone.as_str()] {
        let running = right(running, &[]);
        for text in ["", "\n \n"] {
            let error = right(text, &[]).check_live(&running).unwrap_err();
            assert_eq!(error.problems.len(), 1, "{error}");
            assert!(error.to_string().contains("the file is empty"), "{error}");
        }
    }
    // Who has begun with one may keep it.
    assert!(right("", &[]).check_live(&right("", &[])).is_ok());
}

/// Sections of which there may be several count as one setting.
#[test]
fn saved_queries_are_read_at_the_start_only() {
    let text = |sql: &str| {
        let query = format!("[[saved_query]]\nname = \"warm\"\nsql = \"{sql}\"\n[[source]]");
        TEXT.replace("[[source]]", &query)
    };
    let running = right(&text("SELECT 1"), &[]);
    assert!(right(&text("SELECT 1"), &[]).check_live(&running).is_ok());
    for changed in [text("SELECT 2"), TEXT.to_owned()] {
        let error = right(&changed, &[]).check_live(&running);
        let problems = error.expect_err("it has changed").problems;
        assert_eq!(problems.len(), 1);
        let problem = problems[0].to_string();
        assert!(problem.contains("[[saved_query]] has changed"), "{problem}");
    }
}

#[test]
fn the_environment_counts_as_it_did_at_the_start() {
    let listen = [("MEETNET_HTTP__LISTEN", "127.0.0.1:9000")];
    let running = right(TEXT, &listen);
    // What it overrides may stand in the file as it likes.
    let text = TEXT.replace("8080", "8090");
    assert!(right(&text, &listen).check_live(&running).is_ok());
    let without = right(TEXT, &[]);
    assert!(without.check_live(&running).is_err());
}

#[test]
fn files_that_it_names_are_known() {
    let text = TEXT.replace(
        "licence",
        "token = { file = \"secrets/token\" }\nregistry = \"devices.csv\"\nlicence",
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("devices.csv"), "id,station\n1,window\n").unwrap();
    let file = folder.path().join("meetnet.toml");
    let config = Config::parse(&file, &text, &Environment::default()).unwrap();
    let mut files = config.files;
    files.sort();
    let expect = ["devices.csv", "secrets/token"].map(|name| folder.path().join(name));
    assert_eq!(files, expect);
}

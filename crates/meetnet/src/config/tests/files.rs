//! Sources that are imported, and nothing else.

use meetnet_model::source::SourceKind;

use super::{parse, right};
use crate::config::Transport;

/// What it takes at least.
const LOGGERS: &str = r#"
[[source]]
id = "loggers"
kind = "files"
format = "csv"
sensor_id = { field = "station" }
licence = "CC-BY-4.0"
map = [{ dataset = "heat", property = "air_temperature", field = "t" }]
"#;

#[test]
fn a_source_of_files_needs_no_address_and_no_listener() {
    let config = right(LOGGERS, &[]);
    let source = &config.sources[0];
    assert!(matches!(source.transport, Transport::Files));
    assert_eq!(source.declaration.kind, SourceKind::Files);
    assert!(source.declaration.topics.is_empty());
    let named = LOGGERS
        .replace("{ field = \"station\" }", "\"{station}\"")
        .replace("licence", "files = [\"{station}.csv\"]\nlicence");
    let config = right(&named, &[]);
    assert_eq!(config.sources[0].declaration.topics, ["{station}.csv"]);
}

#[test]
fn the_page_has_examples_that_load() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sources/files.md");
    let text = std::fs::read_to_string(path).expect("the page is there");
    let blocks: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap_or(rest))
        .collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let config = right(block, &[]);
        assert!(matches!(config.sources[0].transport, Transport::Files));
    }
}

#[test]
fn what_belongs_to_messages_is_refused() {
    let check = |from: &str, to: &str, expect: &str| {
        assert!(LOGGERS.contains(from), "{from}");
        let text = LOGGERS.replacen(from, to, 1);
        let problems = parse(&text, &[]).map(|_| ()).unwrap_err().problems;
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, [expect.to_owned()], "in\n{text}");
    };
    check(
        "licence",
        "url = \"mqtt://broker\"\nlicence",
        "city/meetnet.toml:7: `url` has no meaning for kind = \"files\"; remove it",
    );
    check(
        "licence",
        "token = { env = \"T\" }\nlicence",
        "city/meetnet.toml:7: `token` has no meaning for kind = \"files\"; remove it",
    );
    check(
        "licence",
        "silent_after = \"1h\"\nlicence",
        "city/meetnet.toml:7: files come when somebody imports them, so their source is never silent; remove \
         `silent_after`",
    );
    check(
        "[[source]]\nid = \"loggers\"\nkind = \"files\"",
        "[ingest_http]\nlisten = \"127.0.0.1:0\"\n[[source]]\nid = \"loggers\"\nkind = \"http\"\nfiles = [\"{station}.csv\"]",
        "city/meetnet.toml:7: `files` has no meaning for kind = \"http\"; remove it",
    );
    check(
        "format = \"csv\"\n",
        "",
        "city/meetnet.toml:2: the key `format` is missing; add it",
    );
}

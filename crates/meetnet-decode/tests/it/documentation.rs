//! The examples in `docs/sources/` do what the text says: the source of each page is made a decoder, each message is fed
//! to it, and what comes out is what the page shows.
//!
//! A page shows, in this order and as often as it likes: a source (` ```toml ` with `[[source]]`), a message to it
//! (` ```json message topic=… header=value `), what it becomes (` ```text `, one row or reject a line, rejects without
//! their advice). `…` at the end of a word stands for whatever follows in that word, such as a pseudonym; `…` at the end
//! of a line for the rest of it.

use std::path::Path;

use meetnet_decode::{Decoded, Decoders, EnvelopeRef};

use crate::harness::{self, RECEIVED_AT};
use crate::render;

/// Keys of a source that say how it is connected, not what its messages become.
const TRANSPORT_KEYS: [&str; 30] = [
    "api_key",
    "interval",
    "reask",
    "since",
    "request_pause",
    "requests_per_day_max",
    "request_time_max",
    "answer_bytes_max",
    "contact",
    "segments",
    "advanced",
    "geometry",
    "area",
    "archive",
    "series",
    "layers",
    "url",
    "token",
    "path",
    "database",
    "station",
    "name",
    "username",
    "password",
    "qos",
    "retained",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "requests_per_second_max",
];

/// Pages that must show a message and what it becomes.
const PAGES: [&str; 16] = [
    "chirpstack.md",
    "csv.md",
    "ecowitt.md",
    "files.md",
    "fiware.md",
    "influx.md",
    "ircel.md",
    "mapping.md",
    "mqtt-json.md",
    "opensensemap.md",
    "senml.md",
    "sensor-community.md",
    "sensorthings.md",
    "telraam.md",
    "the-things-stack.md",
    "wunderground.md",
];

/// One fenced block: the words behind its fence, and its text.
struct Block {
    info: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block {
            info: info.to_owned(),
            text: text.join("\n"),
        });
    }
    blocks
}

/// Builds the decoder of the only source in a block of configuration.
fn decoders(text: &str) -> Decoders {
    let mut document: toml::Table = toml::from_str(text).unwrap();
    let toml::Value::Array(sources) = document.remove("source").unwrap() else {
        panic!("`source` is no list");
    };
    let [toml::Value::Table(source)] = sources.as_slice() else {
        panic!("a page shows one source at a time");
    };
    let mut source = source.clone();
    for key in TRANSPORT_KEYS {
        source.remove(key);
    }
    // What an API answers is known: the kind that is polled has the name of its format.
    let kind = source["kind"].as_str().unwrap().to_owned();
    if !["mqtt", "http", "files"].contains(&kind.as_str()) {
        source.insert("kind".to_owned(), "poll".into());
        source.insert("format".to_owned(), kind.into());
    }
    // What is journalled has the ends of paths with the patterns of topics, which here say what a page writes.
    if let Some(files) = source.remove("files") {
        source.insert("topics".to_owned(), files);
    }
    // What is journalled has the devices of `[[source.device]]` in a list of that name.
    if let Some(devices) = source.remove("device") {
        source.insert("devices".to_owned(), devices);
    }
    let id = source["id"].as_str().unwrap().to_owned();
    source.entry("namespace").or_insert(id.into());
    // The harness knows its source by this id.
    source.insert("id".to_owned(), "test".into());
    let source = harness::source(&toml::to_string(&source).unwrap()).unwrap();
    harness::decoders(source).unwrap()
}

/// Decodes a message as the words behind its fence say.
fn decode(decoders: &Decoders, info: &str, body: &str) -> Decoded {
    let mut topic = "";
    let mut meta: Vec<(Box<str>, Box<str>)> = Vec::new();
    for word in info.split_whitespace() {
        match word.split_once('=') {
            Some(("topic", value)) => topic = value,
            Some((name, value)) => meta.push((name.into(), value.into())),
            None => {}
        }
    }
    decoders.decode_body(&EnvelopeRef {
        sequence: 1,
        source: "test",
        topic,
        meta: &meta,
        payload: body.as_bytes(),
        received_at: RECEIVED_AT,
        truncated: false,
    })
}

/// Returns one line per row and reject.
fn lines(decoded: &Decoded) -> Vec<String> {
    let mut lines = Vec::new();
    for rows in &decoded.rows {
        let line = |row| format!("{}{}", rows.declaration.id, render::row(&rows.batch, row));
        lines.extend((0..rows.batch.num_rows()).map(line));
    }
    let rejects = decoded.rejects.iter();
    lines.extend(rejects.map(|reject| format!("{}: {}", reject.reason.as_str(), reject.message)));
    lines
}

/// Returns whether a line is what a page shows.
fn is_shown(line: &str, shown: &str) -> bool {
    if let Some(head) = shown.strip_suffix(" …") {
        return line.starts_with(head);
    }
    let (words, shown): (Vec<&str>, Vec<&str>) =
        (line.split(' ').collect(), shown.split(' ').collect());
    words.len() == shown.len()
        && words
            .iter()
            .zip(shown)
            .all(|(word, shown)| match shown.strip_suffix('…') {
                Some(head) => word.starts_with(head),
                None => *word == shown,
            })
}

#[test]
fn every_example_does_what_its_page_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sources");
    let mut tested = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".md") {
            continue;
        }
        let page = std::fs::read_to_string(&path).unwrap();
        let (mut source, mut decoded, mut shown) = (None, None, 0);
        for block in blocks(&page) {
            let kind = block.info.split_whitespace().nth(1);
            match (block.info.as_str(), kind) {
                ("toml", _) => source = Some(decoders(&block.text)),
                (info, Some("message")) => {
                    println!("{name}: {info}");
                    decoded = Some(decode(source.as_ref().unwrap(), info, &block.text));
                }
                ("text", _) => {
                    let Some(decoded) = decoded.take() else {
                        continue;
                    };
                    let expected: Vec<&str> = block.text.lines().collect();
                    let found = lines(&decoded);
                    let is_same = found.len() == expected.len()
                        && found
                            .iter()
                            .zip(&expected)
                            .all(|(line, shown)| is_shown(line, shown));
                    assert!(is_same, "{name} shows {expected:#?}, and it is {found:#?}");
                    shown += 1;
                }
                _ => {}
            }
        }
        if shown > 0 {
            tested.push(name);
        }
    }
    tested.sort();
    for page in PAGES {
        assert!(
            tested.iter().any(|name| name == page),
            "{page} shows no message"
        );
    }
}

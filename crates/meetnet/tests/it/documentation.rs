//! What the documentation promises of the program as a whole: every metric is named in it, and none that is gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Behind what a metric's name stands where one is counted or set.
const MAKERS: [&str; 5] = ["counter!(", "gauge!(", "histogram!(", "tally(", "gauge("];
const PREFIX: &str = "meetnet_";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files below a folder that end so, those of tests left out.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("tests") {
            continue;
        }
        if path.is_dir() {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path.clone());
        }
    }
}

/// The names that begin with [`PREFIX`] in a text, each with what stands before it and behind it.
fn names(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let found = text.match_indices(PREFIX).map(move |(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
        (&text[..at], &rest[..end], &rest[end..])
    });
    found.filter(|(_, name, _)| *name != PREFIX)
}

#[test]
fn every_metric_is_documented_and_none_that_is_gone() {
    let (mut sources, mut pages) = (Vec::new(), vec![root().join("README.md")]);
    files(&root().join("crates"), ".rs", &mut sources);
    files(&root().join("docs"), ".md", &mut pages);
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a text");
    let mut counted = BTreeSet::new();
    for text in sources.iter().map(read) {
        let made = names(&text).filter(|(before, ..)| {
            let before = before.trim_end_matches('"').trim_end();
            MAKERS.iter().any(|maker| before.ends_with(*maker))
        });
        counted.extend(made.map(|(_, name, _)| name.to_owned()));
    }
    let mut documented = BTreeSet::new();
    for text in pages.iter().map(read) {
        // `meetnet_lake::…` is a crate.
        let metrics = names(&text).filter(|(.., behind)| !behind.starts_with("::"));
        documented.extend(metrics.map(|(_, name, _)| name.to_owned()));
    }
    assert!(counted.len() > 60, "{counted:?}");
    let missing: Vec<&String> = counted.difference(&documented).collect();
    let gone: Vec<&String> = documented.difference(&counted).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/operations.md does not tell of {missing:?}; docs tell of {gone:?}, which no source counts"
    );
}

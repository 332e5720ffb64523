//! What the documentation promises of the program as a whole: every metric is named in it, and none that is gone; and its
//! links lead somewhere. Commands are tested where they are read (`cli/tests`), configurations likewise (`config/tests`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

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
        // `meetnet_lake::…` is a crate, and so is `meetnet_lake=debug`.
        let metrics = names(&text)
            .filter(|(.., behind)| !behind.starts_with("::") && !behind.starts_with("=debug"));
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

/// The lines of a page outside of blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The anchors of a page: its headings, as GitHub names them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.strip_prefix(' '))?
    });
    let anchor = |heading: &str| {
        let kept = heading.trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then_some(c),
        });
        kept.flat_map(char::to_lowercase).collect::<String>()
    };
    headings.map(anchor).collect()
}

/// Where links of a page lead, those to other sites left out.
fn targets(page: &str) -> Vec<String> {
    let text: Vec<&str> = prose(page).collect();
    let text = text.join("\n");
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.to_owned());
    targets.filter(|target| !target.contains("://")).collect()
}

/// A path without `..`, as far as it goes: files are compared by it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_leads_somewhere() {
    let root = plain(&root());
    let mut pages = vec![root.join("tests/fuzz/README.md")];
    files(&root.join("docs"), ".md", &mut pages);
    for entry in std::fs::read_dir(&root).expect("the checkout") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    let read = |path: &PathBuf| (path.clone(), std::fs::read_to_string(path).expect("a page"));
    let pages: BTreeMap<PathBuf, String> = pages.iter().map(read).collect();
    let mut found = 0;
    let mut broken = Vec::new();
    for (path, page) in &pages {
        for target in targets(page) {
            found += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let folder = path.parent().expect("a folder");
            let led_to = match file {
                "" => path.clone(),
                file => plain(&folder.join(file)),
            };
            let is_there = led_to.exists();
            let has_anchor = anchor.is_empty()
                || pages
                    .get(&led_to)
                    .is_some_and(|page| anchors(page).contains(anchor));
            if !(is_there && has_anchor) {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(found > 80, "{found} links");
}

#[test]
fn anchors_are_named_as_github_names_them() {
    let page =
        "# A `start`, after a crash\n#no heading\n```sh\n# a comment\n```\n## Déjà vu: 2 × 3\n";
    let expect = ["a-start-after-a-crash", "déjà-vu-2--3"].map(str::to_owned);
    assert_eq!(anchors(page), BTreeSet::from(expect));
    assert_eq!(
        targets("[a](b.md#c)\n```\n[d](e)\n```\n[f](https://g)"),
        ["b.md#c"]
    );
}

//! The commented examples in `config/`: each is in order, and `full.toml` has every key with its default.

use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::environment;
use crate::config::{Config, LakePlace, raw};

fn example(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    (path, text)
}

fn load(name: &str) -> Config {
    let (path, _) = example(name);
    Config::load(&path, &environment(&[])).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_minimal_example_is_in_order() {
    let config = load("minimal.toml");
    assert_eq!(config.sources.len(), 1);
    assert!(config.secrets(&environment(&[])).is_ok());
}

#[test]
fn the_demo_example_is_what_the_demo_writes() {
    let config = load("demo.toml");
    assert_eq!(config.sources.len(), 5);
    assert_eq!(example("demo.toml").1, crate::demo::default_config_toml());
}

#[test]
fn the_s3_example_is_in_order_and_names_every_key() {
    let config = load("s3.toml");
    let secrets = [("MEETNET_S3_KEY_ID", "id"), ("MEETNET_S3_SECRET", "secret")];
    assert!(config.secrets(&environment(&secrets)).is_ok());
    let (path, text) = example("s3.toml");
    names_keys("s3.toml", &text, "s3", fields::<raw::S3>());
    // What it shows beside the required keys are the defaults.
    let bare = "[lake]\nurl = \"s3://leuven-data/lake\"\n[s3]\nregion = \"eu-west-1\"\n\
                access_key_id = { env = \"MEETNET_S3_KEY_ID\" }\nsecret_access_key = { env = \"MEETNET_S3_SECRET\" }\n";
    let bare = Config::parse(&path, bare, &environment(&[])).unwrap();
    let text = |config: &Config| {
        let LakePlace::S3(s3) = &config.lake.place else {
            panic!("a folder")
        };
        let lake = (&config.lake.limits, config.lake.poll_interval);
        format!("{:?} {} {} {:?}", s3.limits, s3.url, s3.region, lake)
    };
    assert_eq!(text(&config), text(&bare));
}

#[test]
fn the_full_example_has_the_defaults() {
    let full = load("full.toml");
    let (path, _) = example("full.toml");
    let bare = "[http]\nlisten = \"127.0.0.1:8080\"\n[ingest_http]\nlisten = \"127.0.0.1:8081\"\n\
                [admin]\nlisten = \"127.0.0.1:8082\"\n[pg]\nlisten = \"127.0.0.1:5432\"\n\
                [flight]\nlisten = \"127.0.0.1:32010\"\n";
    let bare = Config::parse(&path, bare, &environment(&[])).unwrap();
    let text = |config: &Config| {
        format!(
            "{:#?}",
            (
                &config.lake,
                &config.journal,
                &config.http,
                &config.ingest_http,
                &config.admin,
                &config.pg,
                &config.flight,
                &config.query,
                &config.limits
            )
        )
    };
    assert_eq!(text(&full), text(&bare));
}

#[test]
fn the_full_example_names_every_key() {
    let (_, text) = example("full.toml");
    for (section, keys) in sections() {
        // The one is of buckets, the others are whole comments.
        if !["s3", "[api_key]", "[saved_query]"].contains(&section) {
            names_keys("full.toml", &text, section, keys);
        }
    }
}

/// Every section, those of which there may be several in brackets, with its keys.
fn sections() -> [(&'static str, &'static [&'static str]); 19] {
    [
        ("lake", fields::<raw::Lake>()),
        ("s3", fields::<raw::S3>()),
        ("journal", fields::<raw::Journal>()),
        ("http", fields::<raw::Http>()),
        ("portal", fields::<raw::Portal>()),
        ("ingest_http", fields::<raw::IngestHttp>()),
        ("admin", fields::<raw::Admin>()),
        ("pg", fields::<raw::Pg>()),
        ("flight", fields::<raw::Flight>()),
        ("privacy", fields::<raw::Privacy>()),
        ("query", fields::<raw::Query>()),
        ("audit", fields::<raw::Audit>()),
        ("limits", fields::<raw::Limits>()),
        ("schemas", fields::<raw::Schemas>()),
        ("log", fields::<raw::Log>()),
        ("[api_key]", fields::<raw::ApiKey>()),
        ("[saved_query]", fields::<raw::SavedQuery>()),
        ("[dataset]", fields::<raw::Dataset>()),
        ("[source]", fields::<raw::Source>()),
    ]
}

/// Checks that an example mentions every key of a section.
fn names_keys(name: &str, text: &str, section: &str, keys: &[&str]) {
    assert!(!keys.is_empty(), "[{section}] has keys");
    let parts: Vec<&str> = text
        .split(&format!("\n[{section}]"))
        .skip(1)
        .map(|rest| rest.split("\n[").next().unwrap_or(rest))
        .collect();
    for key in keys {
        let is_named = parts.iter().flat_map(|part| part.lines()).any(|line| {
            let line = line.trim_start_matches("# ");
            line.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with(" = "))
        });
        assert!(
            is_named,
            "config/{name} does not mention `{key}` of [{section}]"
        );
    }
}

/// Returns the names that serde knows of a struct, without a value of it.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Self::Error::custom("only the names are wanted"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names: &'static [&'static str] = &[];
    drop(T::deserialize(Names(&mut names)));
    names
}

/// The blocks of configuration in a page.
fn toml_blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("\n```toml\n")
        .skip(1)
        .map(|block| block.split_once("\n```").unwrap().0)
}

#[test]
fn the_configuration_of_the_readme_is_in_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let text: Vec<&str> = toml_blocks(&page).collect();
    let config = Config::parse(&path, &text.join("\n"), &environment(&[]))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.sources.len(), 4);
    assert!(config.http.is_some() && config.ingest_http.is_some() && config.admin.is_some());
}

#[test]
fn every_source_in_the_documentation_is_in_order() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let sources = std::fs::read_dir(docs.join("sources")).unwrap();
    let sources = sources.map(|entry| entry.unwrap().path());
    let mut tested = 0;
    for path in sources.chain([docs.join("mosquitto.md")]) {
        let page = std::fs::read_to_string(&path).unwrap();
        let tested_before = tested;
        for text in toml_blocks(&page).filter(|text| text.contains("[[source]]")) {
            let text = format!("[ingest_http]\nlisten = \"127.0.0.1:8081\"\n{text}\n");
            Config::parse(&path, &text, &environment(&[]))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            tested += 1;
        }
        assert!(tested > tested_before, "{}: no source", path.display());
    }
    assert!(tested > 15, "{tested} examples");
}

/// The keys of a section; none where there is no such section.
fn keys_of(section: &str) -> Option<&'static [&'static str]> {
    let named = |name: &str| name.trim_matches(['[', ']']) == section;
    let mut sections = sections().into_iter();
    sections.find_map(|(name, keys)| named(name).then_some(keys))
}

/// Returns the keys that a block of TOML sets and no section has; what begins otherwise than a configuration is none.
fn unknown_keys(block: &str) -> Vec<String> {
    let document: toml::Table = toml::from_str(block).unwrap_or_else(|e| panic!("{block}\n{e}"));
    if !document.keys().any(|section| keys_of(section).is_some()) {
        return Vec::new();
    }
    let mut unknown = Vec::new();
    for (section, value) in &document {
        let Some(known) = keys_of(section) else {
            unknown.push(format!("[{section}]"));
            continue;
        };
        let tables = match value {
            toml::Value::Array(tables) => tables.as_slice(),
            table => std::slice::from_ref(table),
        };
        let keys = tables
            .iter()
            .filter_map(toml::Value::as_table)
            .flat_map(toml::Table::keys);
        unknown.extend(
            keys.filter(|key| !known.contains(&key.as_str()))
                .map(|key| format!("[{section}] {key}")),
        );
    }
    unknown
}

/// Returns the keys in sentences, written as `[section] key`, that no section has.
fn unknown_in_sentences(page: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let named = page.split("`[").skip(1).filter_map(|rest| {
        let rest = rest.trim_start_matches('[');
        let (section, rest) = rest.split_once(']')?;
        let rest = rest.trim_start_matches(']').strip_prefix(' ')?;
        let key = rest.split(|c: char| !is_name(c)).next()?;
        (section.chars().all(is_name) && !key.is_empty()).then_some((section, key))
    });
    named
        .filter(|(section, key)| keys_of(section).is_none_or(|known| !known.contains(key)))
        .map(|(section, key)| format!("[{section}] {key}"))
        .collect()
}

#[test]
fn every_key_that_the_documentation_names_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = std::fs::read_dir(root.join("docs")).unwrap();
    let sources = std::fs::read_dir(root.join("docs/sources")).unwrap();
    let pages = pages.chain(sources).map(|entry| entry.unwrap().path());
    let others = ["README.md", "ARCHITECTURE.md"].map(|name| root.join(name));
    let mut looked_at = 0;
    for path in pages.filter(|path| path.is_file()).chain(others) {
        let page = std::fs::read_to_string(&path).unwrap();
        let mut unknown: Vec<String> = toml_blocks(&page).flat_map(unknown_keys).collect();
        unknown.extend(unknown_in_sentences(&page));
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
        looked_at += 1;
    }
    assert!(looked_at > 25, "{looked_at} pages");
}

/// Keys in comments, too: those are the ones that nothing reads.
#[test]
fn every_key_in_the_examples_is_one() {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut looked_at = 0;
    for name in ["demo.toml", "full.toml", "minimal.toml", "s3.toml"] {
        let (_, text) = example(name);
        let mut known: Option<&[&str]> = None;
        for line in text.lines() {
            let line = line.trim_start();
            let line = line.strip_prefix("# ").unwrap_or(line);
            if let Some(rest) = line.strip_prefix('[') {
                let rest = rest.trim_start_matches('[');
                let section = rest.split(']').next().unwrap_or_default();
                let outer = section.split('.').next().unwrap_or_default();
                assert!(keys_of(outer).is_some(), "config/{name}: {line}");
                // The keys of `[[source.device]]` are read with their source.
                known = keys_of(section);
                continue;
            }
            let Some((key, _)) = line.split_once(" = ") else {
                continue;
            };
            // What stands before the first section is prose, and so is what has several words before the sign.
            if let Some(known) = known
                && key.chars().all(is_name)
            {
                assert!(known.contains(&key), "config/{name}: {line}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 150, "{looked_at} keys");
}

#[test]
fn keys_that_do_not_exist_are_noticed() {
    let block =
        "[http]\nlisten = \"\"\nlisen = 1\n[[source]]\nid = \"a\"\nkinds = \"b\"\n[htp]\na = 1\n";
    let expect = ["[htp]", "[http] lisen", "[source] kinds"];
    let mut unknown = unknown_keys(block);
    unknown.sort();
    assert_eq!(unknown, expect);
    assert!(unknown_keys("[derive]\nfrom = \"air\"\n").is_empty());
    let page = "Set `[http] listen`, `[[source]] id`, `[query]`, `[http] lisen` or `[htp] listen`; 5 `[ppb]`.";
    assert_eq!(unknown_in_sentences(page), ["[http] lisen", "[htp] listen"]);
}

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
    let sections: [(&str, &[&str]); 16] = [
        ("lake", fields::<raw::Lake>()),
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
        ("[dataset]", fields::<raw::Dataset>()),
        ("[source]", fields::<raw::Source>()),
    ];
    for (section, keys) in sections {
        names_keys("full.toml", &text, section, keys);
    }
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

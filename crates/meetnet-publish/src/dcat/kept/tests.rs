use super::*;
use crate::fixture;

const BASE: &str = "https://data.example.org";

/// A cache, and who asks it; a catalogue's tag is its number.
struct Asked {
    cache: CatalogueCache,
    syntax: Syntax,
    /// How often a catalogue was written.
    written: usize,
}

impl Asked {
    fn new() -> Self {
        Self {
            cache: CatalogueCache::default(),
            syntax: Syntax::JsonLd,
            written: 0,
        }
    }

    fn ask(
        &mut self,
        base: &str,
        coding: Coding,
        overview: &Arc<Overview>,
        declarations: &Arc<Declarations>,
    ) -> String {
        let version = Version {
            base: base.to_owned(),
            coding,
            syntax: self.syntax,
            overview: Arc::clone(overview),
            declarations: Arc::clone(declarations),
        };
        let written = &mut self.written;
        let answer: Result<Written, String> = self.cache.get(version, |version| {
            *written += 1;
            Ok(Written {
                tag: format!("\"{written}\""),
                bytes: Bytes::from(version.base.clone()),
                coding: version.coding,
            })
        });
        let answer = answer.expect("writing does not fail");
        assert_eq!(answer.bytes, base.as_bytes());
        assert_eq!(answer.coding, coding);
        answer.tag
    }
}

#[test]
fn a_catalogue_is_written_once_for_an_overview() {
    let (overview, declarations) = (Arc::default(), fixture::declarations());
    let mut asked = Asked::new();
    for _ in 0..3 {
        let plain = asked.ask(BASE, Coding::Identity, &overview, &declarations);
        let coded = asked.ask(BASE, Coding::Gzip, &overview, &declarations);
        assert_eq!((plain.as_str(), coded.as_str()), ("\"1\"", "\"2\""));
    }
    let elsewhere = asked.ask("http://localhost", Coding::Gzip, &overview, &declarations);
    assert_eq!(elsewhere, "\"3\"");
    // Other figures, or other declarations, are another catalogue.
    let later = Arc::default();
    assert_eq!(
        asked.ask(BASE, Coding::Gzip, &later, &declarations),
        "\"4\""
    );
    let reloaded = Arc::new(Declarations::clone(&declarations));
    assert_eq!(asked.ask(BASE, Coding::Gzip, &later, &reloaded), "\"5\"");
    assert_eq!(asked.written, 5);
    asked.syntax = Syntax::Turtle;
    for _ in 0..2 {
        let turtle = asked.ask(BASE, Coding::Gzip, &later, &reloaded);
        assert_eq!(turtle, "\"6\"");
    }
}

#[test]
fn names_that_clients_make_up_are_kept_up_to_a_limit() {
    let (overview, declarations) = (Arc::default(), fixture::declarations());
    let mut asked = Asked::new();
    for number in 0..3 * KEPT_MAX {
        let base = format!("http://host-{number}");
        asked.ask(&base, Coding::Identity, &overview, &declarations);
        let kept = asked.cache.kept.lock().expect("no panic").len();
        assert_eq!(kept, KEPT_MAX.min(number + 1));
    }
    // An overview that is gone is not held.
    let later = Arc::default();
    asked.ask(BASE, Coding::Identity, &later, &declarations);
    assert_eq!(Arc::strong_count(&overview), 1);
}

#[test]
fn what_could_not_be_written_is_tried_again() {
    let cache = CatalogueCache::default();
    let (overview, declarations) = (Arc::default(), fixture::declarations());
    let ask = |outcome: Result<&'static str, &'static str>| {
        let version = Version {
            base: BASE.to_owned(),
            coding: Coding::Identity,
            syntax: Syntax::JsonLd,
            overview: Arc::clone(&overview),
            declarations: Arc::clone(&declarations),
        };
        let answer = cache.get(version, |version| {
            outcome.map(|text| Written {
                tag: "\"1\"".to_owned(),
                bytes: Bytes::from_static(text.as_bytes()),
                coding: version.coding,
            })
        });
        answer.map(|written| written.bytes)
    };
    assert_eq!(ask(Err("no memory")), Err("no memory"));
    assert_eq!(ask(Ok("first")), Ok(Bytes::from_static(b"first")));
    assert_eq!(ask(Err("never asked")), Ok(Bytes::from_static(b"first")));
}

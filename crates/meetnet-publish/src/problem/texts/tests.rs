use std::collections::BTreeSet;

use super::*;

/// The names in a text that programs send or read.
fn names(text: &str) -> BTreeSet<&str> {
    const WORDS: [&str; 8] = [
        "Accept",
        "Allow",
        "Bearer",
        "Content-Range",
        "Content-Type",
        "LIMIT",
        "Range",
        "RateLimit",
    ];
    let words = text.split([' ', ',']);
    let words = words.map(|word| word.trim_end_matches([':', '.']));
    words
        .filter(|word| word.contains(['/', '_']) || WORDS.contains(word))
        .collect()
}

#[test]
fn each_kind_is_explained_in_each_language() {
    for kind in ProblemKind::ALL {
        let english = Said::of(kind, Language::En);
        assert_eq!(english.title, kind.title());
        for language in [Language::Nl, Language::Fr] {
            let said = Said::of(kind, language);
            for (text, of_english, is_sentence) in [
                (said.title, english.title, false),
                (said.reason, english.reason, true),
                (said.advice, english.advice, true),
            ] {
                assert_ne!(text, of_english, "{kind:?} {language:?}");
                assert_eq!(text.ends_with('.'), is_sentence, "{kind:?}: {text}");
                assert!(!text.contains("  "), "{kind:?}: {text}");
                // Readers are led to the page of the dataset instead.
                if kind != ProblemKind::Gone {
                    assert_eq!(names(text), names(of_english), "{kind:?}: {text}");
                }
            }
        }
    }
}

#[test]
fn no_two_kinds_say_the_same() {
    for language in Language::ALL {
        let titles: BTreeSet<&str> = ProblemKind::ALL
            .map(|kind| Said::of(kind, language).title)
            .into();
        assert_eq!(titles.len(), ProblemKind::ALL.len(), "{language:?}");
        let reasons: BTreeSet<&str> = ProblemKind::ALL
            .map(|kind| Said::of(kind, language).reason)
            .into();
        assert_eq!(reasons.len(), ProblemKind::ALL.len(), "{language:?}");
    }
}

//! Patterns of `SIMILAR TO`, written as regular expressions.
//!
//! DataFusion 55.2 takes such a pattern for a regular expression that may match anywhere, so that `%` and `_` meant themselves and
//! `'abc' SIMILAR TO 'b'` was true, and no error says so. In SQL it is a pattern of the whole text, as PostgreSQL reads it: `%`, `_`,
//! `|`, `*`, `+`, `?`, `{m,n}`, `(…)`, `[…]`, and a backslash or what ESCAPE says before what is to mean itself. `\d`, `\s` and `\w`
//! are digits, spaces and letters, as there.

use std::iter::Peekable;
use std::str::Chars;

/// What stands between the parts of a pattern behind its escape.
const SEPARATOR: char = '"';

/// Returns the regular expression that a pattern means.
///
/// # Errors
/// With what is wrong, where it means nothing.
pub(super) fn as_regex(pattern: &str, escape: char) -> Result<String, String> {
    written(pattern, escape, false)
}

/// Returns the regular expression of a pattern that may have parts, `%#"a_#"%` for the escape `#`: its one group is the part that is
/// asked for, and without any there is no group. The first part matches as little as it can, and the one that is asked for as much
/// as is left, as in PostgreSQL.
///
/// # Errors
/// As [`as_regex`], and for more than three parts.
pub(super) fn as_regex_of_parts(pattern: &str, escape: char) -> Result<String, String> {
    written(pattern, escape, true)
}

fn written(pattern: &str, escape: char, may_have_parts: bool) -> Result<String, String> {
    let mut written = String::with_capacity(pattern.len() + 10);
    written.push_str("(?s)^(?:");
    let mut separators = 0;
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == escape {
            if may_have_parts && letters.next_if_eq(&SEPARATOR).is_some() {
                written.push_str(match separators {
                    0 => ")(",
                    1 => ")(?:",
                    _ => return Err(format!("it has more than two `{escape}{SEPARATOR}`")),
                });
                separators += 1;
            } else {
                written.push_str(&escaped(letters.next(), escape)?);
            }
            continue;
        }
        match letter {
            '%' => written.push_str(".*"),
            '_' => written.push('.'),
            '(' => written.push_str("(?:"),
            '[' => set(&mut letters, escape, &mut written)?,
            '|' | '*' | '+' | '?' | '{' | '}' | ')' => written.push(letter),
            letter => push_itself(letter, &mut written),
        }
        let is_repeated = matches!(letter, '%' | '*' | '+' | '?' | '}');
        if may_have_parts && separators == 0 && is_repeated && letters.peek() != Some(&'?') {
            written.push('?');
        }
    }
    written.push_str(")$");
    Ok(written)
}

/// Returns what a character means behind the escape.
fn escaped(letter: Option<char>, escape: char) -> Result<String, String> {
    match letter {
        None => Err(format!("it ends with its escape `{escape}`")),
        Some(class @ ('d' | 's' | 'w' | 'D' | 'S' | 'W')) => Ok(format!("\\{class}")),
        Some(letter) if letter.is_alphanumeric() || letter == '"' => Err(format!(
            "`{escape}{letter}` means nothing; an escape stands before what is to mean itself, or d, s and w"
        )),
        Some(letter) => {
            let mut written = String::new();
            push_itself(letter, &mut written);
            Ok(written)
        }
    }
}

/// Writes a set of characters, `[` of which has been read.
fn set(
    letters: &mut Peekable<Chars<'_>>,
    escape: char,
    written: &mut String,
) -> Result<(), String> {
    written.push('[');
    if letters.next_if_eq(&'^').is_some() {
        written.push('^');
    }
    let mut is_first = true;
    let mut before = None;
    while let Some(letter) = letters.next() {
        match letter {
            _ if letter == escape => written.push_str(&escaped(letters.next(), escape)?),
            ']' if !is_first => {
                written.push(']');
                return Ok(());
            }
            '-' if before == Some('-') => {
                return Err("of two `-` in […] nobody knows what they mean".to_owned());
            }
            '-' => written.push('-'),
            '[' if letters.peek() == Some(&':') => {
                written.push('[');
                named_set(letters, written)?;
            }
            letter => push_itself(letter, written),
        }
        is_first = false;
        before = Some(letter);
    }
    Err("a `[` has no `]`".to_owned())
}

/// Writes the rest of a set with a name, `:alpha:]`.
fn named_set(letters: &mut Peekable<Chars<'_>>, written: &mut String) -> Result<(), String> {
    for letter in letters.by_ref() {
        written.push(letter);
        if letter == ']' {
            return Ok(());
        }
    }
    Err("a `[:` has no `:]`".to_owned())
}

/// Writes a character that means itself.
fn push_itself(letter: char, written: &mut String) {
    // Letters, digits, `<`, `>` and what is no ASCII mean nothing else, and an escape before them might. Nor does a comma, which
    // in `{m,n}` has to stand alone.
    if letter.is_ascii_punctuation() && !matches!(letter, '<' | '>' | ',') {
        written.push('\\');
    }
    written.push(letter);
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::{as_regex, as_regex_of_parts};

    #[test]
    fn a_pattern_is_one_of_the_whole_text() {
        let check = |pattern: &str, like: &[&str], unlike: &[&str]| {
            let written = as_regex(pattern, '\\').expect(pattern);
            let regex = Regex::new(&written).expect(&written);
            for (texts, expect) in [(like, true), (unlike, false)] {
                for text in texts {
                    assert_eq!(regex.is_match(text), expect, "{text} {pattern} {written}");
                }
            }
        };
        check("abc", &["abc"], &["xabc", "abcx", "ABC", "abc\n"]);
        check("b", &["b"], &["abc"]);
        check("a%", &["a", "abc", "a\nb"], &["ba"]);
        check("a_c", &["abc", "aéc", "a\nc"], &["ac", "abbc"]);
        check("%(b|d)%", &["abc", "d"], &["ace"]);
        check("a|bc", &["a", "bc"], &["ac", "ab", "abc"]);
        check("(ab)+c?", &["ab", "ababc"], &["c", "abcc"]);
        check("a{2}b{1,2}", &["aab", "aabb"], &["ab", "aabbb"]);
        check("a,[b,]{2,}", &["a,b,", "a,bbb"], &["a,b", "abb"]);
        check("[a-c]*", &["", "abcabc"], &["abd"]);
        check("[^a-c_%]", &["d"], &["a", "_", "%", "dd"]);
        check("[]a.]", &["]", "a", "."], &["b"]);
        check("[a&&b~[]", &["a", "&", "b", "~", "["], &["ab"]);
        check("[[:digit:]x]+", &["12x"], &["a", ":"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("a.c^$", &["a.c^$"], &["abc^$"]);
        check(r"100\%", &["100%"], &["1000"]);
        check(r"a\_\\", &["a_\\"], &["ab\\"]);
        check(r"\d\d\w[\s\-]", &["12a ", "12a-"], &["1aa "]);
        check("#a <b~>", &["#a <b~>"], &["a"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn another_character_may_escape() {
        assert_eq!(as_regex(r"a#%\%", '#').as_deref(), Ok(r"(?s)^(?:a\%\\.*)$"));
        assert_eq!(as_regex("a##", '#').as_deref(), Ok(r"(?s)^(?:a\#)$"));
    }

    #[test]
    fn a_pattern_may_have_parts() {
        let check = |pattern: &str, expect: &str| {
            assert_eq!(
                as_regex_of_parts(pattern, '#').as_deref(),
                Ok(expect),
                "{pattern}"
            );
        };
        check("%#\"o_b#\"%", "(?s)^(?:.*?)(o.b)(?:.*)$");
        check("(a|b)+c{2}#\"%", "(?s)^(?:(?:a|b)+?c{2}?)(.*)$");
        check("a%", "(?s)^(?:a.*?)$");
        check("#\"##%#\"", r"(?s)^(?:)(\#.*)(?:)$");
        let refused = as_regex_of_parts("#\"a#\"b#\"", '#').expect_err("three separators");
        assert!(refused.contains("more than two"), "{refused}");
    }

    #[test]
    fn what_means_nothing_is_an_error() {
        let check = |pattern: &str, expect: &str| {
            let refused = as_regex(pattern, '\\').expect_err(pattern);
            assert!(refused.contains(expect), "{pattern}: {refused}");
        };
        check("a\\", "ends with its escape");
        check(r"a\q", r"`\q` means nothing");
        check("[ab", "a `[` has no `]`");
        check("[]", "a `[` has no `]`");
        check("[[:alpha", "a `[:` has no `:]`");
        check("[+--]", "of two `-`");
    }
}

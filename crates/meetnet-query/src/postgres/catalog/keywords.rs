//! `pg_get_keywords()`: the words of SQL, for clients that complete them, or put a name in quotes where it is one of them.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::keywords::{
    ALL_KEYWORDS, ALL_KEYWORDS_INDEX, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER,
    RESERVED_FOR_TABLE_ALIAS,
};

use super::{bools, strings};
use crate::catalog::NamedColumns;

/// Name of the function, and of the table that stands for it.
pub(crate) const KEYWORDS: &str = "pg_get_keywords";

/// What names a word cannot be without quotes.
#[derive(Clone, Copy)]
struct Reserved {
    /// Of a table.
    name: bool,
    /// Of a column, behind its expression and without AS.
    label: bool,
}

/// Returns the words that the parser knows, in the order of the alphabet, and what they are reserved for.
pub(super) fn pg_get_keywords() -> NamedColumns {
    let words = ALL_KEYWORDS.iter().zip(ALL_KEYWORDS_INDEX);
    let words = words.map(|(word, keyword)| {
        let label = RESERVED_FOR_COLUMN_ALIAS.contains(keyword);
        let is_name_of_nothing = [RESERVED_FOR_TABLE_ALIAS, RESERVED_FOR_IDENTIFIER]
            .iter()
            .any(|reserved| reserved.contains(keyword));
        let reserved = Reserved {
            name: label || is_name_of_nothing,
            label,
        };
        (word.to_lowercase(), reserved)
    });
    let words: BTreeMap<String, Reserved> = words.collect();
    let told =
        |of: fn(&Reserved) -> &'static str| strings(words.values().map(|word| of(word).to_owned()));
    vec![
        ("word", strings(words.keys().cloned())),
        ("catcode", told(|word| if word.name { "R" } else { "U" })),
        (
            "barelabel",
            bools(words.values().map(|word| !word.label).collect()),
        ),
        (
            "catdesc",
            told(|word| if word.name { "reserved" } else { "unreserved" }),
        ),
        (
            "baredesc",
            told(|word| {
                if word.label {
                    "requires AS"
                } else {
                    "can be bare label"
                }
            }),
        ),
    ]
}

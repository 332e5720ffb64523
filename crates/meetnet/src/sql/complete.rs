//! What a word may become: tables, columns, functions, keywords, commands. Knows no terminal.

use std::collections::BTreeMap;

use meetnet_query::Format;

use super::command;
use super::script::{Within, walk};

#[cfg(test)]
mod tests;

/// Words of SQL that a query is written with.
const KEYWORDS: [&str; 45] = [
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CROSS",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INTERVAL",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SELECT",
    "THEN",
    "TIMESTAMP",
    "TRUE",
    "UNION",
    "WHEN",
    "WHERE",
    "WITH",
];
/// Functions of every SQL that the view `functions` does not describe.
const PLAIN_FUNCTIONS: [&str; 19] = [
    "abs",
    "avg",
    "coalesce",
    "count",
    "date_part",
    "date_trunc",
    "lag",
    "lead",
    "lower",
    "max",
    "min",
    "now",
    "nullif",
    "round",
    "row_number",
    "stddev",
    "substr",
    "sum",
    "upper",
];

/// The names that statements can use.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Columns by table, each in its order.
    pub(super) tables: BTreeMap<String, Vec<String>>,
    /// Functions that the view `functions` describes.
    pub(super) functions: Vec<String>,
}

/// What the word before the cursor may become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Completion {
    /// Where the word begins in the line, bytes.
    pub(super) start: usize,
    /// Whole words, sorted, each once.
    pub(super) candidates: Vec<String>,
}

impl Names {
    /// Completes the word that ends at `cursor` (bytes) in a line; `pending` is what stands before the line in its
    /// statement.
    pub(super) fn complete(&self, pending: &str, line: &str, cursor: usize) -> Completion {
        let before = &line[..cursor];
        if pending.trim().is_empty() && before.trim_start().starts_with('\\') {
            return self.complete_command(before);
        }
        let code = format!("{pending}{before}");
        let (within, quote) = end_of(&code);
        let is_quoted = match within {
            Within::Code => false,
            Within::Quotes('"') => true,
            _ => return Completion::default(),
        };
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let start = if is_quoted {
            // A name that began in a line before is not replaced from here.
            let Some(at) = quote.and_then(|at| at.checked_sub(pending.len())) else {
                return Completion::default();
            };
            at + 1
        } else {
            before.trim_end_matches(is_of_word).len()
        };
        let word = &before[start..];
        let statement = format!("{pending}{line}");
        // What stands before the word, and its quote, decides what it is.
        let head = &code[..code.len() - word.len()];
        let head = if is_quoted {
            head.strip_suffix('"').unwrap_or(head)
        } else {
            head
        };
        if is_quoted && head.ends_with('"') {
            // A doubled quote is a letter of the name, and no name that is known has one.
            return Completion::default();
        }
        let previous = words(head).next_back().unwrap_or_default();
        let follows = |keywords: &[&str]| {
            head.ends_with(char::is_whitespace)
                && keywords
                    .iter()
                    .any(|keyword| previous.eq_ignore_ascii_case(keyword))
        };
        let candidates: Vec<&str> = if let Some(head) = head.strip_suffix('.') {
            let qualifier = words(head).next_back().unwrap_or_default();
            self.columns_of(table_named(&statement, qualifier))
        } else if follows(&["FROM", "JOIN"]) {
            self.tables.keys().map(String::as_str).collect()
        } else if word.is_empty() && !is_quoted {
            Vec::new()
        } else {
            let mentioned = words(&statement).filter(|word| self.tables.contains_key(*word));
            let mut columns: Vec<&str> =
                mentioned.flat_map(|table| self.columns_of(table)).collect();
            if columns.is_empty() {
                columns = self.tables.values().flatten().map(String::as_str).collect();
            }
            let tables = self.tables.keys().map(String::as_str);
            let named = columns.into_iter().chain(tables);
            if is_quoted {
                named.collect()
            } else {
                let functions = self.functions.iter().map(String::as_str);
                named
                    .chain(functions)
                    .chain(PLAIN_FUNCTIONS)
                    .chain(KEYWORDS)
                    .collect()
            }
        };
        let mut completion = matching(start, word, candidates);
        // The quote at the end belongs to the name, where it does not stand there already.
        if is_quoted && !line[cursor..].starts_with('"') {
            for candidate in &mut completion.candidates {
                candidate.push('"');
            }
        }
        completion
    }

    fn complete_command(&self, before: &str) -> Completion {
        let start = before.rfind(char::is_whitespace).map_or(0, |at| {
            before[at..]
                .chars()
                .next()
                .map_or(at, |c| at + c.len_utf8())
        });
        let word = &before[start..];
        let command = before[..start].trim();
        let candidates: Vec<&str> = match command {
            "" => command::NAMES.to_vec(),
            "\\d" | "\\d+" => self.tables.keys().map(String::as_str).collect(),
            "\\df" => self.functions.iter().map(String::as_str).collect(),
            "\\format" => Format::ALL.map(Format::as_str).to_vec(),
            "\\pager" | "\\timing" | "\\x" => vec!["on", "off"],
            _ => Vec::new(),
        };
        matching(start, word, candidates)
    }

    fn columns_of(&self, table: &str) -> Vec<&str> {
        let columns = self.tables.get(table).into_iter().flatten();
        columns.map(String::as_str).collect()
    }
}

fn matching(start: usize, word: &str, candidates: Vec<&str>) -> Completion {
    let lower = word.to_lowercase();
    let mut candidates: Vec<String> = candidates
        .into_iter()
        .filter(|candidate| candidate.to_lowercase().starts_with(&lower))
        .map(str::to_owned)
        .collect();
    candidates.sort();
    candidates.dedup();
    Completion { start, candidates }
}

/// Returns where a text ends, and the offset (bytes) of the quote that begins the name it ends in, if it does in one.
fn end_of(text: &str) -> (Within, Option<usize>) {
    let mut quote = None;
    let within = walk(text, Within::Code, |at, c, here| {
        if c == '"' && here == Within::Quotes('"') {
            quote = match quote {
                None => Some(at),
                Some(_) => None,
            };
        }
    });
    (within, quote)
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Returns the table that a qualifier means: `FROM traffic AS t`, `JOIN air a`, or the qualifier itself.
fn table_named<'a>(statement: &'a str, qualifier: &'a str) -> &'a str {
    let words: Vec<&str> = words(statement).collect();
    let is = |at: usize, keyword: &str| {
        words
            .get(at)
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    };
    for (at, table) in words.iter().enumerate().skip(1) {
        if !is(at - 1, "FROM") && !is(at - 1, "JOIN") {
            continue;
        }
        let alias = if is(at + 1, "AS") { at + 2 } else { at + 1 };
        if is(alias, qualifier) {
            return table;
        }
    }
    qualifier
}

//! Syntax of PostgreSQL that the parser does not read, in words that it reads: before a statement is parsed, some of its
//! tokens are others.
//!
//! | written | read |
//! |---|---|
//! | `TABLE traffic` | `SELECT * FROM traffic` |
//! | `EXPLAIN (FORMAT JSON, VERBOSE) …` | `EXPLAIN (FORMAT pgjson) …` |
//! | `EXPLAIN (BUFFERS off, TIMING off, COSTS) …` | `EXPLAIN (COSTS) …` |

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{QueryError, StatementFault};

/// What DataFusion calls PostgreSQL's JSON.
const JSON: &str = "pgjson";
/// Options of EXPLAIN about what is not here: pages, a log, settings of the planner.
const NOT_HERE: [&str; 6] = [
    "buffers",
    "generic_plan",
    "memory",
    "serialize",
    "settings",
    "wal",
];
/// What a query may stand behind, other than signs.
const BEFORE_QUERIES: [Keyword; 8] = [
    Keyword::ALL,
    Keyword::ANALYZE,
    Keyword::DISTINCT,
    Keyword::EXCEPT,
    Keyword::EXPLAIN,
    Keyword::INTERSECT,
    Keyword::UNION,
    Keyword::VERBOSE,
];

/// Returns the tokens of a statement such that the parser reads them.
///
/// # Errors
/// `BadRequest` where EXPLAIN shall answer in a format that there is not.
pub(crate) fn readable(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    with_explain(with_tables(tokens))
}

/// Returns the places of what is not space.
pub(crate) fn places(tokens: &[TokenWithSpan]) -> Vec<usize> {
    let is_space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let all = tokens.iter().enumerate();
    all.filter(|(_, token)| !is_space(token))
        .map(|(place, _)| place)
        .collect()
}

/// Returns which keyword a word is; in quotes it is none.
pub(crate) fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Makes a query of each `TABLE name` that stands where one can.
fn with_tables(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = places(&tokens);
    let at = |order: usize| places.get(order).map(|place| &tokens[*place]);
    let is_query = |order: &usize| {
        let is_begun = order.checked_sub(1).and_then(at).is_none_or(|before| {
            matches!(
                before.token,
                Token::SemiColon | Token::LParen | Token::RParen
            ) || keyword(before).is_some_and(|word| BEFORE_QUERIES.contains(&word))
        });
        let is_named = at(order + 1).is_some_and(|name| matches!(name.token, Token::Word(_)));
        at(*order).and_then(keyword) == Some(Keyword::TABLE) && is_begun && is_named
    };
    let found: Vec<usize> = (0..places.len())
        .filter(is_query)
        .map(|order| places[order])
        .collect();
    if found.is_empty() {
        return tokens;
    }
    let mut read = Vec::with_capacity(tokens.len() + 2 * found.len());
    for (place, token) in tokens.into_iter().enumerate() {
        if found.binary_search(&place).is_err() {
            read.push(token);
            continue;
        }
        let words = [
            Token::make_keyword("SELECT"),
            Token::Mul,
            Token::make_keyword("FROM"),
        ];
        read.extend(words.map(|word| TokenWithSpan::new(word, token.span)));
    }
    read
}

/// One option of EXPLAIN.
struct ExplainOption {
    /// In lower case, as its argument.
    name: String,
    argument: Option<String>,
    tokens: Vec<TokenWithSpan>,
}

impl ExplainOption {
    /// Reads an option; None where it is no word with at most one other.
    fn of(tokens: &[TokenWithSpan]) -> Option<Self> {
        let places = places(tokens);
        let (name, argument) = match places.as_slice() {
            [name] => (*name, None),
            [name, argument] => (*name, Some(*argument)),
            _ => return None,
        };
        Some(Self {
            name: plain(&tokens[name])?,
            argument: match argument {
                Some(argument) => Some(plain(&tokens[argument])?),
                None => None,
            },
            tokens: tokens.to_vec(),
        })
    }

    fn is_on(&self) -> bool {
        !matches!(self.argument.as_deref(), Some("off" | "false" | "0"))
    }
}

/// Returns a word, text or number in lower case.
fn plain(token: &TokenWithSpan) -> Option<String> {
    match &token.token {
        Token::Word(word) => Some(word.value.to_lowercase()),
        Token::SingleQuotedString(text) => Some(text.to_lowercase()),
        Token::Number(number, _) => Some(number.clone()),
        _ => None,
    }
}

/// Leaves of the options of EXPLAIN those that say something here. What is no list of options is left to the parser.
fn with_explain(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    let Some((start, end)) = option_list(&tokens) else {
        return Ok(tokens);
    };
    let list = &tokens[start + 1..end];
    let options = list.split(|token| token.token == Token::Comma);
    let options: Option<Vec<ExplainOption>> = options.map(ExplainOption::of).collect();
    let Some(options) = options else {
        return Ok(tokens);
    };
    let span = tokens[start].span;
    let sign = |token: Token| TokenWithSpan::new(token, span);
    let mut written = Vec::new();
    for option in said(options)? {
        written.push(sign(match written.is_empty() {
            true => Token::LParen,
            false => Token::Comma,
        }));
        written.extend(option.tokens);
    }
    if !written.is_empty() {
        written.push(sign(Token::RParen));
    }
    tokens.splice(start..=end, written);
    Ok(tokens)
}

/// Returns where the parentheses of EXPLAIN's options stand; None where it has none: `EXPLAIN (SELECT …)`.
fn option_list(tokens: &[TokenWithSpan]) -> Option<(usize, usize)> {
    let places = places(tokens);
    let [explain, start, first, ..] = places.as_slice() else {
        return None;
    };
    let is_list = keyword(&tokens[*explain]) == Some(Keyword::EXPLAIN)
        && tokens[*start].token == Token::LParen
        && keyword(&tokens[*first])
            .is_some_and(|word| ![Keyword::SELECT, Keyword::VALUES, Keyword::WITH].contains(&word));
    let is_bracket =
        |place: &&usize| matches!(tokens[**place].token, Token::LParen | Token::RParen);
    let end = places[2..].iter().find(is_bracket)?;
    (is_list && tokens[*end].token == Token::RParen).then_some((*start, *end))
}

/// Leaves out what says nothing here, or nothing beside the others.
fn said(mut options: Vec<ExplainOption>) -> Result<Vec<ExplainOption>, QueryError> {
    let is_on = |name: &str| {
        options
            .iter()
            .any(|option| option.name == name && option.is_on())
    };
    let analyzes = is_on("analyze");
    let format = options.iter().find(|option| option.name == "format");
    let format = format.and_then(|format| format.argument.clone());
    let is_json = format
        .as_deref()
        .is_some_and(|format| ["json", JSON].contains(&format));
    if let Some(format @ ("xml" | "yaml")) = format.as_deref() {
        return Err(QueryError::of_statement(
            StatementFault::Unsupported,
            format!("EXPLAIN answers in the formats TEXT and JSON, not in {format}"),
        ));
    }
    options.retain(|option| match option.name.as_str() {
        name if NOT_HERE.contains(&name) => false,
        "timing" | "summary" => analyzes,
        // What was done is told instead of what it was thought to cost.
        "costs" => !analyzes,
        // It adds to the text.
        "verbose" => !is_json,
        "format" => option.argument.as_deref() != Some("text"),
        _ => true,
    });
    for option in &mut options {
        if option.name == "format" && is_json {
            for token in &mut option.tokens {
                if plain(token).as_deref() == Some("json") {
                    token.token = Token::make_word(JSON, None);
                }
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests;

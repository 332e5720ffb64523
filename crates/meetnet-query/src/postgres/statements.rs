//! Splits what a client sends into statements, and tells queries from commands to the session.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::error::{QueryError, unreadable};

/// Words of a statement that are kept: enough for every command to the session.
const WORDS_MAX: usize = 32;

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgStatement {
    /// Its text, without the semicolon.
    pub text: String,
    /// Its first words, numbers, texts and signs. Words are in lower case where they were not quoted; quotes are gone.
    pub words: Vec<String>,
}

/// Splits a text at its semicolons; what is only space and comments is no statement.
///
/// # Errors
/// `BadRequest` where a quote or comment does not end.
pub fn statements(sql: &str) -> Result<Vec<PgStatement>, QueryError> {
    let tokens = tokens_at(sql)?;
    let is_end = |(_, token): &(usize, Token)| *token == Token::SemiColon;
    let ends = tokens.iter().filter(|&token| is_end(token));
    let ends = ends.map(|(place, _)| *place).chain([sql.len()]);
    let found = tokens.split(is_end).zip(ends).map(|(tokens, end)| {
        let start = tokens.first().map_or(end, |(place, _)| *place);
        PgStatement {
            text: sql[start..end].to_owned(),
            words: words(tokens),
        }
    });
    Ok(found
        .filter(|statement| !statement.words.is_empty())
        .collect())
}

/// Takes a text apart; returns each token with the place where it begins, in bytes. A part of the text is cut out by places:
/// a token that is written anew is not always what was written, as where a text has backslashes in it.
///
/// # Errors
/// `BadRequest` where a quote or comment does not end.
pub(super) fn tokens_at(sql: &str) -> Result<Vec<(usize, Token)>, QueryError> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(unreadable)?;
    let mut place = 0;
    let (mut line, mut column) = (1, 1);
    let mut letters = sql.chars();
    let found = tokens.into_iter().map(|TokenWithSpan { token, span }| {
        while (line, column) != (span.start.line, span.start.column) {
            // There is one: every token begins somewhere in the text.
            let Some(letter) = letters.next() else {
                break;
            };
            place += letter.len_utf8();
            (line, column) = match letter {
                '\n' => (line + 1, 1),
                _ => (line, column + 1),
            };
        }
        (place, token)
    });
    Ok(found.collect())
}

fn words(tokens: &[(usize, Token)]) -> Vec<String> {
    let word = |(_, token): &(usize, Token)| match token {
        Token::Whitespace(_) | Token::EOF => None,
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        Token::Word(word) => Some(word.value.clone()),
        Token::SingleQuotedString(text) => Some(text.replace("''", "'")),
        Token::EscapedStringLiteral(text) => Some(text.clone()),
        token => Some(token.to_string()),
    };
    tokens.iter().filter_map(word).take(WORDS_MAX).collect()
}

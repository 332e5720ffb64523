//! Splits what a client sends into statements, and tells queries from commands to the session.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

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
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .with_unescape(false)
        .tokenize()
        .map_err(unreadable)?;
    let found = tokens
        .split(|token| *token == Token::SemiColon)
        .map(|tokens| PgStatement {
            text: tokens.iter().map(Token::to_string).collect(),
            words: words(tokens),
        })
        .filter(|statement| !statement.words.is_empty());
    Ok(found.collect())
}

fn words(tokens: &[Token]) -> Vec<String> {
    let word = |token: &Token| match token {
        Token::Whitespace(_) | Token::EOF => None,
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        Token::Word(word) => Some(word.value.clone()),
        Token::SingleQuotedString(text) => Some(text.replace("''", "'")),
        Token::EscapedStringLiteral(text) => Some(text.clone()),
        token => Some(token.to_string()),
    };
    tokens.iter().filter_map(word).take(WORDS_MAX).collect()
}

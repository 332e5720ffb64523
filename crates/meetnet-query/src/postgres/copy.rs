//! COPY … TO STDOUT, taken apart: what it answers, as a query, and how the client wants it written.
//!
//! Options stand in parentheses, or in the words of before, which people still give to psql's `\copy`:
//! `COPY traffic TO STDOUT CSV HEADER`.

use datafusion::sql::sqlparser::tokenizer::{Token, Word};

use super::statements::{PgStatement, tokens_at};
use crate::error::{QueryError, QueryErrorKind, shortened, unreadable};
use crate::guard::literal_bytes;

/// How much of a statement is shown where it cannot be read further.
const SHOWN_BYTES_MAX: usize = 60;

/// A COPY whose rows go to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOut {
    /// The query that answers them.
    pub query: String,
    /// How they shall be written, in the order of the statement; names are in lower case.
    pub options: Vec<(String, CopyArgument)>,
}

/// What an option of COPY is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyArgument {
    /// Nothing is said: it is on.
    On,
    /// A word, a number or a text.
    Value(String),
    /// Some columns.
    Columns(Vec<String>),
    /// Every column: `*`.
    AllColumns,
}

/// Takes a COPY apart.
///
/// # Errors
/// `Forbidden` where it would write: into a table, a file or a program. `BadRequest` where it cannot be read.
pub fn copy_out(statement: &PgStatement) -> Result<CopyOut, QueryError> {
    let mut tokens = tokens_at(&statement.text)?;
    tokens.retain(|(_, token)| !matches!(token, Token::Whitespace(_)));
    let mut reader = Reader {
        text: &statement.text,
        tokens,
        next: 0,
    };
    reader.word("copy");
    let mut options = Vec::new();
    if reader.word("binary") {
        options.push(format_option("binary"));
    }
    let query = if reader.sign(&Token::LParen) {
        reader.query()?
    } else {
        reader.relation()?
    };
    if reader.word("from") {
        return Err(forbidden(
            "this service only reads; COPY … FROM is not allowed",
        ));
    }
    if !reader.word("to") {
        return Err(reader.expected("TO STDOUT"));
    }
    // PostgreSQL takes either.
    if !reader.word("stdout") && !reader.word("stdin") {
        return Err(match reader.peek() {
            Some(token) if reader.is_word("program") || literal_bytes(token).is_some() => {
                forbidden(
                    "this service only reads, and writes no files; COPY … TO STDOUT, which is what psql's \\copy sends, \
                     gives the rows to the client",
                )
            }
            _ => reader.expected("STDOUT"),
        });
    }
    reader.word("with");
    if reader.sign(&Token::LParen) {
        reader.options(&mut options)?;
    } else {
        reader.old_options(&mut options)?;
    }
    match reader.peek() {
        None => Ok(CopyOut { query, options }),
        Some(_) => Err(reader.expected("an option, or the end of the statement")),
    }
}

fn forbidden(message: &str) -> QueryError {
    QueryError::new(QueryErrorKind::Forbidden, message)
}

fn format_option(name: &str) -> (String, CopyArgument) {
    ("format".to_owned(), CopyArgument::Value(name.to_owned()))
}

/// Returns the name that a word means.
fn plain(word: &Word) -> String {
    match word.quote_style {
        None => word.value.to_lowercase(),
        Some(_) => word.value.replace("\"\"", "\""),
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Without space, each with the place where it begins.
    tokens: Vec<(usize, Token)>,
    next: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    /// Returns where the next token begins.
    fn place(&self) -> usize {
        let next = self.tokens.get(self.next);
        next.map_or(self.text.len(), |(place, _)| *place)
    }

    fn is_word(&self, wanted: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word))
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
    }

    /// Takes a word, if it is the next.
    fn word(&mut self, wanted: &str) -> bool {
        let is_next = self.is_word(wanted);
        self.next += usize::from(is_next);
        is_next
    }

    /// Takes a sign, if it is the next.
    fn sign(&mut self, wanted: &Token) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.next += usize::from(is_next);
        is_next
    }

    fn expected(&self, wanted: &str) -> QueryError {
        let found = shortened(self.text[self.place()..].to_owned(), SHOWN_BYTES_MAX);
        unreadable(match found.is_empty() {
            true => format!("COPY ends where {wanted} is expected"),
            false => format!("COPY: {wanted} is expected, not `{found}`"),
        })
    }

    /// Takes a query and the parenthesis behind it.
    fn query(&mut self) -> Result<String, QueryError> {
        let start = self.place();
        let mut depth = 1_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            let end = self.place();
            self.next += 1;
            if depth == 0 {
                return Ok(self.text[start..end].trim().to_owned());
            }
        }
        Err(self.expected("`)`"))
    }

    /// Takes the name of a table and perhaps some of its columns; returns the query of their rows.
    fn relation(&mut self) -> Result<String, QueryError> {
        let mut name = self.name()?.to_string();
        while self.sign(&Token::Period) {
            name = format!("{name}.{}", self.name()?);
        }
        let columns = if self.sign(&Token::LParen) {
            let columns = self.names()?;
            self.close()?;
            let columns = columns.iter().map(Word::to_string);
            columns.collect::<Vec<_>>().join(", ")
        } else {
            "*".to_owned()
        };
        Ok(format!("SELECT {columns} FROM {name}"))
    }

    fn name(&mut self) -> Result<Word, QueryError> {
        let Some(Token::Word(word)) = self.peek() else {
            return Err(self.expected("a name"));
        };
        let word = word.clone();
        self.next += 1;
        Ok(word)
    }

    fn names(&mut self) -> Result<Vec<Word>, QueryError> {
        let mut names = vec![self.name()?];
        while self.sign(&Token::Comma) {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn close(&mut self) -> Result<(), QueryError> {
        match self.sign(&Token::RParen) {
            true => Ok(()),
            false => Err(self.expected("`)`")),
        }
    }

    fn columns(&mut self) -> Result<CopyArgument, QueryError> {
        let columns = self.names()?;
        Ok(CopyArgument::Columns(columns.iter().map(plain).collect()))
    }

    /// Takes a text.
    fn text(&mut self) -> Result<String, QueryError> {
        let text = match self.peek() {
            Some(Token::SingleQuotedString(text)) => text.replace("''", "'"),
            // What stands behind its backslashes is there already.
            Some(Token::EscapedStringLiteral(text)) => text.clone(),
            _ => return Err(self.expected("a text")),
        };
        self.next += 1;
        Ok(text)
    }

    /// Takes what an option in parentheses is set to.
    fn argument(&mut self) -> Result<CopyArgument, QueryError> {
        let value = match self.peek() {
            Some(Token::Comma | Token::RParen) => return Ok(CopyArgument::On),
            Some(Token::Mul) => {
                self.next += 1;
                return Ok(CopyArgument::AllColumns);
            }
            Some(Token::LParen) => {
                self.next += 1;
                let columns = self.columns()?;
                self.close()?;
                return Ok(columns);
            }
            Some(Token::Number(number, _)) => number.clone(),
            Some(Token::Word(word)) => plain(word),
            _ => return Ok(CopyArgument::Value(self.text()?)),
        };
        self.next += 1;
        Ok(CopyArgument::Value(value))
    }

    /// Takes options and the parenthesis behind them.
    fn options(&mut self, options: &mut Vec<(String, CopyArgument)>) -> Result<(), QueryError> {
        loop {
            let name = plain(&self.name()?);
            options.push((name, self.argument()?));
            if !self.sign(&Token::Comma) {
                return self.close();
            }
        }
    }

    /// Takes options as they were written before there were parentheses around them.
    fn old_options(&mut self, options: &mut Vec<(String, CopyArgument)>) -> Result<(), QueryError> {
        const FORMATS: [&str; 2] = ["binary", "csv"];
        const SWITCHES: [&str; 2] = ["header", "freeze"];
        const TEXTS: [&str; 5] = ["delimiter", "null", "quote", "escape", "encoding"];
        loop {
            let next = |names: &[&'static str]| {
                let mut names = names.iter();
                names.find(|name| self.is_word(name)).copied()
            };
            let (is_format, is_switch, is_text) = (next(&FORMATS), next(&SWITCHES), next(&TEXTS));
            let option = if let Some(name) = is_format {
                self.next += 1;
                format_option(name)
            } else if let Some(name) = is_switch {
                self.next += 1;
                (name.to_owned(), CopyArgument::On)
            } else if let Some(name) = is_text {
                self.next += 1;
                self.word("as");
                (name.to_owned(), CopyArgument::Value(self.text()?))
            } else if self.word("force") {
                self.forced()?
            } else {
                return Ok(());
            };
            options.push(option);
        }
    }

    /// Takes what stands behind FORCE.
    fn forced(&mut self) -> Result<(String, CopyArgument), QueryError> {
        let name = if self.word("quote") {
            "force_quote"
        } else if self.word("not") {
            "force_not_null"
        } else {
            "force_null"
        };
        if name != "force_quote" && !self.word("null") {
            return Err(self.expected("QUOTE, NULL or NOT NULL"));
        }
        let columns = match self.sign(&Token::Mul) {
            true => CopyArgument::AllColumns,
            false => self.columns()?,
        };
        Ok((name.to_owned(), columns))
    }
}

#[cfg(test)]
mod tests;

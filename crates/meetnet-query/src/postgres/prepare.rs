//! `PREPARE` and `EXECUTE` of SQL, taken apart: names, types, the query, and values as they are written.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::statements::{PgStatement, tokens_at};
use super::types::{PgScalar, PgType};
use crate::error::{QueryError, StatementFault, unreadable};

#[cfg(test)]
mod tests;

/// `PREPARE name [(type, …)] AS query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgPrepare {
    /// The name that it is executed by.
    pub name: String,
    /// Types of `$1`, `$2`, …; None: the query tells.
    pub types: Vec<Option<PgType>>,
    /// What is prepared.
    pub query: String,
}

/// `EXECUTE name [(value, …)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgExecute {
    /// What is executed.
    pub name: String,
    /// Expressions with commas between them; None: there are none.
    pub values: Option<String>,
}

/// Takes a `PREPARE` apart.
///
/// # Errors
/// `BadRequest` where it is written wrongly, or names a type that is not here.
pub fn prepare(statement: &PgStatement) -> Result<PgPrepare, QueryError> {
    let expected = || {
        unreadable("PREPARE takes a name, types in brackets where they are wanted, AS, and a query")
    };
    let tokens = tokens(&statement.text)?;
    let (name, rest) = named(&tokens).ok_or_else(expected)?;
    let (types, rest) = match rest {
        [(_, Token::LParen), ..] => {
            let end = closing(rest).ok_or_else(expected)?;
            (types(&rest[1..end])?, &rest[end + 1..])
        }
        rest => (Vec::new(), rest),
    };
    let [(_, Token::Word(word)), (start, _), ..] = rest else {
        return Err(expected());
    };
    if !word.value.eq_ignore_ascii_case("as") {
        return Err(expected());
    }
    Ok(PgPrepare {
        name,
        types,
        query: statement.text[*start..].trim().to_owned(),
    })
}

/// Takes an `EXECUTE` apart.
///
/// # Errors
/// `BadRequest` where it is written wrongly.
pub fn execute(statement: &PgStatement) -> Result<PgExecute, QueryError> {
    let expected = || unreadable("EXECUTE takes a name, and values in brackets");
    let tokens = tokens(&statement.text)?;
    let (name, rest) = named(&tokens).ok_or_else(expected)?;
    let values = match rest {
        [] => None,
        [(open, Token::LParen), ..] => {
            let end = closing(rest).filter(|end| *end == rest.len() - 1);
            let (close, _) = rest[end.ok_or_else(expected)?];
            let values = statement.text[open + 1..close].trim();
            (!values.is_empty()).then(|| values.to_owned())
        }
        _ => return Err(expected()),
    };
    Ok(PgExecute { name, values })
}

/// Returns the tokens that are no space.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, QueryError> {
    let mut tokens = tokens_at(text)?;
    tokens.retain(|(_, token)| !matches!(token, Token::Whitespace(_) | Token::EOF));
    Ok(tokens)
}

/// Returns the name behind the first word, and what stands behind it.
fn named(tokens: &[(usize, Token)]) -> Option<(String, &[(usize, Token)])> {
    let [_, (_, Token::Word(name)), rest @ ..] = tokens else {
        return None;
    };
    let name = match name.quote_style {
        None => name.value.to_lowercase(),
        Some(_) => name.value.clone(),
    };
    Some((name, rest))
}

/// Returns where the bracket closes that the tokens begin with.
fn closing(tokens: &[(usize, Token)]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|(_, token)| {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

/// Reads names of types with commas between them. Of `numeric(10, 2)` the numbers are left out, as PostgreSQL does.
fn types(tokens: &[(usize, Token)]) -> Result<Vec<Option<PgType>>, QueryError> {
    let mut types = Vec::new();
    let mut rest = tokens;
    while !rest.is_empty() {
        let mut words = Vec::new();
        let mut is_array = false;
        while let Some(((_, token), after)) = rest.split_first() {
            rest = after;
            match token {
                Token::Comma => break,
                Token::Word(word) => words.push(word.value.to_lowercase()),
                Token::LBracket => is_array = true,
                _ => {}
            }
            if let [(_, Token::LParen), ..] = rest {
                let end = closing(rest).unwrap_or(rest.len() - 1);
                rest = &rest[end + 1..];
            }
        }
        types.push(named_type(&words.join(" "), is_array)?);
    }
    Ok(types)
}

fn named_type(name: &str, is_array: bool) -> Result<Option<PgType>, QueryError> {
    let scalar = match name {
        "unknown" => return Ok(None),
        "int" => Some(PgScalar::Int4),
        "float" => Some(PgScalar::Float8),
        "decimal" => Some(PgScalar::Numeric),
        "uuid" => Some(PgScalar::Uuid),
        "oid" => Some(PgScalar::Oid),
        "varchar" | "character varying" | "char" | "character" | "bpchar" | "name" => {
            Some(PgScalar::Text)
        }
        name => PgScalar::ALL.into_iter().find(|scalar| {
            let known = PgType::of(*scalar);
            known.name() == name || known.sql_name() == name
        }),
    };
    match scalar {
        Some(scalar) => Ok(Some(PgType { scalar, is_array })),
        None => {
            let message = format!("there is no type `{name}` here");
            Err(QueryError::of_statement(
                StatementFault::Unsupported,
                message,
            ))
        }
    }
}

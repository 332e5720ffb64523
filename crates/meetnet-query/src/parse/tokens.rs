//! What the parser does not read, or not as PostgreSQL does, in tokens that it reads so, in every dialect: before a statement is
//! parsed, some of its tokens are others.
//!
//! | written | read |
//! |---|---|
//! | `'ab'` and on the next line `'cd'` | `'abcd'` |
//! | `FETCH FIRST (1 + 2) ROWS ONLY`, `FETCH FIRST ROW ONLY OFFSET 2` | `LIMIT (1 + 2)`, `LIMIT 1 OFFSET 2` |
//! | `substring(place SIMILAR '%#"a_#"%' ESCAPE '#')` | `substring(place FROM '%#"a_#"%' FOR '#')`, as PostgreSQL reads both |
//! | `trim(LEADING FROM place)` | `trim(LEADING ' ' FROM place)` |
//! | `ROLLUP ((time)::date)`, `CUBE ((a + 1) % 2)` | `ROLLUP (((time)::date))`, …: the parser takes a bracket for that of a set |
//! | `FROM counts WHERE …`, outside PostgreSQL's dialect | `SELECT * FROM counts WHERE …` |
//!
//! Two texts on one line, and what is no number (`0b101`, `0x1F`, `0o17`, `2a`), would be read as something else without a word:
//! `SELECT 0b101` as a zero that is called `b101`. They are refused, as by PostgreSQL 15. What nothing else could be meant by is
//! read: `1_000`, which newer ones take, and `1FROM counts`, which older ones did. Numbers that no float can be (`1e400`, `1e-400`) are
//! refused, too: they would be infinite, or 0.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Whitespace};

use crate::error::{QueryError, StatementFault, shortened};
use crate::options::Dialect;
use crate::postgres::has_digits_of_value;
use crate::postgres::syntax::{keyword, places};

#[cfg(test)]
mod tests;

/// How much of a text or a number is shown that cannot stand where it does.
const SHOWN_BYTES_MAX: usize = 60;
/// Tokens between the brackets behind FETCH FIRST: a bracket that is not closed is not looked for up to the end of the statement.
const FETCHED_TOKENS_MAX: usize = 100;
/// Words that go on with a statement right behind a number, and that are never the name of a column.
const NO_NAMES: [Keyword; 26] = [
    Keyword::AND,
    Keyword::AS,
    Keyword::ASC,
    Keyword::BETWEEN,
    Keyword::DESC,
    Keyword::ELSE,
    Keyword::END,
    Keyword::EXCEPT,
    Keyword::FETCH,
    Keyword::FROM,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::ILIKE,
    Keyword::IN,
    Keyword::INTERSECT,
    Keyword::IS,
    Keyword::LIKE,
    Keyword::LIMIT,
    Keyword::NOT,
    Keyword::OFFSET,
    Keyword::OR,
    Keyword::ORDER,
    Keyword::THEN,
    Keyword::UNION,
    Keyword::WHEN,
    Keyword::WHERE,
];

/// Returns the tokens of a statement such that the parser reads them as PostgreSQL does.
///
/// # Errors
/// `BadRequest` where a number, a text behind another one or a FETCH is none that can be answered.
pub(super) fn respelled(
    tokens: Vec<TokenWithSpan>,
    written_in: Dialect,
) -> Result<Vec<TokenWithSpan>, QueryError> {
    check_numbers(&tokens)?;
    let tokens = with_matched_parts(with_limits(with_whole_texts(tokens)?)?);
    let tokens = with_trimmed_blanks(with_whole_sets(tokens));
    Ok(match written_in {
        Dialect::Generic => with_columns(tokens),
        // There it is no statement.
        Dialect::Postgres => tokens,
    })
}

/// Refuses what begins as a number and is none.
fn check_numbers(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    for (place, token) in tokens.iter().enumerate() {
        let written = match &token.token {
            Token::Number(number, is_long) => match tokens.get(place + 1).map(|next| &next.token) {
                Some(Token::Word(word))
                    if word.quote_style.is_none() && !NO_NAMES.contains(&word.keyword) =>
                {
                    let letter = if *is_long { "L" } else { "" };
                    format!("{number}{letter}{}", word.value)
                }
                _ => {
                    check_float(number, token.span)?;
                    continue;
                }
            },
            Token::HexStringLiteral(digits) if is_hexadecimal_number(digits, token.span) => {
                format!("0x{digits}")
            }
            _ => continue,
        };
        let written = shortened(written, SHOWN_BYTES_MAX);
        return Err(refused(
            token.span,
            &format!("trailing junk after numeric literal: `{written}`"),
            "numbers have decimal digits alone, such as 1000 or 1_000, and a space stands between a number and what follows it",
        ));
    }
    Ok(())
}

/// Refuses a number that is greater than every float, or less than each but 0: it would be infinite, or 0.
fn check_float(number: &str, at: Span) -> Result<(), QueryError> {
    let is_lost = number
        .parse::<f64>()
        .is_ok_and(|float| float.is_infinite() || float == 0.0 && has_digits_of_value(number));
    if !is_lost {
        return Ok(());
    }
    let (line, column) = (at.start.line, at.start.column);
    let number = shortened(number.to_owned(), SHOWN_BYTES_MAX);
    Err(QueryError::of_statement(
        StatementFault::OutOfRange,
        format!(
            "out of range: {number} is no double precision at Line: {line}, Column: {column}; such numbers are 0, or from 5e-324 to \
             1.8e308"
        ),
    ))
}

/// Returns true for `0x1F`, of which the parser makes bytes; `X'1F'`, which are bytes, is a letter longer.
fn is_hexadecimal_number(digits: &str, span: Span) -> bool {
    let letters = span.end.column.saturating_sub(span.start.column);
    letters == digits.chars().count() as u64 + 2
}

/// Joins texts between which a line ends.
fn with_whole_texts(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    let mut read: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // Where a text stands that has nothing but space behind it so far.
    let mut last: Option<usize> = None;
    for token in tokens {
        if let (Some(place), Token::SingleQuotedString(text)) = (last, &token.token) {
            let is_one = ends_line(&read[place + 1..]);
            if !is_one || !go_on(&mut read[place].token, text) {
                let text = shortened(text.clone(), SHOWN_BYTES_MAX);
                return Err(refused(
                    token.span,
                    &format!("syntax error: the text `'{text}'` stands behind another one"),
                    "write them as one, with || or a comma between them, or the second on a line of its own, where it goes on with \
                     the first, without backslashes",
                ));
            }
            read.truncate(place + 1);
            continue;
        }
        match token.token {
            Token::Whitespace(_) => {}
            Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::UnicodeStringLiteral(_) => last = Some(read.len()),
            _ => last = None,
        }
        read.push(token);
    }
    Ok(read)
}

/// Returns true for space in which a line ends, and that has no comment but such as end with their line.
fn ends_line(space: &[TokenWithSpan]) -> bool {
    let mut has_end = false;
    for token in space {
        match &token.token {
            Token::Whitespace(Whitespace::Newline | Whitespace::SingleLineComment { .. }) => {
                has_end = true;
            }
            Token::Whitespace(Whitespace::Space | Whitespace::Tab) => {}
            _ => return false,
        }
    }
    has_end
}

/// Appends to a text what it goes on with; returns false where that would mean something else there: a backslash has been read as
/// one already.
fn go_on(text: &mut Token, with: &str) -> bool {
    match text {
        Token::SingleQuotedString(all) | Token::NationalStringLiteral(all) => all.push_str(with),
        Token::EscapedStringLiteral(all) | Token::UnicodeStringLiteral(all)
            if !with.contains('\\') =>
        {
            all.push_str(with);
        }
        _ => return false,
    }
    true
}

/// Makes a LIMIT of a FETCH that the parser does not read: of what stands in brackets, and before OFFSET.
fn with_limits(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    let places = places(&tokens);
    let mut others: Vec<(usize, Token)> = Vec::new();
    let is = |order: usize, words: &[Keyword]| {
        let token = places.get(order).map(|place| &tokens[*place]);
        token
            .and_then(keyword)
            .is_some_and(|word| words.contains(&word))
    };
    let is_sign = |order: usize, sign: &Token| {
        let token = places.get(order).map(|place| &tokens[*place].token);
        token == Some(sign)
    };
    for order in 0..places.len() {
        let is_fetch = is(order, &[Keyword::FETCH]);
        if !is_fetch || !is(order + 1, &[Keyword::FIRST, Keyword::NEXT]) {
            continue;
        }
        let count = order + 2;
        let is_one = is(count, &[Keyword::ROW, Keyword::ROWS]);
        let is_bracket = is_sign(count, &Token::LParen);
        let rows = match (is_one, is_bracket) {
            (true, _) => count,
            (false, false) => count + 1,
            (false, true) => {
                let mut depth = 0_usize;
                let end = (count..count + FETCHED_TOKENS_MAX).find(|order| {
                    if is_sign(*order, &Token::LParen) {
                        depth += 1;
                    } else if is_sign(*order, &Token::RParen) {
                        depth -= 1;
                    }
                    depth == 0
                });
                match end {
                    Some(end) => end + 1,
                    None => continue,
                }
            }
        };
        if !is(rows, &[Keyword::ROW, Keyword::ROWS]) {
            continue;
        }
        if is(rows + 1, &[Keyword::WITH]) && is(rows + 2, &[Keyword::TIES]) {
            return Err(QueryError::of_statement(
                StatementFault::Unsupported,
                "not supported: FETCH … WITH TIES; number the rows, rank() OVER (ORDER BY x) AS place, and write QUALIFY place <= 3",
            ));
        }
        let is_before_offset = is(rows + 2, &[Keyword::OFFSET]);
        if !is(rows + 1, &[Keyword::ONLY]) || !(is_bracket || is_before_offset) {
            continue;
        }
        let space = || Token::Whitespace(Whitespace::Space);
        others.push((places[order], Token::make_keyword("LIMIT")));
        others.push((
            places[order + 1],
            match is_one {
                true => Token::Number("1".to_owned(), false),
                false => space(),
            },
        ));
        others.extend([(places[rows], space()), (places[rows + 1], space())]);
    }
    for (place, token) in others {
        tokens[place].token = token;
    }
    Ok(tokens)
}

/// What brackets are of, and which word comes next in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brackets {
    /// Of anything else.
    Other,
    /// Of `substring`, in which SIMILAR may come.
    Substring,
    /// Of `substring`, behind SIMILAR.
    Similar,
}

/// Puts FROM and FOR in the place of SIMILAR and ESCAPE between the arguments of `substring`.
fn with_matched_parts(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = places(&tokens);
    let word = |order: usize| places.get(order).and_then(|place| keyword(&tokens[*place]));
    let begins = |order: usize| {
        let before = order.checked_sub(1).and_then(|before| places.get(before));
        before.is_some_and(|place| matches!(tokens[*place].token, Token::LParen | Token::Period))
    };
    let mut others: Vec<(usize, &str)> = Vec::new();
    let mut levels: Vec<Brackets> = Vec::new();
    for (order, place) in places.iter().enumerate() {
        match &tokens[*place].token {
            Token::LParen => {
                let before = order.checked_sub(1).and_then(word);
                levels.push(match before {
                    Some(Keyword::SUBSTRING) => Brackets::Substring,
                    _ => Brackets::Other,
                });
            }
            Token::RParen => {
                levels.pop();
            }
            _ => {
                let Some(level) = levels.last_mut() else {
                    continue;
                };
                match (*level, word(order)) {
                    // SIMILAR TO compares, and what a text begins with is a column of this name.
                    (Brackets::Substring, Some(Keyword::SIMILAR))
                        if word(order + 1) != Some(Keyword::TO) && !begins(order) =>
                    {
                        others.push((*place, "FROM"));
                        *level = Brackets::Similar;
                    }
                    (Brackets::Similar, Some(Keyword::ESCAPE)) => {
                        others.push((*place, "FOR"));
                        *level = Brackets::Other;
                    }
                    _ => {}
                }
            }
        }
    }
    for (place, word) in others {
        tokens[place].token = Token::make_keyword(word);
    }
    tokens
}

/// Says that blanks are trimmed where nothing is said of it.
fn with_trimmed_blanks(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = places(&tokens);
    let word = |order: usize| places.get(order).and_then(|place| keyword(&tokens[*place]));
    let is_bare = |order: &usize| {
        let is_call = word(*order) == Some(Keyword::TRIM)
            && places
                .get(order + 1)
                .is_some_and(|place| tokens[*place].token == Token::LParen);
        let side = [Keyword::LEADING, Keyword::TRAILING, Keyword::BOTH];
        is_call
            && word(order + 2).is_some_and(|word| side.contains(&word))
            && word(order + 3) == Some(Keyword::FROM)
    };
    let found = (0..places.len()).filter(is_bare);
    let found: Vec<usize> = found.map(|order| places[order + 3]).collect();
    if found.is_empty() {
        return tokens;
    }
    let mut read = Vec::with_capacity(tokens.len() + found.len());
    for (place, token) in tokens.into_iter().enumerate() {
        if found.binary_search(&place).is_ok() {
            let blank = Token::SingleQuotedString(" ".to_owned());
            read.push(TokenWithSpan::new(blank, token.span));
        }
        read.push(token);
    }
    read
}

/// Brackets of which the end has not come.
struct Open {
    /// Whether they are those behind ROLLUP, CUBE and GROUPING SETS, and what stands between their commas are sets.
    has_sets: bool,
    /// Where these brackets begin.
    begin: usize,
    /// Where what stands behind the last comma begins.
    part: usize,
    /// Where the brackets end which that begins with.
    part_closed: Option<usize>,
}

/// Puts brackets around each set of ROLLUP, CUBE and GROUPING SETS that begins with a bracket and goes on behind it.
fn with_whole_sets(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(is_of_sets) {
        return tokens;
    }
    // The first and the last token of each such set.
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let places = places(&tokens);
    let is_bracket = |place: usize| tokens[place].token == Token::LParen;
    for (order, place) in places.iter().enumerate() {
        let token = &tokens[*place].token;
        let ends_part = matches!(token, Token::Comma | Token::RParen);
        if let Some(sets) = open.last()
            && ends_part
            && sets.has_sets
            && sets.part + 1 < order
            && is_bracket(places[sets.part])
            && sets.part_closed != Some(order - 1)
        {
            found.push((places[sets.part], places[order - 1]));
        }
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                let before = order.checked_sub(1).map(|before| &tokens[places[before]]);
                open.push(Open {
                    has_sets: *token == Token::LParen && before.is_some_and(is_of_sets),
                    begin: order,
                    part: order + 1,
                    part_closed: None,
                });
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                let closed = open.pop();
                if let (Some(closed), Some(around)) = (closed, open.last_mut())
                    && closed.begin == around.part
                {
                    around.part_closed = Some(order);
                }
            }
            Token::Comma => {
                if let Some(around) = open.last_mut() {
                    around.part = order + 1;
                    around.part_closed = None;
                }
            }
            _ => {}
        }
    }
    let mut read = Vec::with_capacity(tokens.len() + 2 * found.len());
    // Sets stand beside each other, or in each other's brackets: one begins, and one ends, at most once at a place.
    let (mut begins, mut ends): (Vec<usize>, Vec<usize>) = found.into_iter().unzip();
    begins.sort_unstable();
    ends.sort_unstable();
    for (place, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        if begins.binary_search(&place).is_ok() {
            read.push(TokenWithSpan::new(Token::LParen, span));
        }
        read.push(token);
        if ends.binary_search(&place).is_ok() {
            read.push(TokenWithSpan::new(Token::RParen, span));
        }
    }
    read
}

/// Returns true for a word behind which brackets have sets to group by between them.
fn is_of_sets(token: &TokenWithSpan) -> bool {
    matches!(
        keyword(token),
        Some(Keyword::ROLLUP | Keyword::CUBE | Keyword::SETS)
    )
}

/// What stands between two brackets, as far as it has been read.
#[derive(Default)]
struct Level {
    /// Whether these are the brackets of a call, in which FROM is a word between arguments.
    is_call: bool,
    /// Whether names are given to queries before the one that begins here.
    has_with: bool,
    /// Whether a query has begun.
    is_begun: bool,
    /// Where the FROM stands that a query began with, as long as no SELECT has come.
    from: Option<usize>,
}

impl Level {
    /// A bracket that ends here is no longer that of a query with a name: `SELECT * EXCEPT (a) FROM t`.
    fn begin(&mut self) {
        self.is_begun = true;
        self.has_with = false;
    }
}

/// Puts `SELECT *` before each FROM that a query begins with, and that no SELECT follows.
fn with_columns(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut found = Vec::new();
    let mut levels = vec![Level::default()];
    let mut before: Option<&TokenWithSpan> = None;
    for place in places(&tokens) {
        let token = &tokens[place];
        let word = keyword(token);
        match &token.token {
            Token::LParen => levels.push(Level {
                is_call: before.is_some_and(calls),
                ..Level::default()
            }),
            Token::RParen => {
                found.extend(levels.pop().and_then(|level| level.from));
                if levels.is_empty() {
                    levels.push(Level::default());
                }
            }
            _ => {}
        }
        if let Some(level) = levels.last_mut() {
            match word {
                Some(Keyword::WITH) if !level.is_begun => level.has_with = true,
                Some(Keyword::SELECT) => {
                    level.begin();
                    level.from = None;
                }
                Some(Keyword::FROM) if !level.is_begun && begins_query(before, level) => {
                    level.begin();
                    level.from = Some(place);
                }
                Some(Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT) => {
                    found.extend(level.from.take());
                    level.is_begun = false;
                }
                None if token.token == Token::SemiColon => {
                    found.extend(level.from.take());
                    *level = Level::default();
                }
                _ => {}
            }
        }
        before = Some(token);
    }
    found.extend(levels.into_iter().filter_map(|level| level.from));
    if found.is_empty() {
        return tokens;
    }
    found.sort_unstable();
    let mut read = Vec::with_capacity(tokens.len() + 2 * found.len());
    for (place, token) in tokens.into_iter().enumerate() {
        if found.binary_search(&place).is_ok() {
            let words = [Token::make_keyword("SELECT"), Token::Mul];
            read.extend(words.map(|word| TokenWithSpan::new(word, token.span)));
        }
        read.push(token);
    }
    read
}

/// Returns true for what a bracket behind it makes a call of: a name, and `trim`, the one call that may begin with FROM.
fn calls(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Word(_))
        && matches!(
            keyword(token),
            None | Some(Keyword::NoKeyword | Keyword::TRIM)
        )
}

/// Returns true where a query can begin behind a token.
fn begins_query(before: Option<&TokenWithSpan>, level: &Level) -> bool {
    let Some(before) = before else {
        return true;
    };
    match &before.token {
        Token::SemiColon => true,
        Token::LParen => !level.is_call,
        Token::RParen => level.has_with,
        _ => matches!(
            keyword(before),
            Some(
                Keyword::ALL
                    | Keyword::ANALYZE
                    | Keyword::EXCEPT
                    | Keyword::EXPLAIN
                    | Keyword::INTERSECT
                    | Keyword::UNION
                    | Keyword::VERBOSE
            )
        ),
    }
}

/// Makes the error of a token that cannot stand where it does.
fn refused(at: Span, what: &str, instead: &str) -> QueryError {
    let (line, column) = (at.start.line, at.start.column);
    QueryError::of_statement(
        StatementFault::Syntax,
        format!("{what} at Line: {line}, Column: {column}; {instead}"),
    )
}

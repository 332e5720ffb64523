//! JSON Pointers (RFC 6901), parsed once when a source is declared.

use crate::error::SetupProblem;

/// The way to a value in a JSON document: names of members and positions in arrays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pointer {
    tokens: Vec<Box<str>>,
}

impl Pointer {
    /// Reads a pointer: `""` is the whole document, `/a/0` the first element of member `a`.
    pub(crate) fn parse(text: &str) -> Result<Self, SetupProblem> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let wrong = || SetupProblem::Pointer(text.to_owned());
        let tokens = text
            .strip_prefix('/')
            .ok_or_else(wrong)?
            .split('/')
            .map(|token| unescape(token).ok_or_else(wrong))
            .collect::<Result<_, _>>()?;
        Ok(Self { tokens })
    }

    /// Returns the pointer to a member of the document's root.
    pub(crate) fn member(name: &str) -> Self {
        Self {
            tokens: vec![name.into()],
        }
    }

    /// Returns the pointer of these steps.
    pub(crate) fn of_tokens(tokens: impl IntoIterator<Item = Box<str>>) -> Self {
        Self {
            tokens: tokens.into_iter().collect(),
        }
    }

    /// Returns `inner` as seen from the document that holds it at this pointer.
    pub(crate) fn join(&self, inner: &Self) -> Self {
        Self {
            tokens: self.tokens.iter().chain(&inner.tokens).cloned().collect(),
        }
    }

    /// Returns the steps from the root.
    pub(crate) fn tokens(&self) -> &[Box<str>] {
        &self.tokens
    }
}

/// Returns a token as the position in an array that it names; `01` and `-` name none.
pub(crate) fn array_index(token: &str) -> Option<usize> {
    let canonical =
        token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    canonical.then(|| token.parse().ok()).flatten()
}

fn unescape(token: &str) -> Option<Box<str>> {
    let mut text = String::with_capacity(token.len());
    let mut rest = token.chars();
    while let Some(c) = rest.next() {
        text.push(match c {
            '~' => match rest.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(text.into())
}

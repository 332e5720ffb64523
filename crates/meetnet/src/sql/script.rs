//! Lines become statements and commands.
//!
//! A statement ends with `;` outside of texts, quoted names and comments, and may have any number of lines. A line that
//! begins with `\` outside of those is a command: SQL has no such token.

#[cfg(test)]
mod tests;

/// What a line completes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// One statement, without the `;` at its end.
    Statement(String),
    /// One command, with its `\`.
    Command(String),
}

/// Where a character stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Within {
    /// SQL itself.
    #[default]
    Code,
    /// A text or a quoted name, by its quote, which belongs to it. A doubled quote ends it and begins it again.
    Quotes(char),
    /// `$$ … $$`: a text in which quotes mean nothing.
    Dollars,
    /// `-- …`
    LineComment,
    /// `/* … */`
    BlockComment,
}

/// Says of each character (by its offset in bytes) where it stands; returns where the text ends.
pub(super) fn walk(
    text: &str,
    mut within: Within,
    mut visit: impl FnMut(usize, char, Within),
) -> Within {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        // Where this character stands, where the next one does, and whether both are one mark.
        let (here, after, is_pair) = match (within, c, next) {
            (Within::Code, '\'' | '"', _) => (Within::Quotes(c), Within::Quotes(c), false),
            (Within::Code, '$', Some('$')) => (Within::Dollars, Within::Dollars, true),
            (Within::Dollars, '$', Some('$')) => (within, Within::Code, true),
            (Within::Code, '-', Some('-')) => (Within::LineComment, Within::LineComment, true),
            (Within::Code, '/', Some('*')) => (Within::BlockComment, Within::BlockComment, true),
            (Within::Quotes(quote), c, _) if c == quote => (within, Within::Code, false),
            (Within::LineComment, '\n', _) => (within, Within::Code, false),
            (Within::BlockComment, '*', Some('/')) => (within, Within::Code, true),
            _ => (within, within, false),
        };
        visit(at, c, here);
        if is_pair && let Some((at, c)) = chars.next() {
            visit(at, c, here);
        }
        within = after;
    }
    within
}

/// What has been read of a script.
#[derive(Debug, Default)]
pub(super) struct Script {
    pending: String,
    within: Within,
}

impl Script {
    /// Returns what a whole text holds, its last statement with or without `;`.
    pub(super) fn items(text: &str) -> Vec<Item> {
        let mut script = Self::default();
        let mut items: Vec<Item> = text
            .lines()
            .flat_map(|line| script.push_line(line))
            .collect();
        items.extend(script.finish());
        items
    }

    /// Takes a line, without its end; returns what it completes.
    pub(super) fn push_line(&mut self, line: &str) -> Vec<Item> {
        if self.within == Within::Code && line.trim_start().starts_with('\\') {
            return vec![Item::Command(line.trim().to_owned())];
        }
        let line = format!("{line}\n");
        let mut ends = Vec::new();
        self.within = walk(&line, self.within, |at, c, here| {
            if c == ';' && here == Within::Code {
                ends.push(at);
            }
        });
        let mut items = Vec::new();
        let mut begin = 0;
        for end in ends {
            self.pending.push_str(&line[begin..end]);
            begin = end + 1;
            items.extend(self.take());
        }
        self.pending.push_str(&line[begin..]);
        items
    }

    /// Returns the statement that the input ended in.
    pub(super) fn finish(&mut self) -> Option<Item> {
        self.within = Within::Code;
        self.take()
    }

    /// Forgets the statement that has begun.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns what has been read of a statement that is not at its end.
    pub(super) fn pending(&self) -> &str {
        &self.pending
    }

    /// Returns true between statements.
    pub(super) fn is_idle(&self) -> bool {
        self.within == Within::Code && is_blank(&self.pending)
    }

    fn take(&mut self) -> Option<Item> {
        let text = std::mem::take(&mut self.pending);
        let text = text.trim();
        (!is_blank(text)).then(|| Item::Statement(text.to_owned()))
    }
}

/// Returns true for a text of comments and blanks only.
fn is_blank(text: &str) -> bool {
    let mut is_blank = true;
    walk(text, Within::Code, |_, c, here| {
        let counts = matches!(here, Within::Code | Within::Quotes(_) | Within::Dollars);
        is_blank &= !counts || c.is_whitespace();
    });
    is_blank
}

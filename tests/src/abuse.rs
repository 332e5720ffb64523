//! The hostile statements of `tests/abuse/statements.txt`: what is sent, and how it may end.

use anyhow::{Context, Result, ensure};

/// The statements.
const TEXT: &str = include_str!("../abuse/statements.txt");
/// Around a repetition: `⟦5000*a+⟧`.
const OPEN: char = '⟦';
const CLOSE: char = '⟧';

/// Statements that end alike.
#[derive(Clone, Debug)]
pub struct Section {
    /// What they have in common.
    pub name: &'static str,
    /// Kinds of errors that they may end with; `ok` among them: an answer.
    pub kinds: Vec<&'static str>,
    /// They mean something else in PostgreSQL's protocol.
    pub http_only: bool,
    /// They mean something in PostgreSQL's protocol only.
    pub postgres_only: bool,
    /// The statements, written out.
    pub statements: Vec<String>,
}

/// Reads the statements.
///
/// # Errors
/// Where the file is not as its own head says.
pub fn sections() -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    for line in TEXT.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix("== ") {
            let (name, kinds) = head.split_once(": ").context(head)?;
            let of_http = name.strip_suffix(" (http)");
            let of_postgres = name.strip_suffix(" (postgres)");
            sections.push(Section {
                name: of_http.or(of_postgres).unwrap_or(name),
                kinds: kinds.split(' ').collect(),
                http_only: of_http.is_some(),
                postgres_only: of_postgres.is_some(),
                statements: Vec::new(),
            });
            continue;
        }
        let section = sections
            .last_mut()
            .context("a statement before a section")?;
        section.statements.push(written_out(line)?);
    }
    let count: usize = sections
        .iter()
        .map(|section| section.statements.len())
        .sum();
    ensure!(count > 500, "{count} statements are not all of them");
    Ok(sections)
}

fn written_out(line: &str) -> Result<String> {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, repeated)) = rest.split_once(OPEN) {
        let (repeated, behind) = repeated.split_once(CLOSE).context(line.to_owned())?;
        let (times, of) = repeated.split_once('*').context(line.to_owned())?;
        text.push_str(before);
        text.push_str(&of.repeat(times.parse()?));
        rest = behind;
    }
    text.push_str(rest);
    Ok(text)
}

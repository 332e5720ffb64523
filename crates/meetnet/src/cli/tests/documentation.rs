//! Every command in the documentation is one that this program takes: renamed flags and slips of the pen fail here.

use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;

use super::super::Arguments;

/// How commands begin.
const PROGRAMS: [&str; 2] = ["meetnet ", "cargo run --release -- "];
/// What stands for a value, and one that can be read.
const PLACEHOLDERS: [(&str, &str); 6] = [
    ("ADDR", "127.0.0.1:0"),
    ("DAY", "2026-01-31"),
    ("TIME", "2026-01-31T12:00:00Z"),
    ("FORMAT", "json"),
    ("FIRST..LAST", "1..2"),
    ("$(mktemp -d)", "/tmp/demo"),
];

/// A command, and where it stands.
#[derive(Debug)]
struct Command {
    text: String,
    /// True for a line to copy, false for words in a sentence, which may leave out what is required.
    is_whole: bool,
}

/// Splits a line into commands and their words as a shell does, as far as the documentation goes: quotes, comments, pipes
/// and redirections. None where a quote is open.
fn commands_of(line: &str) -> Option<Vec<Vec<String>>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => match chars.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | '<' | ';' | '&') => {
                commands.last_mut()?.extend(word.take());
                commands.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => commands.last_mut()?.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    commands.last_mut()?.extend(word);
    quote.is_none().then_some(commands)
}

/// Finds the commands of a page: lines of blocks for a shell, and code in sentences that begins like one.
fn commands_in(page: &str) -> Vec<Command> {
    let mut found = Vec::new();
    for (number, part) in page.split("```").enumerate() {
        if number.is_multiple_of(2) {
            // A backtick that is never closed reaches to the end of its paragraph.
            let code = part
                .split("\n\n")
                .flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
            found.extend(
                code.filter(|code| PROGRAMS.iter().any(|program| code.starts_with(program)))
                    .map(|code| Command {
                        text: code.to_owned(),
                        is_whole: false,
                    }),
            );
            continue;
        }
        let Some(block) = part.strip_prefix("sh\n") else {
            continue;
        };
        let mut line = String::new();
        for next in block.lines() {
            line.push_str(next.trim_start());
            if line.ends_with('\\') || commands_of(&line).is_none() {
                line.push('\n');
                continue;
            }
            found.push(Command {
                text: std::mem::take(&mut line),
                is_whole: true,
            });
        }
        assert!(line.is_empty(), "a quote is never closed: {line}");
    }
    found
}

/// Returns the arguments of this program in a command as it is written, its own name included; None for another program.
fn arguments(words: &[String]) -> Option<Vec<String>> {
    let is_setting = |word: &&String| {
        word.split_once('=')
            .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
    };
    let settings = words.iter().take_while(is_setting).count();
    let given = match &words[settings..] {
        [program, given @ ..] if program == "meetnet" => given,
        [cargo, run, release, dashes, given @ ..]
            if [cargo, run, release, dashes] == ["cargo", "run", "--release", "--"] =>
        {
            given
        }
        _ => return None,
    };
    let given = given.iter().map(|word| {
        // `[--quick]` may be left out, of `FILE…` there may be several.
        let word = word.trim_matches(['[', ']', '…']);
        let known = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
        known.map_or(word, |(_, value)| *value).to_owned()
    });
    let given = given.filter(|word| !word.is_empty());
    Some(std::iter::once("meetnet".to_owned()).chain(given).collect())
}

/// Returns why this program does not take a command; None where it does.
fn problem(mut arguments: Vec<String>, is_whole: bool) -> Option<String> {
    let first = Arguments::try_parse_from(&arguments).err()?;
    let ends_in_flag = arguments.last().is_some_and(|word| word.starts_with('-'));
    if !is_whole {
        let is_short = match first.kind() {
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => true,
            // Named without a value.
            ErrorKind::InvalidValue => ends_in_flag,
            _ => false,
        };
        return (!is_short).then(|| first.to_string());
    }
    if first.kind() == ErrorKind::MissingRequiredArgument {
        // The variable MEETNET_CONFIG may name it.
        arguments.extend(["--config".to_owned(), "meetnet.toml".to_owned()]);
        let second = Arguments::try_parse_from(&arguments).err()?;
        return Some(second.to_string());
    }
    Some(first.to_string())
}

/// The pages of a folder and of those below it.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn every_command_in_the_documentation_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let names = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ];
    let mut found: Vec<PathBuf> = names.map(|name| root.join(name)).to_vec();
    pages(&root.join("docs"), &mut found);
    let (mut whole, mut in_sentences) = (0, 0);
    let mut wrong = Vec::new();
    for path in found {
        let page = std::fs::read_to_string(&path).expect("a page");
        for Command { text, is_whole } in commands_in(&page) {
            let commands = commands_of(&text).unwrap_or_default();
            for arguments in commands.iter().filter_map(|words| arguments(words)) {
                *(if is_whole {
                    &mut whole
                } else {
                    &mut in_sentences
                }) += 1;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let why = problem(arguments, is_whole);
                wrong.extend(why.map(|why| format!("{name}: {text}\n{why}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(
        whole > 50 && in_sentences > 60,
        "{whole} commands, {in_sentences} in sentences"
    );
}

#[test]
fn commands_are_read_as_a_shell_reads_them() {
    fn check(line: &str, expect: Option<&[&[&str]]>) {
        let commands = commands_of(line);
        let expect = expect.map(|commands| {
            let words = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            commands.iter().map(words).collect::<Vec<Vec<String>>>()
        });
        assert_eq!(commands, expect, "{line}");
    }
    check("meetnet sql  # a prompt", Some(&[&["meetnet", "sql"]]));
    check(
        r#"meetnet sql "SELECT 'a; b' # \"c\"" '\d'"#,
        Some(&[&["meetnet", "sql", "SELECT 'a; b' # \"c\"", r"\d"]]),
    );
    check(
        "zcat a.gz | meetnet import json -",
        Some(&[&["zcat", "a.gz"], &["meetnet", "import", "json", "-"]]),
    );
    check("a \\\n  b ''", Some(&[&["a", "b", ""]]));
    check("meetnet sql \"SELECT", None);
}

#[test]
fn a_wrong_command_is_noticed() {
    fn check(page: &str, expect: &[bool]) {
        let found: Vec<bool> = commands_in(page)
            .into_iter()
            .flat_map(|command| {
                let commands = commands_of(&command.text).expect("closed quotes");
                let of_us: Vec<Vec<String>> = commands
                    .iter()
                    .filter_map(|words| arguments(words))
                    .collect();
                of_us
                    .into_iter()
                    .map(move |arguments| problem(arguments, command.is_whole).is_none())
            })
            .collect();
        assert_eq!(found, expect, "{page}");
    }
    check("```sh\nmeetnet run --config a.toml\nls\n```", &[true]);
    check("```sh\nmeetnet run --confg a.toml\n```", &[false]);
    check("```sh\nmeetnet quality rerun --dry-run\n```", &[true]);
    check("```sh\nmeetnet backup --config a.toml\n```", &[false]);
    check("```sh\ncargo run --release -- demo --nope\n```", &[false]);
    check("```sh\nls; A=b meetnet serve --nope\n```", &[false]);
    check(
        "Say `meetnet backup`, or `meetnet sql --as-of`.",
        &[true, true],
    );
    check(
        "Say `meetnet check --repiar` or `meetnet chek`.",
        &[false, false],
    );
    check("```\nmeetnet demo: a city\n```", &[]);
}

use meetnet_query::Format;

use super::{Command, HELP, NAMES};

#[test]
fn commands_are_read() {
    let check = |line: &str, expect: Command| {
        assert_eq!(Command::parse(line), Ok(expect), "{line}");
    };
    check("\\?", Command::Help);
    check("\\q", Command::Quit);
    check("\\q;", Command::Quit);
    check("\\r", Command::Reset);
    check("\\e", Command::Edit);
    check("\\edit", Command::Edit);
    check("\\d", Command::Tables);
    check("\\dt", Command::Tables);
    check("\\d heat", Command::Describe("heat".to_owned()));
    check("\\d  \"heat\" ;", Command::Describe("heat".to_owned()));
    check("\\df", Command::Functions(None));
    check("\\df bucket", Command::Functions(Some("bucket".to_owned())));
    check("\\timing", Command::Timing(None));
    check("\\timing on", Command::Timing(Some(true)));
    check("\\timing off", Command::Timing(Some(false)));
    check("\\format", Command::Format(None));
    check("\\format csv", Command::Format(Some(Format::Csv)));
    check("\\as-of", Command::AsOf(None));
    check("\\as-of now", Command::AsOf(Some(None)));
    check(
        "\\as-of 1970-01-02",
        Command::AsOf(Some(Some(86_400_000_000))),
    );
    check(
        "\\as-of 1970-01-01T00:00:01Z",
        Command::AsOf(Some(Some(1_000_000))),
    );
    check("\\param", Command::Parameter(None));
    let parameter = ("n".to_owned(), "5".to_owned());
    check("\\param n=5", Command::Parameter(Some(parameter)));
    check("\\o a b.csv", Command::Output("a b.csv".into()));
    check("\\d+ heat", Command::Describe("heat".to_owned()));
    check("\\dt+", Command::Tables);
    check("\\x", Command::Expanded(None));
    check("\\x on", Command::Expanded(Some(true)));
    check("\\x off;", Command::Expanded(Some(false)));
    check("\\pager", Command::Pager(None));
    check("\\pager on", Command::Pager(Some(true)));
    check("\\pager off", Command::Pager(Some(false)));
    check("\\i a b.sql", Command::Include("a b.sql".into()));
    check("\\echo two  words", Command::Echo("two  words".to_owned()));
    check("\\echo", Command::Echo(String::new()));
}

#[test]
fn wrong_commands_say_what_there_is() {
    for (line, part) in [
        ("\\z", "there is no command \\z"),
        ("\\x auto", "on, off or nothing"),
        ("\\pager less", "on, off or nothing"),
        ("\\i", "takes a file"),
        ("\\dt heat", "\\dt takes nothing"),
        ("\\q now", "\\q takes nothing"),
        ("\\timing maybe", "on, off or nothing"),
        ("\\format xml", "there are json"),
        ("\\as-of yesterday", "2026-01-31T12:00:00Z"),
        ("\\param n", "NAME=VALUE"),
        ("\\o", "takes a file"),
    ] {
        let said = Command::parse(line).expect_err(line);
        assert!(said.contains(part), "{line}: {said}");
    }
}

#[test]
fn help_names_every_command() {
    for name in NAMES.iter().filter(|name| **name != "\\?") {
        assert!(HELP.contains(name), "{name}");
    }
}

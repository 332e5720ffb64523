//! `meetnet sql` as a tool: scripts, commands, parameters, files, a folder and a service, by scripts on stdin and at a terminal.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::desk::{self, installation, start};
use crate::process::{answer, meetnet, refusal, run, text};

/// Runs a script on stdin.
fn script(arguments: &[&str], statements: &str) -> Output {
    let mut child = meetnet(&[&["sql"][..], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(statements.as_bytes()).expect("taken");
    drop(stdin);
    child.wait_with_output().expect("an end")
}

/// Makes an empty lake; returns its folder.
fn empty_lake(dir: &Path) -> String {
    let lake = dir.join("lake");
    std::fs::create_dir_all(&lake).expect("a lake");
    lake.display().to_string()
}

#[test]
fn a_script_answers_statement_by_statement() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = empty_lake(dir.path());
    let output = script(
        &[
            "--lake",
            &lake,
            "--param",
            "n=5",
            "--param",
            "t=it's; -- so",
        ],
        "-- a comment; with a mark\nSELECT $n + 1 AS a,\n  $t AS b;\n\\format ndjson\nSELECT ';' AS c; SELECT NULL AS d",
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "a,b\r\n6,it's; -- so\r\n{\"c\":\";\"}\n{\"d\":null}\n"
    );
    // As the only statement, too, where it looks like an option.
    let commented = answer(&["sql", "--lake", &lake, "-- one\nSELECT 1 AS a"]);
    assert_eq!(commented, "a\r\n1\r\n");
    let said = refusal(&["sql", "--lake", &lake, "--nosuch"], 2);
    assert!(said.contains("unexpected argument '--nosuch'"), "{said}");
    // The first error ends a script.
    let output = script(
        &["--lake", &lake],
        "SELECT 1 AS a;\nSELECT nonsense;\nSELECT 2;",
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "a\r\n1\r\n");
    assert!(text(&output.stderr).contains("nonsense"));
    let output = script(&["--lake", &lake], "SELECT $x;");
    assert!(text(&output.stderr).contains("$x has no value"));
    // What follows \q is not read; a script of nothing is none.
    let output = script(&["--lake", &lake], "\\q\nSELECT nonsense;");
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(script(&["--lake", &lake], "").status.success());
    refusal(&["sql", "--lake", &lake, " ; "], 2);
    let nowhere = dir.path().join("nothing").display().to_string();
    let said = refusal(&["sql", "--lake", &nowhere, "SELECT 1"], 1);
    assert!(said.contains("nothing has been committed yet"), "{said}");
}

#[test]
fn tables_show_nulls_and_numbers_at_the_right() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = empty_lake(dir.path());
    let sql = "SELECT * FROM (VALUES (1, 'a'), (1000, NULL)) AS t(n, name) ORDER BY n";
    let table = answer(&["sql", "--lake", &lake, "--format", "table", sql]);
    let rows: Vec<&str> = table.lines().take(4).collect();
    let expect = ["    n | name", "------+------", "    1 | a", " 1000 | NULL"];
    assert_eq!(rows, expect, "{table}");
}

#[test]
fn answers_go_to_files_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = empty_lake(dir.path());
    let file = dir.path().join("answer.parquet").display().to_string();
    let sql = "SELECT 1 AS one";
    assert_eq!(answer(&["sql", "--lake", &lake, "-o", &file, sql]), "");
    assert!(std::fs::read(&file).expect("a file").starts_with(b"PAR1"));
    // A wrong statement leaves what was there.
    refusal(&["sql", "--lake", &lake, "-o", &file, "SELECT nonsense"], 1);
    assert!(std::fs::read(&file).expect("a file").starts_with(b"PAR1"));
    let said = refusal(
        &["sql", "--lake", &lake, "-o", &file, "SELECT 1; SELECT 2"],
        2,
    );
    assert!(said.contains("one answer"), "{said}");

    let (first, second) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
    let statements = dir.path().join("script.sql");
    let lines = format!(
        "\\o {}\nSELECT 1 AS a;\n\\o {}\nSELECT 2 AS b;\nSELECT 3 AS c;\n",
        first.display(),
        second.display()
    );
    std::fs::write(&statements, lines).expect("a script");
    let statements = statements.display().to_string();
    assert_eq!(
        answer(&["sql", "--lake", &lake, "-f", &statements]),
        "c\r\n3\r\n"
    );
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
    // The name of the file says the format, unless somebody has said another one.
    let (named, said) = (dir.path().join("named.json"), dir.path().join("said.json"));
    let lines = format!(
        "\\o {}\nSELECT 1 AS a;\n\\format csv\n\\o {}\nSELECT 2 AS b;\nSELECT 3 AS c;\n",
        named.display(),
        said.display()
    );
    let output = script(&["--lake", &lake], &lines);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "c\r\n3\r\n");
    assert!(read(&named).starts_with('{'), "{}", read(&named));
    assert_eq!(read(&said), "b\r\n2\r\n");
    // A name of no format is refused before anything is asked, as with -o.
    let sheet = dir.path().join("answer.xlsx");
    let lines = format!("\\o {}\nSELECT 4 AS d;\n", sheet.display());
    let output = script(&["--lake", &lake], &lines);
    assert_eq!(output.status.code(), Some(2));
    let refused = text(&output.stderr);
    assert!(refused.contains("end it in .csv, .parquet"), "{refused}");
    assert!(output.stdout.is_empty() && !sheet.exists());
    let output = script(&["--lake", &lake], &format!("\\format csv\n{lines}"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(read(&sheet), "d\r\n4\r\n");
    // Scripts name scripts; one that names itself ends.
    let inner = dir.path().join("inner.sql");
    std::fs::write(&inner, "\\echo inner\nSELECT 1 AS a;\n\\q\nSELECT 2;").expect("a script");
    let outer = format!(
        "\\x\n\\format table\n\\i {}\nSELECT 3 AS c;",
        inner.display()
    );
    let output = script(&["--lake", &lake], &outer);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        said.starts_with("expanded display is on\ninner\n-[ row 1 ]\na | 1\n(1 row"),
        "{said}"
    );
    assert!(said.contains("-[ row 1 ]\nc | 3\n"), "{said}");
    assert!(!said.contains("| 2"), "{said}");
    let own = format!("\\i {}\n", inner.display());
    std::fs::write(&inner, &own).expect("a script");
    let output = script(&["--lake", &lake], &own);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("8 deep"), "{said}");
    let expanded = answer(&["sql", "--lake", &lake, "-x", "SELECT 4 AS d"]);
    assert!(expanded.starts_with("-[ row 1 ]\nd | 4\n"), "{expanded}");
    assert_eq!(
        (read(&first), read(&second)),
        ("a\r\n1\r\n".to_owned(), "b\r\n2\r\n".to_owned())
    );
}

#[test]
fn a_service_and_a_folder_are_asked_alike() {
    let (dir, file) = installation(&desk::config("[lake]\ncommit_age_max = \"200ms\"\n", ""));
    let (daemon, portal, push) = start(&file);
    desk::push(&push, r#"{"id": "a", "t": 20.5}"#);
    let query = "SELECT sensor_id, value FROM heat";
    desk::wait_for("the row is seen", || {
        answer(&["sql", "--url", &portal, query]).contains("desk-a,20.5")
    });
    let commands = "\\d\n\\d heat\n\\df time_bucket\n\\timing on\n\\format table\nSELECT value FROM heat;\n\\as-of 2001-01-01\nSELECT value FROM heat;";
    let check = |arguments: &[&str]| {
        let output = script(arguments, commands);
        let said = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        for part in [
            "heat_history",
            "sensor_id",
            "timestamp",
            "air_temperature",
            "Air temperature",
            "time_bucket(interval, time",
            "timing is on",
            "20.5",
            "(1 row; complete through ",
            "(0 rows as of 2001-01-01T00:00:00Z; complete through ",
            "licence CC0-1.0",
        ] {
            assert!(said.contains(part), "no `{part}` in\n{said}");
        }
        assert!(text(&output.stderr).contains("time: "));
    };
    check(&["--url", &portal]);
    // Who asks for what no row can be is told, whatever the format, and the answer stays what it is.
    let misspelt = "SELECT count(*) AS n FROM heat WHERE property = 'air_temprature'";
    let hint = "hint: `heat` knows no property `air_temprature`; did you mean `air_temperature`? There are ";
    let told = |arguments: &[&str]| {
        for format in ["csv", "table", "json"] {
            let output = run(&[&["sql", "--format", format, misspelt][..], arguments].concat());
            let said = text(&output.stderr);
            assert!(output.status.success() && said.contains(hint), "{said}");
            assert!(!text(&output.stdout).starts_with("hint"));
        }
        assert_eq!(
            answer(&[&["sql", misspelt][..], arguments].concat()),
            "n\r\n0\r\n"
        );
    };
    told(&["--url", &portal]);
    let output = script(&["--url", &portal], "\\d heatt");
    assert!(text(&output.stderr).contains("did you mean `heat`?"));
    let output = script(&["--url", &portal], "\\d nothing");
    assert!(text(&output.stderr).contains("there is no table `nothing`"));
    let output = script(&["--url", &portal], "\\nonsense");
    assert!(text(&output.stderr).contains("\\? lists those there are"));
    daemon.stop();
    let lake = dir.path().join("data/lake").display().to_string();
    check(&["--lake", &lake]);
    told(&["--config", &file]);
    // What a lake declares that is only named, nobody knows.
    let output = run(&["sql", "--lake", &lake, misspelt]);
    assert!(!text(&output.stderr).contains("hint"));
    // Files show what a service does not.
    assert!(
        run(&["sql", "--lake", &lake, "SELECT reason FROM rejects"])
            .status
            .success()
    );
}

/// Types into the tool at a terminal, which `script` of util-linux makes; `typed` are keys, each after a prompt.
fn at_a_terminal(lake: &str, state: &Path, editor: &str, typed: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_meetnet");
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("'{program}' sql --lake '{lake}'"))
        .arg("/dev/null")
        .env("TERM", "xterm")
        .env("XDG_STATE_HOME", state)
        .env("EDITOR", editor)
        .env("PAGER", "sed 's/^/paged /'")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux, is installed");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let mut shown = Vec::new();
    for (index, keys) in typed.iter().enumerate() {
        let from = shown.len();
        // Each key draws the prompt again: only the prompt of a new line counts.
        let is_asked = |shown: &[u8]| {
            let shown = text(shown);
            let line = shown.rsplit_once('\n').map(|(_, line)| line);
            let line = line.or((index == 0).then_some(shown.as_str()));
            line.is_some_and(|line| line.contains("meetnet> ") || line.contains("...> "))
        };
        while !is_asked(&shown[from..]) {
            let mut piece = [0; 4096];
            let length = stdout.read(&mut piece).expect("readable");
            assert!(length > 0, "ended after: {}", text(&shown));
            shown.extend_from_slice(&piece[..length]);
        }
        stdin.write_all(keys.as_bytes()).expect("taken");
    }
    stdout.read_to_end(&mut shown).expect("readable");
    assert!(child.wait().expect("an end").success(), "{}", text(&shown));
    text(&shown)
}

#[test]
fn what_is_typed_ahead_is_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = empty_lake(dir.path());
    let state = dir.path().join("state");
    // As a terminal sends what is pasted where it does not say so.
    let pasted = "SELECT 40 + 2;\rSELECT 70 + 7;\rSELECT 90 +\r9;\r\\q\r";
    let shown = at_a_terminal(&lake, &state, "true", &[pasted]);
    for part in ["42", "77", "99"] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
}

#[test]
fn a_terminal_completes_and_remembers() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = empty_lake(dir.path());
    let state = dir.path().join("state");
    let shown = at_a_terminal(
        &lake,
        &state,
        "true",
        &["SEL\t40 + 2 AS n;\r", " SELECT 'secret';\r", "\\q\r"],
    );
    assert!(shown.contains("42"), "{shown}");
    let file = state.join("meetnet/sql_history");
    let kept = std::fs::read_to_string(&file).expect("a history");
    assert!(kept.contains("SELECT 40 + 2 AS n;"), "{kept}");
    assert!(!kept.contains("secret"), "{kept}");
    let mode = file.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Another session goes on: the key Up brings the line before the last.
    let shown = at_a_terminal(&lake, &state, "true", &["\x1b[A\x1b[A\r", "\\q\r"]);
    assert!(shown.contains("42"), "{shown}");
    // A statement of several lines comes back as a whole.
    let lines = ["SELECT 6 *\r", "7 AS n;\r", "\x1b[A\r", "\\q\r"];
    let shown = at_a_terminal(&lake, &state, "true", &lines);
    assert_eq!(shown.matches("(1 row").count(), 2, "{shown}");
}

#[test]
fn a_table_goes_whole_to_the_pager_where_it_is_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = empty_lake(dir.path());
    let state = dir.path().join("state");
    let asked = "SELECT repeat('x', 300) AS wide;\r";
    let whole = "x".repeat(300);
    let typed = [
        asked,
        "\\pager on\r",
        asked,
        "\\format csv\r",
        asked,
        "\\q\r",
    ];
    let shown = at_a_terminal(&lake, &state, "true", &typed);
    let (before, after) = shown.split_once("pager is on").expect("said");
    assert!(!before.contains("paged"), "{shown}");
    assert!(after.contains(&format!("paged  {whole}")), "{shown}");
    assert!(after.contains("paged (1 row"), "{shown}");
    // Another format goes to the terminal as it is.
    assert!(after.contains(&format!("\n{whole}\r")), "{shown}");
}

#[test]
fn a_statement_is_edited_in_the_editor_and_asked() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = empty_lake(dir.path());
    let state = dir.path().join("state");
    // Another number, and a second statement behind it.
    let editor = dir.path().join("editor.sh");
    let lines = "sed -i -e 's/40 +/140 +/' -e '$a SELECT 7 * 111 AS m;' \"$1\"\n";
    std::fs::write(&editor, lines).expect("a script");
    let editor = format!("sh '{}'", editor.display());
    let shown = at_a_terminal(
        &lake,
        &state,
        &editor,
        &["SELECT 40 + 2 AS n;\r", "\\e\r", "\\q\r"],
    );
    for part in ["42", "SELECT 140 + 2 AS n;", "142", "777"] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    let kept = std::fs::read_to_string(state.join("meetnet/sql_history")).expect("a history");
    assert!(kept.contains("SELECT 140 + 2 AS n;"), "{kept}");
    // What the editor does not save is not asked, and what fails says so.
    let shown = at_a_terminal(
        &lake,
        &state,
        "exit 3;",
        &["SELECT 40 + 2 AS n;\r", "\\e\r", "\\q\r"],
    );
    assert!(shown.contains("ended with exit status: 3"), "{shown}");
    assert_eq!(shown.matches("(1 row").count(), 1, "{shown}");
    // A script is what it is.
    let output = script(&["--lake", &lake], "\\e\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("\\e is for a terminal"));
}

//! A statement in the person's editor.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::config::Environment;

/// The editor where nobody has said which.
const EDITOR: &str = "vi";
/// Bytes of what an editor gives back: more than any service reads.
const EDITED_BYTES_MAX: u64 = 4 << 20;

/// Returns what the person makes of a text; None: the same. Waits for the editor.
///
/// The command is `$EDITOR`, else `$VISUAL`, in the order of psql, and may have arguments of its own (`code --wait`).
///
/// # Errors
/// Where the file cannot be made or read, and where the editor cannot be run or ends with an error, which is how editors say
/// that nothing shall be done.
pub(super) fn edited(text: &str, environment: &Environment) -> Result<Option<String>> {
    let editor = ["EDITOR", "VISUAL"].into_iter().find_map(|name| {
        let editor = environment.get(name)?.trim();
        (!editor.is_empty()).then_some(editor)
    });
    let editor = editor.unwrap_or(EDITOR);
    // Editors know by its name what is in a file. Only its person can read it.
    let mut file = tempfile::Builder::new()
        .prefix("meetnet-")
        .suffix(".sql")
        .tempfile()
        .context("cannot make a file for the editor")?;
    let before = with_end(text);
    file.write_all(before.as_bytes())
        .and_then(|()| file.flush())
        .context("cannot write the file for the editor")?;
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(file.path())
        .status()
        .with_context(|| format!("cannot run the editor `{editor}`; set EDITOR to another one"))?;
    ensure!(
        status.success(),
        "the editor `{editor}` ended with {status}: nothing is asked; set EDITOR to another one if it is not there"
    );
    // Some put another file in its place, so it is read by its name.
    let bytes = std::fs::metadata(file.path()).map(|metadata| metadata.len());
    let bytes = bytes.context("cannot read what the editor has saved")?;
    ensure!(
        bytes <= EDITED_BYTES_MAX,
        "the editor has saved {bytes} bytes, and a statement has at most {EDITED_BYTES_MAX}; \\i FILE does what stands in a file"
    );
    let after = std::fs::read_to_string(file.path());
    let after = after.context("cannot read what the editor has saved")?;
    Ok((after != before).then_some(after))
}

/// A file of lines ends with the end of a line, which some editors would add.
fn with_end(text: &str) -> String {
    let text = text.trim_end();
    match text.is_empty() {
        true => String::new(),
        false => format!("{text}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(editor: &str, text: &str) -> Result<Option<String>> {
        let mut environment = Environment::default();
        environment.set("EDITOR", editor);
        edited(text, &environment)
    }

    #[test]
    fn an_editor_gives_back_what_it_has_saved() {
        let check = |editor: &str, text: &str, expect: Option<&str>| {
            let found = by(editor, text).expect("an editor that works");
            assert_eq!(found.as_deref(), expect, "{editor}");
        };
        check("sed -i s/1/2/", "SELECT 1;", Some("SELECT 2;\n"));
        check("true", "SELECT 1;", None);
        check("true", "", None);
        check(
            "f() { printf 'SELECT 3' > \"$1\"; }; f",
            "",
            Some("SELECT 3"),
        );
        // By its name: in the place of the old file stands another one.
        check(
            "f() { echo 'SELECT 4;' > \"$1.new\"; mv \"$1.new\" \"$1\"; }; f",
            "SELECT 1;",
            Some("SELECT 4;\n"),
        );
    }

    #[test]
    fn an_editor_that_fails_changes_nothing() {
        let check = |editor: &str, expect: &str| {
            let error = by(editor, "SELECT 1;").expect_err(editor).to_string();
            assert!(error.contains(expect), "{error}");
        };
        check("false", "`false` ended with");
        check("no-such-editor-anywhere", "set EDITOR to another one");
        check(
            "f() { head -c 5000000 /dev/zero > \"$1\"; }; f",
            "5000000 bytes",
        );
        check("rm", "cannot read what the editor has saved");
    }

    #[test]
    fn the_visual_editor_is_the_second_choice() {
        let mut environment = Environment::default();
        environment.set("EDITOR", " ");
        environment.set("VISUAL", "sed -i s/1/5/");
        let found = edited("SELECT 1;", &environment).expect("an editor");
        assert_eq!(found.as_deref(), Some("SELECT 5;\n"));
    }
}

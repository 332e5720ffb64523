use std::os::unix::fs::PermissionsExt;

use super::{ENTRIES_MAX, History};

#[test]
fn lines_are_kept_once_and_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("state/meetnet/sql_history");
    let mut history = History::load_from(Some(file.clone()));
    for line in ["SELECT 1;", "SELECT 1;", "", "  secret", "\\dt"] {
        history.add(line);
    }
    assert_eq!(history.entries(), ["SELECT 1;", "\\dt"]);
    history.save().expect("saved");
    let mode = file.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = History::load_from(Some(file));
    assert_eq!(again.entries(), ["SELECT 1;", "\\dt"]);
}

#[test]
fn old_lines_go() {
    let mut history = History::default();
    for number in 0..ENTRIES_MAX + 5 {
        history.add(&number.to_string());
    }
    assert_eq!(history.entries().len(), ENTRIES_MAX);
    assert_eq!(history.entries()[0], "5");
    history.save().expect("nothing to do");
}

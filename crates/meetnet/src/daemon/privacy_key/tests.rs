//! When a secret is generated, and when that would give every device a new id.

use super::*;

/// Whether a start goes on, and whether there is a file afterwards.
fn check(configured: bool, file: Option<usize>, is_written: bool, expect: (bool, bool)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    if let Some(bytes) = file {
        fs::write(&path, vec![7; bytes]).unwrap();
    }
    let configured = configured.then(|| "configured".to_owned());
    let found = find(configured, folder.path(), || Ok(is_written));
    let case = format!("file: {file:?}, written: {is_written}");
    assert_eq!((found.is_ok(), path.exists()), expect, "{case}");
    if let Err(error) = found {
        let error = error.to_string();
        assert!(
            error.contains("every device gets a new id"),
            "{case}: {error}"
        );
        assert!(error.contains(FILE), "{case}: {error}");
    }
}

#[test]
fn a_secret_is_generated_before_anything_is_written_and_never_after() {
    check(false, None, false, (true, true));
    check(false, None, true, (false, false));
    check(false, Some(BYTES), true, (true, true));
    check(false, Some(BYTES), false, (true, true));
    check(false, Some(3), true, (false, true));
    check(true, None, true, (true, false));
    check(true, None, false, (true, false));
}

#[test]
fn what_was_generated_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let find = |is_written| find(None, folder.path(), || Ok(is_written)).map(drop);
    find(false).unwrap();
    let made = fs::read(folder.path().join(FILE)).unwrap();
    assert_eq!(made.len(), BYTES);
    find(true).unwrap();
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), made);
}

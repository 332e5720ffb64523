use std::fs;

use super::*;

fn file(folder: &Path, journal: &str) -> StateFile {
    StateFile::new(folder, &SourceId::new("telraam"), journal)
}

fn cursor() -> Cursor {
    Cursor {
        through: Some(1_795_824_000_000_000),
        polled_at: Some(1_795_824_900_000_001),
        reasked_at: None,
        etag: Some("\"a\"".to_owned()),
        last_modified: None,
    }
}

#[test]
fn what_was_saved_is_found_again_and_nothing_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder.path().join("polled"), "j-1");
    assert_eq!(file.load(), Ok(Remembered::default()));
    let asked = Asked {
        day: 20_785,
        count: 7,
    };
    let cursor = cursor();
    file.save(asked, [("9000001463", &cursor)].into_iter())
        .unwrap();
    let found = file.load().unwrap();
    assert_eq!(found.asked, asked);
    assert_eq!(found.targets["9000001463"], cursor);
    // People can read it.
    let text = fs::read_to_string(folder.path().join("polled/telraam.json")).unwrap();
    assert!(
        text.contains("\"through\": \"2026-11-28T00:00:00Z\""),
        "{text}"
    );
}

#[test]
fn what_is_not_ours_or_cannot_be_read_counts_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let cursor = cursor();
    file(folder.path(), "j-1")
        .save(Asked::default(), [("a", &cursor)].into_iter())
        .unwrap();
    let other = file(folder.path(), "j-2").load().unwrap_err();
    assert!(other.ends_with("belongs to another journal"), "{other}");

    let path = folder.path().join("telraam.json");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let cut = file(folder.path(), "j-1").load().unwrap_err();
    assert!(cut.starts_with("cannot understand"), "{cut}");
    fs::write(&path, whole.replace("\"version\": 1", "\"version\": 2")).unwrap();
    let newer = file(folder.path(), "j-1").load().unwrap_err();
    assert!(newer.ends_with("has the unknown version 2"), "{newer}");
}

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

fn backfills() -> Vec<BackfillCursor> {
    let begun = BackfillCursor {
        span: Window {
            from: 1_767_225_600_000_000,
            to: i64::MAX,
        },
        left: Some(vec![Left {
            target: "9000001463".to_owned(),
            window: Window {
                from: 1_775_001_600_000_000,
                to: 1_795_824_000_000_000,
            },
        }]),
        windows_done: 3,
        items: 72,
        refused: vec!["9000001464: no rights".to_owned()],
        refused_total: 1,
    };
    let waiting = BackfillCursor {
        span: Window { from: 0, to: 1 },
        left: None,
        windows_done: 0,
        items: 0,
        refused: Vec::new(),
        refused_total: 0,
    };
    vec![begun, waiting]
}

fn remembered(asked: Asked, backfills: Vec<BackfillCursor>) -> Remembered {
    Remembered {
        asked,
        targets: BTreeMap::from([("9000001463".to_owned(), cursor())]),
        backfills,
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
    let saved = remembered(asked, backfills());
    file.save(saved.clone()).unwrap();
    assert_eq!(file.load(), Ok(saved));
    // People can read it.
    let text = fs::read_to_string(folder.path().join("polled/telraam.json")).unwrap();
    assert!(
        text.contains("\"through\": \"2026-11-28T00:00:00Z\""),
        "{text}"
    );
    assert!(
        text.contains("\"span\": \"2026-01-01T00:00:00Z/..\""),
        "{text}"
    );
    // Without backfills it is the file that it was before there were any.
    let saved = remembered(asked, Vec::new());
    file.save(saved.clone()).unwrap();
    assert_eq!(file.load(), Ok(saved));
    let text = fs::read_to_string(folder.path().join("polled/telraam.json")).unwrap();
    assert!(!text.contains("backfills"), "{text}");
}

#[test]
fn what_is_not_ours_or_cannot_be_read_counts_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "j-1")
        .save(remembered(Asked::default(), backfills()))
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
    fs::write(&path, whole.replace("Z/..", "Z")).unwrap();
    let no_span = file(folder.path(), "j-1").load().unwrap_err();
    assert!(no_span.contains("is no span of time"), "{no_span}");
}

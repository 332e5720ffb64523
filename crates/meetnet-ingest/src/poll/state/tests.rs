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
        gaps: Vec::new(),
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
    // Without gaps, too.
    assert!(!text.contains("gaps"), "{text}");
    let mut saved = remembered(asked, Vec::new());
    for cursor in saved.targets.values_mut() {
        assert!(cursor.add_gap(gap(3, 5)) && cursor.add_gap(gap(7, 8)));
    }
    file.save(saved.clone()).unwrap();
    assert_eq!(file.load(), Ok(saved));
    let text = fs::read_to_string(folder.path().join("polled/telraam.json")).unwrap();
    assert!(
        text.contains("\"window\": \"1970-01-04T00:00:00Z/1970-01-06T00:00:00Z\""),
        "{text}"
    );
}

/// A gap of days since 1970.
fn gap(from: i64, to: i64) -> Gap {
    const DAY_US: i64 = 86_400_000_000;
    Gap {
        window: Window {
            from: from * DAY_US,
            to: to * DAY_US,
        },
        since: 100 * DAY_US - from,
    }
}

#[test]
fn gaps_that_touch_are_one_and_what_is_answered_is_none() {
    let of = |gaps: &[(i64, i64)]| {
        let mut cursor = Cursor::default();
        for (from, to) in gaps {
            assert!(cursor.add_gap(gap(*from, *to)));
        }
        cursor
    };
    let windows = |cursor: &Cursor| -> Vec<Window> {
        let gaps = cursor.gaps.iter();
        gaps.map(|gap| gap.window).collect()
    };
    let expected = |gaps: &[(i64, i64)]| -> Vec<Window> {
        let gaps = gaps.iter();
        gaps.map(|(from, to)| gap(*from, *to).window).collect()
    };
    let joins = |gaps: &[(i64, i64)], joined: &[(i64, i64)]| {
        assert_eq!(windows(&of(gaps)), expected(joined), "{gaps:?}");
    };
    joins(&[(3, 5), (7, 8)], &[(3, 5), (7, 8)]);
    joins(&[(7, 8), (3, 5)], &[(3, 5), (7, 8)]);
    joins(&[(3, 5), (5, 6)], &[(3, 6)]);
    joins(&[(3, 5), (7, 8), (4, 7)], &[(3, 8)]);
    joins(&[(3, 8), (4, 5)], &[(3, 8)]);
    // It has failed since the first of them did.
    assert_eq!(of(&[(3, 5), (5, 6)]).gaps[0].since, gap(5, 6).since);

    let closes = |answered: (i64, i64), rest: &[(i64, i64)]| {
        let mut cursor = of(&[(3, 6)]);
        cursor.close(gap(answered.0, answered.1).window);
        assert_eq!(windows(&cursor), expected(rest), "{answered:?}");
    };
    closes((0, 3), &[(3, 6)]);
    closes((3, 4), &[(4, 6)]);
    closes((4, 5), &[(3, 4), (5, 6)]);
    closes((5, 9), &[(3, 5)]);
    closes((0, 9), &[]);

    for (left, beside) in [
        ((0, 2), (0, 2)),
        ((0, 9), (0, 3)),
        ((3, 9), (5, 7)),
        ((4, 9), (5, 7)),
        ((5, 6), (5, 6)),
        ((7, 9), (8, 9)),
        ((4, 5), (5, 5)),
    ] {
        let cursor = of(&[(3, 5), (7, 8)]);
        let found = cursor.beside_gaps(gap(left.0, left.1).window);
        assert_eq!(found, gap(beside.0, beside.1).window, "{left:?}");
    }

    // There is an end: a target that has nothing but gaps waits for what is broken.
    let mut full = Cursor::default();
    let count = i64::try_from(GAPS_MAX).unwrap();
    assert!((0..count).all(|at| full.add_gap(gap(2 * at, 2 * at + 1))));
    assert!(!full.add_gap(gap(2 * count, 2 * count + 1)));
    assert!(full.add_gap(gap(1, 2)));
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

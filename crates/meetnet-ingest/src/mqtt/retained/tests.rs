use meetnet_decode::TopicPattern;

use super::*;

fn of(topics: &[&str]) -> Retained {
    let patterns = topics.iter().map(|topic| TopicPattern::parse(topic));
    Retained::Of(patterns.collect::<Result<_, _>>().unwrap())
}

#[test]
fn what_is_retained_is_due_once_where_more_of_it_is_wanted_than_before() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("subscribed");
    let source = SourceId::new("balcony");
    let asked = |retained: &Retained| AskedFor::read(Some(&folder), &source, retained);
    let check = |retained: &Retained, is_due: bool| {
        // A crash before the answer forgets nothing.
        for _ in 0..2 {
            assert_eq!(asked(retained).is_due(), is_due, "{retained:?}");
        }
        let mut asked_for = asked(retained);
        let note = asked_for.granted();
        assert_eq!((asked_for.is_due(), asked_for.granted()), (false, None));
        if let Some(note) = note {
            note.write();
        }
        assert!(!asked(retained).is_due(), "{retained:?}");
    };
    check(&Retained::None, false);
    assert!(!folder.exists(), "nothing to note");
    check(&Retained::All, true);
    check(&Retained::All, false);
    check(&of(&["levels/#"]), true);
    check(&of(&["levels/#", "+/{meter}"]), true);
    check(&of(&["levels/#", "+/{meter}"]), false);
    check(&Retained::None, true);
    check(&Retained::All, true);
    // What is not what was written counts as lost, as does what is gone.
    let file = folder.join(source.as_str());
    for torn in ["", "al", "levels/#\n+/{me"] {
        fs::write(&file, torn).unwrap();
        assert!(asked(&Retained::All).is_due(), "{torn:?}");
    }
    check(&Retained::All, true);
    fs::remove_file(&file).unwrap();
    check(&Retained::All, true);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    // Another source, and one of which nothing is noted.
    let other = SourceId::new("roof");
    assert!(AskedFor::read(Some(&folder), &other, &Retained::All).is_due());
    assert!(!AskedFor::read(None, &source, &of(&["levels/#"])).is_due());
}

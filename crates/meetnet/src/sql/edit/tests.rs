use super::{Key, Line, Step, read_key};
use crate::sql::history::History;

fn keys(bytes: &[u8]) -> Vec<Key> {
    let mut bytes = bytes.iter().copied().map(Ok);
    std::iter::from_fn(|| read_key(&mut bytes).expect("bytes")).collect()
}

#[test]
fn bytes_become_keys() {
    let check = |bytes: &[u8], expect: &[Key]| assert_eq!(keys(bytes), expect, "{bytes:?}");
    check(b"a", &[Key::Char('a')]);
    check(
        "é€😀".as_bytes(),
        &[Key::Char('é'), Key::Char('€'), Key::Char('😀')],
    );
    check(b"\r\n", &[Key::Enter, Key::Enter]);
    check(b"\x03\x04", &[Key::Interrupt, Key::EndOfInput]);
    check(
        b"\x1b[A\x1b[B\x1b[C\x1b[D",
        &[Key::Up, Key::Down, Key::Right, Key::Left],
    );
    check(
        b"\x1bOH\x1bOF\x1b[1~\x1b[4~",
        &[Key::Home, Key::End, Key::Home, Key::End],
    );
    check(b"\x1b[1;5C\x1b[1;3D", &[Key::WordRight, Key::WordLeft]);
    check(b"\x1bb\x1bf", &[Key::WordLeft, Key::WordRight]);
    check(b"\x1b[3~x", &[Key::Delete, Key::Char('x')]);
    check(b"\x1b[15~x", &[Key::Other, Key::Char('x')]);
    check(b"\x7f\x08\t", &[Key::Backspace, Key::Backspace, Key::Tab]);
    check(b"\xff\x00", &[Key::Other, Key::Other]);
    check(b"\x1b[", &[Key::Other]);
    check(b"", &[]);
}

/// Types into a line with a history of two; returns it with `|` at the cursor.
fn typed(bytes: &str) -> String {
    let mut history = History::default();
    history.add("first");
    history.add("second");
    let mut line = Line::default();
    for key in keys(bytes.as_bytes()) {
        assert_eq!(line.press(key, &history), Step::Show, "{key:?}");
    }
    let (before, after) = line.text().split_at(line.cursor());
    format!("{before}|{after}")
}

#[test]
fn keys_change_the_line() {
    for (bytes, expect) in [
        ("ab", "ab|"),
        ("ab\x1b[Dc", "ac|b"),
        ("é€\x1b[D\x7fx", "x|€"),
        ("é\x1b[D\x1b[3~", "|"),
        ("ab\x01c\x05d", "cabd|"),
        ("one two\x17", "one |"),
        ("one two, \x17", "one |"),
        ("one two\x1bb\x0b", "one |"),
        ("one two\x1bb\x15", "|two"),
        ("one two\x01\x1bf", "one| two"),
        ("a\x01\x04", "|"),
        ("\x7f\x1b[D\x1b[C\x17", "|"),
        // History: older, to its end, and back to what was typed.
        ("\x1b[A", "second|"),
        ("\x1b[A\x1b[A\x1b[A", "first|"),
        ("draft\x1b[A\x1b[A\x1b[B", "second|"),
        ("draft\x1b[A\x1b[B", "draft|"),
        ("draft\x1b[B", "draft|"),
    ] {
        assert_eq!(typed(bytes), expect, "{bytes:?}");
    }
}

#[test]
fn some_keys_are_for_the_terminal() {
    let history = History::default();
    for (key, expect) in [
        (Key::Enter, Step::Enter),
        (Key::Tab, Step::Complete),
        (Key::Interrupt, Step::Interrupt),
        (Key::EndOfInput, Step::End),
        (Key::ClearScreen, Step::ClearScreen),
    ] {
        assert_eq!(Line::default().press(key, &history), expect);
    }
}

#[test]
fn a_word_is_replaced_and_a_window_follows_the_cursor() {
    let history = History::default();
    let mut line = Line::default();
    for key in keys(b"FROM tr x\x1b[D\x1b[D") {
        line.press(key, &history);
    }
    line.replace(5, "traffic");
    assert_eq!((line.text(), line.cursor()), ("FROM traffic x", 12));
    for (width, expect) in [
        (80, ("FROM traffic x", 12)),
        (13, ("FROM traffic ", 12)),
        (8, ("traffic ", 7)),
        (1, (" ", 0)),
    ] {
        let (shown, before) = line.window(width);
        assert_eq!((shown.as_str(), before), expect, "{width}");
    }
}

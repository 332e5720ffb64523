use super::bytea;

#[test]
fn texts_mean_bytes() {
    let check = |text: &str, expected: Option<&[u8]>| {
        assert_eq!(bytea(text).as_deref(), expected, "{text}");
    };
    check("\\x00ff", Some(b"\x00\xff"));
    check("\\x00 FF\n0a", Some(b"\x00\xff\x0a"));
    check("\\x", Some(b""));
    check("", Some(b""));
    check("plain é", Some("plain é".as_bytes()));
    check("a\\\\b", Some(b"a\\b"));
    check("\\000\\377a", Some(b"\x00\xffa"));
    for text in [
        "\\x0", "\\x0g", "\\x+f", "\\x0 0", "\\", "\\n", "\\400", "\\38a", "\\12", "\\xé",
    ] {
        check(text, None);
    }
}

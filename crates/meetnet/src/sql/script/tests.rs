use super::{Item, Script};

#[test]
fn statements_end_outside_of_texts_and_comments() {
    let statement = |text: &str| Item::Statement(text.to_owned());
    let command = |text: &str| Item::Command(text.to_owned());
    let check = |text: &str, expect: &[Item]| {
        assert_eq!(Script::items(text), expect, "{text}");
    };
    check("", &[]);
    check(" ;; \n;", &[]);
    check("SELECT 1", &[statement("SELECT 1")]);
    check("SELECT 1;", &[statement("SELECT 1")]);
    check(
        "SELECT 1; SELECT 2;\nSELECT\n3",
        &[
            statement("SELECT 1"),
            statement("SELECT 2"),
            statement("SELECT\n3"),
        ],
    );
    check("SELECT ';'", &[statement("SELECT ';'")]);
    check(
        "SELECT 'it''s;'; SELECT 2",
        &[statement("SELECT 'it''s;'"), statement("SELECT 2")],
    );
    check(
        "SELECT \"a;b\" FROM t;",
        &[statement("SELECT \"a;b\" FROM t")],
    );
    check(
        "SELECT $$it's; a$$; SELECT $$\n\\d ;$$",
        &[
            statement("SELECT $$it's; a$$"),
            statement("SELECT $$\n\\d ;$$"),
        ],
    );
    check("SELECT 'a\n;b'", &[statement("SELECT 'a\n;b'")]);
    check(
        "SELECT 1 -- one; of many\n, 2;",
        &[statement("SELECT 1 -- one; of many\n, 2")],
    );
    check(
        "SELECT /* ; ' \n */ 1;",
        &[statement("SELECT /* ; ' \n */ 1")],
    );
    check("/*/ ; */ SELECT 1;", &[statement("/*/ ; */ SELECT 1")]);
    check(
        "SELECT 4-1; SELECT 4 - -1;",
        &[statement("SELECT 4-1"), statement("SELECT 4 - -1")],
    );
    check("-- nothing;\n/* at all; */;", &[]);
    check(
        "\\timing on\n SELECT 1;\n  \\d heat  \n",
        &[
            command("\\timing on"),
            statement("SELECT 1"),
            command("\\d heat"),
        ],
    );
    // A command between the lines of a statement leaves it alone; in a text there is none.
    check(
        "SELECT\n\\dt\n1;",
        &[command("\\dt"), statement("SELECT\n1")],
    );
    check("SELECT 'a\n\\dt\nb';", &[statement("SELECT 'a\n\\dt\nb'")]);
    // The service says what is wrong with this one.
    check("SELECT 'open", &[statement("SELECT 'open")]);
}

#[test]
fn a_begun_statement_is_known_and_can_be_forgotten() {
    let mut script = Script::default();
    assert!(script.is_idle());
    assert!(script.push_line("-- a comment").is_empty());
    assert!(script.is_idle());
    assert!(script.push_line("SELECT 'x").is_empty());
    assert!(!script.is_idle());
    assert!(script.pending().ends_with("SELECT 'x\n"));
    script.clear();
    assert!(script.is_idle());
    let items = script.push_line("SELECT 2;");
    assert_eq!(items, [Item::Statement("SELECT 2".to_owned())]);
}

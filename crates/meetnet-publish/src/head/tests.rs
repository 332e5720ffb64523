use super::*;

/// Whoever splits the header at `;` and decodes what is between has each name once, as it was declared.
#[test]
fn a_name_with_a_semicolon_is_one_name() {
    let rights = Rights {
        attributions: ["contributors; naïve %3B", "100 % café"]
            .map(str::to_owned)
            .to_vec(),
        ..Rights::default()
    };
    let [(_, licence), (name, text)] = stated_rights(&rights);
    assert_eq!((licence, name), (None, ATTRIBUTION));
    let expect = "contributors%3B na%C3%AFve %253B; 100 %25 caf%C3%A9";
    assert_eq!(text.as_deref(), Some(expect));
}

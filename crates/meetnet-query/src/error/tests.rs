use super::{edit_distance, suggestion};

#[test]
fn near_names_are_suggested() {
    let check = |name: &str, known: &[&str], expect: &str| {
        assert_eq!(suggestion(name, known.iter().copied()), expect, "{name}");
    };
    check("trafic", &["air", "traffic"], "; did you mean `traffic`?");
    check("Traffic", &["air", "traffic"], "; did you mean `traffic`?");
    check("zzz", &["air", "traffic"], "; there are air, traffic");
    check("zzz", &[], "");
}

#[test]
fn distance_counts_edits() {
    for (a, b, expect) in [
        ("", "abc", 3),
        ("abc", "abc", 0),
        ("kitten", "sitting", 3),
        ("é", "e", 1),
    ] {
        assert_eq!(edit_distance(a, b), expect, "{a} {b}");
    }
}

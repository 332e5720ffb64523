use super::*;

#[test]
fn names_are_printed_and_parsed() {
    for compressed in [false, true] {
        let name = ArchiveName {
            number: 3,
            first: Sequence(50),
            last: Sequence(99),
            first_recorded_at: 1_700_000_000_000_000,
            last_recorded_at: 1_700_000_000_000_049,
            compressed,
        };
        assert_eq!(ArchiveName::parse(&name.to_string()), Some(name));
    }
    for other in [
        "notes.txt",
        "1-2.journal",
        "1-2-3-4-5-6.journal",
        "1-2-3-4-5.journal.gz",
    ] {
        assert_eq!(ArchiveName::parse(other), None, "{other}");
    }
}

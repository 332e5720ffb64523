use std::path::Path;

use meetnet_query::Format;

use super::{by_name, format_of};

#[test]
fn the_name_of_a_file_says_its_format() {
    for (file, expect) in [
        ("a.csv", Some(Format::Csv)),
        ("a.b/c.parquet", Some(Format::Parquet)),
        ("a.ndjson", Some(Format::Ndjson)),
        ("a.arrow", Some(Format::Arrow)),
        ("a.arrows", Some(Format::Arrow)),
        ("a.txt", Some(Format::Table)),
        ("a.zip", None),
        ("csv", None),
    ] {
        assert_eq!(format_of(Path::new(file)), expect, "{file}");
    }
}

#[test]
fn a_name_that_says_another_format_is_refused() {
    let found = |file: &str| by_name(Path::new(file), format_of, Format::Csv).ok();
    assert_eq!(found("a.parquet"), Some(Format::Parquet));
    assert_eq!(found("answer"), Some(Format::Csv));
    assert_eq!(found("/dev/stdout"), Some(Format::Csv));
    for file in ["a.xlsx", "a.csv.gz", "a.zip"] {
        assert_eq!(found(file), None, "{file}");
    }
}

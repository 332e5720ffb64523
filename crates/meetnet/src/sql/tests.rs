use std::path::Path;

use meetnet_query::Format;

use super::format_of;

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

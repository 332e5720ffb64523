use std::path::Path;

use meetnet_query::Format;

use super::{begins_with_comment, by_name, format_of, named};

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
fn a_word_with_white_space_before_any_value_is_no_option() {
    for (word, expect) in [
        ("-- the newest\nSELECT 1", true),
        ("--the newest\nSELECT 1", true),
        ("--newest\nSELECT 1 = 1", true),
        ("---- newest ----\nSELECT 1", true),
        ("--nosuch", false),
        ("--", false),
        ("--param=a=b c", false),
        ("-x", false),
        ("SELECT 1 -- the newest", false),
    ] {
        assert_eq!(begins_with_comment(word), expect, "{word:?}");
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

#[test]
fn a_name_of_no_format_is_refused_with_those_that_there_are() {
    let found = |file: &str| {
        let format = named(Path::new(file), format_of, "\\format before it");
        format.map_err(|failure| format!("{:#}", failure.error()))
    };
    assert_eq!(found("a.json"), Ok(Some(Format::Json)));
    assert_eq!(found("answer"), Ok(None));
    assert_eq!(
        found("answer.xlsx"),
        Err(
            "`answer.xlsx` ends in no format that there is; end it in .csv, .parquet, .json, .ndjson, .geojson or .arrow, or say \
             which it is with \\format before it"
                .to_owned()
        )
    );
}

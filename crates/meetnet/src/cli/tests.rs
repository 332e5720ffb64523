use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::Arguments;
use crate::sql;

mod documentation;
mod service;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn a_statement_that_begins_with_a_comment_is_no_option() {
    let parse = |words: &[&str]| {
        let words = ["meetnet", "sql"].iter().chain(words).map(OsString::from);
        let parsed = Arguments::try_parse_from(sql::words(words));
        parsed.map(drop).map_err(|error| error.kind())
    };
    let statement = "-- the newest\nSELECT 1";
    for words in [
        &[statement][..],
        &[statement, "--format", "csv"],
        &["-x", "--param", "a=-- b", statement],
        &["--", statement],
    ] {
        assert_eq!(parse(words), Ok(()), "{words:?}");
    }
    for words in [&["--nosuch"][..], &["--formt=csv", statement]] {
        assert_eq!(parse(words), Err(ErrorKind::UnknownArgument), "{words:?}");
    }
}

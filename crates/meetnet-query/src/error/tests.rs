use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;

use super::{QueryError, QueryErrorKind, edit_distance, suggestion};

#[test]
fn a_file_that_cannot_be_read_is_not_the_clients_fault() {
    let check = |error: DataFusionError, kind: QueryErrorKind| {
        let text = error.to_string();
        let error = QueryError::from_datafusion(error, &[]);
        let of_reading = kind == QueryErrorKind::Internal;
        assert_eq!(
            (error.kind, error.is_of_reading()),
            (kind, of_reading),
            "{text}"
        );
    };
    let parquet = || ParquetError::General("not enough bytes".to_owned());
    let disk = || std::io::Error::other("the disk failed");
    check(parquet().into(), QueryErrorKind::Internal);
    check(ArrowError::from(parquet()).into(), QueryErrorKind::Internal);
    check(disk().into(), QueryErrorKind::Internal);
    let wrapped = ArrowError::from_external_error(Box::new(disk()));
    check(wrapped.into(), QueryErrorKind::Internal);
    let wrapped = DataFusionError::External(Box::new(parquet()));
    check(wrapped, QueryErrorKind::Internal);
    let cast = ArrowError::CastError("cannot cast 'x' to Int64".to_owned());
    check(cast.into(), QueryErrorKind::BadRequest);
    check(ArrowError::DivideByZero.into(), QueryErrorKind::BadRequest);
}

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

#[test]
fn what_a_function_says_of_its_arguments_is_all_that_is_said() {
    let own = "`f`: it takes 1 arguments, not 2; it is called as f(a) → text";
    let text = format!(
        "Execution error: Function 'f' user-defined coercion failed with: Error during planning: {own}. No function \
         matches the given name and argument types 'f(Utf8, Utf8)'. You might need to add explicit type casts.\n\tf(…)"
    );
    for error in [
        DataFusionError::Plan(text.clone()),
        DataFusionError::Execution(text),
    ] {
        let found = QueryError::from_datafusion(error, &[]);
        assert_eq!(
            (found.kind, found.message.as_str()),
            (QueryErrorKind::BadRequest, own)
        );
    }
}

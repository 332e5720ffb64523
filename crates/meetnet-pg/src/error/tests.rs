use meetnet_query::{QueryError, QueryErrorKind, StatementFault};

use super::PgError;

#[test]
fn a_code_follows_what_is_wrong_and_not_its_words() {
    let check = |kind: QueryErrorKind, fault: Option<StatementFault>, expect: &str| {
        // Words of other errors, as names in a statement may be.
        for words in [
            "the SQL could not be read",
            "there is no column",
            "there is no function",
            "there is no table function",
        ] {
            let mut error = QueryError::new(kind, words);
            error.fault = fault;
            assert_eq!(PgError::from(error).code, expect, "{kind:?} {fault:?}");
        }
    };
    let statement = QueryErrorKind::BadRequest;
    check(statement, None, "42000");
    check(statement, Some(StatementFault::Syntax), "42601");
    check(statement, Some(StatementFault::Column), "42703");
    check(statement, Some(StatementFault::AmbiguousColumn), "42702");
    check(statement, Some(StatementFault::Function), "42883");
    check(statement, Some(StatementFault::Unsupported), "0A000");
    check(statement, Some(StatementFault::DivisionByZero), "22012");
    check(statement, Some(StatementFault::OutOfRange), "22003");
    check(statement, Some(StatementFault::InvalidText), "22P02");
    check(statement, Some(StatementFault::InvalidTime), "22007");
    check(statement, Some(StatementFault::TimeRange), "22008");
    check(statement, Some(StatementFault::IntervalRange), "22015");
    check(statement, Some(StatementFault::InvalidArgument), "22023");
    check(statement, Some(StatementFault::Power), "2201F");
    check(statement, Some(StatementFault::NegativeLength), "22011");
    check(statement, Some(StatementFault::Buckets), "2201G");
    check(statement, Some(StatementFault::Pattern), "2201B");
    check(statement, Some(StatementFault::NoCast), "42846");
    check(statement, Some(StatementFault::TypeMismatch), "42804");
    check(statement, Some(StatementFault::Type), "42704");
    check(statement, Some(StatementFault::Grouping), "42803");
    check(statement, Some(StatementFault::Position), "42P10");
    check(statement, Some(StatementFault::NegativeLimit), "2201W");
    check(statement, Some(StatementFault::NegativeOffset), "2201X");
    check(QueryErrorKind::NotFound, None, "42P01");
    let function = Some(StatementFault::Function);
    check(QueryErrorKind::NotFound, function, "42883");
    check(QueryErrorKind::NotSettled, None, "55000");
    check(QueryErrorKind::Forbidden, None, "25006");
    check(QueryErrorKind::TooLarge, None, "54000");
    check(QueryErrorKind::Timeout, None, "57014");
    check(QueryErrorKind::Busy, None, "53000");
    check(QueryErrorKind::OverShare, None, "53400");
    check(QueryErrorKind::SnapshotExpired, None, "40001");
    check(QueryErrorKind::StoreUnavailable, None, "58030");
    check(QueryErrorKind::Internal, None, "XX000");
}

use anyhow::Context;

use super::*;

#[test]
fn a_place_that_cannot_be_used_is_named_with_what_to_do() {
    let check = |kind: io::ErrorKind, advice: &str| {
        let error = Err::<(), _>(io::Error::from(kind)).context("failed to create /data/lake");
        let failure = Failure::place(error.expect_err("an error"));
        let text = format!("{:#}", failure.error());
        assert!(
            text.contains("/data/lake") && text.contains(advice),
            "{text}"
        );
        assert!(matches!(failure, Failure::Usage(_)), "{text}");
    };
    check(io::ErrorKind::PermissionDenied, "chown -R");
    check(io::ErrorKind::ReadOnlyFilesystem, "mount it for writing");
    check(io::ErrorKind::StorageFull, "make room");
    check(io::ErrorKind::NotFound, "failed to create");
}

#[test]
fn a_cause_that_was_told_is_not_told_again() {
    let check = |causes: &[&'static str], expect: &str| {
        let (root, rest) = causes.split_last().expect("a cause");
        let root = anyhow::anyhow!(*root);
        let error = rest
            .iter()
            .rev()
            .fold(root, |error, context| error.context(*context));
        assert_eq!(Failure::work(error).text(), expect);
    };
    check(&["alone"], "alone");
    check(&["first", "then"], "first: then");
    check(
        &[
            "failed to list s3://city/lake",
            "store error: GET http://s3: error sending request",
            "GET http://s3: error sending request",
            "error sending request",
            "dns error",
        ],
        "failed to list s3://city/lake: store error: GET http://s3: error sending request: dns error",
    );
}

#[test]
fn a_full_disk_has_not_the_exit_code_of_a_wrong_configuration() {
    let check = |kind: io::ErrorKind, expect: u8| {
        let error = Err::<(), _>(io::Error::from(kind)).context("failed to write /data/journal");
        let error = error.expect_err("an error");
        let code = format!("{:?}", ExitCode::from(expect));
        let place = Failure::place(error);
        assert_eq!(format!("{:?}", place.exit_code()), code, "{kind}");
        let usage = Failure::usage(io::Error::from(kind));
        assert_eq!(format!("{:?}", usage.exit_code()), code, "{kind}");
    };
    check(io::ErrorKind::StorageFull, 1);
    check(io::ErrorKind::QuotaExceeded, 1);
    check(io::ErrorKind::PermissionDenied, 2);
    check(io::ErrorKind::NotFound, 2);
}

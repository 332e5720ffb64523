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

use super::*;

#[test]
fn a_place_is_a_bucket_and_a_prefix() {
    let check = |text: &str, bucket: &str, prefix: &str, shown: &str| {
        let url: S3Url = text.parse().unwrap();
        assert_eq!((&*url.bucket, &*url.prefix), (bucket, prefix), "{text}");
        assert_eq!(url.to_string(), shown);
    };
    check("s3://city", "city", "", "s3://city");
    check("s3://city/", "city", "", "s3://city");
    check("s3://city/lake", "city", "lake", "s3://city/lake");
    let spoken = "s3://city/läke mét/a b";
    check(spoken, "city", "läke mét/a b", spoken);
    check(
        "s3://my.city-1/a/b/",
        "my.city-1",
        "a/b",
        "s3://my.city-1/a/b",
    );
}

#[test]
fn what_is_no_place_is_refused_without_repeating_secrets() {
    let check = |text: &str, expect: &str| {
        let error = text.parse::<S3Url>().unwrap_err().to_string();
        assert!(error.contains(expect), "{text}: {error}");
        assert!(!error.contains("hidden"), "{error}");
    };
    check("city/lake", "no s3://");
    check("s3://", "a bucket's name");
    check("s3://key:hidden@city/lake", "a bucket's name");
    check("s3://city/a//b", "no plain path");
    check("s3://city//lake", "no plain path");
    check("s3://city/lake?region=x", "no plain path");
    check("s3://city/../other", "no plain path");
}

#[test]
fn credentials_are_not_shown() {
    let keys = S3Credentials::Keys {
        access_key_id: "hidden".to_owned(),
        secret_access_key: "hidden".to_owned(),
        session_token: Some("hidden".to_owned()),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = S3Options::new("s3://city/lake".parse().unwrap(), keys);
    let storage = options.storage(runtime.handle().clone()).unwrap();
    let location = crate::storage::LakeStorage::location(&storage);
    let shown = format!("{options:?} {storage:?} {location:?}");
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("s3://city/lake"), "{shown}");
}

#[test]
fn a_role_takes_only_what_says_something_about_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let with = |name: &str| {
        let role = S3Credentials::Role(vec![(name.to_owned(), "value".to_owned())]);
        let options = S3Options::new("s3://city".parse().unwrap(), role);
        options.storage(runtime.handle().clone()).map(drop)
    };
    for name in ROLE_VARIABLES {
        with(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let error = with("AWS_SECRET_ACCESS_KEY").unwrap_err().to_string();
    assert!(error.contains("says nothing about a role"), "{error}");
}

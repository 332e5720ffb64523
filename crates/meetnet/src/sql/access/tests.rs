use std::path::Path;

use super::{KEY_VARIABLE, ServiceAccess};
use crate::config::Environment;
use crate::failure::Failure;

const URL: &str = "http://127.0.0.1:8080";

/// Returns what is sent as `Authorization`, or what is said.
fn sent(file: Option<&str>, variable: Option<&str>) -> Result<Option<String>, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = file.map(|content| {
        let path = dir.path().join("key");
        std::fs::write(&path, content).expect("a file");
        path
    });
    let mut environment = Environment::default();
    if let Some(value) = variable {
        environment.set(KEY_VARIABLE, value);
    }
    match ServiceAccess::new(URL, path.as_deref(), &environment) {
        Ok(access) => {
            let shown = format!("{access:?}");
            for secret in [file, variable].into_iter().flatten() {
                assert!(!shown.contains(secret.trim()), "{shown}");
            }
            Ok(access.key.map(|key| {
                let header = key.header();
                assert!(header.is_sensitive());
                header.to_str().expect("a text").to_owned()
            }))
        }
        Err(Failure::Usage(error)) => Err(format!("{error:#}")),
        Err(Failure::Work(error)) => panic!("a matter of usage: {error:#}"),
    }
}

#[test]
fn a_key_comes_from_the_file_else_from_the_environment() {
    let bearer = |key: &str| Ok(Some(format!("Bearer {key}")));
    assert_eq!(sent(None, None), Ok(None));
    assert_eq!(sent(None, Some("of-variable")), bearer("of-variable"));
    assert_eq!(sent(Some("of-file\n"), None), bearer("of-file"));
    assert_eq!(
        sent(Some("of-file"), Some("of-variable")),
        bearer("of-file")
    );
}

#[test]
fn a_key_that_is_none_is_said_and_not_left_out() {
    let check = |file: Option<&str>, variable: Option<&str>, expect: &str| {
        let said = sent(file, variable).expect_err("no key");
        assert!(said.contains(expect), "{said}");
        assert!(!said.contains("secret-text"), "{said}");
    };
    check(Some(" \n"), Some("of-variable"), "is empty");
    check(None, Some(""), "MEETNET_API_KEY is empty");
    check(
        Some("secret-text\nsecret-text"),
        None,
        "holds more than a key",
    );
    let nowhere = ServiceAccess::new(
        URL,
        Some(Path::new("/nowhere/key")),
        &Environment::default(),
    );
    let Err(Failure::Usage(error)) = nowhere else {
        panic!("a file that is not there is a matter of usage");
    };
    assert!(format!("{error:#}").contains("/nowhere/key"), "{error:#}");
}

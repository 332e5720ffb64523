use std::path::Path;

use super::*;
use crate::config::Environment;

#[test]
fn the_limit_in_force_is_read() {
    fn check(limits: &str, expect: Option<u64>) {
        assert_eq!(limit_of(limits), expect, "{limits}");
    }
    check(
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max processes             127235               127235               processes \n\
         Max open files            1024                 1048576              files     \n",
        Some(1024),
    );
    check(
        "Max open files  unlimited  unlimited  files\n",
        Some(u64::MAX),
    );
    check("Max processes 7 7 processes\n", None);
    check("", None);
    let own = std::fs::read_to_string(LIMITS).unwrap_or_default();
    assert!(limit_of(&own).is_some_and(|limit| limit > 10), "{own}");
}

#[test]
fn every_connection_of_a_role_is_counted() {
    let text = "[http]\nlisten = \"127.0.0.1:1\"\nconnections_max = 1000\n\
                [ingest_http]\nlisten = \"127.0.0.1:2\"\nconnections_max = 200\n\
                [pg]\nlisten = \"127.0.0.1:3\"\nconnections_max = 30\n\
                [flight]\nlisten = \"127.0.0.1:4\"\nconnections_max = 4\n";
    let file = Path::new("/etc/meetnet.toml");
    let config = Config::parse(file, text, &Environment::default()).expect("a configuration");
    for (role, connections) in [(Role::Run, 1234), (Role::Ingest, 200), (Role::Serve, 1034)] {
        assert_eq!(
            wanted(&config, role),
            connections + FILES_BESIDE,
            "{role:?}"
        );
    }
}

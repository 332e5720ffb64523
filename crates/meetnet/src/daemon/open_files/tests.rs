use std::path::Path;

use super::*;
use crate::config::Environment;

#[test]
fn the_process_takes_what_it_is_allowed() {
    let limit = raise_limit().expect("a limit");
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits");
    assert_eq!((soft, hard), (limit, limit));
    assert_eq!(raise_limit(), Ok(limit), "again");
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

use std::path::Path;

use super::files::{Folder, Listeners, State};
use super::{command_name, grouped, reachable};

#[test]
fn numbers_are_grouped() {
    for (number, text) in [
        (0, "0"),
        (999, "999"),
        (1_000, "1,000"),
        (2_604_216, "2,604,216"),
    ] {
        assert_eq!(grouped(number), text);
    }
}

#[test]
fn what_the_demo_remembers_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    assert_eq!(folder.state().unwrap(), None);
    let mut state = State::new(3, 1_000_000, "127.0.0.1:1883".parse().unwrap());
    state.imported = Some([("lora/heat".to_owned(), 7)].into());
    folder.save(&state).unwrap();
    assert_eq!(folder.state().unwrap(), Some(state));
    std::fs::write(dir.path().join("demo.json"), "{").unwrap();
    let error = format!("{:#}", folder.state().unwrap_err());
    assert!(error.contains("demo.json is damaged; remove it"), "{error}");
}

#[test]
fn only_sources_at_the_demos_broker_follow_it() {
    let dir = tempfile::tempdir().unwrap();
    let broker = "127.0.0.1:1883".parse().unwrap();
    let config = super::files::config_toml(&Listeners::default(), broker);
    let edited = config.replacen("mqtt://127.0.0.1:1883", "mqtt://mosquitto", 1);
    std::fs::write(dir.path().join("meetnet.toml"), edited).unwrap();
    let state = State::new(3, 0, broker);
    assert_eq!(state.sources_at(dir.path()), ["airrohr", "lora", "balcony"]);
}

#[test]
fn examples_call_the_program_as_a_shell_finds_it() {
    fn check(called: &str, program: Option<&str>, expect: &str) {
        let name = command_name(Path::new(called), program.map(Path::new));
        assert_eq!(name, expect, "{called} {program:?}");
    }
    let built = "/src/meetnet/target/release/meetnet";
    check("meetnet", Some("/usr/bin/meetnet"), "meetnet");
    check("target/release/meetnet", Some(built), built);
    check(built, Some(built), built);
    check("./meetnet", None, "./meetnet");
    let spaced = "/home/An Van den Berg/meetnet";
    check(spaced, Some(spaced), "'/home/An Van den Berg/meetnet'");
    check("/it's/meetnet", None, r"'/it'\''s/meetnet'");
}

#[test]
fn what_listens_everywhere_is_reached_here() {
    for (listener, expect) in [
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("[::]:8080", "[::1]:8080"),
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("192.0.2.7:80", "192.0.2.7:80"),
    ] {
        let listener = listener.parse().expect("an address");
        assert_eq!(reachable(listener).to_string(), expect);
    }
}
